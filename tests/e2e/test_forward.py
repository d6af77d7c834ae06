"""A forwarder: return addresses under its own domain, secrets that are turned,
imaginary hops. The peer says of each message whether custody holds (V19)."""

import os
import re
import signal

import pytest

import harness
from configs import Site
from smtptools import Client, Sink, header_fields

ALICE, BOB, ROBERT = ("alice@one.example", "bob@two.example",
                      "robert@three.example")
TOKEN = r"hopseal=[a-z2-7]{48}@two\.example"
SRS = r"SRS0=[A-Za-z0-9+/]{4}=[A-Z2-7]{2}=one\.example=alice@two\.example"


def message(mid="1"):
    return (f"From: Alice <{ALICE}>\r\nTo: {BOB}\r\nSubject: Words\r\n"
            f"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
            f"Message-ID: <{mid}@one.example>\r\n\r\nText\r\n").encode()


def signed(keys, mid="1", to=(BOB,)):
    return harness.run(
        harness.HOPSEAL, "sign", "--domain", "one.example", "--selector", "ed",
        "--key", keys.pem("one.example", "ed"), "--mail-from", ALICE,
        *(w for r in to for w in ("--rcpt-to", r)), stdin=message(mid))


def put_secret(folder, name, text, when=None):
    secrets = folder / "secrets"
    secrets.mkdir(mode=0o700, exist_ok=True)
    path = secrets / name
    path.write_text(text)
    path.chmod(0o600)
    if when is not None:
        os.utime(path, (when, when))


def forwarder(folder, onward, mail_from):
    return Site(folder, "forward", onward, "domains: [two.example]",
                f'aliases: {{"{BOB}": "{ROBERT}"}}', f"mail-from: {mail_from}",
                common=["keys: keys", "keys-file: dns.json",
                        "secrets: secrets"])


@pytest.fixture
def two(keys):
    return keys.add("one.example").add("two.example")


def numbers(content):
    """i=, d= and nd= of each signature, the top one first."""
    found = []
    for field in header_fields(content)[0]:
        if not field.lower().startswith(b"dkim2-signature:"):
            continue
        text = b"".join(field.split(b":", 1)[1].split()).decode()
        tags = dict(t.split("=", 1) for t in text.split(";") if t)
        found.append((int(tags["i"]), tags["d"], tags.get("nd")))
    return found


@pytest.mark.parametrize("how, form", [("srs", SRS), ("token", TOKEN)])
def test_V19_custody_holds(folder, hopseald, two, peer, how, form):
    put_secret(folder, "1", "a secret of this test\n")
    with Sink() as sink:
        site = forwarder(folder, sink.port, how)
        hopseald(site.config)
        with Client(site.port) as c:
            assert c.mail(ALICE, BOB, signed(two))[0] == 250
        mail = sink.mails[0]
        assert re.fullmatch(form, mail.mail_from), mail.mail_from
        assert numbers(mail.content) == [(2, "two.example", None),
                                         (1, "one.example", None)]
        verdict = harness.peer_verify(peer, two.file, mail.content,
                                      mail.mail_from, [ROBERT])
        assert verdict["fully_verified"], verdict
        # what comes back leads there in any case, and nothing like it
        with Client(site.port) as c:
            for back in (mail.mail_from, mail.mail_from.lower()):
                assert c.envelope("", back)[0] == 250
                c.command("RSET")
            forged = mail.mail_from.replace("a", "b", 1)
            assert c.envelope("", forged)[1].startswith("5.1.1 ")
            c.command("RSET")
            assert c.envelope(BOB, mail.mail_from)[1].startswith("5.7.1 ")


BOUNCE = (b"From: MAILER-DAEMON@three.example\r\nTo: you\r\n"
          b"Subject: Undelivered\r\n\r\nIt is gone.\r\n")


@pytest.mark.parametrize("how", ["srs", "token"])
def test_K_bounces_lead_back(folder, hopseald, two, nsd, how):
    """By the MX of whom the address stands for, unsigned; for a token after
    another daemon was started, too."""
    put_secret(folder, "1", "a secret of this test\n")
    port = harness.free_port()
    server = nsd(["one.example. MX 10 mx.one.example.\n",
                  "mx.one.example. A 127.0.0.2\n",
                  "three.example. MX 10 mx.three.example.\n",
                  "mx.three.example. A 127.0.0.3\n"])
    site = forwarder(folder, port, how)
    site.config = re.sub(r"next-hop: .*", "next-hop: mx",
                         site.config).replace(
        "keys-file: dns.json", f'resolver: ["127.0.0.1:{server.port}"]')
    site.config += f"    mx-port: {port}\n    verify: off\n"
    daemon = hopseald(site.config)
    with Sink(port, host="127.0.0.2") as one, \
            Sink(port, host="127.0.0.3") as three:
        with Client(site.port) as c:
            assert c.mail(ALICE, BOB, message())[0] == 250
        back = three.mails[0].mail_from
        assert not one.mails
        for again in range(2):
            with Client(site.port) as c:
                reply = c.mail("", back, BOUNCE + b"%d\r\n" % again)
                assert reply[0] == 250, reply
            daemon.kill() if again == 0 else daemon.stop()
            daemon.start()
        assert [(m.mail_from, m.rcpt_to) for m in one.mails] == \
            [("", [ALICE])] * 2
        assert b"DKIM2-Signature" not in one.mails[0].content
        assert one.mails[0].content.endswith(BOUNCE + b"0\r\n")
        assert len(three.mails) == 1
        # and nobody else is led there
        with Client(site.port) as c:
            assert c.envelope("", back.replace("two.", "three."))[0] == 554
            c.command("RSET")
            assert c.envelope(BOB, back)[1].startswith("5.7.1 ")


