#!/usr/bin/env bats
# --idle-stop and --drop-launcher with real clients, servers and launchers.
# shellcheck disable=SC2016,SC2030,SC2031,SC2153,SC2154 # each test is a subshell; helper.bash sets variables

load interop

IDLE=(-v -i 700ms)

setup_file() {
	fill_cache "${SERVERS[@]}"
}

# in_cycles SERVER direct|npx [OPTION]...: calls, two stops with calls behind them, and the client's close().
in_cycles() {
	local server=$1 how=$2
	shift 2
	use "$server" "$how"
	client one connect list "$CALL" asleep "$CALL" asleep list "$CALL" close -- \
		"$MCP_REAP" "${IDLE[@]}" "$@" -- "${COMMAND[@]}"
	succeeds
	answered "$server"
	(($(grep -c '"event":"asleep"' one.out) == 2))
	(($(grep -c '"event":"tools"' one.out) == 2))
	run ! reported error
	nothing_left
	(($(grep -c 'mcp-reap.*: idle-start ' err) >= 2))
}

@test "context7 is stopped twice, and answers each time" {
	in_cycles context7 direct
	(($(grep -c '"event":"called".*fetch failed' one.out) == 3))
}

@test "context7 by npx is stopped twice, and answers each time" {
	in_cycles context7 npx
	(($(grep -c '"event":"called".*fetch failed' one.out) == 3))
}

@test "everything is stopped twice, and answers each time" {
	in_cycles everything direct
	(($(grep -c '"event":"echoed"' one.out) == 3))
}

@test "everything by npx is stopped twice, and answers each time" {
	in_cycles everything npx
	(($(grep -c '"event":"echoed"' one.out) == 3))
}

@test "memory is stopped twice, and still knows what it was told" {
	use memory direct
	client one connect "$CALL" asleep 'call:read_graph:{}' asleep 'call:read_graph:{}' close -- \
		"$MCP_REAP" "${IDLE[@]}" -- "${COMMAND[@]}"
	succeeds
	(($(grep -c '"name":"read_graph".*seen' one.out) == 2))
	nothing_left
}

@test "memory by npx is stopped twice, and answers each time" {
	in_cycles memory npx
}

@test "filesystem by npx is stopped twice, and answers each time" {
	in_cycles filesystem npx
	(($(grep -c 'known text' one.out) == 3))
}

@test "a server that outlives the end of input is stopped twice, and answers each time" {
	with_keepalive deaf
	use everything direct
	client one connect "$CALL" asleep "$CALL" asleep "$CALL" close -- "${KEEPALIVE[@]}" \
		"$MCP_REAP" "${IDLE[@]}" -g 0.3 -k 0.3 -- "${COMMAND[@]}"
	succeeds
	(($(grep -c '"event":"echoed".*"same":true' one.out) == 3))
	nothing_left
}

@test "ten stops and starts" {
	local words=() i
	use memory direct
	for ((i = 0; i < 10; i++)); do
		words+=(asleep "$CALL")
	done
	client one connect list "${words[@]}" asleep list close -- "$MCP_REAP" "${IDLE[@]}" -- "${COMMAND[@]}"
	succeeds
	(($(grep -c '"event":"asleep"' one.out) == 11))
	nothing_left
	(($(grep -c 'mcp-reap.*: idle-start ' err) == 11))
}

@test "a hundred calls at once, to a server that is stopped, are answered by one new one" {
	use everything direct
	client one connect asleep many:100 asleep many:100 close -- "$MCP_REAP" "${IDLE[@]}" -- "${COMMAND[@]}"
	succeeds
	(($(grep -c '"event":"many","ms":[0-9]*,"same":true' one.out) == 2))
	nothing_left
	(($(grep -c 'mcp-reap.*: idle-start ' err) >= 2))
}

@test "2 MiB both ways after a stop" {
	use everything direct
	client one connect asleep echo:2097152 asleep echo:2097152 close -- "$MCP_REAP" "${IDLE[@]}" -- "${COMMAND[@]}"
	succeeds
	(($(grep -c '"event":"echoed".*"same":true' one.out) == 2))
	nothing_left
}

