# Common ground of the suite: how a test starts a session, waits, and proves that nothing is left.
# shellcheck shell=bash disable=SC2034,SC2094
#
# Descriptors: 7 writes to the session's stdin, 8 reads the FIFO `tree`, whose write end (9) every
# process of the session inherits: end-of-file on 8 means that none of them is left. mcp-reap closes
# what it inherits above 2, so its own processes are found by a marker in the environment instead.

bats_require_minimum_version 1.5.0

# Seconds that a wait may take before the test fails; far more than anything here needs.
PATIENCE=${MCP_REAP_TEST_PATIENCE:-40}

# Work in a directory of the test's own, with MCP_REAP, FIX, MARK and the two FIFOs ready.
setup() {
	MCP_REAP=$(realpath "${MCP_REAP:-$BATS_TEST_DIRNAME/../mcp-reap}")
	FIX=$(realpath "$BATS_TEST_DIRNAME/bin")
	MARK=$BASHPID.${EPOCHREALTIME//[!0-9]/}
	SHIM='' CLIENT='' STATUS=0
	SPARE=() # pids beside the tree, which a test expects to survive, and teardown ends
	ulimit -S -c 0 # crashes are part of the subject
	cd "$BATS_TEST_TMPDIR" || return
	export XDG_CACHE_HOME=$PWD/cache # what --lazy keeps
	mkfifo in tree
	# A FIFO opened for reading and writing does not wait for its other end.
	exec 9<>tree
	exec 8<tree 9>&-
}

# End what the test left behind, and show what was said if it failed.
teardown() {
	local pids i
	if [[ -z ${BATS_TEST_COMPLETED-} ]]; then
		tail -v -n 20 out err log 2>/dev/null || :
	fi
	exec 7>&- 8<&-
	rm -f tree # the fixture's runner goes on as long as this exists
	((${#SPARE[@]} == 0)) || kill -KILL "${SPARE[@]}" 2>/dev/null || :
	for ((i = 0; i < 50; i++)); do
		mapfile -t pids < <(marked)
		((${#pids[@]})) || return 0
		kill -KILL "${pids[@]}" 2>/dev/null || :
		sleep 0.1
	done
}

# start [OPTION]... -- COMMAND...: a session in the background, with this shell as its client.
# Sets SHIM. Its stdin is what is written to 7; its stdout and stderr are the files out and err.
start() {
	launch "$MCP_REAP" "$@"
	SHIM=$!
}

# client WORD... -- [OPTION]... -- COMMAND...: a session whose client is the fixture; sets CLIENT and SHIM.
# out holds its report and the server's output; 7 is its stdin, which only stdio=inherit passes on.
client() {
	local words=()
	while [[ $1 != -- ]]; do
		words+=("$1")
		shift
	done
	shift
	launch "$FIX/client" "${words[@]}" -- "$MCP_REAP" "$@"
	CLIENT=$!
	await has '^client: child '
	SHIM=$(sed -n 's/^client: child //p' out)
}

# launch COMMAND...: any command in the background, marked, holding the tree, with the stdio of start.
launch() {
	: >out
	exec 6<>in
	exec 5<in 7>in 6>&- 9>tree
	MCP_REAP_TEST=$MARK "$@" <&5 >out 2>err 3>&- 5<&- 7>&- 8<&- &
	exec 5<&- 9>&-
}

# mcp_reap [ARG]...: mcp-reap in the foreground, marked, holding the tree, and bounded; for use with run.
mcp_reap() {
	MCP_REAP_TEST=$MARK timeout -k 1 $((PATIENCE + 20)) "$MCP_REAP" "$@" 3>&- 7>&- 8<&- 9>tree
}

# say TEXT: one line to the session's stdin.
say() {
	printf '%s\n' "$1" >&7
}

# End of the session's input.
close_stdin() {
	exec 7>&-
}

# children PID [NAME]: the pids of its children, or of those of that name; fails if there is none.
children() {
	local pids
	pids=$(cat /proc/[0-9]*/stat 2>/dev/null | sed -n "s/^\([0-9]*\) (${2:-.*}) . $1 .*/\1/p")
	[[ -n $pids ]] && echo "$pids"
}

# The reaper's pid, found as the child of SHIM.
reaper_pid() {
	children "$SHIM" 'mcp-reap-[re][a-z]*'
}

# The server's pid, from the fixture's ready line.
server_pid() {
	sed -n 's/^ready //p' out
}

# await CONDITION...: repeat a command until it succeeds; fail after PATIENCE seconds. It looks often at first, and then
# less so, as many tests wait at a time.
await() {
	local end=$((SECONDS + PATIENCE)) pauses=(0.01 0.01 0.02 0.02 0.03 0.03) i=0
	until "$@"; do
		if ((SECONDS > end)); then
			echo "waited in vain for: $*" >&2
			return 1
		fi
		pause "${pauses[i++]:-0.05}"
	done
}

# pause SECONDS: sleep(1) without a process, which many tests at a time would start very many of. Of two that make the FIFO
# at the same time, in the background of one test, the later one finds it made.
pause() {
	local nobody=$BATS_TEST_TMPDIR/nobody
	[[ -p $nobody ]] || mkfifo "$nobody" 2>/dev/null || :
	read -rt "$1" <>"$nobody" || :
}

# has REGEX [FILE]: a line of the file (out) matches.
has() {
	grep -qs -e "$1" "${2:-out}"
}

# The state letter of a process as in /proc/PID/stat; nothing if there is none.
state() {
	{ sed 's/.*) \(.\).*/\1/' "/proc/$1/stat"; } 2>/dev/null || :
}

# alive PID..., gone PID...: all of them run, none of them runs (a zombie does not run).
alive() {
	local pid
	for pid; do
		[[ $(state "$pid") == [!ZX] ]] || return
	done
}
gone() {
	local pid
	for pid; do
		[[ -n $pid && $(state "$pid") != [!ZX] ]] || return
	done
}

# links PID...: what their descriptors are.
links() {
	local pid fd
	for pid; do
		for fd in "/proc/$pid/fd/"*; do
			readlink "$fd" || return
		done
	done
}

# stopped PID: it is stopped by a signal.
stopped() {
	[[ $(state "$1") == T ]]
}

# ended [PID]: SHIM, or another child of this shell, has exited, in time; its status is in STATUS.
ended() {
	await gone "${1:-$SHIM}"
	STATUS=0
	wait "${1:-$SHIM}" || STATUS=$?
}

# The pids of the processes of this test, mcp-reap's own included.
marked() {
	grep -alsF "MCP_REAP_TEST=$MARK" /proc/[0-9]*/environ | cut -d / -f 3
}
show_marked() {
	local pid
	for pid in $(marked); do
		echo "left: $pid $(state "$pid") $(tr '\0' ' ' <"/proc/$pid/cmdline")" || :
	done >&2
}
unmarked() {
	! marked | grep -qvx "${CLIENT:-none}"
}

# nothing_left: every process of the tree and of mcp-reap is gone, in time. The client may be there.
nothing_left() {
	local code=0
	read -r -t "$PATIENCE" -u 8 || code=$?
	if ((code != 1)); then
		show_marked
		return 1
	fi
	await unmarked || {
		show_marked
		return 1
	}
}

# Milliseconds since the epoch, the clock of the fixture's log.
now() {
	echo $((${EPOCHREALTIME//[!0-9]/} / 1000))
}

# stamp WORD [FILE]: the time of the first such event in the fixture's log.
stamp() {
	awk -v word="$1" '$1 == word { print $2; exit }' "${2:-log}"
}

# need TOOL...: skip where a tool is missing. need_that WHAT COMMAND...: skip where the command fails.
need() {
	local tool
	for tool; do
		need_that "$tool" command -v "$tool"
	done
}
need_that() {
	local what=$1
	shift
	"$@" >/dev/null 2>&1 && return
	skip "no $what here"
}
