"""What every end-to-end test needs: places, ports, programs, hopseald.

The build directory is named by B (as in make). Everything a test writes is
under it; where a folder on the way to it is closed to other users, the real
MTAs, which give up root, get one under the system's temporary directory.
"""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("B", "build")).resolve()
HOPSEALD = BUILD / "hopseald"
HOPSEAL = BUILD / "hopseal"
WAIT = 30 if not os.environ.get("SAN") else 90      # seconds; never asserted
FAULTS = re.compile(r"Sanitizer|runtime error:|[Aa]ssertion .* failed")

# Tests that run beside others (tools/check.sh) have ports and folders of
# their own.
LANE = int(os.environ.get("LANE", "0"))
PORTS = (22000, 32000) if LANE == 2 else (12000, 22000)

_used_ports = set()
_random = random.Random(os.getpid() * 1_000_003 + time.time_ns())


def free_port():
    """A TCP and UDP port of 127.0.0.1 that nobody uses, below the range that
    the kernel gives to outgoing connections."""
    while True:
        port = _random.randrange(*PORTS)
        if port in _used_ports:
            continue
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as s:
                    s.bind(("127.0.0.1", port))
        except OSError:
            continue
        _used_ports.add(port)
        return port


def until(condition, what, seconds=WAIT):
    """Waits until condition() is true and returns it; fails after a while."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for "
                                 f"{what() if callable(what) else what}")
        time.sleep(0.02)


def run(*command, stdin=b"", ok=True, env=None):
    """Runs a program; its standard output as octets."""
    done = subprocess.run([str(c) for c in command], input=stdin, env=env,
                          capture_output=True, timeout=WAIT * 4)
    if ok and done.returncode != 0:
        raise AssertionError(f"{command[0]} ended with {done.returncode}: "
                             f"{done.stderr.decode(errors='replace')}")
    return done.stdout if ok else done


def make(*arguments):
    """Runs make for this build directory, named as its rules know it; its
    standard output."""
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "T", "V")}
    done = subprocess.run(
        ["make", "-s", f"B={os.path.relpath(BUILD, ROOT)}", *arguments],
        cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def open_folder(name):
    """A new folder that a program without rights can reach."""
    BUILD.mkdir(parents=True, exist_ok=True)
    folder = BUILD / "e2e" / str(LANE) / name
    if all(p.stat().st_mode & 0o005 == 0o005 for p in [BUILD, *BUILD.parents]):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    else:
        folder = Path(tempfile.mkdtemp(prefix="hopseal-"))
    folder.chmod(0o755)
    return folder


def session_pids(leader):
    """The processes of a session, zombies left out, its leader first (pids
    may begin anew, so that it need not have the least)."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = Path("/proc", entry, "stat").read_text()
        except OSError:
            continue
        state, _, _, session = stat.rsplit(")", 1)[1].split()[:4]
        if int(session) == leader and state != "Z":
            found.append(int(entry))
    return sorted(found, key=lambda pid: (pid != leader, pid))


class Hopseald:
    """A hopseald of its own session, with a configuration given as text.

    stop() ends it with SIGTERM; it must leave with 0, no process behind and no
    report of a sanitizer, unless the test said crashes=True.
    """

    def __init__(self, folder, config, name="hopseald", env=None,
                 wrapper=(), program=HOPSEALD):
        self.folder = Path(folder)
        self.config = self.folder / f"{name}.yaml"
        self.log_file = self.folder / f"{name}.log"
        self.config.write_text(config)
        self.env = {**os.environ, **(env or {})}
        self.wrapper = [str(w) for w in wrapper]     # runs it: prlimit ...
        self.program = program
        self.process = None
        self.crashes = False

    def start(self, ready=True):
        before = len(self.log())
        with open(self.log_file, "ab") as out:
            self.process = subprocess.Popen(
                [*self.wrapper, str(self.program), "-c", str(self.config)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=self.env, start_new_session=True)
        if ready:
            until(lambda: self._is_ready(before), "`ready` in its log")
        return self

    def _is_ready(self, before):
        log = self.log()
        if self.process.poll() is not None:
            raise AssertionError(
                f"hopseald ended with {self.process.returncode}:\n{log}")
        return "ready" in log[before:]

    def log(self):
        try:
            return self.log_file.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def wait_log(self, pattern):
        """Waits for a line that holds the pattern; the match."""
        return until(lambda: re.search(pattern, self.log()), f"{pattern!r}")

    def pids(self):
        """Its processes, the master first."""
        return session_pids(self.process.pid)

    def kill(self, pid=None):
        """SIGKILL: one process, or all of them, also those that are being
        born while we look."""
        self.crashes = True
        if pid is not None:
            self._kill_one(pid)
            return

        def are_gone():
            left = self.pids()
            for victim in left:
                self._kill_one(victim)
            return not left

        until(are_gone, "its processes to be gone")
        self.process.wait(WAIT)

    @staticmethod
    def _kill_one(pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def stop(self):
        if self.process is None:
            return
        status = self.process.poll()
        if status is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                status = self.process.wait(WAIT)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"SIGTERM is ignored:\n{self.log()}")
        left = self.pids() if self.crashes else []
        try:
            if not self.crashes:
                # The kernel takes a moment to end the last child.
                until(lambda: not self.pids(), "its processes to end", 5)
        except AssertionError:
            left = self.pids()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        self.process = None
        fault = FAULTS.search(self.log())
        assert fault is None, f"{fault}:\n{self.log()}"
        if not self.crashes:
            assert not left, f"processes are left: {left}\n{self.log()}"
            assert status == 0, f"it left with {status}:\n{self.log()}"

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class Keys:
    """Key pairs of domains, an Ed25519 and an RSA one each, and the keys-file
    with their records. The folder is what `keys:` of a configuration names."""

    def __init__(self, folder):
        self.folder = Path(folder) / "keys"
        self.folder.mkdir(mode=0o700)
        self.file = Path(folder) / "dns.json"
        self.records = {}
        self.zone = []
        self.write()

    def add(self, domain, ed25519="ed", rsa2048="rsa"):
        for kind, selector in (("ed25519", ed25519), ("rsa2048", rsa2048)):
            if selector is None:
                continue
            run(HOPSEAL, "keygen", "--type", kind, "--keys", self.folder,
                domain, selector)
            pem = self.pem(domain, selector)
            record = run(HOPSEAL, "dns-record", pem, domain, selector, "--json")
            self.records.update(json.loads(record))
            self.zone.append(
                run(HOPSEAL, "dns-record", pem, domain, selector).decode())
        self.write()
        return self

    def pem(self, domain, selector):
        return self.folder / domain / f"{selector}.pem"

    def write(self):
        self.file.write_text(json.dumps(self.records))


def peer_verify(peer, dns, message, mail_from, rcpt_to, when=None):
    """What the peer says of a message, with the envelope it arrived with."""
    command = [peer, "verify", "--mail-from", mail_from, "--dns", dns]
    for rcpt in rcpt_to:
        command += ["--rcpt-to", rcpt]
    if when is not None:
        command += ["--time", str(when)]
    done = run(*command, stdin=message, ok=False)
    return json.loads(done.stdout.splitlines()[-1])


def listens(port):
    """Whether somebody takes connections there."""
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0
