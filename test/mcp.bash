# Sessions with the fixture `mcp`: what a client says, what the server has got, and whether it is there.
# shellcheck shell=bash disable=SC2034
#
# A restarted server has no descriptor above 2, so the FIFO `tree` knows only of the first one; what is left of any of
# them is found by the marker in the environment.

# How long a test watches that nothing happens to a session whose DURATION is much shorter.
LONG=1

# session [OPTION]... -- WORD...: one with the fixture, with its records log and keep.
session() {
	local options=()
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	start -g 0.2 -k 0.2 "${options[@]}" -- "$FIX/mcp" log=log keep=keep "${@:2}"
}

INITIALIZE='{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}'
INITIALIZED='{"jsonrpc":"2.0","method":"notifications/initialized"}'

# hello: the handshake, to its end; where DURATION is short the next server may be the first to hear that.
hello() {
	say "$INITIALIZE"
	await answered '"init"'
	say "$INITIALIZED"
	await initialized
}
initialized() {
	logged notifications/initialized || grep -qs ' EOF$' log || asleep
}

# request ID METHOD [PARAMS], notify METHOD [PARAMS], call ID TOOL [ARGUMENTS]: said by the client.
request() {
	say '{"jsonrpc":"2.0","id":'"$1"',"method":"'"$2"'","params":'"${3-{\}}"'}'
}
notify() {
	say '{"jsonrpc":"2.0","method":"'"$1"'","params":'"${2-{\}}"'}'
}
call() {
	request "$1" tools/call '{"name":"'"$2"'","arguments":'"${3-{\}}"'}'
}

# cancel ID: the client takes that request back.
cancel() {
	notify notifications/cancelled '{"requestId":'"$1"'}'
}

# answered ID: the client has the answer to that request, to its end.
answered() {
	head -n "$(wc -l <out)" out | grep -qsF -e '"id":'"$1"',"result":' -e '"id":'"$1"',"error":'
}

# told TEXT, logged TEXT: the client, or a server, has got a message with it.
told() {
	grep -qsF -e "$1" out
}
logged() {
	grep -sF -e "$1" log | grep -q '^[0-9]* <'
}

# got_by PID: the messages that this server has got.
got_by() {
	sed -n "s/^$1 < //p" log
}

# servers: the pids of all that were started. server: the last one's.
servers() {
	sed -n 's/ start$//p' log
}
server() {
	servers | tail -n 1
}
started() {
	(($(servers | wc -l) >= $1))
}

# quiet: nothing is on stderr but that a server was stopped, once.
quiet() {
	! grep -v '^mcp-reap: idle-stop: nothing had passed for .*; the next message starts it again$' err
	(($(wc -l <err) <= 1))
}

# asleep: of all of the session, the shim is left.
asleep() {
	[[ $(marked) == "$SHIM" ]]
}

# ask ID: a call that is answered; sets SERVER to who did it.
ask() {
	call "$1" pid
	await answered "$1"
	SERVER=$(sed -n 's/.*"id":'"$1"',.*"text":"\([0-9]*\) .*/\1/p' out)
	[[ -n $SERVER ]]
}

# stays: the server that is there now is left in peace.
stays() {
	local pid
	pid=$(server)
	sleep "$LONG"
	if ! alive "$pid" || grep -q -e "^$pid EOF" -e "^$pid TERM" log; then
		echo "$pid was stopped" >&2
		return 1
	fi
}
