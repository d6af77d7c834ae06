"""A message comes in at one machine and goes out at another: what is known of
its arrival, and the octets that it had, go through a Redis server (V9, V19)."""

import base64
import random

import pytest

import harness
import redisserver
from conftest import missing
from nexthop import NextHop
from smtptools import Client, Sink
from test_lists import CONFIG, PLAIN, Site, manage, values

SHARED = CONFIG.replace("state: state\n", "state: state-{name}\n"
                        "store: {store}\n")
OUT = "the store redis://127.0.0.1:\\d+ is out"


class Pair(Site):
    """Two machines that are alike: what the first takes in the second sends
    out. `back` has them change places."""

    def __init__(self, folder, hopseald, keys, redis, more="",
                 roles=("list-in", "list-out"), lmtp=True):
        keys.add("one.example").add("lists.example")
        self.folder, self.keys, self.redis = folder, keys, redis
        self.manager = NextHop(lmtp=True) if lmtp else Sink()
        self.mx = Sink()
        self.nodes, self.ports = [], []
        scheme = "lmtp" if lmtp else "smtp"
        for name in ("one", "two"):
            state = folder / f"state-{name}"
            state.mkdir()
            state.chmod(0o777)
            ports = harness.free_port(), harness.free_port()
            self.ports.append(ports)
            self.nodes.append(hopseald(SHARED.format(
                into=ports[0], out=ports[1], onward=self.mx.port, more=more,
                behind=f"{scheme}://127.0.0.1:{self.manager.port}",
                role_in=roles[0], role_out=roles[1], workers=1, name=name,
                store=redis.url), name=name))
        harness.until(lambda: redis.ask("HLEN", "hopseal:nodes") == 2,
                      "both machines at the store")
        self.into, self.out = self.ports[0][0], self.ports[1][1]

    def back(self):
        self.into, self.out = self.ports[1][0], self.ports[0][1]

    def files(self, name):
        return [path.name for path in
                (self.folder / f"state-{name}" / "copies").iterdir()]

    def until_whole(self, n=1):
        """The server has the octets of so many copies, whole."""
        harness.until(lambda: self.redis.ask(
            "EVAL", "local n=0 for _,k in ipairs(redis.call('KEYS',"
            "'hopseal:ac:*')) do for _,h in ipairs(redis.call('HKEYS',k)) do "
            "if string.sub(h,1,1)=='c' then n=n+1 end end end return n",
            0) == n, f"{n} copies on the server")


@pytest.fixture
def redis(folder):
    why = redisserver.cannot_run()
    if why:
        missing(why)
    server = redisserver.Redis(folder).start()
    yield server
    server.stop()


@pytest.fixture
def pair(folder, hopseald, keys, redis):
    with Pair(folder, hopseald, keys, redis) as p:
        yield p


