"""The way onward: TLS as the policy has it, who the client is, LMTP, and
connections that serve more than one message."""

import base64
import re
import smtplib
import socket
import ssl
import threading

import pytest

import harness
from configs import egress
from nexthop import Authority, NextHop
from smtptools import CLOSE, Client, Sink, header_fields
from test_keeper import holds, needs_memory
from test_process import children

ALICE, BOB = "alice@one.example", "bob@two.example"
MESSAGE = (b"From: Alice <alice@one.example>\r\nTo: bob@two.example\r\n"
           b"Subject: Two words\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
           b"Message-ID: <1@one.example>\r\n\r\nFirst line\r\n.\r\n")


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """(the CA, certificates by what is wrong with them)"""
    folder = tmp_path_factory.mktemp("pki")
    ca, stranger = Authority(folder), Authority(folder, "stranger")
    return ca, {
        "good": ca.issue("127.0.0.1"),
        "expired": ca.issue("127.0.0.1", days=-1),
        "wrong name": ca.issue("other.example"),
        "stranger's": stranger.issue("127.0.0.1", days=29),
    }


def site_for(folder, sink, way, *more):
    """Without a memory: the same message is sent again and again."""
    site = egress(folder, sink.port, "replay: off", *more, common=[])
    site.config = re.sub(r'next-hop: .*', f'next-hop: "{way}"', site.config
                         ).replace("PORT", str(sink.port))
    return site


def send(site, *rcpts):
    with Client(site.port) as c:
        reply = c.envelope(ALICE, *(rcpts or [BOB]))
        return c.content(MESSAGE) if reply[0] == 250 else reply


# --- TLS --------------------------------------------------------------------

@pytest.mark.parametrize("policy", ["none", "may", "encrypt", "verify"])
@pytest.mark.parametrize("cert", ["good", "expired", "wrong name",
                                  "stranger's"])
def test_T5_certificates(folder, hopseald, pki, policy, cert):
    ca, certs = pki
    with NextHop(tls=certs[cert]) as sink:
        site = site_for(folder, sink, f"smtp://127.0.0.1:PORT {policy}",
                        f"tls-ca: {ca.cert}")
        hopseald(site.config)
        code, text = send(site)
        if policy == "verify" and cert != "good":
            assert code == 451, text
            assert not sink.mails and not sink.n_secure
        else:
            assert code == 250, text
            assert sink.mails[0].content.endswith(MESSAGE)
            assert bool(sink.n_secure) == (policy != "none")
        assert not sink.faults, sink.faults


@pytest.mark.parametrize("policy", ["may", "encrypt", "verify"])
@pytest.mark.parametrize("how", ["not offered", "454", "501", "no TLS behind",
                                 "cut"])
def test_T3_starttls_that_fails(folder, hopseald, pki, policy, how):
    ca, certs = pki
    answers = {"454": {"starttls": "454 4.7.0 not now"},
               "501": {"starttls": "501 5.5.4 no"},
               "no TLS behind": {}, "cut": {"starttls": CLOSE}}.get(how, {})
    tls = None if how == "not offered" else certs["good"]
    if how == "no TLS behind":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)   # has no certificate
    with NextHop(tls=tls, **answers) as sink:
        site = site_for(folder, sink, f"smtp://127.0.0.1:PORT {policy}",
                        f"tls-ca: {ca.cert}")
        hopseald(site.config)
        code, text = send(site)
        if policy == "may" and how != "cut":
            assert code == 250, text
        else:
            assert (code, text[:3]) == (451, "4.7" if how in (
                "not offered", "454", "501") else "4.4"), text
            assert not sink.mails
        verbs = {c[:4] for c in sink.commands}
        assert (b"MAIL" in verbs) == (code == 250)
        assert not sink.faults and not sink.n_secure


