"""The processes of hopseald: they start, are looked after, reload and stop."""

import os
import re
import resource
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

import harness
from configs import Site, egress, inbound
from harness import until
from messages import message
from smtptools import Client, Closed, Sink

KEEPER = "hopseald-keeper"
CONTROL = "hopseald-contro"     # the kernel keeps 15 octets
READY = re.compile(r"hopseald \S+ ready: ")


def reload(daemon, config=None):
    """SIGHUP, with a new configuration, and waits for what comes of it."""
    before = len(daemon.log())
    if config is not None:
        daemon.config.write_text(config)
    daemon.process.send_signal(signal.SIGHUP)
    return until(lambda: re.search(r" ready: |the old configuration goes on",
                                   daemon.log()[before:]), "a reload").group()


def children(daemon, name="hopseald"):
    """Those of its generations; the keeper and the control process, which mail
    can do without, by name."""
    def named():        # what was just forked has its parent's name
        names = {pid: pid_name(pid) for pid in daemon.pids()[1:]}
        return [names] if "hopseald" not in names.values() else None

    (names,) = until(named, "every process to have its name")
    return {pid for pid in names if names[pid].startswith(name)
            and (name == names[pid] or names[pid] not in (KEEPER, CONTROL))}


def pid_name(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def wait_ready(daemon, count):
    until(lambda: len(READY.findall(daemon.log())) >= count,
          f"ready line {count}")


def greets(port):
    with Client(port):
        return True


def is_refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionRefusedError:
        return True
    return False


def site_with_keys(folder, keys, **more):
    keys.add("two.example", rsa2048=None)
    return inbound(folder, harness.free_port(), **more)


def plain_site(folder, *more, onward=None, **kw):
    return inbound(folder, onward or harness.free_port(), *more, common=[],
                   **kw)


def test_one_process_each(folder, keys, hopseald):
    keys.add("two.example", ed25519=None)
    site = site_with_keys(folder, keys, workers=3)
    daemon = hopseald(site.config)
    assert len(children(daemon, "hopseald-worker")) == 3
    assert len(children(daemon, "hopseald-signer")) == 3
    assert len(children(daemon, KEEPER)) == 1
    assert greets(site.port)


def test_few_signers_where_no_key_is_rsa(folder, keys, hopseald):
    daemon = hopseald(site_with_keys(folder, keys, workers=5).config)
    assert len(children(daemon, "hopseald-worker")) == 5
    assert len(children(daemon, "hopseald-signer")) == 2


def test_no_keys_no_signer(folder, hopseald):
    daemon = hopseald(plain_site(folder, workers=2).config)
    assert len(children(daemon, "hopseald-worker")) == 2
    assert len(children(daemon, "hopseald-signer")) == 0


def status_of(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {k: v.split() for k, v in (line.split(":", 1) for line in lines)}


def test_privileges_are_given_up(folder, keys, hopseald):
    """Nothing that parses octets of a stranger, or holds a key, is root."""
    daemon = hopseald(site_with_keys(folder, keys).config)
    assert len(children(daemon)) == 2
    for pid in children(daemon):
        status = status_of(pid)
        assert status["NoNewPrivs"] == ["1"]
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits)
        # not to be looked into by others of its user
        assert os.environ.get("SAN") or \
            os.stat(f"/proc/{pid}/mem").st_uid == 0
        if os.geteuid() == 0:
            assert "0" not in status["Uid"] + status["Gid"]
            assert "0" not in status["Groups"]
            assert status["CapEff"] == ["0" * 16]


def test_only_needed_descriptors(folder, keys, hopseald):
    """No worker holds the master's end of the signer, the signer no socket
    that the world can reach."""
    if os.geteuid() != 0:
        pytest.skip("only root sees the descriptors of others")
    keys.add("two.example", ed25519=None)
    daemon = hopseald(site_with_keys(folder, keys, workers=2).config)
    inodes = {line.split()[9] for line in
              Path("/proc/net/tcp").read_text().splitlines()[1:]}
    signers = children(daemon, "hopseald-signer")
    assert len(signers) == 2
    for pid in signers:
        links = [os.readlink(f"/proc/{pid}/fd/{fd}")
                 for fd in os.listdir(f"/proc/{pid}/fd")]
        held = {re.sub(r"\D", "", link) for link in links
                if link.startswith("socket:")}
        assert not held & inodes
        # its own end of the control pair, and one for each worker
        assert len(held) == 3


def test_reload_moves_the_listener(folder, keys, hopseald):
    site = site_with_keys(folder, keys, workers=2)
    daemon = hopseald(site.config)
    old = children(daemon)
    new_port = harness.free_port()
    config = site.config.replace(str(site.port), str(new_port))
    assert "ready" in reload(daemon, config)
    assert greets(new_port)
    until(lambda: not old & children(daemon), "the old generation to leave")
    assert is_refused(site.port)
    assert len(children(daemon, "hopseald-worker")) == 2
    assert len(children(daemon, "hopseald-signer")) == 1


@pytest.mark.parametrize("when", ["greeted", "within", "between"])
def test_reload_keeps_a_session(folder, hopseald, when):
    """It goes on as if nothing had happened."""
    with Sink() as sink:
        site = plain_site(folder, onward=sink.port)
        daemon = hopseald(site.config)
        old = children(daemon)
        with Client(site.port) as client:
            if when != "greeted":
                client.envelope("a@one.example", "b@two.example")
            if when == "between":
                client.content(b"From: a@one.example\r\n\r\nw\r\n")
            assert "ready" in reload(daemon)
            assert greets(site.port)
            if when != "within":
                client.envelope("a@one.example", "b@two.example")
            reply = client.content(b"From: a@one.example\r\n\r\nx\r\n")
            assert reply[0] == 250, reply
        until(lambda: not old & children(daemon), "the old one to leave")


def test_a_stop_after_a_reload(folder, hopseald):
    """Those whom the reload left alone are told now."""
    site = plain_site(folder)
    daemon = hopseald(site.config)
    with Client(site.port) as client:
        assert "ready" in reload(daemon)
        daemon.stop()
        assert client.reply()[0] == 421


BAD = {
    "syntax": lambda text: "hostname: [\n",
    "directive": lambda text: text + "nonsense: 1\n",
    "two mistakes": lambda text: text + "nonsense: 1\nworkers: many\n",
    "unsafe key": None,
    "no keys-file": lambda text: text.replace("dns.json", "none.json"),
    "address in use": None,
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_reload_changes_nothing(folder, keys, hopseald, fault):
    site = site_with_keys(folder, keys)
    daemon = hopseald(site.config)
    old = children(daemon)
    config = site.config
    with socket.create_server(("127.0.0.1", 0)) as other:
        if fault == "unsafe key":
            keys.pem("two.example", "ed").chmod(0o644)
        elif fault == "address in use":
            port = other.getsockname()[1]
            config = config.replace(f'"127.0.0.1:{site.port}"',
                                    f'"127.0.0.1:{harness.free_port()}", '
                                    f'"127.0.0.1:{port}"')
        else:
            config = BAD[fault](config)
        assert "the old configuration goes on" == reload(daemon, config)
    assert children(daemon) == old
    assert greets(site.port)
    keys.pem("two.example", "ed").chmod(0o600)
    assert "ready" in reload(daemon, site.config)
    assert greets(site.port)


def test_reload_leaks_nothing(folder, keys, hopseald):
    """The ninth reload costs what the first did."""
    daemon = hopseald(site_with_keys(folder, keys).config)
    count = lambda: len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
    control = until(lambda: children(daemon, CONTROL), "the control process")
    reload(daemon)
    until(lambda: len(children(daemon)) == 2, "the old ones to leave")
    # between two of them the master has one descriptor less
    until(lambda: children(daemon, CONTROL).isdisjoint(control) and
          children(daemon, CONTROL), "the next one, and the first to be gone")
    before = count()
    for k in range(8):
        assert "ready" in reload(daemon)
    until(lambda: len(children(daemon)) == 2, "the old ones to leave")
    # the master may have been closing those of the first when they were counted
    until(lambda: count() <= before, lambda: f"{before} descriptors, "
          f"not {count()}")


def test_what_leaves_lets_go(folder, keys, hopseald):
    """Neither the master nor what it forks carries the configurations of all
    that still have a session."""
    if os.environ.get("SAN"):
        pytest.skip("a sanitizer keeps what is freed")
    keys.add("two.example", ed25519=None)
    (folder / "aliases").write_text("".join(
        f"a{k}@two.example b{k}@three.example\n" for k in range(20000)))
    site = Site(folder, "forward", harness.free_port(),
                "domains: [two.example]", "aliases: file:aliases",
                "mail-from: returns@two.example")
    daemon = hopseald(site.config)
    kib = lambda: int(status_of(daemon.process.pid)["RssAnon"][0])
    alone, held = kib(), []
    for k in range(6):
        held.append(Client(site.port))
        reload(daemon)
    assert kib() < 2 * alone
    for c in held:
        c.close()


def test_reloads_in_a_hurry(folder, keys, hopseald):
    """Signals that come while a generation starts are not lost, and none of
    the generations stays."""
    site = site_with_keys(folder, keys, workers=2)
    daemon = hopseald(site.config)
    new_port = harness.free_port()
    for k in range(5):
        daemon.process.send_signal(signal.SIGHUP)
    daemon.config.write_text(
        site.config.replace(str(site.port), str(new_port)))
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: not is_refused(new_port), "the last configuration")
    until(lambda: len(children(daemon)) == 3, "the old ones to leave")
    until(lambda: is_refused(site.port), "the old port to close")
    assert greets(new_port)


def test_worker_comes_back(folder, hopseald):
    site = plain_site(folder, workers=2)
    daemon = hopseald(site.config)
    victim, other = sorted(children(daemon))
    os.kill(victim, signal.SIGKILL)
    daemon.wait_log(r"worker/\d \(pid \d+\) died of signal 9")
    until(lambda: len(children(daemon, "hopseald-worker")) == 2,
          "a new worker")
    assert other in children(daemon)
    assert victim not in children(daemon)
    assert greets(site.port)


def test_signer_comes_back(folder, keys, hopseald):
    """With a new signer come new workers; the old ones finish and leave."""
    site = site_with_keys(folder, keys, workers=2)
    daemon = hopseald(site.config)
    old = children(daemon)
    (signer,) = children(daemon, "hopseald-signer")
    os.kill(signer, signal.SIGKILL)
    wait_ready(daemon, 2)
    until(lambda: not old & children(daemon), "the old generation to leave")
    assert len(children(daemon)) == 3
    assert greets(site.port)


def test_another_signer_where_one_does_not_come(folder, keys, hopseald):
    """The workers that were to have it die before they serve: a next hop that
    does not greet is waited for at the start."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        keys.add("one.example")
        site = egress(folder, silent.getsockname()[1])
        daemon = hopseald(site.config)
        old = children(daemon)
        (signer,) = children(daemon, "hopseald-signer")
        daemon.kill(signer)
        (worker,) = until(
            lambda: children(daemon, "hopseald-worker") - old, "a worker")
        daemon.kill(worker)
        until(lambda: "the old configuration goes on" in daemon.log(),
              "the loss to be seen")
        until(lambda: not old & children(daemon), "another generation")
        assert len(children(daemon, "hopseald-signer")) == 1
        assert greets(site.port)


@pytest.mark.parametrize("when", ["serving", "leaving"])
def test_a_lost_signer_keeps_no_session(folder, keys, hopseald, when):
    """A client that goes on without a pause would hear 451 for ever."""
    site = site_with_keys(folder, keys, workers=1)
    daemon = hopseald(site.config)
    (signer,) = children(daemon, "hopseald-signer")
    with Client(site.port) as client:
        if when == "leaving":
            assert "ready" in reload(daemon)
        os.kill(signer, signal.SIGKILL)
        until(lambda: client.command("NOOP")[0] == 421, "a 421")
    assert greets(site.port)


def test_signer_comes_back_when_it_can(folder, keys, hopseald):
    """Meanwhile mail that needs no signature goes on."""
    site = site_with_keys(folder, keys)
    daemon = hopseald(site.config)
    (signer,) = children(daemon, "hopseald-signer")
    keys.pem("two.example", "ed").chmod(0o644)
    os.kill(signer, signal.SIGKILL)
    daemon.wait_log(r"two\.example/ed\.pem")
    assert greets(site.port)
    keys.pem("two.example", "ed").chmod(0o600)
    wait_ready(daemon, 2)
    assert len(children(daemon, "hopseald-signer")) == 1


def test_nothing_outlives_the_master(folder, keys, hopseald):
    daemon = hopseald(site_with_keys(folder, keys, workers=2).config)
    left = children(daemon) | children(daemon, KEEPER)
    assert len(left) == 4
    daemon.kill(daemon.process.pid)
    daemon.process.wait(harness.WAIT)
    until(lambda: not any(pid_name(p) for p in left), "its children to leave")


def test_term_finishes_sessions(folder, hopseald):
    """What is under way ends well, what is idle hears 421."""
    with Sink() as sink:
        site = plain_site(folder, onward=sink.port)
        daemon = hopseald(site.config)
        with Client(site.port) as idle, Client(site.port) as busy:
            busy.envelope("a@one.example", "b@two.example")
            daemon.process.send_signal(signal.SIGTERM)
            assert idle.reply()[0] == 421
            until(lambda: is_refused(site.port), "the listener to close")
            reply = busy.content(b"From: a@one.example\r\n\r\nx\r\n")
            assert reply[0] == 250, reply
        assert daemon.process.wait(harness.WAIT) == 0


def test_term_under_load(folder, hopseald):
    """Q18: who was told 250 is delivered, who was not hears 4xx or nothing."""
    with Sink() as sink:
        site = plain_site(folder, onward=sink.port, workers=2)
        daemon = hopseald(site.config)
        told, faults = [], []

        def send(sender):
            for k in range(10_000):
                rcpt = f"r{sender}-{k}@two.example"
                try:
                    with Client(site.port) as c:
                        reply = c.mail("a@one.example", rcpt,
                                       message(k, sender, "a@one.example",
                                               rcpt, "plain"))
                except (Closed, OSError):
                    return          # nobody listens any more
                if reply[0] == 250:
                    told.append(rcpt)
                elif reply[0] // 100 != 4:
                    faults.append(reply)

        senders = [threading.Thread(target=send, args=(n,)) for n in range(8)]
        for t in senders:
            t.start()
        harness.until(lambda: len(sink.mails) > 50, "some load")
        daemon.stop()               # SIGTERM; it must leave with 0
        for t in senders:
            t.join(harness.WAIT)
        assert not faults, faults[0]
        arrived = {m.rcpt_to[0] for m in sink.mails}
        assert len(told) > 50 and set(told) <= arrived


def test_second_term_kills(folder, hopseald):
    with Sink() as sink:
        site = plain_site(folder, onward=sink.port)
        daemon = hopseald(site.config)
        with Client(site.port) as client:
            client.envelope("a@one.example", "b@two.example")
            daemon.process.send_signal(signal.SIGTERM)
            daemon.wait_log("stopping")
            daemon.process.send_signal(signal.SIGTERM)
            assert daemon.process.wait(harness.WAIT) == 0
            assert client.is_closed()


def test_address_in_use(folder):
    site = plain_site(folder)
    (folder / "h.yaml").write_text(site.config)
    with socket.create_server(("127.0.0.1", site.port)):
        done = harness.run(harness.HOPSEALD, "-c", folder / "h.yaml", ok=False)
    assert done.returncode == 71
    assert f"cannot listen on 127.0.0.1:{site.port}: ".encode() in done.stderr


def test_every_address_of_both_families(folder, hopseald):
    site = plain_site(folder, listen='["*:{port}"]')
    hopseald(site.config)
    assert greets(site.port)
    if Path("/proc/net/if_inet6").exists() and \
            "lo" in Path("/proc/net/if_inet6").read_text():
        with socket.create_connection(("::1", site.port)) as s:
            assert s.recv(3) == b"220"


def test_bad_configuration(folder):
    """Each mistake has its line, from -t and from the start alike."""
    site = plain_site(folder)
    file = folder / "h.yaml"
    file.write_text(site.config + "nonsense: 1\nworkers: many\n")
    for option in (["-t"], []):
        done = harness.run(harness.HOPSEALD, *option, "-c", file, ok=False)
        assert done.returncode == 78
        assert done.stderr.count(b"h.yaml:") >= 2, done.stderr
        assert b"nonsense" in done.stderr


def test_unknown_user(folder):
    if os.geteuid() != 0:
        pytest.skip("only root becomes another user")
    site = plain_site(folder)
    file = folder / "h.yaml"
    file.write_text(site.config + "user: nobody-here\n")
    for option in (["-t"], []):
        done = harness.run(harness.HOPSEALD, *option, "-c", file, ok=False)
        assert done.returncode == 78
        assert b"nobody-here" in done.stderr


@pytest.mark.parametrize("arguments, status, text", [
    (["--version"], 0, b"hopseald "),
    (["--help"], 0, b"usage:"),
    (["-h"], 0, b"usage:"),
    (["--nonsense"], 64, b"usage:"),
    (["-t", "extra"], 64, b"usage:"),
    (["-c"], 64, b"usage:"),
    (["-t", "-c", "/nonexistent/h.yaml"], 78, b"/nonexistent/h.yaml"),
])
def test_options(arguments, status, text):
    done = harness.run(harness.HOPSEALD, *arguments, ok=False)
    assert done.returncode == status
    assert text in (done.stdout if status == 0 else done.stderr)


def test_check_is_quiet(folder, keys):
    file = folder / "h.yaml"
    file.write_text(site_with_keys(folder, keys).config)
    done = harness.run(harness.HOPSEALD, "-t", "-c", file, ok=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b"configuration is good\n")


def test_notifies_systemd(folder, hopseald):
    path = folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        s.settimeout(harness.WAIT)
        daemon = hopseald(plain_site(folder).config,
                          env={"NOTIFY_SOCKET": str(path)})
        assert s.recv(500).startswith(
            b"READY=1\nSTATUS=Configuration 1 serves with 1 worker, 0 "
            b"sessions open\nMONOTONIC_USEC=")
        reload(daemon)
        assert s.recv(200).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert s.recv(500).startswith(
            b"READY=1\nSTATUS=Configuration 2 serves")
        reload(daemon, "nonsense")
        assert s.recv(500).startswith(b"RELOADING=1\n")
        said = s.recv(500)
        assert said.startswith(b"READY=1\nSTATUS=Configuration 2 serves")
        assert b"; the last reload failed, see the log\n" in said
        daemon.process.send_signal(signal.SIGTERM)
        assert s.recv(500).startswith(b"STOPPING=1\nSTATUS=Stopping, ")


def test_journal_lines(folder, hopseald):
    """Under systemd a line begins with its priority and has no time."""
    log = folder / "hopseald.log"
    log.touch()
    stat = log.stat()
    daemon = hopseald(plain_site(folder).config, env={
        "JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"})
    for line in daemon.log().splitlines():
        assert re.match(r"<[3467]>(master|worker/\d+|signer/\d+|keeper): ", line), line


def test_a_reload_that_fails_half_way_drops_no_session(folder, hopseald):
    """Workers accept as soon as they are there; those of a generation that
    can not be forked as a whole finish what they have begun."""
    with Sink() as sink:
        site = inbound(folder, sink.port, "max-per-network: 1000", common=[],
                       workers=100)
        daemon = hopseald(site.config)
        master = daemon.pids()[0]
        files = resource.prlimit(master, resource.RLIMIT_NOFILE)
        n = max(int(f) for f in os.listdir(f"/proc/{master}/fd"))
        is_over, broken = threading.Event(), []

        def sessions(name):
            k = 0
            while not is_over.is_set():
                k += 1
                try:
                    with Client(site.port) as c:
                        time.sleep(0.05)
                        reply = c.mail("a@one.example", "b@two.example",
                                       b"From: <a@one.example>\r\nMessage-ID: "
                                       b"<%d.%d@x>\r\n\r\nx\r\n" % (name, k))
                        assert reply[0] == 250, reply
                except (AssertionError, OSError, Closed) as fault:
                    broken.append(repr(fault))

        clients = [threading.Thread(target=sessions, args=(k,), daemon=True)
                   for k in range(16)]
        for c in clients:
            c.start()
        for limit in range(n + 60, n + 90, 3):      # a worker takes one of them
            resource.prlimit(master, resource.RLIMIT_NOFILE,
                             (limit, files[1]))
            reload(daemon)
            resource.prlimit(master, resource.RLIMIT_NOFILE, files)
        is_over.set()
        for c in clients:
            c.join()
        assert "cannot fork a worker: Too many open files" in daemon.log()
        assert broken == []
        mids = [m.content.split(b"Message-ID: <")[1] for m in sink.mails]
        assert len(mids) == len(set(mids))
