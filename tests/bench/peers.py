"""Real relays that do the nearest job, from Debian packages that are unpacked
and never installed; Haraka from npm. See sites.py for what a relay has."""

import os
import re
import signal
import subprocess

import harness
import mtas
import postfix
import sites
import unpacked

SENDER, RCPT = f"sender@hop1.{sites.DOMAIN}", f"r@hop2.{sites.DOMAIN}"
SIGNER = f"hop1.{sites.DOMAIN}"
RSA = sites.KEYS / "rsa2048.pem"


def version_of(package):
    """Of an unpacked package."""
    found = sorted(unpacked.PACKAGES.glob(f"{package}_*.deb"))
    return re.sub(r"%3a", ":", found[-1].name.split("_")[1]) if found else "?"


class Peer:
    is_ours = False
    hops = signatures = 0
    near = None
    sender, rcpt = SENDER, RCPT

    def version(self):
        return version_of(self.packages[0])

    def cannot_run(self):
        for package in self.packages:
            why = unpacked.unpack(package)
            if why:
                return why
        return None


class Program:
    """A program of unpacked packages, with their libraries."""

    def __init__(self, packages, path):
        self.packages = packages
        self.path = unpacked.folder(packages[0]) / path
        folders = {p.parent for package in packages
                   for p in unpacked.folder(package).glob("usr/lib/**/*.so*")}
        self.env = {**os.environ,
                    "LD_LIBRARY_PATH": ":".join(sorted(map(str, folders)))}

    def cannot_run(self):
        done = subprocess.run(["ldd", str(self.path)], env=self.env,
                              capture_output=True, text=True)
        lost = re.findall(r"(\S+) => not found", done.stdout)
        return f"{self.path.name} lacks {' '.join(lost)}" if lost else None

    def start(self, folder, *arguments):
        with open(folder / f"{self.path.name}.log", "ab") as log:
            return subprocess.Popen(
                [str(self.path), *map(str, arguments)], env=self.env,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)


def stop(process):
    if process is not None and process.poll() is None:
        for pid in harness.session_pids(process.pid):
            os.kill(pid, signal.SIGTERM)
        harness.until(lambda: process.poll() is not None and
                      not harness.session_pids(process.pid), "a peer to end")


class Haproxy(Peer):
    name = "haproxy"
    says = f"TCP mode, {sites.WORKERS} threads"
    packages = ("haproxy", "liblua5.3-0", "libopentracing-c-wrapper0",
                "libopentracing1")
    process = None

    def start(self, folder, sink, resolver):
        folder.mkdir()
        self.port = harness.free_port()
        (folder / "cfg").write_text(f"""
global
  maxconn 4000
  nbthread {sites.WORKERS}
defaults
  mode tcp
  timeout connect 5s
  timeout client 600s
  timeout server 600s
listen s
  bind 127.0.0.1:{self.port}
  server sink 127.0.0.1:{sink}
""")
        program = Program(self.packages, "usr/sbin/haproxy")
        self.process = program.start(folder, "-db", "-f", folder / "cfg")
        harness.until(lambda: harness.listens(self.port), "haproxy to listen")
        return self

    def cannot_run(self):
        return super().cannot_run() or \
            Program(self.packages, "usr/sbin/haproxy").cannot_run()

    def stop(self):
        stop(self.process)

    def pids(self):
        return harness.session_pids(self.process.pid)


class Postfix(Peer):
    """milter_program: what start_milter() starts beside it."""
    packages = ("postfix",)
    milter = milter_program = None

    def __init__(self, name, says, settings=None, near=None):
        self.name, self.says, self.near = name, says, near
        self.settings = settings or {}

    def cannot_run(self):
        if os.geteuid() != 0:
            return "Postfix needs root"
        return super().cannot_run()

    def start(self, folder, sink, resolver):
        more = {name: value.format(sink=sink)
                for name, value in self.settings.items()}
        socket = folder / "milter.sock"
        if self.milter_program:
            more |= {"smtpd_milters": f"unix:{socket}",
                     "milter_default_action": "tempfail"}
        self.instance = postfix.Postfix(
            folder, relayhost=f"[127.0.0.1]:{sink}", default_process_limit="250",
            smtpd_peername_lookup="no", initial_destination_concurrency="20",
            default_destination_concurrency_limit="50",
            relay_domains="static:all", relay_recipient_maps="", **more)
        self.port = self.instance.port
        if self.milter_program:
            self.milter = self.start_milter(folder, socket)
            harness.until(socket.exists, f"the milter of {self.name}")
            socket.chmod(0o666)
        self.instance.start()
        return self

    def stop(self):
        stop(self.milter)
        self.instance.stop()

    def pids(self):
        own = harness.session_pids(self.milter.pid) if self.milter else []
        return self.instance.processes() + own


