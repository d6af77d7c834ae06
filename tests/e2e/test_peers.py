"""Who talks to us, and how: TLS, chunks, LMTP, proxies, slow clients, crowds."""

import re
import socket
import ssl
import struct
import time

import pytest

import harness
from certs import Authority
from configs import inbound
from nexthop import NextHop
from smtptools import Client, Closed, Sink, Stream

ALICE, BOB = "alice@one.example", "bob@two.example"
CONTENT = (b"From: <alice@one.example>\r\nMessage-ID: <1@one.example>\r\n\r\n"
           b".one\r\n..\r\ntwo\r\n")


def another(n):
    """Another message: the same one would not be delivered twice."""
    return CONTENT.replace(b"<1@", b"<%d@" % n)


SMUGGLED = (b"EHLO evil\r\nMAIL FROM:<eve@one.example>\r\n"
            b"RCPT TO:<bob@two.example>\r\n")


@pytest.fixture
def sink():
    with Sink() as s:
        yield s


@pytest.fixture
def pair(folder):
    """The directive `tls` with a new certificate."""
    return f"tls: {Authority(folder).pair('first', 'hop.example.net')}"


class Raw(Client):
    """A connection that waits for no banner."""

    def __init__(self, port, octets=b"", source=None):
        self.sock = socket.socket()
        self.sock.settimeout(60)
        if source:
            self.sock.bind((source, 0))
        self.sock.connect(("127.0.0.1", port))
        self.stream = Stream(self.sock)
        if octets:
            self.send(octets)


def is_closed_in_silence(client):
    """Not an octet comes before the end."""
    try:
        return client.sock.recv(1) == b""
    except ConnectionError:
        return True


# --- chunks ----------------------------------------------------------------

def test_chunks_arrive_octet_for_octet(hopseald, folder, sink, keys):
    site = inbound(folder, sink.port)
    hopseald(site.config)
    with Client(site.port) as c:
        assert "CHUNKING" in c.ehlo[1].split("\n")
        assert c.envelope(ALICE, BOB)[0] == 250
        octets = b"".join(b"BDAT %d%s\r\n%s" % (len(part), last, part)
                          for part, last in ((CONTENT[:40], b""), (b"", b""),
                                             (CONTENT[40:], b" LAST")))
        c.send(octets)
        assert [c.reply()[0] for _ in range(3)] == [250] * 3
        assert c.command("NOOP")[0] == 250
    assert len(sink.mails) == 1 and not sink.faults
    assert sink.mails[0].content.endswith(CONTENT)


def test_F3_F10_refused_chunks_smuggle_nothing(hopseald, folder, sink, keys):
    """A bare LF, a lone dot and commands in chunks never get to the next hop,
    nor are they run here; the session is in step."""
    site = inbound(folder, sink.port)
    hopseald(site.config)
    evil = CONTENT + b"\n.\r\n" + SMUGGLED
    with Client(site.port) as c:
        assert c.envelope(ALICE, BOB)[0] == 250
        c.send(b"BDAT %d LAST\r\n%s" % (len(evil), evil))
        assert c.reply()[0] == 550
        c.send(b"BDAT %d LAST\r\n%s" % (len(evil), evil))
        assert c.reply()[0] == 503
        assert c.command("NOOP")[0] == 250
        # a dot on its own line is text in a chunk, and stuffed further on
        good = CONTENT + b".\r\n" + SMUGGLED
        assert c.envelope(ALICE, BOB)[0] == 250
        c.send(b"BDAT %d LAST\r\n%s" % (len(good), good))
        assert c.reply()[0] == 250
    assert [m.content.endswith(good) for m in sink.mails] == [True]
    assert not sink.faults and b"eve@" not in b"".join(sink.commands)


# --- PROXY -----------------------------------------------------------------

V2 = b"\r\n\r\n\0\r\nQUIT\n"


def proxy_v2(source, dest="192.0.2.25", command=0x21, tlvs=b""):
    addresses = socket.inet_aton(source) + socket.inet_aton(dest) + \
        struct.pack("!HH", 4321, 25)
    return V2 + bytes([command, 0x11]) + \
        struct.pack("!H", len(addresses) + len(tlvs)) + addresses + tlvs


