"""One message for many: what the next hop says to each at RCPT, which copies
it leaves in, and what the client hears when answers differ (Q11, Q14, V21)."""

import base64
import re
import threading
import time

import pytest

import harness
from configs import egress, forward, inbound
from smtptools import Client, Closed, Sink, Withhold, header_fields

ALICE = "alice@one.example"
BOB, CAROL, DAVE, EVE = (f"{n}@two.example" for n in
                         ("bob", "carol", "dave", "eve"))


def message(to="bob@two.example", mid="1", cc=None, more=""):
    return (f"From: Alice <{ALICE}>\r\nTo: {to}\r\n"
            + (f"Cc: {cc}\r\n" if cc else "") +
            f"Subject: Words\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
            f"Message-ID: <{mid}@one.example>\r\n{more}\r\nText\r\n").encode()


@pytest.fixture
def one(keys):
    return keys.add("one.example", rsa2048=None)


def send(port, rcpts, content, mail_from=ALICE, params=""):
    """(replies to RCPT, the reply to DATA or the dot)."""
    with Client(port) as c:
        c.command(f"MAIL FROM:<{mail_from}>{params}")
        asked = [c.command(f"RCPT TO:<{r}>") for r in rcpts]
        if all(a[0] != 250 for a in asked):
            return asked, None
        return asked, c.content(content)


def recipients(sink):
    """Who was in the transactions the sink took, in order."""
    return [m.rcpt_to for m in sink.mails]


def tag(content, name):
    """A tag of the topmost DKIM2-Signature."""
    field = next(f for f in header_fields(content)[0]
                 if f.lower().startswith(b"dkim2-signature:"))
    text = b"".join(field.split(b":", 1)[1].split())
    return re.search(rb"(?:^|;)" + name + rb"=([^;]*)", text).group(1)


def named_in(content):
    """The recipients that the topmost signature names."""
    return [base64.b64decode(p).decode().strip("<>")
            for p in tag(content, b"rt").split(b",")]


# --- RCPT: each answer is the next hop's ------------------------------------

def test_many_recipients_share_one_transaction(folder, hopseald, one):
    rcpts = [f"r{k}@two.example" for k in range(300)]
    with Sink() as sink:
        site = inbound(folder, sink.port)
        daemon = hopseald(site.config)
        asked, end = send(site.port, rcpts, message())
        assert {a[0] for a in asked} == {250} and end[0] == 250
        assert recipients(sink) == [rcpts]
        assert b"\tfor " not in sink.mails[0].content.split(b"\r\n\r\n")[0]
        for rcpt in rcpts:
            daemon.wait_log(f"to=<{rcpt}>, .*status=sent")


def test_received_names_a_single_recipient(folder, hopseald, one):
    with Sink() as sink:
        site = inbound(folder, sink.port)
        hopseald(site.config)
        assert send(site.port, [BOB], message())[1][0] == 250
        assert b"\tfor <bob@two.example>;" in sink.mails[0].content


def test_each_recipient_is_answered_by_the_next_hop(folder, hopseald, one):
    said = {BOB: "250 2.1.5 bob it is", CAROL: "550 5.1.1 no carol",
            DAVE: "451 4.2.1 dave is greylisted", EVE: "250 2.1.5 eve it is"}
    with Sink(rcpt=said.get) as sink:
        site = inbound(folder, sink.port)
        hopseald(site.config)
        asked, end = send(site.port, [BOB, CAROL, DAVE, EVE], message())
        assert asked == [(250, "2.1.5 bob it is"), (550, "5.1.1 no carol"),
                         (451, "4.2.1 dave is greylisted"),
                         (250, "2.1.5 eve it is")]
        assert end[0] == 250
        assert recipients(sink) == [[BOB, EVE]]


def test_max_recipients(folder, hopseald, one):
    with Sink() as sink:
        site = inbound(folder, sink.port, "max-recipients: 2")
        hopseald(site.config)
        asked, end = send(site.port, [BOB, CAROL, DAVE], message())
        assert [a[0] for a in asked] == [250, 250, 452]
        assert asked[2][1].startswith("4.5.3")
        assert end[0] == 250 and recipients(sink) == [[BOB, CAROL]]


