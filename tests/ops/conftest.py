"""Fixtures of what an operator sees. What can not run is skipped with the
reason, and fails where CI is set."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))


def missing(why):
    if os.environ.get("CI"):
        pytest.fail(f"NOT RUN, and CI is set: {why}")
    pytest.skip(f"NOT RUN: {why}")


def end_to_end():
    """The fixtures of tests/e2e: a file of the same name as this one."""
    path = Path(__file__).resolve().parents[1] / "e2e" / "conftest.py"
    spec = importlib.util.spec_from_file_location("conftest_e2e", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


E2E = end_to_end()
folder, hopseald, keys = E2E.folder, E2E.hopseald, E2E.keys
pytest_runtest_makereport = E2E.pytest_runtest_makereport
