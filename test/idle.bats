#!/usr/bin/env bats
# --idle-stop: a server that nobody needs is stopped, and the session is none the worse for it.

# shellcheck disable=SC2030,SC2031,SC2153 # each test is a subshell; helper.bash sets STATUS
# shellcheck disable=SC2016 # what is quoted is for another shell
load helper
load mcp

# How long sessions are idle before a stop, where it does not matter.
IDLE=(-i 200ms)

# start_to_pipe: a session, up, whose stdout is a FIFO; we hold its other end as OUTPUT.
start_to_pipe() {
	local both w
	mkfifo pipe
	exec {both}<>pipe
	exec {w}>pipe
	exec {OUTPUT}<pipe {both}>&-
	launch bash -c "exec \"\$@\" >&$w $w>&- $OUTPUT<&-" - \
		"$MCP_REAP" -g 0.2 -k 0.2 "${IDLE[@]}" -- "$FIX/mcp" log=log
	SHIM=$!
	exec {w}>&-
	say "$INITIALIZE"
	read -r -t "$PATIENCE" -u "$OUTPUT"
	say "$INITIALIZED"
	await logged notifications/initialized
}

# A stop, and the start that follows.

@test "a session that nothing passes in has its server stopped, and one process left" {
	session "${IDLE[@]}" --
	hello
	await asleep
	alive "$SHIM"
	quiet
}

@test "the client's next message is answered by a new server" {
	session "${IDLE[@]}" --
	hello
	ask 1
	first=$SERVER
	await asleep
	ask 2
	[[ $SERVER != "$first" ]]
	quiet
}

@test "a session is stopped and started many times" {
	local i
	session -i 20ms --
	hello
	for ((i = 1; i <= 30; i++)); do
		await asleep
		ask "$i"
	done
	(($(servers | sort -u | wc -l) == 31))
	close_stdin
	ended
	[[ $STATUS == 0 ]]
	quiet
	nothing_left
}

@test "no stop leaves a descriptor or a byte of memory behind" {
	local i fds size
	session -i 20ms --
	hello
	for ((i = 1; i <= 20; i++)); do
		await asleep
		if ((i == 2)); then
			fds=$(descriptors)
			size=$(grep VmSize "/proc/$SHIM/status")
		fi
		ask "$i"
	done
	await asleep
	[[ $(descriptors) == "$fds" ]]
	[[ $(grep VmSize "/proc/$SHIM/status") == "$size" ]]
}
descriptors() {
	(cd "/proc/$SHIM/fd" && echo *)
}

@test "an idle session is not stopped before DURATION is over" {
	local begin
	session -i 1.5 --
	hello
	begin=$(now)
	ask 1
	await asleep
	(($(now) - begin >= 1495))
}

@test "DURATION starts anew with each message" {
	launch "$FIX/turns" -n 12 -d 300 -- "$MCP_REAP" -i 2.5 -- "$FIX/mcp" log=log
	ended $!
	[[ $STATUS == 0 ]]
	(($(servers | wc -l) == 1))
}

@test "a stop ends the whole tree, strays and what ignores SIGTERM too" {
	local code=0
	session "${IDLE[@]}" -- stray child deaf term-proof
	hello
	await asleep
	read -r -t "$PATIENCE" -u 8 || code=$?
	[[ $code == 1 ]]
}

@test "a stop is the end of input, and then SIGTERM" {
	session "${IDLE[@]}" -- deaf
	hello
	await asleep
	[[ $(sed 's/^[0-9]* //' log | tail -n 2) == $'EOF\nTERM' ]]
}

@test "a stop gives the server its grace" {
	start -i 100ms -g 300 -k 0 -- "$FIX/server" echo saver=saved:1500 log=log
	say '{"jsonrpc":"2.0","method":"notifications/message"}'
	await has notifications/message
	await test -e saved
	await asleep
	[[ $(<saved) == complete ]]
	run ! has TERM log
}

@test "what a server says while it is stopped is passed on" {
	session "${IDLE[@]}" -- last-words
	hello
	await asleep
	told goodbye
	ask 1
}

@test "half of a line that a server leaves behind when it is stopped does not run into the next server's" {
	session "${IDLE[@]}" -- last-gasp
	hello
	await asleep
	ask 1
	run ! grep -v '^{.*}$' out
}

@test "without --idle-stop nobody is stopped" {
	session --
	hello
	ask 1
	stays
}

# While it is stopped.

@test "a stopped session does not wake up" {
	local before
	session "${IDLE[@]}" --
	hello
	await asleep
	sleep 0.5
	before=$(grep ctxt_switches "/proc/$SHIM/status")
	sleep 2
	[[ $(grep ctxt_switches "/proc/$SHIM/status") == "$before" ]]
}

# kibibytes FIELD...: of the shim's memory. Anonymous is its own; Private_Dirty has its file too, in a tmpfs.
kibibytes() {
	awk -v fields="$*" 'index(fields, $1) { sum += $2 } END { print sum }' "/proc/$SHIM/smaps_rollup"
}

# What is no other process's as well; a program that is linked with glibc has 92 KiB of it before it does anything,
# and starting up, and noting what the server is, leave some on the stack.
small() {
	kibibytes Anonymous:
	(($(kibibytes Anonymous:) <= 132))
}

@test "a stopped session takes 132 KiB of its own at most" {
	need_that 'build without a sanitizer' not_sanitized
	session "${IDLE[@]}" --
	hello
	await asleep
	small
}

