"""Several signers of one generation: they share the work, and where one dies
the others do it."""

import os
import re
import signal
import threading

import pytest

from configs import egress
from harness import until
from smtptools import Client, Sink
from test_process import children, wait_ready

LETTER = (b"From: <a@one.example>\r\nTo: b@two.example\r\n"
          b"Message-ID: <%s@one.example>\r\n\r\nx\r\n")


def started(folder, keys, hopseald, sink, *more):
    keys.add("one.example", ed25519=None)
    site = egress(folder, sink.port, *more, workers=2)
    daemon = hopseald(site.config)
    assert len(children(daemon, "hopseald-signer")) == 2
    return site, daemon


def signers(daemon):
    """Of the newest generation."""
    return sorted(children(daemon, "hopseald-signer"))[-2:]


class Sender(threading.Thread):
    """One session, one message after the other, until told that it is
    enough."""

    def __init__(self, port, name):
        super().__init__(daemon=True)
        self.port, self.label = port, name
        self.is_over, self.n, self.replies, self.fault = False, 0, [], None

    def run(self):
        try:
            with Client(self.port) as c:
                while not self.is_over:
                    mid = b"%s.%d" % (self.label, len(self.replies))
                    self.replies.append(c.mail(
                        "a@one.example", "b@two.example", LETTER % mid)[0])
        except Exception as e:      # told by who joins
            self.fault = e


def check(sink, senders):
    """Every reply was 250, and what it was for is there, signed, once."""
    assert not [s.fault for s in senders if s.fault]
    assert {r for s in senders for r in s.replies} == {250}
    wanted = sorted(b"%s.%d" % (s.label, n) for s in senders
                    for n in range(len(s.replies)))
    there = sorted(re.search(rb"Message-ID: <(.*)@", m.content)[1]
                   for m in sink.mails)
    assert there == wanted
    assert all(b"DKIM2-Signature:" in m.content for m in sink.mails)


def test_killed_under_load(folder, keys, hopseald):
    """One signer after the other, of each generation: no client sees it."""
    with Sink() as sink:
        site, daemon = started(folder, keys, hopseald, sink)
        senders = [Sender(site.port, b"s%d" % k) for k in range(6)]
        for s in senders:
            s.start()
        for k in range(4):
            n = len(sink.mails)
            until(lambda: len(sink.mails) >= n + 30, "some load")
            daemon.kill(signers(daemon)[k % 2])
            wait_ready(daemon, k + 2)
            until(lambda: len(children(daemon, "hopseald-signer")) >= 2,
                  "both of the next")
        for s in senders:
            s.is_over = True
        for s in senders:
            s.join()
        check(sink, senders)
        assert "nothing is signed" not in daemon.log()
        assert "a signer is gone" in daemon.log()


@pytest.mark.parametrize("victim", [0, 1])
def test_the_other_one_signs(folder, keys, hopseald, victim):
    """What a signer that hangs was asked and what comes is the other one's once
    it is dead."""
    with Sink() as sink:
        site, daemon = started(folder, keys, hopseald, sink)
        os.kill(signers(daemon)[victim], signal.SIGSTOP)
        senders = [Sender(site.port, b"s%d" % k) for k in range(6)]
        for s in senders:
            s.is_over = False
            s.start()
        daemon.kill(signers(daemon)[victim])
        until(lambda: len(sink.mails) >= 30, "some load")
        for s in senders:
            s.is_over = True
        for s in senders:
            s.join()
        check(sink, senders)


def test_all_killed(folder, keys, hopseald):
    """As one alone: no client is left without."""
    with Sink() as sink:
        site, daemon = started(folder, keys, hopseald, sink)
        with Client(site.port) as client:
            for pid in signers(daemon):
                daemon.kill(pid)
            until(lambda: client.command("NOOP")[0] == 421, "a 421")
        until(lambda: len(children(daemon, "hopseald-signer")) == 2,
              "the next ones")

        def is_taken():
            with Client(site.port) as c:
                return c.mail("a@one.example", "b@two.example",
                              LETTER % b"x")[0] == 250

        until(is_taken, "a message")


def test_a_worker_that_comes_back_is_signed_for(folder, keys, hopseald):
    """By those that are left: meanwhile no new generation can start."""
    with Sink() as sink:
        site, daemon = started(folder, keys, hopseald, sink)
        (folder / "keys").rename(folder / "lost")
        daemon.kill(signers(daemon)[0])
        daemon.wait_log(r"signer/1: error: .*/keys: ")
        old = children(daemon, "hopseald-worker")
        for pid in old:
            daemon.kill(pid)
        until(lambda: len(children(daemon, "hopseald-worker") - old) == 2,
              "new workers")
        sender = Sender(site.port, b"s")
        sender.start()
        until(lambda: len(sink.mails) >= 10, "mail")
        sender.is_over = True
        sender.join()
        check(sink, [sender])
        (folder / "lost").rename(folder / "keys")
        until(lambda: len(children(daemon, "hopseald-signer")) >= 2,
              "another generation")


def test_reports_of_the_queue_are_signed(folder, keys, hopseald):
    """It asks all of them too."""
    with Sink() as sink:
        site, daemon = started(folder, keys, hopseald, sink, "delivery: queue")
        (folder / "keys").rename(folder / "lost")
        daemon.kill(signers(daemon)[0])
        daemon.wait_log(r"queue: error: a signer is gone")
        (folder / "lost").rename(folder / "keys")
