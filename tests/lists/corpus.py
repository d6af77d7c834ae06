"""Messages as people and programs write them, the same ones for the same
seed. Every octet is ours: nothing goes through a library that would tidy it
up. All are from a mailbox of AUTHOR's domain, so that it can sign them."""

import base64
import quopri
import random

AUTHOR = "author.example"
LIST = "talk@lists.example"

# A few words of several languages; sentences are made of them.
LANGUAGES = {
    "en": "the meeting about our budget moves to Thursday because nobody found "
          "a room please bring your notes and ask early thanks for the long "
          "answer it helped a lot we should try again when spring comes",
    "de": "die Prüfung der Größe läuft über Nacht und morgen früh können wir "
          "hören was übrig bleibt schöne Grüße aus München natürlich für alle",
    "fr": "où est passé le café à côté de l'hôtel ça dépend des élèves déjà "
          "arrivés très tôt voilà une idée qui plaît même à Noël",
    "es": "mañana señalará el niño cuántos años tiene la canción según él "
          "también está aquí qué más pedirá después",
    "pl": "zażółć gęślą jaźń proszę przesłać źródło później dziękuję wszystko "
          "będzie dobrze łącznie środa",
    "ru": "завтра утром мы встретимся у входа принесите пожалуйста документы "
          "спасибо за ответ всё получилось хорошо",
    "el": "καλημέρα σας στέλνω το αρχείο που ζητήσατε ευχαριστώ πολύ για την "
          "απάντηση αύριο θα μιλήσουμε",
    "ja": "明日の 会議は 午後三時から 始まります 資料を 送ります よろしく "
          "お願いします ありがとう ございました",
    "ar": "مرحبا أرسل لكم الملف المطلوب شكرا جزيلا على الرد سنتحدث غدا",
    "emoji": "great 🎉 see you 👋🏽 soon 🌍 really ❤️ nice — “quoted” … ok ✔",
}
# Charsets that can hold a language, beside utf-8.
NARROW = {"en": "us-ascii", "de": "iso-8859-1", "fr": "iso-8859-1",
          "es": "windows-1252", "pl": "iso-8859-2", "ru": "koi8-r",
          "el": "iso-8859-7", "ja": "iso-2022-jp"}
NAMES = ["Alice Adams", "Bob", "Grace O'Neil", "J. R. Smith", "Smith, John",
         "Zoë Krämer", "José Núñez", "Łukasz Żak", "Иван Петров",
         "山田 太郎", "Dr. Müller (Labor)", "O\"Quote \\ Back", "ann",
         "Maximilian von und zu Langenfeld-Hohenstein der Jüngere, Abteilung "
         "für besonders lange Namen"]

KINDS = ["plain", "long", "flowed", "8bit", "latin", "qp", "base64", "html",
         "html qp", "html base64", "alternative", "related", "attached",
         "attached text", "signed", "nested", "patch", "quoted", "bare",
         "table", "empty", "blank", "no mime", "report", "newsletter", "log"]


def sentence(r, language, n=None):
    words = LANGUAGES[language].split()
    out = " ".join(r.choice(words) for _ in range(n or r.randint(3, 14)))
    return out[:1].upper() + out[1:] + r.choice([".", ".", ".", "!", "?", ":"])


def paragraph(r, language, width=72):
    """Lines of a paragraph, wrapped as a person's editor does."""
    text = " ".join(sentence(r, language) for _ in range(r.randint(1, 5)))
    if width is None:
        return [text]
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return lines + [line]


def text(r, language, width=72, paragraphs=None):
    """Lines of a letter: paragraphs, quotes, links, a signature."""
    out = []
    if r.random() < 0.4:
        out += [sentence(r, language, 2).rstrip(".!?:") + ",", ""]
    for _ in range(paragraphs or r.randint(1, 6)):
        lines = paragraph(r, language, width)
        if r.random() < 0.25:
            lines = ["> " * r.randint(1, 3) + line for line in lines]
        out += lines + [""]
        if r.random() < 0.2:
            out += [f"https://www.example.org/{r.choice('abcdef')}/"
                    f"{r.getrandbits(40):x}?q=1&lang={language}", ""]
    if r.random() < 0.15:
        out += ["From here on it is easy.", ".", "..", ""]
    if r.random() < 0.1:
        out += ["\tindented\twith tabs  ", "trailing blanks   ", ""]
    if r.random() < 0.4:
        out += ["-- ", r.choice(NAMES), "http://author.example/~me"]
    return out


# ---- encodings ---------------------------------------------------------------


def crlf(lines, charset):
    return b"".join(line.encode(charset, "replace") + b"\r\n"
                    for line in lines)


