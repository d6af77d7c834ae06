"""Mail with forged senders against failures at every stage: not one report of
it leaves to a stranger (B1, B9). 1,000 messages; 10,000 with LONG=1."""

import json
import os
import re

import pytest

import harness
import hops
import postfix
import strangers
from conftest import missing
from smtptools import CLOSE, Client, Mail, Sink

N = 10_000 if os.environ.get("LONG") else 1_000
SEED = int(os.environ.get("SEED", 8))
TWO = "two.example"
# stage -> answers of the next hop
STAGES = {
    "banner 554": {"banner": "554 5.3.2 not here"},
    "banner 421": {"banner": "421 4.3.2 not now"},
    "banner lost": {"banner": CLOSE},
    "mail 550": {"mail": "550 5.7.1 not from there"},
    "mail 451": {"mail": "451 4.3.0 later"},
    "rcpt 550": {"rcpt": "550 5.1.1 no such user"},
    "rcpt 452": {"rcpt": "452 4.2.2 mailbox full"},
    "rcpt lost": {"rcpt": CLOSE},
    "data 554": {"data": "554 5.3.4 no room"},
    "data lost": {"data": CLOSE},
    "dot 550": {"dot": "550 5.6.0 not this"},
    "dot 451": {"dot": "451 4.3.0 later"},
    "dot lost": {"dot": CLOSE},
    "gone": None,
    "none": {},
}


@pytest.fixture(scope="module")
def dns(started):
    answers = started(hops.Answers())
    answers.add(strangers.records())
    return answers


def send(port, sent):
    """The reply that decided; a session each, as forgers do."""
    with Client(port) as c:
        return c.mail(sent.mail_from, sent.rcpt_to, sent.content)


def reports(mails, sent):
    """What left under the null path, and which of it no one asked for: to
    another than mf=, for what may not be reported, or a second time."""
    by_id = {s.message_id: s for s in sent}
    found, strange, told = [], [], set()
    for mail in mails:
        if mail.mail_from:
            continue
        if any(s.content == mail.content[-len(s.content):] and
               s.mail_from == "" for s in sent):
            continue                # a null sender's mail, as it came
        found.append(mail)
        named = [s for k, s in by_id.items() if k in mail.content]
        fits = [s for s in named if mail.rcpt_to == [s.may_return]]
        if not fits or fits[0].number in told:
            strange.append(mail)
        told.update(s.number for s in fits)
    return found, strange


def kinds(mail, sent):
    return [s.kind for s in sent if s.message_id in mail.content]


def account(name, sent, n_refused, mails):
    """Into the line that is printed at the end."""
    found, strange = reports(mails, sent)
    strangers.counts[name] = {"sent": len(sent), "refused": n_refused,
                    "reports": len(found), "strangers": len(strange)}
    assert not strange, f"{len(strange)} of {len(found)}, " \
        f"{[kinds(m, sent) for m in strange]}: " \
        f"{strange[0].rcpt_to} {strange[0].content.decode('latin-1')}"
    return found


