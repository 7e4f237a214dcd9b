#!/usr/bin/env bats
# --lazy, --restart and --idle-stop=auto with real clients and servers.
# shellcheck disable=SC2016,SC2030,SC2031,SC2153,SC2154 # each test is a subshell; helper.bash sets variables

load interop

setup_file() {
	fill_cache "${SERVERS[@]}"
}

# kept: what the session has been told is in the cache.
kept() {
	cat cache/mcp-reap/*.jsonl 2>/dev/null | grep -q '"method":"tools/list"'
}

# digests NAME: of what the client saw of its server, and of its tools.
digests() {
	jq -r 'select(.event == "connected" or .event == "tools").digest' "$1.out"
}

# server: the pid of the latest one.
server() {
	sed -n 's/^mcp-reap.*: server pid=//p' err | tail -n 1
}

# has_stopped: how often a server was.
has_stopped() {
	grep -c '^mcp-reap.*: idle-stop ' err
}

kept_or_dead() {
	kept || gone "${CLIENTS[first]}"
}

# first [OPTION]... -- COMMAND...: the first session, with the client's OPTIONs, after which its opening is kept.
first() {
	local options=()
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	client first "${options[@]}" connect list gate:go close -- "$MCP_REAP" "${LAZY[@]}" "$@"
	await kept_or_dead
	: >go
	succeeds first
	rm go
}

# lazily SERVER direct|npx [OPTION]...: the first session lists the tools, the second one without a process of the server,
# which the first call starts. What the client sees is what it sees without mcp-reap.
lazily() {
	local server=$1 how=$2 LAZY=(-v -z)
	shift 2
	use "$server" "$how"
	client bare "$@" connect list close -- "${COMMAND[@]}"
	succeeds bare
	first "$@" -- "${COMMAND[@]}"
	: >err
	client one "$@" connect list alone list alone "$CALL" list close -- "$MCP_REAP" "${LAZY[@]}" -- "${COMMAND[@]}"
	succeeds
	answered "$server"
	nothing_left
	diff <(digests bare) <(digests first)
	diff <(digests bare) <(digests one | head -n 2)
	(($(digests one | sort -u | wc -l) == 2))
	(($(grep -c '^mcp-reap.*: server pid=' err) == 1))
	run ! reported error
}

@test "a second session lists the tools of everything without a process, and its first call is answered" {
	lazily everything direct
}

@test "a second session lists the tools of memory without a process, and its first call is answered" {
	lazily memory direct
}

@test "a second session lists the tools of context7 without a process, and its first call is answered" {
	lazily context7 direct
}

@test "a second session lists the tools of everything by npx without a process, and its first call is answered" {
	lazily everything npx
}

@test "a second session lists the tools of memory by npx without a process, and its first call is answered" {
	lazily memory npx
}

@test "a second session lists the tools of context7 by npx without a process, and its first call is answered" {
	lazily context7 npx
}

@test "version 2 of the SDK: a second session with everything is lazy" {
	lazily everything direct --sdk=2
}

@test "version 2 of the SDK: a second session with memory is lazy" {
	lazily memory direct --sdk=2
}

@test "version 2 of the SDK: a second session with context7 is lazy" {
	lazily context7 direct --sdk=2
}

@test "version 2 of the SDK with its sibling: a second session with everything is lazy" {
	lazily everything direct --sdk=2 --auto
}

@test "version 2 of the SDK with its sibling: a second session with memory is lazy" {
	lazily memory direct --sdk=2 --auto
}

@test "version 2 of the SDK with its sibling and no handshake: a second session with context7 is lazy" {
	lazily context7 direct --sdk=2 --auto
}

@test "a client that lists again what has changed: everything is lazy, and its tools are as bare" {
	lazily everything direct --changes
}

# growing [OPTION]...: with a server of version 2 of the SDK, which says of itself that its tools change.
growing() {
	local LAZY=(-v -z) server=(node "$HERE/server.mjs")
	first --changes "$@" -- "${server[@]}"
	: >err
	client one --changes "$@" connect list alone call:pid:{} call:grow:{} changed gate:gone call:pid:{} list close -- \
		"$MCP_REAP" "${LAZY[@]}" -- "${server[@]}"
	await reported changed
	await has '"method":"tools/list".*grown' cache/mcp-reap/*.jsonl
	: >gone
	succeeds
	(($(grep -c '"event":"tools".*grown' one.out) == 1))
	run ! reported error
	: >err
	client two --changes "$@" connect list alone call:pid:{} changed list close -- "$MCP_REAP" "${LAZY[@]}" -- "${server[@]}"
	succeeds two
	nothing_left
	(($(grep -c '"event":"tools".*grown' two.out) == 1)) # as it was last time; it is a new one that says less
	(($(grep -c '^mcp-reap.*: server pid=' err) == 1))
}

@test "tools that change are heard of, and listed next time" {
	growing
}

@test "version 2 of the SDK: tools that change are heard of, and listed next time" {
	growing --sdk=2
}

@test "version 2 of the SDK, which listens for changes by itself: tools that change are heard of, and listed next time" {
	growing --sdk=2 --auto
}

# --restart

# killed [OPTION]...: a server that is killed between two calls, and one that is killed within one.
killed() {
	local pid
	use everything direct
	client one "$@" connect list "$CALL" gate:killed "$CALL" \
		'send:trigger-long-running-operation:{"duration":60,"steps":2}' gate:killed-again "$CALL" close -- \
		"$MCP_REAP" -v -r -- "${COMMAND[@]}"
	await reported echoed
	pid=$(server)
	kill -KILL "$pid"
	await has 'server-died .*deaths=1' err
	: >killed
	await eval '(($(grep -c "\"event\":\"echoed\"" one.out) == 2))'
	[[ $(server) != "$pid" ]]
	sleep 1 # the call is on its way
	kill -SEGV "$(server)"
	await reported unanswered
	: >killed-again
	succeeds
	(($(grep -c '"event":"echoed".*"same":true' one.out) == 3))
	has '"event":"unanswered".*killed by signal \(SIG\)\?SEGV' one.out
	nothing_left
}

@test "a server that is killed between calls and within one: that call fails, the next ones are answered" {
	killed
}

@test "version 2 of the SDK: a server that is killed between calls and within one" {
	killed --sdk=2
}

@test "what memory was told before it was killed it still knows" {
	use memory direct
	client one connect "$CALL" gate:killed 'call:read_graph:{}' close -- "$MCP_REAP" -v -r -- "${COMMAND[@]}"
	await reported called
	kill -KILL "$(server)"
	await has 'server-died' err
	: >killed
	succeeds
	has '"name":"read_graph".*seen' one.out
	nothing_left
}

# --idle-stop=auto

# unused SERVER: it is stopped when nobody has used it, and never again after a call.
unused() {
	local pid
	use "$1" direct
	client one connect list asleep list asleep "$CALL" gate:go "$CALL" close -- \
		"$MCP_REAP" -v --idle-stop=auto:1s -- "${COMMAND[@]}"
	await answered "$1"
	pid=$(server)
	sleep 3
	[[ $(server) == "$pid" ]]
	alive "$pid"
	: >go
	succeeds
	(($(has_stopped) == 2))
	nothing_left
}

@test "filesystem is stopped while it is unused, and never after a call" {
	unused filesystem
}

@test "everything is stopped while it is unused, and never after a call" {
	unused everything
}

@test "memory is stopped while it is unused, and never after a call" {
	unused memory
}

@test "sequential-thinking is stopped while it is unused, and never after a call" {
	unused sequential-thinking
}

@test "context7 is stopped while it is unused, and never after a call" {
	unused context7
}

@test "playwright is stopped while it is unused, and never after a call" {
	unused playwright
}

# rooted [OPTION]...: filesystem, which has its directories from the client's roots alone, has them after each stop.
rooted() {
	use filesystem direct
	client one --roots="$PWD" "$@" connect list gate:go "$CALL" asleep "$CALL" asleep "$CALL" asleep "$CALL" close -- \
		"$MCP_REAP" -v -i 700ms -- "${COMMAND[0]}"
	# Bare, too, the first call may come before it knows them.
	await has 'Updated allowed directories' err
	: >go
	succeeds
	(($(grep -c 'known text' one.out) == 4))
	run ! has 'Access denied' one.out
	nothing_left
}

@test "filesystem has the client's roots after each stop" {
	rooted
}

@test "version 2 of the SDK: filesystem has the client's roots after each stop" {
	rooted --sdk=2
}

@test "filesystem has the client's roots at a lazy start" {
	local LAZY=(-v -z)
	use filesystem direct
	first --roots="$PWD" -- "${COMMAND[0]}"
	client one --roots="$PWD" connect list alone "$CALL" close -- "$MCP_REAP" "${LAZY[@]}" -- "${COMMAND[0]}"
	succeeds
	answered filesystem
	nothing_left
}

@test "without a network a server by npx comes back after a stop, by the program that npx had started" {
	need_that 'a network namespace' unshare -n true
	use memory npx
	unset npm_config_offline
	echo offline=true >.npmrc
	in_background one unshare -n node "$HERE/client.mjs" connect list asleep gate:go "$CALL" close -- \
		"$MCP_REAP" -v -i 700ms -- "${COMMAND[@]}"
	await reported asleep
	echo offline=false >.npmrc
	: >go
	succeeds
	answered memory
	nothing_left
	has 'idle-start .*program=' err
	[[ $(sed -n 's/.*idle-start seconds=\([0-9]*\).*/\1/p' err) -lt 20 ]]
}

# --frugal

# server_of_npx: the process that npx has started in the end, a node that is neither the client nor npx.
server_of_npx() {
	local pid
	for pid in $(marked); do
		if [[ $pid != "${CLIENTS[one]}" && $(readlink "/proc/$pid/exe") == */node ]]; then
			echo "$pid"
		fi
	done
}

@test "--frugal: a second session by npx is lazy, and without npx from its first call on" {
	local LAZY=(-v -f)
	use context7 npx
	first -- "${COMMAND[@]}"
	: >err
	client one connect list alone "$CALL" gate:go "$CALL" close -- "$MCP_REAP" "${LAZY[@]}" -- "${COMMAND[@]}"
	await has 'launcher-dropped' err
	kill -KILL "$(server_of_npx)"
	await has 'server-died' err
	: >go
	succeeds
	(($(grep -c '"event":"called".*fetch failed' one.out) == 2))
	nothing_left
}
