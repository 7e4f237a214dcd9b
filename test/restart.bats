#!/usr/bin/env bats
# --restart: a server that dies is not the end of its session.

# shellcheck disable=SC2030,SC2031,SC2153 # each test is a subshell; helper.bash sets STATUS
load helper
load mcp

# refused ID TEXT: the client has got an error with that text for its request.
refused() {
	grep '"id":'"$1"',"error":' out | grep -qF -e "$2"
}

kill_server() {
	kill "-$1" "$(server)"
}

@test "the next message after a server's death is answered by another, which has heard the handshake" {
	session -r --
	hello
	ask 1
	local first=$SERVER
	kill_server KILL
	await asleep
	ask 2
	[[ $SERVER != "$first" ]]
	[[ $(got_by "$SERVER" | head -n 2) == "$INITIALIZE"$'\n'"$INITIALIZED" ]]
	close_stdin
	ended
	[[ $STATUS == 0 && ! -s err ]]
	nothing_left
}

@test "without --restart a server's death ends the session, with its status" {
	session --
	hello
	call 1 exit '{"code":3}'
	ended
	[[ $STATUS == 3 ]]
	nothing_left
}

@test "a server that exits with 0 is brought back, too" {
	session -r --
	hello
	call 1 exit '{"code":0}'
	await refused 1 'exited with status 0'
	ask 2
	close_stdin
	ended
	[[ $STATUS == 0 ]]
	nothing_left
}

@test "a request that was open when the server died is answered by an error with the status" {
	session -r --
	hello
	call 1 never
	await logged never
	call 2 exit '{"code":7}'
	await refused 2 'the server exited with status 7'
	refused 1 'the server exited with status 7'
	ask 3
}

@test "a request that was open when the server was killed is answered by an error with the signal" {
	session -r --
	hello
	call 1 never
	await logged never
	kill_server SEGV
	await refused 1 'the server was killed by signal SEGV'
}

@test "the error has the last lines of the server's stderr" {
	session -r -- stderr=first stderr=second stderr='out of "luck"' stderr=$'\033[1mbold'
	hello
	call 1 exit '{"code":7}'
	await refused 1 'status 7: second; out of \"luck\"; ?[1mbold'
	run ! refused 1 first
	await grep -q first err # and it is on ours as always
}

@test "a death is not answered before the client asks again" {
	session -r --
	hello
	kill_server KILL
	await asleep
	sleep 0.5
	asleep
	[[ $(servers | wc -l) == 1 ]]
}

@test "what a dead server has left behind is gone before another starts" {
	session -r -- stray child
	hello
	kill_server KILL
	await asleep
	ask 2
	close_stdin
	ended
	nothing_left
}

@test "what the client says while a server dies reaches the next one, once and in order" {
	local n
	session -r -g 2 -- stray
	hello
	kill_server KILL
	for ((n = 1; n <= 50; n++)); do
		call "$n" echo '{"text":"turn '"$n"'"}'
	done
	for ((n = 1; n <= 50; n++)); do
		await answered "$n"
	done
	# Each was answered, or refused because it had gone to the one that died; none twice.
	[[ $(grep -o '"id":[0-9]*,' out | sort | uniq -d) == '' ]]
	[[ $(grep -o '"turn [0-9]*"' log | sort | uniq -d) == '' ]]
}

@test "a line that a server leaves unfinished ends where it ends, and the next is whole" {
	session -r --
	hello
	call 1 half '{"ms":60000}'
	await grep -q '"res$' out
	kill_server KILL
	await refused 1 'killed by signal KILL'
	ask 2
	[[ $(tail -n 2 out | head -n 1) == '{"jsonrpc":"2.0","id":1,"error":'* ]]
}

@test "a long line that a server leaves unfinished is ended, and the next is whole" {
	session -r -- later:hint
	hello
	call 1 cut '{"n":300000}'
	await refused 1 'the server exited with status 1'
	ask 2
	(($(grep -c '^{.*}$' out) >= 3)) # answers to initialize and 2, and the error
	[[ $(tail -n 1 out) == '{"jsonrpc":"2.0","id":2,'* ]]
}

@test "five deaths in a row end the session with the last status" {
	local n
	session -r --
	hello
	for n in 1 2 3 4; do
		call "$n" exit '{"code":'"$n"'}'
		await refused "$n" "status $n"
	done
	call 5 exit '{"code":5}'
	ended
	[[ $STATUS == 5 ]]
	grep -F 'has died 5 times' err
	nothing_left
}

