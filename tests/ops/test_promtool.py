"""Prometheus' own tool over the alert rules and a page of metrics. LONG=1, or
where it is installed: the package is 100 MB once it is unpacked."""

import json
import os
import re
import shutil
import subprocess

import pytest

import unpacked
from conftest import missing
from scrape import get
from smtptools import Client, Sink
from test_alerts import ALL, RULES
from test_metrics import egress, letter, with_metrics

UP = 'job="hopseal",instance="h"'
FLAT = "7x200"


@pytest.fixture(scope="module")
def promtool():
    found = shutil.which("promtool")
    if found:
        return found
    if not os.environ.get("LONG"):
        pytest.skip("with LONG=1: promtool is unpacked from a package of 100 MB")
    why = unpacked.unpack("prometheus")
    if why:
        missing(why)
    return unpacked.folder("prometheus") / "usr/bin/promtool"


def series(name, values, /, **labels):
    more = "".join(f',{k}="{v}"' for k, v in labels.items())
    return {"series": f"{name}{{{UP}{more}}}", "values": values}


def counted(name, values, /, **labels):
    return series(f"hopseal_{name}", values, **labels)


def two(name, failed, ok, **labels):
    return [counted(name, failed, result="failed", **labels),
            counted(name, ok, result="ok", **labels)]


def slow(values):
    """Of a histogram: how many took less than a minute, and all."""
    return [counted("message_seconds_bucket", values, le="60"),
            counted("message_seconds_bucket", "0+10x200", le="120"),
            counted("message_seconds_bucket", "0+10x200", le="+Inf")]


# Each alert: what has it fire, what has it not, a value each minute.
# The labels of the alert, beside its severity; NONE: those of a sum.
NONE = {"NONE": ""}
CASES = {
    "HopsealDown": ([series("up", "0x200")], [series("up", "1x200")], {}),
    "HopsealNoWorker": ([counted("processes", "0x200", process="worker")],
                        [counted("processes", "1x200", process="worker")],
                        {"process": "worker"}),
    "HopsealDiskFails": ([counted("outages_total", "0+1x200", what="disk")],
                         [counted("outages_total", "0+1x200", what="signer")],
                         {"what": "disk"}),
    "HopsealQueueOld": ([counted("queue_oldest_age_seconds", "14401x200")],
                        [counted("queue_oldest_age_seconds", "14400x200")], {}),
    "HopsealQueueGrows": (
        [counted("queue_messages", "6000x200", state="waiting"),
         counted("queue_messages", "6000x200", state="deferred"),
         counted("queue_octets", "0+9x200")],
        [counted("queue_messages", "6000x200", state="waiting"),
         counted("queue_messages", "6000x200", state="held"),
         counted("queue_octets", "0+9x200")], {"instance": "h", "job": None}),
    "HopsealRestarts": ([counted("restarts_total", "0+1x200", process="worker")],
                        [counted("restarts_total", FLAT, process="worker")], NONE),
    "HopsealHung": ([counted("hung_total", "0+1x200", process="worker")],
                    [counted("hung_total", FLAT, process="worker")], NONE),
    "HopsealCertificateEnds": (
        [counted("certificate_expiry_timestamp_seconds", "1000000x200",
                 listener="l", name="1")],
        [counted("certificate_expiry_timestamp_seconds", "9000000x200",
                 listener="l", name="1")], {"listener": "l", "name": "1"}),
    "HopsealKeyUnpublished": (
        [counted("key_published", "0x200", domain="d", selector="s")],
        [counted("key_published", "1x200", domain="d", selector="s")],
        {"domain": "d", "selector": "s"}),
    "HopsealBypass": ([counted("orders_active", "1x200", order="bypass")],
                      [counted("orders_active", "1x200", order="pause")],
                      {"order": "bypass"}),
    "HopsealHeld": ([counted("queue_messages", "1x200", state="held")],
                    [counted("queue_messages", "1x200", state="waiting"),
                     counted("queue_messages", "0x200", state="held")],
                    {"state": "held"}),
    "HopsealNextHopFails": (
        two("next_hop_connections_total", "0+60x200", "0+60x200"),
        two("next_hop_connections_total", "0+20x200", "0+60x200"), {}),
    "HopsealTlsFails": (
        two("tls_handshakes_total", "0+60x200", "0+60x200", side="client"),
        two("tls_handshakes_total", "0+20x200", "0+60x200", side="client"),
        {"side": "client"}),
    "HopsealDnsFails": (
        [counted("dns_answers_total", "0+1x200", answer="timeout"),
         counted("dns_answers_total", "0+3x200", answer="ok")],
        [counted("dns_answers_total", "0+1x200", answer="timeout"),
         counted("dns_answers_total", "0+9x200", answer="ok")], NONE),
    "HopsealVerdictsFail": (
        [counted("verdicts_total", "0+1x200", role="inbound", verdict="fail"),
         counted("verdicts_total", "0+3x200", role="inbound", verdict="pass")],
        [counted("verdicts_total", "0+1x200", role="inbound", verdict="fail"),
         counted("verdicts_total", "0+9x200", role="inbound", verdict="pass")],
        {"role": "inbound", "job": None, "instance": None}),
    "HopsealWouldRefuse": (
        [counted("would_refuse_total", "0+1x200", verdict="fail")],
        [counted("would_refuse_total", FLAT, verdict="fail")], NONE),
    "HopsealSlow": (slow("0+9x200"), slow("0+10x200"), NONE),
    "HopsealTurnsAway": (
        [counted("sessions_refused_total", "0+60x200", reason="full")],
        [counted("sessions_refused_total", "0+60x200", reason="network")], NONE),
}


