"""The log and who reads it: Postfix's words, the same as JSON, one id from the
log to Received and our reply, and hopseal trace."""

import json
import os
import re
import subprocess

import pytest

import configs
import harness
from harness import until
from messages import message
from smtptools import Client, Sink

ID = r"[0-9a-z]{12,32}"
PATH = r"<[^<>]*>"
# Forms of lines that Postfix has, as people match them; ours go on behind.
POSTFIX = {
    "client": rf"{ID}: client=\S+, listener=\w+, from={PATH}$",
    "message-id": rf"{ID}: message-id=<[^ ]*>$",
    "from": rf"{ID}: from={PATH}, size=\d+, nrcpt=\d+( \(queue active\))?$",
    "to": rf"{ID}: to={PATH}, (orig_to={PATH}, )?relay=(none|queue|[^ \[]+\[[0-9a-f.:]+\]"
          r"(:\d+)?), delay=\d+\.\d\d, dsn=[245]\.\d{1,3}\.\d{1,3}, "
          r"status=(sent|deferred|bounced|expired|queued|refused) \(.*\)( |$)",
    "reject": rf"{ID}: reject: (MAIL|RCPT|DATA) from \[\S+\]:\d+: \d{{3}} \S+ .*; "
              rf"from={PATH} to={PATH} proto=E?SMTP helo=<.*> listener=\w+$",
    "report": rf"{ID}: sender non-delivery notification: {ID}$",
}
EXPLAINED = {"verdict", "dkim1", "policy", "arrival", "returned"}


