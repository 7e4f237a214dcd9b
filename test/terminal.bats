#!/usr/bin/env bats
# In a terminal mcp-reap behaves as any command. The fixture `pty` is the terminal, with an interactive
# bash on it; what is written to 7 is typed, and out is the screen. What is typed is echoed there, so the
# commands spell what is waited for in a way that only their output does.

# shellcheck disable=SC2016 # what is quoted is for another shell
# shellcheck disable=SC2153 # STATUS is set by helper.bash, status by bats
load helper

# A shell at a terminal, in which mcp-reap is $M and the server fixture $S.
terminal() {
	need_that pseudo-terminal bash -c ': <>/dev/ptmx'
	M="$MCP_REAP -g 0.2 -k 0.2" S=$FIX/server launch bash -c 'exec "$@" >>out' - \
		"$FIX/pty" env PS1='prompt> ' bash --norc --noprofile --noediting -i
	TERMINAL=$! USED=0
	await at_prompt
	SHELL_PID=$(children "$TERMINAL")
}

# A prompt is there that nothing was typed at. What is typed before would be lost, or be input to what runs.
at_prompt() {
	(($(prompts) > USED))
}
prompts() {
	grep -o 'prompt> ' out | wc -l
}

# typed LINE: at the prompt.
typed() {
	await at_prompt
	USED=$(prompts)
	say "$1"
}

# clear: an empty screen, with a prompt.
clear() {
	await at_prompt
	: >out
	USED=0
	say ''
}

# pressed KEY: a control character.
pressed() {
	case $1 in
	C) printf '\003' >&7 ;;
	D) printf '\004' >&7 ;;
	Z) printf '\032' >&7 ;;
	backslash) printf '\034' >&7 ;;
	esac
}

# session WORD...: $M in the foreground, with such a server; sets SHIM and SERVER.
session() {
	typed "\$M -- \$S $*"
	ready
}
ready() {
	await has $'ready [0-9]*\r$' # a whole line
	SERVER=$(tr -d '\r' <out | sed -n 's/.*ready \([0-9]*\)$/\1/p' | tail -n 1)
	SHIM=$(parent_of "$(parent_of "$SERVER")")
	[[ $(<"/proc/$SHIM/comm") == mcp-reap ]]
}

parent_of() {
	sed -n 's/^PPid:[[:space:]]*//p' "/proc/$1/status"
}

# answered LINE: the screen has it twice, as an echo and as an answer.
answered() {
	(($(grep -c "^$1" out) == 2))
}

# status_is N: bash says so of the last command.
status_is() {
	typed 'echo "sta""tus $?."'
	await has '^status [0-9]*\.'
	has "^status $1\\."
}

# modes: the terminal's settings, as the screen shows them.
modes() {
	clear
	typed 'stty -a; echo en""d'
	await has '^end'
	sed -n '/^speed/,/^end/p' out
}

@test "Ctrl-C ends a session with 130" {
	terminal
	session ready child daemon=1
	pressed C
	status_is 130
	gone "$SHIM" "$SERVER"
}

@test "Ctrl-C breaks off the loop around a session" {
	terminal
	typed 'for i in 1 2 3; do $M -- $S ready; echo "rou""nd $i"; done'
	ready
	pressed C
	status_is 130
	run ! has 'round [0-9]'
}

@test "Ctrl-C that the server takes for a normal exit does not break off the loop around it" {
	terminal
	typed 'for i in 1; do $M -- $S ready saver=file:1; echo "rou""nd $i, sta""tus $?."; done'
	ready
	pressed C
	await has 'round 1, status 0\.'
	[[ -s file ]]
}

@test "Ctrl-C leaves nothing of a stubborn tree" {
	terminal
	session ready deaf term-proof child setsid-child daemon=2
	pressed C
	status_is 137
	typed exit
	ended "$TERMINAL"
	nothing_left
}

@test "Ctrl-\\ ends a session with 131" {
	terminal
	typed 'ulimit -c 0'
	session ready child daemon=1
	pressed backslash
	status_is 131
}

# A client with a prompt has its servers in its own process group, the terminal's foreground. Bare they die of Ctrl-C.

