#!/usr/bin/env bats
# --spare: what is meant to live on does, and nothing else.

# shellcheck disable=SC2030,SC2031,SC2153 # each test is a subshell; helper.bash sets STATUS
# shellcheck disable=SC2016 # what is quoted is for another shell
load helper

# keeping [OPTION]... -- WORD...: a session with such a server, which has started a program `keeper` in a session of
# its own, with a child and an orphan. KEPT are the three.
keeping() {
	local options=()
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	need setsid
	cp "$(command -v bash)" keeper
	start -v -g 0.2 -k 0.2 "${options[@]}" -- bash -c '
		setsid env -u MCP_REAP_TEST ./keeper -c "echo \$\$ >pid; sleep 300 & echo \$! >below; (sleep 300 & echo \$! >orphan); wait" \
			</dev/null >/dev/null 2>&1 9>&- &
		"$@"; exit $?' - "$FIX/server" "${@:2}"
	await has '^ready'
	await test -s orphan
	KEPT=("$(<pid)" "$(<below)" "$(<orphan)")
	SPARE+=("${KEPT[@]}")
}

# kept: what the keeper is made of lives, and belongs to nobody of ours.
kept() {
	alive "${KEPT[@]}"
	[[ $(<"/proc/${KEPT[0]}/comm") == keeper ]]
}

@test "bare, what a server has started in a session of its own lives on" {
	need setsid
	launch bash -c 'setsid env -u MCP_REAP_TEST sleep 300 </dev/null >/dev/null 2>&1 9>&- & echo $! >pid'
	await test -s pid
	SPARE+=("$(<pid)")
	ended $!
	alive "$(<pid)"
}

@test "without --spare nothing lives on" {
	keeping -- ready deaf term-proof child daemon=2
	close_stdin
	ended
	nothing_left
	gone "${KEPT[@]}"
}

@test "a spared program, and what is below it, outlives the end of input" {
	keeping --spare=other,keeper -- ready deaf term-proof child setsid-child daemon=2
	close_stdin
	ended
	((STATUS == 143))
	nothing_left
	kept
	has "spared pid=${KEPT[0]} command=keeper" err
}

@test "a spared program outlives the server, whose status is the session's at once" {
	keeping --spare keeper -- ready cue exit=3 child
	say go
	ended
	((STATUS == 3))
	nothing_left
	kept
}

@test "a spared program outlives a signal" {
	keeping --spare=keeper -- ready
	kill -TERM "$SHIM"
	ended
	nothing_left
	kept
}

@test "a spared program outlives the shim's SIGKILL" {
	keeping --spare=keeper -- ready deaf daemon=2
	kill -KILL "$SHIM"
	nothing_left
	kept
}

@test "a spared program outlives the reaper's SIGKILL" {
	keeping --spare=keeper -- ready deaf daemon=2
	kill -KILL "$(reaper_pid)"
	ended
	nothing_left
	kept
}

@test "a spared program outlives the session without children files, too" {
	need_that seccomp "$FIX/deny" children=ENOENT -- true
	printf '#!/bin/sh\nexec "%s" children=ENOENT -- "%s" "$@"\n' "$FIX/deny" "$MCP_REAP" >wrapped
	chmod +x wrapped
	MCP_REAP=$PWD/wrapped
	keeping --spare=keeper -- ready deaf term-proof daemon=2
	close_stdin
	ended
	CLIENT=$(marked) # deny itself is there as long as anybody is
	[[ $(<"/proc/$CLIENT/comm") == deny ]]
	nothing_left
	kept
}

@test "a spared program in the server's process group is spared, too" {
	cp "$(command -v sleep)" keeper
	start -v -g 0.2 -k 0.2 --spare=keeper -- bash -c 'env -u MCP_REAP_TEST ./keeper 300 <&- >/dev/null 2>&1 9>&- & echo $! >pid
		exec "$@"' - "$FIX/server" ready deaf term-proof child
	await has '^ready'
	SPARE+=("$(<pid)")
	close_stdin
	ended
	nothing_left
	alive "$(<pid)"
}

@test "the command itself is not spared" {
	cp "$FIX/server" keeper
	start -g 0.2 -k 0.2 --spare=keeper -- ./keeper ready deaf term-proof
	await has '^ready'
	close_stdin
	ended
	((STATUS == 137))
	nothing_left
}

@test "what can be no program's name is refused, as it would protect nobody" {
	local names
	for names in '' ',' 'a,' ',a' 'a,,b' /usr/bin/tmux a,./b; do
		run -125 mcp_reap --spare="$names" true
		grep -F 'not a name' <<<"$output"
	done
}

@test "a part of a name spares nobody" {
	keeping --spare=keep,eeper,keeperx -- ready
	close_stdin
	ended
	gone "${KEPT[@]}"
}

@test "MCP_REAP_OPTIONS can spare, the command line more, and --no-spare nobody" {
	export MCP_REAP_OPTIONS=--spare=keeper
	keeping --spare=other -- ready
	close_stdin
	ended
	kept
	kill -KILL "${KEPT[@]}"
	rm -f orphan keeper
	keeping --no-spare -- ready
	close_stdin
	ended
	gone "${KEPT[@]}"
	run -125 --separate-stderr mcp_reap --spare= -- true
}
