"""From a client to the next hop through the queue, with a whole daemon."""

import os
import re
import signal
import socket

import pytest

import configs
import harness
import queuekit
from harness import until
from smtptools import Client, Sink, SILENCE
from test_process import pid_name, reload

QUEUE = "hopseald-queue"
MAIL = (b"From: <alice@one.example>\r\nMessage-ID: <%d@one.example>\r\n"
        b"\r\nhello\r\n")


class Queueing:
    def __init__(self, folder, keys, port, *more):
        keys.add("one.example", rsa2048=None)
        site = configs.egress(folder, port, "delivery: queue", *more)
        self.port = site.port
        self.config = "queue-retry: 1s\nqueue-retry-max: 2s\n" + site.config
        self.spool = folder / f"state-{site.port}" / "queue"
        self.n = 0

    def send(self, to="bob@two.example"):
        """The id that the client is told."""
        self.n += 1
        with Client(self.port) as client:
            code, text = client.mail("alice@one.example", to, MAIL % self.n)
        assert code == 250 and "queued as" in text, text
        return re.search(r"queued as (\w+)", text)[1]

    def waiting(self):
        return sorted(os.listdir(self.spool / "mail"))

    def ask(self, request):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(30)
            s.connect(str(self.spool / "control"))
            s.send(request.encode())
            return s.recv(1000).decode()


def pid_of(daemon):
    return until(lambda: next((p for p in daemon.pids()
                               if pid_name(p) == QUEUE), None), QUEUE)


def test_a_message_goes_through(folder, keys, hopseald):
    sink = Sink()
    site = Queueing(folder, keys, sink.port)
    daemon = hopseald(site.config)
    mid = site.send()
    until(lambda: sink.mails, "the message")
    until(lambda: not site.waiting(), "an empty queue")
    assert b"DKIM2-Signature:" in sink.mails[0].content
    assert not sink.faults
    until(lambda: f"{mid}: removed" in daemon.log(), "a line of the log")
    assert f"{mid}: to=<bob@two.example>" in daemon.log()
    assert "status=sent (250 2.0.0 taken)" in daemon.log()


def test_a_next_hop_that_comes_later(folder, keys, hopseald):
    port = harness.free_port()
    site = Queueing(folder, keys, port)
    daemon = hopseald(site.config)
    ids = {site.send() for _ in range(5)}
    until(lambda: "status=deferred" in daemon.log(), "a deferral")
    reload(daemon)
    daemon.crashes = True
    os.kill(pid_of(daemon), signal.SIGKILL)
    ids.add(site.send())
    assert set(site.waiting()) == ids
    sink = Sink(port)
    until(lambda: len(sink.mails) == 6, "the messages")
    until(lambda: not site.waiting(), "an empty queue")


def test_a_next_hop_that_takes_one_recipient_a_transaction(folder, keys,
                                                          hopseald):
    """RFC 5321 4.5.3.1.10: the others follow at once, without a retry."""
    accepted = []

    def rcpt(path):
        accepted.append(path)
        return ("250 2.1.5 ok" if len(accepted) == 1 else
                "452 4.5.3 one a transaction")

    def dot(mail):
        accepted.clear()
        return "250 2.0.0 taken"

    sink = Sink(rcpt=rcpt, dot=dot)
    site = Queueing(folder, keys, sink.port)
    daemon = hopseald(site.config.replace("retry: 1s", "retry: 1h").replace(
        "retry-max: 2s", "retry-max: 1h"))
    to = [f"r{k}@two.example" for k in range(60)]
    queuekit.send(site.port, to, queuekit.message(to=",\r\n ".join(to)))
    until(lambda: not site.waiting(), "an empty queue")
    assert sorted(r for m in sink.mails for r in m.rcpt_to) == sorted(to)
    assert {len(m.rcpt_to) for m in sink.mails} == {1}
    assert len({m.content for m in sink.mails}) == 1
    assert not sink.refused and not sink.faults
    assert "status=deferred" not in daemon.log()


def test_killed_without_an_answer(folder, keys, hopseald):
    """Attacks.md Q5: the repeat has the same octets, and a refusal of it as
    a duplicate means that it is there."""
    tries = []

    def dot(mail):
        tries.append(mail)
        return SILENCE if len(tries) == 1 else "550 5.7.1 duplicate message"

    sink = Sink(dot=dot)
    site = Queueing(folder, keys, sink.port)
    daemon = hopseald(site.config)
    daemon.crashes = True
    mid = site.send()
    until(lambda: tries, "the first try")
    os.kill(pid_of(daemon), signal.SIGKILL)
    until(lambda: len(tries) == 2, "the second try")
    until(lambda: not site.waiting(), "an empty queue")
    assert tries[0].content == tries[1].content
    assert f"{mid}: ALARM" not in daemon.log()


def test_the_control_socket(folder, keys, hopseald):
    sink = Sink(rcpt="450 4.2.0 busy")
    site = Queueing(folder, keys, sink.port)
    daemon = hopseald(site.config)
    pid_of(daemon)
    mid = site.send()
    until(lambda: "status=deferred" in daemon.log(), "a deferral")
    status = os.stat(site.spool / "control")
    assert status.st_mode & 0o777 == 0o600
    assert site.ask(f"hold {mid}") == "ok"
    sink.answers["rcpt"] = "250 2.1.5 ok"
    assert site.ask(f"retry {mid}") == "error it is held: release it"
    assert site.ask("hold none") == "absent"
    assert site.ask(f"hold {mid}\n") == "error no such request"
    assert site.ask("x" * 600) == "error a request has at most 512 octets"
    assert site.waiting() == [mid]
    assert site.ask(f"release {mid}") == "ok"
    until(lambda: sink.mails, "the message")
    until(lambda: not site.waiting(), "an empty queue")
    daemon.stop()
    assert not (site.spool / "control").exists()


def test_others_are_not_heard(folder, keys, hopseald):
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    sink = Sink()
    site = Queueing(folder, keys, sink.port)
    daemon = hopseald(site.config)
    pid_of(daemon)
    until(lambda: (site.spool / "control").exists(), "the socket")
    # a way to it that its folder would not give
    fd = os.open(site.spool, os.O_PATH)
    os.chmod(site.spool / "control", 0o666)
    pid = os.fork()
    if pid == 0:
        try:
            os.setgid(12345)
            os.setuid(12345)
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
                s.settimeout(30)
                s.connect(f"/proc/self/fd/{fd}/control")
                try:
                    s.send(b"hold none")
                    said = s.recv(100)
                    os._exit(not said.startswith(b"error this is for root"))
                except OSError:
                    os._exit(0)
        finally:
            os._exit(2)
    os.close(fd)
    _, status = os.waitpid(pid, 0)
    # 2: it could not even connect
    assert os.waitstatus_to_exitcode(status) in (0, 2)
    assert site.ask("hold none") == "absent"
