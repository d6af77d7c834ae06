"""hopseal check: all that hopseald -t looks at, and what the DNS has of keys."""

import json
import os
import re
import shutil
import sys
import time

import pytest

from test_cli import HOPSEAL, ROOT, hopseal, keys  # noqa: F401

sys.path.insert(0, str(ROOT / "tests/e2e"))
NAMES = {"one.example/ed": "ed._domainkey.one.example",
         "one.example/rsa": "rsa._domainkey.one.example",
         "two.example/ed": "ed._domainkey.two.example"}


@pytest.fixture
def site(keys, tmp_path):
    shutil.copytree(keys / "k", tmp_path / "k")
    (tmp_path / "h.yaml").write_text(
        "hostname: out.one.example\nkeys: k\nlisteners:\n"
        '  out: {role: egress, listen: ["127.0.0.1:10026"], clients: [127.0.0.1],\n'
        '        next-hop: "smtp://127.0.0.1:10099", senders: [one.example]}\n')
    return tmp_path


@pytest.fixture
def records(keys):
    return json.loads((keys / "dns.json").read_text())


def check(site, *more, dns=None):
    if dns is not None:
        (site / "dns.json").write_text(json.dumps(dns))
        more += ("--dns", "--keys-file", site / "dns.json")
    return hopseal("check", "-c", site / "h.yaml", *more)


def told(done):
    """Which keys are told of, and what."""
    return re.findall(r"^hopseal: \S+/k/(\S+)\.pem \((\w+)\): its record (.*)$",
                      done.stderr.decode(), re.M)


def test_it_says_what_the_daemon_says(site):
    done = check(site)
    assert done.returncode == 0 and done.stdout.endswith(b"configuration is good\n")
    text = (site / "h.yaml").read_text().replace(", senders: [one.example]", "")
    (site / "h.yaml").write_text(text)
    done = check(site)
    assert done.returncode == 0
    assert b"h.yaml:4:3: warning: out: no `senders`: its clients may send as each of the 2 " \
        in done.stderr


def test_a_state_that_can_not_be_is_told(site):
    """One that is missing may be there at the start; a file will not be it."""
    text = (site / "h.yaml").read_text()
    (site / "h.yaml").write_text("state: nowhere\n" + text)
    done = check(site)
    assert done.returncode == 0
    assert f"warning: state: {site}/nowhere: No such file".encode() in done.stderr
    (site / "nowhere").write_text("")
    done = check(site)
    assert done.returncode == 78 and b"nowhere is no folder" in done.stderr


def test_warnings_come_where_nothing_is_wrong(site):
    """Half a configuration is warned of nothing: its role may be none."""
    text = (site / "h.yaml").read_text()
    (site / "h.yaml").write_text(text.replace("role: egress", "role: egres"))
    done = check(site)
    assert done.returncode == 78 and b"did you mean `egress`" in done.stderr
    assert b"h.yaml:4:3: warning" not in done.stderr


def test_P3_every_mistake_comes_in_one_run(site):
    text = (site / "h.yaml").read_text()
    (site / "h.yaml").write_text(text.replace("clients", "client") + "worker: 2\n")
    (site / "k/two.example/ed.pem").chmod(0o604)
    (site / "k/one.example/rsa.pem").write_text("no key")
    done = check(site)
    assert done.returncode == 78 and not done.stdout
    said = done.stderr.decode()
    for wanted in (r"h.yaml:4:\d+: .*`client` .*`clients`\?", r"h.yaml:4:3: out: `clients` is needed",
                   r"h.yaml:6:1: `worker` is no directive; did you mean `workers`\?",
                   r"two.example/ed.pem: mode 0604 "):
        assert re.search(wanted, said), (wanted, said)
    (site / "h.yaml").write_text(text)
    (site / "k/two.example/ed.pem").chmod(0o600)
    done = check(site, dns={})
    assert done.returncode == 78 and b"one.example/rsa.pem: " in done.stderr
    assert b"its record" not in done.stderr


def test_keys_as_published(site, records):
    done = check(site, dns=records)
    assert done.returncode == 0 and not told(done), done.stderr
    assert done.stdout.endswith(b"of 3 keys, 3 are published right\n")


