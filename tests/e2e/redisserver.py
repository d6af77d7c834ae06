"""A Redis server of Debian's, on loopback, for one test. It is unpacked like
the other servers: an installed one would start by itself."""

import shutil
import signal
import socket
import subprocess
import sys

import harness
import unpacked


def cannot_run():
    """Why there is none, or None."""
    if program() is not None:
        return None
    return unpacked.unpack("redis-tools")


def program():
    """An installed one will do: it is started apart. In the package the
    server goes by the name of another tool, which looks at its own name."""
    installed = shutil.which("redis-server")
    if installed:
        return installed
    tool = unpacked.folder("redis-tools") / "usr/bin/redis-check-rdb"
    return str(tool) if tool.exists() else None


class Error(Exception):
    """What the server said."""


class Redis:
    """started with options of redis.conf: Redis(folder, maxmemory="2mb")."""

    def __init__(self, folder, name="redis", port=None, **options):
        self.folder = folder / name
        self.folder.mkdir(exist_ok=True)
        self.port = port or harness.free_port()
        self.options = options
        self.password = options.get("requirepass")
        self.process = None
        self.url = f"redis://127.0.0.1:{self.port}"

    def start(self):
        lines = {"port": self.port, "bind": "127.0.0.1", "save": '""',
                 "appendonly": "no", "dir": self.folder,
                 "daemonize": "no", "maxmemory-policy": "noeviction"}
        lines.update({key.replace("_", "-"): value
                      for key, value in self.options.items()})
        conf = self.folder / "redis.conf"
        conf.write_text("".join(f"{k} {v}\n" for k, v in lines.items()))
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            ["redis-server", str(conf)], executable=program(),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        harness.until(self.is_there, "the Redis server")
        return self

    def is_there(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            return self.ask("PING") == "PONG"
        except (OSError, Error):
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.thaw()
            self.kill()

    def ask(self, *words, db=0):
        """One command on a connection of its own; its answer."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as s, \
                s.makefile("rb") as f:
            if self.password:
                s.sendall(_command("AUTH", self.password))
                _reply(f)
            if db:
                s.sendall(_command("SELECT", db))
                _reply(f)
            s.sendall(_command(*words))
            return _reply(f)

    def keys(self, pattern="hopseal:*", db=0):
        return sorted(self.ask("KEYS", pattern, db=db))


def _command(*words):
    octets = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(octets) + b"".join(
        b"$%d\r\n%s\r\n" % (len(w), w) for w in octets)


def _reply(f):
    line = f.readline()
    if not line.endswith(b"\r\n"):
        raise OSError("the server is gone")
    kind, text = line[:1], line[1:-2]
    if kind == b"-":
        raise Error(text.decode())
    if kind == b"+":
        return text.decode()
    if kind == b":":
        return int(text)
    n = int(text)
    if kind == b"$":
        return None if n < 0 else f.read(n + 2)[:-2]
    return [_reply(f) for _ in range(n)]


if __name__ == "__main__":          # for tests that are no Python
    sys.exit(cannot_run() or print(program()))
