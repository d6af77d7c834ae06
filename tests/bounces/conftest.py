"""Fixtures of the tests with bounces: those of tests/lists, with folders and
servers that last for a file."""

import importlib.util
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
for name in ("e2e", "lists", "interop"):
    sys.path.insert(0, str(TESTS / name))

# By another name: `conftest` is this one.
spec = importlib.util.spec_from_file_location("lists_conftest",
                                              TESTS / "lists" / "conftest.py")
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)

missing = shared.missing
peer, folder, started = shared.peer, shared.folder, shared.started
pytest_runtest_makereport = shared.pytest_runtest_makereport


def pytest_terminal_summary(terminalreporter):
    """The count of the backscatter; tools/check.sh prints it, too."""
    counts = getattr(sys.modules.get("strangers"), "counts", {})
    if counts:
        total = {k: sum(c[k] for c in counts.values())
                 for k in ("sent", "refused", "reports", "strangers")}
        terminalreporter.write_line(
            "backscatter: {sent} messages with forged and other senders, "
            "{refused} refused, {reports} reports to whom they came from, "
            "{strangers} to strangers".format(**total))
        for name, c in counts.items():
            terminalreporter.write_line(
                f"  {name}: {c['sent']} sent, {c['refused']} refused, "
                f"{c['reports']} reported")
