"""Our DKIM1 against dkimpy (Debian: python3-dkim) and libopendkim: each signs,
the other verifies; and all say the same about messages that were changed on
the way.
"""

import base64
import os
import random
import re
import subprocess
import time
from pathlib import Path

import pytest

import opendkim

ROOT = Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("B", "build")).resolve()
TOOL = BUILD / "tests" / "tools" / "dkim1"
VECTORS = ROOT / "tests" / "vectors" / "dkim1"
# The others sign and verify at the time of the real clock
NOW = int(time.time())
# RFC 8032 test key 1; never used for anything else
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031c"
                     "ae7f60")

try:
    import dkim
except ImportError:
    if os.environ.get("CI"):
        raise
    pytest.skip("python3-dkim is not installed", allow_module_level=True)


def rsa_record():
    """The public half, by dkimpy's own reader of private keys."""
    from dkim.crypto import parse_pem_private_key
    key = parse_pem_private_key((VECTORS / "rsa2048.pem").read_bytes())

    def der(tag, octets):
        n = len(octets)
        size = bytes([n]) if n < 128 else b"\x82" + n.to_bytes(2, "big")
        return bytes([tag]) + size + octets

    def number(n):
        return der(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))

    public = der(0x30, number(key["modulus"]) + number(key["publicExponent"]))
    rsa = bytes.fromhex("300d06092a864886f70d0101010500")
    info = der(0x30, rsa + der(3, b"\0" + public))
    return "v=DKIM1; k=rsa; p=" + base64.b64encode(info).decode()


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dkim1")
    pkcs8 = bytes.fromhex("302e020100300506032b657004220420") + SEED
    ed25519 = folder / "ed1.pem"
    ed25519.write_bytes(b"-----BEGIN PRIVATE KEY-----\n" +
                        base64.b64encode(pkcs8) +
                        b"\n-----END PRIVATE KEY-----\n")
    records = {
        "ed1._domainkey.example.org":
            "v=DKIM1; k=ed25519; "
            "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        "rsa._domainkey.example.org": rsa_record(),
    }
    table = folder / "records"
    table.write_text("".join(f"{n} {t}\n" for n, t in records.items()))
    return {"ed1": ed25519, "rsa": VECTORS / "rsa2048.pem",
            "records": records, "table": table}


@pytest.fixture(scope="module")
def peer(keys):
    why = opendkim.cannot_run()
    if why is not None:
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    return opendkim.OpenDKIM(keys["table"])


def ours(message, keys):
    """The state of each signature, top one first."""
    done = subprocess.run([TOOL, "verify", str(NOW), keys["table"]],
                          input=message, capture_output=True, check=True)
    return [line.split()[0] for line in done.stdout.decode().splitlines()]


def ours_signs(message, keys):
    done = subprocess.run([TOOL, "sign", "example.org", str(NOW), "rsa",
                           keys["rsa"], "ed1", keys["ed1"]],
                          input=message, capture_output=True, check=True)
    return done.stdout


def theirs(message, keys, index=0):
    def lookup(name, timeout=5):
        name = name.decode() if isinstance(name, bytes) else name
        return keys["records"].get(name.rstrip(".").lower())
    try:
        return dkim.DKIM(message).verify(idx=index, dnsfunc=lookup)
    except dkim.DKIMException:
        return False


def theirs_signs(message, keys, header, body, algorithm):
    is_rsa = algorithm == b"rsa-sha256"
    private = keys["rsa"].read_bytes() if is_rsa else base64.b64encode(SEED)
    signature = dkim.sign(message, b"rsa" if is_rsa else b"ed1",
                          b"example.org", private,
                          canonicalize=(header, body),
                          signature_algorithm=algorithm)
    return signature + message


def messages(seed, n):
    """Mail with all that the canonical forms have an opinion on."""
    chance = random.Random(seed)
    words = ["a", "Hello,", "  ", "\t", " \t ", "it", "-- ", "\x00", "=3D",
             "caf\u00e9", ".", "From x", "\r\n", "\r\n\r\n", "\r\n \r\n"]
    for _ in range(n):
        body = "".join(chance.choice(words)
                       for _ in range(chance.randrange(40)))
        # dkimpy takes white space behind the last line end for a line
        body = re.sub(r"[ \t]*$", "", body)
        fields = ["From: Alice <alice@example.org>",
                  "To: bob@example.net,\r\n\tcarol@example.com",
                  "Subject:  two \t words \r\n  and more\t",
                  "subject: again", "Date: Sun, 22 Nov 2026 10:00:00 +0000",
                  "Message-ID:\r\n <1@example.org>", "X-Empty:",
                  "List-Id: <l.example.org>", "Received: from a\r\n by b",
                  "MIME-Version: 1.0", "Content-Type: text/plain;\r\n"
                  "\tcharset=utf-8"]
        rest = fields[1:]
        chance.shuffle(rest)
        chosen = [fields[0], *rest[:chance.randrange(len(rest) + 1)]]
        chance.shuffle(chosen)
        text = "\r\n".join(chosen) + "\r\n\r\n" + body
        if body and chance.random() < 0.8:
            text += "\r\n" * chance.randrange(1, 4)
        yield text.encode()