@pytest.mark.parametrize("policy", ["may", "encrypt"])
def test_T2_replies_injected_behind_starttls(folder, hopseald, pki, policy):
    """In the same segment: what is plain is never read under TLS."""
    _, certs = pki
    with NextHop(tls=certs["good"], starttls="220 go on\r\n250-sink.example\r\n"
                 "250 AUTH PLAIN") as sink:
        site = site_for(folder, sink, f"smtp://127.0.0.1:PORT {policy}")
        daemon = hopseald(site.config)
        assert send(site)[0] == 451
        daemon.wait_log("octets in plain behind the answer to STARTTLS")
        assert not sink.mails and not sink.n_secure


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version,code", [
    (ssl.TLSVersion.TLSv1_1, 451), (ssl.TLSVersion.TLSv1_2, 250),
    (ssl.TLSVersion.TLSv1_3, 250)])
def test_T5_versions(folder, hopseald, pki, version, code):
    ca, _ = pki
    context = ca.issue("127.0.0.1", days=28)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = version
    with NextHop(tls=context) as sink:
        site = site_for(folder, sink, "smtp://127.0.0.1:PORT encrypt")
        hopseald(site.config)
        assert send(site)[0] == code
        assert len(sink.mails) == (code == 250)


@pytest.mark.parametrize("policy", ["encrypt", "verify"])
def test_implicit_tls(folder, hopseald, pki, policy):
    ca, certs = pki
    with NextHop(tls=certs["good"], implicit=True) as sink:
        site = site_for(folder, sink, f"smtps://127.0.0.1:PORT {policy}",
                        f"tls-ca: {ca.cert}")
        hopseald(site.config)
        assert send(site)[0] == 250
        assert sink.n_secure == 1 and not sink.faults
    with Sink() as sink:                # plain: its banner is no TLS
        site = site_for(folder, sink, f"smtps://127.0.0.1:PORT {policy}")
        hopseald(site.config, "plain")
        assert send(site)[0] == 451
        assert not sink.mails


@pytest.mark.parametrize("stage", ["ehlo", "secure_ehlo", "mail", "rcpt",
                                   "data", "dot"])
def test_T4_Q12_cut_off_under_tls(folder, hopseald, pki, stage):
    """A FIN without close_notify is no reply and no end of anything."""
    _, certs = pki
    with NextHop(tls=certs["good"], **{stage: CLOSE}) as sink:
        site = site_for(folder, sink, "smtp://127.0.0.1:PORT encrypt")
        hopseald(site.config)
        code, text = send(site)
        assert code == 451, text
        assert not sink.mails


def test_sessions_are_resumed(folder, hopseald, pki):
    _, certs = pki
    seen = []

    class Seeing(NextHop):
        def _wrap(self, sock, stream):
            sock, stream = super()._wrap(sock, stream)
            seen.append(sock.session_reused)
            return sock, stream

    with Seeing(tls=certs["good"]) as sink:
        site = site_for(folder, sink, "smtp://127.0.0.1:PORT encrypt",
                        "max-idle: 0")
        hopseald(site.config)
        for _ in range(2):
            assert send(site)[0] == 250
        assert seen == [False, True, True]      # the first asks what it can


# --- who the client is ------------------------------------------------------

def test_proxy_v1_tells_the_client(folder, hopseald):
    with NextHop(proxy=True) as sink:
        site = site_for(folder, sink, "smtp://127.0.0.1:PORT",
                        "pass-client: proxy-v1")
        hopseald(site.config)
        for _ in range(2):
            with Client(site.port) as c:
                port = c.sock.getsockname()[1]
                assert c.mail(ALICE, BOB, MESSAGE)[0] == 250
            assert sink.headers[-1] == (f"PROXY TCP4 127.0.0.1 127.0.0.1 "
                                        f"{port} {site.port}\r\n").encode()
        # never an idle connection of another client
        told = [h for h in sink.headers if b"UNKNOWN" not in h]
        assert len(told) == 2 and len(sink.mails) == 2


def test_proxy_v2_tells_the_client_before_tls(folder, hopseald, pki):
    _, certs = pki
    with NextHop(proxy=True, tls=certs["good"], implicit=True) as sink:
        site = site_for(folder, sink, "smtps://127.0.0.1:PORT encrypt",
                        "pass-client: proxy-v2")
        hopseald(site.config)
        with Client(site.port) as c:
            port = c.sock.getsockname()[1]
            assert c.mail(ALICE, BOB, MESSAGE)[0] == 250
        assert sink.headers[-1] == (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + 2 * socket.inet_aton(
                "127.0.0.1") + port.to_bytes(2, "big") +
            site.port.to_bytes(2, "big"))
        assert not sink.faults


