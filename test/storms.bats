#!/usr/bin/env bats
# What could outrun an ending, or hold it: storms, depths, floods, tracers, calls that fail.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2094,SC2153,SC2154 # the helper sets variables; each test is a subshell

load helper

TIMES=(-g 0.2 -k 0.5)

# in_time COMMAND...: it ends long before the storm would by itself.
in_time() {
	local begun=$SECONDS
	"$@"
	((SECONDS - begun < 25))
}

# storm N [OPTION]...: a session with one; ends it.
storm() {
	start "${TIMES[@]}" "${@:2}" -- "$FIX/storm" "$1" "$PWD/tree" "$FIX/server" deaf term-proof ready
	await has '^ready'
	close_stdin
	in_time ended
	nothing_left
}

@test "forty processes that fork and exit for ever end with the session" {
	storm 40
}

@test "forty processes that fork and exit for ever end also with -v, -t and -s, which say how many they leave out" {
	storm 40 -v -s -t trace
	has '^  killed ' err
}

@test "a hundred processes that fork and exit for ever end with the session" {
	storm 100
}

@test "a storm ends when the client is killed" {
	client stdio=inherit wait -- "${TIMES[@]}" -- "$FIX/storm" 20 "$PWD/tree" "$FIX/server" deaf term-proof ready
	await has '^ready'
	kill -KILL "$CLIENT"
	in_time nothing_left
}

@test "a storm ends when the reaper is killed" {
	start "${TIMES[@]}" -- "$FIX/storm" 20 "$PWD/tree" "$FIX/server" deaf term-proof ready
	await has '^ready'
	kill -KILL "$(reaper_pid)"
	in_time ended
	nothing_left
}

@test "a chain deeper than our stack ends with the session" {
	# Each has a memory of its own: of forks of forks the kernel starts a few hundred in the time.
	# shellcheck disable=SC2016 # its own words
	local link='trap "" HUP INT QUIT TERM
		if [ "$1" -eq 0 ]; then echo ready; exec sleep 600; fi
		sh -c "$0" "$0" $(($1 - 1)) & wait'
	ulimit -s 128
	start "${TIMES[@]}" -- sh -c "$link" "$link" 1400
	await has '^ready'
	close_stdin
	ended
	nothing_left
	((STATUS == 137 || STATUS == 143))
}

@test "a crowd that exits all at once holds nobody" {
	start "${TIMES[@]}" -v -- sh -c 'i=0; while [ $i -lt 1500 ]; do sleep 1 & i=$((i + 1)); done; echo ready; exec cat'
	await has '^ready'
	say hello
	await has '^hello'
	close_stdin
	ended
	nothing_left
}

@test "a flood of signals does not hold the ending" {
	local flood
	start "${TIMES[@]}" -- "$FIX/server" deaf term-proof ready
	await has '^ready'
	(
		exec 3>&- 7>&- 8<&- 9>&-
		end=$((SECONDS + 20))
		reaper=$(reaper_pid)
		while ((SECONDS < end)) && kill -USR2 "$SHIM" "$reaper" 2>/dev/null; do
			:
		done
	) &
	flood=$!
	close_stdin
	in_time ended
	kill "$flood" 2>/dev/null || :
	nothing_left
}

@test "a server that writes a byte at a time does not hold the ending" {
	exec 6<>in
	exec 5<in 7>in 6>&- 9>tree
	MCP_REAP_TEST=$MARK "$MCP_REAP" "${TIMES[@]}" -- sh -c 'trap "" TERM; dd if=/dev/zero bs=1 2>/dev/null' \
		<&5 3>&- 5<&- 7>&- 8<&- 2>err | cat >/dev/null 3>&- 5<&- 7>&- 8<&- 9>&- &
	SHIM=$!
	exec 5<&- 9>&-
	close_stdin
	in_time nothing_left
}

# traced [WORD]...: a session with a process that a stranger traces, until after its end; sets TRACED and TRACER.
traced() {
	start "${TIMES[@]}" -- "$FIX/server" child ready
	await has '^ready'
	TRACED=$(children "$(server_pid)")
	"$FIX/tracer" "$TRACED" "$@" >tracing 2>&1 3>&- 7>&- 8<&- &
	TRACER=$!
	SPARE+=("$TRACER")
	await eval 'has "^traces" tracing || gone "$TRACER"'
	alive "$TRACER" || skip "no tracing here"
}

@test "a killed process whose tracer does not wait for it is named, and not waited for" {
	traced
	kill -KILL "$(server_pid)"
	in_time ended
	has "$TRACED .*left as a zombie: it is traced by $TRACER " err
	[[ $(state "$TRACED") == Z ]]
}

@test "a killed process that its tracer holds at its exit is named, and not waited for" {
	traced at-exit
	close_stdin
	in_time ended
	has "$TRACED .*traced by $TRACER " err
}

# cpu PID: its time, in clock ticks.
cpu() {
	sed 's/.*) //' "/proc/$1/stat" | cut -d ' ' -f 12,13 | tr ' ' + | bc
}

@test "with fewer descriptors allowed than poll needs, neither process spins, and the session goes on" {
	local pid before
	need prlimit bc
	start "${TIMES[@]}" -- cat
	say one
	await has '^one'
	for pid in "$SHIM" "$(reaper_pid)"; do
		prlimit --pid "$pid" --nofile=2:2
	done
	before=$(($(cpu "$SHIM") + $(cpu "$(reaper_pid)")))
	sleep 1
	(($(cpu "$SHIM") + $(cpu "$(reaper_pid)") - before < 30))
	say two
	await has '^two'
	close_stdin
	ended
	((STATUS == 0))
	nothing_left
}
