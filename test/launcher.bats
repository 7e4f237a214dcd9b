#!/usr/bin/env bats
# --drop-launcher: an npx that only waits is let go, and nothing else is. test/interop has the real ones.

# shellcheck disable=SC2030,SC2031,SC2153 # each test is a subshell; helper.bash sets STATUS
# shellcheck disable=SC2016 # what is quoted is for another shell
load helper
load mcp

NPX=$BATS_TEST_DIRNAME/fixtures/npx.cjs

# npx [OPTION]... -- WORD...: a session with the fixture `mcp` behind the fixture `npx`; HOW has words for the latter.
HOW=()
npx() {
	local options=()
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	need node
	start -v -g 0.2 -k 0.2 "${options[@]}" -- node "$NPX" "${HOW[@]}" -- "'$FIX/mcp' log=log keep=keep ${*:2}"
}

# processes: how many there are beside the shim and the reaper.
processes() {
	echo $(($(marked | wc -l) - 2))
}

# shell: the pid of the one above the server.
shell() {
	sed -n 's/^PPid:\t//p' "/proc/$(server)/status"
}

# alone: of launchers and server, the server and its shell are left.
alone() {
	(($(processes) == 2)) && [[ $(pgrep -P "$(reaper_pid)") == "$(shell)" && $(pgrep -P "$(shell)") == "$(server)" ]]
}

# bare: of launchers and server, the server is left.
bare() {
	(($(processes) == 1)) && [[ $(pgrep -P "$(reaper_pid)") == "$(server)" ]]
}

# kept [REASON]: one line says that the launcher was left alone, and it was.
kept() {
	await has "launcher-kept .*reason=${1-}" err
	run ! has 'launcher-dropped' err
	sleep "$LONG"
	ask '"kept"'
}

# What is dropped.

@test "after the server's first message npx is gone, and the session goes on" {
	npx -l --
	hello
	await alone
	ask 1
	[[ $SERVER == "$(server)" ]]
	has 'launcher-dropped' err
	run ! has 'launcher-kept' err
	(($(grep -c 'launcher-dropped' err) == 1))
	close_stdin
	ended
	[[ $STATUS == 0 ]]
	nothing_left
}

@test "without --drop-launcher npx stays" {
	npx --
	hello
	sleep "$LONG"
	(($(processes) >= 2))
	run ! has launcher err
}

@test "the server's status is the session's" {
	npx -l --
	hello
	await alone
	call 1 exit '{"code":5}'
	ended
	[[ $STATUS == 5 ]]
	nothing_left
}

@test "a signal that kills the server is in the session's status" {
	npx -l --
	hello
	await alone
	kill -SEGV "$(server)"
	ended
	[[ $STATUS == 139 ]]
	nothing_left
}

@test "the server's exit ends the session, and its strays" {
	npx -l -- stray child
	hello
	await has 'launcher-dropped' err
	call 1 exit '{"code":3}'
	ended
	[[ $STATUS == 3 ]]
	nothing_left
}

@test "the end of input ends a server whose launcher is gone, with its grace" {
	npx -l -- deaf term-proof stray
	hello
	await has 'launcher-dropped' err
	close_stdin
	ended
	[[ $STATUS == 137 ]]
	[[ $(sed 's/^[0-9]* //' log | tail -n 2) == $'EOF\nTERM' ]]
	nothing_left
}

@test "SIGTERM ends a server whose launcher is gone" {
	npx -l -- stray
	hello
	await has 'launcher-dropped' err
	kill -TERM "$SHIM"
	ended
	[[ $STATUS == 143 ]]
	has TERM log
	nothing_left
}

@test "SIGKILL of the shim ends a server whose launcher is gone" {
	npx -l -- deaf stray
	hello
	await has 'launcher-dropped' err
	kill -KILL "$SHIM"
	nothing_left
}

@test "SIGKILL of the reaper ends a server whose launcher is gone" {
	npx -l -- deaf stray
	hello
	await has 'launcher-dropped' err
	kill -KILL "$(reaper_pid)"
	ended
	[[ $STATUS == 125 ]]
	nothing_left
}

