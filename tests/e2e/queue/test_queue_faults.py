"""What was acknowledged arrives, whatever happens: processes killed at random
and at each system call, calls that fail, full disks, a log that nobody reads
(Q1, Q2, Q3, Q5, Q16)."""

import os
import random
import re
import shutil
import subprocess
import threading
import time

import pytest

import harness
from conftest import missing
from faults import Retrying
from harness import until
from queuekit import (ALICE, BOB, CAROL, QUICK, Queueing, arrived, check, message,
                      send, transaction)
from smtptools import Client, Closed, Sink
from test_keeper import small                                  # noqa: F401
from test_process import pid_name
from test_syscalls import ERRORS, NEVER, attach, pid_of

LONG = bool(os.environ.get("LONG"))
SEED = int(os.environ.get("FIRST_SEED", "1"))
SLICE = 8           # points of a short run, of each kind and process
WORKER, QUEUE = "hopseald-worker", "hopseald-queue"
# Children of QUEUE: what commits, syncs for that, and removes.
COMMIT, SYNC, REMOVE = "hopseald-commit", "hopseald-sync", "hopseald-remove"
# What the queue's own calls fail with.
FAILS = {**ERRORS, "fsync": "EIO", "renameat2": "ENOSPC", "pwrite64": "EIO",
         "writev": "ENOSPC", "unlinkat": "EIO"}


def copies(sink):
    found = {}
    for mail in list(sink.mails):
        for rcpt in mail.rcpt_to:
            found.setdefault(rcpt, []).append(mail)
    return found


# ---- at each system call -------------------------------------------------------


class Bench:
    def __init__(self, folder, hopseald, keys):
        self.folder = folder
        self.sink = Sink()
        self.site = Queueing(folder, self.sink.port, keys)
        self.daemon = hopseald(self.site.config)
        self.daemon.crashes = True
        self.number = 0

    def pid(self, process):
        if process == COMMIT and not pid_of(self.daemon, COMMIT):
            self.one(100)       # it is followed by another for a batch
        return until(lambda: pid_of(self.daemon, process), process)

    def hurry(self, is_there):
        """Waits for something; what rests meanwhile is tried."""
        for _ in range(int(harness.WAIT / 2)):
            try:
                return until(is_there, "it", 2)
            except AssertionError:
                self.site.queue("retry", "--all", code=None)
        raise AssertionError(f"in vain: {self.site.rcpts()}")

    def one(self, size):
        """A message whose client tries until it is taken; how often it came."""
        self.number += 1
        rcpt = f"r{self.number}@two.example"
        content = message(self.number, to=rcpt, size=size)
        client = Retrying(self.site.port, ALICE, [rcpt], content,
                          random.Random(self.number), tries=400, wait=0.05,
                          source="127.0.0.1").run()
        assert client.fate[rcpt][0] == 250, client.fate
        try:
            self.hurry(lambda: rcpt in copies(self.sink))
            self.hurry(self.site.is_empty)
        except AssertionError as e:
            raise AssertionError(f"{rcpt} was acknowledged, and {e}:\n"
                                 + self.daemon.log()[-3000:]) from e
        mails = copies(self.sink)[rcpt]
        assert len(mails) <= 2, f"{rcpt} came {len(mails)} times"
        for mail in mails:
            check(self.site, mail, content)
        assert not self.sink.faults
        return len(mails)


@pytest.fixture
def bench(folder, hopseald, keys):
    if os.environ.get("SAN"):
        pytest.skip("the sanitizers make calls of their own, and need ptrace")
    if not shutil.which("strace"):
        missing("strace is not installed")
    b = Bench(folder, hopseald, keys)
    yield b
    b.sink.close()


def points(bench, process, size):
    """Each call that one message makes, with its number."""
    watch = attach(lambda: bench.pid(process), bench.folder / "trace")
    bench.one(size)
    n = {}
    for name in re.findall(r"^\d+ +(\w+)\(", watch.end(), re.M):
        if name not in NEVER:
            n[name] = n.get(name, 0) + 1
    return [(name, k) for name in sorted(n) for k in range(1, n[name] + 1)]


@pytest.mark.parametrize("process", [WORKER, QUEUE, COMMIT])
@pytest.mark.parametrize("kind", ["kill", "fail"])
def test_Q1_Q3_at_each_system_call(bench, kind, process):
    """Acknowledged: it arrives, and twice where one dot had no answer."""
    size = 300_000 if process == WORKER else 3000
    all = points(bench, process, size)
    assert len(all) > 15, all
    names = {name for name, _ in all}
    assert ("fsync" in names) == (process == COMMIT), names
    drawn = all if LONG else random.Random(SEED).sample(all, SLICE)
    print(f"{len(drawn)} of {len(all)} points, seed {SEED}")
    doubles = 0
    for at, (name, k) in enumerate(drawn):
        if kind == "kill" and process == QUEUE and at % 6 == 5:
            bench.daemon.kill()     # or the master waits longer and longer
            bench.daemon.start()
        what = "signal=KILL" if kind == "kill" else \
            f"error={FAILS.get(name, 'EIO')}"
        watch = attach(lambda: bench.pid(process), bench.folder / "trace",
                       "-e", f"inject={name}:{what}:when={k}")
        try:
            doubles += bench.one(size) - 1
        except AssertionError as fault:
            raise AssertionError(f"{kind} at {name} {k}: {fault}") from fault
        finally:
            watch.end()
    print(f"{doubles} second copies")


