# Real MCP clients and servers behind mcp-reap. Needs Node with npm, jq, the packages of package.json, and a network.
# shellcheck disable=SC2153,SC2154

load interop

setup_file() {
	fill_cache "${SERVERS[@]}"
}

# The suite must be able to see a leak: these run without mcp-reap, with servers that outlive EOF.

@test "without mcp-reap, a client's death leaves the server running" {
	use context7 direct
	with_keepalive timer
	client one connect list wait -- "${KEEPALIVE[@]}" "${COMMAND[@]}"
	kill_client
	await has 'keepalive: end of input, still here' err
	(($(marked | wc -l) == 1))
	kill_marked
	nothing_left
}

@test "without mcp-reap, a client's death leaves npx, sh and the server running" {
	use context7 npx
	with_keepalive timer
	client one connect list wait -- "${KEEPALIVE[@]}" "${COMMAND[@]}"
	kill_client
	await has 'keepalive: end of input, still here' err
	(($(marked | wc -l) == 3))
	kill_marked
	nothing_left
}

@test "without mcp-reap, the SDK's close() leaves a server that npx started and that ignores SIGTERM" {
	use everything npx
	with_keepalive deaf
	client one connect list close exit -- "${KEEPALIVE[@]}" "${COMMAND[@]}"
	succeeds
	(($(marked | wc -l) >= 1))
	kill_marked
	nothing_left
}

# The real TypeScript SDK with servers that end when they should.

@test "context7: list, call and close() leave nothing" {
	session context7 direct close
}

@test "context7: process.exit() of the client leaves nothing" {
	session context7 direct exit
}

@test "context7: SIGKILL of the client leaves nothing" {
	session context7 direct kill
}

@test "context7 by npx: list, call and close() leave nothing" {
	session context7 npx close
}

@test "context7 by npx: process.exit() of the client leaves nothing" {
	session context7 npx exit
}

@test "context7 by npx: SIGKILL of the client leaves nothing" {
	session context7 npx kill
}

@test "everything: list, call and close() leave nothing" {
	session everything direct close
}

@test "everything: process.exit() of the client leaves nothing" {
	session everything direct exit
}

@test "everything: SIGKILL of the client leaves nothing" {
	session everything direct kill
}

@test "everything by npx: list, call and close() leave nothing" {
	session everything npx close
}

@test "everything by npx: process.exit() of the client leaves nothing" {
	session everything npx exit
}

@test "everything by npx: SIGKILL of the client leaves nothing" {
	session everything npx kill
}

@test "memory: list, call and close() leave nothing" {
	session memory direct close
}

@test "memory: process.exit() of the client leaves nothing" {
	session memory direct exit
}

@test "memory: SIGKILL of the client leaves nothing" {
	session memory direct kill
}

@test "memory by npx: list, call and close() leave nothing" {
	session memory npx close
}

@test "memory by npx: process.exit() of the client leaves nothing" {
	session memory npx exit
}

@test "memory by npx: SIGKILL of the client leaves nothing" {
	session memory npx kill
}

@test "filesystem: list, call and close() leave nothing" {
	session filesystem direct close
}

@test "filesystem: process.exit() of the client leaves nothing" {
	session filesystem direct exit
}

@test "filesystem: SIGKILL of the client leaves nothing" {
	session filesystem direct kill
}

@test "filesystem by npx: list, call and close() leave nothing" {
	session filesystem npx close
}

@test "filesystem by npx: process.exit() of the client leaves nothing" {
	session filesystem npx exit
}

@test "filesystem by npx: SIGKILL of the client leaves nothing" {
	session filesystem npx kill
}

# Servers made to outlive EOF; each test has three sessions: close(), process.exit() and SIGKILL of the client.

@test "context7 that outlives EOF: no ending leaves anything" {
	outliving context7 direct timer
}

@test "context7 by npx that outlives EOF: no ending leaves anything" {
	outliving context7 npx timer
}

@test "everything that outlives EOF: no ending leaves anything" {
	outliving everything direct timer
}

@test "everything by npx that outlives EOF: no ending leaves anything" {
	outliving everything npx timer
}

@test "memory that outlives EOF: no ending leaves anything" {
	outliving memory direct timer
}

@test "memory by npx that outlives EOF: no ending leaves anything" {
	outliving memory npx timer
}

@test "filesystem that outlives EOF: no ending leaves anything" {
	outliving filesystem direct timer
}

@test "filesystem by npx that outlives EOF: no ending leaves anything" {
	outliving filesystem npx timer
}

@test "a server that ignores SIGTERM too: no ending leaves anything" {
	outliving context7 direct deaf
}

@test "a server by npx that ignores SIGTERM too: no ending leaves anything" {
	outliving context7 npx deaf
}

# Version 2 of the SDK.

@test "version 2 of the SDK: list, call and close() leave nothing" {
	use everything direct
	client one --sdk=2 connect list "$CALL" close -- "$MCP_REAP" -- "${COMMAND[@]}"
	succeeds
	answered everything
	nothing_left
}

@test "version 2 of the SDK: SIGKILL of the client leaves nothing of a server by npx that ignores SIGTERM" {
	use everything npx
	with_keepalive deaf
	client one --sdk=2 connect list "$CALL" wait -- "${KEEPALIVE[@]}" "$MCP_REAP" -- "${COMMAND[@]}"
	kill_client
	nothing_left
}

