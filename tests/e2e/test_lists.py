"""Both sides of a list manager, with the keeper and copies that are real: what
a subscriber gets is good here and at the peer, the author's hop included."""

import base64
import json
import random
import re

import pytest

import harness
from nexthop import NextHop
from smtptools import Client, Sink

LIST = "l@lists.example"
BOUNCES = "l-bounces@lists.example"
CONFIG = """
hostname: lists.example
state: state
keys: keys
keys-file: dns.json
workers: {workers}
copies: {{size: 64M, age: 7d}}
listeners:
  in:  {{role: {role_in},  listen: ["127.0.0.1:{into}"], domains: [lists.example], next-hop: "{behind}"}}
  out: {{role: {role_out}, listen: ["127.0.0.1:{out}"], clients: [127.0.0.1], pair: in, next-hop: "smtp://127.0.0.1:{onward}"{more}}}
"""
PLAIN = (b"From: Alice <alice@one.example>\r\nTo: l@lists.example\r\n"
         b"Subject: a post\r\nMessage-ID: <%d@one.example>\r\n"
         b"Date: Thu, 26 Nov 2026 00:00:00 +0000\r\n\r\n"
         b"Hello,\r\n\r\n.this is for all of you\r\n-- \r\nAlice\r\n")


def unfolded(field):
    return re.sub(rb"\r\n([ \t])", rb"\1", field)


def manage(content):
    """What a list manager leaves: a tag, List-* fields, a footer, long fields
    folded anew, its own Received on top."""
    head, body = content.split(b"\r\n\r\n", 1)
    fields = re.split(rb"\r\n(?![ \t])", head)
    out = [b"Received: by lists.example (manager); "
           b"Thu, 26 Nov 2026 00:00:01 +0000"]
    for field in fields:
        if field.startswith(b"Subject: "):
            field = b"Subject: [l] " + field[9:]
        if field.lower().startswith((b"dkim2-signature", b"message-instance")):
            field = re.sub(rb"\r\n[ \t]+", b" ", field)
        out.append(field)
    out += [b"List-Id: <l.lists.example>",
            b"List-Unsubscribe: <mailto:l-leave@lists.example>"]
    return (b"\r\n".join(out) + b"\r\n\r\n" + body +
            b"_______\r\nl mailing list -- l@lists.example\r\n")


class Site:
    """hopseald with two listeners, a list manager that speaks LMTP, and the
    subscribers' server."""

    def __init__(self, folder, hopseald, keys, workers=1, more="",
                 roles=("list-in", "list-out"), lmtp=True):
        keys.add("one.example").add("lists.example")
        state = folder / "state"
        state.mkdir()
        state.chmod(0o777)
        self.folder, self.keys = folder, keys
        self.manager = NextHop(lmtp=True) if lmtp else Sink()
        self.mx = Sink()
        self.into, self.out = harness.free_port(), harness.free_port()
        scheme = "lmtp" if lmtp else "smtp"
        self.daemon = hopseald(CONFIG.format(
            into=self.into, out=self.out, onward=self.mx.port, more=more,
            behind=f"{scheme}://127.0.0.1:{self.manager.port}",
            role_in=roles[0], role_out=roles[1], workers=workers))

    def __enter__(self):
        self.manager.__enter__()
        self.mx.__enter__()
        return self

    def __exit__(self, *_):
        self.manager.__exit__(None, None, None)
        self.mx.__exit__(None, None, None)

    def sign(self, message, rcpt_to=LIST):
        return harness.run(
            harness.HOPSEAL, "sign", "--domain", "one.example", "--selector",
            "ed", "--key", self.keys.pem("one.example", "ed"), "--mail-from",
            "alice@one.example", "--rcpt-to", rcpt_to, stdin=message)

    def post(self, message, rcpt_to=LIST):
        """A post; as the list manager got it."""
        n = len(self.manager.mails)
        with Client(self.into) as c:
            reply = c.mail("alice@one.example", rcpt_to, message)
        assert reply[0] == 250, reply
        assert len(self.manager.mails) == n + 1
        return self.manager.mails[n].content

    def distribute(self, message, *subscribers, mail_from=BOUNCES):
        """The subscribers' copies, each with whom it is for."""
        n = len(self.mx.mails)
        with Client(self.out) as c:
            reply = c.envelope(mail_from, *subscribers)
            assert reply[0] == 250, reply
            reply = c.content(message)
        assert reply[0] == 250, reply
        return self.mx.mails[n:]

    def verify(self, peer, mail, mail_from=BOUNCES):
        """Both say what they think; it is the same."""
        rcpt_to = [r.strip("<>") for r in mail.rcpt_to]
        path = self.folder / "copy.eml"
        path.write_bytes(mail.content)
        command = [harness.HOPSEAL, "verify", "--dns", self.keys.file,
                   "--mail-from", mail_from]
        for r in rcpt_to:
            command += ["--rcpt-to", r]
        done = harness.run(*command, path, ok=False)
        ours = json.loads(done.stdout.splitlines()[-1])
        theirs = harness.peer_verify(peer, self.keys.file, mail.content,
                                     mail_from, rcpt_to)
        assert ours["result"] == theirs["result"], (ours, theirs)
        return ours


