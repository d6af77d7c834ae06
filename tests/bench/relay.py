#!/usr/bin/env python3
"""relay.py   hopseald in each mode beside real relays, in one run on this
machine: messages a second, processor time, memory, latency; and the aims. It
judges nothing else and never fails because something is slow. In the
environment (make bench NAME=VALUE):

  ONLY     relays, as shell patterns ("sign-* haproxy"); default all
  CASES    of 4k 40k 1m one alone tls many wait; default the first five
  SECONDS  of a run (2)     RUNS   of each relay in each case (3)
  HISTORY  a file that gets a line of JSON (BUILD/bench/history.jsonl)

All relays stand at once and take turns: direct, A, B, ..., direct, A, B, ...
so that ratios hold on a machine that others use too. "faults" must be 0:
messages that were refused, lost, doubled, or left without the signatures due.
"""

import fnmatch
import json
import mmap
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e")]

import harness                                               # noqa: E402
import nameserver                                            # noqa: E402
import peers                                                 # noqa: E402
import sites                                                 # noqa: E402
import table                                                 # noqa: E402

TOOLS = harness.BUILD / "tests/bench"
KEPT = harness.BUILD / "bench"
SECONDS = float(os.environ.get("SECONDS") or 2)
HISTORY = os.environ.get("HISTORY") or KEPT / "history.jsonl"
RUNS = int(os.environ.get("RUNS") or 3)
ONLY = (os.environ.get("ONLY") or "*").split()
TICK = os.sysconf("SC_CLK_TCK")
DAY = 86400

# name: octets, sessions, messages a connection (0: all), more words of load
CASES = {"4k": (4096, 20, 0, ()), "40k": (40960, 20, 0, ()),
         "1m": (1 << 20, 8, 0, ()), "one": (4096, 20, 1, ()),
         "alone": (4096, 1, 0, ()), "tls": (4096, 20, 0, ("-s",)),
         "many": (4096, 20, 0, ("-r", "20")), "wait": (4096, 20, 0, ("-w",))}
CHOSEN = (os.environ.get("CASES") or "4k 40k 1m one alone").split()
# Messages a second that one relay may need new ones for, by size and hops.
MOST = {**{(s, "dkim1"): 200 for s in (4096, 40960, 1 << 20)},
        (4096, 0): 16000, (40960, 0): 10000, (1 << 20, 0): 1000,
        (4096, 1): 6000, (40960, 1): 4000, (1 << 20, 1): 400,
        (4096, 5): 2500, (40960, 5): 2000, (1 << 20, 5): 300}
LIST = {4096: 2000, 40960: 1000, 1 << 20: 100}      # posts, as MOST


class Sink:
    """Counts what arrives; tests/bench/sink.c has the layout."""

    def __init__(self, folder):
        self.port = harness.free_port()
        path = folder / f"sink-{self.port}"
        self.process = subprocess.Popen([TOOLS / "sink", str(self.port), path])
        harness.until(lambda: harness.listens(self.port), "the sink")
        with open(path, "rb") as f:
            self.map = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)

    def counts(self):
        """messages, octets, ns of the last, connections, signatures,
        recipients"""
        return struct.unpack_from("6Q", self.map)

    def ways(self, first, n):
        """Milliseconds of n messages from number `first` on."""
        ring = (len(self.map) - 48) // 4
        return [struct.unpack_from("I", self.map, 48 + 4 * (k % ring))[0] / 1e3
                for k in range(max(first, first + n - ring), first + n)]

    def close(self):
        self.process.kill()
        self.process.wait()


class Direct:
    """The limit: what the load generator and the sink can do."""
    name, near, is_ours, says = "direct", None, False, "no relay"
    hops = signatures = 0
    sender, rcpt = peers.SENDER, peers.RCPT

    def __init__(self, port):
        self.port = port

    def pids(self):
        return []

    def stop(self):
        pass


# ---- what processes take ----------------------------------------------------

def cpu_of(pids):
    """Seconds of processor time, children that ended counted in."""
    ticks = 0
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        ticks += sum(map(int, stat.rsplit(")", 1)[1].split()[11:15]))
    return ticks / TICK


