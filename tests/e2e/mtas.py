"""Real mail servers: each takes mail for everybody on 127.0.0.1:port and sends
it on to 127.0.0.1, to the port that `onward` has for the recipient's domain.
None is installed. tls is a pair of certs.py; with it STARTTLS is offered. wants_tls: mail leaves under TLS only."""

import json
import os
import shutil
import subprocess

import harness
import jail
import postfix
import unpacked



class Exim:
    PACKAGES = ("exim4-daemon-light",)

    def __init__(self, folder, onward, tls=None, wants_tls=False,
                 pipelining=True, chunking=True, routers=()):
        self.port = harness.free_port()
        self.jail = jail.Jail(folder, self.PACKAGES, {"Debian-exim": 101})
        self.jail.link_libraries("usr/sbin/exim4")
        self.jail.folder("spool", "root", 0o777)
        yes = {True: "*", False: ""}
        server = [f"daemon_smtp_ports = {self.port}",
                  f"pipelining_advertise_hosts = {yes[pipelining]}",
                  f"chunking_advertise_hosts = {yes[chunking]}"]
        if tls:
            for name in ("cert", "key"):
                shutil.copy(getattr(tls, name), self.jail.root / "etc" / name)
                (self.jail.root / "etc" / name).chmod(0o644)
            server += ["tls_advertise_hosts = *", "tls_certificate = /etc/cert",
                       "tls_privatekey = /etc/key"]
        else:
            server.append("tls_advertise_hosts =")
        client = ["hosts_try_chunking = " + yes[chunking],
                  "hosts_avoid_pipelining = " + yes[not pipelining]]
        client += ["hosts_require_tls = *", "tls_try_verify_hosts =",
                   "tls_verify_certificates =", "hosts_try_dane ="] \
            if wants_tls else ["hosts_avoid_tls = *"]
        self.jail.write("etc/exim.conf", "\n".join([
            "primary_hostname = exim.example",
            "exim_user = Debian-exim", "exim_group = Debian-exim",
            "spool_directory = /spool",
            "log_file_path = /spool/%slog", "local_interfaces = 127.0.0.1",
            "disable_ipv6", "host_lookup =", "rfc1413_query_timeout = 0s",
            "message_size_limit = 60M", "keep_environment =",
            "smtputf8_advertise_hosts = *", "accept_8bitmime",
            "dkim_verify_signers =", "smtp_accept_max = 200",
            "acl_smtp_rcpt = all", "acl_smtp_data = all", "qualify_domain = exim.example",
            "remote_max_parallel = 4", "queue_run_max = 20", *server,
            "begin acl", "all:", "  accept", "begin routers", *routers, *(
                f"{domain.replace('.', '_')}:\n  driver = manualroute\n"
                f"  route_list = {domain} 127.0.0.1::{port} byname\n"
                f"  transport = onward\n  self = send"
                for domain, port in onward.items()),
            "begin transports", "onward:", "  driver = smtp",
            "  port = 25", "  allow_localhost", "  hosts_try_fastopen =",
            "  hosts_try_prdr =", *("  " + c for c in client),
            "begin retry", "* * F,10m,2s", ""]))

    def start(self):
        self.jail.start("/usr/sbin/exim4", "-C", "/etc/exim.conf", "-bdf", "-q2s",
                        port=self.port)
        return self

    def stop(self):
        self.jail.stop()

    def log(self):
        main = self.jail.root / "spool" / "mainlog"
        return self.jail.log() + (main.read_text() if main.exists() else "")


