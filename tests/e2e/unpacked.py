"""Debian packages, downloaded and unpacked under the build directory. Nothing
is installed: an installed MTA or name server would start and take its port."""

import fcntl
import shutil
import subprocess

import harness

PACKAGES = harness.ROOT / "build" / "packages"


def _download(package):
    """With apt's own lists; where there are none, with some under the build
    directory, which needs no rights. Why not, or None."""
    def get(*options):
        return subprocess.run(["apt-get", "-qq", *options, "download", package],
                              cwd=PACKAGES, capture_output=True, text=True)
    done = get()
    if done.returncode != 0:
        state = PACKAGES / "apt"
        for name in ("lists/partial", "cache/archives/partial"):
            (state / name).mkdir(parents=True, exist_ok=True)
        own = ["-o", f"Dir::State::Lists={state}/lists",
               "-o", f"Dir::Cache={state}/cache"]
        subprocess.run(["apt-get", "-qq", *own, "update"], capture_output=True)
        done = get(*own)
    return done.stderr.strip() if done.returncode != 0 else None


def unpack(package):
    """Why the package can not be had, or None: its folder is there then."""
    PACKAGES.mkdir(parents=True, exist_ok=True)
    with open(PACKAGES / "lock", "w") as lock:      # others may want it too
        fcntl.flock(lock, fcntl.LOCK_EX)
        return None if folder(package).exists() else _get(package)


def _get(package):
    for tool in ("apt-get", "dpkg"):
        if not shutil.which(tool):
            return f"{package} comes from a Debian package, {tool} is missing"
    why = _download(package)
    if why is not None:
        return f"the package {package} can not be downloaded: {why}"
    found = sorted(PACKAGES.glob(f"{package}_*.deb"))[-1]
    temporary = PACKAGES / f"{package}.new"
    shutil.rmtree(temporary, ignore_errors=True)
    subprocess.run(["dpkg", "-x", str(found), str(temporary)], check=True)
    temporary.rename(folder(package))
    return None


def folder(package):
    return PACKAGES / package
