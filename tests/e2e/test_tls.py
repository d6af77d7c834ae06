"""TLS with clients: STARTTLS and smtps://, what is refused, and how
certificates are replaced. Rows T1, T4, T5, T6, T10."""

import os
import re
import signal
import socket
import ssl
import subprocess
import urllib.request

import pytest

import harness
from certs import Authority, Pair
from configs import inbound
from harness import until
from smtptools import Client, Closed, Sink, Stream

MESSAGE = b"From: a@one.example\r\nTo: b@two.example\r\n\r\nhello\r\n"
NAME = "hop.example.net"


@pytest.fixture
def ca(folder):
    return Authority(folder)


@pytest.fixture
def sink():
    with Sink() as s:
        yield s


class Place:
    """A hopseald with a certificate, in front of a sink."""

    def __init__(self, folder, ca, start, sink, *more, tls=None, metrics=False,
                 **kw):
        self.ca = ca
        self.pair = ca.pair("first", NAME)
        self.sink = sink
        site = inbound(folder, sink.port, f"tls: {tls or self.pair}", *more,
                       common=[], **kw)
        self.port, self.config = site.port, site.config
        if metrics:
            self.metrics = harness.free_port()
            self.config = f"metrics: {self.metrics}\n{self.config}"
        self.daemon = start(self.config)

    def context(self, check=True):
        context = ssl.create_default_context(cafile=str(self.ca.cert))
        if not check:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


@pytest.fixture
def place(folder, ca, hopseald, sink):
    return lambda *more, **kw: Place(folder, ca, hopseald, sink, *more, **kw)


def start_tls(client, context, name=NAME):
    """STARTTLS and the handshake; the client goes on under TLS."""
    reply = client.command("STARTTLS")
    assert reply[0] == 220, reply
    wrap(client, context, name)


def wrap(client, context, name=NAME, session=None):
    client.sock = context.wrap_socket(client.sock, server_hostname=name,
                                      session=session)
    client.stream = Stream(client.sock)


def implicit(port, context, name=NAME):
    client = Client.__new__(Client)
    client.sock = socket.create_connection(("127.0.0.1", port), 60)
    wrap(client, context, name)
    client.banner = client.reply()
    return client


def certificate_of(client):
    return client.sock.getpeercert(binary_form=True)


def der(pair):
    return ssl.PEM_cert_to_DER_cert(pair.cert.read_text())


def s_client(port, *options, stdin=b"QUIT\r\n"):
    done = subprocess.run(
        ["openssl", "s_client", "-starttls", "smtp", "-connect",
         f"127.0.0.1:{port}", *options], input=stdin, capture_output=True,
        timeout=harness.WAIT)
    return (done.stdout + done.stderr).decode(errors="replace")


def test_a_message_under_tls(place):
    place = place()
    with Client(place.port) as client:
        assert "STARTTLS" in client.ehlo[1].split("\n")
        start_tls(client, place.context())
        # what was said in plain is forgotten: RFC 3207 4.2
        assert client.command("MAIL FROM:<a@one.example>")[0] == 503
        ehlo = client.command("EHLO client.example")
        assert ehlo[0] == 250 and "STARTTLS" not in ehlo[1].split("\n")
        assert client.command("STARTTLS")[0] == 503
        assert client.mail("a@one.example", "b@two.example", MESSAGE)[0] == 250
        assert client.command("QUIT")[0] == 221
        # our good bye, so that the client knows it has all of it: T4
        assert client.sock.recv(1) == b""
    received = place.sink.mails[0].content.split(b"\r\n\r\n")[0]
    assert re.search(rb"\(using TLSv1\.3 with cipher \S+\)", received)
    assert b"with ESMTPS id" in received


def test_tls_from_the_first_octet(place):
    place = place(listen='["smtps://127.0.0.1:{port}"]')
    client = implicit(place.port, place.context())
    assert client.banner[0] == 220
    ehlo = client.command("EHLO client.example")
    assert "STARTTLS" not in ehlo[1].split("\n")
    assert client.mail("a@one.example", "b@two.example", MESSAGE)[0] == 250
    assert client.command("QUIT")[0] == 221
    client.close()
    assert b"with ESMTPS id" in place.sink.mails[0].content


