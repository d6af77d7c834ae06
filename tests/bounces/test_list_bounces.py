"""A list in the path: a report stops at Mailman, which scores the bounce of its
subscriber, and the author hears nothing (B10)."""

import json

import pytest

import harness
import hops
import mailman3
import postfix
import site_kit
from conftest import missing
from smtptools import Client
from test_chain import (ANN, FOUR, ONE, TWO, Accepting, Daemon, Tee,
                        forwarder, judged, name_of)

LISTS = "lists.example"
TALK = f"talk@{LISTS}"
DIRECT, BY_WAY = f"dora@{FOUR}", f"bob@{TWO}"


class Site:
    def __init__(self, folder, started):
        dns_port = harness.free_port()
        self.author = started(site_kit.Received())      # one.example
        self.ann = hops.Administration(folder, ONE, dns_port)
        out = harness.free_port()
        self.mailman = mailman3.Mailman(
            folder / "mailman", out,
            {"talk": {"members": [DIRECT, BY_WAY]}}, more=("bounces",))
        lists = hops.Administration(folder, LISTS, dns_port)
        self.into = lists.listener(
            "in", "list-in", f"domains: [{LISTS}]", "verify: enforce",
            f'next-hop: "lmtp://127.0.0.1:{self.mailman.port}"')
        two = forwarder(folder, TWO, dns_port, "token",
                        (BY_WAY, f"robert@{FOUR}"))
        four = Accepting(folder, FOUR, dns_port,
                         more=('routes: "file:routes"',))
        four.back_to(self.author.port)
        lists.listener(
            "out", "list-out", "clients: [127.0.0.1]", "pair: in",
            'routes: "file:routes"',
            f'next-hop: "smtp://127.0.0.1:{self.author.port} none"', port=out)
        self.tee = started(Tee(self.into))
        lists.routes({TWO: two.ports["fwd"], FOUR: four.port})
        two.routes({FOUR: four.port, LISTS: self.tee.port})
        four.site.routes({TWO: two.ports["fwd"], LISTS: self.tee.port})
        sites = [self.ann, lists, two, four.site]
        self.dns = started(hops.Nsd(
            folder, [z for s in sites for z in s.keys.zone], dns_port))
        self.records = folder / "dns.json"
        self.records.write_text(json.dumps(
            {k: v for s in sites for k, v in s.keys.records.items()}))
        for part in (self.mailman, Daemon(lists), Daemon(two), four):
            started(part)
        self.sites, self.mta = sites[1:], four.mta

    def log(self):
        return "".join(s.log()[-2500:] for s in self.sites) + \
            self.mailman.log() + self.mta.log()[-2500:]

    def scores(self):
        path = self.mailman.folder / "var/logs/bounce.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture(scope="module")
def site(folder, started):
    for why in (mailman3.cannot_run(), postfix.cannot_run(),
                hops.Nsd.cannot_run()):
        if why:
            missing(why)
    return Site(folder, started)


@pytest.fixture(scope="module")
def posted(site):
    octets = (f"From: Ann <{ANN}>\r\nTo: {TALK}\r\nSubject: Words\r\n"
              f"Date: Thu, 26 Nov 2026 10:00:00 +0000\r\n"
              f"Message-ID: <post@{ONE}>\r\n\r\nText\r\n").encode()
    signed = site_kit.sign(site.ann.keys, octets, TALK, ANN, ONE)
    with Client(site.into) as c:
        assert c.mail(ANN, TALK, signed)[0] == 250
    return octets


@pytest.mark.parametrize("member", [DIRECT, BY_WAY])
def test_B10_it_stops_at_mailman(site, peer, posted, member):
    """Of a subscriber's server, and of one behind his forwarder."""
    def is_scored():
        return f"{member} on list talk.{LISTS}, bounce score = 1" \
            in site.scores()

    harness.until(is_scored, lambda: member + site.log(), harness.WAIT * 3)
    reports = [m for m in site.tee.mails() if not m.mail_from
               and member.encode() in m.content]
    assert reports
    for mail in reports:
        assert name_of(posted) in mail.content
        assert mail.rcpt_to[0].startswith("talk-bounces")
        assert judged(peer, site.records, mail) == [("pass", None)] * 2
    # nobody at the author's has heard of it
    assert site.author.sink.mails == [] and site.author.sink.refused == []
