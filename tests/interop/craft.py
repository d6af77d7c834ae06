"""Messages with DKIM2 fields made by hand: any rule can be broken before it is
signed over, so that the signature itself is good. Written from the draft's
words alone; it shares no code with the program.
"""

import base64
import hashlib
import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RSA = ROOT / "tests" / "vectors" / "dkim1" / "rsa2048.pem"
T = 1795000000
UNSIGNED = set("""apparently-to arc-authentication-results
    arc-message-signature arc-seal authentication-results delivered-to
    dkim-signature dl-expansion-history original-recipient received return-path
    sio-label-history x400-received x400-trace message-instance
    dkim2-signature""".split())


def b64(octets):
    if isinstance(octets, str):
        octets = octets.encode()
    return base64.b64encode(octets).decode()


def key_of(name):
    """A key of that name, the same in every run."""
    from nacl.signing import SigningKey
    return SigningKey(hashlib.sha256(b"rules " + name.encode()).digest())


def record(name, **tags):
    tags = {"v": "DKIM1", "k": "ed25519",
            "p": b64(bytes(key_of(name).verify_key)), **tags}
    return "; ".join(f"{k}={v}" for k, v in tags.items() if v is not None)


def rsa_record():
    done = subprocess.run(["openssl", "pkey", "-in", RSA, "-pubout"],
                          capture_output=True, check=True)
    lines = done.stdout.decode().split("\n")
    return "v=DKIM1; p=" + "".join(l for l in lines if "-" not in l)


def sign_rsa(octets):
    return subprocess.run(["openssl", "dgst", "-sha256", "-sign", RSA],
                          input=octets, capture_output=True,
                          check=True).stdout


# ---- canonical forms --------------------------------------------------------

def is_unsigned(name):
    return name in UNSIGNED or name.startswith(("x-", "received-"))


def name_of(name):
    return name.decode("latin-1").strip(" \t").lower()


def header_input(fields):
    rows = []
    for name, value in reversed(fields):
        if not is_unsigned(name_of(name)):
            value = re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b""))
            rows.append((name_of(name).encode("latin-1"), value.strip(b" ")))
    rows.sort(key=lambda row: row[0])
    return b"".join(n + b":" + v + b"\r\n" for n, v in rows)


def body_input(body):
    while body.endswith(b"\r\n"):
        body = body[:-2]
    return body + b"\r\n"


def line(name, value):
    value = re.sub(rb"[ \t]", b"", value.replace(b"\r\n", b""))
    return name_of(name).encode() + b":" + value + b"\r\n"


def number(value, tag):
    found = re.search(rb"(?:^|;)\s*%s\s*=\s*(\d+)" % tag, value)
    return int(found.group(1)) if found else 0


def ours(fields, name, tag):
    rows = [(number(v, tag), n, v) for n, v in fields if name_of(n) == name]
    return sorted(rows, key=lambda row: row[0])


# ---- making -----------------------------------------------------------------

def write(tags):
    return ("".join(f" {k}={v};" for k, v in tags)).encode()


def hashes(fields, body, names=("sha256",), join=","):
    def one(name):
        h = getattr(hashlib, name, hashlib.sha256)
        return ":".join([name, b64(h(header_input(fields)).digest()),
                         b64(h(body_input(body)).digest())])
    return join.join(one(n) for n in names)


def instance(fields, body, m, recipe=None, h=None, edit=None):
    """On top of the fields, a Message-Instance."""
    tags = [("m", m), ("h", h or hashes(fields, body))]
    if recipe is not None:
        if not isinstance(recipe, (str, bytes)):
            recipe = json.dumps(recipe)
        tags.append(("r", b64(recipe)))
    return [(b"Message-Instance", write(edit(tags) if edit else tags)),
            *fields]


class Ed25519:
    """Signs with the key of a name; how the name says is the caller's."""

    def __init__(self, name):
        self.name = name

    def __call__(self, octets):
        digest = hashlib.sha256(octets).digest()
        return key_of(self.name).sign(digest).signature


