"""explain and history: what was changed, where it differs, what was there before."""

import json
import os
import pty
import random
import subprocess

import pytest

from test_cli import (HOPSEAL, MAIL, Q1, Q2, T, hopseal, keys, revise,  # noqa: F401
                      sign, verify, worked_dns)

LONG_BODY = b"".join(b"line %d\r\n" % k for k in range(40))


@pytest.fixture(scope="module")
def chain(keys, tmp_path_factory):
    """MAIL as hop 1 sent it, and as a list sent it on."""
    once = sign(keys, MAIL).stdout
    path = tmp_path_factory.mktemp("chain") / "once.eml"
    path.write_bytes(once)
    twice = sign(keys, b"Received: list\r\n" + revise(once), "--original", path,
                 domain="two.example", sender="l@two.example", rcpts=("c@three.example",),
                 time=T + 5).stdout
    assert twice
    return once, twice


def explain(keys, octets, *more, hops=1, **how):
    envelope = {} if hops == 1 else {"sender": "l@two.example", "rcpt": "c@three.example"}
    return verify(keys, octets, *more, verb="explain", **{**envelope, **how})


def told(keys, octets, *more, **how):
    done = explain(keys, octets, "--json", *more, **how)
    assert done.stdout.count(b"\n") == 1 and not done.stderr
    return json.loads(done.stdout)


def text_of(keys, octets, *more, **how):
    text = explain(keys, octets, *more, **how).stdout.decode()
    assert max(map(len, text.splitlines())) <= 80, text
    return text


# ---- hops ----------------------------------------------------------------------


def test_each_change_of_a_hop_is_shown(keys, chain):
    text = text_of(keys, chain[1], hops=2)
    for line in ("+ List-Id: <l.two.example>", "- Subject: hello", "+ Subject: [l] hello",
                 "body, line 3", "+ -- ", "+ footer"):
        assert line in text.replace("\n", "\n "), line
    assert len(text.splitlines()) <= 24
    hop = told(keys, chain[1], hops=2)["hops"][1]
    assert hop["content"]["changes"] == {"all": 5, "list": [
        {"change": "added", "field": "List-Id", "text": "<l.two.example>"},
        {"change": "removed", "field": "Subject", "text": "hello"},
        {"change": "added", "field": "Subject", "text": "[l] hello"},
        {"change": "added", "line": 3, "text": "-- "},
        {"change": "added", "line": 4, "text": "footer"}]}


def test_what_is_shown_of_a_change_is_bounded(keys, tmp_path):
    once = sign(keys, MAIL.replace(b"two\r\n", LONG_BODY)).stdout
    path = tmp_path / "once.eml"
    path.write_bytes(once)
    twice = sign(keys, once.replace(LONG_BODY, b"x" * 900 + b"\r\n").replace(
        b"hello", b"y" * 900), "--original", path,
                 domain="two.example", sender="l@two.example", rcpts=("c@three.example",),
                 time=T + 5).stdout
    text = text_of(keys, twice, hops=2)
    assert "and 31 more" in text and "yyyy...\n" in text
    assert told(keys, twice, hops=2)["hops"][1]["content"]["changes"]["all"] == 43


def test_json_says_what_verify_says(keys, chain):
    for octets, how in ((chain[0], {}), (chain[1], {"hops": 2}), (MAIL, {}),
                        (chain[0].replace(b"hello", b"hallo"), {}),
                        (chain[0], {"rcpt": "zed@two.example"})):
        said = told(keys, octets, **how)
        how.pop("hops", None)
        envelope = {} if octets != chain[1] else {"sender": "l@two.example",
                                                  "rcpt": "c@three.example"}
        other = json.loads(verify(keys, octets, **envelope, **how).stdout)
        for name in ("result", "error", "fully_verified", "provisionally_verified",
                     "provisional_result", "provisional_error", "envelope", "condition"):
            assert said[name] == other[name]
        assert said["signatures"] == len(other["signatures"]) == len(said["hops"])
        assert said["instances"] == len(other["instances"])
        for hop, link in zip(said["hops"], other["signatures"]):
            for name in ("i", "t", "d", "mf", "rt", "nd", "n", "f", "result"):
                assert hop[name] == link[name]
            assert hop["content"]["m"] == link["m"]
        assert bool(said["failures"]) == (said["result"] != "pass")


def test_json_of_what_is_no_message(keys):
    done = explain(keys, b"no header at all\r\n\r\n", "--json")
    assert done.returncode == 2 and json.loads(done.stdout)["result"] == "permerror"