@test "Ctrl-C that the client survives leaves its sessions alone" {
	local key
	for key in C C backslash; do
		rm -f go
		terminal
		typed "trap '' QUIT; $FIX/client survives-int expect=ready until=go lines=2 close-stdin wait -- \$M -- \$S ready echo"
		ready
		pressed "$key"
		[[ $key != C ]] || await has 'client: interrupted'
		: >go
		await has 'client: status 0'
		typed exit
		ended "$TERMINAL"
		nothing_left
	done
}

@test "Ctrl-C that the client dies of ends its sessions" {
	terminal
	typed "$FIX/client expect=ready until=never -- \$M -- \$S ready deaf child setsid-child daemon=2"
	ready
	pressed C
	await gone "$SHIM" "$SERVER"
}

@test "Ctrl-C is for a session whose client has closed stdin" {
	terminal
	typed "sh -c 'echo hello | exec \$M -g 300 -- \$S deaf ready echo'"
	ready
	await has hello
	pressed C
	await gone "$SHIM" "$SERVER"
}

@test "Ctrl-C is for a session that is a shell's job, with stdin from elsewhere, as bare" {
	mkfifo other
	exec {OTHER}<>other
	terminal
	typed "\$M -g 300 -- \$S deaf ready <other $OTHER>&-"
	ready
	pressed C
	status_is 130
	exec {OTHER}>&-
}

@test "Ctrl-D ends a session as the end of input" {
	terminal
	session ready echo child at-eof=7
	say hello
	pressed D
	status_is 7
	gone "$SHIM" "$SERVER"
}

@test "what is typed is answered line by line" {
	terminal
	session ready echo
	say hello
	await answered hello
}

@test "Ctrl-Z stops mcp-reap and the server" {
	terminal
	session ready
	pressed Z
	await has 'Stopped'
	await stopped "$SHIM"
	await stopped "$SERVER"
}

@test "after Ctrl-Z, fg goes on with both" {
	terminal
	session ready echo at-eof=7
	pressed Z
	await has 'Stopped'
	await stopped "$SERVER"
	typed fg
	await running "$SHIM" "$SERVER"
	say hello
	await answered hello
	pressed D
	status_is 7
}

# running PID...: none of them is stopped.
running() {
	local pid
	for pid; do
		[[ $(state "$pid") == [RSD] ]] || return
	done
}

@test "Ctrl-Z and fg can be repeated, and Ctrl-C ends the session then" {
	local i
	terminal
	session ready
	for ((i = 0; i < 5; i++)); do
		pressed Z
		await stopped "$SHIM"
		await stopped "$SERVER"
		typed fg
		await running "$SHIM" "$SERVER"
	done
	pressed C
	status_is 130
	gone "$SHIM" "$SERVER"
}

@test "after Ctrl-Z, kill ends the session once it goes on" {
	terminal
	session ready deaf child daemon=1
	pressed Z
	await stopped "$SERVER"
	typed 'kill %1; fg'
	await gone "$SHIM" "$SERVER"
	status_is 143
}

@test "after Ctrl-Z the shell's death leaves nothing" {
	terminal
	session ready deaf term-proof child daemon=2
	pressed Z
	await stopped "$SERVER"
	kill -KILL "$SHELL_PID"
	await gone "$SHIM"
	close_stdin
	nothing_left
}

@test "a hang-up leaves nothing of a session in the foreground" {
	terminal
	session ready deaf term-proof child setsid-child daemon=2
	close_stdin
	nothing_left
}

# hung_up COMMAND: the window is closed, and what COMMAND runs has saved before it ended.
SAVER='trap "sleep 1; echo complete >saved; exit" HUP TERM; echo "ready $$"; while :; do sleep 0.1; done'
hung_up() {
	printf '%s\n' "$SAVER" >saver
	terminal
	typed "$1"
	await has $'ready [0-9]*\r$'
	close_stdin
	nothing_left
	[[ $(<saved) == complete ]]
}

@test "a hang-up leaves a server its time to save, bare" {
	hung_up 'sh ./saver'
}

@test "a hang-up, of which both kernel and shell tell, leaves a server its time to save" {
	hung_up '$M -k 300 -- sh ./saver'
}

@test "a hang-up leaves nothing of a stopped session" {
	terminal
	session ready deaf term-proof child setsid-child daemon=2
	pressed Z
	await stopped "$SERVER"
	close_stdin
	nothing_left
}

