"""DNS on loopback: one server that follows a script, and a real nsd."""

import signal
import socket
import struct
import subprocess
import threading

import harness
import unpacked

SERVFAIL, NXDOMAIN, REFUSED = 2, 3, 5
SILENT = "silent"


class Nameserver:
    """Answers TXT questions over UDP from a table.

    table      name -> list of records, an rcode, SILENT or GARBAGE octets; the
               name "*" stands for every other. Without it: NXDOMAIN.
    questions  every name that was asked for
    """
    ttl = 60            # seconds, of every answer

    def __init__(self, table=None):
        self.table = table if table is not None else {}
        self.questions = []
        self.port = harness.free_port()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                query, client = self.sock.recvfrom(4096)
            except OSError:
                return
            try:
                answer = self._answer(query)
            except (IndexError, struct.error):
                continue                    # no question of ours
            if answer:
                try:
                    self.sock.sendto(answer, client)
                except OSError:
                    return                  # closed meanwhile

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
            at += 1 + query[at]
        question = query[12:at + 5]
        kind = struct.unpack("!H", query[at + 1:at + 3])[0]
        name = ".".join(labels).lower()
        self.questions.append(name)
        found = self.table.get(name, self.table.get("*", NXDOMAIN))
        if found == SILENT:
            return None
        if isinstance(found, bytes):
            return query[:2] + found
        rcode = found if isinstance(found, int) else 0
        records = b""
        n = 0
        if rcode == 0 and kind == 16:
            for text in found:
                text = text.encode("latin-1")
                data = b"".join(bytes([len(text[k:k + 255])]) + text[k:k + 255]
                                for k in range(0, len(text), 255)) or b"\0"
                records += struct.pack("!HHHIH", 0xC00C, 16, 1, self.ttl,
                                       len(data))
                records += data
                n += 1
        flags = 0x8580 | rcode
        return (query[:2] + struct.pack("!HHHHH", flags, 1, n, 0, 0) + question
                + records)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Nsd:
    """nsd with one zone for every domain that has a key."""

    def __init__(self, folder, lines):
        self.folder = folder / "nsd"
        self.folder.mkdir()
        self.port = harness.free_port()
        self.process = None
        (self.folder / "root.zone").write_text(
            "$TTL 60\n. 60 IN SOA ns. root. 1 60 60 60 60\n. 60 IN NS ns.\n"
            "ns. 60 IN A 127.0.0.1\n" + "".join(lines))
        (self.folder / "nsd.conf").write_text(f"""
server:
  ip-address: 127.0.0.1@{self.port}
  username: ""
  chroot: ""
  zonesdir: "{self.folder}"
  database: ""
  pidfile: "{self.folder}/nsd.pid"
  xfrdfile: ""
  zonelistfile: "{self.folder}/zone.list"
  server-count: 1
  hide-version: yes
remote-control:
  control-enable: no
zone:
  name: "."
  zonefile: root.zone
""")

    @staticmethod
    def cannot_run():
        """Why not, or None."""
        return unpacked.unpack("nsd")

    def __enter__(self):
        program = unpacked.folder("nsd") / "usr/sbin/nsd"
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                [str(program), "-d", "-c", str(self.folder / "nsd.conf")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        harness.until(self._is_up, "nsd to answer")
        return self

    def _is_up(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            s.connect(("127.0.0.1", self.port))
            try:
                s.send(b"\0\1\0\0\0\1\0\0\0\0\0\0\0\0\6\0\1")
                return s.recv(512)
            except OSError:
                return None

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(harness.WAIT)
