"""Framing over real sockets; the machines' own tests cut at every octet."""

import socket
import time

import pytest

from configs import egress, inbound
from smtptools import Client, Closed, Sink, Withhold

ALICE, BOB = "alice@one.example", "bob@two.example"
HEAD = b"From: <alice@one.example>\r\nMessage-ID: <1@one.example>\r\n\r\n"
SMUGGLED = (b"MAIL FROM:<eve@one.example>\r\nRCPT TO:<bob@two.example>\r\nDATA\r\n"
            b"From: <eve@one.example>\r\n\r\nsmuggled\r\n.\r\n")

FALSE_ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r",
              b"\n.\r", b"\r.\n", b"\r\r\n.\r\n", b"\r\r\n.\r\r\n", b"\r\n.\r\r\n",
              b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\n\n.\r\n"]


def pieces(octets, size):
    return [octets[k:k + size] for k in range(0, len(octets), size)]


@pytest.fixture
def hop(folder, hopseald, keys):
    """egress, and inbound for what egress would refuse before."""
    with Sink() as sink:
        site = inbound(folder, sink.port, "idle-timeout: 20s")
        hopseald(site.config)
        yield sink, site.port


@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize("end", FALSE_ENDS, ids=lambda e: e.hex())
def test_F1_false_ends(hop, end, size):
    """Exactly one message or none is passed on, and never a second."""
    sink, port = hop
    octets = HEAD + b"text" + end + SMUGGLED
    with Client(port) as c:
        assert c.envelope(ALICE, BOB)[0] == 250
        assert c.command("DATA")[0] == 354
        replies = []
        try:
            for piece in pieces(octets, size) if size else [octets]:
                c.send(piece)
            while True:
                replies.append(c.reply())
                if len(replies) == 1:
                    c.send(b"QUIT\r\n")
        except Closed:
            pass
    codes = [code for code, _ in replies if code != 221]
    assert len(codes) <= 1, replies         # nothing behind it was a command
    # A NUL is no line end, so that message is one, with the rest inside.
    assert len(sink.mails) == (codes == [250])
    if b"\0" not in end:
        assert codes == [550] or codes == [], replies
        assert not sink.mails
        if codes:
            assert replies[0][1].startswith("5.5.2"), replies
    assert all(m.mail_from == ALICE for m in sink.mails)
    assert b"eve@" not in b"".join(sink.commands) and not sink.faults


@pytest.mark.parametrize("bare", [b"\r", b"\n"], ids=["CR", "LF"])
@pytest.mark.parametrize("content", [
    b"%c" + HEAD + b"x\r\n", HEAD.replace(b"\r\nMess", b"%cMess") + b"x\r\n",
    HEAD + b"one%ctwo\r\n", HEAD + b"x%c\r\n", HEAD + b"x\r\n%c\r\n"],
    ids=["first", "header", "middle", "before the end", "own line"])
def test_F2_bare_cr_or_lf(hop, bare, content):
    sink, port = hop
    content = content.replace(b"%c", bare)
    if b"\r\n" + bare + b"\r\n" in content and bare == b"\n":
        content = content.replace(b"\r\n\n\r\n", b"\r\n\n.\r\n\r\n")
    with Client(port) as c:
        assert c.envelope(ALICE, BOB)[0] == 250
        assert c.command("DATA")[0] == 354
        c.send(content + b".\r\n")
        code, text = c.reply()
        assert (code, text[:5]) == (550, "5.5.2") and "bare" in text, text
        assert c.is_closed()
    assert not sink.mails


def test_F5_long_commands(hop):
    sink, port = hop
    with Client(port) as c:
        for n in (2049, 4000, 12289, 65536):
            code, text = c.command(b"NOOP " + b"x" * (n - 7) + b"\r\n")
            assert (code, text[:5]) == (500, "5.5.2"), (n, text)
        assert c.command("NOOP")[0] == 250      # still in step
        assert c.mail(ALICE, BOB, HEAD + b"x\r\n")[0] == 250
    assert len(sink.mails) == 1


def test_F5_command_without_end(hop):
    sink, port = hop
    with Client(port) as c:
        try:
            for _ in range(1600):
                c.send(b"x" * 65536)
            code, _ = c.reply()
            assert code in (421, 500)
            if code == 500:
                c.send(b"x" * 65536)
                c.reply()
        except (Closed, OSError):
            pass                            # dropped, and that is right too
        else:
            assert c.is_closed()
    with Client(port) as c:                 # others are served
        assert c.command("NOOP")[0] == 250


@pytest.mark.parametrize("role,most", [("egress", 998), ("inbound", 65536)])
def test_F5_long_text_lines(folder, hopseald, keys, role, most):
    keys.add("one.example", rsa2048=None)
    with Sink() as sink:
        site = {"egress": egress, "inbound": inbound}[role](folder, sink.port)
        hopseald(site.config)
        with Client(site.port) as c:
            content = HEAD + b"x" * most + b"\r\n"
            assert c.mail(ALICE, BOB, content)[0] == 250
            assert sink.mails[0].content.endswith(content)
            code, text = c.mail(ALICE, BOB, HEAD + b"x" * (most + 1) + b"\r\n")
            assert (code, text[:5]) == (550, "5.6.0"), text
            # Still in step.
            assert c.mail(ALICE, "carol@two.example", content)[0] == 250
        assert len(sink.mails) == 2


