"""Mail with forged senders: unsigned, badly signed, and well signed by whom it
does not come from; and between them mail that is what it says.

KINDS has a maker each. It is given a Maker and gives a Sent; to send it is up
to the caller. Keys are those of tests/interop/craft.py.
"""

import base64
import random
import time
from dataclasses import dataclass

import craft
from craft import bad, instance, signature, whole

VICTIM, EVIL, FRIEND = "victim.example", "evil.example", "friend.example"
DOMAINS = (VICTIM, EVIL, FRIEND)
DAY = 86400
KINDS = {}
counts = {}         # set-up -> what came of it, printed at the end


@dataclass
class Sent:
    """may_return: whom a failure may be told to, since who has that domain did
    sign; None: nobody. is_good: the whole of it is."""
    kind: str
    number: int
    mail_from: str
    rcpt_to: str
    content: bytes
    may_return: str = None
    is_good: bool = False

    @property
    def message_id(self):
        return b"<%d.strange@" % self.number


def records():
    return {f"k1._domainkey.{d}": [craft.record(d)] for d in DOMAINS}


def kind(make):
    KINDS[make.__name__] = make
    return make


class Maker:
    """What one message is made of."""

    def __init__(self, number, rcpt_to, seed=1, tag=""):
        self.r = random.Random(f"{seed} {number}")
        self.number, self.rcpt_to = number, rcpt_to
        self.now = int(time.time())
        self.victim = f"v{tag}{number}@{VICTIM}"
        self.evil = f"e{tag}{number}@{EVIL}"
        self.friend = f"f{tag}{number}@{FRIEND}"
        self.body = b"".join(
            bytes(self.r.choices(b"abcdefgh .", k=self.r.randrange(1, 70)))
            + b"\r\n" for _ in range(self.r.randrange(1, 12)))

    def fields(self, sender, *more):
        """Every field that a bad server might answer to is the victim's."""
        domain = sender.rsplit("@", 1)[1]
        found = [(b"From", b" X <" + sender.encode() + b">"),
                 (b"To", b" <" + self.rcpt_to.encode() + b">"),
                 (b"Subject", b" strange %d" % self.number),
                 (b"Date", b" Thu, 26 Nov 2026 10:00:00 +0000"),
                 (b"Message-ID", b" <%d.strange@%s>" % (self.number,
                                                        domain.encode()))]
        for name in (b"Reply-To", b"Sender", b"Errors-To", b"Return-Path"):
            if self.r.random() < 0.3:
                found.append((name, b" <" + self.victim.encode() + b">"))
        return found + list(more)

    def sign(self, fields, d, mail_from, rcpt_to=None, i=1, m=1, **kw):
        return signature(fields, **{
            "i": i, "m": m, "d": d, "mf": f"<{mail_from}>", "t": self.now - 5,
            "rt": [f"<{r}>" for r in rcpt_to or [self.rcpt_to]], **kw})

    def one(self, sender, d, mail_from, rcpt_to=None, more=(), **kw):
        """Fields of a message of one hop."""
        return self.sign(instance(self.fields(sender, *more), self.body, 1),
                         d, mail_from, rcpt_to, **kw)

    def sent(self, fields, mail_from=None, body=None, may_return=None,
             is_good=False):
        return Sent(None, self.number,
                    self.victim if mail_from is None else mail_from,
                    self.rcpt_to, whole(fields, self.body if body is None
                                        else body), may_return, is_good)


def make(name, *args, **kw):
    sent = KINDS[name](Maker(*args, **kw))
    sent.kind = name
    return sent


def replaced(fields, name, change):
    return [(n, change(v)) if n.lower() == name else (n, v) for n, v in fields]


# ---- unsigned ------------------------------------------------------------------


@kind
def unsigned(m):
    return m.sent(m.fields(m.victim))


@kind
def unsigned_other_from(m):
    return m.sent(m.fields(m.evil))