def test_xclient_tells_the_client(folder, hopseald):
    with NextHop(extensions=("PIPELINING", "XCLIENT ADDR PORT HELO")) as sink:
        site = site_for(folder, sink, "smtp://127.0.0.1:PORT",
                        "pass-client: xclient")
        hopseald(site.config)
        with Client(site.port, hello="a+b.example") as c:
            port = c.sock.getsockname()[1]
            assert c.mail(ALICE, BOB, MESSAGE)[0] == 250
        assert sink.headers == [f"XCLIENT ADDR=127.0.0.1 PORT={port} "
                                "HELO=a+2Bb.example"]
        assert [c[:4] for c in sink.commands if c[:4] != b"QUIT"][-6:] == [
            b"EHLO", b"XCLI", b"EHLO", b"MAIL", b"RCPT", b"DATA"]


def test_T1_who_was_told_in_clear_is_forgotten_behind_us_too(folder, hopseald,
                                                             pki):
    """STARTTLS forgets XCLIENT, and so the connection that says it."""
    ca, _ = pki
    with NextHop(extensions=("PIPELINING", "XCLIENT ADDR")) as sink:
        site = site_for(folder, sink, "smtp://127.0.0.1:PORT none",
                        "pass-client: xclient", "xclient: [127.0.0.1]",
                        f"tls: {{cert: {ca.folder}/127.0.0.1-30.pem, "
                        f"key: {ca.folder}/127.0.0.1-30.key}}")
        site.config = site.config.replace("clients: [127.0.0.1]",
                                          "clients: [127.0.0.0/24]")
        hopseald(site.config)
        with smtplib.SMTP("127.0.0.1", site.port) as c:
            c.ehlo()
            assert c.docmd("XCLIENT", "ADDR=127.0.0.7")[0] == 220
            c.ehlo()
            for addr in ("127.0.0.7", "127.0.0.1"):
                assert c.mail(ALICE)[0] == 250
                assert c.rcpt(BOB)[0] == 250
                assert sink.headers[-1] == f"XCLIENT ADDR={addr}"
                c.rset()
                if addr == "127.0.0.7":
                    c.starttls(context=ssl._create_unverified_context())
                    c.ehlo()


def test_refused_xclient_is_temporary(folder, hopseald):
    with NextHop(extensions=("XCLIENT ADDR",),
                 xclient="550 5.7.0 not from you") as sink:
        site = site_for(folder, sink, "smtp://127.0.0.1:PORT",
                        "pass-client: xclient")
        daemon = hopseald(site.config)
        assert send(site) == (451, "4.3.5 The next hop does not let us tell "
                              "who its client is")
        daemon.wait_log("refuses our XCLIENT: 550")
        assert not sink.mails


# --- LMTP -------------------------------------------------------------------

@pytest.mark.parametrize("each,code", [("250 2.0.0 taken", 250),
                                       ("452 4.2.2 full", 452),
                                       ("550 5.2.1 gone", 550)])
def test_lmtp(folder, hopseald, each, code):
    with NextHop(lmtp=True, each=[each]) as sink:
        site = site_for(folder, sink, "lmtp://127.0.0.1:PORT")
        hopseald(site.config)
        assert send(site)[0] == code
        assert sink.commands[0].startswith(b"LHLO ")
        assert len(sink.mails) == (code == 250) and not sink.faults


# --- a name and a password ---------------------------------------------------

PASSWORD = "tanstaaftanstaaf"
PLAIN = "AHRpbQB0YW5zdGFhZnRhbnN0YWFm"          # RFC 4616 4


def login_file(folder, text=f"tim:{PASSWORD}\n", mode=0o600):
    path = folder / "smart.auth"
    path.write_text(text)
    path.chmod(mode)
    return f"auth-file: {path}"


@pytest.mark.parametrize("text", [f"tim:{PASSWORD}\n", f"tim\n{PASSWORD}\n",
                                  f"tim\r\n{PASSWORD}", f"tim:{PASSWORD}"],
                         ids=["colon", "lines", "crlf", "open"])
