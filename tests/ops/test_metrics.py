"""Metrics, health and readiness over HTTP, of a hopseald that runs."""

import os
import re
import signal
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

import harness
from certs import Authority
from configs import Site, egress, inbound
from harness import until
from scrape import Scraper, get, http
from smtptools import Client, Closed, Sink
from test_process import children, reload

ALICE, BOB = "alice@one.example", "bob@two.example"
LETTER = (b"From: Alice <alice@one.example>\r\nTo: bob@two.example\r\n"
          b"Date: Thu, 26 Nov 2026 00:00:00 +0000\r\n"
          b"Message-ID: <%d@one.example>\r\n\r\nhello\r\n")
# What a hostile client says, which no label may carry (P7).
TRASH = "\x1b[31mevil{}=\"\\n"


@pytest.fixture
def sink():
    with Sink() as s:
        yield s


def with_metrics(site):
    site.metrics = harness.free_port()
    site.config = site.config.replace("hostname:", f"metrics: {site.metrics}\n"
                                      "hostname:", 1)
    return site


def letter(number=1):
    return LETTER % number


def send(port, content, mail_from=ALICE, to=BOB, code=250):
    with Client(port) as client:
        got = client.mail(mail_from, to, content)
    assert got[0] == code, got


# ---- what is counted -----------------------------------------------------------


def test_egress_counts_what_it_does(folder, keys, hopseald, sink):
    keys.add("one.example")
    site = with_metrics(egress(folder, sink.port))
    daemon = hopseald(site.config)
    seen = Scraper(site.metrics)
    first = seen.read().values
    assert not seen.of("hopseal_messages_total")
    asked = seen.of("hopseal_next_hop_replies_total", **{"class": "2xx"})
    send(site.port, letter(1))
    send(site.port, letter(1))                  # it is remembered
    send(site.port, letter(2), to=f"{TRASH}@two.example", code=501)
    send(site.port, b"From: x@other.example\r\n\r\nx\r\n", code=550)
    with Client(site.port):
        until(lambda: seen.of("hopseal_sessions_open", role="egress") == 1,
              "a session to be open")
    until(lambda: seen.of("hopseal_sessions_open") == 0, "none to be open")
    assert seen.of("hopseal_sessions_total", role="egress") == 5
    assert seen.of("hopseal_messages_total", outcome="accepted") == 2
    assert seen.of("hopseal_messages_total", outcome="refused") == 1
    assert seen.of("hopseal_recipients_total", fate="delivered") == 1
    assert seen.of("hopseal_recipients_total", fate="duplicate") == 1
    assert seen.of("hopseal_recipients_total", fate="refused") == 1
    assert seen.of("hopseal_signatures_total") == 2
    assert seen.of("hopseal_signatures_total", algorithm="rsa-sha256") == 1
    assert seen.of("hopseal_dkim1_signatures_total") == 2
    assert seen.of("hopseal_message_seconds_count") == 3
    assert seen.of("hopseal_next_hop_connections_total", result="ok") >= 1
    assert seen.of("hopseal_next_hop_replies_total", **{"class": "2xx"}) >= asked + 3
    assert seen.of("hopseal_next_hop_replies_total", **{"class": "3xx"}) == 1
    assert seen.of("hopseal_http_requests_total", result="ok") > 10
    # the closed sets are what they were: nothing from outside became a label
    assert set(seen.values) == set(first)
    assert "evil" not in daemon.log() or "\x1b" not in daemon.log()


def test_inbound_counts_verdicts_and_what_it_would_refuse(folder, keys,
                                                          hopseald, sink):
    """Under observe: metric and log say what enforce would have done."""
    keys.add("one.example", rsa2048=None)
    out = egress(folder, sink.port, "verify: off")
    site = with_metrics(inbound(folder, sink.port))
    signer = hopseald(out.config, name="signer")
    send(out.port, letter(1))
    signed = sink.mails[-1].content
    daemon = hopseald(site.config)
    seen = Scraper(site.metrics)
    send(site.port, letter(2))
    send(site.port, signed)
    send(site.port, signed.replace(b"hello", b"hullo"))
    del signer
    assert seen.of("hopseal_verdicts_total", verdict="none") == 1
    assert seen.of("hopseal_verdicts_total", verdict="pass") == 1
    assert seen.of("hopseal_verdicts_total", verdict="fail") == 1
    assert seen.of("hopseal_would_refuse_total", verdict="fail") == 1
    assert seen.of("hopseal_would_refuse_total") == 1
    daemon.wait_log(r"would-refuse=550 verdict=fail listener=l "
                    r"verify=observe")
    daemon.stop()               # or at midnight
    assert re.search(r"summary: without DKIM2: 1, domains with: 1\n.*"
                     r"summary: domain=one\.example pass=1 fail=1 "
                     r"permerror=0 temperror=0 would-refuse=1\n",
                     daemon.log())


