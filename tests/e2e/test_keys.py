"""Rotation of keys under a running daemon: what signs goes by the states."""

import re

import harness
from configs import egress
from smtptools import Client, Sink
from test_process import reload

MAIL = b"From: <a@one.example>\r\nTo: b@two.example\r\nSubject: s\r\n\r\nx\r\n"


def key(keys, verb, selector, *more):
    return harness.run(harness.HOPSEAL, "key", verb, "--keys", keys.folder, *more, "one.example",
                       selector, ok=False)


def signers(site, sink, n):
    """The selectors that signed the n-th message."""
    with Client(site.port) as client:
        client.command("EHLO client.example")
        assert client.mail("a@one.example", "b@two.example",
                           MAIL.replace(b"Subject: s", b"Subject: %d" % n))[0] == 250
    field = re.search(rb"DKIM2-Signature:[^\r]*(?:\r\n[ \t][^\r]*)*",
                      sink.mails[n].content).group()
    return sorted(re.findall(rb"(\w+):(?:rsa|ed25519)-sha256:", re.sub(rb"\s", b"", field)))


def test_a_rotation_by_reloads(folder, keys, hopseald):
    keys.add("one.example", ed25519="old", rsa2048=None)
    with Sink() as sink:
        site = egress(folder, sink.port)
        daemon = hopseald(site.config)
        assert signers(site, sink, 0) == [b"old"]
        assert key(keys, "new", "new").returncode == 0
        assert "ready" in reload(daemon)
        assert signers(site, sink, 1) == [b"old"]
        assert key(keys, "activate", "new", "--keys-file", keys.file).returncode == 70
        keys.records["new._domainkey.one.example"] = [
            harness.run(harness.HOPSEAL, "dns-record", keys.pem("one.example", "new"), "one.example",
                        "new").decode().split('"')[1]]
        keys.write()
        assert key(keys, "activate", "new", "--keys-file", keys.file).returncode == 0
        assert "ready" in reload(daemon)
        assert signers(site, sink, 2) == [b"new", b"old"]
        assert key(keys, "retire", "old").returncode == 0
        assert "ready" in reload(daemon)
        assert signers(site, sink, 3) == [b"new"]
        # a state that does not read changes nothing
        state = keys.folder / "one.example/old.state"
        state.write_text("retierd 1\n")
        assert "goes on" in reload(daemon)
        assert signers(site, sink, 4) == [b"new"]