@pytest.mark.parametrize("header", [b"simple", b"relaxed"])
@pytest.mark.parametrize("body", [b"simple", b"relaxed"])
@pytest.mark.parametrize("algorithm", [b"rsa-sha256", b"ed25519-sha256"])
def test_we_verify_what_dkimpy_signs(keys, header, body, algorithm):
    for message in messages(f"{header}{body}{algorithm}", 12):
        signed = theirs_signs(message, keys, header, body, algorithm)
        assert theirs(signed, keys)
        assert ours(signed, keys) == ["pass"], signed


def test_dkimpy_verifies_what_we_sign(keys):
    for message in messages("ours", 60):
        signed = ours_signs(message, keys)
        assert ours(signed, keys) == ["pass", "pass"], signed
        assert theirs(signed, keys, 0), signed
        assert theirs(signed, keys, 1), signed


# Without Ed25519 in the simple form of fields: it folds that field once more
# behind its back, and does not verify it itself.
@pytest.mark.parametrize("header,algorithm", [
    (opendkim.SIMPLE, b"rsa-sha256"), (opendkim.RELAXED, b"rsa-sha256"),
    (opendkim.RELAXED, b"ed25519-sha256")])
@pytest.mark.parametrize("body", [opendkim.SIMPLE, opendkim.RELAXED])
def test_we_verify_what_opendkim_signs(keys, peer, header, body, algorithm):
    selector = algorithm[:3].replace(b"ed2", b"ed1")
    key = keys[selector.decode()].read_bytes()
    for message in for_opendkim(f"{header}{body}{algorithm}", 12):
        signed = peer.sign(message, key, selector, header, body, algorithm)
        assert peer.verify(signed) == [True], signed
        assert ours(signed, keys) == ["pass"], signed


def test_opendkim_verifies_what_we_sign(keys, peer):
    for message in for_opendkim("ours", 60):
        signed = ours_signs(message, keys)
        assert peer.verify(signed) == [True, True], signed


def for_opendkim(seed, n):
    """It ends a line at a NUL, and refuses a last line without an end."""
    return (m.replace(b"\0", b"0") + b"\r\n" for m in messages(seed, n))


def changes():
    """Places and octets, the same in every run."""
    chance = random.Random("changes")
    while True:
        yield (chance.random(), chance.randrange(3),
               chance.choice([b" ", b"\t", b"x", b"\r\n", b"\r\n "]))


def test_we_all_see_changes(keys, peer):
    """One octet put in, taken out or changed anywhere: the same answer."""
    chance = changes()
    n_good = n_bad = 0
    for message in messages("changed", 40):
        signed = ours_signs(message, keys)
        for _ in range(4):
            head = signed.index(b"\r\nb=") if b"\r\nb=" in signed else 0
            where, kind, new = next(chance)
            at = head + int(where * (len(signed) - head))
            changed = (signed[:at] + (b"" if kind == 0 else new) +
                       signed[at + (kind != 1):])
            if not is_plain(changed):
                continue
            mine = [s == "pass" for s in ours(changed, keys)]
            other = [theirs(changed, keys, k) for k in range(len(mine))]
            # dkimpy keeps white space behind b=; RFC 6376 3.7 does not
            if not re.search(rb"\s;\r\n(?![ \t])", changed):
                assert mine == other, changed
            if suits_opendkim(changed):
                # it refuses a message for one field that does not read
                third = peer.verify(changed)
                assert third == mine or (third == [] and not all(mine))
            n_good += sum(mine)
            n_bad += len(mine) - sum(mine)
    assert n_good > 10 and n_bad > 50


def suits_opendkim(message):
    """No NUL, a last line end, and base64 that leaves nothing to guess."""
    for value in re.findall(rb"[;\s]bh?=([^;]*);", message):
        text = re.sub(rb"\s", b"", value)
        try:
            octets = base64.b64decode(text, validate=True)
        except ValueError:
            return False
        if base64.b64encode(octets) != text:
            return False
    return b"\0" not in message and message.endswith(b"\r\n")


def is_plain(message):
    """Whether two readers of headers take it for the same message."""
    if re.search(rb"\r(?!\n)|(?<!\r)\n|[ \t]\Z", message):
        return False
    if b"\r\n\r\n" not in message:
        return False
    head = message.split(b"\r\n\r\n", 1)[0]
    lines = re.split(rb"\r\n(?![ \t])", head)
    return all(re.match(rb"[!-9;-~]+:", line) for line in lines)
