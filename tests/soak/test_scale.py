"""Two and three machines behind HAProxy that share what they know through
Redis, under load with clients that come again through another machine: nothing
is lost and nothing doubled but what RFC 1047 leaves, when a machine or the
Redis server is killed, too; and each outage is seen where it is looked for
(V8, V9). LONG=1: ten times as much."""

import os

import pytest

import nodes
import soak
from conftest import missing

LONG = bool(os.environ.get("LONG"))
N = int(os.environ.get("N") or (15_000 if LONG else 1500))
RATE = 500 if LONG else 150


@pytest.fixture
def cluster(folder):
    why = nodes.cannot_run()
    if why:
        missing(why)

    def make(n, **options):
        return nodes.Cluster(folder, n, **options)

    return make


def judged(c):
    got = c.judge()
    print({k: v for k, v in got.items() if v and k != "modes"}, got["modes"])
    assert not got["faults"], "\n".join(got["faults"])
    assert all(got["modes"].values()), got["modes"]
    assert all(got["lines"]), got["lines"]
    return got


@pytest.mark.parametrize("n", [2, 3])
def test_V8_no_client_that_comes_again_is_served_twice(cluster, n):
    with cluster(n) as c:
        c.load(N, RATE)
        got = judged(c)
    assert got["left"] > N / 20 and got["known"] > 0
    if got["outages"] == 0:         # on a machine that is not overloaded
        assert got["doubles"] == 0 and got["unsigned_excused"] == 0


def test_V8_a_machine_is_killed_and_comes_back(cluster):
    """What it had queued it delivers then."""
    with cluster(3) as c:
        c.load(N, RATE)
        for k in range(3 if LONG else 1):
            c.sent(N // 4 * (k + 1))
            node = c.nodes[k % 3]
            with c.excused():
                node.kill()
                goes_on(c)
                node.start()
        judged(c)


def goes_on(c):
    had = c.ledger.ask("report")["taken"]
    nodes.harness.until(
        lambda: c.ledger.ask("report")["taken"] > had + N // 20, "mail")


def is_out(c):
    """Said in the log, by the metric, and by /readyz, which stays good."""
    for node in c.nodes:
        node.daemon.wait_log(nodes.OUT)
        nodes.harness.until(node.is_out, "hopseal_store_out 1")
        assert "ok\nthe store is out" in node.page("/readyz")


def is_back(c):
    for node in c.nodes:
        nodes.harness.until(node.answers, "hopseal_store_out 0")
        node.daemon.wait_log(nodes.IN)


def outage(c, begin, end):
    """Mail goes on meanwhile, and is shared again behind it."""
    c.sent(N // 4)
    with c.excused():
        begin()
        is_out(c)
        goes_on(c)
        end()
        is_back(c)
    judged(c)


@pytest.mark.parametrize("kept", [True, False])
def test_V9_the_redis_server_is_killed_and_comes_back(cluster, kept):
    """With its data, and without."""
    options = {"appendonly": "yes", "appendfsync": "always"} if kept else {}
    with cluster(2, **options) as c:
        c.load(N, RATE)
        outage(c, c.redis.kill, c.redis.start)


def test_V9_the_redis_server_stands_still(cluster):
    with cluster(2) as c:
        c.load(N, RATE)
        outage(c, c.redis.freeze, c.redis.thaw)


def test_the_scale_sees_doubles(cluster, monkeypatch):
    """Where machines share nothing, who comes again through another is served
    again."""
    monkeypatch.setattr(nodes.Node, "answers", lambda self: True)
    monkeypatch.setattr(nodes.Node, "outages", lambda self: 0)
    with cluster(2) as c:
        for node in c.nodes:
            config = node.daemon.config
            config.write_text(config.read_text().replace("store: ", "# "))
        for node in c.nodes:
            node.daemon.stop()
            node.start()
        c.load(600, RATE)
        got = c.judge()
    assert got["fault_double"] > 0
    assert {f.split(":")[0] for f in got["faults"] if "fault" in f} == \
        {"fault_double", "fault_unsigned"}