def memory_of(pids, what="Pss"):
    """KiB that are resident, shared ones counted once (or what is said, a
    pattern of whole names: Pss_Anon and the like are parts of Pss)."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(map(int, re.findall(rf"^{what}: +(\d+)", text, re.M)))
    return total


class Peak(threading.Thread):
    """The most memory of a relay while it works."""

    def __init__(self, relay):
        super().__init__(daemon=True)
        self.relay, self.kib, self.over = relay, 0, threading.Event()
        self.start()

    def run(self):
        while True:
            self.kib = max(self.kib, memory_of(self.relay.pids()))
            if self.over.wait(0.4):
                return

    def stop(self):
        self.over.set()
        self.join()
        return self.kib / 1024


# ---- mail -------------------------------------------------------------------

class Mail:
    """Messages of one size that so many hops have signed, made once a day."""

    def __init__(self, size, hops, n):
        self.path = KEPT / "mail" / f"{size}-{hops}"
        self.n = n
        note = self.path.with_suffix(".n")
        if note.exists() and int(note.read_text()) >= n and \
                note.stat().st_mtime > time.time() - DAY:
            self.n = int(note.read_text())
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([TOOLS / "mint", "rsa2048", str(hops), str(size),
                        str(n), self.path], check=True, cwd=ROOT)
        note.write_text(str(n))


class Managed:
    """What a list manager makes of Mail: a tag, fields of its own, a footer."""

    def __init__(self, mail):
        self.path, self.n = mail.path.with_name(mail.path.name + "-list"), mail.n
        heads, at, out = mail.path.with_suffix(".heads").read_bytes(), 0, []
        while at < len(heads):
            start = heads.index(b"\n", at) + 1
            end = start + int(heads[at:start])
            head, at = heads[start:end], end
            head = head.replace(b"\r\nSubject: ", b"\r\nSubject: [l] ", 1)
            head = head[:-2] + (b"List-Id: <l.hop2.bench.example>\r\n"
                                b"Precedence: list\r\n\r\n")
            out.append(b"%d\n" % len(head) + head)
        self.path.with_suffix(".heads").write_bytes(b"".join(out))
        body = mail.path.with_suffix(".body").read_bytes()
        self.path.with_suffix(".body").write_bytes(
            body + b"_______\r\nl mailing list -- l@hop2.bench.example\r\n")


def load(port, sessions, mail, sender, rcpt, *words):
    done = subprocess.run(
        [TOOLS / "load", *map(str, words), str(port), str(sessions), mail.path,
         sender, rcpt], capture_output=True, text=True)
    if done.returncode != 0 or not done.stdout:
        raise AssertionError(f"load: {done.stderr}")
    if done.stderr:
        print(done.stderr, end="", file=sys.stderr)
    return json.loads(done.stdout)


# ---- a run ------------------------------------------------------------------

class Bench:
    def __init__(self, folder):
        self.folder, self.sink = folder, Sink(folder)
        self.manager = Sink(folder)
        self.dns = nameserver.Nameserver(sites.records())
        self.relays, self.missing = [Direct(self.sink.port)], []
        self.used = {}          # (relay, mail): messages sent so far
        self.turns = {}         # and in how many runs
        self.mails = {}

    def start(self):
        for relay in sites.SITES + peers.PEERS:
            if not any(fnmatch.fnmatch(relay.name, p) for p in ONLY):
                continue
            why = relay.cannot_run()
            if why is None:
                more = (self.manager.port,) if self.is_list(relay) else ()
                try:
                    relay.start(self.folder / relay.name, self.sink.port,
                                self.dns.port, *more)
                    self.relays.append(relay)
                    continue
                except (AssertionError, OSError) as fault:
                    relay.stop()
                    why = " ".join(str(fault).split())[:300]
            self.missing.append((relay, why))
            print(f"NOT RUN {relay.name}: {why}", flush=True)

    def has(self, name):
        return any(relay.name == name for relay in self.relays)

    @staticmethod
    def is_list(relay):
        return getattr(relay, "is_list", False)

    def close(self):
        for relay in reversed(self.relays):
            relay.stop()
        self.sink.close()
        self.manager.close()
        self.dns.close()

    @staticmethod
    def runs(size):
        """Of one relay with mail of that size, warming up counted in."""
        return sum(CASES[c][0] == size for c in CHOSEN) * (RUNS + 1)

    def share(self, relay, size, mail):
        """What a run may take of new mail: the others still to come have as
        much, on whatever machine."""
        turn = self.turns.get((relay, mail), 0)
        self.turns[relay, mail] = turn + 1
        left = mail.n - self.used.get((relay, mail), 0)
        return max(left, 0) // (self.runs(size) - turn)

    def mail(self, size, hops, managed=False):
        key = size, hops, managed
        if key not in self.mails:
            n = max(200, int(MOST[size, hops] * SECONDS * self.runs(size)))
            self.mails[key] = Managed(self.mail(size, hops)) if managed \
                else Mail(size, hops, n)
        return self.mails[key]

    @staticmethod
    def post(relay, size, mail, first, most, seconds):
        """Has a list's posts come in; how many."""
        n = min(int(LIST[size] * seconds) + 40, most)
        done = load(relay.into, 8, mail, relay.sender, relay.rcpt,
                    "-f", first, "-n", n)
        assert done["errors"] == 0, f"{relay.name}: {done}"
        return n

    def run(self, relay, case, seconds):
        size, sessions, per, words = CASES[case]
        if relay.name == "direct":          # the limit has no TLS
            words = [w for w in words if w != "-s"]
        mail = self.mail(size, relay.hops)
        first = self.used.get((relay, mail), 0)
        most = self.share(relay, size, mail) if relay.is_ours else 1 << 30
        if most == 0:
            return None
        sender, rcpt, sent = relay.sender, relay.rcpt, mail
        if self.is_list(relay):
            most = self.post(relay, size, mail, first, most, seconds)
            sender, rcpt = "l-bounces@hop2.bench.example", "s@sink.example"
            sent = self.mail(size, relay.hops, True)
        before, cpu = self.sink.counts(), cpu_of(relay.pids())
        peak, start = Peak(relay), time.monotonic_ns()
        done = load(relay.port, sessions, sent, sender, rcpt, "-f", first,
                    "-n", most, "-d", seconds, "-k", per, *words)
        n = done["accepted"]
        self.arrived(before[0] + n)
        after = self.sink.counts()
        mb = peak.stop()
        got = after[0] - before[0]
        self.used[relay, mail] = first + (
            most if self.is_list(relay)
            else min(most, n + done["errors"] + sessions))
        took = max(done["seconds"], (after[2] - start) / 1e9 if n else 0, 1e-9)
        ways = self.sink.ways(before[0], got)
        copies = got if "-r" in words else n    # hidden ones have their own
        return {"accepted": n, "errors": done["errors"],
                "lost": max(0, n - got), "extra": max(0, got - copies),
                "unlike": abs(after[4] - before[4] - got * relay.signatures),
                "rate": got / took, "p50": done["p50_us"] / 1e3,
                "p99": done["p99_us"] / 1e3, "max": done["max_us"] / 1e3,
                "cpu_ms": (cpu_of(relay.pids()) - cpu) * 1e3 / max(got, 1),
                "way_p50": table.percentile(ways, 50),
                "way_p99": table.percentile(ways, 99), "mb": mb,
                "connections": after[3] - before[3]}

    def arrived(self, n):
        """A relay that queues has said 250 before; what is lost is told."""
        end, last = time.monotonic() + 30, -1
        while self.sink.counts()[0] < n and time.monotonic() < end:
            now = self.sink.counts()[0]
            if now != last:
                last, end = now, time.monotonic() + 30
            time.sleep(0.01)

    def case(self, case):
        """{relay: [runs]}"""
        out = {}
        for relay in self.relays:           # warm
            self.run(relay, case, min(0.3, SECONDS))
        for _ in range(RUNS):
            for relay in self.relays:
                done = self.run(relay, case, SECONDS)
                if done:
                    out.setdefault(relay, []).append(done)
        return out


