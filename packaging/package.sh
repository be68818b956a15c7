#!/bin/bash
# Makes the packages: bin/packages/*.deb, *.rpm and *.apk. make package runs it in the project's
# directory, with
#
#	VERSION             such as 1.2.0, 1.2.0~rc1 or 1.2.0+5.g0a1b2c3
#	GOARCH              what the programs are for
#	LDFLAGS             for the linker, such as those that stamp the version
#	NFPM                the Go package of nfpm, with its version
#	SOURCE_DATE_EPOCH   the time of everything in the packages, in seconds
#
# The same sources make the same packages, byte for byte.
set -euo pipefail
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH GOARCH
umask 022

[[ $VERSION =~ ^[0-9]+(\.[0-9]+)*(~(alpha|beta|rc)[0-9]*)?(\+[A-Za-z0-9.]+)?$ ]] || {
	echo "package: VERSION $VERSION is none that .deb, .rpm and .apk have in common: it must look like 1.2.0, 1.2.0~rc1 or 1.2.0+5.g0a1b2c3" >&2
	exit 1
}
export MAINTAINER='processmanager maintainers <freeflowuniverse@users.noreply.github.com>'

stage=$PWD/bin/package out=${OUT:-$PWD/bin/packages}
rm -rf "$stage"
mkdir -p "$stage" "$out"
rm -f "$out"/processmanager[_-]*.{deb,rpm,apk}
cp -r packaging/{deb,rpm,apk,shared,user,prometheus,description,nfpm.yaml,*.service,*.socket,*.conf,*.sample} LICENSE "$stage"

CGO_ENABLED=0 go build -trimpath -ldflags "-s -w ${LDFLAGS-}" -o "$stage/bin/" ./cmd/processmanager ./cmd/pmclient

GOARCH= go run ./packaging/man "$stage" # and completions
gzip -9n "$stage"/man/*

# The number in the store that the programs write.
format=$(sed -n 's/^const format = "\([0-9]*\)"$/\1/p' supervisor/store/buckets.go)
[ -n "$format" ] || { echo 'package: supervisor/store/buckets.go names no format' >&2; exit 1; }
echo "$format" >"$stage/store-format"

# A script is one file in a package: what several of them share is put into each.
for script in "$stage"/{deb/{pre,post}{inst,rm},rpm/*,apk/*}; do
	awk -v shared="$stage/shared/" -v format="$format" '
		/^#INCLUDE / { file = shared substr($2, 1, length($2) - 1); while ((getline line < file) > 0) print_line(line); print ""; next }
		{ print_line($0) }
		function print_line(line) { gsub(/@FORMAT@/, format, line); print line }
	' "$script" >"$script.whole"
	mv "$script.whole" "$script"
	chmod 755 "$script"
done

# The licences of all that the programs are linked with.
{
	printf 'The Go runtime and standard library, %s\n\n' "$(go env GOVERSION)"
	cat "$(go env GOROOT)/LICENSE"
	go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/processmanager ./cmd/pmclient | sort -u |
		while read -r path version dir; do
			printf '\n\n%s %s\n\n' "$path" "$version"
			for file in "$dir"/{LICENSE,NOTICE}*; do
				[ ! -e "$file" ] || cat "$file"
			done
		done
} | gzip -9n >"$stage/third-party-licenses.gz"

cat <<END | gzip -9n >"$stage/changelog.Debian.gz"
processmanager ($VERSION-1) unstable; urgency=medium

  * Release $VERSION.

 -- $MAINTAINER  $(date -R -d "@$SOURCE_DATE_EPOCH")
END

find "$stage" -exec touch -d "@$SOURCE_DATE_EPOCH" {} + # scripts of .apk have their file's time
for packager in deb rpm apk; do
	PACKAGE_VERSION=$VERSION
	DESCRIPTION=$(cat packaging/description)
	if [ $packager = apk ]; then # of what is behind a + it can say a number, and it has lines only
		PACKAGE_VERSION=${VERSION%%+*} PACKAGE_VERSION=${PACKAGE_VERSION/\~/_}
		[[ ! $VERSION =~ \+([0-9]+) ]] || PACKAGE_VERSION+=_p${BASH_REMATCH[1]}
		DESCRIPTION=${DESCRIPTION%%$'\n'*}
	fi
	export PACKAGE_VERSION DESCRIPTION
	(cd "$stage" && PACKAGE_ARCH=$GOARCH GOARCH= go run "$NFPM" package -f nfpm.yaml -p $packager -t "$out/")
done
for packager in deb rpm; do
	cp "$out"/*.$packager "$stage/processmanager.$packager" # a name that tests know
done
