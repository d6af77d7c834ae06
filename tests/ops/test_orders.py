"""The night it breaks: orders to a hopseald that runs, and `hopseal test`."""

import re
import shutil

import pytest

import harness
from certs import Authority
from configs import egress, inbound
from harness import until
from smtptools import Client, Closed, Sink
from test_process import CONTROL, children

ALICE, BOB = "alice@one.example", "bob@two.example"
LETTER = (b"From: Alice <alice@one.example>\r\nTo: bob@two.example\r\n"
          b"Date: Thu, 26 Nov 2026 00:00:00 +0000\r\n"
          b"Message-ID: <1@one.example>\r\n\r\nhello\r\n")


@pytest.fixture
def folder(request):
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", request.node.name)[:80]
    path = harness.open_folder(name)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def sink():
    with Sink() as s:
        yield s


def hopseal(daemon, *words, code=0):
    """The command, asking this daemon; what it printed."""
    done = harness.run(harness.HOPSEAL, words[0], "-c", daemon.config,
                       *words[1:], ok=False)
    said = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == code, said
    return said


def send(port, code=250):
    with Client(port) as client:
        got = client.mail(ALICE, BOB, LETTER)
    assert got[0] == code, got


def is_signed(sink):
    return b"DKIM2-Signature: i=1" in sink.mails[-1].content


@pytest.fixture
def site(folder, sink):
    harness.Keys(folder).add("one.example", rsa2048=None)
    return egress(folder, sink.port, "replay: off")


def test_bypass_from_begin_to_end(folder, sink, site):
    """Unsigned while it lasts, alarmed, across a reload, and over by itself
    though nobody is there to end it."""
    with harness.Hopseald(folder, site.config) as daemon:
        send(site.port)
        assert is_signed(sink)
        said = hopseal(daemon, "bypass", "on", "--listener", "l",
                       "--for", "1h")
        assert said == "listener l: BYPASS: unsigned and not judged, " \
            "by order, 1h 0m left\n"
        daemon.wait_log(r"error: ALARM: bypass: mail of listener l leaves "
                        r"unsigned and is not judged, until \S+ \(1h 0m\)")
        send(site.port)
        assert not is_signed(sink)
        daemon.wait_log(r"status=sent .* rule=\"bypass\" bypass=yes")
        hopseal(daemon, "reload")
        send(site.port)
        assert not is_signed(sink)
        assert "listener l: BYPASS: unsigned" in hopseal(daemon, "status")
        assert "no orders" in hopseal(daemon, "bypass", "off", "--all")
        daemon.wait_log(r"ALARM: bypass: over: mail of listener l")
        send(site.port)
        assert is_signed(sink)
        hopseal(daemon, "bypass", "on", "--all", "--for", "3s")
        send(site.port)
        assert not is_signed(sink)
        daemon.kill(min(children(daemon, CONTROL)))

        def is_over():
            send(site.port)
            return is_signed(sink)

        until(is_over, "the bypass to end")


def test_bypass_without_a_signer(folder, sink, site):
    """Its keys are gone, and with them what would replace it."""
    with harness.Hopseald(folder, site.config) as daemon:
        (folder / "keys").rename(folder / "lost")
        daemon.kill(min(children(daemon, "hopseald-signer")))
        daemon.wait_log(r"signer/1 .*died")
        send(site.port, 451)
        hopseal(daemon, "bypass", "on", "--listener", "l")
        send(site.port)
        assert not is_signed(sink)
        (folder / "lost").rename(folder / "keys")


def test_a_listener_that_is_gone_loses_its_orders(folder, sink, site):
    other = site.config.replace("\n  l:\n", "\n  other:\n")
    with harness.Hopseald(folder, site.config) as daemon:
        hopseal(daemon, "pause", "l")
        daemon.config.write_text(other)
        hopseal(daemon, "reload")
        assert "there is no listener `l`; there is other" in hopseal(
            daemon, "resume", "l", code=69)
        send(site.port)
        daemon.config.write_text(site.config)
        hopseal(daemon, "reload")
        send(site.port)


def test_orders_one_by_one(folder, sink):
    site = inbound(folder, sink.port, "replay: off", workers=2,
                   common=["keys-file: dns.json"])
    (folder / "dns.json").write_text("{}")
    forged = b"DKIM2-Signature: i=1; this is none\r\n" + LETTER
    with harness.Hopseald(folder, site.config) as daemon:
        with Client(site.port) as client:
            hopseal(daemon, "pause", "l", "--for", "10m")
            assert client.command(f"MAIL FROM:<{ALICE}>")[0] == 451
            assert client.command("NOOP")[0] == 250
            hopseal(daemon, "drain", "--all")
            with pytest.raises((AssertionError, Closed)):
                Client(site.port)
            assert "paused no more" not in daemon.log()
            hopseal(daemon, "resume", "l")
            daemon.wait_log("paused no more: listener l")
            assert client.mail(ALICE, BOB, LETTER)[0] == 250
            hopseal(daemon, "set", "l", "verify=enforce")
            assert client.mail(ALICE, BOB, forged)[0] == 550
            hopseal(daemon, "set", "--all", "verify=off", "--for", "1h")
            assert client.mail(ALICE, BOB, forged)[0] == 250
            assert "verify: off" in hopseal(daemon, "set", "l", "verify=off")
            hopseal(daemon, "set", "l", "verify=")
            hopseal(daemon, "debug", "--client", "127.0.0.0/8")
            assert client.command("VRFY seen")[0] == 252
            daemon.wait_log(r"debug: client=\[127.0.0.1\]:\d+, listener=l: "
                            r"C: VRFY seen")
            hopseal(daemon, "debug", "off")
            assert client.command("VRFY hidden")[0] == 252
            assert "hidden" not in daemon.log()


