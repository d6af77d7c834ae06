"""Mail through the queue of a real hopseald: what leaves, when, how often, and
what becomes of what can not be delivered."""

import os
import pwd
import re
import threading
import time

import pytest

import harness
import queuefile
from harness import until
from queuekit import (ALICE, BOB, CAROL, DAVE, Queueing, arrived, check,
                      message, send, taken)
from smtptools import CLOSE, Client, Sink
from test_process import reload


@pytest.fixture
def site(folder, hopseald, keys):
    """site(sink, ...): a Queueing that runs."""
    def start(sink, *more, run=True, **kw):
        s = Queueing(folder, sink.port, keys, *more, **kw)
        s.daemon = hopseald(s.config) if run else None
        return s
    return start


# ---- what leaves ------------------------------------------------------------------


@pytest.mark.parametrize("role", ["egress", "appliance"])
def test_delivered_as_it_came_and_verified(site, role):
    with Sink() as sink:
        s = site(sink, role=role)
        content = message(size=100_000)
        id = send(s.port, [BOB], content)
        (mail,) = arrived(sink, 1)
        check(s, mail, content)
        assert (mail.mail_from, mail.rcpt_to) == (ALICE, [BOB])
        s.wait_empty()
        log = s.daemon.wait_log(
            rf"{id}: to=<{BOB}>, .*status=sent \(250 2.0.0 taken\).*").group()
        assert f"relay=127.0.0.1[127.0.0.1]:{sink.port}" in log
        s.daemon.wait_log(f"{id}: removed")
        assert id.encode() in mail.content      # its Received
        assert not sink.faults


def test_an_appliance_is_repaired_before_it_is_queued(site):
    with Sink() as sink:
        s = site(sink, role="appliance")
        with Client(s.port) as c:
            c.envelope(ALICE, BOB)
            c.command("DATA")
            c.send(f"From: <{ALICE}>\nTo: {BOB}\n\nscan\n".encode() +
                   b"\r\n.\r\n")
            taken(c.reply())
        (mail,) = arrived(sink, 1)
        assert b"\nDate: " in mail.content and b"\nMessage-ID: " in mail.content
        assert not sink.faults
        check(s, mail, mail.content)


def test_the_next_hop_is_down_then_up(site):
    with Sink() as sink:
        sink.kill()
        s = site(sink)
        content = message()
        id = send(s.port, [BOB], content)
        s.daemon.wait_log(rf"{id}: to=<{BOB}>, .*status=deferred")
        assert s.rcpts()[BOB][0] == "queued"
        assert "refused" in s.rcpts()[BOB][2].lower()
        sink.restart()
        s.queue("retry", id)
        check(s, arrived(sink, 1)[0], content)
        s.wait_empty()


def test_a_later_try_has_the_same_octets(site):
    with Sink(dot=["451 4.3.0 not now", "452 4.3.1 no room", CLOSE,
                   "250 2.0.0 taken"]) as sink:
        s = site(sink)
        content = message()
        send(s.port, [BOB], content)
        (mail,) = arrived(sink, 1)
        check(s, mail, content)
        assert [r.content for r in sink.refused][:2] == [mail.content] * 2
        s.wait_empty()


def test_4xx_at_each_stage_is_tried_again(site):
    later = "450 4.2.0 later"
    with Sink(mail=[later, "250 ok"], rcpt=[later, "250 ok"],
              data=[later, "354 go on"]) as sink:
        s = site(sink)
        send(s.port, [BOB], message())
        arrived(sink, 1)
        s.wait_empty()
        assert s.daemon.log().count("status=deferred") >= 3


