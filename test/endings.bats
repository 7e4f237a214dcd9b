#!/usr/bin/env bats
# Every way in which a session ends, against trees that are hard to end.

# shellcheck disable=SC2030,SC2031,SC2153 # each test is a subshell; helper.bash sets STATUS
load helper

# Short, so that the suite is; the fixtures need no more.
TIMES=(-g 0.2 -k 0.2)

# A server that survives all but SIGKILL, with a child, a child in a session of its own, and a
# double-forked daemon that survives as much and has two children.
STUBBORN=(deaf term-proof child setsid-child daemon=2 ready)

# stubborn WORD...: a session of ours with that server, and with that client.
stubborn() {
	start "${TIMES[@]}" -- "$FIX/server" "$@" "${STUBBORN[@]}"
	await has '^ready'
}
stubborn_for() {
	client "$@" -- "${TIMES[@]}" -- "$FIX/server" "${STUBBORN[@]}"
	await has '^ready'
}

# 1. The client closes stdin.

@test "a stubborn tree is gone after a FIFO on stdin is closed" {
	stubborn
	close_stdin
	ended
	nothing_left
}

@test "a stubborn tree is gone after a pipe on stdin is closed, while the client lives" {
	stubborn_for stdio=pipe expect=ready close-stdin until=never
	nothing_left
	alive "$CLIENT"
}

@test "a stubborn tree is gone after a socket on stdin is closed, while the client lives" {
	stubborn_for stdio=socket expect=ready close-stdin until=never
	nothing_left
	alive "$CLIENT"
}

@test "a stubborn tree is gone after a file on stdin is read to its end" {
	echo hello >file
	mcp_reap "${TIMES[@]}" -- "$FIX/server" echo "${STUBBORN[@]}" <file >out || STATUS=$?
	((STATUS == 137))
	has '^hello$'
	nothing_left
}

@test "a stubborn tree is gone at once if stdin is /dev/null" {
	mcp_reap "${TIMES[@]}" -- "$FIX/server" "${STUBBORN[@]}" </dev/null >out || STATUS=$?
	((STATUS == 137))
	nothing_left
}

@test "stopped processes are gone after stdin is closed" {
	stubborn stopped stopped
	close_stdin
	ended
	nothing_left
}

@test "a chain of 200 processes is gone after stdin is closed" {
	stubborn chain-proof=200
	close_stdin
	ended
	nothing_left
}

@test "2,000 children are gone after stdin is closed" {
	stubborn wide-proof=2000
	close_stdin
	ended
	nothing_left
}

@test "a process that forks and exits for ever is gone after stdin is closed" {
	stubborn runner=tree
	close_stdin
	ended
	nothing_left
}

@test "processes that are started during the ending are gone" {
	stubborn breeder
	close_stdin
	ended
	nothing_left
}

# 2. The client dies.

@test "a stubborn tree is gone after the client exits" {
	stubborn_for expect=ready exit=0
	nothing_left
}

@test "a stubborn tree is gone after the client is killed" {
	stubborn_for expect=ready die
	nothing_left
}

@test "a stubborn tree is gone after a client with sockets is killed" {
	stubborn_for stdio=socket expect=ready die
	nothing_left
}

@test "a stubborn tree is gone after the client aborts" {
	stubborn_for expect=ready abort
	nothing_left
}

# In these, we hold the write end of the session's stdin all the time.

@test "a stubborn tree is gone after the client exits, though stdin stays open" {
	stubborn_for stdio=inherit until=go exit=0
	: >go
	nothing_left
}

@test "a stubborn tree is gone after the client is killed, though stdin stays open" {
	stubborn_for stdio=inherit until=go die
	: >go
	nothing_left
}

@test "a stubborn tree is gone after the client aborts, though stdin stays open" {
	stubborn_for stdio=inherit until=go abort
	: >go
	nothing_left
}

@test "a stubborn tree is gone after a client with threads is killed, though stdin stays open" {
	stubborn_for stdio=inherit from-thread until=go die
	: >go
	nothing_left
}

