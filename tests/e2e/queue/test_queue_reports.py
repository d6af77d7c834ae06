"""Reports (DSNs) of the queue: what fails for good is told to who sent it."""

import collections
import email
import email.policy
import os
import random
import re
import shutil
import time

import pytest

import configs
import harness
import queuefile
from conftest import missing
from harness import until
from queuekit import (ALICE, BOB, CAROL, DAVE, QUICK, Queueing, arrived,
                      message, send, taken, transaction)
from smtptools import Client, Closed, Sink
from test_forward import ROBERT, numbers, signed
from test_queue import owner
from test_queue_losses import COMMIT, NOT_OURS, QUEUE, SLICE, pid_of
from test_process import pid_name
from test_syscalls import LONG, SEED, attach


@pytest.fixture
def site(folder, hopseald, keys):
    """site(sink, ...): a Queueing that runs."""
    def start(sink, *more, run=True, **kw):
        s = Queueing(folder, sink.port, keys, *more, **kw)
        s.daemon = hopseald(s.config) if run else None
        return s
    return start


def parts(mail):
    """Text, fields of the message, those of each recipient, what returns."""
    m = email.message_from_bytes(mail.content, policy=email.policy.SMTP)
    assert m.get_content_type() == "multipart/report"
    text, status, returned = m.get_payload()
    assert status.get_content_type() == "message/delivery-status"
    first, *rcpts = status.get_payload()
    return m, text.get_content(), first, rcpts, returned


def verified(site, mail):
    done = harness.run(harness.HOPSEAL, "verify", "--mail-from", "<>",
                       "--rcpt-to", mail.rcpt_to[0], "--dns", site.keys.file,
                       stdin=mail.content, ok=False)
    assert done.returncode == 0, (done.stdout, mail.content.decode())
    return True


def refusing(*who, reply="550 5.1.1 nobody here"):
    """A next hop that refuses these recipients, and takes all others."""
    def rcpt(path):
        return reply if path in who else "250 2.1.5 ok"
    return Sink(rcpt=rcpt, extensions=("PIPELINING", "SIZE 60000000",
                                       "8BITMIME", "DSN"))


def test_a_refused_recipient_is_reported_once(site):
    with refusing(BOB) as sink:
        s = site(sink)
        content = message()
        id = send(s.port, [BOB], content)
        (mail,) = arrived(sink, 1)
        assert (mail.mail_from, mail.rcpt_to) == ("", [ALICE])
        assert verified(s, mail)
        assert b"\nDKIM-Signature: " in mail.content
        m, text, first, rcpts, returned = parts(mail)
        assert m["From"].endswith("<MAILER-DAEMON@one.example>")
        assert m["To"] == ALICE
        assert m["Auto-Submitted"] == "auto-replied"
        assert len(rcpts) == 1
        assert rcpts[0]["Action"] == "failed"
        assert rcpts[0]["Status"] == "5.1.1"
        assert rcpts[0]["Final-Recipient"] == f"rfc822; {BOB}"
        assert rcpts[0]["Diagnostic-Code"] == "smtp; 550 5.1.1 nobody here"
        assert returned.get_content_type() == "text/rfc822-headers"
        assert content.split(b"\r\n\r\n")[0] in mail.content
        assert b".Text 1" not in mail.content
        s.wait_empty()
        s.daemon.wait_log(rf"{id}: sender non-delivery notification: {id}r0")
        assert "ALARM" not in s.daemon.log()
        assert len(sink.mails) == 1


def test_NOTIFY_RET_ENVID_and_ORCPT(site):
    with refusing(BOB, CAROL) as sink:
        s = site(sink)
        for notify, n in (("NEVER", 0), ("SUCCESS,FAILURE", 1)):
            with Client(s.port) as c:
                c.command("EHLO client.example")
                assert c.command(f"MAIL FROM:<{ALICE}> RET=FULL "
                                 "ENVID=QQ+2B314")[0] == 250
                assert c.command(f"RCPT TO:<{BOB}> NOTIFY={notify} "
                                 "ORCPT=rfc822;b+2Bc@zero.example")[0] == 250
                taken(c.content(message()))
            s.wait_empty()
            assert len(sink.mails) == n
        (mail,) = sink.mails
        _, _, first, (rcpt,), returned = parts(mail)
        assert first["Original-Envelope-Id"] == "QQ+314"
        assert rcpt["Original-Recipient"] == "rfc822; b+c@zero.example"
        assert returned.get_content_type() == "message/rfc822"
        assert b".Text 1" in mail.content
        assert verified(s, mail)


