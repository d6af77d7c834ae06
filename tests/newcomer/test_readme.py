"""README, word for word: its first commands are typed in a tree as it was cloned.
With LONG=1 that tree is built from nothing; else it has the build that is there
already, and the same is typed."""

import os
import re
import shutil
import subprocess

import pytest

import harness
import machine

README = (harness.ROOT / "README.md").read_text()


def block(first):
    """The indented block that begins with these words."""
    found = re.search(rf"(?m)^    {re.escape(first)}.*\n(?:    .*\n|\n(?=    ))*",
                      README)
    assert found, first
    return re.sub(r"(?m)^    ", "", found[0])


@pytest.fixture
def tree(tmp_path):
    tree = tmp_path / "hopseal"
    shutil.copytree(harness.ROOT, tree, symlinks=True,
                    ignore=shutil.ignore_patterns(".git", "build*"))
    if not os.environ.get("LONG"):
        (tree / "build").mkdir()
        for program in ("hopseal", "hopseald"):
            shutil.copy(harness.BUILD / program, tree / "build")
    for folder in tree, *tree.parents:
        if str(folder).startswith(str(tmp_path.parent.parent)):
            folder.chmod(0o755)         # it runs as nobody
    return tree


def typed(tree, text, ok=True):
    """What a shell makes of it, as a newcomer's."""
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "T", "V", "B", "SAN")}
    done = subprocess.run(["bash", "-e"], input=text, cwd=tree, env=env,
                          capture_output=True, text=True, timeout=1200)
    assert not ok or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_demo_explains_a_letter(tree):
    command = block("./bootstrap demo").strip()
    if not os.environ.get("LONG"):
        command = "python3 demo/demo.py"    # what it comes to when all is built
    said = typed(tree, command)
    for words in ("i=1", "i=2", "verdict  PASS", "verdict  FAIL"):
        assert words in said


def test_the_first_message_is_relayed(tree):
    text = block("./bootstrap   ")
    lines = text.splitlines(keepends=True)
    if not os.environ.get("LONG"):
        assert lines.pop(0).startswith("./bootstrap ")
    # The last of them runs in the foreground: another terminal goes on.
    assert lines[-1].startswith("build/hopseald -c hopseal.yaml")
    said = typed(tree, "".join(lines[:-1]))
    assert "s1._domainkey.example.org. IN TXT" in said
    assert "configuration is good" in said
    assert (tree / "keys/example.org/s1.pem").exists()
    why = machine.cannot_run()
    if why:
        pytest.skip(f"its ports are taken here: {why}")
    done = subprocess.run(
        [machine.HERE / "machine.sh", machine.make_folder(), tree,
         "/usr/bin/python3", tree / "tests/newcomer/first_message.py", tree],
        capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "signed" in done.stdout, \
        done.stdout + done.stderr


def test_links_of_readme_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README) + \
        re.findall(r"`((?:docs|config|tests|demo|tools)/[^` ]*)`", README)
    assert links
    for link in links:
        assert "://" in link or (harness.ROOT / link).exists(), link
