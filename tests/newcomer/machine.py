"""What is unpacked over this machine's root for a newcomer's machine: Debian
packages, and hopseal as `make install` leaves it."""

import os
import shutil
import subprocess
from pathlib import Path

import harness
import mailman3
import unpacked

HERE = Path(__file__).resolve().parent
LOWER = harness.BUILD / "newcomer"
PACKAGES = ("nsd", "exim4-daemon-light", "postfix", "swaks", "haproxy",
            "liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1",
            "mlmmj", "redis-tools", "libmariadb3", "libspf2-2")
# Another Exim, of the same names: it stands in a folder of its own.
HEAVY = "exim4-daemon-heavy"
STAND_INS = ("systemctl", "journalctl")


def cannot_run():
    """Why a machine can not be had here at all, or None."""
    if os.geteuid() != 0:
        return "a machine of its own needs root"
    probe = subprocess.run([HERE / "machine.sh", make_folder(), harness.ROOT,
                            "/bin/true"], capture_output=True, text=True)
    # a kernel's word, which no package changes
    return probe.stderr.strip() if probe.returncode != 0 else None


def make_folder():
    LOWER.mkdir(parents=True, exist_ok=True)
    return LOWER


def prepare():
    """Fills the folder. Why it can not, or None."""
    for why in (*map(unpacked.unpack, (*PACKAGES, HEAVY)), mailman3.cannot_run()):
        if why:
            return why
    shutil.rmtree(LOWER, ignore_errors=True)
    make_folder()
    for package in PACKAGES:
        for top in unpacked.folder(package).iterdir():
            # /lib and others are links into /usr: over them no folder
            to = LOWER / ("usr" if top.name in ("bin", "lib", "sbin") else "") \
                / top.name
            to.mkdir(parents=True, exist_ok=True)
            harness.run("cp", "-a", "--remove-destination", f"{top}/.", to)
    harness.make("install", f"DESTDIR={LOWER}", "PREFIX=/usr")
    (LOWER / "usr/lib/exim-heavy").mkdir()
    shutil.copy(unpacked.folder(HEAVY) / "usr/sbin/exim4",
                LOWER / "usr/lib/exim-heavy")
    # in that package the server goes by the name of another tool
    (LOWER / "usr/bin/redis-server").symlink_to("redis-check-rdb")
    for name in STAND_INS:
        to = LOWER / "usr/local/sbin" / name
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / f"{name}.sh", to)
    return None


def command(*words):
    """The command line that runs words on a new machine."""
    return [HERE / "machine.sh", LOWER, harness.ROOT, *words]
