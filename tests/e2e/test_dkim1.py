"""DKIM1 beside DKIM2 on the way out: dkimpy believes the one, the peer the
other, and neither covers the other."""

import re

import pytest

import harness
from configs import Site
from conftest import missing
from smtptools import Client, Sink, header_fields

ALICE, BOB = "alice@one.example", "bob@two.example"
KINDS = [b"rsa-sha256", b"ed25519-sha256"]


def message(mid="1", more=""):
    return (f"From: Alice <{ALICE}>\r\nTo: {BOB}\r\nSubject: Words \r\n"
            f"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
            f"Message-ID: <{mid}@one.example>\r\n{more}\r\n"
            f"Text  with white\tspace \r\n.a dot\r\n\r\n\r\n").encode()


@pytest.fixture
def dkimpy(keys):
    try:
        import dkim
    except ImportError:
        missing("python3-dkim is not installed")

    def ask(name, timeout=5):
        found = keys.records.get(name.decode().rstrip("."))
        return found[0].encode() if found else None

    def verify(content):
        """d= and whether it is good, of each signature, the top one first."""
        said = []
        fields = [f for f in header_fields(content)[0]
                  if f.lower().startswith(b"dkim-signature:")]
        for k, field in enumerate(fields):
            d = dkim.DKIM(content)
            domain = re.search(rb"\bd=([^;]*);", field).group(1).decode()
            said.append((domain, d.verify(k, ask)))
        return said

    return verify


def kinds(content):
    return sorted(re.search(rb"a=([^;]*);", f).group(1)
                  for f in header_fields(content)[0]
                  if f.lower().startswith(b"dkim-signature:"))


def names(content):
    return [f.split(b":")[0].decode() for f in header_fields(content)[0]]


def test_egress(folder, hopseald, keys, peer, dkimpy):
    """With every key of the domain; in the order of product.md."""
    keys.add("one.example")
    with Sink() as sink:
        site = Site(folder, "egress", sink.port, "clients: [127.0.0.1]",
                    "dkim1: yes")
        hopseald(site.config)
        with Client(site.port) as c:
            assert c.mail(ALICE, BOB, message())[0] == 250
            assert c.mail(ALICE, BOB, b"From: alice@one.example\r\n\r\n")[0] \
                == 250
        for mail in sink.mails:
            assert names(mail.content)[:5] == [
                "DKIM2-Signature", "Message-Instance", "DKIM-Signature",
                "DKIM-Signature", "Received"]
            assert dkimpy(mail.content) == [("one.example", True)] * 2
            assert kinds(mail.content) == sorted(KINDS)
            verdict = harness.peer_verify(peer, keys.file, mail.content,
                                          ALICE, [BOB])
            assert verdict["fully_verified"], verdict
        # each stands without the other
        whole = sink.mails[0].content
        fields, _ = header_fields(whole)
        alone = whole.replace(fields[0], b"").replace(fields[1], b"")
        assert dkimpy(alone) == [("one.example", True)] * 2
        alone = whole.replace(fields[2], b"").replace(fields[3], b"")
        verdict = harness.peer_verify(peer, keys.file, alone, ALICE, [BOB])
        assert verdict["fully_verified"], verdict
        assert not dkimpy(whole.replace(b"Words", b"Other"))[0][1]


def test_forward(folder, hopseald, keys, peer, dkimpy):
    """Ours, and the author's below it: both are good."""
    keys.add("one.example").add("two.example")
    with Sink() as last:
        second = Site(folder, "forward", last.port, "domains: [two.example]",
                      f'aliases: {{"{BOB}": "x@three.example"}}',
                      "mail-from: back@two.example", "dkim1: yes")
        first = Site(folder, "egress", second.port, "clients: [127.0.0.1]",
                     "senders: [one.example]", "dkim1: yes")
        hopseald(second.config, "second")
        hopseald(first.config, "first")
        with Client(first.port) as c:
            assert c.mail(ALICE, BOB, message())[0] == 250
        mail = last.mails[0]
        assert dkimpy(mail.content) == [("two.example", True)] * 2 + \
            [("one.example", True)] * 2
        verdict = harness.peer_verify(peer, keys.file, mail.content,
                                      "back@two.example", ["x@three.example"])
        assert verdict["fully_verified"], verdict


def test_copies_of_one_message(folder, hopseald, keys, dkimpy):
    """Those who are hidden have copies of their own, each signed."""
    keys.add("one.example")
    with Sink() as sink:
        site = Site(folder, "egress", sink.port, "clients: [127.0.0.1]",
                    "dkim1: yes")
        hopseald(site.config)
        to = [BOB] + [f"hidden{k}@two.example" for k in range(5)]
        with Client(site.port) as c:
            c.command(f"MAIL FROM:<{ALICE}>")
            for rcpt in to:
                assert c.command(f"RCPT TO:<{rcpt}>")[0] == 250
            assert c.content(message())[0] == 250
        assert sorted(m.rcpt_to for m in sink.mails) == \
            sorted([rcpt] for rcpt in to)
        for mail in sink.mails:
            assert dkimpy(mail.content) == [("one.example", True)] * 2
