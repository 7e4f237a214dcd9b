#!/usr/bin/env bats
# The recipes for distributions whose tools are not here: the steps they take, without the tools that take them.

# shellcheck disable=SC2016 # what is quoted is for another shell
# shellcheck disable=SC2153
load ../helper
load packages

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	tar -xzf "$TARBALL"
}
teardown() {
	:
}

# packaged: the files in pkg.
packaged() {
	(cd pkg && find . ! -type d | LC_ALL=C sort)
}

# with_busybox COMMAND...: with busybox for every tool that it has, sh among them. What it has not is the system's.
with_busybox() {
	local applet
	mkdir -p busybox
	for applet in $(busybox --list); do
		ln -sf "$(command -v busybox)" "busybox/$applet"
	done
	PATH=$PWD/busybox:$PATH "$@"
}

@test "the APKBUILD's steps succeed with musl's gcc, and with busybox for shell and tools" {
	need busybox musl-gcc shellcheck
	shellcheck -s sh -e SC2034,SC2154 "$ROOT/packaging/alpine/APKBUILD"
	# The fixtures want the kernel's headers, which musl's gcc does not look for on Debian.
	SUITE=$FEW with_busybox unbats sh -ec 'pkgdir=$PWD/pkg
		. "$1"
		cd "$2"
		make() { command make SHELL="$(command -v sh)" "$@"; }
		CC=musl-gcc; export CC
		build
		CC="musl-gcc -idirafter /usr/include -idirafter /usr/include/$(uname -m)-linux-gnu"
		check
		package' - "$ROOT/packaging/alpine/APKBUILD" "$NAME"
	[[ $(packaged) == $'./usr/bin/mcp-reap\n./usr/share/bash-completion/completions/mcp-reap\n./usr/share/fish/vendor_completions.d/mcp-reap.fish\n./usr/share/man/man1/mcp-reap.1\n./usr/share/zsh/site-functions/_mcp-reap' ]]
	readelf -lW pkg/usr/bin/mcp-reap | grep -q ld-musl
}

@test "the PKGBUILD's steps succeed" {
	need shellcheck
	shellcheck -s bash -e SC2034,SC2154,SC2164 "$ROOT/packaging/arch/PKGBUILD"
	SUITE=$FEWER unbats bash -ec 'pkgdir=$PWD/pkg srcdir=$PWD
		. "$1"
		for step in build check package; do
			(cd "$srcdir" && "$step")
		done' - "$ROOT/packaging/arch/PKGBUILD"
	[[ $(packaged) == $'./usr/bin/mcp-reap\n./usr/share/bash-completion/completions/mcp-reap\n./usr/share/fish/vendor_completions.d/mcp-reap.fish\n./usr/share/licenses/mcp-reap/LICENSE\n./usr/share/man/man1/mcp-reap.1\n./usr/share/zsh/site-functions/_mcp-reap' ]]
}

@test "package.nix evaluates to a package that runs the suite" {
	need nix-instantiate
	HOME=$PWD NIX_STATE_DIR=$PWD/nix/var NIX_STORE_DIR=$PWD/nix/store run -0 --separate-stderr nix-instantiate --readonly-mode --eval --strict -E '
		let
		  package = import '"$ROOT"'/packaging/nix/package.nix {
		    lib = { fakeHash = "none"; licenses.mit = "MIT"; platforms.linux = [ "x86_64-linux" ]; };
		    stdenv.mkDerivation = f: let self = f self; in self;
		    fetchurl = args: args.url;
		    bats = "bats";
		    jq = "jq";
		    nodejs = "nodejs";
		    parallel = "parallel";
		    util-linux = "util-linux";
		  };
		in "${package.pname} ${package.version} ${toString package.doCheck} ${package.meta.mainProgram} ${package.src}"'
	echo "$output"
	[[ $output == "\"mcp-reap $VERSION 1 mcp-reap "*"/$NAME.tar.gz\"" ]]
}