def test_F5_text_line_without_end(hop):
    """100 MB without a line end: the connection is dropped, memory is not
    filled (the machines' tests count it)."""
    sink, port = hop
    with Client(port) as c:
        assert c.envelope(ALICE, BOB)[0] == 250
        assert c.command("DATA")[0] == 354
        c.sock.settimeout(30)
        try:
            for _ in range(1600):
                c.send(b"x" * 65536)
            c.reply()
        except (Closed, ConnectionError):
            pass
        else:
            assert c.is_closed()
    assert not sink.mails


def test_F12_content_waits_for_354(folder, hopseald, keys):
    keys.add("one.example", rsa2048=None)
    late = Withhold(1.5, "354 at last")
    with Sink(data=late) as sink:
        site = egress(folder, sink.port)
        hopseald(site.config)
        with Client(site.port) as c:
            assert c.mail(ALICE, BOB, HEAD + b"x\r\n")[0] == 250
        assert late.early == []
        assert len(sink.mails) == 1
        late.early.clear()
        sink.answers["data"] = Withhold(0.5, "451 4.3.0 not now")
        with Client(site.port) as c:
            code, _ = c.mail(ALICE, BOB, HEAD + b"y\r\n")
            assert code == 451
        assert sink.answers["data"].early in ([], [b"QUIT\r\n"], [b"RSET\r\n"])
        assert len(sink.mails) == 1 and not sink.faults


def test_pipelined_transactions(hop):
    """Everything that RFC 2920 lets a client send at once."""
    sink, port = hop
    with Client(port) as c:
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for k in range(3):
            c.send(b"RSET\r\nNOOP\r\nMAIL FROM:<alice@one.example>\r\n"
                   b"RCPT TO:<bob@two.example>\r\nDATA\r\n")
            assert [c.reply()[0] for _ in range(5)] == [250] * 4 + [354]
            c.send(HEAD + b"%d\r\n.\r\n" % k + (b"QUIT\r\n" if k == 2 else b""))
            assert c.reply()[0] == 250
        assert c.reply()[0] == 221 and c.is_closed()
    assert [m.content[-3:] for m in sink.mails] == [b"0\r\n", b"1\r\n", b"2\r\n"]


def test_half_messages_are_dropped(hop):
    sink, port = hop
    for reset in (False, True):
        with Client(port) as c:
            assert c.envelope(ALICE, BOB)[0] == 250
            assert c.command("DATA")[0] == 354
            c.send(HEAD + b"half\r\n")
            c.close(reset)
    time.sleep(0.3)
    assert not sink.mails


# --- header bombs ----------------------------------------------------------

TOP = b"From: <alice@one.example>\r\nMessage-ID: <%d@one.example>\r\n"


def fields(n):
    """A header of n fields."""
    return TOP % n + b"X: y\r\n" * (n - 2)


def octets(n, fold=b""):
    """A header block of n octets, in one field, or folded."""
    head = TOP % n + b"X: "
    line = b"x" * 60 + fold if fold else b"x" * (n - len(head) - 2)
    left = n - len(head) - 2
    return head + (line * (left // len(line) + 1))[:left].rstrip(b"\r\n\t") \
        .ljust(left, b"z") + b"\r\n"


@pytest.mark.parametrize("header,said", [
    (fields(100), 250), (fields(101), "5.6.0"), (fields(10000), "5.6.0"),
    (octets(65536), 250), (octets(65537), "5.3.4"),
    (octets(65536, b"\r\n\t"), 250), (octets(65537, b"\r\n\t"), "5.3.4"),
    (octets(10 << 20, b"\r\n\t"), "5.3.4"),
    (TOP % 1 + b"no colon\r\n", "5.6.0"),
    (b" folded first\r\n" + TOP % 2, "5.6.0"),
    (b": no name\r\n" + TOP % 3, "5.6.0"),
], ids=["100 fields", "101 fields", "10,000 fields", "one field of 64 KiB",
        "and an octet", "64 KiB of folds", "and one octet", "10 MiB of folds",
        "no colon", "a fold first", "no name"])
@pytest.mark.parametrize("end", [b"\r\nbody\r\n", b""], ids=["", "no body"])
def test_F6_header_bombs(hopseald, folder, keys, header, said, end):
    """Refused at the dot with its own code, the session goes on."""
    with Sink() as sink:
        site = inbound(folder, sink.port, "max-header: 64K", "max-fields: 100",
                       "max-line: 64K", "max-message: 20M")
        hopseald(site.config)
        check_bomb(site.port, sink, header + end, said)


def check_bomb(port, sink, content, said):
    with Client(port) as c:
        code, text = c.mail(ALICE, BOB, content)
        if said == 250:
            assert code == 250, text
            assert sink.mails[0].content.endswith(content)
        else:
            assert code in (550, 552) and text.startswith(said), (code, text)
            assert not sink.mails
        assert c.command("NOOP")[0] == 250
