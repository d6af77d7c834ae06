"""hopseal queue: what it shows of the files, whom it chooses, what it asks the
daemon, and what it makes of hostile files (Q7)."""

import json
import os
import pty
import socket
import subprocess
import threading
import time

import pytest

import harness
from queuefile import Rcpt, Spool, octets

CONTENT = b"From: a\r\nTo: b\r\nSubject: hi\r\n\r\ntext\r\n"


def queue(*words, code=0, **more):
    done = subprocess.run([str(harness.HOPSEAL), "queue", *map(str, words)],
                          capture_output=True, timeout=60, **more)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


def listed(spool, *words, code=0):
    done = queue("list", "--spool", spool.path, "--json", *words, code=code)
    return [json.loads(line) for line in done.stdout.splitlines()]


def ids(spool, *words):
    return [m["id"] for m in listed(spool, *words)]


@pytest.fixture
def spool(folder):
    return Spool(folder / "queue")


@pytest.fixture
def three(spool):
    now = int(time.time())
    spool.write("c3", CONTENT, Rcpt("x@three.example", status="f", tries=2,
                                    reply="550 5.1.1 No such User"),
                arrived=now - 10, mail_from="")
    spool.write("a1", CONTENT, Rcpt("bob@two.example", to="b@old.example",
                                    tries=1, reply="450 4.2.0 Mailbox busy"),
                Rcpt("gone@gone.example", status="d"), arrived=now - 7200)
    spool.write("b2", CONTENT * 100, Rcpt("bob@two.example"), hold="H",
                arrived=now - 300)
    return spool


