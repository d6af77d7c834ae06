"""What is done for mail that DKIM2 does not know: signatures of other programs
in Authentication-Results, From rewriting, adoption; at the peer what leaves is
good."""

import base64
import json
import re
import sys

import pytest

import harness
from configs import forward, inbound
from conftest import missing
from nameserver import SILENT, Nameserver
from smtptools import Client, Sink
from test_lists import PLAIN as POST, Site as Lists, manage, values

sys.path.insert(0, str(harness.ROOT / "tests" / "interop"))
import opendkim  # noqa: E402

ALICE, BOB, ROBERT = "alice@example.org", "bob@two.example", "robert@three.example"
PLAIN = (b"From: \"Carroll,\r\n Alice\" <alice@example.org>\r\n"
         b"To: bob@two.example\r\nSubject:  two \t words\r\n"
         b"Date: Thu, 26 Nov 2026 00:00:00 +0000\r\n"
         b"Message-ID: <1@example.org>\r\n\r\n"
         b"Hello, \t Bob.\r\n.a dot \r\n\r\n\r\n")


def another(n):
    return PLAIN.replace(b"<1@", b"<%d@" % n)


class Signers:
    """Each of the other programs with each algorithm and canonical form."""

    def __init__(self, keys):
        self.pem = {s: keys.pem("example.org", s).read_bytes()
                    for s in ("rsa", "ed")}
        der = base64.b64decode(b"".join(self.pem["ed"].split(b"\n")[1:-2]))
        self.seed = base64.b64encode(der[-32:])

    def dkimpy(self, message, algorithm, header, body):
        dkim = pytest.importorskip("dkim", reason="no python3-dkim")
        selector = algorithm[:3].rstrip("2")
        key = self.pem["rsa"] if selector == "rsa" else self.seed
        if selector == "rsa":
            # it reads PKCS#1 alone
            key = harness.run("openssl", "rsa", "-traditional", stdin=key)
        return dkim.sign(message, selector.encode(), b"example.org", key,
                         canonicalize=(header.encode(), body.encode()),
                         signature_algorithm=algorithm.encode()) + message

    def opendkim(self, message, algorithm, header, body, table):
        peer = opendkim.OpenDKIM(table)
        form = {"simple": opendkim.SIMPLE, "relaxed": opendkim.RELAXED}
        selector = algorithm[:3].rstrip("2")
        return peer.sign(message, self.pem[selector], selector.encode(),
                         form[header], form[body], algorithm.encode())


@pytest.fixture
def signers(keys):
    keys.add("example.org").add("two.example")
    return Signers(keys)


@pytest.fixture
def table(keys, signers, folder):
    """For libopendkim, which may not be there."""
    why = opendkim.cannot_run()
    if why is not None:
        missing(why)
    path = folder / "records"
    path.write_text("".join(f"{n} {r[0]}\n" for n, r in keys.records.items()))
    return path


def results(content):
    """The results in our field, those of dkim2 left out."""
    field = values(content, b"Authentication-Results")[0].decode()
    return [r.strip() for r in field.split(";")[2:]]


FORMS = [(a, h, b) for a in ("rsa-sha256", "ed25519-sha256")
         for h in ("simple", "relaxed") for b in ("simple", "relaxed")]


def check_each(folder, hopseald, sign, forms):
    """A message by each of the forms, and one that was changed since."""
    with Sink() as sink:
        site = inbound(folder, sink.port)
        hopseald(site.config)
        for n, (algorithm, header, body) in enumerate(forms):
            signed = sign(another(n), algorithm, header, body)
            changed = signed.replace(b"Hello", b"Hallo")
            with Client(site.port) as c:
                for content in (signed, changed):
                    assert c.mail(ALICE, BOB, content)[0] == 250
            good, bad = (results(m.content) for m in sink.mails[-2:])
            assert re.match(r"dkim=pass \(\d+-bit key\) header\.d=example\.org ",
                            good[0]), (algorithm, header, body, good)
            assert f"header.a={algorithm} " in good[0]
            assert re.match(r"dkim=fail ", bad[0]), (algorithm, bad)
            assert len(good) == 1       # no DMARC without a policy
            # nothing else was touched
            assert sink.mails[-2].content.endswith(signed)


def test_signatures_of_dkimpy(folder, hopseald, signers):
    check_each(folder, hopseald, signers.dkimpy, FORMS)


def test_signatures_of_opendkim(folder, hopseald, signers, table):
    # not Ed25519 in the simple form of fields: test_dkim1 says why
    forms = [f for f in FORMS if f[:2] != ("ed25519-sha256", "simple")]
    check_each(folder, hopseald,
               lambda *a: signers.opendkim(*a, table), forms)


def test_policy_of_the_author(folder, hopseald, signers, keys):
    keys.records["_dmarc.example.org"] = ["v=DMARC1; p=reject; sp=none"]
    keys.write()
    signed = signers.dkimpy(PLAIN, "rsa-sha256", "relaxed", "relaxed")
    with Sink() as sink:
        site = inbound(folder, sink.port)
        hopseald(site.config)
        with Client(site.port) as c:
            assert c.mail(ALICE, BOB, signed)[0] == 250
            assert c.mail(ALICE, BOB, another(2))[0] == 250
        good, plain = (results(m.content) for m in sink.mails)
    assert good[1] == "dmarc=pass (p=reject) header.from=example.org"
    assert plain == []