def test_tls_required(place):
    place = place("tls-required: yes")
    with Client(place.port) as client:
        assert client.command("MAIL FROM:<a@one.example>")[0] == 530
        start_tls(client, place.context())
        client.command("EHLO client.example")
        assert client.envelope("a@one.example", "b@two.example")[0] == 250


def test_t1_commands_behind_starttls(place):
    """Whatever comes in plain with STARTTLS is not run, in plain or later."""
    place = place()
    inject = b"MAIL FROM:<evil@one.example>\r\nRCPT TO:<b@two.example>\r\n"
    with Client(place.port) as client:
        client.send(b"STARTTLS\r\n" + inject)
        assert client.reply() == (
            554, "5.5.1 Error: improper pipelining behind STARTTLS")
        assert client.is_closed()
    # half a command in plain, half of it under TLS
    with Client(place.port) as client:
        client.send(b"STARTTLS\r\nMAIL FR")
        assert client.reply()[0] == 554
        assert client.is_closed()
    # in plain where the ClientHello must be: no word, and the line is cut
    for split in (False, True):
        with Client(place.port) as client:
            assert client.command("STARTTLS")[0] == 220
            for part in ([inject[:1], inject[1:]] if split else [inject]):
                client.send(part)
            # at most an alert
            try:
                assert b"MAIL" not in client.sock.recv(4096)
            except ConnectionError:
                pass
    place.daemon.wait_log(r"tls: client=\[127\.0\.0\.1\]:\d+, listener=l: "
                          r"TLS handshake failed: what came is no TLS")
    assert not place.sink.mails


def test_t4_a_message_that_is_cut_off(place):
    """A FIN without a good bye in the middle of DATA: nothing is delivered,
    also where what came so far looks like all of it but for the dot."""
    place = place()
    client = Client(place.port)
    start_tls(client, place.context())
    client.command("EHLO client.example")
    client.envelope("a@one.example", "b@two.example")
    assert client.command("DATA")[0] == 354
    client.send(MESSAGE)
    os.close(client.sock.detach())
    with Client(place.port) as other:
        start_tls(other, place.context())
        other.command("EHLO client.example")
        assert other.mail("c@one.example", "b@two.example", MESSAGE)[0] == 250
    assert [m.mail_from for m in place.sink.mails] == ["c@one.example"]


@pytest.mark.parametrize("version", ["tls1", "tls1_1"])
def test_t5_old_versions(place, version):
    place = place()
    said = s_client(place.port, f"-{version}", "-cipher", "ALL:@SECLEVEL=0")
    assert "Cipher is (NONE)" in said
    place.daemon.wait_log("TLS handshake failed: the peer offers nothing "
                          "above TLS 1.1")
    assert "Cipher is (NONE)" not in s_client(place.port, "-tls1_2")


def test_t5_renegotiation(place):
    place = place()
    said = s_client(place.port, "-tls1_2", stdin=b"R\n")
    assert "Cipher is (NONE)" not in said
    assert "RENEGOTIATING" in said and "no renegotiation" in said


def test_the_name_chooses_the_certificate(folder, ca, place):
    second = ca.pair("second", "other.example.net", "*.wild.example.net")
    first = ca.pair("first", NAME)
    place = place(tls=f"[{first}, {second}]")
    place.pair = first = Pair(folder, "first")
    for name, pair in ((NAME, 0), ("other.example.net", 1),
                       ("a.wild.example.net", 1), ("unknown.example", 0),
                       (None, 0)):
        with Client(place.port) as client:
            start_tls(client, place.context(False), name)
            assert certificate_of(client) == der((first, second)[pair])


def secured(place, context, session=None):
    """A client that has begun TLS. A worker that leaves may take it, and say
    421: then once more."""
    def attempt():
        try:
            client = Client(place.port)
            reply = client.command("STARTTLS")
            assert reply[0] in (220, 421), reply
            if reply[0] == 421:
                return client.close()
            wrap(client, context, session=session)
            return client
        except Closed:
            return None

    return until(attempt, "a worker that stays")


def session_with(place, version, session=None, context=None):
    """The session after one word was exchanged, and whether it was resumed."""
    if context is None:
        context = place.context()
    context.minimum_version = context.maximum_version = version
    with secured(place, context, session) as client:
        client.command("EHLO client.example")
        return client.sock.session, client.sock.session_reused, context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2,
                                     ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(place, version):
    """By any worker, and by those that come with a reload."""
    place = place(workers=3)
    session, is_resumed, context = session_with(place, version)
    assert not is_resumed
    for _ in range(6):
        session, is_resumed, _ = session_with(place, version, session, context)
        assert is_resumed
    log = place.daemon.log()
    place.daemon.process.send_signal(signal.SIGHUP)
    until(lambda: " ready: " in place.daemon.log()[len(log):], "a reload")
    assert session_with(place, version, session, context)[1]


