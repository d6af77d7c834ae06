"""P3: key files and folders that others can read or replace are refused by the
daemon, at the check and at the start."""

import os

import pytest

import harness
from configs import egress
from smtptools import Client, Sink


def chmod(path, mode):
    path.chmod(mode)


FAULTS = {
    "group can read": lambda k: chmod(k.pem("one.example", "ed"), 0o644),
    "group can write": lambda k: chmod(k.pem("one.example", "ed"), 0o620),
    "writable folder": lambda k: chmod(k.folder / "one.example", 0o777),
    "writable top": lambda k: chmod(k.folder, 0o722),
    "a link": lambda k: (
        k.pem("one.example", "ed").rename(k.folder.parent / "elsewhere"),
        k.pem("one.example", "ed").symlink_to(k.folder.parent / "elsewhere")),
    "another owner": lambda k: os.chown(k.pem("one.example", "ed"), 10, 10),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_P3_unsafe_keys(folder, keys, fault):
    if os.geteuid() != 0 and fault == "another owner":
        pytest.skip("only root can give a file away")
    keys.add("one.example", rsa2048=None)
    site = egress(folder, harness.free_port())
    file = folder / "hopseald.yaml"
    file.write_text(site.config)
    good = harness.run(harness.HOPSEALD, "-t", "-c", file, ok=False)
    assert good.returncode == 0, good.stderr
    FAULTS[fault](keys)
    for option in (["-t"], []):
        bad = harness.run(harness.HOPSEALD, *option, "-c", file, ok=False)
        assert bad.returncode == 78, (option, bad.stderr)
        assert b"one.example" in bad.stderr + bad.stdout or \
            b"keys" in bad.stderr + bad.stdout


def test_Q2_a_limit_on_the_size_of_files(folder, keys, hopseald):
    """What is too large for a file is told to its client; the worker lives."""
    keys.add("one.example", rsa2048=None)
    head = b"From: <a@one.example>\r\nSubject: s\r\n\r\n"
    with Sink() as sink:
        site = egress(folder, sink.port)
        daemon = hopseald(site.config, wrapper=["prlimit", "--fsize=400000"])
        with Client(site.port) as client:
            client.command("EHLO client.example")
            code, text = client.mail("a@one.example", "b@two.example",
                                     head + b"line\r\n" * 400_000)
            assert code in (451, 452), text
            assert client.mail("a@one.example", "b@two.example",
                               head + b"line\r\n")[0] == 250
    assert "signal" not in daemon.log()
