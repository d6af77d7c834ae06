"""The rules of the draft one by one, and what the live peer says to each."""

import json
import os
import subprocess
from pathlib import Path

import pytest

try:
    from rules import CASES, record
    import rules_chain  # noqa: F401
    import rules_dsn  # noqa: F401
except ImportError as missing:
    if os.environ.get("CI") or missing.name not in ("nacl", "nacl.signing"):
        raise
    pytest.skip("python3-nacl is not installed", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
HOPSEAL = (ROOT / os.environ.get("B", "build")).resolve() / "hopseal"

NAMES = {0: "pass", 1: "fail", 2: "permerror", 3: "temperror", 4: "none"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("rules")


def judge(program, name, folder):
    c = CASES[name]
    dns = {f"k1._domainkey.{d}": [record(d)] for d in (
        "quay.example", "harbour.example", "pier.example", "tides.example")}
    dns.update({f"k{n}._domainkey.quay.example": [record("quay.example")]
                for n in (2, 3, 9)})
    dns = {n: v for n, v in {**dns, **c["dns"]}.items() if v is not None}
    table = folder / "dns.json"
    table.write_text(json.dumps(dns))
    command = [program, c["command"], "--mail-from", c["by"], "--dns", table, "--time",
               str(c["time"])]
    for rcpt in c["to"]:
        command += ["--rcpt-to", rcpt]
    done = subprocess.run(command, input=c["message"], capture_output=True,
                          timeout=60)
    assert done.returncode in NAMES, done.stderr
    said = json.loads(done.stdout.decode().strip().split("\n")[-1])
    return NAMES[done.returncode], said.get("error") or "", \
        said.get("provisional_result")


@pytest.mark.parametrize("name", CASES)
def test_rule(name, folder):
    c = CASES[name]
    result, text, provisional = judge(HOPSEAL, name, folder)
    assert (result, provisional) == (c["expected"], c["provisional"] or provisional), text
    assert c["text"] is None or c["text"] in text


@pytest.fixture(scope="module")
def peer():
    if not os.environ.get("PEER"):
        if os.environ.get("CI"):
            pytest.fail("peer NOT RUN")
        pytest.skip("peer NOT RUN")
    return os.environ["PEER"]


@pytest.mark.parametrize("name", CASES)
def test_peer(name, folder, peer):
    c = CASES[name]
    result, text, _ = judge(peer, name, folder)
    assert result == (c["peer"] or c["expected"]), text