def test_a_dead_resolver_refuses_nothing(folder, hopseald, signers):
    """The names of DKIM1 are never answered: temperror, and 250. Verify is
    enforce, which asks that of DKIM2 alone."""
    dns = Nameserver({"*": SILENT})
    signed = signers.dkimpy(PLAIN, "rsa-sha256", "relaxed", "relaxed")
    with Sink() as sink:
        site = inbound(folder, sink.port, "verify: enforce", common=[
            f'resolver: ["127.0.0.1:{dns.port}"]', "resolver-timeout: 300ms"])
        hopseald(site.config)
        with Client(site.port) as c:
            assert c.mail(ALICE, BOB, signed)[0] == 250
        assert results(sink.mails[0].content)[0].startswith("dkim=temperror ")
    assert {"rsa._domainkey.example.org", "_dmarc.example.org"} <= set(
        dns.questions)


# --- another From -----------------------------------------------------------

def verify_both(folder, keys, peer, mail, mail_from):
    """Ours and the peer's word, which is the same; and what was before."""
    path = folder / "copy.eml"
    path.write_bytes(mail.content)
    rcpt_to = mail.rcpt_to[0].strip("<>")
    done = harness.run(harness.HOPSEAL, "verify", "--dns", keys.file,
                       "--mail-from", mail_from, "--rcpt-to", rcpt_to, path,
                       ok=False)
    ours = json.loads(done.stdout.splitlines()[-1])
    theirs = harness.peer_verify(peer, keys.file, mail.content, mail_from,
                                 [rcpt_to])
    assert ours["result"] == theirs["result"] == "pass", (ours, theirs)
    return ours


def sign_dkim2(keys, message, rcpt_to):
    return harness.run(
        harness.HOPSEAL, "sign", "--domain", "example.org", "--selector", "ed",
        "--key", keys.pem("example.org", "ed"), "--mail-from", ALICE,
        "--rcpt-to", rcpt_to, stdin=message)


NAMES = [(b"Alice", b"Alice"), (b'"Carroll, Alice"', b'"Carroll, Alice"'),
         (b"=?utf-8?q?=C3=84lice?=\r\n =?utf-8?b?xIw=?=",
          b"=?utf-8?q?=C3=84lice?= =?utf-8?b?xIw=?="),
         ("\u00c4lice".encode(), "\u00c4lice".encode()),
         ("\u00c4lice".encode("latin-1"), "\u00c4lice".encode("latin-1")),
         (b"", b"alice"), (b"A " * 200, b" ".join([b"A"] * 200))]


def test_From_is_rewritten_in_a_chain(folder, hopseald, signers, keys, peer):
    """Names of every kind: the chain is good, at the peer too, and `history`
    has the message as the author signed it."""
    with Sink() as sink:
        site = forward(folder, sink.port, "from-rewrite: always")
        hopseald(site.config)
        for n, (name, kept) in enumerate(NAMES):
            message = another(n).replace(b"\"Carroll,\r\n Alice\"", name)
            signed = sign_dkim2(keys, message, BOB)
            with Client(site.port) as c:
                assert c.mail(ALICE, BOB, signed)[0] == 250
            mail = sink.mails[n]
            assert values(mail.content, b"From")[0].replace(b"\t", b" ") == (
                kept + b' "via two.example" <bob@two.example>')
            assert values(mail.content, b"Reply-To")[0] == values(
                message, b"From")[0]
            said = verify_both(folder, keys, peer, mail, "returns@two.example")
            assert [len(said[k]) for k in ("signatures", "instances")] == [2, 2]
            before = harness.run(harness.HOPSEAL, "history", "-i", "1",
                                 folder / "copy.eml")
            # as it is hashed
            assert values(before, b"From")[0] == re.sub(
                rb"[ \t]+", b" ", values(message, b"From")[0])
            assert values(before, b"Reply-To") == []


def test_adopted_mail(folder, hopseald, signers, keys, peer):
    """By DKIM1 of another program; what has none goes on unsigned."""
    with Sink() as sink:
        site = forward(folder, sink.port, "from-rewrite: always",
                       "adopt: dkim1-aligned")
        hopseald(site.config)
        signed = signers.dkimpy(PLAIN, "rsa-sha256", "relaxed", "simple")
        with Client(site.port) as c:
            assert c.mail(ALICE, BOB, signed)[0] == 250
            assert c.mail(ALICE, BOB, another(2))[0] == 250
        adopted, plain = sink.mails
    said = verify_both(folder, keys, peer, adopted, "returns@two.example")
    assert [len(said[k]) for k in ("signatures", "instances")] == [1, 1]
    assert values(plain.content, b"DKIM2-Signature") == []
    for mail in sink.mails:
        assert b"<bob@two.example>" in values(mail.content, b"From")[0]
        assert values(mail.content, b"Reply-To")[0].endswith(
            b"<alice@example.org>")


def test_a_list_with_another_From(folder, hopseald, keys, peer):
    """The list's changes and ours in one recipe; and a post without DKIM2."""
    with Lists(folder, hopseald, keys,
               more=", from-rewrite: always, adopt: always") as site:
        got = site.post(site.sign(POST % 1))
        mail, = site.distribute(manage(got), ROBERT)
        said = site.verify(peer, mail)
        assert said["result"] == "pass" and len(said["signatures"]) == 2
        assert values(mail.content, b"From") == [
            b"Alice via l <l@lists.example>"]
        got = site.post(POST % 2)
        mail, = site.distribute(manage(got), ROBERT)
        said = site.verify(peer, mail)
        assert said["result"] == "pass" and len(said["signatures"]) == 1
        assert values(mail.content, b"From") == [
            b"Alice via l <l@lists.example>"]
