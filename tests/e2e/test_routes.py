"""Where mail goes: by listener, by table, by MX."""

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
