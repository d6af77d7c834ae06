"""The instruments themselves: what they show is what was sent."""

import pytest

from smtptools import (CLOSE, Client, Closed, Sink, Tee, Withhold, header_fields,
                       split_added, stuff, unstuff)

CONTENT = b"From: <a@one.example>\r\nSubject: x\r\n\ty\r\n\r\n.dot\r\n..two\r\n\xff\r\n"


def test_stuffing_is_undone():
    for content in (b"\r\n", b".\r\n", b".\r\n.\r\n..\r\n", CONTENT):
        assert unstuff(stuff(content)) == content


@pytest.mark.parametrize("content", [b"\r\n", b".\r\n", CONTENT,
                                     b"x" * 70000 + b"\r\n.\r\n\r\n"])
def test_sink_and_tee_record_octets(content):
    with Sink() as sink, Tee(sink.port) as tee:
        with Client(tee.port) as c:
            assert c.mail("a@one.example", "b@two.example", content,
                          " SIZE=7")[0] == 250
            assert c.mail("", "c@two.example", content)[0] == 250
        assert [m.content for m in sink.mails] == [content] * 2
        assert sink.mails == tee.mails() or [
            (m.mail_from, m.rcpt_to, m.content) for m in tee.mails()] == [
            ("a@one.example", ["b@two.example"], content),
            ("", ["c@two.example"], content)]
        assert not sink.faults


def test_sink_follows_its_script():
    with Sink(rcpt=["550 5.1.1 no", "250 ok"], dot="451 4.3.0 later") as sink:
        with Client(sink.port) as c:
            assert c.mail("a@one.example", "b@two.example", CONTENT)[0] == 550
            assert c.command("RSET")[0] == 250
            assert c.mail("a@one.example", "b@two.example", CONTENT)[0] == 451
        assert len(sink.refused) == 1 and not sink.mails
    late = Withhold(0.2, "354 at last")
    with Sink(data=late, dot=CLOSE) as sink, Client(sink.port) as c:
        assert c.envelope("a@one.example", "b@two.example")[0] == 250
        c.send(b"DATA\r\nhasty\r\n.\r\n")
        assert c.reply()[0] == 354
        assert b"".join(late.early) == b"hasty\r\n.\r\n"
        with pytest.raises(Closed):
            c.reply()


def test_sink_sees_what_no_client_may_send():
    with Sink() as sink, Client(sink.port) as c:
        c.envelope("a@one.example", "b@two.example")
        c.command("DATA")
        c.send(b"a\nb\r\n.\r\n")
        assert c.reply()[0] == 250
        assert sink.faults == ["bare CR or LF in DATA"]
        sink.kill()
        with pytest.raises(Closed):
            c.command("NOOP")
        sink.restart()
        with Client(sink.port) as again:
            assert again.mail("a@one.example", "b@two.example", CONTENT)[0] == 250


def test_fields_are_split():
    fields, body = header_fields(CONTENT)
    assert fields == [b"From: <a@one.example>\r\n", b"Subject: x\r\n\ty\r\n"]
    assert body == b"\r\n.dot\r\n..two\r\n\xff\r\n"
    assert split_added(CONTENT, b"A: 1\r\n 2\r\nB: 3\r\n" + CONTENT) == [
        b"A: 1\r\n 2\r\n", b"B: 3\r\n"]
    with pytest.raises(AssertionError):
        split_added(CONTENT, b"A: 1\r\n" + CONTENT[1:])


def test_postfix_passes_mail_on(postfix):
    b = postfix("receiver")
    with Tee(b.port) as tee:
        a = postfix("sender", relayhost=f"[127.0.0.1]:{tee.port}")
        with Client(a.port) as c:
            assert c.mail("a@one.example", "b@two.example", CONTENT)[0] == 250
        import harness
        harness.until(b.mails, "the mail")
        sent = tee.mails()[0]
        # Three fields of the mailbox, then Received, then what was sent.
        got = b.mails()[0].replace(b"\n", b"\r\n")
        names = [f.split(b":")[0] for f in split_added(sent.content, got)]
        assert names == [b"Return-Path", b"X-Original-To", b"Delivered-To",
                         b"Received"]
