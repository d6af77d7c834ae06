"""A small `make soak`: every mode with every kind of trouble, and each message
accounted for; and that the soak finds what it looks for. LONG=1: 100,000
messages (N, SEED)."""

import os

import soak

LONG = bool(os.environ.get("LONG"))
N = int(os.environ.get("N") or (100_000 if LONG else 700 if soak.SAN else 3000))
SEED = int(os.environ.get("SEED") or 10)
# Seconds between two troubles of a kind, where all of it takes half a minute.
QUICK = {"reload": 2, "dns": 6, "hop": 0.7, "kill": 2.5, "lasts": 1.5,
         "calm": 10}


def test_every_message_is_accounted_for(folder):
    pace = None if LONG else QUICK
    got = soak.run(folder, N, SEED, rate=0 if LONG else N // 15, pace=pace,
                   sessions=80 if LONG else 24, full=not LONG)
    soak.summary(got)
    assert not got["faults"], "\n".join(got["faults"])
    assert got["numbers"] >= N
    assert all(got["modes"].values()), got["modes"]
    happened = {k for k, v in got["troubles"].items() if v}
    assert {"reload", "dns", soak.WORKER, *soak.TROUBLES} <= happened, \
        got["troubles"]
    assert got["samples"] > 20


def test_the_soak_sees_doubles(folder, monkeypatch):
    """Without the delivered memory whoever comes again is served again; a
    keeper that is late is no excuse for that."""
    monkeypatch.setattr(soak.Site, "outages", lambda self: 0)
    monkeypatch.setattr(soak, "HEAD", soak.HEAD.replace(
        "listeners:", "replay: off\nlisteners:"))
    quiet = dict.fromkeys(QUICK, 10_000)
    got = soak.run(folder, 1000, SEED, sessions=24, pace=quiet, full=True,
                   leavers=5)
    assert got["left"] > 50 and got["fault_double"] > 0
    assert {f.split(":")[0] for f in got["faults"]} == {"fault_double"}