# ---- memory -----------------------------------------------------------------

def idle_kib(relay, mail, n, *words):
    """Private KiB that an idle session takes."""
    before = memory_of(relay.pids(), r"Private_\w+")
    with subprocess.Popen(
            [TOOLS / "load", "-i", *words, str(relay.port), str(n), mail.path,
             relay.sender, relay.rcpt], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True) as held:
        stood = int(held.stdout.readline() or 0)
        kib = memory_of(relay.pids(), r"Private_\w+") - before
        held.stdin.close()
    return kib / stood if stood else None


def workers(relay):
    return [pid for pid in relay.pids()
            if "worker" in Path(f"/proc/{pid}/comm").read_text()]


class Workers:
    """A daemon of its own, and of it what Peak asks: the workers."""

    def __init__(self, bench, name):
        self.relay = sites.quiet()
        self.relay.start(bench.folder / name, bench.sink.port, bench.dns.port)

    def pids(self):
        return workers(self.relay)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.relay.stop()


def memory(bench):
    """What only fresh daemons tell: a worker at rest, idle sessions, and what
    is in flight."""
    mail = bench.mail(CASES[CHOSEN[0]][0], 0)
    with Workers(bench, "idle") as fresh:
        relay = fresh.relay
        facts = {"rest": max(memory_of([pid]) for pid in fresh.pids()) / 1024}
        # What a worker has from its first sessions is no session's own.
        idle_kib(relay, mail, 50)
        facts["idle"] = idle_kib(relay, mail, 1000)
        idle_kib(relay, mail, 50, "-s")
        facts["idle_tls"] = idle_kib(relay, mail, 1000, "-s")
    if "1m" in CHOSEN:
        facts["flight"] = flight(bench)
    return {k: v for k, v in facts.items() if v is not None}