@test "a stubborn tree is gone if the client dies at once" {
	launch "$FIX/client" exit=0 -- "$MCP_REAP" "${TIMES[@]}" -- "$FIX/server" "${STUBBORN[@]}"
	nothing_left
}

@test "stopped processes are gone after the client is killed" {
	client stdio=inherit until=go die -- "${TIMES[@]}" -- "$FIX/server" stopped stopped "${STUBBORN[@]}"
	await has '^ready'
	: >go
	nothing_left
}

@test "2,000 children are gone after the client is killed" {
	client stdio=inherit until=go die -- "${TIMES[@]}" -- "$FIX/server" wide-proof=2000 "${STUBBORN[@]}"
	await has '^ready'
	: >go
	nothing_left
}

# 3. The client stops reading.

@test "a stubborn, silent tree is gone after the client closes the pipe on stdout" {
	stubborn_for expect=ready close-stdout until=never
	nothing_left
	alive "$CLIENT"
}

@test "a stubborn, silent tree is gone after the client closes the socket on stdout" {
	stubborn_for stdio=socket expect=ready close-stdout until=never
	nothing_left
	alive "$CLIENT"
}

@test "a stubborn tree that talks on is gone after the client closes stdout" {
	client expect=ready close-stdout until=never -- "${TIMES[@]}" -- "$FIX/server" chatty=1 "${STUBBORN[@]}"
	nothing_left
	alive "$CLIENT"
}

@test "a client that lives but reads no more does not hold up the end of stdin" {
	client stdio=pipe expect=ready sleep=1000 close-stdin until=never \
		-- "${TIMES[@]}" -- "$FIX/server" chatty=1 "${STUBBORN[@]}"
	nothing_left
	alive "$CLIENT"
}

@test "a client that lives but reads no more does not hold up its SIGTERM" {
	client stdio=socket expect=ready sleep=1000 kill=15 until=never \
		-- "${TIMES[@]}" -- "$FIX/server" chatty=1 "${STUBBORN[@]}"
	nothing_left
	alive "$CLIENT"
}

# 4. The client sends a signal.

@test "a stubborn tree is gone after SIGHUP" {
	stubborn
	kill -HUP "$SHIM"
	ended
	nothing_left
}

@test "a stubborn tree is gone after SIGINT" {
	stubborn
	kill -INT "$SHIM"
	ended
	nothing_left
}

@test "a stubborn tree is gone after SIGQUIT" {
	stubborn
	kill -QUIT "$SHIM"
	ended
	nothing_left
}

@test "a stubborn tree is gone after SIGTERM" {
	stubborn
	kill -TERM "$SHIM"
	ended
	nothing_left
}

@test "processes that are started at SIGTERM are gone" {
	stubborn breeder wide-proof=100 runner=tree
	kill -TERM "$SHIM"
	ended
	nothing_left
}

# 5. The server goes.

@test "the strays of a server that exits with 0 are gone, and the status is 0" {
	# Without its stdin: one that has both pipes could be the server.
	start "${TIMES[@]}" -- sh -c 'exec "$@" </dev/null' - "$FIX/server" "${STUBBORN[@]}" exit=0
	ended
	((STATUS == 0))
	nothing_left
}

@test "the strays of a server that exits with 3 are gone, and the status is 3" {
	start "${TIMES[@]}" -- "$FIX/server" "${STUBBORN[@]}" exit=3
	ended
	((STATUS == 3))
	nothing_left
}

@test "the strays of a server that crashes are gone, and the status says how" {
	start "${TIMES[@]}" -- "$FIX/server" "${STUBBORN[@]}" crash=11
	ended
	((STATUS == 128 + 11))
	nothing_left
}

@test "the strays of a server that is killed are gone, and the status says how" {
	stubborn
	kill -KILL "$(server_pid)"
	ended
	((STATUS == 128 + 9))
	nothing_left
}

@test "many strays of all kinds are gone after the server exits" {
	start "${TIMES[@]}" -- "$FIX/server" stopped chain-proof=200 wide-proof=500 runner=tree "${STUBBORN[@]}" exit=3
	ended
	((STATUS == 3))
	nothing_left
}

