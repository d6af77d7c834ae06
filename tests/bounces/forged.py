"""Reports of failures as forgers make them, one for each way to break a rule
(protocol.md K8, row B3), about a message that really went through a forwarder:
ann at one.example wrote to bob at two.example, who has his mail sent on to cleo
at three.example. Each is made by hand (tests/interop/craft.py) or with the
peer's signer.

FORGED has them: name -> function(Forger) that gives (MAIL FROM, RCPT TO,
octets).
"""

import re
import time

import craft
import harness

ONE, TWO, THREE, EVIL = (f"{n}.example" for n in ("one", "two", "three", "evil"))
ANN, BOB, CLEO = f"ann@{ONE}", f"bob@{TWO}", f"cleo@{THREE}"
DAY = 86400
FORGED, QUIET = {}, {}          # 550 5.7.x; 250 and nothing
# What the peer's signer does not lend itself to
PEER_REFUSES = ("from_of_us", "from_of_the_author", "sent_on_by_evil")


def rule(kind):
    def keep(make):
        kind[make.__name__] = make
        return make
    return keep


class Signer:
    """By hand, with keys of craft.py under the selector k1."""
    selector = "k1"

    @staticmethod
    def records(domain, _keys):
        return {f"k1._domainkey.{domain}": [craft.record(domain)]}

    def __call__(self, octets, d, mail_from, rcpt_to, when, key=None):
        head, body = octets.split(b"\r\n\r\n", 1)
        fields = [tuple(f.split(b":", 1))
                  for f in re.split(rb"\r\n(?![ \t])", head)]
        below = [craft.number(v, b"i") for n, v in fields
                 if n.lower() == b"dkim2-signature"]
        if not below:
            fields = craft.instance(fields, body, 1)
        return craft.whole(craft.signature(
            fields, len(below) + 1, 1, d, mf=f"<{mail_from}>",
            rt=[f"<{r}>" for r in rcpt_to], t=when,
            s=[[("k1", "ed25519-sha256", craft.Ed25519(key or d))]]), body)


class PeerSigner:
    """dkim2-peer, with keys of ours under the selector ed."""
    selector = "ed"

    def __init__(self, peer, keys):
        self.peer, self.keys = peer, keys

    @staticmethod
    def records(domain, keys):
        return {f"ed._domainkey.{domain}":
                keys.records[f"ed._domainkey.{domain}"]}

    def __call__(self, octets, d, mail_from, rcpt_to, when, key=None):
        words = [w for r in rcpt_to for w in ("--rcpt-to", r)]
        return harness.run(
            self.peer, "sign", "--domain", d, "--selector", "ed", "--key",
            self.keys.pem(key or d, "ed"), "--mail-from", mail_from or "<>",
            *words, "--timestamp", when, stdin=octets)


def header(octets):
    return octets[:octets.index(b"\r\n\r\n") + 2]


def part(kind, octets):
    return b"--b=1\r\nContent-Type: " + kind + b"\r\n\r\n" + octets + b"\r\n"