@test "version 2 of the SDK: the sibling server that it asks for its protocol leaves nothing, ignoring SIGTERM" {
	use context7 npx
	with_keepalive deaf
	client one --sdk=2 --auto connect list "$CALL" close -- "${KEEPALIVE[@]}" "$MCP_REAP" -- "${COMMAND[@]}"
	succeeds
	answered context7
	nothing_left
}

# Other clients' ways to end a session, with servers by npx that outlive EOF.

@test "Claude Code's INT, TERM and KILL leave nothing of a server that ignores the first two" {
	ends claude-code context7 npx deaf
	reported SIGKILL
}

@test "the Python SDK's EOF, TERM and KILL of the group leave nothing of a server that ignores the first two" {
	ends python-sdk context7 npx deaf
}

@test "the SIGTERM of TypeScript SDKs up to 1.23 leaves nothing of a server that ignores it" {
	ends typescript-sdk-1.23 everything npx deaf
}

@test "rmcp's EOF and KILL leave nothing of a server that ignores SIGTERM" {
	ends rmcp memory npx deaf
}

@test "Codex's TERM and KILL of the group leave nothing of a server that ignores SIGTERM" {
	ends codex filesystem npx deaf
}

@test "Zed's KILL of the group leaves nothing of a server that ignores SIGTERM" {
	ends zed everything npx deaf
	reported SIGKILL
}

# What must not be lost.

@test "a server that takes a second to save has saved, although Claude Code kills after half of it" {
	use memory direct
	with_keepalive "save:$PWD/saved"
	sequence one claude-code --call="${CALL#call:}" -- "${KEEPALIVE[@]}" "$MCP_REAP" -- "${COMMAND[@]}"
	succeeds
	has '"event":"exited".*"signal":"SIGKILL"' one.out
	nothing_left
	has saved saved
}

@test "memory's file is complete when the Python SDK closes right behind a large unanswered request" {
	use memory npx
	jq -n '{entities: [range(20000) | {name: "e\(.)", entityType: "thing", observations: ["seen \(.) times"]}]}' >entities.json
	sequence one python-sdk --send=create_entities:@entities.json -- "$MCP_REAP" -- "${COMMAND[@]}"
	succeeds
	nothing_left
	(($(jq -s 'map(.name) | unique | length' memory.jsonl) == 20000))
}

@test "a message of 2 MiB comes back whole" {
	use everything npx
	client one connect echo:2097152 close -- "$MCP_REAP" -- "${COMMAND[@]}"
	succeeds
	has '"event":"echoed".*"same":true' one.out
	nothing_left
}

@test "ten sessions side by side: five clients die, the other five go on and end well" {
	local i
	use context7 npx
	for i in 0 2 4 6 8; do
		client "c$i" connect list wait -- "$MCP_REAP" -- "${COMMAND[@]}"
		client "c$((i + 1))" connect list gate:go "$CALL" close -- "$MCP_REAP" -- "${COMMAND[@]}"
	done
	for i in 1 3 5 7 9; do
		await reported tools "c$i"
	done
	for i in 0 2 4 6 8; do
		kill_client "c$i"
	done
	: >go
	for i in 1 3 5 7 9; do
		succeeds "c$i"
		answered context7 "c$i"
	done
	nothing_left
}

# By hand, in a shell: the input ends before the server starts to read.

@test "by hand: context7 by npx answers requests from a pipe" {
	by_hand context7 npx
}

@test "by hand: everything by npx answers requests from a pipe" {
	by_hand everything npx
}

@test "by hand: memory by npx answers requests from a pipe" {
	by_hand memory npx
}

@test "by hand: filesystem by npx answers requests from a pipe" {
	by_hand filesystem npx
}

@test "by hand: a server that npx has to install first answers requests from a pipe" {
	cold_npx
	by_hand context7 npx
}

# npx in mid-install. Without mcp-reap its cache is left broken: later runs fail.

@test "without mcp-reap, Claude Code's sequence in mid-install leaves npx broken" {
	interrupted_install claude-code
	run installs_again
	((status != 0)) || skip "this npm survived it"
	kill_marked || :
	nothing_left
}

@test "Claude Code's sequence in mid-install: nothing is left, and npx works afterwards" {
	interrupted_install claude-code "$MCP_REAP" --
	await unmarked
	installs_again
	nothing_left
}

@test "the Python SDK's sequence in mid-install: nothing is left, and npx works afterwards" {
	slow_npx
	interrupted_install python-sdk "${SLOW[@]}" "$MCP_REAP" --
	await unmarked
	installs_again
	nothing_left
}

@test "close() of the TypeScript SDK in mid-install: nothing is left, and npx works afterwards" {
	cold_npx
	slow_npx
	use everything npx
	client one start gate:go close exit -- "${SLOW[@]}" "$MCP_REAP" -- "${COMMAND[@]}"
	await unpacking
	: >go
	succeeds
	await unmarked
	installs_again
	nothing_left
}

# A configuration as contrib/wrap-config rewrites it.

@test "a rewritten entry starts the same server" {
	local command words
	use filesystem npx
	printf '%s\n' "${COMMAND[@]}" | jq -nR '[inputs] | {mcpServers: {fs: {command: .[0], args: .[1:]}}}' >config.json
	mkdir bin
	ln -s "$MCP_REAP" bin/mcp-reap
	PATH=$PWD/bin:$PATH "$HERE/../../contrib/wrap-config" config.json
	command=$(jq -r '.mcpServers.fs.command' config.json)
	[[ $command == */mcp-reap ]]
	mapfile -t words < <(jq -r '.mcpServers.fs.args[]' config.json)
	client one connect list "$CALL" close -- "$command" "${words[@]}"
	succeeds
	answered filesystem
	nothing_left
}
