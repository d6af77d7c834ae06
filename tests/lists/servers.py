"""What mail servers and filters in between do to a message. Some work on the
octets, some on the parsed message; each takes octets and gives octets. None of
them knows that there is a chain, but all leave the fields of it there."""

import base64
import email
import email.header
import email.utils
import quopri
import re

import styles

CHAIN = (b"dkim2-signature", b"message-instance")


# ---- octets --------------------------------------------------------------------


def split(octets):
    """([(name, value with folds)], body)"""
    head, _, body = octets.partition(b"\r\n\r\n")
    found = []
    for line in re.split(rb"\r\n(?![ \t])", head):
        name, _, value = line.partition(b":")
        found.append((name, value))
    return found, body


def join(fields, body):
    return b"".join(n + b":" + v + b"\r\n" for n, v in fields) + b"\r\n" + body


def each_field(octets, change, but=CHAIN):
    fields, body = split(octets)
    return join([(n, v) if n.strip().lower() in but else (n, change(n, v))
                 for n, v in fields], body)


def refold(octets, width=78):
    """Fields unfolded and folded again at blanks, those of the chain too."""
    def again(name, value):
        words = value.replace(b"\r\n", b"").split()
        out, n = b"", len(name) + 1
        for w in words:
            if out and n + 1 + len(w) > width:
                out += b"\r\n\t" + w
                n = 1 + len(w)
            else:
                out += b" " + w
                n += 1 + len(w)
        return out or b" "
    return each_field(octets, again, ())


def external(octets):
    """A warning in the Subject; there is one afterwards in any case."""
    fields, body = split(octets)
    out = [(n, b" [EXTERNAL] " + v.strip()) if n.lower() == b"subject" else
           (n, v) for n, v in fields]
    if not any(n.lower() == b"subject" for n, _ in fields):
        out.append((b"Subject", b" [EXTERNAL]"))
    return join(out, body)


def decoded(value):
    """Text of a field, whatever it is written in."""
    raw = value.replace(b"\r\n", b"")
    try:
        words = raw.decode("ascii")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace").strip()
    out = ""
    for chunk, charset in email.header.decode_header(words.strip()):
        if isinstance(chunk, str):
            out += chunk
            continue
        try:
            out += chunk.decode(charset or "ascii", "replace")
        except LookupError:
            out += chunk.decode("latin-1")
    return out


def reencode(octets, names=(b"subject", b"to", b"cc", b"organization")):
    """Encoded words and raw octets are written again, in UTF-8."""
    def again(name, value):
        if name.strip().lower() not in names:
            return value
        words = decoded(value)
        if name.lower() in (b"to", b"cc", b"from"):
            raw = value.replace(b"\r\n", b"").decode("latin-1")
            pairs = email.utils.getaddresses([raw])
            words = ", ".join(email.utils.formataddr(
                (decoded(n.encode("latin-1")), a), "utf-8") for n, a in pairs)
            return b" " + words.encode("utf-8")
        if not words.isascii():
            return b" =?utf-8?B?" + base64.b64encode(words.encode()) + b"?="
        return b" " + words.encode()
    return each_field(octets, again)


def with_from(octets):
    """The same, From included: the author's mailbox in other octets."""
    return reencode(octets, (b"subject", b"to", b"cc", b"from"))


def tidied(octets):
    """A server that knows better: order, dates, blanks, no fields twice."""
    fields, body = split(octets)
    out, seen = [], set()
    for name, value in fields:
        key = name.strip().lower()
        if key in CHAIN or key == b"received":
            out.append((name, value))
            continue
        if key in seen or key in (b"thread-topic", b"autocrypt"):
            continue
        seen.add(key)
        if key == b"date":
            value = b" Thu, 19 Nov 2026 09:00:00 +0000 (UTC)"
        if key == b"message-id":
            value = b" " + value.strip()
        if key == b"mime-version":
            value = b" 1.0 (server 5.1)"
        out.append((key.title(), value.rstrip()))
    keep = [f for f in out if f[0].lower() in CHAIN + (b"received",)]
    rest = sorted(f for f in out if f[0].lower() not in CHAIN + (b"received",))
    return join(keep + rest, body)


def trimmed(octets):
    """Blanks at line ends and tabs are gone; From_ lines are quoted."""
    fields, body = split(octets)
    body = re.sub(rb"[ \t]+\r\n", b"\r\n", body).replace(b"\t", b"    ")
    return join(fields, re.sub(rb"(?m)^From ", b">From ", body))


def narrow(octets):
    """Long lines are cut, as old transports do."""
    fields, body = split(octets)
    out = []
    for line in body.split(b"\r\n"):
        while len(line) > 140:
            out.append(line[:139] + b"!")
            line = b" " + line[139:]
        out.append(line)
    return join(fields, b"\r\n".join(out))


