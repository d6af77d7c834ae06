"""One address that leads to several: Postfix -> hopseald -> Postfix. Each has
it once, whatever the others said; the sender hears of who refused it, and tries
again for who lacks it alone; the peer verifies each copy as it arrived."""

import re
import time

import harness
from configs import egress, forward
from smtptools import Client, Sink

FORWARD = """
hostname: fwd.example.net
state: state
workers: 2
keys: keys
keys-file: dns.json
listeners:
  fwd: {{role: forward, listen: ["127.0.0.1:{port}"], domains: [example.net],
        aliases: "file:aliases", mail-from: returns@example.net, max-idle: 0,
        verify: enforce, next-hop: "smtp://127.0.0.1:{onward}"}}
"""
ALIASES = """
# lists of people
team@example.net    ann@two.example, bob@two.example, more@example.net
more@example.net    cat@two.example, ann@Two.example
half@example.net    dan@two.example, gone@two.example
slow@example.net    eve@two.example, later@two.example, fay@two.example
"""
ACCESS = "gone@two.example REJECT no such user\n"
LATER = "later@two.example DEFER not now\n"
N = 8


def site(folder, postfix, hopseald):
    """The access table of the receiver, both servers, and their port."""
    access = folder / "access"
    access.write_text(ACCESS + LATER)
    (folder / "state").mkdir()
    (folder / "state").chmod(0o777)
    (folder / "aliases").write_text(ALIASES)
    receiver = postfix(
        "receiver", max_use="1", smtpd_reject_unlisted_recipient="no",
        smtpd_recipient_restrictions=f"check_recipient_access texthash:{access}"
                                     ", permit_mynetworks, reject")
    port = harness.free_port()
    sender = postfix("sender", relayhost=f"[127.0.0.1]:{port}",
                     initial_destination_concurrency="1")
    hopseald(FORWARD.format(port=port, onward=receiver.port))
    return access, sender, receiver


def send(sender, keys, to, number):
    content = (f"From: Alice <alice@example.org>\r\nTo: {to}\r\n"
               "Date: Thu, 26 Nov 2026 00:00:00 +0000\r\n"
               f"Message-ID: <{number}.{to}>\r\nSubject: {number}\r\n\r\n"
               "A letter to all.\r\n").encode()
    signed = harness.run(
        harness.HOPSEAL, "sign", "--domain", "example.org", "--selector",
        "ed", "--key", keys.pem("example.org", "ed"), "--mail-from",
        "alice@example.org", "--rcpt-to", to, "--timestamp",
        str(int(time.time())), stdin=content)
    with Client(sender.port) as c:
        reply = c.mail("alice@example.org", to, signed, " BODY=8BITMIME")
        assert reply[0] == 250, reply


def boxed(receiver):
    """Who has what: (recipient, Message-ID) and the octets, without bounces."""
    harness.until(lambda: receiver.queued() == 0, receiver.log)
    found = []
    for octets in receiver.mails():
        octets = octets.replace(b"\n", b"\r\n")
        to = re.search(rb"^Delivered-To: (.*)\r$", octets, re.M).group(1)
        mid = re.search(rb"^Message-ID: <(.*)>", octets, re.M | re.I).group(1)
        if b"\r\nSubject: Undelivered" not in octets:
            found.append((to.decode().lower(), mid.decode(), octets))
    return found


def fates(sender, to):
    """What the sending Postfix was told of each message, in order."""
    return re.findall(rf"to=<{to}>, .*status=(\w+) \((.*)\)", sender.log())


def check_copies(copies, keys, peer):
    """i=1 of the author, i=2 of ours that says exploded, and no i=3."""
    for to, _, octets in copies:
        # the mailbox has the case of the domain that it was sent
        at = re.search(rb"^X-Original-To: (.*)\r$", octets, re.M).group(1)
        said = harness.peer_verify(peer, keys.file, octets,
                                   "returns@example.net", [at.decode()])
        assert said["result"] == "pass", (to, said)
        assert len(said["signatures"]) == 2
        top = re.search(rb"^DKIM2-Signature: i=2;(?:.*\r\n[ \t])*.*", octets,
                        re.M).group(0)
        assert b"f=exploded" in re.sub(rb"\s", b"", top)


