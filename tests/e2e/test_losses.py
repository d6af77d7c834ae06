"""Killing hopseald or the next hop at any moment loses nothing that was
acknowledged, and never passes on a part of a message."""

import os
import random
import threading
import time

import harness
from configs import egress
from smtptools import Client, Closed, Sink

ROUNDS = int(os.environ.get("KILLS", "300" if os.environ.get("LONG") else "40"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1 << 31)


class Sender(threading.Thread):
    """Sends one message after the other, each with a name of its own, and
    notes which of them were answered 250."""

    def __init__(self, port, name, seed):
        super().__init__(daemon=True)
        self.port, self.label = port, name
        self.random = random.Random(seed)
        self.acked, self.is_over, self.n = [], False, 0

    def content(self, mid):
        size = self.random.choice([10, 2000, 100_000, 700_000])
        return (f"From: <alice@one.example>\r\nMessage-ID: <{mid}>\r\n\r\n"
                .encode() + b"line of text\r\n" * (size // 14) + b"end\r\n")

    def run(self):
        while not self.is_over:
            try:
                with Client(self.port) as c:
                    while not self.is_over:
                        self.one(c)
            except (Closed, OSError, AssertionError):
                time.sleep(0.01)

    def one(self, client):
        self.n += 1
        mid = f"{self.label}.{self.n}@one.example"
        code, _ = client.mail("alice@one.example", "bob@two.example",
                              self.content(mid))
        if code == 250:
            self.acked.append(mid)


def test_nothing_acknowledged_is_lost(folder, keys):
    keys.add("one.example", rsa2048=None)
    print(f"SEED={SEED}")
    r = random.Random(SEED)
    sink = Sink()
    site = egress(folder, sink.port, workers=2)
    daemon = harness.Hopseald(folder, site.config).start()
    senders = [Sender(site.port, f"s{k}", SEED + k) for k in range(4)]
    for s in senders:
        s.start()
    done = {"one": 0, "all": 0, "next hop": 0, "master": 0}
    try:
        for _ in range(ROUNDS):
            time.sleep(r.uniform(0.0, 0.25))
            what = r.choice(["one", "one", "all", "next hop", "master"])
            done[what] += 1
            if what == "next hop":
                sink.kill()
                time.sleep(r.uniform(0, 0.05))
                sink.restart()
            elif what == "one":
                # A worker or the signer; the master starts another.
                others = daemon.pids()[1:]
                if others:
                    daemon.kill(r.choice(others))
            else:
                if what == "master":
                    daemon.kill(daemon.pids()[0])
                    harness.until(lambda: not daemon.pids(),
                                  "the others to end without their master")
                daemon.kill()
                daemon = harness.Hopseald(folder, site.config).start()
        # After all that it works: each sender gets one more through.
        before = [len(s.acked) for s in senders]
        harness.until(lambda: all(len(s.acked) > n for s, n in
                                  zip(senders, before)),
                      lambda: f"it to recover:\n{daemon.log()[-2000:]}")
    finally:
        for s in senders:
            s.is_over = True
        for s in senders:
            s.join(harness.WAIT)
        daemon.stop()
        sink.close()
    print(done)
    acked = {mid for s in senders for mid in s.acked}
    there = set()
    for mail in sink.mails:
        mid = mail.content.split(b"Message-ID: <")[1].split(b">")[0].decode()
        assert mail.content.endswith(b"end\r\n"), f"{mid} is cut short"
        there.add(mid)
    assert acked, "nothing was acknowledged at all"
    assert not acked - there, f"lost: {sorted(acked - there)} (SEED={SEED})"
    assert not sink.faults, sink.faults