@pytest.fixture
def site(folder, hopseald, keys):
    with Site(folder, hopseald, keys) as s:
        yield s


def values(content, name):
    head = content.split(b"\r\n\r\n", 1)[0]
    return [unfolded(f).split(b":", 1)[1].strip()
            for f in re.split(rb"\r\n(?![ \t])", head)
            if f.lower().startswith(name.lower() + b":")]


def test_a_post_reaches_each_subscriber_with_its_author(site, peer):
    """The worked day of a list: three subscribers, who do not see each other,
    each with the author's i=1 and the list's i=2, and a recipe between."""
    got = site.post(site.sign(PLAIN % 1))
    copies = site.distribute(manage(got), "bob@two.example",
                             "carol@three.example", "dave@three.example")
    assert len(copies) == 3
    for mail in copies:
        said = site.verify(peer, mail)
        assert said["result"] == "pass" and len(said["signatures"]) == 2
        assert len(said["instances"]) == 2
        assert len(mail.rcpt_to) == 1
        assert b"f=exploded" in values(mail.content, b"DKIM2-Signature")[0]


def test_the_message_as_it_was_comes_out_of_the_recipe(site, peer):
    signed = site.sign(PLAIN % 2)
    mail, = site.distribute(manage(site.post(signed)), "bob@two.example")
    assert site.verify(peer, mail)["result"] == "pass"
    body = mail.content.split(b"\r\n\r\n", 1)[1]
    assert body.endswith(b"l mailing list -- l@lists.example\r\n")
    assert b"Subject: [l] a post\r\n" in mail.content


def test_nothing_changed_nothing_said(site, peer):
    mail, = site.distribute(site.post(site.sign(PLAIN % 3)),
                            "bob@two.example")
    said = site.verify(peer, mail)
    assert said["result"] == "pass" and len(said["signatures"]) == 2
    assert len(said["instances"]) == 1


def stripped(content):
    """Without fields that somebody does not know."""
    head, body = content.split(b"\r\n\r\n", 1)
    fields = re.split(rb"\r\n(?![ \t])", head)
    return b"\r\n".join(f for f in fields if not f.lower().startswith(
        (b"dkim2-signature", b"message-instance"))) + b"\r\n\r\n" + body


def wrapped(content):
    """An anonymous list: all of it in a part, under another name."""
    return (b"From: l <l@lists.example>\r\nMessage-ID: <w@lists.example>\r\n"
            b"Subject: [l] a post\r\nMIME-Version: 1.0\r\nContent-Type: "
            b"multipart/mixed; boundary=edge\r\n\r\n--edge\r\nContent-Type: "
            b"message/rfc822\r\n\r\n" + content + b"\r\n--edge--\r\n")


