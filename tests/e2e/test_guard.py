"""P1, P2, V23: what the processes of a running daemon still may, and what is
said when one of them crashes or hangs."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

import configs
import harness
from harness import until
from smtptools import Client, Sink

LETTER = (b"From: a@one.example\r\nTo: b@two.example\r\nSubject: x\r\n"
          b"Date: Thu, 26 Nov 2026 12:00:00 +0000\r\n"
          b"Message-ID: <1@one.example>\r\n\r\nHello.\r\n")
SAN = bool(os.environ.get("SAN"))
no_sanitizer = pytest.mark.skipif(
    SAN, reason="a sanitizer has calls and a handler of its own")


def named(daemon):
    """The daemon's processes: {pid: its name without `hopseald-`, of which the
    kernel keeps 15 octets}."""
    names = {}
    for pid in daemon.pids():
        try:
            names[pid] = Path(f"/proc/{pid}/comm").read_text().strip() \
                .removeprefix("hopseald-")
        except OSError:
            pass
    return names


def of(daemon, name):
    return [pid for pid, is_name in named(daemon).items() if is_name == name]


def status_of(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {k: v.split() for k, v in (line.split(":", 1) for line in lines)}


def mail(site, text=b"Hello."):
    with Client(site.port) as client:
        return client.mail("a@one.example", "b@two.example",
                           LETTER.replace(b"Hello.", text))


def queueing(folder, keys, hopseald, sink, *more, **kw):
    """A daemon that has every kind of process, and has delivered."""
    keys.add("one.example")
    site = configs.egress(folder, sink.port, "delivery: queue")
    config = "\n".join([*more, site.config]) if more else site.config
    daemon = hopseald(config, **kw)
    assert mail(site)[0] == 250
    until(lambda: sink.mails, "the message")
    return site, daemon


@no_sanitizer
def test_P2_every_process_is_shut_in(folder, keys, hopseald):
    with Sink() as sink:
        _, daemon = queueing(folder, keys, hopseald, sink)
        until(lambda: {"commit", "remove"} <= set(named(daemon).values()),
              "the queue's children")
        names = named(daemon)
        assert {"hopseald", "worker", "signer", "keeper", "queue",
                "contro"} <= set(names.values())
        for pid, name in names.items():
            status = status_of(pid)
            assert status["Seccomp"] == ["2"], name
            assert status["NoNewPrivs"] == ["1"], name
            # Its own beside the master's, which it began with.
            filters = int(status.get("Seccomp_filters", ["2"])[0])
            assert filters == 1 if name == "hopseald" else filters >= 2
            if name != "hopseald" and os.geteuid() == 0:
                assert status["CapEff"] == ["0" * 16], name
                assert status["CapBnd"] and "0" not in status["Uid"]


# What a process holds beside sockets and what its loop is made of.
HELD = {
    "worker": {"state", "state/tmp", "state/copies", "/dev/null"},
    "signer": set(),
    "keeper": {"state", "state/copies", "state/store.db",
               "state/store.db-wal", "state/store.db-shm"},
    "contro": {"state", "/memfd:hopseal-orders (deleted)"},
    "queue": {"state", "state/queue", "state/queue/new", "state/queue/mail",
              "state/queue/corrupt", "state/queue/lock"},
    "commit": {"state/queue", "state/queue/new", "state/queue/mail",
               "state/queue/corrupt"},
    "sync": set(),
    "remove": {"state/queue/mail"},
}


def test_P1_what_each_process_holds(folder, keys, hopseald):
    """No key, no log but stderr, no file of another: V23 too."""
    if os.geteuid() != 0:
        pytest.skip("only root sees the descriptors of others")
    with Sink() as sink:
        site, daemon = queueing(folder, keys, hopseald, sink)
        state = re.search(r"^state: (.*)$", site.config, re.M)[1].strip('"')
        state = str(folder / state)
        for pid, name in named(daemon).items():
            if name not in HELD:
                continue
            held = set()
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if int(fd) > 2:
                    held.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
            held = {re.sub(r":?\[.*", "", h) for h in held}
            held = {h.replace(state, "state") for h in held}
            held -= {"socket", "anon_inode", "pipe"}
            assert held <= HELD[name], name


def test_V23_no_process_leaves_a_core(folder, keys, hopseald):
    with Sink() as sink:
        _, daemon = queueing(folder, keys, hopseald, sink)
        for pid, name in named(daemon).items():
            limits = Path(f"/proc/{pid}/limits").read_text()
            assert re.search(r"Max core file size +0 +0 ", limits), name
        signer, = of(daemon, "signer")
        # The octets of keys do not reach the swap.
        assert int(status_of(signer)["VmLck"][0]) > 0
        assert SAN or os.stat(f"/proc/{signer}/mem").st_uid == 0


@no_sanitizer
@pytest.mark.parametrize("delivery", ["through", "queue"])
def test_P2_an_older_kernel(folder, keys, hopseald, delivery):
    """One line says what is missing, and mail flows."""
    keys.add("one.example")
    with Sink() as sink:
        site = configs.egress(folder, sink.port, f"delivery: {delivery}")
        daemon = hopseald(site.config, wrapper=[
            harness.BUILD / "tests/tools/old_kernel"])
        assert mail(site)[0] == 250
        until(lambda: sink.mails, "the message")
        assert b"DKIM2-Signature:" in sink.mails[0].content
        lines = [line for line in daemon.log().splitlines()
                 if "seccomp" in line or "landlock" in line]
        assert len(lines) == 1, lines
        assert "this kernel has no seccomp filters and no landlock" in lines[0]


def test_sandbox_off(folder, keys, hopseald):
    with Sink() as sink:
        _, daemon = queueing(folder, keys, hopseald, sink, "sandbox: off")
        for pid in named(daemon):
            assert status_of(pid)["Seccomp"] == ["0"]


@no_sanitizer
@pytest.mark.parametrize("name", ["worker", "signer", "keeper", "queue"])
def test_a_crash_leaves_a_line(folder, keys, hopseald, name):
    """Where it was, as addr2line reads it; and another one goes on."""
    with Sink() as sink:
        site, daemon = queueing(folder, keys, hopseald, sink)
        daemon.crashes = True
        pid, = of(daemon, name)
        os.kill(pid, signal.SIGSEGV)
        line = until(lambda: re.search(
            rf"hopseald\[{pid}\] {name}.*: error: crash: signal 11 "
            r"\(Segmentation fault\) sent by \d+: (.*)", daemon.log()),
            "the line")
        daemon.wait_log(rf"{name}\S* \(pid {pid}\) died of signal 11")
        places = re.findall(r"hopseald\+(0x[0-9a-f]+)", line[1])
        names = harness.run("addr2line", "-fi", "-e", harness.HOPSEALD,
                            *places).decode().splitlines()[::2]
        assert f"{name}_main" in names, names
        until(lambda: of(daemon, name) not in ([], [pid]), "another one")
        until(lambda: mail(site, b"Another.")[0] == 250, "a session")
        until(lambda: len(sink.mails) == 2, "the next message")


@no_sanitizer
@pytest.mark.parametrize("name", ["worker", "signer"])
def test_what_hangs_is_replaced(folder, keys, hopseald, name):
    keys.add("one.example")
    with Sink() as sink:
        site = configs.egress(folder, sink.port)
        daemon = hopseald("worker-watchdog: 5s\n" + site.config)
        daemon.crashes = True
        pid, = of(daemon, name)
        os.kill(pid, signal.SIGSTOP)
        daemon.wait_log(rf"ALARM: {name}/1 \(pid {pid}\) hangs")
        until(lambda: of(daemon, name) not in ([], [pid]), "another one")
        until(lambda: mail(site)[0] == 250, "mail to be taken")
        assert daemon.log().count("ALARM") == 1