class OpenDkim(Postfix):
    packages = ("opendkim", "libopendkim11", "libldap-2.5-0", "liblua5.3-0",
                "libmemcached11", "libhashkit2", "libmilter1.0.1",
                "libopendbx1", "librbl1", "libunbound8", "libvbr2", "libbsd0",
                "libmd0", "postfix")
    milter_program = "usr/sbin/opendkim"

    def __init__(self, mode):
        super().__init__(f"opendkim-{mode}", f"Postfix + opendkim, {mode}, "
                         "relaxed/relaxed, RSA-2048")
        self.mode, self.signatures = mode, 1
        if mode == "verify":
            self.hops = "dkim1"

    def cannot_run(self):
        return super().cannot_run() or \
            Program(self.packages, self.milter_program).cannot_run()

    def start_milter(self, folder, socket):
        record = sites.records()[f"rsa2048._domainkey.{SIGNER}"][0]
        (folder / "public").write_text(
            f"rsa2048._domainkey.{SIGNER} {record}\n")
        (folder / "nobody").write_text("192.0.2.1\n")
        inside = [f"InternalHosts {folder}/nobody"] \
            if self.mode == "verify" else []
        (folder / "opendkim.conf").write_text("\n".join([
            f"Mode {self.mode[0]}", "Syslog no", "Background no",
            "Canonicalization relaxed/relaxed", f"Domain {SIGNER}",
            "Selector rsa2048", f"KeyFile {RSA}", f"Socket local:{socket}",
            f"TestPublicKeys {folder}/public", "RequireSafeKeys no",
            "UMask 000", *inside, ""]))
        return Program(self.packages, self.milter_program).start(
            folder, "-f", "-x", folder / "opendkim.conf")


class Rspamd(Postfix):
    signatures = 1
    packages = ("rspamd", "libhyperscan5", "libluajit2-5.1-2",
                "libluajit-5.1-2", "libluajit-5.1-common", "libglib2.0-0",
                "postfix")
    milter_program = "usr/bin/rspamd"

    def __init__(self):
        super().__init__("rspamd", "Postfix + rspamd, dkim_signing alone, "
                         "RSA-2048, self_scan")

    def cannot_run(self):
        return super().cannot_run() or \
            Program(self.packages, self.milter_program).cannot_run()

    def start_milter(self, folder, socket):
        share = unpacked.folder("rspamd") / "usr/share/rspamd"
        (folder / "rspamd.conf").write_text(f"""
options {{ pidfile = "{folder}/rspamd.pid"; filters = "dkim";
  dns {{ nameserver = ["127.0.0.1:{self.resolver}"]; timeout = 0.1s; retransmits = 1; }}
  tempdir = "{folder}"; control_socket = "{folder}/control.sock";
  url_tld = "{folder}/tld"; local_addrs = ["127.0.0.0/8"]; }}
logging {{ type = "file"; filename = "{folder}/rspamd.messages"; level = "error"; }}
worker "rspamd_proxy" {{ bind_socket = "{socket} mode=0666"; milter = yes;
  count = {sites.WORKERS}; timeout = 60s;
  upstream "local" {{ default = yes; self_scan = yes; }} }}
metric {{ actions {{ reject = 1000; add_header = 999; greylist = 998; }} }}
modules {{ path = "{share}/plugins/dkim_signing.lua"; }}
dkim_signing {{ enabled = true; sign_local = true; sign_authenticated = true;
  use_domain = "header"; allow_hdrfrom_mismatch = true; use_esld = false;
  allow_username_mismatch = true; check_pubkey = false;
  domain {{ {SIGNER} {{ selector = "rsa2048"; path = "{RSA}"; }} }} }}
""")
        # Debian's list takes it half a minute to compile.
        (folder / "tld").write_text("example\n")
        # Whoever it becomes writes there.
        folder.chmod(0o777)
        return Program(self.packages, self.milter_program).start(
            folder, "-f", "-i", "-c", folder / "rspamd.conf",
            f"--var=LUALIBDIR={share}/lualib", f"--var=PLUGINSDIR={share}/plugins",
            f"--var=RULESDIR={share}/rules", f"--var=SHAREDIR={share}",
            f"--var=DBDIR={folder}", f"--var=RUNDIR={folder}")

    def start(self, folder, sink, resolver):
        self.resolver = resolver
        return super().start(folder, sink, resolver)


