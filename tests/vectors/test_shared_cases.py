"""The shared cases: 246 messages for verify and 8 bounces for dsn-verify, as
hopseal itself answers."""
import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "interop"))
import run_cases  # noqa: E402

HOPSEAL = HERE.parents[1] / os.environ.get("B", "build") / "hopseal"
CASES = run_cases.load()


def test_all_cases_are_there():
    assert len(CASES) == 254
    assert sum(c.get("command") == "dsn-verify" for c in CASES) == 8


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["id"])
def test_case(case):
    assert run_cases.judge([str(HOPSEAL)], case) is None
