"""What reports return, made by a queue and passed on by a forwarder before it:
ann's server - bob's forwarder - cleo's, who queues, and whose next hop refuses
(B6). Each report is read by the peer's verifier, too."""

import json
import os

import pytest

import forged
import harness
import hops
from forged import ANN, BOB, CLEO, ONE, THREE, TWO
from site_kit import field
from smtptools import Client, Sink
from test_chain import Daemon, Tee, forwarder, judged, name_of

HUGE = (45 if os.environ.get("LONG") else 12) << 20
DORA = "dora@four.example"
LINE = b"Words, words and some more of them, as mail has them, on a line\r\n"


class Way:
    def __init__(self, folder, started):
        self.folder = folder / "way"
        self.folder.mkdir()
        self.dns = started(hops.Answers())
        self.keys = harness.Keys(self.folder)
        self.keys.add(ONE, rsa2048=None)
        self.back = started(Received(extensions=(
            "PIPELINING", "SIZE 60000000", "8BITMIME", "SMTPUTF8", "DSN")))
        self.final = started(Received(
            rcpt="550 5.1.1 nobody of that name at the inner server"))
        two = forwarder(self.folder, TWO, self.dns.port, "srs", (BOB, CLEO),
                        common=["dsn-return: full"])
        three = forwarder(self.folder, THREE, self.dns.port, "token",
                          (CLEO, DORA), more=["delivery: queue"], common=[
                              "dsn-return: full", "queue-retry: 1s"])
        self.two, self.three = two, three
        self.tee = started(Tee(two.ports["fwd"]))
        two.routes({THREE: three.ports["fwd"], ONE: self.back.port})
        three.routes({"four.example": self.final.port, TWO: self.tee.port})
        records = {k: v for keys in (self.keys, two.keys, three.keys)
                   for k, v in keys.records.items()}
        self.dns.add(records)
        self.records = self.dns.file(self.folder / "dns.json")
        for site in (two, three):
            started(Daemon(site))

    def send(self, octets, params=""):
        signed = harness.run(
            harness.HOPSEAL, "sign", "--domain", ONE, "--selector", "ed",
            "--key", self.keys.pem(ONE, "ed"), "--mail-from", ANN,
            "--rcpt-to", BOB, stdin=octets)
        with Client(self.two.ports["fwd"]) as c:
            reply = c.envelope(ANN, BOB, params=params)
            reply = c.content(signed) if reply[0] == 250 else reply
        assert reply[0] == 250, (reply, self.log())
        return name_of(octets)

    def log(self):
        return self.two.log()[-3000:] + self.three.log()[-3000:]

    def reports(self, name):
        """As cleo's forwarder made it, and as bob's tells ann."""
        harness.until(lambda: [m for m in self.back.mails
                               if name in m.content], self.log)
        told, = [m for m in self.back.mails if name in m.content]
        made = self.tee.report(name)
        assert (told.mail_from, told.rcpt_to) == ("", [ANN])
        return made, told


class Received(Sink):
    def start(self):
        return self

    def stop(self):
        self.close()


@pytest.fixture(scope="module")
def way(folder, started):
    return Way(folder, started)


def message(number, *more, body=b"Text\r\n"):
    return b"\r\n".join([
        b"From: <%s>" % ANN.encode(), b"To: <%s>" % BOB.encode(),
        b"Subject: Words  ", b"Date: Thu, 26 Nov 2026 10:00:00 +0000",
        b"Message-ID: <returned.%s@one.example>" % number.encode(), *more, b"",
        body])


MIME = (b"MIME-Version: 1.0", b"Content-Transfer-Encoding: 8bit",
        b"Content-Type: text/plain; charset=utf-8")