def test_max_copies_where_we_sign(folder, hopseald, one):
    """Each may turn out to be hidden, and need a copy of his own."""
    with Sink() as sink:
        site = egress(folder, sink.port, "max-copies: 2")
        hopseald(site.config)
        asked, end = send(site.port, [BOB, CAROL, DAVE], message())
        assert [a[0] for a in asked] == [250, 250, 452]
        assert end[0] == 250
        assert sorted(recipients(sink)) == [[BOB], [CAROL]]


def test_the_same_onward_recipient_has_it_once(folder, hopseald, keys):
    keys.add("two.example")
    with Sink() as sink:
        site = forward(folder, sink.port)
        site.config = site.config.replace(
            'aliases: {', 'aliases: {"rob@two.example": "robert@three.example", ')
        hopseald(site.config)
        asked, end = send(site.port, [BOB, "rob@two.example", BOB], message())
        assert [a[0] for a in asked] == [250] * 3 and end[0] == 250
        assert recipients(sink) == [["robert@three.example"]]


@pytest.mark.parametrize("params,lacking,code", [
    (" BODY=8BITMIME", "8BITMIME", "5.6.3"),
    (" SIZE=99000", "SIZE 100000", "5.3.4")])
def test_Q15_what_the_next_hop_lacks(folder, hopseald, one, params, lacking,
                                     code):
    """It was there when we asked: refused at RCPT; what we add counts."""
    has = "250 PIPELINING" if lacking == "8BITMIME" else f"250 {lacking}"
    with Sink() as sink:
        site = inbound(folder, sink.port, "max-idle: 0")
        hopseald(site.config)
        sink.answers["ehlo"] = f"250-sink.example\r\n{has}"
        with Client(site.port) as c:
            reply = c.envelope(ALICE, BOB, params=params)
            assert reply[0] // 100 == 5 and reply[1].startswith(code), reply
            c.command("RSET")
            assert c.envelope(ALICE, BOB)[0] == 250
            assert c.content(message())[0] == 250
        assert len(sink.mails) == 1


def test_Q15_found_at_the_dot(folder, hopseald, one):
    with Sink(extensions=["SIZE 100000"]) as sink:
        site = inbound(folder, sink.port)
        hopseald(site.config)
        eight = message() + "Grüße\r\n".encode()
        code, text = send(site.port, [BOB], eight)[1]
        assert code == 550 and text.startswith("5.6.3"), text
        large = message() + b"x" * 70 + b"\r\n" * 51000
        code, text = send(site.port, [BOB], large)[1]
        assert code == 552 and text.startswith("5.3.4"), text
        assert not sink.mails


# --- V21: who is hidden ------------------------------------------------------

def test_V21_hidden_recipients_have_copies_of_their_own(folder, hopseald, one,
                                                         peer):
    content = message(to=f"Bob <{BOB}>, x@elsewhere.example",
                      cc=f'"Carol, C." <carol@TWO.example>')
    with Sink() as sink:
        site = egress(folder, sink.port)
        hopseald(site.config)
        asked, end = send(site.port, [DAVE, BOB, EVE, CAROL], content)
        assert {a[0] for a in asked} == {250} and end[0] == 250
        assert sorted(recipients(sink)) == [[BOB, CAROL], [DAVE], [EVE]]
        assert recipients(sink)[0] == [DAVE]        # the first asked
        for mail in sink.mails:
            assert named_in(mail.content) == mail.rcpt_to
            for other in {BOB, CAROL, DAVE, EVE} - set(mail.rcpt_to):
                top = mail.content[:len(mail.content) - len(content)]
                assert other.encode() not in top
                assert base64.b64encode(b"<%s>" % other.encode()) not in top
            is_alone = len(mail.rcpt_to) == 1
            assert (b"\tfor <" in mail.content) == is_alone
            verdict = harness.peer_verify(peer, one.file, mail.content, ALICE,
                                          mail.rcpt_to)
            assert verdict["fully_verified"], verdict
        assert not sink.faults


