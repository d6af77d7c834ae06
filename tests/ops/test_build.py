"""P10: what the programs are built with, read from them."""

import os
import re

import pytest

import harness

PROGRAMS = [harness.HOPSEALD, harness.HOPSEAL]
pytestmark = pytest.mark.skipif(
    bool(os.environ.get("SAN")),
    reason="a build with sanitizers is hardened by those")


def readelf(program, *options):
    return harness.run("readelf", "-W", *options, program).decode()


def disassembled(program):
    return harness.run("objdump", "-d", "--no-show-raw-insn",
                       program).decode()


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_P10_it_is_hardened(program):
    head, segments = readelf(program, "-h"), readelf(program, "-l")
    dynamic, symbols = readelf(program, "-d"), readelf(program, "--dyn-syms")
    assert re.search(r"Type: +DYN", head)               # position independent
    assert re.search(r"\(FLAGS_1\).*\bPIE\b", dynamic)
    assert "GNU_RELRO" in segments                      # full: bound at once
    assert re.search(r"\(FLAGS(_1)?\).*\b(BIND_)?NOW\b", dynamic)
    stack = re.search(r"GNU_STACK .*", segments)[0]
    assert " RW " in stack and "E" not in stack.split("RW")[1]
    assert not re.search(r"LOAD .* RWE ", segments)
    assert "TEXTREL" not in dynamic and "RPATH" not in dynamic
    assert "RUNPATH" not in dynamic
    assert "__stack_chk_fail" in symbols
    assert len(set(re.findall(r"__\w+_chk\b", symbols))) > 5   # FORTIFY


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_P10_its_code_is_guarded(program):
    """Large frames touch each page of the stack; calls land on endbr64."""
    if os.uname().machine != "x86_64":
        pytest.skip("it is x86-64 code that is read")
    code = disassembled(program)
    # -fstack-clash-protection: a page is touched behind each of 4096.
    assert re.search(r"sub +\$0x1000,%rsp\s+[0-9a-f]+:\s+orq +\$0x0,", code)
    functions = re.findall(r"^[0-9a-f]+ <(\w+)>:\n +[0-9a-f]+:\t(\S+)",
                           code, re.M)
    ours = [first for name, first in functions
            if name.startswith(("dkim2_", "smtp_", "config_", "log_"))]
    assert len(ours) > 100
    assert ours.count("endbr64") > len(ours) // 2


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_P10_only_libraries_of_the_distribution(program):
    needed = re.findall(r"\(NEEDED\).*\[(\S+?)\.so",
                        readelf(program, "-d"))
    assert set(needed) <= {
        "libcrypto", "libssl", "libsodium", "libevent_core-2.1",
        "libevent_extra-2.1", "libcares", "libyaml-0", "libpsl",
        "libsqlite3", "libhiredis", "libc", "ld-linux-x86-64", "ld-linux-aarch64",
        "libm"}, needed
