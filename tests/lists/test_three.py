"""Three administrations in a row, each a hopseald with another mail server, keys
in a real DNS server: ann writes by her own, bert has his mail forwarded, and
cleo hers, to the reader."""

import json
import re
import subprocess

import pytest

import harness
import mtas
import nameserver
import postfix
import site_kit
import smtptools
from conftest import missing
from site_kit import message
from smtptools import Client

ANN, BERT, CLEO = "ann@author.example", "bert@two.example", "cleo@three.example"
READER = "dora@reader.example"
DOMAINS = ("author.example", "two.example", "three.example")
COMMON = """
hostname: {domain}
state: state
keys: keys
secrets: secrets
resolver: ["127.0.0.1:{dns}"]
workers: 1
listeners:
"""
EGRESS = """
  out:
    role: egress
    listen: ["127.0.0.1:{out}"]
    clients: [127.0.0.1]
    senders: [{domain}]
    next-hop: "smtp://127.0.0.1:{onward}"
"""
FORWARDING = """
  in:
    role: inbound
    listen: ["127.0.0.1:{into}"]
    domains: [{domain}]
    verify: enforce
    next-hop: "smtp://127.0.0.1:{mta}"
  out:
    role: egress
    listen: ["127.0.0.1:{out}"]
    clients: [127.0.0.1]
    pair: in
    mail-from: srs
    next-hop: "smtp://127.0.0.1:{onward}"
"""


class Administration:
    """One of the three: folder, keys, ports."""

    def __init__(self, folder, domain):
        self.folder, self.domain = folder / domain, domain
        self.folder.mkdir()
        self.keys = harness.Keys(self.folder).add(domain)
        for name in ("state", "secrets"):
            (self.folder / name).mkdir()
        (self.folder / "state").chmod(0o777)
        (self.folder / "secrets").chmod(0o700)
        secret = self.folder / "secrets" / "one"
        secret.write_text(f"what nobody knows of {domain}\n")
        secret.chmod(0o600)
        self.into, self.out = harness.free_port(), harness.free_port()
        self.mta = None

    def hop(self, text, dns, onward):
        return harness.Hopseald(self.folder, (COMMON + text).format(
            domain=self.domain, dns=dns, into=self.into, out=self.out,
            mta=self.mta.port, onward=onward))


class Three:
    def __init__(self, folder, started):
        ann, two, three = self.all = [Administration(folder, d)
                                      for d in DOMAINS]
        self.dns = started(Nameserver(folder, [
            line for a in self.all for line in a.keys.zone]))
        self.dns_file = folder / "dns.json"
        self.dns_file.write_text(json.dumps(
            {k: v for a in self.all for k, v in a.keys.records.items()}))
        self.reader = started(site_kit.Received())
        ann.mta = started(mtas.OpenSmtpd(
            ann.folder / "mta", {"two.example": ann.out}))
        two.mta = started(postfix.Postfix(
            two.folder / "mta", relayhost=f"[127.0.0.1]:{two.out}",
            virtual_alias_domains="two.example", virtual_alias_maps="inline:"
            f"{{ {{ {BERT} = {CLEO} }} }}"))
        three.mta = started(mtas.Exim(
            three.folder / "mta", {"reader.example": three.out}, routers=[
                "there:\n  driver = redirect\n  domains = three.example\n"
                f"  local_parts = cleo\n  data = {READER}"]))
        self.tee = started(Tee(three.into))
        self.hops = [started(ann.hop(EGRESS, self.dns.port, two.into)),
                     started(two.hop(FORWARDING, self.dns.port,
                                     self.tee.port)),
                     started(three.hop(FORWARDING, self.dns.port,
                                       self.reader.port))]

    def log(self):
        return "".join(h.log()[-3000:] for h in self.hops) + \
            "".join(a.mta.log()[-2000:] for a in self.all)

    def send(self, octets):
        with Client(self.all[0].mta.port) as c:
            reply = c.mail(ANN, BERT, octets)
        assert reply[0] == 250, (reply, self.log())

    def copies(self, octets, n=1):
        name = site_kit.field(octets, "Message-ID").encode()
        return self.reader.wait(n, lambda m: name in m.content, self.log)


class Nameserver(nameserver.Nsd):
    def start(self):
        return self.__enter__()

    def stop(self):
        self.__exit__()


class Tee:
    """Keeps what two.example sends to three.example."""

    def __init__(self, onward):
        self.recorder = smtptools.Tee(onward)
        self.port = self.recorder.port

    def start(self):
        return self

    def stop(self):
        self.recorder.close()

    def captured(self, octets):
        """(MAIL FROM, content) of the message as it went there."""
        name = site_kit.field(octets, "Message-ID").encode()
        for sent, _ in self.recorder.streams:
            for path, data in re.findall(
                    rb"MAIL FROM:<([^>]*)>(?:(?!MAIL FROM).)*?DATA\r\n"
                    rb"(.*?\r\n\.\r\n)", bytes(sent), re.S):
                if name in data:
                    return path.decode(), smtptools.unstuff(data)
        raise AssertionError("it did not come by")


