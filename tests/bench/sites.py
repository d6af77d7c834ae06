"""hopseald in each mode that is measured. A relay has: name, port, sender and
rcpt, the mail that it is sent (how many hops have signed it), `near` (the peer
that does the nearest job), `says` (its settings), start, stop, pids."""

import os
import shutil

import certs
import harness

KEYS = harness.ROOT / "tests/interop/peer/bench-keys"
DOMAIN = "bench.example"
KINDS = ("rsa2048", "ed25519")
WORKERS = os.cpu_count()
HEAD = """
hostname: hop.bench.example
state: state
workers: {workers}
resolver: ["127.0.0.1:{resolver}"]
tls: [{tls}]
max-connections: 20000
max-per-network: 20000
max-commands: 1000000
{common}
listeners:
"""


def records():
    """The DNS of the hops, as the table of nameserver.Nameserver."""
    lines = dict(line.split(" ", 1)
                 for line in (KEYS / "records.txt").read_text().splitlines())
    return {f"{kind}._domainkey.hop{n}.{DOMAIN}": [lines[kind]]
            for kind in KINDS for n in range(1, 8)}


def quiet():
    """A relay of mail that it does not touch."""
    return Site("pass", "haproxy", "egress", "dkim1: no, clients: [127.0.0.1]")


def put_keys(folder, hop, kinds):
    """What `keys:` names, with keys of one hop."""
    for kind in kinds:
        target = folder / "keys" / f"hop{hop}.{DOMAIN}" / f"{kind}.pem"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(KEYS / f"{kind}.pem", target)
    for path in (folder / "keys").rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    (folder / "keys").chmod(0o700)


class Site:
    """One hopseald. role and more make its listener, kinds are its keys."""
    is_ours = True

    def __init__(self, name, near, role, more, hops=0, kinds=()):
        # fields that the message leaves with; two keys share one
        self.signatures = hops + (len(kinds) > 0)
        self.name, self.near, self.role, self.more = name, near, role, more
        self.hops, self.kinds = hops, kinds
        self.sender = f"sender@hop{max(hops, 1)}.{DOMAIN}"
        self.rcpt = f"r@hop{max(hops, 1) + 1}.{DOMAIN}"
        self.says = f"{WORKERS} workers, role {role}" + (
            ", " + " ".join(kinds) if kinds else "")
        self.daemon = None

    def cannot_run(self):
        return None

    def version(self):
        return "this tree"

    def listeners(self, sink):
        return (f'  l: {{role: {self.role}, '
                f'listen: ["127.0.0.1:{self.port}"], '
                f'next-hop: "smtp://127.0.0.1:{sink} none", {self.more}}}\n')

    def start(self, folder, sink, resolver):
        folder.mkdir()
        folder.chmod(0o755)
        (folder / "state").mkdir()
        (folder / "state").chmod(0o777)
        self.port = harness.free_port()
        common = ""
        if self.kinds:
            common = "keys: keys"
            put_keys(folder, self.hops + 1, self.kinds)
        pair = certs.Authority(folder).pair("relay", "127.0.0.1")
        self.daemon = harness.Hopseald(folder, HEAD.format(
            workers=WORKERS, resolver=resolver, common=common, tls=pair) +
            self.listeners(sink))
        self.daemon.start()
        return self

    def stop(self):
        if self.daemon:
            self.daemon.stop()

    def pids(self):
        return self.daemon.pids()


class List(Site):
    """Two listeners; the runner is the list manager between them: what it
    sends to `into` it sends again, changed, to `port`."""
    is_list = True

    def start(self, folder, sink, resolver, manager=None):
        self.into, self.manager = harness.free_port(), manager
        return super().start(folder, sink, resolver)

    def listeners(self, sink):
        return (f'  in: {{role: list-in, listen: ["127.0.0.1:{self.into}"], '
                f'domains: [hop2.{DOMAIN}], '
                f'next-hop: "smtp://127.0.0.1:{self.manager} none"}}\n'
                f'  out: {{role: list-out, dkim1: no, pair: in, '
                f'listen: ["127.0.0.1:{self.port}"], clients: [127.0.0.1], '
                f'next-hop: "smtp://127.0.0.1:{sink} none"}}\n')


EGRESS = f"dkim1: no, clients: [127.0.0.1], senders: [hop1.{DOMAIN}]"
SITES = [
    quiet(),
    Site("verify", "opendkim-verify", "inbound", f"domains: [hop2.{DOMAIN}]",
         hops=1),
    Site("sign-ed25519", "opendkim-sign", "egress", EGRESS,
         kinds=("ed25519",)),
    Site("sign-rsa", "opendkim-sign", "egress", EGRESS, kinds=("rsa2048",)),
    Site("sign-both", "opendkim-sign", "egress", EGRESS, kinds=KINDS),
    Site("chain-5", "opendkim-sign", "forward",
         f'dkim1: no, domains: [hop6.{DOMAIN}], '
         f'aliases: {{"r@hop6.{DOMAIN}": "r@sink.example"}}, '
         f'mail-from: returns@hop6.{DOMAIN}', hops=5, kinds=("rsa2048",)),
    List("list", "opendkim-sign", "list-in and list-out", "", hops=1,
         kinds=("rsa2048",)),
    Site("queue", "postfix-queue", "egress", EGRESS + ", delivery: queue",
         kinds=("ed25519",)),
]
