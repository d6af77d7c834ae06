"""Fixtures of what an operator sees. What can not run is skipped with the
reason, and fails where CI is set."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))


def missing(why):
    if os.environ.get("CI"):
        pytest.fail(f"NOT RUN, and CI is set: {why}")
    pytest.skip(f"NOT RUN: {why}")