def test_t10_a_slow_handshake(place):
    place = place("tls-timeout: 1s")
    with Client(place.port) as client:
        assert client.command("STARTTLS")[0] == 220
        client.send(b"\x16\x03\x01")
        assert client.is_closed()
    place.daemon.wait_log("no handshake in time")


def presented(place):
    with secured(place, place.context(False)) as client:
        return certificate_of(client)


BAD_PAIRS = {
    "key of another": lambda place: place.pair.key.write_text(place.ca.key.read_text()),
    "no key": lambda place: place.pair.key.write_text("nothing\n"),
    "key is gone": lambda place: place.pair.key.unlink(),
    "key is open": lambda place: place.pair.key.chmod(0o644),
    "certificate is gone": lambda place: place.pair.cert.unlink(),
    "certificate of another": lambda place: place.pair.cert.write_text(
        place.ca.cert.read_text()),
    "half a certificate": lambda place: place.pair.cert.write_text(
        place.pair.cert.read_text()[:300]),
}


@pytest.mark.parametrize("how", ["reload", "change"])
def test_T6_a_certificate_is_swapped(place, how):
    """New sessions have the new one, transactions go on; a bad pair changes
    nothing, and is told, whatever is wrong with it."""
    place = place(workers=2, metrics=True)
    old = der(place.pair)
    assert presented(place) == old

    def counted(result):
        with urllib.request.urlopen(f"http://127.0.0.1:{place.metrics}/metrics") as page:
            text = page.read().decode()
        return int((re.search(rf'hopseal_reloads_total{{result="{result}"}} (\d+)', text)
                    or [0, 0])[1])

    with Client(place.port) as client:
        start_tls(client, place.context())
        client.command("EHLO client.example")
        client.envelope("a@one.example", "b@two.example")
        place.ca.pair("next", NAME, into=place.pair)
        new = der(place.pair)
        again(place, how, " ready: ")
        assert presented(place) == new
        assert client.content(MESSAGE)[0] == 250
    good = place.pair.key.read_text(), place.pair.cert.read_text()
    bad = BAD_PAIRS if how == "reload" else ["key of another"]   # it takes its time
    assert (counted("ok"), counted("failed")) == (1, 0)
    for k, name in enumerate(bad):
        BAD_PAIRS[name](place)
        again(place, how, "the old (certificates|configuration) go")
        assert re.search(rf"error: .*({place.pair.key}|{place.pair.cert}): ",
                         place.daemon.log()), name
        assert presented(place) == new, name
        assert counted("failed") == k + 1, name
        place.pair.key.write_text(good[0])
        place.pair.cert.write_text(good[1])
        place.pair.key.chmod(0o600)
        # and what is mended is taken; without another word, where it is seen
        again(place, how, " ready: ")
        assert presented(place) == new


def again(place, how, pattern):
    n = len(re.findall(pattern, place.daemon.log()))
    if how == "reload":
        place.daemon.process.send_signal(signal.SIGHUP)
    until(lambda: len(re.findall(pattern, place.daemon.log())) > n, pattern)


def test_the_check_reads_certificates(folder, ca):
    pair = ca.pair("first", NAME)
    site = inbound(folder, 25, f"tls: {pair}", common=[])

    def check():
        path = folder / "c.yaml"
        path.write_text(site.config)
        done = harness.run(harness.HOPSEALD, "-t", "-c", path, ok=False)
        return done.returncode, done.stderr.decode()

    assert check()[0] == 0
    pair.key.chmod(0o644)
    code, said = check()
    assert code == 78 and "mode 0644 lets others at the key" in said
    pair.key.chmod(0o600)
    pair.cert.unlink()
    code, said = check()
    assert code == 78 and f"{pair.cert}: no certificate could be read" in said
    # one that has expired is told, and no reason not to start
    ca.pair("old", NAME, days=-1, into=pair)
    code, said = check()
    assert code == 0 and "the certificate has expired" in said
