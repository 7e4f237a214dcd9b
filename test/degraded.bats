#!/usr/bin/env bats
# Less than a modern Linux has: older kernels, the seccomp profiles of containers, /proc in disguise or not
# at all, limits, and processes out of reach. The promise is kept, or there is a clear message and a bounded end.

# shellcheck disable=SC2016 # what is quoted is for another shell
# shellcheck disable=SC2153 # STATUS is set by helper.bash, status by bats
load helper

TIMES=(-g 0.2 -k 0.2)
STUBBORN=(deaf term-proof child setsid-child stopped daemon=2 ready)

# As another user than root, in a user namespace.
NAMESPACE=(unshare)
((EUID == 0)) || NAMESPACE+=(--map-root-user)

# start_as COMMAND...: a session like start's, of a COMMAND that becomes mcp-reap.
start_as() {
	launch "$@"
	SHIM=$!
}

# deny CALL=ERRNO...: from now on mcp-reap, and all that it starts, is run without these.
deny() {
	need_that seccomp "$FIX/deny" "$@" -- true
	DENY=("$FIX/deny" "$@" --)
}

# keeps_promise: a session relays, ends at the end of input, and leaves nothing of a stubborn tree; and what
# needs a SIGTERM, and some time, gets them.
keeps_promise() {
	start_as "${DENY[@]}" "$MCP_REAP" -g 0.2 -k 60 -- "$FIX/server" deaf child saver-daemon=file:300 ready
	await has '^ready'
	close_stdin
	ended
	[[ $STATUS == 143 && $(<file) == complete && ! -s err ]]
	nothing_left
	rm file

	: >err
	start_as "${DENY[@]}" "$MCP_REAP" "${TIMES[@]}" -- "$FIX/server" echo "${STUBBORN[@]}"
	await has '^ready'
	say hello
	await has '^hello'
	close_stdin
	ended
	[[ $STATUS == 137 && ! -s err ]]
	nothing_left
}

# one_line: that is all that was said, by mcp-reap.
one_line() {
	cat err
	[[ $(wc -l <err) == 1 && $(<err) == 'mcp-reap: '*': '* ]]
}

# System calls that older kernels do not have (ENOSYS), and that seccomp profiles refuse (EPERM).

@test "the promise is kept without pidfd_open" {
	deny pidfd_open=ENOSYS
	keeps_promise
	deny pidfd_open=EPERM
	keeps_promise
}

@test "the promise is kept without pidfd_send_signal" {
	deny pidfd_send_signal=ENOSYS
	keeps_promise
	deny pidfd_send_signal=EPERM
	keeps_promise
}

@test "the promise is kept without close_range" {
	deny close_range=ENOSYS
	keeps_promise
	deny close_range=EPERM
	keeps_promise
}

@test "the promise is kept without splice" {
	deny splice=ENOSYS
	keeps_promise
	deny splice=EPERM
	keeps_promise
}

@test "the promise is kept on a kernel that has none of those, nor files named children" {
	deny {pidfd_open,pidfd_send_signal,close_range,splice}=ENOSYS children=ENOENT
	keeps_promise
}

@test "without close_range no descriptor of the client's is kept" {
	: >file
	deny close_range=ENOSYS
	# Those beyond the limit for new ones are there, too.
	start_as "${DENY[@]}" bash -c 'exec 5<file 77<file 250<file; ulimit -S -n 200; exec "$@"' - \
		"$MCP_REAP" -- "$FIX/server" ready
	await has '^ready'
	[[ $(readlink "/proc/$(server_pid)/fd/250") == "$PWD/file" ]]
	links "$SHIM" "$(reaper_pid)" >fds
	grep -q . fds
	run ! grep "$PWD/file" fds
}

@test "without close_range the server has the descriptors that it would have without mcp-reap, and no other" {
	local list=(sh -c 'find /proc/self/fd -type l -printf "%f %l\n" | sed "/^[01] /d; s,/proc/[0-9]*,/proc/PID,"')
	need_that 'find with -printf' find . -printf ''
	deny close_range=ENOSYS
	"${DENY[@]}" "${list[@]}" >bare </dev/null 5<. 77<. 250<. 9>tree
	"${DENY[@]}" "$MCP_REAP" -g 60 -- "${list[@]}" >behind </dev/null 5<. 77<. 250<. 9>tree
	grep -q '^250' bare
	diff bare behind
}

