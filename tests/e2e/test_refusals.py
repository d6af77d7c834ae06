"""What must be refused is, with the draft's text; nothing of it reaches the
next hop. What the next hop says, the client hears."""

import time

import pytest

import harness
from configs import egress, forward, inbound
from nameserver import REFUSED, SERVFAIL, SILENT, Nameserver
from smtptools import CLOSE, Client, Sink, header_fields, split_added

ALICE, BOB = "alice@one.example", "bob@two.example"
MESSAGE = (b"From: Alice <alice@one.example>\r\nTo: bob@two.example\r\n"
           b"Subject: Two words\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
           b"Message-ID: <1@one.example>\r\n\r\nFirst line\r\nSecond line\r\n")
DAY = 86400


def sign(keys, message=MESSAGE, mail_from=ALICE, rcpt_to=BOB, age=0,
         domain="one.example"):
    return harness.run(
        harness.HOPSEAL, "sign", "--domain", domain, "--selector", "ed",
        "--key", keys.pem(domain, "ed"), "--mail-from", mail_from,
        "--rcpt-to", rcpt_to, "--timestamp", str(int(time.time()) - age),
        stdin=message)


@pytest.fixture
def one(keys):
    """Keys of the domain that signs first."""
    return keys.add("one.example", rsa2048=None)


def signed_by(content):
    """The i= of the DKIM2-Signature fields of a message, top first."""
    return [f.split(b"i=")[1].split(b";")[0].decode()
            for f in header_fields(content)[0]
            if f.lower().startswith(b"dkim2-signature:")]


# --- verify: enforce -------------------------------------------------------

SINGLE_FAULTS = {
    "body": (lambda s: s.replace(b"Second", b"Sceond"), {}, {},
             "FAIL: Message-Instance m=1 body hash sha256 mismatch"),
    "line added": (lambda s: s + b"footer\r\n", {}, {},
                   "FAIL: Message-Instance m=1 body hash sha256 mismatch"),
    "field": (lambda s: s.replace(b"Two words", b"Three words"), {}, {},
              "FAIL: Message-Instance m=1 header hash sha256 mismatch"),
    "recipient": (None, {}, {"rcpt_to": "eve@two.example"},
                  "FAIL: DKIM2-Signature i=1 RCPT TO <eve@two.example> "
                  "did not match"),
    "sender": (None, {}, {"mail_from": "eve@one.example"},
               "FAIL: DKIM2-Signature i=1 MAIL FROM <eve@one.example> "
               "did not match"),
    "expired": (None, {"age": 15 * DAY}, {},
                "FAIL: DKIM2-Signature i=1 signature expired"),
    "future": (None, {"age": -2 * DAY}, {},
               "FAIL: DKIM2-Signature i=1 signature is from the future"),
    "signature": (lambda s: flip_signature(s), {}, {},
                  "FAIL: DKIM2-Signature i=1 selector ed incorrect signature"),
    "instance gone": (lambda s: without(s, b"message-instance"), {}, {},
                      "PERMERROR: Message-Instance m=1 missing"),
    "signature gone": (lambda s: without(s, b"dkim2-signature"), {}, {},
                       "PERMERROR: DKIM2-Signature i=1 missing"),
}


def flip_signature(content):
    """Another first octet of the signature, still good base64."""
    at = content.index(b"ed25519-sha256:") + len(b"ed25519-sha256:")
    while content[at:at + 1] in b" \t\r\n":
        at += 1
    return content[:at] + (b"A" if content[at:at + 1] != b"A" else b"B") + \
        content[at + 1:]


def without(content, name):
    fields, body = header_fields(content)
    return b"".join(f for f in fields
                    if not f.lower().startswith(name + b":")) + body


@pytest.mark.parametrize("role", [inbound, forward])
def test_single_faults_are_refused(folder, hopseald, one, role):
    one.add("two.example")
    with Sink() as sink:
        site = role(folder, sink.port, "verify: enforce")
        hopseald(site.config)
        for name, (change, how, envelope, text) in SINGLE_FAULTS.items():
            if role is forward and envelope.get("rcpt_to"):
                continue                    # no alias: 550 5.1.1 at RCPT
            content = sign(one, **how)
            content = change(content) if change else content
            with Client(site.port) as c:
                reply = c.mail(envelope.get("mail_from", ALICE),
                               envelope.get("rcpt_to", BOB), content)
            assert reply == (550, f"5.7.1 {text}"), name
        assert not sink.mails and not sink.refused
        with Client(site.port) as c:
            assert c.mail(ALICE, BOB, sign(one))[0] == 250
        assert len(sink.mails) == 1 and not sink.faults


def test_observe_lets_faults_pass_unchanged(folder, hopseald, one):
    with Sink() as sink:
        site = inbound(folder, sink.port, "verify: observe")
        daemon = hopseald(site.config)
        content = flip_signature(sign(one))
        with Client(site.port) as c:
            assert c.mail(ALICE, BOB, content)[0] == 250
        split_added(content, sink.mails[0].content)
        assert signed_by(sink.mails[0].content) == ["1"]
        daemon.wait_log("incorrect signature|verdict=fail|state=fail")