def test_V21_copies_for_one_site_say_so_by_a_second_signature(
        folder, hopseald, one, peer):
    """`split-first-hop`: the peer takes each of them, and the first signature
    is the same in all."""
    hidden = ["h1@two.example", "h2@two.example"]
    elsewhere = "h3@three.example"
    content = message(to=f"Bob <{BOB}>")
    with Sink() as sink:
        site = egress(folder, sink.port, "split-first-hop: yes")
        hopseald(site.config)
        asked, end = send(site.port, [*hidden, elsewhere, BOB], content)
        assert {a[0] for a in asked} == {250} and end[0] == 250
        assert len(sink.mails) == 4
        firsts = set()
        for mail in sink.mails:
            verdict = harness.peer_verify(peer, one.file, mail.content, ALICE,
                                          mail.rcpt_to)
            assert verdict["fully_verified"], verdict
            n = 1 if mail.rcpt_to == [elsewhere] else 2
            assert len(verdict["signatures"]) == n
            top = mail.content[:len(mail.content) - len(content)]
            assert (b"f=exploded" in top) == (n == 2)
            if n == 2:
                firsts.add(top[top.index(b"DKIM2-Signature: i=1;"):
                               top.index(b"Message-Instance:")])
        assert len(firsts) == 1
        assert not sink.faults


def test_V21_fifty_recipients_one_of_them_named(folder, hopseald, one):
    rcpts = [f"r{k}@two.example" for k in range(50)]
    with Sink() as sink:
        site = egress(folder, sink.port, "max-copies: 50")
        hopseald(site.config)
        asked, end = send(site.port, rcpts, message(to=rcpts[7]))
        assert {a[0] for a in asked} == {250} and end[0] == 250
        assert sorted(recipients(sink)) == sorted([r] for r in rcpts)
        assert all(named_in(m.content) == m.rcpt_to for m in sink.mails)


def test_named_recipients_need_one_transaction(folder, hopseald, one):
    """The one that was asked at RCPT: nobody is asked twice."""
    with Sink() as sink:
        site = egress(folder, sink.port)
        hopseald(site.config)
        assert send(site.port, [BOB, CAROL],
                    message(to=f"{BOB}, {CAROL}"))[1][0] == 250
        assert recipients(sink) == [[BOB, CAROL]]
        verbs = b"".join(sink.commands).upper()
        assert verbs.count(b"RCPT TO") == 2 and b"RSET" not in verbs
        assert named_in(sink.mails[0].content) == [BOB, CAROL]


def test_at_most_four_copies_at_once(folder, hopseald, one):
    """The first alone, then four; none waits for one that is slow."""
    rcpts = [f"r{k}@two.example" for k in range(12)]
    lock, now, most = threading.Lock(), [0], []

    def dot(mail):
        with lock:
            now[0] += 1
            most.append((now[0], len(sink.mails)))
        return Slow()

    class Slow(Withhold):
        def __init__(self):
            super().__init__(0.3, "250 ok")

    with Sink() as sink:
        taken = sink._content

        def content(*args):
            try:
                return taken(*args)
            finally:
                with lock:
                    now[0] -= 1
        sink._content = content
        sink.answers["dot"] = dot
        site = egress(folder, sink.port)
        hopseald(site.config)
        assert send(site.port, rcpts, message(to="x@two.example"))[1][0] == 250
    assert len(sink.mails) == 12
    assert most[0] == (1, 0)
    assert all(m[1] >= 1 for m in most[1:]), most   # the first was taken
    assert max(m[0] for m in most) == 4, most


def test_identities_and_ways_have_transactions_of_their_own(folder, hopseald,
                                                             keys, peer):
    """A forwarder signs as the domain that the message came to."""
    for domain in ("one.example", "two.example", "four.example"):
        keys.add(domain, rsa2048=None)
    came_to = [BOB, "bea@four.example", CAROL]
    content = harness.run(
        harness.HOPSEAL, "sign", "--domain", "one.example", "--selector", "ed",
        "--key", keys.pem("one.example", "ed"), "--mail-from", ALICE,
        *[a for r in came_to for a in ("--rcpt-to", r)],
        stdin=message(to=", ".join(came_to)))
    with Sink() as sink, Sink() as other:
        site = forward(folder, sink.port,
                       f'routes: {{"five.example": "smtp://127.0.0.1:'
                       f'{other.port}"}}')
        site.config = site.config.replace(
            "[two.example]", "[two.example, four.example]").replace(
            "aliases: {", 'aliases: {"bea@four.example": "b@three.example", '
            '"carol@two.example": "c@five.example", ')
        hopseald(site.config)
        asked, end = send(site.port, came_to, content)
        assert {a[0] for a in asked} == {250} and end[0] == 250
        ways = {(m.mail_from, m.rcpt_to[0]): m for m in sink.mails + other.mails}
        assert set(ways) == {("returns@two.example", "robert@three.example"),
                             ("returns@four.example", "b@three.example"),
                             ("returns@two.example", "c@five.example")}
        assert recipients(other) == [["c@five.example"]]
        for (mail_from, rcpt), mail in ways.items():
            assert tag(mail.content, b"d") == \
                mail_from.split("@")[1].encode()
            assert named_in(mail.content) == [rcpt]
            verdict = harness.peer_verify(peer, keys.file, mail.content,
                                          mail_from, [rcpt])
            assert verdict["fully_verified"], verdict


