"""Administrations of hopseald for the tests with bounces, and what surrounds
them: keys, secrets, tables of routes, a name server."""

import json

import harness
import nameserver

HEAD = """
hostname: {domain}
state: state
keys: keys
secrets: secrets
resolver: ["127.0.0.1:{dns}"]
workers: 1
copies: {{size: 64M, age: 7d}}
{common}
listeners:
"""


class Administration:
    """A domain with its folder and keys; hop() is its hopseald.

    listener() takes the directives of one, hop() makes the configuration of
    those. Ports are drawn when a listener is named.
    """

    def __init__(self, folder, domain, dns_port, *common, keys=True):
        self.folder, self.domain = folder / domain, domain
        self.folder.mkdir()
        self.keys = harness.Keys(self.folder)
        if keys:
            self.keys.add(domain)
        for name in ("state", "secrets"):
            (self.folder / name).mkdir()
        (self.folder / "state").chmod(0o777)
        (self.folder / "secrets").chmod(0o700)
        secret = self.folder / "secrets" / "one"
        secret.write_text(f"what nobody knows of {domain}\n")
        secret.chmod(0o600)
        self.ports = {}
        self.text = HEAD.format(domain=domain, dns=dns_port,
                                common="\n".join(common))
        self.daemon = None

    def listener(self, name, role, *more, port=None):
        self.ports[name] = port or harness.free_port()
        self.text += (f"  {name}:\n    role: {role}\n    listen: "
                      f'["127.0.0.1:{self.ports[name]}"]\n' +
                      "".join(f"    {line}\n" for line in more))
        return self.ports[name]

    def routes(self, table):
        """Domain -> port; those of a domain are below it, too."""
        (self.folder / "routes").write_text("".join(
            f"{domain} smtp://127.0.0.1:{port} none\n"
            for domain, port in table.items()))

    def hop(self):
        self.daemon = harness.Hopseald(self.folder, self.text)
        return self.daemon

    def log(self):
        return self.daemon.log()


class Answers:
    """A name server that follows a table; set() puts records, an rcode or
    nothing (None) at a name. It knows key records alone."""

    def __init__(self):
        self.table = {}
        self.server = nameserver.Nameserver(self.table)
        self.port = self.server.port

    def add(self, records):
        self.table.update({n: list(r) if isinstance(r, (list, tuple)) else [r]
                           for n, r in records.items()})

    def file(self, path):
        """As the verifiers on the command line read them."""
        path.write_text(json.dumps(
            {n: r for n, r in self.table.items() if isinstance(r, list)}))
        return path

    def start(self):
        return self

    def stop(self):
        self.server.close()


class Nsd(nameserver.Nsd):
    """The real one, for `started`, at a port that hops know already."""

    def __init__(self, folder, lines, port):
        super().__init__(folder, lines)
        conf = self.folder / "nsd.conf"
        conf.write_text(conf.read_text().replace(f"@{self.port}", f"@{port}"))
        self.port = port

    def start(self):
        return self.__enter__()

    def stop(self):
        self.__exit__()
