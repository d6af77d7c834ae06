"""Sockets that systemd has bound (LISTEN_FDS) are used by their address."""

import signal
import sys

import configs
import harness
from harness import until
from smtptools import Client
from test_process import is_refused

# As systemd: binds the ports it is told, and becomes the daemon.
GIVE = """
import os, socket, sys
kept = [socket.create_server(("127.0.0.1", int(port)))
        for port in sys.argv[2].split(",")]
for k, s in enumerate(kept):
    os.dup2(os.dup(s.fileno()), 100 + k)
for k in range(len(kept)):
    os.dup2(100 + k, 3 + k)
os.closerange(3 + len(kept), 200)
os.environ.update(LISTEN_PID=str(os.getpid() + int(sys.argv[1])),
                  LISTEN_FDS=str(len(kept)), LISTEN_FDNAMES="a:b")
os.execv(sys.argv[3], sys.argv[3:])
"""


def given(*ports, off=0):
    return [sys.executable, "-c", GIVE, str(off), ",".join(map(str, ports))]


def test_given_sockets_are_used(folder, hopseald):
    """Bound a second time they would be in use; a reload keeps them."""
    site = configs.inbound(folder, harness.free_port(), common=[])
    other, own = harness.free_port(), harness.free_port()
    config = site.config.replace(f'"127.0.0.1:{site.port}"',
                                 f'"127.0.0.1:{site.port}", "127.0.0.1:{own}"')
    daemon = hopseald(config, wrapper=given(other, site.port))
    daemon.wait_log(f"systemd listens on 127.0.0.1:{other}, and no listener")
    assert is_refused(other)
    for count in (2, 3):
        for port in (site.port, own):
            with Client(port) as client:
                assert client.command("NOOP")[0] == 250
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: daemon.log().count(" ready: ") == count, "the reload")
    assert daemon.log().count("systemd") == 1


def test_those_of_others_are_not(folder):
    site = configs.inbound(folder, harness.free_port(), common=[])
    daemon = harness.Hopseald(folder, site.config,
                              wrapper=given(site.port, off=1))
    daemon.start(ready=False)
    assert daemon.process.wait(harness.WAIT) == 71
    assert "cannot listen on" in daemon.log()