def in_base64(octets, width=76):
    whole = base64.b64encode(octets)
    return b"".join(whole[k:k + width] + b"\r\n"
                    for k in range(0, len(whole), width))


def in_qp(octets):
    return b"\r\n".join(quopri.encodestring(line).replace(b"\n", b"\r\n")
                        for line in octets.split(b"\r\n"))


def word(r, value, charset="utf-8"):
    """An encoded word, or several, as different programs make them."""
    how = r.randrange(4)
    chunks = [value[k:k + 12] for k in range(0, len(value), 12)]
    if how == 0:
        encoded = ["=?%s?B?%s?=" % (charset, base64.b64encode(
            c.encode(charset, "replace")).decode()) for c in chunks]
        return "\r\n ".join(encoded)
    if how == 1:
        encoded = ["=?%s?q?%s?=" % (charset.upper(), "".join(
            chr(o) if chr(o).isalnum() and o < 128 else "_" if o == 32
            else f"={o:02X}" for o in c.encode(charset, "replace")))
            for c in chunks]
        return " ".join(encoded)
    if how == 2:
        return "=?%s?b?%s?=" % (charset, base64.b64encode(
            value.encode(charset, "replace")).decode())
    return "=?%s?Q?%s?=" % (charset, "".join(
        f"={o:02x}" for o in value.encode(charset, "replace")))


def is_ascii(value):
    return all(ord(c) < 128 for c in value)


# ---- fields --------------------------------------------------------------------


def mailbox(r, name, address):
    if name is None:
        return r.choice([address, f"<{address}>"])
    if not is_ascii(name):
        return f"{word(r, name)} <{address}>"
    special = set('(),:;<>@[]".\\') & set(name)
    if special or r.random() < 0.3:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{address}>'
    if r.random() < 0.1:
        return f"{address} ({name})"
    return f"{name} <{address}>"


def from_field(r, number):
    local = r.choice(["ann", "bob.b", "o'neil", "first.last+tag", "x_1"])
    domain = r.choice([AUTHOR, AUTHOR, AUTHOR, "mail." + AUTHOR, "Author.Example"])
    value = mailbox(r, r.choice([None] + NAMES + NAMES), f"{local}@{domain}")
    return f"From: {value}\r\n".encode()


def subject(r, language):
    """As octets; b"" where there is no such field."""
    how = r.randrange(14)
    plain = sentence(r, language, r.randint(1, 7)).rstrip(".")
    if how == 0:
        return b""
    if how == 1:
        return b"Subject:\r\n"
    if how == 2:
        return b"Subject: \r\n"
    if how == 3:
        return b"SUBJECT:\t" + plain.encode("utf-8") + b"\r\n"     # no RFC 6532
    if how == 4:
        return b"Subject: " + plain.encode("latin-1", "replace") + b"\r\n"
    if how == 5:
        plain = "Re: [talk] " + plain
    if how == 6:
        plain = "AW: " + plain + " (was: " + plain + ")"
    if how == 7:
        plain = " ".join(sentence(r, language) for _ in range(6))
    if is_ascii(plain):
        words = plain.split(" ")
        out = "Subject: " + words[0]
        for w in words[1:]:
            out += ("\r\n " if r.random() < 0.15 else
                    "  " if r.random() < 0.1 else " ") + w
        return out.encode() + b"\r\n"
    if r.random() < 0.2:
        return b"Subject: Re: " + word(r, plain).encode() + b" (2)\r\n"
    return b"Subject: " + word(r, plain).encode() + b"\r\n"


def fold(r, name, items, separator=", "):
    out = name + ":"
    width = len(out)
    for k, item in enumerate(items):
        add = item + (separator.rstrip() if k + 1 < len(items) else "")
        if width + len(add) > r.choice([60, 76, 120]):
            out += r.choice(["\r\n ", "\r\n\t", "\r\n        "])
            width = 1
        else:
            out += " "
            width += 1
        out += add
        width += len(add)
    return out.encode() + b"\r\n"


def addresses(r, n):
    return [mailbox(r, r.choice([None] + NAMES), f"user{k}@{d}.example")
            for k, d in ((r.randrange(900), r.choice(["one", "two", "three"]))
                         for _ in range(n))]