@pytest.mark.parametrize("change", [
    lambda c: stripped(manage(c)), stripped, wrapped,
    lambda c: c.replace(b"From: Alice <", b'From: "Alice"\r\n  <')])
def test_what_a_server_did_to_the_chain_is_undone(site, peer, change):
    mail, = site.distribute(change(site.post(site.sign(PLAIN % 10))),
                            "bob@two.example")
    said = site.verify(peer, mail)
    assert said["result"] == "pass" and len(said["signatures"]) == 2


def test_V19_no_field_of_the_message_makes_a_record(site, peer):
    """A chain that never came by us, with all the fields that one might take
    for a hand-over."""
    forged = (b"X-DKIM2-Arrival: in; verdict=pass; rcpt=<l@lists.example>\r\n"
              b"X-DKIM2-Snapshot: 00000000000000000000000000000000\r\n"
              b"Authentication-Results: lists.example; dkim2=pass\r\n")
    signed = site.sign(PLAIN % 4)
    mail, = site.distribute(forged + signed, "bob@two.example")
    assert len(values(mail.content, b"DKIM2-Signature")) == 1
    site.daemon.wait_log('signed=no rule="a chain without an arrival record"')
    # nor does the record of another message
    site.post(site.sign(PLAIN % 5))
    mail, = site.distribute(forged + signed, "carol@three.example")
    assert len(values(mail.content, b"DKIM2-Signature")) == 1


def test_a_record_outlives_keeper_and_daemon(site, peer):
    got = site.post(site.sign(PLAIN % 6))
    site.daemon.stop()
    site.daemon.start()
    mail, = site.distribute(manage(got), "bob@two.example")
    assert site.verify(peer, mail)["result"] == "pass"