@pytest.mark.parametrize("header", [
    b"PROXY TCP4 198.51.100.7 192.0.2.25 4321 25\r\n",
    proxy_v2("198.51.100.7"), proxy_v2("198.51.100.7", tlvs=b"\4\0\1x" * 500),
], ids=["v1", "v2", "TLVs"])
def test_proxied_clients_are_who_the_header_says(hopseald, folder, sink, keys,
                                                 header):
    site = inbound(folder, sink.port, "proxy: [127.0.0.1]")
    daemon = hopseald(site.config)
    for size in (len(header), 1):
        with Raw(site.port) as c:
            for k in range(0, len(header), size):
                c.send(header[k:k + size])
            assert c.reply()[0] == 220
            assert c.command("EHLO me")[0] == 250
            assert c.mail(ALICE, BOB, another(size + 2))[0] == 250
    assert len(re.findall(r"client=\[198\.51\.100\.7\]:4321", daemon.log())) >= 2
    assert b"[198.51.100.7]" in sink.mails[0].content
    with Raw(site.port, proxy_v2("198.51.100.7", command=0x20)) as c:
        assert c.reply()[0] == 220          # LOCAL: the balancer itself
        c.command("EHLO me")
        assert c.mail(ALICE, BOB, CONTENT)[0] == 250
    assert b"[127.0.0.1]" in sink.mails[-1].content


def test_a_proxied_client_has_no_rights_of_the_balancer(hopseald, folder, sink,
                                                        keys):
    site = inbound(folder, sink.port, "proxy: [127.0.0.1]",
                   "clients: [127.0.0.1]")
    hopseald(site.config)
    with Raw(site.port, proxy_v2("198.51.100.7")) as c:
        assert c.reply()[0] == 220
        c.command("EHLO me")
        assert c.envelope(ALICE, "x@elsewhere.example")[0] == 554


def test_tls_behind_a_proxy_header(hopseald, folder, sink, keys, pair):
    """The header and the ClientHello in one segment."""
    site = inbound(folder, sink.port, pair, "proxy: [127.0.0.1]",
                   listen='["smtps://127.0.0.1:{port}"]')
    daemon = hopseald(site.config)
    c = Raw(site.port)
    with c:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing)
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        c.send(proxy_v2("198.51.100.7") + outgoing.read())
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                c.send(outgoing.read())
                incoming.write(c.sock.recv(65536))
        c.send(outgoing.read())
        banner = b""
        while not banner.endswith(b"\r\n"):
            try:
                banner += tls.read(1000)
            except ssl.SSLWantReadError:
                incoming.write(c.sock.recv(65536))
        assert banner.startswith(b"220 ")
        tls.write(b"QUIT\r\n")
        c.send(outgoing.read())
    assert "no PROXY header" not in daemon.log()


@pytest.mark.parametrize("octets", [
    b"EHLO me\r\n", b"PROXY TCP4 198.51.100.7 192.0.2.25 4321\r\n",
    b"PROXY " + b"x" * 200, proxy_v2("198.51.100.7", command=0x22),
    V2 + b"\x21\x11\0\4abcd", V2 + b"\x21\x11\xff\xff"],
    ids=["none", "v1 syntax", "v1 long", "v2 command", "v2 short", "v2 long"])
def test_T8_malformed_headers_of_listed_peers(hopseald, folder, sink, keys, octets):
    site = inbound(folder, sink.port, "proxy: [127.0.0.1]")
    daemon = hopseald(site.config)
    with Raw(site.port, octets) as c:
        assert is_closed_in_silence(c)
    daemon.wait_log(r"no PROXY header: client=\[127\.0\.0\.1\]")


@pytest.mark.parametrize("header", [
    b"PROXY TCP4 198.51.100.7 192.0.2.25 4321 25\r\n", proxy_v2("198.51.100.7")],
    ids=["v1", "v2"])
def test_T8_headers_of_others_are_garbage(hopseald, folder, sink, keys, header):
    site = inbound(folder, sink.port, "proxy: [192.0.2.1]")
    daemon = hopseald(site.config)
    with Client(site.port, hello=None) as c:
        c.send(header + b"EHLO me\r\n")
        said = []
        try:
            while True:
                said.append(c.reply()[0])
        except Closed:
            pass
        assert set(said) <= {500, 554} and 554 in said, said
    assert "198.51.100.7" not in daemon.log()


