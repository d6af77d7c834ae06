"""The process of the queue: it is there where it is needed, one for a spool,
looked after, replaced by a reload, and gone behind the last worker."""

import os
import pwd
import re
import signal
import subprocess

import pytest

import harness
from configs import inbound
from harness import until
from queuekit import ALICE, BOB, Queueing, message, transaction
from smtptools import Client, Sink
from test_keeper import start_short_of_descriptors
from test_process import children, pid_name, reload, wait_ready

QUEUE = "hopseald-queue"


def user():
    """Whom the daemon becomes, as numbers."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    for name in ("hopseal", "nobody"):
        try:
            who = pwd.getpwnam(name)
            return who.pw_uid, who.pw_gid
        except KeyError:
            continue
    raise AssertionError("nobody does not exist")


class Spooled:
    """A site without keys whose STATE has a spool from when there was a
    listener that queues."""

    def __init__(self, folder, **more):
        site = inbound(folder, harness.free_port(), common=[], **more)
        self.port, self.config = site.port, site.config
        self.state = folder / f"state-{site.port}"
        self.spool = self.state / "queue"
        self.spool.mkdir(mode=0o700)
        os.chown(self.spool, *user())


def queues(daemon):
    return {pid for pid in daemon.pids() if pid_name(pid) == QUEUE}


def queue_of(daemon):
    """A child that was just forked still has the name of the process."""
    def only():
        found = queues(daemon)
        return found if len(found) == 1 else None
    (pid,) = until(only, "a queue process")
    return pid


def other_queue(daemon, than):
    return until(lambda: queues(daemon) - {than}, "another queue process")


def test_none_where_nothing_queues(folder, hopseald):
    site = inbound(folder, harness.free_port(), common=[])
    daemon = hopseald(site.config)
    reload(daemon)
    assert not queues(daemon)
    assert not (folder / f"state-{site.port}" / "queue").exists()


def test_the_rest_of_a_spool_has_its_process(folder, hopseald):
    """Also where no listener queues any more; its folders are completed."""
    site = Spooled(folder)
    daemon = hopseald(site.config)
    pid = queue_of(daemon)
    assert (site.spool / "format").read_text() == "hopseal-queue 1\n"
    for name in ("new", "mail", "corrupt", "lock", "format"):
        status = (site.spool / name).stat()
        assert (status.st_uid, status.st_gid) == user(), name
        assert status.st_mode & 0o077 == 0, name
    daemon.stop()
    assert not os.path.exists(f"/proc/{pid}")
    assert "queue" not in re.sub(r"/queue|state", "",
                                 "\n".join(faults(daemon)))


def faults(daemon):
    return [line for line in daemon.log().split("\n") if " error: " in line]


def test_it_gives_up_what_it_can(folder, hopseald):
    if os.geteuid() != 0:
        pytest.skip("only root has something to give up")
    site = Spooled(folder)
    daemon = hopseald(site.config)
    pid = queue_of(daemon)
    until(lambda: f"Uid:\t{user()[0]}\t" in status_of(pid), "another user")
    status = until(lambda: "NoNewPrivs:\t1" in status_of(pid) and
                   status_of(pid), "no new privileges")
    assert f"Gid:\t{user()[1]}\t" in status
    assert "CapEff:\t0000000000000000" in status
    links = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    assert not any(str(site.port) in link for link in sockets(pid)), links
    assert str(site.spool / "lock") in links


def status_of(pid):
    with open(f"/proc/{pid}/status") as file:
        return file.read()


def sockets(pid):
    """Its listening sockets."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    found = []
    with open("/proc/net/tcp") as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                found.append(str(int(fields[1].split(":")[1], 16)))
    return found


def test_one_that_dies_is_followed(folder, hopseald):
    """Again and again; it waits longer each time, but the daemon serves."""
    daemon = hopseald(Spooled(folder, workers=2).config)
    for _ in range(3):
        pid = queue_of(daemon)
        daemon.kill(pid)
        other_queue(daemon, pid)
    assert daemon.log().count("died of signal 9") == 3


def test_a_worker_that_could_not_be_connected_is_in_a_moment(folder, hopseald,
                                                             keys):
    """The master had no descriptor left for a moment: the worker refuses for
    a while what it could not queue, and does not stay so."""
    with Sink() as sink:
        site = Queueing(folder, sink.port, keys)
        daemon = hopseald(site.config)
        pid = queue_of(daemon)
        site.wait_control()
        start_short_of_descriptors(daemon, "cannot connect to the queue")

        def is_taken():
            with Client(site.port) as c:
                return transaction(c, ALICE, [BOB], message())[0] == 250

        until(is_taken, "a worker with a queue")
        assert queues(daemon) == {pid}


