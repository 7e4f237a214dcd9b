#!/usr/bin/env bats
# The server sees what it would see without mcp-reap, and neither it nor the client is in the way of
# mcp-reap's own descriptors, signals and process ids.

# shellcheck disable=SC2153 # STATUS is set by helper.bash, status by bats
# shellcheck disable=SC2016 # what is quoted is for another shell
load helper

# As another user than root, in a user namespace.
NAMESPACE=(unshare -pf --mount-proc)
((EUID == 0)) || NAMESPACE+=(--map-root-user)

# unchanged [CHANGE...] -- COMMAND...: after CHANGE, a command that runs a command, COMMAND prints the same
# behind mcp-reap as without it. What is printed is in the file bare.
unchanged() {
	local change=()
	while [[ $1 != -- ]]; do
		change+=("$1")
		shift
	done
	shift
	timeout -k 1 60 env "MCP_REAP_TEST=$MARK" "${change[@]}" "$@" >bare </dev/null 9>tree
	timeout -k 1 60 env "MCP_REAP_TEST=$MARK" "${change[@]}" "$MCP_REAP" -g 60 -- "$@" >behind </dev/null 9>tree
	[[ -s bare ]]
	diff bare behind
}

# start_as COMMAND...: a session like start's, of a COMMAND that becomes mcp-reap.
start_as() {
	launch "$@"
	SHIM=$!
}

# Only the env of coreutils can set dispositions and masks.
need_env() {
	need_that "coreutils' env" env --block-signal true
}

# start_with REDIRECTIONS [OPTION]... -- COMMAND...: a session like start's, with those redirections on top.
start_with() {
	start_as bash -c "exec \"\$@\" $1" - "$MCP_REAP" "${@:2}"
}

# What a process is given.

@test "the environment is the client's" {
	unchanged env -i "MCP_REAP_TEST=$MARK" A=1 EMPTY= SPACE='a  b' LINES=$'a\nb' UTF8=ä 1=odd -- "$(command -v env)" -0
}

@test "the working directory is the client's" {
	mkdir -p 'a dir/deep'
	unchanged sh -c 'cd "a dir/deep" && exec "$@"' - -- readlink /proc/self/cwd
	[[ $(<bare) == */'a dir/deep' ]]
}

@test "a working directory that was removed does not matter" {
	unchanged sh -c 'mkdir d && cd d && rmdir ../d && exec "$@"' - -- readlink /proc/self/cwd
	[[ $(<bare) == */'d (deleted)' ]]
}

@test "the umask is the client's" {
	local mask
	for mask in 0000 0027 0777; do
		unchanged sh -c "umask $mask; exec \"\$@\"" - -- grep Umask /proc/self/status
		[[ $(<bare) == *"$mask" ]]
	done
}

@test "the resource limits are the client's" {
	unchanged sh -c 'ulimit -S -n 300; ulimit -S -s 4096; ulimit -c 0; exec "$@"' - -- cat /proc/self/limits
}

@test "user, groups, capabilities, processors and privileges are the client's" {
	unchanged -- grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp|Cpus_allowed|Mems_allowed|Speculation.*):' \
		/proc/self/status
}

@test "niceness, timer slack and the out-of-memory score are the client's" {
	unchanged nice -n 3 sh -c 'echo 300 >/proc/self/oom_score_adj; exec "$@"' - -- sh -c \
		'nice; cat /proc/self/oom_score_adj /proc/self/timerslack_ns'
	[[ $(head -n 1 bare) == "$(($(nice) + 3))" ]]
}

@test "the signal mask and the ignored signals are the client's" {
	need_env
	unchanged env --default-signal --ignore-signal=INT,PIPE,CHLD,USR1,TSTP --block-signal=TERM,USR2,CHLD,ALRM -- \
		grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status
}

@test "the signal mask and the ignored signals are the client's if it has all of them" {
	local all
	need_env
	# All that can be: 9 and 19 cannot, and 32 to 34 are for the libc's own use.
	all=$(printf '%s,' {1..8} {10..18} {20..31} {35..64})
	unchanged env "--ignore-signal=${all%,}" "--block-signal=${all%,}" -- grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status
}

