#!/usr/bin/env bats
# What must not be killed, and what must not be lost.

# shellcheck disable=SC2030,SC2031,SC2153 # each test is a subshell; helper.bash sets STATUS
load helper

# session WORD...: one with the fixture, up; the options are in OPTIONS.
session() {
	start "${OPTIONS[@]}" -- "$FIX/server" "$@" log=log ready
	await has '^ready'
}

# silent_session WORD...: the same with a server that never says anything.
silent_session() {
	start "${OPTIONS[@]}" -- "$FIX/server" "$@" log=log
	say hello
	await has input log
}

saved() {
	[[ $(<saved) == complete ]]
}
cut_short() {
	has '^saving' log
	[[ ! -e saved ]]
}

# Threads.

@test "a session outlives the client's thread that started it" {
	client from-thread expect=ready lines=2 thread-exit lines=2 sleep=1000 lines=2 close-stdin wait eof \
		-- -g 300 -k 0 -- "$FIX/server" echo ready
	ended "$CLIENT"
	has '^client: status 0$'
	has '^client: eof$'
	nothing_left
}

@test "a session outlives the client's thread that started it, with stdin from elsewhere" {
	client stdio=inherit from-thread thread-exit until=go -- -g 0 -k 0 -- "$FIX/server" echo log=log ready
	await has '^ready'
	say hello
	await has hello
	sleep 1
	alive "$SHIM"
	run ! has EOF log
	kill -KILL "$CLIENT"
	nothing_left
}

@test "a session outlives the client's main thread" {
	client main-exits expect=ready lines=2 sleep=1000 lines=2 close-stdin wait eof \
		-- -g 300 -k 0 -- "$FIX/server" echo ready
	ended "$CLIENT"
	has '^client: status 0$'
	nothing_left
}

@test "a session ends when the last thread of the client has ended, though stdin stays open" {
	client stdio=inherit main-exits until=go exit=0 -- -g 0 -k 0 -- "$FIX/server" echo ready
	await has '^ready'
	say hello
	await has hello
	: >go
	nothing_left
}

@test "a session goes on when the client executes another program" {
	# shellcheck disable=SC2016
	launch sh -c 'exec 5<&0; "$@" <&5 5<&- & echo $! >shim; exec sleep 300 5<&- 9>&-' sh \
		"$MCP_REAP" -g 0 -k 0 -- "$FIX/server" echo ready
	CLIENT=$!
	await has '^ready'
	await grep -qxF sleep "/proc/$CLIENT/comm"
	say hello
	await has hello
	sleep 0.5
	alive "$(<shim)"
	kill -KILL "$CLIENT"
	nothing_left
}

# Savers: the grace.

@test "a server that saves at the end of its input has the whole grace" {
	OPTIONS=(-g 300 -k 0)
	session saver=saved:1000
	close_stdin
	ended
	((STATUS == 0))
	saved
	nothing_left
}

@test "a server that saves has the whole grace also when the client is killed" {
	client stdio=inherit until=go die -- -g 300 -k 0 -- "$FIX/server" saver=saved:1000 ready
	await has '^ready'
	: >go
	nothing_left
	saved
}

@test "a server that saves has the whole grace also when the shim is killed" {
	OPTIONS=(-g 300 -k 0)
	session saver=saved:1000
	kill -KILL "$SHIM"
	nothing_left
	saved
}

@test "SIGTERM does not come before the grace is over" {
	local begin
	OPTIONS=(-g 1.5 -k 300)
	session deaf saver=saved:0
	begin=$(now)
	close_stdin
	ended
	(($(stamp TERM) - begin >= 1495))
	nothing_left
}

@test "SIGTERM does not come before the grace is over when the shim is killed" {
	local begin
	OPTIONS=(-g 1.5 -k 300)
	session deaf saver=saved:0
	begin=$(now)
	kill -KILL "$SHIM"
	nothing_left
	(($(stamp TERM) - begin >= 1495))
}

# The grace by default: long as long as a client waits that has not said otherwise.