# --- XCLIENT ---------------------------------------------------------------

def test_T8_xclient(hopseald, folder, sink, keys):
    """A listed peer speaks for its client; everybody else is refused."""
    site = inbound(folder, sink.port, "xclient: [127.0.0.1]",
                   "clients: [127.0.0.0/24]")
    daemon = hopseald(site.config)
    with Client(site.port, source="127.0.0.2") as c:
        assert "XCLIENT" not in c.ehlo[1]
        assert c.command("XCLIENT ADDR=198.51.100.7")[0] == 550
        assert c.envelope(ALICE, "x@elsewhere.example")[0] == 250
    with Client(site.port) as c:
        assert "\nXCLIENT NAME ADDR PORT PROTO HELO LOGIN" in c.ehlo[1]
        assert c.command("XCLIENT ADDR=198.51.100.7 PORT=4321 "
                         "HELO=its.name")[0] == 220
        assert c.command(f"MAIL FROM:<{ALICE}>")[0] == 503
        c.command("EHLO proxy.example")
        # the rights of the proxy are not the client's
        assert c.envelope(ALICE, "x@elsewhere.example")[0] == 554
        assert c.command("RSET")[0] == 250
        assert c.mail(ALICE, BOB, CONTENT)[0] == 250
        assert c.command("XCLIENT ADDR=[UNAVAILABLE]")[0] == 220
        c.command("EHLO proxy.example")
        assert c.envelope(ALICE, "x@elsewhere.example")[0] == 554
    daemon.wait_log(r"client=\[198\.51\.100\.7\]:4321")
    assert b"from its.name ([198.51.100.7])" in sink.mails[-1].content


# --- LMTP ------------------------------------------------------------------

