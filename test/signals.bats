#!/usr/bin/env bats
# Which signals reach the server and its tree, how often, and what they do to a session.

# shellcheck disable=SC2030,SC2031,SC2153 # each test is a subshell; helper.bash sets STATUS
load helper

# listening [OPTION]...: a session whose server survives the ending signals and logs what it gets.
listening() {
	start "$@" -- "$FIX/server" term-proof deaf echo log=log ready
	await has '^ready'
}

# count WORD: how often the fixture logged it.
count() {
	grep -c "^$1 " log
}

# Ended by the signal $1, the server got that once, and none of the others.
only_got() {
	[[ $(count "$1") == 1 ]]
	[[ $(grep -cE '^(HUP|INT|QUIT|TERM) ' log) == 1 ]]
}

@test "SIGHUP reaches the server, once, and no other signal does" {
	listening -k 1
	kill -HUP "$SHIM"
	ended
	only_got HUP
	nothing_left
}

@test "SIGINT reaches the server, once, and no other signal does" {
	listening -k 1
	kill -INT "$SHIM"
	ended
	only_got INT
	nothing_left
}

@test "SIGQUIT reaches the server, once, and no other signal does" {
	listening -k 1
	kill -QUIT "$SHIM"
	ended
	only_got QUIT
	nothing_left
}

@test "SIGTERM reaches the server, once, and no other signal does" {
	listening -k 1
	kill -TERM "$SHIM"
	ended
	only_got TERM
	nothing_left
}

@test "a signal does not wait for the grace" {
	listening -g 300 -k 0.2
	kill -TERM "$SHIM"
	ended
	only_got TERM
	nothing_left
}

@test "a signal cuts a grace short that has begun" {
	listening -g 300 -k 0.2
	close_stdin
	await has EOF log
	kill -TERM "$SHIM"
	ended
	only_got TERM
	nothing_left
}

@test "a signal closes the server's stdin" {
	listening -k 300
	kill -INT "$SHIM"
	await has INT log
	await has EOF log
	kill -INT "$SHIM"
	ended
	nothing_left
}

@test "SIGTERM reaches daemons and their own sessions too" {
	start -g 0 -k 300 -- "$FIX/server" setsid-child saver-daemon=first:0 saver-daemon=second:0 deaf ready
	await has '^ready'
	close_stdin
	ended
	[[ $(cat first second) == $'complete\ncomplete' ]]
	nothing_left
}

@test "SIGTERM reaches 500 children and a chain of 200, so that it is enough for them" {
	start -g 0 -k 300 -- "$FIX/server" wide=500 chain=200 deaf ready
	await has '^ready'
	close_stdin
	ended
	((STATUS == 143))
	nothing_left
}

@test "SIGTERM reaches the child of a thread" {
	start -g 0 -k 300 -- "$FIX/server" thread-saver=saved:0 term-proof deaf log=log ready
	await has '^ready'
	close_stdin
	await test -e saved
	kill -KILL "$(server_pid)"
	ended
	nothing_left
}

@test "a client's SIGINT reaches daemons as well" {
	start -k 300 -- "$FIX/server" saver-daemon=saved:0 ready
	await has '^ready'
	kill -INT "$SHIM"
	ended
	[[ $(<saved) == complete ]]
	nothing_left
}

@test "the same ending signal twice means SIGKILL now" {
	listening -k 300
	kill -TERM "$SHIM"
	await has TERM log
	kill -TERM "$SHIM"
	ended
	only_got TERM
	nothing_left
}

# One event that comes by several ways is no impatient client. /bin/kill is another sender each time.

@test "the same ending signal from another sender leaves the server its time to save" {
	start -k 300 -- "$FIX/server" term-proof saver=saved:1000 log=log ready
	await has '^ready'
	kill -TERM "$SHIM"
	await has saving log
	env kill -TERM "$SHIM"
	env kill -TERM "$SHIM"
	ended
	[[ $(<saved) == complete ]]
	[[ $(count TERM) == 1 ]]
	nothing_left
}

@test "the same ending signal from any sender who has sent it before means SIGKILL now" {
	listening -k 300
	kill -TERM "$SHIM"
	await has TERM log
	env kill -TERM "$SHIM"
	kill -TERM "$SHIM"
	ended
	nothing_left
}

# stopped_as_by_systemd COMMAND...: each of its processes gets SIGTERM, and clients hand it on.
stopped_as_by_systemd() {
	launch "$@"
	CLIENT=$!
	await has '^ready'
	# shellcheck disable=SC2046
	kill -TERM $(marked)
	nothing_left
	[[ $(<saved) == complete ]]
}
# It hands on the first one only: what it sent twice would be asked for twice.
GATEWAY='"$@" <&0 & trap "trap : TERM; kill -TERM $!" TERM; wait; wait; wait'

