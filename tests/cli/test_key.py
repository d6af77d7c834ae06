"""hopseal key: a key is made, published, active, retired; what signs goes by it."""

import json
import os
import re
import stat
import subprocess
import time

import pytest

from test_cli import ROOT, hopseal

DAY = 86400


class Folder:
    """A folder of keys, and what the DNS has of them."""

    def __init__(self, path):
        self.path, self.records = path / "k", {}
        self.dns = path / "dns.json"
        self.dns.write_text("{}")

    def key(self, verb, *words, dns=True):
        more = ("--keys-file", self.dns) if dns and verb in ("status", "activate") else ()
        return hopseal("key", verb, "--keys", self.path, *more, *words)

    def new(self, domain, selector):
        done = self.key("new", domain, selector)
        assert done.returncode == 0, done.stderr
        return done

    def pem(self, domain, selector):
        return self.path / domain / f"{selector}.pem"

    def state(self, domain, selector):
        return (self.path / domain / f"{selector}.state").read_text().split()[0]

    def set_state(self, domain, selector, text):
        path = self.path / domain / f"{selector}.state"
        path.write_text(text)
        path.chmod(0o644)

    def publish(self, domain, selector, of=None):
        done = hopseal("dns-record", self.pem(*(of or (domain, selector))), domain, selector, "--json")
        self.records.update(json.loads(done.stdout))
        self.dns.write_text(json.dumps(self.records))

    def signs(self, address):
        done = hopseal("which-key", "--keys", self.path, address)
        return [line.split()[1] for line in done.stdout.decode().splitlines()]

    def status(self, *words):
        done = self.key("status", *words)
        return done.returncode, [re.sub(r" \d{4}-\d\d-\d\d;", ";", line)
                                 for line in done.stdout.decode().splitlines()]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_a_rotation(folder):
    for selector in ("s1", "s2"):
        done = folder.new("one.example", selector)
        assert b"._domainkey.one.example. IN TXT " in done.stdout
    assert folder.signs("a@one.example") == []
    assert folder.status() == (0, [
        f"one.example {s}: made; its record is not in the DNS" for s in ("s1", "s2")])
    folder.publish("one.example", "s1")
    assert folder.status("one.example", "s1") == (0, [
        "one.example s1: published; its record is in the DNS; it may be activated"])
    assert folder.key("activate", "one.example", "s1").returncode == 0
    assert folder.signs("a@one.example") == ["s1"]
    folder.publish("one.example", "s2")
    assert folder.key("activate", "one.example").returncode == 0
    assert folder.signs("a@one.example") == ["s1", "s2"]
    assert folder.key("retire", "one.example", "s1").returncode == 0
    assert folder.signs("a@one.example") == ["s2"]
    assert folder.status() == (0, [
        "one.example s1: retired; its record is in the DNS, and has to stay for 14 days more",
        "one.example s2: active; its record is in the DNS"])


def test_files_are_as_safe_as_they_have_to_be(folder):
    folder.new("one.example", "s1")
    assert stat.S_IMODE(folder.pem("one.example", "s1").stat().st_mode) == 0o600
    state = folder.path / "one.example/s1.state"
    assert stat.S_IMODE(state.stat().st_mode) == 0o644
    word, since = state.read_text().split()
    assert word == "made" and abs(int(since) - time.time()) < 3600
    assert sorted(p.name for p in state.parent.iterdir()) == ["s1.pem", "s1.state"]
    state.chmod(0o666)
    done = folder.key("status")
    assert done.returncode == 78 and b"s1.state: mode 0666" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder to another group")