@test "a stream from the server does not come to a stand without splice" {
	# Bytes left over at the end of a turn have to wait for their reader, not for more of them.
	deny splice=ENOSYS
	MCP_REAP_TEST=$MARK timeout -k 1 60 "$FIX/bench" bulk pipe 32 0 "${DENY[*]} $MCP_REAP --" 3>&- 8<&- 9>tree
	nothing_left
}

@test "every byte arrives without splice" {
	local error
	for error in ENOSYS EPERM; do
		MCP_REAP_TEST=$MARK timeout -k 1 60 "$FIX/stream" -w 1:20M -r 2:20M -- "$FIX/deny" splice=$error -- \
			"$MCP_REAP" -g 60 -- "$FIX/stream" -w 2:20M -r 1:20M 3>&- 8<&- 9>tree
		nothing_left
	done
}

# The client's death, without pidfd_open; stdin is held open by the test.

@test "without pidfd_open the client's death ends the session" {
	local error
	for error in ENOSYS EPERM; do
		deny pidfd_open=$error
		launch "${DENY[@]}" "$FIX/client" stdio=inherit sleep=100000 -- \
			"$MCP_REAP" "${TIMES[@]}" -- "$FIX/server" "${STUBBORN[@]}"
		await has '^ready'
		kill -KILL $!
		nothing_left
	done
}

@test "without pidfd_open the end of the client's thread does not end the session" {
	deny pidfd_open=ENOSYS
	launch "${DENY[@]}" "$FIX/client" from-thread expect=ready thread-exit sleep=500 lines=3 close-stdin wait -- \
		"$MCP_REAP" "${TIMES[@]}" -- "$FIX/server" ready echo at-eof=5
	await has '^client: status 5'
	nothing_left
}

@test "without pidfd_open the client's death under a subreaper ends the session" {
	deny pidfd_open=ENOSYS
	launch "${DENY[@]}" "$FIX/subreaper" "$FIX/client" stdio=inherit sleep=100000 -- \
		"$MCP_REAP" "${TIMES[@]}" -- "$FIX/server" "${STUBBORN[@]}"
	await has '^ready'
	kill -KILL "$(children $! client)"
	nothing_left
}

@test "without pidfd_open a stopped shim wakes up for the client's death" {
	local shim
	deny pidfd_open=ENOSYS
	launch "${DENY[@]}" "$FIX/client" stdio=inherit sleep=100000 -- \
		"$MCP_REAP" "${TIMES[@]}" -- "$FIX/server" "${STUBBORN[@]}"
	await has '^ready'
	shim=$(children $! mcp-reap)
	kill -STOP "$shim"
	await stopped "$shim"
	kill -KILL $!
	nothing_left
}

# Without CONFIG_PROC_CHILDREN.

no_children_files() {
	deny children=ENOENT
	run ! "${DENY[@]}" sh -c 'cat /proc/$$/task/$$/children' # so the fixture does what it should
}

@test "without children files the promise is kept" {
	no_children_files
	keeps_promise
}

@test "without children files crowds and chains are gone" {
	no_children_files
	start_as "${DENY[@]}" "$MCP_REAP" "${TIMES[@]}" -- "$FIX/server" deaf wide=100 chain=50 daemon=20 ready
	await has '^ready'
	close_stdin
	ended
	nothing_left
}

@test "without children files a process that forks and exits for ever is gone" {
	no_children_files
	# In a /proc with few processes: the fixture makes it far slower to look at one than it is.
	local apart=("${NAMESPACE[@]}" -pf --mount-proc sh -c '"$@"; exit $?' -)
	need_that 'PID namespace' "${apart[@]}" true
	start_as "${apart[@]}" "${DENY[@]}" "$MCP_REAP" "${TIMES[@]}" -- "$FIX/server" deaf runner=tree ready
	await has '^ready'
	close_stdin
	ended
	[[ $STATUS == 143 ]]
	nothing_left
}

