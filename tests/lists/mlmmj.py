"""Real mlmmj, from the Debian package, unpacked and never installed. An MTA
runs its mlmmj-receive for each message; here a small server does."""

import os
import shutil
import subprocess
from pathlib import Path

import harness
import unpacked
from smtptools import Sink

UNPACKED = unpacked.folder("mlmmj")
FOLDERS = ("incoming", "queue", "queue/discarded", "archive", "text", "subconf",
           "unsubconf", "bounce", "control", "moderation", "subscribers.d",
           "digesters.d", "requeue", "nomailsubs.d")
FIELDS = "List-Id: About everything <{0}.{1}>\n" \
         "List-Post: <mailto:{0}@{1}>\n" \
         "List-Help: <mailto:{0}+help@{1}>\nPrecedence: list\n"
FOOTER = "-- \nTo leave the list write to {0}+unsubscribe@{1}\n"


def cannot_run():
    """Why it can not run here, or None."""
    return unpacked.unpack("mlmmj")


class Mlmmj:
    """Takes mail for lists on 127.0.0.1:port.

    lists    name -> {"members": [...], further control files}
    """

    def __init__(self, folder, onward, lists, domain="lists.example"):
        self.folder = Path(folder)
        self.faults = []
        # What it calls lies where it lies itself.
        shutil.copytree(UNPACKED / "usr/bin", self.folder / "bin")
        for name, more in lists.items():
            self._make(name, domain, onward, dict(more))
        self.sink = Sink(dot=self._take)
        self.port = self.sink.port

    def _make(self, name, domain, onward, more):
        home = self.folder / name
        for part in FOLDERS:
            (home / part).mkdir(parents=True, exist_ok=True)
        (home / "index").touch()
        shutil.copytree(UNPACKED / "usr/share/mlmmj/text.skel/en",
                        home / "text", dirs_exist_ok=True)
        for member in more.pop("members"):
            with open(home / "subscribers.d" / member[0], "a") as file:
                file.write(member + "\n")
        control = {"listaddress": f"{name}@{domain}",
                   "owner": f"owner@{domain}", "relayhost": "127.0.0.1",
                   "smtpport": str(onward), "prefix": f"[{name}]",
                   "customheaders": FIELDS, "footer": FOOTER, **more}
        for key, value in control.items():
            (home / "control" / key).write_text(
                value.format(name, domain).rstrip("\n") + "\n")

    def _take(self, mail):
        """As the pipe of an MTA: in a mbox-like form, with LF."""
        name = mail.rcpt_to[0].partition("@")[0].partition("+")[0]
        octets = (f"Return-Path: <{mail.mail_from}>\r\nDelivered-To: "
                  f"{mail.rcpt_to[0]}\r\n").encode() + mail.content
        done = subprocess.run(
            [self.folder / "bin" / "mlmmj-receive", "-F", "-L",
             self.folder / name], input=octets.replace(b"\r\n", b"\n"),
            capture_output=True, timeout=harness.WAIT, env={
                **os.environ, "SENDER": mail.mail_from,
                "RECIPIENT": mail.rcpt_to[0]})
        if done.returncode != 0:
            self.faults.append(done.stderr.decode(errors="replace"))
            return "451 4.3.0 the program failed"
        return "250 2.0.0 given to mlmmj"

    def start(self):
        return self

    def stop(self):
        self.sink.close()
        assert self.faults == [] and self.sink.faults == []

    def log(self):
        return "".join(f"== {p}\n{p.read_text(errors='replace')[-3000:]}"
                       for p in self.folder.glob("*/mlmmj.operation.log")) + \
            "".join(self.faults)
