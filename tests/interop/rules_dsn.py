"""Delivery reports, one for each way to keep or to break a rule (draft 16.4):
the report verifies fully, what it returns by its last hop, each is aligned with
the other. As rules.py, whose table this fills further.
"""

from craft import (BODY, FIELDS, T, bad, first, instance, record, second,
                   signature, whole)
from rules import MIA, SAM, case, sub

TYPE = b' multipart/report; report-type=delivery-status;\r\n\tboundary="b=1"'
STATUS = (b"Reporting-MTA: dns; mx.harbour.example\r\n\r\n"
          b"Final-Recipient: rfc822; sam@harbour.example\r\n"
          b"Action: failed\r\nStatus: 5.2.2\r\n")
UNALIGNED = "DSN signer is not aligned with the returned message recipient"
NOT_OURS = "Returned message signer is not aligned with the DSN recipient"


def part(kind, octets):
    return b"--b=1\r\nContent-Type: " + kind + b"\r\n\r\n" + octets + b"\r\n"


def report(returned, kind=b"message/rfc822", content_type=TYPE, human=True,
           status=STATUS, edit=None, sender=b" <mailer-daemon@harbour.example>",
           extra=b"", **kw):
    """A signed report that returns these octets."""
    parts = (part(b"text/plain", b"It was not to be.") if human else b"") + \
        part(b"message/delivery-status", status) + part(kind, returned) + extra
    body = b"preamble\r\n" + parts + b"--b=1--\r\nepilogue\r\n"
    if edit:
        body = edit(body)
    fields = instance([(b"From", sender), (b"To", b" <mia@quay.example>"),
                       (b"Subject", b" Undelivered"), (b"MIME-Version", b" 1.0"),
                       (b"Auto-Submitted", b" auto-replied"),
                       (b"Content-Type", content_type)], body, 1)
    said = {"i": 1, "m": 1, "d": "harbour.example", "mf": "<>",
            "rt": [f"<{MIA}>"], **kw}
    return whole(signature(fields, **said), body)


def dsn(name, expected, message, text=None, **kw):
    case(f"dsn-{name}", expected, message, text, command="dsn-verify",
         **{"by": "<>", "to": (MIA,), **kw})