@test "a server that takes 5 seconds to save at the end of its input saves, bare" {
	launch "$FIX/client" expect=ready close-stdin wait -- "$FIX/server" saver=saved:5000 ready
	ended $!
	saved
}

@test "a server that takes 5 seconds to save at the end of its input saves" {
	client expect=ready close-stdin wait -- -- "$FIX/server" saver=saved:5000 log=log ready
	ended "$CLIENT"
	has '^client: status 0$'
	saved
	run ! has TERM log
	nothing_left
}

@test "SIGTERM comes after 10 seconds while the client waits" {
	local begin
	OPTIONS=()
	session deaf saver=saved:0
	begin=$(now)
	close_stdin
	ended
	(($(stamp TERM) - begin >= 9995))
	(($(stamp TERM) - begin < 16000))
	nothing_left
}

# after_two BEGIN: SIGTERM came 2 seconds after that.
after_two() {
	(($(stamp TERM) - $1 >= 1995))
	(($(stamp TERM) - $1 < 6000))
}

@test "SIGTERM comes after 2 seconds when the client is dead" {
	local begin
	client stdio=inherit until=go die -- -- "$FIX/server" deaf saver=saved:0 log=log ready
	await has '^ready'
	begin=$(now)
	: >go
	nothing_left
	after_two "$begin"
}

@test "SIGTERM comes after 2 seconds when the client has closed stdout" {
	local begin
	client expect=ready until=go close-stdout until=never -- -- "$FIX/server" deaf saver=saved:0 log=log ready
	begin=$(now)
	: >go
	nothing_left
	after_two "$begin"
}

@test "SIGTERM comes after 2 seconds when the client has killed the shim" {
	local begin
	OPTIONS=()
	session deaf saver=saved:0
	begin=$(now)
	kill -KILL "$SHIM"
	nothing_left
	after_two "$begin"
}

@test "SIGTERM comes 2 seconds after the client's death if that comes within the grace" {
	local begin
	client expect=ready close-stdin until=go die -- -- "$FIX/server" deaf saver=saved:0 log=log ready
	await has EOF log
	sleep 1
	begin=$(now)
	: >go
	nothing_left
	after_two "$begin"
}

@test "SIGTERM comes 2 seconds after stdout is closed if that comes within the grace" {
	local begin
	client expect=ready close-stdin until=go close-stdout until=never -- -- "$FIX/server" deaf saver=saved:0 log=log ready
	await has EOF log
	sleep 1
	begin=$(now)
	: >go
	nothing_left
	after_two "$begin"
}

@test "a client's death does not make a grace longer that is nearly over" {
	local begin
	client expect=ready close-stdin sleep=9000 die -- -- "$FIX/server" deaf saver=saved:0 log=log ready
	await has EOF log
	begin=$(stamp EOF)
	nothing_left
	(($(stamp TERM) - begin < 10900))
}

@test "an explicit grace is taken at its word when the client dies" {
	client expect=ready close-stdin until=go die -- -g 4 -- "$FIX/server" deaf saver=saved:0 log=log ready
	await has EOF log
	: >go
	nothing_left
	(($(stamp TERM) - $(stamp EOF) >= 3990))
}

@test "a server that is left in peace is not ended" {
	OPTIONS=(-g 0 -k 0)
	session echo child setsid-child daemon=2
	sleep 2
	say hello
	await has hello
	[[ $(wc -l <log) == 1 ]]
	close_stdin
	ended
	nothing_left
}

# Savers: kill-after.

@test "a server that saves at SIGTERM has the whole of kill-after" {
	OPTIONS=(-g 0.2 -k 300)
	session deaf saver=saved:1000
	close_stdin
	ended
	saved
	nothing_left
}

@test "SIGKILL does not come before kill-after is over" {
	local begin
	OPTIONS=(-g 0.5 -k 1.5)
	session deaf term-proof
	begin=$(now)
	close_stdin
	ended
	(($(now) - begin >= 1995))
	nothing_left
}

