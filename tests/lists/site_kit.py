"""hopseald with two listeners around a server, the keys of the domains, and
what they make of messages."""

import base64
import json
import random
import re

import corpus
import harness
from smtptools import Sink

AUTHOR = "ann@author.example"
SUBSCRIBERS = ["bert@reader.example", "cleo@other.example",
               "dora@reader.example"]
# What is sent to the lists, by the kinds of the corpus
KINDS = ["plain", "html", "html qp", "html base64", "alternative", "base64",
         "qp", "8bit", "latin", "flowed", "attached", "attached text",
         "related", "signed", "nested", "patch", "empty", "bare", "quoted",
         "report", "large"]
CONFIG = """
hostname: {hostname}
state: state-{name}
keys: keys
keys-file: dns.json
workers: 1
copies: {{size: 256M, age: 7d}}
listeners:
  in:
    role: {roles[0]}
    listen: ["127.0.0.1:{into}"]
    domains: [{domains}]
    next-hop: "{behind}"
  out:
    role: {roles[1]}
    listen: ["127.0.0.1:{out}"]
    clients: [127.0.0.1]
    pair: in
    next-hop: "smtp://127.0.0.1:{onward}"
"""


def between(folder, behind, into, out, onward, name="hop", more="",
            roles=("list-in", "list-out"), domains="lists.example",
            hostname="lists.example"):
    """A hopseald before and behind the server at the URL `behind`."""
    state = folder / f"state-{name}"
    state.mkdir()
    state.chmod(0o777)
    return harness.Hopseald(folder, CONFIG.format(
        name=name, into=into, out=out, onward=onward, behind=behind,
        roles=roles, domains=domains, hostname=hostname) + more, name)


def sign(keys, message, rcpt_to, mail_from=AUTHOR, domain=corpus.AUTHOR):
    """As the author's own server leaves it."""
    return harness.run(
        harness.HOPSEAL, "sign", "--domain", domain, "--selector", "ed",
        "--key", keys.pem(domain, "ed"), "--mail-from", mail_from,
        "--rcpt-to", rcpt_to, stdin=message)


def large():
    """An attachment of 5 MB."""
    blob = base64.encodebytes(random.Random(5).randbytes(5 << 20))
    return (b"From: Ann <ann@author.example>\r\nTo: talk@lists.example\r\n"
            b"Subject: five megabytes\r\nMessage-ID: <large@author.example>\r\n"
            b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
            b'boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n'
            b"Here it is.\r\n\r\n--b\r\nContent-Type: application/octet-stream"
            b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
            blob.replace(b"\n", b"\r\n") + b"--b--\r\n")


def message(kind, name, number=0):
    """One of the corpus, to a list."""
    octets = large() if kind == "large" else b"x" * 999
    while max(map(len, octets.split(b"\r\n"))) > 998:
        octets = corpus.message(77, number, kind)
        number += 1000                  # list managers take no longer lines
    return octets.replace(corpus.LIST.encode(),
                          f"{name}@lists.example".encode(), 1)


def field(content, name):
    """The value of the topmost field of that name, unfolded; or None."""
    head = content.split(b"\r\n\r\n", 1)[0].decode("latin-1") + "\r\n"
    found = re.search(rf"(?im)^{re.escape(name)}:((?:.|\r\n[ \t])*?)\r\n(?![ \t])",
                      head)
    return found and found.group(1).replace("\r\n", "").strip()


def judge(peer, keys, mail):
    """(verdict, error, domains of the chain from i=1 on) of a copy, by the
    peer and by our own verifier, which agree."""
    theirs = harness.peer_verify(peer, keys.file, mail.content,
                                 f"<{mail.mail_from}>",
                                 [f"<{r}>" for r in mail.rcpt_to])
    words = [w for r in mail.rcpt_to for w in ("--rcpt-to", r)]
    done = harness.run(harness.HOPSEAL, "verify", "--dns", keys.file,
                       "--mail-from", mail.mail_from, *words,
                       stdin=mail.content, ok=False)
    ours = json.loads(done.stdout.splitlines()[-1])
    assert ours["result"] == theirs["result"], (ours, theirs)
    chain = sorted((s["i"], s["d"]) for s in theirs["signatures"])
    return theirs["result"], theirs["error"], [d for _, d in chain]


class Received:
    """The subscribers' server: copies by Message-ID and recipient."""

    def __init__(self):
        self.sink = Sink()
        self.port = self.sink.port

    def start(self):
        return self

    def stop(self):
        self.sink.close()
        assert self.sink.faults == []

    def copies(self, is_wanted):
        return [m for m in self.sink.mails if is_wanted(m)]

    def wait(self, n, is_wanted, log):
        """Waits for n copies that are wanted."""
        harness.until(
            lambda: sum(len(m.rcpt_to) for m in self.copies(is_wanted)) >= n,
            lambda: f"{n} copies of {len(self.copies(is_wanted))}: {log()}",
            harness.WAIT * 2)
        return self.copies(is_wanted)
