"""Who else is there: the DNS, the far mail server, the smart host; and the
servers beside hopseal, as their packages leave them."""

import contextlib
import ctypes
import os
import queue
import shutil
import socket
import subprocess
from pathlib import Path

import harness
import nameserver
from smtptools import Sink

OURS, FAR = "192.0.2.10", "192.0.2.25"
# A cable between us and everybody else; each end with its addresses.
CABLE = """
ip link add cable type veth peer name cable netns $1
ip addr add 192.0.2.10/24 dev cable
ip addr add 10.0.0.5/16 dev cable
ip link set cable up
nsenter -t $1 -n sh -e <<END
ip link set lo up
ip addr add 192.0.2.25/24 dev cable
ip addr add 192.0.2.26/24 dev cable
ip addr add 10.0.8.20/16 dev cable
ip link set cable up
END
"""
# More machines of ours: ours and theirs are at one switch. The first address of
# ours is the one that we connect from.
SWITCH = """
nsenter -t $1 -n ip addr add 10.0.0.20/16 dev cable
ip addr flush dev cable
ip link add lan type bridge
ip link set cable master lan
for address in 10.0.0.4/16 10.0.0.9/16 10.0.0.5/16 192.0.2.10/24
do ip addr add $address dev lan; done
ip link set lan up
"""
MACHINE = """
ip link add $1 type veth peer name inside netns $3
ip link set $1 master lan
ip link set $1 up
nsenter -t $3 -n -m -r -w sh -e <<END
ip link set lo up
ip link set inside up
ip addr add $2/16 dev inside
ip route add 192.0.2.0/24 dev inside
install -d -m 700 -o hopseal -g hopseal /var/lib/hopseal/$1
mount --bind /var/lib/hopseal/$1 /var/lib/hopseal
mount -t tmpfs none /run
mount -t tmpfs none /var/log
END
"""
CLONE_NEWNET = 0x40000000
ZONE = f"""
example.org. IN MX 10 mx.example.org.
mx.example.org. IN A {OURS}
out.example.org. IN A {OURS}
example.net. IN MX 10 fwd.example.net.
fwd.example.net. IN A {OURS}
lists.example.org. IN MX 10 lists.example.org.
lists.example.org. IN A {OURS}
example.com. IN MX 10 mail.example.com.
mail.example.com. IN A {FAR}
smart.example. IN A 192.0.2.26
"""
PEOPLE = {"hopseal": None, "postfix": 901, "postdrop": 902, "Debian-exim": 903,
          "haproxy": 904, "list": 905, "redis": 906}