def test_failed_for_good_is_kept_for_the_postmaster(site):
    answers = ["550 5.1.1 no such user", "250 2.1.5 ok"]
    with Sink(rcpt=answers) as sink:
        s = site(sink)
        content = b"Auto-Submitted: auto-replied\r\n" + message()  # B2
        id = send(s.port, [BOB], content)
        s.daemon.wait_log(rf"{id}: ALARM: to=<{BOB}>: failed for good: "
                          r"550 5.1.1 no such user")
        status, _, reason = s.rcpts()[BOB]
        assert (status, reason) == ("failed", "550 5.1.1 no such user")
        assert f"{id}#" in s.queue("list") and BOB in s.queue("list")
        assert b"Text 1" in s.queue("show", id).encode()
        assert s.queue("list", "--status", "failed", "--json")
        s.daemon.stop()             # it survives
        s.daemon.start()
        assert s.rcpts()[BOB][0] == "failed" and not sink.mails
        s.wait_control()
        s.queue("retry", "--reason", "No Such User")
        check(s, arrived(sink, 1)[0], content)
        s.wait_empty()


def test_hold_release_and_remove(site):
    with Sink(dot="451 4.3.0 later") as sink:
        s = site(sink)
        first, second = send(s.port, [BOB], message(1)), \
            send(s.port, [BOB], message(2))
        until(lambda: len(sink.refused) >= 2, "both to be tried")
        s.queue("hold", "--all")
        until(lambda: len(s.listed("--status", "held")) == 2, "held ones")
        sink.answers["dot"] = "250 ok"
        time.sleep(3)               # past its time
        had = len(sink.mails)
        assert {m["id"] for m in s.listed()} == {first, second} or had
        assert had == 0
        s.queue("remove", first)
        s.queue("release", second)
        (mail,) = arrived(sink, 1)
        assert b"Text 2" in mail.content
        s.wait_empty()
        s.queue("release", first, code=1)


def test_hidden_recipients_have_a_copy_each(site):
    with Sink() as sink:
        s = site(sink)
        content = message(to=f"{BOB}, {CAROL}")
        send(s.port, [BOB, CAROL, DAVE, "eve@two.example"], content)
        mails = arrived(sink, 3)
        assert sorted(sorted(m.rcpt_to) for m in mails) == \
            [[BOB, CAROL], [DAVE], ["eve@two.example"]]
        for mail in mails:
            check(s, mail, content)
        s.wait_empty()


def test_hundreds_of_recipients(site):
    """Named ones share; past max-copies, hidden ones have their copies too."""
    named = [f"n{k}@two.example" for k in range(100)]
    hidden = [f"h{k}@two.example" for k in range(200)]
    with Sink() as sink:
        s = site(sink, "max-recipients: 1000")
        content = message(to=",\r\n ".join(named))
        send(s.port, named + hidden, content)
        s.wait_empty()
        assert sorted(r for m in sink.mails for r in m.rcpt_to) == \
            sorted(named + hidden)
        for mail in sink.mails:
            assert len(mail.rcpt_to) == 1 or not set(mail.rcpt_to) & set(hidden)
        for mail in sink.mails[::50]:
            check(s, mail, content)


def test_each_recipient_has_his_own_fate(site):
    def rcpt(path):
        return {"bob": "250 ok", "alice": "250 ok", "carol": "550 5.1.1 unknown",
                "dave": "450 4.2.1 later"}[path.split("@")[0]]

    with Sink(rcpt=rcpt) as sink:
        s = site(sink)
        send(s.port, [BOB, CAROL, DAVE], message(to=f"{BOB}, {CAROL}, {DAVE}"))
        until(lambda: [v[0] for v in s.rcpts().values()] ==
              ["delivered", "reported", "queued"],
              lambda: f"three fates: {s.rcpts()}")
        sink.answers["rcpt"] = "250 ok"
        s.wait_empty()
        assert sorted(m.rcpt_to for m in sink.mails) == \
            [[ALICE], [BOB], [DAVE]]


# ---- Q20 ---------------------------------------------------------------------------


def test_Q20_what_can_not_be_reported_is_not_queued(site):
    """A null sender, and one of somebody else: delivered in the session."""
    with Sink() as sink:
        s = site(sink, "unsignable: pass")
        for sender in ("", "eve@elsewhere.example"):
            with Client(s.port) as c:
                code, text = c.mail(sender, BOB, message())
            assert "queued as" not in text, text
            if code == 250:
                assert sink.mails[-1].mail_from == sender
            else:
                assert code // 100 == 5, (code, text)
        assert s.is_empty()
        sink.answers["dot"] = "550 5.6.0 not this"
        with Client(s.port) as c:
            assert c.mail("", CAROL, message(2))[0] == 550
        assert s.is_empty()


