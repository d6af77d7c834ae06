"""Certificates made by openssl(1): a CA, and pairs that it signs or not."""

import os
from pathlib import Path

from harness import run


class Pair:
    """A certificate and its key: PEM files."""

    def __init__(self, folder, name):
        self.cert = Path(folder) / f"{name}.pem"
        self.key = Path(folder) / f"{name}.key"

    def __str__(self):
        return f'{{cert: "{self.cert}", key: "{self.key}"}}'


class Authority(Pair):
    def __init__(self, folder, name="ca"):
        super().__init__(folder, name)
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out",
            self.cert, "-days", "30", "-subj", f"/CN={name}")
        self.folder = Path(folder)

    def pair(self, name, *hosts, signed=True, days=30, into=None):
        """A pair for hosts; into: files of an older one to be replaced, in
        one step each."""
        made = Pair(self.folder, name)
        names = ",".join(("IP:" if h[0].isdigit() else "DNS:") + h
                         for h in hosts)
        run("openssl", "req", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", made.key, "-out",
            self.folder / "request", "-subj", f"/CN={name}")
        extra = self.folder / "extensions"
        extra.write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
        by = ["-CA", self.cert, "-CAkey", self.key, "-CAcreateserial"] \
            if signed else ["-signkey", made.key]
        run("openssl", "x509", "-req", "-in", self.folder / "request", "-out",
            made.cert, "-days", str(days), "-extfile", extra, *by)
        if into is not None:
            os.rename(made.cert, into.cert)
            os.rename(made.key, into.key)
        return made