# --- Q14: answers that differ ------------------------------------------------

def test_Q14_first_copy_refused_is_the_answer(folder, hopseald, one):
    for reply in ("554 5.7.1 spam it is", "451 4.7.1 come again"):
        with Sink(dot=[reply, "250 ok"]) as sink:
            site = egress(folder, sink.port)
            hopseald(site.config, reply[:3])
            end = send(site.port, [BOB, CAROL, DAVE], message(to="x@y.example"))
            assert end[1] == (int(reply[:3]), reply[4:])
            assert not sink.mails and len(sink.refused) == 1


def test_Q14_mixed_answers(folder, hopseald, one):
    """451; then one recipient a transaction until each had its own."""
    def dot(mail):
        return "550 5.7.1 not to carol" if mail.rcpt_to == [CAROL] else "250 ok"

    with Sink(dot=dot) as sink:
        site = egress(folder, sink.port)
        hopseald(site.config)
        content = message(to="x@y.example")
        code, text = send(site.port, [BOB, CAROL, DAVE], content)[1]
        assert code == 451, text
        assert sorted(recipients(sink)) == [[BOB], [DAVE]]
        # The client comes again with all of them, as it must.
        left, own = [BOB, CAROL, DAVE], {}
        for _ in range(3):
            asked, end = send(site.port, left, content)
            assert [a[0] for a in asked] == [250] + [452] * (len(left) - 1)
            assert all(a[1].startswith("4.5.3") for a in asked[1:])
            own[left.pop(0)] = end
        assert own[BOB][0] == own[DAVE][0] == 250
        assert own[CAROL] == (550, "5.7.1 not to carol")
        assert sorted(recipients(sink)) == [[BOB], [DAVE]]     # and no more
        # That was all: the next message has many recipients again.
        asked, end = send(site.port, [BOB, DAVE], message(to="z", mid="2"))
        assert [a[0] for a in asked] == [250, 250] and end[0] == 250


def test_Q14_mixed_one_rcpt_from_the_start(folder, hopseald, one):
    with Sink() as sink:
        site = inbound(folder, sink.port, "mixed: one-rcpt")
        hopseald(site.config)
        asked, end = send(site.port, [BOB, CAROL], message())
        assert [a[0] for a in asked] == [250, 452] and end[0] == 250
        assert recipients(sink) == [[BOB]]


def test_Q14_another_answer_when_asked_again(folder, hopseald, one):
    """A recipient that was accepted, and is not when its copy is sent."""
    said = {BOB: ["250 ok"], CAROL: ["250 ok", "550 5.1.1 gone"]}

    def rcpt(path):
        answers = said[path]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    with Sink(rcpt=rcpt) as sink:
        site = egress(folder, sink.port)
        hopseald(site.config)
        code, _ = send(site.port, [BOB, CAROL], message(to="x@y.example"))[1]
        assert code == 451
        assert recipients(sink) == [[BOB]]


# --- Q11, Q13, Q19: the next hop, and the client, while it goes on -----------

def test_Q19_next_hop_tires_while_the_client_uploads(folder, hopseald, one):
    """It is connected again, everybody is asked again, nobody notices."""
    with Sink() as sink:
        site = inbound(folder, sink.port)
        daemon = hopseald(site.config)
        with Client(site.port) as c:
            assert c.envelope(ALICE, BOB, CAROL)[0] == 250
            assert c.command("DATA")[0] == 354
            c.send(message()[:100])
            sink.hang_up()
            daemon.wait_log("connecting again")
            c.send(message()[100:] + b".\r\n")
            assert c.reply()[0] == 250
        assert recipients(sink) == [[BOB, CAROL]]