def asked_twice(s, *rcpts, content):
    with Client(s.port) as c:
        c.command("EHLO client.example")
        assert c.command(f"MAIL FROM:<{ALICE}>")[0] == 250
        for rcpt, words in rcpts:
            assert c.command(f"RCPT TO:<{rcpt}> {words}")[0] == 250
        taken(c.content(content))


def test_one_who_is_named_twice_is_told_of_as_each_wants_it(site):
    with refusing(BOB) as sink:
        s = site(sink)
        for n, (words, told) in enumerate((
                (("NOTIFY=NEVER", "NOTIFY=SUCCESS"), 0),
                (("NOTIFY=NEVER ORCPT=rfc822;no@one.example",
                  "NOTIFY=FAILURE ORCPT=rfc822;yes@one.example"), 1))):
            asked_twice(s, *((BOB, w) for w in words), content=message(n))
            s.wait_empty()
            assert len(sink.mails) == told
        (mail,) = sink.mails
        (rcpt,) = parts(mail)[3]
        assert rcpt["Final-Recipient"] == f"rfc822; {BOB}"
        assert rcpt["Original-Recipient"] == "rfc822; yes@one.example"


def test_one_report_for_all_that_failed(site):
    with refusing(BOB, CAROL) as sink:
        s = site(sink)
        send(s.port, [BOB, CAROL, DAVE], message(to=f"{BOB}, {CAROL}, {DAVE}"))
        s.wait_empty()
        (mail,) = [m for m in sink.mails if m.rcpt_to == [ALICE]]
        assert {r["Final-Recipient"] for r in parts(mail)[3]} == \
            {f"rfc822; {BOB}", f"rfc822; {CAROL}"}
        assert [DAVE] in [m.rcpt_to for m in sink.mails]


def test_B2_none_for_what_is_automatic_and_none_for_a_report(site):
    with refusing(BOB, ALICE) as sink:
        s = site(sink)
        auto = send(s.port, [BOB],
                    b"Auto-Submitted: auto-replied\r\n" + message(1))
        id = send(s.port, [BOB], message(2))
        s.daemon.wait_log(rf"{auto}: ALARM: to=<{BOB}>: failed for good")
        s.daemon.wait_log(rf"{id}r0: ALARM: to=<{ALICE}>: failed for good")
        # what was reported goes when its report is safe, and not at once
        until(lambda: sorted(m["id"] for m in s.listed()) ==
              sorted([auto, id + "r0"]), "the message to be gone")
        assert not sink.mails
        s.daemon.stop()         # nor after that
        s.daemon.start()
        s.wait_control()
        sink.answers["rcpt"] = "250 ok"
        s.queue("retry", "--all")
        s.wait_empty()
        assert sorted(m.rcpt_to for m in sink.mails) == [[ALICE], [BOB]]


def test_a_spool_of_before_is_delivered_and_waits_for_people(site):
    """Version 1 of the file: nobody was promised a report."""
    with refusing(BOB) as sink:
        s = site(sink)
        s.daemon.stop()
        queuefile.Spool(s.spool, owner(s)).write(
            "old1", message(1), queuefile.Rcpt(BOB), queuefile.Rcpt(CAROL),
            arrived=int(time.time()))
        s.daemon.start()
        arrived(sink, 1)
        s.daemon.wait_log(rf"old1: ALARM: to=<{BOB}>: failed for good")
        assert [m.rcpt_to for m in sink.mails] == [[CAROL]]