def bad(_):
    return bytes(64)


def signature(fields, i, m, d, mf=None, rt=(), nd=None, t=T, f=None, n=None,
              s=None, edit=None, wire=None, name=b"DKIM2-Signature"):
    """On top of the fields, a DKIM2-Signature.

    s     groups of (selector, algorithm, signer); one of d's key otherwise
    edit  changes the tags, wire the octets of the value; both are signed
    """
    s = s or [[("k1", "ed25519-sha256", Ed25519(d))]]
    tags = [("i", i), ("m", m), ("t", t), ("d", d)]
    if nd is not None:
        tags.append(("nd", nd))
    if mf is not None:
        tags.append(("mf", b64(mf)))
    if rt:
        tags.append(("rt", ",".join(b64(r) for r in rt)))
    if f is not None:
        tags.append(("f", f))
    if n is not None:
        tags.append(("n", n))
    marks = [(f"@{g}.{k}@", signer) for g, group in enumerate(s)
             for k, (_, _, signer) in enumerate(group)]
    tags.append(("s", "|".join(",".join(
        f"{sel}:{alg}:@{g}.{k}@" for k, (sel, alg, _) in enumerate(group))
        for g, group in enumerate(s))))
    value = write(edit(tags) if edit else tags)
    if wire:
        value = wire(value)
    blank = value
    for mark, _ in marks:
        blank = blank.replace(mark.encode(), b"")
    octets = b"".join(
        line(n, v) for k, n, v in ours(fields, "message-instance", b"m")
        if k <= m)
    octets += b"".join(
        line(n, v) for k, n, v in ours(fields, "dkim2-signature", b"i")
        if k < i)
    octets += line(name, blank)
    for mark, signer in marks:
        made = signer if isinstance(signer, str) else b64(signer(octets))
        value = value.replace(mark.encode(), made.encode())
    return [(name, value), *fields]


def whole(fields, body):
    return b"".join(n + b":" + v + b"\r\n" for n, v in fields) + b"\r\n" + body


# ---- the messages of the rules ----------------------------------------------

FIELDS = [
    (b"Received", b" from a by b; Tue, 24 Nov 2026 10:00:00 +0000"),
    (b"From", b" Mia Quay <mia@quay.example>"),
    (b"To", b" sam@harbour.example"),
    (b"SUBject", b"  Tide\r\n\ttable \t"),
    (b"Keywords", b" upper"),
    (b"X-Mailer", b" none"),
    (b"Keywords", b" lower"),
    (b"Auto-Submitted", b" no"),
    (b"Message-ID", b"\r\n <77@quay.example>"),
]
BODY = b"High water at noon.\r\n\r\nLow  water at six. \r\n.\r\n"
MIA, SAM, IDA = "<mia@quay.example>", "<sam@harbour.example>", "<ida@pier.example>"
LIST = "<tides-bounces@harbour.example>"


def first(fields=None, body=BODY, h=None, recipe=None, iedit=None, **kw):
    """Hop 1: quay.example, from Mia to Sam."""
    fields = instance(FIELDS if fields is None else fields, body, 1, recipe, h,
                      iedit)
    said = {"i": 1, "m": 1, "d": "quay.example", "mf": MIA, "rt": [SAM], **kw}
    return signature(fields, **said)


def second(fields, **kw):
    """Hop 2: harbour.example sends it on to Ida, unchanged."""
    said = {"i": 2, "m": 1, "d": "harbour.example", "mf": LIST, "rt": [IDA], **kw}
    return signature(fields, **said)


def revised(recipe, change=None, body=BODY + b"-- \r\nfooter\r\n", h=None,
            start=None, iedit=None, **kw):
    """Hop 2 with an instance: what it changes, and its recipe."""
    fields = first() if start is None else start
    fields = change(fields) if change else fields
    fields = instance(fields, body, 2, recipe, h, iedit)
    return whole(second(fields, **{"m": 2, **kw}), body)
