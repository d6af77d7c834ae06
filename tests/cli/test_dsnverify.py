"""hopseal dsn-verify as a user calls it; its verdicts are in tests/dsn and
tests/vectors, here are answers and exit codes."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOPSEAL = ROOT / os.environ.get("B", "build") / "hopseal"
CASES = ROOT / "tests/vectors/shared-cases"
DSN = (CASES / "dsn-full.eml").read_bytes()
KEYS = json.loads((CASES / "dns.json").read_text())
T = 1793003600


def dsn_verify(octets, dns=CASES / "dns.json", sender="<>", rcpts=("ann@acorn.example",)):
    words = ["--mail-from", sender] if sender is not None else []
    for rcpt in rcpts:
        words += ["--rcpt-to", rcpt]
    return subprocess.run([HOPSEAL, "dsn-verify", *words, "--dns", dns, "--time", str(T)],
                          input=octets, capture_output=True, timeout=60)


def answer(done):
    return json.loads(done.stdout.splitlines()[-1])


def test_what_a_good_bounce_says():
    done = dsn_verify(DSN)
    assert done.returncode == 0
    assert answer(done) == {
        "result": "pass", "error": None, "dsn_result": "pass", "returned_result": "pass",
        "returned_body": True, "recipients": [
            {"final_recipient": "bert@birch.example", "action": "failed", "status": "5.1.1"}]}
    # LF files stand for what is sent
    assert dsn_verify(DSN.replace(b"\r\n", b"\n")).returncode == 0


def test_headers_alone():
    said = answer(dsn_verify((CASES / "dsn-headers.eml").read_bytes()))
    assert said["result"] == "pass" and said["returned_body"] is False


@pytest.mark.parametrize("octets,error", [
    (b"", "DSN could not be parsed"),
    (b"no field\r\n\r\n", "DSN could not be parsed"),
    (DSN.replace(b"multipart/report", b"multipart/mixed"), "DSN could not be parsed"),
    (DSN.replace(b"message/rfc822", b"text/plain"), "Returned message could not be parsed"),
])
def test_what_is_no_bounce(octets, error):
    done = dsn_verify(octets)
    assert done.returncode == 2
    assert answer(done)["result"] == "permerror" and answer(done)["error"] == error


@pytest.mark.parametrize("name,whose", [
    ("e1._domainkey.birch.example", "DSN"),
    ("e1._domainkey.acorn.example", "Returned message")])
@pytest.mark.parametrize("found,status,text", [
    ("TEMPERROR", 3, "public key e1 could not be fetched"),
    ([], 1, "public key e1 does not exist")])
def test_keys_of_either_message(tmp_path, name, whose, found, status, text):
    dns = tmp_path / "dns.json"
    dns.write_text(json.dumps({**KEYS, name: found}))
    done = dsn_verify(DSN, dns=dns)
    assert done.returncode == status
    assert answer(done)["error"] == f"{whose} DKIM2-Signature i=1 {text}"


def test_an_envelope_is_needed():
    for sender, rcpts in ((None, ()), ("<>", ()), (None, ("ann@acorn.example",))):
        done = dsn_verify(DSN, sender=sender, rcpts=rcpts)
        assert done.returncode == 64 and not done.stdout


def test_sanitized_it_stays_silent():
    """One run of each kind under make check-asan too."""
    for case in sorted(CASES.glob("dsn-*.eml")):
        assert dsn_verify(case.read_bytes()).stderr == b""
