"""SMTP by the octet: a client, a scriptable sink, a tee. None of them mends
anything: what was read is what they show."""

import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

TIMEOUT = 60


class Closed(Exception):
    """The other side closed, or reset, the connection."""


def stuff(content):
    """Dot-stuffing and the end of data, for content that ends with CRLF."""
    assert content.endswith(b"\r\n"), "content must end with CRLF"
    if content.startswith(b"."):
        content = b"." + content
    return content.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def unstuff(data):
    """The content of a DATA block that ends with CRLF . CRLF."""
    assert data == b".\r\n" or data.endswith(b"\r\n.\r\n")
    content = data[:-3]
    if content.startswith(b"."):
        content = content[1:]
    return content.replace(b"\r\n.", b"\r\n")


class Stream:
    """Octets of a socket, by line or by block."""

    def __init__(self, sock):
        self.sock = sock
        self.rest = b""

    def _more(self):
        try:
            got = self.sock.recv(262144)
        except ConnectionError as e:
            raise Closed from e
        if not got:
            raise Closed
        self.rest += got

    def line(self):
        while b"\n" not in self.rest:
            self._more()
        line, self.rest = self.rest.split(b"\n", 1)
        return line + b"\n"

    def data(self):
        """Up to CR LF . CR LF and nothing else."""
        parts, tail = [], b"\r\n"
        while True:
            block = tail + self.rest
            at = block.find(b"\r\n.\r\n")
            if at >= 0:
                end = at + 5 - len(tail)
                parts.append(self.rest[:max(end, 0)])
                self.rest = self.rest[end:]
                return b"".join(parts)
            parts.append(self.rest)
            tail = block[-4:]
            self.rest = b""
            self._more()