@test "the signal mask and the ignored signals are the client's if it has none of them" {
	need_env
	unchanged env --default-signal -- grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status
	run ! grep -q '[1-9a-f]$' bare
}

# Signals that the client ignores or blocks, and mcp-reap needs.

@test "with SIGCHLD ignored a session ends with the server's status" {
	need_env
	start_as env --ignore-signal=CHLD "$MCP_REAP" -g 0.1 -k 0.1 -- "$FIX/server" ready echo daemon=2 at-eof=5
	await has '^ready'
	say hello
	await has '^hello'
	close_stdin
	ended
	[[ $STATUS == 5 ]]
	nothing_left
}

@test "with all signals blocked a session ends by SIGTERM" {
	need_env
	start_as env --block-signal "$MCP_REAP" -g 0.1 -k 0.1 -- "$FIX/server" ready deaf daemon=2
	await has '^ready'
	kill -TERM "$SHIM"
	ended
	nothing_left
}

@test "with all signals ignored and blocked a session ends by the end of input" {
	need_env
	start_as env --ignore-signal --block-signal "$MCP_REAP" -g 0.1 -k 0.1 -- "$FIX/server" ready deaf term-proof daemon=2
	await has '^ready'
	close_stdin
	ended
	[[ $STATUS == 137 ]]
	nothing_left
}

# Descriptors.

