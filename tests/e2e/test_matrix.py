"""Each real mail server as client and as next hop, in every pair: what arrives
is octet for octet what was sent with fields on top, and verifies at the peer."""

import re
import smtplib
import subprocess
import ssl

import pytest

import harness
import mtas
import unpacked
from certs import Authority
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
{tls}
listeners:
"""
LISTENER = """  {name}: {{role: egress, listen: ["127.0.0.1:{port}"],
    clients: [127.0.0.1], senders: [example.org], {more}
    next-hop: "smtp://127.0.0.1:{onward}{policy}"}}
"""
OURS = ["DKIM2-Signature", "Message-Instance", "DKIM-Signature",
        "DKIM-Signature", "Received"]      # by DKIM1 with each key
# What the servers and hopseal are told; how the message came and went.
WAYS = {
    "plain": {},
    "tls": {"tls": True},
    # Exim alone can be told what not to offer and not to use.
    "bare": {"exim": {"pipelining": False, "chunking": False}},
}


def names(fields):
    return [f.split(b":")[0].decode() for f in fields]


def state(folder):
    (folder / "state").mkdir()
    (folder / "state").chmod(0o777)     # whoever it runs as


class Matrix:
    """client MTA -> hopseald -> next hop MTA -> sink; the recipient's domain
    says which next hop."""

    def __init__(self, folder):
        self.folder = folder
        self.started = []
        self.sink = Sink(extensions=("PIPELINING", "8BITMIME", "SMTPUTF8",
                                     "SIZE 60000000"))

    def build(self, hopseald, keys, tls=False, exim=None):
        keys.add("example.org")
        state(self.folder)
        self.keys = keys
        pair = None
        if tls:
            pair = Authority(self.folder).pair("mx", "out.example.org")
            pair.cert.chmod(0o644)
        config = CONFIG.format(tls=f"tls: {pair}" if tls else "")
        more = "tls-required: yes," if tls else ""
        onward = {}
        for name in mtas.KINDS:
            own = exim if name == "exim" and exim else {}
            # OpenSMTPD 6.8 can not serve TLS with OpenSSL 3 (s_client hears
            # "internal error" too); as a client it can
            secure = tls and name != "opensmtpd"
            hop = self.start(name, f"to-{name}",
                             {f"{name}.example": self.sink.port},
                             tls=pair if secure else None, **own)
            onward[f"{name}.example"] = harness.free_port()
            config += LISTENER.format(name=name, onward=hop.port, more=more,
                                      policy=" encrypt" if secure else "",
                                      port=onward[f"{name}.example"])
        self.daemon = hopseald(config)
        self.clients = {}
        for name in mtas.KINDS:
            own = exim if name == "exim" and exim else {}
            self.clients[name] = self.start(name, f"from-{name}", onward,
                                            wants_tls=tls, **own)
        return self

    def start(self, name, folder, onward, **options):
        mta = mtas.KINDS[name](self.folder / folder, onward, **options)
        self.started.append(mta)
        return mta.start()

    def close(self):
        for mta in self.started:
            mta.stop()
        self.sink.close()

    def logs(self):
        return "\n".join(m.log()[-2000:] for m in self.started)


@pytest.fixture
def matrix(folder):
    for name in mtas.KINDS:
        why = mtas.cannot_run(name)
        if why:
            missing(why)
    made = Matrix(folder)
    yield made
    made.close()


def send_all(m):
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
    return sent


@pytest.mark.parametrize("way", WAYS)
def test_every_pair_of_servers(matrix, hopseald, keys, peer, way):
    m = matrix.build(hopseald, keys, **WAYS[way])
    sent = send_all(m)
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
        check(content, arrived[to][0].content, to, peer, keys)
    assert not m.sink.faults
    if way == "tls":
        fates = re.findall(r"status=sent.*", m.daemon.log())
        assert len(fates) == len(sent)
        assert sum("tls=" in f for f in fates) * 4 == len(sent) * 3


def check(content, got, to, peer, keys):
    """What came is what was sent, with ours and the servers' fields on top."""
    fields = names(split_added(content, got))
    at = fields.index("DKIM2-Signature")
    assert fields[at:at + len(OURS)] == OURS, (to, fields)
    assert set(fields) <= {*OURS, "Received"}, (to, fields)
    said = harness.peer_verify(peer, keys.file, got, "alice@example.org", [to])
    assert said["result"] == "pass", (to, said)