def all_cases():
    sent = first()
    good = whole(sent, BODY)
    header = whole(sent, b"")
    dsn("whole", "pass", report(good))
    dsn("header-alone", "pass", report(header[:-2], b"text/rfc822-headers"))
    dsn("header-with-an-empty-line", "pass", report(header, b"text/rfc822-headers"))
    # RFC 6522 3: the first part is for people
    dsn("no-human-part", "permerror", report(good, human=False),
        "DSN could not be parsed", peer="pass")
    dsn("trace-on-top", "pass", report(b"Received: from a by b\r\n" + good))
    dsn("8bit", "pass", report(whole(first(body=b"\xe9\xff\r\n"), b"\xe9\xff\r\n")))
    dsn("boundary-in-the-returned-body", "pass", report(whole(
        first(body=b"--b\r\n--c=1\r\n"), b"--b\r\n--c=1\r\n")))
    dsn("type-in-capitals", "pass", report(good, b"MESSAGE/RFC822"))
    dsn("type-with-comments", "pass", report(good, content_type=TYPE.replace(
        b"report;", b"report (of (a) hop);")))
    # a: the report itself, in full
    dsn("body-changed", "fail", report(good).replace(b"not to be", b"to be"),
        "DSN Message-Instance m=1 body hash sha256 mismatch")
    signed = report(good)
    dsn("unsigned", "fail", signed[signed.index(b"\r\n") + 2:],
        "DSN is not DKIM2 signed")
    dsn("other-mail-from", "fail", report(good), "DSN DKIM2-Signature i=1 MAIL FROM ",
        by="x@harbour.example")
    dsn("other-rcpt", "fail", report(good), "DSN DKIM2-Signature i=1 RCPT TO ",
        to=("other@quay.example",))
    dsn("from-of-another", "fail", report(good, sender=b" <postmaster@quay.example>"),
        "DSN DKIM2-Signature i=1 matching From is not authentic")
    dsn("old", "fail", report(good, t=T - 15 * 86400),
        "DSN DKIM2-Signature i=1 signature expired")
    dsn("wrong-signature", "fail", report(good, s=[[("k1", "ed25519-sha256", bad)]]),
        "DSN DKIM2-Signature i=1 selector k1 incorrect signature")
    # b: what is returned, by its last hop
    for name, edit in (("body", sub(b"High", b"high")), ("field", sub(b"Tide", b"tide")),
                       ("line-lost", sub(b"High water at noon.\r\n", b"")),
                       ("field-added", lambda o: b"Cc: z\r\n" + o)):
        dsn(f"returned-{name}", "fail", report(edit(good)), "Returned message "
            "Message-Instance m=1 ")
    dsn("returned-header-changed-alone", "fail",
        report(sub(b"Tide", b"tide")(header), b"text/rfc822-headers"),
        "Returned message Message-Instance m=1 header hash sha256 mismatch")
    dsn("returned-body-where-headers-are-said", "pass",
        report(sub(b"High", b"high")(good), b"text/rfc822-headers"))
    dsn("returned-unsigned", "fail", report(whole(FIELDS, BODY)),
        "Returned message is not DKIM2 signed")
    dsn("returned-wrong-signature", "fail", report(whole(first(
        s=[[("k1", "ed25519-sha256", bad)]]), BODY)),
        "Returned message DKIM2-Signature i=1 selector k1 incorrect signature")
    dsn("returned-expired", "fail", report(whole(first(t=T - 15 * 86400), BODY)),
        "Returned message DKIM2-Signature i=1 signature expired")
    dsn("returned-syntax", "fail", report(whole(first(f=","), BODY)),
        "Returned message DKIM2-Signature i=1 ")
    # By its last hop alone: the peer checks the whole chain (16.4 does not).
    below = second(first(s=[[("k1", "ed25519-sha256", bad)]]), rt=["<x@pier.example>"])
    two = {"to": ("tides-bounces@harbour.example",)}
    by_pier = {"sender": b" <x@pier.example>", "d": "pier.example",
               "rt": ["<tides-bounces@harbour.example>"]}
    dsn("of-two-hops", "pass", report(whole(second(sent), BODY), **by_pier), **two)
    dsn("of-two-hops-below-wrong", "pass", report(whole(below, BODY), **by_pier),
        peer="fail", **two)
    dsn("of-two-hops-to-the-first", "fail", report(
        whole(second(sent), BODY), sender=b" <x@pier.example>", d="pier.example"),
        NOT_OURS)
    dsn("returned-nd-on-top", "fail", report(whole(signature(
        sent, 2, 1, "harbour.example", nd="tides.example"), BODY)),
        "Returned message DKIM2-Signature i=2 unexpected nd= tag")
    # c: who signs it
    dsn("signer-above", "pass", report(whole(first(rt=["<sam@a.harbour.example>"]), BODY)))
    dsn("signer-below", "fail", report(good, d="a.harbour.example",
                                       sender=b" x@a.harbour.example"), UNALIGNED,
        dns={"k1._domainkey.a.harbour.example": [record("a.harbour.example")]})
    dsn("signer-of-the-second-rt", "pass", report(whole(first(
        rt=["<a@b.example>", f"<{SAM}>"]), BODY)))
    dsn("signer-other", "fail", report(good, d="pier.example", sender=b" x@pier.example"),
        UNALIGNED)
    dsn("signer-is-the-sender", "fail", report(good, d="quay.example",
                                               sender=b" x@quay.example"), UNALIGNED)
    # d: whom it comes to
    dsn("rcpt-below-d", "pass", report(good, rt=["<mia@a.quay.example>"]),
        to=("mia@a.quay.example",))
    dsn("rcpt-other", "fail", report(good, rt=["<mia@xquay.example>"]), NOT_OURS,
        to=("mia@xquay.example",))
    dsn("rcpt-case", "pass", report(good), to=("mia@QUAY.example",))
    # DNS trouble is no reason to refuse for good, a broken report is
    late = {"dns": {"k1._domainkey.quay.example": "TEMPERROR"}}
    dsn("key-of-the-returned-late", "temperror", report(good),
        "Returned message DKIM2-Signature i=1 public key k1 could not be fetched",
        peer="fail", **late)
    dsn("key-of-the-report-late", "temperror", report(good),
        "DSN DKIM2-Signature i=1 public key k1 could not be fetched", peer="fail",
        dns={"k1._domainkey.harbour.example": "TEMPERROR"})
    dsn("late-and-unaligned", "fail", report(good, d="pier.example",
                                             sender=b" x@pier.example"), UNALIGNED, **late)
    dsn("key-gone", "fail", report(good),
        "Returned message DKIM2-Signature i=1 public key k1 does not exist",
        dns={"k1._domainkey.quay.example": []})
    # what is no report
    no, none = "DSN could not be parsed", "Returned message could not be parsed"
    dsn("no-multipart", "permerror", report(good, content_type=b" text/plain"), no)
    dsn("no-type", "permerror", report(good, content_type=b""), no)
    dsn("nothing-returned", "permerror", report(good, b"text/plain"), none)
    dsn("returned-empty", "permerror", report(b""), none)
    dsn("no-last-delimiter", "permerror",
        report(good, edit=lambda b: b[:b.index(b"--b=1--")]), no, peer="pass")
    dsn("no-delimiter", "permerror", report(good, edit=lambda b: b"nothing\r\n"), no)
    dsn("four-parts", "permerror", report(good, extra=part(b"text/plain", b"z")), no,
        peer="pass")
    dsn("status-missing", "permerror", report(good, status=b"\r\n"), no, peer="pass")
    dsn("two-types", "permerror", report(
        good, content_type=TYPE + b"\r\nContent-Type: text/plain"), no)
    dsn("base64", "fail", report(good, b"message/rfc822\r\n"
                                 b"Content-Transfer-Encoding: base64"),
        "Returned message is encoded and cannot be checked", peer="pass")
    dsn("7bit", "pass", report(good, b"message/rfc822\r\n"
                               b"Content-Transfer-Encoding: 7BIT"))


all_cases()
