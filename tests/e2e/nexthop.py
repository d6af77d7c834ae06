"""A next hop with TLS, AUTH, XCLIENT, PROXY and LMTP: what it was told stands
in its lists."""

import ssl
import subprocess
import threading

from smtptools import Closed, Sink, Stream


class Authority:
    """A CA and certificates of it, PEM files in a folder."""

    def __init__(self, folder, name="ca"):
        self.folder = folder
        self.cert, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        self._run("req", "-x509", "-days", "30", "-subj", f"/CN={name}",
                  "-addext", "basicConstraints=critical,CA:TRUE",
                  "-keyout", self.key, "-out", self.cert, *EC)

    @staticmethod
    def _run(*args):
        subprocess.run(["openssl", *map(str, args)], check=True,
                       capture_output=True)

    def issue(self, name, days=30, alt=None):
        """The server's context with a certificate for a name or address."""
        base = self.folder / f"{name}-{days}"
        request, cert, key = (f"{base}.{x}" for x in ("csr", "pem", "key"))
        alt = alt or (f"IP:{name}" if name[0].isdigit() else f"DNS:{name}")
        (ext := self.folder / f"{name}-{days}.ext").write_text(
            f"subjectAltName={alt}\n")
        self._run("req", "-subj", f"/CN={name}", "-keyout", key, "-out",
                  request, *EC)
        self._run("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey",
                  self.key, "-CAcreateserial", "-days", days, "-extfile", ext,
                  "-out", cert)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return context


EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class NextHop(Sink):
    """A Sink that knows more.

    tls        a server's context: STARTTLS, or from the first octet
    implicit   whether it is the latter
    proxy      whether a PROXY header, of version 1 or 2, comes first
    lmtp       a reply for each recipient after the dot; answers["each"] is
               the list of them
    more       extensions under TLS, or with XCLIENT
    """

    def __init__(self, *, tls=None, implicit=False, proxy=False, lmtp=False,
                 extensions=("PIPELINING", "SIZE 60000000", "8BITMIME"),
                 secure=None, **answers):
        self.tls, self.implicit = tls, implicit
        self.proxy, self.lmtp = proxy, lmtp
        self.headers, self.logins, self.versions = [], [], []
        self.n_secure = 0
        self._thread = threading.local()
        more = {"starttls": "220 2.0.0 go on", "auth": "235 2.7.0 welcome",
                "xclient": "220 sink.example ESMTP",
                "each": ["250 2.0.0 taken"]}
        more.update(answers)
        if tls and not implicit:
            plain = (*extensions, "STARTTLS")
        else:
            plain = extensions
        more.setdefault("secure_ehlo", "250-sink.example\r\n" + "".join(
            f"250-{e}\r\n" for e in secure or extensions) + "250 HELP")
        super().__init__(extensions=plain, **more)

    def _answer(self, sock, stage, *more, **named):
        if stage == "ehlo" and isinstance(sock, ssl.SSLSocket):
            stage = "secure_ehlo"
        return super()._answer(sock, stage, *more, **named)

    def _session(self, sock, stream):
        if self.proxy:
            self._proxied(sock)
        if self.implicit:
            sock, stream = self._wrap(sock, stream)
        try:
            super()._session(sock, stream)
        finally:
            secure = getattr(self._thread, "secure", None)
            if secure is not None:
                with self._lock:
                    self._open.discard(secure)
                secure.close()

    def _proxied(self, sock):
        """Reads the header and no octet more: TLS may stand behind it."""
        header = b""
        while not header.endswith(b"\r\n") if header[:1] == b"P" \
                else len(header) < 16:
            octet = sock.recv(1)
            if not octet:
                raise Closed
            header += octet
        if header[:1] != b"P":
            n = 16 + int.from_bytes(header[14:16], "big")
            while len(header) < n:
                header += sock.recv(n - len(header))
        self.headers.append(header)

    def _wrap(self, sock, stream):
        if stream.rest:
            self.faults.append(f"plain octets before TLS: {stream.rest!r}")
        try:
            secure = self.tls.wrap_socket(sock, server_side=True)
        except (ssl.SSLError, OSError) as e:
            raise Closed from e
        with self._lock:                # kill() is to find it
            self._open.discard(sock)
            self._open.add(secure)
        self._thread.secure = secure
        self.n_secure += 1
        self.versions.append(secure.version())
        return secure, Stream(secure)

    def _extension(self, sock, stream, text):
        verb = text.split(" ")[0].upper()
        if verb == "STARTTLS" and self.tls:
            answer = self._answer(sock, "starttls", stream)
            if answer[:3] == "220":
                sock, stream = self._wrap(sock, stream)
        elif verb == "AUTH":
            self.logins.append(text)
            self._answer(sock, "auth", stream)
        elif verb == "XCLIENT":
            self.headers.append(text)
            self._answer(sock, "xclient", stream)
        else:
            return super()._extension(sock, stream, text)
        return sock, stream

    def _content(self, sock, stream, mail):
        if not self.lmtp:
            super()._content(sock, stream, mail)
            return
        n = len(mail.rcpt_to)
        for k, each in enumerate((self.answers["each"] * n)[:n]):
            if k == 0:
                self.answers["dot"] = each
                super()._content(sock, stream, mail)
            else:
                sock.sendall(each.encode() + b"\r\n")
