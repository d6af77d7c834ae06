#!/usr/bin/python3
"""Chains signed in turn by us and by the peer, and judged by both.

  cross_check.py [--ours build/hopseal] [--peer PATH] [--cases DIR] [-v]

Two and three hops in every mixture of the two signers, with and without changes
on the way; each state must pass at both verifiers, and what is then broken must
be refused by both. Keys
and key records are those of tests/vectors/shared-cases. Without a peer it says
`peer NOT RUN` and why, exit 77 (1 where CI is set)."""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START = 1795000000
STATES = {0: "pass", 1: "fail", 2: "permerror", 3: "temperror", 4: "none"}
# hop k: from a user of DOMAINS[k] to a user of DOMAINS[k + 1]
DOMAINS = ("acorn.example", "birch.example", "cedar.example", "dogwood.example")
KEYS = {"ed25519": ("e1",), "rsa": ("r1",), "both": ("e1", "r1")}
HEADER = (b"Received: from a by b; Mon, 28 Sep 2026 10:00:00 +0000\r\n"
          b"From: Ann <ann@acorn.example>\r\n"
          b"To: Bert <bert@birch.example>\r\n"
          b"SUBJect:   in\r\n\tturn  \r\n"
          b"Comments: upper\r\nX-Mailer: none\r\nComments: lower\r\n"
          b"Auto-Submitted: no\r\nMessage-ID:\r\n <1@acorn.example>\r\n\r\n")
BODIES = {
    "plain": b"one\r\ntwo\r\n",
    "empty": b"",
    "no line end": b"one\r\ntwo",
    "empty lines at the end": b"one\r\n\r\n\r\n",
    "dots": b".\r\n..\r\n.x\r\n",
    "octets": bytes(range(128, 256)) + b"\r\n",
    "nothing but lines": b"\r\n\r\n",
}


def revise(octets, hop):
    """What a list manager does to a message: subject, fields, body, wrapping."""
    header, _, body = octets.partition(b"\r\n\r\n")
    header = header.replace(b"SUBJect:  ", b"SUBJect: [l%d]  " % hop, 1)
    header = header.replace(b"\r\nComments: lower", b"\r\nComments: added", 1)
    header += b"\r\nList-Id: <l%d.example>" % hop
    if hop % 2:
        return header + b"\r\n\r\n" + body + b"\r\n-- \r\nfooter\r\n"
    return header + b"\r\n\r\n--part\r\n\r\n" + body.replace(b"two", b"2") + \
        b"\r\n--part--\r\n"


