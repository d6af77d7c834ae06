"""The hopseal command as a user calls it: answers, exit codes, files."""

import json
import os
import re
import socket
import stat
import struct
import subprocess
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOPSEAL = ROOT / os.environ.get("B", "build") / "hopseal"
Q1 = ROOT / "tests/vectors/worked/q1.eml"
Q2 = ROOT / "tests/vectors/worked/q2.eml"
T = 1795341600
MAIL = (b"From: Ann <ann@one.example>\r\nTo: bob@two.example\r\n"
        b"Subject: hello\r\n\r\none\r\ntwo\r\n")
WORKED = {
    "ed1._domainkey.example.org":
        ["v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="],
    "l1._domainkey.lists.example":
        ["v=DKIM1; k=ed25519; p=PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="],
}


def hopseal(*words, stdin=b"", **env):
    return subprocess.run([str(HOPSEAL), *map(str, words)], input=stdin,
                          capture_output=True, timeout=60, env={**os.environ, **env})


def verdict(done):
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A folder of keys for one.example and two.example, and a keys-file."""
    folder = tmp_path_factory.mktemp("keys")
    records = {}
    for domain, selector, kind in (("one.example", "ed", "ed25519"),
                                   ("one.example", "rsa", "rsa2048"),
                                   ("two.example", "ed", "ed25519")):
        assert hopseal("keygen", "--keys", folder / "k", "--type", kind,
                       domain, selector).returncode == 0
        done = hopseal("dns-record", folder / "k" / domain / f"{selector}.pem", "--json")
        records.update(json.loads(done.stdout))
    (folder / "dns.json").write_text(json.dumps(records))
    return folder


@pytest.fixture
def worked_dns(tmp_path):
    path = tmp_path / "worked.json"
    path.write_text(json.dumps(WORKED))
    return path


def sign(keys, octets, *more, domain="one.example", selector="ed", sender="ann@one.example",
         rcpts=("bob@two.example",), time=T):
    words = ["sign", "--domain", domain, "--selector", selector,
             "--key", keys / "k" / domain / f"{selector}.pem", "--timestamp", time]
    if sender is not None:
        words += ["--mail-from", sender]
    for rcpt in rcpts:
        words += ["--rcpt-to", rcpt]
    return hopseal(*words, *more, stdin=octets)


def verify(keys, octets, *more, sender="ann@one.example", rcpt="bob@two.example", verb="verify",
           time=T + 60):
    return hopseal(verb, "--mail-from", sender, "--rcpt-to", rcpt, "--dns", keys / "dns.json",
                   "--time", time, *more, stdin=octets)


# ---- the frame ---------------------------------------------------------------


@pytest.mark.parametrize("words, status", [
    ((), 64), (("nonsense",), 64), (("help",), 0), (("--help",), 0), (("--version",), 0),
    (("status",), 66), (("queue", "list"), 66), (("verify", "--nonsense", "x"), 64), (("verify", "--time"), 64),
    (("verify", "--time", "soon"), 64), (("verify", "--mail-from", "a@b.example"), 64),
    (("verify", "--rcpt-to", "a@b.example"), 64), (("verify", "a", "b"), 64),
    (("verify", "/nonexistent/x"), 66), (("verify", "--dns", "/nonexistent/x"), 66),
    (("sign",), 64), (("dns-record",), 64), (("dns-record", "/nonexistent/x"), 66),
    (("keygen", "one.example"), 64), (("keygen", "--type", "dsa", "one.example", "s"), 64),
    (("keygen", "../one", "s"), 64), (("keygen", "one.example", "../s"), 64),
    (("keygen", "one.example", "."), 64), (("keygen", "", "s"), 64),
])
def test_exit_codes_of_the_frame(words, status):
    done = hopseal(*words)
    assert done.returncode == status, done.stderr
    assert (done.stderr if status else done.stdout)


def test_an_answer_that_cannot_be_written_is_no_success():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([str(HOPSEAL), "help"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 70


# ---- keys --------------------------------------------------------------------


def test_keygen_writes_once_and_for_us_alone(tmp_path):
    os.umask(0)
    try:
        done = hopseal("keygen", "--keys", tmp_path / "k", "Example.ORG", "S1")
    finally:
        os.umask(0o022)
    assert done.returncode == 0
    path = tmp_path / "k/example.org/s1.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700
    assert re.fullmatch(rb's1\._domainkey\.example\.org\. IN TXT '
                        rb'"v=DKIM1; k=ed25519; p=[A-Za-z0-9+/]{43}="\n', done.stdout)
    before = path.read_bytes()
    again = hopseal("keygen", "--keys", tmp_path / "k", "example.org", "s1")
    assert again.returncode == 70 and not again.stdout
    assert path.read_bytes() == before


def test_keygen_does_not_follow_a_link(tmp_path):
    (tmp_path / "k/example.org").mkdir(parents=True)
    (tmp_path / "k/example.org/s1.pem").symlink_to(tmp_path / "elsewhere")
    assert hopseal("keygen", "--keys", tmp_path / "k", "example.org", "s1").returncode == 70
    assert not (tmp_path / "elsewhere").exists()


def test_records_are_cut_into_strings_and_agree_with_openssl(keys):
    path = keys / "k/one.example/rsa.pem"
    line = hopseal("dns-record", path).stdout.decode()
    strings = re.findall(r'"([^"]*)"', line)
    assert line.startswith("rsa._domainkey.one.example. IN TXT ( ")
    assert len(strings) == 2 and len(strings[0]) == 255
    record = hopseal("dns-record", path, "--json").stdout
    assert json.loads(record) == {"rsa._domainkey.one.example": ["".join(strings)]}
    pem = subprocess.run(["openssl", "pkey", "-in", path, "-pubout"], capture_output=True,
                         text=True, check=True).stdout
    assert "".join(strings) == "v=DKIM1; k=rsa; p=" + "".join(pem.splitlines()[1:-1])
    named = hopseal("dns-record", path, "x.example", "s").stdout.decode()
    assert named.startswith("s._domainkey.x.example. IN TXT ")


def test_a_short_rsa_key_is_refused(tmp_path):
    path = tmp_path / "short.pem"
    subprocess.run(["openssl", "genrsa", "-out", path, "1024"], check=True, capture_output=True)
    done = hopseal("dns-record", path)
    assert done.returncode == 70 and b"2048" in done.stderr


# ---- sign and verify ---------------------------------------------------------


def test_what_we_sign_we_verify(keys):
    signed = sign(keys, MAIL)
    assert signed.returncode == 0, signed.stderr
    assert signed.stdout.endswith(MAIL) and not signed.stderr
    done = verify(keys, signed.stdout)
    said = verdict(done)
    assert done.returncode == 0
    assert said["result"] == "pass" and said["error"] is None
    assert said["fully_verified"] and said["provisionally_verified"]
    assert said["provisional_result"] == "pass" and said["provisional_error"] is None
    assert said["instances"] == [1] and said["envelope"] == "checked"
    link = said["signatures"][0]
    assert link["mf"] == "<ann@one.example>" and link["rt"] == ["<bob@two.example>"]
    assert (link["i"], link["m"], link["t"], link["d"]) == (1, 1, T, "one.example")
    assert link["nd"] is None and link["n"] is None and link["f"] == []
    assert [(s["selector"], s["algorithm"], s["group"]) for s in link["s"]] == \
        [("ed", "ed25519-sha256", 0)]


def test_brackets_and_equals_signs_make_no_difference(keys):
    key = keys / "k/one.example/ed.pem"
    plain = sign(keys, MAIL)
    other = hopseal("sign", "--domain=one.example", "--selector=ed", f"--key={key}",
                    f"--timestamp={T}", "--mail-from=<ann@one.example>",
                    "--rcpt-to=<bob@two.example>", stdin=MAIL)
    assert other.stdout == plain.stdout


def test_a_message_may_come_from_a_file(keys, tmp_path):
    path = tmp_path / "m.eml"
    path.write_bytes(sign(keys, MAIL).stdout)
    assert verify(keys, b"", path).returncode == 0
    assert verify(keys, path.read_bytes(), "-").returncode == 0


def test_without_an_envelope_that_part_is_not_checked(keys):
    octets = sign(keys, MAIL).stdout
    done = hopseal("verify", "--dns", keys / "dns.json", "--time", T, stdin=octets)
    said = verdict(done)
    assert done.returncode == 0 and said["envelope"] == "unchecked"
    assert not said["fully_verified"]


@pytest.mark.parametrize("change, how, status, text", [
    (lambda m: m.replace(b"hello", b"hallo"), {}, 1, "header hash sha256 mismatch"),
    (lambda m: m.replace(b"two\r\n", b"three\r\n"), {}, 1, "body hash sha256 mismatch"),
    (lambda m: m, {"rcpt": "zed@two.example"}, 1, "RCPT TO <zed@two.example> did not match"),
    (lambda m: m, {"sender": "x@one.example"}, 1, "MAIL FROM <x@one.example> did not match"),
    (lambda m: m, {"time": T + 15 * 86400}, 1, "signature expired"),
    (lambda m: m, {"time": T - 2 * 86400}, 1, "signature is from the future"),
    (lambda m: m.replace(b"i=1;", b"i=2;", 1), {}, 2, "DKIM2-Signature i=1 missing"),
    (lambda m: m[m.index(b"From:"):], {}, 4, "No DKIM2 header fields found"),
    (lambda m: b"no header at all\r\n\r\n" + m, {}, 2, "could not be parsed"),
])
def test_single_faults(keys, change, how, status, text):
    octets = change(sign(keys, MAIL).stdout)
    done = verify(keys, octets, **how)
    said = verdict(done)
    assert done.returncode == status, said
    assert said["result"] == ["pass", "fail", "permerror", "temperror", "none"][status]
    assert text in said["error"]
    assert verify(keys, octets, verb="explain", **how).returncode == status


@pytest.mark.parametrize("records, status, text", [
    ("TEMPERROR", 3, "public key ed could not be fetched"),
    ([], 2, "public key ed does not exist"),
    (["v=DKIM1; k=ed25519; p="], 2, "public key ed has been revoked"),
])
def test_keys_that_are_not_there(keys, tmp_path, records, status, text):
    dns = tmp_path / "dns.json"
    dns.write_text(json.dumps({"ed._domainkey.one.example": records}))
    done = hopseal("verify", "--dns", dns, "--time", T, stdin=sign(keys, MAIL).stdout)
    assert done.returncode == status and text in verdict(done)["error"]


def test_two_keys_in_one_group_or_two(keys):
    for join, groups in (("and", [0, 0]), ("or", [0, 1])):
        done = sign(keys, MAIL, "--key2", keys / "k/one.example/rsa.pem", "--selector2", "rsa",
                    "--join", join)
        said = verdict(verify(keys, done.stdout))
        assert said["result"] == "pass"
        assert [s["group"] for s in said["signatures"][0]["s"]] == groups


def test_a_chain_of_two(keys):
    once = sign(keys, MAIL).stdout
    twice = sign(keys, once, "--nonce", "n-1", "--flags", "feedback", domain="two.example",
                 sender="fwd@two.example", rcpts=("c@three.example", "d@three.example"),
                 time=T + 5)
    assert twice.returncode == 0, twice.stderr
    assert twice.stdout.endswith(once)
    assert b"Message-Instance" not in twice.stdout[:-len(once)]
    done = verify(keys, twice.stdout, sender="fwd@two.example", rcpt="d@three.example")
    said = verdict(done)
    assert said["result"] == "pass" and said["instances"] == [1]
    assert said["signatures"][1]["f"] == ["feedback", "exploded"]
    assert said["signatures"][1]["n"] == "n-1"


def test_the_null_path_and_next_domain(keys):
    null = sign(keys, MAIL, sender="<>")
    assert verify(keys, null.stdout, sender="<>").returncode == 0
    once = sign(keys, MAIL).stdout
    nd = sign(keys, once, "--next-domain", "three.example", domain="two.example", sender=None,
              rcpts=())
    assert nd.returncode == 0, nd.stderr
    done = verify(keys, nd.stdout)
    assert done.returncode == 1 and "unexpected nd=" in verdict(done)["error"]


@pytest.mark.parametrize("octets, how, status, text", [
    (MAIL, {"sender": "ann@two.example"}, 70, "MAIL FROM"),
    (MAIL.replace(b"one.example", b"two.example"), {}, 70, "From domain"),
    (MAIL.replace(b"From", b"Form"), {}, 70, "one From field"),
    (b"From: ann@one.example\r\n" + MAIL, {}, 70, "one From field"),
    (b"not a header\r\n" + MAIL, {}, 70, "does not parse"),
    (b"DKIM2-Signature: i=1\r\n" + MAIL, {}, 70, "no chain"),
    (MAIL, {"domain": "two.example", "sender": "b@two.example"}, 70, "From domain"),
    (MAIL, {"sender": None}, 64, "--mail-from"),
    (MAIL, {"rcpts": ()}, 64, "--rcpt-to"),
    (MAIL, {"rcpts": ("bob@" + 64 * "a" + "\u00f6.example",)}, 70, "cannot be written"),
    (MAIL, {"time": "now"}, 64, "--timestamp"),
])
def test_what_is_not_signed(keys, octets, how, status, text):
    done = sign(keys, octets, **how)
    assert done.returncode == status and not done.stdout
    assert text in done.stderr.decode()


@pytest.mark.parametrize("more, status, text", [
    (("--exploded",), 70, "exploded"),
    (("--flags", "donotmodify"), 64, "--flags"),
    (("--hash", "md5"), 64, "--hash"),
    (("--hash", ""), 64, "--hash"),
    (("--nonce", "a;b"), 70, "cannot be written"),
    (("--join", "xor"), 64, "--join"),
    (("--key2", "/nonexistent"), 64, "--selector2"),
    (("--key2", "/nonexistent", "--selector2", "x"), 66, "/nonexistent"),
    (("--next-domain", "two.example"), 64, "--next-domain"),
    (("--original", "/nonexistent"), 66, "/nonexistent"),
    (("--original", "/dev/null", "--recipe", "/dev/null"), 64, "not both"),
])
def test_options_of_sign_that_are_refused(keys, more, status, text):
    done = sign(keys, MAIL, *more)
    assert done.returncode == status and not done.stdout
    assert text in done.stderr.decode()


def test_changed_content_is_not_extended(keys):
    changed = sign(keys, MAIL).stdout.replace(b"hello", b"hallo")
    done = sign(keys, changed, domain="two.example", sender="b@two.example")
    assert done.returncode == 70 and b"content" in done.stderr


def test_proof_dns_refuses_what_was_not_fully_verified(keys, tmp_path):
    once = sign(keys, MAIL).stdout
    hop = {"domain": "two.example", "sender": "b@two.example", "time": T + 9}
    good = sign(keys, once, "--proof-dns", keys / "dns.json", **hop)
    assert good.returncode == 0, good.stderr
    nothing = tmp_path / "nothing.json"
    nothing.write_text("{}")
    done = sign(keys, once, "--proof-dns", nothing, **hop)
    assert done.returncode == 70 and not done.stdout
    assert b"does not exist" in done.stderr


def test_a_key_that_others_can_read_is_named(keys, tmp_path):
    open_key = tmp_path / "open.pem"
    open_key.write_bytes((keys / "k/one.example/ed.pem").read_bytes())
    open_key.chmod(0o644)
    done = sign(keys, MAIL, "--key", open_key)
    assert done.returncode == 0 and b"warning" in done.stderr
    assert str(open_key).encode() in done.stderr


def test_files_with_lf_stand_for_what_is_sent(keys):
    bare = MAIL.replace(b"\r\n", b"\n")
    signed = sign(keys, bare).stdout
    assert b"\r" not in signed and signed.endswith(bare)
    assert verify(keys, signed).returncode == 0
    assert verify(keys, signed.replace(b"\n", b"\r\n")).returncode == 0
    assert sign(keys, MAIL).stdout == signed.replace(b"\n", b"\r\n")


def test_the_lines_we_add_are_short(keys):
    signed = sign(keys, MAIL, "--key2", keys / "k/one.example/rsa.pem", "--selector2", "rsa",
                  rcpts=[f"{'r' * k}@two.example" for k in range(1, 60)]).stdout
    for line in signed[:-len(MAIL)].split(b"\r\n"):
        assert len(line) <= 76


# ---- the worked examples -----------------------------------------------------


def test_the_worked_examples_pass(worked_dns):
    for path, sender, rcpt in ((Q1, "alice@example.org", "list@lists.example"),
                               (Q2, "l-bounces@lists.example", "bob@example.net")):
        done = hopseal("verify", "--mail-from", sender, "--rcpt-to", rcpt, "--dns", worked_dns,
                       "--time", T + 100, path)
        assert done.returncode == 0, done.stdout


def worked_message():
    """Q2 as its list sent it, before the list signed it; and its recipe."""
    octets = Q2.read_bytes()
    recipe = (b'{"h":{"comments":[{"c":[1,1]},{"d":["newest"]}],"list-id":[],'
              b'"subject":[{"d":["Two words"]}]},"b":[{"c":[1,1]},{"d":[" indented "]}]}')
    return octets[octets.index(b"DKIM2-Signature: i=1"):], recipe


def extend_worked(tmp_path, octets, recipe):
    key = tmp_path / "l1.pem"
    key.write_text("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9b"
                   "ijGfNaumJNqM9u1PuKb7\n-----END PRIVATE KEY-----\n")
    key.chmod(0o600)
    (tmp_path / "recipe.json").write_bytes(recipe)
    return hopseal("sign", "--domain", "lists.example", "--selector", "l1", "--key", key,
                   "--mail-from", "l-bounces@lists.example", "--rcpt-to", "bob@example.net",
                   "--rcpt-to", "carol@example.com", "--timestamp", T + 60,
                   "--recipe", tmp_path / "recipe.json", stdin=octets)


def test_the_second_worked_example_is_signed_with_its_recipe(tmp_path, worked_dns):
    octets, recipe = worked_message()
    done = extend_worked(tmp_path, octets, recipe)
    assert done.returncode == 0, done.stderr
    # the same octets but for the folds: the same signature value
    bare = re.sub(rb"\s", b"", done.stdout[:-len(octets)])
    assert b"s=l1:ed25519-sha256:6SLxAYtpSbq1eSlqvBjT1jN6LykhKDmraYk3s4M2oQ33v3gYhoPgRY2L" \
        b"V88+4JLQoTkroUx+P0ROH8+n3hv8DQ==;" in bare
    done = hopseal("verify", "--mail-from", "l-bounces@lists.example", "--rcpt-to",
                   "carol@example.com", "--dns", worked_dns, "--time", T + 100,
                   stdin=done.stdout)
    assert done.returncode == 0 and verdict(done)["instances"] == [1, 2]


@pytest.mark.parametrize("recipe", [
    b"", b"{", b"{}", b'{"h":null}', b'{"b":null}', b'{"h":{}}', b'{"h":{"received":[]}}',
    b'{"h":{"subject":[{"d":["Another"]}]}}', b'{"b":[{"c":[1,99]}]}',
])
def test_recipes_that_do_not_lead_back_are_refused(tmp_path, recipe):
    octets, _ = worked_message()
    done = extend_worked(tmp_path, octets, recipe)
    assert done.returncode == 70 and not done.stdout


# ---- changes -----------------------------------------------------------------


def revise(octets):
    """What a list manager does."""
    header, _, body = octets.partition(b"\r\n\r\n")
    header = header.replace(b"Subject: ", b"Subject: [l] ")
    return header + b"\r\nList-Id: <l.two.example>\r\n\r\n" + body + b"-- \r\nfooter\r\n"


def extend(keys, octets, original, tmp_path, *more):
    path = tmp_path / "original.eml"
    path.write_bytes(original)
    return sign(keys, octets, "--original", path, *more, domain="two.example",
                sender="l@two.example", rcpts=("c@three.example",), time=T + 5)


def test_what_changed_is_written_down(keys, tmp_path):
    once = sign(keys, MAIL).stdout
    done = extend(keys, revise(once), once, tmp_path, "--proof-dns", keys / "dns.json")
    assert done.returncode == 0, done.stderr
    said = verdict(verify(keys, done.stdout, sender="l@two.example", rcpt="c@three.example"))
    assert said["result"] == "pass" and said["instances"] == [1, 2]


def test_nothing_changed_needs_no_instance(keys, tmp_path):
    once = sign(keys, MAIL).stdout
    done = extend(keys, b"Received: x\r\n" + once, once, tmp_path)
    assert done.returncode == 0 and done.stdout.count(b"Message-Instance:") == 1


def test_an_original_without_a_chain_is_not_needed(keys, tmp_path):
    path = tmp_path / "original.eml"
    path.write_bytes(MAIL)
    done = sign(keys, MAIL.replace(b"hello", b"hallo"), "--original", path)
    assert done.returncode == 0 and b" r=" not in done.stdout


def test_an_original_of_another_chain_is_refused(keys, tmp_path):
    once, other = sign(keys, MAIL).stdout, sign(keys, MAIL, time=T + 1).stdout
    done = extend(keys, revise(once), other, tmp_path)
    assert done.returncode == 70 and b"not those of --original" in done.stderr


def test_an_original_that_was_changed_before_is_refused(keys, tmp_path):
    once = sign(keys, MAIL).stdout.replace(b"hello", b"hallo")
    done = extend(keys, revise(once), once, tmp_path)
    assert done.returncode == 70 and b"does not lead back" in done.stderr
    done = extend(keys, revise(once), once, tmp_path, "--proof-dns", keys / "dns.json")
    assert done.returncode == 70 and b"header hash" in done.stderr


def test_recipe_prints_what_leads_back(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(MAIL)
    new.write_bytes(revise(MAIL))
    done = hopseal("recipe", old, new)
    assert json.loads(done.stdout) == {
        "h": {"list-id": [], "subject": [{"d": ["hello"]}]}, "b": [{"c": [1, 2]}]}
    same = hopseal("recipe", old, old)
    assert same.returncode == 0 and not same.stdout and same.stderr
    old.write_bytes(MAIL + b"a\x00b\r\n")
    assert hopseal("recipe", old, new).returncode == 70
    assert hopseal("recipe", old).returncode == 64


# ---- explain -----------------------------------------------------------------


def test_explain_says_it_in_words(worked_dns):
    words = ["--dns", worked_dns, "--time", T + 100, Q2]
    good = hopseal("explain", "--mail-from", "l-bounces@lists.example", "--rcpt-to",
                   "bob@example.net", *words)
    text = good.stdout.decode()
    assert good.returncode == 0
    for part in ("i=1", "example.org", "2026-11-22 10:00:00 UTC", "<alice@example.org>",
                 "<list@lists.example>", "i=2", "lists.example", "exploded",
                 "changed, recipe back", "l1 ed25519-sha256: PASS", "Fully Verified"):
        assert part in text, part
    assert len(text.splitlines()) <= 24 and max(map(len, text.splitlines())) <= 80
    assert "\033" not in text
    bad = hopseal("explain", "--mail-from", "m@x.example", "--rcpt-to", "y@x.example", *words)
    text = bad.stdout.decode()
    assert bad.returncode == 1
    assert "MAIL FROM <m@x.example> did not match" in text
    assert "left" in text       # in and out of DKIM2


def test_explain_shows_every_failure(keys):
    octets = sign(keys, MAIL).stdout.replace(b"hello", b"hallo")
    text = verify(keys, octets, verb="explain", sender="x@one.example",
                  time=T + 15 * 86400).stdout.decode()
    for part in ("MAIL FROM", "expired", "header hash"):
        assert part in text, part


def test_explain_escapes_what_came_from_the_net(keys):
    octets = sign(keys, MAIL, sender='"\x1b[31m"@one.example'.encode().decode("latin1"))
    # an escape is no path: refused already here
    assert octets.returncode == 70
    signed = sign(keys, MAIL, rcpts=("b\u00f6b@two.example",)).stdout
    text = verify(keys, signed, verb="explain", rcpt="b\u00f6b@two.example").stdout
    assert all(c < 0x80 for c in text)


# ---- the resolver ------------------------------------------------------------


class NameServer:
    """Answers TXT questions on UDP and TCP; a record over 400 octets only on TCP."""

    def __init__(self, records, rcode=0):
        self.records, self.rcode = records, rcode
        self.tcp = socket.socket()
        self.tcp.bind(("127.0.0.1", 0))
        self.tcp.listen(8)
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        for target in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=target, daemon=True).start()

    def answer(self, question, is_udp):
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        asked = question[12:at + 5]
        records = self.records.get(".".join(labels).lower())
        rcode = self.rcode or (3 if records is None else 0)
        out = b""
        for record in records or []:
            octets = record.encode()
            data = b"".join(bytes([len(octets[k:k + 255])]) + octets[k:k + 255]
                            for k in range(0, len(octets), 255))
            out += struct.pack(">HHHIH", 0xc00c, 16, 1, 60, len(data)) + data
        flags = 0x8180 | rcode
        if is_udp and len(out) > 400:
            return question[:2] + struct.pack(">HHHHH", flags | 0x200, 1, 0, 0, 0) + asked
        n = len(records or []) if not rcode else 0
        return question[:2] + struct.pack(">HHHHH", flags, 1, n, 0, 0) + asked + \
            (out if n else b"")

    def serve_udp(self):
        while True:
            try:
                question, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            self.udp.sendto(self.answer(question, True), peer)

    def serve_tcp(self):
        while True:
            try:
                stream, _ = self.tcp.accept()
            except OSError:
                return
            with stream:
                head = stream.recv(2, socket.MSG_WAITALL)
                if len(head) == 2:
                    question = stream.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
                    reply = self.answer(question, False)
                    stream.sendall(len(reply).to_bytes(2, "big") + reply)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.udp.close()
        self.tcp.close()


def ask(port, octets):
    return hopseal("verify", "--resolver", f"127.0.0.1:{port}", "--time", T, stdin=octets)


def test_keys_come_from_a_resolver(keys):
    octets = sign(keys, MAIL, "--key2", keys / "k/one.example/rsa.pem", "--selector2",
                  "rsa").stdout
    records = json.loads((keys / "dns.json").read_text())
    with NameServer(records) as server:
        done = ask(server.port, octets)
        assert done.returncode == 0, done.stdout + done.stderr
    with NameServer({}) as server:
        done = ask(server.port, octets)
        assert done.returncode == 2 and "does not exist" in verdict(done)["error"]
    with NameServer({k: [] for k in records}) as server:
        assert ask(server.port, octets).returncode == 2
    with NameServer({k: v * 2 for k, v in records.items()}) as server:
        done = ask(server.port, octets)
        assert done.returncode == 2 and "multiple records" in verdict(done)["error"]
    with NameServer(records, rcode=2) as server:
        done = ask(server.port, octets)
        assert done.returncode == 3 and "could not be fetched" in verdict(done)["error"]


def test_a_bad_resolver_is_a_usage_error(keys):
    done = hopseal("verify", "--resolver", "nonsense:x", stdin=sign(keys, MAIL).stdout)
    assert done.returncode == 64