def test_K5_a_sender_whose_domain_has_no_key(folder, hopseald, keys):
    """Our host's domain signs what it says: nobody signed what it returns."""
    keys.add("example.net", rsa2048=None)
    with refusing(BOB) as sink:
        s = configs.Site(
            folder, "egress", sink.port, "clients: [127.0.0.1]",
            "senders: [one.example]", "delivery: queue",
            common=["keys: keys", "keys-file: dns.json", *QUICK])
        hopseald(s.config)
        send(s.port, [BOB], message())
        (mail,) = arrived(sink, 1)
        assert mail.rcpt_to == [ALICE]
        assert numbers(mail.content) == [(1, "example.net", None)]
        assert parts(mail)[0]["From"].endswith("<MAILER-DAEMON@example.net>")
        done = harness.run(harness.HOPSEAL, "verify", "--mail-from", "<>",
                           "--rcpt-to", ALICE, "--dns", keys.file,
                           stdin=mail.content, ok=False)
        assert done.returncode == 0, done.stdout


# ---- chains -----------------------------------------------------------------------


class Forwarder(Queueing):
    """One that queues for BOB, who is ROBERT elsewhere."""

    def __init__(self, folder, onward, keys):
        keys.add("one.example").add("two.example")
        site = configs.Site(
            folder, "forward", onward, "domains: [two.example]",
            f'aliases: {{"{BOB}": "{ROBERT}", "{CAROL}": "{ROBERT}"}}',
            "mail-from: returns@two.example", "delivery: queue",
            common=["keys: keys", "keys-file: dns.json", *QUICK])
        self.keys, self.port, self.config = keys, site.port, site.config
        self.spool = folder / f"state-{site.port}" / "queue"


def test_B1_a_chain_that_fails_is_told_one_hop_back(folder, hopseald, keys):
    with refusing(ROBERT, reply=f"550 5.1.1 <{ROBERT}> unknown") as sink:
        s = Forwarder(folder, sink.port, keys)
        s.daemon = hopseald(s.config)
        content = signed(keys)
        send(s.port, [BOB], content)
        (mail,) = arrived(sink, 1)
        assert (mail.mail_from, mail.rcpt_to) == ("", [ALICE])
        assert numbers(mail.content) == [(1, "two.example", None)]
        _, _, _, (rcpt,), returned = parts(mail)
        assert rcpt["Final-Recipient"] == f"rfc822; {BOB}"
        assert rcpt["Status"] == "5.1.1"
        for secret in (b"robert", b"three.example"):        # B5
            assert secret not in mail.content.lower()
        assert content.split(b"\r\n\r\n")[0] in mail.content
        done = harness.run(harness.HOPSEAL, "dsn-verify", "--mail-from", "<>",
                           "--rcpt-to", ALICE, "--dns", keys.file,
                           stdin=mail.content, ok=False)
        assert done.returncode == 0, done.stdout
        s.wait_empty()


def test_of_two_aliases_that_meet_the_one_who_wants_it_is_told_of(
        folder, hopseald, keys):
    with refusing(ROBERT, reply=f"550 5.1.1 <{ROBERT}> unknown") as sink:
        s = Forwarder(folder, sink.port, keys)
        s.daemon = hopseald(s.config)
        content = signed(keys, to=(BOB, CAROL))
        asked_twice(s, (BOB, "NOTIFY=NEVER"), (CAROL, "NOTIFY=FAILURE"),
                    content=content)
        (mail,) = arrived(sink, 1)
        assert mail.rcpt_to == [ALICE]
        (rcpt,) = parts(mail)[3]
        assert rcpt["Final-Recipient"] == f"rfc822; {CAROL}"
        assert ROBERT.encode() not in mail.content.lower()
        s.wait_empty()


def test_B1_what_could_not_be_reported_goes_through(folder, hopseald, keys):
    """Unsigned, with another MAIL FROM, from nobody: the client hears of it,
    and no queue is needed."""
    with refusing(ROBERT) as sink:
        s = Forwarder(folder, sink.port, keys)
        s.daemon = hopseald(s.config)
        broken = signed(keys).replace(b"Subject: Words", b"Subject: Other")
        for sender, content in ((ALICE, message()), ("", message()),
                                ("eve@far.example", signed(keys)),
                                (ALICE, broken)):
            with Client(s.port) as c:
                reply = transaction(c, sender, [BOB], content)
                assert reply[0] == 550, (sender, reply)
        sink.answers["rcpt"] = "250 ok"
        with Client(s.port) as c:
            assert "queued" not in transaction(c, ALICE, [BOB], message())[1]
        assert s.is_empty()
        assert [m.rcpt_to for m in sink.mails] == [[ROBERT]]
        assert len(list((s.spool / "new").iterdir())) == 0