# container WORD [COMMAND...]: a session with something called docker, given that word and behind COMMAND, which survives
# SIGTERM.
container() {
	cp "$(command -v bash)" docker
	printf 'trap "" TERM\necho ready\nwhile :; do sleep 0.1; done\n' >"$1"
	start -g 0 -k 0.2 -- "${@:2}" ./docker "$1"
	await has '^ready'
	close_stdin
	ended
	nothing_left
}

@test "of docker run that had to be killed stderr says that its container may be running" {
	container run
	[[ $(<err) == 'mcp-reap: '*' (docker run): has to be killed: its container may be running; add --init' ]]
}

@test "of docker run below the server's own process it says so, too" {
	container run sh -c '"$@"; exit' sh
	[[ $(<err) == 'mcp-reap: '*' (docker run): has to be killed: its container may be running; add --init' ]]
}

@test "of another docker that had to be killed stderr says nothing" {
	container ps
	[[ ! -s err ]]
}

# A launcher that starts the server and exits.

# launched STATUS WORD...: a session with such a server, behind a launcher that has exited with STATUS.
launched() {
	start -v "${TIMES[@]}" -- bash -c '"$@" <&0 & echo $! >pid; exit '"$1" - "$FIX/server" "${@:2}"
}

@test "a launcher that exits with 0 leaves its server in the session, bare" {
	launch bash -c '"$@" <&0 & exit 0' - "$FIX/server" ready echo
	await has '^ready'
	say hello
	await has hello
	close_stdin
	nothing_left
}

@test "a launcher that exits with 0 leaves its server in the session, whose status is the server's" {
	launched 0 ready echo at-eof=7 child daemon=1
	await has 'launcher-exited' err
	say hello
	await has hello
	close_stdin
	ended
	((STATUS == 7))
	nothing_left
}

@test "so does a launcher whose server is a daemon" {
	need setsid
	start -v "${TIMES[@]}" -- bash -c 'setsid bash -c "\"\$@\" <&0 & " - "$@" <&0 & wait' - "$FIX/server" ready echo
	await has 'launcher-exited' err
	say hello
	await has hello
	close_stdin
	ended
	nothing_left
}

@test "the exit of a server whose launcher has exited ends the session" {
	launched 0 ready cue exit=5
	await has 'launcher-exited' err
	say go
	ended
	((STATUS == 5))
	nothing_left
}

@test "a launcher that exits with another status ends the session" {
	launched 3 ready deaf "${STUBBORN[@]}"
	ended
	((STATUS == 3))
	nothing_left
}

@test "a server whose launcher has exited does not outlive the client, the shim or the reaper" {
	local whom
	for whom in shim reaper; do
		launched 0 ready deaf term-proof "${STUBBORN[@]}"
		await has 'launcher-exited' err
		if [[ $whom == shim ]]; then
			kill -KILL "$SHIM"
		else
			kill -KILL "$(reaper_pid)"
		fi
		nothing_left
	done
	client stdio=inherit until=go die -- -v "${TIMES[@]}" -- \
		bash -c '"$@" <&0 & exit 0' - "$FIX/server" ready deaf term-proof "${STUBBORN[@]}"
	await has 'launcher-exited' err
	: >go
	nothing_left
}

@test "a server that has closed its stdin and stdout goes on, and its tree is gone in the end" {
	start "${TIMES[@]}" -- sh -c 'exec <&- >&-; echo up >file; exec sleep 300'
	await has up file
	sleep 0.5
	alive "$SHIM"
	close_stdin
	ended
	nothing_left
}

# 6. The shim is killed.

@test "a stubborn tree is gone after the shim is killed" {
	stubborn
	kill -KILL "$SHIM"
	nothing_left
}

@test "a stubborn tree is gone after the shim's process group is killed, while the client lives" {
	stubborn_for own-group expect=ready killpg=9 until=never
	nothing_left
	alive "$CLIENT"
}

