"""which-key, and the help of every verb."""

import re
import shutil
from pathlib import Path

import pytest

from test_cli import ROOT, hopseal, keys  # noqa: F401

VERBS = ["verify", "explain", "history", "dsn-verify", "sign", "recipe", "keygen", "dns-record",
         "which-key"]


def lines(done):
    return done.stdout.decode().splitlines()


# ---- a folder -------------------------------------------------------------------


def test_the_longest_domain_that_covers_it_signs(tmp_path):
    folder = tmp_path / "k"
    for domain, selector, kind in (("one.example", "b", "rsa2048"), ("one.example", "a", "ed25519"),
                                   ("mail.one.example", "m", "ed25519")):
        hopseal("keygen", "--keys", folder, "--type", kind, domain, selector)
    for address, wanted in (
            ("ann@one.example", [f"one.example a ed25519-sha256 {folder}/one.example/a.pem",
                                 f"one.example b rsa-sha256 {folder}/one.example/b.pem"]),
            ("<ann@Other.ONE.example>", [f"one.example {s} {a} {folder}/one.example/{s}.pem"
                                         for s, a in (("a", "ed25519-sha256"),
                                                      ("b", "rsa-sha256"))]),
            ("ann@x.mail.one.example",
             [f"mail.one.example m ed25519-sha256 {folder}/mail.one.example/m.pem"])):
        done = hopseal("which-key", address, "--keys", folder)
        assert done.returncode == 0 and not done.stderr and lines(done) == wanted
    for address in ("ann@example", "ann@none.example", "ann@xone.example"):
        done = hopseal("which-key", "--keys", folder, address)
        assert done.returncode == 1 and not done.stdout and b"no key" in done.stderr


@pytest.mark.parametrize("words, status", [
    ((), 64), (("a@b.example", "c@d.example"), 64), (("--keys", "x", "-c", "y", "a@b.example"), 64),
    (("--keys",), 64), (("-c",), 64), (("-k", "x", "a@b.example"), 64), (("nobody",), 64),
    (("<>",), 64), (("a@b..example",), 64), (("--keys", "/nonexistent", "a@b.example"), 66),
    (("-c", "/nonexistent", "a@b.example"), 66),
])
def test_exit_codes_of_which_key(words, status):
    done = hopseal("which-key", *words)
    assert done.returncode == status and done.stderr and not done.stdout


def test_keys_that_others_can_read_are_no_answer(keys, tmp_path):
    shutil.copytree(keys / "k", tmp_path / "k")
    (tmp_path / "k/one.example/ed.pem").chmod(0o644)
    done = hopseal("which-key", "ann@one.example", "--keys", tmp_path / "k")
    assert done.returncode == 78 and b"ed.pem" in done.stderr and not done.stdout


# ---- a configuration --------------------------------------------------------------


def configure(tmp_path, keys, egress):
    path = tmp_path / "hopseal.yaml"
    path.write_text(f"""
hostname: out.one.example
keys: {keys}/k
listeners:
  in: {{role: inbound, listen: ["127.0.0.1:10025"], domains: [one.example],
        next-hop: "smtp://127.0.0.1:10099"}}
  out: {{role: egress, listen: ["127.0.0.1:10026"], clients: [127.0.0.1],
         next-hop: "smtp://127.0.0.1:10099", {egress}}}
  fwd: {{role: forward, listen: ["127.0.0.1:10027"], domains: [two.example],
         mail-from: keep, next-hop: "smtp://127.0.0.1:10099", aliases: {{a@two.example: b@c.example}}}}
""")
    return path


def test_each_listener_says_what_it_does(keys, tmp_path):
    path = configure(tmp_path, keys, "senders: [one.example, three.example]")
    done = hopseal("which-key", "-c", path, "ann@mail.one.example")
    assert done.returncode == 0, done.stderr
    assert lines(done) == [
        "in (inbound): does not sign", "out (egress): signs as d=one.example",
        f"  one.example ed ed25519-sha256 {keys}/k/one.example/ed.pem",
        f"  one.example rsa rsa-sha256 {keys}/k/one.example/rsa.pem",
        "fwd (forward): signs as the domain that a message was sent to, whoever sent it"]
    for address, says in (("a@two.example", "refuses this sender (550 5.7.1)"),
                          ("a@three.example", "no key covers it: passed on unsigned")):
        done = hopseal("which-key", "-c", path, address)
        assert done.returncode == 1 and f"out (egress): {says}" in lines(done)


def test_unsignable_and_senders_of_all_keys(keys, tmp_path):
    path = configure(tmp_path, keys, "unsignable: refuse, senders: [three.example]")
    done = hopseal("which-key", "-c", path, "a@three.example")
    assert "out (egress): no key covers it: refused (550 5.7.1)" in lines(done)
    path = configure(tmp_path, keys, "verify: off")
    assert hopseal("which-key", "-c", path, "a@two.example").returncode == 0
    done = hopseal("which-key", "-c", path, "a@three.example")
    assert "out (egress): refuses this sender (550 5.7.1)" in lines(done)


def test_a_mistake_in_the_configuration_is_told(tmp_path, keys):
    path = configure(tmp_path, keys, "colour: blue")
    done = hopseal("which-key", "-c", path, "a@one.example")
    assert done.returncode == 78 and b"colour" in done.stderr and not done.stdout


# ---- help --------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help(verb):
    done = hopseal("help", verb)
    assert done.returncode == 0 and not done.stderr
    text = done.stdout.decode()
    assert text.startswith(f"hopseal {verb} ") and max(map(len, text.splitlines())) <= 80
    assert hopseal(verb, "--help").stdout == done.stdout
    assert verb in hopseal("help").stdout.decode()


@pytest.mark.parametrize("verb", VERBS)
def test_help_names_the_options_there_are(verb):
    """What the table of the verb in its source has, and nothing else."""
    source = (ROOT / "cli" / (verb.replace("-", "_") + ".c"))
    if not source.exists():
        source = Path(ROOT / "cli" / {"dsn-verify": "dsnverify.c", "dns-record": "keygen.c"}[verb])
    shared = ["mail-from", "rcpt-to", "dns", "resolver", "time"]
    rows = re.findall(r'^\t\{"([a-z0-9-]+)", (?:true|false)\}', source.read_text(), re.M)
    if verb == "dns-record":
        rows = ["json"]
    elif verb in ("verify", "explain", "dsn-verify"):
        rows += shared
    elif verb == "keygen":
        rows = ["type", "keys"]
    text = hopseal("help", verb).stdout.decode()
    for row in rows:
        assert re.search(rf"(?<![a-z-])-{'' if len(row) == 1 else '-'}{row}(?![a-z-])", text), row
    for name in set(re.findall(r"(?<![a-z0-9-])--([a-z][a-z0-9-]*)", text)):
        assert name in rows or name in ("proof-dns", "name"), name


def test_help_for_nothing_known():
    for words in (("help", "nonsense"), ("help", "a", "b"), ("nonsense", "--help")):
        done = hopseal(*words)
        assert done.returncode == 64 and not done.stdout
