"""Writes and reads files of the queue (queue/file.h), and the folder for them."""

import os
import re
from pathlib import Path

REPLY = 200
T = 1795664097


class Rcpt:
    def __init__(self, path, to=None, status="q", tries=0, due=T, reply="",
                 more=""):
        self.path, self.to = path, to or path
        self.status, self.tries, self.due = status, tries, due
        self.reply, self.more = reply, more

    def lines(self):
        return (f"rcpt <{self.path}> to=<{self.to}>{self.more}\n"
                f" {self.status} {self.tries:04d} {self.due:010d} "
                f"{self.reply:<{REPLY}}\n")


def octets(id, content, *rcpts, listener="l", arrived=T, signed=None,
           client="[127.0.0.1]:4321", mail_from="alice@one.example",
           added=(b"",), copies=None, hold="-", again=0, signed_as="", digest=""):
    """A whole file. copies: a list of lists of Rcpt; else one copy of rcpts."""
    copies = copies or [list(rcpts)]
    assert len(copies) == len(added)
    head = (f"id {id}\nhold {hold}\nagain {again:010d}\nlistener {listener}\narrived {arrived}\n"
            f"signed {arrived if signed is None else signed}\nclient {client}\n"
            f"mail-from <{mail_from}>\nret\nenvid\ndigest{' ' + digest if digest else ''}\n"
            f"body 7bit\nsmtputf8 no\n"
            f"count {len(copies)} {sum(map(len, copies))}\n")
    for own, some in zip(added, copies):
        head += f'copy {len(own)} mail-from=<{mail_from}> signed="{signed_as}"\n'
        head += "".join(r.lines() for r in some)
    head += "\n"
    tail = f" {sum(map(len, added))} {len(content)}\n"
    n = len("hopseal-queue 1 ") + 8 + len(tail) + len(head.encode())
    start = f"hopseal-queue 1 {n:08d}{tail}"
    return start.encode() + head.encode() + b"".join(added) + content


class Spool:
    """STATE/queue, made as the daemon makes it."""

    def __init__(self, path, owner=None):
        self.path = Path(path)
        self.owner = owner
        for folder in (self.path, *(self.path / n for n in ("mail", "new",
                                                            "corrupt"))):
            if not folder.exists():
                folder.mkdir(mode=0o700)
            if owner:
                os.chown(folder, *owner)
        self.mail = self.path / "mail"

    def write(self, id, *args, folder="mail", **more):
        path = self.path / folder / id
        self.put(path, octets(id, *args, **more))
        return path

    def put(self, path, data):
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
                  "wb") as f:
            f.write(data)
        if self.owner:
            os.chown(path, *self.owner)

    def ids(self):
        return sorted(p.name for p in self.mail.iterdir())


def statuses(data):
    """Recipient -> status octet, of a file's octets."""
    found = re.findall(rb"^rcpt <([^>]*)>.*\n (.)", data, re.M)
    return {path.decode(): status.decode() for path, status in found}
