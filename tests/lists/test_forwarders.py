"""Servers that only forward, and know nothing, between an inbound and an egress
listener: what they pass on is good with i=2."""

import re

import pytest

import harness
import mtas
import postfix
import site_kit
from conftest import missing
from site_kit import message
from smtptools import Client

KINDS = ["plain", "8bit", "latin", "base64", "attached", "signed", "empty"]
# Exim: from a table, and from a file in somebody's home
REDIRECT = """redirected:
  driver = redirect
  domains = fwd.example
  local_parts = bert
  data = robert@reader.example"""
DOT_FORWARD = """dot_forward:
  driver = redirect
  domains = fwd.example
  file = /home/${lookup{$local_part}dsearch{/home}}/.forward
  user = Debian-exim
  no_verify"""


def by_postfix(folder, out):
    return postfix.Postfix(
        folder, relayhost=f"[127.0.0.1]:{out}",
        virtual_alias_domains="fwd.example", virtual_alias_maps="inline:"
        "{ { bert@fwd.example = robert@reader.example } }")


def by_exim(folder, out):
    return mtas.Exim(folder, {"reader.example": out}, routers=[REDIRECT])


def by_dot_forward(folder, out):
    exim = mtas.Exim(folder, {"reader.example": out}, routers=[DOT_FORWARD])
    exim.jail.folder("home/bert", "Debian-exim")
    exim.jail.write("home/bert/.forward", "robert@reader.example\n")
    return exim


FORWARDERS = {"Postfix aliases": by_postfix, "Exim redirect": by_exim,
              "a .forward": by_dot_forward}


class Site:
    def __init__(self, folder, name):
        self.folder = folder / re.sub(r"\W", "", name)
        self.folder.mkdir()
        self.keys = harness.Keys(self.folder)
        self.keys.add("author.example").add("fwd.example")
        secrets = self.folder / "secrets"
        secrets.mkdir(mode=0o700)
        (secrets / "one").write_bytes(b"one of those that nobody guesses\n")
        (secrets / "one").chmod(0o600)
        self.readers = site_kit.Received()
        self.into, out = harness.free_port(), harness.free_port()
        self.mta = FORWARDERS[name](self.folder / "mta", out)
        self.hop = site_kit.between(
            self.folder, f"smtp://127.0.0.1:{self.mta.port}", self.into, out,
            self.readers.port, roles=("inbound", "egress"),
            domains="fwd.example", hostname="fwd.example",
            more="    mail-from: srs\nsecrets: secrets\n")

    def start(self):
        self.mta.start()
        self.hop.start()
        return self

    def stop(self):
        try:
            self.hop.stop()
        finally:
            self.mta.stop()
            self.readers.stop()

    def log(self):
        return self.hop.log()[-6000:] + self.mta.log()[-3000:]

    def signed(self, number, kind):
        octets = message(kind, "talk", number)
        return site_kit.sign(self.keys, octets, "bert@fwd.example")

    def send(self, octets, port=None):
        with Client(port or self.into) as c:
            reply = c.mail(site_kit.AUTHOR, "bert@fwd.example", octets)
        assert reply[0] == 250, (reply, self.log())

    def arrives(self, octets):
        """The one copy of it that the reader's server got."""
        name = site_kit.field(octets, "Message-ID").encode()
        mail, = self.readers.wait(1, lambda m: name in m.content, self.log)
        return mail


@pytest.fixture(scope="module", params=FORWARDERS)
def site(request, folder):
    why = mtas.cannot_run("postfix" if "Postfix" in request.param else "exim")
    if why:
        missing(why)
    site = Site(folder, request.param)
    try:
        yield site.start()
    finally:
        site.stop()


def test_what_it_forwards_is_good(site, peer):
    sent = [site.signed(number, kind) for number, kind in enumerate(KINDS)]
    for octets in sent:
        site.send(octets)
    for octets in sent:
        mail = site.arrives(octets)
        # custody: the return path is moved under the domain that it came to
        assert re.fullmatch(r"SRS0=\S+=author\.example=ann@fwd\.example",
                            mail.mail_from)
        assert mail.rcpt_to == ["robert@reader.example"]
        assert site_kit.judge(peer, site.keys, mail) == (
            "pass", None, ["author.example", "fwd.example"])


def test_without_a_record_it_is_not_signed(site):
    """A chain that came to the server by another door."""
    octets = site.signed(50, "plain")
    site.send(octets, port=site.mta.port)
    mail = site.arrives(octets)
    assert mail.content.count(b"DKIM2-Signature:") == 1
    assert mail.mail_from == site_kit.AUTHOR
    site.hop.wait_log(r'signed=no rule="a chain without an arrival record"')
