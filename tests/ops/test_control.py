"""The control process: `hopseal reload` and `hopseal status`, and what becomes
of a socket that anybody could talk to (row P4)."""

import json
import os
import random
import re
import signal
import socket
import subprocess

import pytest

import certs
import harness
from conftest import missing
from harness import until
from smtptools import Client, Sink

NOBODY = 65534
LETTER = (b"From: a@one.example\r\nTo: b@two.example\r\nSubject: x\r\n"
          b"Date: Thu, 26 Nov 2026 12:00:00 +0000\r\n"
          b"Message-ID: <1@one.example>\r\n\r\nHello.\r\n")
CONTROL = "hopseald-contro"     # the kernel keeps 15 octets of a name

TEXT = """
hostname: hop.example.net
state: state
workers: 1
user: nobody
keys: keys
keys-file: dns.json
listeners:
  out:
    role: egress
    listen: {listen}
    clients: [127.0.0.1]
    senders: [one.example]
    next-hop: "smtp://127.0.0.1:{onward}"
{more}"""


class Site:
    """An egress listener, and its daemon."""

    def __init__(self, folder, keys, hopseald, onward=None, more="",
                 **settings):
        self.folder, self.keys = folder, keys
        self.state = folder / "state"
        self.state.mkdir()
        self.state.chmod(0o777)
        self.port = harness.free_port()
        self.onward = onward or harness.free_port()
        keys.add("one.example", rsa2048=None)
        self.daemon = hopseald(self.text(more), **settings)
        self.config = self.daemon.config
        until(lambda: (self.state / "control").exists(), "the socket")

    def text(self, more="", ports=()):
        listen = [f"127.0.0.1:{p}" for p in (self.port, *ports)]
        return TEXT.format(listen=json.dumps(listen), onward=self.onward,
                           more=more)

    def hopseal(self, *words):
        return subprocess.run(
            [harness.HOPSEAL, *words, "--state", self.state],
            capture_output=True, text=True, timeout=harness.WAIT * 4)

    def reload(self):
        return self.hopseal("reload")

    def status(self):
        done = self.hopseal("status", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def pid(self, name=CONTROL):
        def find():
            for pid in self.daemon.pids():
                try:
                    with open(f"/proc/{pid}/comm") as f:
                        if f.read().strip() == name:
                            return pid
                except OSError:
                    pass
            return None
        return until(find, name)

    def is_alive(self):
        """It takes sessions, and answers us."""
        with Client(self.port):
            pass
        return self.status()["hopseald"]["state"] == "running"


@pytest.fixture
def site(folder, keys, hopseald):
    return Site(folder, keys, hopseald)


def ask(state, request, seconds=harness.WAIT):
    """The packets of an answer; b"" where the connection ends."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(seconds)
        fd = os.open(state, os.O_PATH)
        try:
            s.connect(f"/proc/self/fd/{fd}/control")
        finally:
            os.close(fd)
        said = []
        try:
            s.send(request)
        except BrokenPipeError:
            pass            # who is turned away hears why
        while not said or said[-1][:1] == b"=":
            try:
                said.append(s.recv(8192))
            except ConnectionResetError:
                pass        # what was said before comes behind it
        return said


# ---- reload ----------------------------------------------------------------


def test_reload_is_over_when_it_says_so(site):
    """Many in a row: each time the new listener is there, and the process that
    answers is the next one."""
    for k in range(5):
        port = harness.free_port()
        site.config.write_text(site.text(ports=[port]))
        done = site.reload()
        assert (done.returncode, done.stderr) == (0, "")
        assert harness.listens(port)
        status = site.status()
        assert status["listener"][0]["listen"].endswith(f":{port}")
        assert status["hopseald"]["generation"] == k + 2
    assert status["reload"]["good"] == 5 and status["reload"]["failed"] == 0
    assert all(p["restarts"] == 0 for p in status["process"])


def test_many_reloads_at_a_time(site):
    """Each is answered behind a reload that began after it was asked for."""
    asked = [subprocess.Popen([harness.HOPSEAL, "reload", "--state",
                               site.state], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) for _ in range(8)]
    for process in asked:
        out, _ = process.communicate(timeout=harness.WAIT * 4)
        assert process.returncode == 0, out
    assert site.is_alive()


def break_yaml(site):
    site.config.write_text(site.text().replace("role: egress", "role: egres"))
    return r"hopseald.yaml:10:11: role: `egres` is none of"


def break_key(site):
    site.keys.pem("one.example", "ed").chmod(0o644)
    return r"one.example/ed.pem: mode 0644 lets others at the key"


def lose_key(site):
    """A domain that was signed for is not to leave unsigned."""
    site.keys.pem("one.example", "ed").unlink()
    return (r"keys: the key ed of one.example is gone, and mail of that domain "
            r"would leave unsigned; put one.example/ed.pem back, or say that it "
            r"is meant: hopseal key retire --last one.example ed;")


def lose_keys(site):
    """The folder stays, and all of a domain in it is gone."""
    site.keys.pem("one.example", "ed").parent.rename(site.folder / "away")
    return r"keys: the key ed of one.example is gone"


def break_certificate(site):
    site.config.write_text(site.text(
        more="    tls: {cert: none.pem, key: none.pem}\n"))
    return r"none.pem: .*No such file"


def break_socket(site):
    taken = socket.create_server(("127.0.0.1", 0))
    site.taken = taken      # as long as the test
    site.config.write_text(site.text(ports=[taken.getsockname()[1]]))
    return "Address already in use"


@pytest.mark.parametrize("spoil,way", [
    (break_yaml, "reload"), (break_key, "reload"), (break_key, "SIGHUP"),
    (lose_key, "reload"), (lose_key, "SIGHUP"), (lose_keys, "reload"),
    (break_certificate, "reload"), (break_socket, "reload")])
def test_all_or_nothing(site, spoil, way):
    """The very errors, wherever they were found; the old one goes on."""
    if spoil is break_key and os.geteuid() != 0:
        missing("needs root")
    before = site.status()["listener"]
    error = spoil(site)
    if way == "reload":
        done = site.reload()
        assert done.returncode == 78
        assert re.search(error, done.stderr), done.stderr
        assert done.stderr.endswith("reload: the old configuration goes on\n")
    else:
        site.daemon.process.send_signal(signal.SIGHUP)
    site.daemon.wait_log("the old configuration goes on")
    status = site.status()
    assert status["reload"]["outcome"] == "failed"
    assert status["reload"]["failed"] == 1
    assert any(re.search(error, e["text"]) for e in status["reload-error"])
    assert status["listener"] == before
    assert status["hopseald"]["generation"] == 1
    shown = site.hopseal("status").stdout
    assert "the last reload failed" in shown and re.search(error, shown)
    assert site.is_alive()


def signatures(site, sink, number):
    """Of one more message that goes through."""
    with Client(site.port) as c:
        reply = c.mail("a@one.example", "b@two.example", LETTER.replace(
            b"<1@", b"<%d@" % number))
    assert reply[0] == 250, reply
    return sink.mails[-1].content.count(b"DKIM2-Signature:")


def test_a_key_goes_where_it_is_said(folder, keys, hopseald):
    """Gone, it is missed; retired, it was meant, and what -t warns of comes
    with the answer, and into the log."""
    with Sink() as sink:
        site = Site(folder, keys, hopseald, onward=sink.port)
        lost = keys.pem("one.example", "ed")
        octets = lost.read_bytes()
        lost.unlink()
        assert site.reload().returncode == 78
        assert signatures(site, sink, 1) == 1       # the old one goes on
        lost.write_bytes(octets)
        lost.chmod(0o600)
        done = site.reload()
        assert (done.returncode, done.stderr) == (0, "")
        done = subprocess.run(
            [harness.HOPSEAL, "key", "retire", "--last", "--keys", keys.folder,
             "one.example", "ed"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        done = site.reload()
        warning = ("hopseald.yaml:9:3: out: mail of one.example, one of its "
                   "`senders`, is not signed: no active key of the domain is "
                   "under `keys`; make one with hopseal key new")
        assert done.returncode == 0
        assert done.stderr.startswith("hopseal: warning: ")
        assert done.stderr.endswith(f"{warning}\n")
        site.daemon.wait_log(r"warning: \S*" + re.escape(warning))
        assert signatures(site, sink, 2) == 0


def test_the_last_minute_outlives_a_reload(folder, keys, hopseald):
    """What came before is told by the process that comes next."""
    with Sink() as sink:
        site = Site(folder, keys, hopseald, onward=sink.port)
        first = site.pid()
        assert site.status()["mail"][0]["accepted"] == 0
        assert signatures(site, sink, 1) == 1
        assert site.status()["mail"][0]["lately-accepted"] == 1
        assert site.reload().returncode == 0
        assert site.status()["mail"][0]["lately-accepted"] == 1
        assert site.pid() != first


def test_a_start_warns(folder, keys, hopseald):
    """As -t does: what is not meant, perhaps, is in the log."""
    site = Site(folder, keys, hopseald)
    assert "warning: " not in site.daemon.log()
    site.daemon.stop()
    keys.pem("one.example", "ed").unlink()
    hopseald(site.text(), name="again").wait_log(
        r"warning: \S*: out: mail of one\.example, one of its")


def test_another_signer_comes_without_a_key_that_is_gone(folder, keys,
                                                         hopseald):
    """Nothing is left that signs: what there is goes on, and says so."""
    with Sink() as sink:
        site = Site(folder, keys, hopseald, onward=sink.port)
        keys.pem("one.example", "ed").unlink()
        site.daemon.crashes = True
        site.daemon.kill(site.pid("hopseald-signer"))
        site.daemon.wait_log("the key ed of one.example is gone")
        until(lambda: site.status()["hopseald"]["generation"] == 2, "another")
        assert signatures(site, sink, 1) == 0



def test_a_good_reload_forgets_the_errors(site):
    break_yaml(site)
    assert site.reload().returncode == 78
    site.config.write_text(site.text())
    assert site.reload().returncode == 0
    status = site.status()
    assert status["reload"]["outcome"] == "good"
    assert "reload-error" not in status


def test_a_worker_that_does_not_start(folder, keys, hopseald):
    """Behind the fork, too: it was given up, and that is said."""
    site = Site(folder, keys, hopseald)
    site.daemon.crashes = True
    old = site.pid("hopseald-worker")
    asked = subprocess.Popen([harness.HOPSEAL, "reload", "--state",
                              site.state], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)

    def kill_new():
        for pid in site.daemon.pids()[1:]:
            try:
                with open(f"/proc/{pid}/comm") as f:
                    is_worker = f.read().strip() == "hopseald-worker"
                if is_worker and pid != old:
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        return asked.poll() is not None

    until(kill_new, "an outcome")
    _, err = asked.communicate()
    # it was ready before it was killed, or it was not
    if asked.returncode != 0:
        assert asked.returncode == 78 and "died of signal 9" in err
    until(site.is_alive, "it to go on")


# ---- status ----------------------------------------------------------------


def test_status(folder, keys, hopseald):
    pair = certs.Authority(folder).pair("hop", "hop.example.net")
    for k in range(13):
        keys.add(f"x{k:02}.example", rsa2048=None)
    with Sink() as sink:
        site = Site(folder, keys, hopseald, sink.port,
                    f"    tls: {pair}\n")
        with Client(site.port) as client:
            client.mail("a@one.example", "b@two.example", LETTER)
            until(lambda: site.status()["mail"][0]["open"] == 1, "a session")
        status = until(lambda: (s := site.status())["mail"][0]["open"] == 0
                       and s, "its end")
    (mail,) = status["mail"]
    assert mail["role"] == "egress" and mail["sessions"] >= 1
    assert (mail["accepted"], mail["delivered"]) == (1, 1)
    assert (mail["refused"], mail["deferred"]) == (0, 0)
    (listener,) = status["listener"]
    assert listener["name"] == "out" and listener["delivery"] == "through"
    assert listener["verify"] == "observe"
    assert listener["listen"] == f"127.0.0.1:{site.port}"
    assert status["keys"] == {"active": 14, "retired": 0}
    assert len(status["key"]) == 14
    key = status["key"][0]
    assert (key["domain"], key["selector"]) == ("one.example", "ed")
    assert key["state"] == "active"
    (certificate,) = status["certificate"]
    assert certificate["file"].endswith(pair.cert.name)
    names = {p["name"]: p["pid"] for p in status["process"]}
    assert set(names) == {"worker/1", "signer/1", "keeper", "control"}
    assert set(names.values()) < set(site.daemon.pids())
    assert status["hopseald"]["pid"] == site.daemon.pids()[0]
    shown = site.hopseal("status")
    assert shown.returncode == 0
    for text in (listener["listen"], "one.example", pair.cert.name, "worker/1",
                 "is running", "never reloaded",
                 "and 2 more: hopseal key status"):
        assert text in shown.stdout, shown.stdout
    assert "\033" not in shown.stdout


def test_not_running(site):
    """By the configuration, by the folder, by a folder that is not there, and
    where the socket of a dead one was left."""
    asked = [["-c", site.config], ["--state", site.state],
             ["--state", site.folder / "none"]]

    def ask_all():
        for verb in ("status", "reload"):
            for where in asked:
                done = subprocess.run([harness.HOPSEAL, verb, *where],
                                      capture_output=True, text=True)
                assert done.returncode == 75, done
                assert "hopseald is not running" in done.stderr

    site.daemon.kill()
    assert (site.state / "control").exists()
    ask_all()
    site.daemon.start()
    until(site.is_alive, "an answer")
    site.daemon.crashes = False
    site.daemon.stop()
    assert not (site.state / "control").exists()
    ask_all()


def test_stopping_is_said(site):
    with Client(site.port) as client:
        client.command("MAIL FROM:<a@one.example>")
        site.daemon.process.send_signal(signal.SIGTERM)
        until(lambda: site.status()["hopseald"]["state"] == "stopping",
              "it to be said")
        done = site.reload()
        assert done.returncode == 78
        assert "hopseald is stopping" in done.stderr


# ---- P4: who may ask, and what ------------------------------------------------


def as_user(uid, call):
    """What a function returns in a process of another user: "ok", or text of
    at most 900 octets."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            os.write(write, repr(call()).encode()[:900])
        except BaseException as fault:
            os.write(write, repr(fault).encode()[:900])
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as f:
        return f.read()


def test_P4_who_may_ask(site):
    if os.geteuid() != 0:
        missing("only root can be somebody else")
    path = site.state / "control"
    status = path.stat()
    assert status.st_mode & 0o777 == 0o600
    assert status.st_uid == NOBODY
    assert "PermissionError" in as_user(12345, lambda: ask(site.state, b"help"))
    # were the mode another one, it still would not be answered
    path.chmod(0o666)
    said = as_user(12345, lambda: ask(site.state, b"reload"))
    assert "error this is for root" in said
    assert "reading" not in site.daemon.log()
    assert "'ok'" in as_user(NOBODY, lambda: ask(site.state, b"help"))
    assert ask(site.state, b"help")[-1] == b"ok"


def test_P4_garbage(site):
    rng = random.Random(4)
    for k in range(300):
        n = rng.choice((1, 2, 7, 64, 511, 512, 513, 4096, 60000))
        request = bytes(rng.randrange(256) for _ in range(min(n, 64)))
        request = (request * (n // len(request) + 1))[:n]
        said = ask(site.state, request)
        assert said[-1].startswith(b"error"), (request[:64], said)
    for request in (b"status now", b"reload reload", b" status", b"status ",
                    b"status\n", b"STATUS", b"x" * 512):
        assert ask(site.state, request)[-1].startswith(b"error ")
    assert b"at most 512 octets" in ask(site.state, b"x" * 513)[-1]
    assert site.is_alive()
    assert site.status()["process"][-1]["restarts"] == 0


def test_P4_many_and_slow(site):
    """Sixteen that say nothing keep nobody from the mail, and the seventeenth
    hears why; those who ask and take no answer, neither."""
    fd = os.open(site.state, os.O_PATH)
    peers = []
    for _ in range(16):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.connect(f"/proc/self/fd/{fd}/control")
        peers.append(s)

    until(lambda: b"too many" in ask(site.state, b"help")[-1], "it to be full")
    done = site.hopseal("status")
    assert (done.returncode, done.stderr) == (
        69, "hopseal: status: too many ask at a time\n")
    with Client(site.port):
        pass
    for s in peers:         # nobody takes their answers
        s.send(b"status")
    with Client(site.port):
        pass
    for s in peers:
        s.close()
    os.close(fd)
    until(lambda: site.hopseal("status").returncode == 0, "room")


# ---- its end -----------------------------------------------------------------


def test_its_death_hurts_no_mail(folder, keys, hopseald):
    with Sink() as sink:
        site = Site(folder, keys, hopseald, sink.port)
        workers = site.pid("hopseald-worker")
        with Client(site.port) as client:
            client.command("MAIL FROM:<a@one.example>")
            site.daemon.kill(site.pid())
            assert client.command("RCPT TO:<b@two.example>")[0] == 250
        # the master has the socket: who comes now waits for the next one
        status = site.status()
        assert site.pid("hopseald-worker") == workers
    (control,) = [p for p in status["process"] if p["name"] == "control"]
    assert control["restarts"] == 1
    assert "control (pid" in site.daemon.log()


def test_one_that_hangs(site):
    """It keeps nobody from a reload, and the next one is there."""
    hung = site.pid()
    os.kill(hung, signal.SIGSTOP)
    site.daemon.crashes = True
    site.daemon.process.send_signal(signal.SIGHUP)
    until(lambda: len([x for x in site.daemon.log().splitlines()
                       if " ready: " in x]) == 2, "the reload")
    until(lambda: hung not in site.daemon.pids(), "its end")
    assert site.is_alive()


def test_a_state_that_is_closed(folder, keys, hopseald):
    """Without a socket mail goes on, and it comes when it can."""
    if os.geteuid() != 0:
        missing("needs root")
    site = Site(folder, keys, hopseald)
    other = folder / "other"
    other.mkdir(mode=0o700)
    site.config.write_text(site.text().replace("state: state",
                                               "state: other"))
    assert site.reload().returncode == 0
    site.daemon.wait_log("control socket .*/other/control can not be made")
    with Client(site.port):
        pass
    other.chmod(0o777)
    until(lambda: (other / "control").exists(), "the socket")
    assert not (site.state / "control").exists()
    site.state = other
    assert site.is_alive()


def test_without_root(folder, keys, hopseald):
    """All of it as a user of its own."""
    if os.geteuid() != 0:
        missing("root alone can become one")
    site = Site.__new__(Site)
    for path in (folder, keys.folder):
        os.chown(path, NOBODY, NOBODY)
    wrapper = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
               "--clear-groups"]
    keys.add("one.example", rsa2048=None)
    for path in keys.folder.rglob("*"):
        os.chown(path, NOBODY, NOBODY)
    keys.add = lambda *_, **__: keys
    site.__init__(folder, keys, hopseald, wrapper=wrapper)
    assert (site.state / "control").stat().st_uid == NOBODY
    assert site.reload().returncode == 0
    assert site.is_alive()
    site.hopseal = lambda *words: subprocess.run(
        [*wrapper, harness.HOPSEAL, *words, "--state", site.state],
        capture_output=True, text=True, timeout=harness.WAIT * 4)
    assert site.reload().returncode == 0
    assert site.is_alive()
