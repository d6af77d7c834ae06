#!/usr/bin/env python3
"""soak.py   messages of every kind through every mode of one hopseald, while
it is reloaded and its processes are killed, the DNS fails, next hops die, stall
and lose answers, and clients vanish. Each recipient of each message has an
account (soak.h): delivered once, refused, or reported; a second copy only
where an answer was lost (RFC 1047). Memory, descriptors and files of each
process must be as at the beginning. In the environment (make soak NAME=VALUE):

  N        messages (1000000; 100000 of a build with sanitizers)
  SEED     of what is drawn (1); what the clock decides differs each time
  RATE     the most new messages a second (any)
  SESSIONS clients at a time (80)    FULL  set: the whole log is kept
"""

import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tests/bench")]

import certs                                                 # noqa: E402
import harness                                               # noqa: E402
import nameserver                                            # noqa: E402
import sites                                                 # noqa: E402

PROGRAM = harness.BUILD / "tests/soak/soak"
SAN = bool(os.environ.get("SAN"))
HEAD = """
hostname: hop.bench.example
state: state
keys: keys
secrets: secrets
workers: 2
resolver: ["127.0.0.1:{dns}"]
resolver-timeout: 1s
metrics: ["127.0.0.1:{metrics}"]
tls: [{tls}]
memory: {{size: 32M, age: 1d}}
copies: {{size: 64M, age: 1d}}
queue-retry: 1s
queue-retry-max: 4s
max-connections: 2000
max-per-network: 2000
through-wait: 15s
connect-timeout: 5s
reply-timeout: 10s
end-timeout: 20s
listeners:
"""
OURS = "clients: [127.0.0.1]"
ALIASES = 8
# name: role, kind, weight, signatures, sender and recipients, more
MODES = {
    "ed25519": ("egress", "egress", 16, 1, "e1", "far", f"dkim1: no, {OURS}"),
    "rsa": ("egress", "egress", 8, 1, "e2", "far", f"dkim1: no, {OURS}"),
    "both": ("egress", "egress", 6, 1, "e3", "far", OURS),
    "pass": ("egress", "pass", 16, 0, "nokey", "far",
             f"dkim1: no, senders: [nokey.bench.example], {OURS}"),
    "enforce": ("inbound", "enforce", 14, 0, "hop4", "hop5",
                "verify: enforce, domains: [hop5.bench.example]"),
    "observe": ("inbound", "chain", 10, 0, "hop4", "hop5",
                "domains: [hop5.bench.example]"),
    "forward": ("forward", "chain", 10, 1, "hop4", "hop5",
                "domains: [hop5.bench.example], mail-from: srs, dkim1: no, "
                "aliases: {%s}" % ", ".join(
                    f'"r{k}@hop5.bench.example": "r{k}@far.bench.example"'
                    for k in range(ALIASES))),
    "list-in": ("list-in", "list-in", 8, 0, "hop4", "hop5",
                "domains: [hop5.bench.example]"),
    "list-out": ("list-out", "list-out", 0, 1, "hop5", "far",
                 f"dkim1: no, pair: list-in, {OURS}"),
    "queue": ("egress", "queue", 10, 1, "e1", "far",
              f"dkim1: no, delivery: queue, {OURS}"),
}
KEYS = {"e1": ["ed25519"], "e2": ["rsa2048"], "e3": ["ed25519", "rsa2048"],
        "hop5": ["ed25519"]}
TROUBLES = ("dead", "mute", "busy", "refuses", "drops", "cuts")
# Who is killed, how often of all kills. comm has 15 letters.
WORKER = "hopseald-worker"
VICTIMS = {WORKER: 8, "hopseald-keeper": 2, "hopseald-signer": 2,
           "hopseald-queue": 2, "hopseald-contro": 1}