# ---- the spool ------------------------------------------------------------------------


def test_Q6_a_second_daemon_leaves_with_75(site, folder):
    with Sink() as sink:
        s = site(sink)
        other = harness.Hopseald(
            folder, s.config.replace(f"127.0.0.1:{s.port}",
                                     f"127.0.0.1:{harness.free_port()}"),
            "second")
        other.start(ready=False)
        assert other.process.wait(harness.WAIT) == 75, other.log()
        other.process = None
        send(s.port, [BOB], message())
        arrived(sink, 1)
        # a lock that a killed one left is none
        s.daemon.kill()
        s.daemon.start()
        send(s.port, [BOB], message(2))
        arrived(sink, 2)


def test_Q7_a_newer_format_is_left_alone(site, folder):
    with Sink() as sink:
        s = site(sink)
        s.daemon.stop()
        (s.spool / "format").write_text("hopseal-queue 2\n")
        daemon = harness.Hopseald(folder, s.config, "newer")
        daemon.start(ready=False)
        assert daemon.process.wait(harness.WAIT) == 78, daemon.log()
        daemon.process = None
        assert (s.spool / "format").read_text() == "hopseal-queue 2\n"


def owner(s):
    status = (s.spool / "mail").stat()
    return status.st_uid, status.st_gid


def test_Q7_foreign_files_are_set_aside_and_others_go_on(site, folder):
    with Sink() as sink:
        sink.kill()
        s = site(sink)
        content = message()
        good = send(s.port, [BOB], content)
        s.daemon.stop()
        spool = queuefile.Spool(s.spool, owner(s))
        data = queuefile.octets("x1", content, queuefile.Rcpt(CAROL))
        spool.put(spool.mail / "x1", data[:-1])
        spool.put(spool.mail / "x2", data)              # another id
        spool.put(spool.mail / "x3", b"garbage")
        spool.put(spool.mail / "Not An Id", data)
        spool.put(folder / "outside", data)
        (spool.mail / "x4").symlink_to(folder / "outside")
        os.mkfifo(spool.mail / "x5", 0o600)
        (spool.mail / "x6").mkdir()
        os.chown(spool.mail / "x6", *owner(s))
        spool.put(spool.mail / "x7", data.replace(b"id x1", b"id x7"))
        os.link(spool.mail / "x7", folder / "link")
        sink.restart()
        s.daemon.start()
        arrived(sink, 1)
        until(lambda: spool.ids() == [], lambda: f"an empty mail/: {spool.ids()}")
        aside = {p.name for p in (s.spool / "corrupt").iterdir()}
        assert aside >= {"x1", "x2", "x3", "x4", "x5", "x6", "x7", "Not An Id"}
        assert [m.rcpt_to for m in sink.mails] == [[BOB]]
        assert (folder / "outside").read_bytes() == data
        assert s.daemon.log().count("ALARM") >= 8
        assert f"{good}: removed" in s.daemon.log()


def test_export_to_another_node(site, folder, hopseald, keys):
    with Sink(dot="451 4.3.0 later") as sink, Sink() as other:
        s = site(sink)
        t = Queueing(folder, other.port, keys)
        t.daemon = hopseald(t.config, name="other")
        content = message()
        id = send(s.port, [BOB], content)
        until(lambda: sink.refused, "a try")
        out = folder / "out"
        out.mkdir()
        s.queue("export", "--remove", "--all", out)
        s.wait_empty()
        t.queue("import", out / id)
        check(s, arrived(other, 1)[0], content)
        t.wait_empty()
        assert other.mails[0].content == sink.refused[0].content
        assert not sink.mails
        # and back, where it was once removed
        sink.answers["dot"] = "250 ok"
        s.queue("import", out / id)
        arrived(sink, 1)


# ---- start, reload, end ----------------------------------------------------------------


