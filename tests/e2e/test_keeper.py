"""Delivered memory and its process: what outlives whom (V7, V8), and mail that
goes on without it (V9)."""

import os
import re
import resource
import signal

import pytest

import harness
from certs import Authority
from configs import egress, inbound
from smtptools import SILENCE, Client, Sink, Withhold, split_added
from test_process import KEEPER, children, reload
from test_recipients import (ALICE, BOB, CAROL, DAVE, message, one,  # noqa: F401
                             recipients, send)

OUT = "no delivered memory"


def keeper_of(daemon):
    (pid,) = harness.until(lambda: children(daemon, KEEPER), "a keeper")
    return pid


def store_of(site, folder):
    return folder / f"state-{site.port}" / "store.db"


def deliver(port, n, first=0, rcpts=(BOB,)):
    for k in range(first, first + n):
        code, text = send(port, rcpts, message(mid=str(k)))[1]
        assert code == 250, text


class SilentOnce:
    """A next hop's answers to the dot: none to the first; .first is that
    mail once it is there."""

    def __init__(self):
        self.first = None

    def __call__(self, mail):
        if self.first is not None:
            return "250 ok"
        self.first = mail
        return SILENCE


def dot_sent(port, content, rcpts=(BOB,)):
    """A client that waits for the answer to its dot."""
    client = Client(port)
    assert client.envelope(ALICE, *rcpts)[0] == 250
    assert client.command("DATA")[0] == 354
    client.send(content + b".\r\n")
    return client


# ---- what outlives whom ----------------------------------------------------


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_V8_restarts_in_between(folder, hopseald, one, how):
    """Two workers, several messages, and no daemon between try and retry."""
    with Sink() as sink:
        site = egress(folder, sink.port, workers=2)
        daemon = hopseald(site.config)
        deliver(site.port, 10, rcpts=(BOB, CAROL))
        had = len(sink.mails)
        for _ in range(2):
            if how == "stopped":
                daemon.stop()
                daemon.start()
            else:
                daemon.kill()
                daemon.start()
            deliver(site.port, 10, rcpts=(CAROL, BOB))
        assert len(sink.mails) == had
        deliver(site.port, 1, first=10)
        assert len(sink.mails) == had + 1


def test_V8_killed_behind_the_dot(folder, hopseald, one):
    """What is in doubt is known to the next daemon: the same octets again."""
    dot = SilentOnce()
    with Sink(dot=dot) as sink:
        site = egress(folder, sink.port)
        daemon = hopseald(site.config)
        content = message(to=f"{BOB}, {CAROL}")
        client = dot_sent(site.port, content, (BOB, CAROL))
        harness.until(lambda: dot.first, "the first try")
        daemon.kill()
        client.close()
        daemon.start()
        again = b"Received: from x by y; z\r\n" + content
        assert send(site.port, [BOB, CAROL], again)[1][0] == 250
        first, last = dot.first, sink.mails[0]
        assert split_added(content, first.content) == \
            split_added(again, last.content)


def test_V8_a_worker_dies_behind_the_dot(folder, hopseald, one):
    """Its claims are free at once, in the other worker, too."""
    dot = SilentOnce()
    with Sink(dot=dot) as sink:
        site = egress(folder, sink.port, workers=2)
        daemon = hopseald(site.config)
        client = dot_sent(site.port, message())
        harness.until(lambda: dot.first, "the first try")
        assert send(site.port, [BOB], message())[1][0] == 451
        for worker in children(daemon, "hopseald-worker"):
            daemon.kill(worker)
        wait_for_workers(daemon, 2)
        client.close()
        assert send(site.port, [BOB], message())[1][0] == 250
        assert dot.first.content == sink.mails[0].content


def wait_for_workers(daemon, n):
    harness.until(lambda: len(children(daemon, "hopseald-worker")) == n,
                  "the workers")


