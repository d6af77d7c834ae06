"""Several hopsealds on one Redis server: what one delivered no other delivers
again, and mail goes on whatever becomes of the server (V8, V9, P9)."""

import contextlib
import re
import urllib.error
import urllib.request

import pytest

import harness
import redisserver
from configs import egress
from conftest import missing
from smtptools import Client, Sink, Withhold
from test_forward import forwarder, put_secret, signed
from test_keeper import SilentOnce, dot_sent, keeper_of
from test_process import children, reload
from test_recipients import ALICE, BOB, CAROL, message, one, send  # noqa: F401

OUT = r"the store redis://127\.0\.0\.1:\d+(/\d+)? is out: "
KEYS = ["keys: keys", "keys-file: dns.json"]


@pytest.fixture
def redis(folder):
    """redis(name="redis", **redis.conf): starts one, stops it at the end."""
    why = redisserver.cannot_run()
    if why:
        missing(why)
    started = []

    def start(name="redis", **options):
        started.append(redisserver.Redis(folder, name, **options))
        return started[-1].start()

    yield start
    for server in started:
        server.stop()


class Node:
    def __init__(self, folder, hopseald, sink, store, name, *common, **kw):
        self.metrics = harness.free_port()
        site = egress(folder, sink.port, common=[
            *KEYS, f"store: {store}", f'metrics: "127.0.0.1:{self.metrics}"',
            *common], **kw)
        self.port = site.port
        self.state = folder / f"state-{site.port}"
        self.config = site.config
        self.daemon = hopseald(site.config, name=name)

    def send(self, mid="1", rcpt=BOB):
        return send(self.port, [rcpt], message(mid=mid))[1]

    def is_out(self):
        return int(re.search(rb"\nhopseal_store_out (\d)",
                             self.page("/metrics")).group(1))

    def page(self, path):
        try:
            with urllib.request.urlopen(
                    f"http://127.0.0.1:{self.metrics}{path}") as page:
                return page.read()
        except urllib.error.HTTPError as refused:
            return refused.read()

    def remembers(self, sink):
        """Whether its workers are in touch with a keeper that has a secret."""
        mid = f"probe-{harness.free_port()}"
        had = len(sink.mails)
        return [self.send(mid)[0] for _ in range(2)] == [250, 250] and \
            len(sink.mails) == had + 1

    def has_it(self, mid="1"):
        """Another node's delivery: busy until the server knows its end."""
        harness.until(lambda: self.send(mid)[0] == 250, "the other's end")

    def answers(self):
        harness.until(lambda: self.is_out() == 0, "the store")


@pytest.fixture
def nodes(folder, hopseald, one):
    """nodes(sink, store, *common): two that share it."""
    def start(sink, store, *common, **kw):
        both = [Node(folder, hopseald, sink, store, f"node{n}", *common, **kw)
                for n in (1, 2)]
        for node in both:
            node.answers()
        return both
    return start


@contextlib.contextmanager
def in_progress(node, dot):
    """A client that waits for the answer to its dot; the next hop has it."""
    with dot_sent(node.port, message()) as client:
        harness.until(lambda: dot.first, "its delivery")
        yield client


class Late:
    """A next hop's answers to the dot: to the first it comes when it is told
    so, to the others at once."""

    def __init__(self):
        self.first = None
        self.answer = Withhold(harness.WAIT, "250 ok")

    def __call__(self, mail):
        if self.first is not None:
            return "250 ok"
        self.first = mail
        return self.answer


# ---- what they share -------------------------------------------------------


@pytest.mark.parametrize("form", ["", "/3", "unix"])
def test_V8_what_one_delivered_no_other_delivers(folder, redis, nodes, form):
    server = redis(**({"unixsocket": folder / "redis.sock",
                       "unixsocketperm": "777"} if form == "unix" else {}))
    store = f"unix:{folder}/redis.sock" if form == "unix" else \
        server.url + form
    with Sink() as sink:
        first, second = nodes(sink, store)
        for k in range(10):
            assert first.send(str(k))[0] == 250
        for k in range(10):
            second.has_it(str(k))
        assert len(sink.mails) == 10
        assert second.send("10")[0] == 250
        assert first.send("10", CAROL)[0] == 250
        assert len(sink.mails) == 12
    second.daemon.wait_log("to=<bob@two.example>.*delivered before")
    db = 3 if form == "/3" else 0
    assert all(key.startswith(b"hopseal:") for key in server.keys("*", db))
    for key in server.keys("hopseal:[mpr]:*", db):
        assert server.ask("PTTL", key, db=db) > 0