def test_a_key_belongs_to_the_group_that_the_folder_was_given_to(folder):
    """As the package leaves /etc/hopseal/keys; the service reads by its group."""
    def looks(path):
        st = path.stat()
        return f"{stat.S_IMODE(st.st_mode):o}:{st.st_uid}:{st.st_gid}"

    folder.path.mkdir()
    os.chown(folder.path, 0, 901)
    folder.path.chmod(0o750)
    folder.new("one.example", "s1")
    one = folder.pem("one.example", "s1")
    assert (looks(one.parent), looks(one)) == ("750:0:901", "640:0:901")
    # a folder that all may enter was given to nobody, nor one of our own group
    for mode, gid in ((0o755, 901), (0o750, os.getegid())):
        os.chown(folder.path, 0, gid)
        folder.path.chmod(mode)
        domain = f"{mode:o}.example"
        folder.new(domain, "s1")
        pem = folder.pem(domain, "s1")
        assert (looks(pem.parent), looks(pem)) == \
            (f"700:0:{os.getegid()}", f"600:0:{os.getegid()}")


def test_new_never_touches_a_key_that_is_there(folder):
    assert hopseal("keygen", "--keys", folder.path, "one.example", "s1").returncode == 0
    was = folder.pem("one.example", "s1").read_bytes()
    done = folder.key("new", "one.example", "S1")
    assert done.returncode == 70 and b"there already" in done.stderr
    assert folder.pem("one.example", "s1").read_bytes() == was
    assert folder.signs("a@one.example") == ["s1"]     # and it is active as before


@pytest.mark.parametrize("answer, status", [
    (None, 70), ("other", 70), ("revoked", 70), ("twice", 70), ("TEMPERROR", 75)])
def test_nothing_is_activated_that_is_not_published(folder, answer, status):
    name = "s1._domainkey.one.example"
    folder.new("one.example", "s1")
    folder.new("one.example", "s2")
    if answer == "other":
        folder.publish("one.example", "s1", of=("one.example", "s2"))
    elif answer is not None:
        folder.publish("one.example", "s1")
        right = folder.records[name]
        folder.records[name] = {"revoked": [right[0].split("p=")[0] + "p="], "twice": right * 2,
                                "TEMPERROR": "TEMPERROR"}[answer]
        folder.dns.write_text(json.dumps(folder.records))
    for words in (("one.example", "s1"), ("one.example",), ("--all",)):
        done = folder.key("activate", *words)
        assert done.returncode in (status, 70) and b"s1: not activated: its record " in done.stderr
        assert folder.state("one.example", "s1") == "made"
    assert folder.key("activate", "one.example", "s1").returncode == status
    code, lines = folder.status("one.example", "s1")
    assert code == {None: 0, "TEMPERROR": 75}.get(answer, 1)
    assert ("ALARM" in lines[0]) == (code == 1)


def test_of_a_domain_only_what_was_made_is_activated(folder):
    for domain, selector in (("one.example", "s1"), ("one.example", "s2"), ("two.example", "s1")):
        folder.new(domain, selector)
        folder.publish(domain, selector)
    folder.set_state("one.example", "s1", "retired 1")
    assert folder.key("activate", "one.example").returncode == 0
    assert folder.signs("a@one.example") == ["s2"] and folder.signs("a@two.example") == []
    assert folder.key("activate", "--all").returncode == 0
    assert folder.signs("a@one.example") == ["s2"] and folder.signs("a@two.example") == ["s1"]
    for words in (["one.example"], ["--all"]):      # it is not silent about nothing
        assert folder.key("activate", *words).stdout.startswith(b"nothing to activate")
    assert folder.key("activate", "one.example", "s1").returncode == 0
    assert folder.signs("a@one.example") == ["s1", "s2"]


def test_the_last_key_is_retired_only_if_it_is_meant(folder):
    hopseal("keygen", "--keys", folder.path, "one.example", "s1")
    hopseal("keygen", "--keys", folder.path, "two.example", "s1")
    folder.new("one.example", "s2")         # made: signs no more than one that is not there
    done = folder.key("retire", "one.example", "s1")
    assert done.returncode == 70 and b"no other active key" in done.stderr
    assert folder.signs("a@one.example") == ["s1"]
    assert folder.key("retire", "--last", "one.example", "s1").returncode == 0
    assert folder.signs("a@one.example") == []
    assert folder.key("retire", "one.example", "s1").stdout == b"one.example s1: is retired\n"


