"""The seeded messages of corpus.py through what lists and servers do to them
(mix.py): the peer finds every chain good, with the author's signature."""

import os
from pathlib import Path

import pytest

import mix

LONG = bool(os.environ.get("LONG"))
COUNT = int(os.environ.get("MESSAGES", 4000 if LONG else 400))
SEED = int(os.environ.get("SEED", 1))
# Of what servers do, where a recipe fits at all
SHARE = 0.995


@pytest.fixture(scope="module")
def table(peer):
    found = mix.run(mix.BUILD / "lists" / "mix", peer, SEED, COUNT)
    lines = mix.report(found)
    (mix.BUILD / "lists" / "mix.txt").write_text("\n".join(lines) + "\n")
    return found


def those_that_fit(table, styles):
    """Outcomes, without the messages whose recipe can not have 64 KiB."""
    return [f"{style}, message {number}: {outcome}" for style in styles
            for number, outcome, _ in table[style]
            if not outcome.startswith("does not fit")]


def test_each_message_is_signed_by_its_author(table):
    assert table["author"] == []


@pytest.mark.parametrize("style", mix.LIST_STYLES)
def test_all_of_a_list_style_pass(table, style):
    fit = those_that_fit(table, [style])
    assert len(fit) > COUNT * 0.9
    assert [line for line in fit if not line.endswith(": pass")] == []


def test_nearly_all_of_the_servers_pass(table):
    fit = those_that_fit(table, mix.SERVER_STYLES)
    good = sum(line.endswith(": pass") for line in fit)
    bad = [line for line in fit if not line.endswith(": pass")]
    assert good >= len(fit) * SHARE, "\n".join(bad[:50])
    assert len(fit) > COUNT * len(mix.SERVER_STYLES) * 0.9


def test_what_does_not_fit_has_its_reason(table):
    """Each failure says what it is; nothing is called too long that a recipe
    could say."""
    odd = [f"{style}, message {number}: {outcome}"
           for style, rows in table.items() for number, outcome, _ in rows
           if outcome.startswith(("model", "long", "fails", "peer"))]
    assert odd == []
