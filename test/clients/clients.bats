# Real clients, each with a stand-in for its model, bare and behind mcp-reap. Needs jq, and Node with npm for the packages
# of package.json; at run time no network but the loopback.
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
	[[ -n ${BATS_TEST_COMPLETED-} ]] || tail -v -n 20 ./*/{status,left,answer,out,err,log,model} 2>/dev/null || :
	kill_marked
}

# both CLIENT ENDING: the same session bare and behind mcp-reap, at the same time. Fails if either does not come about.
both() {
	need_that "$(name "$1")" test -x "$HERE/node_modules/.bin/$(program "$1")"
	session "$1" "$2" bare 3>&- &
	local bare=$!
	session "$1" "$2" reaped "$MCP_REAP" --
	wait "$bare"
}

# same FILE...: bare and behind mcp-reap.
same() {
	local file
	for file; do
		diff -u "bare/$file" "reaped/$file"
	done
}

# answers CLIENT: a server that has nothing odd about it. What the client is told and prints, and its status, are the same.
answers() {
	WORDS=() WAIT=0
	both "$1" end
	answered bare
	answered reaped
	same status out
	[[ $(<reaped/status) == 0 ]]
}

# leaves_nothing CLIENT ENDING: behind mcp-reap, of a server that is deaf; bare, a client's death leaves it all, which
# shows that it can be seen. The client ends as it does bare, if it does.
leaves_nothing() {
	both "$1" "$2"
	[[ -z ${RESULTS-} ]] || echo "$1 $2 $(<bare/left) $(<bare/status) $(<reaped/left)" >>"$RESULTS"
	[[ $(<reaped/left) == 0 ]]
	[[ $(<reaped/status) != stays ]]
	[[ $(<bare/status) == stays ]] || same status
	[[ $2 != KILL ]] || (($(<bare/left) == 3))
}

@test "Claude Code: a tool's answer, what it prints and its status are the same behind mcp-reap" {
	answers claude
}

@test "Codex: a tool's answer, what it prints and its status are the same behind mcp-reap" {
	answers codex
}

@test "Gemini CLI: a tool's answer, what it prints and its status are the same behind mcp-reap" {
	answers gemini
}

@test "opencode: a tool's answer, what it prints and its status are the same behind mcp-reap" {
	answers opencode
}

@test "mcporter: a tool's answer, what it prints and its status are the same behind mcp-reap" {
	answers mcporter
}

@test "Inspector's CLI: a tool's answer, what it prints and its status are the same behind mcp-reap" {
	answers inspector
}

@test "Claude Code: its own end leaves nothing" {
	leaves_nothing claude end
}

@test "Codex: its own end leaves nothing" {
	leaves_nothing codex end
}

@test "Gemini CLI: its own end leaves nothing" {
	leaves_nothing gemini end
}

@test "opencode: its own end leaves nothing" {
	leaves_nothing opencode end
}

@test "mcporter: its own end leaves nothing" {
	leaves_nothing mcporter end
}

@test "Inspector's CLI: its own end leaves nothing" {
	leaves_nothing inspector end
}

@test "Claude Code: SIGTERM leaves nothing" {
	leaves_nothing claude TERM
}

@test "Codex: SIGTERM leaves nothing" {
	leaves_nothing codex TERM
}

@test "Gemini CLI: SIGTERM leaves nothing" {
	leaves_nothing gemini TERM
}

@test "opencode: SIGTERM leaves nothing" {
	leaves_nothing opencode TERM
}

@test "mcporter: SIGTERM leaves nothing" {
	leaves_nothing mcporter TERM
}

@test "Inspector's CLI: SIGTERM leaves nothing" {
	leaves_nothing inspector TERM
}

@test "Claude Code: SIGINT leaves nothing" {
	leaves_nothing claude INT
}

@test "Codex: SIGINT leaves nothing" {
	leaves_nothing codex INT
}

@test "Gemini CLI: SIGINT leaves nothing" {
	leaves_nothing gemini INT
}

@test "opencode: SIGINT leaves nothing" {
	leaves_nothing opencode INT
}

@test "mcporter: SIGINT leaves nothing" {
	leaves_nothing mcporter INT
}

@test "Inspector's CLI: SIGINT leaves nothing" {
	leaves_nothing inspector INT
}

@test "Claude Code: SIGHUP leaves nothing" {
	leaves_nothing claude HUP
}

@test "Codex: SIGHUP leaves nothing" {
	leaves_nothing codex HUP
}

@test "Gemini CLI: SIGHUP leaves nothing" {
	leaves_nothing gemini HUP
}

@test "opencode: SIGHUP leaves nothing" {
	leaves_nothing opencode HUP
}

@test "mcporter: SIGHUP leaves nothing" {
	leaves_nothing mcporter HUP
}

@test "Inspector's CLI: SIGHUP leaves nothing" {
	leaves_nothing inspector HUP
}

@test "Claude Code: SIGKILL leaves nothing" {
	leaves_nothing claude KILL
}

@test "Codex: SIGKILL leaves nothing" {
	leaves_nothing codex KILL
}

@test "Gemini CLI: SIGKILL leaves nothing" {
	leaves_nothing gemini KILL
}

@test "opencode: SIGKILL leaves nothing" {
	leaves_nothing opencode KILL
}

@test "mcporter: SIGKILL leaves nothing" {
	leaves_nothing mcporter KILL
}

@test "Inspector's CLI: SIGKILL leaves nothing" {
	leaves_nothing inspector KILL
}
