"""Where mail goes: by listener, by table, by MX."""

import re

import pytest

import harness
from configs import inbound
from smtptools import Client, Sink

MESSAGE = b"From: a@one.example\r\n\r\nhello\r\n"


def test_routes_by_domain_in_one_session(folder, hopseald):
    """Each recipient's domain leads to its own server, also within one
    session, and back again."""
    with Sink() as first, Sink() as second:
        (folder / "routes").write_text(
            f"# the second one\n.two.example smtp://localhost:{second.port}\n")
        site = inbound(folder, first.port, 'routes: "file:routes"',
                       "clients: [127.0.0.1]", common=[])
        hopseald(site.config)
        with Client(site.port) as c:
            for rcpt in ("a@two.example", "b@Sub.Two.Example",
                         "c@other.example", "d@x.two.example"):
                reply = c.mail("m@one.example", rcpt, MESSAGE)
                assert reply[0] == 250, reply
        assert [m.rcpt_to for m in first.mails] == [
            ["a@two.example"], ["c@other.example"]]
        assert [m.rcpt_to for m in second.mails] == [
            ["b@Sub.Two.Example"], ["d@x.two.example"]]


ZONE = """
one.example. MX 10 a.host.example.
one.example. MX 20 b.host.example.
a.host.example. A 127.0.0.2
b.host.example. A 127.0.0.3
null.example. MX 0 .
alias.example. CNAME one.example.
plain.example. A 127.0.0.2
six.example. MX 5 six.host.example.
six.host.example. AAAA ::1
loop.example. MX 10 hop.example.net.
loop.example. MX 20 a.host.example.
backup.example. MX 10 a.host.example.
backup.example. MX 20 hop.example.net.
gone.example. MX 10 nobody.host.example.
old.example. DNAME new.example.
x.new.example. MX 10 a.host.example.
c1.example. CNAME c2.example.
c8.example. CNAME c9.example.
c9.example. MX 10 a.host.example.
loop1.example. CNAME loop2.example.
loop2.example. CNAME loop1.example.
large.example. MX 1 a.host.example.
"""
ZONE += "".join(f"c{k}.example. CNAME c{k + 1}.example.\n" for k in range(2, 8))
ZONE += "c0.example. CNAME c1.example.\n"
# More than a datagram of 1232 octets holds: it comes by TCP.
ZONE += "".join(f"large.example. MX {k} a-rather-long-name-{k}.host.example.\n"
                for k in range(2, 50))


@pytest.fixture
def mx_site(folder, nsd):
    """A hopseald that delivers by MX, on a high port, asking a real server."""
    server = nsd(ZONE.splitlines(keepends=True)[1:])
    port = harness.free_port()
    site = inbound(folder, port, "clients: [127.0.0.1]", f"mx-port: {port}",
                   common=[f'resolver: ["127.0.0.1:{server.port}"]'])
    site.config = re.sub(r"next-hop: .*", "next-hop: mx", site.config)
    site.onward = port
    return site


def sent(site, rcpt):
    with Client(site.port) as c:
        return c.mail("m@one.example", rcpt, MESSAGE)


def test_mx_of_a_real_name_server(hopseald, mx_site):
    """D2, D3: MX by preference, CNAME, DNAME, over TCP, without MX, AAAA, literals; and what is no
    way: null MX, a domain that is not there, servers that are not."""
    hopseald(mx_site.config)
    with Sink(mx_site.onward, host="127.0.0.2") as a, \
            Sink(mx_site.onward, host="127.0.0.3") as b, \
            Sink(mx_site.onward, host="::1") as six:
        for rcpt in ("x@one.example", "x@ALIAS.example", "x@plain.example",
                     "x@[127.0.0.2]", "x@backup.example", "x@x.old.example",
                     "x@c1.example", "x@large.example"):
            assert sent(mx_site, rcpt)[0] == 250, rcpt
            assert a.mails.pop().rcpt_to == [rcpt]
        for rcpt in ("x@six.example", "x@[IPv6:::1]"):
            assert sent(mx_site, rcpt)[0] == 250, rcpt
            assert six.mails.pop().rcpt_to == [rcpt]
        assert not b.mails
        # the next server, where the better one is not there
        a.close()
        assert sent(mx_site, "y@one.example")[0] == 250
        assert [m.rcpt_to for m in b.mails] == [["y@one.example"]]
        for rcpt, want in (("x@null.example", (556, "5.1.10 ")),
                           ("x@nowhere.example", (550, "5.1.2 ")),
                           ("x@gone.example", (550, "5.1.2 ")),
                           # D2: nine CNAMEs, and a loop of them
                           ("x@c0.example", (451, "4.4.3 ")),
                           ("x@loop1.example", (451, "4.4.3 "))):
            reply = sent(mx_site, rcpt)
            assert (reply[0], reply[1][:len(want[1])]) == want


def test_L2_the_best_mx_is_ourselves(hopseald, mx_site):
    """By name or by address: 451 and an alarm, and nothing goes round."""
    site = mx_site
    site.config = site.config.replace(f"mx-port: {site.onward}",
                                      f"mx-port: {site.port}")
    daemon = hopseald(site.config)
    for rcpt in ("x@loop.example", "x@[127.0.0.1]"):
        reply = sent(site, rcpt)
        assert reply[0] == 451 and reply[1].startswith("4.4.6 "), reply
    assert "alarm: mail to loop.example would come back" in daemon.log()