@test "a daemon of the server that saves has the whole of kill-after" {
	OPTIONS=(-g 0.2 -k 300)
	session saver-daemon=saved:1000
	close_stdin
	ended
	saved
	nothing_left
}

@test "a stray that saves has the whole of kill-after" {
	OPTIONS=(-g 0.2 -k 300)
	start "${OPTIONS[@]}" -- "$FIX/server" saver-daemon=saved:1000 exit=5
	ended
	((STATUS == 5))
	saved
	nothing_left
}

@test "a server that is stopped is woken up to save" {
	OPTIONS=(-g 0.2 -k 300)
	session deaf saver=saved:0
	kill -STOP "$(server_pid)"
	await stopped "$(server_pid)"
	close_stdin
	ended
	saved
	nothing_left
}

@test "a daemon that is stopped is woken up to save" {
	local daemon
	OPTIONS=(-g 0.2 -k 300)
	session saver-daemon=saved:0
	daemon=$(children "$(reaper_pid)" | grep -vx "$(server_pid)")
	kill -STOP "$daemon"
	await stopped "$daemon"
	close_stdin
	ended
	saved
	nothing_left
}

# Clients with their own time-outs: what saves in time without mcp-reap has to do so behind it.

@test "Claude Code: a server that needs a second to save at SIGINT saves, and is then gone" {
	client expect=ready claude-code -- -- "$FIX/server" saver=saved:1000 child daemon=2 ready
	ended "$CLIENT"
	has '^client: status 137$'
	nothing_left
	saved
}

@test "Claude Code: a server that needs a second to save at SIGTERM saves, and is then gone" {
	client expect=ready claude-code -- -- "$FIX/server" deaf saver-daemon=saved:1000 term-proof ready
	ended "$CLIENT"
	nothing_left
	saved
}

@test "Claude Code: a stubborn tree is gone" {
	client expect=ready claude-code -- -- "$FIX/server" deaf term-proof child setsid-child daemon=2 ready
	ended "$CLIENT"
	nothing_left
}

@test "TypeScript SDK: a server that needs a second to save at SIGTERM saves" {
	client stdio=socket expect=ready typescript-sdk -- -- "$FIX/server" deaf saver=saved:1000 ready
	ended "$CLIENT"
	saved
	has '^client: status 0$'
	nothing_left
}

@test "TypeScript SDK: a stubborn tree is gone" {
	client stdio=socket expect=ready typescript-sdk -- -- "$FIX/server" deaf term-proof child daemon=2 ready
	ended "$CLIENT"
	has '^client: eof$'
	nothing_left
}

@test "Python SDK: a server that needs a second to save at SIGTERM saves" {
	client own-session expect=ready python-sdk -- -- "$FIX/server" deaf saver=saved:1000 ready
	ended "$CLIENT"
	saved
	has '^client: status 0$'
	nothing_left
}

@test "Python SDK: a stubborn tree is gone" {
	client own-session expect=ready python-sdk -- -- "$FIX/server" deaf term-proof child daemon=2 ready
	ended "$CLIENT"
	nothing_left
}

@test "Codex: a server that needs a second to save at SIGTERM saves" {
	client own-group from-thread expect=ready thread-exit codex \
		-- -- "$FIX/server" deaf saver=saved:1000 ready
	ended "$CLIENT"
	saved
	nothing_left
}

@test "Codex: a stubborn tree is gone" {
	client own-group from-thread expect=ready codex \
		-- -- "$FIX/server" deaf term-proof child setsid-child daemon=2 ready
	ended "$CLIENT"
	nothing_left
}

@test "Zed: a server that needs a second to save at the end of its input saves, and is then gone" {
	client own-session expect=ready zed -- -- "$FIX/server" saver=saved:1000 child daemon=2 ready
	ended "$CLIENT"
	nothing_left
	saved
}

@test "Zed: a stubborn tree is gone" {
	client own-session expect=ready zed -- -- "$FIX/server" deaf term-proof child setsid-child daemon=2 ready
	ended "$CLIENT"
	nothing_left
}

# One-shot use: the input is over long before a slow server reads it.

