"""What a server behind us may make of bounces: whatever it says, one that it
can not show the message for leaves to nobody (B9)."""

import json

import pytest

import harness
import hops
import strangers
from forged import part
from smtptools import Client, Mail, Sink
from strangers import FRIEND, VICTIM

TWO = "two.example"
RCPT = f"u@{TWO}"


class Behind:
    """An inbound and an egress listener; the server between is the test."""

    def __init__(self, folder, *more):
        self.dns = hops.Answers()
        self.dns.add(strangers.records())
        self.inner, self.world = Sink(), Sink()
        self.site = hops.Administration(folder, TWO, self.dns.port)
        self.dns.add(self.site.keys.records)
        self.into = self.site.listener(
            "in", "inbound", f"domains: [{TWO}]", "verify: observe",
            f'next-hop: "smtp://127.0.0.1:{self.inner.port} none"')
        self.out = self.site.listener(
            "out", "egress", "clients: [127.0.0.1]", "pair: in", *more,
            f'next-hop: "smtp://127.0.0.1:{self.world.port} none"')
        self.number = 0

    def start(self):
        self.site.hop().start()
        return self

    def stop(self):
        try:
            self.site.daemon.stop()
        finally:
            self.dns.stop()
            self.inner.close()
            self.world.close()

    def arrives(self, kind):
        """(what was sent, as the server behind us has it)."""
        self.number += 1
        sent = strangers.make(kind, self.number, RCPT, tag="b")
        with Client(self.into) as c:
            reply = c.mail(sent.mail_from, RCPT, sent.content)
        assert reply[0] == 250, reply
        return sent, self.inner.mails[-1].content

    def bounces(self, rcpt_to, octets, more=()):
        """What the server behind us is answered."""
        with Client(self.out) as c:
            reply = c.envelope("", rcpt_to, *more)
            return c.content(octets) if reply[0] // 100 == 2 else reply


@pytest.fixture(scope="module")
def behind(folder, started):
    return started(Behind(folder))


def report(rcpt_to, returned, kind=b"message/rfc822", action=b"failed",
           subject=b"Undelivered Mail Returned to Sender"):
    return (b"From: MAILER-DAEMON@two.example (Mail Delivery System)\r\n"
            b"Subject: " + subject + b"\r\nTo: " + rcpt_to.encode() +
            b"\r\nMessage-ID: <bounce@two.example>\r\n"
            b"Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
            b"Content-Type: multipart/report; report-type=delivery-status;\r\n"
            b'\tboundary="b=1"\r\n\r\n' + part(b"text/plain", b"Sorry.") +
            part(b"message/delivery-status",
                 b"Reporting-MTA: dns; mx.two.example\r\n\r\n"
                 b"Final-Recipient: rfc822; u@two.example\r\nAction: " +
                 action + b"\r\nStatus: 5.1.1\r\n") +
            part(kind, returned) + b"--b=1--\r\n")


def none(behind, rcpt_to, octets, more=()):
    n = len(behind.world.mails)
    assert behind.bounces(rcpt_to, octets, more)[0] in (250, 452, 550)
    assert behind.world.mails[n:] == [] and behind.world.refused == []


@pytest.mark.parametrize("kind", [
    k for k in strangers.KINDS
    if strangers.make(k, 0, RCPT).may_return is None
    and strangers.make(k, 0, RCPT).mail_from])
def test_B9_no_report_of_what_is_forged(behind, kind):
    sent, octets = behind.arrives(kind)
    none(behind, sent.mail_from, report(sent.mail_from, octets))


def test_B9_to_another(behind):
    _, octets = behind.arrives("of_a_friend")
    victim = f"v@{VICTIM}"
    none(behind, victim, report(victim, octets))
    none(behind, f"other@{FRIEND}", report(f"other@{FRIEND}", octets))


def test_B9_to_another_as_well(behind):
    sent, octets = behind.arrives("of_a_friend")
    victim = f"v@{VICTIM}"
    behind.bounces(sent.mail_from, report(sent.mail_from, octets), [victim])
    behind.bounces(victim, report(victim, octets), [sent.mail_from])
    assert not [m for m in behind.world.mails if victim in m.rcpt_to]


def test_B9_of_what_never_came(behind):
    made = strangers.make("of_a_friend", 9001, RCPT)
    none(behind, made.mail_from, report(made.mail_from, made.content))


def test_B9_of_another_message(behind):
    """The Message-ID is one that came, the rest is not."""
    sent, octets = behind.arrives("of_a_friend")
    at = octets.index(b"Subject: ")
    for other in (octets[:at] + b"Subject: never\r\nX" + octets[at:],
                  b"From: <x@two.example>\r\nMessage-ID: " +
                  sent.message_id + b"friend.example>\r\n\r\nspam\r\n"):
        for rcpt in (f"v@{VICTIM}", f"other@{FRIEND}"):
            none(behind, rcpt, report(rcpt, other))


def test_B9_without_what_came(behind):
    sent, _ = behind.arrives("of_a_friend")
    none(behind, sent.mail_from, report(sent.mail_from, b"it is gone",
                                        kind=b"text/plain"))


def test_the_world_is_there(behind):
    """The same way, for mail that is no bounce."""
    n = len(behind.world.mails)
    with Client(behind.out) as c:
        assert c.mail(RCPT, f"v@{VICTIM}", b"From: <u@two.example>\r\n"
                      b"Subject: hello\r\n\r\nText\r\n")[0] == 250
    assert len(behind.world.mails) == n + 1
    assert isinstance(behind.world.mails[-1], Mail)


@pytest.mark.parametrize("number", range(3))
def test_B9_old_forms_of_bounces(behind, number):
    """Without a sender, and no report of any standard."""
    _, octets = behind.arrives("unsigned")
    rcpt = f"v@{VICTIM}"
    text = (b"From: MAILER-DAEMON@two.example\r\nTo: <%s>\r\nSubject: failure "
            b"notice\r\n%s\r\nHi. This is the mail program at two.example."
            b"\r\n\r\n--- Below this line is a copy of the message.\r\n\r\n" % (
                rcpt.encode(), [b"", b"Auto-Submitted: auto-replied\r\n",
                                b"Precedence: bulk\r\n"][number]) + octets)
    none(behind, rcpt, text)


def test_B9_what_is_held_waits_for_the_postmaster(folder, started):
    """legacy-bounce-out: hold. It is in the queue, and leaves when released."""
    (folder / "hold").mkdir()
    behind = started(Behind(folder / "hold", "legacy-bounce-out: hold"))

    def queue(*words):
        return harness.run(harness.HOPSEAL, "queue", *words, "--spool",
                           behind.site.folder / "state" / "queue").decode()

    sent, octets = behind.arrives("unsigned")
    code, text = behind.bounces(sent.mail_from, report(sent.mail_from, octets))
    assert code == 250 and "queued as" in text
    listed, = map(json.loads, queue("list", "--json").splitlines())
    assert listed["held"]
    behind.site.daemon.wait_log(f"{listed['id']}: ALARM: a bounce of the "
                                "server behind us is held: no signature shows")
    assert behind.world.mails == []
    queue("release", listed["id"])
    harness.until(lambda: behind.world.mails, behind.site.log)
    mail, = behind.world.mails
    assert (mail.mail_from, mail.rcpt_to) == ("", [sent.mail_from])
    assert b"DKIM2-Signature: i=1; m=1;" not in mail.content[:200]