def test_each_has_it_once(folder, postfix, hopseald, keys, peer):
    keys.add("example.org").add("example.net")
    _, sender, receiver = site(folder, postfix, hopseald)
    for k in range(N):
        send(sender, keys, "team@example.net", k)
    harness.until(lambda: len(fates(sender, "team@example.net")) >= N,
                  sender.log, harness.WAIT * 4)
    assert {f[0] for f in fates(sender, "team@example.net")} == {"sent"}
    copies = boxed(receiver)
    assert sorted((to, mid) for to, mid, _ in copies) == sorted(
        (f"{who}@two.example", f"{k}.team@example.net")
        for k in range(N) for who in ("ann", "bob", "cat"))
    check_copies(copies, keys, peer)


def test_one_is_refused(folder, postfix, hopseald, keys, peer):
    """The others have it; the sender's own server reports the one."""
    keys.add("example.org").add("example.net")
    _, sender, receiver = site(folder, postfix, hopseald)
    send(sender, keys, "half@example.net", 1)
    harness.until(lambda: fates(sender, "half@example.net"), sender.log,
                  harness.WAIT * 4)
    (status, reply), = fates(sender, "half@example.net")
    assert status == "bounced" and "no such user" in reply, reply
    copies = boxed(receiver)
    assert [c[:2] for c in copies] == [("dan@two.example",
                                        "1.half@example.net")]
    check_copies(copies, keys, peer)


def test_one_has_to_wait(folder, postfix, hopseald, keys, peer):
    """The retries are for that one alone, until he has it."""
    keys.add("example.org").add("example.net")
    access, sender, receiver = site(folder, postfix, hopseald)
    send(sender, keys, "slow@example.net", 1)
    harness.until(lambda: len(fates(sender, "slow@example.net")) >= 2,
                  sender.log, harness.WAIT * 8)
    assert {f[0] for f in fates(sender, "slow@example.net")} == {"deferred"}
    assert sorted(c[0] for c in boxed(receiver)) == [
        "eve@two.example", "fay@two.example"]
    access.write_text(ACCESS)
    harness.until(
        lambda: fates(sender, "slow@example.net")[-1][0] == "sent",
        sender.log, harness.WAIT * 8)
    copies = boxed(receiver)
    assert sorted(c[0] for c in copies) == [
        "eve@two.example", "fay@two.example", "later@two.example"]
    check_copies(copies, keys, peer)


def test_only_the_last_of_our_hops_signs(folder, hopseald, keys, peer):
    """`internal`: one forwards and leaves the signature to the next of ours,
    which trusts it (`extend: trusting`)."""
    keys.add("one.example").add("two.example")
    to = "bob@two.example"
    signed = harness.run(
        harness.HOPSEAL, "sign", "--domain", "one.example", "--selector",
        "ed", "--key", keys.pem("one.example", "ed"), "--mail-from",
        "alice@one.example", "--rcpt-to", to, "--timestamp",
        str(int(time.time())), stdin=(
            b"From: Alice <alice@one.example>\r\nTo: bob@two.example\r\n"
            b"Message-ID: <1@one.example>\r\nSubject: x\r\n\r\nhello\r\n"))
    with Sink() as sink:
        last = egress(folder, sink.port, "extend: trusting")
        last.config = last.config.replace("[one.example]", "[two.example]")
        hopseald(last.config, "last")
        first = forward(folder, last.port, "internal: 127.0.0.1")
        daemon = hopseald(first.config, "first")
        with Client(first.port) as c:
            assert c.mail("alice@one.example", to, signed)[0] == 250
        mail, = sink.mails
        assert (mail.mail_from, mail.rcpt_to) == (
            "returns@two.example", ["robert@three.example"])
        said = harness.peer_verify(peer, keys.file, mail.content,
                                   mail.mail_from, mail.rcpt_to)
        assert said["fully_verified"] and len(said["signatures"]) == 2
        assert said["signatures"][1]["d"] == "two.example"
        assert 'rule="the next hop is ours, and signs"' in daemon.log()
