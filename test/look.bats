#!/usr/bin/env bats
# --idle-stop looks at the tree before it stops a server: what is at work is left in peace, and forgotten when it is not.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153 # what is quoted is for another shell; helper.bash sets STATUS
load helper
load mcp

IDLE=(-i 600ms)
LONG=2

# waits REASON: the server is needed, for that reason, and that is said once.
waits() {
	await has "idle-wait reason=$1" err
	stays
	(($(grep -c "idle-wait reason=$1" err) == 1))
}

# script TEXT: a server that answers initialize and goes on with that; it writes its pid into log as the fixture does.
script() {
	printf '%s\n' '#!/bin/bash' 'echo "$$ start" >>log' 'read -r line' \
		'echo '"'"'{"jsonrpc":"2.0","id":"init","result":{"protocolVersion":"2025-11-25","capabilities":{}}}'"'" \
		'read -r line' 'echo "$$ < $line" >>log' "$1" >server
	chmod +x server
}

@test "a server that computes is not stopped, and is when it has done" {
	script 'while [[ ! -e done ]]; do :; done; read -r line'
	start -v -g 0.2 "${IDLE[@]}" -- ./server
	hello
	waits busy
	: >'done'
	await asleep
}

@test "a server that computes is not stopped where others have the processors" {
	local i processor
	script 'while [[ ! -e done ]]; do :; done; read -r line'
	start -v -g 0.2 "${IDLE[@]}" -- ./server
	hello
	await has 'reason=busy' err
	# Of the one that they share it gets what the others leave, which is next to nothing.
	processor=$(taskset -cp $$ | sed 's/.*[ ,-]//')
	for i in 1 2; do
		taskset -c "$processor" timeout 60 bash -c 'while [[ ! -e done ]]; do :; done' 3>&- 7>&- 8<&- 9>&- &
	done
	chrt -i -p 0 "$(server)"
	taskset -cp "$processor" "$(server)"
	[[ ! -e /proc/self/autogroup ]] || echo 19 >"/proc/$(server)/autogroup" # of the session that it is in
	waits busy
	: >'done'
	await asleep
}

@test "a process below the server that computes counts, too" {
	script '(while [[ ! -e done ]]; do :; done) & read -r line'
	start -v -g 0.2 "${IDLE[@]}" -- ./server
	hello
	waits busy
	: >'done'
	await asleep
}

@test "what a tool was asked to start keeps the server, until it has ended" {
	session -v "${IDLE[@]}" --
	hello
	call 1 spawn
	await answered 1
	waits children
	kill "$(sed -n 's/.*idle-wait reason=children pid=\([0-9]*\) .*/\1/p' err)"
	await asleep
}

@test "what a tool started as a daemon keeps the server" {
	session -v "${IDLE[@]}" --
	hello
	call 1 daemon
	await answered 1
	waits children
}

@test "what a server started before it was asked anything does not keep it" {
	session "${IDLE[@]}" -- child stray
	hello
	ask 1
	await asleep
}

@test "what a restarted server started by itself does not keep it" {
	local n
	session "${IDLE[@]}" -- child
	hello
	for n in 1 2 3; do
		ask "$n"
		await asleep
	done
}

@test "a tool's process counts in a restarted server, too" {
	session -v "${IDLE[@]}" --
	hello
	await asleep
	call 1 spawn
	await answered 1
	waits children
}

@test "without a handshake a server is no process that came later than the first request" {
	session "${IDLE[@]}" --
	ask 1
	await asleep
	ask 2
	await asleep
}

@test "a session that is put off wakes up once a DURATION, not more" {
	local before after
	session -v "${IDLE[@]}" --
	hello
	call 1 spawn
	await has 'reason=children' err
	before=$(awk '/^voluntary_ctxt/ {print $2}' "/proc/$SHIM/status")
	sleep 3
	after=$(awk '/^voluntary_ctxt/ {print $2}' "/proc/$SHIM/status")
	((after - before <= 8))
}

# auto.

@test "auto: a server that was never used is stopped, and answers the first call" {
	session -i auto:600ms --
	hello
	request 2 tools/list
	await asleep
	ask 3
}

@test "auto: a server that was used is not stopped" {
	session -v -i auto:600ms --
	hello
	ask 1
	waits used
}

@test "auto: a server is not stopped in its second life either, once it was used" {
	session -v -i auto:600ms --
	hello
	await asleep
	ask 1
	waits used
}

@test "auto: a server with a child is not stopped" {
	session -v -i auto:600ms -- child
	hello
	waits children
}

@test "auto: a server that holds a lock is not stopped" {
	need flock
	script 'exec 8>lock; flock 8; read -r line'
	start -v -i auto:600ms -- ./server
	hello
	waits lock
}

@test "auto: a server that listens, or is connected, is not stopped" {
	need node
	cat >listens <<-'END'
		require('net').createServer().listen(0, '127.0.0.1')
	END
	cat >connected <<-'END'
		const net = require('net'), s = net.createServer(); s.listen('sock', () => net.connect('sock'))
	END
	local what
	for what in listens connected; do
		cat >>"$what" <<-'END'
			require('fs').appendFileSync('log', `${process.pid} start\n`)
			require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
				require('fs').appendFileSync('log', `${process.pid} < ${line}\n`)
				const m = JSON.parse(line)
				if (m.id) console.log(JSON.stringify({ jsonrpc: '2.0', id: m.id, result: { protocolVersion: '2025-11-25', capabilities: {} } }))
			}).on('close', () => process.exit())
		END
		start -v -i auto:600ms -- node "./$what"
		hello
		waits socket
		close_stdin
		ended
		rm log
	done
}

@test "auto: a pair of sockets that a server has for itself does not keep it" {
	session -i auto:600ms -- pair
	hello
	await asleep
}

@test "never is never, also against MCP_REAP_OPTIONS" {
	MCP_REAP_OPTIONS='-i 600ms' session -i never --
	hello
	stays
}