@test "stopped processes are gone after the shim is killed" {
	stubborn stopped stopped
	kill -KILL "$SHIM"
	nothing_left
}

@test "a chain of 200 processes is gone after the shim is killed" {
	stubborn chain-proof=200
	kill -KILL "$SHIM"
	nothing_left
}

@test "2,000 children are gone after the shim is killed" {
	stubborn wide-proof=2000
	kill -KILL "$SHIM"
	nothing_left
}

@test "a process that forks and exits for ever is gone after the shim is killed" {
	stubborn runner=tree
	kill -KILL "$SHIM"
	nothing_left
}

@test "a stubborn tree is gone after the client, and then the shim, is killed" {
	stubborn_for stdio=inherit until=go die
	: >go
	await gone "$CLIENT"
	kill -KILL "$SHIM" 2>/dev/null || : # it may have been quicker
	nothing_left
}

# 7. The reaper is killed.

@test "a stubborn tree is gone after the reaper is killed" {
	stubborn
	kill -KILL "$(reaper_pid)"
	ended
	nothing_left
}

@test "stopped processes are gone after the reaper is killed" {
	stubborn stopped stopped
	kill -KILL "$(reaper_pid)"
	ended
	nothing_left
}

@test "a chain of 200 processes is gone after the reaper is killed" {
	stubborn chain-proof=200
	kill -KILL "$(reaper_pid)"
	ended
	nothing_left
}

@test "2,000 children are gone after the reaper is killed" {
	stubborn wide-proof=2000
	kill -KILL "$(reaper_pid)"
	ended
	nothing_left
}

@test "a process that forks and exits for ever is gone after the reaper is killed" {
	stubborn runner=tree
	kill -KILL "$(reaper_pid)"
	ended
	nothing_left
}

@test "a stubborn tree is gone after the reaper is killed in the middle of an ending" {
	local reaper
	start -g 0 -k 5 -- "$FIX/server" log=log "${STUBBORN[@]}"
	await has '^ready'
	reaper=$(reaper_pid)
	close_stdin
	await has TERM log
	kill -KILL "$reaper"
	ended
	nothing_left
}

@test "a stubborn tree is gone after the shim is killed in the middle of an ending" {
	start -g 0 -k 5 -- "$FIX/server" log=log "${STUBBORN[@]}"
	await has '^ready'
	close_stdin
	await has TERM log
	kill -KILL "$SHIM"
	nothing_left
}

# 8. One of the two is stopped.

@test "a stubborn tree is gone after the shim is stopped and then the client is killed" {
	stubborn_for stdio=inherit until=go die
	kill -STOP "$SHIM"
	await stopped "$SHIM"
	: >go
	nothing_left
}

@test "a stubborn tree is gone after the shim is stopped and then killed" {
	stubborn
	kill -STOP "$SHIM"
	await stopped "$SHIM"
	kill -KILL "$SHIM"
	nothing_left
}

@test "a stubborn tree is gone after the shim is stopped, the reaper is killed, and the client dies" {
	local reaper
	stubborn_for stdio=inherit until=go die
	reaper=$(reaper_pid)
	kill -STOP "$SHIM"
	await stopped "$SHIM"
	kill -KILL "$reaper"
	await gone "$reaper"
	: >go
	nothing_left
}

# The reaper's stop may be over before we look: whoever sees it may wake it up.
@test "a stubborn tree is gone after the reaper is stopped and then stdin is closed" {
	stubborn
	kill -STOP "$(reaper_pid)"
	close_stdin
	ended
	nothing_left
}

@test "a stubborn tree is gone after the reaper is stopped and then the client is killed" {
	stubborn_for stdio=inherit until=go die
	kill -STOP "$(reaper_pid)"
	: >go
	nothing_left
}

@test "a stubborn tree is gone after the reaper is stopped and then the client closes stdout" {
	stubborn_for expect=ready until=go close-stdout until=never
	kill -STOP "$(reaper_pid)"
	: >go
	nothing_left
}

@test "a stubborn tree is gone after the reaper is stopped and then SIGTERM is sent" {
	stubborn
	kill -STOP "$(reaper_pid)"
	kill -TERM "$SHIM"
	ended
	nothing_left
}

