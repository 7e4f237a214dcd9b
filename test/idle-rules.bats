#!/usr/bin/env bats
# --idle-stop by its rules: what holds a server, what does not, and what a server that is brought back gets and gives.
# idle.bats has the mechanism: stops, starts, endings, races, ids; program.bats what is started.

# shellcheck disable=SC2030,SC2031,SC2153,SC2034,SC2119,SC2120,SC2016 # each test is a subshell; helper.bash sets STATUS
load helper
load mcp

# How long sessions are idle before a stop, where it does not matter.
IDLE=(-i 600ms)
LONG=2

# up [OPTION]... -- WORD...: a session that is up, with its events.
up() {
	session -v "${IDLE[@]}" "$@"
	hello
}

# server_says ID LINE: it says that, before it answers the call ID.
server_says() {
	local line=${2//\\/\\\\}
	call "$1" raw "{\"text\":\"${line//\"/\\\"}\\n\"}"
	await answered "$1"
}

# keeps REASON: the server is left in peace, and one event says why.
keeps() {
	stays
	(($(grep -c "^mcp-reap\[$SHIM\]: idle-wait reason=$1\( \|$\)" err) == 1))
}

# lets_go: the server is stopped, nothing having kept it; and the session goes on.
lets_go() {
	await asleep
	ask 900
	[[ $SERVER != "$(servers | head -n 1)" ]]
}

# count TEXT N: the client has got that N times.
count() {
	(($(grep -cF -e "$1" out) == $2))
}

# sent LINE...: all that servers got is these lines.
sent() {
	printf '%s\n' "$@" | cmp - keep
}

# heard [PID]: what this server, the last one, has got, in order: methods, and the ids of answers.
heard() {
	got_by "${1:-$(server)}" | sed 's/.*"method":"\([^"]*\)".*/\1/; s/.*"id":\([^,]*\),"result".*/=\1/' | paste -sd' '
}

# rests: the session has said nothing for a while that would have started a server.
rests() {
	sleep "$LONG"
	asleep
	(($(servers | wc -l) == 1))
}

# 1. Never a server that is at work.

@test "a cancelled call that goes on keeps the server until it is answered" {
	up -- works-on
	call 5 never
	cancel 5
	await logged notifications/cancelled
	keeps request
	server_says 6 '{"jsonrpc":"2.0","id":5,"result":{}}'
	lets_go
	count '"id":5' 1
}

@test "a cancelled call that goes on keeps the server for --idle-request at most, and gets no answer of ours" {
	up --idle-request=4s -- works-on
	call 5 never
	cancel 5
	await logged notifications/cancelled
	keeps request
	lets_go
	count '"id":5' 0
}

# result JSON: a session whose call has got this result.
result() {
	up --
	call 5 never
	server_says 6 '{"jsonrpc":"2.0","id":5,"result":'"$1"'}'
}

@test "a result that is a task of the server's keeps it" {
	result '{"resultType":"task","taskId":"1","status":"working"}'
	keeps task
}

@test "a result that is complete does not keep the server" {
	result '{"resultType":"complete","content":[]}'
	lets_go
}

@test "a result with a task keeps the server" {
	result '{"task":{"taskId":"1","status":"working"}}'
	keeps task
}

@test "task null does not keep the server, neither in a result nor in a request" {
	result '{"task":null,"content":[]}'
	request 7 tools/call '{"name":"pid","task":null}'
	await answered 7
	lets_go
}

# error CODE [OPTION]...: a session whose call has got this error.
error() {
	up "${@:2}" --
	call 5 never
	server_says 6 '{"jsonrpc":"2.0","id":5,"error":{"code":'"$1"',"message":"go there","data":{"elicitations":[]}}}'
}

@test "a user who was sent to a URL keeps the server until the server says that it is over" {
	error -32042
	keeps elicitation
	server_says 7 '{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"1"}}'
	lets_go
}

@test "a user who was sent to a URL keeps the server for --idle-request at most" {
	error -32042 --idle-request=4s
	keeps elicitation
	lets_go
}

@test "another error does not keep the server" {
	error -32041
	lets_go
}

@test "a server that is a channel is kept" {
	up -- 'capabilities={"tools":{},"experimental":{"claude/channel":{}}}'
	keeps push
}

@test "a server with another experiment is not kept for it" {
	up -- 'capabilities={"tools":{},"experimental":{"other/thing":{}}}'
	lets_go
}

@test "a notification of the server's own accord keeps it, and is named" {
	up --
	server_says 1 '{"jsonrpc":"2.0","method":"notifications/custom","params":{}}'
	keeps push
	has 'reason=push detail=notifications/custom$' err
}

@test "log, progress, changed lists and a cancellation do not keep the server" {
	up --
	server_says 1 '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}'
	server_says 2 '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":2,"progress":1}}'
	server_says 3 '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
	server_says 4 '{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}'
	server_says 5 '{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}'
	server_says 6 '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":77}}'
	lets_go
}

@test "a question that a person or a model is at work on keeps the server, for longer than --idle-request" {
	up --idle-request=300ms --
	server_says 1 '{"jsonrpc":"2.0","id":5,"method":"elicitation/create","params":{}}'
	keeps question
	say '{"jsonrpc":"2.0","id":5,"result":{"action":"accept"}}'
	lets_go
}

# 2. Always a server that is forgotten.

@test "initialized before the answer to initialize is replayed, and does not keep the server" {
	session "${IDLE[@]}" -- delay=300
	say "$INITIALIZE"
	say "$INITIALIZED"
	await answered '"init"'
	await asleep
	ask 1
	sent "$INITIALIZE" "$INITIALIZED" "$INITIALIZE" "$INITIALIZED" \
		'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pid","arguments":{}}}'
}

@test "a call that the client gave up without a word is answered once, by the error that says so" {
	up --idle-request=1s --
	call 1 never
	await asleep
	await answered 1
	count '"id":1,"error":{"code":-32000,"message":"the server was stopped while idle: this request had waited for longer than --idle-request"}' 1
	lets_go
	count '"id":1,' 1
}

@test "the server's ping that nobody answers does not keep it, and is taken back" {
	up --
	server_says 1 '{"jsonrpc":"2.0","id":5,"method":"ping"}'
	await asleep
	await told '"method":"notifications/cancelled","params":{"requestId":5,'
	count '"requestId"' 1
}

@test "the server's roots/list that nobody answers does not keep it, and is taken back" {
	up -- 'opens="r1":roots/list'
	await told roots/list
	await asleep
	await told '"method":"notifications/cancelled","params":{"requestId":"r1",'
}

@test "a request of the server's that was answered is not taken back" {
	up --
	server_says 1 '{"jsonrpc":"2.0","id":5,"method":"ping"}'
	say '{"jsonrpc":"2.0","id":5,"result":{}}'
	await logged '"id":5,"result"'
	await asleep
	ask 2
	count notifications/cancelled 0
}

# spelled ID OTHER: a call's answer has its id in another spelling.
spelled() {
	up --
	call "$1" never
	server_says 77 '{"jsonrpc":"2.0","id":'"$2"',"result":{}}'
	lets_go
}

@test "1 and 1.0 are one id" {
	spelled 1 1.0
}

@test "a letter and its escape are one id" {
	spelled '"a"' '"\u0061"'
}

@test "an id in another spelling is cancelled" {
	up -- works-on
	server_says 1 '{"jsonrpc":"2.0","id":5,"method":"sampling/createMessage"}'
	say '{"jsonrpc":"2.0","id":50e-1,"result":{}}'
	lets_go
}

# every_50_ms COMMAND...: that again and again, in the background.
every_50_ms() {
	while sleep 0.05; do
		"$@"
	done 3>&- 8<&- &
	SPARE+=($!)
}

@test "a client that pings faster than DURATION does not keep the server, nor start one" {
	session -v -i 500ms --
	hello
	every_50_ms request '"p"' ping
	await asleep
	request 1 ping
	await answered 1
	rests
	run ! logged '"id":1,'
}

@test "a client that pings slower than DURATION starts no server, and is answered" {
	local i
	up --
	await asleep
	for i in 1 2 3; do
		request "$i" ping
		await answered "$i"
		sleep 0.4
		asleep
	done
	(($(servers | wc -l) == 1))
}

@test "a server that logs by a timer is stopped" {
	up -- 'every=50:{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}'
	await told '"data":"x"'
	lets_go
}

# pinging: a server that pings by a timer.
pinging() {
	session -v -i 500ms -- 'every=50:{"jsonrpc":"2.0","id":"p","method":"ping"}'
	hello
	await told '"id":"p","method":"ping"'
}

@test "a server that pings by a timer is stopped, where the client answers" {
	pinging
	every_50_ms say '{"jsonrpc":"2.0","id":"p","result":{}}'
	await asleep
	rests
}

@test "a server that pings by a timer is stopped, where nobody answers" {
	pinging
	await asleep
	rests
}

# noisy TEXT: a server that begins with that is stopped, and comes back.
noisy() {
	up -- "says=$1"
	lets_go
}

@test "a banner does not keep the server" {
	noisy 'Server running on stdio'
}

@test "a banner in brackets does not keep the server" {
	noisy '[INFO] listening'
}

@test "a banner in braces does not keep the server" {
	noisy '{ level: 30 }'
}

@test "a blank line does not keep the server" {
	noisy ' '
}

@test "a line with a byte order mark does not keep the server" {
	noisy $'\xef\xbb\xbf'
}

@test "a banner by a timer does not keep the server" {
	up -- 'every=50:still here'
	lets_go
}

@test "an object that is written for people does not keep the server" {
	noisy $'{\n  level: 30,\n  "name": "x"\n}'
}

@test "a log of JSON does not keep the server" {
	up -- 'every=50:{"level":30,"msg":"still here"}'
	await told still
	lets_go
}

@test "JSON that is no object does not keep the server" {
	noisy '"ready"'
}

@test "what may be a message that we cannot read keeps the server" {
	up -- 'says={"jsonrpc":"2.0","id":1,"method":"x","params":{"temperature":NaN}}'
	keeps server-line
}

@test "an unfinished banner does not keep the server" {
	up --
	call 1 raw '{"behind":"mcp> "}'
	await answered 1
	lets_go
}

@test "a batch of requests is read: what it asks for is awaited, and answered by a batch" {
	up --
	say '[{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"never"}},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"never"}}]'
	await logged '"notifications/x"'
	keeps request
	server_says 3 '[{"jsonrpc":"2.0","id":2,"result":{}},{"jsonrpc":"2.0","id":1,"result":{}}]'
	lets_go
}

@test "a batch of notifications does not keep the server" {
	up --
	say '[{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","method":"notifications/y"}]'
	server_says 1 '[{"jsonrpc":"2.0","method":"notifications/message","params":{}},{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}]'
	lets_go
}

@test "a batch of a server with a push in it keeps it" {
	up --
	server_says 1 '[{"jsonrpc":"2.0","method":"notifications/message","params":{}},{"jsonrpc":"2.0","method":"notifications/custom"}]'
	keeps push
}

LISTEN='{"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true}}}'

# listening: a session with a listener for lists, whose server is stopped.
listening() {
	up -- listens 'last={"jsonrpc":"2.0","method":"notifications/message","params":{"data":"going"}}'
	say "$LISTEN"
	await told notifications/subscriptions/acknowledged
	await asleep
	await told going
}

@test "a listener for lists alone does not keep the server, and is replayed in silence" {
	listening
	ask 1
	[[ $(heard) == 'initialize notifications/initialized subscriptions/listen tools/call' ]]
	server_says 2 '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
	count acknowledged 1
	count '"id":"l"' 0
	lets_go
	count acknowledged 1
}

@test "what a going server answers to a listener for lists does not reach the client" {
	listening
	rests
	count '"id":"l"' 0
}

@test "a listener that the client cancels is not replayed" {
	up -- listens works-on
	say "$LISTEN"
	await told notifications/subscriptions/acknowledged
	cancel '"l"'
	await asleep
	ask 1
	[[ $(heard) == 'initialize notifications/initialized tools/call' ]]
}

@test "a listener that the client cancels while there is no server is not replayed, and starts none" {
	listening
	cancel '"l"'
	rests
	ask 1
	[[ $(heard) == 'initialize notifications/initialized tools/call' ]]
}

@test "a listener that the server ends is over: the client is told, and it is not replayed" {
	up -- listens
	say "$LISTEN"
	await told notifications/subscriptions/acknowledged
	server_says 1 '{"jsonrpc":"2.0","id":"l","result":{}}'
	count '"id":"l"' 1
	await asleep
	ask 2
	[[ $(heard) == 'initialize notifications/initialized tools/call' ]]
}

@test "a listener that a new server refuses is over, and the client is told" {
	up --
	say "$LISTEN"
	server_says 1 '{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{}}'
	count acknowledged 1
	await asleep
	ask 2
	server_says 3 '{"jsonrpc":"2.0","id":"l","error":{"code":-32601,"message":"no more"}}'
	count '"id":"l"' 1
	await asleep
	ask 4
	[[ $(heard) == 'initialize notifications/initialized tools/call' ]]
}

# 3. Bringing it back.

# rooted WORD...: a session whose server asked for roots, was answered, and is stopped.
rooted() {
	up -- opens=7:roots/list "$@"
	await told '"id":7,"method":"roots/list"'
	say '{"jsonrpc":"2.0", "id":7,"result":{"roots":[{"uri":"file:///here"}]}}'
	await logged file:///here
	await asleep
}

@test "the client's roots are given to the new server, by its own id and before the call" {
	rooted later:opens='"n":roots/list'
	ask 1
	[[ $(heard) == 'initialize notifications/initialized ="n" tools/call' ]]
	[[ $(got_by "$(server)" | sed -n 3p) == '{"jsonrpc":"2.0", "id":"n","result":{"roots":[{"uri":"file:///here"}]}}' ]]
	count roots/list 1
}

@test "roots that have changed are asked for again, and the call waits for them" {
	up -- opens=7:roots/list later:opens=8:roots/list
	await told '"id":7,"method":"roots/list"'
	say '{"jsonrpc":"2.0","id":7,"result":{"roots":[{"uri":"file:///here"}]}}'
	notify notifications/roots/list_changed
	await logged list_changed
	await asleep
	call 1 pid
	await told '"id":8,"method":"roots/list"'
	say '{"jsonrpc":"2.0","id":8,"result":{"roots":[{"uri":"file:///there"}]}}'
	await answered 1
	[[ $(heard) == 'initialize notifications/initialized =8 tools/call' ]]
}

@test "roots that change while there is no server are asked for again" {
	rooted later:opens=8:roots/list
	notify notifications/roots/list_changed
	call 1 pid
	await told '"id":8,"method":"roots/list"'
	say '{"jsonrpc":"2.0","id":8,"result":{"roots":[{"uri":"file:///there"}]}}'
	await answered 1
	[[ $(heard) == 'initialize notifications/initialized =8 notifications/roots/list_changed tools/call' ]]
}

@test "a call waits for two seconds at most until what the server asks at its start is answered" {
	local begin
	up -- opens=7:sampling/createMessage later:opens=8:sampling/createMessage
	await told '"id":7,'
	say '{"jsonrpc":"2.0","id":7,"result":{}}'
	await asleep
	begin=$(now)
	call 1 pid
	await answered 1
	(($(now) - begin >= 1950))
	told '"id":8,'
}

@test "a call waits no longer than until what the server asks at its start is answered" {
	up -- opens=7:sampling/createMessage later:opens=8:sampling/createMessage
	await told '"id":7,'
	say '{"jsonrpc":"2.0","id":7,"result":{}}'
	await asleep
	call 1 pid
	await told '"id":8,'
	say '{"jsonrpc":"2.0","id":8,"result":{}}'
	await answered 1
	[[ $(heard) == 'initialize notifications/initialized =8 tools/call' ]]
	awk -F 'seconds=' '/idle-start / { sub(/ .*/, "", $2); exit !($2 < 1.9) }' err
}

@test "a call waits while the server is at work on the answers to what it asked" {
	rooted later:opens='"n":roots/list' later:studies=1000
	ask 1
	[[ $(heard) == 'initialize notifications/initialized ="n" tools/call' ]]
	awk -F 'seconds=' '/idle-start / { sub(/ .*/, "", $2); exit !($2 > 0.9) }' err
}

@test "a call waits for two seconds at most while the server is at work on the answers" {
	rooted later:opens='"n":roots/list' later:studies=4000
	ask 1
	awk -F 'seconds=' '/idle-start / { sub(/ .*/, "", $2); exit !($2 > 1.9 && $2 < 3.9) }' err
}

@test "a new server that pings before it answers initialize comes up" {
	up -- later:ping-first
	await asleep
	call 1 pid
	await told '"id":"first","method":"ping"'
	say '{"jsonrpc":"2.0","id":"first","result":{}}'
	await answered 1
	[[ $(heard) == 'initialize ="first" notifications/initialized tools/call' ]]
	count '"init"' 1
}

@test "a setLevel that the client cancelled holds no call up" {
	up --idle-request=1s -- no-level works-on
	request 5 logging/setLevel '{"level":"debug"}'
	cancel 5
	await asleep
	ask 1
	[[ $(heard) == 'initialize notifications/initialized logging/setLevel tools/call' ]]
	count '"id":5' 0
}

@test "a setLevel that the new server does not answer takes no later one's answer" {
	up -- later:no-level
	request 5 logging/setLevel '{"level":"debug"}'
	await answered 5
	await asleep
	ask 1
	request 6 logging/setLevel '{"level":"error"}'
	server_says 2 '{"jsonrpc":"2.0","id":5,"result":{}}'
	server_says 3 '{"jsonrpc":"2.0","id":6,"result":{}}'
	count '"id":5' 1
	count '"id":6' 1
}

@test "setLevel of a stopped session is answered by us, starts nothing, and is heard by the next server" {
	up --
	await asleep
	request 5 logging/setLevel '{"level":"debug"}'
	await answered 5
	rests
	ask 1
	[[ $(heard) == 'initialize notifications/initialized logging/setLevel tools/call' ]]
	count '"id":5' 1
}

@test "a second initialize that the server refuses leaves the first one to be replayed" {
	up -- once
	say "${INITIALIZE/init/again}"
	await answered '"again"'
	await asleep
	ask 1
	[[ $(got_by "$(server)" | head -n 2) == "$INITIALIZE"$'\n'"$INITIALIZED" ]]
}

@test "a second initialize that does not wait for the answer to the first leaves that to be replayed" {
	session "${IDLE[@]}" -- once delay=300
	say "$INITIALIZE"
	say "${INITIALIZE/init/again}"
	await answered '"again"'
	await asleep
	ask 1
	[[ $(got_by "$(server)" | head -n 1) == "$INITIALIZE" ]]
	count '"init"' 1
}

@test "an initialize that is refused is followed by another, which is replayed" {
	up -- until=second:refuses
	: >second
	request '"good"' initialize '{"protocolVersion":"2025-06-18"}'
	await answered '"good"'
	say "$INITIALIZED"
	await asleep
	ask 1
	[[ $(got_by "$(server)" | head -n 1) == *'"id":"good"'* ]]
}

@test "an initialize that was given up is followed by another, which alone is heard" {
	session "${IDLE[@]}" --idle-request=500ms -- until=fine:delay=60000
	say "$INITIALIZE"
	await answered '"init"'
	: >fine
	request '"good"' initialize '{"protocolVersion":"2025-06-18"}'
	await answered '"good"'
	[[ $(heard) == initialize ]]
	count '"id":"good","result"' 1
}

@test "error null beside a result is none" {
	up -- error-null
	lets_go
	[[ $(heard) == 'initialize notifications/initialized tools/call' ]]
	count '"init"' 1
}

@test "an unfinished line of more than 64 KiB that a going server writes breaks nothing" {
	up -- last-big=200000
	lets_go
	run ! grep -qv '^{.*}$' out
}

@test "an unfinished line of more than 64 KiB that a going server writes, with a call outstanding, breaks nothing" {
	up --idle-request=1s -- works-on last-big=200000
	call 5 never
	lets_go
	await answered 5
	(($(grep -vc '^{.*}$' out) <= 1))
	[[ $(tail -n 1 out) == *'"id":900,"result"'* ]]
}

@test "a new server with another protocol version, one with an error and one that exits are followed by one that does" {
	up -- later:until=b:exit=7 later:until=c:error later:until=d:version=2024-11-05
	await asleep
	call 1 pid
	await has 'idle-start-failed' err
	: >b
	await has 'idle-start-failed.*error' err
	: >c
	await has 'idle-start-failed.*protocolVersion' err
	: >d
	await answered 1
	count '"init"' 1
	count '"id":1' 1
}

@test "tries come after half a second, one, two" {
	local begin
	up -- later:exit=7
	await asleep
	begin=$(now)
	call 1 pid
	await eval '(($(grep -c idle-start-failed err) == 4))'
	(($(now) - begin >= 3450))
	alive "$SHIM"
}

# other_user: OTHER runs a command as a user that has no other process, and may write here.
other_user() {
	local dir=$PWD user=$((50000 + BASHPID % 10000))
	need_that root test "$EUID" = 0
	need setpriv prlimit
	OTHER=(setpriv --reuid="$user" --regid="$user" --clear-groups)
	cp "$MCP_REAP" mcp-reap
	cp "$FIX/mcp" .
	chmod a+rwx .
	while [[ $dir == "$BATS_RUN_TMPDIR"* ]]; do
		chmod a+x "$dir"
		dir=${dir%/*}
	done
}

@test "a process that cannot be had is tried for again" {
	other_user
	launch "${OTHER[@]}" ./mcp-reap -v "${IDLE[@]}" -g 0.2 -k 0.2 -- ./mcp log=log keep=keep
	SHIM=$!
	hello
	await asleep
	"${OTHER[@]}" prlimit --pid "$SHIM" --nproc=1:
	call 1 pid
	await eval '(($(grep -c "idle-start-failed.*fork" err) >= 2))'
	alive "$SHIM"
	"${OTHER[@]}" prlimit --pid "$SHIM" --nproc=1000:
	await answered 1
	[[ $(heard) == 'initialize notifications/initialized tools/call' ]]
}

@test "when tries have failed for half a minute what waits gets the reason, and the next message tries again" {
	[[ ${MCP_REAP_TEST_SLOW-} == 1 ]] || skip "slow: set MCP_REAP_TEST_SLOW=1"
	local begin
	PATIENCE=80
	up -- later:until=fine:exit=7
	await asleep
	begin=$(now)
	call 1 pid
	call 2 pid
	await answered 2
	(($(now) - begin >= 29000))
	answered 1
	has '"id":1,"error":{"code":-32000,"message":".*exited before it had answered' out
	asleep
	request 3 ping
	await answered 3
	: >fine
	ask 4
	[[ $(heard) == 'initialize notifications/initialized tools/call' ]]
}

# lists WORD...: a session whose server says of its tools alone that they may change.
lists() {
	up -- 'capabilities={"tools":{"listChanged":true},"prompts":{"listChanged":false},"resources":{}}' "$@"
}

@test "a new server that is the same says nothing of lists" {
	lists
	lets_go
	count list_changed 0
}

@test "of a new server with another name the client is told that the lists may have changed, as declared" {
	lists later:name=other
	lets_go
	await told '"method":"notifications/tools/list_changed"'
	count list_changed 1
}

@test "of a new server with other capabilities the client is told that the lists may have changed" {
	lists later:'capabilities={"tools":{"listChanged":true}}'
	lets_go
	await told '"method":"notifications/tools/list_changed"'
	count list_changed 1
}

@test "of a new server that is what the last but one was the client is told, too" {
	lists later:until=back:name=other
	lets_go
	await told '"method":"notifications/tools/list_changed"'
	: >back
	await asleep
	ask 1
	await eval 'count list_changed 2'
	await asleep
	ask 2
	count list_changed 2
}

@test "where a server had changed its lists the client is told so by its successor" {
	lists
	server_says 1 '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
	lets_go
	await eval 'count list_changed 2'
	await asleep
	ask 2
	count list_changed 2
}

@test "a request that a going server makes is not passed on, nor taken back" {
	up -- 'last={"jsonrpc":"2.0","id":9,"method":"sampling/createMessage"}'
	lets_go
	count '"id":9,' 0
	count cancelled 0
}

@test "an answer to an old server's question does not reach the new one that asks by the same id" {
	up -- opens=7:roots/list
	await told '"id":7,"method":"roots/list"'
	await asleep
	await told '"requestId":7,'
	say '{"jsonrpc":"2.0","id":7,"result":{"roots":[{"uri":"file:///late"}]}}'
	rests
	call 1 pid
	await eval 'count "\"id\":7,\"method\":\"roots/list\"" 2'
	say '{"jsonrpc":"2.0","id":7,"result":{"roots":[{"uri":"file:///new"}]}}'
	await answered 1
	[[ $(heard) == 'initialize notifications/initialized =7 tools/call' ]]
	run ! grep -q file:///late log
}

# docker WORD...: a session with something called docker that survives SIGTERM.
docker() {
	cp "$FIX/mcp" docker
	start -v -g 0 -k 0.2 "${IDLE[@]}" -- ./docker "$@" log=log keep=keep deaf term-proof
	hello
	await asleep
}

@test "after a docker run that had to be killed there are no more stops" {
	docker run
	(($(grep -c 'idle-stop: the server had to be killed, and its container may be running: it is not stopped again' err) == 1))
	ask 1
	keeps container
}

@test "after another docker that had to be killed there are" {
	docker
	run ! grep -q container err
	ask 1
	await asleep
}

@test "that a server was stopped, after how long, and that its memory is gone is said once" {
	session "${IDLE[@]}" --
	hello
	await asleep
	ask 1
	await asleep
	[[ $(<err) == 'mcp-reap: idle-stop: nothing had passed for 600 ms: the server was stopped, and what it had in memory is gone; the next message starts it again' ]]
}

@test "-i never is stronger than the environment's -i" {
	export MCP_REAP_OPTIONS='-i 200ms'
	session -i never --
	hello
	stays
}

@test "the environment's -i counts where nothing else is said" {
	export MCP_REAP_OPTIONS='-i 200ms'
	session --
	hello
	await asleep
}

@test "-i 0 is refused" {
	run -125 --separate-stderr mcp_reap -i 0 -- true
	# shellcheck disable=SC2154 # by run
	[[ $stderr == 'mcp-reap: --idle-stop: '* ]]
}
