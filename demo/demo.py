#!/usr/bin/env python3
"""A letter through two hops on loopback, and what its receiver can prove.

Everything it makes lies in BUILD/demo; nothing is left running.
"""

import json
import os
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = (ROOT / os.environ.get("B", "build")).resolve()
PLACE = BUILD / "demo"
HOPSEAL, HOPSEALD = BUILD / "hopseal", BUILD / "hopseald"

LETTER = """\
From: Alice <alice@one.example>
To: Bob <bob@two.example>
Subject: The key to the shed
Date: Sun, 22 Nov 2026 10:00:00 +0000
Message-ID: <letter@one.example>

It is under the third pot.
Alice
""".replace("\n", "\r\n")

ORIGIN = """\
# One hop: it signs what Alice's mail server hands over.
hostname: out.one.example
state: origin
keys: keys
keys-file: dns.json
workers: 1
listeners:
  out: {{role: egress, listen: ["127.0.0.1:{port}"], clients: [127.0.0.1],
        senders: [one.example], next-hop: "smtp://127.0.0.1:{onward}"}}
"""

FORWARD = """\
# The next: it forwards Bob's mail to the address he reads today.
hostname: mx.two.example
state: forward
keys: keys
keys-file: dns.json
workers: 1
listeners:
  fwd: {{role: forward, listen: ["127.0.0.1:{port}"], domains: [two.example],
        aliases: {{"bob@two.example": "bob@three.example"}}, verify: enforce,
        mail-from: returns@two.example, next-hop: "smtp://127.0.0.1:{onward}"}}
"""


def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Receiver:
    """A plain mail server, which knows nothing of all this, for one letter."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.paths, self.letter = [], None
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            sock, _ = self.listener.accept()
            with sock, sock.makefile("rwb") as talk:
                self.session(talk)

    def session(self, talk):
        def say(text):
            talk.write(text.encode() + b"\r\n")
            talk.flush()

        say("220 mx.three.example ESMTP")
        for line in talk:
            verb = line[:4].upper()
            if verb == b"EHLO":
                say("250-mx.three.example\r\n250-PIPELINING\r\n"
                    "250-8BITMIME\r\n250 SIZE 1000000")
            elif verb in (b"MAIL", b"RCPT"):
                self.paths.append(line[line.index(b"<") + 1:
                                       line.index(b">")].decode())
                say("250 2.1.0 fine")
            elif verb == b"DATA":
                say("354 go ahead")
                lines = []
                for text in talk:
                    if text == b".\r\n":
                        break
                    lines.append(text[1:] if text.startswith(b".") else text)
                self.letter = b"".join(lines)
                say("250 2.0.0 it is in the mailbox")
            elif verb == b"QUIT":
                say("221 2.0.0 bye")
                return
            else:
                say("250 2.0.0 ok")


def hopseal(*words, stdin=None):
    done = subprocess.run([str(w) for w in (HOPSEAL, *words)], input=stdin,
                          capture_output=True)
    return done.returncode, done.stdout.decode(errors="replace"), \
        done.stderr.decode(errors="replace")


def make_keys():
    records = {}
    for domain in ("one.example", "two.example"):
        for kind, selector in (("ed25519", "ed"), ("rsa2048", "rsa")):
            status, _, fault = hopseal("keygen", "--type", kind, "--keys",
                                       PLACE / "keys", domain, selector)
            if status:
                sys.exit(f"keygen: {fault}")
            _, text, _ = hopseal("dns-record",
                                 PLACE / "keys" / domain / f"{selector}.pem",
                                 domain, selector, "--json")
            records.update(json.loads(text))
    (PLACE / "dns.json").write_text(json.dumps(records, indent=1) + "\n")


def start(name, config, running, **ports):
    (PLACE / f"{name}.yaml").write_text(config.format(**ports))
    (PLACE / name).mkdir()
    log = PLACE / f"{name}.log"
    with open(log, "wb") as out:
        hop = subprocess.Popen([str(HOPSEALD), "-c", str(PLACE / f"{name}.yaml")],
                               stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    running.append(hop)
    for _ in range(400):
        if "ready" in log.read_text(errors="replace"):
            return
        if hop.poll() is not None:
            break
        time.sleep(0.02)
    sys.exit(f"{name} does not start:\n{log.read_text(errors='replace')}")


def stop(running):
    for hop in running:
        if hop.poll() is None:
            hop.send_signal(signal.SIGTERM)
    for hop in running:
        try:
            hop.wait(5)
        except subprocess.TimeoutExpired:
            hop.kill()


def explain(letter, mail_from, rcpt_to):
    status, text, fault = hopseal(
        "explain", "--mail-from", mail_from, "--rcpt-to", rcpt_to,
        "--dns", PLACE / "dns.json", stdin=letter)
    return status, (text + fault).rstrip()


def indent(text):
    return "\n".join("    " + line if line else "" for line in text.splitlines())


def main():
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    (PLACE / "keys").mkdir(mode=0o700)
    print("""
A letter goes through two hops, on this machine alone:

    alice@one.example --> out.one.example --> mx.two.example --> bob@three.example
                          signs it (i=1)      verifies it, forwards it to
                                              Bob's new address, signs it (i=2)
""")
    make_keys()
    running = []
    receiver = Receiver()
    first, second = port(), port()
    try:
        start("forward", FORWARD, running, port=second, onward=receiver.port)
        start("origin", ORIGIN, running, port=first, onward=second)
        with smtplib.SMTP("127.0.0.1", first, "mail.one.example", 10) as client:
            client.sendmail("alice@one.example", ["bob@two.example"],
                            LETTER.encode())
    except smtplib.SMTPException as fault:
        sys.exit(f"the letter was refused: {fault}\n"
                 f"the logs are in {PLACE}")
    finally:
        stop(running)
    if receiver.letter is None:
        sys.exit(f"nothing arrived; the logs are in {PLACE}")
    (PLACE / "letter.eml").write_bytes(receiver.letter)
    mail_from, rcpt_to = receiver.paths[-2:]
    print(f"It arrived from <{mail_from}> for <{rcpt_to}>.\n"
          "What the receiver finds in it (`hopseal explain`):\n")
    good, text = explain(receiver.letter, mail_from, rcpt_to)
    print(indent(text))
    print("\nThe same letter, had somebody moved the key to the second pot:\n")
    bad, text = explain(receiver.letter.replace(b"third pot", b"second pot"),
                        mail_from, rcpt_to)
    print(indent(text))
    print(f"\nLetter, configurations and logs: {os.path.relpath(PLACE)}")
    # 0 is pass, 1 is fail: anything else is a fault of ours.
    return 0 if (good, bad) == (0, 1) else 1


if __name__ == "__main__":
    sys.exit(main())