def test_we_log_in_under_tls(folder, hopseald, pki, text):
    ca, certs = pki
    with NextHop(tls=certs["good"],
                 secure=("PIPELINING", "AUTH LOGIN PLAIN")) as sink:
        site = site_for(folder, sink, "smtp://127.0.0.1:PORT verify",
                        f"tls-ca: {ca.cert}", login_file(folder, text))
        daemon = hopseald(site.config)
        assert send(site)[0] == 250
        assert set(sink.logins) == {f"AUTH PLAIN {PLAIN}"}
        assert send(site)[0] == 250
        assert len(sink.logins) == sink.connections and not sink.faults
        for secret in (PASSWORD, PLAIN, "tim"):
            assert secret not in daemon.log()


@pytest.mark.parametrize("reply,secure", [
    ("535 5.7.8 bad", ("AUTH PLAIN",)), ("454 4.7.0 later", ("AUTH PLAIN",)),
    ("250 2.7.0 fine", ("AUTH PLAIN",)), ("235 fine", ("AUTH CRAM-MD5",))])
def test_Q11_a_login_that_fails_is_temporary(folder, hopseald, pki, reply,
                                             secure):
    """It is our own trouble, not the message's."""
    _, certs = pki
    with NextHop(tls=certs["good"], secure=secure, auth=reply) as sink:
        site = site_for(folder, sink, "smtp://127.0.0.1:PORT encrypt",
                        login_file(folder))
        daemon = hopseald(site.config)
        code, text = send(site)
        assert code == 451, text
        assert not sink.mails and b"MAIL" not in b"".join(sink.commands)
        assert PASSWORD not in daemon.log() and PLAIN not in daemon.log()


def test_T3_no_password_without_tls(folder, hopseald):
    """STARTTLS is stripped, and AUTH offered in the clear."""
    with NextHop(extensions=("AUTH PLAIN LOGIN",)) as sink:
        site = site_for(folder, sink, "smtp://127.0.0.1:PORT encrypt",
                        login_file(folder))
        hopseald(site.config)
        code, text = send(site)
        assert (code, text[:5]) == (451, "4.7.4"), text
        assert not sink.logins and not sink.mails


@pytest.mark.parametrize("text,mode,why", [
    (f"tim:{PASSWORD}\n", 0o644, "mode 0644"),
    (f"tim{PASSWORD}\n", 0o600, "is no login"), ("", 0o600, "is no login"),
    (f"tim:\n", 0o600, "is no login"), (f"t\n{PASSWORD}\nx\n", 0o600,
                                         "is no login"),
    ("tim:" + "x" * 256, 0o600, "is no login")])
def test_P3_auth_files_are_checked(folder, text, mode, why):
    site = site_for(folder, NextHop(), "smtp://127.0.0.1:PORT encrypt",
                    login_file(folder, text, mode))
    config = folder / "c.yaml"
    config.write_text(site.config)
    done = harness.run(harness.HOPSEALD, "-t", "-c", config, ok=False)
    said = (done.stdout + done.stderr).decode().replace(str(folder), "")
    assert done.returncode == 78 and why in said, said
    assert PASSWORD not in said


@pytest.mark.parametrize("cert,code", [("good", 250), ("wrong name", 451)])
def test_T5_a_domain_that_is_an_address(folder, hopseald, pki, cert, code):
    """bob@[127.0.0.1]: certificates name it without brackets."""
    ca, certs = pki
    with NextHop(tls=certs[cert]) as sink:
        site = site_for(folder, sink, "mx verify", f"tls-ca: {ca.cert}",
                        f"mx-port: {sink.port}")
        hopseald(site.config)
        assert send(site, "bob@[127.0.0.1]")[0] == code


# --- AUTH passed on ----------------------------------------------------------

def submission(folder, sink, pki, *more):
    """Nobody may relay but who the next hop knows."""
    ca, _ = pki
    site = site_for(folder, sink, "smtp://127.0.0.1:PORT verify",
                    f"tls-ca: {ca.cert}", "auth: pass",
                    f"tls: {{cert: {ca.folder}/127.0.0.1-30.pem, "
                    f"key: {ca.folder}/127.0.0.1-30.key}}", *more)
    site.config = site.config.replace("clients: [127.0.0.1]",
                                      "clients: [192.0.2.1]")
    return site


