# Real clients and --lazy, each with a stand-in for its model. Needs what clients.bats needs.
# shellcheck disable=SC2034,SC2153,SC2154

: "${MCP_REAP_TEST_PATIENCE:=240}" # a client's start on a loaded machine
load ../helper
load clients

setup() {
	MCP_REAP=$(realpath "${MCP_REAP:-$HERE/../../mcp-reap}")
	FIX=$(realpath "$HERE/../bin")
	MARK=$BASHPID.${EPOCHREALTIME//[!0-9]/}
	cd "$BATS_TEST_TMPDIR" || return
	need node jq
}

teardown() {
	[[ -n ${BATS_TEST_COMPLETED-} ]] || tail -v -n 20 ./*/{status,left,answer,offered,out,err,log,model} 2>/dev/null || :
	kill_marked
}

# started: how often the server was.
started() {
	grep -c ' start$' lazy/log || :
}

# Some clients do not wait for their servers: what of these follows the client's end takes a moment.
kept() {
	grep -qs '"method":"initialize"' lazy/home/.cache/mcp-reap/*.jsonl
}
none_left() {
	local dir
	dir=$(realpath lazy)
	(($(count) == 0))
}

# lazily CLIENT [OPTION]...: two sessions of the same user's. In the first one the server is there when the model is offered
# its tools, in the second one it is not, and the call starts it. What the client prints is the same.
lazily() {
	local WORDS=() WAIT=0
	need_that "$(name "$1")" test -x "$HERE/node_modules/.bin/$(program "$1")"
	session "$1" end lazy "$MCP_REAP" "${@:2}" --
	answered lazy
	! has_model_of "$1" || has ' start$' lazy/offered
	await kept
	mv lazy/out out
	session "$1" end lazy "$MCP_REAP" "${@:2}" --
	answered lazy
	! has_model_of "$1" || [[ -e lazy/offered ]]
	run ! has . lazy/offered
	(($(started) == 1))
	diff out lazy/out
	[[ $(<lazy/status) == 0 ]]
	await none_left
}
has_model_of() {
	local client=$1
	has_model
}

@test "Claude Code: a second session has the tools without a server, and its call is answered" {
	lazily claude -z
}

@test "Codex: a second session has the tools without a server, and its call is answered" {
	lazily codex -z
}

@test "Gemini CLI: a second session has the tools without a server, and its call is answered" {
	lazily gemini -z
}

@test "opencode: a second session has the tools without a server, and its call is answered" {
	lazily opencode -z
}

@test "mcporter: a second session's call is answered" {
	lazily mcporter -z
}

@test "Inspector's CLI: a second session's call is answered" {
	lazily inspector -z
}

@test "Claude Code: the same with --frugal" {
	lazily claude -f
}

@test "Codex: the same with --frugal" {
	lazily codex -f
}
