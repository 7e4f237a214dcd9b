#!/usr/bin/env bats
# What a person can see of sessions: --list, --trace, --stats.

# shellcheck disable=SC2016 # what is quoted is for another shell
# shellcheck disable=SC1003 # a backslash at the end of a word is meant
# shellcheck disable=SC2153,SC2154 # run sets stderr, and the helper STATUS
# shellcheck disable=SC2030,SC2031 # bats runs each test in a subshell
load helper

# listed [PID]: the session of PID (SHIM) as --list=json has it; nothing if it is not listed.
listed() {
	"$MCP_REAP" --list=json | jq -c --argjson pid "${1:-$SHIM}" '.sessions[] | select(.pid == $pid)'
}

# lists FILTER [PID]: the session is listed, and jq says that FILTER holds for it.
lists() {
	[[ $(listed "${2:-$SHIM}" | jq "$1") == true ]]
}

unlisted() {
	[[ -z $(listed) ]]
}

# The line that --list has for SHIM.
line() {
	"$MCP_REAP" --list | awk -v pid="$SHIM" '$1 == pid'
}

# --list.

@test "--list and -L show a session in one line: pid, client, age, state, processes, memory and command" {
	local option
	start -g 60 -v -- "$FIX/server" child ready
	await has '^ready'
	for option in --list -L; do
		run -0 "$MCP_REAP" "$option"
		[[ ${lines[0]} =~ ^' '+PID' '+CLIENT' '+AGE' '+STATE' '+PROCS' '+MEMORY' '+COMMAND$ ]]
		[[ $output =~ $'\n'' '*"$SHIM  $(<"/proc/$$/comm")($BASHPID)"' '+[0-9msh]+'  running '+4' '+[0-9.]+' MiB  '"$FIX/server child ready"$'\n' ]]
		[[ ${lines[-1]} =~ ^[0-9]+' session'(s|)', '[0-9]+' processes, '[0-9.]+' MiB'$ ]]
	done
}

@test "--list=json has the same as JSON, whatever bytes the command has" {
	need jq
	start -xg60 -- sh -c 'echo ready; cat' $'\xff"\\\n' 'ä b'
	await has '^ready'
	lists ".client == {pid: $BASHPID, name: \"$(<"/proc/$$/comm")\"} and .state == \"running\" and .processes == 4"
	lists '.command == ["sh", "-c", "echo ready; cat", "\ufffd\"\\\n", "ä b"]'
	lists '.age >= 0 and .age < 600'
}

@test "what could move the terminal's cursor is not listed as it is" {
	start -- "$FIX/server" ready $'exit=0\e[2J\r' cue
	await has '^ready'
	[[ $(line) == *'ready exit=0?[2J? cue' ]]
}

@test "--list is sorted by memory, and its total is the sum" {
	need jq
	launch "$MCP_REAP" -- sleep 60
	await lists '.processes == 3' $!
	start -- "$FIX/server" wide=20 ready
	await has '^ready'
	"$MCP_REAP" --list=json | jq -e '[.sessions[].memory] == ([.sessions[].memory] | sort | reverse)
		and .memory > 0 and .memory <= ([.sessions[].memory] | add)'
}

@test "the memory of a session is its share of it where that can be read" {
	need jq
	start -- "$FIX/server" wide=30 ready
	await has '^ready'
	# The sum of RSS is many times as much.
	lists ".memory | . > 0.5 * $(shares) and . < 2 * $(shares)"
}
shares() {
	local pid
	for pid in $(marked); do
		cat "/proc/$pid/smaps_rollup"
	done | awk '/^Pss:/ { sum += $2 * 1024 } END { print sum }'
}

@test "a session within a session is listed, and counted once in the total" {
	need jq
	start -- "$MCP_REAP" -- "$FIX/server" ready
	await has '^ready'
	lists '.processes == 5'
	lists '.processes == 3' "$(inner)"
	"$MCP_REAP" --list=json | jq -e ".processes == ([.sessions[] | select(.pid != $(inner)) | .processes] | add)"
}
parent() {
	awk '/^PPid:/ { print $2 }' "/proc/$1/status"
}
# The shim of the inner one of two sessions.
inner() {
	parent "$(parent "$(server_pid)")"
}

@test "a session is listed as ending when its end has begun" {
	need jq
	start -g 60 -- "$FIX/server" deaf ready
	await has '^ready'
	lists '.state == "running"'
	close_stdin
	await lists '.state == "ending" and .processes == 3'
	kill -KILL "$(server_pid)"
	ended
	unlisted
}

@test "a session whose server is stopped is listed as idle-stopped, and as running again; --stats has what that gave back" {
	need jq
	start -i 3 --stats=json -- sh -c 'while read -r line; do echo "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"; done'
	say '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
	await lists '.state == "idle-stopped" and .processes == 1'
	say '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
	await lists '.state == "running" and .processes == 3'
	close_stdin
	ended
	stats '.idle_stops >= 1 and .memory_given_back > 0 and .reason == "stdin-closed"'
}

@test "a session whose shim was killed is listed as ending, without a client" {
	need jq
	local reaper
	start -g 60 -- "$FIX/server" deaf ready
	await has '^ready'
	reaper=$(reaper_pid)
	kill -KILL "$SHIM"
	await lists '.state == "ending" and .client == null and .processes == 2' "$reaper"
	kill -KILL "$(server_pid)"
}

@test "a session whose reaper was killed is listed as ending" {
	need jq
	start -k 60 -- "$FIX/server" wide-proof=1 ready
	await has '^ready'
	kill -KILL "$(reaper_pid)"
	await lists '.state == "ending" and .processes == 2'
	kill -KILL "$(marked | grep -vx "$SHIM")"
}