def test_V7_one_memory_across_reloads(folder, hopseald, one):
    """The old workers finish with what the new ones ask of."""
    late = Withhold(harness.WAIT, "250 ok")
    with Sink(dot=[late, "250 ok"]) as sink:
        site = egress(folder, sink.port)
        daemon = hopseald(site.config)
        keeper = keeper_of(daemon)
        client = dot_sent(site.port, message())
        harness.until(lambda: b"DATA\r\n" in sink.commands, "the first try")
        assert "ready" in reload(daemon)
        code, text = send(site.port, [BOB], message())[1]
        assert (code, text[:5]) == (451, "4.4.5")
        late.event.set()
        assert client.reply()[0] == 250
        client.close()
        assert send(site.port, [BOB], message())[1][0] == 250
        assert len(sink.mails) == 1
        assert keeper_of(daemon) == keeper


def test_V7_another_memory_by_reload(folder, hopseald, one):
    """Another size is another keeper, which knows what the first one knew."""
    with Sink() as sink:
        site = egress(folder, sink.port)
        daemon = hopseald(site.config)
        keeper = keeper_of(daemon)
        deliver(site.port, 3)
        assert "ready" in reload(daemon,
                                 "memory: {age: 1d, size: 2M}\n" + site.config)
        harness.until(lambda: children(daemon, KEEPER) - {keeper},
                      "another keeper")
        harness.until(lambda: keeper not in children(daemon, KEEPER),
                      "the first one to leave")
        ask_until_known(site.port, daemon)
        had = len(sink.mails)
        deliver(site.port, 3)
        assert len(sink.mails) == had


def test_V7_one_that_hangs_does_not_keep_the_next_away(folder, hopseald, one):
    """Told to leave by a reload, and killed for not doing so; what it knew the
    next one knows."""
    with Sink() as sink:
        site = egress(folder, sink.port)
        daemon = hopseald(site.config)
        daemon.crashes = True
        keeper = keeper_of(daemon)
        ask_until_known(site.port, daemon)
        deliver(site.port, 3)
        had = len(sink.mails)
        deliver(site.port, 3)       # its answer is behind what it was told
        assert len(sink.mails) == had
        os.kill(keeper, signal.SIGSTOP)
        assert "ready" in reload(daemon,
                                 "memory: {age: 1d, size: 2M}\n" + site.config)
        harness.until(lambda: children(daemon, KEEPER) - {keeper},
                      "another keeper", 2 * harness.WAIT)
        assert f"keeper (pid {keeper}) died of signal 9" in daemon.log()
        until_known(site.port, daemon)
        had = len(sink.mails)
        deliver(site.port, 3)
        assert len(sink.mails) == had


def ask_until_known(port, daemon):
    """Until a message is delivered once of two times: the keeper is there."""
    for n in range(1000, 1200):
        before = daemon.log().count("delivered before")
        deliver(port, 1, first=n)
        deliver(port, 1, first=n)
        if daemon.log().count("delivered before") > before:
            return
    raise AssertionError(f"no memory:\n{daemon.log()}")


# ---- what it has not ---------------------------------------------------------


def scalar(key):
    """The private number of an elliptic curve's key, most octet first."""
    text = harness.run("openssl", "pkey", "-in", key, "-noout",
                       "-text").decode()
    digits = re.search(r"priv:\n([0-9a-f:\s]+)pub:", text).group(1)
    return bytes.fromhex(re.sub(r"[:\s]", "", digits))[-32:]


def needs_memory():
    """Skips a test where holds() can not be asked."""
    if os.geteuid() != 0:
        pytest.skip("only root sees the memory of others")
    if os.environ.get("SAN"):
        pytest.skip("a sanitizer's memory is too large to look through")


def holds(pid, number):
    """Whether a process has a number in its memory, in either order."""
    with open(f"/proc/{pid}/maps") as maps, \
            open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if not rights.startswith("rw") or "[v" in line:
                continue
            start, end = (int(x, 16) for x in span.split("-"))
            memory.seek(start)
            octets = memory.read(end - start)
            if number in octets or number[::-1] in octets:
                return True
    return False


