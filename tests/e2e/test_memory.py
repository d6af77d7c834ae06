"""Delivered memory: a retry is not delivered twice, an honest repeat is; what
is in doubt is sent again octet for octet (V7, V8, Q12)."""

import threading

import pytest

import harness
from configs import egress, inbound
from smtptools import TAKEN, Client, Sink, Withhold, split_added
from test_recipients import (ALICE, BOB, CAROL, DAVE, message, one,  # noqa: F401
                             recipients, send)

SHORT = b"From: <alice@one.example>\r\nSubject: toner low\r\n\r\nToner low\r\n"


def start(hopseald, folder, sink, *more, role=egress, **kw):
    site = role(folder, sink.port, *more, **kw)
    return site.port, hopseald(site.config)


def lose_the_answer(port, rcpts, content, sink):
    """A client whose connection is cut behind its dot."""
    had = len(sink.mails)
    with Client(port) as c:
        assert c.envelope(ALICE, *rcpts)[0] == 250
        assert c.command("DATA")[0] == 354
        c.send(content + b".\r\n")
        harness.until(lambda: len(sink.mails) > had, "its delivery")
        c.close(reset=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_V8_retry_after_a_lost_250(folder, hopseald, one, workers):
    """From anywhere, stamped anew: the content counts."""
    with Sink() as sink:
        port, daemon = start(hopseald, folder, sink, workers=workers)
        lose_the_answer(port, [BOB], message(), sink)
        for stamp in (b"", b"Received: from retry by client; now\r\n",
                      b"Received: from again by client; later\r\n"):
            code, text = send(port, [BOB], stamp + message())[1]
            assert code == 250, text
        assert recipients(sink) == [[BOB]]
        daemon.wait_log("to=<bob@two.example>.*delivered before")


def test_V8_what_is_another_message(folder, hopseald, one):
    with Sink() as sink:
        port, _ = start(hopseald, folder, sink)
        for rcpt, content, mail_from in (
                (BOB, message(), ALICE),
                (CAROL, message(), ALICE),
                (BOB, message(), "other@one.example"),
                (BOB, message(mid="2"), ALICE),
                (BOB, message() + b"more\r\n", ALICE)):
            assert send(port, [rcpt], content, mail_from)[1][0] == 250
        assert len(sink.mails) == 5


def test_V8_a_retry_reaches_those_who_lack_it(folder, hopseald, one):
    with Sink() as sink:
        port, _ = start(hopseald, folder, sink)
        content = message(to="x@y.example")
        assert send(port, [BOB], content)[1][0] == 250
        assert send(port, [BOB, CAROL, DAVE], content)[1][0] == 250
        assert sorted(recipients(sink)) == [[BOB], [CAROL], [DAVE]]


def test_V8_a_refused_message_is_not_remembered(folder, hopseald, one):
    with Sink(dot=["451 4.3.0 later", "550 5.7.1 no", "250 ok"]) as sink:
        port, _ = start(hopseald, folder, sink)
        for code in (451, 550, 250, 250):
            assert send(port, [BOB], message())[1][0] == code
        assert len(sink.mails) == 1 and len(sink.refused) == 2


def test_V8_a_device_may_say_it_twice(folder, hopseald, one):
    """Neither Message-ID nor Date: what it sends next shows that it has our
    answer."""
    with Sink() as sink:
        port, _ = start(hopseald, folder, sink)
        with Client(port) as c:             # in one session
            assert c.mail(ALICE, BOB, SHORT)[0] == 250
            assert c.mail(ALICE, BOB, SHORT)[0] == 250
            assert c.command("QUIT")[0] == 221
        assert send(port, [BOB], SHORT)[1][0] == 250    # and in another
        assert len(sink.mails) == 3


@pytest.mark.parametrize("last", [b"", b"QUIT\r\n"])
def test_V8_a_device_that_lost_our_answer(folder, hopseald, one, last):
    """It hangs up without another word, or had said QUIT before."""
    with Sink(dot=Withhold(0.5, "250 ok")) as sink:
        port, _ = start(hopseald, folder, sink)
        with Client(port) as c:
            assert c.envelope(ALICE, BOB)[0] == 250
            assert c.command("DATA")[0] == 354
            c.send(SHORT + b".\r\n" + last)
            assert c.reply()[0] == 250
        assert send(port, [BOB], SHORT)[1][0] == 250
        assert len(sink.mails) == 1


def test_Q12_in_doubt_it_is_sent_again_the_same(folder, hopseald, one, peer):
    """The next hop took it and hung up: 451, and the retry has our Received,
    our id and our signature octet for octet."""
    with Sink(dot=[TAKEN, "250 ok"]) as sink:
        port, daemon = start(hopseald, folder, sink)
        content = message(to=f"{BOB}, {CAROL}")
        code, text = send(port, [BOB, CAROL], content)[1]
        assert code == 451 and text.startswith("4.4.2"), text
        harness.until(lambda: len(sink.mails) == 1, "the first")
        # Another second, another t= of a new message.
        for k in range(2, 50):
            send(port, [DAVE], message(mid=str(k)))
            if sink.mails[-1].content.split(b"t=")[1].split(b";")[0] != \
                    sink.mails[0].content.split(b"t=")[1].split(b";")[0]:
                break
            threading.Event().wait(0.1)
        assert send(port, [BOB, CAROL], b"Received: x by y; z\r\n" + content)[
            1][0] == 250
        first, last = sink.mails[0], sink.mails[-1]
        assert first.rcpt_to == last.rcpt_to == [BOB, CAROL]
        assert split_added(content, first.content) == split_added(
            b"Received: x by y; z\r\n" + content, last.content)
        assert harness.peer_verify(peer, one.file, last.content, ALICE,
                                   [BOB, CAROL])["fully_verified"]
        assert send(port, [BOB, CAROL], content)[1][0] == 250
        assert sum(m.rcpt_to == [BOB, CAROL] for m in sink.mails) == 2


def test_Q12_doubt_stays_through_a_refusal(folder, hopseald, one):
    with Sink(dot=[TAKEN, "451 4.3.0 later", "250 ok"]) as sink:
        port, _ = start(hopseald, folder, sink)
        for code in (451, 451, 250):
            assert send(port, [BOB], message())[1][0] == code
        assert len({m.content for m in sink.mails + sink.refused}) == 1


def test_busy_in_another_session(folder, hopseald, one):
    with Sink(dot=[Withhold(2, "250 ok"), "250 ok"]) as sink:
        port, _ = start(hopseald, folder, sink, workers=2)
        replies = []
        first = threading.Thread(target=lambda: replies.append(
            send(port, [BOB], message())[1]))
        first.start()
        harness.until(lambda: b"DATA\r\n" in sink.commands, "the first one")
        code, text = send(port, [BOB], message())[1]
        assert code == 451 and text.startswith("4.4.5"), text
        first.join()
        assert replies[0][0] == 250
        assert send(port, [BOB], message())[1][0] == 250
        assert recipients(sink) == [[BOB]]


@pytest.mark.parametrize("how", ["refuses", "down", "mail"])
def test_next_hop_fails_at_the_retry(folder, hopseald, one, how):
    """Its answer waits for the dot, and is given to new content alone."""
    with Sink() as sink:
        port, _ = start(hopseald, folder, sink)
        assert send(port, [BOB], message())[1][0] == 250
        if how == "down":
            sink.kill()
        else:
            sink.answers["rcpt" if how == "refuses" else "mail"] = \
                "550 5.2.1 no more"
        asked, end = send(port, [BOB], message())
        assert asked[0][0] == 250 and end[0] == 250
        asked, end = send(port, [BOB], message(mid="2"))
        assert asked[0][0] == 250
        assert end[0] == (451 if how == "down" else 550), end
        if how != "down":
            assert end[1] == "5.2.1 no more"
        # Who is not known is answered at once.
        asked, end = send(port, [CAROL], message())
        assert asked[0][0] == (451 if how == "down" else 550) and end is None
        assert recipients(sink) == [[BOB]]


def test_refused_one_among_the_known(folder, hopseald, one):
    """A recipient whose answer waited, and others who get it."""
    with Sink() as sink:
        port, _ = start(hopseald, folder, sink, role=inbound)
        assert send(port, [BOB], message())[1][0] == 250
        sink.answers["rcpt"] = lambda path: \
            "550 5.1.1 no more" if path == BOB else "250 ok"
        asked, end = send(port, [BOB, CAROL], message(mid="2"))
        assert [a[0] for a in asked] == [250, 250] and end[0] == 451
        assert recipients(sink) == [[BOB], [CAROL]]
        asked, end = send(port, [BOB, CAROL], message(mid="2"))
        assert [a[0] for a in asked] == [250, 452]
        assert end == (550, "5.1.1 no more")
        asked, end = send(port, [CAROL], message(mid="2"))
        assert end[0] == 250 and recipients(sink) == [[BOB], [CAROL]]


def sign(keys, content):
    return harness.run(
        harness.HOPSEAL, "sign", "--domain", "one.example", "--selector", "ed",
        "--key", keys.pem("one.example", "ed"), "--mail-from", ALICE,
        "--rcpt-to", BOB, stdin=content)


@pytest.mark.parametrize("policy", ["once", "refuse", "off"])
def test_V7_replay(folder, hopseald, one, policy):
    """The same signed octets, from the same client and from another."""
    with Sink() as sink:
        port, _ = start(hopseald, folder, sink, f"replay: {policy}",
                        role=inbound, listen='["*:{port}"]')
        content = sign(one, message())
        assert send(port, [BOB], content)[1][0] == 250
        assert send(port, [BOB], content)[1][0] == 250
        with Client(port, host="::1") as c:
            reply = c.mail(ALICE, BOB, content)
        if policy == "refuse":
            assert reply == (550, "5.7.1 Duplicate message with no exploded "
                             "flag")
        else:
            assert reply[0] == 250
        assert len(sink.mails) == (3 if policy == "off" else 1)
        # Mail without a signature is no replay.
        assert send(port, [BOB], message(mid="2"))[1][0] == 250
        with Client(port, host="::1") as c:
            assert c.mail(ALICE, BOB, message(mid="2"))[0] == 250


def test_V7_without_memory_answers_must_not_differ(folder, hopseald, one):
    with Sink() as sink:
        port, _ = start(hopseald, folder, sink, "replay: off")
        asked, end = send(port, [BOB, CAROL], message())
        assert [a[0] for a in asked] == [250, 452] and end[0] == 250
    with Sink() as sink:
        site = inbound(folder, sink.port, "replay: off")
        hopseald(site.config, "inbound")
        asked, end = send(site.port, [BOB, CAROL], message())
        assert [a[0] for a in asked] == [250, 250] and end[0] == 250


@pytest.mark.parametrize("verify", ["off", "observe"])
def test_V8_whether_verified_or_not(folder, hopseald, one, verify):
    with Sink() as sink:
        port, _ = start(hopseald, folder, sink, f"verify: {verify}",
                        role=inbound)
        for _ in range(2):
            assert send(port, [BOB], message())[1][0] == 250
        assert len(sink.mails) == 1