@test "a service manager's stop leaves a server its time to save, bare" {
	stopped_as_by_systemd bash -c "$GATEWAY" - "$FIX/server" saver=saved:1000 ready
}

@test "a service manager's stop leaves a server its time to save" {
	stopped_as_by_systemd bash -c "$GATEWAY" - "$MCP_REAP" -- "$FIX/server" saver=saved:1000 ready
}

@test "a service manager's stop leaves a server its time to save, in a session within a session" {
	stopped_as_by_systemd bash -c "$GATEWAY" - "$MCP_REAP" -k 300 -- bash -c "$GATEWAY" - \
		"$MCP_REAP" -k 300 -- "$FIX/server" saver=saved:1000 ready
}

@test "a different ending signal is passed on" {
	listening -k 300
	kill -INT "$SHIM"
	await has INT log
	kill -TERM "$SHIM"
	await has TERM log
	kill -HUP "$SHIM"
	await has HUP log
	alive "$SHIM"
	kill -HUP "$SHIM"
	ended
	nothing_left
}

@test "a different ending signal does not restart the clock" {
	local begin
	listening -k 4
	begin=$(now)
	kill -INT "$SHIM"
	await has INT log
	sleep 3
	kill -TERM "$SHIM"
	ended
	(($(now) - begin >= 4000))
	(($(now) - begin < 6500))
	[[ $(count TERM) == 1 ]]
	nothing_left
}

@test "SIGUSR1 and SIGUSR2 reach the server, once, and the session goes on" {
	listening -g 0 -k 0
	kill -USR1 "$SHIM"
	await has USR1 log
	kill -USR2 "$SHIM"
	await has USR2 log
	say hello
	await has hello
	[[ $(count USR1) == 1 ]]
	[[ $(count USR2) == 1 ]]
	close_stdin
	ended
	nothing_left
}

@test "SIGTERM to the reaper ends the session, and leaves the server time to save" {
	start -g 300 -k 300 -- "$FIX/server" saver=saved:1000 child ready
	await has '^ready'
	kill -TERM "$(reaper_pid)"
	ended
	[[ $(<saved) == complete ]]
	nothing_left
}

@test "SIGTERM to the reaper ends a stubborn tree" {
	start -g 300 -k 0.5 -- "$FIX/server" term-proof deaf child setsid-child daemon=2 ready
	await has '^ready'
	kill -TERM "$(reaper_pid)"
	ended
	nothing_left
}

@test "SIGTERM to the shim's process group reaches the server once" {
	client own-group expect=ready killpg=15 wait -- -k 1 -- "$FIX/server" term-proof deaf log=log ready
	ended "$CLIENT"
	only_got TERM
	nothing_left
}

@test "SIGINT to the shim's process group reaches the server once" {
	client own-group expect=ready killpg=2 wait -- -k 1 -- "$FIX/server" term-proof deaf log=log ready
	ended "$CLIENT"
	only_got INT
	nothing_left
}

@test "the server leads a process group of its own, apart from ours" {
	listening -g 0 -k 0
	[[ $(sed 's/.*) //' "/proc/$(server_pid)/stat" | cut -d ' ' -f 3) == "$(server_pid)" ]]
	close_stdin
	ended
	nothing_left
}

@test "SIGHUP does not end a session that was started by nohup" {
	trap '' HUP
	listening -g 0 -k 0
	trap - HUP
	kill -HUP "$SHIM"
	say hello
	await has hello
	sleep 0.5
	alive "$SHIM" "$(server_pid)"
	[[ $(count HUP) == 0 ]]
	close_stdin
	ended
	nothing_left
}

@test "SIGTERM ends a session that was started by nohup" {
	trap '' HUP
	listening -k 0.2
	trap - HUP
	kill -TERM "$SHIM"
	ended
	nothing_left
}

# Exit statuses: the server's own, or 128+n.

# mortal: a session whose server dies of what it gets.
mortal() {
	start -g 0 -k 300 -- "$FIX/server" deaf ready
	await has '^ready'
}

@test "the status is 129 if the server died of SIGHUP" {
	mortal
	kill -HUP "$SHIM"
	ended
	((STATUS == 129))
}

@test "the status is 130 if the server died of SIGINT" {
	mortal
	kill -INT "$SHIM"
	ended
	((STATUS == 130))
}