# ---- where it differs ------------------------------------------------------------


@pytest.mark.parametrize("change, part, says, place", [
    (lambda m: m.replace(b"hello", b"[x] hello"), "header", "without `[x] ` at its front",
     {"change": "changed", "field": "subject", "octet": 1, "was": "hello", "is": "[x] hello"}),
    (lambda m: m.replace(b"Subject", b"List-Id: <l>\r\nSubject"), "header",
     "without the `List-Id` field", {"change": "added", "field": "list-id", "number": 1,
                                     "octet": 1, "was": None, "is": "<l>"}),
    (lambda m: m + b"-- \r\nfooter\r\n", "body", "the first 10 octets (2 lines)",
     {"octet": 11, "line": 3, "column": 1, "was": "", "is": "-- \r\nfooter\r\n"}),
    (lambda m: m.replace(b"one\r\n", b"banner\r\none\r\n"), "body", "without the first 1 line",
     {"line": 1, "column": 1, "octet": 1}),
    (lambda m: m.replace(b"one\r\n", b"one \r\n"), "body", "white space at the end",
     {"line": 1, "column": 4, "octet": 4}),
])
def test_a_usual_change_is_named(keys, chain, change, part, says, place):
    octets = change(chain[0])
    said = told(keys, octets)
    (cause,) = said["differences"]
    assert cause["part"] == part and cause["m"] == 1 and cause["by"] == "search"
    assert cause["explained"] and says in cause["text"]
    got = cause["fields"][0] if part == "header" else cause
    assert place.items() <= got.items()
    text = " ".join(text_of(keys, octets).split())
    assert "where it differs" in text and says in text
    if part == "body":
        assert f"differs is {place['octet']}: line {place['line']}, " \
            f"octet {place['column']}" in text


def test_header_and_body_are_both_named(keys, chain):
    octets = chain[0].replace(b"hello", b"[x] hello") + b"footer\r\n"
    assert [c["part"] for c in told(keys, octets)["differences"]] == ["header", "body"]


def test_what_no_one_can_know_is_said(keys, chain):
    octets = chain[0].replace(b"hello", b"hallo").replace(b"one\r\n", b"another\r\n")
    said = told(keys, octets)
    assert [c["explained"] for c in said["differences"]] == [False, False]
    text = " ".join(text_of(keys, octets).split())
    assert "where it may differ" in text and "--original" in text


def test_the_state_below_tells_where_to_look(keys, chain):
    octets = chain[1].replace(b"[l] hello", b"[l] hallo").replace(b"footer", b"fooder")
    header, body = told(keys, octets, hops=2)["differences"]
    for cause in (header, body):
        assert cause["m"] == 2 and "m=1 fits once the recipe of m=2 is undone" in cause["text"]
    assert "(list-id, subject)" in header["text"]


def test_each_state_is_searched(keys, chain):
    octets = chain[1].replace(b"one\r\n", b"one \r\n")
    said = told(keys, octets, hops=2)
    assert [(c["m"], c["part"], c["explained"]) for c in said["differences"]] == \
        [(2, "body", False), (1, "body", True)]


def test_the_original_names_the_first_octet(keys, chain, tmp_path):
    path = tmp_path / "original.eml"
    path.write_bytes(chain[0])
    octets = chain[0].replace(b"hello", b"hellO").replace(b"two\r\n", b"twu\r\n")
    header, body = told(keys, octets, "--original", path)["differences"]
    assert header["by"] == body["by"] == "original"
    assert header["fields"] == [{"change": "changed", "field": "subject", "number": 1,
                                 "octet": 5, "hash_octet": 41, "was": "hello",
                                 "is": "hellO"}]
    assert (body["octet"], body["line"], body["column"], body["was"], body["is"]) == \
        (8, 2, 3, "o", "u")
    text = text_of(keys, octets, "--original", path)
    assert "Subject: octet 5 differs (octet 41 of what is hashed)" in text
    assert "the first octet that differs is 8: line 2, octet 3" in text
    _, now, mark = text[text.index("was  hello"):].splitlines()[:3]
    assert mark.index("^") == now.index("hellO") + 4


def test_the_original_is_compared_at_its_own_instance(keys, chain, tmp_path):
    path = tmp_path / "original.eml"
    path.write_bytes(chain[0])
    said = told(keys, chain[1], "--original", path, hops=2)
    assert said["result"] == "pass"
    assert [(c["m"], c["text"]) for c in said["differences"]] == \
        [(1, "nothing that is hashed differs from the original")] * 2
    assert "compared with the original" in text_of(keys, chain[1], "--original", path, hops=2)
    path.write_bytes(chain[0].replace(b"hello", b"jello"))
    header, _ = told(keys, chain[1], "--original", path, hops=2)["differences"]
    assert "that does not fit m=1 either" in header["text"]