def large(number, octets):
    """A post with an attachment."""
    blob = base64.encodebytes(random.Random(number).randbytes(octets * 3 // 4))
    return ((PLAIN % number).replace(
        b"\r\n\r\n", b"\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n", 1) +
        b"--x\r\nContent-Type: application/octet-stream\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" +
        blob.replace(b"\n", b"\r\n") + b"--x--\r\n")


def is_extended(pair, peer, mail, n_instances=2, **kw):
    said = pair.verify(peer, mail, **kw)
    assert said["result"] == "pass" and len(said["signatures"]) == 2
    assert len(said["instances"]) == n_instances


def test_what_comes_in_at_one_goes_out_at_the_other(pair, peer):
    got = pair.post(pair.sign(PLAIN % 1))
    for mail in pair.distribute(manage(got), "bob@two.example",
                                "carol@three.example"):
        is_extended(pair, peer, mail)
    # the octets came along
    assert pair.files("one") == pair.files("two") != []
    pair.back()
    mail, = pair.distribute(pair.post(pair.sign(PLAIN % 2)), "bob@two.example")
    is_extended(pair, peer, mail, n_instances=1)
    # and where nothing is known, nothing is claimed
    mail, = pair.distribute(pair.sign(PLAIN % 3), "bob@two.example")
    assert len(values(mail.content, b"DKIM2-Signature")) == 1


def test_a_forwarding_mta_between_two_machines(folder, hopseald, keys, redis,
                                               peer):
    with Pair(folder, hopseald, keys, redis, roles=("inbound", "egress"),
              lmtp=False) as pair:
        got = pair.post(pair.sign(PLAIN % 4))
        mail, = pair.distribute(
            b"Received: by mta.lists.example; date\r\n" + got,
            "bob@two.example", mail_from="srs@lists.example")
        is_extended(pair, peer, mail, n_instances=1,
                    mail_from="srs@lists.example")


@pytest.mark.parametrize("octets", [2_000_000, 20_000_000])
def test_a_large_copy_comes_along(pair, peer, octets):
    """The list manager is at once: its copy is still on its way."""
    got = pair.post(pair.sign(large(5, octets)))
    mail, = pair.distribute(manage(got), "bob@two.example")
    is_extended(pair, peer, mail)
    assert pair.files("one") == pair.files("two")
    size = (pair.folder / "state-two" / "copies" /
            pair.files("two")[0]).stat().st_size
    assert size > octets
    pair.until_whole()
    assert int(pair.redis.ask("GET", "hopseal:an")) == size


def test_the_octets_outlive_the_machine_that_had_them(pair, peer):
    got = pair.post(pair.sign(large(6, 2_000_000)))
    pair.until_whole()
    pair.nodes[0].kill()
    mail, = pair.distribute(manage(got), "bob@two.example")
    is_extended(pair, peer, mail)


def distribute(pair, message):
    with Client(pair.out) as c:
        reply = c.envelope("l-bounces@lists.example", "bob@two.example")
        assert reply[0] == 250, reply
        return c.content(message)


def test_V9_without_the_server_the_chain_waits(pair, peer):
    """As with a store of its own that fails: 451, and the retry goes."""
    got = pair.post(pair.sign(PLAIN % 7))
    pair.until_whole()
    pair.redis.freeze()
    assert distribute(pair, manage(got))[:2] == \
        (451, "4.3.0 It can not be told now how the message came here")
    with Client(pair.into) as c:
        reply = c.mail("alice@one.example", "l@lists.example",
                       pair.sign(PLAIN % 8))
    assert reply[:2] == (451, "4.3.0 The arrival of the message can not be "
                         "recorded now")
    pair.redis.thaw()
    harness.until(lambda: distribute(pair, manage(got))[0] == 250,
                  "the store")
    is_extended(pair, peer, pair.mx.mails[0])


def test_V9_a_server_that_was_killed_knows_nothing(folder, hopseald, keys,
                                                   redis, peer):
    """With on-failure: unsigned mail goes on, and nothing is claimed of it."""
    with Pair(folder, hopseald, keys, redis,
              more=", on-failure: unsigned") as pair:
        got = pair.post(pair.sign(PLAIN % 9))
        pair.redis.kill()
        for node in pair.nodes:
            node.wait_log(OUT)
        assert distribute(pair, manage(got))[0] == 250
        assert len(values(pair.mx.mails[0].content, b"DKIM2-Signature")) == 1
        pair.redis.start()
        # whatever the memory of the old one said is gone with it
        def again(number):
            reply = None
            with Client(pair.into) as c:
                reply = c.mail("alice@one.example", "l@lists.example",
                               pair.sign(PLAIN % number))
            return reply[0] == 250
        harness.until(lambda: again(10), "the store")
        mail, = pair.distribute(manage(pair.manager.mails[-1].content),
                                "bob@two.example")
        is_extended(pair, peer, mail)


def test_what_the_server_behind_refused_did_not_arrive(folder, hopseald, keys,
                                                       redis):
    with Pair(folder, hopseald, keys, redis, lmtp=False) as pair:
        signed = pair.sign(large(11, 1_000_000))
        pair.manager.answers["dot"] = "554 5.6.0 not for this list"
        with Client(pair.into) as c:
            reply = c.mail("alice@one.example", "l@lists.example", signed)
        assert reply[0] == 554
        harness.until(lambda: pair.redis.keys("hopseal:a[bcom]:*") == [],
                      "its removal")
        assert pair.files("one") == []
        mail, = pair.distribute(signed, "bob@two.example")
        assert len(values(mail.content, b"DKIM2-Signature")) == 1