@test "a stopped session of a static build takes 48 KiB at most" {
	need musl-gcc
	musl-gcc -std=gnu11 -O2 -static -o mcp-reap "$BATS_TEST_DIRNAME"/../mcp-reap.c "$BATS_TEST_DIRNAME"/../src/*/*.c
	MCP_REAP=$PWD/mcp-reap
	session "${IDLE[@]}" --
	hello
	await asleep
	kibibytes Anonymous:
	(($(kibibytes Anonymous:) <= 48))
}

@test "a stopped session takes little memory also after large messages and some stops" {
	local i
	need_that 'build without a sanitizer' not_sanitized
	session "${IDLE[@]}" --
	hello
	for i in 1 2 3; do
		call "$i" big '{"n":3000000}'
		await answered "$i"
		call "4$i" echo "{\"text\":\"$(printf '%0100000d' 0)\"}"
		await answered "4$i"
		await asleep
	done
	await small
}

not_sanitized() {
	! grep -q __asan_init "$MCP_REAP"
}

# What a new server is told first.

# sent LINE...: all that servers got is these lines.
sent() {
	printf '%s\n' "$@" | cmp - keep
}

@test "a new server gets initialize and initialized as the client sent them, and then the message" {
	local init="{ \"params\": {\"capabilities\":{\"x\":[1,{\"id\":7}]},  \"protocolVersion\":\"2025-06-18\",\"clientInfo\":{\"name\":\"\\u00e9 ä\\n\"}},\"method\":\"initialize\",\"id\":\"a\\\"b\" ,\"jsonrpc\":\"2.0\"}"
	local done='	{"method" : "notifications/initialized" ,"jsonrpc":"2.0"}  '
	local list='{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
	session "${IDLE[@]}" --
	say "$init"
	await told protocolVersion
	say "$done"
	await asleep
	say "$list"
	await answered 1
	await asleep
	say "${list/1/2}"
	await answered 2
	sent "$init" "$done" "$init" "$done" "$list" "$init" "$done" "${list/1/2}"
	(($(grep -c protocolVersion out) == 1))
}

@test "a handshake with escapes in its keys and names is one" {
	local init='{"jsonrpc":"2.0","\u0069d":0,"m\u0065thod":"initi\u0061lize","params":{"protocolVersion":"2025-06-18"}}'
	session "${IDLE[@]}" --
	say "$INITIALIZE"
	await answered '"init"'
	say '{"jsonrpc":"2.0","m\u0065thod":"notifications\/initialize\u0064"}'
	await asleep
	ask 1
	sent "$INITIALIZE" '{"jsonrpc":"2.0","m\u0065thod":"notifications\/initialize\u0064"}' \
		"$INITIALIZE" '{"jsonrpc":"2.0","m\u0065thod":"notifications\/initialize\u0064"}' \
		'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pid","arguments":{}}}'
}

@test "a handshake whose lines end in CR LF is kept as it is" {
	session "${IDLE[@]}" --
	say "$INITIALIZE"$'\r'
	await answered '"init"'
	say "$INITIALIZED"$'\r'
	await asleep
	say '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'$'\r'
	await answered 1
	sent "$INITIALIZE"$'\r' "$INITIALIZED"$'\r' "$INITIALIZE"$'\r' "$INITIALIZED"$'\r' \
		'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'$'\r'
}

# long_hello BYTES: a handshake, the first line of which is that much longer; it is in INITIALIZE.
long_hello() {
	INITIALIZE="${INITIALIZE%\}*\}*},\"clientInfo\":{\"name\":\"$(printf "%0$1d" 0)\"}}}"
	hello
}

@test "a handshake of 30 KB is not cut short" {
	session "${IDLE[@]}" --
	long_hello 30000
	await asleep
	ask 1
	sent "$INITIALIZE" "$INITIALIZED" "$INITIALIZE" "$INITIALIZED" \
		'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pid","arguments":{}}}'
}

@test "a handshake that is too long to be kept turns idle-stop off" {
	session -v "${IDLE[@]}" --
	long_hello 300000
	not_understood
}

@test "an answer to initialize of 200 KB is swallowed whole" {
	session "${IDLE[@]}" -- instructions=200000
	hello
	await asleep
	ask 1
	ask 2
	(($(wc -l <out) == 3))
	(($(grep -c protocolVersion out) == 1))
}

@test "a new server gets the last logging/setLevel, and the client no second answer to it" {
	local level='{"jsonrpc":"2.0","id":"level-2","method":"logging/setLevel","params":{"level":"debug"}}'
	session "${IDLE[@]}" --
	hello
	request 5 logging/setLevel '{"level":"error"}'
	await answered 5
	say "$level"
	await answered '"level-2"'
	await asleep
	say '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
	await answered 1
	ask 2
	got_by "$(server)" >got
	printf '%s\n' "$INITIALIZE" "$INITIALIZED" "$level" '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' \
		'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"pid","arguments":{}}}' | cmp - got
	(($(grep -c '"level-2"' out) == 1))
	(($(grep -c '"init"' out) == 1))
	(($(wc -l <out) == 5))
}

@test "what else a new server says during the handshake is passed on" {
	session "${IDLE[@]}" -- later:greet later:hint
	hello
	await asleep
	ask 1
	told greeting
	told hint
	(($(wc -l <out) == 4))
}

@test "a new server's request with the id of the handshake is passed on, and so is its answer" {
	session -i 1s -- 'later:ask="init"'
	hello
	await asleep
	call 1 pid
	await told '"id":"init","method":"roots/list"'
	say '{"jsonrpc":"2.0","id":"init","result":{"roots":[]}}'
	await logged '"roots":[]'
	grep -qxF '{"jsonrpc":"2.0","id":"init","result":{"roots":[]}}' <<<"$(got_by "$(server)")"
	await asleep
}

@test "what the client sends while the server comes up arrives in order, behind the handshake" {
	local i
	session "${IDLE[@]}" -- later:delay=1500
	hello
	await asleep
	for i in 1 2 3 4 5; do
		call "$i" pid
		notify "notifications/n$i"
	done
	await answered 5
	await logged notifications/n5
	got_by "$(server)" | grep -o -e 'initialize[a-z]*"' -e '"id":[0-9]' -e '/n[0-9]' | paste -sd' ' >got
	[[ $(<got) == 'initialize" initialized" "id":1 /n1 "id":2 /n2 "id":3 /n3 "id":4 /n4 "id":5 /n5' ]]
	(($(servers | wc -l) >= 2))
}

@test "more than a pipe holds, sent while the server comes up, arrives in order" {
	session "${IDLE[@]}" -- later:delay=1000
	hello
	await asleep
	seq 1 5000 | sed 's/.*/{"jsonrpc":"2.0","id":&,"method":"tools\/list","params":{"_meta":{"padding":"0123456789012345678901234567890"}}}/' >&7
	await answered 5000
	grep -o '"id":[0-9][0-9]*' out | cut -d: -f2 | cmp - <(seq 1 5000)
	(($(servers | wc -l) >= 2))
}

