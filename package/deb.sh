#!/bin/sh
# deb.sh   makes the Debian packages of a build: $B/deb/*.deb
#   B        build directory with the programs
#   RELEASE  the Debian revision (1)
# What comes from no clock: two builds of one tree give the same octets, with
# SOURCE_DATE_EPOCH or the time of the last commit.
set -eu
cd "$(dirname "$0")/.."
B=${B:-build}
case $B in /*) ;; *) B=$PWD/$B ;; esac
umask 022
export LC_ALL=C.UTF-8
version=$(sed -n 's/.*HOPSEAL_VERSION "\(.*\)"/\1/p' base/version.h)-${RELEASE:-1}
arch=$(dpkg --print-architecture)
multiarch=$(${CC:-gcc} -print-multiarch)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
out=$B/deb
rm -rf "$out"
mkdir -p "$out"
lib=usr/lib/$multiarch
make --no-print-directory -s install B="$B" DESTDIR="$out/all" PREFIX=/usr \
    LIBDIR="/$lib"

move() { # package, path...
	to=$out/$1
	shift
	for path; do
		mkdir -p "$to/$(dirname "$path")"
		mv "$out/all/$path" "$to/$path"
	done
}
move libdkim2-0 "$lib/libdkim2.so.0"
move libdkim2-dev "$lib/libdkim2.a" "$lib/libdkim2.so" "$lib/pkgconfig" \
    usr/include usr/share/man/man3
move hopseal usr/bin usr/sbin usr/lib/sysusers.d usr/lib/tmpfiles.d \
    usr/share/man usr/share/doc
move hopseal usr/lib/systemd
# Where debhelper of this Debian has units.
mkdir -p "$out/hopseal/lib"
mv "$out/hopseal/usr/lib/systemd" "$out/hopseal/lib/systemd"
left=$(find "$out/all" ! -type d)
[ -z "$left" ] || { echo "deb.sh: in no package: $left" >&2; exit 1; }

strip --remove-section=.comment --remove-section=.note \
    "$out/hopseal/usr/bin/hopseal" "$out/hopseal/usr/sbin/hopseald"
strip --strip-unneeded --remove-section=.comment --remove-section=.note \
    "$out/libdkim2-0/$lib/libdkim2.so.0"
strip --strip-debug "$out/libdkim2-dev/$lib/libdkim2.a"

# What the dynamic linker wants, as packages with versions.
needs() { # files...
	mkdir -p "$out/shlibs/debian"
	printf 'Source: hopseal\n\nPackage: hopseal\nArchitecture: any\n' \
	    >"$out/shlibs/debian/control"
	(cd "$out/shlibs" && dpkg-shlibdeps -O "$@" 2>/dev/null) |
	    sed -n 's/^shlibs:Depends=//p'
}

size() { # package
	du -k -s --apparent-size "$out/$1" | cut -f1
}

control() { # package, section, depends, description...
	doc=$out/$1/usr/share/doc/$1
	mkdir -p "$out/$1/DEBIAN" "$doc"
	sed "s/@PACKAGE@/$1/" package/copyright >"$doc/copyright"
	{
		printf 'hopseal (%s) unstable; urgency=medium\n\n' "$version"
		printf '  * The release of this version.\n\n'
		printf ' -- hopseal authors <postmaster@hopseal.invalid>  %s\n' \
		    "$(date -u -R -d "@$SOURCE_DATE_EPOCH")"
	} | gzip -9n >"$doc/changelog.Debian.gz"
	find "$out/$1" -path '*/share/man/*' -type f -exec gzip -9n {} +
	cat >"$out/$1/DEBIAN/control" <<-END
	Package: $1
	Source: hopseal
	Version: $version
	Architecture: $arch
	Maintainer: hopseal authors <postmaster@hopseal.invalid>
	Installed-Size: $(size "$1")
	Depends: $3
	Section: $2
	Priority: optional
	Description: $4
	END
	(cd "$out/$1" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' |
	    sort -z | xargs -0 md5sum) >"$out/$1/DEBIAN/md5sums"
	find "$out/$1" -newermt "@$SOURCE_DATE_EPOCH" -exec \
	    touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	dpkg-deb --root-owner-group -Zxz --build "$out/$1" "$out" >/dev/null
}

for script in postinst prerm postrm; do
	install -D -m 755 "package/$script" "$out/hopseal/DEBIAN/$script"
done
control hopseal mail "adduser, $(needs "$out/hopseal/usr/bin/hopseal" \
    "$out/hopseal/usr/sbin/hopseald")" 'DKIM2 relay hop
 hopseald stands in front of or behind a mail server that knows nothing of
 DKIM2. It takes messages over SMTP, verifies the chain of signatures that each
 arrived with, adds its own link and hands the message on.
 .
 It does nothing until there is /etc/hopseal/hopseal.yaml; examples stand in
 /usr/share/doc/hopseal/examples.'
echo 'libdkim2 0 libdkim2-0' >"$out/shlibs.libdkim2"
mkdir -p "$out/libdkim2-0/DEBIAN"
mv "$out/shlibs.libdkim2" "$out/libdkim2-0/DEBIAN/shlibs"
echo 'activate-noawait ldconfig' >"$out/libdkim2-0/DEBIAN/triggers"
control libdkim2-0 libs "$(needs "$out/libdkim2-0/$lib/libdkim2.so.0")" \
    'library that verifies and extends DKIM2 chains
 It does no input or output, looks nothing up and knows no clock: octets, the
 time and key records go in; verdicts and header fields come out.'
control libdkim2-dev libdevel \
    "libdkim2-0 (= $version), libssl-dev, libsodium-dev" \
    'library that verifies and extends DKIM2 chains - development files
 Headers, the static library, the pkg-config file and the manual page.'
rm -rf "$out/all" "$out/shlibs"
for package in hopseal libdkim2-0 libdkim2-dev; do
	rm -rf "${out:?}/$package"
done
ls "$out"/*.deb