def test_unsigned_mail_is_accepted_or_refused(folder, hopseald, one):
    for policy, code in (("accept", 250), ("refuse", 550)):
        with Sink() as sink:
            site = inbound(folder, sink.port, "verify: enforce",
                           f"unsigned: {policy}")
            hopseald(site.config, policy)
            with Client(site.port) as c:
                assert c.mail(ALICE, BOB, MESSAGE)[0] == code
            assert len(sink.mails) == (code == 250)


# --- keys that can not be had ----------------------------------------------

@pytest.mark.parametrize("answer", [SERVFAIL, REFUSED, SILENT])
def test_dead_resolver_is_temporary(folder, hopseald, one, answer):
    with Sink() as sink, Nameserver({"*": answer}) as dns:
        site = inbound(folder, sink.port, "verify: enforce", common=[
            f'resolver: ["127.0.0.1:{dns.port}"]', "resolver-timeout: 1s"])
        hopseald(site.config)
        with Client(site.port) as c:
            assert c.mail(ALICE, BOB, sign(one)) == (
                451, "4.7.5 TEMPERROR: DKIM2-Signature i=1 public key ed "
                "could not be fetched")
            # Unsigned mail does not need the resolver.
            assert c.mail(ALICE, BOB, MESSAGE)[0] == 250
        assert [m.content.endswith(MESSAGE) for m in sink.mails] == [True]
        assert not sink.refused
        assert set(dns.questions) == {"ed._domainkey.one.example"}


@pytest.mark.parametrize("answer,text", [
    (3, "public key ed does not exist"),
    ([], "public key ed does not exist"),
    (["v=DKIM1; k=ed25519; p="], "public key ed has been revoked"),
    (["v=DKIM1; p=a", "v=DKIM1; p=b"], "public key ed has multiple records"),
])
def test_bad_key_records_are_permanent(folder, hopseald, one, answer, text):
    with Sink() as sink, Nameserver({"*": answer}) as dns:
        site = inbound(folder, sink.port, "verify: enforce", common=[
            f'resolver: ["127.0.0.1:{dns.port}"]', "resolver-timeout: 2s"])
        hopseald(site.config)
        with Client(site.port) as c:
            assert c.mail(ALICE, BOB, sign(one)) == (
                550, f"5.7.1 PERMERROR: DKIM2-Signature i=1 {text}")
        assert not sink.mails


def test_keys_from_a_real_name_server(folder, hopseald, keys, nsd):
    """The records as `hopseal dns-record` prints them, in a zone of nsd."""
    keys.add("one.example")
    server = nsd(keys.zone)
    with Sink() as sink:
        site = inbound(folder, sink.port, "verify: enforce", "replay: off",
                       common=[f'resolver: ["127.0.0.1:{server.port}"]'])
        hopseald(site.config)
        for selector in ("ed", "rsa"):
            content = harness.run(
                harness.HOPSEAL, "sign", "--domain", "one.example",
                "--selector", selector,
                "--key", keys.pem("one.example", selector),
                "--mail-from", ALICE, "--rcpt-to", BOB, stdin=MESSAGE)
            with Client(site.port) as c:
                assert c.mail(ALICE, BOB, content)[0] == 250
                reply = c.mail(ALICE, BOB, content.replace(
                    b"s=" + selector.encode(), b"s=none"))
            assert reply[0] == 550 and "none does not exist" in reply[1]
        assert len(sink.mails) == 2


# --- T9: who may relay -----------------------------------------------------

STRANGE_RECIPIENTS = [
    "bob@elsewhere.example", "bob@sub.two.example", "bob@wo.example",
    "bob@two.example.elsewhere.example", "bob%elsewhere.example@two.example",
    "elsewhere.example!bob@two.example", "@two.example:bob@elsewhere.example",
    "bob@[127.0.0.1]", "bob@127.0.0.1", '"bob@elsewhere.example"@two.example',
    "bob",
]


def test_T9_strangers_can_not_relay(folder, hopseald, one):
    one.add("two.example")
    with Sink() as sink:
        for role in (inbound, forward):
            site = role(folder, sink.port)
            hopseald(site.config, role.__name__)
            for rcpt in STRANGE_RECIPIENTS:
                with Client(site.port) as c:
                    code, text = c.envelope("eve@evil.example", rcpt)
                assert code // 100 == 5, (rcpt, code, text)
                if rcpt.count("@") == 1 and "[" not in rcpt and \
                        not rcpt.endswith("@two.example"):
                    assert (code, text[:5]) == (554, "5.7.1"), (rcpt, text)
        assert not sink.mails and b"MAIL" not in b"".join(sink.commands).upper()


