"""The servers beside hopseal, each as its package leaves it; a page adds its
lines to their files and reloads them."""

import os
import shutil
import subprocess
from pathlib import Path

import harness

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
primary_hostname = mail.example.org
qualify_domain = example.org
domainlist local_domains = example.org
hostlist relay_from_hosts = 127.0.0.1
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
local_interfaces = 127.0.0.1
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
    """A configuration of one file, as in Exim's specification; started."""

    def __init__(self, world):
        Path("/etc/exim4").mkdir(exist_ok=True)
        Path("/etc/exim4/exim4.conf").write_text(EXIM_CONF)
        for folder in ("/var/spool/exim4", "/var/log/exim4"):
            Path(folder).mkdir(exist_ok=True)
            shutil.chown(folder, "Debian-exim", "Debian-exim")
        os.chmod("/usr/sbin/exim4", 0o4755)
