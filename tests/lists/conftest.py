"""Fixtures of the tests with list managers and forwarders; what can not run is
skipped with the reason, and fails where CI is set."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import harness  # noqa: E402


def missing(why):
    if os.environ.get("CI"):
        pytest.fail(f"NOT RUN, and CI is set: {why}")
    pytest.skip(f"NOT RUN: {why}")


@pytest.fixture(scope="session")
def peer():
    """The path of the live peer."""
    done = subprocess.run([str(harness.ROOT / "tests/interop/peer.sh")],
                          capture_output=True, text=True)
    if done.returncode != 0:
        missing(done.stderr.strip() or "the peer could not be built")
    return done.stdout.strip()


@pytest.fixture(scope="module")
def folder(request):
    """A folder for all tests of a file; kept where one of them failed."""
    path = harness.open_folder(f"lists-{request.module.__name__}")
    yield path
    if not getattr(request.module, "has_failed", False):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def started():
    """started(thing): what has start() and stop() runs until the end of the
    file, the last one ends first."""
    things = []

    def start(thing):
        things.append(thing)
        return thing.start()

    yield start
    faults = []
    for thing in reversed(things):
        try:
            thing.stop()
        except AssertionError as fault:
            faults.append(str(fault))
    assert not faults, "\n".join(faults)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.failed:
        item.module.has_failed = True
