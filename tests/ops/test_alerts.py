"""The alert rules: of metrics and labels that there are, a page for each."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from scrape import NAME

ROOT = Path(__file__).resolve().parents[2]
B = ROOT / os.environ.get("B", "build")
RULES = ROOT / "docs" / "alerts" / "hopseal.rules.yml"
PAGES = ROOT / "docs" / "runbook"
FORM = re.compile(r"""      - alert: (?P<name>Hopseal[A-Za-z]+)
        expr: >-
(?P<expr>(?:          \S.*\n)+)        for: \d+[mhd]
        labels: \{severity: (?:page|ticket|info)\}
        annotations:
          summary: [^:#\n]+
          runbook: runbook/(?P<page>\S+)\.md
""")
HEADINGS = ["## What it means", "## How to see it", "## What to do"]
WORDS = {"sum", "by", "on", "instance", "ignoring", "result", "rate", "increase", "deriv", "time", "and", "or",
         "histogram_quantile", "le", "role", "up", "job", "m", "h", "d"}


def rules():
    head, body = RULES.read_text().split("    rules:\n", 1)
    assert head.endswith("groups:\n  - name: hopseal\n")
    found = list(FORM.finditer(body))
    assert "".join(m[0] for m in found) == body, "a rule of another form"
    return found


ALL = rules()


@pytest.fixture(scope="module")
def table():
    """{metric: {label: words}} as the manual has them."""
    told = subprocess.run([B / "hopseald", "--metrics"], check=True,
                          capture_output=True, text=True).stdout
    metrics = {}
    for part in told.split(".It Va ")[1:]:
        labels = dict(re.findall(r"^\.Va (\w+) :\n((?:[\w.-]+[,.]\n?)+|as the)",
                                 part, re.M))
        metrics[part.split("\n", 1)[0]] = {
            label: set(re.findall(r"([\w-]+)[,.]", words))
            for label, words in labels.items()}
    assert metrics["hopseal_processes"]["process"] >= {"worker", "signer"}
    return metrics


@pytest.mark.parametrize("rule", ALL, ids=[r["name"] for r in ALL])
def test_an_alert_is_of_what_there_is(table, rule):
    expr = " ".join(rule["expr"].split())
    assert rule["page"] == rule["name"]
    assert (PAGES / f"{rule['page']}.md").exists()
    assert expr.count("(") == expr.count(")")
    assert re.search(r"\bhopseal_|^up{", expr)
    for name, labels in re.findall(rf"\b({NAME})(?:{{([^}}]*)}})?",
                                   re.sub(r"\[[^]]*\]", "", expr)):
        if not name.startswith("hopseal_"):
            continue
        metric = re.sub(r"_bucket$", "", name)
        assert metric in table, f"no such metric: {name}"
        for label, words in re.findall(r'(\w+)!?=~?"([^"]*)"', labels):
            for word in words.split("|"):
                assert word in table[metric][label], f"{name}: {label}={word}"
    left = re.sub(rf"hopseal_\w+(?:{{[^}}]*}})?|up{{[^}}]*}}|\[[^]]*\]", "", expr)
    assert set(re.findall(r"[a-z_]+", left)) <= WORDS


def test_an_alert_for_each_page():
    assert {p.stem for p in PAGES.iterdir()} == {r["name"] for r in ALL}
    assert len(ALL) == len({r["name"] for r in ALL})


@pytest.mark.parametrize("page", sorted(PAGES.iterdir()), ids=lambda p: p.stem)
def test_a_page_says_what_to_do(page):
    text = page.read_text()
    assert text.startswith(f"# {page.stem}\n")
    assert re.findall(r"^## .*", text, re.M) == HEADINGS
    assert re.search(r"^## How to see it\n\n    \S", text, re.M)
    assert re.search(r"^## What to do\n\n- \S", text, re.M)
    assert all(len(line) <= 80 for line in text.splitlines())


def test_pages_name_commands_that_there_are():
    told = subprocess.run([B / "hopseal", "help"], check=True,
                          capture_output=True, text=True).stdout
    verbs = set(re.findall(r"^  (\S+)  +\S", told, re.M))
    for page in PAGES.iterdir():
        text = page.read_text().replace("\n", " ")
        for verb in re.findall(r"(?:`|    )hopseal +([a-z-]+)", text):
            assert verb in verbs, f"{page.name}: hopseal {verb}"