@test "the client's death ends a server whose launcher is gone" {
	need node
	client stdio=inherit until=go die -- -v -l -g 0.2 -k 0.2 -- node "$NPX" -- "'$FIX/mcp' log=log deaf stray"
	hello
	await has 'launcher-dropped' err
	: >go
	nothing_left
}

@test "the server keeps its parent" {
	local parent
	npx -l --
	say "$INITIALIZE"
	await started 1
	parent=$(shell)
	await has 'launcher-dropped' err
	await alone
	[[ $(shell) == "$parent" ]]
}

@test "a signal of the client's reaches the server whose launcher is gone, and not its shell" {
	need node
	start -v -l -g 0.2 -k 0.2 -- node "$NPX" -- "'$FIX/server' echo log=log; exit \$?"
	say '{"jsonrpc":"2.0","method":"notifications/x"}'
	await has 'launcher-dropped' err
	kill -USR1 "$SHIM"
	await has '^USR1' log
	alive "$SHIM"
	close_stdin
	ended
	[[ $STATUS == 0 ]]
}

@test "a server that saves at SIGTERM, and its launcher gone, is waited for, and has its own status" {
	need node
	cat >saves <<-'END'
		#!/bin/bash
		trap 'sleep 0.5; echo >saved; exit 6' TERM
		echo '{"jsonrpc":"2.0","method":"x"}'
		while sleep 0.1; do :; done
	END
	chmod +x saves
	start -v -l -k 20 -- node "$NPX" -- './saves; exit $?'
	await has 'launcher-dropped' err
	kill -TERM "$SHIM"
	ended
	[[ $STATUS == 6 && -e saved ]]
	nothing_left
}

@test "a server that says one message and exits has its own status, and its message arrives" {
	local i
	need node
	for ((i = 1; i <= 20; i++)); do
		printf '#!/bin/sh\necho "{\\"jsonrpc\\":\\"2.0\\",\\"method\\":\\"x\\"}"; exit 7\n' >server
		chmod +x server
		STATUS=0
		mcp_reap -l -g 60 -- node "$NPX" -- './server; exit $?' </dev/null >out || STATUS=$?
		[[ $STATUS == 7 && $(<out) == '{"jsonrpc":"2.0","method":"x"}' ]]
	done
	nothing_left
}

@test "a 10 MB answer that is being written is not cut by it" {
	npx -l --
	call 1 big '{"n":10000000}'
	await answered 1
	await alone
	(($(wc -c <out) > 10000000))
	[[ $(tail -c 7 out) == 'x"}]}}' ]]
}

@test "with --idle-stop the launcher is dropped, and the servers that follow have none" {
	local i
	npx -l -i 2 --
	hello
	for ((i = 1; i <= 3; i++)); do
		await asleep
		call "$i" pid
		await answered "$i"
		await bare
	done
	(($(grep -c launcher-dropped err) == 1))
	close_stdin
	ended
	nothing_left
}

@test "with --json-only noise is no message, and the message that follows is" {
	HOW=(noise)
	npx -l -j -- delay=1500
	await has '^npm warn' err
	sleep "$LONG"
	(($(processes) >= 2))
	hello
	await alone
	run ! has '^npm'
}

@test "a launcher is given the time to say noise before the first message" {
	HOW=(noise)
	npx -l --
	await has '^npm warn'
	sleep "$LONG"
	(($(processes) >= 2))
	hello
	await alone
}

# What is left alone.

@test "before the first message is complete nothing is dropped" {
	need node
	start -v -l -g 0.2 -k 0.2 -- node "$NPX" -- \
		"printf '{\"jsonrpc\":\"2.0\",'; until [ -e go ]; do sleep 0.02; done; exec '$FIX/mcp' log=log"
	await has jsonrpc
	sleep "$LONG"
	run ! has launcher err
	(($(processes) >= 2))
}

@test "a server without a launcher is left alone" {
	session -v -l --
	hello
	kept
}

@test "a shell without npm is left alone" {
	start -v -l -g 0.2 -k 0.2 -- sh -c "'$FIX/mcp' log=log; exit 4"
	hello
	kept
	close_stdin
	ended
	[[ $STATUS == 4 ]]
}

@test "node with another title is left alone" {
	HOW=(title='pnpm dlx fixture')
	npx -l --
	hello
	kept guards
	(($(processes) >= 2))
}

