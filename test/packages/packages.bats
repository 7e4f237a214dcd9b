#!/usr/bin/env bats
# Packages: each is built from the tarball alone, installed beside the system, used by a real client for a real server
# that npx starts, and removed. In the order of this file: what is built first is used later.
#
# The suite is a part of these builds: the .deb's runs all of it, as a user who is not root, the others a few of its
# files, unless SUITE says what.

# shellcheck disable=SC2016 # what is quoted is for another shell
# shellcheck disable=SC2153,SC2154
load ../interop/interop
load packages

# BUILD has the unpacked tarballs, one for each kind of package. Another user can get there.
setup_file() {
	BUILD=$(mktemp -d)
	export BUILD
	chmod 755 "$BUILD"
	fill_cache @modelcontextprotocol/server-everything
}
teardown_file() {
	rm -rf "$BUILD"
}

# unpack KIND: what came out of the tarball is BUILD/KIND/NAME.
unpack() {
	mkdir -p "$BUILD/$1"
	tar -C "$BUILD/$1" -xzf "$TARBALL"
}

# build KIND ARG...: make there, as it would be without this suite around it, by AS. It may skip tests: what it
# cannot have as a part of a build, it has elsewhere.
build() {
	unbats "${AS[@]}" make -C "$BUILD/$1/$NAME" "${@:2}" 8>&-
}
AS=()

# same FILE FILE: the same bits.
same() {
	[[ -s $1 ]]
	cmp "$1" "$2"
}

# left_in DIR: what there is of files; what the packagers' databases keep aside.
left_in() {
	find "$1" -path "$1/var" -prune -o ! -type d -print
}

# main_job DIR BINARY: a real client starts `mcp-reap`, which is in DIR, in front of a real server; what it has started
# is BINARY itself, with nothing in between. The client is killed, and nothing is left.
main_job() {
	local pid
	use everything npx
	PATH=$1:$PATH client one connect list "$CALL" wait -- mcp-reap -- "${COMMAND[@]}"
	await waiting_or_dead one
	pid=$(jq -r 'select(.event == "connected").pid' one.out)
	[[ $(children "${CLIENTS[one]}") == "$pid" ]]
	[[ $(readlink "/proc/$pid/exe") == "$(realpath "$2")" ]]
	[[ $(<"/proc/$(children "$pid")/comm") == mcp-reap-reaper ]]
	kill_client
	reported tools
	answered everything
	nothing_left
	quiet
}

# The tarball.

@test "the tarball has the same bits when it is made again, in another place, at another time, by another user" {
	unpack again
	cd "$BUILD/again/$NAME"
	find . ! -name NEWS.md -exec touch -d 2001-01-01 {} +
	umask 077
	chmod -R g-w,o= .
	TZ=Asia/Tokyo LC_ALL=C.UTF-8 unbats make dist
	same "$TARBALL" "dist/$NAME.tar.gz"
}

@test "the tarball builds, passes tests, installs, uninstalls, and leaves nothing" {
	SUITE=$FEWER unbats "$ROOT/test/distcheck" "$TARBALL"
}

@test "every recipe has the version of mcp-reap.c, and NEWS.md begins with it" {
	cd "$ROOT/packaging"
	[[ $(sed -n '1s/^mcp-reap (\(.*\)-[0-9]*).*/\1/p' debian/changelog) == "$VERSION" ]]
	[[ $(sed -n 's/^Version: *//p' mcp-reap.spec) == "$VERSION" ]]
	[[ $(sed -n '/^%changelog/,$s/^\* .* - \(.*\)-1/\1/p' mcp-reap.spec | head -n 1) == "$VERSION" ]]
	[[ $(sed -n 's/^pkgver=//p' alpine/APKBUILD) == "$VERSION" ]]
	[[ $(sed -n 's/^pkgver=//p' arch/PKGBUILD) == "$VERSION" ]]
	[[ $(sed -n 's/^ *version = "\(.*\)";/\1/p' nix/package.nix) == "$VERSION" ]]
	[[ $(sed -n 's/^## \([^ ]*\) .*/\1/p' ../NEWS.md | head -n 1) == "$VERSION" ]]
}

# Static binaries.

@test "a static binary for x86_64 needs no other file, and passes tests" {
	need x86_64-linux-musl-gcc readelf
	need_that x86_64 test "$(uname -m)" = x86_64
	unpack static
	build static static-x86_64
	STATIC=$BUILD/static/$NAME/dist/$NAME-linux-x86_64
	run ! grep -e INTERP -e DYNAMIC <(readelf -lW "$STATIC")
	SUITE=$FEW build static check MCP_REAP="$STATIC"
}