@test "a server that has never spoken is not brought back" {
	start -r -- sh -c 'exit 4'
	ended
	[[ $STATUS == 4 ]]
	start -r -- ./no-such-command
	ended
	[[ $STATUS == 127 ]]
	nothing_left
}

@test "a request of a dead server is taken back, and its answer reaches no other" {
	session -r --
	hello
	call 1 ask '{"id":77,"method":"sampling/createMessage"}'
	await answered 1
	kill_server KILL
	await told '"method":"notifications/cancelled","params":{"requestId":77'
	say '{"jsonrpc":"2.0","id":77,"result":{"late":true}}'
	ask 2
	run ! grep -F late <<<"$(got_by "$SERVER")"
}

@test "SIGUSR1 has another server started now, and the client asks for its lists again" {
	session -r --
	hello
	ask 1
	local first=$SERVER
	kill -USR1 "$SHIM"
	await started 2
	ask 2
	[[ $SERVER != "$first" ]]
	run ! alive "$first"
}

# cut_by N: a request whose beginning one server has got, and whose rest comes when there have been N others.
cut_by() {
	local n
	session -r --
	hello
	printf '{"jsonrpc":"2.0","id":9,"met' >&7
	await grep -qF '"id":9' keep
	for ((n = 0; n < $1; n++)); do
		kill -USR1 "$SHIM"
		await started $((n + 2))
		await logged_by_last notifications/initialized
	done
	say 'hod":"ping"}'
	await refused 9 'before it had got this request'
	ask 10
}
logged_by_last() {
	grep -sF -e "$1" log | grep -q "^$(server) <"
}

@test "a request that a restart has cut in two is answered by an error" {
	cut_by 1
}

@test "a request is answered also if there have been two restarts between its beginning and its end" {
	cut_by 2
}

@test "each request of a batch that a restart has cut in two is answered by an error" {
	local n
	session -r --
	hello
	printf '[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"never"}},{"jsonr' >&7
	await grep -qF '"never"' keep
	kill -USR1 "$SHIM"
	await started 2
	await logged_by_last notifications/initialized
	say 'pc":"2.0","id":2,"method":"ping"},{"jsonrpc":"2.0","id":3,"method":"ping"}]'
	for n in 1 2 3; do
		await grep -q '"id":'"$n"',"error":' out
	done
	ask 10
}

@test "a notification that a restart has cut in two is for the new server, and for those that follow" {
	session -r --
	say "$INITIALIZE"
	await answered '"init"'
	printf '%s' "${INITIALIZED:0:30}" >&7
	await grep -qF "${INITIALIZED:0:30}" keep
	kill -USR1 "$SHIM"
	await started 2
	say "${INITIALIZED:30}"
	await logged_by_last notifications/initialized
	kill_server KILL
	ask 1
	[[ $(got_by "$SERVER" | sed -n 2p) == "$INITIALIZED" ]]
}

@test "what a server did not read of its handshake does not reach the next" {
	local pad
	pad=$(printf '%030000d' 0)
	session -v -r -- later:until=go:unread
	hello
	request '"level"' logging/setLevel '{"level":"debug","pad":"'"$pad"'"}'
	for n in 1 2 3; do
		request '"l'"$n"'"' subscriptions/listen '{"notifications":{"toolsListChanged":true},"pad":"'"$pad"'"}'
	done
	await grep -q '"l3"' keep
	kill -USR1 "$SHIM"
	await has idle-start err
	: >go
	kill -USR1 "$SHIM"
	await started 3
	ask 1
	[[ $(got_by "$SERVER" | head -n 1) == "$INITIALIZE" ]]
}

@test "an answer that lacks its newline when the server dies is the only one" {
	# shellcheck disable=SC2016 # the server's own words
	printf '%s\n' '#!/bin/bash' 'echo "$$ start" >>log' 'read -r line' \
		'echo '"'"'{"jsonrpc":"2.0","id":"init","result":{"protocolVersion":"2025-11-25","capabilities":{}}}'"'" \
		'while read -r line; do echo "$$ < $line" >>log; [[ $line != *pid* ]] || break; done' \
		'printf '"'"'{"jsonrpc":"2.0","id":1,"result":{}}'"'"'; exit 3' >server
	chmod +x server
	start -v -r -- ./server
	hello
	call 1 pid
	await has server-died err
	await answered 1
	close_stdin
	ended
	(($(grep -c '"id":1,' out) == 1))
}