@kind
def unsigned_report(m):
    """It looks as a report, and has a sender."""
    return m.sent(m.fields(m.victim, (b"MIME-Version", b" 1.0"), (
        b"Content-Type", b" multipart/report; report-type=delivery-status; "
        b'boundary="b=1"')), body=b"--b=1\r\n\r\nx\r\n--b=1--\r\n")


@kind
def instance_alone(m):
    return m.sent(instance(m.fields(m.victim), m.body, 1))


@kind
def dkim1_of_another(m):
    """A good DKIM1 signature, of a domain that is not MAIL FROM's."""
    return m.sent(dkim1(m, m.fields(m.victim), EVIL, EVIL))


@kind
def dkim1_broken(m):
    return m.sent(dkim1(m, m.fields(m.victim), VICTIM, EVIL))


def dkim1(m, fields, d, key):
    """simple/simple, by hand: a key that is not d's signs as well."""
    import hashlib
    covered = b"from:to:subject:message-id"
    value = (b" v=1; a=ed25519-sha256; c=simple/simple; d=%s; s=k1; h=%s; "
             b"bh=%s; b=" % (d.encode(), covered, base64.b64encode(
                 hashlib.sha256(m.body).digest())))
    rows = b"".join(n + b":" + v + b"\r\n" for name in covered.split(b":")
                    for n, v in fields if n.lower() == name)
    made = craft.key_of(key).sign(hashlib.sha256(
        rows + b"DKIM-Signature:" + value).digest()).signature
    return [(b"DKIM-Signature", value + base64.b64encode(made)), *fields]


# ---- badly signed --------------------------------------------------------------


@kind
def with_a_wrong_key(m):
    return m.sent(m.one(m.victim, VICTIM, m.victim, s=[
        [("k1", "ed25519-sha256", craft.Ed25519(EVIL))]]))


@kind
def with_zeros(m):
    return m.sent(m.one(m.victim, VICTIM, m.victim,
                        s=[[("k1", "ed25519-sha256", bad)]]))


@kind
def without_a_key(m):
    return m.sent(m.one(m.victim, VICTIM, m.victim, s=[
        [("k7", "ed25519-sha256", craft.Ed25519(VICTIM))]]))


@kind
def unknown_algorithm(m):
    return m.sent(m.one(m.victim, VICTIM, m.victim,
                        s=[[("k1", "future-sha256", bad)]]))


@kind
def body_changed(m):
    return m.sent(m.one(m.victim, VICTIM, m.victim), body=m.body + b"more\r\n")


@kind
def header_changed(m):
    return m.sent(replaced(m.one(m.victim, VICTIM, m.victim), b"subject",
                           lambda v: v + b"!"))


@kind
def field_added(m):
    return m.sent([*m.one(m.victim, VICTIM, m.victim), (b"Cc", b" <z@z.example>")])


@kind
def expired(m):
    return m.sent(m.one(m.victim, VICTIM, m.victim, t=m.now - 15 * DAY))


@kind
def of_the_future(m):
    return m.sent(m.one(m.victim, VICTIM, m.victim, t=m.now + 3 * DAY))


@kind
def signature_alone(m):
    return m.sent(m.sign(m.fields(m.victim), VICTIM, m.victim))


@kind
def broken_tags(m):
    cut = m.r.randrange(8, 60)
    return m.sent(replaced(m.one(m.victim, VICTIM, m.victim),
                           b"dkim2-signature", lambda v: v[:cut]))


@kind
def twice_the_first(m):
    fields = m.one(m.victim, VICTIM, m.victim)
    return m.sent([fields[0], *fields])


@kind
def number_missing(m):
    return m.sent(m.one(m.victim, VICTIM, m.victim, i=2))


@kind
def null_recipe(m):
    fields = instance(m.one(m.victim, VICTIM, m.victim, [m.evil]), b"other\r\n",
                      2, {"b": None})
    return m.sent(m.sign(fields, EVIL, m.evil, i=2, m=2), m.victim,
                  b"other\r\n")


# ---- well signed, and not what the envelope says -------------------------------