# ---- clients that are no mail servers, and Dovecot ----


@pytest.fixture
def place(folder, hopseald, keys):
    """A listener with a certificate in front of a sink."""
    keys.add("example.org")
    state(folder)
    ca = Authority(folder)
    pair = ca.pair("mx", "out.example.org")
    with Sink() as sink:
        port = harness.free_port()
        config = CONFIG.format(tls=f"tls: {pair}") + LISTENER.format(
            name="l", port=port, onward=sink.port, more="", policy="")
        hopseald(config)
        sink.hopseal, sink.ca = port, ca
        yield sink


@pytest.mark.parametrize("tls", [False, True])
def test_smtplib(place, keys, peer, tls):
    content = message(1, SEED, "alice@example.org", "bob@two.example", "8bit")
    with smtplib.SMTP("127.0.0.1", place.hopseal) as c:
        if tls:
            context = ssl.create_default_context(cafile=str(place.ca.cert))
            c._host = "out.example.org"
            assert c.starttls(context=context)[0] == 220
        refused = c.sendmail("alice@example.org", ["bob@two.example",
                                                   "carol@two.example"],
                             content, ["BODY=8BITMIME"])
    assert refused == {}
    # bob is in To, carol is not: a copy each
    assert sorted(m.rcpt_to for m in place.mails) == [
        ["bob@two.example"], ["carol@two.example"]]
    for mail in place.mails:
        check(content, mail.content, mail.rcpt_to[0], peer, keys)


@pytest.mark.parametrize("options", [(), ("--tls",), ("--pipeline",)])
def test_swaks(place, keys, peer, options):
    why = unpacked.unpack("swaks")
    if why:
        missing(why)
    if "--tls" in options and subprocess.run(
            ["perl", "-MNet::SSLeay", "-e1"], capture_output=True).returncode:
        missing("swaks needs Net::SSLeay for TLS")
    content = message(2, SEED, "alice@example.org", "bob@two.example", "spaces")
    letter = keys.folder.parent / "letter"
    letter.write_bytes(content)
    done = harness.run(
        "perl", unpacked.folder("swaks") / "usr/bin/swaks", "--server",
        f"127.0.0.1:{place.hopseal}", "--from", "alice@example.org", "--to",
        "bob@two.example", "--data", f"@{letter}", *options,
        ok=False)
    assert done.returncode == 0, done.stdout
    [mail] = place.mails
    # swaks ends the data itself, with a line end more
    assert mail.content.endswith(b"\r\n")
    got = mail.content
    if not got.endswith(content):
        got = got[:-2]
    check(content, got, "bob@two.example", peer, keys)


DOVECOT = """
hostname: mx.two.example
state: state
keys-file: dns.json
listeners:
  in: {{role: inbound, listen: ["127.0.0.1:{port}"], domains: [two.example],
       next-hop: "lmtp://127.0.0.1:{onward}"}}
"""


def test_dovecot_lmtp(folder, hopseald, keys):
    """An answer for each recipient; what lies in the mailbox is what came."""
    why = mtas.cannot_run("dovecot")
    if why:
        missing(why)
    state(folder)
    dovecot = mtas.Dovecot(folder / "dovecot").start()
    try:
        port = harness.free_port()
        hopseald(DOVECOT.format(port=port, onward=dovecot.port))
        sent = {}
        with Client(port) as c:
            for k, kind in enumerate(KINDS):
                to = [f"u{k}@two.example", f"v{k}@two.example"]
                content = message(k, SEED, "alice@example.org", to[0], kind)
                reply = c.envelope("alice@example.org", *to,
                                   params=" BODY=8BITMIME")
                assert reply[0] == 250, reply
                reply = c.content(content)
                assert reply[0] == 250, reply
                sent |= dict.fromkeys(to, content)
        boxes = dovecot.mails()
        assert sorted(to for to, _ in boxes) == sorted(sent)
        for to, octets in boxes:
            got = octets.replace(b"\n", b"\r\n")
            fields = names(split_added(sent[to], got))
            # its own, which has no Delivered-To where there are two
            assert fields[:2] == ["Return-Path", "Received"]
            assert fields[2:] == ["Authentication-Results", "Received"]
    finally:
        dovecot.stop()
