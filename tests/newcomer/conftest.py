"""Fixtures of the guide's tests. What can not run is skipped with the reason,
and fails where CI is set."""

import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "e2e"), str(TESTS / "lists")]


def missing(why):
    if os.environ.get("CI"):
        pytest.fail(f"NOT RUN, and CI is set: {why}")
    pytest.skip(f"NOT RUN: {why}")
