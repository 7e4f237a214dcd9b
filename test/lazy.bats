#!/usr/bin/env bats
# --lazy: a session has no server before it needs one.

# shellcheck disable=SC2030,SC2031,SC2153 # each test is a subshell; helper.bash sets STATUS
load helper
load mcp

refused() {
	grep '"id":'"$1"',"error":' out | grep -qF -e "$2"
}

# For a server whose tools may change.
CHANGES='capabilities={"tools":{"listChanged":true},"logging":{}}'

# opening: what clients say at first, answered.
opening() {
	hello
	request '"l1"' tools/list
	await answered '"l1"'
	request '"l2"' prompts/list
	await answered '"l2"'
	request '"l3"' resources/list
	await answered '"l3"'
}

# kept: a session whose opening is kept, and the records of which are gone.
kept() {
	session -z -- "$@"
	opening
	close_stdin
	ended
	[[ $STATUS == 0 ]]
	nothing_left
	(($(find cache/mcp-reap -type f | wc -l) == 1))
	mv out out.first
	rm -f log keep
}

# no_server: none has been started.
no_server() {
	[[ ! -e log ]]
}

@test "the first session starts a server as ever" {
	session -z --
	opening
	(($(servers | wc -l) == 1))
	close_stdin
	ended
	[[ $STATUS == 0 && ! -s err ]]
	nothing_left
}

@test "the second session is answered as the first was, and has no server" {
	kept
	session -z --
	opening
	no_server
	diff out out.first
	[[ $(marked) == "$SHIM" ]]
	close_stdin
	ended
	[[ $STATUS == 0 && ! -s err ]]
	nothing_left
}

@test "the first call starts the server, which has heard the handshake, and answers it" {
	kept
	session -z --
	opening
	ask 1
	[[ $(servers | wc -l) == 1 ]]
	[[ $(got_by "$SERVER" | head -n 2) == "$INITIALIZE"$'\n'"$INITIALIZED" ]]
	[[ $(wc -l <out) == 5 ]] # four answers of the opening, and one
	close_stdin
	ended
	[[ $STATUS == 0 && ! -s err ]]
	nothing_left
}

@test "pings are answered without a server" {
	kept
	session -z --
	opening
	request 5 ping
	await answered 5
	no_server
}

@test "logging/setLevel is answered without a server, and told to the one that comes" {
	kept
	session -z --
	opening
	request 5 logging/setLevel '{"level":"error"}'
	await answered 5
	no_server
	ask 6
	got_by "$SERVER" | grep -q '"level":"error"'
	[[ $(grep -c '"id":5' out) == 1 ]]
}

@test "a server that says other lists has the client asked to ask again" {
	kept "$CHANGES" more-tools
	: >"more"
	session -z -- "$CHANGES" more-tools
	opening
	no_server
	ask 1
	await told notifications/tools/list_changed
	run ! told '"mcp-reap-'
	close_stdin
	ended
	rm log
	session -z -- "$CHANGES" more-tools
	opening
	no_server
	grep -q another-tool out
}

@test "a server that says the same lists is nothing that the client hears of" {
	kept "$CHANGES"
	session -z -- "$CHANGES"
	opening
	ask 1
	ask 2
	run ! told list_changed
}

@test "other words, another environment, directory or program, or another client: nothing is kept that fits" {
	kept
	session -z -- instructions=5
	hello
	(($(servers | wc -l) == 1))
	close_stdin
	ended
	rm log
	KEY=other session -z --
	hello
	(($(servers | wc -l) == 1))
	close_stdin
	ended
	rm log
	session -z --
	say "${INITIALIZE/\"capabilities\"/\"clientInfo\":{\"name\":\"other\"},\"capabilities\"}"
	await answered '"init"'
	(($(servers | wc -l) == 1))
}

@test "what clients vary from session to session does not matter" {
	kept
	CLAUDE_CODE_SESSION_ID=17 session -z --
	opening
	no_server
}