@test "stderr is the client's very own" {
	local fd
	exec {fd}>file
	# That the one sees the flag that the other sets proves that they share it.
	start_with "2>&$fd $fd>&-" -- "$FIX/nonblock" 2
	ended
	[[ $STATUS == 0 ]]
	((8#$(awk '$1 == "flags:" { print $2 }' "/proc/self/fdinfo/$fd") & 04000))
}

@test "a descriptor above 2 is handed down, the client's very own" {
	local fd rest
	printf 'one\ntwo\n' >file
	exec {fd}<file
	# read(1) puts back what it does not take, so that the position shows who shares it.
	start_with "77<&$fd $fd<&-" -- bash -c 'read -r line <&77; echo "$line"'
	ended
	[[ $(<out) == one ]]
	read -r rest <&"$fd"
	[[ $rest == two ]]
}

@test "the server has the descriptors that it would have without mcp-reap, and no other" {
	need_that 'find with -printf' find . -printf ''
	unchanged -- sh -c 'find /proc/self/fd -type l -printf "%f %l\n" | sed "/^[01] /d; s,/proc/[0-9]*,/proc/PID,"' \
		4</dev/null 6>file 20<"$BATS_TEST_FILENAME" 254<.
	grep -q '^4 /dev/null' bare
	grep -q '^6 .*/file' bare
	grep -q "^20 $BATS_TEST_FILENAME" bare
	grep -q "^254 $PWD" bare
}

@test "a descriptor that the server has closed is not held open by mcp-reap" {
	local both w r code=0
	mkfifo other
	exec {both}<>other # so that neither open waits
	exec {w}>other
	exec {r}<other {both}>&-
	start_with "77>&$w $w>&- $r<&-" -- bash -c 'exec 77>&-; echo ready; cat'
	exec {w}>&-
	read -r -t "$PATIENCE" -u "$r" || code=$?
	[[ $code == 1 ]]
	await has '^ready'
	alive "$SHIM"
	close_stdin
	ended
	[[ $STATUS == 0 ]]
}

@test "neither process of mcp-reap has a descriptor above 2 of the client's" {
	local reaper
	: >file
	start_with "5<file 6>>file 77<file 250<file" -- "$FIX/server" ready
	await has '^ready'
	reaper=$(reaper_pid)
	[[ $(readlink "/proc/$(server_pid)/fd/250") == "$PWD/file" ]]
	links "$SHIM" "$reaper" >fds
	grep -q . fds
	run ! grep -e "$PWD/file" -e "$PWD/tree" fds
}

@test "only the shim has the client's stdin and stdout" {
	local pid
	start -- "$FIX/server" child daemon=1 ready
	await has '^ready'
	[[ $(readlink "/proc/$SHIM/fd/0") == "$PWD/in" && $(readlink "/proc/$SHIM/fd/1") == "$PWD/out" ]]
	marked >pids
	(($(wc -l <pids) == 6))
	while read -r pid; do
		[[ $pid == "$SHIM" ]] || links "$pid"
	done <pids >fds
	grep -q "$PWD/err" fds
	run ! grep -e "$PWD/in$" -e "$PWD/out$" fds
}

# closed REDIRECTIONS: a session works that starts with these of its stdin, stdout and stderr closed; the others
# are in, out and err.
closed() {
	local code=0
	echo "closed: $1"
	rm -f file
	: >out
	: >err
	exec 7<>in
	eval "mcp_reap -g 60 -- sh -c 'exec 4>file; echo to-file >&4; echo to-out; echo to-err >&2; exit 7' <in >out 2>err $1" ||
		code=$?
	exec 7>&-
	[[ $code == 7 ]]
	[[ $(<file) == to-file ]]
	if [[ $1 == *1* ]]; then
		[[ ! -s out ]]
	else
		[[ $(<out) == to-out ]]
	fi
	if [[ $1 == *2* ]]; then
		[[ ! -s err ]]
	else
		grep -qx to-err err
		run ! grep -e to-file -e to-out err
	fi
	nothing_left
}

@test "with stdin closed at the start a session works" {
	closed '0<&-'
}

@test "with stdout closed at the start a session works" {
	closed '1>&-'
}

@test "with stderr closed at the start a session works" {
	closed '2>&-'
}

@test "with stdin and stdout closed at the start a session works" {
	closed '0<&- 1>&-'
}

@test "with stdin and stderr closed at the start a session works" {
	closed '0<&- 2>&-'
}

@test "with stdout and stderr closed at the start a session works" {
	closed '1>&- 2>&-'
}

@test "with stdin, stdout and stderr closed at the start a session works" {
	closed '0<&- 1>&- 2>&-'
}

# Surroundings. The client may be process 1, outside of our PID namespace, or not our parent for long.

@test "nested in itself it passes on bytes and the exit status, and leaves nothing" {
	start -g 5 -k 0.1 -- "$MCP_REAP" -g 0.1 -k 0.1 -- "$FIX/server" ready echo deaf term-proof child daemon=2
	await has '^ready'
	say hello
	await has '^hello'
	close_stdin
	ended
	[[ $STATUS == 137 ]]
	nothing_left
}

@test "nested in itself it leaves nothing when the outer shim is killed" {
	start -g 0.1 -k 0.1 -- "$MCP_REAP" -g 0.1 -k 0.1 -- "$FIX/server" ready deaf term-proof child daemon=2
	await has '^ready'
	kill -KILL "$SHIM"
	nothing_left
}

@test "nested in itself it leaves nothing when the inner shim is killed" {
	start -g 0.1 -k 0.1 -- "$MCP_REAP" -g 0.1 -k 0.1 -- "$FIX/server" ready deaf term-proof child daemon=2
	await has '^ready'
	kill -KILL "$(children "$(reaper_pid)" mcp-reap)"
	ended
	[[ $STATUS == 137 ]]
	nothing_left
}

# as_process_1 [OPTION]... -- COMMAND...: a session as process 1 of a PID namespace, its parent outside.
as_process_1() {
	need_that 'PID namespace' "${NAMESPACE[@]}" true
	launch "${NAMESPACE[@]}" "$MCP_REAP" "$@"
	CLIENT=$!
}

@test "as process 1 it passes on bytes and the exit status, and leaves nothing" {
	as_process_1 -g 0.1 -k 0.1 -- "$FIX/server" ready echo child daemon=2 at-eof=6
	await has '^ready'
	say hello
	await has '^hello'
	close_stdin
	ended "$CLIENT"
	[[ $STATUS == 6 ]]
	nothing_left
}

@test "as process 1 it ends when its parent, outside of the namespace, is killed" {
	as_process_1 -g 0.1 -k 0.1 -- "$FIX/server" ready deaf term-proof child daemon=2
	await has '^ready'
	kill -KILL "$CLIENT"
	nothing_left
}

@test "as process 1 it lives on when a signal comes from its own namespace" {
	as_process_1 -g 0.1 -k 0.1 -- sh -c 'kill -CONT 1; echo ready; exec cat'
	await has '^ready'
	say hello
	await has '^hello'
	close_stdin
	ended "$CLIENT"
	[[ $STATUS == 0 ]]
}

@test "a client that is process 1 is no sign of its death" {
	need_that 'PID namespace' "${NAMESPACE[@]}" true
	launch "${NAMESPACE[@]}" bash -c '"$@"; echo "status $?"' - \
		"$MCP_REAP" -g 0.1 -k 0.1 -- "$FIX/server" ready echo at-eof=4
	await has '^ready'
	say hello
	await has '^hello'
	close_stdin
	await has '^status 4'
	nothing_left
}

@test "under a subreaper the client's death ends the session" {
	launch "$FIX/subreaper" "$FIX/client" stdio=inherit sleep=100000 -- \
		"$MCP_REAP" -g 0.1 -k 0.1 -- "$FIX/server" ready deaf term-proof child daemon=2
	await has '^ready'
	kill -KILL "$(children $! client)"
	nothing_left
}

# What a session costs while nothing happens.

# busyness PID...: how often they were woken up, and how long they have run.
busyness() {
	local pid
	for pid; do
		grep -h ctxt_switches "/proc/$pid/task/"*/status
		sed 's/.*) //' "/proc/$pid/stat" | cut -d ' ' -f 12,13
	done
}

# at_rest SECONDS: both processes did nothing in that time.
at_rest() {
	local before reaper
	reaper=$(reaper_pid)
	before=$(busyness "$SHIM" "$reaper")
	sleep "$1"
	alive "$SHIM" "$reaper" && [[ $(busyness "$SHIM" "$reaper") == "$before" ]]
}

@test "an idle session wakes up no process of mcp-reap in three seconds" {
	start -- "$FIX/server" ready echo child setsid-child daemon=2
	await has '^ready'
	say hello
	await has '^hello'
	await at_rest 3
}

@test "a session whose stdin was closed by the server is idle" {
	start -- sh -c 'exec <&-; echo closed; exec sleep 100'
	await has '^closed'
	await at_rest 1
}

@test "a session whose stdout was closed by the server is idle" {
	start -- sh -c 'exec >&-; : >closed; exec sleep 100'
	await test -e closed
	await at_rest 1
}

@test "a session whose client does not read is idle" {
	local both
	mkfifo pipe
	exec {both}<>pipe
	start_with ">&$both $both>&-" -- sh -c ': >ready; exec yes'
	await test -e ready
	await at_rest 1
}

@test "a session whose server does not read is idle" {
	start -- sh -c 'echo ready; exec sleep 100'
	await has '^ready'
	timeout 0.5 yes >&7 || :
	await at_rest 1
}

@test "both processes of 20 sessions need at most 160 KiB of memory of their own a session" {
	local pids=() shim i sum=0
	need_that 'readable smaps_rollup' grep -q Pss_Anon: /proc/self/smaps_rollup
	exec 7<>in
	for ((i = 0; i < 20; i++)); do
		MCP_REAP_TEST=$MARK "$MCP_REAP" -- "$FIX/server" ready echo <in >"out.$i" 2>&1 3>&- 7>&- 8<&- 9>tree &
		pids+=($!)
	done
	for ((i = 0; i < 20; i++)); do
		await has '^ready' "out.$i"
	done
	for shim in "${pids[@]}"; do
		((sum += $(awk '$1 == "Pss_Anon:" { pss += $2 } END { print pss }' \
			"/proc/$shim/smaps_rollup" "/proc/$(children "$shim" mcp-reap-reaper)/smaps_rollup")))
	done
	echo "$((sum / 20)) KiB"
	((sum > 0 && sum <= 20 * 160))
	exec 7>&-
	nothing_left
}

@test "the processes are told apart by their names" {
	start -- "$FIX/server" ready
	await has '^ready'
	[[ $(<"/proc/$SHIM/comm") == mcp-reap ]]
	[[ $(<"/proc/$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$(server_pid)/status")/comm") == mcp-reap-reaper ]]
}
