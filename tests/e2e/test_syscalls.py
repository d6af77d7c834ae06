"""P5, Q12: the worker is killed at each system call of a transaction, and each
of them fails once: nothing acknowledged is lost, and a client that tries again
has the message delivered once, or twice where our final dot was out."""

import collections
import os
import random
import re
import shutil
import signal
import subprocess

import pytest

import configs
import harness
from conftest import missing
from faults import Retrying
from messages import message
from smtptools import Client, Sink

LONG = bool(os.environ.get("LONG"))
SEED = int(os.environ.get("FIRST_SEED", "0")) or random.randrange(1, 1 << 30)
SLICE = 10          # points of a short run, of each kind
# What a call can fail with; each that is not here with EIO.
ERRORS = {"accept4": "EMFILE", "socket": "EMFILE", "connect": "ENETUNREACH",
          "recvfrom": "ECONNRESET", "sendto": "ECONNRESET", "openat": "ENOSPC",
          "write": "ENOSPC", "mmap": "ENOMEM", "epoll_ctl": "ENOSPC",
          "getrandom": "EIO", "memfd_create": "EMFILE"}
# A loop that can not wait, or a process that can not end, is the system's end.
NEVER = ("epoll_ctl", "epoll_wait", "epoll_pwait", "restart_syscall", "exit_group", "futex",
         "rt_sigreturn", "brk", "munmap", "madvise", "mprotect")


def pid_of(daemon, name):
    for pid in daemon.pids():
        try:
            with open(f"/proc/{pid}/comm") as f:
                if f.read().strip() == name:
                    return pid
        except OSError:
            continue
    return None


class Strace:
    """Watches one process, with what is to be injected."""

    def __init__(self, pid, out, *options):
        self.out = out
        self.process = subprocess.Popen(
            ["strace", "-f", "-p", str(pid), "-o", str(out), *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        self.is_attached = "attached" in line
        # a process that was killed: gone, or not reaped yet
        assert self.is_attached or "No such process" in line or \
            "not permitted" in line, line

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=harness.WAIT)
        return self.out.read_text() if self.out.exists() else ""


def attach(find, out, *options):
    """Watches the process that find() names. One that was to die a moment ago
    may be named, and gone, or not followed by another yet."""
    def attached():
        pid = find()
        watch = Strace(pid, out, *options) if pid else None
        return watch if watch and watch.is_attached else None

    return harness.until(attached, "a process to watch")


class Bench:
    def __init__(self, folder, hopseald, keys):
        keys.add("one.example")
        self.folder = folder
        self.sink = Sink()
        site = configs.egress(folder, self.sink.port)
        self.port = site.port
        self.daemon = hopseald(site.config)
        self.daemon.crashes = True
        self.number = 0

    def worker(self):
        return harness.until(lambda: pid_of(self.daemon, "hopseald-worker"),
                             "a worker")

    def one(self, size):
        """A message with a client that tries until it is taken."""
        self.number += 1
        rcpt = f"r{self.number}@two.example"
        content = message(self.number, SEED, "alice@one.example", rcpt, "plain",
                          size)
        r = random.Random(self.number)
        client = Retrying(self.port, "alice@one.example", [rcpt], content, r,
                          tries=400, wait=0.05, source="127.0.0.1").run()
        assert client.fate[rcpt][0] == 250, client.fate
        copies = [m for m in self.sink.mails if m.rcpt_to == [rcpt]]
        assert copies, f"{rcpt} was acknowledged and lost"
        assert len(copies) <= 2, f"{rcpt} came {len(copies)} times"
        assert len({m.content for m in copies}) == 1, "copies differ"
        return len(copies)


@pytest.fixture
def bench(folder, hopseald, keys):
    if os.environ.get("SAN"):
        pytest.skip("the sanitizers make calls of their own, and need ptrace")
    if not shutil.which("strace"):
        missing("strace is not installed")
    b = Bench(folder, hopseald, keys)
    yield b
    b.sink.close()


def calls(bench, size):
    """How often each call is made for one message."""
    watch = attach(bench.worker, bench.folder / "trace")
    bench.one(size)
    names = re.findall(r"^\d+ +(\w+)\(", watch.end(), re.M)
    return collections.Counter(n for n in names if n not in NEVER)


@pytest.mark.parametrize("size", [None, 2_200_000])
@pytest.mark.parametrize("kind", ["kill", "fail"])
def test_at_each_system_call(bench, kind, size):
    points = [(name, k) for name, n in sorted(calls(bench, size).items())
              for k in range(1, n + 1)]
    assert len(points) > 20, points
    drawn = points if LONG else random.Random(SEED).sample(points, SLICE)
    print(f"{len(drawn)} of {len(points)} points, seed {SEED}")
    doubles = 0
    for name, k in drawn:
        what = "signal=KILL" if kind == "kill" else \
            f"error={ERRORS.get(name, 'EIO')}"
        watch = attach(bench.worker, bench.folder / "trace",
                       "-e", f"inject={name}:{what}:when={k}")
        try:
            doubles += bench.one(size) - 1
        except AssertionError as fault:
            raise AssertionError(f"{kind} at {name} {k}: {fault}") from fault
        watch.end()
    print(f"{doubles} second copies")


def transaction(c, n):
    c.send(b"MAIL FROM:<alice@one.example>\r\nRCPT TO:<bob@two.example>\r\n"
           b"DATA\r\n")
    assert [c.reply()[0] for _ in range(3)] == [250, 250, 354]
    c.send(b"From: alice@one.example\r\nTo: bob@two.example\r\n"
           b"Subject: %d\r\n\r\nWords\r\n.\r\n" % n)
    assert c.reply()[0] == 250


def test_a_transaction_takes_few_writes(bench):
    """A group of commands has its replies in one, and the message leaves with
    its dot in one, whatever it is put together from."""
    with Client(bench.port) as c:
        transaction(c, 1)           # connections are there now
        watch = attach(bench.worker, bench.folder / "trace", "-yy", "-s", "99",
                       "-e", "trace=sendto")
        transaction(c, 2)
        sent = re.findall(r'sendto\(\d+<TCP:.*?>, "(\S+)', watch.end())
    assert sent == ["MAIL", "250", "DATA\\r\\n\",", "DKIM2-Signature:", "250"]


def test_the_log_knows_before_the_client_does(bench):
    """Lines of the log wait for each other, but not behind the answer that a
    message was taken."""
    with Client(bench.port) as c:
        transaction(c, 1)
        watch = attach(bench.worker, bench.folder / "trace", "-s", "4096",
                       "-e", "trace=write,sendto")
        transaction(c, 2)
        lines = watch.end().splitlines()
    told = [k for k, line in enumerate(lines) if "status=sent" in line]
    answers = [k for k, line in enumerate(lines) if ', "250 2.' in line]
    assert len(told) == 1 and told[0] < answers[-1], lines