def flight(bench):
    """Memory of the workers under load, by the octets under way."""
    size, sessions = CASES["1m"][:2]
    with Workers(bench, "flight") as fresh:
        relay = fresh.relay     # what it has from its first messages, too
        load(relay.port, sessions, bench.mail(4096, 0), relay.sender,
             relay.rcpt, "-n", 500)
        before = memory_of(fresh.pids())
        peak = Peak(fresh)
        load(relay.port, sessions, bench.mail(size, 0), relay.sender,
             relay.rcpt, "-d", SECONDS)
        return (peak.stop() - before / 1024) / (size * sessions / (1 << 20))


def bare_ms():
    """One RSA-2048 signature alone, of the library that makes ours."""
    done = harness.run(TOOLS / "core", "500", "alone")
    for line in done.decode().splitlines():
        row = json.loads(line)
        if row["algorithm"] == "rsa2048":
            return row["alone"][0] / 1e3
    return None


def facts_of(rows):
    facts = {}
    row = rows.get(("4k", "sign-rsa"))
    if row and row["rate"]:
        facts["bare_ms"] = bare_ms()
        facts["bare"] = row["cpu_ms"] / facts["bare_ms"]
    ours = {s.name for s in sites.SITES}
    slow = [r["p99"] for (case, name), r in rows.items()
            if case == "alone" and name in ours]
    if slow:
        facts["stall"] = max(slow)
    return facts


# ---- what is printed --------------------------------------------------------

def text(value, width, digits=2):
    return f"{'-':>{width}}" if value is None else f"{value:{width}.{digits}f}"


