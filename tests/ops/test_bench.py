"""make bench: its arithmetic, and that it runs. No figure is judged here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/bench"))

import table  # noqa: E402

RUN = {name: 0.0 for name in table.FIGURES} | dict.fromkeys(table.FAULTS, 0)


def runs(*rates, **more):
    return [RUN | {"rate": r} | more for r in rates]


@pytest.mark.parametrize("values, percent, value", [
    ([], 50, 0), ([7], 99, 7), ([3, 1, 2], 50, 2),
    (range(1, 101), 99, 99), (range(1, 101), 100, 100),
    ([1] * 99 + [40], 99, 1)])
def test_percentiles(values, percent, value):
    assert table.percentile(values, percent) == value


def test_runs_of_a_relay_are_their_medians_and_all_of_their_faults():
    row = table.summary(runs(100, 300, 200, lost=1, unlike=2))
    assert row["rate"] == 200 and row["spread"] == 1
    assert row["faults"] == 9


def test_a_relay_that_did_nothing_divides_by_nothing():
    assert table.summary(runs(0, 0))["spread"] == 0
    assert table.ratio(1, 0) is None and table.ratio(None, 2) is None
    rows = {("4k", "sign-rsa"): table.summary(runs(0)),
            ("4k", "direct"): table.summary(runs(9))}
    assert all(j[2] is None for j in table.judge(rows, {}))


def test_aims_are_the_issue_s():
    """57 of them, each by the row and column that it names."""
    aims = {(name, case): (sign, aim)
            for name, case, _, sign, aim in table.AIMS}
    assert len(table.AIMS) == len(aims) == 57
    assert aims["sign-rsa rate opendkim-sign", "40k"] == (">=", 13)
    assert aims["sign-ed25519 cpu", "1m"] == ("<=", 1.6)
    assert aims["pass rate haproxy", "one"] == (">=", .85)
    assert aims["chain-5 rate direct", "4k"] == (">=", .12)
    assert aims["idle session, KiB", ""] == ("<=", 4)


def test_aims_are_judged_by_ratios():
    rows = {("4k", name): table.summary(runs(rate, cpu_ms=cpu))
            for name, rate, cpu in (("direct", 1000, 0), ("sign-rsa", 140, .34),
                                    ("opendkim-sign", 11, 4))}
    rows["alone", "direct"] = table.summary(runs(9, p50=.1, p99=5))
    rows["alone", "sign-rsa"] = table.summary(runs(9, p50=.5, p99=1.2))
    judged = table.judge(rows, {"idle": 4.1})
    met = {(name, case): met for name, case, value, _, _, met in judged
           if value is not None}
    assert met == {("sign-rsa rate direct", "4k"): True,
                   ("sign-rsa rate opendkim-sign", "4k"): False,
                   ("sign-rsa cpu", "4k"): True,
                   ("sign-rsa: added p50 ms", "alone"): True,
                   ("sign-rsa: added p99 ms", "alone"): False,
                   ("idle session, KiB", ""): False}
    assert table.last_line(judged) == "aims met: 3 of 6 (51 not measured)"


def test_a_short_run_of_it(tmp_path):
    """Through a daemon that signs, one that verifies and a list, under TLS and
    to many: nothing lost, doubled or without its signatures."""
    history = tmp_path / "history"
    done = subprocess.run(
        [sys.executable, "-B", ROOT / "tests/bench/relay.py"], cwd=ROOT,
        env={**os.environ, "ONLY": "sign-ed25519 verify list nobody",
             "CASES": "4k tls many", "SECONDS": "0.05", "RUNS": "1",
             "HISTORY": str(history)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("aims met: "), done.stdout
    kept, = map(json.loads, history.read_text().splitlines())
    rows = kept["rows"]
    for case in ("4k", "tls", "many"):
        for relay in ("direct", "sign-ed25519", "verify", "list"):
            assert rows[f"{case} {relay}"]["rate"] > 0
    assert {n: r["faults"] for n, r in rows.items() if r["faults"]} == {}
