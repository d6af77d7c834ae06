"""What list managers do to a message, as Mailman does it: with Python's email
package, which writes the whole message anew. Each style takes the octets that
came and gives those that leave."""

import base64
import copy
import email
import email.generator
import email.header
import email.mime.message
import email.mime.text
import email.utils
import hashlib
import io
import re

NAME, ADDRESS = "Talk", "talk@lists.example"
PREFIX = "[Talk] "
HEADER = "This is the list about everything.\n\n"
FOOTER = ("_______________________________________________\n"
          "Talk mailing list -- talk@lists.example\n"
          "To unsubscribe send an email to talk-leave@lists.example\n"
          "https://lists.example/archives/talk/${id}/\n")
WIDE = ("-- \nListe de discussion « Talk » – désinscription : "
        "talk-leave@lists.example\n")


def parse(octets):
    return email.message_from_bytes(octets)


def octets_of(msg):
    """As smtplib sends a message object."""
    for name in ("Bcc", "Resent-Bcc"):
        del msg[name]
    out = io.BytesIO()
    email.generator.BytesGenerator(out).flatten(msg, linesep="\r\n")
    octets = out.getvalue()
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


# ---- what all styles do ------------------------------------------------------


def cook(msg, full=True):
    """Fields that a list puts on every message."""
    digest = hashlib.sha1(str(msg["Message-ID"]).encode()).digest()
    name = base64.b32encode(digest).decode()
    del msg["Message-ID-Hash"]
    msg["Message-ID-Hash"] = name
    msg["X-Message-ID-Hash"] = name
    msg["X-MailFrom"] = "ann@author.example"
    if "precedence" not in msg:
        msg["Precedence"] = "list"
    msg["X-Mailman-Version"] = "3.3.10"
    if not full:
        return
    fields = [("List-Id", f"Talk about everything <{ADDRESS.replace('@', '.')}>")]
    fields += sorted([
        ("Archived-At", f"<https://lists.example/archives/talk/message/{name}/>"),
        ("List-Archive", "<https://lists.example/archives/talk/>"),
        ("List-Help", "<mailto:talk-request@lists.example?subject=help>"),
        ("List-Owner", "<mailto:talk-owner@lists.example>"),
        ("List-Post", f"<mailto:{ADDRESS}>"),
        ("List-Subscribe", "<mailto:talk-join@lists.example>"),
        ("List-Unsubscribe", "<mailto:talk-leave@lists.example>")])
    for field, _ in fields:
        del msg[field]
    for field, value in fields:
        msg[field] = value


def prefix(msg, charset="us-ascii"):
    """The Subject with the list's name before it, encoded anew."""
    field = msg["Subject"]
    chunks = email.header.decode_header(
        field.encode() if isinstance(field, email.header.Header)
        else field or "")
    words = ""
    for chunk, name in chunks:
        if isinstance(chunk, str):
            words += chunk
            continue
        try:
            words += chunk.decode(name or "us-ascii", "replace")
        except LookupError:
            words += chunk.decode("latin-1")
    words = "".join(words.splitlines()).replace(PREFIX.strip(), "").strip()
    again = re.match(r"\s*((RE|AW|SV|VS)(\[\d+\])?\s*:\s*)+", words, re.I)
    if again:
        words = "Re: " + words[again.end():]
    new = PREFIX + (words or "(no subject)")
    del msg["Subject"]
    if all(ord(c) < 128 for c in new):
        msg["Subject"] = email.header.Header(new, continuation_ws="\t")
    else:
        msg["Subject"] = email.header.Header(new, "utf-8",
                                             continuation_ws="\t")


def inline(words, charset):
    part = email.mime.text.MIMEText(words.encode(charset, "replace"),
                                    "plain", charset)
    part["Content-Disposition"] = "inline"
    return part


def into_text(msg, before, behind, charset):
    """Into the text itself, where that can be done; says whether."""
    own = msg.get_content_charset() or "us-ascii"
    flowed = msg.get_param("format")
    try:
        words = msg.get_payload(decode=True).decode(own)
    except (LookupError, UnicodeError):
        return False
    del msg["Content-Transfer-Encoding"]
    if words and not words.endswith("\n"):
        words += "\n"
    for name in (charset, own, "utf-8"):
        try:
            octets = (before + words + behind).encode(name)
        except (UnicodeError, LookupError):
            continue
        msg.set_payload(octets, name)
        if flowed:
            msg.set_param("format", flowed)
        return True
    return False