# ---- parts -----------------------------------------------------------------------


class Part:
    """A part of a message: its fields and body as octets, its parts. What is
    not touched keeps its octets."""

    def __init__(self, octets):
        if octets.startswith(b"\r\n"):
            self.fields, self.body = [], octets[2:]
        else:
            self.fields, self.body = split(octets)
        kind = self.get(b"content-type")
        self.kind = kind.split(b";")[0].strip().lower() or b"text/plain"
        found = re.search(rb'boundary="([^"]+)"|boundary=([^ ;"]+)', kind)
        self.boundary = found and (found.group(1) or found.group(2))
        self.parts = []
        if self.kind.startswith(b"multipart/") and self.boundary:
            pieces = re.split(rb"(?:\A|\r\n)--" + re.escape(self.boundary) +
                              rb"(--)?[ \t]*(?:\r\n|\Z)", self.body)
            self.before, self.behind = pieces[0], pieces[-1]
            self.parts = [Part(p) for p in pieces[2:-2:2]]

    def get(self, name):
        for n, v in self.fields:
            if n.strip().lower() == name:
                return v.replace(b"\r\n", b"").strip()
        return b""

    def set(self, name, value):
        for k, (n, _) in enumerate(self.fields):
            if n.strip().lower() == name.lower():
                self.fields[k] = (n, b" " + value)
                return
        self.fields.append((name, b" " + value))

    def drop(self, name):
        self.fields = [f for f in self.fields if f[0].strip().lower() != name]

    def octets(self):
        if self.parts:
            edge = b"--" + self.boundary
            body = self.before + (b"\r\n" if self.before else b"")
            for p in self.parts:
                body += edge + b"\r\n" + p.octets() + b"\r\n"
            body += edge + b"--\r\n" + self.behind
        else:
            body = self.body
        return join(self.fields, body) if self.fields else b"\r\n" + body

    def leaves(self):
        if not self.parts:
            return [self]
        return [leaf for p in self.parts for leaf in p.leaves()]

    @property
    def encoding(self):
        return self.get(b"content-transfer-encoding").lower()

    def decoded(self):
        if self.encoding == b"base64":
            return base64.b64decode(self.body)
        if self.encoding == b"quoted-printable":
            return quopri.decodestring(self.body)
        return self.body

    def encode(self, octets, encoding=None):
        encoding = encoding or self.encoding or b"7bit"
        if encoding == b"base64":
            self.body = base64.encodebytes(octets).replace(b"\n", b"\r\n")
        elif encoding == b"quoted-printable":
            self.body = quopri.encodestring(octets.replace(
                b"\r\n", b"\n")).replace(b"\n", b"\r\n")
        else:
            self.body = octets
        if encoding != self.encoding:
            self.set(b"Content-Transfer-Encoding", encoding)

    def is_attached(self):
        return b"attachment" in self.get(b"content-disposition").lower()

    def is_text(self, kind=b"text/plain"):
        return self.kind == kind and not self.is_attached()


def each_part(octets, change):
    whole = Part(octets)
    for leaf in whole.leaves():
        change(leaf)
    return whole.octets()


DISCLAIMER = (b"\r\n________________________________\r\nThis message is for its "
              b"addressee alone. Whoever reads it by\r\nmistake is asked to "
              b"tell the sender and to delete it.\r\n")
BANNER = b"CAUTION: this message comes from outside. Do not open attachments.\r\n\r\n"


def disclaimer(octets):
    """Below each text, in HTML before its end, decoded and encoded again."""
    def change(part):
        old = part.decoded()
        if part.is_text():
            part.encode(old + DISCLAIMER)
        elif part.is_text(b"text/html"):
            at = old.lower().rfind(b"</body>")
            at = len(old) if at < 0 else at
            part.encode(old[:at] + b"<hr><p>" + DISCLAIMER + b"</p>\r\n" +
                        old[at:])
    return each_part(octets, change)


def banner(octets):
    """The same at the top."""
    def change(part):
        old = part.decoded()
        if part.is_text():
            part.encode(BANNER + old)
        elif part.is_text(b"text/html"):
            at = old.lower().find(b"<body>")
            at = 0 if at < 0 else at + 6
            part.encode(old[:at] + b'<div style="color:red">' + BANNER +
                        b"</div>" + old[at:])
    return each_part(octets, change)


def to_qp(octets):
    """8bit is not offered further on."""
    def change(part):
        if part.encoding == b"8bit":
            part.encode(part.body, b"quoted-printable")
    return each_part(octets, change)