@pytest.mark.parametrize("ago, is_there, code, words", [
    (60, True, 0, "its record is in the DNS, and has to stay for 14 days more"),
    (60, False, 1, "its record is not in the DNS, and has to stay for 14 days more"),
    (DAY + 60, True, 0, "its record is in the DNS, and has to stay for 13 days more"),
    (14 * DAY - 3600, True, 0, "its record is in the DNS, and has to stay for 1 day more"),
    (14 * DAY - 3600, False, 1, "its record is not in the DNS, and has to stay for 1 day more"),
    (14 * DAY + 60, True, 0, "its record is in the DNS; it may go, and the key with it"),
    (14 * DAY + 60, False, 0, "its record is not in the DNS, as it may be"),
])
def test_status_counts_down(folder, ago, is_there, code, words):
    folder.new("one.example", "s1")
    folder.set_state("one.example", "s1", f"retired {int(time.time()) - ago}\n")
    if is_there:
        folder.publish("one.example", "s1")
    alarm = "ALARM: " if code else ""
    assert folder.status() == (code, [f"one.example s1: {alarm}retired; {words}"])


def test_a_key_in_use_that_is_not_published_is_an_alarm(folder):
    hopseal("keygen", "--keys", folder.path, "one.example", "s1")
    hopseal("keygen", "--keys", folder.path, "two.example", "s1")
    folder.publish("two.example", "s1")
    assert folder.status() == (1, [
        "one.example s1: ALARM: active; its record is not in the DNS",
        "two.example s1: active; its record is in the DNS"])


# ---- import ---------------------------------------------------------------------


@pytest.fixture
def foreign(tmp_path):
    """Keys as other programs have them: OpenSSL's, in both forms."""
    (tmp_path / "other").mkdir()
    for name, more in (("rsa", ("-traditional",)), ("rsa2", ()), ("ed", None)):
        path = tmp_path / "other" / f"{name}.key"
        words = ("genpkey", "-algorithm", "ed25519", "-out", path) if more is None else (
            "genrsa", *more, "-out", path, "2048")
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
    return tmp_path / "other"


def public(path):
    return hopseal("dns-record", path, "x.example", "x").stdout


def write(path, text):
    path.write_text(text)
    return path


def test_keys_of_opendkim(folder, foreign):
    table = write(foreign / "KeyTable", f"a one.example:s1:{foreign}/rsa.key\n"
                  f"b %:s2:{foreign}/ed.key\nc three.example:s3:{foreign}/none.key\n")
    signing = write(foreign / "SigningTable", "*@one.example a\n*@one.example b\n"
                    "*@two.example b\nfour.example a\n")
    done = folder.key("import", "--opendkim", table, signing)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"3 keys imported, 0 there already; 1 line has no use\n")
    assert b"SigningTable:4:1: mail of `four.example` was signed as one.example" in done.stderr
    for domain, selector, name in (("one.example", "s1", "rsa"), ("one.example", "s2", "ed"),
                                   ("two.example", "s2", "ed")):
        pem = folder.pem(domain, selector)
        assert public(pem) == public(foreign / f"{name}.key") and folder.state(domain, selector) == "made"
        assert stat.S_IMODE(pem.stat().st_mode) == 0o600
        folder.publish(domain, selector)
    assert folder.key("activate", "--all").returncode == 0
    assert folder.signs("a@one.example") == ["s1", "s2"]
    done = folder.key("import", "--opendkim", table, signing)       # once more: nothing
    assert done.stdout == b"0 keys imported, 3 there already; 1 line has no use\n"
    assert folder.signs("a@one.example") == ["s1", "s2"]