class OpenSmtpd:
    PACKAGES = ("opensmtpd",)

    def __init__(self, folder, onward, tls=None, wants_tls=False):
        self.port = harness.free_port()
        self.jail = jail.Jail(folder, self.PACKAGES,
                              {"opensmtpd": 101, "opensmtpq": 102})
        self.jail.link_libraries("usr/sbin/smtpd")
        (self.jail.root / "var/empty").chmod(0o755)
        self.jail.folder("var/lib/opensmtpd/empty")
        self.jail.folder("var/spool/smtpd", mode=0o711)
        for name in ("purge", "queue", "temporary", "incoming", "corrupt"):
            queue = self.jail.folder(f"var/spool/smtpd/{name}", mode=0o700)
            os.chown(queue, 102, 0)
        offline = self.jail.folder("var/spool/smtpd/offline", mode=0o770)
        os.chown(offline, 0, 102)
        self.jail.folder("var/run")
        pki, listen = "", ""
        if tls:
            for name in ("cert", "key"):
                shutil.copy(getattr(tls, name), self.jail.root / "etc" / name)
                (self.jail.root / "etc" / name).chmod(0o600)
            pki = 'pki x cert "/etc/cert"\npki x key "/etc/key"\n'
            listen = " tls pki x"
        scheme = "smtp+tls" if wants_tls else "smtp+notls"
        more = " tls no-verify" if wants_tls else ""
        self.jail.write("etc/smtpd.conf", f"""{pki}
listen on 127.0.0.1 port {self.port}{listen} hostname opensmtpd.example
queue ttl 1h
smtp max-message-size 60M
smtp limit max-mails 100000
""" + "".join(
            f'action "{port}" relay host {scheme}://127.0.0.1:{port}{more}\n'
            f'match from any for domain "{domain}" action "{port}"\n'
            for domain, port in onward.items()), 0o600)

    def start(self):
        self.jail.start("/usr/sbin/smtpd", "-d", "-f", "/etc/smtpd.conf",
                        port=self.port)
        return self

    def stop(self):
        self.jail.stop()

    def log(self):
        return self.jail.log()


HARAKA = unpacked.PACKAGES / "haraka"
# The last that runs with the Node.js of Debian 12.
HARAKA_VERSION = "3.1.1"
ACCEPT = """
exports.register = function () {
    this.register_hook('connect', 'relay');
    this.register_hook('rcpt', 'all');
};
exports.relay = function (next, connection) {
    connection.relaying = true;
    next();
};
exports.all = function (next) { next(OK); };
const onward = ONWARD;
exports.hook_get_mx = function (next, hmail, domain) {
    next(OK, [{priority: 0, exchange: '127.0.0.1', port: onward[domain]}]);
};
"""


def haraka_cannot_run():
    for tool in ("node", "npm"):
        if not shutil.which(tool):
            return f"Haraka needs {tool}"
    if (HARAKA / "node_modules" / "Haraka").exists():
        return None
    HARAKA.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["npm", "install", "--prefix", str(HARAKA), "--omit=optional",
         "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock",
         f"Haraka@{HARAKA_VERSION}"], capture_output=True, text=True)
    return None if done.returncode == 0 else f"npm can not get it: {done.stderr}"


class Haraka:
    def __init__(self, folder, onward, tls=None, wants_tls=False):
        self.port = harness.free_port()
        self.folder = folder
        self.process = None
        (folder / "config").mkdir(parents=True)
        (folder / "plugins").mkdir()
        (folder / "queue").mkdir()
        self._write("smtp.ini", f"listen=127.0.0.1:{self.port}\nnodes=0\n")
        self._write("me", "haraka.example\n")
        self._write("databytes", "60000000\n")
        self._write("loglevel", "NOTICE\n")
        self._write("outbound.ini", "temp_fail_intervals=2s*1000\n"
                    f"enable_tls={'true' if wants_tls else 'false'}\n"
                    "received_header=Haraka\n")
        self._write("connection.ini", "[main]\n[haproxy]\nhosts[]=\n"
                    "[headers]\nmax_received=100\n[message]\n[uuid]\n"
                    "[max]\nbytes=60000000\nmime_parts=1000\n"
                    "line_length=5000\ndata_line_length=5000\n")
        self._write("plugins", ("tls\n" if tls or wants_tls else "") + "accept\n")
        if tls:
            self._write("tls_cert.pem", tls.cert.read_text())
            self._write("tls_key.pem", tls.key.read_text())
        (folder / "plugins" / "accept.js").write_text(
            ACCEPT.replace("ONWARD", json.dumps(onward)))

    def _write(self, name, text):
        (self.folder / "config" / name).write_text(text)

    def start(self):
        with open(self.folder / "log", "ab") as out:
            self.process = subprocess.Popen(
                ["node", str(HARAKA / "node_modules/Haraka/bin/haraka"),
                 "-c", str(self.folder)], stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, start_new_session=True)

        def answers():
            assert self.process.poll() is None, self.log()
            return harness.listens(self.port)

        harness.until(answers, lambda: f"Haraka to listen: {self.log()}")
        return self

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def log(self):
        return (self.folder / "log").read_text(errors="replace")