@test "an operation that takes longer than DURATION is not cut" {
	use everything direct
	client one connect 'call:trigger-long-running-operation:{"duration":3,"steps":2}' asleep "$CALL" close -- \
		"$MCP_REAP" "${IDLE[@]}" -- "${COMMAND[@]}"
	succeeds
	has '"name":"trigger-long-running-operation","isError":false' one.out
	nothing_left
	(($(grep -c 'mcp-reap.*: idle-start ' err) == 1))
}

@test "a server that waits for the client's completion is not stopped" {
	use everything direct
	client one --sampling=go connect asleep 'call:trigger-sampling-request:{"prompt":"p","maxTokens":5}' asleep "$CALL" close -- \
		"$MCP_REAP" "${IDLE[@]}" -- "${COMMAND[@]}"
	await reported asked
	sleep 2
	run ! reported called
	: >go
	succeeds
	has '"name":"trigger-sampling-request","isError":false,"text":".*sampled' one.out
	nothing_left
	(($(grep -c 'mcp-reap.*: idle-start ' err) >= 2))
}

@test "version 2 of the SDK: two stops, and answers each time" {
	use everything direct
	client one --sdk=2 connect list "$CALL" asleep "$CALL" asleep "$CALL" close -- "$MCP_REAP" "${IDLE[@]}" -- "${COMMAND[@]}"
	succeeds
	(($(grep -c '"event":"echoed".*"same":true' one.out) == 3))
	nothing_left
}

@test "version 2 of the SDK without a handshake: two stops, and answers each time" {
	use context7 direct
	client one --sdk=2 --auto connect list asleep list asleep list close -- "$MCP_REAP" "${IDLE[@]}" -- "${COMMAND[@]}"
	succeeds
	(($(grep -c '"event":"tools"' one.out) == 3))
	nothing_left
	(($(grep -c 'idle-start ' err) == 2))
}

@test "without network and registry, context7 by npx is started again, as the same program" {
	need_that unshare unshare -rn true
	use context7 npx
	cp -r "$npm_config_cache" npm
	export npm_config_cache=$PWD/npm
	client one connect list asleep gate:go list asleep list close -- \
		unshare -rn "$MCP_REAP" "${IDLE[@]}" -- "${COMMAND[@]}"
	await reported asleep
	mv npm/_cacache away # offline, npx asks this instead of its registry
	: >go
	succeeds
	(($(grep -c '"event":"tools"' one.out) == 3))
	(($(grep -c 'idle-start .*program=' err) == 2))
	nothing_left
}

@test "SIGKILL of the client of a stopped server leaves nothing" {
	use context7 npx
	client one connect asleep wait -- "$MCP_REAP" "${IDLE[@]}" -- "${COMMAND[@]}"
	kill_client
	nothing_left
}

@test "process.exit() of the client of a restarted server leaves nothing" {
	use context7 npx
	with_keepalive deaf
	client one connect asleep list exit -- "${KEEPALIVE[@]}" "$MCP_REAP" "${IDLE[@]}" -g 0.3 -k 0.3 -- "${COMMAND[@]}"
	succeeds
	nothing_left
}

# Launchers.

# npm_of VERSION [PACKAGE]: sets NPM, the folder of that npm; it is installed once.
npm_of() {
	local package=${2:-npm}
	NPM=$BATS_FILE_TMPDIR/$package-$1/node_modules/$package
	if [[ ! -d $NPM ]]; then
		mkdir -p "$BATS_FILE_TMPDIR/$package-$1"
		# Newer npms run no script of a package without being asked to: these fetch the program.
		echo '{"allowScripts":{"bun":true,"deno":true,"pnpm":true}}' >"$BATS_FILE_TMPDIR/$package-$1/package.json"
		npm_config_offline=false npm install --prefix "$BATS_FILE_TMPDIR/$package-$1" --no-audit --no-fund --silent \
			"$package@$1" >&2 3>&- 8>&-
	fi
}

# by_npx VERSION SERVER: COMMAND is that server's by the npx of that npm.
by_npx() {
	npm_of "$1"
	use "$2" npx
	COMMAND=(node "$NPM/bin/npx-cli.js" "${COMMAND[@]:1}")
}