# ---- at random moments, under load ------------------------------------------------


class Load(threading.Thread):
    """A client of many messages that tries each until it is acknowledged."""

    def __init__(self, port, name, over):
        super().__init__(daemon=True)
        self.port, self.prefix, self.over = port, name, over
        self.taken = []

    def run(self):
        k = 0
        while not self.over.is_set():
            k += 1
            rcpt = f"{self.prefix}{k}@two.example"
            client = Retrying(self.port, ALICE, [rcpt],
                              message(rcpt, to=rcpt), random.Random(k),
                              tries=2000, wait=0.05, source="127.0.0.1").run()
            if client.fate.get(rcpt, (0,))[0] == 250:
                self.taken.append(rcpt)


def processes(daemon):
    names = {pid: pid_name(pid) for pid in daemon.pids()[1:]}
    return [(pid, name) for pid, name in names.items()
            if name in (WORKER, QUEUE, COMMIT, SYNC, REMOVE)]


# What each kill may double for each client: its message, whose dot had no
# answer, or the try of another, of which there is one for each client or so.
MAY_DOUBLE = {QUEUE: 1, WORKER: 1, "all": 2, COMMIT: 0, SYNC: 0, REMOVE: 0}


@pytest.mark.parametrize("whom", MAY_DOUBLE)
def test_Q1_killed_at_random_moments(folder, hopseald, keys, whom):
    r = random.Random(SEED)
    kills = (40 if LONG else 8) if whom != "all" else (15 if LONG else 4)
    n_clients = 6
    with Sink() as sink:
        site = Queueing(folder, sink.port, keys, workers=2)
        daemon = hopseald(site.config)
        daemon.crashes = True
        over = threading.Event()
        clients = [Load(site.port, f"{chr(97 + k)}x", over)
                   for k in range(n_clients)]
        for client in clients:
            client.start()
        for _ in range(kills):
            time.sleep(r.uniform(0.05, 0.6))
            if whom == "all":
                daemon.kill()
                daemon.start()
                continue
            victims = [pid for pid, n in processes(daemon) if n == whom]
            if victims:
                daemon.kill(r.choice(victims))
        time.sleep(0.5)
        over.set()
        for client in clients:
            client.join(harness.WAIT * 2)
        assert not any(c.is_alive() for c in clients)
        taken = [rcpt for c in clients for rcpt in c.taken]
        assert len(taken) > kills

        def is_done():
            if not site.is_empty():
                site.queue("retry", "--all", code=None)
            return site.is_empty()

        until(is_done, lambda: f"an empty queue: {site.rcpts()}")
        found = copies(sink)
        lost = set(taken) - set(found)
        assert not lost, f"seed {SEED}: acknowledged and lost: {sorted(lost)}"
        doubles = sum(len(m) - 1 for m in found.values())
        print(f"seed {SEED}: {len(taken)} taken, {kills} kills, "
              f"{doubles} second copies")
        assert doubles <= kills * MAY_DOUBLE[whom] * n_clients
        # Nobody knows what one that syncs was told; its share is 451.
        assert whom == SYNC or not list((site.spool / "corrupt").iterdir())
        assert not sink.faults


def test_Q1_the_master_is_killed(folder, hopseald, keys):
    """The others leave by themselves, and the next daemon has it all."""
    with Sink() as sink:
        sink.kill()
        site = Queueing(folder, sink.port, keys)
        daemon = hopseald(site.config)
        rcpts = [f"r{k}@two.example" for k in range(5)]
        for k, rcpt in enumerate(rcpts):
            send(site.port, [rcpt], message(k, to=rcpt))
        leader = daemon.process.pid
        daemon.kill(leader)
        daemon.process.wait(harness.WAIT)
        until(lambda: not harness.session_pids(leader), "the others to leave")
        sink.restart()
        daemon.start()
        arrived(sink, 5)
        site.wait_empty()
        assert sorted(m.rcpt_to[0] for m in sink.mails) == rcpts


def test_Q5_a_250_that_was_not_written_down(folder, hopseald, keys):
    """Killed between the next hop's 250 and the record: the same octets, and
    "duplicate" is taken for delivered."""
    with Sink() as sink:
        site = Queueing(folder, sink.port, keys)
        daemon = hopseald(site.config)
        daemon.crashes = True
        done = threading.Event()

        def dot(mail):
            if not done.is_set():
                done.set()
                daemon.kill(pid_of(daemon, QUEUE))
                return "250 2.0.0 taken"
            return "554 5.6.0 Duplicate message"

        sink.answers["dot"] = dot
        id = send(site.port, [BOB], message())
        until(lambda: sink.refused, "a second try")
        site.wait_empty()
        assert sink.refused[0].content == sink.mails[0].content
        assert "ALARM" not in daemon.log() and f"{id}: removed" in daemon.log()