def test_an_original_without_dkim2_is_compared_too(keys, chain, tmp_path):
    path = tmp_path / "original.eml"
    path.write_bytes(MAIL)
    for octets in (MAIL.replace(b"hello", b"hullo"), chain[0].replace(b"hello", b"hullo")):
        header, body = told(keys, octets, "--original", path)["differences"]
        assert header["fields"][0]["octet"] == 2 and "line" not in body


def test_a_changed_dkim2_field_is_named(keys, chain, tmp_path):
    path = tmp_path / "original.eml"
    path.write_bytes(chain[1])
    octets = chain[1].replace(b"t=%d" % T, b"t=%d" % (T + 1))
    said = told(keys, octets, "--original", path, hops=2)
    field = said["differences"][0]
    assert (field["part"], field["i"]) == ("field", 1)
    assert field["fields"][0]["field"] == "DKIM2-Signature"
    assert field["fields"][0]["octet"] == len(f"i=1;m=1;t={T}")


@pytest.mark.parametrize("make, status", [
    (lambda path: path.write_bytes(b"no header\r\n\r\n"), 70), (lambda path: None, 66),
])
def test_originals_that_cannot_be_read(keys, chain, tmp_path, make, status):
    make(tmp_path / "o.eml")
    done = explain(keys, chain[0], "--original", tmp_path / "o.eml")
    assert done.returncode == status and not done.stdout


# ---- signatures -------------------------------------------------------------------


def test_a_wrong_signature_is_narrowed_down(keys, chain):
    said = told(keys, chain[1].replace(b"i=2; m=2; t=%d" % (T + 5), b"i=2; m=2; t=%d" % (T + 6)),
                hops=2)
    (cause,) = said["differences"]
    assert (cause["part"], cause["i"], cause["selector"]) == ("signature", 2, "ed")
    assert not cause["explained"] and "i=1 is good" in cause["text"]


def test_a_respelt_field_is_named(keys, chain):
    octets = chain[0].replace(b"d=one.example", b"d=One.example")
    (cause,) = told(keys, octets)["differences"]
    assert cause["explained"] and "with its domains in lower case in i=1" in cause["text"]


def test_another_key_is_named(keys, tmp_path):
    records = json.loads((keys / "dns.json").read_text())
    names = ["ed._domainkey.one.example", "ed._domainkey.two.example"]
    records[names[0]], records[names[1]] = records[names[1]], records[names[0]]
    dns = tmp_path / "dns.json"
    dns.write_text(json.dumps(records))
    once = sign(keys, MAIL).stdout
    twice = sign(keys, once, domain="two.example", sender="l@two.example",
                 rcpts=("c@three.example",), time=T + 5).stdout
    done = hopseal("explain", "--json", "--dns", dns, "--time", T + 9, stdin=twice)
    causes = json.loads(done.stdout)["differences"]
    assert [names[1] in causes[0]["text"], names[0] in causes[1]["text"]] == [True, True]


# ---- colours ------------------------------------------------------------------------


def on_terminal(words, **env):
    """What a command writes to a terminal."""
    try:
        mine, theirs = pty.openpty()
    except OSError as why:      # a chroot without /dev/pts
        pytest.skip(f"no terminal to be had: {why}")
    process = subprocess.Popen([str(HOPSEAL), *map(str, words)], stdout=theirs,
                               env={**os.environ, **env})
    os.close(theirs)
    out = b""
    while True:
        try:
            piece = os.read(mine, 4096)
        except OSError:
            break
        if not piece:
            break
        out += piece
    process.wait(60)
    os.close(mine)
    return out


def test_colours_are_for_terminals(worked_dns):
    words = ["explain", "--dns", worked_dns, "--time", T + 100, Q2]
    plain = hopseal(*words).stdout
    assert b"\033" not in plain
    shown = on_terminal(words, NO_COLOR="")
    assert b"\033[32mPASS\033[0m" in shown and b"\033[31m- " in shown
    without = on_terminal(words, NO_COLOR="1").replace(b"\r\n", b"\n")
    assert without == plain


# ---- history --------------------------------------------------------------------------


def history(octets, *words):
    return hopseal("history", *words, stdin=octets)