# in_tree: how many processes there are beside the client, the shim and the reaper.
in_tree() {
	echo $(($(marked | wc -l) - 3))
}
# alone: of launchers and server, the server and its shell are left.
alone() {
	(($(in_tree) == 2)) && has launcher-dropped err
}

# dropped: the session loses its launcher, goes on, and leaves nothing.
dropped() {
	client one connect list gate:go "$CALL" "$1" -- "$MCP_REAP" -v -l -- "${COMMAND[@]}"
	await reported tools
	await alone
	: >go
	succeeds
	answered "$2"
	nothing_left
	has 'mcp-reap.*: launcher-dropped .*command="npm exec' err
	has 'mcp-reap.*: done status=0' err
}

# works_again: the same npx works afterwards, without mcp-reap.
works_again() {
	client two connect list close -- "${COMMAND[@]}"
	await gone "${CLIENTS[two]}"
	reported tools two
}

@test "without --drop-launcher npx and its shell stay" {
	use context7 npx
	client one connect list gate:go close -- "$MCP_REAP" -v -- "${COMMAND[@]}"
	await reported tools
	sleep 1
	(($(in_tree) >= 2))
	: >go
	succeeds
	nothing_left
}

@test "this npx is dropped" {
	use context7 npx
	dropped close context7
}

@test "this npx is dropped, and works afterwards" {
	use memory npx
	client one connect list gate:go "$CALL" close -- "$MCP_REAP" -v -l -- "${COMMAND[@]}"
	await reported tools
	await alone
	: >go
	succeeds
	works_again
	nothing_left
}

@test "the npx of npm 9 is dropped" {
	by_npx 9 context7
	dropped close context7
}

@test "the npx of npm 10 is dropped" {
	by_npx 10 context7
	dropped close context7
}

@test "the npx of npm 11 is dropped" {
	by_npx 11 context7
	dropped close context7
}

@test "npm exec is dropped, with a server that has arguments" {
	use filesystem npx
	COMMAND=(npm exec -y -- "${COMMAND[@]:2}")
	dropped close filesystem
}

@test "an npx that had to install the server first is dropped, and its cache is whole" {
	cold_npx
	use everything npx
	dropped close everything
	export npm_config_offline=true
	MCP_REAP_TEST=$MARK timeout -k 1 "$PATIENCE" node "$HERE/client.mjs" connect list close -- "${COMMAND[@]}" >two.out 3>&- 8>&-
	reported tools two
}

@test "a server whose npx was dropped and that outlives the end of input is ended" {
	use context7 npx
	with_keepalive deaf
	client one connect list gate:go close -- "${KEEPALIVE[@]}" "$MCP_REAP" -v -l -g 0.3 -k 0.3 -- "${COMMAND[@]}"
	await reported tools
	await alone
	: >go
	succeeds
	nothing_left
}

@test "SIGKILL of the client of a server whose npx was dropped leaves nothing" {
	use everything npx
	with_keepalive deaf
	client one connect list wait -- "${KEEPALIVE[@]}" "$MCP_REAP" -v -l -g 0.3 -k 0.3 -- "${COMMAND[@]}"
	await reported tools
	await alone
	kill_client
	nothing_left
}

@test "Claude Code's signals leave nothing of a server whose npx was dropped" {
	use context7 npx
	with_keepalive deaf
	sequence one claude-code -- "${KEEPALIVE[@]}" "$MCP_REAP" -l -g 0.3 -k 0.3 -- "${COMMAND[@]}"
	succeeds
	nothing_left
}

@test "npm start and npm run are dropped" {
	local how
	use memory npx
	jq -n --arg server "$HERE/node_modules/.bin/mcp-server-memory" '{scripts: {start: $server, again: $server}}' >package.json
	for how in start 'run again'; do
		# shellcheck disable=SC2086 # the words are two
		client one connect list gate:go "$CALL" close -- "$MCP_REAP" -v -j -l -- npm $how
		await reported tools
		await alone
		: >go
		succeeds
		answered memory
		rm go
	done
	nothing_left
	(($(grep -c launcher-dropped err) == 2))
}

