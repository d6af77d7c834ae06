"""Configurations of the tests: one listener, its keys in ./keys, the answers of
the DNS in ./dns.json unless the test has a resolver."""

import harness

HEAD = """
hostname: hop.example.net
state: state-{port}
workers: {workers}
{common}
listeners:
  l:
    role: {role}
    listen: {listen}
    next-hop: "smtp://127.0.0.1:{onward}"
"""


class Site:
    """Writes the configuration for a listener; .port is where it listens.

    more       further directives of the listener, as in YAML's flow form
    common     directives at top level; keys and keys-file unless given
    """

    def __init__(self, folder, role, onward, *more, common=None, workers=1,
                 listen=None):
        self.port = harness.free_port()
        state = folder / f"state-{self.port}"
        state.mkdir()
        state.chmod(0o777)      # whoever it runs as keeps its memory there
        if common is None:
            common = ["keys: keys", "keys-file: dns.json"]
        self.config = HEAD.format(
            role=role, onward=onward, port=self.port, workers=workers, common="\n".join(common),
            listen=listen.format(port=self.port) if listen
            else f'["127.0.0.1:{self.port}"]')
        self.config += "".join(f"    {line}\n" for line in more)


def inbound(folder, onward, *more, **kw):
    return Site(folder, "inbound", onward, "domains: [two.example]", *more, **kw)


def egress(folder, onward, *more, **kw):
    return Site(folder, "egress", onward, "clients: [127.0.0.1]",
                "senders: [one.example]", *more, **kw)


def forward(folder, onward, *more, **kw):
    return Site(folder, "forward", onward, "domains: [two.example]",
                'aliases: {"bob@two.example": "robert@three.example"}',
                "mail-from: returns@two.example", *more, **kw)
