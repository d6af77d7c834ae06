"""Reads /metrics strictly, as Prometheus does (text format 0.0.4)."""

import re
import socket

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
LINE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (-?[0-9.]+)")
TYPES = {"counter", "gauge", "histogram"}
SUFFIXES = ("_bucket", "_sum", "_count")


def http(port, request, wait=20):
    """What is answered until the connection ends."""
    if isinstance(request, str):
        request = request.encode()
    with socket.create_connection(("127.0.0.1", port), wait) as s:
        s.sendall(request)
        octets = b""
        while more := s.recv(65536):
            octets += more
    return octets


def get(port, path, host="localhost", method="GET", more=""):
    """(code, header, body) of a page."""
    request = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"
    octets = http(port, request)
    header, body = octets.decode().split("\r\n\r\n", 1)
    return int(header.split()[1]), header, body


def parse(text):
    """{(name, labels): value}, and {name: type}. Every rule of the format that
    a line can break is asserted."""
    assert text.endswith("\n")
    types, helped, values = {}, set(), {}
    family = None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, sentence = line[7:].split(" ", 1)
            assert name not in helped and sentence.endswith(".")
            helped.add(name)
        elif line.startswith("# TYPE "):
            family, kind = line[7:].split(" ")
            assert family in helped and family not in types
            assert kind in TYPES
            types[family] = kind
        else:
            found = LINE.fullmatch(line)
            assert found, f"no line of the format: {line!r}"
            name = found[1]
            if types[family] == "histogram":
                assert name.startswith(family)
                assert name[len(family):] in SUFFIXES
            else:
                assert name == family, f"{name} stands under {family}"
            key = (name, found[2] or "")
            assert key not in values, f"twice: {line}"
            values[key] = float(found[3])
    assert set(types) == helped
    check_histograms(types, values)
    return values, types


def check_histograms(types, values):
    for name in (n for n, kind in types.items() if kind == "histogram"):
        buckets = [v for (n, _), v in values.items() if n == f"{name}_bucket"]
        assert buckets == sorted(buckets)
        assert buckets[-1] == values[(f"{name}_count", "")]


def labels_of(text):
    return dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', text))


class Scraper:
    """/metrics of a daemon: what one metric says, and what moved."""

    def __init__(self, port):
        self.port = port
        self.before = {}

    def read(self):
        code, header, text = get(self.port, "/metrics")
        assert code == 200
        assert "Content-Type: text/plain; version=0.0.4" in header
        self.values, self.types = parse(text)
        return self

    def of(self, metric, /, **labels):
        """The sum of what has these labels."""
        self.read()
        return sum(v for (n, text), v in self.values.items() if n == metric
                   and labels.items() <= labels_of(text).items())
