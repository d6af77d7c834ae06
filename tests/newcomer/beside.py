"""The servers beside hopseal, each as its package leaves it; a page adds its
lines to their files and reloads them."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import harness
import mailman3
import mlmmj as mlmmj_kit
from nexthop import Authority, NextHop
from smtptools import Sink

SMART = "192.0.2.26"

# As Debian's "Internet site", with a log of its own where no syslog is.
MAIN_CF = """\
smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
biff = no
append_dot_mydomain = no
compatibility_level = 3.6
smtp_tls_security_level = may
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
myhostname = mail.example.org
mydestination = example.org, localhost
alias_maps =
mynetworks = 127.0.0.0/8 [::1]/128
mailbox_size_limit = 0
recipient_delimiter = +
inet_interfaces = loopback-only
inet_protocols = all
maillog_file = /var/log/mail.log
"""

EXIM_CONF = """\
# main part
primary_hostname = mail.example.org
qualify_domain = example.org
domainlist local_domains = example.org
hostlist relay_from_hosts = 127.0.0.1
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
keep_environment =
host_lookup =
tls_advertise_hosts =
acl_smtp_rcpt = acl_check_rcpt

begin acl

acl_check_rcpt:
  accept  domains = +local_domains
  accept  hosts = : +relay_from_hosts
  deny    message = relay not permitted

begin routers

local_user:
  driver = accept
  domains = +local_domains
  check_local_user
  transport = local_delivery

begin transports

local_delivery:
  driver = appendfile
  file = /var/mail/$local_part_data
  group = mail
  mode = 0660

begin retry

*  *  F,2h,15m
"""


class postfix:
    """The package's files and rights; started."""

    def __init__(self, world):
        conf = Path("/etc/postfix")
        (conf / "main.cf").write_text(MAIN_CF)
        shutil.copy("/usr/share/postfix/master.cf.dist", conf / "master.cf")
        shutil.copy("/usr/share/postfix/dynamicmaps.cf", conf)
        for program in ("postdrop", "postqueue"):
            shutil.chown(f"/usr/sbin/{program}", group="postdrop")
            os.chmod(f"/usr/sbin/{program}", 0o2755)
        Path("/var/lib/postfix").mkdir(exist_ok=True)
        shutil.chown("/var/lib/postfix", "postfix", "postfix")
        harness.run("/usr/lib/postfix/configure-instance.sh", "-", ok=False)
        done = harness.run("postfix", "start", ok=False)
        assert done.returncode == 0, done.stderr.decode()

    @staticmethod
    def stop():
        harness.run("postfix", "stop", ok=False)


class exim:
    """A configuration of one file, as in Exim's specification."""

    def __init__(self, world):
        Path("/etc/exim4").mkdir(exist_ok=True)
        Path("/etc/exim4/exim4.conf").write_text(EXIM_CONF)
        for folder in ("/var/spool/exim4", "/var/log/exim4"):
            Path(folder).mkdir(exist_ok=True)
            shutil.chown(folder, "Debian-exim", "Debian-exim")
        os.chmod("/usr/sbin/exim4", 0o4755)


class heavy:
    """In place of the light Exim."""

    def __init__(self, world):
        os.remove("/usr/sbin/exim4")
        shutil.copy("/usr/lib/exim-heavy/exim4", "/usr/sbin")
        os.chmod("/usr/sbin/exim4", 0o4755)


class smart:
    """The smart host of a provider: TLS from the first octet, and a login."""

    def __init__(self, world):
        place = Path("/run/smart")
        if not place.exists():
            place.mkdir()
            world.authority = Authority(place)
            with open("/etc/ssl/certs/ca-certificates.crt", "a") as known:
                known.write((place / "ca.pem").read_text())
        context = world.authority.issue("smart.example")
        with world.elsewhere():
            self.hop = NextHop(port=465, host=SMART, tls=context, implicit=True,
                               dot=world._take, extensions=(
                                   "PIPELINING", "SIZE 60000000", "8BITMIME",
                                   "AUTH PLAIN LOGIN"))

    def stop(self):
        self.hop.close()
        assert self.hop.faults == [], self.hop.faults


class strict(smart):
    """The same, and the password is wrong."""

    def __init__(self, world):
        super().__init__(world)
        self.hop.answers["auth"] = "535 5.7.8 wrong name or password"


# Of the package's redis.conf what counts here.
REDIS_CONF = """\
port 6379
protected-mode yes
pidfile /run/redis/redis.pid
logfile /var/log/redis/redis-server.log
dir /var/lib/redis
"""


class redis:
    """Its folders and configuration, for a page to add to; not started."""

    def __init__(self, world):
        for folder in ("/etc/redis", "/run/redis", "/var/log/redis",
                       "/var/lib/redis"):
            Path(folder).mkdir(exist_ok=True)
            shutil.chown(folder, "redis", "redis")
        Path("/etc/redis/redis.conf").write_text(REDIS_CONF)


class mailboxes:
    """The mail server on a machine of its own."""

    def __init__(self, world):
        with world.elsewhere():
            self.sink = Sink(25, host="10.0.0.20", dot=world._take)


MAILMAN_CFG = """\
[mailman]
site_owner: postmaster@example.org
layout: here
[paths.here]
var_dir: /var/lib/mailman3
[database]
url: sqlite:////var/lib/mailman3/mailman.db
[dmarc]
resolver_timeout: 1s
"""


class mailman:
    """Mailman with a list, talk@lists.example.org; what it does not need here
    is not started, and what it does looks more often."""

    def __init__(self, world):
        Path("/var/lib/mailman3").mkdir()
        self.config = Path("/etc/mailman3/mailman.cfg")
        self.config.parent.mkdir()
        self.config.write_text(MAILMAN_CFG + "".join(
            f"[runner.{r}]\nsleep_time: 0.1s\n" for r in mailman3.RUNNERS) +
            "".join(f"[runner.{r}]\nstart: no\n" for r in mailman3.OTHERS))
        # without a table for Postfix, while it is made
        making = Path("/run/mailman.cfg")
        making.write_text(self.config.read_text() +
                          "[mta]\nincoming: mailman.mta.null.NullMTA\n")
        lists = {"talk": {"members": ["joe@example.com"]}}
        done = subprocess.run(
            [mailman3.HOME / "bin/python",
             Path(mailman3.__file__).with_name("mailman_lists.py"), making],
            input=json.dumps({"domain": "lists.example.org", "lists": lists}),
            text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        Path("/run/restart-mailman3").write_text(
            f"{mailman3.HOME}/bin/master --no-restart -C {self.config} "
            ">/var/log/mailman3.log 2>&1 &\n"
            "until (exec 3<>/dev/tcp/127.0.0.1/8024) 2>/dev/null\n"
            "do sleep 0.1; done\n")


class mlmmj:
    """A list, as mlmmj-make-ml leaves it."""

    def __init__(self, world):
        kit = mlmmj_kit.Mlmmj.__new__(mlmmj_kit.Mlmmj)
        kit.folder = Path("/var/spool/mlmmj")
        mlmmj_kit.UNPACKED = Path("/")
        kit._make("talk", "lists.example.org", 25,
                  {"members": ["joe@example.com"]})
        for path in kit.folder.rglob("*"):
            shutil.chown(path, "list", "list")