@test "a session is listed when its program has been replaced" {
	need jq
	cp "$MCP_REAP" mcp-reap
	launch ./mcp-reap -- "$FIX/server" ready
	SHIM=$!
	await has '^ready'
	rm mcp-reap
	lists '.state == "running"'
}

@test "what only looks like mcp-reap is not listed" {
	need jq
	local pids
	cat >mcp-reap <<-'END'
		#!/usr/bin/env bash
		setsid bash -c 'printf mcp-reap-reaper >/proc/$$/comm; echo ready; read -r <in' &
		read -r
	END
	chmod +x mcp-reap
	launch ./mcp-reap # a script, with a child named as the reaper
	await has '^ready'
	cp "$(command -v bash)" bin-mcp-reap
	mkdir bin
	mv bin-mcp-reap bin/mcp-reap
	launch bin/mcp-reap -c 'bin/mcp-reap -c "echo ready; read -r <in" & read -r' # a program, with children
	await has '^ready'
	launch bash -c 'printf mcp-reap-idle >/proc/$$/comm; echo ready; read -r' # a name alone
	await has '^ready'
	mapfile -t pids < <(marked)
	((${#pids[@]} >= 5))
	"$MCP_REAP" --list=json | jq -e --argjson pids "[$(marked | paste -sd,)]" '[.sessions[].pid] - $pids == [.sessions[].pid]'
}

@test "another user's sessions are listed for root only" {
	need jq setpriv
	((EUID == 0)) || skip "not root"
	cp "$MCP_REAP" mcp-reap
	chmod 755 . mcp-reap
	start -- "$FIX/server" ready
	await has '^ready'
	lists true
	setpriv --reuid 65534 --regid 65534 --clear-groups ./mcp-reap --list=json >listed
	jq -e ".sessions | all(.pid != $SHIM)" listed
}

@test "--list that cannot be written fails with 125" {
	run -125 bash -c '"$1" --list >/dev/full' - "$MCP_REAP"
	[[ $output == 'mcp-reap: stdout: No space left on device' ]]
	run -125 bash -c '"$1" --list >&-' - "$MCP_REAP"
	[[ $output == 'mcp-reap: stdout: Bad file descriptor' ]]
}

@test "--list takes no command, and no format but json" {
	run -125 "$MCP_REAP" --list -- true
	[[ $output == 'mcp-reap: true: '* ]]
	run -125 "$MCP_REAP" --list=xml
	[[ $output == "mcp-reap: --list: 'xml': "* ]]
}

# --stop, --restart.

# orders STATUS OPTION WHY: to what is no session, or none to be restarted.
orders() {
	run "-$1" "$MCP_REAP" "$2"
	[[ $output == "mcp-reap: ${2#*=}: $3"* ]]
}

@test "--stop ends the session of a PID by SIGTERM, with all of its tree, and no other" {
	start -- "$FIX/server" deaf child daemon=1 ready
	await has '^ready'
	run -0 "$MCP_REAP" --stop="$SHIM"
	[[ -z $output ]]
	ended
	((STATUS == 143))
	nothing_left
}

@test "--stop does not touch another session" {
	launch "$MCP_REAP" -- cat
	local other=$!
	start -- cat
	await lists true
	await lists true "$other"
	run -0 "$MCP_REAP" --stop="$SHIM"
	ended
	lists true "$other"
	say still here
	"$MCP_REAP" --stop="$other"
	ended "$other"
}

@test "--stop ends a session that is stopped as a job" {
	start -- cat
	await lists true
	kill -STOP "$SHIM"
	run -0 "$MCP_REAP" --stop="$SHIM"
	ended
	((STATUS == 143))
}

@test "--stop ends an idle-stopped session" {
	need jq
	start -i 0.2 -- sh -c 'while read -r line; do echo "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"; done'
	say '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
	await lists '.state == "idle-stopped"'
	run -0 "$MCP_REAP" --stop="$SHIM"
	ended
	((STATUS == 143))
}

@test "--stop and --restart touch nothing but a session: 1, and the process lives" {
	local option pid
	start -- "$FIX/server" deaf ready
	await has '^ready'
	ln -s /bin/sleep mcp-reap
	./mcp-reap 100 3>&- 7>&- 8<&- 9>&- &
	for option in --stop --restart; do
		for pid in $! "$(server_pid)" "$(reaper_pid)" $$ 4194305; do
			orders 1 "$option=$pid" 'no session'
		done
	done
	kill -0 $!
	kill $!
	alive "$SHIM"
}

@test "--stop and --restart take a PID, and one order at a time" {
	local value
	for value in '' 0 -1 1x x ' 1' 1.5 99999999999999999999; do
		run -125 "$MCP_REAP" --stop="$value"
		[[ $output == "mcp-reap: --stop: '$value': not a PID" ]]
		run -125 "$MCP_REAP" --restart="$value"
		[[ $output == "mcp-reap: --restart: '$value': not a PID" ]]
	done
	run -125 "$MCP_REAP" --stop=1 --list
	[[ $output == *'one at a time' ]]
	run -125 "$MCP_REAP" --stop=1 -- true
	[[ $output == 'mcp-reap: true: '* ]]
}

@test "--stop of another user's session fails, and it lives" {
	((EUID == 0)) || skip "only root can be another user"
	need setpriv
	cp "$MCP_REAP" mcp-reap
	chmod 755 . mcp-reap
	start -- cat
	await lists true
	run -1 setpriv --reuid 65534 --regid 65534 --clear-groups ./mcp-reap --stop="$SHIM"
	alive "$SHIM"
}

# restarts [OPTION]...: such a session has another server after --restart.
restarts() {
	rm -f starts
	start "$@" -- sh -c 'echo >>starts; while read -r line; do echo "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"; done'
	say '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
	await has result
	run -0 "$MCP_REAP" --restart="$SHIM"
	await has_starts 2
	"$MCP_REAP" --stop="$SHIM"
	ended
}

has_starts() {
	(($(wc -l <starts) == $1))
}

@test "--restart has another server started where the session has --restart, however that was said" {
	local options
	for options in -r --restart --rest -vr '-f --no-lazy' '--frugal --no-lazy' '--no-restart -r' '-g 5 -r'; do
		# shellcheck disable=SC2086
		restarts $options
	done
	MCP_REAP_OPTIONS='-g "5" -r' restarts
}

@test "--restart does no harm to a session whose server has never spoken" {
	start -r -- sh -c 'echo ready; exec cat'
	await has '^ready'
	run -0 "$MCP_REAP" --restart="$SHIM"
	say hello
	await has '^hello'
	close_stdin
	ended
	((STATUS == 0))
}

@test "--restart refuses a session without --restart, whose server SIGUSR1 would kill" {
	local options
	for options in -v '-r --no-restart' '-g 5' '-f --no-restart'; do
		# shellcheck disable=SC2086
		start $options -- cat
		await lists true
		orders 125 "--restart=$SHIM" 'it was started without --restart'
		close_stdin
		ended
		((STATUS == 0))
	done
	MCP_REAP_OPTIONS='-r' start --no-restart -- sh -c 'echo -r; exec cat' -r
	await has '^-r'
	orders 125 "--restart=$SHIM" 'it was started without --restart'
}

@test "--restart refuses a session that is ending" {
	start -r -g 40 -- "$FIX/server" deaf ready
	await has '^ready'
	close_stdin
	await lists '.state == "ending"'
	orders 125 "--restart=$SHIM" 'it is ending'
}

# --forget.

@test "--forget removes what is kept, and no file of another's name; nothing to remove is no error" {
	local name=0123456789abcdef0123456789abcdef
	export XDG_CACHE_HOME=$PWD/cache
	run -0 "$MCP_REAP" --forget
	mkdir -p cache/mcp-reap
	touch cache/mcp-reap/{$name.jsonl,$name.new-5,mine,$name.jsonl.bak,x$name.jsonl}
	run -0 "$MCP_REAP" --forget
	[[ -z $output ]]
	[[ $(ls cache/mcp-reap) == "$(printf '%s\n' "$name.jsonl.bak" mine "x$name.jsonl")" ]]
}

@test "--forget fails with 125 where a file stays" {
	export XDG_CACHE_HOME=$PWD/cache
	mkdir -p cache/mcp-reap/0123456789abcdef0123456789abcdef.jsonl
	run -125 "$MCP_REAP" --forget
	[[ $output == 'mcp-reap: 0123456789abcdef0123456789abcdef.jsonl: '* ]]
}

@test "--stop of a session whose shim was killed is content that it ends" {
	start -g 40 -- "$FIX/server" deaf term-proof ready
	await has '^ready'
	local reaper
	reaper=$(reaper_pid)
	kill -KILL "$SHIM"
	await lists '.state == "ending"' "$reaper"
	run -0 "$MCP_REAP" --stop="$reaper"
}

# --trace.

# traced FILTER...: what jq makes of the trace's records of this session, one line each.
traced() {
	jq -c --argjson session "${SHIM:-0}" 'select($session == 0 or .session == $session) | '"$1" "${2:-trace}"
}

# Lines, and what is to be found in the trace for them.
MESSAGES='{"jsonrpc":"2.0","id":1,"method":"ping"}
[{"a": [1, -0.5e+3, true, false, null, "\u00e4\"ä"]}, {}, []]
  42 	
not JSON: "a" \ ä'

@test "--trace and -t write each message, in both directions, with time, session and sender" {
	need jq
	local option from
	for option in --trace=trace -ttrace; do
		rm -f trace
		mcp_reap "$option" -- cat <<<"$MESSAGES" >out
		[[ $(<out) == "$MESSAGES" ]]
		for from in client server; do
			# A number is compared as one: jq spells it as it came, or not, by its version.
			[[ $(traced "select(.from == \"$from\") | .message // .text | (.. | numbers) |= floor") == '{"jsonrpc":"2.0","id":1,"method":"ping"}
[{"a":[1,-500,true,false,null,"ä\"ä"]},{},[]]
42
"not JSON: \"a\" \\ ä"' ]]
		done
		traced 'select(.from) | .session' | sort -u | grep -qx '[0-9]*'
		run ! grep -vE '^\{"time":"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{6}Z",' trace
	done
}

# at_time DATE...: at each of them, the trace has it.
at_time() {
	local date
	for date; do
		rm -f trace
		TZ=UTC faketime -f "$date" "$MCP_REAP" -t trace -- true </dev/null
		[[ $(jq -r .time trace | head -n 1) == "${date/ /T}".* ]] || return
	done
}

@test "the time in the trace is that of the clock, in every year" {
	need jq faketime
	! grep -q __asan_init "$MCP_REAP" || skip "the sanitizer's library must be the first"
	at_time '1970-01-01 00:00:01' '1999-12-31 23:59:59' '2000-02-29 12:00:00' '2024-03-01 00:00:00'
}

@test "the time in the trace is that of the clock also after 2038" {
	need jq faketime
	! grep -q __asan_init "$MCP_REAP" || skip "the sanitizer's library must be the first"
	need_that 'faketime beyond 2038' test "$(TZ=UTC faketime -f '2100-02-28 23:00:00' date +%Y)" = 2100
	at_time '2100-02-28 23:00:00'
}

@test "a message is in the trace byte for byte" {
	mcp_reap -t trace -- cat <<<'{ "a" :1.0e0, "b":"\u0041","a":2 }'
	grep -qF '"from":"client","message":{ "a" :1.0e0, "b":"\u0041","a":2 }}' trace
}

@test "what is not JSON, or not quite, is a string in the trace" {
	need jq
	local lines=('{"a":1' '{"a":1}}' '{"a":}' '{a:1}' "{'a':1}" '{"a":1,}' '[1,]' '[1 2]' '01' '1.' '.5' '+1' '1e' '-' 'tru' 'NaN' '"a' $'"\t"'
		'"\x"' '"\u12g4"' '"\ud800"' '"\udc00\ud800"' '"\ud800\u0041"' '"\ud80' '"\' $'"\xff"' $'"\xc0\x80"' $'"\xed\xa0\x80"' $'"\xf4\x90\x80\x80"' $'\ufeff{}' '' '{} {}' '{"a" 1}' '[}' ']' ','
		'"a"b' $'{\v}' $'\x01' "$(printf '%.0s[' {1..300})$(printf '%.0s]' {1..300})")
	printf '%s\n' "${lines[@]}" | mcp_reap -t trace -- cat >out
	jq . trace >/dev/null
	[[ $(traced 'select(.from == "client") | has("text")' | sort | uniq -c) =~ ^' '*"${#lines[@]} true"$ ]]
	[[ $(jq -r 'select(.from == "client") | .text' trace | head -n 17) == "$(printf '%s\n' "${lines[@]:0:17}")" ]]
}

@test "what is JSON, however odd, is a value in the trace" {
	need jq
	local lines=('{}' ' [ ] ' $'\t"a"\r' '-0' '0.0e-0' '1E+2' '"\u0000\uD83D\uDe00\/\b\f"' $'"\x7f\xf0\x9f\x98\x80"' '{"":{"":[[],{}]}}'
		"$(printf '%.0s[' {1..200})$(printf '%.0s]' {1..200})")
	printf '%s\n' "${lines[@]}" | mcp_reap -t trace -- cat >out
	jq . trace >/dev/null
	[[ $(traced 'select(.from == "client") | has("message")' | sort | uniq -c) =~ ^' '*"${#lines[@]} true"$ ]]
}

@test "a message that comes in pieces is one record, and an unfinished one is too" {
	need jq
	start -t trace -- "$FIX/server" echo ready
	await has '^ready'
	printf '{"a":' >&7
	await has '{"a":$'
	printf '1}\n{"b"' >&7
	await has '"b"'
	close_stdin
	ended
	[[ $(traced 'select(.from == "client") | .message // .text') == $'{"a":1}\n"{\\"b\\""' ]]
	[[ $(traced 'select(.text == "{\"b\"" or .event == "end") | .from // .event') == $'"client"\n"end"'* ]]
}

@test "a message beyond 64 KiB is cut in the trace, marked as cut, and whole in the stream" {
	need jq
	{
		printf '"%065534d"\n' 1
		printf '"%065535d"\n' 1
		printf '"%01000000d"\n' 1
	} >messages
	mcp_reap -t trace -- cat <messages >out
	cmp messages out
	[[ $(traced 'select(.from == "client") | [.cut, .bytes, (.message // .text | length)]') == \
		$'[null,null,65534]\n[true,65537,65536]\n[true,1000002,65536]' ]]
	[[ $(traced 'select(.from == "server") | .cut') == $'null\ntrue\ntrue' ]]
}

@test "the trace has the events that -v has" {
	need jq
	start -v -t trace -g 0.1 -k 0.1 -- "$FIX/server" deaf term-proof child ready
	await has '^ready'
	close_stdin
	ended
	traced 'select(.event)' >events
	jq -se 'map(.event) | contains(["start", "server", "end", "signal", "reaped", "done"])' events
	jq -se --arg server "$FIX/server" 'any(.event == "start" and .argv == [$server, "deaf", "term-proof", "child", "ready"] and .shim == .session)' events
	jq -se 'any(.event == "end" and .reason == "stdin-closed")' events
	jq -se 'any(.event == "signal" and .name == "TERM" and .processes == 2)' events
	jq -se 'any(.event == "reaped" and .command == "server" and .signal == "KILL")' events
	jq -se 'any(.event == "done" and .status == 137 and .seconds > 0.1)' events
	(($(wc -l <events) == $(grep -c "^mcp-reap\[$SHIM\]: " err)))
}

@test "a name with a blank is quoted by -v, and whole in the trace" {
	need jq
	cp "$(command -v sleep)" 'a "b= \c'
	run -0 --separate-stderr mcp_reap -v -t trace -- './a "b= \c' 0 </dev/null
	[[ $stderr == *' command="./a \"b= \\c"'* && $stderr == *' command="a \"b= \\c" exit=0'* ]]
	[[ $(jq -r 'select(.event == "reaped") | .command' trace) == 'a "b= \c' ]]
}

@test "the trace is created for its owner alone, and appended to" {
	need jq
	(umask 0; mcp_reap -t trace -- true </dev/null)
	[[ $(stat -c %a trace) == 600 ]]
	mcp_reap -t trace -- true </dev/null
	[[ $(jq -c 'select(.event == "done") | .session' trace | sort -u | wc -l) == 2 ]]
}

@test "%p in the trace's name is the session's number" {
	start -t 'a%p-%p.trace' -- true
	ended
	[[ -s a$SHIM-$SHIM.trace ]]
}

@test "a trace to - goes to stderr" {
	need jq
	run -0 --separate-stderr mcp_reap -t - -- cat <<<'{"a":1}'
	[[ $output == '{"a":1}' && $(jq -c .message <<<"$stderr") == *'{"a":1}'*'{"a":1}'* ]]
}

@test "a trace that cannot be opened is reported once, and the session goes on" {
	mkfifo unread
	local file
	for file in /no/such/trace . unread; do
		run -0 --separate-stderr mcp_reap -t "$file" -- cat <<<'hello'
		[[ $output == hello && $stderr =~ ^"mcp-reap: trace: $file: "[^$'\n']*': no more is traced'$ ]]
	done
}

@test "a trace that can no longer be written is reported once, and the session goes on" {
	run -0 --separate-stderr mcp_reap -t /dev/full -- cat <<<'hello'
	[[ $output == hello && $stderr == 'mcp-reap: trace: /dev/full: No space left on device: no more is traced' ]]
	run -0 --separate-stderr bash -c 'ulimit -f 1; "$1" -t trace -- cat <"$2" | wc -c' - "$MCP_REAP" <(printf '"%05000d"\n' 1 2 3)
	[[ $output == 15009 && $stderr == 'mcp-reap: trace: trace: File too large: no more is traced' ]]
}

@test "a reader of the trace that takes nothing holds up nobody for long" {
	mkfifo slow
	exec {slow}<>slow
	printf '"%0100000d"\n' 1 2 3 4 5 >messages
	run -0 --separate-stderr mcp_reap -t slow -- cat <messages
	[[ $output == "$(<messages)" && $stderr == 'mcp-reap: trace: slow: its reader is too slow: no more is traced' ]]
	exec {slow}<&-
}

@test "a trace into the session's own stdout is refused, and the session goes on" {
	# shellcheck disable=SC2094
	mcp_reap -t out -- cat <<<'hello' >out 2>err
	[[ $(<out) == hello && $(<err) == "mcp-reap: trace: out: is the session's stdout: no more is traced" ]]
}

@test "sessions that share a trace do not mix their records" {
	need jq
	local i
	for i in {1..8}; do
		printf '{"a":"%030000d"}\n' {1..20} >"messages.$i"
		mcp_reap -t trace -- cat <"messages.$i" >/dev/null &
	done
	wait
	[[ $(jq -c 'select(.from == "client") | .message | length' trace | sort | uniq -c) =~ ^' '*'160 1'$ ]]
}

@test "the server has no descriptor of the trace" {
	mcp_reap -t trace -- sh -c 'ls -l /proc/self/fd' </dev/null >out
	run ! grep trace out
}

@test "without -t and -s nothing is shared or mapped for them" {
	need strace
	! grep -q __asan_init "$MCP_REAP" || skip "the leak sanitizer does not work under strace"
	strace -f -o log "$MCP_REAP" -- cat <<<hello
	run ! grep -E 'mmap.*MAP_SHARED\|MAP_ANONYMOUS|trace' log
}

# --stats.

# stats FILTER [FILE]: jq says that FILTER holds for what --stats=json has said into err.
stats() {
	[[ $(grep '^{' "${2:-err}" | jq "$1") == true ]]
}

@test "--stats and -s say at the end in one block what the session was" {
	local option
	for option in --stats -s; do
		start $option -g 0.1 -k 0.1 -- "$FIX/server" deaf term-proof child ready
		await has '^ready'
		say hello
		close_stdin
		ended
		[[ $(<err) =~ ^"mcp-reap[$SHIM]: $FIX/server deaf term-proof child ready"$'\n' ]]
		[[ $(<err) =~ $'\n  ended        stdin-closed, exit status 137, after '[0-9]+\.[0-9]+' s'$'\n' ]]
		[[ $(<err) == *$'\n  from client  1 message, 6 bytes\n  from server  1 message, '[0-9]*$' bytes\n'* ]]
		[[ $(<err) == *$'\n  processes    2 seen, 2 at once\n'* ]]
		[[ $(<err) =~ $'\n  memory       '[0-9.]+' MiB at once, '[0-9.]+$' MiB the largest process\n' ]]
		[[ $(<err) =~ $'\n  CPU time     '[0-9.]+' s user, '[0-9.]+' s system'$'\n' ]]
		[[ $(<err) =~ $'\n  signalled    2: server('[0-9]+') TERM, server('[0-9]+') TERM'$'\n  killed       1: server('"$(server_pid)"')'$ ]]
	done
}

@test "--stats=json says the same in one line of JSON" {
	need jq
	start --stats=json -g 0.1 -k 0.1 -- "$FIX/server" deaf term-proof child ready $'log=\xff"\n'
	await has '^ready'
	say hello
	close_stdin
	ended
	(($(wc -l <err) == 1))
	stats ".pid == $SHIM and .command == [\"$FIX/server\", \"deaf\", \"term-proof\", \"child\", \"ready\", \"log=\ufffd\\\"\n\"]"
	stats '.reason == "stdin-closed" and .status == 137 and .seconds > 0.2 and .seconds < 60'
	stats '.from_client == {messages: 1, bytes: 6} and .from_server.messages == 1'
	stats '.processes == 2 and .processes_at_once == 2 and .memory > 50000 and .largest_process > 100000'
	stats '.cpu_user >= 0 and .cpu_system >= 0 and .idle_stops == 0 and .launchers_dropped == 0'
	stats '.signalled == 2 and .killed == 1'
	stats '.signals | map([.command, .signal]) == [["server", "TERM"], ["server", "TERM"], ["server", "KILL"]]'
	stats ".signals[2].pid == $(server_pid)"
}

@test "--stats counts the messages and the bytes of a large stream, both ways, and the last one without an end" {
	need jq
	{
		yes 0123456789abcdef | head -n 100000
		printf '%01000000d\nunfinished' 1
	} >messages
	mcp_reap --stats=json -- cat <messages >out 2>err
	cmp messages out
	stats ".from_client == {messages: 100002, bytes: $(stat -c %s messages)} and .from_server == .from_client"
}

@test "--stats gives the reason for the end, and the status" {
	need jq
	start --stats=json -- sh -c 'exit 42'
	ended
	stats '.reason == "server-exited" and .status == 42 and .signalled == 0'
	start --stats=json -- "$FIX/server" ready
	await has '^ready'
	kill -INT "$SHIM"
	ended
	stats '.reason == "signal-INT" and .status == 130 and .signals[0].signal == "INT"'
	start --stats=json -- "$FIX/server" ready
	await has '^ready'
	kill -KILL "$(reaper_pid)"
	ended
	stats '.reason == "reaper-died" and .status == 125'
}

# ends_asleep REASON STATUS COMMAND...: so does a session whose server is stopped when the command comes.
ends_asleep() {
	start -i 0.2 --stats=json -- sh -c 'while read -r line; do echo "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"; done'
	say '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
	await lists '.state == "idle-stopped"'
	"${@:3}"
	ended
	stats ".idle_stops == 1 and .reason == \"$1\" and .status == $2"
}

@test "--stats gives the reason for an end that comes while the server is stopped" {
	need jq
	ends_asleep stdin-closed 0 close_stdin
	ends_asleep signal-TERM 143 eval 'kill -TERM "$SHIM"'
}

@test "--stats gives the reason when the client dies, or takes no more output, while the server is stopped" {
	need jq
	local steps
	for steps in die close-stdout; do
		rm -f go
		MCP_REAP_OPTIONS=--stats=json client send='{"jsonrpc":"2.0","id":1,"method":"tools/list"}' \
			expect='{"jsonrpc' until=go "$steps" sleep=20000 -- -i 0.2 -- \
			sh -c 'while read -r line; do echo "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"; done'
		await lists '.state == "idle-stopped"'
		touch go
		await gone "$SHIM"
		[[ $steps == die ]] || kill -KILL "$CLIENT"
		await test -s err
		stats ".idle_stops == 1 and (.reason | IN(\"client-died\", \"stdin-closed\", \"stdout-closed\"))"
	done
	stats '.reason == "stdout-closed"'
}

@test "--stats has the processor time of what was reaped" {
	need jq
	mcp_reap --stats=json -- sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done' </dev/null 2>err
	stats '.cpu_user + .cpu_system | . > 0.05 and . < 60'
}

@test "--stats has the most memory that was seen while messages passed, not the last" {
	need jq
	local i
	start --stats=json -- bash -c 'x=$(printf %030000000d 1)
		while read -r line && [[ $line != small ]]; do echo "$line"; done
		exec sh -c "echo small; cat"'
	for i in {1..5}; do
		say "$i"
		await has "^$i"
		sleep 0.3 # longer than there is between two looks
	done
	say small
	await has '^small'
	close_stdin
	ended
	stats '.memory > 20000000'
}

@test "when the shim is killed, the reaper says what the session was" {
	need jq
	start --stats=json -- "$FIX/server" ready
	await has '^ready'
	say hello
	await lists true
	kill -KILL "$SHIM"
	nothing_left
	stats ".pid == $SHIM and .reason == \"shim-died\" and .from_server.messages == 1"
}

# By the time of SIGKILL some, or none, have died of SIGTERM.
@test "with hundreds of processes to end --stats names a hundred of those signalled, and of those killed" {
	need jq
	start --stats=json -g 0 -k 0 -- "$FIX/server" wide=300 ready
	await has '^ready'
	close_stdin
	ended
	(($(wc -l <err) == 1))
	stats '.signalled + .killed >= 300 and
		([.signals[] | select(.signal == "TERM")] | length) == ([.signalled, 100] | min) and
		([.signals[] | select(.signal == "KILL")] | length) == ([.killed, 100] | min)'
}

# The README.

# readme NAME [ARG]...: runs the command between these marks in the README.
readme() {
	bash -c "$(awk -v name="$1" '$0 == "<!-- " name " -->" { on = 1; next } $0 == "<!-- /" name " -->" { on = 0 }
		on && !/^```/' "$BATS_TEST_DIRNAME/../README.md")"
}

@test "the README's commands show who said what, and the slowest calls" {
	need jq
	cat >trace.jsonl <<-'END'
		{"time":"2026-11-22T07:00:00.900000Z","session":1,"event":"start","command":"x"}
		{"time":"2026-11-22T07:00:01.000000Z","session":1,"from":"client","message":{"id":1,"method":"tools/call","params":{"name":"slow"}}}
		{"time":"2026-11-22T07:00:01.100000Z","session":2,"from":"client","message":{"id":1,"method":"tools/list"}}
		{"time":"2026-11-22T07:00:01.200000Z","session":1,"from":"server","message":{"id":1,"method":"roots/list"}}
		{"time":"2026-11-22T07:00:01.250000Z","session":1,"from":"server","text":"noise"}
		{"time":"2026-11-22T07:00:01.300000Z","session":2,"from":"server","message":{"id":1,"result":{}}}
		{"time":"2026-11-22T07:00:01.600000Z","session":1,"from":"client","message":{"id":1,"result":{}}}
		{"time":"2026-11-22T07:00:01.700000Z","session":1,"from":"client","message":[{"id":9,"method":"x"}]}
		{"time":"2026-11-22T07:01:02.250000Z","session":1,"from":"server","message":{"id":1,"error":{}}}
	END
	[[ $(readme slow) == $'61.25\ttools/call\tslow\n0.4\troots/list\t\n0.2\ttools/list\t' ]]
	tail() { cat trace.jsonl; } # without following
	export -f tail
	[[ $(readme follow | head -n 3) == $'07:00:00.900\tmcp-reap\tstart\t\n07:00:01.000\tclient\ttools/call\t1\n07:00:01.100\tclient\ttools/list\t1' ]]
	[[ $(readme follow | wc -l) == 9 && $(readme follow) == *$'server\tnoise\t\n'*$'client\tanswer\t1\n'* ]]
}

@test "--stats says 125 where bytes were lost, and that it was stdin" {
	need jq
	run -125 --separate-stderr mcp_reap --stats=json -- cat </
	jq -e '.status == 125 and .reason == "stdin-failed"' <<<"${stderr#*$'\n'}"
}

@test "--stats of a long command line is whole but for that" {
	run -0 --separate-stderr mcp_reap -s -- true $(seq -f '%0200g' 330) </dev/null
	[[ $stderr == *$'\n  killed       0' ]]
}

@test "--stats=json is JSON, and names who was killed, when more than it can name got SIGTERM" {
	need jq
	start -g 0 -k 0.5 --stats=json -- sh -c 'trap "" TERM; for i in $(seq 101); do sleep 300 & done; echo ready; wait'
	await has '^ready'
	close_stdin
	ended
	stats '.killed > 0 and ([.signals[] | select(.signal == "KILL")] | length) > 0'
}

@test "--stats names a reaper that got the signal itself" {
	need jq
	start --stats=json -- "$FIX/server" ready
	await has '^ready'
	kill -TERM "$(reaper_pid)"
	ended
	stats '.reason == "reaper-signalled"'
}

@test "names are strings in the trace, whatever they look like" {
	need jq
	ln -s /bin/cat true
	PATH=$PWD:$PATH mcp_reap -t trace -- true </dev/null
	jq -se 'any(.event == "start" and .command == "true")' trace
}

@test "a trace goes on in a new line behind one that was not ended" {
	need jq
	printf '{"time":' >trace
	mcp_reap -t trace -- cat </dev/null
	tail -n +2 trace | jq -se 'any(.event == "start")'
}

@test "neither the session's stdin nor another user's file is traced to" {
	cp "$BATS_TEST_FILENAME" messages
	# shellcheck disable=SC2094 # that is the point
	run -0 --separate-stderr mcp_reap -t messages -- cat <messages
	[[ $stderr == "mcp-reap: trace: messages: is the session's stdin: no more is traced" ]]
	cmp messages "$BATS_TEST_FILENAME"
	need_that root test "$EUID" = 0
	: >theirs
	chown 65534 theirs
	run -0 --separate-stderr mcp_reap -t theirs -- cat <messages
	[[ $stderr == 'mcp-reap: trace: theirs: belongs to another user: no more is traced' && ! -s theirs ]]
}

@test "a reader of the trace that takes a little at a time is given up, too" {
	mkfifo slow
	exec {slow}<>slow # so that there is a reader from the start
	(exec 3>&- 7>&- 8<&- <slow {slow}<&- && while sleep 0.3; do dd bs=4096 count=1 of=/dev/null 2>/dev/null; done) &
	SPARE+=($!)
	head -c 300000 /dev/zero | tr '\0' x >messages
	run -0 --separate-stderr mcp_reap -t slow -- cat <messages
	[[ $stderr == 'mcp-reap: trace: slow: its reader is too slow: no more is traced' ]]
	exec {slow}<&-
	cmp messages <(printf %s "$output")
}

# What the server writes to stderr.

@test "the trace has the server's stderr line by line, and it is passed on" {
	mcp_reap -t trace -- sh -c 'echo one >&2; printf "two\\nthree" >&2' </dev/null >out 2>err
	[[ $(<err) == $'one\ntwo\nthree' && ! -s out ]]
	(($(grep -c '"from":"stderr"' trace) == 3))
	has '"from":"stderr","text":"one"}$' trace
	has '"from":"stderr","text":"two"}$' trace
	has '"from":"stderr","text":"three"}$' trace
	nothing_left
}

@test "JSON on stderr is text in the trace, not a message" {
	mcp_reap -t trace -- sh -c 'echo "{\"method\":\"x\"}" >&2' </dev/null 2>err
	[[ $(<err) == '{"method":"x"}' ]]
	has '"from":"stderr","text":"{\\"method\\":\\"x\\"}"}$' trace
}

@test "the last thing that a server says before it dies is in the trace, before done" {
	mcp_reap -t trace -- sh -c 'seq 5000 >&2; echo reason >&2; kill -KILL $$' </dev/null 2>err || :
	[[ $(tail -n 1 err) == reason ]]
	(($(grep -c '"from":"stderr"' trace) == 5001))
	[[ $(tail -n 1 trace) == *'"event":"done"'* ]]
}

@test "a traced stderr that nobody reads holds neither the server nor a message nor the end, and is in the trace" {
	mkfifo full
	exec 6<>full
	MCP_REAP_TEST=$MARK "$MCP_REAP" -t trace -- sh -c 'seq 50000 >&2; cat' <in >out 2>&6 3>&- 6>&- 7>&- 8<&- 9>tree &
	SHIM=$!
	exec 7>in
	say line
	await has '^line$'
	close_stdin
	ended
	nothing_left
	exec 6>&-
	[[ $STATUS == 0 ]]
	(($(grep -c '"from":"stderr"' trace) == 50000))
	(($(grep -c '"event":"stderr-stalled"' trace) == 1))
}

@test "somebody outside of the tree who holds the server's stderr does not hold the session" {
	start -t trace -- "$FIX/server" echo ready
	await has '^ready '
	{ exec sleep 300 2>"/proc/$(server_pid)/fd/2"; } <&- >&- 3>&- 7>&- 8<&- &
	SPARE+=("$!")
	await eval '[[ $(readlink "/proc/${SPARE[0]}/fd/2") == pipe:* ]]'
	close_stdin
	ended
	[[ $STATUS == 0 ]]
	nothing_left
}

@test "a server that closes its stderr goes on" {
	start -t trace -- sh -c 'exec 2>&-; exec cat'
	say line
	await has '^line$'
	close_stdin
	ended
	[[ $STATUS == 0 ]]
}

@test "without --trace the server has the client's stderr itself" {
	start -s -- "$FIX/server" echo ready
	await has '^ready '
	[[ $(readlink "/proc/$(server_pid)/fd/2") == "$PWD/err" ]]
}

# What the trace is written to.

@test "another user's FIFO is not traced to" {
	need_that root test "$EUID" = 0
	mkfifo theirs
	chown 65534 theirs
	exec 6<>theirs
	run -0 --separate-stderr mcp_reap -t theirs -- true </dev/null 6>&-
	exec 6>&-
	[[ $stderr == 'mcp-reap: trace: theirs: belongs to another user: no more is traced' ]]
}

@test "another user's symbolic link is not followed, our own ones are" {
	need_that root test "$EUID" = 0
	mkdir below
	: >ours
	ln -s "$PWD/ours" theirs
	ln -s theirs again
	chown -h 65534 theirs
	for link in theirs again; do
		run -0 --separate-stderr mcp_reap -t "$link" -- true </dev/null
		[[ $stderr == "mcp-reap: trace: $link: is a symbolic link of another user's: no more is traced" && ! -s ours ]]
	done
	ln -s ../ours below/link
	ln -s "$PWD/below/link" mine
	mcp_reap -t mine -- true </dev/null
	has '"event":"done"' ours
	ln -s loop loop
	run -0 --separate-stderr mcp_reap -t loop -- true </dev/null
	[[ $stderr == 'mcp-reap: trace: loop: Too many levels of symbolic links: no more is traced' ]]
}

@test "/dev/stderr and /proc/self/fd can be traced to" {
	mcp_reap -t /dev/stderr -- true </dev/null 2>err
	has '"event":"done"' err
	mcp_reap -t /proc/self/fd/2 -- true </dev/null 2>err
	has '"event":"done"' err
}

@test "a record that is cut by a full disk is not glued to another session's next one" {
	need jq
	start -t trace -- cat
	await has '"event":"server"' trace
	head -c 3000 /dev/zero | tr '\0' x >message
	run bash -c 'ulimit -f 2; exec "$@"' - "$MCP_REAP" -t trace -- cat <message 2>&1 3>&- 7>&- 8<&-
	say after
	await has '^after$'
	close_stdin
	ended
	jq -es 'any(.text == "after")' trace
}

@test "--trace-max keeps a file and the one before, and sessions that share it lose no record" {
	need jq
	local i pids=()
	for i in 1 2 3 4; do
		for ((n = 0; n < 400; n++)); do echo "session $i line $n"; done >"lines.$i"
	done
	for i in 1 2 3 4; do
		mcp_reap -t trace --trace-max=300K -- cat <"lines.$i" >"out.$i" 3>&- &
		pids+=("$!")
	done
	wait "${pids[@]}"
	[[ -e trace.1 && ! -e trace.2 ]]
	(($(stat -c %s trace.1) < 320000))
	jq -r 'select(.from == "client").text' trace.1 trace | sort >got
	sort lines.? | cmp - got
}

@test "--no-trace-max takes --trace-max back" {
	for ((i = 0; i < 50; i++)); do echo '{"jsonrpc":"2.0","method":"x"}'; done >lines
	MCP_REAP_OPTIONS='-t trace --trace-max=1000' mcp_reap --no-trace-max -- cat <lines >out
	[[ ! -e trace.1 ]]
	(($(grep -c '"from":"client"' trace) == 50))
}

@test "--trace-max: a file that has gone on is no larger" {
	seq 3000 >lines
	mcp_reap -t trace --trace-max=20k -- cat <lines >out 2>err && return 1
	mcp_reap -t trace --trace-max=20K -- cat <lines >out
	cmp lines out
	(($(cat trace trace.1 | wc -c) < 60000))
	tail -n 1 trace | grep '"event":"done"'
}

# Names that would write to the terminal.

@test "-v, --stats and --list show no C1 control, no bidi override, and no broken UTF-8" {
	local name=$'a\xc2\x9b31m\xe2\x80\xaeb\xff\xe2\x81\xa6c\xc3\xa9'
	cp "$(command -v cat)" "./$name"
	start -v -s -- "./$name"
	await has 'event\|server' err
	"$MCP_REAP" --list 3>&- >list
	close_stdin
	ended
	for file in err list; do
		grep -q $'a??31m???b????c\xc3\xa9' "$file"
		run ! grep -qP '\x9b|\xff' "$file"
	done
}

@test "our own errors are in the trace, and why a command could not be run is the reason" {
	start -v -t trace -- no-such-command
	ended
	[[ $STATUS == 127 && $(grep -c 'end reason=' err) == 1 ]]
	has 'end reason=command-not-found' err
	has '"event":"error","message":"no-such-command: not found in PATH=' trace
	has '"event":"end","reason":"command-not-found"' trace
	start --stats=json -t trace2 -- /
	ended
	[[ $STATUS == 126 ]]
	has '"reason":"command-not-run"' err
	has '"event":"error","message":"/: Permission denied"' trace2
}