class Nsd(nameserver.Nsd):
    """Far away, on port 53, where everybody looks."""

    def __init__(self, folder, lines):
        super().__init__(folder, lines)
        conf = self.folder / "nsd.conf"
        conf.write_text(conf.read_text().replace(
            f"127.0.0.1@{self.port}", f"{FAR}@53"))

    def __enter__(self):
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["nsd", "-d", "-c", str(self.folder / "nsd.conf")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        harness.until(self._is_up, "nsd to answer")
        return self

    def _is_up(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            s.connect((FAR, 53))
            try:
                s.send(b"\0\1\0\0\0\1\0\0\0\0\0\0\0\0\6\0\1")
                return s.recv(512)
            except OSError:
                return None


class World:
    def __init__(self):
        self.lines = ZONE.splitlines()
        self.nsd = None
        self.servers = {}
        self.machines = {}          # name -> a process that is in it
        self.mails = queue.Queue()
        self.elsewhere_pid = subprocess.Popen(
            ["unshare", "-n", "sleep", "infinity"]).pid
        self._lay_cable()
        Path("/etc/resolv.conf").write_text(f"nameserver {FAR}\n")
        Path("/etc/hosts").write_text("127.0.0.1 localhost\n")
        self._people()
        self._install()
        self._serve_names()
        with self.elsewhere():
            self.far = Sink(25, host=FAR, dot=self._take)

    def _lay_cable(self):
        own = os.readlink("/proc/self/ns/net")
        there = f"/proc/{self.elsewhere_pid}/ns/net"
        harness.until(lambda: os.readlink(there) != own, "another network")
        harness.run("sh", "-ec", CABLE, "sh", self.elsewhere_pid)

    def machine(self, name, address):
        """One more of ours: the same files, but for what it remembers and
        says, and an address of its own."""
        if not self.machines:
            harness.run("sh", "-ec", SWITCH, "sh", self.elsewhere_pid)
        pid = subprocess.Popen(["unshare", "-n", "-m", "sleep", "infinity"]).pid
        own = os.readlink("/proc/self/ns/mnt")
        there = f"/proc/{pid}/ns/mnt"
        harness.until(lambda: os.readlink(there) != own and os.readlink(
            f"/proc/{pid}/exe").endswith("sleep"), "another machine")
        harness.run("sh", "-ec", MACHINE, "sh", name, address, pid)
        self.machines[name] = pid

    def inside(self, name):
        """What stands before a command that another machine of ours runs."""
        pid = self.machines.get(name)
        return [] if pid is None else \
            ["nsenter", "-t", str(pid), "-n", "-m", "-r", "-w"]

    @contextlib.contextmanager
    def elsewhere(self):
        """Sockets that are made meanwhile are on the other machine."""
        libc = ctypes.CDLL(None, use_errno=True)

        def go(path):
            with open(path) as ns:
                if libc.setns(ns.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
        with open("/proc/self/ns/net") as home:
            go(f"/proc/{self.elsewhere_pid}/ns/net")
            try:
                yield
            finally:
                go(f"/proc/self/fd/{home.fileno()}")

    def _people(self):
        """Users and groups that the packages make."""
        with open("/etc/passwd", "a") as users, open("/etc/group", "a") as groups:
            for name, number in PEOPLE.items():
                if number:
                    users.write(f"{name}:x:{number}:{number}::/nonexistent:"
                                "/usr/sbin/nologin\n")
                    groups.write(f"{name}:x:{number}:\n")

    @staticmethod
    def _install():
        """What the package does when it is installed."""
        harness.run("sh", harness.ROOT / "package/postinst", "configure")
        shutil.chown("/var/lib/hopseal", "hopseal", "hopseal")

    def _serve_names(self):
        if self.nsd is not None:
            self.nsd.__exit__()
            shutil.rmtree(self.nsd.folder)
        place = Path("/run/names")
        place.mkdir(exist_ok=True)
        self.nsd = Nsd(place, [line + "\n" for line in self.lines])
        with self.elsewhere():
            self.nsd.__enter__()

    def publish(self, lines):
        self.lines += [line for line in lines if line not in self.lines]
        self._serve_names()

    def unpublish(self, name):
        self.lines = [x for x in self.lines if not x.startswith(name)]
        self._serve_names()

    def _take(self, mail):
        self.mails.put(mail)
        return "250 2.0.0 taken"

    def arrived(self):
        harness.until(lambda: not self.mails.empty(), "mail to arrive")
        return self.mails.get().content

    def start(self, name, *more):
        import beside
        if name == "dns":
            self._serve_names()
            return
        self.servers[name] = getattr(beside, name)(self, *more)

    def end(self, name):
        if name == "dns":
            self.nsd.__exit__()
            shutil.rmtree(self.nsd.folder)
            self.nsd = None
            return
        self.servers.pop(name).stop()

    def logs(self):
        out = ""
        others = [f"/proc/{pid}/root/var/log/hopseald.log"
                  for pid in self.machines.values()]
        for path in ("/var/log/hopseald.log", "/var/log/mail.log",
                     "/var/log/exim4/mainlog", *others):
            if os.path.exists(path):
                out += f"== {path}\n{Path(path).read_text()[-4000:]}\n"
        return out

    def stop(self):
        """All of it ends with the machine; what has faults says so."""
        assert self.far.faults == [], self.far.faults
