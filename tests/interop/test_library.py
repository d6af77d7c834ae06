"""libdkim2 as another program meets it: installed, and by its manual page."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MANUAL = ROOT / "docs" / "man" / "libdkim2.3"
SAN = os.environ.get("SAN")
MAIL, RCPT = "<alice@example.org>", "<bob@example.net>"
MESSAGE = (b"From: Alice <alice@example.org>\r\nTo: bob@example.net\r\n"
           b"Subject: hello\r\n\r\nHello.\r\n")


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True,
                          **more)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return done.stdout


def example():
    """The program of the manual page."""
    text = MANUAL.read_text().split(".Sh EXAMPLES")[1]
    text = text.split(".Bd -literal\n")[1].split("\n.Ed")[0] + "\n"
    assert not re.search(r"^[.']", text, re.M)
    return text.replace(r"\e", "\\")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    if SAN:
        pytest.skip("a program without sanitizers can not load one with them")
    dest = tmp_path_factory.mktemp("dest")
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "T", "V")}
    run("make", "-s", f"DESTDIR={dest}", "PREFIX=/opt/hopseal",
        f"B={os.environ.get('B', 'build')}", "install", cwd=ROOT, env=env)
    return dest


def package(installed, *flags):
    return run("pkg-config", *flags, "dkim2", env={
        **os.environ, "PKG_CONFIG_SYSROOT_DIR": str(installed),
        "PKG_CONFIG_PATH": f"{installed}/opt/hopseal/lib/pkgconfig",
    }).decode().split()


@pytest.fixture(scope="module", params=["so", "a"])
def program(request, installed):
    """The example, with the shared or the static library."""
    source = installed / "example.c"
    source.write_text(example())
    libs = package(installed, "--libs")
    if request.param == "a":
        libs = package(installed, "--static", "--libs")
        libs[libs.index("-ldkim2")] = "-l:libdkim2.a"
    out = installed / f"example-{request.param}"
    # As strict as our own code, and away from our own headers.
    run("cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wconversion",
        "-Wshadow", "-Werror", "-o", out, source,
        *package(installed, "--cflags"), *libs, cwd=installed)
    needs = run("readelf", "-d", out).decode()
    assert ("libdkim2.so.0" in needs) == (request.param == "so")
    return out


def call(installed, program, *args, message=MESSAGE):
    return subprocess.run(
        [str(a) for a in (program, *args)], input=message,
        capture_output=True, timeout=60,
        env={**os.environ,
             "LD_LIBRARY_PATH": f"{installed}/opt/hopseal/lib"})


@pytest.mark.parametrize("algorithm", ["ED25519", "RSA"])
def test_the_example_signs_and_verifies(installed, program, tmp_path,
                                        algorithm):
    key = tmp_path / "key.pem"
    run("openssl", "genpkey", "-algorithm", algorithm, "-out", key)
    der = run("openssl", "pkey", "-in", key, "-pubout", "-outform", "DER")
    octets = der[-32:] if algorithm == "ED25519" else der
    encoded = subprocess.run(["openssl", "base64", "-A"], input=octets,
                             capture_output=True, check=True).stdout.decode()
    record = f"v=DKIM1; k={algorithm.lower()}; p={encoded}"
    signed = call(installed, program, "sign", MAIL, RCPT, "example.org", "s1",
                  key)
    assert signed.returncode == 0, signed.stderr
    assert signed.stdout.startswith(b"DKIM2-Signature: i=1; m=1;")
    assert signed.stdout.endswith(MESSAGE)

    def verdict(message, rcpt=RCPT, said=record):
        done = call(installed, program, "verify", MAIL, rcpt, said,
                    message=message)
        return done.returncode, done.stdout.decode()

    assert verdict(signed.stdout) == (0, "pass \n")
    assert verdict(signed.stdout.replace(b"Hello.", b"hello.")) == (
        1, "fail Message-Instance m=1 body hash sha256 mismatch\n")
    assert verdict(signed.stdout, "<eve@example.net>")[1].startswith(
        "fail DKIM2-Signature i=1 RCPT TO ")
    assert verdict(signed.stdout, said="v=DKIM1; p=")[1] == (
        "permerror DKIM2-Signature i=1 public key s1 has been revoked\n")
    # It does not sign on what it has not verified.
    again = call(installed, program, "sign", MAIL, RCPT, "example.org", "s1",
                 key, message=signed.stdout)
    assert (again.returncode, again.stdout) == (1, b"")


def declared(installed):
    """The functions of the installed headers that are not inline."""
    text = ""
    for header in sorted((installed / "opt/hopseal/include").rglob("*.h")):
        text += header.read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"^static inline.*?^}", "", text, flags=re.S | re.M)
    return set(re.findall(r"^[a-z][^;{}#=]*?\**(\w+)\([^;{}]*;", text, re.M))


@pytest.mark.parametrize("name", ["libdkim2.so.0", "libdkim2.a"])
def test_what_is_declared_is_exported_and_nothing_else(installed, name):
    library = installed / "opt/hopseal/lib" / name
    flags = ["-D"] if name.endswith("0") else ["-g"]
    names = {line.split()[-1].split("@")[0] for line in
             run("nm", *flags, "--defined-only", library).decode().split("\n")
             if len(line.split()) == 3}
    names.discard("LIBDKIM2_0")
    assert names == declared(installed)
    assert "dkim2_verify_new" in names and "arena_new" in names


def test_headers_stand_alone(installed, tmp_path):
    """Each header can be the first that is included."""
    flags = package(installed, "--cflags")
    root = installed / "opt/hopseal/include/hopseal"
    for header in root.rglob("*.h"):
        source = tmp_path / "one.c"
        source.write_text(f'#include <{header.relative_to(root)}>\nint x;\n')
        run("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
            source, *flags)


def test_the_manual_page_is_clean():
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    assert run("mandoc", "-Tlint", MANUAL) == b""
