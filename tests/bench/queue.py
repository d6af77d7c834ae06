#!/usr/bin/env python3
"""queue.py BUILD   what the queue costs beside Postfix's, on the same disk in
one run, both syncing each message before its 250; then a start with many
queued messages, one next hop of them dead and one slow.
MESSAGES, ROUNDS and QUEUED in the environment change how much."""

import os
import pwd
import struct
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests/e2e"), str(ROOT / "tests/e2e/queue")]
os.environ["B"] = sys.argv[1]

import harness                                               # noqa: E402
import postfix                                               # noqa: E402
import queuefile                                             # noqa: E402
from queuekit import Queueing                                # noqa: E402

PROGRAM = harness.BUILD / "tests/bench/queue"
MESSAGES = int(os.environ.get("MESSAGES", "3000"))
ROUNDS = int(os.environ.get("ROUNDS", "2"))
QUEUED = int(os.environ.get("QUEUED", "100000"))
SIZE = 4096
TICK = os.sysconf("SC_CLK_TCK")


class Sink:
    def __init__(self, folder, delay_ms=0):
        self.port = harness.free_port()
        self.file = folder / f"count-{self.port}"
        self.process = subprocess.Popen(
            [PROGRAM, "sink", str(self.port), str(delay_ms), self.file])
        harness.until(lambda: harness.listens(self.port), "the sink")

    def count(self):
        return struct.unpack("Q", self.file.read_bytes()[:8])[0]

    def close(self):
        self.process.kill()
        self.process.wait()


def cpu_of(pids):
    """Seconds of processor time of them and of children that ended."""
    ticks = 0
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        ticks += sum(map(int, stat.rsplit(")", 1)[1].split()[11:15]))
    return ticks / TICK


class Run:
    """One server with one number of sessions: rates of both ends, and CPU."""

    def __init__(self, port, pids, sink, sessions, messages, first):
        had, cpu, start = sink.count(), cpu_of(pids()), time.monotonic()
        taken = float(subprocess.run(
            [PROGRAM, "load", *map(str, (port, sessions, messages, SIZE,
                                         first))],
            check=True, capture_output=True, text=True).stdout)
        harness.until(lambda: sink.count() >= had + messages,
                      "all to arrive", 600)
        self.accepted = messages / taken
        self.delivered = messages / (time.monotonic() - start)
        self.cpu = (cpu_of(pids()) - cpu) / messages * 1000


def best(runs):
    return (max(r.accepted for r in runs), max(r.delivered for r in runs),
            min(r.cpu for r in runs))


def compare(folder):
    sinks = [Sink(folder), Sink(folder)]
    keys = harness.Keys(folder)
    site = Queueing(folder, sinks[0].port, keys,
                    "max-connections: 1000", "max-per-network: 1000",
                    common=[], workers=os.cpu_count())
    other = postfix.Postfix(folder / "postfix",
                            relayhost=f"[127.0.0.1]:{sinks[1].port}")
    daemon = harness.Hopseald(folder, site.config).start()
    other.start()
    servers = {"hopseal": (site.port, daemon.pids, sinks[0]),
               "Postfix": (other.port, other.processes, sinks[1])}
    first = 0
    print(f"{MESSAGES} messages of {SIZE} octets, {os.cpu_count()} cores, "
          f"best of {ROUNDS}; hopseal signs each, Postfix none")
    print(f"{'':8} {'sessions':>8} {'accepted/s':>11} {'delivered/s':>12} "
          f"{'CPU ms each':>12}")
    try:
        for port, pids, sink in servers.values():       # warm
            Run(port, pids, sink, 20, 200, first)
        for sessions in (20, 100):
            runs = {name: [] for name in servers}
            for _ in range(ROUNDS):
                for name, (port, pids, sink) in servers.items():
                    first += 1_000_000
                    runs[name].append(Run(port, pids, sink, sessions,
                                          MESSAGES, first))
            rows = {name: best(r) for name, r in runs.items()}
            for name, (a, d, c) in rows.items():
                print(f"{name:8} {sessions:8} {a:11.0f} {d:12.0f} {c:12.2f}")
            h, p = rows.values()
            print(f"{'ratio':8} {sessions:8} {h[0] / p[0]:10.1f}x "
                  f"{h[1] / p[1]:11.1f}x {p[2] / h[2]:11.1f}x", flush=True)
    finally:
        other.stop()
        daemon.stop()
        for sink in sinks:
            sink.close()


def user():
    for name in ("hopseal", "nobody"):
        try:
            who = pwd.getpwnam(name)
            return who.pw_uid, who.pw_gid
        except KeyError:
            pass


def rss_mb(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def queue_pid(daemon):
    for pid in daemon.pids():
        if Path(f"/proc/{pid}/comm").read_text().strip() == "hopseald-queue":
            return pid


def many(folder):
    good, slow = Sink(folder), Sink(folder, 1000)
    dead = harness.free_port()
    site = Queueing(folder, good.port, harness.Keys(folder), common=[])
    listener = site.config[site.config.index("  l:\n"):]
    for name, port in (("slow", slow.port), ("dead", dead)):
        site.config += listener.replace("  l:\n", f"  {name}:\n").replace(
            f"127.0.0.1:{site.port}", f"127.0.0.1:{harness.free_port()}"
        ).replace(f"127.0.0.1:{good.port}", f"127.0.0.1:{port}")
    owner = user() if os.geteuid() == 0 else None
    spool = queuefile.Spool(site.spool, owner)
    spool.put(site.spool / "format", b"hopseal-queue 1\n")
    content = b"Subject: x\r\n\r\n" + b"x" * 1000 + b"\r\n"
    now = int(time.time())
    for k in range(QUEUED):
        spool.write(f"m{k:07}", content,
                    queuefile.Rcpt(f"r{k}@two.example", due=now), arrived=now,
                    listener=("l", "slow", "dead")[k % 3])
    os.sync()
    start = time.monotonic()
    daemon = harness.Hopseald(folder, site.config).start()
    ready = time.monotonic() - start
    harness.until(lambda: good.count() > 0, "the first delivery", 300)
    first = time.monotonic() - start
    n = (QUEUED + 2) // 3
    harness.until(lambda: good.count() >= n, "all that can be delivered", 900)
    took = time.monotonic() - start
    left = harness.run(harness.HOPSEAL, "queue", "list", "--spool", site.spool
                       ).splitlines()[-1].decode()
    print(f"{QUEUED} queued, a third each to a good, a slow (1 s a message) "
          f"and a dead next hop:\n"
          f"ready after {ready:.2f} s, first delivery {first:.2f} s, the good "
          f"third after {took:.1f} s ({n / took:.0f}/s),\n"
          f"slow one meanwhile {slow.count()}; resident {rss_mb(queue_pid(daemon)):.1f} MB; "
          f"left: {left}")
    daemon.stop()
    good.close()
    slow.close()


def main():
    why = postfix.cannot_run()
    if why:
        sys.exit(f"bench-queue: {why}")
    for name, part in (("bench-queue", compare), ("bench-many", many)):
        part(harness.open_folder(name))


main()