@kind
def signed_by_evil(m):
    """All good, but for another sender than MAIL FROM."""
    return m.sent(m.one(m.evil, EVIL, m.evil))


@kind
def evil_names_the_victim(m):
    """mf= is MAIL FROM, and no address of who signs."""
    return m.sent(m.one(m.evil, EVIL, m.victim))


@kind
def evil_writes_as_the_victim(m):
    return m.sent(m.one(m.victim, EVIL, m.victim))


@kind
def from_of_the_victim(m):
    """MAIL FROM and signature are evil's, From is not."""
    return m.sent(m.one(m.victim, EVIL, m.evil), m.evil, may_return=m.evil)


@kind
def captured_for_another(m):
    return m.sent(m.one(m.victim, VICTIM, m.victim, ["someone@else.example"]))


@kind
def captured_of_another(m):
    return m.sent(m.one(m.victim, VICTIM, "another@" + VICTIM))


@kind
def chain_to_evil(m):
    """It was sent to evil, who passes it on as the victim's."""
    return m.sent(m.sign(m.one(m.victim, VICTIM, m.victim, [m.evil]), EVIL,
                         m.victim, i=2))


@kind
def chain_on_top_of_a_bad_one(m):
    fields = m.one(m.victim, VICTIM, m.victim, [m.evil],
                   s=[[("k1", "ed25519-sha256", bad)]])
    return m.sent(m.sign(fields, EVIL, m.evil, i=2))


@kind
def chain_with_a_bad_top(m):
    fields = m.one(m.evil, EVIL, m.evil, [m.victim])
    return m.sent(m.sign(fields, VICTIM, m.victim, i=2, s=[
        [("k1", "ed25519-sha256", craft.Ed25519(EVIL))]]))


@kind
def custody_broken(m):
    """i=1 went elsewhere; i=2 is the victim's own: it did send this."""
    return m.sent(m.sign(m.one(m.evil, EVIL, m.evil, ["x@else.example"]),
                         VICTIM, m.victim, i=2), may_return=m.victim)


@kind
def imaginary_top(m):
    return m.sent(signature(instance(m.fields(m.evil), m.body, 1), i=1, m=1,
                            d=EVIL, nd=VICTIM, t=m.now - 5))


# ---- no report in any case -----------------------------------------------------


@kind
def null_sender(m):
    return m.sent(m.one(m.evil, EVIL, ""), "")


@kind
def null_sender_unsigned(m):
    return m.sent(m.fields(m.victim), "")


@kind
def null_mf_alone(m):
    return m.sent(m.one(m.evil, EVIL, ""))


@kind
def auto_replied(m):
    """Good, but never answered (B2)."""
    return m.sent(m.one(m.friend, FRIEND, m.friend, more=[
        (b"Auto-Submitted", b" auto-replied (vacation)")]), m.friend)


# ---- what it says --------------------------------------------------------------


@kind
def of_a_friend(m):
    return m.sent(m.one(m.friend, FRIEND, m.friend), m.friend,
                  may_return=m.friend, is_good=True)


@kind
def of_evil_itself(m):
    """Whatever other fields say: only mf= may be told."""
    return m.sent(m.one(m.evil, EVIL, m.evil, more=[
        (b"Disposition-Notification-To", b" <%s>" % m.victim.encode()),
        (b"Return-Receipt-To", b" <%s>" % m.victim.encode())]), m.evil,
        may_return=m.evil, is_good=True)


@kind
def by_way_of_evil(m):
    """The victim's own, which evil passes on in its own name."""
    return m.sent(m.sign(m.one(m.victim, VICTIM, m.victim, [m.evil]), EVIL,
                         m.evil, i=2), m.evil, may_return=m.evil, is_good=True)


def mixture(n, seed, rcpt_to, tag=""):
    """n messages of all kinds; rcpt_to(number) is the recipient."""
    names = list(KINDS)
    order = random.Random(seed)
    for number in range(n):
        if number % len(names) == 0:
            order.shuffle(names)
        yield make(names[number % len(names)], number, rcpt_to(number),
                   seed=seed, tag=tag)
