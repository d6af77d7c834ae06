"""Q1-Q3 with a whole daemon: worker and queue process are killed at each
system call of an acceptance, and each of them fails once. What a client was
told 250 for is in the queue, whole; what it was not told for is not lost
either, since it comes again."""

import collections
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

import configs
import harness
from conftest import missing
from smtptools import Client, Closed
from test_losses import Sender
from test_process import pid_name
from test_syscalls import ERRORS, LONG, NEVER, SEED, attach

QUEUE, WORKER = "hopseald-queue", "hopseald-worker"
COMMIT = "hopseald-commit"      # the child of QUEUE that commits
SLICE = 6           # points of a short run, of each process
# Also those that come after the answer, or of a timer's turn.
NOT_OURS = (*NEVER, "clock_gettime", "gettimeofday", "getpid")


class Queueing:
    """A site that queues for a next hop which is not there."""

    def __init__(self, folder, keys, **more):
        keys.add("one.example", rsa2048=None)
        site = configs.egress(folder, harness.free_port(), "delivery: queue",
                              **more)
        self.port, self.config = site.port, site.config
        self.spool = folder / f"state-{site.port}" / "queue"

    def files(self, name="mail"):
        """Octets of each file of a folder."""
        found = []
        for path in sorted((self.spool / name).iterdir()):
            try:
                found.append(path.read_bytes())
            except FileNotFoundError:
                pass            # on its way to another folder
        return found

    def count(self, mid):
        """How often a message is in the queue; each must be whole."""
        files = [f for f in self.files() if f"<{mid}>".encode() in f]
        for f in files:
            sizes = re.match(rb"hopseal-queue 2 0*(\d+) 0*(\d+) 0*(\d+)\n", f)
            returned = re.search(rb"\nreturned (\d+) ", f)
            assert sizes and len(f) == \
                int(returned[1]) + sum(map(int, sizes.groups()))
        return len(files)