# ---- what became of a recipient ------------------------------------------------------


def two(site, sink, busy):
    """To bob and to carol in one copy; carol is busy so often at first."""
    left = [busy]

    def rcpt(line, *more):
        if "carol" in line and left[0]:
            left[0] -= 1
            return "450 4.2.0 busy"
        return "250 2.1.5 Ok"

    sink.answers["rcpt"] = rcpt
    return send(site.port, [BOB, CAROL], message(to=f"{BOB}, {CAROL}"))


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_Q5_it_can_not_be_written(bench, error):
    """The process knows it, and delivers to nobody twice."""
    watch = attach(lambda: bench.pid(QUEUE), bench.folder / "trace",
                   "-e", f"inject=pwrite64:error={error}")
    two(bench.site, bench.sink, 2)
    bench.hurry(bench.site.is_empty)
    assert f"= -1 {error}" in watch.end()
    assert [m.rcpt_to for m in bench.sink.mails] == [[BOB], [CAROL]]
    assert "can not be written now" in bench.daemon.log()


def test_Q5_it_is_synced_where_the_message_stays(bench):
    bench.one(100)          # now there is a process that removes, and syncs
    watch = attach(lambda: bench.pid(REMOVE), bench.folder / "trace")
    id = two(bench.site, bench.sink, 1)
    bench.hurry(bench.site.is_empty)
    trace = watch.end()
    assert re.search(rf'openat\(\d+, "{id}".*\n.*fdatasync\(\d+\) += 0', trace)
    assert re.search(rf'unlinkat\(\d+, "{id}", 0\) += 0', trace)


# ---- no room -----------------------------------------------------------------------


def fill(path):
    with open(path, "wb", 0) as f:
        try:
            while f.write(bytes(4096)) == 4096:
                pass
        except OSError:
            pass


def test_Q2_a_full_disk(folder, small, hopseald, keys):          # noqa: F811
    """452 to the client, and what is queued is delivered all the same."""
    with Sink(dot="451 4.3.0 later") as sink:
        site = Queueing(folder, sink.port, keys,
                        common=[*QUICK, "queue-min-free: 64K"])
        small(site.state)
        daemon = hopseald(site.config)
        content = message(size=20_000)
        rcpts = [f"r{k}@two.example" for k in range(3)]
        for k, rcpt in enumerate(rcpts):
            send(site.port, [rcpt], message(k, to=rcpt))
        until(lambda: len(sink.refused) >= 3, "their first tries")
        filler = site.state / "filler"
        fill(filler)
        with Client(site.port) as c:
            code, text = c.command(f"MAIL FROM:<{ALICE}> SIZE=20000")
            assert (code, text[:5]) == (452, "4.3.1"), text
            code, text = transaction(c, ALICE, [BOB], content)
            assert (code, text[:5]) == (452, "4.3.1"), text
        sink.answers["dot"] = "250 2.0.0 taken"
        arrived(sink, 3)
        site.wait_empty()
        assert sorted(m.rcpt_to[0] for m in sink.mails) == rcpts
        filler.unlink()
        send(site.port, [BOB], content)
        arrived(sink, 4)
        site.wait_empty()
        assert "died" not in daemon.log()


# ---- the log ---------------------------------------------------------------------------


class Mute(harness.Hopseald):
    """A daemon whose standard error is what it is given."""

    def start_with(self, stderr, port):
        self.process = subprocess.Popen(
            [str(harness.HOPSEALD), "-c", str(self.config)],
            stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
            start_new_session=True)
        until(lambda: harness.listens(port), "its port")
        return self


@pytest.mark.parametrize("how", ["pipe", "gone", "closed", "full"])
def test_Q16_the_log_can_not_be_written(folder, keys, how):
    with Sink() as sink:
        site = Queueing(folder, sink.port, keys)
        daemon = Mute(folder, site.config)
        theirs, ours = os.pipe()
        try:
            if how == "full":
                if not os.path.exists("/dev/full"):
                    missing("there is no /dev/full")
                os.close(ours)
                ours = os.open("/dev/full", os.O_WRONLY)
            elif how == "pipe":             # nobody reads it, and it is full
                os.set_blocking(ours, False)
                try:
                    while os.write(ours, bytes(4096)):
                        pass
                except BlockingIOError:
                    pass
                os.set_blocking(ours, True)
            elif how == "gone":
                os.close(theirs)
                theirs = None
            if how == "closed":
                daemon.wrapper = ()
                daemon.process = subprocess.Popen(
                    ["sh", "-c", 'exec "$@" 2>&- >&-', "sh",
                     str(harness.HOPSEALD), "-c", str(daemon.config)],
                    stdin=subprocess.DEVNULL, stdout=ours, stderr=ours,
                    start_new_session=True)
                until(lambda: harness.listens(site.port), "its port")
            else:
                daemon.start_with(ours, site.port)
            for k in range(5):
                rcpt = f"r{k}@two.example"
                send(site.port, [rcpt], message(k, to=rcpt))
            arrived(sink, 5)
            site.wait_empty()
        finally:
            daemon.stop()
            os.close(ours)
            if theirs is not None:
                os.close(theirs)