@test "another protocolVersion at the real start is an error, and the session ends" {
	kept later:version=1999-01-01
	: >log # not its first start any more
	session -z -- later:version=1999-01-01
	opening
	call 1 pid
	await refused 1 'another protocolVersion'
	ended
	grep -F 'not what it was' err
	nothing_left
}

@test "a server that cannot start any more is an error at the first call, with its last words" {
	cp "$FIX/mcp" server
	printf '#!/bin/sh\n[ ! -e broken ] || { echo "no key" >&2; exit 9; }\nexec ./server log=log\n' >run
	chmod +x run
	start -z -- ./run
	opening
	close_stdin
	ended
	rm log
	: >broken
	start -z -- ./run
	opening
	no_server
	call 1 pid
	await refused 1 'exited with status 9'
	refused 1 'no key'
	rm broken
	ask 2
}

@test "a command that is not there any more is what it is without --lazy" {
	cp "$FIX/mcp" server
	start -z -- ./server log=log
	opening
	close_stdin
	ended
	rm log
	mv server away
	start -z -- ./server log=log
	say "$INITIALIZE"
	ended
	[[ $STATUS == 127 ]] # its file is of the key: nothing is kept, and it is a start as ever
}

@test "without a cache, or with one that is odd, a session starts a server as ever" {
	local odd
	for odd in 'export XDG_CACHE_HOME=/proc/no/such' 'mkdir -p cache && : >cache/mcp-reap' 'mkfifo cache/mcp-reap'; do
		rm -rf cache log out
		mkdir cache
		eval "$odd"
		session -z --
		opening
		(($(servers | wc -l) == 1))
		close_stdin
		ended
		[[ $STATUS == 0 && ! -s err ]]
	done
	nothing_left
}

@test "--forget empties the cache" {
	kept
	mcp_reap --forget
	(($(find cache -type f | wc -l) == 0))
	session -z --
	hello
	(($(servers | wc -l) == 1))
}

@test "nothing of a call or of its answer is kept" {
	session -z --
	opening
	call 1 echo '{"text":"a secret"}'
	await answered 1
	close_stdin
	ended
	run ! grep -r secret cache
}

@test "a session without any call ends without a server, whatever ends it" {
	kept
	session -z --
	opening
	kill -TERM "$SHIM"
	ended
	[[ $STATUS == 143 ]]
	no_server
	session -z --
	opening
	kill -KILL "$SHIM"
	ended
	no_server
	nothing_left
}

@test "list_changed of a server drops what was kept" {
	kept "$CHANGES"
	session -z -- "$CHANGES"
	opening
	call 1 raw '{"text":"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n"}'
	await answered 1
	close_stdin
	ended
	rm log
	session -z -- "$CHANGES"
	hello
	no_server
	request '"l1"' tools/list
	await answered '"l1"'
	(($(servers | wc -l) == 1))
}

@test "a call waits for the answers to what the server asks at the end of the handshake" {
	kept 'opens="q":roots/list'
	session -z -- 'opens="q":roots/list'
	opening
	call 1 pid
	await told roots/list
	say '{"jsonrpc":"2.0","id":"q","result":{"roots":[]}}'
	await answered 1
	[[ $(got_by "$(server)" | tail -n 1) == *tools/call* ]]
}

# The client of 2026-07-28, which has asked another process of the server for server/discover.
listen() {
	request '"listen"' subscriptions/listen '{"notifications":{"toolsListChanged":true}}'
	await told notifications/subscriptions/acknowledged
	request '"l1"' tools/list
	await answered '"l1"'
}

@test "a session that begins with a listener for lists is acknowledged and answered as last time, and has no server" {
	session -z -- listens
	listen
	close_stdin
	ended
	(($(wc -l <out) == 3)) # at its end it answers the listener
	rm log
	mv out out.first
	session -z -- listens
	listen
	no_server
	diff <(jq -cS . out) <(head -n 2 out.first | jq -cS .)
	ask 1
	[[ $(got_by "$SERVER" | head -n 1) == *'"subscriptions/listen"'* ]]
	(($(grep -c acknowledged out) == 1))
}