class Forger:
    """path is the return address that the message left us with, octets are
    the message."""

    def __init__(self, sign, path, octets, others):
        self.sign, self.path, self.octets = sign, path, octets
        self.others = others            # (path, octets) of other messages
        self.now = int(time.time()) - 5

    def report(self, returned=None, sender=None, d=THREE, kind=b"message/rfc822",
               actions=(b"failed",), mail_from="", rcpt_to=None, when=None,
               key=None, to=None, is_signed=True, type=None, more=b""):
        """What three.example would say, but for what is given."""
        status = b"Reporting-MTA: dns; mx.three.example\r\n" + b"".join(
            b"\r\nFinal-Recipient: rfc822; cleo%d@three.example\r\nAction: %s"
            b"\r\nStatus: 5.1.1\r\n" % (k, a) for k, a in enumerate(actions))
        octets = (
            b"From: <" + (sender or f"mailer-daemon@{d}").encode() +
            b">\r\nTo: <" + (to or self.path).encode() +
            b">\r\nSubject: Undelivered\r\nMessage-ID: <%d@three.example>\r\n"
            b"MIME-Version: 1.0\r\nAuto-Submitted: auto-replied\r\n"
            b"Content-Type: " % time.time_ns() +
            (type or b'multipart/report; report-type=delivery-status;\r\n'
             b'\tboundary="b=1"') + b"\r\n" + more + b"\r\n" +
            part(b"text/plain", b"It was not to be.") +
            part(b"message/delivery-status", status) +
            part(kind, self.octets if returned is None else returned) +
            b"--b=1--\r\n")
        if is_signed:
            octets = self.sign(octets, d, mail_from,
                               rcpt_to or [to or self.path],
                               when or self.now, key)
        return mail_from, to or self.path, octets

    def changed(self, old, new, **kw):
        """Changed behind the signature of the report."""
        mail_from, to, octets = self.report(**kw)
        assert old in octets
        return mail_from, to, octets.replace(old, new, 1)

    def made(self, d=ONE, mail_from=ANN, rcpt_to=BOB, **kw):
        """A message that never went through the forwarder."""
        octets = (f"From: <{mail_from or ANN}>\r\nTo: <{rcpt_to}>\r\nSubject: "
                  f"Words\r\nMessage-ID: <made@{d}>\r\n\r\nText\r\n").encode()
        return self.sign(octets, d, mail_from, [rcpt_to],
                         kw.pop("when", self.now), **kw)

    def ours(self):
        """Our fields, as they stand on top of what we sent: octets."""
        at = self.octets.index(b"DKIM2-Signature: i=1;")
        return self.octets[:at]


# ---- (a) the report itself -----------------------------------------------------


@rule(FORGED)
def body_changed(f):
    return f.changed(b"It was not", b"It was")


@rule(FORGED)
def status_changed(f):
    return f.changed(b"Action: failed", b"Action: Failed")


@rule(FORGED)
def header_changed(f):
    return f.changed(b"Subject: Undelivered", b"Subject: Undeliverable")


@rule(FORGED)
def no_longer_automatic(f):
    return f.changed(b"Auto-Submitted: auto-replied\r\n", b"")


@rule(FORGED)
def wrong_key(f):
    return f.report(key=EVIL)


@rule(FORGED)
def no_key(f):
    return f.report(d="nokey.example")


@rule(FORGED)
def expired(f):
    return f.report(when=f.now - 15 * DAY)


@rule(FORGED)
def of_the_future(f):
    return f.report(when=f.now + 3 * DAY)


@rule(FORGED)
def to_another(f):
    """It was signed for another recipient."""
    return f.report(rcpt_to=[ANN])


@rule(FORGED)
def of_somebody(f):
    """No null path, but one that is signed."""
    return f.report(mail_from=f"x@{THREE}")


@rule(FORGED)
def null_path_not_signed(f):
    _, to, octets = f.report(mail_from=f"x@{THREE}")
    return "", to, octets


@rule(FORGED)
def from_of_us(f):
    """From is the forwarder's, who did not sign it."""
    return f.report(sender=f"mailer-daemon@{TWO}")


@rule(FORGED)
def from_of_the_author(f):
    return f.report(sender=ANN)


@rule(FORGED)
def no_report(f):
    return f.report(type=b'multipart/mixed; boundary="b=1"')


@rule(FORGED)
def nothing_returned(f):
    return f.report(kind=b"text/plain", returned=b"it is gone")


@rule(FORGED)
def returned_encoded(f):
    return f.report(kind=b"message/rfc822\r\n"
                    b"Content-Transfer-Encoding: base64")


@rule(FORGED)
def text_alone(f):
    return f.report(type=b"text/plain")


# ---- (b) what is returned ------------------------------------------------------


@rule(FORGED)
def returned_body_changed(f):
    return f.report(f.octets.replace(b"\r\n\r\nText", b"\r\n\r\nTest", 1))


@rule(FORGED)
def returned_field_changed(f):
    return f.report(f.octets.replace(b"Subject: Words", b"Subject: words", 1))