def test_history_gives_back_what_each_hop_sent(chain):
    once, twice = chain
    assert history(twice, "-i", 2).stdout == twice
    assert history(twice, "-i", "1").stdout.replace(b"Received: list\r\n", b"") == once
    assert history(b"Received: later\r\nX-Spam: no\r\n" + twice, "-i2").stdout == twice
    assert history(once, "-i", 1).stdout == once


def test_history_keeps_the_line_ends_of_the_file(chain):
    once, twice = (octets.replace(b"\r\n", b"\n") for octets in chain)
    assert history(twice, "-i", 2).stdout == twice
    assert history(twice, "-i", 1).stdout.replace(b"Received: list\n", b"") == once


def test_what_history_gives_verifies(keys, worked_dns):
    back = history(Q2.read_bytes(), "-i", 1).stdout
    done = hopseal("verify", "--mail-from", "alice@example.org", "--rcpt-to",
                   "list@lists.example", "--dns", worked_dns, "--time", T + 100, stdin=back)
    assert done.returncode == 0
    head = Q1.read_bytes().split(b"From:")[0]
    assert back.startswith(head)


@pytest.mark.parametrize("change, words, status, says", [
    (lambda m: m, (), 64, "-i N"),
    (lambda m: m, ("-i",), 64, "needs a value"),
    (lambda m: m, ("-i", "x"), 64, "-i N"),
    (lambda m: m, ("-x", "1"), 64, "no option -x"),
    (lambda m: m, ("-i", "1", "/nonexistent"), 66, "/nonexistent"),
    (lambda m: m, ("-i", "0"), 70, "no signature i=0"),
    (lambda m: m, ("-i", "3"), 70, "no signature i=3, the chain has 2"),
    (lambda m: m.replace(b"footer", b"fodder"), ("-i", "2"), 70, "body hash sha256 mismatch"),
    (lambda m: m.replace(b"To: bob", b"To: rob"), ("-i", "1"), 70,
     "header hash sha256 mismatch"),
    (lambda m: m.replace(b"i=1;", b"i=3;"), ("-i", "2"), 70, "no chain"),
    (lambda m: m.replace(b"t=%d" % T, b"t=soon"), ("-i", "1"), 70, "syntax error"),
    (lambda m: MAIL, ("-i", "1"), 70, "No DKIM2 header fields"),
    (lambda m: b"none\r\n\r\n", ("-i", "1"), 70, "does not parse"),
])
def test_history_refuses(chain, change, words, status, says):
    done = history(change(chain[1]), *words)
    assert done.returncode == status and says in done.stderr.decode() and not done.stdout


# ---- any input ---------------------------------------------------------------------------


def mutate(octets, rng):
    octets = bytearray(octets)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(octets))
        kind = rng.randrange(6)
        if kind == 0:
            octets[at] = rng.randrange(256)
        elif kind == 1:
            del octets[at:at + rng.randint(1, 60)]
        elif kind == 2:
            octets[at:at] = octets[at:at + rng.randint(1, 80)]
        elif kind == 3:
            octets[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 12)))
        elif kind == 4:
            other = rng.randrange(len(octets))
            octets[at], octets[other] = octets[other], octets[at]
        else:
            octets[at:at] = rng.choice([b"\r\n", b"\r\n\r\n", b"i=1;", b"m=1;", b"\x00",
                                        b"Message-Instance: m=2;\r\n", b"\n", b"\r",
                                        b"DKIM2-Signature: i=2;\r\n", b"=", b"|", b",", b":"])
        if not octets:
            return b"x"
    return bytes(octets)


def test_no_input_makes_it_crash(keys, chain, tmp_path):
    rng = random.Random(20261122)
    original = tmp_path / "o.eml"
    seeds = [chain[0], chain[1], Q2.read_bytes()]
    for k in range(1500 if os.environ.get("LONG") else 100):
        octets = mutate(rng.choice(seeds), rng)
        original.write_bytes(mutate(rng.choice(seeds), rng))
        for words in (("verify",), ("explain",), ("explain", "--json"),
                      ("explain", "--original", original), ("history", "-i", "1"),
                      ("history", "-i", "2")):
            more = () if words[0] == "history" else \
                ("--dns", keys / "dns.json", "--time", T + 60)
            done = hopseal(*words, *more, stdin=octets)
            context = (k, words, done.stderr)
            assert done.returncode in (0, 1, 2, 3, 4, 70), context
            assert b"Sanitizer" not in done.stderr and b"runtime error" not in done.stderr, context
            if "--json" in words:
                json.loads(done.stdout)
            elif words[0] == "explain":
                assert all(c < 0x80 and (c >= 0x20 or c == 10) for c in done.stdout), context