def decorate(msg, before="", behind=FOOTER, charset="us-ascii"):
    """A header and a footer: in the text, as parts, or around all of it."""
    behind = behind.replace("${id}", str(msg["Message-ID-Hash"]))
    if not msg.is_multipart() and msg.get_content_type() == "text/plain" and \
            into_text(msg, before, behind, charset):
        return
    parts = [inline(words, charset) for words in (before, behind) if words]
    if msg.get_content_type() == "multipart/mixed" and msg.is_multipart():
        payload = msg.get_payload()
        if behind:
            payload.append(parts.pop())
        payload[:0] = parts
        return
    inner = copy.deepcopy(msg)
    for name in set(inner.keys()):
        if not name.lower().startswith("content-"):
            del inner[name]
    payload = [inner]
    if behind:
        payload.append(parts.pop())
    payload[:0] = parts
    for name in ("type", "transfer-encoding", "disposition"):
        del msg["Content-" + name]
    msg.set_payload(payload)
    msg["Content-Type"] = "multipart/mixed"


def text_of(part):
    charset = part.get_content_charset() or "us-ascii"
    try:
        return (part.get_payload(decode=True) or b"").decode(charset, "replace")
    except LookupError:
        return part.get_payload(decode=True).decode("latin-1")


# ---- styles --------------------------------------------------------------------


def fields(msg):
    """List-* fields and nothing else."""
    cook(msg)


def prefixed(msg):
    cook(msg)
    prefix(msg)


def footer(msg):
    cook(msg)
    decorate(msg)


def usual(msg):
    """What most lists do: prefix, fields and footer."""
    cook(msg)
    prefix(msg)
    decorate(msg)


def framed(msg):
    """Header and footer, in a charset that the text may not have."""
    cook(msg)
    decorate(msg, HEADER, WIDE, "utf-8")


def replies(msg):
    """Answers go to the list; what came with Reply-To is kept behind it."""
    cook(msg)
    given = email.utils.getaddresses(
        [str(v) for v in msg.get_all("Reply-To", [])])
    del msg["Reply-To"]
    msg["Reply-To"] = ", ".join(email.utils.formataddr(a) for a in
                                [(NAME, ADDRESS)] + given)
    prefix(msg)
    decorate(msg)


def display_name(msg):
    pairs = email.utils.getaddresses([str(v) for v in msg.get_all("From")])
    name = "".join(
        chunk if isinstance(chunk, str) else
        chunk.decode("latin-1" if charset in (None, "unknown-8bit")
                     else charset, "replace")
        for chunk, charset in email.header.decode_header(pairs[0][0]))
    return name or pairs[0][1].split("@")[0], pairs[0][1]


def munged(msg):
    """From is the list's, the author is in Reply-To."""
    cook(msg)
    prefix(msg)
    name, address = display_name(msg)
    via = str(email.header.Header(f"{name} via {NAME}", "utf-8"))
    given = email.utils.getaddresses(
        [str(v) for v in msg.get_all("Reply-To", [])])
    del msg["From"]
    del msg["Reply-To"]
    msg["From"] = email.utils.formataddr((via, ADDRESS))
    msg["Reply-To"] = ", ".join(email.utils.formataddr(a) for a in
                                given + [(name, address)])
    decorate(msg)


def anonymous(msg):
    """Nothing tells who wrote it."""
    for name in ("From", "Reply-To", "Sender", "Organization", "Return-Path",
                 "Received", "Message-ID"):
        del msg[name]
    for name in set(msg.keys()):
        if name.lower().startswith("x-"):
            del msg[name]
    msg["Message-ID"] = "<164.1.anonymous@lists.example>"
    msg["From"] = email.utils.formataddr((NAME, ADDRESS))
    msg["Reply-To"] = ADDRESS
    cook(msg)
    prefix(msg)
    decorate(msg)


def filtered(msg):
    """Only text comes through; of alternatives the first."""
    def keep(part):
        if not part.is_multipart():
            return part.get_content_maintype() == "text" and \
                part.get_content_disposition() != "attachment"
        if part.get_content_type() == "message/rfc822":
            return False
        left = [p for p in part.get_payload() if keep(p)]
        if left and part.get_content_type() == "multipart/alternative":
            left = left[:1]
        part.set_payload(left)
        return bool(left)

    def collapse(msg):
        while msg.is_multipart() and len(msg.get_payload()) == 1:
            inner = msg.get_payload(0)
            for name in ("Content-Type", "Content-Transfer-Encoding",
                         "Content-Disposition", "Content-Description"):
                del msg[name]
            for name, value in inner.items():
                if name.lower().startswith("content-"):
                    msg[name] = value
            msg._payload = inner._payload       # octets as they are

    if msg.is_multipart():
        before = [p.get_content_type() for p in msg.walk()]
        if not keep(msg):
            msg.set_payload("The content of this message was removed.\n")
            del msg["Content-Type"]
            msg["Content-Type"] = "text/plain; charset=us-ascii"
        collapse(msg)
        if before != [p.get_content_type() for p in msg.walk()]:
            msg["X-Content-Filtered-By"] = "Mailman/MimeDel 3.3.10"
    elif msg.get_content_type() == "text/html":
        words = re.sub(r"(?s)<style.*?</style>|<[^>]*>", "", text_of(msg))
        for name in ("Content-Transfer-Encoding", "Content-Type"):
            del msg[name]
        msg["Content-Type"] = "text/plain"
        msg.set_payload(words.encode("utf-8"), "utf-8")
    cook(msg)
    decorate(msg)