def tried(port, mixture, sink):
    """Sends each part of a mixture while the next hop fails at another stage;
    (sent, how many were refused)."""
    good = dict(sink.answers)
    every, refused = list(mixture), 0
    ends = [len(every) * k // len(STAGES) for k in range(len(STAGES) + 1)]
    for k, answers in enumerate(STAGES.values()):
        sink.answers = {**good, **(answers or {})}
        sink.hang_up()              # none that is kept from before
        if answers is None:
            sink.kill()
        for sent in every[ends[k]:ends[k + 1]]:
            code = send(port, sent)[0]
            assert code // 100 in (2, 4, 5)
            refused += code // 100 != 2
        if answers is None:
            sink.restart()
    sink.answers = good
    return every, refused


@pytest.mark.parametrize("verify", ["enforce", "observe", "off"])
def test_B1_through_to_a_mail_server(folder, started, dns, verify):
    name = f"through-{verify}"
    with Sink() as behind:
        site = hops.Administration(folder, f"{verify}.example", dns.port)
        port = site.listener(
            "in", "inbound", f"domains: [{TWO}]", f"verify: {verify}",
            f'next-hop: "smtp://127.0.0.1:{behind.port} none"')
        daemon = site.hop().start()
        try:
            sent, refused = tried(port, strangers.mixture(
                N // 10, SEED, lambda n: f"u{n}@{TWO}", verify[0]), behind)
        finally:
            daemon.stop()
        assert refused > len(sent) // 2
        assert account(name, sent, refused, behind.mails) == []


@pytest.mark.parametrize("how", ["srs", "token"])
def test_B1_through_a_forwarder(folder, started, dns, how):
    with Sink() as onward, Sink() as world:
        site = hops.Administration(folder, f"{how}.example", dns.port)
        site.routes({"three.example": onward.port})
        port = site.listener(
            "fwd", "forward", f"domains: [{site.domain}]",
            f'aliases: {{"@{site.domain}": "carol@three.example"}}',
            f"mail-from: {how}", 'routes: "file:routes"',
            f'next-hop: "smtp://127.0.0.1:{world.port} none"')
        dns.add(site.keys.records)
        daemon = site.hop().start()
        try:
            sent, refused = tried(port, strangers.mixture(
                N // 10, SEED + 1, lambda n: f"u{n}@{site.domain}", how[0]),
                onward)
        finally:
            daemon.stop()
        assert world.mails == [] and world.refused == []
        assert account(f"forward-{how}", sent, refused, onward.mails) == []


class Behind:
    """A Postfix that takes everything between an inbound and an egress
    listener, and can deliver nothing: some is refused by the server behind it
    at RCPT, at DATA, at the dot, some it has no room or nobody for."""

    def __init__(self, folder, dns, verify, *more):
        self.folder = folder / f"behind-{verify}"
        self.folder.mkdir()
        self.world = Sink()
        self.final = Sink(
            rcpt=lambda to: "550 5.1.1 no such user" if to[:4] == "rcpt"
            else "250 2.1.5 ok",
            dot=lambda m: "554 5.7.1 not this")
        self.no_data = Sink(data="554 5.3.4 no room")
        site = hops.Administration(self.folder, TWO, dns.port)
        dns.add(site.keys.records)
        site.ports["out"] = harness.free_port()
        table = {f"data@{TWO}": f"smtp:[127.0.0.1]:{self.no_data.port}",
                 f"gone@{TWO}": "error:5.1.1 it is gone",
                 f"full@{TWO}": "error:5.2.2 mailbox full",
                 TWO: f"smtp:[127.0.0.1]:{self.final.port}"}
        maps = ", ".join(f"{{ {k} = {v} }}" for k, v in table.items())
        self.mta = postfix.Postfix(
            self.folder / "mta", relayhost=f"[127.0.0.1]:{site.ports['out']}",
            relay_domains=TWO, relay_recipient_maps="",
            recipient_delimiter="+", smtpd_reject_unlisted_recipient="no",
            transport_maps=f"inline:{{ {maps} }}", myhostname=f"mx.{TWO}")
        self.into = site.listener(
            "in", "inbound", f"domains: [{TWO}]", f"verify: {verify}",
            f'next-hop: "smtp://127.0.0.1:{self.mta.port} none"')
        self.out = site.listener(
            "out", "egress", "clients: [127.0.0.1]", "pair: in", *more,
            f'next-hop: "smtp://127.0.0.1:{self.world.port} none"',
            port=site.ports["out"])
        self.site = site

    def start(self):
        self.mta.start()
        self.site.hop().start()
        return self

    def stop(self):
        try:
            self.site.daemon.stop()
        finally:
            self.mta.stop()
            for sink in (self.world, self.final, self.no_data):
                sink.close()

    def rcpt(self, number):
        stage = ("rcpt", "dot", "data", "gone", "full")[number % 5]
        return f"{stage}+{number}@{TWO}"

    def settle(self):
        harness.until(lambda: self.mta.queued() == 0,
                      lambda: "Postfix to be done: " + self.mta.log()[-3000:],
                      harness.WAIT * 4)

    def bounced(self):
        return len(re.findall("sender non-delivery notification",
                              self.mta.log()))


@pytest.mark.parametrize("verify", ["enforce", "observe"])
def test_B9_behind_a_server_that_accepts(folder, started, dns, verify):
    why = postfix.cannot_run()
    if why:
        missing(why)
    behind = started(Behind(folder, dns, verify))
    sent, refused = [], 0
    for one in strangers.mixture(N // 5, SEED + 2, behind.rcpt, verify[0]):
        sent.append(one)
        refused += send(behind.into, one)[0] // 100 != 2
    behind.settle()
    assert behind.bounced() >= (len(sent) - refused) // 2
    account(f"behind-{verify}", sent, refused, behind.world.mails)


def test_the_account_sees_a_stranger():
    """What is counted is seen: to the victim, for what is bad, or twice."""
    def told(rcpt, one):
        return Mail("", [rcpt], b"From: x\r\n\r\nreturned:\r\n" + one.content)

    good = strangers.make("by_way_of_evil", 1, f"u@{TWO}")
    wrong = strangers.make("with_zeros", 2, f"u@{TWO}")
    other = strangers.make("of_a_friend", 3, f"u@{TWO}")
    sent = [good, wrong, other]
    right = told(good.may_return, good)
    assert reports([right, told(other.may_return, other)], sent)[1] == []
    for mails in ([told(wrong.mail_from, wrong)], [right, right],
                  [told(other.may_return, good)], [Mail("", ["x@y"], b"\r\n")]):
        assert reports(mails, sent)[1] == mails[-1:]


@pytest.mark.parametrize("stage", ["rcpt 550", "dot 550"])
def test_B1_queued_for_a_client_of_ours(folder, started, dns, stage):
    """Friend's server may send as friend, and no more; all it sends fails."""
    name = "queue-" + stage.split()[0]
    (folder / name).mkdir()
    with Sink(**STAGES[stage]) as onward, Sink() as world:
        site = hops.Administration(folder / name, strangers.FRIEND, dns.port,
                                   "queue-retry: 1s", "queue-retry-max: 2s")
        site.routes({TWO: onward.port})
        port = site.listener(
            "out", "egress", "clients: [127.0.0.1]", "delivery: queue",
            f"senders: [{strangers.FRIEND}]", 'routes: "file:routes"',
            f'next-hop: "smtp://127.0.0.1:{world.port} none"')
        dns.add(site.keys.records)
        daemon = site.hop().start()
        try:
            sent = list(strangers.mixture(N // 20, SEED + 3,
                                          lambda n: f"u{n}@{TWO}", name))
            refused = sum(send(port, one)[0] // 100 != 2 for one in sent)
            assert 0 < refused < len(sent)
            harness.until(lambda: not waiting(site), lambda: str(waiting(site)))
        finally:
            daemon.stop()
        account(name, sent, refused, world.mails + onward.mails)


@pytest.mark.parametrize("stage", ["rcpt 550", "dot 550", "mail 550"])
def test_B1_queued_by_a_forwarder(folder, started, dns, stage):
    """What may be reported is queued, and is told to mf= alone."""
    name = "forward-queue-" + stage.split()[0]
    (folder / name).mkdir()
    with Sink(**STAGES[stage]) as onward, Sink() as world:
        site = hops.Administration(folder / name, TWO, dns.port,
                                   "queue-retry: 1s", "queue-retry-max: 2s")
        site.routes({"three.example": onward.port})
        port = site.listener(
            "fwd", "forward", f"domains: [{TWO}]", "delivery: queue",
            f'aliases: {{"@{TWO}": "carol@three.example"}}',
            "mail-from: token", 'routes: "file:routes"', "verify: observe",
            f'next-hop: "smtp://127.0.0.1:{world.port} none"')
        dns.add(site.keys.records)
        daemon = site.hop().start()
        try:
            sent = list(strangers.mixture(N // 20, SEED + 4,
                                          lambda n: f"u{n}@{TWO}", "q"))
            refused = sum(send(port, one)[0] // 100 != 2 for one in sent)
            assert 0 < refused < len(sent)
            # ... whoever may hear of it does, and then nothing is left
            right = {s.may_return for s in sent if s.is_good}
            harness.until(lambda: right <= {r for m in world.mails
                                            for r in m.rcpt_to},
                          lambda: f"{right}: {site.log()[-3000:]}")
            harness.until(lambda: not waiting(site), lambda: str(waiting(site)))
        finally:
            daemon.stop()
        account(name, sent, refused, world.mails)


def waiting(site):
    """What is still to be tried."""
    out = harness.run(harness.HOPSEAL, "queue", "list", "--json", "--spool",
                      site.folder / "state" / "queue")
    return [m for m in map(json.loads, out.splitlines())
            if any(r["status"] not in ("failed", "expired", "held", "reported",
                                       "delivered")
                   for r in m["recipients"])]