def test_V8_in_progress_there_is_busy_here(redis, nodes):
    dot = Late()
    with Sink(dot=dot) as sink:
        first, second = nodes(sink, redis().url)
        with in_progress(first, dot) as client:
            code, text = second.send()
            assert (code, text[:5]) == (451, "4.4.5")
            dot.answer.event.set()
            assert client.reply()[0] == 250
        second.has_it()
        assert len(sink.mails) == 1


def test_V8_claims_of_a_node_that_died_are_free(redis, nodes):
    """After its lease; as a try without a clear end: the same octets."""
    dot = SilentOnce()
    with Sink(dot=dot) as sink:
        first, second = nodes(sink, redis().url)
        with in_progress(first, dot):
            first.daemon.kill()
        assert second.send()[0] == 451
        harness.until(lambda: second.send()[0] == 250, "the claim")
        assert len(sink.mails) == 1
        assert sink.mails[0].content == dot.first.content


def test_V8_claims_of_a_worker_that_died_are_free(redis, nodes):
    dot = SilentOnce()
    with Sink(dot=dot) as sink:
        first, second = nodes(sink, redis().url)
        with in_progress(first, dot):
            (worker,) = children(first.daemon, "hopseald-worker")
            first.daemon.kill(worker)
            harness.until(lambda: second.send()[0] == 250, "the claim")
        assert sink.mails[0].content == dot.first.content


def test_V8_a_keeper_that_died_holds_on(redis, nodes):
    """The worker goes on, and tells the next keeper what it has claimed."""
    dot = Late()
    with Sink(dot=dot) as sink:
        server = redis()
        first, second = nodes(sink, server.url)
        with in_progress(first, dot) as client:
            had = server.ask("HGET", *server.keys("hopseal:m:*"), "o")
            first.daemon.kill(keeper_of(first.daemon))
            harness.until(lambda: server.ask(
                "HGET", *server.keys("hopseal:m:*"), "o") != had,
                "the next keeper's claim")
            assert second.send()[0] == 451
            dot.answer.event.set()
            assert client.reply()[0] == 250
        second.has_it()
        assert len(sink.mails) == 1


def test_V8_what_was_refused_is_forgotten(redis, nodes):
    server = redis()
    with Sink(dot=["550 5.7.1 no", "250 ok"]) as sink:
        first, second = nodes(sink, server.url)
        assert first.send()[0] == 550
        harness.until(lambda: not server.keys("hopseal:[mp]:*"),
                      "it to be forgotten")
        assert second.send()[0] == 250
        assert len(sink.mails) == 1


def test_V8_an_honest_repeat_is_delivered(redis, nodes):
    """Where the client had its answer and sends once more: as with one."""
    server = redis()
    with Sink() as sink:
        first, second = nodes(sink, server.url, "memory: {age: 1m}")
        assert first.send()[0] == 250
        (key,) = harness.until(lambda: server.keys("hopseal:m:*"), "its key")
        harness.until(lambda: not server.ask("HEXISTS", key, "o"),
                      "the server to hear that it is delivered")
        assert 0 < server.ask("PTTL", key) <= 60_000
        server.ask("PEXPIRE", key, 1)       # a minute went by
        harness.until(lambda: not server.keys("hopseal:m:*"), "its end")
        assert second.send()[0] == 250
        assert len(sink.mails) == 2


def test_B1_ways_back_are_known_to_all(folder, hopseald, redis, keys):
    keys.add("one.example").add("two.example")
    put_secret(folder, "1", "a secret of this test\n")
    server = redis()
    with Sink() as sink:
        sites = [forwarder(folder, sink.port, "token") for _ in range(2)]
        for n, site in enumerate(sites):
            hopseald(f"store: {server.url}\n" + site.config, name=f"node{n}")
        with Client(sites[0].port) as c:
            assert c.mail(ALICE, BOB, signed(keys))[0] == 250
        back = sink.mails[0].mail_from
        harness.until(lambda: server.keys("hopseal:r:*"), "the way back")
        with Client(sites[1].port) as c:
            assert c.envelope("", back)[0] == 250
            c.command("RSET")
            forged = back.replace("a", "b", 1)
            assert c.envelope("", forged)[1].startswith("5.1.1 ")
            c.command("RSET")
            (key,) = server.keys("hopseal:r:*")
            assert server.ask("PTTL", key) > 14 * 86_400_000
            way = server.ask("GET", key)
            server.ask("SET", key, way.replace(b"alice", b"mallo"))
            assert c.envelope("", back)[1].startswith("5.1.1 ")
            c.command("RSET")
            server.kill()
            assert c.envelope("", back)[0] == 451