@pytest.mark.parametrize("how", ["DATA", "BDAT"])
def test_lmtp_answers_each_recipient(hopseald, folder, keys, how):
    """In order, each with what the next hop said of it; by SMTP it would be
    451 for all (row Q14)."""
    each = ["250 2.0.0 first", "452 4.2.2 second", "550 5.2.1 third"]
    with NextHop(lmtp=True, each=each) as sink:
        site = inbound(folder, sink.port,
                       listen='["lmtp://127.0.0.1:{port}"]')
        site.config = site.config.replace("smtp://127.0.0.1:%d" % sink.port,
                                          "lmtp://127.0.0.1:%d" % sink.port)
        hopseald(site.config)
        with Client(site.port, hello=None) as c:
            assert c.banner[1].endswith("LMTP")
            assert c.command("EHLO me")[0] == 500
            assert c.command("LHLO me")[0] == 250
            assert c.command(f"MAIL FROM:<{ALICE}>")[0] == 250
            for name in ("bob", "carol", "dave"):
                assert c.command(f"RCPT TO:<{name}@two.example>")[0] == 250
            if how == "DATA":
                assert c.command("DATA")[0] == 354
                c.send(CONTENT.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            else:
                c.send(b"BDAT %d LAST\r\n%s" % (len(CONTENT), CONTENT))
            said = [c.reply() for _ in each]
            assert [code for code, _ in said] == [250, 452, 550]
            assert all(said[k][1].startswith(each[k][4:]) for k in range(3))
            assert c.command("NOOP")[0] == 250
    assert b"with LMTP id" in sink.mails[0].content


def test_lmtp_tells_each_recipient_of_our_own_refusal(hopseald, folder, sink,
                                                      keys):
    site = inbound(folder, sink.port, "max-fields: 10",
                   listen='["lmtp://127.0.0.1:{port}"]')
    hopseald(site.config)
    with Client(site.port, hello=None) as c:
        assert c.command("LHLO me")[0] == 250
        assert c.envelope(ALICE, BOB, "carol@two.example")[0] == 250
        assert c.command("DATA")[0] == 354
        c.send(b"X: y\r\n" * 11 + b".\r\n")
        assert [c.reply()[0] for _ in range(2)] == [550, 550]
        assert c.command("NOOP")[0] == 250
    assert not sink.mails


# --- slow clients ----------------------------------------------------------

def drip(client, octet=b"x"):
    """Sends an octet now and then until the other side has had enough."""
    client.sock.settimeout(0.2)
    got = b""
    while True:
        try:
            client.sock.sendall(octet)
            more = client.sock.recv(1000)
        except TimeoutError:
            continue
        except OSError:
            return got
        if not more:
            return got
        got += more


def test_T10_an_octet_now_and_then_wins_nothing(hopseald, folder, sink, keys,
                                                pair):
    """In the PROXY header, a TLS handshake, a command, DATA and a chunk: the
    stage ends, and others are served meanwhile."""
    slow = ("idle-timeout: 2s", "content-timeout: 2s", "min-rate: 50",
            "proxy-timeout: 2s", "tls-timeout: 2s", pair)
    site = inbound(folder, sink.port, *slow, "proxy: [127.0.0.9]")
    daemon = hopseald(site.config)
    assert drip(Raw(site.port, b"PROXY TC", source="127.0.0.9"), b"P") == b""
    c = Client(site.port)
    assert b"421 4.4.2" in drip(c)
    c = Client(site.port)
    assert c.envelope(ALICE, BOB)[0] == 250
    assert c.command("DATA")[0] == 354
    assert b"421 4.4.2" in drip(c)
    c = Client(site.port)
    assert c.envelope(ALICE, BOB)[0] == 250
    c.send(b"BDAT 10000\r\n")
    assert b"421 4.4.2" in drip(c)
    c = Client(site.port)
    c.send(b"BDAT 10000\r\n")                   # out of sequence: passed over
    assert c.reply()[0] == 503
    assert b"421 4.4.2" in drip(c)
    c = Client(site.port)
    assert c.command("STARTTLS")[0] == 220
    drip(c, b"\x16")
    with Client(site.port) as c:
        assert c.mail(ALICE, BOB, CONTENT)[0] == 250
    assert daemon.log().count("timeout: client=") >= 4


def test_T10_content_at_the_least_rate_is_taken(hopseald, folder, sink, keys):
    site = inbound(folder, sink.port, "content-timeout: 1s", "min-rate: 100",
                   "idle-timeout: 1s")
    hopseald(site.config)
    with Client(site.port) as c:
        assert c.envelope(ALICE, BOB)[0] == 250
        assert c.command("DATA")[0] == 354
        c.send(CONTENT.replace(b"\r\n.", b"\r\n..")[:-2] + b"\r\n")
        for _ in range(15):                     # for longer than the timeout
            c.send(b"x" * 70 + b"\r\n")
            time.sleep(0.2)
        c.send(b".\r\n")
        assert c.reply()[0] == 250


def test_T10_who_reads_nothing_is_dropped(hopseald, folder, sink, keys):
    """Replies that nobody takes fill the sockets; then time is up."""
    site = inbound(folder, sink.port, "idle-timeout: 2s",
                   "max-commands: 1000000")
    hopseald(site.config)
    c = Client(site.port)
    c.sock.settimeout(harness.WAIT)
    with pytest.raises(OSError):
        while True:
            c.sock.sendall(b"NOOP\r\n" * 10000)
    c.close()
    with Client(site.port) as c:
        assert c.mail(ALICE, BOB, CONTENT)[0] == 250


# --- crowds ----------------------------------------------------------------

def test_T10_a_network_has_its_share(hopseald, folder, sink, keys):
    site = inbound(folder, sink.port, "max-per-network: 3",
                   "clients: [127.0.2.0/24]")
    hopseald(site.config)
    held = [Client(site.port, source=f"127.0.0.{k}") for k in (1, 2, 3)]
    late = Raw(site.port, source="127.0.0.4")
    assert late.reply() == (421, "4.7.0 Too many connections")
    assert late.is_closed()
    with Client(site.port, source="127.0.1.1") as other:
        assert other.mail(ALICE, BOB, CONTENT)[0] == 250
    held += [Client(site.port, source="127.0.2.1") for _ in range(5)]
    held.pop(0).close()

    def is_served():
        with Raw(site.port, source="127.0.0.4") as again:
            return again.reply()[0] == 220

    harness.until(is_served, "a place that became free")
    for c in held:
        c.close()


def test_T10_all_have_their_share(hopseald, folder, sink, keys):
    site = inbound(folder, sink.port, "max-connections: 4")
    hopseald(site.config)
    held = [Client(site.port, source=f"127.0.{k}.1") for k in range(4)]
    with Raw(site.port, source="127.0.9.1") as late:
        assert late.reply()[0] == 421
    for c in held:
        c.close()


def test_T11_out_of_descriptors(hopseald, folder, sink, keys):
    """Newcomers hear 421; the listener rests and goes on, it does not spin."""
    site = inbound(folder, sink.port, "max-per-network: 1000")
    daemon = hopseald(site.config, wrapper=["prlimit", "--nofile=64"])
    held = [Raw(site.port) for _ in range(100)]
    daemon.wait_log("accept:")
    banners = {c.sock.recv(100)[:9] for c in held}
    assert banners == {b"220 hop.e", b"421 4.3.2"}
    time.sleep(1)                               # to see whether it spins
    assert daemon.log().count("accept:") < 20
    for c in held:
        c.close()

    def is_served():
        with Raw(site.port) as again:
            return again.reply()[0] == 220

    harness.until(is_served, "descriptors that became free")
    with Client(site.port) as c:
        assert c.mail(ALICE, BOB, CONTENT)[0] == 250


# --- what is offered -------------------------------------------------------

def test_we_offer_what_the_next_hop_offers(hopseald, folder, keys):
    """It is asked at the start; SIZE less what we add; nothing is converted."""
    with Sink(extensions=("PIPELINING", "SIZE 100000")) as sink:
        site = inbound(folder, sink.port)
        hopseald(site.config)
        with Client(site.port) as c:
            then = c.ehlo[1].split("\n")
            assert "CHUNKING" in then       # that is between us two
            assert not {"8BITMIME", "SMTPUTF8", "DSN"} & set(then)
            size = int([t for t in then if t.startswith("SIZE ")][0][5:])
            assert size < 100000
            mail = f"MAIL FROM:<{ALICE}>"
            assert c.command(f"{mail} BODY=8BITMIME")[0] == 555
            assert c.command(f"{mail} SIZE={size + 1}")[0] == 552
            assert c.command(f"{mail} SIZE={size}")[0] == 250
            assert c.command(f"RCPT TO:<{BOB}>")[0] == 250
        # it may learn something meanwhile
        sink.answers["ehlo"] = "250-sink.example\r\n250-8BITMIME\r\n250 DSN"
        sink.kill()
        sink.restart()
        with Client(site.port) as c:
            assert c.mail(ALICE, BOB, another(2))[0] == 250
        with Client(site.port) as c:
            assert {"8BITMIME", "DSN"} <= set(c.ehlo[1].split("\n"))
            assert c.command(f"MAIL FROM:<{ALICE}> RET=HDRS ENVID=a+2Bb")[0] \
                == 250
            assert c.command(f"RCPT TO:<{BOB}> NOTIFY=DELAY,FAILURE "
                             "ORCPT=rfc822;b+40x")[0] == 250
            assert c.content(another(3))[0] == 250
        assert sink.mails[-1].mail_params.endswith("RET=HDRS ENVID=a+2Bb")
        assert any(b"NOTIFY=DELAY,FAILURE ORCPT=rfc822;b+40x" in line
                   for line in sink.commands)


def test_utf8_addresses_go_through(hopseald, folder, keys):
    with Sink(extensions=("8BITMIME", "SMTPUTF8")) as sink:
        site = inbound(folder, sink.port)
        hopseald(site.config)
        with Client(site.port) as c:
            assert c.command("MAIL FROM:<älice@one.example>")[0] == 501
            assert c.command("MAIL FROM:<älice@one.example> SMTPUTF8")[0] == 250
            assert c.command("RCPT TO:<böb@two.example>")[0] == 250
            assert c.content(CONTENT)[0] == 250
        assert "SMTPUTF8" in sink.mails[0].mail_params
        assert "böb@two.example".encode() in b"".join(sink.commands)
        assert b"with UTF8SMTP id" in sink.mails[0].content