def test_counts_outlive_workers_and_reloads(folder, keys, hopseald, sink):
    """A gauge goes with its process, a count never goes back; what a reload
    came to is counted, and the address moves with it, or not at all."""
    keys.add("one.example", rsa2048=None)
    site = with_metrics(egress(folder, sink.port))
    daemon = hopseald(site.config)
    seen = Scraper(site.metrics)
    send(site.port, letter(1))
    (worker,) = children(daemon, "hopseald-worker")
    with Client(site.port):
        until(lambda: seen.of("hopseal_sessions_open") == 1, "a session")
        daemon.kill(worker)
        until(lambda: seen.of("hopseal_sessions_open") == 0, "its end")
    until(lambda: seen.of("hopseal_restarts_total", process="worker") == 1,
          "the worker to be counted")
    until(lambda: get(site.metrics, "/readyz")[0] == 200, "another worker")
    assert seen.of("hopseal_messages_total", outcome="accepted") == 1
    assert reload(daemon, site.config) == " ready: "
    assert seen.of("hopseal_messages_total", outcome="accepted") == 1
    until(lambda: seen.of("hopseal_reloads_total", result="ok") == 1, "it")
    broken = site.config.replace("next-hop", "next-hup")
    assert reload(daemon, broken) != " ready: "
    assert seen.of("hopseal_reloads_total", result="failed") == 1
    moved = harness.free_port()
    assert reload(daemon, site.config.replace(
        f"metrics: {site.metrics}", f"metrics: {moved}")) == " ready: "
    until(lambda: harness.listens(moved) and not
          harness.listens(site.metrics), "the address to move")
    assert Scraper(moved).of("hopseal_messages_total",
                             outcome="accepted") == 1