class Mta(Peer):
    """A server of tests/e2e/mtas.py; more: what it is told besides."""

    def __init__(self, name, kind, says, near=None):
        self.name, self.kind, self.says, self.near = name, kind, says, near

    def cannot_run(self):
        return mtas.cannot_run(self.kind)

    def version(self):
        if self.kind == "haraka":
            return mtas.HARAKA_VERSION
        return version_of(mtas.KINDS[self.kind].PACKAGES[0])

    def start(self, folder, sink, resolver):
        domain = RCPT.split("@")[1]
        self.server = mtas.KINDS[self.kind](folder, {domain: sink})
        self.port = self.server.port
        self.adapt(folder)
        self.server.start()
        return self

    def adapt(self, folder):
        pass

    def stop(self):
        self.server.stop()

    def pids(self):
        return harness.session_pids(self.server.jail.process.pid) + \
            self.server.jail._strays()


class EximSigning(Mta):
    signatures = 1

    def __init__(self):
        super().__init__("exim-sign", "exim", "signing RSA-2048, relaxed")

    def adapt(self, folder):
        path = folder / "etc/exim.conf"
        self.server.jail.write("etc/rsa.pem", RSA.read_text(), 0o644)
        path.write_text(path.read_text().replace(
            "  allow_localhost", f"  allow_localhost\n  dkim_domain = {SIGNER}\n"
            "  dkim_selector = rsa2048\n  dkim_private_key = /etc/rsa.pem\n"
            "  dkim_canon = relaxed").replace(
            "smtp_accept_max = 200", "smtp_accept_max = 300\n"
            "smtp_accept_max_per_connection = 0\n"
            "smtp_accept_queue_per_connection = 0\nlog_selector = -all"))


HARAKA_FORWARD = """
exports.register = function () {
    this.register_hook('connect', 'relay');
    this.register_hook('rcpt', 'all');
};
exports.relay = function (next, connection) { connection.relaying = true; next(); };
exports.all = function (next) { next(OK); };
"""


class HarakaSigning(Mta):
    signatures = 1

    def __init__(self):
        super().__init__("haraka-sign", "haraka",
                         "dkim signing RSA-2048, smtp_forward")

    def cannot_run(self):
        why = super().cannot_run()
        if why:
            return why
        if (mtas.HARAKA / "node_modules/haraka-plugin-dkim").exists():
            return None
        done = subprocess.run(
            ["npm", "install", "--prefix", str(mtas.HARAKA), "--omit=optional",
             "--no-audit", "--no-fund", "--ignore-scripts",
             "--no-package-lock", "haraka-plugin-dkim@1.0.5"],
            capture_output=True, text=True)
        return None if done.returncode == 0 else \
            f"npm can not get haraka-plugin-dkim: {done.stderr.strip()[-200:]}"

    def adapt(self, folder):
        write = self.server._write
        write("plugins", "accept\ndkim\nqueue/smtp_forward\n")
        write("loglevel", "ERROR\n")
        write("smtp_forward.ini", "host=127.0.0.1\nport="
              f"{self.sink}\nenable_tls=false\nenable_outbound=true\n")
        write("dkim.ini", f"[sign]\nenabled=true\nselector=rsa2048\n"
              f"domain={SIGNER}\nheaders=From, Sender, Reply-To, Subject, Date,"
              " Message-ID, To, MIME-Version\n[verify]\nenabled=false\n")
        own = folder / "config/dkim" / SIGNER
        own.mkdir(parents=True)
        (own / "private").write_text(RSA.read_text())
        (own / "selector").write_text("rsa2048\n")
        write("dkim.private.key", RSA.read_text())
        (folder / "plugins/accept.js").write_text(HARAKA_FORWARD)

    def start(self, folder, sink, resolver):
        self.sink = sink
        return super().start(folder, sink, resolver)

    def pids(self):
        return harness.session_pids(self.server.process.pid)


PEERS = [
    Haproxy(),
    Postfix("postfix-proxy", "smtpd_proxy_filter",
            {"smtpd_proxy_filter": "127.0.0.1:{sink}",
             "smtpd_proxy_timeout": "60"}),
    Postfix("postfix-queue", "its queue"),
    OpenDkim("sign"),
    OpenDkim("verify"),
    Rspamd(),
    Mta("opensmtpd", "opensmtpd", "its queue, unsigned"),
    EximSigning(),
    HarakaSigning(),
]