@test "the server takes back what the client knows by an alias" {
	session -r --
	hello
	call 1 ask '{"id":77,"method":"sampling/createMessage"}'
	await answered 1
	kill_server KILL
	await told '"requestId":77'
	call 2 ask '{"id":77,"method":"sampling/createMessage"}'
	await told '"id":"mcp-reap-asks-1"'
	call 3 cancel '{"id":77}'
	await told '"requestId":"mcp-reap-asks-1"'
}

@test "half a line in front of the end of input does not reach a server in its handshake" {
	session -r -- later:delay=700
	hello
	kill -USR1 "$SHIM"
	await started 2
	printf '{"half' >&7
	close_stdin
	ended
	[[ $(got_by "$(server)" | head -n 2) == "$INITIALIZE"$'\n'"$INITIALIZED" ]]
}

@test "SIGUSR1 while an idle server goes down has another started now" {
	session -r -i 300ms -g 1 -k 1 -- deaf term-proof
	hello
	await grep -q ' EOF' log
	kill -USR1 "$SHIM"
	await started 2
}

@test "without --restart SIGUSR1 is the server's" {
	start -- bash -c 'trap "echo usr1; exit 3" USR1; echo ready; while sleep 0.1; do :; done'
	await grep -q ready out
	kill -USR1 "$SHIM"
	ended
	grep usr1 out
	[[ $STATUS == 3 ]]
}

@test "SIGTERM while there is no server ends the session" {
	session -r --
	hello
	kill_server KILL
	await asleep
	kill -TERM "$SHIM"
	ended
	[[ $STATUS == 143 ]]
	nothing_left
}

@test "the end of input while there is no server ends the session with 0" {
	session -r --
	hello
	kill_server KILL
	await asleep
	close_stdin
	ended
	[[ $STATUS == 0 ]]
}

@test "the client's death ends a session whose server is dead" {
	session -r --
	hello
	kill_server KILL
	await asleep
	kill -KILL "$SHIM"
	ended
	nothing_left
}

@test "SIGKILL of the reaper ends a session with --restart, and leaves nothing" {
	session -r -- stray child
	hello
	kill -KILL "$(reaper_pid)"
	ended
	[[ $STATUS == 125 ]]
	nothing_left
}

@test "a server that closes its stdout and lives on is ended, and another takes its place" {
	session -r -- later:hint
	hello
	call 1 close-stdout
	await refused 1 'the server'
	ask 2
}

@test "what a new server asks by the id of an old one's question gets its own answer, and no other" {
	session -r --
	hello
	call 1 ask '{"id":77,"method":"sampling/createMessage"}'
	await answered 1
	kill_server KILL
	await told '"method":"notifications/cancelled","params":{"requestId":77'
	call 2 ask '{"id":77,"method":"sampling/createMessage"}'
	await answered 2
	told '"id":"mcp-reap-asks-1","method":"sampling/createMessage"'
	say '{"jsonrpc":"2.0","id":77,"result":{"late":true}}'
	say '{"jsonrpc":"2.0","result":{"mine":true},"id":"mcp-reap-asks-1"}'
	await logged '{"jsonrpc":"2.0","result":{"mine":true},"id":77}'
	ask 3
	run ! grep -F late <<<"$(got_by "$SERVER")"
	# What it asks by then goes by its own id again.
	call 4 ask '{"id":78,"method":"roots/list"}'
	await told '"id":78,"method":"roots/list"'
}

@test "what was put off for a server that died before it had read it is answered once" {
	local n more requests=''
	session -r -i 0.2 -v -- later:until=reads:unread
	hello
	await asleep
	printf -v more '%0*d' 5000 0
	for n in {1..60}; do
		requests+='{"jsonrpc":"2.0","id":'"$n"',"method":"tools/call","params":{"name":"echo","arguments":{"text":"turn '"$n"'","more":"'"$more"'"}}}'$'\n'
	done
	printf %s "$requests" >&7 3>&- &
	await grep -q idle-start err
	: >reads
	kill_server KILL
	await answered 60
	ask 61
	for n in {1..60}; do
		[[ $(grep -c '"id":'"$n"',' out) == 1 ]]
	done
	run ! grep -q '"turn' log
	close_stdin
	ended
	nothing_left
}