@test "without children files the tree is gone when the reaper is killed" {
	no_children_files
	start_as "${DENY[@]}" "$MCP_REAP" "${TIMES[@]}" -- "$FIX/server" "${STUBBORN[@]}"
	await has '^ready'
	kill -KILL "$(reaper_pid)"
	ended
	[[ $STATUS == 125 ]]
	nothing_left
}

@test "without children files a process whose name looks like the end of its stat file is gone" {
	no_children_files
	cp "$FIX/server" 'a) R 1 (b'
	start_as "${DENY[@]}" "$MCP_REAP" "${TIMES[@]}" -- './a) R 1 (b' "${STUBBORN[@]}"
	await has '^ready'
	close_stdin
	ended
	nothing_left
}

# /proc.

# without_proc [OPTION]... -- COMMAND...: a session where /proc is empty.
without_proc() {
	local hide=("${NAMESPACE[@]}" -m sh -c 'mount -t tmpfs none /proc && exec "$@"' -)
	need_that 'mount namespace' "${hide[@]}" true
	start_as "${hide[@]}" "$MCP_REAP" "$@"
}

# foreign_proc [OPTION]... -- COMMAND...: one as process 1 of a PID namespace with the /proc of another.
foreign_proc() {
	need_that 'PID namespace' "${NAMESPACE[@]}" -pf true
	start_as "${NAMESPACE[@]}" -pf "$MCP_REAP" "$@"
}

# The message says what is missing, in a line.
says_proc() {
	cat err
	grep -q '^mcp-reap: .*/proc' err
	run ! grep -v '^mcp-reap: ' err
}

@test "without /proc the server's process group is gone, with a message" {
	without_proc "${TIMES[@]}" -- "$FIX/server" echo deaf term-proof child stopped ready
	await has '^ready'
	say hello
	await has '^hello'
	close_stdin
	ended
	[[ $STATUS == 137 ]]
	says_proc
	nothing_left
}

@test "without /proc a process beyond the server's group does not keep up mcp-reap" {
	without_proc "${TIMES[@]}" -- "$FIX/server" deaf setsid-child daemon=1 ready
	await has '^ready'
	close_stdin
	ended
	says_proc
	await gone "$(server_pid)"
	await no_mcp_reap
}
no_mcp_reap() {
	local pid
	for pid in $(marked); do
		case $(cat "/proc/$pid/comm" 2>/dev/null) in mcp-reap*) return 1 ;; esac
	done
}

@test "without /proc the server's process group is gone when the shim is killed" {
	without_proc "${TIMES[@]}" -- "$FIX/server" deaf term-proof child ready
	await has '^ready'
	kill -KILL "$SHIM"
	nothing_left
}

@test "without /proc every byte arrives" {
	need_that 'mount namespace' "${NAMESPACE[@]}" -m sh -c 'mount -t tmpfs none /proc'
	MCP_REAP_TEST=$MARK timeout -k 1 60 "$FIX/stream" -w 1:20M -r 2:20M -a arrived -- \
		"${NAMESPACE[@]}" -m sh -c 'mount -t tmpfs none /proc && exec "$@"' - \
		"$MCP_REAP" -g 60 -- "$FIX/stream" -r 1:20M -f arrived -w 2:20M 3>&- 8<&- 9>tree
	nothing_left
}

@test "without /proc and close_range a session works" {
	deny close_range=ENOSYS
	need_that 'mount namespace' "${NAMESPACE[@]}" -m sh -c 'mount -t tmpfs none /proc'
	start_as "${NAMESPACE[@]}" -m sh -c 'mount -t tmpfs none /proc && exec "$@"' - \
		"${DENY[@]}" "$MCP_REAP" "${TIMES[@]}" -- "$FIX/server" deaf echo child ready
	await has '^ready'
	say hello
	await has '^hello'
	close_stdin
	ended
	nothing_left
}

@test "with the /proc of another PID namespace the server's process group is gone, with a message" {
	foreign_proc "${TIMES[@]}" -- "$FIX/server" echo deaf term-proof child stopped ready
	await has '^ready'
	say hello
	await has '^hello'
	close_stdin
	ended
	[[ $STATUS == 137 ]]
	says_proc
	nothing_left
}