def others(r, number):
    """Fields that are there or not, some twice."""
    out = []
    if r.random() < 0.7:
        out.append(b"X-Mailer: Writer 7.%d\r\n" % r.randrange(9))
    if r.random() < 0.5:
        ids = [f"<{r.getrandbits(64):x}@{r.choice(['one', 'two'])}.example>"
               for _ in range(r.choice([1, 1, 2, 5, 40]))]
        out.append(fold(r, "References", ids, " "))
        out.append(f"In-Reply-To: {ids[-1]}\r\n".encode())
    if r.random() < 0.3:
        out.append(fold(r, r.choice(["Cc", "CC"]),
                        addresses(r, r.choice([1, 3, 30]))))
    if r.random() < 0.25:
        out.append(b"Reply-To: " +
                   mailbox(r, None, "replies@author.example").encode() + b"\r\n")
    if r.random() < 0.15:
        out += [b"Comments: one\r\n", b"Comments:   two\t of  two \r\n",
                b"comments:\r\n three\r\n"]
    if r.random() < 0.15:
        out += [b"Keywords:\r\n", b"Keywords: a,b,c,d\r\n"]
    if r.random() < 0.15:
        out.append(b"Sender: secretary@author.example\r\n")
    if r.random() < 0.1:
        out.append(b"Organization: Caf\xe9 Z\xfcrich\r\n")
    if r.random() < 0.1:
        out.append(b"Organization: " + "Büro für Post".encode() + b"\r\n")
    if r.random() < 0.1:
        out.append(b"Auto-Submitted: auto-generated\r\nPrecedence: bulk\r\n")
    if r.random() < 0.1:
        out.append(b"List-Unsubscribe: <https://author.example/u?%x>\r\n"
                   b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
                   % r.getrandbits(60))
    if r.random() < 0.1:
        out.append(b"Thread-Topic: " + b"very" * 60 + b"\r\n")
    if r.random() < 0.1:
        out.append(b"Autocrypt: addr=ann@author.example; prefer-encrypt=mutual;"
                   b"\r\n keydata=" + base64.b64encode(r.randbytes(700)) +
                   b"\r\n")
    if r.random() < 0.1:
        out.append(b"Received: from a by b with SMTP id 1; Mon, 23 Nov 2026 "
                   b"10:00:00 +0000\r\n")
    return out


# ---- bodies ----------------------------------------------------------------------


def html(r, language, large=False):
    lines = ["<!DOCTYPE html>", "<html><head>", "<meta charset=\"utf-8\">",
             "<style>p { margin: 0; }", "\ta:hover { color: red }</style>",
             "</head>", "<body>"]
    for _ in range(60 if large else r.randint(1, 8)):
        body = " ".join(paragraph(r, language, None))
        lines += ["<p style=\"font-family:'Calibri',sans-serif\">" +
                  body[:700] + "</p>", "<p>&nbsp;</p>", ""]
        if r.random() < 0.5:
            lines.append(f'<a href="https://shop.example/{r.getrandbits(48):x}'
                         f'?utm=mail&amp;id={r.randrange(999)}">click</a>')
        if r.random() < 0.3:
            lines += ["<table>", "<tr>", "<td>", str(r.randrange(99)),
                      "</td>", "</tr>", "</table>"]
    return lines + ["</body>", "</html>"]


def part(kind, octets, encoding=None, more=b""):
    out = b"Content-Type: " + kind + b"\r\n"
    if encoding:
        out += b"Content-Transfer-Encoding: " + encoding + b"\r\n"
    return out + more + b"\r\n" + octets


def multipart(r, subtype, parts, more=b"", preamble=b"", epilogue=b""):
    """(Content-Type value, body)"""
    boundary = r.choice([b"=_%016x", b"----=_NextPart_%x", b"%032x",
                         b"b1'()+_,-./:=?%x"]) % r.getrandbits(64)
    body = preamble
    for p in parts:
        body += b"--" + boundary + b"\r\n" + p
        body += b"" if p.endswith(b"\r\n") and r.random() < 0.3 else b"\r\n"
    body += b"--" + boundary + b"--\r\n" + epilogue
    return (b"multipart/" + subtype + b";" + r.choice([b" ", b"\r\n\t"]) +
            more + b'boundary="' + boundary + b'"', body)


def some_text(r, language):
    """A text/plain part in any of its forms."""
    charset = r.choice(["utf-8", NARROW.get(language, "utf-8")])
    octets = crlf(text(r, language), charset)
    how = r.randrange(3)
    kind = b"text/plain; charset=" + charset.encode()
    if how == 0 and charset != "us-ascii":
        return part(kind, octets, b"8bit")
    if how == 1:
        return part(kind, in_base64(octets), b"base64")
    return part(kind, in_qp(octets), b"quoted-printable")


