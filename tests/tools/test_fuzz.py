"""Fuzz targets: the inventory names each parser, and each target is whole. P11

A parser is found by its name: a public function of a header that ends in one
of VERBS and takes octets (struct bytes, or an iterator over them).
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUZZ = ROOT / "tests" / "fuzz"
ROOMS = ("base", "dkim2", "smtp", "dsn", "config", "queue", "daemon")
VERBS = r"_(?:parse|read|decode|unescape|split|next|undo_\w+|claims)"
# Parsers by their name alone.
OTHERS = {"config_file_read": "reads a file, not what stands in it",
          "plan_next": "reads no octets"}


def inventory(text):
    """{target: (issue, [function...])}"""
    rows = [line.split() for line in text.split("\n")
            if line and not line.startswith("#")]
    found = {row[0]: (row[1], row[2:]) for row in rows}
    assert len(found) == len(rows), "a target stands there twice"
    return found


def parsers(root):
    """The public functions that read octets."""
    found = set()
    for room in ROOMS:
        for header in (root / room).glob("*.h"):
            text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
            # the daemon's reads are those of sockets
            verbs = "_parse" if room == "daemon" else VERBS
            found |= set(re.findall(rf"\b([a-z0-9_]+{verbs})\(", text))
    return found - set(OTHERS)


def faults(root, text, closed):
    """What is wrong with the inventory of a house."""
    rows = inventory(text)
    fuzz = root / "tests" / "fuzz"
    said = []
    listed = {f for _, functions in rows.values() for f in functions}
    headers = "".join(h.read_text() for room in ROOMS
                      for h in (root / room).glob("*.h"))
    said += [f"{f}: no target feeds it" for f in parsers(root) - listed]
    said += [f"{f}: there is no such function" for f in listed
             if not re.search(rf"\b{f}\(", headers)]
    sources = {s.stem[len("fuzz_"):]: s.read_text()
               for s in fuzz.glob("fuzz_*.c")}
    said += [f"{t}: not in the inventory" for t in set(sources) - set(rows)]
    for target, (issue, functions) in rows.items():
        if target not in sources:
            if issue in closed or functions:
                said.append(f"{target}: there is no such target")
            continue
        corpus = fuzz / "corpus" / target
        if not corpus.is_dir() or not any(corpus.iterdir()):
            said.append(f"{target}: no corpus")
        words = fuzz / "dict" / target
        if not words.is_file() or not re.fullmatch(
                r'("(\\x[0-9a-f]{2}|\\["\\]|[ -!#-\[\]-~])+"\n)+',
                words.read_text()):
            said.append(f"{target}: no dictionary that libFuzzer reads")
        if not functions:
            said.append(f"{target}: it feeds nothing")
    return said


def closed_issues():
    text = (ROOT / "tests" / "attacks.txt").read_text()
    return re.search(r"^closed (.*)$", text, re.M).group(1).split()


def test_P11_every_parser_has_a_whole_target():
    text = (FUZZ / "inventory.txt").read_text()
    assert faults(ROOT, text, closed_issues()) == []


@pytest.fixture
def house(tmp_path):
    for room in ROOMS:
        (tmp_path / room).mkdir()
    (tmp_path / "smtp" / "x.h").write_text(
        "int x_parse(struct bytes b);\nbool x_is(struct bytes b);\n"
        "/* see y_parse() */\n")
    fuzz = tmp_path / "tests" / "fuzz"
    (fuzz / "corpus" / "x").mkdir(parents=True)
    (fuzz / "corpus" / "x" / "one").write_text("a")
    (fuzz / "dict").mkdir()
    (fuzz / "dict" / "x").write_text('"a\\x00"\n"\\""\n')
    (fuzz / "fuzz_x.c").write_text("")
    return tmp_path


def test_a_whole_house_has_no_faults(house):
    assert faults(house, "x 4 x_parse\n# later\nz 5\n", ["3", "4"]) == []


@pytest.mark.parametrize("text,change,said", [
    ("x 4 x_is\n", None, "x_parse: no target feeds it"),
    ("x 4 x_parse w_parse\n", None, "w_parse: there is no such function"),
    ("z 5\n", None, "x: not in the inventory"),
    ("x 4 x_parse\nz 4\n", None, "z: there is no such target"),
    ("x 4 x_parse\nz 5 x_parse\n", None, "z: there is no such target"),
    ("x 4\n", None, "x: it feeds nothing"),
    ("x 4 x_parse\n", "corpus/x/one", "x: no corpus"),
    ("x 4 x_parse\n", "dict/x", "x: no dictionary that libFuzzer reads"),
])
def test_each_fault_is_seen(house, text, change, said):
    if change is not None:
        (house / "tests" / "fuzz" / change).unlink()
    assert said in faults(house, text, ["4"])
    (house / "tests" / "fuzz" / "dict" / "x").write_text("no quotes\n")
    assert any("dictionary" in s for s in faults(house, "x 4 x_parse\n", []))
