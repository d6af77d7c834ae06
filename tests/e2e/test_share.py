"""Workers share the sessions that come: evenly, and so that nobody waits."""

import os
import signal
import socket

from configs import inbound
from harness import WAIT, free_port, until
from smtptools import Client
from test_process import children

TAKEN = 40


def held(daemon, port):
    """Connections that each worker has at the port, by pid."""
    wanted = set()
    with open("/proc/net/tcp") as lines:
        for line in list(lines)[1:]:
            field = line.split()
            if field[1].endswith(f":{port:04X}") and field[3] == "01":
                wanted.add(f"socket:[{field[9]}]")
    found = {}
    for pid in children(daemon, "hopseald-worker"):
        links = []
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
            except OSError:
                pass
        found[pid] = len(wanted.intersection(links))
    return found


def site_of(folder, workers, *more):
    return inbound(folder, free_port(), *more, common=[], workers=workers)


def greeted(port, n):
    """That many connections at once; each hears the greeting."""
    all_of_them = [socket.create_connection(("127.0.0.1", port), WAIT)
                   for _ in range(n)]
    for s in all_of_them:
        assert s.recv(3) == b"220"
    return all_of_them


def test_sessions_are_spread(folder, hopseald):
    """Those that come at once, and one by one."""
    site = site_of(folder, 2)
    daemon = hopseald(site.config)
    clients = greeted(site.port, TAKEN // 2)
    clients += [Client(site.port) for _ in range(TAKEN // 2)]
    by = held(daemon, site.port)
    assert sum(by.values()) == TAKEN
    assert min(by.values()) >= TAKEN // 3, by
    for c in clients:
        c.close()


def test_one_that_hangs_is_not_waited_for(folder, hopseald):
    site = site_of(folder, 2)
    daemon = hopseald(site.config)
    os.kill(min(children(daemon, "hopseald-worker")), signal.SIGSTOP)
    clients = greeted(site.port, TAKEN)
    assert sorted(held(daemon, site.port).values()) == [0, TAKEN]
    os.kill(min(children(daemon, "hopseald-worker")), signal.SIGCONT)
    for c in clients:
        c.close()


def test_one_that_died_is_not_waited_for(folder, hopseald):
    """Nor does what it had count for the next of its number."""
    site = site_of(folder, 2)
    daemon = hopseald(site.config)
    clients = greeted(site.port, TAKEN // 2)
    victim = min(children(daemon, "hopseald-worker"))
    daemon.kill(victim)
    until(lambda: len(children(daemon, "hopseald-worker") - {victim}) == 2,
          "another worker")

    def accepts():
        clients.append(Client(site.port))
        by = held(daemon, site.port)
        return len(by) == 2 and min(by.values()) > 0

    until(accepts, "it to accept")
    clients += greeted(site.port, TAKEN)
    by = held(daemon, site.port)
    assert min(by.values()) >= TAKEN // 3, by
    for c in clients:
        c.close()


def test_one_alone_takes_all(folder, hopseald):
    site = site_of(folder, 1)
    daemon = hopseald(site.config)
    clients = greeted(site.port, TAKEN)
    assert list(held(daemon, site.port).values()) == [TAKEN]
    for c in clients:
        c.close()
