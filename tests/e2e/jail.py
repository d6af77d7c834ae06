"""A folder that a real server runs in as its root: its unpacked Debian packages,
the libraries it is linked with, users and groups of its own. Nothing of it is
installed, and what paths it was built with does not matter."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import harness
import unpacked

DEVICES = {"null": (1, 3), "zero": (1, 5), "random": (1, 8), "urandom": (1, 9)}


def cannot_run(*packages):
    """Why servers of these packages can not run here, or None."""
    if os.geteuid() != 0:
        return f"{packages[0]} needs root"
    for package in packages:
        why = unpacked.unpack(package)
        if why:
            return why
    return None


class Jail:
    """users: name -> uid, each with a group of the same name and number."""

    def __init__(self, folder, packages, users):
        self.root = Path(folder)
        self.process = None
        self.log_file = self.root / "server.log"
        for package in packages:
            shutil.copytree(unpacked.folder(package), self.root, symlinks=True,
                            dirs_exist_ok=True)
        for name in ("dev", "etc", "tmp", "bin", "var/empty", "run"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "tmp").chmod(0o1777)
        for name, (major, minor) in DEVICES.items():
            os.mknod(self.root / "dev" / name, 0o20666, os.makedev(major, minor))
            (self.root / "dev" / name).chmod(0o666)
        self.users = users = {"root": 0, "nobody": 65534, **users}
        self.write("etc/passwd", "".join(
            f"{n}:x:{i}:{i}::/var/empty:/usr/sbin/nologin\n"
            for n, i in users.items()))
        self.write("etc/group", "".join(f"{n}:x:{i}:\n" for n, i in users.items()))
        self.write("etc/hosts", "127.0.0.1 localhost\n")
        self.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")

    def write(self, name, text, mode=0o644):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def folder(self, name, owner=None, mode=0o755):
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        if owner:
            os.chown(path, self.users[owner], self.users[owner])
        path.chmod(mode)
        return path

    def link_libraries(self, *programs, search=()):
        """Copies what these programs, paths within the jail, are linked with."""
        env = {**os.environ, "LD_LIBRARY_PATH": ":".join(
            str(self.root / s) for s in search)}
        for program in programs:
            done = subprocess.run(["ldd", str(self.root / program)], env=env,
                                  capture_output=True, text=True)
            assert "not found" not in done.stdout, \
                f"{program}: {done.stdout}; ./bootstrap check installs them"
            for path in re.findall(r"(/\S+) \(0x", done.stdout):
                target = self.root / path.lstrip("/")
                if not path.startswith(str(self.root)) and not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, target)

    def start(self, *command, port):
        """Runs the server in the foreground; waits for its port."""
        with open(self.log_file, "ab") as out:
            self.process = subprocess.Popen(
                ["chroot", str(self.root), *command], stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, start_new_session=True,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        harness.until(lambda: self._answers(port),
                      lambda: f"{command[0]} to listen: {self.log()}")

    def _answers(self, port):
        assert self.process.poll() is None, self.log()
        return harness.listens(port)

    def log(self):
        try:
            return self.log_file.read_text(errors="replace")
        except OSError:
            return ""

    def stop(self):
        """SIGTERM to all of its processes, and waits until they are gone."""
        if self.process is None:
            return
        leader = self.process.pid

        def are_gone():
            self.process.poll()
            left = harness.session_pids(leader) + self._strays()
            for pid in left:
                try:
                    os.kill(pid, signal.SIGTERM)
                except ProcessLookupError:
                    pass
            return not left

        harness.until(are_gone, "a server to end")

    def _strays(self):
        """Processes with this root that made a session of their own."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    root = os.readlink(f"/proc/{entry}/root")
                except OSError:
                    continue
                if root == str(self.root) or \
                        root.startswith(f"{self.root}/"):
                    found.append(int(entry))
        return found
