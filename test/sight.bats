#!/usr/bin/env bats
# What a person can see of sessions: --list.

# shellcheck disable=SC2016 # what is quoted is for another shell
# shellcheck disable=SC2030,SC2031 # bats runs each test in a subshell
load helper

# listed [PID]: the session of PID (SHIM) as --list=json has it; nothing if it is not listed.
listed() {
	"$MCP_REAP" --list=json | jq -c --argjson pid "${1:-$SHIM}" '.sessions[] | select(.pid == $pid)'
}

# lists FILTER [PID]: the session is listed, and jq says that FILTER holds for it.
lists() {
	listed "${2:-$SHIM}" | jq -e "$1" >/dev/null
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
	start -- "$FIX/server" wide=20 ready
	await has '^ready'
	launch "$MCP_REAP" -- sleep 60
	SPARE+=($!)
	await lists '.processes == 3' $!
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
	lists .
	setpriv --reuid 65534 --regid 65534 --clear-groups ./mcp-reap --list=json >listed
	jq -e ".sessions | all(.pid != $SHIM)" listed
}

@test "--list that cannot be written fails with 125" {
	run -125 bash -c '"$1" --list >/dev/full' - "$MCP_REAP"
	[[ $output == 'mcp-reap: stdout: No space left on device' ]]
}

@test "--list takes no command, and no format but json" {
	run -125 "$MCP_REAP" --list -- true
	[[ $output == 'mcp-reap: true: '* ]]
	run -125 "$MCP_REAP" --list=xml
	[[ $output == "mcp-reap: --list: 'xml': "* ]]
}
