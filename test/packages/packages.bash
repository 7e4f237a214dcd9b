# What the tests of the packages have in common.
# shellcheck shell=bash disable=SC2034

ROOT=$(realpath "$BATS_TEST_DIRNAME/../..")
VERSION=$(sed -n 's/^#define VERSION "\(.*\)"/\1/p' "$ROOT/src/base/options.h")
NAME=mcp-reap-$VERSION
TARBALL=$ROOT/dist/$NAME.tar.gz

# The parts of the suite that run where all of it has been run already: with a binary that was made in another way, and
# with one that was not.
FEW=${SUITE-test/cli.bats test/signals.bats}
FEWER=${SUITE-test/cli.bats}

# unbats COMMAND...: as it would be without bats and make around it. A suite inside of it may skip tests: what it cannot
# have as a part of a package's build, it has elsewhere.
unbats() {
	local name unset=(-u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u SOURCE_DATE_EPOCH
		-u MCP_REAP -u MCP_REAP_TEST_STRICT -u MCP_REAP_TEST_PATIENCE)
	while read -r name; do
		unset+=(-u "$name")
	done < <(compgen -e BATS_)
	# In front of PATH there is another bats, which is not for us.
	env "${unset[@]}" "PATH=${PATH//$BATS_LIBEXEC:/}" "$@" 3>&-
}