# stays_for REASON WORD...: the launcher that the words are is left alone, and the session ends well: by a client that
# exits, since one that closes gives a launcher two seconds to tidy up.
stays_for() {
	local reason=$1
	shift
	client one connect list gate:go "$CALL" exit -- "$MCP_REAP" -v --drop-launcher=all -g 20 -- "$@"
	await reported tools
	await has "launcher-kept .*reason=$reason" err
	sleep 1
	(($(in_tree) >= 2))
	: >go
	succeeds
	answered memory
	nothing_left
	run ! has launcher-dropped err
	has 'done status=0' err
}

@test "pnpm dlx of pnpm 9 is left alone, and ends well" {
	npm_of 9 pnpm
	use memory npx
	export npm_config_offline=false
	stays_for guards node "$NPM/bin/pnpm.cjs" --config.store-dir="$BATS_FILE_TMPDIR/pnpm" dlx "${COMMAND[@]:2}"
}

@test "pnpm dlx of pnpm 12 is left alone, and ends well" {
	npm_of 12 pnpm
	use memory npx
	export npm_config_offline=false HOME=$PWD
	stays_for guards "$NPM/pnpm" dlx "${COMMAND[@]:2}"
}

@test "yarn dlx is left alone, and takes its folder away" {
	npm_of 4 @yarnpkg/cli-dist
	use memory npx
	export npm_config_offline=false HOME=$PWD TMPDIR=$PWD/tmp YARN_NODE_LINKER=node-modules
	mkdir tmp
	stays_for cleans-up node "$NPM/bin/yarn.js" dlx -q "${COMMAND[@]:2}"
	run ! compgen -G 'tmp/xfs-*/dlx-*'
}

# of_parent WORD...: a launcher that is the server's own parent stays, and is dropped by =all.
of_parent() {
	client one connect list gate:go "$CALL" close -- "$MCP_REAP" -v -l -- "$@"
	await reported tools
	await has 'launcher-kept .*reason=parent' err
	sleep 1
	(($(in_tree) == 2))
	: >go
	succeeds
	answered memory
	rm go
	client two connect list gate:go "$CALL" close -- "$MCP_REAP" -v --drop-launcher=all -- "$@"
	await reported tools two
	await has launcher-dropped err
	await eval '(($(in_tree) == 1))'
	: >go
	succeeds two
	answered memory two
	nothing_left
	has 'done status=0' err
}

@test "bunx stays, but for --drop-launcher=all" {
	npm_of 1 bun
	use memory npx
	export npm_config_offline=false HOME=$PWD TMPDIR=$PWD
	of_parent "$NPM/bin/bun.exe" x "${COMMAND[2]}"
}

@test "deno task stays, but for --drop-launcher=all" {
	npm_of 2 deno
	use memory npx
	jq -n --arg server "$(realpath "$HERE/node_modules/.bin/mcp-server-memory")" '{scripts: {server: ("node " + $server)}}' >package.json
	of_parent "$NPM/deno" task server
}

@test "a server without a launcher is left alone" {
	use context7 direct
	client one connect list "$CALL" close -- "$MCP_REAP" -v -l -- "${COMMAND[@]}"
	succeeds
	nothing_left
	has 'launcher-kept' err
}

# Together.

@test "with --idle-stop npx is dropped, and the servers that follow have none" {
	use context7 npx
	client one connect list asleep list gate:go "$CALL" asleep "$CALL" close -- "$MCP_REAP" -v -l -i 3 -- "${COMMAND[@]}"
	await tools_twice
	(($(in_tree) <= 1)) # it may have been stopped again
	: >go
	succeeds
	nothing_left
	(($(grep -c 'launcher-dropped .*command="npm exec' err) == 1))
	(($(grep -c 'idle-start .*program=' err) == 2))
}
tools_twice() {
	(($(grep -c '"event":"tools"' one.out) >= 2))
}

@test "with --json-only a server that says more than JSON is understood, dropped and stopped" {
	use context7 npx
	cat >noise.cjs <<-'END'
		process.stdout.write('noise on stdout\n');
	END
	client one connect list asleep list close -- env "NODE_OPTIONS=--require=$PWD/noise.cjs" \
		"$MCP_REAP" -v -j -l -i 3 -- "${COMMAND[@]}"
	succeeds
	run ! reported error
	nothing_left
	has '^noise on stdout' err
	has 'idle-start ' err
	has 'launcher-dropped' err
}