def log_in(site, user="tim", password=PASSWORD):
    c = smtplib.SMTP("127.0.0.1", site.port)
    c.ehlo()
    assert not c.has_extn("auth"), "AUTH is offered in the clear"
    c.starttls(context=ssl._create_unverified_context())
    c.login(user, password)
    return c


def test_T7_auth_is_passed_on(folder, hopseald, pki):
    """One connection, the client's own, for one message after the other."""
    _, certs = pki
    with NextHop(tls=certs["good"],
                 secure=("PIPELINING", "AUTH PLAIN LOGIN")) as sink:
        site = submission(folder, sink, pki)
        daemon = hopseald(site.config)
        with log_in(site) as c:
            before = sink.connections
            for _ in range(3):
                c.sendmail(ALICE, [BOB, "x@elsewhere.example"], MESSAGE)
        assert sink.logins == [f"AUTH PLAIN {PLAIN}"]
        assert len(sink.mails) == 3 and sink.connections == before
        # the connection was hers: nobody else is let through
        with Client(site.port) as c:
            assert c.command(f"AUTH PLAIN {PLAIN}")[0] in (503, 530, 538)
            assert c.envelope(ALICE, BOB)[0] == 554
        for secret in (PASSWORD, PLAIN):
            assert secret not in daemon.log()


def test_T7_who_xclient_names_did_not_log_in(folder, hopseald, pki):
    _, certs = pki
    with NextHop(tls=certs["good"],
                 secure=("PIPELINING", "AUTH PLAIN")) as sink:
        site = submission(folder, sink, pki, "xclient: [127.0.0.1]")
        hopseald(site.config)
        with log_in(site) as c:
            c.sendmail(ALICE, [BOB], MESSAGE)
            for addr, code in ("192.0.2.1", 250), ("192.0.2.2", 554):
                assert c.docmd("XCLIENT", f"ADDR={addr}")[0] == 220
                c.ehlo()
                assert c.mail(ALICE)[0] == 250
                assert c.rcpt(BOB)[0] == code
                if code == 250:
                    assert c.data(MESSAGE)[0] == 250
                c.rset()
        assert [b" with ESMTPSA id " in m.content for m in sink.mails
                ] == [True, False]
        assert len(sink.logins) == 1


@pytest.mark.parametrize("user,password", [(256, 255), (255, 256)])
def test_T7_what_is_too_long_is_not_asked(folder, hopseald, pki, user,
                                          password):
    """Or guesses would cost a connection, and no error."""
    _, certs = pki
    with NextHop(tls=certs["good"],
                 secure=("PIPELINING", "AUTH PLAIN")) as sink:
        site = submission(folder, sink, pki)
        hopseald(site.config)
        log_in(site, 255 * "u", 255 * "p").close()
        before = sink.connections
        with pytest.raises(smtplib.SMTPAuthenticationError) as e:
            log_in(site, user * "u", password * "p")
        assert e.value.smtp_code == 535 and sink.connections == before


@pytest.mark.parametrize("reply,code", [
    ("535 5.7.8 bad", 535), ("454 4.7.0 later", 454), ("250 2.0.0 fine", 454),
    (CLOSE, 454)])
def test_T7_only_235_of_the_next_hop_counts(folder, hopseald, pki, reply,
                                            code):
    _, certs = pki
    with NextHop(tls=certs["good"], secure=("PIPELINING", "AUTH LOGIN PLAIN"),
                 auth=reply) as sink:
        site = submission(folder, sink, pki)
        hopseald(site.config)
        with pytest.raises(smtplib.SMTPAuthenticationError) as e:
            log_in(site)
        assert e.value.smtp_code == code
        assert not sink.mails