def scrubbed(msg):
    """Everything that is no text is a link; all texts become one."""
    if msg.is_multipart():
        out = []
        for k, part in enumerate(p for p in msg.walk() if not p.is_multipart()):
            if part.get_content_type() == "text/plain" and \
                    part.get_content_disposition() != "attachment":
                out.append(text_of(part).replace("\r\n", "\n"))
                continue
            out.append("-------------- next part --------------\n"
                       "A non-text attachment was scrubbed...\n"
                       f"Name: {part.get_filename('not available')}\n"
                       f"Type: {part.get_content_type()}\n"
                       f"Size: {len(part.get_payload(decode=True) or b'')} "
                       "bytes\nDesc: not available\n"
                       f"URL: <https://lists.example/a/{k}.bin>\n")
        for name in ("type", "transfer-encoding", "disposition"):
            del msg["Content-" + name]
        msg["Content-Type"] = "text/plain"
        msg.set_payload("".join(o if o.endswith("\n") else o + "\n"
                                for o in out).encode("utf-8", "replace"),
                        "utf-8")
    cook(msg)
    prefix(msg)
    decorate(msg)


def personal(msg):
    """To is the subscriber, the footer is made for him."""
    cook(msg)
    prefix(msg)
    del msg["To"]
    msg["To"] = email.utils.formataddr(("Bert Reader", "bert@reader.example"))
    decorate(msg, "Hello Bert,\n\n", FOOTER + "You are bert@reader.example\n")


def wrapped(msg):
    """The message is a part of one from the list; so is its chain."""
    cook(msg)
    prefix(msg)
    inner = copy.deepcopy(msg)
    keep = ("archived-at", "date", "in-reply-to", "list-", "precedence",
            "references", "subject", "to", "x-mailman-")
    for name in set(msg.keys()):
        if not name.lower().startswith(keep):
            del msg[name]
    name, address = display_name(inner)
    msg["MIME-Version"] = "1.0"
    msg["Message-ID"] = "<164.2.wrapped@lists.example>"
    via = str(email.header.Header(f"{name} via {NAME}", "utf-8"))
    msg["From"] = email.utils.formataddr((via, ADDRESS))
    msg["Reply-To"] = email.utils.formataddr((name, address))
    if len(str(msg["Subject"])) % 2:        # with a text of the list or not
        part = email.mime.message.MIMEMessage(inner)
        part["Content-Disposition"] = "inline"
        msg["Content-Type"] = "multipart/mixed"
        msg.set_payload([inline("The author's domain does not let its mail "
                                "pass by lists.\n", "us-ascii"), part])
    else:
        msg["Content-Type"] = "message/rfc822"
        msg["Content-Disposition"] = "inline"
        msg.set_payload([inner])
    decorate(msg)


ALL = {f.__name__: f for f in (
    fields, prefixed, footer, usual, framed, replies, munged, anonymous,
    filtered, scrubbed, personal, wrapped)}


def apply(name, octets):
    msg = parse(octets)
    ALL[name](msg)
    return octets_of(msg)


# ---- one that keeps octets -------------------------------------------------------


def plain_octets(octets):
    """mlmmj's way: fields on top, a prefix, a footer below, nothing else is
    touched."""
    head, _, body = octets.partition(b"\r\n\r\n")
    head += b"\r\n"
    head = re.sub(rb"(?im)^(Subject:)[ \t]*", rb"\1 [talk] ", head, count=1)
    return (b"List-Id: <talk.lists.example>\r\nPrecedence: list\r\n"
            b"Sender: talk-bounces@lists.example\r\n"
            b"Errors-To: talk-bounces@lists.example\r\n" + head + b"\r\n" +
            body + b"-- \r\nTo leave: talk+unsubscribe@lists.example\r\n")
