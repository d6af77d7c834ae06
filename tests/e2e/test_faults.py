"""V7, V8, Q12, Q14: a line to the next hop that breaks at a drawn octet, with
clients that try again. Each recipient has each acknowledged message at least
once; a second copy only for a break between our final dot and the remembered
answer; what comes twice is the same octets."""

import collections
import os
import random

import configs
from faults import FaultProxy, Plan, Retrying, draw_plan
from messages import message
from smtptools import Sink

SEEDS = int(os.environ.get("SEEDS", "2000" if os.environ.get("LONG") else "60"))
FIRST = int(os.environ.get("FIRST_SEED", "0")) or random.randrange(1, 1 << 40)
DOMAIN = "two.example"


def start(folder, hopseald, keys):
    keys.add("one.example")
    sink = Sink()
    proxy = FaultProxy(sink.port, Plan)
    site = configs.Site(folder, "egress", proxy.port, "clients: [127.0.0.0/8]",
                        "senders: [one.example]", workers=2)
    hopseald(site.config)
    return sink, proxy, site.port


def one_seed(seed, proxy, port):
    """A message to up to four recipients, some of them hidden."""
    r = random.Random(seed)
    # each connection of this seed draws its own plan
    proxy.draw = lambda: draw_plan(r)
    rcpts = [f"r{k}-{seed}@{DOMAIN}" for k in range(r.choice([1, 1, 2, 4]))]
    shown = rcpts[:r.randrange(1, len(rcpts) + 1)]
    content = message(seed, 1, "alice@one.example", shown[0], "plain")
    content = content.replace(f"To: <{shown[0]}>".encode(),
                              b"To: " + b", ".join(f"<{s}>".encode()
                                                   for s in shown))
    return Retrying(port, "alice@one.example", rcpts, content, r).run()


def check(clients, sink, windows):
    copies = collections.defaultdict(list)
    for mail in sink.mails:
        for rcpt in mail.rcpt_to:
            copies[rcpt].append(mail.content)
    doubles = 0
    for seed, client in clients.items():
        for rcpt, reply in client.fate.items():
            assert reply[0] == 250, (seed, rcpt, reply)
            assert copies[rcpt], f"seed {seed}: {rcpt} was acknowledged and lost"
        extra = sum(len(copies[rcpt]) - 1 for rcpt in client.fate)
        doubles += extra
        allowed = windows[seed] * len(client.fate)
        assert extra <= allowed, f"seed {seed}: {extra} second copies, " \
            f"{windows[seed]} breaks behind a final dot"
        for rcpt in client.fate:
            first, *others = copies[rcpt]
            for other in others:
                assert first == other, f"seed {seed}: {rcpt} has copies " \
                    f"that differ: {first[:1500]} {other[:1500]}"
    assert not sink.faults
    return doubles


def run_seeds(proxy, port):
    clients, windows = {}, {}
    for seed in range(FIRST, FIRST + SEEDS):
        before = proxy.windows
        clients[seed] = one_seed(seed, proxy, port)
        proxy.draw = Plan
        proxy.cut_all()
        assert not clients[seed].left, (seed, clients[seed].fate)
        windows[seed] = proxy.windows - before
    return clients, windows


def test_a_line_that_breaks(folder, hopseald, keys):
    print(f"seeds {FIRST} to {FIRST + SEEDS - 1}; FIRST_SEED= repeats them")
    sink, proxy, port = start(folder, hopseald, keys)
    clients, windows = run_seeds(proxy, port)
    doubles = check(clients, sink, windows)
    hit = sum(1 for n in windows.values() if n)
    print(f"{proxy.faults} breaks, {hit} seeds with one behind a final dot, "
          f"{doubles} second copies")
    assert hit >= SEEDS // 10, "too few breaks behind a final dot to tell"


def test_a_line_that_holds(folder, hopseald, keys):
    """Without a break there is no second copy."""
    sink, proxy, port = start(folder, hopseald, keys)
    clients = {}
    for seed in range(FIRST, FIRST + 20):
        r = random.Random(seed)
        rcpts = [f"r{k}-{seed}@{DOMAIN}" for k in range(3)]
        clients[seed] = Retrying(port, "alice@one.example", rcpts,
                                 message(seed, 1, "alice@one.example",
                                         rcpts[0], "plain"), r).run()
    assert check(clients, sink, dict.fromkeys(clients, 0)) == 0
