"""The list of mutants keeps up with the program: each row still stands in its
file, and names a test that is there. Whether it is killed `make mutants` says.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import mutants  # noqa: E402  pylint: disable=wrong-import-position


def rows():
    return [m for source in sorted(mutants.LISTS.glob("*.txt"))
            for m in mutants.read(source)]


def test_every_row_stands_in_its_file():
    assert [str(m) for m in rows() if m.applied_to(ROOT) is None] == []


def test_every_row_names_a_test_that_is_there():
    missing = []
    for m in rows():
        source = ROOT / f"{m.program}.c"
        if not source.exists() or m.test not in source.read_text():
            missing.append(f"{m}: {m.fields['test']}")
    assert missing == []
