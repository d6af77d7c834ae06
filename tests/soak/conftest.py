"""Fixtures of the soak: those of tests/ops."""

import importlib.util
from pathlib import Path


def those_of(folder):
    path = Path(__file__).resolve().parents[1] / folder / "conftest.py"
    spec = importlib.util.spec_from_file_location(f"conftest_{folder}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


OPS = those_of("ops")
folder, missing = OPS.folder, OPS.missing
pytest_runtest_makereport = OPS.pytest_runtest_makereport