def print_case(case, relays, rows):
    size, sessions, per, words = CASES[case]
    what = [f"{size} octets", f"{sessions} sessions",
            f"{per} message a connection" if per else "connections kept",
            *({"-s": "STARTTLS", "-w": "no pipelining",
               "-r": "recipients"}.get(w, w) for w in words)]
    print(f"\n{case}: {', '.join(what)}; medians of {RUNS} x {SECONDS:g} s")
    print(f"{'relay':16}{'msg/s':>8}{'+-%':>5}{'x direct':>9}{'x near':>8} "
          f"{'near':16}{'CPU ms':>8}{'+p50 ms':>9}{'+p99 ms':>9}"
          f"{'way p50':>9}{'way p99':>9}{'MB':>7}{'faults':>7}")
    direct = rows.get((case, "direct"))
    for relay in relays:
        row = rows.get((case, relay.name))
        if row is None:
            print(f"{relay.name:16} no figures")
            continue
        near = rows.get((case, relay.near)) if relay.near else None
        times = table.ratio(row["rate"], near["rate"]) if near else None
        added = [None, None] if relay.name == "direct" else \
            [row[k] - direct["p50"] for k in ("p50", "p99")]
        print(f"{relay.name:16}{row['rate']:8.0f}{row['spread'] * 100:5.0f}"
              f"{text(table.ratio(row['rate'], direct['rate']), 9, 3)}"
              f"{text(times, 8, 1 if times and times > 2 else 2)} "
              f"{relay.near or '':16}{row['cpu_ms']:8.3f}"
              f"{text(added[0], 9)}{text(added[1], 9)}"
              f"{row['way_p50']:9.2f}{row['way_p99']:9.2f}{row['mb']:7.1f}"
              f"{row['faults']:7}", flush=True)


def print_aims(judged):
    print("\naims")
    for name, case, value, sign, aim, met in judged:
        if value is not None:
            print(f"  {'met   ' if met else 'MISSED'} {name:36} {case:6}"
                  f"{text(value, 9, 3)} {sign} {aim}")


def describe(bench):
    model = re.search(r"model name\s*: (.*)",
                      Path("/proc/cpuinfo").read_text())
    commit = shutil.which("git") and subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT,
        capture_output=True, text=True).stdout.strip()
    told = {"commit": commit or "?", "cores": os.cpu_count(),
            "cpu": model.group(1) if model else "?",
            "kernel": os.uname().release,
            "load": " ".join(f"{x:.1f}" for x in os.getloadavg()),
            "seconds": SECONDS, "runs": RUNS}
    print("  ".join(f"{k}: {v}" for k, v in told.items()))
    told["relays"] = {}
    for relay in bench.relays[1:]:
        told["relays"][relay.name] = f"{relay.version()}, {relay.says}"
        print(f"  {relay.name:16}{told['relays'][relay.name]}")
    return told


def main():
    unknown = set(CHOSEN) - set(CASES)
    if unknown:
        sys.exit(f"relay.py: no case {' '.join(unknown)}; there are: "
                 f"{' '.join(CASES)}")
    # as an interrupt does: what was started is stopped
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = harness.open_folder(f"bench-{os.getpid()}")
    KEPT.mkdir(parents=True, exist_ok=True)
    bench = Bench(folder)
    try:
        bench.start()
        told = describe(bench)
        facts, rows = memory(bench) if bench.has("pass") else {}, {}
        rest = {r.name: memory_of(r.pids()) / 1024 for r in bench.relays}
        for case in CHOSEN:
            for relay, runs in bench.case(case).items():
                rows[case, relay.name] = table.summary(runs)
            print_case(case, bench.relays, rows)
    finally:
        bench.close()
    facts |= facts_of(rows)
    judged = table.judge(rows, facts)
    print("\nMB at rest: " + ", ".join(f"{k} {v:.1f}" for k, v in rest.items()
                                       if v))
    print("facts: " + ", ".join(f"{k} {v:.2f}" for k, v in facts.items()))
    for relay, why in bench.missing:
        print(f"NOT RUN {relay.name}: {why}")
    print_aims(judged)
    with open(HISTORY, "a") as f:
        told |= {"time": int(time.time()), "facts": facts, "rows": {
            f"{c} {n}": {k: round(v, 4) for k, v in row.items()}
            for (c, n), row in rows.items()},
            "missing": {r.name: why for r, why in bench.missing},
            "missed": [f"{j[0]} {j[1]}".strip() for j in judged
                       if j[2] is not None and not j[5]]}
        f.write(json.dumps(told) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    print(table.last_line(judged))


if __name__ == "__main__":
    main()
