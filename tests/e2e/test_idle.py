"""Many clients that only wait: what one of them costs in memory (row P5)."""

import os
import resource
import socket
import ssl
from pathlib import Path

import pytest

import harness
from certs import Authority
from configs import inbound
from smtptools import Stream

NAME = "hop.example.net"
LONG = bool(os.environ.get("LONG"))
MANY = 10000 if LONG else 1500


def resident(pid):
    """Octets of memory that a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def greeted(port, context=None):
    """A socket whose EHLO was answered, under TLS where there is a context."""
    sock = socket.create_connection(("127.0.0.1", port), 60)
    stream = Stream(sock)
    say(sock, stream, None)
    say(sock, stream, b"EHLO client.example\r\n")
    if context:
        say(sock, stream, b"STARTTLS\r\n")
        sock = context.wrap_socket(sock, server_hostname=NAME)
        say(sock, Stream(sock), b"EHLO client.example\r\n")
    return sock


def say(sock, stream, line):
    if line:
        sock.sendall(line)
    while stream.line()[3:4] == b"-":
        pass


@pytest.mark.parametrize("is_tls, n, most", [
    (False, MANY, 8 * 1024), (True, MANY if LONG else MANY // 5, 28 * 1024)])
def test_clients_that_wait(folder, hopseald, is_tls, n, most):
    if os.environ.get("SAN"):
        pytest.skip("NOT RUN: a sanitizer has memory of its own")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if n + 100 > limit[1]:
        pytest.skip(f"NOT RUN: at most {limit[1]} descriptors")
    ca = Authority(folder)
    site = inbound(folder, harness.free_port(),
                   f"tls: {ca.pair('first', NAME)}", "idle-timeout: 60m",
                   "max-connections: 20000", "max-per-network: 20000",
                   common=[])
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    daemon = hopseald(site.config)
    worker = next(p for p in daemon.pids() if
                  "worker" in Path(f"/proc/{p}/comm").read_text())
    context = ssl.create_default_context(cafile=str(ca.cert)) \
        if is_tls else None
    clients = []
    try:
        clients.append(greeted(site.port, context))
        before = resident(worker)
        while len(clients) <= n:
            clients.append(greeted(site.port, context))
        each = (resident(worker) - before) / n
        print(f"{n} clients that wait, "
              f"{'under TLS' if is_tls else 'in plain'}: {each:.0f} octets each")
        assert each < most
        # and who comes now is served as ever
        greeted(site.port, context).close()
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
