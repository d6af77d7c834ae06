"""Forged reports at a forwarder: none goes back (K8, B3), by hand and with the
peer's signer."""

import re

import pytest

import forged
import harness
import hops
import nameserver
from forged import ANN, BOB, CLEO, EVIL, ONE, THREE, TWO
from smtptools import Client, Sink

OTHER, LEA = f"eve@{ONE}", f"lea@{TWO}"


def message(number, mail_from=ANN):
    return (f"From: <{mail_from}>\r\nTo: <{BOB}>\r\nSubject: Words\r\n"
            f"Date: Thu, 26 Nov 2026 10:00:00 +0000\r\n"
            f"Message-ID: <{number}@{ONE}>\r\n\r\nText {number}\r\n").encode()


class Forwarder:
    """two.example, and what it sends to each side."""

    def __init__(self, folder, how, by):
        self.dns = hops.Answers()
        self.folder = folder / f"{how}-{by}"
        self.folder.mkdir()
        self.keys = harness.Keys(self.folder)
        for domain in (ONE, THREE, EVIL, f"mx.{THREE}", f"late.{THREE}",
                       "nokey.example", "example"):
            self.keys.add(domain, rsa2048=None)
            if not domain.startswith("nokey"):
                for signer in (forged.Signer, forged.PeerSigner):
                    self.dns.add(signer.records(domain, self.keys))
        for selector in ("k1", "ed"):
            self.dns.table[f"{selector}._domainkey.late.{THREE}"] = \
                nameserver.SERVFAIL
        self.onward, self.back = Sink(), Sink()
        site = hops.Administration(self.folder, TWO, self.dns.port)
        site.routes({THREE: self.onward.port, ONE: self.back.port,
                     f"late.{THREE}": self.onward.port})
        self.port = site.listener(
            "fwd", "forward", f"domains: [{TWO}]", "verify: enforce",
            f'aliases: {{"{BOB}": "{CLEO}", "{LEA}": "lea@late.{THREE}"}}',
            f"mail-from: {how}",
            'routes: "file:routes"',
            f'next-hop: "smtp://127.0.0.1:{self.back.port} none"')
        self.dns.add(site.keys.records)
        self.site = site

    def start(self):
        self.site.hop().start()
        return self

    def stop(self):
        try:
            self.site.daemon.stop()
        finally:
            self.dns.stop()
            self.onward.close()
            self.back.close()

    def forward(self, number, mail_from=ANN, rcpt_to=BOB):
        """(return address, octets) of a message as it left."""
        signed = harness.run(
            harness.HOPSEAL, "sign", "--domain", ONE, "--selector", "ed",
            "--key", self.keys.pem(ONE, "ed"), "--mail-from", mail_from,
            "--rcpt-to", rcpt_to, stdin=message(number, mail_from))
        with Client(self.port) as c:
            reply = c.mail(mail_from, rcpt_to, signed)
        assert reply[0] == 250, (reply, self.site.log()[-3000:])
        mail = self.onward.mails[-1]
        return mail.mail_from, mail.content

    def told(self, mail_from, rcpt_to, octets):
        with Client(self.port) as c:
            return c.mail(mail_from, rcpt_to, octets)


@pytest.fixture(scope="module", params=["srs-hand", "srs-peer", "token-hand",
                                        "token-peer"])
def forwarder(request, folder, started):
    """With a forger: .forger."""
    how, by = request.param.split("-")
    site = started(Forwarder(folder, how, by))
    sign = forged.Signer() if by == "hand" else forged.PeerSigner(
        request.getfixturevalue("peer"), site.keys)
    path, octets = site.forward(1)
    site.forger = forged.Forger(sign, path, octets, [site.forward(2, OTHER)])
    site.by = by
    return site


@pytest.mark.parametrize("name", forged.FORGED)
def test_B3_none_goes_back(forwarder, name):
    if forwarder.by == "peer" and name in forged.PEER_REFUSES:
        with pytest.raises(AssertionError, match="ended with 70"):
            forged.FORGED[name](forwarder.forger)
        return
    mail_from, rcpt_to, octets = forged.FORGED[name](forwarder.forger)
    code, text = forwarder.told(mail_from, rcpt_to, octets)
    assert code == 550 and re.match(r"5\.7\.\d+ ", text), (code, text)
    assert forwarder.back.mails == [] and forwarder.back.refused == []


@pytest.mark.parametrize("name", forged.QUIET)
def test_B8_only_failures_go_back(forwarder, name):
    assert forwarder.told(*forged.QUIET[name](forwarder.forger))[0] == 250
    assert forwarder.back.mails == [] and forwarder.back.refused == []


def test_B3_dns_trouble_is_no_verdict(forwarder):
    """The key of who reports can not be had at the moment."""
    path, octets = forwarder.forward(70, rcpt_to=LEA)
    forger = forged.Forger(forwarder.forger.sign, path, octets, [])
    code, text = forwarder.told(*forger.report(d=f"late.{THREE}"))
    assert code == 451 and text.startswith("4.7."), (code, text)
    assert forwarder.back.mails == [] and forwarder.back.refused == []


def test_B4_after_all_that_the_real_one_goes_back(forwarder):
    """No forged one was counted as it; and it goes once."""
    report = forwarder.forger.report()
    for _ in range(3):
        assert forwarder.told(*report)[0] == 250
    mail, = forwarder.back.mails
    assert (mail.mail_from, mail.rcpt_to) == ("", [ANN])