def case_of(rule):
    """Those of the table; or the one counter that the rule is of."""
    if rule["name"] in CASES:
        return CASES[rule["name"]]
    expr = " ".join(rule["expr"].split())
    grows = re.fullmatch(r'increase\((\w+)(?:{(\w+)="([\w-]+)"})?\[\w+\]\) > 0', expr)
    stands = re.fullmatch(r"(\w+) > 0", expr)
    assert grows or stands, f"no case for {rule['name']}: {expr}"
    if stands:
        return [series(expr.split()[0], "1x200")], [series(expr.split()[0],
                                                            "0x200")], {}
    labels = {grows[2]: grows[3]} if grows[2] else {}
    return ([series(grows[1], "0+1x200", **labels)],
            [series(grows[1], FLAT, **labels)], labels)


def alert_of(rule, labels):
    """As it has to be told: a sum has no labels of a series."""
    severity = re.search(r"severity: (\w+)", rule[0])[1]
    own = {} if labels is NONE else {"job": "hopseal", "instance": "h"} | labels
    return {"exp_labels": {k: v for k, v in own.items() if v is not None} |
            {"severity": severity},
            "exp_annotations": {
                "summary": re.search(r"summary: (.*)", rule[0])[1],
                "runbook": f"runbook/{rule['page']}.md"}}


def test_the_rules_are_rules(promtool):
    done = subprocess.run([promtool, "check", "rules", RULES],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(ALL)} rules found" in done.stdout


@pytest.mark.parametrize("rule", ALL, ids=[r["name"] for r in ALL])
def test_it_fires_and_is_silent(promtool, tmp_path, rule):
    firing, silent, labels = case_of(rule)
    hours = 49 if "for: 1d" in rule[0] else 3       # no longer than needed
    every = "1m" if hours == 3 else "30m"
    tests = [{"interval": every, "input_series": put,
              "alert_rule_test": [{"eval_time": f"{hours}h",
                                   "alertname": rule["name"],
                                   "exp_alerts": told}]}
             for put, told in ((firing, [alert_of(rule, labels)]),
                               (silent, []))]
    alone = tmp_path / "rule.yml"
    alone.write_text(f"groups:\n  - name: hopseal\n    rules:\n{rule[0]}")
    file = tmp_path / "tests.json"          # which is YAML, too
    file.write_text(json.dumps({"rule_files": [str(alone)], "tests": tests,
                                "evaluation_interval": every}))
    done = subprocess.run([promtool, "test", "rules", file],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_page_is_what_prometheus_reads(promtool, folder, keys, hopseald):
    """Names, units, help and types, of a daemon that has taken mail."""
    with Sink() as sink:
        keys.add("one.example", rsa2048=None)
        site = with_metrics(egress(folder, sink.port))
        hopseald(site.config)
        with Client(site.port) as c:
            assert c.mail("alice@one.example", "bob@two.example", letter())[0] == 250
        page = get(site.metrics, "/metrics")[2]
    done = subprocess.run([promtool, "check", "metrics"], input=page,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