def test_Q11_all_are_lost_before_data(folder, hopseald, one):
    with Sink() as sink:
        site = inbound(folder, sink.port)
        daemon = hopseald(site.config)
        with Client(site.port) as c:
            assert c.envelope(ALICE, BOB, CAROL)[0] == 250
            sink.kill()
            daemon.wait_log("connecting to .* failed|Connection refused")
            code, text = c.command("DATA")
            assert code == 451, text
        assert not sink.mails


def test_Q19_deadline_passes_but_the_answer_is_remembered(folder, hopseald, one):
    with Sink(dot=[Withhold(3, "250 ok"), "250 ok"]) as sink:
        site = egress(folder, sink.port, "through-wait: 1s")
        daemon = hopseald(site.config)
        content = message()
        assert send(site.port, [BOB], content)[1][0] == 451
        daemon.wait_log("status=sent")
        assert send(site.port, [BOB], content)[1][0] == 250
        assert recipients(sink) == [[BOB]]


def test_Q13_client_vanishes_after_its_dot(folder, hopseald, one):
    """The copy that is out is awaited, and remembered; those that are not are
    dropped. The retry delivers to the others alone."""
    with Sink(dot=[Withhold(1, "250 ok"), "250 ok"]) as sink:
        site = egress(folder, sink.port)
        daemon = hopseald(site.config)
        content = message(to="x@y.example")
        with Client(site.port) as c:
            assert c.envelope(ALICE, BOB, CAROL)[0] == 250
            assert c.command("DATA")[0] == 354
            c.send(content + b".\r\n")
            harness.until(lambda: b"DATA\r\n" in sink.commands, "its DATA")
            time.sleep(0.3)
            c.close(reset=True)
        daemon.wait_log("status=sent")
        assert recipients(sink) == [[BOB]]
        assert send(site.port, [BOB, CAROL], content)[1][0] == 250
        assert recipients(sink) == [[BOB], [CAROL]]


# --- Q18: the end of the process ---------------------------------------------

class Insistent(threading.Thread):
    """Sends its messages to several recipients, again and again until each of
    them is acknowledged, also by one recipient a transaction."""

    def __init__(self, port, label, n, is_over):
        super().__init__(daemon=True)
        self.port, self.label, self.n = port, label, n
        self.is_over, self.acked = is_over, set()

    def run(self):
        for k in range(self.n):
            left = [BOB, CAROL, DAVE]
            while left and not self.is_over.is_set():
                try:
                    left = self.one(f"{self.label}.{k}", left)
                except (Closed, OSError, AssertionError):
                    time.sleep(0.05)

    def one(self, mid, left):
        asked, end = send(self.port, left, message(to=f"{BOB}, {CAROL}", mid=mid))
        if end is None or end[0] != 250:
            return left
        had = [r for r, a in zip(left, asked) if a[0] == 250]
        self.acked |= {(mid, r) for r in had}
        return [r for r in left if r not in had]


def test_Q18_term_under_load(folder, hopseald, one):
    """Stopped and started while clients send: everything arrives, and what
    was under way when it was told to stop was finished, not doubled."""
    over = threading.Event()
    with Sink(dot=lambda mail: Withhold(0.02, "250 ok")) as sink:
        site = egress(folder, sink.port, workers=2)
        senders = [Insistent(site.port, f"s{k}", 40, over) for k in range(4)]
        daemon = hopseald(site.config)
        for s in senders:
            s.start()
        try:
            for _ in range(4):
                had = len(sink.mails)
                harness.until(lambda: len(sink.mails) > had + 10, "some mail")
                with Client(site.port) as idle:
                    daemon.stop()       # all of it leaves, and with 0
                    assert idle.reply()[0] == 421 and idle.is_closed()
                daemon.start()
            for s in senders:
                s.join(harness.WAIT)
                assert not s.is_alive(), "a sender is stuck"
        finally:
            over.set()
    had = [(m.content.split(b"Message-ID: <")[1].split(b"@")[0].decode(), r)
           for m in sink.mails for r in m.rcpt_to]
    wanted = {(f"s{k}.{n}", r) for k in range(4) for n in range(40)
              for r in (BOB, CAROL, DAVE)}
    assert set().union(*(s.acked for s in senders)) == wanted == set(had)
    assert len(had) == len(wanted), "doubles"
    assert not sink.faults