def content(mid, size=10):
    return (f"From: <alice@one.example>\r\nMessage-ID: <{mid}>\r\n\r\n".encode()
            + b"line of text\r\n" * (size // 14) + b"end\r\n")


def try_once(port, mid, size=10):
    """The code of its answer, or None."""
    try:
        with Client(port) as client:
            client.command("EHLO client.example")
            return client.mail("alice@one.example", "bob@two.example",
                               content(mid, size))[0]
    except (Closed, OSError):
        return None


def deliver(port, mid, size=10):
    """As a client that tries until it is taken."""
    for _ in range(400):
        code = try_once(port, mid, size)
        if code == 250:
            return
        assert code is None or code // 100 == 4, code
        time.sleep(0.05)
    raise AssertionError(f"{mid} is never taken")


def pid_of(daemon, name):
    return harness.until(
        lambda: next((p for p in daemon.pids() if pid_name(p) == name), None),
        name)


def find(site, name):
    """Its pid; what commits is followed by another for the next batch."""
    names = [pid_name(p) for p in site.daemon.pids()]
    if name == COMMIT and COMMIT not in names:
        deliver(site.port, "another@one.example")
    return pid_of(site.daemon, name)


@pytest.fixture
def queueing(folder, keys, hopseald):
    site = Queueing(folder, keys)
    site.daemon = hopseald(site.config)
    pid_of(site.daemon, QUEUE)
    return site


@pytest.fixture
def traced(queueing):
    if os.environ.get("SAN"):
        pytest.skip("the sanitizers make calls of their own, and need ptrace")
    if not shutil.which("strace"):
        missing("strace is not installed")
    queueing.daemon.crashes = True
    return queueing


def test_accepted_is_in_the_queue(queueing):
    deliver(queueing.port, "small@one.example")
    deliver(queueing.port, "large@one.example", 2_000_000)
    assert queueing.count("small@one.example") == 1
    assert queueing.count("large@one.example") == 1
    assert not queueing.files("new")
    assert not queueing.files("corrupt")


# ---- each system call ----------------------------------------------------------


def calls(site, name, folder):
    """How often a process makes each call for one message."""
    watch = attach(lambda: pid_of(site.daemon, name), folder / "trace")
    deliver(site.port, f"first.{name}@one.example")
    names = re.findall(r"^\d+ +(\w+)\(", watch.end(), re.M)
    return collections.Counter(n for n in names if n not in NOT_OURS)


@pytest.mark.parametrize("kind", ["kill", "fail"])
@pytest.mark.parametrize("name", [QUEUE, COMMIT, WORKER])
def test_Q1_at_each_system_call(traced, folder, name, kind):
    """The client hears 250 in the end, and its message is there: once, or
    twice where it was told nothing for the first one."""
    points = [(call, k) for call, n in sorted(
        calls(traced, name, folder).items()) for k in range(1, n + 1)]
    assert len(points) > 3, points
    drawn = points if LONG else random.Random(SEED).sample(
        points, min(SLICE, len(points)))
    print(f"{len(drawn)} of {len(points)} points, seed {SEED}")
    for n, (call, k) in enumerate(drawn):
        mid = f"{n}.{call}.{k}@one.example"
        what = "signal=KILL" if kind == "kill" else \
            f"error={ERRORS.get(call, 'EIO')}"
        watch = attach(lambda: find(traced, name), folder / "trace",
                       "-e", f"inject={call}:{what}:when={k}")
        deliver(traced.port, mid)
        watch.end()
        assert 1 <= traced.count(mid) <= 2, f"{kind} at {call} {k}"


# ---- a disk that fails -----------------------------------------------------------


@pytest.mark.parametrize("call", ["fdatasync", "fsync", "renameat2"])
def test_Q3_a_disk_that_fails(traced, folder, call):
    """451, and what may be only half on the disk is set aside: not tried, and
    not synced, again."""
    watch = attach(lambda: pid_of(traced.daemon, COMMIT), folder / "trace",
                   "-e", f"inject={call}:error=EIO:when=1")
    assert try_once(traced.port, "first@one.example") == 451
    assert traced.count("first@one.example") == 0
    assert len(traced.files("corrupt")) == 1
    assert not traced.files("new")
    deliver(traced.port, "first@one.example")
    trace = watch.end()
    assert traced.count("first@one.example") == 1
    assert len(traced.files("corrupt")) == 1
    assert trace.count(f"{call}(") >= 2
    assert "ALARM" in traced.daemon.log()


@pytest.mark.parametrize("name, call, errors", [
    (COMMIT, "fdatasync", ("ENOSPC", "EDQUOT")),
    (COMMIT, "renameat2", ("ENOSPC",)),
    (WORKER, "writev", ("ENOSPC", "EDQUOT")),
])
def test_Q2_no_room(traced, folder, name, call, errors):
    """452, nothing stays of it, and the next one is taken."""
    for n, error in enumerate(errors):
        mid = f"{n}@one.example"
        watch = attach(lambda: find(traced, name), folder / "trace",
                       "-e", f"inject={call}:error={error}:when=1")
        assert try_once(traced.port, mid) == 452
        watch.end()
        assert traced.count(mid) == 0
        assert not any(traced.files("new"))
        assert not traced.files("corrupt")
        deliver(traced.port, mid)
        assert traced.count(mid) == 1


def test_Q2_room_is_left_for_others(folder, keys, hopseald):
    """More than any disk has: nothing is taken, and at MAIL where it says."""
    site = Queueing(folder, keys, common=[
        "keys: keys", "keys-file: dns.json", "queue-min-free: 1024G"])
    hopseald(site.config)
    with Client(site.port) as client:
        client.command("EHLO client.example")
        code, text = client.command("MAIL FROM:<alice@one.example> SIZE=1000")
        assert (code, text[:5]) == (452, "4.3.1")
        code, text = client.mail("alice@one.example", "bob@two.example",
                                 content("x@one.example"))
        assert (code, text[:5]) == (452, "4.3.1")
    assert not site.files("new")
    assert not site.files()


# ---- processes that end ------------------------------------------------------------


def test_Q1_killed_under_load(folder, keys, hopseald):
    """Whoever is killed when: what was told 250 for is in the queue."""
    r = random.Random(SEED)
    print(f"SEED={SEED}")
    site = Queueing(folder, keys, workers=2)
    daemon = harness.Hopseald(folder, site.config).start()
    daemon.crashes = True
    senders = [Sender(site.port, f"s{k}", SEED + k) for k in range(4)]
    for s in senders:
        s.start()
    try:
        for _ in range(60 if LONG else 12):
            time.sleep(r.uniform(0.05, 0.3))
            who = r.choice([QUEUE, QUEUE, COMMIT, COMMIT, WORKER, "all",
                            "reload"])
            if who == "all":
                daemon.kill()
                daemon.start()
            elif who == "reload":
                daemon.process.send_signal(signal.SIGHUP)
            else:
                daemon.kill(pid_of(daemon, who))
        time.sleep(0.5)
    finally:
        for s in senders:
            s.is_over = True
        for s in senders:
            s.join(harness.WAIT)
        daemon.stop()
    acked = [mid for s in senders for mid in s.acked]
    assert acked
    there = collections.Counter()
    for octets in site.files():
        there[re.search(rb"Message-ID: <([^>]+)>", octets)[1].decode()] += 1
    lost = [mid for mid in acked if not there[mid]]
    assert not lost, f"{len(lost)} of {len(acked)} lost: {lost[:5]}"
    assert not site.files("corrupt")


def test_Q18_it_leaves_behind_the_last_worker(queueing):
    """A session that is under way at a stop is told 250, and it is true."""
    daemon = queueing.daemon
    queue = pid_of(daemon, QUEUE)
    with Client(queueing.port) as client:
        client.command("EHLO client.example")
        assert client.envelope("alice@one.example", "bob@two.example")[0] == 250
        assert client.command("DATA")[0] == 354
        daemon.process.send_signal(signal.SIGTERM)
        daemon.wait_log("stopping")
        client.send(content("last@one.example") + b".\r\n")
        assert client.reply()[0] == 250
    assert daemon.process.wait(harness.WAIT) == 0
    assert not Path(f"/proc/{queue}").exists()
    assert queueing.count("last@one.example") == 1


def test_a_reload_in_the_middle(queueing):
    """The old worker goes on with the new process."""
    daemon = queueing.daemon
    first = pid_of(daemon, QUEUE)
    with Client(queueing.port) as client:
        client.command("EHLO client.example")
        assert client.envelope("alice@one.example", "bob@two.example")[0] == 250
        assert client.command("DATA")[0] == 354
        daemon.process.send_signal(signal.SIGHUP)
        harness.until(lambda: [p for p in daemon.pids() if p != first
                               and pid_name(p) == QUEUE], "another queue")
        client.send(content("old@one.example") + b".\r\n")
        assert client.reply()[0] == 250
    deliver(queueing.port, "new@one.example")
    assert queueing.count("old@one.example") == 1
    assert queueing.count("new@one.example") == 1
    assert " error: " not in daemon.log()