# strangers PID: ten processes in the PID namespace of that one, none of its tree, that log signals.
#
# In the host's /proc the children of process 2 are kernel threads, whose numbers the strangers have in the
# namespace. Whoever takes that /proc for its own, and is process 2 itself, takes the strangers for its children.
strangers() {
	local i
	need nsenter
	need_that 'kernel threads in /proc' grep -q . /proc/2/task/2/children
	STRANGERS=()
	for ((i = 0; i < 10; i++)); do
		MCP_REAP_TEST=$MARK nsenter -t "$1" -p "$FIX/server" ready log="log.$i" deaf <in >"stranger.$i" 2>&1 \
			3>&- 7>&- 8<&- &
		STRANGERS+=($!)
	done
	for ((i = 0; i < 10; i++)); do
		await has '^ready' "stranger.$i"
		STRANGERS[i]=$(children "${STRANGERS[i]}") # nsenter's child
	done
}

@test "with the /proc of another PID namespace the reaper signals no stranger" {
	need_that root test "$EUID" = 0
	foreign_proc "${TIMES[@]}" -- "$FIX/server" deaf term-proof ready
	await has '^ready 3$' # so the reaper is 2
	strangers "$(children "$SHIM" mcp-reap)"
	kill -TERM "$(children "$SHIM" mcp-reap)"
	ended
	[[ $STATUS == 137 ]]
	run ! grep . log.*
	says_proc
	nothing_left
}

@test "with the /proc of another PID namespace the shim signals no stranger" {
	local shim
	need_that root test "$EUID" = 0
	need_that 'PID namespace' "${NAMESPACE[@]}" -pf true
	launch "${NAMESPACE[@]}" -pf sh -c '"$@"; echo "status $?"; : >over; exec sleep 100' - \
		"$MCP_REAP" "${TIMES[@]}" -- "$FIX/server" deaf term-proof child ready
	await has '^ready 4$' # so the shim is 2
	shim=$(children "$(children $! sh)" mcp-reap)
	strangers "$shim"
	kill -KILL "$(children "$shim" mcp-reap-reaper)"
	await test -e over
	has '^status 125'
	run ! grep . log.*
	says_proc
	sleep 0.5 # a SIGKILL would have told by then
	alive "${STRANGERS[@]}"
}