class Daemon:
    """Answers on the control socket as it is told: (request) -> answer."""

    def __init__(self, spool, answer):
        self.requests = []
        self.answer = answer
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        folder = os.open(spool.path, os.O_PATH)
        self.listener.bind(f"/proc/self/fd/{folder}/control")
        os.close(folder)
        self.listener.listen(4)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer:
                while request := peer.recv(1000):
                    self.requests.append(request.decode())
                    answer = self.answer(request.decode())
                    if answer is None:
                        break
                    peer.send(answer.encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


# ---- list and show ------------------------------------------------------------


def test_an_empty_queue(spool):
    assert queue("list", "--spool", spool.path).stdout == \
        b"Mail queue is empty\n"
    assert listed(spool) == []


def test_list_reads_like_mailq(three):
    lines = queue("list", "--spool", three.path).stdout.decode().splitlines()
    assert lines[0] == \
        "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------"
    assert lines[1].split()[:2] == ["a1", str(len(CONTENT))]
    assert lines[1].endswith("  alice@one.example")
    assert lines[2].strip() == "(450 4.2.0 Mailbox busy)"
    assert lines[3] == " " * 41 + "bob@two.example"
    assert lines[4] == ""
    assert lines[5].startswith("b2! ") and lines[8].startswith("c3# ")
    assert lines[8].endswith("  MAILER-DAEMON")
    total = 102 * len(CONTENT) // 1024
    assert lines[-1] == f"-- {total} Kbytes in 3 Requests."
    assert not any("gone@" in line for line in lines)


def test_json(three):
    first = listed(three)[0]
    assert first["id"] == "a1" and first["sender"] == "alice@one.example"
    assert first["size"] == len(CONTENT) and first["held"] is False
    assert first["file_size"] == (three.mail / "a1").stat().st_size
    bob, gone = first["recipients"]
    assert bob == {"copy": 1, "to": "bob@two.example",
                   "orig_to": "b@old.example",
                   "mail_from": "alice@one.example", "status": "queued",
                   "tries": 1, "next_try": 1795664097,
                   "reason": "450 4.2.0 Mailbox busy"}
    assert (gone["status"], gone["next_try"]) == ("delivered", None)


@pytest.mark.parametrize("words, found", [
    ([], ["a1", "b2", "c3"]),
    (["--all"], ["a1", "b2", "c3"]),
    (["c3", "a1"], ["a1", "c3"]),
    (["--to-domain", "TWO.example"], ["a1", "b2"]),
    (["--to-domain", "old.example"], ["a1"]),
    (["--to-domain", "gone.example"], []),
    (["--from", "Alice@one.example"], ["a1", "b2"]),
    (["--from", "<>"], ["c3"]),
    (["--older", "1m"], ["a1", "b2"]),
    (["--older", "2h"], ["a1"]),
    (["--older", "1d"], []),
    (["--reason", "mailbox BUSY"], ["a1"]),
    (["--reason", "5.1.1"], ["c3"]),
    (["--status", "held"], ["b2"]),
    (["--status", "failed"], ["c3"]),
    (["--status", "delivered"], ["a1"]),
    (["--status", "queued", "--reason", "busy"], ["a1"]),
    # of one recipient, not of two between them
    (["--status", "delivered", "--to-domain", "two.example"], []),
    (["b2", "--from", "<>"], []),
])
def test_filters(three, words, found):
    assert ids(three, *words) == found


def test_show(spool):
    spool.write("m1", CONTENT, copies=[[Rcpt("bob@two.example", tries=3,
                                             reply="451 4.0.0 later")],
                                       [Rcpt("eve@two.example", to="e@x.example")]],
                added=(b"A: 1\r\n", b"B: 2\r\n"), signed_as="signed=yes d=one.example")
    where = ("--spool", spool.path)
    assert queue("show", "m1", "--content", *where).stdout == \
        b"A: 1\r\n" + CONTENT
    assert queue("show", "m1", "--content", "--copy", "2", *where).stdout == \
        b"B: 2\r\n" + CONTENT
    head = queue("show", "m1", "--head", *where).stdout
    for text in (b"<bob@two.example>: queued, 3 tries, next ",
                 b"451 4.0.0 later", b"(for <e@x.example>)",
                 b"signed=yes d=one.example", b"listener   l\n"):
        assert text in head
    assert queue("show", "m1", *where).stdout == \
        head + b"\nA: 1\r\n" + CONTENT
    assert b"2 copies" in queue("show", "m1", "--copy", "3", *where,
                                code=1).stderr
    queue("show", "m1", "--copy", "0", *where, code=64)
    queue("show", "m2", *where, code=1)
    queue("show", "../m1", *where, code=64)
    queue("show", *where, code=64)


def test_no_control_octets_to_a_terminal(spool):
    spool.write("m1", b"X: \x1b[31m\r\n\r\n\x07\x9b\r\n", Rcpt("bob@two.example"))
    try:
        ours, theirs = pty.openpty()
    except OSError as why:          # a chroot without /dev/pts
        pytest.skip(f"no terminal to be had: {why}")
    process = subprocess.Popen([harness.HOPSEAL, "queue", "show", "m1",
                                "--spool", spool.path], stdout=theirs)
    os.close(theirs)
    seen = b""
    try:
        while got := os.read(ours, 65536):
            seen += got
    except OSError:                 # how a terminal ends
        pass
    os.close(ours)
    assert process.wait() == 0
    assert b"\\033[31m" in seen and b"\\007\\233" in seen
    assert not {0x1b, 7, 0x9b} & set(seen)


# ---- hostile files ---------------------------------------------------------------


def test_Q7_one_that_can_not_be_read_is_told_and_the_others_go_on(three, folder):
    mail = three.mail
    three.put(mail / "d4", b"no queue file\n")
    three.put(mail / "e5", octets("e5", CONTENT, Rcpt("x@y.example"))[:-1])
    three.put(mail / "f6", octets("f6", CONTENT, Rcpt("x@y.example")).replace(
        b"hopseal-queue 1", b"hopseal-queue 3"))
    three.put(mail / "g7", octets("g7", CONTENT, Rcpt("x@y.example")).replace(
        b"count 1 1", b"count 1 2"))
    three.put(mail / "\x1b[2J", b"")
    three.put(folder / "outside", octets("h8", CONTENT, Rcpt("x@y.example")))
    (mail / "h8").symlink_to(folder / "outside")
    os.mkfifo(mail / "i9")
    (mail / "j10").mkdir()
    three.put(mail / "k11", b"")
    three.put(mail / "l12", b"hopseal-queue 1 99999999 0 0\n")
    assert [m["id"] for m in listed(three, code=66)] == ["a1", "b2", "c3"]
    said = queue("list", "--spool", three.path, code=66).stderr.decode()
    for text in ("d4: no queue file", "e5: corrupt: it is longer or shorter",
                 "f6: of another version", "g7: corrupt", "\\033[2J: no queue",
                 "h8: a link", "i9: not a regular", "j10: ", "k11: ", "l12: "):
        assert text in said, (text, said)
    assert "\x1b" not in said
    assert queue("show", "h8", "--spool", three.path, code=66).stdout == b""


def test_Q7_a_file_of_another_id(spool):
    """Its name is what counts for the daemon: it must be the same."""
    spool.put(spool.mail / "a1", octets("b2", CONTENT, Rcpt("x@y.example")))
    assert listed(spool, code=66) == []


def test_folders_that_are_not_there(folder, spool):
    queue("list", "--spool", folder / "nowhere", code=66)
    (folder / "q2").mkdir()
    (folder / "q2" / "mail").symlink_to(spool.mail)
    queue("list", "--spool", folder / "q2", code=66)


def test_by_configuration(folder, three):
    config = folder / "h.yaml"
    config.write_text(
        "hostname: a.example\nstate: .\nlisteners:\n  l: {role: inbound, "
        "listen: ['127.0.0.1:2525'], domains: [a.example], "
        "next-hop: 'smtp://127.0.0.1:25'}\n")
    done = queue("list", "-c", config, "--json")
    assert len(done.stdout.splitlines()) == 3
    queue("list", "-c", folder / "none.yaml", code=66)
    config.write_text("nonsense: 1\n")
    queue("list", "-c", config, code=78)
    queue("list", "-c", config, "--spool", three.path, code=64)


@pytest.mark.parametrize("words", [
    ["list", "--older", "soon"], ["list", "--status", "lost"],
    ["list", "../../x"], ["list", "--what"], ["fly"], [], ["retry"],
    ["remove", "--spool", "q"], ["hold", "a1", "--all"], ["import"],
    ["export"], ["export", "--remove", "d"],
])
def test_usage(three, words):
    more = ["--spool", str(three.path)] if words and \
        "--spool" not in words else []
    queue(*words, *more, code=64)
    assert ids(three) == ["a1", "b2", "c3"]


def test_help():
    assert b"--to-domain" in subprocess.run(
        [harness.HOPSEAL, "help", "queue"], capture_output=True).stdout
    assert b"--to-domain" in queue("list", "--help").stdout


# ---- asking the daemon -------------------------------------------------------------


@pytest.mark.parametrize("verb", ["retry", "hold", "release", "remove"])
def test_acting(three, verb):
    where = ("--spool", three.path)
    with Daemon(three, lambda request: "ok") as daemon:
        assert queue(verb, "--from", "alice@one.example", *where).stdout == \
            f"{verb}: 2 messages\n".encode()
        assert daemon.requests == [f"{verb} a1", f"{verb} b2"]
        queue(verb, "c3", *where)
        assert daemon.requests[2:] == [f"{verb} c3"]
        done = queue(verb, "zz", "a1", *where, code=1)
        assert b"zz is not in the queue" in done.stderr
        assert daemon.requests[3:] == [f"{verb} a1"]
        queue(verb, "--all", *where)
        assert len(daemon.requests) == 7


@pytest.mark.parametrize("answer, code, text", [
    ("absent", 1, b"c3 is not in the queue"),
    ("busy", 75, b"c3 is being tried"),
    ("error No \x1b space", 69, b"remove c3: No \\033 space"),
    (None, 75, b"no answer"),
])
def test_answers(three, answer, code, text):
    with Daemon(three, lambda request: answer if "c3" in request else "ok"):
        done = queue("remove", "--all", "--spool", three.path, code=code)
        assert text in done.stderr


@pytest.mark.parametrize("words", [["retry", "--all"], ["hold", "a1"],
                                   ["import", "x"], ["export", "--remove",
                                                     "--all", "."]])
def test_no_daemon(three, words):
    def said():
        done = queue(*words, "--spool", three.path, code=75)
        assert done.stderr.decode() == "hopseal: hopseald is not running " \
            f"(no answer at {three.path}/control)\n"
    said()
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    here = os.getcwd()
    os.chdir(three.path)
    dead.bind("control")
    os.chdir(here)
    dead.close()
    said()


# ---- export and import ----------------------------------------------------------------


def test_export(three, folder):
    out = folder / "out"
    out.mkdir()
    where = ("--spool", three.path)
    queue("export", "--from", "<>", out, *where)
    assert [p.name for p in out.iterdir()] == ["c3"]
    assert (out / "c3").read_bytes() == (three.mail / "c3").read_bytes()
    assert (out / "c3").stat().st_mode & 0o777 == 0o600
    done = queue("export", out, *where, code=70)      # nothing is replaced
    assert b"exists" in done.stderr
    queue("export", folder / "nowhere", *where, code=66)
    assert three.ids() == ["a1", "b2", "c3"]


def test_export_that_removes(three, folder):
    """A try that ended meanwhile stands in what was exported."""
    out = folder / "out"
    out.mkdir()
    busy = [1]

    def answer(request):
        if busy:
            busy.pop()
            return "busy"
        path = three.mail / request.split()[1]
        with open(path, "r+b") as f:
            at = f.read().index(b"\n q ") + 2
            f.seek(at)
            f.write(b"d")
        path.unlink()
        return "ok"

    with Daemon(three, answer) as daemon:
        queue("export", "--remove", "a1", out, "--spool", three.path)
    assert daemon.requests == ["remove a1", "remove a1"]
    assert three.ids() == ["b2", "c3"]
    assert b"\n d 0001" in (out / "a1").read_bytes()


def test_export_of_what_was_delivered_meanwhile(three, folder):
    out = folder / "out"
    out.mkdir()
    with Daemon(three, lambda request: "absent"):
        queue("export", "--remove", "a1", out, "--spool", three.path, code=1)
    assert list(out.iterdir()) == []


def test_import(spool, folder):
    data = octets("a1", CONTENT, Rcpt("x@y.example"))
    (folder / "some.name").write_bytes(data)

    def answer(request):
        new = spool.path / "new" / request.split()[1]
        seen.append((new.read_bytes(), new.stat().st_mode & 0o777))
        new.rename(spool.mail / new.name)
        return "ok"

    seen = []
    where = ("--spool", spool.path)
    with Daemon(spool, answer) as daemon:
        queue("import", folder / "some.name", *where)
        assert daemon.requests == ["import a1"] and seen == [(data, 0o600)]
        done = queue("import", folder / "some.name", *where, code=69)
        assert b"a1 is in the queue already" in done.stderr
        (folder / "bad").write_bytes(data[:-1])
        queue("import", folder / "bad", folder / "none", *where, code=66)
    assert spool.ids() == ["a1"]


@pytest.mark.parametrize("answer, code", [("error no room", 69),
                                          ("absent", 69), (None, 75)])
def test_import_that_fails_leaves_nothing(spool, folder, answer, code):
    (folder / "f").write_bytes(octets("a1", CONTENT, Rcpt("x@y.example")))
    with Daemon(spool, lambda request: answer):
        queue("import", folder / "f", "--spool", spool.path, code=code)
    assert list((spool.path / "new").iterdir()) == []


def test_Q8_many_are_listed_with_little_memory(spool):
    if os.environ.get("SAN"):
        pytest.skip("a sanitizer takes more memory than that for itself")
    n = 100_000 if os.environ.get("LONG") else 3000
    data = octets("m000000", CONTENT, Rcpt("x@y.example"))
    for k in range(n):
        spool.put(spool.mail / f"m{k:06}",
                  data.replace(b"m000000", b"m%06d" % k))
    done = subprocess.run(
        ["/usr/bin/env", "sh", "-c", 'ulimit -v 200000; exec "$@"', "sh",
         harness.HOPSEAL, "queue", "list", "--spool", spool.path, "--json"],
        capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == n