@pytest.fixture(scope="module")
def three(folder, started):
    for why in (mtas.cannot_run("opensmtpd"), postfix.cannot_run(),
                mtas.cannot_run("exim"), nameserver.Nsd.cannot_run()):
        if why:
            missing(why)
    return Three(folder, started)


@pytest.fixture(scope="module")
def sent(three):
    """One message that went all the way, as ann wrote it."""
    octets = message("8bit", "talk", 900)
    three.send(octets)
    return octets


def explain(three, mail_from, rcpt_to, octets, *more):
    done = subprocess.run(
        [harness.HOPSEAL, "explain", "--resolver",
         f"127.0.0.1:{three.dns.port}", "--mail-from", mail_from, "--rcpt-to",
         rcpt_to, *more], input=octets, capture_output=True,
        env={"NO_COLOR": "1"}, timeout=harness.WAIT)
    return done.returncode, done.stdout.decode()


def test_at_the_end_it_is_good(three, peer, sent):
    mail, = three.copies(sent)
    assert mail.rcpt_to == [READER]
    assert mail.mail_from.startswith("SRS1=")
    assert mail.mail_from.endswith("@three.example")
    said = harness.peer_verify(peer, three.dns_file, mail.content,
                               f"<{mail.mail_from}>", [f"<{READER}>"])
    assert (said["result"], said["error"]) == ("pass", None)
    assert [(s["i"], s["d"]) for s in said["signatures"]] == \
        list(enumerate(DOMAINS, 1))


@pytest.mark.parametrize("kind", ["attached", "latin", "signed", "html base64"])
def test_other_content_too(three, peer, kind):
    octets = message(kind, "talk", 910)
    three.send(octets)
    mail, = three.copies(octets)
    said = harness.peer_verify(peer, three.dns_file, mail.content,
                               f"<{mail.mail_from}>", [f"<{READER}>"])
    assert (said["result"], len(said["signatures"])) == ("pass", 3)


def test_explain_shows_three_hops(three, sent):
    mail, = three.copies(sent)
    status, text = explain(three, mail.mail_from, READER, mail.content)
    assert status == 0
    assert re.findall(r"(?m)^i=(\d)    (\S+),", text) == [
        (str(k), d) for k, d in enumerate(DOMAINS, 1)]
    assert text.count("PASS\n") >= 6
    assert f"sent       <{ANN}> to <{BERT}>" in text
    assert "verdict  PASS" in text


def replay(three, mail_from, rcpt_to, octets):
    """What three.example answers to one who sends it once more."""
    with Client(three.all[2].into) as c:
        return c.mail(mail_from, rcpt_to, octets)


def test_a_captured_copy_for_somebody_else_is_refused(three, sent):
    three.copies(sent)
    mail_from, octets = three.tee.captured(sent)
    assert replay(three, mail_from, "mallory@three.example", octets) == (
        550, "5.7.1 FAIL: DKIM2-Signature i=2 RCPT TO "
        "<mallory@three.example> did not match")
    # nor may another have sent it
    assert replay(three, "mallory@two.example", CLEO, octets) == (
        550, "5.7.1 FAIL: DKIM2-Signature i=2 MAIL FROM "
        "<mallory@two.example> did not match")
    assert len(three.copies(sent)) == 1


def test_a_second_copy_delivers_nothing(three, sent):
    three.copies(sent)
    mail_from, octets = three.tee.captured(sent)
    reply = replay(three, mail_from, CLEO, octets)
    assert reply[0] == 250
    three.hops[2].wait_log(r"to=<cleo@three\.example>, .*delivered before")
    # another one behind it has come: it would be there by now
    other = message("plain", "talk", 920)
    three.send(other)
    three.copies(other)
    assert len(three.copies(sent)) == 1


def test_a_change_on_the_way_is_named_with_hop_and_octet(three, sent):
    three.copies(sent)
    mail_from, octets = three.tee.captured(sent)
    body = octets.index(b"\r\n\r\n") + 4
    at = 20
    assert octets[body + at:body + at + 1] not in b"#\r\n"
    changed = octets[:body + at] + b"#" + octets[body + at + 1:]
    assert replay(three, mail_from, CLEO, changed) == (
        550, "5.7.1 FAIL: Message-Instance m=1 body hash sha256 mismatch")
    original = three.all[0].folder / "captured.eml"
    original.write_bytes(octets)
    status, text = explain(three, mail_from, CLEO, changed, "--original",
                           original)
    assert status == 1
    assert "Message-Instance m=1 body hash sha256 mismatch" in text
    assert f"the first octet that differs is {at + 1}: line 1" in text
    # that all hops see it says that it happened behind the last of them
    assert re.findall(r"content +m=1, (.*): FAIL: body hash", text) == [
        "as it set out", "unchanged"]
