"""ann's server - bob's forwarder - cleo's forwarder - dora's server, which takes
mail and then can not deliver it: the report walks back hop by hop."""

import base64
import json
import re

import pytest

import harness
import hops
import postfix
import site_kit
import smtptools
from conftest import missing
from smtptools import Client, Sink

ONE, TWO, THREE, FOUR = DOMAINS = [f"{n}.example" for n in
                                   ("one", "two", "three", "four")]
ANN, BOB, CLEO, DORA = (f"{n}@{d}" for n, d in
                        zip(("ann", "bob", "cleo", "dora"), DOMAINS))


class Tee(smtptools.Tee):
    def start(self):
        return self

    def stop(self):
        self.close()

    def report(self, name):
        """The transaction under the null path that returns that message."""
        for mail in self.mails():
            if not mail.mail_from and name in mail.content:
                return mail
        return None


class Accepting:
    """Postfix between an inbound and an egress listener of a domain: it takes
    all, and what it would deliver is refused behind it."""

    def __init__(self, folder, domain, dns_port, answers=None, more=()):
        self.site = hops.Administration(folder, domain, dns_port)
        self.final = Sink(**(answers or {
            "rcpt": "550 5.1.1 nobody of that name at the inner server"}))
        self.out = harness.free_port()
        self.mta = postfix.Postfix(
            self.site.folder / "mta", relayhost=f"[127.0.0.1]:{self.out}",
            relay_domains=domain, relay_recipient_maps="",
            myhostname=f"mx.{domain}", transport_maps="inline:{ { "
            f"{domain} = smtp:[127.0.0.1]:{self.final.port} }} }}")
        self.port = self.site.listener(
            "in", "inbound", f"domains: [{domain}]", "verify: enforce",
            f'next-hop: "smtp://127.0.0.1:{self.mta.port} none"')
        self.more = more

    def back_to(self, port):
        """Where reports go."""
        self.site.listener(
            "out", "egress", "clients: [127.0.0.1]", "pair: in", *self.more,
            f'next-hop: "smtp://127.0.0.1:{port} none"', port=self.out)
        return self

    def start(self):
        self.mta.start()
        self.site.hop().start()
        return self

    def stop(self):
        try:
            self.site.daemon.stop()
        finally:
            self.mta.stop()
            self.final.close()


class Daemon:
    """A hopseald of an administration, for `started`."""

    def __init__(self, site):
        self.site = site

    def start(self):
        self.site.hop().start()
        return self

    def stop(self):
        self.site.daemon.stop()


def forwarder(folder, domain, dns_port, how, alias, more=(), common=()):
    site = hops.Administration(folder, domain, dns_port, *common)
    site.listener("fwd", "forward", f"domains: [{domain}]", "verify: enforce",
                  f'aliases: {{"{alias[0]}": "{alias[1]}"}}',
                  f"mail-from: {how}", 'routes: "file:routes"',
                  'next-hop: "smtp://127.0.0.1:1 none"', *more)
    return site


class Chain:
    def __init__(self, folder, started, how):
        self.folder = folder / how
        self.folder.mkdir()
        dns_port = harness.free_port()
        self.mailbox = started(site_kit.Received())
        one = hops.Administration(self.folder, ONE, dns_port)
        two = forwarder(self.folder, TWO, dns_port, how, (BOB, CLEO))
        three = forwarder(self.folder, THREE, dns_port, how, (CLEO, DORA))
        four = Accepting(self.folder, FOUR, dns_port)
        self.sites = [one, two, three, four.site]
        into_one = one.listener(
            "in", "inbound", f"domains: [{ONE}]", "verify: enforce",
            f'next-hop: "smtp://127.0.0.1:{self.mailbox.port} none"')
        one.listener("out", "egress", "clients: [127.0.0.1]", f"senders: [{ONE}]",
                     f'next-hop: "smtp://127.0.0.1:{two.ports["fwd"]} none"')
        self.tees = {TWO: started(Tee(into_one)),
                     THREE: started(Tee(two.ports["fwd"])),
                     FOUR: started(Tee(three.ports["fwd"]))}
        two.routes({THREE: three.ports["fwd"], ONE: self.tees[TWO].port})
        three.routes({FOUR: four.port, TWO: self.tees[THREE].port})
        four.back_to(self.tees[FOUR].port)
        self.dns = started(hops.Nsd(self.folder, [
            line for s in self.sites for line in s.keys.zone], dns_port))
        self.records = self.folder / "dns.json"
        self.records.write_text(json.dumps(
            {k: v for s in self.sites for k, v in s.keys.records.items()}))
        self.four = four
        for part in (Daemon(one), Daemon(two), Daemon(three), four):
            started(part)

    def log(self):
        return "".join(f"== {s.domain}\n{s.log()[-2500:]}" for s in self.sites) \
            + self.four.mta.log()[-2500:]

    def send(self, octets):
        """By ann's server."""
        with Client(self.sites[0].ports["out"]) as c:
            reply = c.mail(ANN, BOB, octets)
        assert reply[0] == 250, (reply, self.log())

    def back(self, name):
        """The report that ann gets."""
        return self.mailbox.wait(
            1, lambda m: not m.mail_from and name in m.content, self.log)[0]