# name -> (message, whether all of it comes back)
FORMS = {
    "plain": (message("plain"), True),
    "empty": (message("empty", body=b""), True),
    "no-end": (message("no-end", body=b"Text\r\n\r\n\r\n"), True),
    "dots": (message("dots", body=b".\r\n..\r\n. x\r\n"), True),
    "mime": (message("mime", b'Content-Type: multipart/mixed; boundary="=_"',
                     body=b"--=_\r\n\r\nx\r\n--=_--\r\n"), True),
    "delimiters": (message("delimiters", body=b"--b=1\r\n--=_\r\n--=_0--\r\n"),
                   True),
    "long-lines": (message("long-lines", b"X-Long: " + b"x" * 900,
                           body=b"y" * 990 + b"\r\n"), True),
    "folds": (message("folds", b"X-Folded: a\r\n b\r\n\t c", b"X-None:"), True),
    "many-fields": (message("many-fields", *[b"X-%d: y" % k
                                             for k in range(300)]), True),
    "8bit": (message("8bit", *MIME, body="Grüße\r\n".encode()), False),
    "8bit-header": (message("8bit-header", "X-Name: Grüße".encode()), True),
    "latin-1": (message("latin-1", b"X-Name: Gr\xfc\xdfe"), True),
    "a-megabyte": (message("a-megabyte", body=LINE * (2**20 // len(LINE))),
                   True),
    "more-than-it": (message("more-than-it",
                             body=LINE * (2**20 // len(LINE) + 1)), False),
}


@pytest.mark.parametrize("form", FORMS)
def test_B6_what_is_returned(way, peer, form):
    octets, is_whole = FORMS[form]
    name = way.send(octets, " BODY=8BITMIME" if form[:3] in ("8bi", "lat")
                    else "")
    header, body = octets.split(b"\r\n\r\n", 1)
    for mail in way.reports(name):
        assert judged(peer, way.records, mail) == [("pass", None)] * 2
        assert header + b"\r\n" in mail.content
        assert (header + b"\r\n\r\n" + body in mail.content) == is_whole
        if "header" not in form and form != "latin-1":
            assert mail.content.isascii()
        for word in (b"dora@", b"four.example", b"inner server"):
            assert word not in mail.content.lower()
    assert field(mail.content, "Auto-Submitted")


@pytest.mark.parametrize("ret, is_whole", [("HDRS", False), ("FULL", True)])
def test_B6_what_the_sender_asked_for(way, peer, ret, is_whole):
    """RET at the first hop; each next one offers DSN."""
    octets = message(ret)
    for mail in way.reports(way.send(octets, f" RET={ret}")):
        assert judged(peer, way.records, mail) == [("pass", None)] * 2
        assert (octets in mail.content) == is_whole


def test_B6_a_huge_one_comes_back(way, peer):
    """By a server that returns all of it, to one that passes on what fits."""
    octets = message("huge", body=LINE * (HUGE // len(LINE)))
    refused = way.final.answers["rcpt"]
    way.final.answers["rcpt"] = "250 2.1.5 ok"
    way.send(octets)
    harness.until(lambda: way.final.mails, way.log)
    way.final.answers["rcpt"] = refused
    mail = way.final.mails.pop()
    way.dns.add(forged.Signer.records("four.example", None))
    way.dns.file(way.records)
    report = forged.Forger(forged.Signer(), mail.mail_from, mail.content,
                           []).report(d="four.example")
    with Client(way.three.ports["fwd"]) as c:
        assert c.mail(*report)[0] == 250, way.log()
    made, told = way.reports(name_of(octets))
    for mail in (made, told):
        assert len(mail.content) < 16384
        assert judged(peer, way.records, mail) == [("pass", None)] * 2


def test_L3_a_report_that_nobody_takes_ends_where_it_was_made(way):
    """Ann's server refuses it: who made it hears of that in the session, and
    keeps it; nobody reports on a report."""
    way.back.answers["rcpt"] = "550 5.2.1 disabled"
    way.back.hang_up()
    sent = len(way.back.mails), len(way.final.mails)
    way.send(message("loop"))
    way.three.daemon.wait_log(r"ALARM: to=<SRS0=\S+@two.example>: failed for "
                              "good")
    assert (len(way.back.mails), len(way.final.mails)) == sent
    assert way.back.refused == []
    listed = harness.run(harness.HOPSEAL, "queue", "list", "--json", "--spool",
                         way.three.folder / "state" / "queue").splitlines()
    assert [m["sender"] for m in map(json.loads, listed)] == [""]