@test "the status is 131 if the server died of SIGQUIT" {
	mortal
	kill -QUIT "$SHIM"
	ended
	((STATUS == 131))
}

@test "the status is 143 if the server died of SIGTERM" {
	mortal
	kill -TERM "$SHIM"
	ended
	((STATUS == 143))
}

@test "the status is 143 if the server died of the SIGTERM after the grace" {
	mortal
	close_stdin
	ended
	((STATUS == 143))
}

@test "the status is 137 if the server had to be killed" {
	listening -g 0 -k 0.2
	close_stdin
	ended
	((STATUS == 137))
}

@test "the status is the server's if it exits at SIGTERM" {
	start -k 300 -- "$FIX/server" saver=saved:0 ready
	await has '^ready'
	kill -TERM "$SHIM"
	ended
	((STATUS == 0))
}

@test "the status is the server's if it exits at the end of its input" {
	start -g 300 -- "$FIX/server" at-eof=7 ready
	await has '^ready'
	close_stdin
	ended
	((STATUS == 7))
}

# What a client sees of a signal is what it would see of the server.

# seen STEP... -- COMMAND...: what a client sees that takes those steps with it.
seen() {
	launch "$FIX/client" "$@"
	ended $!
	sed -n 's/^client: \([^c]\)/\1/p' out
}

# as_bare STEP... -- WORD...: it is the same with such a server bare and behind mcp-reap.
as_bare() {
	local steps=() bare
	while [[ $1 != -- ]]; do
		steps+=("$1")
		shift
	done
	shift
	bare=$(seen "${steps[@]}" wait -- "$FIX/server" "$@")
	[[ -n $bare ]]
	[[ $(seen "${steps[@]}" wait -- "$MCP_REAP" -g 30 -k 30 -- "$FIX/server" "$@") == "$bare" ]]
	nothing_left
}

@test "a server that dies of a signal by itself is seen to" {
	local signal
	for signal in 6 9 11 13 15 64; do
		as_bare expect=ready send=go -- ready crash="$signal" cue
	done
}

@test "a server that dies of the client's signal is seen to" {
	local signal
	for signal in 1 2 3 15; do
		as_bare expect=ready kill="$signal" -- ready deaf
	done
}

@test "a server that exits at the end of its input, or dies, is seen to" {
	as_bare expect=ready close-stdin -- ready at-eof=139
	as_bare expect=ready close-stdin -- ready at-eof=7
	as_bare expect=ready send=go close-stdin -- ready crash=11 cue
}

@test "a status above 128 is no signal" {
	as_bare expect=ready send=go -- ready exit=143 cue
	as_bare expect=ready send=go -- ready exit=137 cue
}

@test "a server that we have ended is seen as a status" {
	[[ $(seen expect=ready close-stdin wait -- "$MCP_REAP" -g 0 -k 30 -- "$FIX/server" deaf ready) == 'status 143' ]]
	[[ $(seen expect=ready close-stdin wait -- "$MCP_REAP" -g 0 -k 0.1 -- "$FIX/server" deaf term-proof ready) == 'status 137' ]]
	[[ $(seen expect=ready kill=15 wait -- "$MCP_REAP" -k 0.1 -- "$FIX/server" deaf term-proof ready) == 'status 137' ]]
	nothing_left
}

@test "of a crash there is one core file, the server's" {
	ulimit -S -c unlimited
	seen expect=ready send=go wait -- "$MCP_REAP" -- "$FIX/server" ready crash=11 cue
	has '^client: signal 11'
	run ! has '^client: core'
}

@test "a SIGCONT right behind SIGTERM does not let the end of input reach the server first" {
	local i
	for ((i = 0; i < 10; i++)); do
		start -- "$FIX/server" ready
		await has '^ready'
		kill -STOP "$SHIM"
		await stopped "$SHIM"
		kill -TERM "$SHIM"
		kill -CONT "$SHIM"
		ended
		((STATUS == 143))
	done
}

@test "a full stderr holds up neither the start nor the end of a session" {
	local option
	mkfifo full
	exec 6<>full
	timeout 1 yes >&6 || :
	for option in -v -s --trace=- --trace=/nonexistent/file; do
		exec 7<>in
		MCP_REAP_TEST=$MARK "$MCP_REAP" "$option" -- "$FIX/server" ready echo <in >out 2>&6 3>&- 6>&- 7>&- 8<&- 9>tree &
		SHIM=$!
		await has '^ready'
		kill -TERM "$SHIM"
		ended
		((STATUS == 143))
		exec 7>&-
	done
	exec 6>&-
	nothing_left
}
