"""`make demo`: what it prints, and that it leaves nothing behind."""

import os
import subprocess

import harness


def files():
    """Everything in the tree but build directories and git's own."""
    found = set()
    for top, folders, names in os.walk(harness.ROOT):
        folders[:] = [f for f in folders
                      if not f.startswith("build") and f not in
                      (".git", "__pycache__")]
        found.update(os.path.join(top, n) for n in names)
    return found


def test_demo():
    before = files()
    process = subprocess.Popen(
        ["/usr/bin/python3", str(harness.ROOT / "demo/demo.py")],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    text, _ = process.communicate(timeout=harness.WAIT * 2)
    assert process.returncode == 0, text
    harness.until(lambda: not harness.session_pids(process.pid),
                  "its processes to end")
    assert files() == before
    for word in ("one.example", "two.example", "i=1", "i=2", "returns@two.example",
                 "body hash sha256 mismatch"):
        assert word in text, (word, text)