def some_html(r, language):
    octets = crlf(html(r, language), "utf-8")
    if r.random() < 0.3:
        return part(b"text/html; charset=UTF-8", in_base64(octets), b"base64")
    if r.random() < 0.5:
        return part(b"text/html; charset=UTF-8", octets, b"8bit")
    return part(b"text/html; charset=UTF-8", in_qp(octets), b"quoted-printable")


def attachment(r, size):
    name = r.choice(["report.pdf", "photo of us.jpg", "=?utf-8?Q?Gr=C3=B6=C3"
                     "=9Fe.pdf?=", "data.bin"]).encode()
    return part(b'application/octet-stream;\r\n name="' + name + b'"',
                in_base64(r.randbytes(size), r.choice([76, 76, 72, 60])),
                b"base64", b'Content-Disposition: attachment;\r\n\tfilename="' +
                name + b'"\r\n')


def single(r, kind, language):
    """(Content-Type value, encoding, body) of a message with one part."""
    narrow = NARROW.get(language, "utf-8")
    lines = text(r, language)
    if kind == "long":
        return (b"text/plain; charset=utf-8", b"8bit", crlf(
            [p for _ in range(3) for p in paragraph(r, language, None)],
            "utf-8"))
    if kind == "flowed":
        lines = [line + " " if line and not line.startswith((">", "-- "))
                 else line for line in lines]
        more = b"; delsp=yes" if r.random() < 0.2 else b""
        return (b"text/plain; charset=UTF-8; format=flowed" + more, b"8bit",
                crlf(lines, "utf-8"))
    if kind == "latin":
        return (b"text/plain; charset=" + narrow.encode(), b"8bit",
                crlf(lines, narrow))
    if kind == "qp":
        return (b'text/plain; charset="utf-8"', b"quoted-printable",
                in_qp(crlf(lines, "utf-8")))
    if kind == "base64":
        return (b'text/plain; charset="utf-8"', b"base64",
                in_base64(crlf(lines, "utf-8"), r.choice([76, 76, 72, 64])))
    if kind == "html":
        return (b"text/html; charset=utf-8", b"8bit",
                crlf(html(r, language, r.random() < 0.1), "utf-8"))
    if kind == "html qp":
        return (b"text/html;\r\n\tcharset=utf-8", b"quoted-printable",
                in_qp(crlf(html(r, language, r.random() < 0.1), "utf-8")))
    if kind == "html base64":
        return (b"text/html; charset=utf-8", b"base64",
                in_base64(crlf(html(r, language), "utf-8")))
    if kind == "patch":
        return (b"text/x-patch; charset=us-ascii", b"7bit", patch(r))
    if kind == "table":
        return (b"text/plain; charset=us-ascii", None, b"".join(
            b"%d\t%d\t%d\r\n" % (k, r.randrange(99), r.randrange(9))
            for k in range(r.choice([20, 300, 3000]))))
    if kind == "newsletter":
        return (b"text/html; charset=utf-8", b"quoted-printable",
                in_qp(crlf(newsletter(r, language), "utf-8")))
    if kind == "log":
        return (b"text/plain; charset=us-ascii", None, log(r))
    if kind == "empty":
        return b"text/plain", None, b""
    if kind == "blank":
        return b"text/plain", None, b"\r\n\r\n" + crlf(lines, "utf-8") + b"\r\n\r\n"
    if kind == "quoted":
        quoted = ["> " + line for line in text(r, language, paragraphs=20)]
        return (b"text/plain; charset=utf-8", b"8bit",
                crlf(quoted + [""] + lines, "utf-8"))
    return (b"text/plain; charset=utf-8", b"8bit", crlf(lines, "utf-8"))


def newsletter(r, language):
    """Long, with the same lines over and over and a link in each item."""
    lines = ["<html>", "<body>", "<table width=\"100%\">"]
    for _ in range(r.choice([20, 80, 320])):
        lines += ["<tr>", "  <td>", "    &nbsp;", "  </td>", "  <td>",
                  f'    <a href="https://news.example/{r.getrandbits(40):x}">'
                  f"{sentence(r, language, 3)}</a>",
                  "    <br>", "  </td>", "</tr>"]
    return lines + ["</table>", "</body>", "</html>"]


def log(r):
    """A long table of lines that are all alike, some of them equal."""
    out = []
    for k in range(r.choice([200, 800, 3000])):
        host = r.choice(["mx1", "mx2", "relay"])
        out.append(r.choice([
            f"Nov 23 10:{k // 60 % 60:02}:{k % 60:02} {host} kernel: eth0 up",
            f"Nov 23 {host} http://{host}.example/{r.randrange(9)} ok  ",
            "-- MARK --", ""]))
    return crlf(out, "us-ascii")