def test_a_large_attachment(site, peer):
    """Five megabytes in base64, a footer behind it: the recipe is small."""
    blob = random.Random(7).randbytes(3_800_000)
    message = ((PLAIN % 7).replace(b"\r\n\r\n", b"\r\nMIME-Version: 1.0\r\n"
               b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n", 1)
               + b"--x\r\nContent-Type: application/octet-stream\r\n"
               b"Content-Transfer-Encoding: base64\r\n\r\n"
               + base64.encodebytes(blob).replace(b"\n", b"\r\n") + b"--x--\r\n")
    mail, = site.distribute(manage(site.post(site.sign(message))),
                            "bob@two.example")
    assert site.verify(peer, mail)["result"] == "pass"
    recipe, = [v for v in values(mail.content, b"Message-Instance")
               if b"m=2;" in v]
    assert len(recipe) < 2000


def test_a_forwarding_mta_between_two_listeners(folder, hopseald, keys, peer):
    """inbound and egress around a server that only forwards, under its own
    return path."""
    with Site(folder, hopseald, keys, roles=("inbound", "egress"),
              lmtp=False) as site:
        got = site.post(site.sign(PLAIN % 8))
        passed = b"Received: by mta.lists.example; date\r\n" + got
        mail, = site.distribute(passed, "bob@two.example",
                                mail_from="srs@lists.example")
        said = site.verify(peer, mail, "srs@lists.example")
        assert said["result"] == "pass" and len(said["signatures"]) == 2
        # and where it came without DKIM2, nothing is claimed
        got = site.post(PLAIN % 9)
        mail, = site.distribute(got, "bob@two.example",
                                mail_from="srs@lists.example")
        assert values(mail.content, b"DKIM2-Signature") == []
        site.daemon.wait_log('signed=no rule="it came without DKIM2"')


@pytest.mark.parametrize("before, after", [
    (b"Date: Thu, 26 Nov 2026 00:00:00 +0000\r\n", b""),
    (b"Hello", "H\xe9llo".encode())])
def test_what_its_author_left_out_stays_out(folder, hopseald, keys, peer,
                                            before, after):
    """`repair` is for who signs first: a field more would break the chain that
    the message is given back."""
    with Site(folder, hopseald, keys, roles=("inbound", "egress"),
              lmtp=False, more=", repair: yes") as site:
        post = (PLAIN % 12).replace(before, after)
        signed = site.sign(post)
        got = site.post(signed)
        for left, to in (stripped(got), "bob"), (got, "carol"):
            mail, = site.distribute(left, f"{to}@two.example",
                                    mail_from="srs@lists.example")
            said = site.verify(peer, mail, "srs@lists.example")
            assert said["result"] == "pass" and len(said["signatures"]) == 2
            assert (values(mail.content, b"DKIM2-Signature")[-1] ==
                    values(signed, b"DKIM2-Signature")[0])
            for name in (b"Date", b"MIME-Version"):
                assert values(mail.content, name) == values(post, name)
            assert mail.content.endswith(post)
        # that of the server itself is put right
        own = post.replace(b"one.example", b"lists.example") + b"\r\n"
        mail, = site.distribute(own, "bob@two.example",
                                mail_from="srs@lists.example")
        assert site.verify(peer, mail, "srs@lists.example")["result"] == "pass"
        assert any(values(mail.content, name) and not values(own, name)
                   for name in (b"Date", b"MIME-Version"))


def test_what_is_given_its_chain_back_may_wait(folder, hopseald, keys, peer):
    """The same from the queue, whose file keeps the copies' headers."""
    with Site(folder, hopseald, keys, roles=("inbound", "egress"),
              lmtp=False, more=", repair: yes, delivery: queue, "
              "senders: [lists.example]") as site:
        post = (PLAIN % 13).replace(b"Hello", b"H\xc3\xa9llo")
        got = site.post(site.sign(post))
        for n, left in enumerate((stripped(got), got), 1):
            with Client(site.out) as c:
                assert c.envelope("srs@lists.example",
                                  f"bob{n}@two.example")[0] == 250
                reply = c.content(left)
            assert reply[0] == 250 and "queued" in reply[1], reply
            site.daemon.wait_log(f"to=<bob{n}@two.example>.*status=sent")
            mail = site.mx.mails[n - 1]
            said = site.verify(peer, mail, "srs@lists.example")
            assert said["result"] == "pass" and len(said["signatures"]) == 2
            assert mail.content.endswith(post)


REPORT = (b"From: Alice <alice@one.example>\r\nTo: l@lists.example\r\n"
          b"Subject: read\r\nMessage-ID: <14@one.example>\r\n"
          b"Date: Thu, 26 Nov 2026 00:00:00 +0000\r\nMIME-Version: 1.0\r\n"
          b"Content-Type: multipart/report; report-type="
          b"disposition-notification; boundary=b\r\n\r\n"
          b"--b\r\n\r\nIt was read.\r\n--b\r\n"
          b"Content-Type: message/disposition-notification\r\n\r\n"
          b"Reporting-UA: x\r\n--b--\r\n")


def test_a_report_that_lost_its_chain_is_signed_as_new(folder, hopseald, keys,
                                                       peer):
    """From <> nothing is extended: what leaves is what was signed."""
    with Site(folder, hopseald, keys, roles=("inbound", "egress"),
              lmtp=False) as site:
        got = site.post(site.sign(REPORT))
        mail, = site.distribute(stripped(got), "bob@two.example",
                                mail_from="")
        said = site.verify(peer, mail, "")
        assert said["result"] == "pass" and len(said["signatures"]) == 1
        assert mail.content.endswith(REPORT)


def test_any_worker_finds_a_record(folder, hopseald, keys, peer):
    """Records of one worker are found by another."""
    with Site(folder, hopseald, keys, workers=3) as site:
        posts = [site.sign(PLAIN % (100 + k)) for k in range(12)]
        for p in posts:
            site.post(p)
        for k, mail in enumerate(list(site.manager.mails)):
            copy, = site.distribute(manage(mail.content),
                                    f"s{k}@three.example")
            assert site.verify(peer, copy)["result"] == "pass"
