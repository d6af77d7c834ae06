"""Reports (DSNs) of the queue: what fails for good is told to who sent it."""

import email
import email.policy
import re

import pytest

import harness
import queuefile
from harness import until
from queuekit import (ALICE, BOB, CAROL, DAVE, Queueing, arrived, message,
                      send, taken)
from smtptools import Client, Sink


@pytest.fixture
def site(folder, hopseald, keys):
    """site(sink, ...): a Queueing that runs."""
    def start(sink, *more, run=True, **kw):
        s = Queueing(folder, sink.port, keys, *more, **kw)
        s.daemon = hopseald(s.config) if run else None
        return s
    return start


def parts(mail):
    """Text, fields of the message, those of each recipient, what returns."""
    m = email.message_from_bytes(mail.content, policy=email.policy.SMTP)
    assert m.get_content_type() == "multipart/report"
    text, status, returned = m.get_payload()
    assert status.get_content_type() == "message/delivery-status"
    first, *rcpts = status.get_payload()
    return m, text.get_content(), first, rcpts, returned


def verified(site, mail):
    done = harness.run(harness.HOPSEAL, "verify", "--mail-from", "<>",
                       "--rcpt-to", mail.rcpt_to[0], "--dns", site.keys.file,
                       stdin=mail.content, ok=False)
    assert done.returncode == 0, (done.stdout, mail.content.decode())
    return True


def refusing(*who, reply="550 5.1.1 nobody here"):
    """A next hop that refuses these recipients, and takes all others."""
    def rcpt(path):
        return reply if path in who else "250 2.1.5 ok"
    return Sink(rcpt=rcpt)


def test_a_refused_recipient_is_reported_once(site):
    with refusing(BOB) as sink:
        s = site(sink)
        content = message()
        id = send(s.port, [BOB], content)
        (mail,) = arrived(sink, 1)
        assert (mail.mail_from, mail.rcpt_to) == ("", [ALICE])
        assert verified(s, mail)
        m, text, first, rcpts, returned = parts(mail)
        assert m["From"].endswith("<MAILER-DAEMON@one.example>")
        assert m["To"] == ALICE
        assert m["Auto-Submitted"] == "auto-replied"
        assert len(rcpts) == 1
        assert rcpts[0]["Action"] == "failed"
        assert rcpts[0]["Status"] == "5.1.1"
        assert rcpts[0]["Final-Recipient"] == f"rfc822; {BOB}"
        assert rcpts[0]["Diagnostic-Code"] == "smtp; 550 5.1.1 nobody here"
        assert returned.get_content_type() == "text/rfc822-headers"
        assert content.split(b"\r\n\r\n")[0] in mail.content
        assert b".Text 1" not in mail.content
        s.wait_empty()
        s.daemon.wait_log(rf"{id}: reported as {id}r0")
        assert "ALARM" not in s.daemon.log()
        assert len(sink.mails) == 1
