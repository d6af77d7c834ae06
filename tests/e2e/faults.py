"""A next hop behind a line that breaks: a proxy that cuts, delays or garbles at
a drawn octet, and clients that try again as mail servers do."""

import random
import select
import socket
import struct
import threading
import time

import harness
from smtptools import Client, Closed


class Plan:
    """What befalls one connection.

    way     "up" (to the next hop) or "down" (its replies)
    at      octets that pass before it happens; None: nothing happens
    what    "cut" (both sides reset), "fin", "delay" (seconds), "garble"
            (an octet of a reply becomes another that no reply has there)
    behind  count from the first final dot on, not from the beginning
    """

    def __init__(self, way="up", at=None, what="cut", behind=False, seconds=0.02):
        self.way, self.at, self.what = way, at, what
        self.behind, self.seconds = behind, seconds


def draw_plan(r):
    kind = r.random()
    if kind < 0.3:
        return Plan()
    if kind < 0.6:      # between our final dot and its answer
        return Plan("down", r.randrange(0, 30), r.choice(["cut", "cut", "fin",
                                                          "garble"]), True)
    if kind < 0.75:     # anywhere in the replies
        return Plan("down", r.randrange(0, 400),
                    r.choice(["cut", "fin", "delay", "garble"]))
    return Plan("up", r.randrange(0, 4000), r.choice(["cut", "fin", "delay"]))


class FaultProxy:
    """.windows has, for each final dot that went through and whose answer did
    not come back whole, the number of the dot at the next hop."""

    def __init__(self, onward, draw):
        self.onward = onward
        self.draw = draw
        self.port = harness.free_port()
        self.windows = 0
        self.faults = 0
        self.lock = threading.Lock()
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", self.port),
                                             backlog=128)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,),
                             daemon=True).start()

    def _serve(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.onward))
        except OSError:
            client.close()
            return
        with self.lock:
            plan = self.draw()
            self.open |= {client, server}
        try:
            self._pump(client, server, plan)
        except OSError:
            pass
        with self.lock:
            self.open -= {client, server}
        for s in (client, server):
            s.close()

    def _pump(self, client, server, plan):
        way = {client: server, server: client}
        passed = {"up": 0, "down": 0}
        tail, waiting, since = b"", 0, None    # dots whose answer is due
        while True:
            ready, _, _ = select.select([client, server], [], [], 120)
            if not ready:
                return
            for source in ready:
                name = "up" if source is client else "down"
                got = source.recv(65536)
                if not got:
                    if waiting and name == "up":
                        self._window()
                    return
                if name == "up":
                    seen = tail + got
                    if seen.find(b"\r\n.\r\n") >= 0:
                        waiting, since = 1, passed["down"]
                    tail = seen[-4:]
                start = since if plan.behind else 0
                if plan.at is not None and plan.way == name and \
                        start is not None:
                    at = plan.at + start - passed[name]
                    if at < len(got):
                        with self.lock:
                            self.faults += 1
                        if self._befall(plan, source, way[source], got,
                                        max(at, 0), waiting):
                            return
                        passed[name] += len(got)
                        plan = Plan()
                        if waiting and name == "down":
                            waiting = 0
                        continue
                way[source].sendall(got)
                passed[name] += len(got)
                if name == "down" and waiting and got.endswith(b"\r\n"):
                    waiting = 0

    def _window(self):
        with self.lock:
            self.windows += 1

    def _befall(self, plan, source, target, got, at, waiting):
        """Whether the connection is over."""
        if plan.what == "delay":
            time.sleep(plan.seconds)
            target.sendall(got)
            return False
        if waiting:
            self._window()
        if plan.what == "garble":
            # Never another reply that means something: a letter for the code.
            target.sendall(got[:at] + b"\x01\r\n")
            return True
        if at:
            target.sendall(got[:at])
        for s in (source, target):
            if plan.what == "cut":
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        return True

    def cut_all(self):
        with self.lock:
            for s in self.open:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.listener.close()
        self.cut_all()


class Retrying:
    """A client that keeps a message until each recipient had its answer, and
    comes from another address at each try."""

    def __init__(self, port, mail_from, rcpts, content, r, tries=40, wait=0,
                 source=None):
        self.port, self.mail_from, self.content = port, mail_from, content
        self.wait, self.source = wait, source
        self.left, self.r, self.tries = list(rcpts), r, tries
        self.fate = {}              # recipient -> last reply

    def run(self):
        for _ in range(self.tries):
            if not self.left:
                return self
            try:
                self._once()
            except (Closed, OSError, AssertionError):
                pass
            if self.left and self.wait:
                time.sleep(self.wait)
        return self

    def _settle(self, rcpt, reply):
        self.fate[rcpt] = reply
        if reply[0] // 100 in (2, 5):
            self.left.remove(rcpt)

    def _once(self):
        source = self.source or f"127.0.0.{self.r.randrange(2, 250)}"
        with Client(self.port, source=source) as c:
            if c.command(f"MAIL FROM:<{self.mail_from}>")[0] != 250:
                return
            taken = []
            for rcpt in list(self.left):
                reply = c.command(f"RCPT TO:<{rcpt}>")
                if reply[0] == 250:
                    taken.append(rcpt)
                else:
                    self._settle(rcpt, reply)
            if not taken:
                return
            reply = c.content(self.content)
            for rcpt in taken:
                self._settle(rcpt, reply)
            c.command("QUIT")
