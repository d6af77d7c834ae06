"""Of a signed message every octet counts, but those that the draft lets go:
each octet of the worked example is changed in turn, and a canonicaliser of
its own, written from the draft's words alone, says what the verdict must be."""
import json
import os
import pathlib
import random
import re
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
HOPSEAL = HERE.parents[1] / os.environ.get("B", "build") / "hopseal"
WHOLE = (HERE / "worked" / "q2.eml").read_bytes()
DNS = {
    "ed1._domainkey.example.org": [
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="],
    "l1._domainkey.lists.example": [
        "v=DKIM1; k=ed25519; p=PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="]}
LONG = bool(os.environ.get("LONG"))

UNSIGNED = set(b"""apparently-to arc-authentication-results arc-message-signature
    arc-seal authentication-results delivered-to dkim-signature dl-expansion-history
    original-recipient received return-path sio-label-history x400-received
    x400-trace""".split())
OURS = (b"message-instance", b"dkim2-signature")


def canonical(raw):
    """What is hashed and signed of a message, or None where it is no message."""
    head, blank, body = raw.partition(b"\r\n\r\n")
    if not blank or b"\n" in raw.replace(b"\r\n", b"") or \
            b"\r" in raw.replace(b"\r\n", b""):
        return None
    hashed, ours = [], []
    for line in re.split(rb"\r\n(?![ \t])", head):
        name, colon, value = line.partition(b":")
        name = name.rstrip(b" \t").lower()
        if not colon or not re.fullmatch(rb"[!-9;-~]+", name):
            return None
        value = value.replace(b"\r\n", b"")
        if name in OURS:
            ours.append((name, re.sub(rb"[ \t]", b"", value)))
        elif name not in UNSIGNED and not name.startswith((b"x-", b"received-")):
            hashed.append((name, re.sub(rb"[ \t]+", b" ", value).strip(b" ")))
    hashed.reverse()
    hashed.sort(key=lambda f: f[0])
    while body.endswith(b"\r\n"):
        body = body[:-2]
    return hashed, sorted(ours), body


def verify(tmp_path, raw):
    dns = tmp_path / "dns.json"
    if not dns.exists():
        dns.write_text(json.dumps(DNS))
    p = subprocess.run(
        [HOPSEAL, "verify", "--mail-from", "l-bounces@lists.example", "--rcpt-to",
         "bob@example.net", "--dns", dns, "--time", "1795341700"],
        input=raw, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert p.returncode in range(5), p.stderr.decode()
    return p.returncode


def test_every_octet_counts_or_does_not(tmp_path):
    whole = canonical(WHOLE)
    assert verify(tmp_path, WHOLE) == 0
    kept = 0
    for at in range(len(WHOLE)):
        old = WHOLE[at]
        for new in ([old ^ 1, old ^ 0x20, 0x20] if LONG else [old ^ 1]):
            if new == old or new in b"\r\n" or old in b"\r\n":
                continue
            changed = WHOLE[:at] + bytes([new]) + WHOLE[at + 1:]
            said = verify(tmp_path, changed)
            same = canonical(changed) == whole
            kept += same
            assert (said == 0) == same, (at, WHOLE[max(0, at - 20):at + 9], new, said)
    assert kept > 50            # Received and X-Mailer at least


def test_octets_put_in_or_taken_out_count_too(tmp_path):
    whole = canonical(WHOLE)
    for at in range(0, len(WHOLE), 1 if LONG else 3):
        for changed in (WHOLE[:at] + WHOLE[at + 1:], WHOLE[:at] + b"a" + WHOLE[at:]):
            state = canonical(changed)
            if state is None or changed == WHOLE:
                continue
            assert (verify(tmp_path, changed) == 0) == (state == whole), at


def refold(rng, line):
    """Each blank of a field may become a fold, and each fold another one."""
    def one(match):
        return rng.choice([b" ", b"\t", b"  ", b"\r\n ", b"\r\n\t", b" \r\n  "])
    name, colon, value = line.partition(b":")
    if name.lower() in OURS:
        value = re.sub(rb"(?<=[;,:|])(?=.)|(?:\r\n)?[ \t]+",
                       lambda m: rng.choice([b"", b" ", b"\r\n\t"]), value)
        return name + colon + value
    return name + colon + re.sub(rb"(?:\r\n)?[ \t]+", one, value)


def test_folds_case_order_of_names_and_trace_change_nothing(tmp_path):
    rng = random.Random(7)
    head, _, body = WHOLE.partition(b"\r\n\r\n")
    fields = re.split(rb"\r\n(?![ \t])", head)
    for _ in range(400 if LONG else 60):
        out = [refold(rng, f) for f in fields]
        out = [rng.choice([bytes.upper, bytes.lower, bytes.title])(f.partition(b":")[0])
               + b":" + f.partition(b":")[2] for f in out]
        for _ in range(rng.randrange(4)):
            out.insert(rng.randrange(len(out) + 1), rng.choice([
                b"Received: from x by y; now", b"X-Spam: no\r\n really",
                b"Authentication-Results: z; none", b"Return-Path: <q@r>",
                b"ARC-Seal: i=1", b"Received-SPF: pass", b"DKIM-Signature: v=1"]))
        tail = rng.choice([b"", b"\r\n", b"\r\n\r\n\r\n"])
        assert verify(tmp_path, b"\r\n".join(out) + b"\r\n\r\n" + body + tail) == 0
