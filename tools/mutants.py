#!/usr/bin/python3
"""Takes out one rule of the program at a time, and asks its test to fail.

    mutants.py [--only PART] [--jobs N] [--name] BUILD

Reads tests/mutants/*.txt: blocks with a blank line between,

    rule: what is taken out
    file: dkim2/taglist.c
    test: tests/dkim2/test_fields tag_lists
    -       a line of the file
     and one that stays
    +       what stands there instead

The lines with '-' and ' ' stand in the file just once, one behind the other
(white space at both ends does not count). '@' goes on at another place, and
'@ FILE' in another file. `test` names a program and one of
its tests; the mutant is killed where that test fails. What is not found in
its file, or does not compile, is a failure of the list.

Prints a line for each mutant that is not killed, then the counts; exit 0
where all are killed. --name writes the name of the first test that failed
behind programs that stand alone.
"""
import argparse
import concurrent.futures
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
LISTS = ROOT / "tests" / "mutants"
# Nothing is asked of a mutant but that it compiles.
MAKE = ["make", "--no-print-directory", "-s", "B=build", "OPT=-O0",
        "WARN=-std=c11 -w", "HARDEN=-fPIE"]
TIMEOUT_S = 120


class Mutant:
    def __init__(self, source, number):
        self.where = f"{source.name}:{number}"
        self.source, self.number = source, number
        self.fields, self.lines = {}, []

    @property
    def file(self):
        return self.fields["file"]

    @property
    def program(self):
        return self.fields["test"].split()[0]

    @property
    def test(self):
        return (self.fields["test"].split() + [""])[1]

    def __str__(self):
        return f"{self.where}: {self.fields.get('rule', '?')} ({self.file})"

    def applied_to(self, folder):
        """Returns what the files of folder become, or None."""
        texts, file, hunk = {}, self.file, []
        for line in [*self.lines, "@"]:
            if line[0] != "@":
                hunk.append(line)
                continue
            if not (folder / file).exists():
                return None
            before = texts.get(file) or (folder / file).read_text()
            texts[file] = change(before, hunk)
            if texts[file] in (None, before):
                return None
            file, hunk = line[1:].strip() or file, []
        return texts


def change(text, hunk):
    """Returns the text with one place changed, or None."""
    lines = text.split("\n")
    old = [l[1:].strip() for l in hunk if l[0] in "- "]
    bare = [l.strip() for l in lines]
    found = [k for k in range(len(lines) - len(old) + 1)
             if bare[k:k + len(old)] == old]
    if len(found) != 1 or not old:
        return None
    new, at = [], found[0]
    for line in hunk:
        if line[0] == "+":
            new.append(line[1:])
        else:
            if line[0] == " ":
                new.append(lines[at])
            at += 1
    return "\n".join(lines[:found[0]] + new + lines[at:])