@rule(FORGED)
def returned_header_changed(f):
    return f.report(header(f.octets).replace(b"Words", b"words", 1),
                    kind=b"text/rfc822-headers")


@rule(FORGED)
def returned_signature_changed(f):
    at = f.octets.index(b"ed25519-sha256:") + 20
    octet = b"B" if f.octets[at:at + 1] != b"B" else b"C"
    return f.report(f.octets[:at] + octet + f.octets[at + 1:])


@rule(FORGED)
def returned_unsigned(f):
    return f.report(b"From: <%s>\r\nSubject: Words\r\n\r\nText\r\n" %
                    ANN.encode())


@rule(FORGED)
def our_outer_field_copied(f):
    """Our signature and instance on top of another message (row B3)."""
    return f.report(f.ours() + f.made())


@rule(FORGED)
def our_signature_alone_copied(f):
    return f.report(f.ours() + b"From: <x@evil.example>\r\nSubject: Words\r\n"
                    b"\r\nText\r\n")


@rule(FORGED)
def our_signature_forged(f):
    """As we would have signed it, with a key of another."""
    return f.report(f.sign(f.made(), TWO, f.path, [CLEO], f.now, EVIL))


@rule(FORGED)
def our_selector_forged(f):
    """One that DNS does not have (a key since retired, or none)."""
    made = f.sign(f.made(), TWO, f.path, [CLEO], f.now, EVIL)
    return f.report(made.replace(f.sign.selector.encode() + b":ed25519",
                                 b"old:ed25519", 1))


@rule(FORGED)
def returned_another_rt(f):
    """Our signature, whose recipient is written anew."""
    import base64
    old = base64.b64encode(f"<{CLEO}>".encode())
    new = base64.b64encode(f"<cleo@{EVIL}>".encode())
    assert old in f.octets
    return f.report(f.octets.replace(old, new, 1), d=EVIL)


@rule(FORGED)
def as_it_came_to_us(f):
    """Without what we added: its top signature is the author's."""
    at = f.octets.index(b"DKIM2-Signature: i=1;")
    return f.report(f.octets[at:])


# ---- (c) who reports -----------------------------------------------------------


@rule(FORGED)
def reported_by_evil(f):
    return f.report(d=EVIL)


@rule(FORGED)
def reported_by_the_author(f):
    return f.report(d=ONE)


@rule(FORGED)
def reported_by_a_host_below(f):
    return f.report(d=f"mx.{THREE}")


@rule(FORGED)
def reported_by_the_top_level(f):
    return f.report(d="example")


# ---- (d) whose message it is ---------------------------------------------------


@rule(FORGED)
def message_of_evil(f):
    """All true: evil wrote to cleo, and three.example could not take it."""
    return f.report(f.made(EVIL, f"x@{EVIL}", CLEO))


@rule(FORGED)
def message_of_the_author(f):
    """Ann wrote to cleo, and not by way of us."""
    return f.report(f.made(ONE, ANN, CLEO))


@rule(FORGED)
def sent_on_by_evil(f):
    """Evil got what we sent and sent it on."""
    return f.report(f.sign(f.octets, EVIL, f"x@{EVIL}", [CLEO], f.now))


@rule(FORGED)
def sent_on_by_the_recipient(f):
    """three.example sent it on, and returns it with its own signature."""
    return f.report(f.sign(f.octets, THREE, CLEO, [f"x@{EVIL}"], f.now),
                    d=EVIL)


@rule(FORGED)
def about_another_message_of_ours(f):
    """Each is real, but the address is that of another message."""
    path, octets = f.others[0]
    assert path != f.path
    return f.report(octets)


@rule(FORGED)
def to_another_address_of_ours(f):
    path, _ = f.others[0]
    return f.report(to=path)


# ---- nothing to say ------------------------------------------------------------


@rule(QUIET)
def delayed(f):
    return f.report(actions=(b"delayed",))


@rule(QUIET)
def delivered(f):
    return f.report(actions=(b"delivered", b"relayed", b"expanded"))