def trace(*words, code=0, stdin=None, env=None):
    done = subprocess.run(
        [str(harness.HOPSEAL), "trace", *map(str, words)], input=stdin,
        capture_output=True, text=True, env={**os.environ, "TZ": "UTC", **(env or {})})
    assert done.returncode == code, (words, done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stderr


def traced(*words, **more):
    return [json.loads(line)
            for line in trace(*words, "--json", **more).splitlines()]


class Life:
    """A listener through and one that queues, and mail with every end."""

    def __init__(self, folder, keys, hopseald, form="text", name="hopseald"):
        keys.add("one.example", rsa2048=None)
        self.sink = Sink(rcpt=lambda rcpt: "550 5.1.1 nobody" if "no@" in rcpt
                         else "250 2.1.5 ok",
                         dot=lambda mail: "451 4.2.0 later"
                         if "later@" in str(mail.rcpt_to) else "250 2.0.0 taken")
        onward = f'"smtp://127.0.0.1:{self.sink.port}"'
        state = folder / f"state-{name}"
        state.mkdir()
        state.chmod(0o777)
        self.through, self.queue = harness.free_port(), harness.free_port()
        common = ("role: egress, clients: [127.0.0.1], senders: [one.example], "
                  f"next-hop: {onward}")
        self.daemon = hopseald(f"""
hostname: hop.example.net
log: {form}
state: {state}
keys: keys
keys-file: dns.json
queue-retry: 1h
listeners:
  t: {{{common}, listen: ["127.0.0.1:{self.through}"]}}
  q: {{{common}, listen: ["127.0.0.1:{self.queue}"], delivery: queue}}
""", name)
        self.log = self.daemon.log_file

    def send(self, port, n, *to, sender="a@one.example"):
        content = message(n, 1, "a@one.example", to[0])
        content = re.sub(rb"(?i)^message-id:.*?\r\n", b"", content, flags=re.M)
        content = b"Message-ID: <m%d@one.example>\r\n" % n + content
        with Client(port, hello="client.example") as c:
            reply = c.envelope(sender, *to)
            return c.content(content) if reply[0] == 250 else reply

    def live(self):
        """The ids of: sent through, refused, deferred, queued and sent,
        bounced."""
        ids = {}
        reply = self.send(self.through, 1, "b@two.example")
        ids["sent"] = re.search(rf"id ({ID})\)", reply[1]).group(1)
        assert self.send(self.through, 2, "no@two.example")[0] == 550
        assert self.send(self.through, 3, "later@two.example")[0] == 451
        reply = self.send(self.through, 6, "b@two.example", sender="x@five.example")
        assert reply[0] == 550
        for name, n, to in (("queued", 4, "b@two.example"),
                            ("bounced", 5, "no@two.example")):
            reply = self.send(self.queue, n, to)
            assert reply[0] == 250, reply
            ids[name] = re.search(rf"queued as ({ID})", reply[1]).group(1)
        report = ids["bounced"] + "r0"
        until(lambda: self.count(f"{report}: to=", f'"id": "{report}", "to"') and
              self.count("status=sent", '"status": "sent"') >= 3,
              lambda: f"every end:\n{self.log.read_text()}")
        return ids

    def count(self, text, other):
        log = self.log.read_text()
        return log.count(text) + log.count(other)


@pytest.fixture
def life(folder, keys, hopseald):
    return Life(folder, keys, hopseald)


def told(log):
    """What lines tell, behind time and process."""
    for line in log.splitlines():
        found = re.match(r"\S+Z hopseald\[\d+\] [a-z/0-9]+: (?:error: |warning: )?(.*)$",
                         line)
        assert found, line
        yield found.group(1)


def test_lines_are_in_postfix_words_and_have_an_id(life):
    ids = life.live()
    log = life.log.read_text()
    seen = set()
    for line in told(log):
        words = re.match(rf"{ID}: (sender non-delivery notification|reject|[a-z-]+)(?=[=:])",
                         line)
        if not words:
            # a line that names a client or an address of a message has its id
            assert "to=<" not in line and "from=<" not in line, line
            continue
        word = words.group(1).replace("sender non-delivery notification", "report")
        if word in EXPLAINED:
            continue
        assert word in POSTFIX, line
        assert re.match(POSTFIX[word], line), line
        seen.add(word)
    assert seen == set(POSTFIX)
    for id in (ids["sent"], ids["queued"]):
        mail = next(m for m in life.sink.mails if id in m.content.decode("latin-1"))
        head = mail.content.decode("latin-1").replace("\r\n\t", " ")
        assert re.search(rf"Received: .* id {id}\b", head)
    said = [m.group(1) for m in re.finditer(r"status=(\w+) ", log)]
    assert sorted(said) == sorted(["sent", "refused", "deferred", "queued",
                                   "queued", "sent", "bounced", "sent"])
    # one line tells the fate, of what was taken: counted as by Postfix
    assert said.count("sent") == len(life.sink.mails)


def keys_of(line):
    """Key -> value, of a line in words: what JSON must have."""
    found = re.findall(rf'(?:^|(?<=[ ]))([a-z][a-z0-9_-]*)=(<[^>]*>|"[^"]*"|[^ ]*)', line)
    return {k: v.rstrip(",").strip('<>"') for k, v in found}


def test_json_tells_the_same(folder, keys, hopseald):
    both = []
    for form in ("text", "json"):
        life = Life(folder, keys if not both else _Known(keys), hopseald, form, form)
        ids = life.live()
        log = life.log.read_text()
        lines = ([json.loads(line) for line in log.splitlines()]
                 if form == "json" else None)
        if form == "text":
            lines = [json.loads(line) for id in _ids(log) for line in
                     (json.dumps(x) for m in traced(id, "--log", life.log)
                      for x in m["lines"])]
            for line in told(log):
                id = re.match(rf"({ID}): (?=[a-z-]+=)", line)
                if id and "reason=" not in line:
                    same = [x for x in lines if x["id"] == id.group(1) and
                            x.items() >= {**keys_of(line[id.end():]), "id":
                                          id.group(1)}.items()]
                    assert same, line
        else:
            for x in lines:
                assert list(x)[:4] == ["time", "level", "process", "pid"], x
                assert x["level"] in ("info", "warning", "error"), x
        names = {id: name for name, id in ids.items()}
        both.append({frozenset([names.get(x.get("id"), "")] + [
            k for k in x if k != "text"]) for x in lines if x.get("id") in names})
    assert both[0] == both[1]


def _ids(log):
    return dict.fromkeys(re.findall(rf": ({ID}): ", log))


class _Known:
    """Keys that are there already."""

    def __init__(self, keys):
        self.keys = keys

    def add(self, *_, **__):
        return self


def test_trace_by_id(life):
    ids = life.live()
    text = trace(ids["sent"], "--log", life.log)
    assert re.search(rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{3}}  {ids['sent']}\n", text)
    assert "  from        <a@one.example>\n" in text
    assert "  message-id  <m1@one.example>\n" in text
    assert re.search(r"  to          <b@two.example>\n"
                     r"              sent by \S+ after \d+\.\d\d s: 250 2.0.0 taken", text)
    lines = [line for line in told(life.log.read_text())
             if line.startswith(ids["sent"])]
    for line in lines:
        assert line.split(": ", 1)[1] in text, line
    # the report of what bounced is told with it, by either id
    for id in (ids["bounced"], ids["bounced"] + "r0"):
        text = trace(id, "--log", life.log)
        assert f"  {ids['bounced']}r0, a report on {ids['bounced']}\n" in text
        assert re.search(r"\n              bounced .*: 550 5.1.1 nobody\n", text), text
    first, report = traced(ids["bounced"], "--log", life.log)
    assert first["reports"] == [ids["bounced"] + "r0"] == [report["id"]]
    assert report["report_on"] == ids["bounced"] and report["from"] == ""
    assert [(r["to"], r["status"]) for r in report["recipients"]] == [
        ("a@one.example", "sent")]
    assert [(r["to"], r["status"], r["dsn"]) for r in first["recipients"]] == [
        ("no@two.example", "bounced", "5.1.1")]


def test_trace_finds(life):
    ids = life.live()
    log = life.log
    assert [m["id"] for m in traced("--message-id", "m4@one.example", "--log", log)] \
        == [ids["queued"]]
    assert "m1@one.example" in trace("--message-id", "<m1@one.example>", "--log", log)
    # several are listed, a line each
    text = trace("--from", "A@one.example", "--to", "<b@two.example>", "--log", log)
    assert len(text.splitlines()) == 2
    for id, line in zip((ids["sent"], ids["queued"]), text.splitlines()):
        assert re.fullmatch(rf"\S+ \S+  {id}  <a@one.example> -> <b@two.example>  sent",
                            line), line
    found = traced("--to", "no@two.example", "--log", log)
    assert [m["recipients"][0]["status"] for m in found] == ["refused", "bounced"]
    # who was refused at RCPT is known, too
    assert [m["from"] for m in found] == ["a@one.example"] * 2
    assert found[0]["client"].startswith("[127.0.0.1]:")
    assert "nothing" in trace("--to", "b@two.example", "--from", "x@one.example",
                              "--log", log, code=1)
    assert "nothing" in trace(ids["sent"][::-1].replace("r", "s"), "--log", log, code=1)
    # what is older than --since is not told
    assert traced(ids["sent"], "--since", "1h", "--log", log)
    assert "since then" in trace(ids["sent"], "--since", "2099-01-01", "--log", log, code=1)
    assert traced(ids["sent"], "--since", "2020-01-01T00:00:00Z", "--log", log)
    for words in (["--since", "noon", ids["sent"]], [], ["abc"], [ids["sent"], "x"]):
        trace(*words, code=64)
    trace(ids["sent"], "--log", "/nowhere/x.log", code=66)


def test_trace_reads_every_form(life, tmp_path):
    """Of hopseald, of syslog, of the journal and its JSON: the same life."""
    ids = life.live()
    log = life.log.read_text()
    want = traced(ids["bounced"], "--log", life.log)

    def same(got, timeless=False):
        strip = ("time", "pid", "level", "cut") if timeless else ()
        for m in (*got, *want):
            m["lines"] = [{k: v for k, v in x.items() if k not in strip}
                          for x in m["lines"]]
        assert got == want

    same(traced(ids["bounced"], "--log", "-", stdin=log))
    iso = re.sub(r"(?m)^(\S+)Z hopseald(\[\d+\]) ", r"\1+00:00 host hopseald\2: ", log)
    same(traced(ids["bounced"], "--log", "-", stdin=iso), True)
    old = re.sub(r"(?m)^(\S+)Z hopseald(\[\d+\]) ", r"Nov 26 23:59:59 host hopseald\2: ", log)
    same(traced(ids["bounced"], "--log", "-", stdin=old), True)
    # a journalctl that says what it is asked, and gives its lines
    fake = tmp_path / "journalctl"
    out = []
    for line in log.splitlines():
        stamp, rest = line.split(" hopseald[", 1)
        pid, rest = rest.split("] ", 1)
        out.append(json.dumps({"__REALTIME_TIMESTAMP": "1795735548123456", "_PID": pid,
                               "PRIORITY": "6", "MESSAGE": rest, "X": [1, {"a": None}]}))
    (tmp_path / "lines").write_text("\n".join(out) + "\n")
    fake.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked\ncat {tmp_path}/lines\n')
    fake.chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    same(traced(ids["bounced"], env=path), True)
    assert (tmp_path / "asked").read_text().split() == [
        "-q", "--no-pager", "-o", "json", "--since=@0", "-u", "hopseald"]
    traced("--message-id", "m1@one.example", "--since", "@1795735000", "--unit", "x", env=path)
    assert "--since=@1795735000 -u x" in (tmp_path / "asked").read_text()
    fake.write_text("#!/bin/sh\nexit 1\n")
    assert "--log" in trace(ids["bounced"], env=path, code=66)
    # and where there is none
    assert "--log" in trace(ids["bounced"], env={"PATH": "/nowhere"}, code=66)


def test_trace_follows_what_comes_back(tmp_path):
    """A bounce that names its message is told with it, from its beginning."""
    first, back, other = "4qk2xbcdfghj", "5qk2xbcdfghj", "6qk2xbcdfghj"
    lines = [(first, "from=<a@b>, size=1, nrcpt=1"), (back, "client=[::1]:1, listener=l, from=<>"),
             (other, "from=<c@d>, size=1, nrcpt=1"), (back, f"about={first}"),
             (other, f"about={back}"), (back, "returned=pass"), (other, "the client is gone: about="
             + first)]
    log = "".join(f"2026-11-26T00:00:0{k}.000Z hopseald[1] worker/1: {id}: {text}\n"
                  for k, (id, text) in enumerate(lines))
    got = traced(first, "--log", "-", stdin=log)
    assert [(m["id"], m.get("report_on"), len(m["lines"])) for m in got] == [
        (first, None, 1), (back, first, 3)]
    assert f"  {back}, a report on {first}\n" in trace(first, "--log", "-", stdin=log)
    assert [m["id"] for m in traced("--from", "a@b", "--log", "-", stdin=log)] == [first, back]


def test_P7_trace_believes_nothing_of_a_log(life, tmp_path):
    """Octets that move a terminal are not shown, lines of others not told."""
    id = "4qk2xbcdfghj"
    evil = tmp_path / "log"
    evil.write_bytes(
        f"2026-11-26T00:00:00.000Z hopseald[1] worker/1: {id}: from=<a@b>\n".encode() +
        b"2026-11-26T00:00:00.000Z hopseald[1] worker/1: " + id.encode() +
        b": to=<\x1b[31m@b>, status=sent (250 \x07\x9b)\n" +
        b"2026-11-26T00:00:00.000Z postfix[1] worker/1: " + id.encode() + b": to=<x@y>\n" +
        b'{"process": "queue", "id": "' + id.encode() + b'", "to": "\\u001b]0;x", "\\u001b": "1"}\n' +
        b"\0" * 100 + b"\n" + b"x" * 200000 + b"\n" +
        b"2026-11-26T00:00:00.000Z hopseald[1] worker/1: " + id.encode() + b": end\n")
    for words in ([], ["--json"]):
        done = subprocess.run([str(harness.HOPSEAL), "trace", id, "--log", evil, *words],
                              capture_output=True)
        assert done.returncode == 0, done.stderr
        assert not re.search(rb"[^\n\x20-\x7e]", done.stdout), done.stdout
        assert b"end" in done.stdout and b"x@y" not in done.stdout


def test_a_reload_changes_the_form(life):
    text = life.daemon.config.read_text().replace("log: text", "log: json")
    life.daemon.config.write_text(text)
    life.daemon.process.send_signal(1)
    until(lambda: '"text": "hopseald ' in life.log.read_text(), "an object")
    life.send(life.through, 9, "b@two.example")
    until(lambda: '"status": "sent"' in life.log.read_text(), "the fate")
    life.daemon.config.write_text(text.replace("json", "text") + "nonsense: 1\n")
    life.daemon.process.send_signal(1)
    until(lambda: '"text": "the old configuration goes on"' in life.log.read_text(),
          "the refusal, as an object")
