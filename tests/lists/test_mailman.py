"""Real Mailman 3 between two listeners: every subscriber's copy is good at the
peer, with the author's own signature."""

import pytest

import harness
import mailman3
import site_kit
from conftest import missing
from site_kit import KINDS, SUBSCRIBERS, message
from smtptools import Client

LISTS = {
    "talk": {"members": SUBSCRIBERS},
    "full": {"members": SUBSCRIBERS, "personalize": "full"},
    "munged": {"members": SUBSCRIBERS, "dmarc_mitigate_unconditionally": True,
               "dmarc_mitigate_action": "munge_from"},
    "wrapped": {"members": SUBSCRIBERS, "dmarc_mitigate_unconditionally": True,
                "dmarc_mitigate_action": "wrap_message"},
    "anonymous": {"members": SUBSCRIBERS, "anonymous_list": True},
    "digested": {"members": ["bert@reader.example digest",
                             "cleo@other.example plain-digest"],
                 "digests_enabled": True, "digest_size_threshold": 0.01},
    "replies": {"members": SUBSCRIBERS, "reply_goes_to_list": "point_to_list",
                "first_strip_reply_to": True, "filter_content": True,
                "collapse_alternatives": True},
}


class Site:
    def __init__(self, folder, started):
        self.keys = harness.Keys(folder)
        self.keys.add("author.example").add("lists.example")
        self.readers = started(site_kit.Received())
        into, out = harness.free_port(), harness.free_port()
        self.into = into
        self.mailman = mailman3.Mailman(folder / "mailman", out, LISTS)
        started(self.mailman)
        self.hop = started(site_kit.between(
            folder, f"lmtp://127.0.0.1:{self.mailman.port}", into, out,
            self.readers.port))

    def log(self):
        return self.hop.log()[-6000:] + self.mailman.log()

    def post(self, octets, rcpt_to):
        """Signed by the author, sent to the list."""
        signed = site_kit.sign(self.keys, octets, rcpt_to)
        with Client(self.into) as c:
            reply = c.mail(site_kit.AUTHOR, rcpt_to, signed)
        assert reply[0] == 250, (reply, self.log())
        return signed

    def copies(self, name, n, message_id=None):
        """n recipients' copies of what a list sent."""
        def is_wanted(mail):
            return mail.mail_from.startswith(f"{name}-bounces") and (
                message_id is None or message_id in mail.content)
        return self.readers.wait(n, is_wanted, self.log)


@pytest.fixture(scope="module")
def site(folder, started):
    why = mailman3.cannot_run()
    if why:
        missing(why)
    return Site(folder, started)


@pytest.fixture(scope="module")
def plain(site):
    """All kinds, sent before any is looked for."""
    ids = {}
    for number, kind in enumerate(KINDS):
        octets = message(kind, "talk", number)
        ids[kind] = site_kit.field(octets, "Message-ID")
        site.post(octets, "talk@lists.example")
    site.copies("talk", len(KINDS) * len(SUBSCRIBERS))
    return ids


@pytest.mark.parametrize("kind", KINDS)
def test_a_plain_distribution_is_good_at_each_subscriber(site, peer, plain,
                                                         kind):
    copies = site.copies("talk", len(SUBSCRIBERS), plain[kind].encode())
    assert sorted(r for m in copies for r in m.rcpt_to) == SUBSCRIBERS
    for mail in copies:
        assert len(mail.rcpt_to) == 1       # nobody sees another subscriber
        assert site_kit.judge(peer, site.keys, mail) == (
            "pass", None, ["author.example", "lists.example"])
        assert site_kit.field(mail.content, "List-Id")


@pytest.mark.parametrize("kind", ["plain", "alternative", "latin", "attached"])
@pytest.mark.parametrize("name", ["full", "munged", "wrapped", "anonymous",
                                  "replies"])
def test_lists_of_other_kinds(site, peer, name, kind):
    """To is the subscriber's; From is the list's; the message is a part of
    another; nobody wrote it; answers go to the list and HTML is gone."""
    octets = message(kind, name, 300 + KINDS.index(kind))
    before = len(site.readers.copies(
        lambda m: m.mail_from.startswith(f"{name}-bounces")))
    site.post(octets, f"{name}@lists.example")
    copies = site.copies(name, before + len(SUBSCRIBERS))[before:]
    for mail in copies:
        assert site_kit.judge(peer, site.keys, mail) == (
            "pass", None, ["author.example", "lists.example"])


def test_a_digest_is_the_list_s_own_message(site, peer):
    """New, and signed by the list alone; the chain in it is no chain of it."""
    site.post(message("plain", "digested", 400), "digested@lists.example")
    for mail in site.copies("digested", 2):
        assert site_kit.judge(peer, site.keys, mail) == (
            "pass", None, ["lists.example"])