@test "the strays are gone after the reaper is stopped and then the server is killed" {
	stubborn
	kill -STOP "$(reaper_pid)"
	kill -KILL "$(server_pid)"
	ended
	((STATUS == 128 + 9))
	nothing_left
}

@test "a stubborn tree is gone after the reaper is stopped and then the shim is killed" {
	stubborn
	kill -STOP "$(reaper_pid)"
	kill -KILL "$SHIM"
	nothing_left
}

@test "a stubborn tree is gone after the reaper is stopped and then killed" {
	local reaper
	stubborn
	reaper=$(reaper_pid)
	kill -STOP "$reaper"
	kill -KILL "$reaper"
	ended
	nothing_left
}

@test "a stubborn tree is gone after the reaper is stopped in the middle of an ending" {
	local reaper
	start -g 0 -k 5 -- "$FIX/server" log=log "${STUBBORN[@]}"
	await has '^ready'
	reaper=$(reaper_pid)
	close_stdin
	await has TERM log
	kill -STOP "$reaper"
	ended
	nothing_left
}

# While it starts: at every millisecond of it.

# at_start COMMAND: does that to a session, after 0 to 20 ms of it.
at_start() {
	local ms
	for ms in 00{0..9} 0{10..20}; do
		start -g 0 -k 0 -- "$FIX/server" "${STUBBORN[@]}"
		sleep "0.$ms"
		"$@"
		nothing_left
	done
}

kill_shim() {
	kill "-$1" "$SHIM"
}

kill_reaper() {
	local reaper
	if reaper=$(reaper_pid); then
		kill -KILL "$reaper"
	else
		kill -KILL "$SHIM" # there is none yet
	fi
}

@test "nothing is left if the shim is killed while it starts" {
	at_start kill_shim KILL
}

@test "nothing is left if the shim gets SIGTERM while it starts" {
	at_start kill_shim TERM
}

@test "nothing is left if the reaper is killed while it starts" {
	at_start kill_reaper
}

@test "nothing is left if stdin is closed while it starts" {
	at_start close_stdin
}

@test "nothing is left if the client is killed while it starts" {
	local ms
	for ms in {0..20}; do
		launch "$FIX/client" "sleep=$ms" die -- "$MCP_REAP" -g 0 -k 0 -- "$FIX/server" "${STUBBORN[@]}"
		nothing_left
		has '^client: child '
	done
}

# Children that the shim had before it was mcp-reap are not of the tree.

# with_own_child [WORD]...: a session in a process that has a child already, which is OWN_CHILD.
with_own_child() {
	# shellcheck disable=SC2016
	launch sh -c '
		env -u MCP_REAP_TEST sleep 300 9>&- </dev/null >/dev/null 2>&1 &
		echo $! >own
		exec "$@"' sh "$MCP_REAP" "${TIMES[@]}" -- "$FIX/server" "$@" "${STUBBORN[@]}"
	SHIM=$!
	await has '^ready'
	OWN_CHILD=$(<own)
	SPARE+=("$OWN_CHILD")
}

@test "children that the shim inherited outlive the end of stdin" {
	with_own_child
	close_stdin
	ended
	nothing_left
	alive "$OWN_CHILD"
}

@test "children that the shim inherited outlive SIGTERM" {
	with_own_child
	kill -TERM "$SHIM"
	ended
	nothing_left
	alive "$OWN_CHILD"
}

@test "children that the shim inherited outlive the server" {
	with_own_child exit=3 cue
	say go
	ended
	((STATUS == 3))
	nothing_left
	alive "$OWN_CHILD"
}

@test "children that the shim inherited outlive the shim's SIGKILL" {
	with_own_child
	kill -KILL "$SHIM"
	nothing_left
	alive "$OWN_CHILD"
}

@test "children that the shim inherited outlive the reaper's SIGKILL" {
	with_own_child
	kill -KILL "$(reaper_pid)"
	ended
	nothing_left
	alive "$OWN_CHILD"
}
