"""Fixtures of the end-to-end tests. What can not run is skipped with the
reason, and fails where CI is set."""

import os
import re
import shutil
import subprocess

import pytest

import harness
import nameserver
import postfix as postfix_module


def missing(why):
    if os.environ.get("CI"):
        pytest.fail(f"NOT RUN, and CI is set: {why}")
    pytest.skip(f"NOT RUN: {why}")


@pytest.fixture
def folder(request):
    """An empty folder for this test, under the build directory; kept where
    the test failed."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", request.node.name)[:80]
    path = harness.open_folder(name)
    yield path
    if not getattr(request.node, "is_failed", False):
        shutil.rmtree(path, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.failed:
        item.is_failed = True


@pytest.fixture
def hopseald(folder):
    """hopseald(config, name="hopseald"): starts one, stops it at the end."""
    started = []

    def start(config, name="hopseald", **more):
        daemon = harness.Hopseald(folder, config, name, **more)
        started.append(daemon)
        return daemon.start()

    yield start
    faults = []
    for daemon in reversed(started):
        try:
            daemon.stop()
        except AssertionError as fault:
            faults.append(str(fault))
    assert not faults, "\n".join(faults)


@pytest.fixture(scope="session")
def peer():
    """The path of the live peer."""
    script = harness.ROOT / "tests/interop/peer.sh"
    done = subprocess.run([str(script)], capture_output=True, text=True)
    if done.returncode != 0:
        missing(done.stderr.strip() or "the peer could not be built")
    return done.stdout.strip()


@pytest.fixture
def keys(folder):
    return harness.Keys(folder)


@pytest.fixture
def postfix(folder):
    """postfix(name, **main.cf): starts an instance, stops it at the end."""
    why = postfix_module.cannot_run()
    if why:
        missing(why)
    started = []

    def start(name, **settings):
        instance = postfix_module.Postfix(folder / name, **settings)
        started.append(instance)
        return instance.start()

    yield start
    for instance in reversed(started):
        instance.stop()


@pytest.fixture
def nsd(folder):
    """nsd(zone lines): a real name server, ended with the test."""
    why = nameserver.Nsd.cannot_run()
    if why:
        missing(why)
    started = []

    def start(lines):
        server = nameserver.Nsd(folder, lines)
        started.append(server)
        return server.__enter__()

    yield start
    for server in started:
        server.__exit__()