class Dovecot:
    """LMTP on 127.0.0.1:port into one maildir for everybody."""
    PACKAGES = ("dovecot-core", "dovecot-lmtpd")

    def __init__(self, folder):
        self.port = harness.free_port()
        self.jail = jail.Jail(folder, self.PACKAGES,
                              {"dovecot": 101, "dovenull": 102, "vmail": 1000})
        lib = "usr/lib/dovecot"
        self.jail.link_libraries(
            "usr/sbin/dovecot", "usr/bin/doveconf",
            *(f"{lib}/{p}" for p in (
                "lmtp", "anvil", "log", "config", "auth", "stats",
                "modules/libssl_iostream_openssl.so")), search=[lib, f"{lib}/modules/auth",
                                       f"{lib}/modules/old-stats"])
        self.jail.folder("run/dovecot")
        self.maildir = self.jail.folder("mail", "vmail", 0o700)
        self.jail.write("etc/dovecot/dovecot.conf", f"""
protocols = lmtp
ssl = no
log_path = /dev/stderr
base_dir = /run/dovecot
mail_location = maildir:/mail/%u
mail_uid = vmail
mail_gid = vmail
first_valid_uid = 100
lmtp_save_to_detail_mailbox = no
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {self.port}
  }}
}}
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=vmail gid=vmail home=/mail/%u allow_all_users=yes
}}
""")

    def start(self):
        self.jail.start("/usr/sbin/dovecot", "-F", port=self.port)
        return self

    def stop(self):
        self.jail.stop()

    def log(self):
        return self.jail.log()

    def mails(self):
        """The octets of each mail, with LF, by the address it came to."""
        return [(p.parent.parent.name, p.read_bytes())
                for p in sorted(self.maildir.glob("*/new/*"))]


class Postfix:
    """tests/e2e/postfix.py, with the parameters of the others."""

    def __init__(self, folder, onward, tls=None, wants_tls=False):
        maps = ", ".join(f"{{ {domain} = smtp:[127.0.0.1]:{port} }}"
                         for domain, port in onward.items())
        more = {"relay_domains": "static:all", "relay_recipient_maps": "",
                "smtputf8_enable": "yes"}
        if tls:
            more |= {"smtpd_tls_security_level": "may",
                     "smtpd_tls_cert_file": tls.cert,
                     "smtpd_tls_key_file": tls.key}
        if wants_tls:
            more["smtp_tls_security_level"] = "encrypt"
        self.instance = postfix.Postfix(
            folder, relayhost="[127.0.0.1]:1",
            transport_maps=f"inline:{{ {maps} }}", **more)
        self.port = self.instance.port

    def start(self):
        self.instance.start()
        return self

    def stop(self):
        self.instance.stop()

    def log(self):
        return self.instance.log()


def cannot_run(name):
    """Why that server can not run here, or None."""
    if name == "haraka":
        return haraka_cannot_run()
    if name == "postfix":
        return postfix.cannot_run()
    kind = {"exim": Exim, "opensmtpd": OpenSmtpd, "dovecot": Dovecot}[name]
    return jail.cannot_run(*kind.PACKAGES)


KINDS = {"postfix": Postfix, "exim": Exim, "opensmtpd": OpenSmtpd,
         "haraka": Haraka}