@test "a server that comes up for longer than DURATION is not stopped for it" {
	session "${IDLE[@]}" -- later:delay=1500
	hello
	await asleep
	ask 1
	(($(servers | wc -l) >= 2))
}

@test "a first message that is a notification starts the server, too" {
	session "${IDLE[@]}" --
	hello
	await asleep
	notify notifications/x
	await logged notifications/x
	(($(servers | wc -l) >= 2))
	await asleep
}

# rests: the session has said nothing for a while that would have started a server.
rests() {
	sleep "$LONG"
	asleep
	(($(servers | wc -l) == 1))
}

@test "a message in pieces starts a server once it is whole, and none of it is lost" {
	session "${IDLE[@]}" --
	hello
	await asleep
	printf '{"jsonrpc":"2.0",' >&7
	rests
	printf '"id":1,"method":"tools/list"}\n' >&7
	await answered 1
	[[ $(tail -n 1 keep) == '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' ]]
}

@test "a stopped session answers the client's pings itself, by their ids" {
	session "${IDLE[@]}" --
	hello
	await asleep
	request 1 ping
	request '"a\"\\\u00e9"' ping
	await eval '(($(wc -l <out) == 3))'
	rests
	[[ $(sed -n 2p out) == '{"jsonrpc":"2.0","id":1,"result":{}}' ]]
	[[ $(sed -n 3p out) == '{"jsonrpc":"2.0","id":"a\"\\é","result":{}}' ]]
}

@test "a cancellation, a blank line and an answer that nobody awaits start no server, and reach none" {
	session "${IDLE[@]}" --
	hello
	await asleep
	cancel 7
	say ''
	say '{"jsonrpc":"2.0","id":8,"result":{}}'
	rests
	ask 1
	got_by "$(server)" | tail -n +3 >got
	[[ $(wc -l <got) == 1 ]]
}

@test "list_changed of a stopped session starts no server, and the next one gets it in order" {
	session "${IDLE[@]}" --
	hello
	await asleep
	notify notifications/roots/list_changed
	rests
	ask 1
	got_by "$(server)" | grep -o '"method":"[^"]*"' | paste -sd' ' >got
	[[ $(<got) == '"method":"initialize" "method":"notifications/initialized" "method":"notifications/roots/list_changed" "method":"tools/call"' ]]
}

@test "the end of input ends a stopped session that has something for the next server only" {
	session "${IDLE[@]}" --
	hello
	await asleep
	notify notifications/roots/list_changed
	close_stdin
	ended
	[[ $STATUS == 0 ]]
	quiet
	(($(servers | wc -l) == 1))
	nothing_left
}

@test "more list_changed than there is room for start a server, and none is lost" {
	session "${IDLE[@]}" --
	hello
	await asleep
	for i in {1..20000}; do echo '{"jsonrpc":"2.0","method":"notifications/roots/list_changed","params":{}}'; done >&7
	ask 1
	(($(grep -c list_changed keep) == 20000))
}

@test "a session without a handshake is stopped, and a new server gets the message only" {
	session "${IDLE[@]}" --
	request 1 tools/list
	await answered 1
	await asleep
	request 2 tools/list
	await answered 2
	await asleep
	ask 3
	sent '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}' \
		'{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{}}' \
		'{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"pid","arguments":{}}}'
	(($(servers | wc -l) >= 3))
}

# What a new server is.

