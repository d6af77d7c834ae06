"""Real Postfix, from the Debian package, unpacked and never installed."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import harness
import unpacked

UNPACKED = unpacked.folder("postfix")


def cannot_run():
    """Why real Postfix can not run here, or None."""
    if os.geteuid() != 0:
        return "Postfix needs root"
    return unpacked.unpack("postfix")


class Postfix:
    """An instance on 127.0.0.1:port. Without relayhost it delivers every
    address to one maildir; with it everything goes there."""

    def __init__(self, folder, relayhost=None, **settings):
        self.folder = Path(folder)
        self.port = harness.free_port()
        self.maildir = self.folder / "mail" / "inbox"
        self.conf = self.folder / "conf"
        self.library = self.folder / "lib"
        self.environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LD_LIBRARY_PATH": f"{self.library}:{self.library}/lib",
        }
        self._write(relayhost, settings)

    def _write(self, relayhost, settings):
        # A copy for each instance: the package's folder may be closed to the
        # users that Postfix becomes.
        shutil.copytree(UNPACKED / "usr/lib/postfix", self.library)
        shutil.copytree(UNPACKED / "usr/sbin", self.folder / "sbin")
        for name in ("conf", "meta", "queue", "data", "mail"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "uucp")
        shutil.chown(self.folder / "mail", "nobody", "nogroup")
        (self.folder / "data").chmod(0o700)
        meta = self.folder / "meta"
        for name in ("postfix-files", "postfix-script", "post-install"):
            shutil.copy(UNPACKED / "etc/postfix" / name, meta)
            shutil.copy(UNPACKED / "etc/postfix" / name, self.library / "sbin")
        shutil.copytree(UNPACKED / "etc/postfix/postfix-files.d",
                        meta / "postfix-files.d")
        shutil.copy(UNPACKED / "usr/share/postfix/dynamicmaps.cf", meta)

        master = []
        dist = UNPACKED / "usr/share/postfix/master.cf.dist"
        for line in dist.read_text().splitlines():
            field = line.split()
            if not field or line.startswith("#"):
                continue
            if line[0].isspace() and "argv=" in line:
                continue
            if not line[0].isspace():
                if field[7].startswith("pipe"):
                    continue
                field[4] = "n"              # no chroot
                if field[:2] == ["smtp", "inet"]:
                    field[0] = f"127.0.0.1:{self.port}"
                line = "  ".join(field)
            master.append(line)
        (self.conf / "master.cf").write_text("\n".join(master) + "\n")

        main = {
            "compatibility_level": "3.6",
            "queue_directory": self.folder / "queue",
            "data_directory": self.folder / "data",
            "meta_directory": meta,
            "command_directory": self.folder / "sbin",
            "daemon_directory": self.library / "sbin",
            "shlib_directory": self.library,
            "mail_owner": "uucp",
            "setgid_group": "news",
            "default_privs": "nobody",
            "import_environment": "MAIL_CONFIG MAIL_DEBUG LD_LIBRARY_PATH TZ",
            "export_environment": "LD_LIBRARY_PATH TZ",
            "maillog_file": self.folder / "mail.log",
            "maillog_file_prefixes": self.folder,
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "myhostname": f"{self.folder.name}.mta.example",
            "mydestination": "",
            "mynetworks": "127.0.0.0/8",
            "alias_maps": "",
            "alias_database": "",
            "local_recipient_maps": "",
            "local_header_rewrite_clients": "",
            "smtpd_relay_restrictions": "permit_mynetworks, reject",
            "smtputf8_enable": "no",
            "message_size_limit": "60000000",
            "mailbox_size_limit": "0",
            "virtual_mailbox_limit": "0",
            "disable_dns_lookups": "yes",
            "minimal_backoff_time": "2s",
            "maximal_backoff_time": "4s",
            "queue_run_delay": "2s",
            "in_flow_delay": "0",
            "smtpd_client_connection_rate_limit": "0",
            "smtpd_client_connection_count_limit": "0",
        }
        if relayhost is None:
            main.update({
                "virtual_mailbox_domains": "static:all",
                "virtual_mailbox_base": self.folder / "mail",
                "virtual_mailbox_maps": "static:inbox/",
                "virtual_minimum_uid": "1",
                "virtual_uid_maps": "static:65534",
                "virtual_gid_maps": "static:65534",
            })
        else:
            main["relayhost"] = relayhost
        main.update(settings)
        (self.conf / "main.cf").write_text(
            "".join(f"{name} = {value}\n" for name, value in main.items()))

    def _postfix(self, command):
        return subprocess.run(
            [str(self.folder / "sbin/postfix"), "-c", str(self.conf), command],
            env=self.environment, capture_output=True, text=True, timeout=120)

    def start(self):
        done = self._postfix("start")
        assert done.returncode == 0, done.stdout + done.stderr + self.log()
        harness.until(self.pid, "Postfix to start")
        return self

    def pid(self):
        """Of the master, from its queue directory, while it runs."""
        try:
            pid = int((self.folder / "queue/pid/master.pid").read_text())
            os.kill(pid, 0)
            return pid
        except (OSError, ValueError):
            return None

    def stop(self):
        pid = self.pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        harness.until(lambda: self.pid() is None, "Postfix to stop")
        harness.until(lambda: not self.processes(), "its processes to end")

    def processes(self):
        """Whatever still runs from this instance's folder."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    exe = os.readlink(f"/proc/{entry}/exe")
                except OSError:
                    continue
                if exe.startswith(str(self.folder)):
                    found.append(int(entry))
        return found

    def log(self):
        try:
            return (self.folder / "mail.log").read_text(errors="replace")
        except OSError:
            return ""

    def mails(self):
        """The files of the maildir as octets, with LF, as they are."""
        return [p.read_bytes() for p in sorted((self.maildir / "new").glob("*"))]

    def queued(self):
        """How many messages are in its queue."""
        n = 0
        for name in ("incoming", "active", "deferred", "maildrop"):
            n += sum(1 for p in (self.folder / "queue" / name).rglob("*")
                     if p.is_file())
        return n

    def flush(self):
        self._postfix("flush")
