"""P7: what comes from outside can not write lines of the log, nor anything but
visible ASCII into them."""

import json
import re

import pytest

import configs
import harness
from messages import message
from smtptools import Client, Closed, Sink

EVIL = "\x1b[31mred\x07\x9b\u202e"
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z hopseald\[\d+\] "
                  r"(master|keeper|signer/\d+|worker/\d+): [\x20-\x7e]+$")
FORGED = "2026-11-26T00:00:00.000Z hopseald[1] worker/1: forged: status=sent"


def check(log):
    for line in log.decode("latin-1").split("\n")[:-1]:
        if line.startswith("{"):
            check_object(line)
            continue
        assert LINE.match(line), f"{line!r}"
        # what is forged stands within a line, never at its beginning
        assert not line.startswith(FORGED), line


def check_object(line):
    """One object of strings in ASCII, each key once; its own keys are ours."""
    pairs = json.loads(line, object_pairs_hook=list)
    keys = [k for k, _ in pairs]
    assert len(set(keys)) == len(keys) and keys[:4] == ["time", "level", "process", "pid"]
    assert dict(pairs)["level"] in ("info", "warning", "error"), line
    for key, value in pairs:
        assert re.fullmatch("[a-z][a-z0-9_-]*", key), line
        assert re.fullmatch(r"[\x20-\x7e]*", str(value)), line


@pytest.mark.parametrize("form", ["text", "json"])
def test_clients_can_not_write_the_log(folder, hopseald, keys, form):
    keys.add("one.example")
    with Sink() as sink:
        site = configs.egress(folder, sink.port, common=[
            "keys: keys", "keys-file: dns.json", f"log: {form}"])
        daemon = hopseald(site.config)
        evil = EVIL.encode("utf-8", "replace")
        for line in (b"EHLO " + evil, b"EHLO a\rb", b"MAIL FROM:<" + evil + b"@one.example>",
                     b"RCPT TO:<" + evil + b">", FORGED.encode(),
                     b"MAIL FROM:<a@one.example> X=" + evil):
            with Client(site.port, hello="x") as c:
                try:
                    c.command(line + b"\r\n")
                    c.command(b"MAIL FROM:<\"" + FORGED.encode()[:50] +
                              b"\"@elsewhere.example>\r\n")
                except (Closed, AssertionError):
                    pass
        with Client(site.port, hello="x\\y|z'$(id)") as c:
            reply = c.mail("a@one.example", "\"\\\x1b x\"@two.example",
                           message(1, 1, "a@one.example", "b@two.example"))
            assert reply[0] // 100 in (2, 5), reply
        check(daemon.log_file.read_bytes())


def test_next_hops_can_not_write_the_log(folder, hopseald, keys):
    keys.add("one.example")
    said = f"550-5.7.1 {EVIL}\r\n550-5.7.1 \n{FORGED}\r\n550 5.7.1 x\x00\x1b"
    for stage in ("banner", "ehlo", "mail", "rcpt", "data", "dot"):
        for text in (said, f"451 {EVIL} \r{FORGED}", f"250 {EVIL}\\n{FORGED}",
                     f"\n{FORGED}", f"999 {FORGED}"):
            text = text.encode("utf-8").decode("latin-1")
            with Sink(**{stage: text}) as sink:
                site = configs.egress(folder, sink.port)
                daemon = hopseald(site.config, f"{stage}-{site.port}")
                with Client(site.port) as c:
                    c.mail("a@one.example", "b@two.example",
                           message(1, 1, "a@one.example", "b@two.example"))
                check(daemon.log_file.read_bytes())
                daemon.stop()


@pytest.mark.parametrize("form", ["text", "json"])
def test_messages_can_not_write_the_log(folder, hopseald, keys, form):
    """Tags of a signature and the like are shown with their verdict."""
    keys.add("two.example")
    with Sink() as sink:
        site = configs.inbound(folder, sink.port, common=[
            "keys: keys", "keys-file: dns.json", f"log: {form}"])
        daemon = hopseald(site.config)
        for field in (f"DKIM2-Signature: i=1; m=1; d={EVIL}.example; s=x:y:z;",
                      f"DKIM2-Signature: i=1; m=1; t={FORGED}; d=a.example;",
                      f"Message-Instance: m=1; h=sha256:{EVIL}:x;",
                      f"Message-ID: <{EVIL}@x> to=<a@b>, status=sent (no)"):
            content = field.encode() + b"\r\n" + message(
                1, 1, "a@one.example", "b@two.example")
            with Client(site.port) as c:
                c.mail("a@one.example", "b@two.example", content)
        fate = "status=" if form == "text" else '"status": "'
        harness.until(lambda: daemon.log().count(fate) >= 4, "the fates")
        check(daemon.log_file.read_bytes())