# A shell that writes what it was given to files of its own, and becomes the command behind it.
OWN_STATE=(sh -c '
	{
		tr "\0" "\n" </proc/self/environ
		pwd
		umask
		ulimit -a
		printf "%s\n" "$@"
		readlink /proc/$$/fd/2
		grep -e SigBlk -e SigIgn -e SigCgt -e Groups -e NoNewPrivs -e Threads /proc/self/status
		cut -d" " -f5,7- /proc/$$/stat | cut -d" " -f2,13,14
	} >state.$$
	ls /proc/$$/fd >fds.$$ # and 10, which the shell has for itself
	exec "$@"' sh)

@test "a new server has the environment, arguments, directory, limits and signals of the first" {
	local all
	start -g 0.2 -k 0.2 "${IDLE[@]}" -- "${OWN_STATE[@]}" "$FIX/mcp" log=log stderr='here  I am'
	hello
	await asleep
	ask 1
	mapfile -t all < <(servers)
	diff "state.${all[0]}" "state.${all[1]}"
}

@test "a new server has its stderr where the first has it" {
	session "${IDLE[@]}" -- stderr=here
	hello
	await asleep
	ask 1
	[[ $(grep -v '^mcp-reap: idle-stop: ' err) == $'here\nhere' ]]
}

@test "a new server has descriptors 0, 1 and 2 only" {
	start -g 0.2 -k 0.2 "${IDLE[@]}" -- "${OWN_STATE[@]}" "$FIX/mcp" log=log
	hello
	await asleep
	ask 1
	[[ $(grep -vx 10 "fds.$(server)") == $'0\n1\n2' ]]
}

@test "a new server has no new privileges, if the first has none" {
	start -x -g 0.2 -k 0.2 "${IDLE[@]}" -- "${OWN_STATE[@]}" "$FIX/mcp" log=log
	hello
	await asleep
	ask 1
	grep -q 'NoNewPrivs:.*1' "state.$(server)"
}

# A server that does not come back.

# failing [WORD]...: a session whose later servers are of no use; a call waits for one.
failing() {
	session -v -i 500ms -- "$@"
	hello
	await asleep
	call 1 pid
	await tried 3
	alive "$SHIM"
	run ! answered 1
}

# tried N: so many tries have failed.
tried() {
	(($(grep -c idle-start-failed err) >= $1))
}

# told_each LINE: the first two later servers got this first.
told_each() {
	local pid
	for pid in $(servers | tail -n +2 | head -n 2); do
		[[ $(got_by "$pid" | head -n 1) == "$1" ]]
	done
}

@test "a new server with another protocol version is not used, and another try follows" {
	failing later:version=2024-11-05
	has 'reason=.*protocolVersion' err
	told_each "$INITIALIZE"
	(($(wc -l <out) == 1))
}

@test "a new server that answers initialize with an error is not used, and another try follows" {
	failing later:error
	told_each "$INITIALIZE"
	(($(grep -c '"init"' out) == 1))
}

@test "after a new server that exits at initialize another try follows" {
	failing later:exit=7
	told_each "$INITIALIZE"
}

@test "after a new server that exits before it reads another try follows" {
	failing later:exit-now=7
}

@test "the end of input ends a session whose server does not come back" {
	failing later:exit-now=7
	close_stdin
	ended
	nothing_left
}

@test "SIGTERM ends a session whose server does not come back" {
	failing later:exit-now=7
	kill -TERM "$SHIM"
	ended
	[[ $STATUS == 143 ]]
	nothing_left
}

@test "a command that is away for a moment is started once it is back, and what waited is answered in order" {
	cp "$FIX/mcp" mcp
	start -v -i 500ms -- ./mcp log=log
	hello
	await asleep
	mv mcp away
	call 1 pid
	notify notifications/x
	call 2 pid
	await tried 2
	mv away mcp
	await answered 2
	got_by "$(server)" | grep -o -e 'initialize[a-z]*"' -e '"id":[0-9]' -e '/x' | paste -sd' ' >got
	[[ $(<got) == 'initialize" initialized" "id":1 /x "id":2' ]]
}

@test "when no server can be had for half a minute, what waits is answered by an error; the next call tries again" {
	PATIENCE=60
	cp "$FIX/mcp" mcp
	start -i 500ms -- ./mcp log=log
	hello
	await asleep
	mv mcp away
	call 1 pid
	await answered 1
	has '"id":1,"error":{"code":-32000,"message":"there is no server, and none comes up: it exited with status' out
	has '^mcp-reap: server: there is no server, and none comes up' err
	alive "$SHIM"
	mv away mcp
	ask 2
	got_by "$(server)" | grep -o -e 'initialize[a-z]*"' -e '"id":[0-9]' | paste -sd' ' >got
	[[ $(<got) == 'initialize" initialized" "id":2' ]]
}

@test "a server that exits by itself ends the session, and is not started again" {
	session -i 100s --
	hello
	call 1 exit '{"code":5}'
	ended
	[[ $STATUS == 5 ]]
	quiet
	(($(servers | wc -l) == 1))
	nothing_left
}

@test "a new server that exits by itself ends the session with its status" {
	session "${IDLE[@]}" --
	hello
	await asleep
	call 1 exit '{"code":6}'
	ended
	[[ $STATUS == 6 ]]
	quiet
	(($(servers | wc -l) >= 2))
	nothing_left
}

# Endings.

@test "the end of input ends a stopped session with 0" {
	session "${IDLE[@]}" --
	hello
	await asleep
	close_stdin
	ended
	[[ $STATUS == 0 ]]
	quiet
	(($(servers | wc -l) == 1))
	nothing_left
}

@test "SIGTERM ends a stopped session at once" {
	session -g 300 "${IDLE[@]}" --
	hello
	await asleep
	kill -TERM "$SHIM"
	ended
	[[ $STATUS == 143 ]]
	quiet
	(($(servers | wc -l) == 1))
	nothing_left
}

@test "the client's death ends a stopped session" {
	client stdio=inherit until=go die -- -g 0.2 -k 0.2 "${IDLE[@]}" -- "$FIX/mcp" log=log
	hello
	await none_but_shim_and_client
	: >go
	nothing_left
}
none_but_shim_and_client() {
	[[ $(marked | sort -n | paste -sd' ') == "$(printf '%s\n' "$SHIM" "$CLIENT" | sort -n | paste -sd' ')" ]]
}

@test "the client's death ends a stopped session also when the thread that started it is long gone" {
	client stdio=inherit from-thread thread-exit until=go die -- -g 0.2 -k 0.2 "${IDLE[@]}" -- "$FIX/mcp" log=log
	hello
	await none_but_shim_and_client
	request 1 ping
	await answered 1
	await none_but_shim_and_client
	: >go
	nothing_left
}

@test "with --outlive-parent a stopped session goes on when the client is gone" {
	client stdio=inherit until=go die -- -o -g 0.2 -k 0.2 "${IDLE[@]}" -- "$FIX/mcp" log=log
	hello
	await none_but_shim_and_client
	: >go
	await gone "$CLIENT"
	request 1 ping
	await answered 1
	close_stdin
	nothing_left
}

@test "SIGKILL of the shim of a stopped session leaves nothing" {
	session "${IDLE[@]}" --
	hello
	await asleep
	kill -KILL "$SHIM"
	nothing_left
}

@test "a client that stops reading ends a stopped session" {
	start_to_pipe
	await asleep
	exec {OUTPUT}<&-
	ended
	nothing_left
}

@test "a message right before the end of input is answered by a new server" {
	session -g 60 "${IDLE[@]}" -- later:delay=500
	hello
	await asleep
	call 1 pid
	close_stdin
	ended
	[[ $STATUS == 0 ]]
	answered 1
	(($(servers | wc -l) >= 2))
	nothing_left
}

@test "a stopped session's shim that is stopped itself goes on after SIGCONT" {
	session "${IDLE[@]}" --
	hello
	await asleep
	kill -STOP "$SHIM"
	await stopped "$SHIM"
	call 1 pid
	kill -CONT "$SHIM"
	await answered 1
}

# being_stopped: a session whose server has got the end of its input, and is there for long.
being_stopped() {
	start -g 300 -k 300 "${IDLE[@]}" -- "$FIX/mcp" log=log keep=keep deaf term-proof stray
	hello
	await grep -q EOF log
}

@test "a message that comes while the server is being stopped is answered by a new one" {
	start -g 1.5 -k 0.2 "${IDLE[@]}" -- "$FIX/mcp" log=log keep=keep deaf term-proof
	hello
	await grep -q EOF log
	ask 1
	[[ $SERVER == "$(server)" ]]
	(($(servers | wc -l) >= 2))
	[[ $(sed -n '/EOF/,$p' log | sed 's/^[0-9]* //; s/ .*//' | head -n 3 | paste -sd' ') == 'EOF TERM start' ]]
}

@test "the end of input while the server is being stopped leaves nothing" {
	start -g 1 -k 0.2 "${IDLE[@]}" -- "$FIX/mcp" log=log deaf term-proof stray
	hello
	await grep -q EOF log
	close_stdin
	ended
	nothing_left
}

@test "SIGCONT while the server is being stopped does not cost the session its client" {
	start -g 1 -k 0.2 "${IDLE[@]}" -- "$FIX/mcp" log=log deaf
	hello
	await grep -q EOF log
	kill -CONT "$SHIM"
	await asleep
	ask 1
}

@test "a message and the end of input while the server is being stopped: it is answered by a new one" {
	start -g 1 -k 0.2 "${IDLE[@]}" -- "$FIX/mcp" log=log deaf
	hello
	await grep -q EOF log
	call 2 pid
	close_stdin
	ended
	[[ $STATUS == 143 ]]
	quiet
	answered 2
	(($(servers | wc -l) >= 2))
	nothing_left
}

@test "a second SIGTERM while the server is being stopped ends it at once" {
	being_stopped
	kill -TERM "$SHIM"
	await has TERM log
	kill -TERM "$SHIM"
	ended
	nothing_left
}

@test "SIGKILL of the shim while the server is being stopped leaves nothing" {
	start -g 1 -k 0.2 "${IDLE[@]}" -- "$FIX/mcp" log=log deaf term-proof stray
	hello
	await grep -q EOF log
	kill -KILL "$SHIM"
	nothing_left
}

@test "SIGKILL of the reaper while the server is being stopped leaves nothing" {
	start -g 300 -k 0.2 "${IDLE[@]}" -- "$FIX/mcp" log=log keep=keep deaf term-proof stray
	hello
	await grep -q EOF log
	kill -KILL "$(reaper_pid)"
	ended
	nothing_left
}

@test "the client's death while the server is being stopped leaves nothing" {
	client stdio=inherit until=go die -- -g 1 -k 0.2 "${IDLE[@]}" -- "$FIX/mcp" log=log deaf term-proof stray
	hello
	await grep -q EOF log
	: >go
	nothing_left
}

# coming_up: a session whose second server has not answered yet; what it said so far, and a message behind it.
coming_up() {
	session "${IDLE[@]}" -- stray later:delay=60000 later:term-proof later:deaf
	hello
	await asleep
	call 1 pid
	await started 2
	await in_handshake
}
in_handshake() {
	(($(grep -c initialize\" log) == 2))
}

@test "SIGTERM while a new server comes up leaves nothing" {
	coming_up
	kill -TERM "$SHIM"
	ended
	nothing_left
}

@test "the end of input while a new server comes up leaves nothing" {
	session "${IDLE[@]}" -- stray later:delay=1000
	hello
	await asleep
	call 1 pid
	await started 2
	close_stdin
	ended
	nothing_left
}

@test "SIGKILL of the shim while a new server comes up leaves nothing" {
	coming_up
	kill -KILL "$SHIM"
	nothing_left
}

@test "SIGKILL of a new server's reaper ends the session with 125 and leaves nothing" {
	session "${IDLE[@]}" -- stray child deaf
	hello
	await asleep
	ask 1
	call 2 never
	kill -KILL "$(reaper_pid)"
	ended
	[[ $STATUS == 125 ]]
	nothing_left
}

@test "the end of input ends a session with a new server as it does with the first" {
	session "${IDLE[@]}" -- stray child deaf term-proof
	hello
	await asleep
	call 1 never
	await logged '"id":1'
	close_stdin
	ended
	[[ $STATUS == 137 ]]
	nothing_left
}

@test "SIGTERM ends a session with a new server as it does with the first" {
	session "${IDLE[@]}" -- stray child
	hello
	await asleep
	call 1 never
	await logged '"id":1'
	kill -TERM "$SHIM"
	ended
	[[ $STATUS == 143 ]]
	nothing_left
}

# While something is outstanding nobody is stopped. Each test shows, too, that it was this: once it is settled, the
# server is stopped.

# outstanding ID [CANCELLED]: a call with this id keeps the server, until it is cancelled.
outstanding() {
	session "${IDLE[@]}" --
	hello
	call "$1" never
	await logged '"id":'"$1"
	stays
	cancel "${2:-$1}"
	await asleep
}

@test "a call without an answer: its id is a number" {
	outstanding 17
}

@test "a call without an answer: its id is 0" {
	outstanding 0
}

@test "a call without an answer: its id is a negative number" {
	outstanding -3
}

@test "a call without an answer: its id is a large number" {
	outstanding 9007199254740993
}

@test "a call without an answer: its id is a string" {
	outstanding '"7e0c3b1a-0000-4000-8000-000000000000"'
}

@test "a call without an answer: its id is the empty string" {
	outstanding '""'
}

@test "a call without an answer: its id is a string of escapes" {
	outstanding '"\"}{\\\u0000\ud83d\ude00\/"'
}

@test "a call without an answer: its id is a string of many bytes" {
	outstanding '"äöü€😀"'
}

# What takes long is not stopped, in doubt: nothing is said here about the end of it.
@test "a call without an answer: its id is a string of 5000 bytes" {
	session "${IDLE[@]}" --
	hello
	call "\"$(printf '%05000d' 0)\"" never
	await logged 00000000000
	stays
}

@test "a call that takes longer than DURATION is answered by the server that got it" {
	session "${IDLE[@]}" --
	hello
	local before
	call 1 sleep '{"ms":1500}'
	await logged '"sleep"'
	before=$(servers)
	await answered 1
	[[ $(servers) == "$before" ]]
	await asleep
}

@test "a call is outstanding while others come and go" {
	session "${IDLE[@]}" --
	hello
	call 1 never
	call 2 pid
	call '"3"' pid
	await answered '"3"'
	stays
	cancel 1
	await asleep
}

@test "five hundred outstanding calls are kept apart" {
	session "${IDLE[@]}" --
	hello
	seq 1 500 | sed 's/.*/{"jsonrpc":"2.0","id":&,"method":"tools\/call","params":{"name":"never"}}/' >&7
	await logged '"id":500,'
	seq 1 499 | sed 's/.*/{"jsonrpc":"2.0","method":"notifications\/cancelled","params":{"requestId":&}}/' >&7
	await logged '"requestId":499}'
	stays
	cancel 500
	await asleep
}

@test "the number 1 and the string 1 are two ids" {
	session "${IDLE[@]}" --
	hello
	call '"1"' never
	call 2 raw '{"text":"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n"}'
	await answered 2
	stays
	cancel '"1"'
	await asleep
}

@test "an answer in the middle of another message settles nothing" {
	session "${IDLE[@]}" --
	hello
	call 5 never
	call 6 raw '{"text":"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"id\":5,\"result\":{}}}\n"}'
	call 7 raw '{"text":"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":[{\"id\":5,\"result\":{}}]}\n"}'
	call 8 echo '{"text":"}\",\"id\":5,\"result\":{},\"x\":\""}'
	await answered 8
	stays
	cancel 5
	await asleep
}

@test "what looks like an id in a request's arguments is none" {
	session "${IDLE[@]}" --
	hello
	request 5 tools/call '{"id":6,"name":"never","arguments":{"id":6,"method":"ping"}}'
	request 6 ping
	await answered 6
	stays
	cancel 5
	await asleep
}

@test "an answer that is an error settles its call" {
	session "${IDLE[@]}" --
	hello
	request 1 no/such/method
	await answered 1
	await asleep
}

@test "an answer to a call that was cancelled does no harm" {
	start -g 30 "${IDLE[@]}" -- "$FIX/mcp" log=log keep=keep
	hello
	call 1 sleep '{"ms":500}'
	cancel 1
	await answered 1
	await asleep
	ask 2
}

# asked ID: a session whose server has asked the client something.
asked() {
	session "${IDLE[@]}" --
	hello
	call 1 ask '{"id":'"$1"',"method":"sampling/createMessage"}'
	await answered 1
	stays
}

@test "a server's request without an answer: its id is a number" {
	asked 1
	say '{"jsonrpc":"2.0","id":1,"result":{"role":"assistant"}}'
	await asleep
}

@test "a server's request without an answer: its id is a string" {
	asked '"a\"b"'
	say '{"jsonrpc":"2.0","id":"a\"b","result":{}}'
	await asleep
}

@test "a server's request is settled by an error" {
	asked 1
	say '{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"rejected"}}'
	await asleep
}

@test "a server's request is settled by its own cancellation" {
	asked 9
	call 2 cancel '{"id":9}'
	await asleep
	answered 2
}

@test "a server's request is not settled by the client's cancellation, nor by another answer" {
	asked 9
	cancel 9
	say '{"jsonrpc":"2.0","id":"9","result":{}}'
	say '{"jsonrpc":"2.0","id":8,"result":{}}'
	await logged '"id":8'
	stays
	say '{"jsonrpc":"2.0","id":9,"result":{}}'
	await asleep
}

@test "a client's call is not settled by the server's cancellation, nor by the client's answer" {
	session "${IDLE[@]}" --
	hello
	call 9 never
	call 10 cancel '{"id":9}'
	await answered 10
	say '{"jsonrpc":"2.0","id":9,"result":{}}'
	await logged '"id":9,"result"'
	stays
	cancel 9
	await asleep
}

@test "requests of both sides with the same id are two" {
	session "${IDLE[@]}" --
	hello
	call 2 never
	call 3 ask '{"id":2,"method":"elicitation/create"}'
	await answered 3
	say '{"jsonrpc":"2.0","id":2,"result":{"action":"accept"}}'
	await logged accept
	stays
	cancel 2
	await asleep
}

@test "a subscription keeps the server until it is given up" {
	session "${IDLE[@]}" --
	hello
	request 1 resources/subscribe '{"uri":"file:///a"}'
	await answered 1
	stays
	request 2 resources/unsubscribe '{"uri":"file:///a"}'
	await asleep
	answered 2
}

@test "two subscriptions keep the server until both are given up" {
	session "${IDLE[@]}" --
	hello
	request 1 resources/subscribe '{"uri":"file:///a"}'
	request 2 resources/subscribe '{"uri":"file:///b"}'
	request 3 resources/unsubscribe '{"uri":"file:///a"}'
	await answered 3
	stays
	request 4 resources/unsubscribe '{"uri":"file:///b"}'
	await asleep
}

@test "a listener for resources keeps the server until it is cancelled" {
	session "${IDLE[@]}" --
	hello
	request 1 subscriptions/listen '{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["x:1"]}}'
	await logged subscriptions/listen
	stays
	cancel 1
	await asleep
}

@test "a request for a task keeps the server, though it is answered" {
	session "${IDLE[@]}" --
	hello
	request 1 tools/call '{"name":"pid","task":{"ttl":60000}}'
	await answered 1
	stays
}

@test "what is called task elsewhere is none" {
	session "${IDLE[@]}" --
	hello
	call 1 pid '{"task":{"ttl":60000}}'
	await asleep
}

@test "a session without any message has its server stopped, and the first one starts it" {
	session "${IDLE[@]}" --
	await started 1
	await asleep
	ask 1
	(($(servers | wc -l) == 2))
}

@test "before initialize is answered the server is not stopped" {
	session "${IDLE[@]}" -- delay=1500
	say "$INITIALIZE"
	await logged initialize
	await answered '"init"'
	(($(servers | wc -l) == 1))
	say "$INITIALIZED"
	await asleep
}

@test "a server that does not hear that the client is initialized is stopped, and the next one hears it in its turn" {
	session "${IDLE[@]}" --
	say "$INITIALIZE"
	await answered '"init"'
	await asleep
	say "$INITIALIZED"
	ask 1
	sent "$INITIALIZE" "$INITIALIZE" "$INITIALIZED" \
		'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pid","arguments":{}}}'
	(($(grep -c '"init"' out) == 1))
}

@test "a server's roots/list that nobody answers does not keep it" {
	session "${IDLE[@]}" --
	hello
	call 1 ask '{"id":5,"method":"roots/list"}'
	await answered 1
	await asleep
}

@test "a call that waits for longer than --idle-request is answered by an error at the stop" {
	session "${IDLE[@]}" --idle-request=2s --
	hello
	call 1 never
	stays
	await asleep
	await answered 1
	has '"id":1,"error":{"code":-32000,"message":"the server was stopped while idle: this request had waited' out
	ask 2
}

@test "an unfinished message of the client keeps the server" {
	session "${IDLE[@]}" --
	hello
	printf '{"jsonrpc":"2.0","method":"not' >&7
	await grep -q 'method":"not$' keep
	stays
	printf 'ifications/x"}\n' >&7
	await asleep
	logged notifications/x
}

@test "an unfinished message of the server keeps it" {
	session "${IDLE[@]}" --
	hello
	call 1 raw '{"behind":"{\"jsonrpc\":\"2.0\",\"method\":\"not"}'
	await grep -q 'method":"not$' out
	stays
	call 2 raw '{"text":"ifications/progress\"}\n"}'
	await asleep
	told notifications/progress
}

@test "what the server has not read keeps it" {
	session "${IDLE[@]}" -- unread
	say "$INITIALIZE"
	await answered '"init"'
	say "$INITIALIZED"
	sleep "$LONG"
	stays
}

@test "what the client has not read keeps the server" {
	start_to_pipe
	call 1 notify '{"n":3000}'
	await logged '"n":3000'
	stays
	cat <&"$OUTPUT" >out 3>&- 7>&- 8<&- &
	await asleep
	(($(grep -c notifications/message out) == 3000))
	answered 1
}

# A stream that is not understood.

# not_understood: from now on the server is left in peace, and one line says so with -v.
not_understood() {
	local before
	request 8 ping
	await answered 8
	before=$(servers)
	stays
	[[ $(servers) == "$before" ]]
	# An answer that takes longer than -i, on a busy machine, is waited for, too.
	(($(grep '^mcp-reap\[.*\]: idle-wait reason=' err | grep -vc reason=message) == 1))
}

# client_line LINE: a client that says this.
client_line() {
	session -v "${IDLE[@]}" --
	hello
	printf '%s\n' "$1" >&7
	not_understood
}

@test "a batch of the client is read as what it holds" {
	session "${IDLE[@]}" --
	hello
	say '[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"never"}},{"jsonrpc":"2.0","method":"notifications/x"}]'
	await logged notifications/x
	stays
	cancel 1
	await asleep
}

@test "noise of the client turns idle-stop off" {
	client_line 'hello?'
}

@test "a line that is JSON, but no object, turns idle-stop off" {
	client_line '"{}"'
}

@test "an object with something behind it turns idle-stop off" {
	client_line '{"jsonrpc":"2.0","method":"notifications/x"} x'
}

@test "two objects on a line turn idle-stop off" {
	client_line '{"jsonrpc":"2.0","method":"notifications/x"}{"jsonrpc":"2.0","method":"notifications/y"}'
}

@test "a broken object turns idle-stop off" {
	client_line '{"jsonrpc":"2.0","method":"notifications/x",}'
}

@test "an unfinished object turns idle-stop off" {
	client_line '{"jsonrpc":"2.0","method":"notifications/x"'
}

@test "noise and blank lines of the server are no doubt" {
	session "${IDLE[@]}" --
	hello
	call 1 raw '{"text":"listening\n\n \n"}'
	await answered 1
	await asleep
	ask 2
}

@test "a batch of answers settles what it answers" {
	session "${IDLE[@]}" --
	hello
	call 5 never
	stays
	call 1 raw '{"text":"[{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}]\n"}'
	await answered 1
	await asleep
}

# Two readers may take different members of these: in doubt, nobody is stopped.

@test "two ids in a message do not lead to a stop while either is outstanding" {
	session "${IDLE[@]}" --
	hello
	say '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"never"},"id":2}'
	await logged '"id":2}'
	call 3 raw '{"text":"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n"}'
	await answered 3
	stays
}

@test "an id that is hidden by escapes is seen" {
	session "${IDLE[@]}" --
	hello
	say '{"jsonrpc":"2.0","i\u0064":1,"method":"tools/call","params":{"name":"never"}}'
	await logged 'i\u0064'
	stays
	cancel 1
	await asleep
}

@test "deep nesting hides nothing" {
	local open close
	open=$(printf '%020000d' 0)
	close=${open//0/]}
	open=${open//0/[}
	session "${IDLE[@]}" --
	hello
	say '{"jsonrpc":"2.0","params":{"name":"never","x":'"$open$close"'},"id":1,"method":"tools/call"}'
	await logged '"id":1,"method":"tools/call"}'
	stays
}

@test "invalid UTF-8 hides nothing" {
	session "${IDLE[@]}" --
	hello
	say $'{"jsonrpc":"2.0","x":"\xff\xc0\xed\xa0\x80","id":1,"method":"tools/call","params":{"name":"never","y":"\xf0"}}'
	await grep -qaF '"id":1,' log
	stays
}

@test "a request that comes with the end of input while an idle server goes down is answered" {
	session -i 300ms -g 1 -k 1 -- deaf term-proof
	hello
	await grep -q ' EOF' log
	call 1 pid
	close_stdin
	ended
	answered 1
	nothing_left
}

@test "a line of which a server has got the blanks keeps it" {
	LONG=1
	session -i 300ms --
	hello
	printf '  ' >&7
	stays
	ask 1
	await asleep
}

# Size and speed.

@test "100 MB both ways in one message each pass with --idle-stop, and the session is stopped and started" {
	head -c 75000000 /dev/urandom | base64 -w 0 >text
	session "${IDLE[@]}" --
	hello
	await asleep
	{
		printf '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"'
		cat text
		printf '"}}}\n'
	} >&7
	await told '"id":1,"result":'
	await asleep
	call 2 pid
	await told '"id":2,"result":'
	{
		printf '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"'
		cat text
		printf '"}]}}\n'
	} >answer
	grep -F '"id":1,"result":' out | cmp - answer
	(($(servers | wc -l) >= 3))
}

# turn_texts LAST: what the requests up to that one ask for.
turn_texts() {
	seq 0 "$1" | sed 's/.*/"turn &"/'
}

# taken TURNS: what `turns` has sent was got whole, in order and once, by servers that began with the handshake.
taken() {
	local requests
	requests=$(sed -n 's/^turns: \([0-9]*\) .*/\1/p' out)
	cat out
	servers | wc -l
	((requests >= $1))
	grep -o '"turn [0-9]*"' log | cmp - <(turn_texts $((requests - 1)))
	[[ $(grep -c '"initialize"' log) == $(servers | wc -l) ]]
	[[ $(grep -c 'notifications/initialized' log) == $(servers | wc -l) ]]
	awk '$2 == "start" { n[$1] = 0; next } $2 == "<" && ++n[$1] == 1 && !/"initialize"/ { exit 1 }
		$2 == "<" && n[$1] == 2 && !/notifications\/initialized/ { exit 1 }' log
	(($(servers | wc -l) > 1))
	quiet
}

# How often messages and stops race: a few hundred times, thousands where there is time for it.
TURNS=200
[[ ${MCP_REAP_TEST_SLOW-} != 1 ]] || TURNS=5000

# race TURNS [OPTION-OF-TURNS]...: messages sent just when the server is about to be stopped.
race() {
	PATIENCE=$((PATIENCE + TURNS / 5))
	launch "$FIX/turns" -n "$1" -d 20 -j 2 "${@:2}" -- "$MCP_REAP" -i 20ms -- "$FIX/mcp" log=log
	ended $!
	[[ $STATUS == 0 ]]
}

@test "messages sent at the deadline: none is lost, none doubled" {
	race "$TURNS"
	taken "$TURNS"
	nothing_left
}

@test "messages in pieces, cut anywhere, at the deadline: none is lost, none doubled" {
	race "$TURNS" -p -r 2
	taken "$TURNS"
}

@test "bursts of messages over sockets, in pieces, at the deadline: none is lost, none doubled" {
	race $((TURNS / 2)) -b 20 -p -s sockets -r 3
	taken "$TURNS"
}

@test "messages at the deadline with a server that says everything byte by byte" {
	launch "$FIX/turns" -n 200 -d 20 -j 2 -b 3 -r 4 -- "$MCP_REAP" -i 20ms -- "$FIX/mcp" log=log bytes
	ended $!
	[[ $STATUS == 0 ]]
	taken 200
}

@test "messages without a handshake at the deadline: none is lost, none doubled" {
	race "$TURNS" -o -r 5
	grep -o '"turn [0-9]*"' log | cmp - <(turn_texts $((TURNS - 1)))
	(($(servers | wc -l) > 1))
	run ! has initialize log
}

@test "messages that come while a server that outlives the end of input is stopped: none is lost, none doubled" {
	launch "$FIX/turns" -n 100 -d 25 -j 20 -r 6 -- "$MCP_REAP" -g 10ms -k 10ms -i 20ms -- \
		"$FIX/mcp" log=log deaf term-proof stray
	ended $!
	taken 100
	nothing_left
}

# --verbose.

@test "with -v a stop is one line, with the memory that came back, and so is a start" {
	session -v "${IDLE[@]}" --
	hello
	await asleep
	ask 1
	await asleep
	cat err
	(($(grep -c "^mcp-reap\[$SHIM\]: idle-stop memory=[1-9][0-9]*$" err) == 2))
	(($(grep -c "^mcp-reap\[$SHIM\]: idle-start seconds=[0-9.]*$" err) == 1))
}

# The command line.

@test "the long option has the same meaning" {
	session --idle-stop=100ms --
	hello
	await asleep
}

@test "a DURATION that is none is refused" {
	run -125 --separate-stderr mcp_reap -i soon -- true
	# shellcheck disable=SC2154 # by run
	[[ $stderr == "mcp-reap: --idle-stop: 'soon': not a duration" ]]
}

# Less than a modern Linux has.

# works_through COMMAND...: behind it, a COMMAND that becomes mcp-reap, a session is stopped and started twice.
works_through() {
	launch "$@" "$MCP_REAP" -g 0.2 -k 0.2 "${IDLE[@]}" -- "$FIX/mcp" log=log keep=keep
	SHIM=$!
	hello
	await gone "$(server)"
	ask 1
	await gone "$SERVER"
	ask 2
	(($(servers | wc -l) >= 3))
	close_stdin
	ended
	[[ $STATUS == 0 ]]
	quiet
	nothing_left
}

@test "a session is stopped and started without pidfds, close_range and splice" {
	local deny=("$FIX/deny" pidfd_open=ENOSYS close_range=ENOSYS splice=EINVAL)
	need_that seccomp "${deny[@]}" -- true
	works_through "${deny[@]}" --
}

@test "a session is stopped and started without children files" {
	local deny=("$FIX/deny" children=ENOENT)
	need_that seccomp "${deny[@]}" -- true
	works_through "${deny[@]}" --
}

@test "a session is stopped and started without /proc" {
	need_that 'build without a sanitizer' not_sanitized
	local hide=(unshare -m)
	((EUID == 0)) || hide+=(--map-root-user)
	hide+=(sh -c 'mount -t tmpfs none /proc && exec "$@"' -)
	need_that 'mount namespace' "${hide[@]}" true
	works_through "${hide[@]}"
}

@test "a signal ends the session while the client does not take what a stopped server has said" {
	mkfifo sink
	exec 6<>sink
	# shellcheck disable=SC2016 # for that shell
	MCP_REAP_TEST=$MARK "$MCP_REAP" -i 100ms -g 0.2 -k 0.2 -- sh -c '
		read -r line; echo "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"
		read -r line; yes "{\"method\":\"x\"}" | head -n 40000' <in >&6 2>err 3>&- 6>&- 7>&- 8<&- 9>tree &
	SHIM=$!
	exec 7>in
	say '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
	read -r _ <&6
	await eval '! children "$SHIM"'
	kill -TERM "$SHIM"
	ended
	((STATUS == 143))
	exec 6>&-
	nothing_left
}

@test "a request that a server makes while it is stopped is not passed on" {
	# shellcheck disable=SC2016 # for that shell
	start -i 100ms -g 2 -- sh -c '
		while read -r line; do echo "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"; done
		echo "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"sampling/createMessage\"}"
		echo "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/last\"}"'
	say '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
	await told notifications/last
	run ! told sampling
}

@test "the trace marks what is replayed to a new server, and what the client does not get" {
	session -i 100ms -t trace --
	hello
	await asleep
	ask 1
	(($(grep -c '"from":"client","replayed":true,.*"method":"initialize"' trace) == 1))
	(($(grep -c '"from":"client","replayed":true,.*"method":"notifications/initialized"' trace) == 1))
	(($(grep -c '"from":"server","swallowed":true,' trace) == 1))
}
