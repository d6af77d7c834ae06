"""A site with a listener that queues, and the questions one asks of it."""

import json
import os
import re
import socket

import configs
import harness
from harness import until
from smtptools import Client, split_added

ALICE = "alice@one.example"
BOB, CAROL, DAVE = (f"{n}@two.example" for n in ("bob", "carol", "dave"))
QUICK = ("queue-retry: 1s", "queue-retry-max: 2s")


def message(n=1, to="bob@two.example", size=0):
    return (f"From: Alice <{ALICE}>\r\nTo: {to}\r\nSubject: Words {n}\r\n"
            f"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
            f"Message-ID: <{n}@one.example>\r\n\r\n.Text {n}\r\n"
            + ("x" * 70 + "\r\n") * (size // 72)).encode()


class Queueing:
    """An egress (or appliance) listener with keys of one.example."""

    def __init__(self, folder, onward, keys, *more, role="egress",
                 common=QUICK, workers=1, **kw):
        if "one.example" not in str(keys.records):
            keys.add("one.example", rsa2048=None)
        own = ["clients: [127.0.0.1]", "senders: [one.example]"]
        if role == "egress":
            own.append("delivery: queue")
        site = configs.Site(
            folder, role, onward, *own, *more, workers=workers,
            common=["keys: keys", "keys-file: dns.json", *common], **kw)
        self.keys = keys
        self.port, self.config = site.port, site.config
        self.state = folder / f"state-{site.port}"
        self.spool = self.state / "queue"

    def queue(self, *words, code=0):
        done = harness.run(harness.HOPSEAL, "queue", *words, "--spool",
                           self.spool, ok=False)
        assert code is None or done.returncode == code, \
            (words, done.returncode, done.stdout, done.stderr)
        return done.stdout.decode()

    def wait_control(self):
        """A queue process that began a moment ago listens."""
        def answers():
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
                os.chdir(self.spool)        # paths of sockets are short
                try:
                    return s.connect_ex("control") == 0
                finally:
                    os.chdir(was)

        was = os.getcwd()
        until(answers, "the control socket")

    def listed(self, *words):
        return [json.loads(line)
                for line in self.queue("list", "--json", *words).splitlines()]

    def rcpts(self):
        """Recipient -> (status, tries, reason), of the whole queue."""
        return {r["to"]: (r["status"], r["tries"], r["reason"])
                for m in self.listed() for r in m["recipients"]}

    def is_empty(self):
        return not list((self.spool / "mail").iterdir())

    def wait_empty(self):
        until(self.is_empty, lambda: f"an empty queue: {self.rcpts()}")


def send(port, rcpts, content, mail_from=ALICE):
    """The id that the message was taken with."""
    with Client(port) as c:
        return taken(transaction(c, mail_from, rcpts, content))


def transaction(c, mail_from, rcpts, content):
    reply = c.envelope(mail_from, *rcpts)
    return c.content(content) if reply[0] == 250 else reply


def taken(reply):
    found = re.search(r"queued as (\S+)", reply[1])
    assert reply[0] == 250 and found, reply
    return found.group(1)


def arrived(sink, n):
    until(lambda: len(sink.mails) >= n,
          lambda: f"{n} messages; there are {len(sink.mails)}")
    return sink.mails[:]


def check(site, mail, content):
    """Octet for octet what was sent below our fields, and verified."""
    split_added(content, mail.content)
    words = [x for r in mail.rcpt_to for x in ("--rcpt-to", r)]
    done = harness.run(harness.HOPSEAL, "verify", "--mail-from",
                       mail.mail_from, *words, "--dns", site.keys.file,
                       stdin=mail.content, ok=False)
    verdict = json.loads(done.stdout.splitlines()[-1])
    assert verdict["result"] == "pass", verdict