def test_V23_no_keys_of_certificates(folder, hopseald):
    """Neither the first keeper nor one that the master forks later."""
    needs_memory()
    with Sink() as sink:
        pair = Authority(folder).pair("first", "hop.example.net")
        site = inbound(folder, sink.port, f"tls: {pair}", common=[])
        daemon = hopseald(site.config)
        number = scalar(pair.key)
        (worker,) = children(daemon, "hopseald-worker")
        assert holds(worker, number)
        first = keeper_of(daemon)
        assert not holds(first, number)
        daemon.kill(first)
        harness.until(lambda: children(daemon, KEEPER) - {first}, "another")
        ask_until_known(site.port, daemon)
        assert not holds(keeper_of(daemon), number)


# ---- V9: mail goes on --------------------------------------------------------


def test_V9_the_keeper_is_killed(folder, hopseald, one):
    """It comes back with what it knew; meanwhile mail goes on."""
    with Sink() as sink:
        site = egress(folder, sink.port, workers=2)
        daemon = hopseald(site.config)
        deliver(site.port, 5)
        for k in range(3):
            daemon.kill(keeper_of(daemon))
            deliver(site.port, 5, first=100 * (k + 1))
            ask_until_known(site.port, daemon)
        daemon.wait_log("keeper \\(pid .* died of signal 9")
        had = len(sink.mails)
        deliver(site.port, 5)
        assert len(sink.mails) == had
        daemon.crashes = False      # nothing else did
        wait_for_workers(daemon, 2)


def test_V9_the_keeper_says_nothing(folder, hopseald, one):
    with Sink() as sink:
        site = egress(folder, sink.port)
        daemon = hopseald(site.config)
        deliver(site.port, 1)
        keeper = keeper_of(daemon)
        os.kill(keeper, signal.SIGSTOP)
        try:
            for k in range(2):      # delivered twice, if it must be
                assert send(site.port, [DAVE], message(mid="9"))[1][0] == 250
            daemon.wait_log(OUT + " \\(no answer in time\\)")
        finally:
            os.kill(keeper, signal.SIGCONT)
        assert recipients(sink).count([DAVE]) == 2
        ask_until_known(site.port, daemon)
        assert send(site.port, [DAVE], message(mid="9"))[1][0] == 250
        assert recipients(sink).count([DAVE]) == 2


def test_V9_a_worker_that_could_not_be_connected_is_in_a_moment(
        folder, hopseald, one):
    """The master had no descriptor left for a moment: the worker is ready
    without a keeper, and does not stay so."""
    with Sink() as sink:
        site = inbound(folder, sink.port, common=[])
        daemon = hopseald(site.config)
        keeper = keeper_of(daemon)
        ask_until_known(site.port, daemon)
        start_short_of_descriptors(daemon, "cannot connect to the keeper")
        until_known(site.port, daemon)
        assert keeper_of(daemon) == keeper
        assert daemon.log().count("cannot connect to the keeper") == 1


def start_short_of_descriptors(daemon, said):
    """Has a worker begin where its master has too few descriptors to connect
    it, but enough to start it; said is in the log then."""
    daemon.crashes = True
    master = daemon.pids()[0]
    hard = resource.prlimit(master, resource.RLIMIT_NOFILE)[1]
    used = [int(fd) for fd in os.listdir(f"/proc/{master}/fd")]
    for limit in range(len(used), max(used) + 40):
        before = len(daemon.log())
        (worker,) = children(daemon, "hopseald-worker")
        resource.prlimit(master, resource.RLIMIT_NOFILE, (limit, hard))
        daemon.kill(worker)

        def came():
            return "cannot start a worker" in daemon.log()[before:] or \
                ready_worker(daemon, worker)

        harness.until(came, "another worker")
        resource.prlimit(master, resource.RLIMIT_NOFILE, (hard, hard))
        harness.until(lambda: ready_worker(daemon, worker), "a worker")
        if said in daemon.log()[before:]:
            return
    raise AssertionError(f"never {said!r}:\n{daemon.log()}")


def ready_worker(daemon, than):
    return children(daemon, "hopseald-worker") - {than}


def until_known(port, daemon):
    """ask_until_known(), for as long as it takes."""
    numbers = iter(range(2000, 10 ** 6))

    def is_known():
        before = daemon.log().count("delivered before")
        n = next(numbers)
        deliver(port, 1, first=n)
        deliver(port, 1, first=n)
        return daemon.log().count("delivered before") > before

    harness.until(is_known, "a memory")


