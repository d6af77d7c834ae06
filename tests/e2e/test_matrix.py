"""Each real mail server as client and as next hop, in every pair: what arrives
is octet for octet what was sent with fields on top, and verifies at the peer."""

import re

import pytest

import harness
import mtas
from conftest import missing
from messages import KINDS, message
from smtptools import Client, Sink, split_added

SEED = 20261126
CONFIG = """
hostname: out.example.org
state: state
workers: 2
keys: keys
keys-file: dns.json
listeners:
"""
LISTENER = """  {name}: {{role: egress, listen: ["127.0.0.1:{port}"],
    clients: [127.0.0.1], senders: [example.org],
    next-hop: "smtp://127.0.0.1:{onward}"}}
"""
OURS = ["DKIM2-Signature", "Message-Instance", "Received"]


def names(fields):
    return [f.split(b":")[0].decode() for f in fields]


class Matrix:
    """client MTA -> hopseald -> next hop MTA -> sink; the recipient's domain
    says which next hop."""

    def __init__(self, folder, hopseald, keys):
        keys.add("example.org")
        (folder / "state").mkdir()
        self.keys = keys
        self.started = []
        self.sink = Sink(extensions=("PIPELINING", "8BITMIME", "SMTPUTF8",
                                     "SIZE 60000000"))
        config, ways = CONFIG, {}
        for name in mtas.KINDS:
            hop = self.start(name, folder / f"to-{name}",
                             {f"{name}.example": self.sink.port})
            ways[f"{name}.example"] = harness.free_port()
            config += LISTENER.format(name=name, onward=hop.port,
                                      port=ways[f"{name}.example"])
        hopseald(config)
        self.clients = {name: self.start(name, folder / f"from-{name}", ways)
                        for name in mtas.KINDS}

    def start(self, name, folder, onward):
        mta = mtas.KINDS[name](folder, onward)
        self.started.append(mta)
        return mta.start()

    def close(self):
        for mta in self.started:
            mta.stop()
        self.sink.close()

    def logs(self):
        return "\n".join(m.log()[-2000:] for m in self.started)


@pytest.fixture
def matrix(folder, hopseald, keys):
    for name in mtas.KINDS:
        why = mtas.cannot_run(name)
        if why:
            missing(why)
    made = []

    def make():
        made.append(Matrix.__new__(Matrix))
        made[0].started = []
        made[0].__init__(folder, hopseald, keys)
        return made[0]

    yield make
    for m in made:
        m.close()


def test_every_pair_of_servers(matrix, peer):
    m = matrix()
    sent = {}
    for client, mta in m.clients.items():
        with Client(mta.port) as c:
            for hop in mtas.KINDS:
                for k, kind in enumerate(KINDS):
                    if kind == "header only":
                        continue    # servers differ about its empty line
                    to = f"{client}-{k}@{hop}.example"
                    content = message(len(sent), SEED, "alice@example.org", to,
                                      kind)
                    reply = c.mail("alice@example.org", to, content,
                                   " BODY=8BITMIME")
                    assert reply[0] == 250, (client, reply)
                    sent[to] = content
    harness.until(lambda: len(m.sink.mails) >= len(sent),
                  lambda: f"{len(sent)} mails, there are {len(m.sink.mails)}: "
                  f"{m.logs()}", harness.WAIT * 4)
    arrived = {}
    for mail in m.sink.mails:
        assert len(mail.rcpt_to) == 1
        arrived.setdefault(mail.rcpt_to[0], []).append(mail)
    assert sorted(arrived) == sorted(sent)
    for to, content in sent.items():
        assert len(arrived[to]) == 1, "delivered twice"
        got = arrived[to][0]
        fields = names(split_added(content, got.content))
        at = fields.index("DKIM2-Signature")
        assert fields[at:at + 3] == OURS, (to, fields)
        assert set(fields) <= {*OURS, "Received"}, (to, fields)
        said = harness.peer_verify(peer, m.keys.file, got.content,
                                   "alice@example.org", [to])
        assert said["result"] == "pass", (to, said)
    assert not m.sink.faults