def test_a_reload_has_another(folder, hopseald):
    site = Spooled(folder)
    daemon = hopseald(site.config)
    first = queue_of(daemon)
    assert "ready" in reload(daemon)
    # A sanitizer has a process of that name look for leaks at the end.
    until(lambda: first not in queues(daemon), "the first to leave")
    (second,) = other_queue(daemon, first)
    assert not faults(daemon)
    assert "goes on" in reload(daemon, "nonsense")
    assert queues(daemon) == {second}


@pytest.mark.skipif(not os.environ.get("LONG"),
                    reason="it is waited for a minute and a half")
def test_one_that_hangs_does_not_keep_the_next_away(folder, hopseald):
    """Told to leave by a reload, and killed for not doing so."""
    site = Spooled(folder)
    daemon = hopseald(site.config)
    daemon.crashes = True
    first = queue_of(daemon)
    os.kill(first, signal.SIGSTOP)
    assert "ready" in reload(daemon)
    until(lambda: queues(daemon) - {first}, "another queue process",
          90 + harness.WAIT)
    assert f"queue (pid {first}) died of signal 9" in daemon.log()


def test_state_and_user_stay(folder, hopseald):
    """Old workers and new have one queue: another folder needs a restart."""
    site = Spooled(folder)
    daemon = hopseald(site.config)
    pid = queue_of(daemon)
    other = folder / "other"
    other.mkdir()
    other.chmod(0o777)
    config = site.config.replace(site.state.name, "other")
    assert "goes on" in reload(daemon, config)
    assert "can not change while there is a queue" in daemon.log()
    assert queues(daemon) == {pid}
    with Client(site.port):
        pass


def test_Q6_two_daemons(folder, hopseald):
    """The second one says so with 75, and touches nothing."""
    site = Spooled(folder)
    daemon = hopseald(site.config)
    pid = queue_of(daemon)
    second = harness.Hopseald(folder, site.config.replace(
        f"127.0.0.1:{site.port}", f"127.0.0.1:{harness.free_port()}"), "two")
    second.start(ready=False)
    assert second.process.wait(harness.WAIT) == 75
    assert "another daemon uses" in second.log()
    assert queues(daemon) == {pid}
    assert "another daemon" not in daemon.log()


def test_Q6_a_killed_master_takes_its_queue_along(folder, hopseald):
    """And its workers have the lock neither: the next daemon can start."""
    site = Spooled(folder)
    daemon = hopseald(site.config)
    pid = queue_of(daemon)
    daemon.crashes = True
    os.kill(daemon.process.pid, signal.SIGKILL)
    daemon.process.wait(harness.WAIT)
    until(lambda: pid_name(pid) != QUEUE, "the queue to die")
    until(lambda: not daemon.pids(), "the workers to leave")
    daemon.start()
    assert queue_of(daemon) != pid


def test_Q6_a_restart_at_once(folder, hopseald):
    """The next daemon comes while the first one's children still die; its
    sockets are others."""
    site = Spooled(folder)
    daemon = hopseald(site.config)
    queue_of(daemon)
    daemon.crashes = True
    os.kill(daemon.process.pid, signal.SIGKILL)
    second = hopseald(site.config.replace(
        f"127.0.0.1:{site.port}", f"127.0.0.1:{harness.free_port()}"), "two")
    queue_of(second)
    daemon.process.wait(harness.WAIT)


@pytest.mark.parametrize("what", ["newer", "foreign", "link"])
def test_a_spool_that_can_not_be_used(folder, what):
    site = Spooled(folder)
    status = 78
    if what == "newer":
        (site.spool / "format").write_text("hopseal-queue 2\n")
        os.chown(site.spool / "format", *user())
    elif what == "foreign":
        if os.geteuid() != 0:
            pytest.skip("only root can give folders away")
        os.chown(site.spool, 12345, 12345)
    else:
        os.symlink(".", site.spool / "mail")
        os.chown(site.spool / "mail", *user(), follow_symlinks=False)
        status = 71
    daemon = harness.Hopseald(folder, site.config)
    daemon.start(ready=False)
    assert daemon.process.wait(harness.WAIT) == status
    assert not daemon.pids()
    assert "queue" in daemon.log()


def test_Q4_a_check_looks_at_the_file_system(folder):
    """With what this machine can offer: its temporary file systems pass."""
    site = Spooled(folder)
    config = folder / "check.yaml"
    config.write_text(site.config)
    done = subprocess.run([harness.HOPSEALD, "-t", "-c", config],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_its_memory_is_that_of_the_workers(folder, hopseald):
    """Another keeper is given to it, too."""
    site = Spooled(folder)
    daemon = hopseald(site.config)
    queue_of(daemon)
    (keeper,) = until(lambda: children(daemon, "hopseald-keeper"), "a keeper")
    daemon.kill(keeper)
    daemon.wait_log(r"queue: error: the keeper is gone")
    until(lambda: children(daemon, "hopseald-keeper") - {keeper},
          "another keeper")
    wait_ready(daemon, 1)