@test "what only calls itself npm is left alone" {
	start -v -l -g 0.2 -k 0.2 -- bash -c "exec -a 'npm exec fixture' bash -c \"'$FIX/mcp' log=log; exit 4\""
	hello
	kept
	close_stdin
	ended
	[[ $STATUS == 4 ]]
}

@test "an npx with another child is left alone" {
	HOW=(child)
	npx -l --
	hello
	kept
	(($(processes) >= 3))
}

@test "an npx that relays the server's input is left alone" {
	HOW=(relay=0)
	npx -l --
	hello
	kept
}

@test "an npx that relays the server's output is left alone" {
	HOW=(relay=1)
	npx -l --
	hello
	kept
}

@test "a server that has replaced its shell has npx for its parent, which is left alone" {
	need node
	start -v -l -g 0.2 -k 0.2 -- node "$NPX" -- "exec '$FIX/mcp' log=log"
	hello
	kept parent
	(($(processes) == 2))
}

@test "with --drop-launcher=all the server's own parent is dropped" {
	need node
	start -v --drop-launcher=all -g 0.2 -k 0.2 -- node "$NPX" -- "exec '$FIX/mcp' log=log"
	hello
	await bare
	ask 1
	call 2 exit '{"code":5}'
	ended
	[[ $STATUS == 5 ]]
	nothing_left
}

@test "with --drop-launcher=all a shell stays, which may have more to do than to wait" {
	npx --drop-launcher=all --
	hello
	await alone
}

@test "--drop-launcher has no value but all" {
	run -125 mcp_reap --drop-launcher=some -- true
	[[ $output == "mcp-reap: --drop-launcher: 'some': there is all" ]]
}

@test "a shell that has more to do than to wait does it" {
	need node
	start -v -l -g 2 -k 0.2 -- node "$NPX" -- "'$FIX/mcp' log=log; touch finished; exit 9"
	hello
	await has 'launcher-dropped' err
	ask 1
	close_stdin
	ended
	[[ -e finished && $STATUS == 9 ]]
	nothing_left
}

@test "npm run and npm start are dropped" {
	local title
	echo '{"scripts":{"start":"x","other":"x","postother":"x"}}' >package.json
	for title in 'npm start' 'npm run start' 'npm run-script start'; do
		rm -f log keep
		HOW=("title=$title")
		npx -l --
		hello
		await alone
		ask 1
		close_stdin
		ended
	done
}

@test "npm run is left alone where a script is to follow" {
	echo '{"scripts":{"start":"x","poststart":"y"}}' >package.json
	HOW=(title='npm run start')
	npx -l --
	hello
	kept post-script
}

@test "npm run is left alone where its package is not to be read" {
	HOW=(title='npm start')
	npx -l --
	hello
	kept post-script
}

@test "a shell that has a second process in a pipe with the server is left alone" {
	need node
	start -v -l -g 0.2 -k 0.2 -- node "$NPX" -- "'$FIX/mcp' log=log | cat"
	hello
	await has launcher err
	sleep "$LONG"
	ask 1
	close_stdin
	ended
	nothing_left
}

@test "a shell in which the server's descriptors are others' is left alone" {
	need node
	mkfifo fifo
	exec {OTHER}<>fifo
	start -v -l -g 0.2 -k 0.2 -- node "$NPX" -- "'$FIX/mcp' log=log <fifo" {OTHER}>&-
	echo "$INITIALIZE" >&"$OTHER"
	await answered '"init"'
	await has launcher err
	sleep "$LONG"
	alive "$(server)" "$SHIM"
	exec {OTHER}>&-
}

@test "without children files everything is left alone" {
	local deny=("$FIX/deny" children=ENOENT --)
	need node
	need_that seccomp "${deny[@]}" true
	launch "${deny[@]}" "$MCP_REAP" -v -l -g 0.2 -k 0.2 -- node "$NPX" -- "'$FIX/mcp' log=log"
	SHIM=$!
	hello
	kept
	close_stdin
	ended
	[[ $STATUS == 0 ]]
	nothing_left
}

@test "the long option has the same meaning" {
	npx --drop-launcher --
	hello
	await alone
}