def test_T7_passwords_are_not_left_in_memory(folder, hopseald, pki):
    """Of a session that is over, and of one cut off amid AUTH. What is freed
    is soon written over, but not all of it."""
    needs_memory()
    password = 200 * "x" + PASSWORD
    said = base64.b64encode(f"\0tim\0{password}".encode())
    half = 200 * "QUJD" + "aGFsZiBvZiBhIHBhc3N3b3Jk"
    _, certs = pki
    with NextHop(tls=certs["good"],
                 secure=("PIPELINING", "AUTH PLAIN")) as sink:
        site = submission(folder, sink, pki)
        daemon = hopseald(site.config)
        (worker,) = children(daemon, "hopseald-worker")
        with log_in(site, password=password) as c:
            assert holds(worker, PASSWORD.encode())
            assert not holds(worker, said[-20:])
            c.sendmail(ALICE, [BOB], MESSAGE)
        with smtplib.SMTP("127.0.0.1", site.port) as c:
            c.starttls(context=ssl._create_unverified_context())
            c.ehlo()
            assert c.docmd("AUTH", "LOGIN")[0] == 334
            assert c.docmd("dGlt")[0] == 334
            c.send(half)
            c.close()
        harness.until(lambda: not any(
            holds(worker, x) for x in (PASSWORD.encode(), said[-20:],
                                       half[-20:].encode())), "clean memory")


def test_T7_a_next_hop_that_takes_nobody_says_nothing_of_a_password(
        folder, hopseald, pki):
    _, certs = pki
    with NextHop(tls=certs["good"], banner="554 5.3.2 not now") as sink:
        site = submission(folder, sink, pki)
        hopseald(site.config)
        with pytest.raises(smtplib.SMTPAuthenticationError) as e:
            log_in(site)
        assert e.value.smtp_code == 454 and not sink.logins


def test_T7_a_connection_lost_is_made_anew_as_the_client(folder, hopseald,
                                                         pki):
    _, certs = pki
    with NextHop(tls=certs["good"],
                 secure=("PIPELINING", "AUTH PLAIN")) as sink:
        site = submission(folder, sink, pki)
        hopseald(site.config)
        with log_in(site) as c:
            c.sendmail(ALICE, [BOB], MESSAGE)
            sink.kill()
            sink.restart()
            c.sendmail(ALICE, [BOB], MESSAGE)
        assert len(sink.logins) == 2 and len(sink.mails) == 2


# --- connections that serve again -------------------------------------------

def test_connections_are_used_again(folder, hopseald):
    with Sink() as sink:
        site = site_for(folder, sink, "smtp://127.0.0.1:PORT")
        hopseald(site.config)
        for _ in range(5):
            assert send(site)[0] == 250
        one = sink.connections
        sink.kill()                     # what is idle is gone, in silence
        sink.restart()
        assert send(site)[0] == 250
        assert len(sink.mails) == 6 and sink.connections == one + 1


def test_connections_are_bounded(folder, hopseald):
    with Sink() as sink:
        site = site_for(folder, sink, "smtp://127.0.0.1:PORT",
                        "max-per-destination: 2", "max-idle: 1")
        hopseald(site.config)
        done = []
        threads = [threading.Thread(target=lambda: done.append(send(site)[0]))
                   for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert done == [250] * 8 and len(sink.mails) == 8
        assert sink.most <= 2


def test_drained_connections_say_quit(folder, hopseald):
    with Sink() as sink:
        site = site_for(folder, sink, "smtp://127.0.0.1:PORT")
        daemon = hopseald(site.config)
        assert send(site)[0] == 250
        daemon.stop()
        harness.until(lambda: sink.commands[-1] == b"QUIT\r\n", "QUIT")


def test_what_arrives_is_what_was_sent(folder, hopseald, pki):
    """Many sizes over one connection under TLS, octet for octet."""
    _, certs = pki
    with NextHop(tls=certs["good"]) as sink:
        site = site_for(folder, sink, "smtp://127.0.0.1:PORT encrypt")
        hopseald(site.config)
        with Client(site.port) as c:
            for n in (0, 1, 60, 4000, 40_000, 400_000):
                body = b"." * 60 + b"\r\n"
                content = MESSAGE + body * n
                assert c.mail(ALICE, BOB, content)[0] == 250
                assert sink.mails[-1].content.endswith(content)
                assert header_fields(sink.mails[-1].content)[0]
        assert sink.n_secure == 1