def test_what_is_no_order_is_refused(folder, sink, site):
    with harness.Hopseald(folder, site.config) as daemon:
        for words in (["bypass"], ["bypass", "on"], ["bypass", "on", "l"],
                      ["bypass", "on", "--listener", "l", "--all"],
                      ["bypass", "on", "--listener", "l", "--for", "soon"],
                      ["pause"], ["pause", "l", "--all"], ["resume"],
                      ["set", "l"], ["set", "l", "unsigned=refuse"],
                      ["set", "verify=off"], ["debug"],
                      ["debug", "off", "--for", "1m"]):
            hopseal(daemon, *words, code=64)
        assert "1 to 604800" in hopseal(daemon, "bypass", "on", "--all",
                                        "--for", "8d", code=69)
        assert "no listener `x`" in hopseal(daemon, "pause", "x", code=69)
        assert "`none` is none of" in hopseal(daemon, "set", "l",
                                              "verify=none", code=69)
        assert "`x` " in hopseal(daemon, "debug", "--client", "x", code=69)
        assert "by order" not in hopseal(daemon, "resume", "l")
    hopseal(daemon, "pause", "l", code=75)


# ---- hopseal test ------------------------------------------------------------


def test_test_shows_each_step(folder, sink, site):
    with harness.Hopseald(folder, site.config) as daemon:
        said = hopseal(daemon, "test", "l", "--to", BOB)
        steps = [line.split()[0] for line in said.splitlines()]
        assert steps == ["connect", "banner", "EHLO", "MAIL", "RCPT", "DATA",
                         "answer", "taken"]
        mail = sink.mails[-1]
        assert is_signed(sink) and b"Subject: hopseal test of" in mail.content
        assert mail.mail_from == "postmaster@one.example"
        identity = re.search(r"hopseal trace (\w+)", said).group(1)
        daemon.wait_log(f"{identity}: to=<{BOB}>.* status=sent")
        said = hopseal(daemon, "test", "l", "--to", BOB, "--from",
                       "eve@far.example", code=1)
        assert "refused at MAIL: --from is to be" in said
        hopseal(daemon, "pause", "l")
        said = hopseal(daemon, "test", "l", "--to", BOB, code=75)
        assert "451 4.3.2 Paused by the operator" in said
        hopseal(daemon, "drain", "l")
        said = hopseal(daemon, "test", "l", "--to", BOB, code=75)
        assert "421 4.3.2 Drained" in said and "not now at banner" in said
        hopseal(daemon, "test", "x", "--to", BOB, code=64)
        hopseal(daemon, "test", "l", code=64)
        hopseal(daemon, "test", "l", "--to", "bob", code=64)
    said = hopseal(daemon, "test", "l", "--to", BOB, code=75)
    assert "no connect: " in said


def test_test_of_strangers(folder, sink):
    site = inbound(folder, sink.port, "unsigned: refuse",
                   common=["keys-file: dns.json"])
    (folder / "dns.json").write_text("{}")
    with harness.Hopseald(folder, site.config) as daemon:
        said = hopseal(daemon, "test", "l", "--to", "eve@far.example", code=1)
        assert "none of the listener's `domains`" in said
        said = hopseal(daemon, "test", "l", "--to", BOB, code=1)
        assert "has `unsigned: refuse`" in said


@pytest.mark.parametrize("how", ["starttls", "smtps"])
def test_test_under_tls(folder, sink, how):
    pair = Authority(folder).pair("hop", "hop.example.net")
    site = inbound(folder, sink.port, f"tls: {pair}", *(
                       ["tls-required: yes"] if how == "starttls" else []),
                   listen='["smtps://127.0.0.1:{port}"]' if how == "smtps"
                   else None, common=["keys-file: dns.json"])
    (folder / "dns.json").write_text("{}")
    with harness.Hopseald(folder, site.config) as daemon:
        said = hopseal(daemon, "test", "l", "--to", f"<{BOB}>")
        assert "TLS       TLSv1.3, " in said
        assert ("STARTTLS" in said.split("\n")[3]) == (how == "starttls")


def test_what_a_reload_does_not_allow_is_taken_back(folder, sink):
    """`verify=off` was fit for a listener that had no `policy`."""
    (folder / "dns.json").write_text("{}")
    site = inbound(folder, sink.port, "replay: off",
                   common=["keys-file: dns.json"])
    policy = "    policy:\n      - {condition: never-entered, action: refuse}\n"
    with harness.Hopseald(folder, site.config) as daemon:
        hopseal(daemon, "set", "l", "verify=off")
        send(site.port)
        daemon.config.write_text(site.config + policy)
        hopseal(daemon, "reload")
        daemon.wait_log("listener l can not have verify=off any more, it is "
                        "taken back: its `policy` goes by verdicts")
        send(site.port, 550)
        assert "verify" not in hopseal(daemon, "resume", "l")