def to_8bit(octets):
    """Quoted-printable is undone where it may be."""
    def change(part):
        if part.encoding == b"quoted-printable" and \
                part.kind.startswith(b"text/"):
            part.encode(part.decoded(), b"8bit")
    return each_part(octets, change)


def and_back(octets):
    """To quoted-printable and back again, by two servers."""
    return to_8bit(to_qp(octets))


def rebase(octets):
    """Base64 in lines of another width."""
    def change(part):
        if part.encoding == b"base64":
            whole = base64.b64encode(part.decoded())
            part.body = b"".join(whole[k:k + 64] + b"\r\n"
                                 for k in range(0, len(whole), 64))
    return each_part(octets, change)


def links(octets):
    """Every link leads by way of the filter."""
    def change(part):
        if part.is_attached() or not part.kind.startswith(b"text/"):
            return
        old = part.decoded()
        new = re.sub(rb"https?://[^\s\"'<>]+", lambda m: b"https://safe.example"
                     b"/?url=" + m.group().replace(b":", b"%3A").replace(
                         b"/", b"%2F") + b"&data=05%7C02%7C" + b"a" * 40, old)
        if new != old:
            part.encode(new)
    return each_part(octets, change)


def stripped(octets):
    """Attachments are taken out, a note says so."""
    def change(part):
        if part.is_attached() and part.kind != b"message/rfc822":
            part.fields = [(b"Content-Type", b" text/plain; charset=us-ascii")]
            part.body = (b"The attachment was removed by the mail filter.\r\n"
                         b"Type: " + part.kind + b"\r\n")
    return each_part(octets, change)


def to_utf8(octets):
    """All texts in one charset."""
    def change(part):
        found = re.search(rb'charset="?([^";\s]+)', part.get(b"content-type"))
        if not found or not part.kind.startswith(b"text/"):
            return
        name = found.group(1).lower()
        if name in (b"utf-8", b"us-ascii"):
            return
        try:
            words = part.decoded().decode(name.decode())
        except (LookupError, UnicodeDecodeError):
            return
        part.encode(words.encode("utf-8"))
        part.set(b"Content-Type", part.kind + b'; charset="utf-8"')
    return each_part(octets, change)


def rebuilt(octets):
    """Written anew by a library that takes everything apart: other
    boundaries, other encodings, other folds."""
    msg = email.message_from_bytes(octets)
    for number, part in enumerate(p for p in msg.walk() if p.is_multipart()):
        if part.get_content_maintype() == "multipart":
            part.set_boundary(f"_{number:03d}_AM0PR04MB0001_")
    for part in msg.walk():
        if part.get_content_maintype() == "text":
            charset = part.get_content_charset() or "us-ascii"
            try:
                words = part.get_payload(decode=True).decode(charset)
            except (LookupError, UnicodeDecodeError):
                continue
            part.set_payload(base64.encodebytes(
                words.encode("utf-8")).decode())
            part.set_param("charset", "utf-8")
            del part["Content-Transfer-Encoding"]
            part["Content-Transfer-Encoding"] = "base64"
    return styles.octets_of(msg)


def forgotten(octets):
    """Fields that nobody knows are dropped, those of the chain too."""
    fields, body = split(octets)
    known = (b"from", b"to", b"cc", b"date", b"subject", b"message-id",
             b"mime-version", b"references", b"in-reply-to", b"reply-to")
    return external(join([f for f in fields if f[0].strip().lower() in known
                          or f[0].lower().startswith(b"content-")], body))


def enclosed(octets):
    """A filter sends its own message, with the suspect one in it."""
    edge = b"----filter-0001"
    return (b"From: Filter <filter@lists.example>\r\n"
            b"To: talk@lists.example\r\nSubject: *SPAM*\r\n"
            b"Message-ID: <f1@lists.example>\r\nMIME-Version: 1.0\r\n"
            b'Content-Type: multipart/mixed; boundary="' + edge + b'"\r\n\r\n'
            b"--" + edge + b"\r\nContent-Type: text/plain\r\n\r\n"
            b"This may be unwanted.\r\n\r\n--" + edge + b"\r\n"
            b"Content-Type: message/rfc822\r\nContent-Disposition: "
            b"attachment\r\n\r\n" + octets + b"\r\n--" + edge + b"--\r\n")


def filtered_list(octets):
    """A server, and behind it a list."""
    return styles.apply("usual", external(disclaimer(octets)))


ALL = {f.__name__: f for f in (
    refold, external, reencode, with_from, tidied, trimmed, narrow, disclaimer,
    banner, to_qp, to_8bit, and_back, rebase, links, stripped, to_utf8, rebuilt,
    forgotten, enclosed, filtered_list)}


def apply(name, octets):
    return ALL[name](octets)