class Asker(threading.Thread):
    """Asks for pages without a pause; what was no answer is kept."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.n, self.bad, self.is_over = port, 0, [], False
        self.start()

    def run(self):
        while not self.is_over:
            path = ("/healthz", "/metrics", "/readyz")[self.n % 3]
            try:
                code, _, body = get(self.port, path)
                if code != 200:
                    self.bad.append((path, code, body))
            except (OSError, ValueError) as e:
                self.bad.append((path, repr(e)))
            self.n += 1


def test_each_page_comes_while_reloads_go_on(folder, keys, hopseald, sink):
    """Whoever asks while a process gives way to the next is answered, by one of
    them: nobody is refused, reset, or left without a word."""
    keys.add("one.example", rsa2048=None)
    site = with_metrics(egress(folder, sink.port))
    daemon = hopseald(site.config)
    until(lambda: get(site.metrics, "/readyz")[0] == 200, "it to be ready")
    askers = [Asker(site.metrics) for _ in range(3)]
    for k in range(20):
        assert reload(daemon, site.config) == " ready: "
        at = [a.n for a in askers]
        until(lambda: all(a.n > n + 1 for a, n in zip(askers, at)),
              "all of them to be answered")
    for a in askers:
        a.is_over = True
        a.join(harness.WAIT)
    assert [a.bad for a in askers] == [[], [], []]
    assert re.search(r"control", daemon.log()) is None      # none was killed


# ---- health --------------------------------------------------------------------


def test_readiness_follows_the_processes(folder, keys, hopseald, sink):
    """Workers and signer killed, and stopped: 503 and why."""
    keys.add("one.example", rsa2048=None)
    site = with_metrics(egress(folder, sink.port))
    daemon = hopseald(site.config)
    daemon.crashes = True

    def page(path):
        code, _, body = get(site.metrics, path)
        return code, body

    until(lambda: page("/readyz") == (200, "ok\n"), "it to be ready")
    assert page("/healthz") == (200, "ok\n")
    (worker,) = children(daemon, "hopseald-worker")
    (signer,) = children(daemon, "hopseald-signer")
    os.kill(worker, signal.SIGSTOP)
    os.kill(signer, signal.SIGSTOP)
    until(lambda: page("/readyz") == (
        503, "no worker answers: it hangs\nno signer answers: it hangs\n"),
        "both to be missed")
    os.kill(worker, signal.SIGCONT)
    os.kill(signer, signal.SIGCONT)
    until(lambda: page("/readyz")[0] == 200, "both to be back")
    daemon.kill(signer)
    until(lambda: page("/readyz") == (503, "no signer runs\n"), "its loss")
    until(lambda: page("/readyz")[0] == 200, "another signer")
    for victim in children(daemon, "hopseald-worker"):
        daemon.kill(victim)
    until(lambda: page("/readyz")[0] == 200 and
          page("/healthz")[0] == 200, "another worker")


def test_ready_is_not_who_is_drained(folder, sink, hopseald):
    """A balancer takes it out, and back; alive it is all the while."""
    site = with_metrics(inbound(folder, sink.port, common=[]))
    site.config += site.config[site.config.index("  l:\n"):].replace(
        "  l:", "  m:").replace(str(site.port), str(harness.free_port()))
    daemon = hopseald(site.config)
    page = lambda path: get(site.metrics, path)[::2]
    order = lambda *words: harness.run(harness.HOPSEAL, words[0], "-c",
                                       daemon.config, *words[1:])
    until(lambda: page("/readyz") == (200, "ok\n"), "it to be ready")
    order("drain", "l")
    assert page("/readyz")[0] == 200
    order("pause", "m")
    assert page("/readyz") == (503, "every listener is drained or paused\n")
    assert page("/healthz")[0] == 200
    order("resume", "m")
    assert page("/readyz")[0] == 200


# ---- who asks ------------------------------------------------------------------


@pytest.fixture
def site(folder, sink, hopseald):
    site = with_metrics(inbound(folder, sink.port, common=[]))
    hopseald(site.config)
    until(lambda: get(site.metrics, "/readyz")[0] == 200, "it to be ready")
    return site


BIG = "X: " + "a" * 9000 + "\r\n"


@pytest.mark.parametrize("code,path,more", [
    (200, "/metrics", {}),
    (200, "/metrics?x=/healthz", {}),
    (404, "/", {}),
    (404, "/metrics/../etc/passwd", {}),
    (404, "/%6detrics", {}),
    (405, "/metrics", {"method": "POST"}),
    (405, "/metrics", {"method": "DELETE"}),
    (405, "/metrics", {"method": "OPTIONS"}),
    (431, "/metrics", {"more": BIG}),
    (431, "/" + "a" * 9000, {}),
    (200, "/metrics", {"host": "127.0.0.1:1"}),
    (200, "/metrics", {"host": "[::1]:1"}),
    (200, "/metrics", {"host": "HOP.example.net"}),
    (421, "/metrics", {"host": "evil.example"}),
    (421, "/metrics", {"host": "localhost.evil.example"}),
    (421, "http://evil.example/metrics", {}),
])
def test_requests_P8(site, code, path, more):
    got, header, body = get(site.metrics, path, **more)
    assert got == code, header
    assert "Connection: close" in header or path.startswith("http")
    assert f"Content-Length: {len(body)}" in header
    assert ("Allow: GET, HEAD" in header) == (code == 405)


def test_what_is_no_request_P8(site):
    for octets in (b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"FROB / HTTP/1.1\r\n\r\n",
                   b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 50000 + b"\r\n",
                   b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\n\r\n",
                   b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n"):
        try:
            answer = http(site.metrics, octets)
        except ConnectionError:
            continue
        assert not answer or re.match(rb"HTTP/1.1 (4|501)", answer), answer
    octets = http(site.metrics, "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    header, body = octets.split(b"\r\n\r\n", 1)
    assert body == b"" and b"Content-Length: 0" not in header
    assert http(site.metrics, "GET /healthz HTTP/1.0\r\n\r\n").endswith(b"ok\n")


def test_ten_slow_ones_and_no_more_P8(site):
    """Ten may be slow, each until its deadline; the eleventh is hung up on,
    and whoever comes behind them is served."""
    slow = [socket.create_connection(("127.0.0.1", site.metrics))
            for _ in range(10)]
    for s in slow:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHo")

    def is_full():
        with socket.create_connection(("127.0.0.1", site.metrics), 10) as s:
            s.settimeout(5)
            try:
                return s.recv(1) == b""
            except ConnectionError:
                return True
            except TimeoutError:
                return False

    until(is_full, "the eleventh to be hung up on")

    def is_served():
        for s in slow:          # an octet now and then does not help
            try:
                s.sendall(b"x")
            except OSError:
                pass
        time.sleep(0.2)
        try:
            return b" 200 " in http(site.metrics, "GET /healthz HTTP/1.1\r\n"
                                    "Host: localhost\r\n\r\n")
        except ConnectionError:
            return False

    until(is_served, "the slow ones to be hung up on", 60)
    for s in slow:
        s.close()


# ---- keys ----------------------------------------------------------------------


def test_a_key_that_is_not_published_is_an_alarm(folder, keys, hopseald, sink):
    """The record is missing, another one, and then right."""
    keys.add("one.example")
    name = "ed._domainkey.one.example"
    right = keys.records[name]
    keys.records.pop(name)
    other = keys.records["rsa._domainkey.one.example"]
    keys.write()
    site = with_metrics(egress(folder, sink.port))
    daemon = hopseald(site.config)
    seen = Scraper(site.metrics)

    def published(selector, value):
        until(lambda: len(seen.read().values) and any(
            n == "hopseal_key_published" and f'selector="{selector}"' in text
            and v == value for (n, text), v in seen.values.items()),
            f"{selector} to be {value}")

    published("rsa", 1)
    published("ed", 0)
    daemon.wait_log(r"ALARM: the record of key ed of one\.example is not in")
    keys.records[name] = other
    keys.write()
    assert reload(daemon) == " ready: "
    daemon.wait_log(r"ALARM: the record of key ed of one\.example in the DNS "
                    r"is that of another key")
    keys.records[name] = right
    keys.write()
    assert reload(daemon) == " ready: "
    published("ed", 1)
    assert len(re.findall("ALARM", daemon.log())) == 2


# ---- what else is counted ------------------------------------------------------


def test_the_queue_is_counted(folder, keys, hopseald):
    """What waits, how old it is, how tries end, and the report of a failure."""
    def rcpt(path):
        return {"a": "250 ok", "c": "451 4.2.0 later", "d": "550 5.1.1 who"}[
            path.strip("<>")[0]]

    keys.add("one.example", rsa2048=None)
    with Sink(rcpt=rcpt) as sink:
        site = with_metrics(egress(
            folder, sink.port, "delivery: queue", common=[
                "keys: keys", "keys-file: dns.json", "queue-retry: 1h"]))
        daemon = hopseald(site.config)
        seen = Scraper(site.metrics)
        for number, to in enumerate(("a@two.example", "c@two.example",
                                     "d@two.example")):
            send(site.port, letter(number), to=to, mail_from="a@one.example")
        assert seen.of("hopseal_recipients_total", fate="queued") == 3
        for result in ("delivered", "deferred", "failed"):
            until(lambda: seen.of("hopseal_queue_results_total",
                                  result=result) >= 1, result)
        until(lambda: seen.of("hopseal_dsns_total", what="made") == 1,
              "the report")
        until(lambda: seen.of("hopseal_queue_messages", state="deferred") == 1
              and seen.of("hopseal_queue_messages", state="waiting") == 0,
              "a look at the queue")
        assert seen.of("hopseal_queue_octets") > 50
        until(lambda: seen.of("hopseal_queue_oldest_age_seconds") >= 1,
              "it to grow older")
        until(lambda: get(site.metrics, "/readyz")[0] == 200, "ready")
        held = harness.run(harness.HOPSEAL, "queue", "hold", "-c",
                           daemon.config, "--all")
        assert held, held
        until(lambda: seen.of("hopseal_queue_messages", state="held") == 1
              and seen.of("hopseal_queue_messages", state="deferred") == 0,
              "it to be held")
        shown = harness.run(harness.HOPSEAL, "status", "-c", daemon.config)
        assert b"queue: 1 message, 0 after a failure, 1 held; " in shown, shown


def test_tls_is_counted(folder, hopseald, sink):
    """Handshakes, good and bad, and the end of the certificate."""
    pair = Authority(folder).pair("hop", "hop.example.net", days=30)
    os.chmod(pair.key, 0o600)
    site = with_metrics(inbound(folder, sink.port, f"tls: {pair}", common=[]))
    hopseald(site.config)
    seen = Scraper(site.metrics)
    ends = seen.of("hopseal_certificate_expiry_timestamp_seconds",
                   listener="l", name="1")
    assert 29 < (ends - time.time()) / 86400 < 31
    context = ssl._create_unverified_context()
    with Client(site.port) as c:
        assert c.command("STARTTLS")[0] == 220
        with context.wrap_socket(c.sock):
            pass
    with Client(site.port) as c:
        assert c.command("STARTTLS")[0] == 220
        c.send(b"no handshake\r\n" * 20)
        with pytest.raises((Closed, AssertionError)):
            c.reply()
    until(lambda: seen.of("hopseal_tls_handshakes_total", side="client",
                          result="failed") == 1, "the bad one")
    assert seen.of("hopseal_tls_handshakes_total", side="client",
                   result="ok") == 1


def test_troubles_are_counted(folder, keys, hopseald, sink):
    """A keeper that hangs, a resolver that is not there, too many sessions,
    mail that may not be signed."""
    keys.add("one.example", rsa2048=None)
    out = with_metrics(egress(folder, sink.port, "max-connections: 2"))
    out.config = out.config.replace("senders: [", "senders: [other.example, ")
    site = with_metrics(inbound(folder, sink.port, common=[
        f"resolver: ['127.0.0.1:{harness.free_port()}']",
        "resolver-timeout: 100ms"]))
    daemon = hopseald(out.config, name="out")
    hopseald(site.config)
    seen, there = Scraper(out.metrics), Scraper(site.metrics)
    (keeper,) = children(daemon, "hopseald-keeper")
    os.kill(keeper, signal.SIGSTOP)
    send(out.port, letter(1))
    until(lambda: seen.of("hopseal_outages_total", what="keeper") >= 1, "it")
    os.kill(keeper, signal.SIGCONT)
    send(site.port, sink.mails[-1].content)
    until(lambda: there.of("hopseal_dns_answers_total", answer="timeout") +
          there.of("hopseal_dns_answers_total", answer="failed") >= 1, "it")
    assert there.of("hopseal_would_refuse_total", verdict="temperror") == 1
    other = b"From: x@other.example\r\n\r\nx\r\n"
    send(out.port, other, mail_from="x@other.example")
    assert seen.of("hopseal_unsigned_total", rule="no-key") == 1
    clients = [Client(out.port), Client(out.port)]
    with pytest.raises((Closed, AssertionError, ConnectionError)):
        assert Client(out.port).banner[0] == 220
    assert seen.of("hopseal_sessions_refused_total", reason="full") == 1
    for c in clients:
        c.close()
    assert seen.of("hopseal_processes", process="signer") == 1
    assert seen.of("hopseal_start_timestamp_seconds") > time.time() - 600
    assert seen.of("hopseal_build_info", version="0.1.0") == 1


def test_orders_and_copies_are_counted(folder, keys, hopseald, sink):
    """What a list manager gets is kept; an order is in force while it is."""
    keys.add("one.example", rsa2048=None).add("two.example", rsa2048=None)
    site = with_metrics(Site(folder, "list-in", sink.port,
                             "domains: [two.example]"))
    author, out = harness.free_port(), harness.free_port()
    site.config += "".join(
        f"  {name}: {{role: {role}, listen: {port}, clients: [127.0.0.1], "
        f"next-hop: 'smtp://127.0.0.1:{sink.port}'}}\n"
        for name, role, port in (("author", "egress", author),
                                 ("out", "list-out, pair: l", out)))
    daemon = hopseald(site.config)
    seen = Scraper(site.metrics)
    send(author, letter(1))
    send(site.port, sink.mails[-1].content)
    until(lambda: seen.of("hopseal_copies_octets") > 0, "a copy")
    harness.run(harness.HOPSEAL, "pause", "-c", daemon.config, "l", "--for",
                "1h")
    until(lambda: seen.of("hopseal_orders_active", order="pause") == 1, "it")
    harness.run(harness.HOPSEAL, "resume", "-c", daemon.config, "l")
    until(lambda: seen.of("hopseal_orders_active") == 0, "its end")


# What a test of another kind moves, by what it says.
ELSEWHERE = {
    "hopseal_log_lines_lost_total": ("daemon/test_log.c",
                                     "METRIC_LOST_LINES"),
    "hopseal_hung_total": ("daemon/test_watchdog.c", "METRIC_HUNG"),
    "hopseal_store_out": ("e2e/test_redis.py", "hopseal_store_out"),
}
# What no test can move.
NEVER = {
    "hopseal_proofs_failed_total": "it counts bugs; there is none to be had",
}


def test_each_metric_is_moved_by_a_test():
    told = harness.run(harness.BUILD / "hopseald", "--metrics").decode()
    ours = Path(__file__).read_text()
    for file, word in ELSEWHERE.values():
        assert word in (harness.ROOT / "tests" / file).read_text()
    for name in re.findall(r"^\.It Va (\S+)", told, re.M):
        assert name in NEVER or name in ELSEWHERE or re.search(
            rf'"{name}(_count)?"', ours), f"no test moves {name}"
