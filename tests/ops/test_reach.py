"""`hopseal check`, asked by root: what the service's user can not get at. Files
and folders are really of other owners."""

import os
import shutil
import subprocess

import pytest

import harness
from certs import Authority
from conftest import missing

NOBODY = 65534

CONFIG = """
hostname: hop.example.net
user: {user}
state: state
keys: keys/
keys-file: dns.json
secrets: secrets
tls-ca: authority.pem
listeners:
  f: {{role: forward, listen: ["127.0.0.1:2525"], domains: [one.example],
      aliases: "file:aliases", mail-from: srs, tls: {{cert: tls/hop.pem, key: tls/hop.key}},
      pass-client: none, next-hop: "smtp://127.0.0.1:2526"}}
  e: {{role: egress, listen: ["127.0.0.1:2527"], clients: [127.0.0.1],
      senders: [one.example], auth-file: login, next-hop: "smtps://smart.example:465"}}
"""


@pytest.fixture
def site(folder, keys):
    """All of it root's, and the group may read: as the guide has it."""
    if os.geteuid() != 0:
        missing("needs root")
    keys.add("one.example", rsa2048=None)
    (keys.folder / "one.example/ed.state").write_text("active 1795735882\n")
    authority = Authority(folder)
    shutil.copy(authority.cert, folder / "authority.pem")
    pair = authority.pair("hop", "hop.example.net")
    for name in ("secrets", "tls", "state"):
        (folder / name).mkdir()
    (folder / "secrets/1").write_text("a secret of this test\n")
    shutil.copy(pair.cert, folder / "tls/hop.pem")
    shutil.copy(pair.key, folder / "tls/hop.key")
    (folder / "aliases").write_text("a@one.example b@two.example\n")
    (folder / "login").write_text("user:secret\n")
    (folder / "hopseald.yaml").write_text(CONFIG.format(user="nobody"))
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 0, NOBODY)
        path.chmod(0o750 if path.is_dir() else 0o640)
    os.chown(folder / "state", NOBODY, NOBODY)
    return folder


def check(folder, user=None):
    """The lines of warnings, without the folder."""
    done = subprocess.run([harness.HOPSEAL, "check", "-c",
                           folder / "hopseald.yaml"], user=user,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("configuration is good\n")
    return done.stderr.replace(f"{folder}/", "").splitlines()


def test_what_the_user_gets_at_is_not_told(site):
    assert check(site) == []



@pytest.mark.parametrize("path", [
    "hopseald.yaml", "aliases", "dns.json", "keys/one.example/ed.pem",
    "keys/one.example/ed.state", "secrets/1", "tls/hop.pem", "tls/hop.key",
    "authority.pem", "login"])
@pytest.mark.parametrize("how", ["mode", "group"])
def test_a_file_that_can_not_be_read_is_told(site, path, how):
    if how == "mode":
        (site / path).chmod(0o600)
        whose = f"mode 0600, user 0, group {NOBODY}"
    else:
        os.chown(site / path, 0, 0)
        (site / path).chmod(0o600)
        whose = "mode 0600, user 0, group 0"
    assert check(site) == [
        f"{path}: warning: user nobody can not read it ({whose}): only a "
        "hopseald that root starts can; chgrp nobody, and chmod 0640"]


@pytest.mark.parametrize("path, told", [
    ("keys/one.example", 1), ("secrets", 1), ("tls", 1)])
def test_a_folder_on_the_way_is_told_once(site, path, told):
    (site / path).chmod(0o700)
    lines = check(site)
    assert len(lines) == told
    assert lines[0].startswith(f"{path}: warning: user nobody can not ")
    assert f"(mode 0700, user 0, group {NOBODY})" in lines[0]


def test_the_folder_above_all_is_told(site):
    site.chmod(0o700)
    (line,) = check(site)
    assert line.startswith(f"{site}: warning: user nobody can not come through,"
                           " to what is in there (mode 0700, user 0, group ")


def test_a_state_that_can_not_be_written_is_told(site):
    os.chown(site / "state", 0, NOBODY)
    (line,) = check(site)
    assert line == (
        f"state: warning: user nobody can not write it (mode 0750, user 0, "
        f"group {NOBODY}), so nothing is kept there, and no queue starts; "
        "chown nobody, and chmod 0700")


def test_many_are_counted(site):
    for k in range(30):
        path = site / f"secrets/more-{k:02}"
        shutil.copy(site / "secrets/1", path)
        path.chmod(0o600)
    lines = check(site)
    assert len(lines) == 21
    assert lines[-1] == "warning: user nobody can not get at 10 more"


def test_who_is_root_or_asks_for_himself_gets_none(site):
    for path in site.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    (site / "hopseald.yaml").write_text(CONFIG.format(user="root"))
    assert not any("can not" in line for line in check(site))
    (site / "hopseald.yaml").write_text(CONFIG.format(user="nobody"))
    (site / "hopseald.yaml").chmod(0o640)
    done = subprocess.run([harness.HOPSEAL, "check", "-c",
                           site / "hopseald.yaml"], user="nobody",
                          capture_output=True, text=True)
    assert done.returncode == 78
    assert "warning: user" not in done.stderr
