"""make install and the Debian package. The package is installed into a copy of
this machine's root that is gone afterwards: an overlay in memory, in a mount
namespace of its own."""

import os
import re
import shutil
import subprocess

import pytest

import harness
from conftest import missing

ROOT = harness.ROOT
# The time of the last commit is not to be had where there is no git.
DATE = "SOURCE_DATE_EPOCH=1795000000"

SAN = pytest.mark.skipif(bool(os.environ.get("SAN")),
                         reason="what is installed is never a sanitizer build")

OVERLAY = """
set -e
mount -t tmpfs none "$1"
cd "$1"
mkdir up work root
mount -t overlay overlay -o lowerdir=/,upperdir=up,workdir=work root
mount -t tmpfs none root/run
mount --rbind /dev root/dev
mount -t proc proc root/proc
shift
"""

# Each phase of a package's life; port, first and second package are $1 to $3.
LIFE = r"""
set -eu
port=$1 conf=/etc/hopseal/hopseal.yaml
say() { echo "life: $*"; }
start_and_stop() {	# by the command line of its unit, as its user
	unit=/lib/systemd/system/hopseald.service
	user=$(sed -n 's/^User=//p' $unit)
	: >/log
	setpriv --reuid="$user" --regid="$user" --clear-groups \
	    $(sed -n 's/^ExecStart=//p' $unit) >>/log 2>&1 &
	pid=$!
	n=0
	until grep -q ' ready: ' /log; do
		n=$((n + 1))
		[ $n -lt 600 ] && kill -0 $pid || { cat /log; exit 1; }
		sleep 0.05
	done
	exec 3<>/dev/tcp/127.0.0.1/$port
	read -r line <&3
	exec 3>&-
	[ "${line#220 out.example.org }" != "$line" ] || { say "$line"; exit 1; }
	kill $pid
	wait $pid
}
dpkg -i "$2"
[ ! -e $conf ]
[ "$(stat -c %a:%U:%G /etc/hopseal/keys)" = 750:root:hopseal ]
[ "$(stat -c %a:%U:%G /var/lib/hopseal)" = 700:hopseal:hopseal ]
dpkg -L hopseal >/files
hopseal keygen --keys /etc/hopseal/keys example.org s1 >/dev/null
[ "$(stat -c %a:%U:%G /etc/hopseal/keys/example.org/s1.pem)" = 640:root:hopseal ]
cat >$conf <<END
hostname: out.example.org
keys: keys
listeners:
  out: {role: egress, listen: ["127.0.0.1:$port"], clients: [127.0.0.1],
        delivery: queue, next-hop: "smtp://127.0.0.1:9"}
END
start_and_stop
say started
cp -a /etc/hopseal /kept
dpkg -i "$3"
[ "$(dpkg-query -W -f '${Version}' hopseal)" = "$(dpkg-deb -f "$3" Version)" ]
diff -r /kept /etc/hopseal
start_and_stop
say upgraded
touch /var/lib/hopseal/queue/mail/waits
dpkg -P hopseal 2>&1 | grep 'mail waits'
[ -e /var/lib/hopseal/queue/mail/waits ]
diff -r /kept/keys /etc/hopseal/keys
cmp /kept/hopseal.yaml $conf
say kept mail
dpkg -i "$3"
start_and_stop
rm -r /var/lib/hopseal/queue
rm -r $conf /etc/hopseal/keys/example.org
dpkg -P hopseal
[ ! -e /var/lib/hopseal ]
[ ! -e /etc/hopseal ]
while read -r file; do
	[ -d "$file" ] || [ ! -e "$file" ] || { say "left: $file"; exit 1; }
done </files
say purged
"""


@SAN
def test_all_is_installed_below_destdir(tmp_path):
    harness.make("install", f"DESTDIR={tmp_path}", "PREFIX=/opt/h")
    top = tmp_path / "opt/h"
    found = {str(p.relative_to(top)) for p in top.rglob("*") if p.is_file()}
    for name in ("bin/hopseal", "sbin/hopseald", "lib/libdkim2.so.0",
                 "lib/systemd/system/hopseald.service",
                 "lib/sysusers.d/hopseal.conf", "lib/tmpfiles.d/hopseal.conf",
                 "share/man/man1/hopseal.1", "share/man/man3/libdkim2.3",
                 "share/man/man5/hopseal.yaml.5",
                 "share/man/man5/hopseal-tables.5",
                 "share/man/man8/hopseald.8",
                 "share/doc/hopseal/examples/hopseal.yaml",
                 "share/doc/hopseal/examples/1-inbound.yaml",
                 "share/doc/hopseal/guide/README.md",
                 "share/doc/hopseal/guide/egress.md"):
        assert name in found, name
    assert not [p for p in tmp_path.rglob("*")
                if p.is_file() and top not in p.parents]
    unit = (top / "lib/systemd/system/hopseald.service").read_text()
    assert "/opt/h/sbin/hopseald" in unit and "/usr/sbin" not in unit
    harness.run(top / "bin/hopseal", "--version")