DECK = tuple(who for who, n in VICTIMS.items() for _ in range(n))
# A log line of one message in its usual course.
USUAL = r" (worker/[0-9]+|queue): [0-9a-z]{8,14}(r[0-9]+)?: "
OUTAGES = r'\nhopseal_outages_total\{what="keeper"\} ([0-9.]+)'
ENOUGH = 60         # measurements that tell whether something grows
KIB, MIB = 1024, 1024 * 1024


def name_of(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def facts_of(pid):
    """(Pss, anonymous memory, descriptors) or None."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        fds = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None
    pss, anon = (int(re.search(rf"^{w}: +(\d+)", text, re.M).group(1)) * KIB
                 for w in ("Pss", "Pss_Anon"))
    return pss, anon, fds


class Ledger:
    """The program that has the clients, the next hops and the accounts."""

    def __init__(self, n, sessions, rate, seed, samples, modes):
        self.lock = threading.Lock()
        self.process = subprocess.Popen(
            [str(x) for x in (PROGRAM, n, sessions, rate, seed,
                              sites.KEYS, samples, *modes)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        with self.lock:
            self.process.stdin.write(" ".join(words) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        assert line, f"the ledger ended: {self.process.wait()}"
        return json.loads(line)

    def close(self):
        self.process.kill()
        self.process.wait()


class Daemon(harness.Hopseald):
    """Its log keeps what is unusual; with `full` all of it."""
    full = True

    def start(self, ready=True):
        if self.full:
            return super().start(ready)
        with open(self.log_file, "ab") as out:
            self.filter = subprocess.Popen(
                ["grep", "--line-buffered", "-avE", USUAL],
                stdin=subprocess.PIPE, stdout=out)
        self.process = subprocess.Popen(
            [str(self.program), "-c", str(self.config)],
            stdin=subprocess.DEVNULL, stdout=self.filter.stdin,
            stderr=self.filter.stdin, env=self.env, start_new_session=True)
        self.filter.stdin.close()
        harness.until(lambda: self._is_ready(0), "`ready` in its log")
        return self


class Site:
    """One hopseald with a listener for each mode. Several share next hops and
    secrets, where they are told those of the first.

    more    further directives of the top level
    """

    def __init__(self, folder, full=True, first=None, more=""):
        self.folder, self.state = folder, folder / "state"
        self.state.mkdir()
        self.state.chmod(0o777)
        self.dns = first.dns if first else \
            nameserver.Nameserver(self.records())
        self.dns.ttl = 2
        self.metrics = harness.free_port()
        self.ports = {m: (harness.free_port(), first.ports[m][1] if first
                          else harness.free_port()) for m in MODES}
        self.put_keys((first or self).folder / "secrets")
        pair = certs.Authority(folder).pair("relay", "127.0.0.1")
        config = (more + HEAD).format(dns=self.dns.port, tls=pair,
                                      metrics=self.metrics)
        for name, (role, _, _, _, sender, _, more) in MODES.items():
            own = f", senders: [{sender}.bench.example]" \
                if sender in KEYS and role == "egress" else ""
            config += (f'  {name}: {{role: {role}, '
                       f'listen: ["127.0.0.1:{self.ports[name][0]}"], '
                       f'next-hop: "smtp://127.0.0.1:{self.ports[name][1]} '
                       f'none", {more}{own}}}\n')
        self.daemon = Daemon(folder, config)
        self.daemon.full = full

    def put_keys(self, others):
        sites.put_keys(self.folder, 5, KEYS["hop5"])
        for name, kinds in KEYS.items():
            target = self.folder / "keys" / f"{name}.bench.example"
            target.mkdir(exist_ok=True, mode=0o700)
            for kind in kinds:
                pem = target / f"{kind}.pem"
                pem.write_bytes((sites.KEYS / f"{kind}.pem").read_bytes())
                pem.chmod(0o600)
        secrets = self.folder / "secrets"
        secrets.mkdir(mode=0o700)
        (secrets / "1").write_bytes(os.urandom(32) if others == secrets
                                    else (others / "1").read_bytes())
        (secrets / "1").chmod(0o600)

    @staticmethod
    def records():
        table = sites.records()
        for kind in sites.KINDS:
            for name in KEYS:
                table[f"{kind}._domainkey.{name}.{sites.DOMAIN}"] = \
                    table[f"{kind}._domainkey.hop1.{sites.DOMAIN}"]
        return table

    def modes(self, fronts=None):
        """As the ledger takes them; fronts: the ports that clients know."""
        fronts = fronts or {m: own for m, (own, _) in self.ports.items()}
        return [f"{name}:{kind}:{fronts[name]}:{self.ports[name][1]}:"
                f"{weight}:{due}:{sender}.bench.example:{rcpt}.bench.example:"
                f"{ALIASES if role == 'forward' else 0}"
                for name, (role, kind, weight, due, sender, rcpt, _)
                in MODES.items()]

    def hopseal(self, *words):
        return harness.run(harness.HOPSEAL, *words, "--state", self.state,
                           ok=False)

    def status(self):
        done = self.hopseal("status", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def outages(self):
        """Answers of the keeper that came too late, or not at all."""
        try:
            with urllib.request.urlopen(
                    f"http://127.0.0.1:{self.metrics}/metrics") as page:
                found = re.search(OUTAGES, page.read().decode())
        except OSError:
            return None             # its process was just replaced
        return float(found.group(1)) if found else None

    def queued(self):
        return len(os.listdir(self.state / "queue" / "mail"))

    def files(self):
        """But what is queued, and the copies, which have a bound."""
        return sum(len(names) for folder, _, names in os.walk(self.state)
                   if not folder.startswith((str(self.state / "queue"),
                                             str(self.state / "copies"))))

    def copies(self):
        return sum(f.stat().st_size for f in
                   (self.state / "copies").iterdir())


class Trouble:
    """What goes wrong, drawn; step() is called some times a second. `pace` is
    how many seconds lie between two troubles of the same kind, about."""

    def __init__(self, site, ledger, seed, pace):
        self.site, self.ledger, self.pace = site, ledger, pace
        self.random = random.Random(seed)
        self.until = {}             # what is wrong: when it ends
        self.marks = []             # when to say `kill` again
        self.excused = 0            # until when DNS or keeper may be missing
        self.count = dict.fromkeys(
            ("reload", "dns", *TROUBLES, *VICTIMS), 0)
        self.next = {}
        self.reloading = []
        self.look_ms, self.outages = 0, 0
        self.decks = {}             # of each, what is left to be drawn
        for kind in ("reload", "dns", "hop", "kill"):
            self.later(kind)

    def look_for_outages(self):
        """Where a process was too slow its stated answer is that of an outage,
        and counted: a double is possible, and mail without its chain."""
        if time.monotonic() < self.look_ms:
            return
        self.look_ms = time.monotonic() + 0.5
        now = self.site.outages()
        if now is not None and now != self.outages:
            self.outages = now
            self.ledger.ask("kill")
            self.excuse(time.monotonic() + 10)

    def later(self, kind):
        self.next[kind] = time.monotonic() + \
            self.random.uniform(0.5, 1.5) * self.pace[kind]

    def step(self):
        self.look_for_outages()
        now = time.monotonic()
        for mark in [m for m in self.marks if m < now]:
            self.marks.remove(mark)
            self.ledger.ask("kill")
        if self.excused and self.excused < now:
            self.excused = 0
            self.ledger.ask("excuse", "off")
        for what in [w for w, end in self.until.items() if end < now]:
            self.end(what)
        for kind, due in list(self.next.items()):
            if due < now:
                getattr(self, kind)(now)
                self.later(kind)

    def draw(self, cards, first=None):
        """Each of the cards once, in any order, then all of them again."""
        deck = self.decks.setdefault(cards, [])
        if not deck:
            deck += self.random.sample(cards, len(cards))
            if first:
                deck.remove(first)
                deck.append(first)
        return deck.pop()

    def end(self, what):
        del self.until[what]
        if what == "dns":
            self.site.dns.table = self.site.records()
        else:
            self.ledger.ask("hop", what, "none")

    def reload(self, now):
        """None at all in every second minute, so that workers grow old."""
        if int(now / self.pace["calm"]) % 2:
            return
        self.count["reload"] += 1
        self.reloading = [p for p in self.reloading if p.poll() is None]
        if self.random.random() < 0.5 and self.site.daemon.process:
            self.site.daemon.process.send_signal(signal.SIGHUP)
        elif len(self.reloading) < 4:
            self.reloading.append(subprocess.Popen(
                [harness.HOPSEAL, "reload", "--state", self.site.state],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL))

    def dns(self, now):
        if "dns" in self.until:
            return
        self.count["dns"] += 1
        self.site.dns.table = {"*": self.random.choice(
            [nameserver.SERVFAIL, nameserver.SILENT, nameserver.REFUSED,
             b"\x81\x80\0\1garbage"])}
        self.until["dns"] = now + self.random.uniform(0.5, 1.5) * \
            self.pace["lasts"]
        # what was under way then, and what was remembered of it
        self.excuse(self.until["dns"] + 30)

    def excuse(self, until):
        self.ledger.ask("excuse", "on")
        self.excused = max(self.excused, until)

    def hop(self, now):
        name = self.random.choice([m for m in MODES])
        if name in self.until:
            return
        trouble = self.draw(TROUBLES)
        self.count[trouble] += 1
        self.ledger.ask("hop", name, trouble)
        self.until[name] = now + self.random.uniform(0.3, 1.7) * \
            self.pace["lasts"] * (3 if trouble == "mute" else 1)

    def kill(self, now):
        who = self.draw(DECK, WORKER)
        pids = [p for p in self.site.daemon.pids() if name_of(p) == who]
        if not pids:
            return
        self.count[who] += 1
        self.site.daemon.crashes = True
        self.ledger.ask("kill")
        try:
            os.kill(self.random.choice(pids), signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.ledger.ask("kill")
        if who == "hopseald-keeper":
            self.excuse(now + 10)
        # what was begun without it: until it is there again
        self.marks += [now + k * 0.5 for k in range(1, 8)]

    def over(self):
        for what in list(self.until):
            self.end(what)
        for reload in self.reloading:
            reload.wait(harness.WAIT * 4)


class Watch:
    """What each process has, every so often."""

    def __init__(self, site, every):
        self.site, self.every, self.rows = site, every, []
        self.next = 0

    def step(self):
        if time.monotonic() < self.next:
            return
        self.next = time.monotonic() + self.every
        row = {"t": round(time.monotonic(), 1), "files": self.site.files(),
               "roles": {}}
        for pid in self.site.daemon.pids():
            facts = facts_of(pid)
            name = name_of(pid)
            if facts is None or not name:
                continue
            if pid == self.site.daemon.process.pid:
                name = "master"
            row["roles"].setdefault(name, []).append(facts)
        self.rows.append(row)

    def series(self, role, which, choose=max):
        return [choose(f[which] for f in row["roles"][role])
                for row in self.rows if role in row["roles"]]

    def thirds(self, values):
        """Medians of the first third behind the warm-up, and of the last."""
        warm = values[len(values) // 10:]
        third = max(1, len(warm) // 3)
        return statistics.median(warm[:third]), statistics.median(warm[-third:])

    def judge(self):
        """({what: [first, last]}, what has grown)"""
        table, grown = {}, []
        roles = {r for row in self.rows for r in row["roles"]}
        for role in sorted(roles):
            if role in ("hopseald-commit", "hopseald-sync", "hopseald-remove"):
                continue            # there while there is work
            # A signer locks all that the master had when it was forked, which
            # depends on how many generations end their sessions then.
            spare = 8 * MIB if "signer" in role else 3 * MIB
            for which, what, share, more in (
                    (0, "pss", 1.15, spare), (1, "anon", 1.15, spare),
                    (2, "fds", 1.2, 10)):
                values = self.series(role, which)
                if len(values) < ENOUGH or SAN and which != 2:
                    continue        # sanitizers keep what was freed
                first, last = self.thirds(values)
                table[f"{role} {what}"] = [first, last, max(values)]
                if last > first * share + more:
                    grown.append(f"{role} {what}: {first:.0f} to {last:.0f}")
            counts = [len(row["roles"].get(role, [])) for row in self.rows]
            table[f"{role} processes"] = [*self.thirds(counts), max(counts)]
        files = [row["files"] for row in self.rows]
        table["files in STATE"] = [*self.thirds(files), max(files)]
        if len(files) >= ENOUGH and table["files in STATE"][1] > \
                table["files in STATE"][0] + 10:
            grown.append(f"files in STATE: {table['files in STATE']}")
        return table, grown


def processes(daemon):
    names = sorted(name_of(p) for p in daemon.pids())
    return [n for n in names if n not in
            ("hopseald-commit", "hopseald-sync", "hopseald-remove")]


def settled(daemon):
    """Likewise, unless one generation takes over: the control process of the
    one before leaves, and the next one comes."""
    names = processes(daemon)
    return names if names.count("hopseald-contro") == 1 else None


def verify_samples(site, samples):
    """What our own verifier says of what arrived; (good, what is wrong)."""
    dns = site.folder / "dns.json"
    dns.write_text(json.dumps(site.records()))
    good, bad = 0, []
    for file in sorted(samples.glob("*.eml")):
        mode, mail_from, *rcpts = file.with_suffix(".env").read_text().split()
        words = [x for r in rcpts for x in ("--rcpt-to", r)]
        done = harness.run(harness.HOPSEAL, "verify", "--mail-from", mail_from,
                           *words, "--dns", dns, stdin=file.read_bytes(),
                           ok=False)
        if done.returncode == 0:
            good += 1
        else:
            bad.append(f"{file.name} ({mode}): {done.stdout.decode().strip()}")
    return good, bad


def told_by(status):
    """Messages that the daemon says it accepted."""
    return sum(row["accepted"] for row in status["mail"])


def disagreement(told, got, sessions, killed):
    """Where a client lost the answer or left, it can not know; whoever is
    killed takes along what it had not told yet."""
    unknown = got["left"] + got["lost_answers"] + sessions * killed
    if got["taken"] - sessions * killed <= told <= got["taken"] + unknown:
        return None
    return f"status has {told} accepted, the clients {got['taken']} " \
        f"(and {unknown} that they can not know)"


def wait_for(condition, progress, what, seconds):
    """Until it is so, as long as something moves."""
    last, end = None, time.monotonic() + seconds
    while not condition():
        now = progress()
        if now != last:
            last, end = now, time.monotonic() + seconds
        if time.monotonic() > end:
            return f"{what}: nothing moves for {seconds} s: {now}"
        time.sleep(0.2)
    return None


def run(folder, n, seed=1, rate=0, sessions=80, pace=None, full=False,
        every=5.0, leavers=None, say=print):
    """All of it; a dict with the counts, and `faults`, a list of texts. One of
    `leavers` clients does not wait for its answer."""
    pace = {"reload": 4, "dns": 15, "hop": 3, "kill": 15, "lasts": 5,
            "calm": 60} | (pace or {})
    samples = folder / "samples"
    samples.mkdir()
    site = Site(folder, full)
    faults = []
    ledger = None
    site.daemon.start()
    try:
        harness.until((site.state / "control").exists, "the control socket")
        at_start = harness.until(lambda: settled(site.daemon), "all of them")
        began = time.monotonic()
        ledger = Ledger(n, sessions, rate, seed, samples, site.modes())
        if leavers:
            ledger.ask("leavers", str(leavers))
        trouble, watch = Trouble(site, ledger, seed, pace), Watch(site, every)
        told = 0
        while (now := ledger.ask("report"))["undrawn"] > 0:
            trouble.step()
            watch.step()
            if time.monotonic() - told > 30:
                told = time.monotonic()
                say(f"{told - began:6.0f} s: {now['numbers']} messages, "
                    f"{now['taken']} taken, {now['arrivals']} arrived, "
                    f"{site.queued()} queued, {now['lost_answers']} answers "
                    f"lost, {now['kills'] // 9} kills", flush=True)
            time.sleep(0.1)
        drawn = time.monotonic() - began
        trouble.over()
        faults.append(wait_for(
            lambda: ledger.ask("report")["busy"] == 0,
            lambda: [ledger.ask("report")[k] for k in ("taken", "busy")],
            "clients", 120))
        faults.append(wait_for(lambda: site.queued() == 0, site.queued,
                               "the queue", 120))
        try:
            harness.until(lambda: processes(site.daemon) == at_start,
                          "the processes of the start")
        except AssertionError:
            faults.append(f"processes: {at_start} became "
                          f"{processes(site.daemon)}")
        status = site.status()
        got = ledger.ask("end")
        got["told_accepted"] = told_by(status)
        killed = sum(trouble.count[v] for v in VICTIMS)
        faults.append(disagreement(got["told_accepted"], got, sessions,
                                   killed))
        got["copies_mb"] = round(site.copies() / MIB, 1)
    finally:
        if ledger:
            ledger.close()
        site.dns.close()
        try:
            site.daemon.stop()
        except AssertionError as fault:
            faults.append(str(fault)[:3000])
    got["seconds"] = round(time.monotonic() - began, 1)
    got["rate"] = round(n / drawn)
    got["troubles"] = trouble.count
    table, grown = watch.judge()
    got["watched"], got["status"] = table, status
    faults += [f"grown: {g}" for g in grown]
    faults += [f"{k}: {v}" for k, v in got.items()
               if k.startswith("fault_") and v]
    got["samples"], bad = verify_samples(site, samples)
    faults += [f"sample {b}" for b in bad]
    with open(site.daemon.log_file, errors="replace") as log:
        faults += [line.strip() for line in log if "ALARM" in line][:20]
    got["faults"] = [f for f in faults if f]
    return got


def summary(got, say=print):
    say("\n".join(f"{k:26} {v}" for k, v in got.items()
                  if isinstance(v, (int, float))))
    say("troubles: " + ", ".join(f"{k} {v}"
                                 for k, v in got["troubles"].items()))
    say("messages: " + ", ".join(f"{k} {v}" for k, v in got["modes"].items()))
    for what, (first, last, most) in got["watched"].items():
        say(f"  {what:32} first third {first:12.0f}  last third {last:12.0f}"
            f"  most {most:12.0f}")
    for fault in got["faults"]:
        say(f"FAULT {fault}")
    say(f"soak: {got['numbers']} messages, {got['recipients']} recipients: "
        f"{got['delivered']} delivered, {got['refused']} refused, "
        f"{got['reported']} reported, {got['vanished']} never sent; "
        f"{got['doubles']} doubles; {len(got['faults'])} faults")


def main():
    # as an interrupt does: what was started is stopped
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    n = int(os.environ.get("N") or (100_000 if SAN else 1_000_000))
    folder = harness.open_folder(f"soak-{os.getpid()}")
    got = run(folder, n, int(os.environ.get("SEED") or 1),
              int(os.environ.get("RATE") or 0),
              int(os.environ.get("SESSIONS") or 80),
              full=bool(os.environ.get("FULL")))
    with open(harness.BUILD / "soak.jsonl", "a") as f:
        f.write(json.dumps(got) + "\n")
    summary(got)
    sys.exit(1 if got["faults"] else 0)


if __name__ == "__main__":
    main()