@test "requests from a pipe are answered by a server that starts slowly" {
	# shellcheck disable=SC2016
	run -0 --separate-stderr mcp_reap -g 1 -k 0.3 -- sh -c 'sleep 3; exec "$0" echo' "$FIX/server" \
		< <(printf '%s\n' one two)
	[[ $output == $'one\ntwo' ]]
	nothing_left
}

@test "requests from a file are answered by a server that starts slowly" {
	printf '%s\n' one two >requests
	# shellcheck disable=SC2016
	run -0 --separate-stderr mcp_reap -g 1 -k 0.3 -- sh -c 'sleep 3; exec "$0" echo' "$FIX/server" <requests
	[[ $output == $'one\ntwo' ]]
	nothing_left
}

@test "more requests than a pipe holds are answered by a server that starts slowly" {
	seq 100000 >requests
	# shellcheck disable=SC2016
	mcp_reap -g 1 -k 0.3 -- sh -c 'sleep 3; exec "$0" echo' "$FIX/server" <requests >answers
	cmp requests answers
	nothing_left
}

@test "a server that never reads its input is ended at once when the client is dead" {
	client expect=ready send=hello die -- -g 0.3 -k 0.3 -- sh -c 'echo ready; exec sleep 300'
	nothing_left
}

@test "a server that never reads more than fits is ended at once when the client is dead" {
	client expect=ready send="$(printf '%0100000d' 0)" die -- -g 0.3 -k 0.3 -- sh -c 'echo ready; exec sleep 300'
	nothing_left
}

@test "a server that has spoken and does not read its input has the grace for it, and then the grace" {
	local begin
	start -g 1 -k 0.3 -- sh -c 'echo ready; exec sleep 300'
	await has ready
	begin=$(now)
	say hello
	close_stdin
	ended
	(($(now) - begin >= 1995))
	(($(now) - begin < 20000))
	nothing_left
}

@test "a silent server that never reads its input is ended 60 s after the end of it" {
	local begin
	[[ ${MCP_REAP_TEST_SLOW-} == 1 ]] || skip "slow: set MCP_REAP_TEST_SLOW=1"
	# shellcheck disable=SC2034 # for helper.bash
	PATIENCE=90
	start -g 1 -k 0.3 -- sleep 300
	begin=$(now)
	say hello
	close_stdin
	ended
	(($(now) - begin >= 60995))
	nothing_left
}

@test "a server that never reads its input is ended at once by a signal" {
	start -g 0.3 -k 0.3 -- sh -c 'echo ready; exec sleep 300'
	await has ready
	say hello
	kill -TERM "$SHIM"
	ended
	nothing_left
}

# Before its first output a server may be an installer, which SIGKILL would leave half-way.

@test "a server that has said nothing yet has 10 s from SIGTERM" {
	OPTIONS=(-g 0.2)
	silent_session deaf saver=saved:5000
	close_stdin
	ended
	saved
	nothing_left
}

@test "a server that has said nothing yet has 10 s from SIGTERM also when the shim is killed" {
	OPTIONS=(-g 0.2)
	silent_session deaf saver=saved:5000
	kill -KILL "$SHIM"
	nothing_left
	saved
}

@test "a server that has said nothing yet has 10 s also with Claude Code" {
	client send=hello until=log claude-code -- -- "$FIX/server" saver=saved:5000 log=log child
	ended "$CLIENT"
	nothing_left
	saved
}

@test "a server that has said nothing yet is killed after 10 s" {
	local begin
	OPTIONS=(-g 0.2)
	silent_session deaf term-proof child daemon=2
	begin=$(now)
	close_stdin
	ended
	(($(now) - begin >= 10195))
	(($(now) - begin < 25000))
	nothing_left
}

@test "a server that has said something has 2 s from SIGTERM" {
	local begin
	OPTIONS=(-g 0.2)
	session deaf saver=saved:8000
	begin=$(now)
	close_stdin
	ended
	(($(now) - begin >= 2195))
	cut_short
	nothing_left
}