@test "a listener that was refused is not answered by us" {
	session -z --
	request '"listen"' subscriptions/listen '{"notifications":{"toolsListChanged":true}}'
	request '"l1"' tools/list
	await answered '"l1"'
	close_stdin
	ended
	rm log
	session -z --
	request '"listen"' subscriptions/listen '{"notifications":{"toolsListChanged":true}}'
	await logged subscriptions/listen
	run ! told acknowledged
}

@test "tools that change between the request for them and the answer are kept" {
	local i
	for i in 1 2; do
		session -z -- "$CHANGES" fickle
		opening
		((i == 1)) || no_server
		if ((i == 2)); then
			ask 1
			sleep 0.5
			(($(grep -c tools/list_changed out) == 1)) # the server's own; the lists are the same
		fi
		close_stdin
		ended
		rm log
	done
}

@test "lazy, stopped while idle, restarted: each call is answered" {
	local n
	kept
	session -f -i 600ms --
	opening
	no_server
	for n in 1 2 3; do
		ask "$n"
		await asleep
	done
	ask 4
	kill -KILL "$SERVER" 2>/dev/null || : # it may have been stopped already
	await asleep
	ask 5
	close_stdin
	ended
	[[ $STATUS == 0 ]]
	nothing_left
}

@test "answers of our own reach a client that has closed stdin and reads slowly" {
	local i
	kept
	{
		echo "$INITIALIZE"
		for i in {1..4000}; do echo '{"jsonrpc":"2.0","id":'"$i"',"method":"ping"}'; done
	} >asked
	mcp_reap -z -g 0.2 -k 0.2 -- "$FIX/mcp" log=log keep=keep <asked 2>err | {
		sleep 1
		wc -l >lines
	}
	(($(<lines) == 4001))
	no_server
}

# ticks: the CPU time of the shim so far, in ticks of 10 ms.
ticks() {
	awk '{ print $14 + $15 }' "/proc/$SHIM/stat"
}

@test "the end of input behind more than is put off costs no CPU while the server comes up" {
	local before
	kept delay=2500
	head -c 1100000 /dev/zero | tr '\0' x >text
	session -z -- delay=2500
	say "$INITIALIZE"
	await answered '"init"'
	say "$INITIALIZED"
	{
		printf '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pid","arguments":{"text":"'
		cat text
		printf '"}}}\n'
	} >&7 &
	exec 7>&-
	await started 1
	sleep 0.3
	before=$(ticks)
	sleep 1
	(($(ticks) - before < 20))
	ended
	answered 1
}

# breakable: a command that runs the fixture as long as there is no file broken.
breakable() {
	if [[ ! -e server ]]; then # else it would be another
		printf '%s\n' '#!/bin/sh' '[ ! -e broken ] || { sleep 1; exit 3; }' "exec '$FIX/mcp' log=log keep=keep" >server
		chmod +x server
	fi
	start -z -g 0.2 -k 0.2 "$@" -- ./server
}

# taken_in: the client's pipe is empty.
taken_in() {
	! read -rt 0 <>in
}

@test "what comes behind a line that there was no room for is answered when no server can be had" {
	breakable
	opening
	close_stdin
	ended
	: >broken
	breakable
	hello
	{
		head -c 2000 /dev/zero | tr '\0' x
		printf '"}}\n{"jsonrpc":"2.0","id":11,"method":"ping"}\n{"jsonrpc":"2.0","id":12,"method":"tools/call","params":{}}\n'
		printf '{"jsonrpc":"2.0","id":13,"method":"ping"}\n'
	} >rest
	{
		printf '{"jsonrpc":"2.0","id":10,"method":"tools/call","params":{"text":"'
		head -c 1048000 /dev/zero | tr '\0' x
	} >&7
	await taken_in
	cat rest >&7
	await refused 10 server
	await refused 12 'none comes up'
	answered 11
	await answered 13
}

@test "a subscription that was refused does not keep the next server" {
	breakable
	opening
	close_stdin
	ended
	: >broken
	breakable -i 300ms
	hello
	request 1 resources/subscribe '{"uri":"file:///a"}'
	await refused 1 'none comes up'
	rm broken
	ask 2
	await asleep
}