@pytest.mark.parametrize("what", ["text", "cut", "flipped"])
def test_V9_a_damaged_store(folder, hopseald, one, what):
    with Sink() as sink:
        site = egress(folder, sink.port)
        daemon = hopseald(site.config)
        deliver(site.port, 20)
        daemon.stop()
        path = store_of(site, folder)
        octets = bytearray(path.read_bytes())
        if what == "text":
            octets = b"This is no store at all.\n" * 1000
        elif what == "cut":
            octets = octets[:len(octets) // 2 + 7]
        else:
            octets[4096 - 50:] = bytes(b ^ 0x55 for b in octets[4096 - 50:])
        path.write_bytes(octets)
        daemon.start()
        had = len(sink.mails)
        deliver(site.port, 20)
        daemon.wait_log("is damaged or none of ours")
        assert path.with_name("store.db.damaged").exists()
        ask_until_known(site.port, daemon)
        assert len(sink.mails) >= had
        had = len(sink.mails)
        deliver(site.port, 19, first=1)
        assert len(sink.mails) == had


def test_V9_a_folder_that_can_not_be_used(folder, hopseald, one):
    """The verdict is what it was, and never a failed signature."""
    with Sink() as sink:
        site = inbound(folder, sink.port, "verify: enforce")
        state = folder / f"state-{site.port}"
        state.rmdir()
        daemon = hopseald(site.config)
        good = signed(one)
        for _ in range(2):
            assert send(site.port, [BOB], good)[1][0] == 250
            code, text = send(site.port, [BOB],
                              good.replace(b"Text", b"Test"))[1]
            assert code == 550 and "hash" in text, text
        daemon.wait_log(OUT)
        daemon.wait_log("can not be kept in .*No such file")
        assert len(sink.mails) == 2
        # One line a minute, not one for each message.
        assert daemon.log().count(OUT) == 1
        state.mkdir()
        state.chmod(0o777)
        daemon.wait_log("can be used now")
        ask_until_known(site.port, daemon)
        had = len(sink.mails)
        assert send(site.port, [BOB], good)[1][0] == 250
        assert send(site.port, [BOB], good)[1][0] == 250
        assert len(sink.mails) == had + 1


def signed(keys):
    return harness.run(
        harness.HOPSEAL, "sign", "--domain", "one.example", "--selector", "ed",
        "--key", keys.pem("one.example", "ed"), "--mail-from", ALICE,
        "--rcpt-to", BOB, stdin=message())


@pytest.fixture
def small(folder):
    """small(state): puts a file system of 512 KiB in a folder's place."""
    mounted = []

    def mount(state):
        done = harness.run("mount", "-t", "tmpfs", "-o", "size=512k,mode=777",
                           "tmpfs", state, ok=False)
        if done.returncode != 0:
            pytest.skip(f"no tmpfs can be mounted: {done.stderr.decode()}")
        mounted.append(state)

    yield mount
    for state in mounted:
        # Lazily: the daemon is stopped by a fixture of its own.
        harness.run("umount", "-l", state)


def test_V9_a_full_disk(folder, small, hopseald, one):
    """Mail goes on without, and with it when there is room again."""
    with Sink() as sink:
        site = egress(folder, sink.port, workers=2)
        state = folder / f"state-{site.port}"
        small(state)
        daemon = hopseald(site.config)
        deliver(site.port, 1)
        # The keeper hears of a delivery behind our 250; what it answers to
        # the second claim shows that it has written the first one's end.
        deliver(site.port, 1)
        assert len(sink.mails) == 1
        filler = state / "filler"
        with open(filler, "wb", 0) as f:
            try:
                while f.write(bytes(4096)) == 4096:
                    pass
            except OSError:
                pass

        def is_full():
            deliver(site.port, 10, first=len(sink.mails))
            return OUT + " (its store fails)" in daemon.log()

        harness.until(is_full, "a store that fails")
        daemon.wait_log("keeper: error: .*store.db: ")
        filler.unlink()
        ask_until_known(site.port, daemon)
        had = len(sink.mails)
        deliver(site.port, 1)       # from before
        assert len(sink.mails) == had
