"""The tools that judge the rest: each of their rules fails when it is broken."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLEAN = "#include <stddef.h>\nint %s_one(void);\nint %s_one(void) { return 1; }\n"


def run(*command, cwd, **env):
    return subprocess.run([str(c) for c in command], cwd=cwd, text=True,
                          capture_output=True, env={**os.environ, **env})


@pytest.fixture
def house(tmp_path):
    """A small house with a room of each kind."""
    for room in ("base", "dkim2", "smtp", "dsn", "config", "daemon", "cli"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "one.c").write_text(CLEAN % (room, room))
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    return tmp_path


def layers(house):
    build = house / "build"
    build.mkdir(exist_ok=True)
    for room in ("base", "dkim2", "smtp", "dsn", "config"):
        objects = []
        for source in (house / room).glob("*.c"):
            objects.append(build / f"{room}-{source.stem}.o")
            done = run("cc", "-w", "-I.", "-fPIE", "-c", "-o", objects[-1],
                       source, cwd=house)
            assert done.returncode == 0, done.stderr
        library = build / f"lib{room}.a"
        library.unlink(missing_ok=True)
        run("ar", "rcsD", library, *objects, cwd=house)
    return run("tools/layers.sh", cwd=house, B="build")


def test_a_clean_house_stands(house):
    (house / "base" / "t.c").write_text(
        'static const char *const names[] = {"a", "b"};\n'
        "const char *base_name(int k) { return names[k]; }\n"
        "const int base_table[4] = {1, 2, 3, 4};\n")
    (house / "config" / "file.c").write_text("#include <unistd.h>\n")
    (house / "config" / "addr.c").write_text("#include <arpa/inet.h>\n")
    done = layers(house)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("room,text,said", [
    ("base", '#include "smtp/one.h"', "base includes only base"),
    ("dkim2", '#include "smtp/one.h"', "dkim2 knows only base"),
    ("smtp", '#include "dkim2/one.h"', "smtp knows only base"),
    ("smtp", '  #  include <dkim2/one.h>', "smtp knows only base"),
    ("dsn", '#include "smtp/one.h"', "dsn knows only"),
    ("config", '#include "dkim2/one.h"', "config knows only base"),
    ("cli", '#include "daemon/one.h"', "cli knows only"),
    ("daemon", '#include "cli/one.h"', "daemon does not know cli"),
    ("smtp", "#include <sys/socket.h>", "no I/O and no clock"),
    ("dkim2", "#include <time.h>", "no I/O and no clock"),
    ("base", "#include <unistd.h>", "no I/O and no clock"),
    ("config", "#include <fcntl.h>", "config has its I/O in file.c"),
    ("dkim2", "#include <stdlib.h>\nvoid *dkim2_x(void) { return malloc(3); }",
     "memory outside the arena"),
    ("smtp", "static int n; int smtp_n(void) { return ++n; }", "writable global"),
    ("smtp", "int smtp_n = 4;", "writable global"),
    ("base", "int base_f(void) { static int n = 4; return n++; }",
     "writable global"),
    ("daemon", "\n" * 801, "at most 800"),
    ("daemon", "#include <event2/event.h>", "libevent is loop.c and http.c alone"),
])
def test_each_rule_of_the_layers(house, room, text, said):
    for folder in ("smtp", "dkim2", "daemon", "cli"):
        (house / folder / "one.h").touch()
    (house / room / "broken.c").write_text(text + "\n")
    done = layers(house)
    assert done.returncode == 1 and said in done.stdout, done.stdout


def attacks(house, rows, test):
    (house / "tests").mkdir()
    (house / "tests" / "attacks.txt").write_text(rows)
    (house / "tests" / "test_x.py").write_text(test)
    return run("tools/attacks.sh", cwd=house)


@pytest.mark.parametrize("test,status", [
    ("def test_Z1_x(): pass", 0), ("# Z1", 0), ("# Z12 XZ1 0xZ1", 1), ("", 1),
    ("# Z2", 1), ("# Z2 Z1", 0)])
def test_rows_of_closed_issues_need_tests(house, test, status):
    done = attacks(house, "closed 90 91\nZ1 91 one\nZ2 92 two\n", test)
    assert done.returncode == status, done.stdout


def test_bootstrap_names_what_is_missing(tmp_path):
    """With a package database that knows nothing, and one that has all."""
    database = tmp_path / "dpkg-query"
    database.write_text("#!/bin/sh\nexit 1\n")
    database.chmod(0o755)
    env = {"NO_INSTALL": "1", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = run(ROOT / "bootstrap", "demo", cwd=ROOT, **env)
    assert done.returncode == 77
    assert " make " in done.stdout and " python3" in done.stdout
    database.write_text('#!/bin/sh\necho "installed "\n')
    done = run(ROOT / "bootstrap", "demo", cwd=ROOT, **env)
    assert (done.returncode, done.stdout) == (
        0, "bootstrap: no package is missing\n")