class Client:
    """A client that sends what it is told to. As a context it closes."""

    def __init__(self, port, hello="client.example", host="127.0.0.1",
                 source=None):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        if source:
            self.sock.bind((source, 0))
        self.sock.connect((host, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = Stream(self.sock)
        self.banner = self.reply()
        self.ehlo = self.command(f"EHLO {hello}") if hello else None

    def send(self, octets):
        try:
            self.sock.sendall(octets)
        except ConnectionError as e:
            raise Closed from e

    def reply(self):
        """(code, text): the lines of one reply without codes, LF between."""
        lines = []
        while True:
            line = self.stream.line()
            assert re.match(rb"[2-5][0-9][0-9][ -][^\r]*\r\n$|[2-5][0-9][0-9]\r\n$",
                            line), f"no reply line: {line!r}"
            lines.append(line[4:-2].decode("utf-8", "replace"))
            if line[3:4] != b"-":
                return int(line[:3]), "\n".join(lines)

    def command(self, line):
        self.send(line.encode() + b"\r\n" if isinstance(line, str) else line)
        return self.reply()

    def envelope(self, mail_from, *rcpt_to, params=""):
        """The first reply that refuses, or that to the last RCPT."""
        reply = self.command(f"MAIL FROM:<{mail_from}>{params}")
        for rcpt in rcpt_to:
            if reply[0] // 100 != 2:
                break
            reply = self.command(f"RCPT TO:<{rcpt}>")
        return reply

    def content(self, content):
        """DATA and the content; the reply to whichever refuses, or the dot."""
        reply = self.command("DATA")
        if reply[0] != 354:
            return reply
        self.send(stuff(content))
        return self.reply()

    def mail(self, mail_from, rcpt_to, content, params=""):
        """One transaction; the reply that decided it."""
        reply = self.envelope(mail_from, rcpt_to, params=params)
        return self.content(content) if reply[0] // 100 == 2 else reply

    def is_closed(self):
        """Whether the other side closes now, without another word."""
        try:
            line = self.stream.line()
        except Closed:
            return True
        raise AssertionError(f"expected the end, got {line!r}")

    def close(self, reset=False):
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                 struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@dataclass
class Mail:
    """A transaction: paths and parameters as they stood in the commands."""
    mail_from: str
    rcpt_to: list
    content: bytes
    mail_params: str = ""
    reply: bytes = b""


# Scripted answers beside a reply as text.
CLOSE = "close"             # end the connection instead of an answer
SILENCE = "silence"         # never answer
TAKEN = "taken"             # to the dot: take the mail, close without a word


@dataclass
class Withhold:
    """An answer that comes late, or when an event is set; what arrives
    meanwhile is recorded."""
    seconds: float
    reply: str
    event: threading.Event = field(default_factory=threading.Event)
    early: list = field(default_factory=list)


class Sink:
    """A next hop that records exactly what it is sent.

    answers    stage -> reply text, CLOSE, SILENCE, Withhold, or a list of
               those, one for each time (the last stays), or a function that
               is given the recipient (rcpt) or the Mail (dot) and gives one.
               Stages: banner ehlo mail rcpt data dot quit.
    mails      what it said 2xx to, recorded before the reply goes out
    refused    the other transactions that came to their dot
    faults     octets no client may send: bare CR or LF, commands out of place
    """

    def __init__(self, port=None, extensions=("PIPELINING", "SIZE 60000000",
                                              "8BITMIME"), host="127.0.0.1",
                 **answers):
        self.answers = {"banner": "220 sink.example ESMTP", "mail": "250 2.1.0 ok",
                        "rcpt": "250 2.1.5 ok", "data": "354 go on",
                        "dot": "250 2.0.0 taken", "quit": "221 2.0.0 bye",
                        "ehlo": "250-sink.example\r\n" + "".join(
                            f"250-{e}\r\n" for e in extensions) + "250 HELP"}
        self.answers.update(answers)
        self.mails, self.refused, self.faults, self.commands = [], [], [], []
        self.connections = self.most = 0    # in all, and at a time
        self._lock = threading.Lock()
        self._open = set()
        self._stopped = False
        self.port, self.host = port, host
        self._listen()

    def _listen(self):
        self.listener = socket.socket(
            socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.port is None:
            import harness
            self.port = harness.free_port()
        self.listener.bind((self.host, self.port))
        self.listener.listen(256)
        threading.Thread(target=self._accept, args=(self.listener,),
                         daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                if listener is not self.listener or self._stopped:
                    sock.close()
                    continue
                self._open.add(sock)
                self.connections += 1
                self.most = max(self.most, len(self._open))
            threading.Thread(target=self._serve, args=(sock,),
                             daemon=True).start()

    def _serve(self, sock):
        sock.settimeout(TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._session(sock, Stream(sock))
        except (Closed, OSError):
            pass
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()

    def _answer(self, sock, stage, stream, note=None, about=None):
        with self._lock:
            answer = self.answers[stage]
            if isinstance(answer, list):
                answer = answer.pop(0) if len(answer) > 1 else answer[0]
            if callable(answer):
                answer = answer(about)
        if answer == TAKEN:
            note("250 taken")
            raise Closed
        if answer == CLOSE:
            raise Closed
        if answer == SILENCE:
            sock.settimeout(None)
            while sock.recv(65536):
                pass
            raise Closed
        if isinstance(answer, Withhold):
            end = time.monotonic() + answer.seconds
            sock.settimeout(0.05)
            if stream.rest:
                answer.early.append(stream.rest)
            while time.monotonic() < end and not answer.event.is_set():
                try:
                    got = sock.recv(65536)
                except TimeoutError:
                    continue
                if not got:
                    raise Closed
                answer.early.append(got)
                stream.rest += got
            sock.settimeout(TIMEOUT)
            answer = answer.reply
        if note:
            note(answer)
        sock.sendall(answer.encode("latin-1") + b"\r\n")
        return answer

    def _session(self, sock, stream):
        if self._answer(sock, "banner", stream)[0] != "2":
            raise Closed
        mail = None
        while True:
            line = stream.line()
            self.commands.append(line)
            if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
                self.faults.append(f"command line {line!r}")
            text = line.rstrip(b"\r\n").decode("latin-1")
            verb = text[:4].upper()
            if verb in ("EHLO", "HELO", "LHLO"):
                mail = None
                self._answer(sock, "ehlo", stream)
            elif verb == "MAIL":
                path, params = self._path(text)
                if self._answer(sock, "mail", stream)[0] == "2":
                    mail = Mail(path, [], b"", params)
            elif verb == "RCPT":
                if mail is None:
                    sock.sendall(b"503 5.5.1 no MAIL\r\n")
                elif self._answer(sock, "rcpt", stream,
                                  about=self._path(text)[0])[0] == "2":
                    mail.rcpt_to.append(self._path(text)[0])
            elif verb == "DATA":
                if mail is None or not mail.rcpt_to:
                    sock.sendall(b"554 5.5.1 no recipient\r\n")
                elif self._answer(sock, "data", stream)[:3] == "354":
                    self._content(sock, stream, mail)
                    mail = None
            elif verb == "RSET":
                mail = None
                sock.sendall(b"250 2.0.0 ok\r\n")
            elif verb == "NOOP":
                sock.sendall(b"250 2.0.0 ok\r\n")
            elif verb == "QUIT":
                self._answer(sock, "quit", stream)
                return
            else:
                sock, stream = self._extension(sock, stream, text)

    def _extension(self, sock, stream, text):
        """A command of an extension; the socket and stream to go on with."""
        self.faults.append(f"command {text!r}")
        sock.sendall(b"500 5.5.2 what?\r\n")
        return sock, stream

    def _path(self, text):
        found = re.match(r"(?i)(?:MAIL FROM|RCPT TO):<([^>]*)>(.*)$", text)
        if not found:
            self.faults.append(f"path {text!r}")
            return text, ""
        return found.group(1), found.group(2).strip()

    def _content(self, sock, stream, mail):
        data = stream.data()
        mail.content = unstuff(data)
        bare = data.replace(b"\r\n", b"")
        if b"\r" in bare or b"\n" in bare:
            self.faults.append("bare CR or LF in DATA")

        def note(answer):
            mail.reply = answer.encode("latin-1")
            with self._lock:
                (self.mails if answer[0] == "2" else self.refused).append(mail)

        self._answer(sock, "dot", stream, note, mail)

    def kill(self):
        """As kill -9 of a next hop: every connection is reset."""
        with self._lock:
            listener, self.listener = self.listener, None
            victims = list(self._open)
        if listener is not None:
            # Wakes accept(), which a close alone does not.
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()
        self._reset(victims)

    def hang_up(self):
        """Resets every connection, and goes on to take others."""
        with self._lock:
            victims = list(self._open)
        self._reset(victims)

    @staticmethod
    def _reset(victims):
        for sock in victims:
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                struct.pack("ii", 1, 0))
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def restart(self):
        self._listen()

    def close(self):
        self._stopped = True
        self.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Tee:
    """Stands between a client and 127.0.0.1:onward, and records both ways."""

    def __init__(self, onward):
        import harness
        self.onward = onward
        self.port = harness.free_port()
        self.streams = []                   # [from client, from server]
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(256)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.onward))
            except OSError:
                client.close()
                continue
            record = [bytearray(), bytearray()]
            self.streams.append(record)
            for source, target, at in ((client, server, 0), (server, client, 1)):
                threading.Thread(target=self._pump, daemon=True,
                                 args=(source, target, record[at])).start()

    @staticmethod
    def _pump(source, target, record):
        try:
            while True:
                got = source.recv(262144)
                if not got:
                    break
                record += got
                target.sendall(got)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def mails(self):
        """Every transaction that came to its dot, with the reply."""
        found = []
        for client, server in list(self.streams):
            found += transactions(bytes(client), bytes(server))
        return found

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def transactions(client, server):
    """Reads a recorded session: which mails were sent, and what was said."""
    replies = re.findall(rb"(?:[0-9]{3}-[^\n]*\n)*[0-9]{3}(?: [^\n]*)?\r?\n", server)
    replies.reverse()
    found, mail = [], None
    if not replies or replies.pop()[:1] != b"2":
        return found
    while client and replies:
        line, _, client = client.partition(b"\r\n")
        reply = replies.pop()
        text = line.decode("latin-1")
        path = re.match(r"(?i)(MAIL FROM|RCPT TO):<([^>]*)>(.*)$", text)
        if path and reply[:1] == b"2":
            if path.group(1).upper() == "MAIL FROM":
                mail = Mail(path.group(2), [], b"", path.group(3).strip())
            elif mail:
                mail.rcpt_to.append(path.group(2))
        elif text.upper() == "DATA" and reply[:3] == b"354":
            at = 0 if client.startswith(b".\r\n") else client.find(b"\r\n.\r\n") + 2
            if at == 1:
                break
            mail.content = unstuff(client[:at + 3])
            client = client[at + 3:]
            mail.reply = replies.pop() if replies else b""
            found.append(mail)
            mail = None
    return found


def header_fields(content):
    """The fields of a message as octets, each with its line ends, and the body
    with the empty line in front."""
    fields, at = [], 0
    while at < len(content) and not content.startswith(b"\r\n", at):
        end = content.find(b"\r\n", at) + 2
        while content[end:end + 1] in (b" ", b"\t"):
            end = content.find(b"\r\n", end) + 2
        fields.append(content[at:end])
        at = end
    return fields, content[at:]


def split_added(before, after):
    """The fields on top of after, which must be before below them."""
    n = len(after) - len(before)
    assert n >= 0 and after.endswith(before), \
        "what arrived is not what was sent with fields added on top"
    fields, body = header_fields(after[:n])
    assert body == b"", f"no header fields: {body!r}"
    return fields