@pytest.mark.parametrize("change, words", [
    (lambda r: None, "is not in the DNS"),
    (lambda r: [], "is not in the DNS"),
    (lambda r: "TEMPERROR", "is not known: the DNS gave no answer"),
    (lambda r: [r[0].split("p=")[0] + "p="], "in the DNS is revoked (p= is empty)"),
    (lambda r: ["v=spf1 -all"], "in the DNS is no key record"),
    (lambda r: [r[0] + "!"], "in the DNS is no key record"),
    (lambda r: [r[0].replace("ed25519", "rsa")], "in the DNS is that of another key"),
    (lambda r: ["v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="],
     "in the DNS is that of another key"),
    (lambda r: [r[0], r[0]], "in the DNS is one of several, and verifiers take none"),
])
def test_what_the_DNS_has_is_compared(site, records, change, words):
    name = NAMES["two.example/ed"]
    changed = change(records.pop(name))
    if changed is not None:
        records[name] = changed
    done = check(site, dns=records)
    assert told(done) == [("two.example/ed", "active", words)], done.stderr
    assert done.returncode == (75 if "no answer" in words else 78)
    assert done.stdout.endswith(b"of 3 keys, 2 are published right\n")


def test_the_form_of_a_record_does_not_matter(site, records):
    """What counts is that the key in it checks what ours signs."""
    for name in (NAMES["two.example/ed"], NAMES["one.example/rsa"]):
        head, key = records[name][0].split("p=")
        kind = "" if "rsa" in head else " k = ed25519;"
        records[name] = [f"p= {key[:20]} {key[20:]} ;{kind} t=y; n=x"]
    done = check(site, dns=records)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("state, ago, record, is_told", [
    ("made", 0, None, False), ("made", 0, "right", False), ("made", 0, "other", True),
    ("active", 0, None, True),
    ("retired", 14 * 86400 - 60, None, True), ("retired", 14 * 86400 - 60, "right", False),
    ("retired", 14 * 86400 + 60, None, False),
])
def test_what_the_DNS_should_have_goes_by_the_state(site, records, state, ago, record, is_told):
    name = NAMES["two.example/ed"]
    (site / "k/two.example/ed.state").write_text(f"{state} {int(time.time()) - ago}\n")
    (site / "k/two.example/ed.state").chmod(0o644)
    if record is None:
        del records[name]
    elif record == "other":
        records[name] = records[NAMES["one.example/ed"]]
    done = check(site, dns=records)
    assert [t[:2] for t in told(done)] == ([("two.example/ed", state)] if is_told else [])
    assert done.returncode == (78 if is_told else 0)


def test_the_resolver_of_the_configuration_is_asked(site, records):
    import nameserver
    server = nameserver.Nameserver(records)
    with (site / "h.yaml").open("a") as f:
        f.write(f'resolver: ["127.0.0.1:{server.port}"]\n')
    done = check(site, "--dns")
    assert done.returncode == 0, done.stderr
    assert sorted(set(server.questions)) == sorted(records)
    other = nameserver.Nameserver({})
    done = check(site, "--dns", "--resolver", f"127.0.0.1:{other.port}")
    assert done.returncode == 78 and len(told(done)) == 3


def test_the_keys_file_of_the_configuration_is_asked(site, records):
    (site / "dns.json").write_text(json.dumps(records))
    with (site / "h.yaml").open("a") as f:
        f.write("keys-file: dns.json\n")
    assert check(site, "--dns").returncode == 0
    assert check(site, dns={}).returncode == 78


@pytest.mark.parametrize("more", [
    ("word",), ("--keys-file", "x"), ("--resolver", "127.0.0.1:53"), ("--nonsense",),
    ("--dns", "--keys-file", "x", "--resolver", "127.0.0.1:53"),
])
def test_usage(site, more):
    done = check(site, *more)
    assert done.returncode == 64 and done.stderr


def test_without_its_daemon_it_says_so(site):
    shutil.copy(HOPSEAL, site / "hopseal")
    import subprocess
    done = subprocess.run([site / "hopseal", "check", "-c", site / "h.yaml"], capture_output=True,
                          timeout=60, env=os.environ)
    assert done.returncode == 70 and b"no hopseald in " in done.stderr