@test "a static binary for aarch64 needs no other file" {
	need aarch64-linux-musl-gcc readelf
	unpack static
	build static static-aarch64
	STATIC=$BUILD/static/$NAME/dist/$NAME-linux-aarch64
	readelf -h "$STATIC" | grep -q 'Machine: *AArch64'
	run ! grep -e INTERP -e DYNAMIC <(readelf -lW "$STATIC")
}

@test "a static binary for aarch64 runs under qemu's user emulation, as far as that goes" {
	need aarch64-linux-musl-gcc qemu-aarch64
	STATIC=$BUILD/static/$NAME/dist/$NAME-linux-aarch64
	run -0 qemu-aarch64 "$STATIC" --version
	[[ $output == "mcp-reap $VERSION" ]]
	# The emulator has no PR_SET_CHILD_SUBREAPER; one that has it relays.
	run qemu-aarch64 "$STATIC" -- cat <<<hello
	[[ $status == 0 && $output == hello || $status == 125 && $output == 'mcp-reap: subreaper: Invalid argument' ]]
}

# MACHINE has what a machine is made of, for aarch64: a kernel, vmlinuz, and a static busybox.
@test "a static binary for aarch64 keeps the promise on a machine of its own" {
	local fixture
	need aarch64-linux-musl-gcc qemu-system-aarch64 cpio
	need_that 'kernel and busybox for aarch64' test -f "${MACHINE-}/vmlinuz" -a -f "${MACHINE-}/busybox"
	mkdir -p root/{bin,dev,proc,tmp}
	install -m 755 "$BUILD/static/$NAME/dist/$NAME-linux-aarch64" root/bin/mcp-reap
	install -m 755 "$BATS_TEST_DIRNAME/aarch64-init" root/init
	install -m 755 "$MACHINE/busybox" root/bin
	ln -s busybox root/bin/sh
	for fixture in client server stream; do
		aarch64-linux-musl-gcc -std=gnu11 -O1 -static -pthread -o "root/bin/$fixture" "$ROOT/test/fixtures/$fixture.c"
	done
	(cd root && find . | cpio --quiet -o -H newc) >initrd
	timeout 120 qemu-system-aarch64 -M virt -cpu cortex-a57 -m 512 -smp 2 -nic none -nographic -no-reboot \
		-kernel "$MACHINE/vmlinuz" -initrd initrd -append 'console=ttyAMA0 quiet panic=-1' </dev/null >screen 2>&1 || :
	cat screen
	[[ $(grep -c '^ok ' screen) == 7 ]]
	grep -q '^that is all' screen
	run ! grep '^not ok' screen
}

# Debian.

@test "the .deb is built by a user who is not root, and passes the suite" {
	need dpkg-buildpackage dh
	unpack deb
	if ((EUID == 0)); then
		need setpriv
		AS=(setpriv --reuid=65534 --regid=65534 --clear-groups)
		chown -R 65534:65534 "$BUILD/deb"
	fi
	mkdir -m 777 "$BUILD/tmp"
	HOME=/nonexistent TMPDIR=$BUILD/tmp DEB_BUILD_OPTIONS=parallel=4 build deb deb >"$BUILD/deb.log" 2>&1 || {
		grep -A 30 '^not ok' "$BUILD/deb.log" || tail -n 50 "$BUILD/deb.log"
		false
	}
	sed -n 's/^ok [0-9]* \(.* # skip .*\)/# in the build: \1/p' "$BUILD/deb.log" >&3
	grep -q '^ok 1 ' "$BUILD/deb.log"
	[[ -s $(echo "$BUILD/deb/$NAME"/dist/deb/mcp-reap_*.deb) ]]
}

@test "the .deb and its source have the same bits when they are built again, in another place, by another user" {
	local file count=0
	need dpkg-buildpackage dh
	unpack another/place
	umask 027
	DEB_BUILD_OPTIONS='nocheck parallel=1' TZ=Asia/Tokyo LC_ALL=C.UTF-8 build another/place deb
	for file in "$BUILD/deb/$NAME"/dist/deb/*.{deb,dsc,tar.*}; do
		same "$file" "$BUILD/another/place/$NAME/dist/deb/${file##*/}"
		((count += 1))
	done
	((count == 5)) # the package, its symbols, and the three of the source
}

@test "the .deb is hardened" {
	local binary=$BUILD/deb/unpacked/usr/bin/mcp-reap
	need blhc readelf
	blhc --bindnow "$BUILD/deb.log"
	dpkg-deb -x "$BUILD/deb/$NAME/dist/deb"/mcp-reap_*.deb "$BUILD/deb/unpacked"
	readelf -h "$binary" | grep -q 'Type: *DYN'
	readelf -dW "$binary" | grep -q 'FLAGS_1.*NOW.*PIE'
	readelf -lW "$binary" | grep -q GNU_RELRO
	readelf -sW "$binary" | grep -q __stack_chk_fail
	readelf -sW "$binary" | grep -q '__[a-z]*_chk'
}