@test "a hang-up leaves nothing of a session in the background" {
	terminal
	typed '$M -- $S ready deaf term-proof child daemon=2 </dev/zero &'
	ready
	close_stdin
	nothing_left
}

@test "a hang-up leaves nothing of a session that leads the terminal" {
	launch "$FIX/pty" "$MCP_REAP" -g 0.2 -k 0.2 -- "$FIX/server" ready deaf term-proof child daemon=2
	await has '^ready'
	close_stdin
	nothing_left
}

@test "with nohup and -o a session survives a hang-up of its terminal" {
	local both
	mkfifo other
	exec {both}<>other
	terminal
	typed "nohup \$M -o -- \$S ready deaf <other >other.out 2>&1 $both>&- &"
	await has '^ready' other.out
	close_stdin
	ended "$TERMINAL"
	sleep 1 # far longer than it would take
	alive "$(sed -n 's/^ready //p' other.out)"
	exec {both}>&-
	nothing_left
}

# job_pid: of the shell's first job in the background.
job_pid() {
	tr -d '\r' <out | sed -n 's/^\[1\] \([0-9]*\)$/\1/p'
}

@test "in the background, to read the terminal stops it as any command" {
	terminal
	typed '$M -- $S ready echo &'
	ready
	# The shell gets the lines that are typed; to look for one is what stops a background process.
	await stopped_by_typing
	typed 'jobs -l'
	await has "$SHIM Stopped (tty input)"
	typed fg
	await running "$SHIM"
	say hello
	await answered hello
	pressed D
	status_is 0
}
ended_by_typing() {
	say ''
	sleep 0.1
	gone "$SHIM"
}
stopped_by_typing() {
	say ''
	sleep 0.1
	stopped "$SHIM"
}

@test "stopped as it read the terminal in the background, kill ends the session" {
	terminal
	typed '$M -- $S ready deaf child daemon=1 &'
	ready
	await stopped_by_typing
	typed 'kill %1'
	await gone "$SHIM" "$SERVER"
	typed 'wait %1; echo "sta""tus $?."'
	await has '^status 143\.'
}

@test "in the background, a server that exits ends the session" {
	terminal
	typed '$M -- sh -c "sleep 0.2; exit 3" &'
	await eval 'SHIM=$(job_pid) && gone "$SHIM"'
	typed 'wait %1; echo "sta""tus $?."'
	await has '^status 3\.'
}

@test "with SIGTTIN ignored, to read the terminal in the background is the end of input" {
	terminal
	typed 'trap "" TTIN; $M -- $S ready &'
	ready
	await ended_by_typing
}

@test "with the master of a terminal as stdin, nobody is in the background" {
	need_that pseudo-terminal bash -c ': <>/dev/ptmx'
	launch bash -c 'exec "$@" >>out' - "$FIX/pty" -m "$MCP_REAP" -- cat
	say hello
	await has '^hello'
	TERMINAL=$!
	kill "$TERMINAL"
	ended "$TERMINAL"
}

@test "with stty tostop, output in the background stops it as any command" {
	terminal
	typed 'stty tostop'
	typed '$M -- sh -c "echo hel""lo; exec sleep 100" </dev/zero &'
	await eval 'SHIM=$(job_pid) && stopped "$SHIM"'
	run ! has '^hello'
	say ''
	typed fg
	await has '^hello'
	pressed C
	status_is 130
}

@test "the terminal's settings are the same before and after a session" {
	terminal
	modes >before
	session ready echo
	say hello
	pressed D
	status_is 0
	modes >after
	[[ -s before ]]
	diff before after
}

@test "the terminal's settings are the same after a session that was interrupted or killed" {
	local signal
	terminal
	modes >before
	for signal in INT TERM KILL; do
		clear
		session ready deaf term-proof echo
		kill "-$signal" "$SHIM"
		await gone "$SHIM" "$SERVER"
		modes >after
		diff before after
	done
	[[ -s before ]]
}

@test "the terminal is blocking before, during and after a session" {
	terminal
	blocking
	session ready echo
	blocking
	say hello
	await answered hello
	blocking
	pressed D
	status_is 0
	blocking
}
blocking() {
	local flags n=0
	while read -r _ flags; do
		(((8#$flags & 04000) == 0)) || return
		((n += 1))
	done < <(grep -h '^flags:' "/proc/$SHELL_PID/fdinfo/"[012])
	((n == 3))
}
