#!/usr/bin/python3
"""Prints which branches the tests of libdkim2 took.

    coverage.py BUILD [--gaps] FILE.c...

BUILD was compiled with --coverage and its tests were run. A branch of an
assert() can be taken by nobody and is not counted. --gaps lists each line
with a branch that was never taken.
"""
import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def read(build, source):
    """The lines of one file as gcov has them."""
    notes = (build / source).with_suffix(".gcda")
    if not notes.exists():
        return []
    done = subprocess.run(["gcov", "-b", "-j", "-t", notes], cwd=ROOT,
                          capture_output=True, text=True, check=True)
    files = json.loads(done.stdout)["files"]
    return [f for f in files if f["file"].endswith(source)][0]["lines"]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("build", type=pathlib.Path)
    options.add_argument("--gaps", action="store_true")
    options.add_argument("files", nargs="+")
    o = options.parse_args()
    total = taken = 0
    gaps = []
    print(f"{'':28}{'lines':>12}{'branches taken':>18}")
    for source in o.files:
        text = (ROOT / source).read_text().split("\n")
        lines = [l for l in read(o.build.resolve(), source)
                 if "assert(" not in text[l["line_number"] - 1]]
        ran = sum(l["count"] != 0 for l in lines)
        branches = [(l["line_number"], b["count"]) for l in lines
                    for b in l["branches"]]
        good = sum(count != 0 for _, count in branches)
        total, taken = total + len(branches), taken + good
        print(f"{source:28}{ran:6}/{len(lines):<5}{good:8}/{len(branches):<5}"
              f"{100 * good / max(1, len(branches)):5.1f} %")
        for line in sorted({n for n, count in branches if count == 0}):
            never = sum(n == line and count == 0 for n, count in branches)
            gaps.append(f"{source}:{line}: {never} never: "
                        f"{text[line - 1].strip()}")
    print(f"{'all':28}{'':12}{taken:8}/{total:<5}"
          f"{100 * taken / max(1, total):5.1f} %")
    if o.gaps:
        print("\n".join(gaps))
    return 0 if total else 1


if __name__ == "__main__":
    sys.exit(main())