class Cross:
    def __init__(self, ours, peer, cases, is_loud, folder):
        self.original = Path(folder) / "original.eml"
        self.tools = {"ours": ours, "peer": peer}
        self.cases = Path(cases)
        self.dns = self.cases / "dns.json"
        self.is_loud = is_loud
        self.good = self.bad = 0

    def check(self, good, text):
        self.good += good
        self.bad += not good
        if self.is_loud or not good:
            print("ok  " if good else "FAIL", text)
        return good

    def run(self, who, words, octets):
        done = subprocess.run([self.tools[who], *map(str, words)], input=octets,
                              capture_output=True, timeout=60)
        return done.returncode, done.stdout, done.stderr.decode(errors="replace").strip()

    @staticmethod
    def user(hop):
        return f"user{hop}@{DOMAINS[hop]}" if hop else "ann@acorn.example"

    def sign(self, who, hop, kind, octets, extra=()):
        words = ["sign", "--domain", DOMAINS[hop], "--mail-from", self.user(hop),
                 "--rcpt-to", self.user(hop + 1), "--timestamp", START + hop, *extra]
        for selector, number in zip(KEYS[kind], ("", "2")):
            words += [f"--selector{number}", selector, f"--key{number}",
                      self.cases / "keys" / f"{selector}._domainkey.{DOMAINS[hop]}.pem"]
        status, signed, fault = self.run(who, words, octets)
        return (signed, "") if status == 0 else (None, f"{status}: {fault}")

    def judge(self, who, hop, octets, time=START + 600, sender=None, rcpt=None):
        status, text, fault = self.run(who, [
            "verify", "--mail-from", sender or self.user(hop),
            "--rcpt-to", rcpt or self.user(hop + 1), "--dns", self.dns, "--time", time], octets)
        lines = text.decode(errors="replace").strip().splitlines()
        try:
            said = json.loads(lines[-1]) if lines else {}
        except ValueError:
            said = {}
        state = STATES.get(status, f"exit {status}")
        if said.get("result") != state:
            state = f"{state}, but says {said.get('result')}"
        return state, said.get("error") or fault

    def all_pass(self, label, hop, octets):
        for who in self.tools:
            state, error = self.judge(who, hop, octets)
            self.check(state == "pass", f"{label}: {who} says {state} {error}")

    def all_refuse(self, label, hop, octets, **how):
        states = set()
        for who in self.tools:
            state, error = self.judge(who, hop, octets, **how)
            states.add(state)
            self.check(state in ("fail", "permerror"), f"{label}: {who} says {state} {error}")
        self.check(len(states) == 1, f"{label}: they agree on {states}")

    def broken(self, label, hop, octets):
        """Single faults, each of which must be seen by both."""
        header, _, body = octets.partition(b"\r\n\r\n")

        def both(what, changed, **how):
            self.all_refuse(f"{label}, {what}", hop, changed, **how)

        both("another line", octets + b"tail\r\n" if body.endswith(b"\r\n") or not body
             else octets + b"x")
        both("another Subject", octets.replace(b"SUBJect:   in", b"SUBJect:   on", 1))
        both("a further field", b"Comments: x\r\n" + octets)
        both("another sender", octets, sender="mallory@" + DOMAINS[hop])
        both("another recipient", octets, rcpt="zed@" + DOMAINS[hop + 1])
        both("too old", octets, time=START + 15 * 86400)
        both("from the future", octets, time=START - 2 * 86400)
        both("another time", octets.replace(b"t=%d" % START, b"t=%d" % (START + 7), 1))
        at = octets.index(b"ed25519-sha256:" if b"ed25519-sha256:" in header
                          else b"rsa-sha256:")
        at = octets.index(b":", at) + 30
        flipped = b"B" if octets[at:at + 1] == b"A" else b"A"
        both("another signature", octets[:at] + flipped + octets[at + 1:])
        both("a link taken out", octets[octets.index(b"DKIM2-Signature", 10):]
             if hop else octets[octets.index(b"Message-Instance"):])

    def chain(self, label, who, kind, body, is_revised=False):
        octets = HEADER + body
        for hop, signer in enumerate(who):
            extra = ()
            if is_revised and hop:
                self.original.write_bytes(octets)
                extra = ("--original", self.original)
                octets = revise(octets, hop)
            octets, fault = self.sign(signer, hop, kind, octets, extra)
            name = f"{label}, {kind}, {'+'.join(who)}, hop {hop + 1}" + \
                (", revised" if is_revised else "")
            if not self.check(octets is not None, f"{name}: {signer} signs {fault}"):
                return
            self.all_pass(name, hop, octets)
        if label == "plain" and not is_revised:
            self.broken(f"{kind}, {'+'.join(who)}", len(who) - 1, octets)

    def run_all(self):
        # dogwood has no RSA key, and is only the last recipient
        for n in (2, 3):
            for who in itertools.product(("ours", "peer"), repeat=n):
                if "ours" not in who:
                    continue
                for label, body in BODIES.items():
                    kinds = KEYS if label == "plain" else ("ed25519",)
                    for kind in kinds:
                        self.chain(label, who, kind, body)
                        self.chain(label, who, kind, body, True)
        self.tags()
        return self.bad == 0

    def tags(self):
        """What else a signature can say is understood by both."""
        for extra in (["--nonce", "a,b:c|d"], ["--flags", "feedback,feedhere"],
                      ["--hash", "sha256,sha512"], ["--hash", "sha512"],
                      ["--key2", self.cases / "keys" / "r1._domainkey.acorn.example.pem",
                       "--selector2", "r1", "--join", "or"]):
            octets, fault = self.sign("ours", 0, "ed25519", HEADER + BODIES["plain"], extra)
            name = " ".join(map(str, extra[:2]))
            if self.check(octets is not None, f"{name}: ours signs {fault}"):
                self.all_pass(name, 0, octets)


def not_run(why):
    print(f"peer NOT RUN: {why}")
    return 1 if os.environ.get("CI") else 77


def main():
    build = ROOT / os.environ.get("B", "build")
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", default=str(build / "hopseal"))
    parser.add_argument("--peer", default=os.environ.get("PEER"))
    parser.add_argument("--cases", default=str(ROOT / "tests/vectors/shared-cases"))
    parser.add_argument("-v", action="store_true")
    options = parser.parse_args()
    if not options.peer:
        return not_run("none is built (tests/interop/peer.sh)")
    if not os.access(options.peer, os.X_OK):
        return not_run(f"{options.peer} is no program")
    with tempfile.TemporaryDirectory(prefix="cross-") as folder:
        cross = Cross(options.ours, options.peer, options.cases, options.v, folder)
        good = cross.run_all()
    print(f"{cross.good} passed, {cross.bad} failed")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