def read(source):
    """Returns the mutants of one list."""
    mutants, current = [], None
    for number, line in enumerate(source.read_text().split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            current = None
            continue
        if current is None:
            current = Mutant(source, number)
            mutants.append(current)
        field = re.match(r"(rule|file|test): *(.*)", line)
        if field and not current.lines:
            current.fields[field[1]] = field[2]
        elif line[0] in "-+ @" and len(current.fields) == 3:
            current.lines.append(line)
        else:
            sys.exit(f"{source.name}:{number}: what is {line!r}?")
    for m in mutants:
        if len(m.fields) != 3 or not any(l[0] in "-+" for l in m.lines):
            sys.exit(f"{m.where}: rule, file, test and lines are needed")
    return mutants


def failed_tests(output):
    """The tests of a cmocka program that failed; also one that broke it."""
    failed = re.findall(r"^\[  FAILED  \] (\w+)$", output, re.M)
    good = re.findall(r"^\[       OK \] (\w+)", output, re.M)
    begun = re.findall(r"^\[ RUN      \] (\w+)", output, re.M)
    return failed + [t for t in begun if t not in good + failed]


class Tree:
    """A copy of the project, built once, in which one file is changed."""

    def __init__(self, folder, programs):
        self.folder = folder
        self.goals = [f"build/{p}" for p in programs]
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(ROOT, folder, symlinks=True,
                        ignore=shutil.ignore_patterns("build*", ".*", "corpus"))
        self.cmocka = subprocess.run(
            ["pkg-config", "--libs", "cmocka"], capture_output=True,
            text=True, check=True).stdout.strip()

    def make(self, *goals):
        return subprocess.run(
            [*MAKE, f"CMOCKA={self.cmocka}", *goals], cwd=self.folder,
            capture_output=True, text=True)

    def build(self, jobs):
        done = self.make(f"-j{jobs}", *self.goals)
        if done.returncode != 0:
            sys.exit(f"mutants: the program itself does not build\n"
                     f"{done.stderr[-3000:]}")

    def run(self, program):
        """Returns whether it failed, and its tests that did."""
        try:
            done = subprocess.run(
                [f"build/{program}"], cwd=self.folder, timeout=TIMEOUT_S,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT)
        except subprocess.TimeoutExpired as late:
            return True, failed_tests((late.stdout or b"").decode(
                "utf-8", "replace"))
        return done.returncode != 0, failed_tests(
            done.stdout.decode("utf-8", "replace"))

    def put(self, texts):
        """Writes the files; returns what puts them back as they were."""
        kept = []
        for name, text in texts.items():
            path = self.folder / name
            compiled = (self.folder / "build" / name).with_suffix(".o")
            kept.append((path, path.read_text(), path.stat(), compiled,
                         compiled.read_bytes() if compiled.exists() else None))
            path.write_text(text)
        return kept

    def put_back(self, kept):
        for path, text, times, compiled, octets in kept:
            path.write_text(text)
            if octets is not None:
                # As it was, but newer than what was made of the mutant.
                os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
                compiled.write_bytes(octets)

    def judge(self, m):
        """Returns what is wrong, or None for a killed mutant."""
        changed = m.applied_to(self.folder)
        if changed is None:
            return "STALE: its lines do not stand there once"
        kept = self.put(changed)
        try:
            done = self.make(f"build/{m.program}")
            if done.returncode != 0:
                return f"does not compile: {done.stderr[-600:]}"
            has_failed, tests = self.run(m.program)
        finally:
            self.put_back(kept)
        if not has_failed:
            return "SURVIVED"
        if not m.test:
            m.fields["test"] += f" {tests[0] if tests else ''}"
        elif m.test not in tests:
            return f"SURVIVED {m.test}; what failed is {' '.join(tests)}"
        return None


def check_unharmed(tree, programs):
    for program in programs:
        has_failed, tests = tree.run(program)
        if has_failed:
            sys.exit(f"mutants: {program} fails without a mutant: "
                     f"{' '.join(tests)}")


def write_names(mutants):
    for source in {m.source for m in mutants}:
        lines = source.read_text().split("\n")
        for m in (m for m in mutants if m.source == source):
            at = next(k for k in range(m.number - 1, len(lines))
                      if lines[k].startswith("test:"))
            lines[at] = f"test: {m.fields['test']}".rstrip()
        source.write_text("\n".join(lines))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--only", default="")
    options.add_argument("--jobs", type=int, default=os.cpu_count())
    options.add_argument("--name", action="store_true")
    options.add_argument("build", type=pathlib.Path)
    o = options.parse_args()
    mutants = [m for source in sorted(LISTS.glob("*.txt"))
               for m in read(source) if o.only in str(m)]
    programs = sorted({m.program for m in mutants})
    if not mutants:
        sys.exit(f"mutants: no mutant has {o.only} in its name")
    first = Tree(o.build.resolve() / "mutants" / "1", programs)
    first.build(o.jobs)
    check_unharmed(first, programs)
    trees = queue.Queue()
    trees.put(first)
    for k in range(2, o.jobs + 1):
        folder = first.folder.parent / str(k)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(first.folder, folder)
        trees.put(copy_of(first, folder))

    def judge(m):
        tree = trees.get()
        try:
            return m, tree.judge(m)
        finally:
            trees.put(tree)

    survivors = 0
    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        for m, wrong in pool.map(judge, mutants):
            if wrong is not None:
                survivors += 1
                print(f"{m}: {wrong}", flush=True)
    if o.name:
        write_names(mutants)
    print(f"{len(mutants) - survivors} killed, {survivors} survived")
    return 1 if survivors else 0


def copy_of(tree, folder):
    copy = object.__new__(Tree)
    copy.__dict__.update(tree.__dict__, folder=folder)
    return copy


if __name__ == "__main__":
    sys.exit(main())
