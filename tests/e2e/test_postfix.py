"""Postfix -> hopseald -> Postfix: 200 messages of mixed kind come through as
they were sent, with our fields on top, and the peer verifies each with the
envelope that it really arrived with."""

import os
import re
import time

import pytest

import harness
from messages import mixed
from smtptools import Client, Tee, header_fields, split_added

COUNT = 1000 if os.environ.get("LONG") else 200
SEED = 20261122
EGRESS = """
hostname: out.example.org
state: state
workers: 2
keys: keys
keys-file: dns.json
listeners:
  out: {{role: egress, listen: ["127.0.0.1:{port}"], clients: [127.0.0.1],
        senders: [example.org], next-hop: "smtp://127.0.0.1:{onward}"}}
"""
FORWARD = """
hostname: fwd.example.net
state: state
workers: 2
keys: keys
keys-file: dns.json
listeners:
  fwd: {{role: forward, listen: ["127.0.0.1:{port}"], domains: [example.net],
        aliases: "file:aliases", mail-from: returns@example.net,
        verify: enforce, next-hop: "smtp://127.0.0.1:{onward}"}}
"""


def number(content):
    return re.search(rb"^Message-ID: <([^>]*)>", content, re.M | re.I).group(1)


def names(fields):
    return [f.split(b":")[0].decode() for f in fields]


class Path:
    """Postfix -> tee -> hopseald -> tee -> Postfix."""

    def __init__(self, folder, postfix, hopseald, config):
        (folder / "state").mkdir()
        self.receiver = postfix("receiver")
        self.sent = Tee(harness.free_port())
        self.passed = Tee(self.receiver.port)
        self.sender = postfix("sender", relayhost=f"[127.0.0.1]:{self.sent.port}")
        hopseald(config.format(port=self.sent.onward, onward=self.passed.port))

    def run(self, mails):
        """Hands (mail_from, rcpt_to, content) to the first Postfix, and waits
        until all of them lie in the mailbox of the second."""
        with Client(self.sender.port) as c:
            for mail_from, rcpt_to, content in mails:
                reply = c.mail(mail_from, rcpt_to, content,
                               " BODY=8BITMIME")
                assert reply[0] == 250, reply
        harness.until(
            lambda: len(self.receiver.mails()) >= len(mails)
            or "status=bounced" in self.sender.log(),
            lambda: f"{len(mails)} mails, there are {len(self.receiver.mails())}",
            harness.WAIT * 8)
        assert "status=bounced" not in self.sender.log(), self.sender.log()
        self.sent.close()
        self.passed.close()
        sent = {number(m.content): m for m in self.sent.mails()
                if m.reply.startswith(b"250")}
        passed = {number(m.content): m for m in self.passed.mails()
                  if m.reply.startswith(b"250")}
        boxed = {}
        for octets in self.receiver.mails():
            octets = octets.replace(b"\n", b"\r\n")
            boxed.setdefault(number(octets), []).append(octets)
        return sent, passed, boxed


# By DKIM1, with each key of the domain.
BESIDE = ["DKIM-Signature", "DKIM-Signature"]


def check_arrivals(path, mails, peer, dns, added, signatures):
    """Octets at every station; the peer's verdict at the last."""
    sent, passed, boxed = path.run(mails)
    assert len(sent) == len(passed) == len(boxed) == len(mails)
    faults = []
    for mid, before in sent.items():
        after = passed[mid]
        assert names(split_added(before.content, after.content)) == added
        assert len(boxed[mid]) == 1, "delivered twice"
        mailbox = boxed[mid][0]
        trace = split_added(after.content, mailbox)
        assert names(trace) == ["Return-Path", "X-Original-To", "Delivered-To",
                                "Received"]
        # The peer is told what the mailbox says of the envelope.
        mail_from = re.search(rb"<(.*)>", trace[0]).group(1).decode()
        rcpt_to = trace[2].split(b":")[1].strip().decode()
        assert (mail_from, [rcpt_to]) == (after.mail_from, after.rcpt_to)
        said = harness.peer_verify(peer, dns, mailbox, mail_from, [rcpt_to])
        if said["result"] != "pass" or len(said["signatures"]) != signatures:
            faults.append((mid, said))
            continue
        # One group of both algorithms: each has to be good.
        top = said["signatures"][-1]["s"]
        assert {s["algorithm"] for s in top} == {"ed25519-sha256", "rsa-sha256"}
        assert len({s["group"] for s in top}) == 1
    assert not faults, f"{len(faults)} of {len(sent)}, the first: {faults[0]}"
    return sent, passed


def test_originated(folder, postfix, hopseald, keys, peer):
    keys.add("example.org")
    path = Path(folder, postfix, hopseald, EGRESS)
    mails = [("alice@example.org", to, content) for to, content in
             mixed(COUNT, SEED, "alice@example.org",
                   lambda k: f"user{k}@two.example")]
    sent, passed = check_arrivals(
        path, mails, peer, keys.file,
        ["DKIM2-Signature", "Message-Instance", *BESIDE, "Received"], 1)
    for mid, before in sent.items():
        assert passed[mid].mail_from == before.mail_from
        assert passed[mid].rcpt_to == before.rcpt_to


def test_forwarded(folder, postfix, hopseald, keys, peer):
    """i=2 on chains that our command and the peer began."""
    keys.add("example.org").add("example.net")
    (folder / "aliases").write_text("# local\n" + "".join(
        f"user{k}@example.net there{k}@two.example\n" for k in range(COUNT)))
    path = Path(folder, postfix, hopseald, FORWARD)
    now = str(int(time.time()))
    mails = []
    for k, (to, content) in enumerate(
            mixed(COUNT, SEED + 1, "alice@example.org",
                  lambda k: f"user{k}@example.net")):
        signed = harness.run(
            peer if k % 2 else harness.HOPSEAL, "sign",
            "--domain", "example.org", "--selector", "ed",
            "--key", keys.pem("example.org", "ed"),
            "--mail-from", "alice@example.org", "--rcpt-to", to,
            "--timestamp", now, stdin=content)
        mails.append(("alice@example.org", to, signed))
    sent, passed = check_arrivals(
        path, mails, peer, keys.file,
        ["DKIM2-Signature", *BESIDE, "Authentication-Results", "Received"], 2)
    for mid, before in sent.items():
        k = int(mid.split(b".")[0])
        assert before.rcpt_to == [f"user{k}@example.net"]
        assert passed[mid].mail_from == "returns@example.net"
        assert passed[mid].rcpt_to == [f"there{k}@two.example"]


def test_sanitized_path(folder, hopseald, keys, postfix):
    """A short run of the same path; the one of the sanitizer build."""
    keys.add("example.org")
    path = Path(folder, postfix, hopseald, EGRESS)
    mails = [("alice@example.org", to, content) for to, content in
             mixed(30, 7, "alice@example.org", lambda k: f"u{k}@two.example",
                   large=1)]
    sent, passed, _ = path.run(mails)
    for mid, before in sent.items():
        fields = split_added(before.content, passed[mid].content)
        assert names(fields) == ["DKIM2-Signature", "Message-Instance",
                                 *BESIDE, "Received"]
        found, _ = header_fields(passed[mid].content)
        message = passed[mid].content
        done = harness.run(
            harness.HOPSEAL, "verify", "--mail-from", passed[mid].mail_from,
            "--rcpt-to", passed[mid].rcpt_to[0], "--dns", keys.file,
            stdin=message, ok=False)
        assert done.returncode == 0, done.stdout
        assert found