# other_user: OTHER runs a command as a user that has no other process; mcp-reap and the fixtures are copied to
# where that user can reach them.
other_user() {
	local dir=$PWD user=$((50000 + BASHPID % 10000))
	need_that root test "$EUID" = 0
	need setpriv
	OTHER=(setpriv --reuid="$user" --regid="$user" --clear-groups)
	cp "$MCP_REAP" mcp-reap
	cp "$FIX/server" "$FIX/untouchable" .
	while [[ $dir == "$BATS_RUN_TMPDIR"* ]]; do
		chmod a+x "$dir"
		dir=${dir%/*}
	done
	need_that 'way for other users to the test directory' "${OTHER[@]}" test -x "$PWD/server"
	MCP_REAP=$PWD/mcp-reap
}

@test "over the pipes of another user, which cannot be opened again, every byte arrives" {
	other_user
	cp "$FIX/stream" stream
	mkdir -m 777 shared
	MCP_REAP_TEST=$MARK timeout -k 1 60 "$FIX/stream" -w 1:20M -r 2:20M -a shared/arrived -- \
		"${OTHER[@]}" "$MCP_REAP" -g 60 -- ./stream -r 1:20M -f shared/arrived -w 2:20M 3>&- 8<&- 9>tree
	nothing_left
}

@test "with hidepid=2 the promise is kept" {
	local hide
	other_user
	hide=(unshare -m sh -c 'mount -t proc -o hidepid=2 proc /proc && exec "$@"' -)
	need_that 'hidepid' "${hide[@]}" true
	start_as "${hide[@]}" "${OTHER[@]}" \
		"$MCP_REAP" "${TIMES[@]}" -- ./server echo "${STUBBORN[@]}"
	await has '^ready'
	run ! "${hide[@]}" "${OTHER[@]}" cat /proc/1/stat
	say hello
	await has '^hello'
	close_stdin
	ended
	[[ $STATUS == 137 && ! -s err ]]
	nothing_left
}

# Limits at the start.

@test "with no process left for the reaper or the server it is 125, one line, and nothing left" {
	local processes
	other_user
	need prlimit
	for processes in 1 2; do
		start_as prlimit --nproc=$processes "${OTHER[@]}" \
			"$MCP_REAP" -- ./server ready
		ended
		[[ $STATUS == 125 && ! -s out ]]
		one_line
		nothing_left
	done
}

@test "with processes for the reaper and the server, and no more, a session works" {
	other_user
	need prlimit
	start_as prlimit --nproc=3 "${OTHER[@]}" \
		"$MCP_REAP" "${TIMES[@]}" -- ./server ready echo deaf
	await has '^ready'
	say hello
	await has '^hello'
	close_stdin
	ended
	[[ $STATUS == 143 && ! -s err ]]
	nothing_left
}

@test "with few descriptors a session works, or it is 125, one line, and nothing left" {
	local n worked=0 refused=0
	for ((n = 4; n <= 20; n++)); do
		start_as bash -c "ulimit -n $n; exec \"\$@\"" - "$MCP_REAP" -- echo hello
		ended
		echo "$n descriptors: $STATUS $(<err)"
		if [[ $STATUS == 0 ]]; then
			[[ $(<out) == hello && ! -s err ]]
			((worked += 1))
		else
			[[ $STATUS == 125 && ! -s out ]]
			one_line
			((refused += 1))
		fi
		nothing_left
	done
	((worked && refused))
}

@test "with just enough descriptors to work the promise is kept" {
	local n
	exec 7<>in
	for ((n = 4; n < 64; n++)); do
		bash -c "ulimit -S -n $n; exec \"\$@\"" - "$MCP_REAP" -- true <in 2>/dev/null && break
	done
	((n < 64))
	exec 7>&-
	start_as bash -c "ulimit -S -n $n; exec \"\$@\"" - "$MCP_REAP" "${TIMES[@]}" -- \
		sh -c 'ulimit -S -n 64; exec "$@"' - "$FIX/server" "${STUBBORN[@]}"
	await has '^ready'
	close_stdin
	ended
	nothing_left
}

# Processes that cannot be signalled.

setuid_root() {
	other_user
	chown 0:0 untouchable
	chmod 4755 untouchable
}

@test "a setuid process that cannot be signalled is named, and does not keep up mcp-reap" {
	local pid
	setuid_root
	start_as "${OTHER[@]}" \
		"$MCP_REAP" "${TIMES[@]}" -- sh -c './untouchable & exec ./server ready term-proof child daemon=1'
	await has '^untouchable'
	await has '^ready'
	pid=$(sed -n 's/^untouchable //p' out)
	[[ $(stat -c %u "/proc/$pid") == 0 ]] || skip 'no setuid programs here'
	close_stdin
	ended
	cat err
	alive "$pid"
	grep -q "^mcp-reap: .*\\b$pid\\b.*untouchable\\|^mcp-reap: .*untouchable.*\\b$pid\\b" err
	kill -KILL "$pid"
	nothing_left # of all the others
}

@test "with -x there is no process that cannot be signalled" {
	setuid_root
	start_as "${OTHER[@]}" \
		"$MCP_REAP" -x "${TIMES[@]}" -- sh -c './untouchable & exec ./server ready'
	await has '^untouchable'
	await has '^ready'
	close_stdin
	ended
	[[ $STATUS == 0 ]]
	run ! grep mcp-reap: err
	nothing_left
}

# An exec that does not come to its end: a virus scanner, a dead network disk in PATH.

@test "while the server's exec hangs the session ends all the same" {
	local holder
	cp "$(command -v cat)" held
	"$FIX/hold" "$PWD/held" >holding 2>&1 3>&- 8<&- 9>&- &
	holder=$!
	SPARE+=("$holder")
	await eval 'has "^held" holding || gone "$holder"'
	alive "$holder" || skip "no fanotify here"
	start -g 0.2 -k 0.2 -- ./held
	await reaper_pid
	close_stdin
	ended
	nothing_left
	alive "$holder"
}