@test "a server that has said something has 2 s from SIGTERM also when the shim is killed" {
	local begin
	OPTIONS=(-g 0.2)
	session deaf saver=saved:8000
	begin=$(now)
	kill -KILL "$SHIM"
	nothing_left
	(($(now) - begin >= 2195))
	cut_short
}

@test "an explicit kill-after is taken at its word before the first output" {
	OPTIONS=(-g 0.2 -k 1)
	silent_session deaf saver=saved:8000
	close_stdin
	ended
	cut_short
	nothing_left
}

@test "an explicit kill-after is taken at its word after the first output" {
	OPTIONS=(-g 0.2 -k 300)
	session deaf saver=saved:4000
	close_stdin
	ended
	saved
	nothing_left
}

# --outlive-parent.

@test "with --outlive-parent a session goes on when the client is gone, till stdin is closed" {
	client stdio=inherit until=go exit=0 -- -o -g 0 -k 0 -- "$FIX/server" echo ready
	await has '^ready'
	: >go
	await gone "$CLIENT"
	sleep 1
	say hello
	await has hello
	close_stdin
	nothing_left
}

@test "with --outlive-parent a session goes on when the client is gone, till a signal comes" {
	client stdio=inherit until=go exit=0 -- -o -g 300 -k 0.2 -- "$FIX/server" echo deaf term-proof daemon=2 ready
	await has '^ready'
	: >go
	await gone "$CLIENT"
	say hello
	await has hello
	kill -TERM "$SHIM"
	nothing_left
}

@test "with --outlive-parent a stubborn tree is gone after the shim is killed" {
	start -o -g 0.2 -k 0.2 -- "$FIX/server" deaf term-proof child setsid-child daemon=2 ready
	await has '^ready'
	kill -KILL "$SHIM"
	nothing_left
}

@test "without --outlive-parent a session ends when the client is gone" {
	client stdio=inherit until=go exit=0 -- -g 0 -k 0 -- "$FIX/server" echo ready
	await has '^ready'
	: >go
	nothing_left
}

# Others.

# bystanders: processes beside the tree: one in the shim's process group, one in another session, and
# another session of the same client, with its stdin on the descriptor OTHER.
bystanders() {
	need setsid
	mkfifo in2
	exec {OTHER}<>in2
	sleep 300 >/dev/null 2>&1 3>&- 8<&- &
	SPARE+=("$!")
	setsid sleep 300 >/dev/null 2>&1 3>&- 8<&- &
	SPARE+=("$!")
	"$MCP_REAP" -- "$FIX/server" echo ready <in2 >out2 2>&1 3>&- 8<&- &
	SPARE+=("$!")
	await has '^ready' out2
	SPARE+=("$(sed -n 's/^ready //p' out2)")
}

# unharmed: all of them are alive, and the other session works.
unharmed() {
	alive "${SPARE[@]}"
	echo hello >&"$OTHER"
	await has hello out2
}

@test "bystanders are unharmed by the end of stdin" {
	bystanders
	OPTIONS=(-g 0.2 -k 0.2)
	session deaf term-proof child daemon=2 runner=tree
	close_stdin
	ended
	nothing_left
	unharmed
}

@test "bystanders are unharmed by SIGTERM" {
	bystanders
	OPTIONS=(-g 0.2 -k 0.2)
	session deaf term-proof child daemon=2 runner=tree
	kill -TERM "$SHIM"
	ended
	nothing_left
	unharmed
}

@test "bystanders are unharmed by the shim's SIGKILL" {
	bystanders
	OPTIONS=(-g 0.2 -k 0.2)
	session deaf term-proof child daemon=2 runner=tree
	kill -KILL "$SHIM"
	nothing_left
	unharmed
}

@test "bystanders are unharmed by the reaper's SIGKILL" {
	bystanders
	OPTIONS=(-g 0.2 -k 0.2)
	session deaf term-proof child daemon=2 runner=tree
	kill -KILL "$(reaper_pid)"
	ended
	nothing_left
	unharmed
}