def test_keys_of_rspamd(folder, foreign):
    (foreign / "ed.key").rename(foreign / "one.example.s1.key")
    selectors = write(foreign / "selectors.map", "one.example s1\ntwo.example s2\n")
    paths = write(foreign / "paths.map", f"two.example {foreign}/rsa2.key\n")
    done = folder.key("import", "--rspamd", "--path", f"{foreign}/$domain.$selector.key", selectors,
                      paths)
    assert done.returncode == 0, done.stderr
    assert public(folder.pem("one.example", "s1")) == public(foreign / "one.example.s1.key")
    assert public(folder.pem("two.example", "s2")) == public(foreign / "rsa2.key")


@pytest.mark.parametrize("fault, status, words", [
    ("missing", 66, "gone.key"), ("no key", 70, "ed.key"), ("other key", 70, "never written over"),
    ("table", 78, "KeyTable:1:3: "), ("no table", 66, "KeyTable"),
    ("empty", 70, "no key is in use")])
def test_all_keys_are_imported_or_none(folder, foreign, fault, status, words):
    table = write(foreign / "KeyTable", f"a one.example:s1:{foreign}/rsa.key\n"
                  f"b two.example:s2:{foreign}/{'gone' if fault == 'missing' else 'ed'}.key\n")
    signing = write(foreign / "SigningTable", "one.example a\ntwo.example b\n")
    if fault == "no key":
        (foreign / "ed.key").write_text("-----BEGIN PRIVATE KEY-----\n")
    elif fault == "other key":
        hopseal("keygen", "--keys", folder.path, "two.example", "s2")
    elif fault == "table":
        table.write_text(table.read_text().replace("s1", "s/1"))
    elif fault == "no table":
        table.unlink()
    elif fault == "empty":
        signing.write_text("# none\n")
    done = folder.key("import", "--opendkim", table, signing)
    assert done.returncode == status and words in done.stderr.decode(), done.stderr
    assert not (folder.path / "one.example").exists()


@pytest.mark.parametrize("words, status", [
    ((), 64), (("turn",), 64), (("new",), 64), (("new", "one.example"), 64),
    (("new", "a b", "s"), 64), (("new", "--type", "dsa", "one.example", "s"), 64),
    (("activate",), 64), (("activate", "--all", "one.example"), 64), (("retire", "one.example"), 64),
    (("status", "a", "b", "c"), 64), (("status", "none.example"), 70),
    (("activate", "none.example", "s"), 70), (("retire", "none.example", "s"), 70),
    (("import",), 64), (("import", "--opendkim", "a"), 64), (("import", "--rspamd"), 64),
    (("import", "--opendkim", "--rspamd", "a", "b"), 64), (("import", "a", "b"), 64),
    (("import", "--opendkim", "--path", "/x", "a", "b"), 64), (("import", "--rspamd", "/none"), 66),
    (("retire", "--resolver", "x", "one.example", "s"), 64),
])
def test_usage(folder, words, status):
    folder.path.mkdir(mode=0o700)
    done = hopseal("key", *words[:1], *(("--keys", folder.path) if len(words) else ()), *words[1:])
    assert done.returncode == status and done.stderr


def test_without_a_folder(tmp_path):
    (tmp_path / "h.yaml").write_text(
        "hostname: x.example\nlisteners:\n  in: {role: inbound, listen: [2525], "
        'domains: [a.example], next-hop: "smtp://192.0.2.1"}\n')
    for words, status in ((("-c", tmp_path / "h.yaml"), 78), (("--keys", tmp_path / "k"), 66),
                          (("-c", tmp_path / "none.yaml"), 66)):
        assert hopseal("key", "status", *words).returncode == status


@pytest.mark.parametrize("verb", ["key", "check"])
def test_help(verb):
    done = hopseal("help", verb)
    text = done.stdout.decode()
    assert done.returncode == 0 and text.startswith(f"hopseal {verb} ")
    assert max(map(len, text.splitlines())) <= 80
    source = (ROOT / "cli" / {"key": "key.c", "check": "checkconf.c"}[verb]).read_text()
    options = set(re.findall(r'\{"([a-z-]{2,})", (?:true|false)\}', source)) | {"keys-file", "resolver"}
    assert options == set(re.findall(r"--([a-z][a-z-]*)", text))