def test_V8_what_is_said_last_is_heard(redis, nodes):
    """Deliveries right before a reload, and before the end."""
    server = redis()
    with Sink() as sink:
        first, second = nodes(sink, server.url)
        for k in range(4):
            assert first.send(str(k))[0] == 250
            if k == 3:
                first.daemon.stop()
            else:       # another keeper
                first.daemon.config.write_text(first.config.replace(
                    "state:", f"memory: {{age: {k + 2}d}}\nstate:"))
                reload(first.daemon)
                harness.until(lambda: first.remembers(sink), "the next one")
        had = len(sink.mails)
        for k in range(4):
            second.has_it(str(k))
        assert len(sink.mails) == had


# ---- outages ---------------------------------------------------------------


def goes_on(first, second, sink, mid):
    """Mail of both nodes arrives while the store is out."""
    had = len(sink.mails)
    for node in (first, second):
        code, text = node.send(f"{mid}-{node.port}")
        assert code == 250, text
    assert len(sink.mails) == had + 2


def is_shared(first, second, sink, mid):
    had = len(sink.mails)
    assert first.send(mid)[0] == 250
    second.has_it(mid)
    assert len(sink.mails) == had + 1


def test_V9_the_server_is_killed_and_comes_back(redis, nodes):
    """Emptied: it has the secret again of the first that comes."""
    server = redis()
    with Sink() as sink:
        first, second = nodes(sink, server.url)
        is_shared(first, second, sink, "before")
        server.kill()
        goes_on(first, second, sink, "without")
        for node in (first, second):
            node.daemon.wait_log(OUT)
            harness.until(node.is_out, "the metric")
            assert b"ok\nthe store is out" in node.page("/readyz")
        assert first.send(f"without-{first.port}")[0] == 250
        had = len(sink.mails)
        server.start()
        for node in (first, second):
            node.answers()
            node.daemon.wait_log("the store redis://.* answers")
        # what was delivered meanwhile it was told
        harness.until(lambda: len(server.keys("hopseal:m:*")) >= 2,
                      "what it was told")
        assert second.send(f"without-{first.port}")[0] == 250
        assert len(sink.mails) == had
        is_shared(first, second, sink, "after")
    assert len(re.findall(OUT + ".*: mail goes on", first.daemon.log())) == 1


def test_V9_the_node_knows_what_it_delivered_meanwhile(redis, nodes):
    """Before the server is told: a retry at the same node is no double."""
    server = redis()
    with Sink() as sink:
        first, _ = nodes(sink, server.url)
        assert first.send("0")[0] == 250
        server.freeze()
        assert first.send("1")[0] == 250
        assert first.send("2")[0] == 250
        for mid in ("1", "2"):
            assert first.send(mid)[0] == 250
        assert len(sink.mails) == 3
        server.thaw()


def test_V9_a_slow_server_is_an_outage(redis, nodes):
    server = redis()
    with Sink() as sink:
        first, second = nodes(sink, server.url)
        server.freeze()
        goes_on(first, second, sink, "slow")
        for node in (first, second):
            node.daemon.wait_log(OUT + "it does not answer in time")
            harness.until(node.is_out, "the metric")
        server.thaw()
        first.answers()
        second.answers()
        is_shared(first, second, sink, "after")


@pytest.mark.parametrize("what", ["full", "replica", "password", "acl"])
def test_V9_a_server_that_refuses(redis, nodes, what):
    server = redis()
    harm, mend, said = {
        "full": (("CONFIG", "SET", "maxmemory", "1"),
                 ("CONFIG", "SET", "maxmemory", "0"), 'says "OOM '),
        "replica": (("REPLICAOF", "127.0.0.1", "1"),
                    ("REPLICAOF", "NO", "ONE"), "name the primary"),
        "password": (("CONFIG", "SET", "requirepass", "x"),
                   ("CONFIG", "SET", "requirepass", ""),
                   "see `store-password`"),
        "acl": (("ACL", "SETUSER", "default", "-evalsha"),
                ("ACL", "SETUSER", "default", "+evalsha"), "says \"NOPERM"),
    }[what]
    with Sink() as sink:
        first, second = nodes(sink, server.url)
        server.ask(*harm)
        if what == "password":        # who was in stays in
            server.password = "x"
            server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        for node in (first, second):
            harness.until(node.is_out, "the outage")
            node.daemon.wait_log(OUT + f".*{said}")
        goes_on(first, second, sink, what)
        server.ask(*mend)
        server.password = None
        first.answers()
        second.answers()
        is_shared(first, second, sink, "after")


def test_V9_scripts_that_were_flushed_are_loaded_again(redis, nodes):
    server = redis()
    with Sink() as sink:
        first, second = nodes(sink, server.url)
        for k in range(3):
            server.ask("SCRIPT", "FLUSH")
            is_shared(first, second, sink, f"flushed{k}")
    assert not re.search(OUT, first.daemon.log() + second.daemon.log())


