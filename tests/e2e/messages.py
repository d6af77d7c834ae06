"""Messages of mixed kind, the same ones for the same seed. Lines have at most
998 octets, since Postfix breaks longer ones."""

import base64
import random

KINDS = ("plain", "multipart", "8bit", "folded", "dots", "empty", "blank lines",
         "header only", "long lines", "spaces")
WORDS = ("relay chain hop seal letter envelope recipe digest octet field value "
         "gateway custody instance signature postmaster").split()


def _text(r, lines, limit=72):
    out = []
    for _ in range(lines):
        line = ""
        while len(line) < limit - 16:
            line += r.choice(WORDS) + " "
        out.append(line.rstrip().encode())
    return out


def _fold(r, name, items, first=" "):
    """A folded field: after the colon, with tabs, with runs of blanks."""
    out = name + ":" + first
    for item in items:
        out += item + r.choice([" ", "\r\n ", "\r\n\t", "  ", "\r\n \t "])
    return out.rstrip().encode() + b"\r\n"


def _body(r, kind, number):
    if kind == "multipart":
        blob = base64.encodebytes(r.randbytes(3000)).replace(b"\n", b"\r\n")
        return (b"This is a multi-part message.\r\n--edge=_1\r\n"
                b"Content-Type: text/plain\r\n\r\n" + b"\r\n".join(_text(r, 9))
                + b"\r\n--edge=_1\r\nContent-Type: application/octet-stream\r\n"
                b"Content-Transfer-Encoding: base64\r\n\r\n" + blob
                + b"--edge=_1--\r\n")
    if kind == "8bit":
        return "".join("Grüße, naïve café №%d\r\n" % k
                       for k in range(20)).encode() + b"\xe9\xff\x80 latin\r\n"
    if kind == "dots":
        return b".\r\n..\r\n...\r\n.leading\r\nend.\r\n.\r\n\r\n.\r\n. .\r\n"
    if kind in ("empty", "header only"):
        return b""
    if kind == "blank lines":
        return b"\r\n\r\n" + b"\r\n".join(_text(r, 3)) + b"\r\n" * (2 + number % 5)
    if kind == "long lines":
        return b"".join(b"%c" % (97 + k % 26) * n + b"\r\n"
                        for k, n in enumerate((997, 998, 1, 0, 998)))
    if kind == "spaces":
        return b" \r\n\t\r\n  lead\r\ntrail \t \r\n\tin  the   middle\r\n \r\n"
    return b"\r\n".join(_text(r, 1 + r.randrange(60))) + b"\r\n"


def message(number, seed, mail_from, to, kind=None, size=None):
    """One message as octets, CRLF throughout; size: at least so many octets."""
    r = random.Random(f"{seed}/{number}")
    kind = kind or KINDS[number % len(KINDS)]
    fields = [
        f"From: Sender {number} <{mail_from}>\r\n".encode(),
        f"To: <{to}>\r\n".encode(),
        f"Message-ID: <{number}.{seed}@test.example>\r\n".encode(),
        b"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n",
        b"MIME-Version: 1.0\r\n",
    ]
    if kind == "multipart":
        fields.append(b'Content-Type: multipart/mixed;\r\n\tboundary="edge=_1"\r\n')
    elif kind == "8bit":
        fields += [b"Content-Type: text/plain; charset=utf-8\r\n",
                   b"Content-Transfer-Encoding: 8bit\r\n"]
    subject = f"Subject: number {number}, {kind}\r\n".encode()
    if kind == "folded":
        ids = [f"<{r.getrandbits(64):x}@{r.choice(WORDS)}.example>"
               for _ in range(400)]
        fields.append(_fold(r, "References", ids))
        fields.append(_fold(r, "Comments", [r.choice(WORDS) for _ in range(90)],
                            first="\r\n "))
        subject = _fold(r, "Subject", [r.choice(WORDS) for _ in range(40)])
    elif kind == "spaces":
        subject = b"Subject:no  blank\tbehind the colon \t \r\n"
        fields += [b"Comments: newest\r\n", b"X-Mailer:\r\n", b"Keywords: \r\n",
                   b"Comments:\tmiddle\r\n", b"cOMMENTS: oldest\r\n"]
    fields.append(subject)
    r.shuffle(fields)
    content = b"".join(fields)
    if kind != "header only":
        content += b"\r\n" + _body(r, kind, number)
    if size:
        line = b"\r\n".join(_text(r, 100)) + b"\r\n"
        content += line * ((size - len(content)) // len(line) + 1)
    return content


def mixed(n, seed, mail_from, to, large=3, large_size=5 << 20):
    """n messages of every kind, `large` of them of 5 MiB; to(number) is the
    recipient. Pairs of recipient and content."""
    every = n // large if large else n + 1
    found = []
    for number in range(n):
        size = large_size if large and number % every == every - 1 else None
        kind = "plain" if size else None
        found.append((to(number), message(number, seed, mail_from, to(number),
                                          kind, size)))
    return found
