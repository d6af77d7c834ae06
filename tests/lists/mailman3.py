"""Real Mailman 3, its core, in a virtual environment under the build
directory. It takes mail by LMTP and sends it to one SMTP port."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import harness

VERSION = "3.3.10"
HOME = harness.ROOT / "build" / "packages" / f"mailman-{VERSION}"
REQUIREMENTS = Path(__file__).with_name("mailman.txt")      # pip freeze
PYTHON = "/usr/bin/python3"
# What takes a message from the door to the next hop; each is a process.
RUNNERS = ("lmtp", "in", "pipeline", "out", "virgin", "digest")
OTHERS = ("archive", "bounces", "command", "rest", "retry", "task")


def cannot_run():
    """Why it can not run here, or None. Installs it where it is missing."""
    HOME.parent.mkdir(parents=True, exist_ok=True)
    with open(HOME.parent / "mailman.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (HOME / "bin" / "master").exists():
            return None
        shutil.rmtree(HOME, ignore_errors=True)
        done = subprocess.run([PYTHON, "-m", "venv", HOME],
                              capture_output=True, text=True)
        if done.returncode != 0:
            return f"Mailman needs python3-venv: {done.stdout}"
        done = subprocess.run(
            [HOME / "bin" / "pip", "install", "-q", "--no-warn-script-location",
             "--disable-pip-version-check", "-r", REQUIREMENTS],
            capture_output=True, text=True)
        if done.returncode != 0:
            shutil.rmtree(HOME, ignore_errors=True)
            return f"pip can not get Mailman: {done.stderr[-2000:]}"
    return None


class Mailman:
    """An instance with lists.

    lists    name -> attributes of the list; "members" are addresses, or pairs
             of an address and "digest"
    more     further runners of Mailman
    """

    def __init__(self, folder, onward, lists, domain="lists.example", more=()):
        self.folder = Path(folder)
        self.port = harness.free_port()
        self.process = None
        self.folder.mkdir(parents=True)
        self.config = self.folder / "mailman.cfg"
        self.config.write_text(f"""
[mailman]
site_owner: postmaster@{domain}
layout: here
[paths.here]
var_dir: {self.folder}/var
[database]
url: sqlite:///{self.folder}/mailman.db
[mta]
incoming: mailman.mta.null.NullMTA
smtp_host: 127.0.0.1
smtp_port: {onward}
lmtp_host: 127.0.0.1
lmtp_port: {self.port}
[dmarc]
resolver_timeout: 1s
""" + "".join(f"[runner.{r}]\nsleep_time: 0.1s\n"
                            for r in (*RUNNERS, *more)) +
            "".join(f"[runner.{r}]\nstart: no\n"
                    for r in OTHERS if r not in more))
        self.run(Path(__file__).parent / "mailman_lists.py", self.config,
                 stdin=json.dumps({"domain": domain, "lists": lists}))

    def run(self, *words, stdin=""):
        """The Python of the virtual environment."""
        done = subprocess.run([HOME / "bin" / "python", *words], text=True,
                              input=stdin, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self):
        with open(self.folder / "master.log", "ab") as out:
            self.process = subprocess.Popen(
                [HOME / "bin" / "master", "--no-restart", "-C", self.config],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})

        def answers():
            assert self.process.poll() is None, self.log()
            return harness.listens(self.port)

        harness.until(answers, lambda: f"Mailman to listen: {self.log()}", 240)
        return self

    def waiting(self):
        """Messages in its queues, those that it gave up among them."""
        return [str(p.relative_to(self.folder / "var" / "queue"))
                for p in (self.folder / "var" / "queue").glob("*/*")
                if p.suffix in (".pck", ".bak", ".psv")]

    def stop(self):
        """At once: its own way takes ten seconds, and nothing is to be kept."""
        if self.process is None:
            return
        leader = self.process.pid

        def are_gone():
            self.process.poll()
            left = harness.session_pids(leader)
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            return not left

        harness.until(are_gone, "Mailman to end")

    def log(self):
        out = ""
        for path in [self.folder / "master.log",
                     *sorted(self.folder.glob("var/logs/*.log"))]:
            try:
                out += f"== {path.name}\n" + path.read_text(errors="replace")[-4000:]
            except OSError:
                pass
        return out