# ---- killed on the way ------------------------------------------------------------


def report_calls(s, name, folder):
    """How often a process makes each call from the failure to the report."""
    watch = attach(lambda: pid_of(s.daemon, name), folder / "trace")
    failed(s, "first")
    names = re.findall(r"^\d+ +(\w+)\(", watch.end(), re.M)
    return collections.Counter(n for n in names if n not in NOT_OURS)


def reports(sink, mid):
    return [m for m in sink.mails if m.mail_from == "" and
            f"<{mid}@one.example>".encode() in m.content]


# A process that dies again and again is started again after up to a minute.
RESTARTED = 90


def failed(s, mid, watch=None):
    """A message that fails; until its report is there, and nothing else."""
    for _ in range(2000):
        try:
            send(s.port, [BOB], message(mid))
            break
        except (Closed, OSError, AssertionError):
            time.sleep(0.05)        # its process was killed
    until(lambda: reports(s.sink, mid), f"the report of {mid}", RESTARTED)
    if watch:               # or each process that removes is killed as well
        watch.end()
        try:
            until(s.is_empty, "what is told to be removed", 5)
        except AssertionError:  # one was: what it left is found at the start
            s.daemon.stop()
            s.daemon.start()
    until(s.is_empty, lambda: f"an empty queue: {s.rcpts()}", RESTARTED)


def find(s, name):
    """Its pid; what commits is followed by another for the next batch."""
    names = [pid_name(p) for p in s.daemon.pids()]
    if name == COMMIT and COMMIT not in names:
        failed(s, f"another.{time.monotonic_ns()}")
    return pid_of(s.daemon, name)


@pytest.fixture
def traced(site):
    if os.environ.get("SAN"):
        pytest.skip("the sanitizers make calls of their own, and need ptrace")
    if not shutil.which("strace"):
        missing("strace is not installed")
    with refusing(BOB) as sink:
        s = site(sink)
        s.sink = sink
        s.daemon.crashes = True
        yield s


@pytest.mark.parametrize("name", [QUEUE, COMMIT])
def test_Q1_killed_at_each_call_it_is_reported(traced, folder, name):
    """At least once; twice only where its own last dot was in doubt, or the
    message came twice, as its client had no answer."""
    points = [(call, k) for call, n in sorted(
        report_calls(traced, name, folder).items()) for k in range(1, n + 1)]
    assert len(points) > 3, points
    drawn = points if LONG else random.Random(SEED).sample(
        points, min(SLICE, len(points)))
    print(f"{len(drawn)} of {len(points)} points, seed {SEED}")
    for n, (call, k) in enumerate(drawn):
        mid = f"{n}.{call}.{k}"
        watch = attach(lambda: find(traced, name), folder / "trace",
                       "-e", f"inject={call}:signal=KILL:when={k}")
        failed(traced, mid, watch)
        told = len(reports(traced.sink, mid))
        assert 1 <= told <= 2, f"killed at {call} {k}: {told}"
        if n % 5 == 4:          # what dies often is started ever later
            assert "ALARM" not in traced.daemon.log()
            traced.daemon.stop()
            traced.daemon.start()
    assert {m.mail_from for m in traced.sink.mails} == {""}
    assert {tuple(m.rcpt_to) for m in traced.sink.mails} == {(ALICE,)}
    assert "ALARM" not in traced.daemon.log()


@pytest.mark.parametrize("call", ["fdatasync", "writev", "pwrite64"])
def test_Q3_a_disk_that_fails_under_a_report(traced, folder, call):
    """It is made later; nobody is marked as told before."""
    failed(traced, "first")
    watch = attach(lambda: pid_of(traced.daemon, QUEUE), folder / "trace",
                   "-e", f"inject={call}:error=EIO:when=1")
    failed(traced, "second")
    watch.end()
    assert len(reports(traced.sink, "second")) == 1