def test_secrets_are_turned(folder, hopseald, two):
    """The newest makes, after a reload; the older ones still verify, until
    they are gone."""
    put_secret(folder, "zero", "the first secret of the test", 1000)
    with Sink() as sink:
        site = forwarder(folder, sink.port, "srs")
        daemon = hopseald(site.config)

        def made(mid):
            with Client(site.port) as c:
                assert c.mail(ALICE, BOB, message(mid))[0] == 250
            return sink.mails[-1].mail_from

        def answer(address):
            with Client(site.port) as c:
                return c.envelope("", address)[0]

        def reload():
            n = len(re.findall("ready: ", daemon.log()))
            daemon.process.send_signal(signal.SIGHUP)
            harness.until(lambda: len(re.findall("ready: ", daemon.log())) > n,
                          "the new generation")

        old = made("1")
        put_secret(folder, "one", "the second secret of the test", 2000)
        assert made("2") == old
        reload()
        new = made("3")
        assert new != old and answer(old) == answer(new) == 250
        (folder / "secrets" / "zero").unlink()
        reload()
        assert answer(old) == 550 and answer(new) == 250
        # one that others can read is refused, and all goes on as it was
        put_secret(folder, "two", "the third secret of the test", 3000)
        (folder / "secrets" / "two").chmod(0o644)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_log("secrets/two: mode 0644 lets others")
        daemon.wait_log("the old configuration goes on")
        assert answer(new) == 250


@pytest.mark.parametrize("how, rule", [
    ("none", "can not read"), ("empty", "has no secret"),
    ("short", "short enough to be guessed"), ("open", "lets others")])
def test_what_is_wrong_with_secrets_is_told(folder, two, how, rule):
    site = forwarder(folder, 9, "srs")
    if how != "none":
        (folder / "secrets").mkdir(mode=0o700)
    if how in ("short", "open"):
        put_secret(folder, "1", "x" * 15 if how == "short" else "x" * 16)
    if how == "open":
        (folder / "secrets" / "1").chmod(0o604)
    config = folder / "c.yaml"
    config.write_text(site.config)
    done = harness.run(harness.HOPSEALD, "-t", "-c", config, ok=False)
    assert done.returncode == 78 and rule in done.stderr.decode()


def test_G7_imaginary_hop(folder, hopseald, two, peer):
    """MAIL FROM stays at a domain that is ours too."""
    put_secret(folder, "1", "a secret of this test\n")
    with Sink() as sink:
        site = forwarder(folder, sink.port, "keep")
        daemon = hopseald(site.config)
        with Client(site.port) as c:
            assert c.mail(ALICE, BOB, signed(two))[0] == 250
        mail = sink.mails[0]
        assert mail.mail_from == ALICE
        assert numbers(mail.content) == [
            (3, "one.example", None), (2, "two.example", "one.example"),
            (1, "one.example", None)]
        daemon.wait_log("signed=yes d=one.example via=two.example")
        verdict = harness.peer_verify(peer, two.file, mail.content, ALICE,
                                      [ROBERT])
        assert verdict["fully_verified"], verdict
        # without either of the two it is no chain
        fields, body = header_fields(mail.content)
        tops = [f for f in fields if f.lower().startswith(b"dkim2-signature:")]
        for gone in tops[:2]:
            cut = mail.content.replace(gone, b"", 1)
            verdict = harness.peer_verify(peer, two.file, cut, ALICE, [ROBERT])
            assert not verdict["fully_verified"], verdict


def test_N_feedback_goes_by_way_of_the_forwarder(folder, hopseald, two, peer):
    """It alone knows where the mail went (f=feedhere)."""
    put_secret(folder, "1", "a secret of this test\n")
    with Sink() as sink:
        site = forwarder(folder, sink.port, "srs")
        hopseald(site.config)
        for mid, flags in (("1", ["--flags", "feedback"]), ("2", [])):
            content = harness.run(
                harness.HOPSEAL, "sign", "--domain", "one.example",
                "--selector", "ed", "--key", two.pem("one.example", "ed"),
                "--mail-from", ALICE, "--rcpt-to", BOB, *flags,
                stdin=message(mid))
            with Client(site.port) as c:
                assert c.mail(ALICE, BOB, content)[0] == 250
            mail = sink.mails[-1]
            assert (b"f=feedhere" in mail.content) == bool(flags)
            verdict = harness.peer_verify(peer, two.file, mail.content,
                                          mail.mail_from, [ROBERT])
            assert verdict["fully_verified"], verdict


def test_G7_new_mail_from_two_domains(folder, hopseald, two, peer):
    """From and MAIL FROM at two domains of ours: i=1 with nd=, and i=2, which
    may be exploded (G12)."""
    with Sink() as sink:
        site = Site(folder, "egress", sink.port, "clients: [127.0.0.1]",
                    "senders: [one.example, two.example]")
        hopseald(site.config)
        to = [BOB, "carol@two.example"]
        content = message().replace(b"To: " + BOB.encode(),
                                    b"To: " + ", ".join(to).encode())
        with Client(site.port) as c:
            c.command("MAIL FROM:<bounces@two.example>")
            for rcpt in to:
                assert c.command(f"RCPT TO:<{rcpt}>")[0] == 250
            assert c.content(content)[0] == 250
        mail = sink.mails[0]
        assert sorted(mail.rcpt_to) == to
        assert numbers(mail.content) == [
            (2, "two.example", None), (1, "one.example", "two.example")]
        assert b"f=exploded" in mail.content
        verdict = harness.peer_verify(peer, two.file, mail.content,
                                      "bounces@two.example", to)
        assert verdict["fully_verified"], verdict
