"""The unit of systemd: how far it shuts the service in, and that the service
lives with it. systemd itself does not run here: what the unit allows is read
from it, and what the service does is traced."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

import configs
import harness
from conftest import missing
from smtptools import Client, Sink

ROOT = harness.ROOT
UNIT = ROOT / "systemd" / "hopseald.service"
NOBODY = 65534
LETTER = (b"From: a@one.example\r\nTo: b@two.example\r\nSubject: x\r\n"
          b"Date: Thu, 26 Nov 2026 12:00:00 +0000\r\n"
          b"Message-ID: <1@one.example>\r\n\r\nHello.\r\n")


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            missing(f"{program} is not installed")


def settings():
    """Of [Service], in order: (name, value, the comment right above it)."""
    found, above = [], ""
    for line in UNIT.read_text().split("[Service]\n")[1].splitlines():
        if line.startswith("["):
            break
        if line.startswith("#"):
            above += line
        elif not line:
            above = ""
        else:
            name, _, value = line.partition("=")
            found.append((name, value, above))
    return found


def values(name):
    return " ".join(v for n, v, _ in settings() if n == name).split()


def allowed_calls():
    """The names that SystemCallFilter allows, groups taken apart."""
    def expand(name):
        if not name.startswith("@"):
            return {name}
        lines = harness.run("systemd-analyze", "syscall-filter", name)
        names = [line.strip() for line in lines.decode().splitlines()[1:]]
        return set().union(*(expand(n) for n in names
                             if n and not n.startswith("#")))

    allowed = expand("@default")
    for _, value, _ in (s for s in settings() if s[0] == "SystemCallFilter"):
        for name in value.lstrip("~").split():
            if value.startswith("~"):
                allowed -= expand(name)
            else:
                allowed |= expand(name)
    return allowed


def test_exposure_is_under_1_5():
    need("systemd-analyze")
    done = subprocess.run(["systemd-analyze", "security", "--offline=true",
                           "--no-pager", "--threshold=14", str(UNIT)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_is_understood(tmp_path):
    need("systemd-analyze")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text()
                    .replace("/usr/sbin/hopseald", str(harness.HOPSEALD))
                    .replace("/usr/bin/hopseal ", f"{harness.HOPSEAL} "))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)],
                          capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert not said, done.stderr


def test_each_line_that_shuts_it_in_has_its_reason():
    seen = set()
    for name, value, above in settings():
        if re.match(r"Protect|Private|Restrict|NoNew|System|Lock|Memory|Cap|"
                    r"Ambient|Limit|UMask|Remove|State", name):
            seen.add(name)
            assert above, f"{name}={value} does not say why"
    assert len(seen) > 20


@pytest.fixture
def own_folder():
    """One that nobody can write in, and the program that it can run."""
    if os.geteuid() != 0:
        missing("only root can start it as somebody else")
    places = [p for p in (harness.BUILD, Path(tempfile.gettempdir()),
                          Path("/var/tmp"))
              if all(q.stat().st_mode & 0o001 for q in [p, *p.parents])]
    if not places:
        missing("no folder for tests can be reached by all users")
    folder = Path(tempfile.mkdtemp(prefix="hopseal-unit-", dir=places[0]))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def give(folder):
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)


def as_in_the_unit(trace):
    """Runs a program as the unit does: user, rights, umask; and traces it."""
    caps = "+" + ",+".join(c.lower().removeprefix("cap_")
                           for c in values("AmbientCapabilities"))
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
            "--clear-groups", "--no-new-privs", "--inh-caps=" + caps,
            "--ambient-caps=" + caps, "--bounding-set=-all," + caps,
            "sh", "-c", f'umask {values("UMask")[0]}; exec "$@"', "sh",
            "strace", "-DDD", "-f", "-q", "-o", str(trace)]


def work(site, daemon, sink):
    """Mail through the session, once more for the memory, and a reload."""
    with Client(site.port) as client:
        assert client.mail("a@one.example", "b@two.example",
                           LETTER)[0] == 250
    with Client(site.port) as client:
        assert client.mail("a@one.example", "b@two.example",
                           LETTER)[0] == 250
    harness.until(lambda: len(sink.mails) >= 1, "the message")
    daemon.process.send_signal(signal.SIGHUP)
    harness.until(lambda: daemon.log().count("ready: ") == 2, "the reload")
    with Client(site.port) as client:
        assert client.command("NOOP")[0] == 250


@pytest.mark.skipif(bool(os.environ.get("SAN")),
                    reason="sanitizers make calls of their own")
@pytest.mark.parametrize("delivery", ["through", "queue"])
def test_what_it_does_the_unit_allows(own_folder, delivery):
    need("setpriv", "strace", "systemd-analyze")
    shutil.copy(harness.HOPSEALD, own_folder / "hopseald")
    (own_folder / "hopseald").chmod(0o755)
    keys = harness.Keys(own_folder).add("one.example")
    trace = own_folder / "trace"
    with Sink() as sink:
        site = configs.egress(own_folder, sink.port, f"delivery: {delivery}")
        give(own_folder)
        daemon = harness.Hopseald(own_folder, site.config,
                                  wrapper=as_in_the_unit(trace),
                                  program=own_folder / "hopseald")
        with daemon:
            pid = daemon.process.pid
            status = Path(f"/proc/{pid}/status").read_text()
            assert re.search(rf"Uid:\s+{NOBODY}\s", status)
            work(site, daemon, sink)
            assert b"DKIM2-Signature:" in sink.mails[0].content
    assert keys.folder.exists()
    harness.until(lambda: re.search(rf"^{pid} +\+\+\+ exited with 0",
                                    trace.read_text(), re.M),
                  "the end of the trace")
    lines = trace.read_text().splitlines()
    called = {m[1] for line in lines
              if (m := re.match(r"\d+ +([a-z_0-9]+)\(", line))}
    assert {"accept4", "sendto", "clone"} <= called | {"clone3"}
    assert called - allowed_calls() == set()
    families = {m[1] for line in lines
                if (m := re.search(r" socket\((AF_\w+)", line))}
    assert families <= set(values("RestrictAddressFamilies"))
    code = [line for line in lines if "PROT_WRITE|PROT_EXEC" in line]
    assert not code, code


def test_the_watchdog_hears_it(tmp_path, hopseald_of):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        s.settimeout(harness.WAIT)
        daemon = hopseald_of(tmp_path, {"NOTIFY_SOCKET": str(path),
                                        "WATCHDOG_USEC": "60000"})
        said = [s.recv(500).split(b"\n") for _ in range(4)]
        assert [b"READY=1"] in [lines[:1] for lines in said]
        alive = [lines[1] for lines in said if lines[0] == b"WATCHDOG=1"]
        assert len(alive) == 3
        assert all(line.startswith(b"STATUS=") for line in alive)
        daemon.process.send_signal(signal.SIGTERM)
        # Sessions may take their time to end: it is alive until then.
        harness.until(lambda: s.recv(200).startswith(b"STOPPING=1\n"), "the end")


@pytest.mark.parametrize("more", [{"WATCHDOG_PID": "1"}, {},
                                  {"WATCHDOG_USEC": "x"}])
def test_the_watchdog_of_others_does_not(tmp_path, hopseald_of, more):
    path = tmp_path / "notify"
    if more.get("WATCHDOG_PID"):
        more = {**more, "WATCHDOG_USEC": "1000"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        s.settimeout(harness.WAIT)
        daemon = hopseald_of(tmp_path, {"NOTIFY_SOCKET": str(path), **more})
        assert s.recv(200).startswith(b"READY=1\n")
        daemon.process.send_signal(signal.SIGTERM)
        assert s.recv(200).startswith(b"STOPPING=1\n")


@pytest.fixture
def hopseald_of():
    started = []

    def start(folder, env):
        site = configs.inbound(folder, harness.free_port(), common=[])
        daemon = harness.Hopseald(folder, site.config, env=env)
        started.append(daemon)
        return daemon.start()

    yield start
    for daemon in started:
        daemon.stop()


@pytest.fixture
def bare_root(tmp_path):
    """A root with the lists of users alone."""
    if os.geteuid() != 0:
        missing("only root can make users and folders of others")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\n")
    return tmp_path


def test_user_and_folders_are_made(bare_root):
    need("systemd-sysusers", "systemd-tmpfiles")
    for tool, source, folder in (
            ("systemd-sysusers", "hopseal.sysusers", "sysusers.d"),
            ("systemd-tmpfiles", "hopseal.tmpfiles", "tmpfiles.d")):
        target = bare_root / "usr/lib" / folder
        target.mkdir(parents=True)
        shutil.copy(ROOT / "systemd" / source, target / "hopseal.conf")
        more = ["--create"] if "tmpfiles" in tool else []
        harness.run(tool, *more, f"--root={bare_root}", "hopseal.conf")
    passwd = (bare_root / "etc/passwd").read_text()
    uid, gid = map(int, re.search(r"^hopseal:x:(\d+):(\d+):.*nologin$",
                                  passwd, re.M).groups())
    for name, mode, owner in (("etc/hopseal", 0o755, 0),
                              ("etc/hopseal/keys", 0o750, 0),
                              ("etc/hopseal/secrets", 0o750, 0),
                              ("var/lib/hopseal", 0o700, uid)):
        stat = (bare_root / name).stat()
        assert (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid) == \
            (mode, owner, gid), name