def test_V9_a_wrong_password_until_it_is_right(folder, redis, nodes, hopseald,
                                               one):
    server = redis(requirepass="right")
    password = folder / "store.password"
    password.write_text("wrong\n")
    password.chmod(0o600)
    with Sink() as sink:
        node = Node(folder, hopseald, sink, server.url, "node",
                    f"store-password: {password}")
        node.daemon.wait_log(OUT + '.*"WRONGPASS.*look at `store-password`')
        assert node.send("1")[0] == 250
        assert "right" not in node.daemon.log()
        password.write_text("default:right\n")
        reload(node.daemon)
        node.answers()
        assert node.send("2")[0] == 250
        harness.until(lambda: server.keys("hopseal:m:*"), "what it was told")


def test_P9_a_user_of_its_own_is_enough(folder, redis, hopseald, one):
    """What the guide says of its rights."""
    server = redis()
    server.ask("ACL", "SETUSER", "hopseal", "on", ">a secret: of it",
               "~hopseal:*", "+@all", "-@dangerous")
    password = folder / "store.password"
    password.write_text("hopseal:a secret: of it\n")
    password.chmod(0o600)
    with Sink() as sink:
        both = [Node(folder, hopseald, sink, server.url, f"node{n}",
                     "store-password: store.password") for n in (1, 2)]
        for node in both:
            node.answers()
        is_shared(*both, sink, "1")
        shown = harness.run(harness.HOPSEAL, "status", "-c",
                            both[0].daemon.config).decode()
        assert f"the store {server.url} answers\n" in shown
        server.kill()
        harness.until(both[0].is_out, "the outage")
        shown = harness.run(harness.HOPSEAL, "status", "-c",
                            both[0].daemon.config).decode()
        assert f"the store {server.url} is out: a retry may" in shown
    assert "a secret" not in both[0].daemon.log()


@pytest.mark.parametrize("text, mode, said", [
    ("right", 0o644, "mode 0644 lets others"), ("", 0o600, "is no login"),
    ("a\nb\n", 0o600, "is no login"), ("a:\n", 0o600, "is no login"),
    ("x" * 513, 0o600, "is no login"), (None, 0o600, "No such file")])
def test_P3_passwords_that_are_not_taken(folder, one, text, mode, said):
    if text is not None:
        (folder / "p").write_text(text)
        (folder / "p").chmod(mode)
    site = egress(folder, 25, common=[*KEYS, "store: redis://127.0.0.1",
                                      "store-password: p"])
    (folder / "c.yaml").write_text(site.config)
    done = harness.run(harness.HOPSEALD, "-t", "-c", folder / "c.yaml",
                       ok=False)
    assert done.returncode == 78
    assert said in done.stderr.decode()


def test_V9_what_was_tampered_with_is_no_delivery(redis, nodes):
    server = redis()
    with Sink() as sink:
        first, second = nodes(sink, server.url)
        assert first.send("1")[0] == 250
        second.has_it("1")      # the server was told of its end
        (key,) = server.keys("hopseal:m:*")
        value = server.ask("HGET", key, "v")
        for n, harm in enumerate([
                ("HSET", key, "v", value[:-1] + bytes([value[-1] ^ 1])),
                ("HSET", key, "v", b""), ("HSET", key, "v", b"D" * 30),
                ("SET", key, "x"), ("DEL", key)], 2):
            server.ask(*harm)
            assert second.send("1")[0] == 250
            assert len(sink.mails) == n
            first.has_it("1")
            assert len(sink.mails) == n
    assert not re.search(OUT, first.daemon.log() + second.daemon.log())


def test_V9_another_secret_is_taken(redis, nodes):
    """Digests of the old one find nothing: the keeper begins anew."""
    server = redis()
    with Sink() as sink:
        first, second = nodes(sink, server.url)
        assert first.send("1")[0] == 250
        server.ask("SET", "hopseal:secret", b"s" * 32)
        for node in (first, second):
            node.daemon.wait_log("the store is another, or was emptied")
        for node in (first, second):
            harness.until(lambda: node.remembers(sink), "the new secret")
        is_shared(first, second, sink, "after")
        first.send("1")
        assert b"s" * 32 == server.ask("GET", "hopseal:secret")


def test_the_store_is_changed_by_a_reload(redis, nodes):
    one_, other = redis("one"), redis("other")
    with Sink() as sink:
        first, second = nodes(sink, one_.url)
        first.daemon.config.write_text(
            first.config.replace(one_.url, other.url))
        reload(first.daemon)
        harness.until(lambda: other.keys("hopseal:nodes"), "the keeper")
        first.answers()
        assert first.send("1")[0] == 250
        harness.until(lambda: other.keys("hopseal:m:*"), "its key")
        assert not one_.keys("hopseal:m:*")