def patch(r):
    out = [b"From 0123456789abcdef Mon Sep 17 00:00:00 2001", b"---"]
    for k in range(r.randint(2, 12)):
        out += [b"diff --git a/f%d.c b/f%d.c" % (k, k), b"@@ -1,3 +1,4 @@",
                b" \tif (a == b)", b"-\t\treturn;", b"+\t\treturn 0;", b" }",
                b" "]
    return b"".join(line + b"\r\n" for line in out + [b"-- ", b"2.39.5", b""])


def compound(r, kind, language):
    """(Content-Type value, body) of a message with several parts."""
    preamble = b"This is a multi-part message in MIME format.\r\n" \
        if r.random() < 0.5 else b""
    if kind == "alternative":
        return multipart(r, b"alternative", [some_text(r, language),
                                             some_html(r, language)],
                         preamble=preamble)
    if kind == "related":
        inner = multipart(r, b"alternative", [some_text(r, language),
                                              some_html(r, language)])
        image = part(b"image/png", in_base64(r.randbytes(r.randint(90, 9000))),
                     b"base64", b"Content-ID: <i1@author.example>\r\n"
                     b"Content-Disposition: inline\r\n")
        return multipart(r, b"related", [part(inner[0], inner[1]), image],
                         more=b'type="multipart/alternative"; ')
    if kind == "attached":
        return multipart(r, b"mixed", [some_text(r, language), attachment(
            r, r.choice([500, 5000, 20000, 100000]))], preamble=preamble,
            epilogue=b"\r\n" if r.random() < 0.3 else b"")
    if kind == "attached text":
        note = part(b"text/plain; name=notes.txt", crlf(text(r, language),
                    "utf-8"), b"8bit", b"Content-Disposition: attachment\r\n")
        return multipart(r, b"mixed", [some_text(r, language), note, part(
            b"text/x-patch", patch(r))])
    if kind == "signed":
        signature = part(b'application/pgp-signature; name="signature.asc"',
                         b"-----BEGIN PGP SIGNATURE-----\r\n\r\n" +
                         in_base64(r.randbytes(120), 64) +
                         b"=abcd\r\n-----END PGP SIGNATURE-----\r\n")
        return multipart(r, b"signed", [some_text(r, language), signature],
                         more=b"micalg=pgp-sha256; "
                         b'protocol="application/pgp-signature"; ')
    if kind == "nested":
        inner = message(r.getrandbits(30), 0, r.choice(["plain", "8bit",
                                                        "alternative"]))
        return multipart(r, b"mixed", [some_text(r, language), part(
            b"message/rfc822", inner, None,
            b"Content-Disposition: attachment\r\n")])
    return multipart(r, b"report", [
        part(b"text/plain", crlf(text(r, language), "utf-8")),
        part(b"message/disposition-notification",
             b"Final-Recipient: rfc822;bob@two.example\r\n"
             b"Disposition: manual-action/MDN-sent-manually; displayed\r\n")],
        more=b"report-type=disposition-notification; ")


COMPOUND = {"alternative", "related", "attached", "attached text", "signed",
            "nested", "report"}


def message(seed, number, kind=None):
    """One message as octets, CRLF throughout."""
    r = random.Random(f"{seed}/{number}")
    kind = kind or KINDS[number % len(KINDS)]
    language = r.choice(list(LANGUAGES))
    fields = [
        from_field(r, number),
        fold(r, "To", [LIST] + (addresses(r, r.choice([1, 4]))
                                if r.random() < 0.3 else [])),
        b"Message-ID: <%x.%d@author.example>\r\n" % (r.getrandbits(64), number),
        b"Date: Thu, %d Nov 2026 10:%02d:00 +0100\r\n" % (number % 20 + 1,
                                                          number % 60),
        subject(r, language),
    ] + others(r, number)
    r.shuffle(fields)
    if kind in ("bare", "no mime"):
        body = crlf(text(r, language), "utf-8" if kind == "bare" else
                    NARROW.get(language, "utf-8"))
    else:
        fields.append(b"MIME-Version: 1.0\r\n")
        if kind in COMPOUND:
            value, body = compound(r, kind, language)
            fields.append(b"Content-Type: " + value + b"\r\n")
        else:
            value, encoding, body = single(r, kind, language)
            fields.append(b"Content-Type: " + value + b"\r\n")
            if encoding:
                fields.append(b"Content-Transfer-Encoding: " + encoding +
                              b"\r\n")
    if body.endswith(b"\r\n") or not body:
        return b"".join(fields) + b"\r\n" + body
    return b"".join(fields) + b"\r\n" + body + b"\r\n"