class Load(threading.Thread):
    """Sends until told to end; .taken has what was acknowledged."""

    def __init__(self, port, name, pause=0.0):
        super().__init__(daemon=True)
        self.port, self.prefix, self.pause = port, name, pause
        self.taken, self.refused, self.over = [], [], threading.Event()

    def run(self):
        k = 0
        while not self.over.is_set():
            k += 1
            rcpt = f"{self.prefix}{k}@two.example"
            try:
                with Client(self.port) as c:
                    reply = c.mail(ALICE, rcpt, message(rcpt, to=rcpt))
                    if reply[0] == 250:
                        self.taken.append(rcpt)
                    else:
                        self.refused.append(reply)
            except Exception as e:              # noqa: BLE001: it tries again
                self.refused.append(e)
                time.sleep(0.02)
            time.sleep(self.pause)


def loads(port, n=4, pause=0.0):
    all = [Load(port, f"{chr(97 + k)}x", pause) for k in range(n)]
    for load in all:
        load.start()
    return all


def end(all):
    for load in all:
        load.over.set()
    for load in all:
        load.join(harness.WAIT)
    return [r for load in all for r in load.taken]


def counted(sink):
    n = {}
    for mail in sink.mails:
        for r in mail.rcpt_to:
            n[r] = n.get(r, 0) + 1
    return n


def test_reload_under_load(site):
    with Sink() as sink:
        s = site(sink, workers=2)
        all = loads(s.port)
        for _ in range(4):
            time.sleep(0.3)
            assert "ready" in reload(s.daemon)
        acknowledged = end(all)
        assert not [r for load in all for r in load.refused]
        s.wait_empty()
        assert acknowledged
        assert counted(sink) == {r: 1 for r in acknowledged}


def test_Q18_term_under_load(site):
    """What was acknowledged is in the queue, and the next daemon has it."""
    with Sink() as sink:
        s = site(sink, workers=2)
        all = loads(s.port)
        for _ in range(3):
            time.sleep(0.5)
            s.daemon.stop()
            s.daemon.start()
        acknowledged = end(all)
        s.wait_empty()
        n = counted(sink)
        assert not set(acknowledged) - set(n), "acknowledged and lost"
        assert all_once(n), n


def all_once(n):
    return set(n.values()) <= {1}


def test_Q8_many_at_the_start_and_a_dead_destination(site, folder):
    """A dead next hop and a slow one starve nobody, listeners have their own."""
    n = 20_000 if os.environ.get("LONG") else 600
    with Sink() as good, Sink() as dead:
        s = site(good, run=False)
        extra = s.config.replace("  l:\n", "  l2:\n", 1)
        s.config += extra[extra.index("  l2:\n"):].replace(
            f"127.0.0.1:{s.port}", f"127.0.0.1:{harness.free_port()}").replace(
            f"127.0.0.1:{good.port}", f"127.0.0.1:{dead.port}")
        dead.kill()
        user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        for name in ("hopseal",):
            try:
                user = pwd.getpwnam(name) if user else None
            except KeyError:
                pass
        spool = queuefile.Spool(s.spool, (user.pw_uid, user.pw_gid)
                                if user else None)
        (s.spool / "format").write_text("hopseal-queue 1\n")
        if user:
            os.chown(s.spool / "format", user.pw_uid, user.pw_gid)
        (s.spool / "format").chmod(0o600)
        now = int(time.time())
        content = message()
        for k in range(n):
            spool.write(f"m{k:06}", content,
                        queuefile.Rcpt(f"r{k}@two.example", due=now),
                        arrived=now, listener="l2" if k % 2 else "l",
                        mail_from=ALICE)
        s.daemon = harness.Hopseald(folder, s.config).start()
        try:
            until(lambda: len(good.mails) >= n // 2,
                  lambda: f"{n // 2} mails: {len(good.mails)}", 300)
            assert all_once(counted(good))
            assert s.daemon.log().count("status=deferred") < n // 2 + 100
            dead.restart()
            s.queue("retry", "--reason", "refused", code=None)
            until(lambda: len(dead.mails) >= n // 2,
                  lambda: f"the other half: {len(dead.mails)}", 300)
            s.wait_empty()
        finally:
            s.daemon.stop()