@pytest.mark.parametrize("clients,code", [("192.0.2.0/24", 554),
                                          ("127.0.0.0/8", 250)])
def test_T9_addresses_in_mapped_form(folder, hopseald, one, clients, code):
    """127.0.0.1 arrives as ::ffff:127.0.0.1 on a socket for all addresses."""
    with Sink() as sink:
        site = egress(folder, sink.port, listen='["*:{port}"]')
        site.config = site.config.replace("[127.0.0.1]", f"[{clients}]")
        hopseald(site.config)
        with Client(site.port) as c:
            assert c.mail(ALICE, "x@elsewhere.example", MESSAGE)[0] == code
        assert len(sink.mails) == (code == 250)


# --- V18: what is not ours to sign -----------------------------------------

def test_V18_senders_that_are_not_ours(folder, hopseald, one):
    one.add("three.example")
    foreign = MESSAGE.replace(b"alice@one.example", b"carol@three.example")
    with Sink() as sink:
        site = egress(folder, sink.port)
        hopseald(site.config)
        with Client(site.port) as c:
            code, text = c.envelope("carol@three.example", BOB)
            assert (code, text[:5]) == (550, "5.7.1"), text
        with Client(site.port) as c:
            code, text = c.mail(ALICE, BOB, foreign)
            assert (code, text[:5]) == (550, "5.7.1"), text
        assert not sink.mails


@pytest.mark.parametrize("policy,code", [("pass", 250), ("refuse", 550)])
def test_V18_chains_that_did_not_verify(folder, hopseald, one, policy, code):
    """A failed chain at the forwarder, an unknown one at egress."""
    one.add("two.example")
    broken = flip_signature(sign(one))
    with Sink() as sink:
        site = forward(folder, sink.port, "verify: observe",
                       f"unsignable: {policy}")
        hopseald(site.config, "forward")
        with Client(site.port) as c:
            assert c.mail(ALICE, BOB, broken)[0] == code
        assert [signed_by(m.content) for m in sink.mails] == \
            [["1"]] * (code == 250)
    with Sink() as sink:
        site = egress(folder, sink.port, f"unsignable: {policy}")
        daemon = hopseald(site.config, "egress")
        with Client(site.port) as c:
            assert c.mail(ALICE, BOB, sign(one))[0] == code
        daemon.wait_log("a chain without an arrival record")
        assert [signed_by(m.content) for m in sink.mails] == \
            [["1"]] * (code == 250)


def test_V18_inbound_never_signs(folder, hopseald, one):
    one.add("two.example")
    with Sink() as sink:
        site = inbound(folder, sink.port, "replay: off")
        hopseald(site.config)
        with Client(site.port) as c:
            assert c.mail(ALICE, BOB, sign(one))[0] == 250
            assert c.mail(ALICE, BOB, MESSAGE)[0] == 250
        assert [signed_by(m.content) for m in sink.mails] == [["1"], []]


# --- what the next hop says -------------------------------------------------

@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("reply", ["451 4.3.7 marked words", "552 5.2.9 marked words"])
def test_replies_of_the_next_hop(folder, hopseald, one, stage, reply):
    with Sink(**{stage: reply}) as sink:
        site = egress(folder, sink.port)
        hopseald(site.config)
        with Client(site.port) as c:
            code, text = c.mail(ALICE, BOB, MESSAGE)
            assert (code, text) == (int(reply[:3]), reply[4:]), (code, text)
            sink.answers[stage] = "354 go on" if stage == "data" else "250 ok"
            c.command("RSET")
            assert c.mail(ALICE, BOB, MESSAGE)[0] == 250
        assert len(sink.mails) == 1


@pytest.mark.parametrize("stage", ["banner", "ehlo"])
@pytest.mark.parametrize("reply", ["421 4.3.2 marked words", "554 5.3.2 marked words"])
def test_next_hop_that_does_not_talk(folder, hopseald, one, stage, reply):
    with Sink(**{stage: reply}) as sink:
        site = egress(folder, sink.port)
        hopseald(site.config)
        with Client(site.port) as c:
            code, text = c.mail(ALICE, BOB, MESSAGE)
        assert code // 100 == int(reply[0]), (code, text)
        assert not sink.mails


@pytest.mark.parametrize("stage", ["banner", "ehlo", "mail", "rcpt", "data", "dot"])
def test_next_hop_that_hangs_up(folder, hopseald, one, stage):
    with Sink(**{stage: CLOSE}) as sink:
        site = egress(folder, sink.port)
        hopseald(site.config)
        with Client(site.port) as c:
            code, text = c.mail(ALICE, BOB, MESSAGE)
        assert code // 100 == 4, (code, text)
        assert not sink.mails


def test_next_hop_that_is_not_there(folder, hopseald, one):
    site = egress(folder, harness.free_port())
    hopseald(site.config)
    with Client(site.port) as c:
        code, text = c.mail(ALICE, BOB, MESSAGE)
    assert code // 100 == 4, (code, text)