def message(number, more="", body="Text\r\n"):
    return (f"From: Ann <{ANN}>\r\nTo: {BOB}\r\nSubject: Words  \r\n"
            f"Date: Thu, 26 Nov 2026 10:00:00 +0000\r\n"
            f"Message-ID: <{number}.walk@{ONE}>\r\n{more}\r\n{body}").encode()


def name_of(octets):
    return re.search(rb"(?m)^Message-ID: (<[^>]*>)", octets).group(1)


def judged(peer, records, mail):
    """What the peer and we say of a report: (theirs, ours)."""
    words = [w for r in mail.rcpt_to for w in ("--rcpt-to", f"<{r}>")]
    said = []
    for program in (peer, harness.HOPSEAL):
        done = harness.run(program, "dsn-verify", "--mail-from", "<>", *words,
                           "--dns", records, stdin=mail.content, ok=False)
        said.append(json.loads(done.stdout.splitlines()[-1]))
    return [(s["result"], s.get("error")) for s in said]


def readable(octets):
    """The octets, and whatever stands in base64 in them."""
    found = [octets]
    for run in re.findall(rb"[A-Za-z0-9+/]{8,}={0,2}",
                          re.sub(rb"\r\n[ \t]", b"", octets)):
        try:
            found.append(base64.b64decode(run + b"=" * (-len(run) % 4)))
        except ValueError:
            pass
    return b"\n".join(found).lower()


@pytest.fixture(scope="module", params=["srs", "token"])
def chain(request, folder, started):
    for why in (postfix.cannot_run(), hops.Nsd.cannot_run()):
        if why:
            missing(why)
    return Chain(folder, started, request.param)


BODIES = {
    "plain": ("", "Text\r\n"),
    "8bit": ("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
             "Content-Transfer-Encoding: 8bit\r\n", "Grüße\r\n\r\n\r\n"),
    "report-like": ('Content-Type: multipart/mixed; boundary="=_h"\r\n',
                    "--=_h\r\n\r\n.\r\n--=_h--\r\n--b=1\r\n"),
}


@pytest.mark.parametrize("kind", BODIES)
def test_K7_it_walks_back(chain, peer, kind):
    octets = message(f"{kind}", *BODIES[kind])
    chain.send(octets)
    walked(chain, peer, name_of(octets))


def test_K7_it_walks_back_to_a_chain_of_the_peer(chain, peer):
    keys = chain.sites[0].keys
    octets = harness.run(peer, "sign", "--domain", ONE, "--selector", "ed",
                         "--key", keys.pem(ONE, "ed"), "--mail-from", ANN,
                         "--rcpt-to", BOB, stdin=message("peer"))
    with Client(chain.sites[1].ports["fwd"]) as c:
        assert c.mail(ANN, BOB, octets)[0] == 250, chain.log()
    walked(chain, peer, name_of(octets))


def walked(chain, peer, name):
    mail = chain.back(name)
    assert mail.rcpt_to == [ANN]
    # as signed at each hop, and what it may no longer tell there
    beyond = {FOUR: (), THREE: (FOUR, "dora@", "inner server"),
              TWO: (FOUR, THREE, "dora@", "cleo@", "inner server")}
    told = {FOUR: DORA, THREE: CLEO, TWO: BOB}
    for domain, words in beyond.items():
        mail = chain.tees[domain].report(name)
        assert mail is not None, (domain, chain.log())
        assert judged(peer, chain.records, mail) == [("pass", None)] * 2, domain
        text = readable(mail.content)
        assert not [w for w in words if w.encode() in text], (domain, text)
        assert b"final-recipient: rfc822; " + told[domain].encode() in text or \
            b"final-recipient: rfc822;" + told[domain].encode() in text
        assert b"action: failed" in text
        assert site_kit.field(mail.content, "Auto-Submitted")
        # the author's own words are not encoded anew
        assert b"Subject: Words  \r\n" in mail.content
    # ... and the first hop is what ann's server passed on
    assert mail.content.endswith(b"--\r\n")


def test_B4_the_second_report_says_nothing(chain, peer):
    """What went from hop to hop once is taken, and not passed on."""
    octets = message("twice")
    chain.send(octets)
    name = name_of(octets)
    chain.back(name)
    for site, domain in ((chain.sites[2], FOUR), (chain.sites[1], THREE)):
        mail = chain.tees[domain].report(name)
        with Client(site.ports["fwd"]) as c:
            for _ in range(3):
                assert c.mail("", mail.rcpt_to[0], mail.content)[0] == 250
    # what is sent afterwards arrives, and nothing before it
    other = message("behind")
    chain.send(other)
    chain.back(name_of(other))
    assert len([m for m in chain.mailbox.copies(
        lambda m: not m.mail_from) if name in m.content]) == 1