@SAN
@pytest.mark.parametrize("program", [harness.HOPSEALD, harness.HOPSEAL],
                         ids=["hopseald", "hopseal"])
def test_programs_are_hardened(program):
    """P10: where they lie is not known, what is linked can not be changed, and
    what runs over is seen."""
    told = harness.run("readelf", "-W", "-h", "-l", "-d", program).decode()
    assert re.search(r"Type: +DYN", told) and "INTERP" in told
    assert "GNU_RELRO" in told and re.search(r"Flags: .*NOW.*PIE", told)
    stack = re.search(r"GNU_STACK .*", told)[0]
    assert " RW " in stack and "E" not in stack.split("GNU_STACK")[1]
    calls = harness.run("readelf", "-W", "--dyn-syms", program).decode()
    assert "__stack_chk_fail" in calls and re.search(r" __\w+_chk@", calls)


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The packages of two releases, by name."""
    for tool in ("dpkg-deb", "dpkg-shlibdeps"):
        if shutil.which(tool) is None:
            missing(f"{tool} is not installed")
    folder = tmp_path_factory.mktemp("deb")
    releases = []
    for release in ("1", "2"):
        harness.make("deb", f"RELEASE={release}", DATE)
        debs = list((harness.BUILD / "deb").glob("*.deb"))
        releases.append({deb.name.split("_")[0]: shutil.copy(deb, folder)
                         for deb in debs})
        assert set(releases[-1]) == {"hopseal", "libdkim2-0", "libdkim2-dev"}
    return releases


@SAN
def test_a_package_is_the_same_each_time(packages):
    for name in ("hopseal", "libdkim2-0"):
        first = harness.run("dpkg-deb", "--fsys-tarfile", packages[0][name])
        harness.make("deb", "RELEASE=1", DATE)
        again = next((harness.BUILD / "deb").glob(f"{name}_*.deb"))
        assert harness.run("dpkg-deb", "--fsys-tarfile", again) == first


@SAN
def test_the_package_lives(packages, tmp_path):
    if os.geteuid() != 0:
        missing("only root can install a package")
    probe = subprocess.run(["unshare", "-m", "sh", "-c", OVERLAY + "true",
                            "sh", str(tmp_path)],
                           capture_output=True, text=True)
    if probe.returncode != 0:
        # a kernel's word, which no package changes: no failure in CI either
        pytest.skip(f"no overlay can be mounted here: {probe.stderr.strip()}")
    life = "cp \"$2\" \"$3\" root/; cp life root/; " \
        "chroot root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin " \
        "DEBIAN_FRONTEND=noninteractive bash /life \"$1\" " \
        "\"/${2##*/}\" \"/${3##*/}\""
    enter = OVERLAY + f"cat >life <<'LIFE'\n{LIFE}\nLIFE\n" + life
    done = subprocess.run(["unshare", "-m", "sh", "-c", enter, "sh",
                           str(tmp_path), str(harness.free_port()),
                           packages[0]["hopseal"], packages[1]["hopseal"]],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    phases = [line for line in done.stdout.splitlines()
              if line.startswith("life:")]
    assert phases == ["life: started", "life: upgraded", "life: kept mail",
                      "life: purged"]


@SAN
def test_lintian_is_content(packages):
    if shutil.which("lintian") is None:
        if os.environ.get("LONG"):
            missing("lintian is not installed")
        pytest.skip("NOT RUN: lintian is not installed (./bootstrap "
                    "check-long does it: it wants a hundred packages)")
    done = subprocess.run(["lintian", "--fail-on", "error,warning",
                           # it is for no archive that has bugs to close
                           "--suppress-tags", "initial-upload-closes-no-bugs",
                           *packages[0].values()],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
