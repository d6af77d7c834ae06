"""libopendkim, from the Debian package, unpacked and never installed."""

import ctypes
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import unpacked  # noqa: E402

# Of dkim.h.
SETOPT, QUERYMETHOD, QUERYINFO, QUERY_FILE = 1, 6, 7, 1
SIMPLE, RELAXED = 0, 1
ALGORITHMS = {b"rsa-sha256": 1, b"ed25519-sha256": 2}
PASSED, BH_MATCH = 4, 0
WHOLE = -1                                      # of the body; no l=

POINTER, INT, TEXT = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
PROTOTYPES = {
    "dkim_init": (POINTER, [POINTER, POINTER]),
    "dkim_options": (INT, [POINTER, INT, INT, POINTER, ctypes.c_size_t]),
    "dkim_verify": (POINTER, [POINTER, TEXT, POINTER, POINTER]),
    "dkim_sign": (POINTER, [POINTER, TEXT, POINTER, TEXT, TEXT, TEXT, INT,
                            INT, INT, ctypes.c_ssize_t, POINTER]),
    "dkim_chunk": (INT, [POINTER, TEXT, ctypes.c_size_t]),
    "dkim_eom": (INT, [POINTER, POINTER]),
    "dkim_getsiglist": (INT, [POINTER, POINTER, POINTER]),
    "dkim_getsighdr": (INT, [POINTER, TEXT, ctypes.c_size_t,
                             ctypes.c_size_t]),
    "dkim_sig_getflags": (ctypes.c_uint, [POINTER]),
    "dkim_sig_getbh": (INT, [POINTER]),
    "dkim_free": (INT, [POINTER]),
}


def _file(package, name):
    return str(next(unpacked.folder(package).glob(f"usr/lib/*/{name}")))


def cannot_run():
    """Why it can not run here, or None."""
    for package in ("libmd0", "libbsd0", "libopendkim11"):
        why = unpacked.unpack(package)
        if why is not None:
            return why
    return None


class OpenDKIM:
    """Signs, and verifies with keys from a file of lines "NAME TEXT"."""

    def __init__(self, table):
        # What it needs is loaded first, for it is not where the linker looks.
        for package, name in (("libmd0", "libmd.so.0"),
                              ("libbsd0", "libbsd.so.0")):
            ctypes.CDLL(_file(package, name), ctypes.RTLD_GLOBAL)
        self.lib = ctypes.CDLL(_file("libopendkim11", "libopendkim.so.11"))
        for name, (result, arguments) in PROTOTYPES.items():
            function = getattr(self.lib, name)
            function.restype, function.argtypes = result, arguments
        self.handle = self.lib.dkim_init(None, None)
        path = str(table).encode()
        method = INT(QUERY_FILE)
        assert self.lib.dkim_options(self.handle, SETOPT, QUERYMETHOD,
                                     ctypes.byref(method), 4) == 0
        assert self.lib.dkim_options(self.handle, SETOPT, QUERYINFO, path,
                                     len(path)) == 0

    def _feed(self, context, message):
        """The status of the end of the message."""
        if self.lib.dkim_chunk(context, message, len(message)) != 0 or \
                self.lib.dkim_chunk(context, None, 0) != 0:
            return -1
        return self.lib.dkim_eom(context, None)

    def verify(self, message):
        """For each signature whether it passed, top one first."""
        status, count = INT(), INT()
        signatures = ctypes.POINTER(POINTER)()
        context = self.lib.dkim_verify(self.handle, b"test", None,
                                       ctypes.byref(status))
        assert context
        try:
            self._feed(context, message)
            if self.lib.dkim_getsiglist(context, ctypes.byref(signatures),
                                        ctypes.byref(count)) != 0:
                return []
            return [bool(self.lib.dkim_sig_getflags(signatures[k]) & PASSED)
                    and self.lib.dkim_sig_getbh(signatures[k]) == BH_MATCH
                    for k in range(count.value)]
        finally:
            self.lib.dkim_free(context)

    def sign(self, message, key, selector, header, body, algorithm):
        """The message with a signature on top."""
        status = INT()
        room = ctypes.create_string_buffer(8192)
        context = self.lib.dkim_sign(
            self.handle, b"test", None, key, selector, b"example.org",
            header, body, ALGORITHMS[algorithm], WHOLE, ctypes.byref(status))
        assert context, status.value
        try:
            assert self._feed(context, message) == 0
            assert self.lib.dkim_getsighdr(context, room, len(room), 16) == 0
        finally:
            self.lib.dkim_free(context)
        field = room.value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        return b"DKIM-Signature: " + field + b"\r\n" + message