@test "lintian has nothing to say about the .deb" {
	need lintian
	# What policy is today's, Debian 13's lintian knows, which .ci/run asks.
	run -0 lintian --allow-root --pedantic --display-info --suppress-tags newer-standards-version --fail-on error,warning,info,pedantic \
		"$BUILD/deb/$NAME"/dist/deb/*.changes
	run ! grep '^[EWIPX]:' <<<"$output"
}

@test "the .deb installs, passes tests as installed, does the main job, and leaves nothing when it is removed" {
	local root=$BUILD/debian tool
	need dpkg
	mkdir -p "$root/var/lib/dpkg"/{info,updates} "$root/tmp"
	: >"$root/var/lib/dpkg/status"
	tool=(dpkg --root="$root" --log=/dev/null --force-depends --force-not-root)
	"${tool[@]}" -i "$BUILD/deb/$NAME"/dist/deb/mcp-reap_*.deb
	man -l "$root/usr/share/man/man1/mcp-reap.1.gz" | grep -q 'leave nothing'
	cd "$BUILD/deb/$NAME/dist/deb/$NAME"
	AUTOPKGTEST_TMP=$(mktemp -d "$BUILD/XXXXXX") PATH=$root/usr/bin:$PATH SUITE=$FEW \
		unbats sh debian/tests/as-installed
	cd "$BATS_TEST_TMPDIR"
	main_job "$root/usr/bin" "$root/usr/bin/mcp-reap"
	"${tool[@]}" -P mcp-reap
	[[ -z $(left_in "$root") ]]
}

# RPM.

@test "the .rpm is built, and passes tests" {
	need rpmbuild
	unpack rpm
	SUITE=$FEWER build rpm rpm RPMFLAGS=--nodeps
	[[ -s $(echo "$BUILD/rpm/$NAME"/dist/rpm/RPMS/*/"$NAME"-*.rpm) ]]
}

@test "rpmlint has nothing to say about the .rpm, its source and the spec" {
	need rpmlint
	run -0 rpmlint -c "$BATS_TEST_DIRNAME/rpmlint.toml" "$ROOT/packaging/mcp-reap.spec" \
		"$BUILD/rpm/$NAME"/dist/rpm/{SRPMS,RPMS/*}/*.rpm
	[[ $output == *' 0 errors, 0 warnings'* ]]
}

@test "the .rpm installs, does the main job, and leaves nothing when it is removed" {
	local root=$BUILD/redhat
	need rpm
	mkdir "$root"
	rpm --root "$root" --dbpath /var/lib/rpm -i --nodeps "$BUILD/rpm/$NAME"/dist/rpm/RPMS/*/*.rpm
	rpm --root "$root" --dbpath /var/lib/rpm -V --nodeps mcp-reap
	main_job "$root/usr/bin" "$root/usr/bin/mcp-reap"
	rpm --root "$root" --dbpath /var/lib/rpm -e mcp-reap
	[[ -z $(left_in "$root") ]]
}

# npm.

@test "the npm package has the same bits when it is made again" {
	need npm x86_64-linux-musl-gcc aarch64-linux-musl-gcc
	unpack npm
	build npm npm-pack
	mv "$BUILD/npm/$NAME/dist/$NAME.tgz" "$BUILD/npm"
	unpack another/npm
	umask 027
	build another/npm npm-pack
	same "$BUILD/npm/$NAME.tgz" "$BUILD/another/npm/$NAME/dist/$NAME.tgz"
}

@test "the npm package installs, does the main job without a process of its own, and leaves nothing when it is removed" {
	local root=$BUILD/prefix
	need npm
	npm install -g --ignore-scripts --prefix "$root" "$BUILD/npm/$NAME.tgz"
	main_job "$root/bin" "$root/lib/node_modules/mcp-reap/$(uname -m)/mcp-reap"
	[[ -e $root/share/man/man1/mcp-reap.1 ]]
	npm uninstall -g --prefix "$root" mcp-reap
	[[ -z $(left_in "$root") ]]
}

@test "the npm package says so where it has no binary" {
	need npm
	npm install -g --prefix "$BUILD/prefix2" "$BUILD/npm/$NAME.tgz"
	mkdir bin
	printf '#!/bin/sh\necho riscv64\n' >bin/uname
	chmod +x bin/uname
	PATH=$PWD/bin:$PATH run -125 "$BUILD/prefix2/bin/mcp-reap" -- true
	[[ $output == 'mcp-reap: riscv64: '* ]]
}
