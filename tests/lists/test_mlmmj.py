"""Real mlmmj between two listeners: every subscriber's copy is good at the
peer, with the author's own signature."""

import pytest

import harness
import mlmmj
import site_kit
from conftest import missing
from site_kit import KINDS, SUBSCRIBERS, message
from smtptools import Client


@pytest.fixture(scope="module")
def site(folder, started):
    why = mlmmj.cannot_run()
    if why:
        missing(why)
    return Site(folder, started)


class Site:
    def __init__(self, folder, started):
        self.keys = harness.Keys(folder)
        self.keys.add("author.example").add("lists.example")
        self.readers = started(site_kit.Received())
        self.into, out = harness.free_port(), harness.free_port()
        self.mlmmj = started(mlmmj.Mlmmj(folder / "mlmmj", out, {
            "talk": {"members": SUBSCRIBERS}}))
        self.hop = started(site_kit.between(
            folder, f"smtp://127.0.0.1:{self.mlmmj.port}", self.into, out,
            self.readers.port))

    def log(self):
        return self.hop.log()[-6000:] + self.mlmmj.log()


@pytest.fixture(scope="module")
def ids(site):
    """All kinds, sent before any is looked for."""
    found = {}
    for number, kind in enumerate(KINDS):
        octets = message(kind, "talk", 500 + number)
        found[kind] = site_kit.field(octets, "Message-ID")
        signed = site_kit.sign(site.keys, octets, "talk@lists.example")
        with Client(site.into) as c:
            reply = c.mail(site_kit.AUTHOR, "talk@lists.example", signed)
        assert reply[0] == 250, (reply, site.log())
    site.readers.wait(len(KINDS) * len(SUBSCRIBERS), lambda mail: True,
                      site.log)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_plain_distribution_is_good_at_each_subscriber(site, peer, ids,
                                                         kind):
    copies = site.readers.copies(lambda m: ids[kind].encode() in m.content)
    assert sorted(r for m in copies for r in m.rcpt_to) == SUBSCRIBERS
    for mail in copies:
        assert len(mail.rcpt_to) == 1       # nobody sees another subscriber
        assert mail.mail_from.startswith("talk+bounces-")
        assert site_kit.judge(peer, site.keys, mail) == (
            "pass", None, ["author.example", "lists.example"])
        assert mail.content.rstrip().endswith(b"talk+unsubscribe@lists.example")
