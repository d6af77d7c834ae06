#!/usr/bin/python3
"""first_message.py TREE   what README says of its first relayed message, on a
machine of its own: something listens on port 25, and a server hands over mail."""

import subprocess
import sys
from pathlib import Path

TREE = Path(sys.argv[1])
sys.path.insert(0, str(TREE / "tests/e2e"))
import harness  # noqa: E402
from smtptools import Client, Sink  # noqa: E402

MAIL = b"From: you@example.org\r\nTo: friend@example.com\r\n" \
    b"Subject: first\r\n\r\nHello!\r\n"


def main():
    sink = Sink(25, host="127.0.0.1")
    log = open("/tmp/log", "w+")
    daemon = subprocess.Popen(["build/hopseald", "-c", "hopseal.yaml"],
                              cwd=TREE, stderr=log)
    harness.until(lambda: " ready: " in Path("/tmp/log").read_text() or
                  daemon.poll() is not None, "hopseald to be ready")
    assert daemon.poll() is None, Path("/tmp/log").read_text()
    with Client(10026) as client:
        reply = client.mail("you@example.org", "friend@example.com", MAIL)
    assert reply[0] == 250, reply
    daemon.terminate()
    assert daemon.wait(60) == 0
    Path("/tmp/message.eml").write_bytes(sink.mails[0].content)
    text = Path("/tmp/log").read_text()
    assert "signed=yes d=example.org" in text, text
    print(text)
    # The record of the key is in no DNS here.
    words = subprocess.run(
        ["build/hopseal", "dns-record", "keys/example.org/s1.pem", "--json"],
        cwd=TREE, capture_output=True, check=True).stdout
    Path("/tmp/dns.json").write_bytes(words)
    print(subprocess.run(
        ["build/hopseal", "explain", "--mail-from", "you@example.org",
         "--rcpt-to", "friend@example.com", "--dns", "/tmp/dns.json",
         "/tmp/message.eml"], cwd=TREE, capture_output=True, check=True,
        text=True).stdout)


main()
