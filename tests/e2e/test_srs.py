"""SRS held against Debian's postsrsd: what one makes the other reads, and
both make the same. It runs from its unpacked package and is asked over its
TCP tables on loopback."""

import os
import pwd
import socket
import subprocess
import time
import urllib.parse

import pytest

import harness
import unpacked
from conftest import missing

SRS = harness.BUILD / "tests" / "tools" / "srs"
SECRET = "correct horse battery staple"


class Postsrsd:
    """postsrsd for a domain, asked over its two tables."""

    def __init__(self, folder, domain, secret, hash_n=4):
        self.ports = [harness.free_port(), harness.free_port()]
        program = unpacked.folder("postsrsd") / "usr/sbin/postsrsd"
        secrets = folder / f"{domain}.secret"
        secrets.write_text(secret + "\n")
        command = [program, f"-d{domain}", f"-s{secrets}", f"-f{self.ports[0]}",
                   f"-r{self.ports[1]}", "-l127.0.0.1", "-4", f"-n{hash_n}"]
        if os.geteuid() == 0:
            command.append("-u" + pwd.getpwnam("nobody").pw_name)
        self.log = open(folder / f"{domain}.log", "w+b")
        self.process = subprocess.Popen(command, stdout=self.log,
                                        stderr=self.log)
        harness.until(lambda: all(harness.listens(p) for p in self.ports),
                      "postsrsd to listen")

    def stop(self):
        self.process.terminate()
        self.process.wait(harness.WAIT)
        self.log.close()

    def _ask(self, port, address):
        with socket.create_connection(("127.0.0.1", port), harness.WAIT) as s:
            s.sendall(b"get " + urllib.parse.quote(address, "").encode()
                      + b"\n")
            answer = s.makefile("rb").readline().decode().strip()
        code, text = answer.split(" ", 1)
        return urllib.parse.unquote(text) if code == "200" else None

    def forward(self, address):
        return self._ask(self.ports[0], address)

    def reverse(self, address):
        return self._ask(self.ports[1], address)


@pytest.fixture
def postsrsd(folder):
    why = unpacked.unpack("postsrsd")
    if why is not None:
        missing(why)
    started = []

    def start(domain, secret=SECRET, **more):
        started.append(Postsrsd(folder, domain, secret, **more))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def make(local, domain, secret=SECRET, when=None):
    """The local part that we make; None where we can not."""
    done = harness.run(SRS, "make", secret, int(when or time.time()), local,
                       domain, ok=False)
    return done.stdout.decode().strip() if done.returncode == 0 else None


def read(address, secret=SECRET, when=None):
    local = address.rsplit("@", 1)[0]
    done = harness.run(SRS, "read", secret, int(when or time.time()), local,
                       ok=False)
    return done.stdout.decode().strip()


SENDERS = ["alice@one.example", "Alice.B+tag@One.Example", "a=b@one.example",
           "x'y{z}@sub.one.example", "srs@one.example", "o@a.example"]


def test_both_make_the_same(postsrsd):
    """First hand, second hand and third hand; the day may turn meanwhile."""
    theirs = postsrsd("two.example")
    far = postsrsd("far.example", "another secret of theirs")
    further = postsrsd("three.example", "a third secret")

    def is_same(address):
        before = theirs.forward(address)
        local, domain = address.rsplit("@", 1)
        ours = make(local, domain)
        return ours and (f"{ours}@two.example" == before or
                         f"{ours}@two.example" == theirs.forward(address))

    for sender in SENDERS:
        assert is_same(sender), sender
        second = far.forward(sender)
        assert second.startswith("SRS0=") and is_same(second), second
        # the hash alone is new
        third = further.forward(second)
        assert third.startswith("SRS1=") and is_same(third), third


def test_each_reads_what_the_other_made(postsrsd):
    theirs = postsrsd("two.example")
    far = postsrsd("far.example", "another secret of theirs")
    for sender in SENDERS:
        local, domain = sender.rsplit("@", 1)
        second = far.forward(sender)
        for address in (sender, second):
            ours = make(*address.rsplit("@", 1)) + "@two.example"
            made = theirs.forward(address)
            assert theirs.reverse(ours) == address
            assert read(made) == f"<{address}>"
            # folded on the way: both still know it
            assert theirs.reverse(ours.lower()).lower() == address.lower()
            assert read(made.lower()).lower() == f"<{address}>".lower()
        assert far.reverse(second) == f"{local}@{domain}"


def test_both_refuse_the_same(postsrsd):
    theirs = postsrsd("two.example")
    made = make("alice", "one.example")
    for bad, why in ((made.replace("alice", "mallory"), "forged"),
                     (made.replace("one.example", "two.example"), "forged"),
                     (make("alice", "one.example", "no secret of theirs"),
                      "forged"),
                     (make("alice", "one.example",
                           when=time.time() - 23 * 86400), "expired"),
                     (made.replace("=", "", 1), "none")):
        assert theirs.reverse(f"{bad}@two.example") is None, bad
        assert read(bad) == why, bad


def test_a_longer_hash_and_another_separator(postsrsd):
    """Whoever comes from a postsrsd set up otherwise loses no bounce."""
    theirs = postsrsd("two.example", hash_n=8)
    made = theirs.forward("alice@one.example")
    assert read(made) == "<alice@one.example>"
    for separator in "-+":
        assert read(made.replace("SRS0=", "SRS0" + separator)) \
            == "<alice@one.example>"
