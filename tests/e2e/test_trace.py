"""What we put on top of a message, what we take away, and mail that goes
round."""

import re
import threading

import pytest

import harness
from configs import egress, forward, inbound
from smtptools import Client, Sink, header_fields, split_added

FORGED = (b"Authentication-Results: hop.example.net; dkim2=pass\r\n",
          b"AUTHENTICATION-RESULTS:\r\n\t(a\r\n ;) Hop.Example.Net 1;\r\n x\r\n",
          b"authentication-results: \"hop.example.net\"; none\r\n",
          b"Authentication-Results: hop.example.net.; dkim=pass\r\n",
          b"Authentication-Results : hop.example.net\r\n")
KEPT = (b"Received: from a by b; date\r\n",
        b"Authentication-Results: mx.one.example; dkim=pass\r\n",
        b"ARC-Authentication-Results: i=1; hop.example.net; none\r\n",
        b"From: alice@one.example\r\n",
        b"Subject: Authentication-Results: hop.example.net; x\r\n",
        b"X-Authentication-Results: hop.example.net; x\r\n")
BODY = b"\r\nAuthentication-Results: hop.example.net; body\r\n"
PLAIN = b"From: alice@one.example\r\n\r\nhello\r\n"


def names(fields):
    return [f.split(b":")[0].decode().strip() for f in fields]


@pytest.mark.parametrize("role", ["inbound", "forward"])
def test_V20_forged_results_are_left_out(folder, hopseald, keys, role):
    """Ten forged fields in every form among others: they go, ours is there,
    and nothing else is touched."""
    keys.add("two.example", rsa2048=None)
    content = b"".join(f + k + f for f, k in zip(FORGED, KEPT)) + KEPT[-1] + BODY
    with Sink() as sink:
        site = {"inbound": inbound, "forward": forward}[role](folder, sink.port)
        hopseald(site.config)
        with Client(site.port) as c:
            assert c.mail("alice@one.example", "bob@two.example",
                          content)[0] == 250
        got = sink.mails[0].content
    fields = split_added(b"".join(KEPT) + BODY, got)
    assert names(fields) == ["Authentication-Results", "Received"]
    assert fields[0] == b"Authentication-Results: hop.example.net;\r\n\tdkim2=none\r\n"


def test_V20_what_the_mta_behind_us_wrote_is_its_own(folder, hopseald, keys):
    """An egress listener has no say in Authentication-Results."""
    keys.add("one.example", rsa2048=None)
    content = FORGED[0] + PLAIN
    with Sink() as sink:
        site = egress(folder, sink.port)
        hopseald(site.config)
        with Client(site.port) as c:
            assert c.mail("alice@one.example", "bob@two.example",
                          content)[0] == 250
        assert names(split_added(content, sink.mails[0].content)) == [
            "DKIM2-Signature", "Message-Instance", "DKIM-Signature", "Received"]


def test_verdict_and_order(folder, hopseald, keys):
    """A chain that passes, then one that was tampered with: the verdict in
    words, our fields in their order."""
    keys.add("one.example", rsa2048=None).add("two.example", rsa2048=None)
    signed = harness.run(
        harness.HOPSEAL, "sign", "--domain", "one.example", "--selector", "ed",
        "--key", keys.pem("one.example", "ed"), "--mail-from",
        "alice@one.example", "--rcpt-to", "bob@two.example", stdin=PLAIN)
    with Sink() as sink:
        site = forward(folder, sink.port)
        hopseald(site.config)
        with Client(site.port) as c:
            for content in (signed, signed.replace(b"hello", b"hullo")):
                assert c.mail("alice@one.example", "bob@two.example",
                              content)[0] == 250
        good, bad = (m.content for m in sink.mails)
    fields = split_added(signed, good)
    assert names(fields) == ["DKIM2-Signature", "DKIM-Signature",
                             "Authentication-Results", "Received"]
    assert fields[2] == (b"Authentication-Results: hop.example.net;\r\n"
                         b"\tdkim2=pass (1 hop) header.d=one.example\r\n")
    fields = split_added(signed.replace(b"hello", b"hullo"), bad)
    assert names(fields) == ["Authentication-Results", "Received"]
    assert b"\tdkim2=fail (" in fields[0]


def test_L1_delivered_to_the_same_recipient(folder, hopseald):
    """554 5.4.6 for a recipient of ours who had it; it is of no interest for
    the recipients of others."""
    with Sink() as sink:
        site = inbound(folder, sink.port, "clients: [127.0.0.1]", common=[])
        hopseald(site.config)
        for rcpt, code in (("bob@two.example", 554), ("eve@two.example", 250),
                           ("bob@other.example", 250)):
            with Client(site.port) as c:
                reply = c.mail("alice@one.example", rcpt,
                               b"Delivered-To: bob@TWO.example\r\n"
                               b"Delivered-To: bob@other.example\r\n" + PLAIN)
                assert reply[0] == code, reply
                assert code == 250 or reply[1].startswith("5.4.6 "), reply


class Back(Sink):
    """A next hop that sends everything back to where it came from, as an
    alias by mistake does; .end is what it was told when that .ends."""

    def __init__(self):
        self.ends, self.end, self.target = threading.Event(), None, None
        super().__init__()

    def _answer(self, sock, stage, *more, **named):
        if stage != "dot":
            return super()._answer(sock, stage, *more, **named)
        said = super()._answer(sock, stage, *more, **named)
        threading.Thread(target=self._send_back, args=(self.mails[-1],),
                         daemon=True).start()
        return said

    def _send_back(self, mail):
        with Client(self.target) as c:
            reply = (451, "")
            while reply[0] == 451:          # it is still in flight
                reply = c.mail(mail.mail_from, mail.rcpt_to[0], mail.content)
        if reply[0] != 250:
            self.end = reply
            self.ends.set()


@pytest.mark.parametrize("directives,rounds", [
    # it is known to have been sent on, and has our field of then
    ([], 1),
    # without a memory: by our own Received fields, or by all of them
    (["replay: off"], 11),
    (["replay: off", "max-received: 5"], 6)])
def test_L1_mail_that_goes_round_ends(folder, hopseald, directives, rounds):
    with Back() as back:
        site = inbound(folder, back.port, *directives, common=[])
        hopseald(site.config)
        back.target = site.port
        with Client(site.port) as c:
            assert c.mail("a@one.example", "bob@two.example",
                          PLAIN)[0] == 250
        assert back.ends.wait(harness.WAIT)
    assert back.end[0] == 554 and back.end[1].startswith("5.4.6 ")
    assert len(back.mails) == rounds
    fields, _ = header_fields(back.mails[-1].content)
    # ours is there once, however often it came by
    assert names(fields).count("Authentication-Results") == 1
    assert names(fields).count("Received") == rounds
    assert re.search(rb"with ESMTP id \w+\r\n\tfor <bob@two.example>;", fields[1])
