#!/usr/bin/env bats
# The relay: every byte arrives, unchanged and in order, whatever the two ends are. The fixture `stream`
# knows every byte that it should get. Where input ends while bytes are still under way, a long grace
# keeps the speed of the machine out of it.

# shellcheck disable=SC2153 # STATUS is set by helper.bash, status by bats
load helper

# stream ARG...: the fixture as client, in the foreground, marked, holding the tree, and bounded.
stream() {
	MCP_REAP_TEST=$MARK timeout -k 1 100 "$FIX/stream" "$@" 3>&- 7>&- 8<&- 9>tree
}

# verdict: the stream that was run was all right, and so was the server's, and nobody said a word.
verdict() {
	echo "$output" >&2
	[[ $status == 0 && -z $output ]]
	nothing_left
}

# both_ways LEN ARG...: streams from and to the client at once, between two of the fixture.
both_ways() {
	run stream -w "1:$1" -r "2:$1" "${@:2}" -- "$MCP_REAP" -g 60 -- "$FIX/stream" -w "2:$1" -r "1:$1"
	verdict
}

# start_with REDIRECTIONS [OPTION]... -- COMMAND...: a session like start's, with those redirections on top.
start_with() {
	launch bash -c "exec \"\$@\" $1" - "$MCP_REAP" "${@:2}"
	SHIM=$!
}

# start_to_pipe [OPTION]... -- COMMAND...: a session whose stdout is a FIFO; we hold its other end as OUTPUT.
start_to_pipe() {
	local both w
	mkfifo pipe
	exec {both}<>pipe # so that neither open waits
	exec {w}>pipe
	exec {OUTPUT}<pipe {both}>&-
	start_with ">&$w $w>&- $OUTPUT<&-" "$@"
	exec {w}>&-
}

# at_eof: nothing comes from OUTPUT but its end, in time.
at_eof() {
	local code=0
	read -r -t "$PATIENCE" -u "$OUTPUT" || code=$?
	[[ $code == 1 && -z $REPLY ]]
}

# 100 MB.

@test "100 MB each way at once arrive unchanged over pipes" {
	both_ways 100M -s pipe
}

@test "100 MB each way at once arrive unchanged over AF_UNIX sockets" {
	both_ways 100M -s sockets
}

@test "100 MB each way at once arrive unchanged over one socket that is both stdin and stdout" {
	both_ways 100M -s socket
}

@test "10 MB each way at once arrive unchanged over named FIFOs" {
	start_to_pipe -g 60 -- cat
	"$FIX/stream" -w 1:10M >&7 3>&- 7>&- 8<&- &
	close_stdin
	"$FIX/stream" -r 1:10M <&"$OUTPUT"
	ended
	[[ $STATUS == 0 ]]
	nothing_left
}

@test "1000 lines come back one by one" {
	client lines=1000 close-stdin wait -- -- cat
	ended "$CLIENT"
	has '^client: status 0'
	nothing_left
}

# Neither direction waits for the other.

@test "a client that does not read can go on writing, over pipes" {
	run stream -w 1:20M -r 2:20M -a arrived -- "$MCP_REAP" -g 60 -- "$FIX/stream" -r 1:20M -f arrived -w 2:20M
	verdict
}

@test "a client that does not read can go on writing, over sockets" {
	run stream -s sockets -w 1:20M -r 2:20M -a arrived -- \
		"$MCP_REAP" -g 60 -- "$FIX/stream" -r 1:20M -f arrived -w 2:20M
	verdict
}

@test "a server that does not read can go on writing, over pipes" {
	run stream -w 1:20M -r 2:20M -f arrived -- "$MCP_REAP" -g 60 -- "$FIX/stream" -r 1:20M -a arrived -w 2:20M
	verdict
}

@test "a server that does not read can go on writing, over sockets" {
	run stream -s sockets -w 1:20M -r 2:20M -f arrived -- \
		"$MCP_REAP" -g 60 -- "$FIX/stream" -r 1:20M -a arrived -w 2:20M
	verdict
}

@test "a client that reads slowly gets every byte" {
	run stream -r 2:4M -b 16k -d 2 -- "$MCP_REAP" -- "$FIX/stream" -w 2:4M
	verdict
}

@test "a server that reads slowly gets every byte" {
	run stream -w 1:4M -- "$MCP_REAP" -g 60 -- "$FIX/stream" -r 1:4M -b 16k -d 2
	verdict
}

# O_NONBLOCK is shared with the client: it is coped with where it is, and never set or taken away.

@test "over non-blocking pipes every byte arrives, also when they are full" {
	run stream -n -w 1:20M -r 2:20M -a arrived -- \
		"$MCP_REAP" -g 60 -- "$FIX/stream" -b 16k -r 1:20M -f arrived -w 2:20M
	verdict
}

@test "over non-blocking sockets every byte arrives, also when they are full" {
	run stream -n -s sockets -w 1:20M -r 2:20M -a arrived -- \
		"$MCP_REAP" -g 60 -- "$FIX/stream" -b 16k -r 1:20M -f arrived -w 2:20M
	verdict
}

# flags FD: the flags of the open file, as all who share it see them.
flags() {
	awk '$1 == "flags:" { print $2 }' "/proc/self/fdinfo/$1"
}

# flags_in_use [nonblock]: every value that the flags of a session's stdin, stdout and stderr had before, during
# and after a session in which stdout was full for a while, to files of those names.
flags_in_use() {
	local both i reader
	mkfifo pipe message
	exec {both}<>in
	exec {IN}<in {both}>&-
	exec {both}<>pipe
	exec {OUT}>pipe
	exec {OUTPUT}<pipe {both}>&-
	exec {ERR}<>message
	if [[ ${1-} == nonblock ]]; then
		"$FIX/nonblock" "$IN"
		"$FIX/nonblock" "$OUT"
		"$FIX/nonblock" "$ERR"
	fi
	sample
	start_with "<&$IN >&$OUT 2>&$ERR $IN<&- $OUT>&- $ERR>&- $OUTPUT<&-" -v -g 60 -- \
		"$FIX/stream" -r 1:1M -f arrived -w 2:1M
	sample
	"$FIX/stream" -w 1:1M >&7 3>&- 7>&- 8<&- &
	close_stdin
	until [[ -e arrived ]]; do
		sample
	done
	for ((i = 0; i < 20; i++)); do
		sample
	done
	bash -c "exec \"\$@\" <&$OUTPUT $IN<&- $OUT>&- $ERR>&-" - "$FIX/stream" -r 2:1M 3>&- 8<&- &
	reader=$!
	while alive "$SHIM"; do
		sample
	done
	sample
	exec {IN}<&- {OUT}>&-
	ended
	[[ $STATUS == 0 ]]
	wait "$reader"
}
sample() {
	flags "$IN" >>stdin
	flags "$OUT" >>stdout
	flags "$ERR" >>stderr
}

# always VALUE FILE...: O_NONBLOCK has it in each of those samples, and nothing else has changed.
always() {
	local value=$1 file
	shift
	for file; do
		[[ $(sort -u "$file" | wc -l) == 1 ]]
		(((8#$(head -n 1 "$file") & 04000) == value))
	done
}

@test "the client's blocking pipes are blocking before, during and after a session" {
	flags_in_use
	always 0 stdin stdout stderr
}

@test "the client's non-blocking pipes are non-blocking before, during and after a session" {
	flags_in_use nonblock
	always 04000 stdin stdout stderr
}

# started_by PID: it has started a shim, SHIM, and that its reaper.
started_by() {
	SHIM=$(children "$1" mcp-reap) && reaper_pid
}

@test "the client's blocking sockets are blocking when idle and when full" {
	local fd i
	launch "$FIX/stream" -s sockets -w 1:1M -r 2:1M -a read-on -- \
		"$MCP_REAP" -g 60 -- "$FIX/stream" -r 1:1M -a read-on -w 2:1M
	CLIENT=$!
	await started_by "$CLIENT"
	for ((i = 0; i < 10; i++)); do # for a second: both directions are full long before
		for fd in 0 1; do
			(((8#$(awk '$1 == "flags:" { print $2 }' "/proc/$SHIM/fdinfo/$fd") & 04000) == 0))
		done
		sleep 0.1
	done
	: >read-on
	ended "$CLIENT"
	[[ $STATUS == 0 ]]
	nothing_left
}

# Files.

@test "a stdout that is a file opened for appending gets every byte at its end" {
	echo kept >file
	mcp_reap -g 60 -- "$FIX/stream" -w 3:10M </dev/null >>file
	[[ $(head -c 5 file) == kept ]]
	tail -c +6 file | "$FIX/stream" -r 3:10M
	nothing_left
}

@test "a stdout that is a file is written from where it stands, and left where the output ends" {
	{
		echo before
		mcp_reap -g 60 -- "$FIX/stream" -w 3:1M </dev/null
		echo after
	} >file
	[[ $(head -c 7 file) == before && $(tail -c 6 file) == after ]]
	tail -c +8 file | head -c 1048576 | "$FIX/stream" -r 3:1M
	nothing_left
}

@test "a stdin that is a file is read from where it stands to its end" {
	{
		echo before
		"$FIX/stream" -w 4:10M
	} >file
	{
		read -r line
		run mcp_reap -g 60 -- "$FIX/stream" -r 4:10M
	} <file
	[[ $line == before ]]
	verdict
}

@test "a stdin that is /dev/null is a stdin at its end" {
	run mcp_reap -g 60 -- sh -c 'cat; echo late' </dev/null
	[[ $status == 0 && $output == late ]]
	nothing_left
}

@test "a stdout that is /dev/null takes every byte" {
	mcp_reap -g 60 -- "$FIX/stream" -w 1:10M </dev/null >/dev/null 2>err
	[[ ! -s err ]]
	nothing_left
}

@test "a full disk ends the session with 125 and one line" {
	start_with '>/dev/full' -g 60 -- sh -c 'echo something; exec cat'
	ended
	[[ $STATUS == 125 ]]
	[[ $(<err) == 'mcp-reap: '*': No space left on device' && $(wc -l <err) == 1 ]]
	nothing_left
}

@test "a file that may not grow ends the session with 125 and one line" {
	launch bash -c 'ulimit -f 1; exec "$@" >file' - "$MCP_REAP" -g 60 -- sh -c 'yes | head -n 9999; exec cat'
	ended $!
	[[ $STATUS == 125 ]]
	[[ $(<err) == 'mcp-reap: '*': File too large' && $(wc -l <err) == 1 ]]
	nothing_left
}

# One end is closed, the other goes on.

@test "output written after the end of input arrives, over pipes" {
	run stream -w 1:1M -r 2:10M -- "$MCP_REAP" -g 60 -- "$FIX/stream" -r 1:1M -l -w 2:10M
	verdict
}

@test "output written after the end of input arrives, over sockets" {
	run stream -s sockets -w 1:1M -r 2:10M -- "$MCP_REAP" -g 60 -- "$FIX/stream" -r 1:1M -l -w 2:10M
	verdict
}

@test "output written after the end of input arrives over a socket of which the client has shut its half" {
	run stream -s socket -w 1:1M -r 2:10M -- "$MCP_REAP" -g 60 -- "$FIX/stream" -r 1:1M -l -w 2:10M
	verdict
}

@test "a server that closes its stdout is seen to have done so, and goes on reading" {
	start_to_pipe -- sh -c 'exec >&-; cat >got; exit 3'
	at_eof
	say 'after the end'
	close_stdin
	ended
	[[ $STATUS == 3 && $(<got) == 'after the end' ]]
	nothing_left
}

@test "a server that closes its stdin goes on writing" {
	start -- sh -c 'exec <&-; echo closed; until [ -e go ]; do sleep 0.02; done; echo more; exec sleep 60'
	await has '^closed'
	say ignored
	: >go
	await has '^more'
	alive "$SHIM"
}

@test "the end of input ends a session whose server has closed its stdin" {
	start -g 0.1 -k 0.1 -- sh -c 'exec <&-; echo closed; exec sleep 60'
	await has '^closed'
	say ignored
	close_stdin
	ended
	[[ $STATUS == 143 ]]
	nothing_left
}

@test "a client is not held up by a server that has closed its stdin" {
	run stream -w 1:1M -- "$MCP_REAP" -g 0.1 -- sh -c 'exec <&-; exec sleep 60'
	[[ $status == 143 && -z $output ]]
	nothing_left
}

# The server's last words.

@test "what a server writes just before it exits arrives" {
	local i
	exec 7<>in
	for ((i = 0; i < 30; i++)); do
		mcp_reap -- "$FIX/stream" -w "$i:60000" <in | "$FIX/stream" -r "$i:60000"
		[[ ${PIPESTATUS[*]} == '0 0' ]]
	done
	nothing_left
}

@test "what a server writes just before it crashes arrives" {
	local i
	exec 7<>in
	for ((i = 0; i < 30; i++)); do
		mcp_reap -- sh -c "'$FIX/stream' -w $i:60000; kill -KILL \$\$" <in | "$FIX/stream" -r "$i:60000"
		[[ ${PIPESTATUS[*]} == '137 0' ]]
	done
	nothing_left
}

@test "a client that starts to read long after the server's exit gets every byte" {
	start_to_pipe -g 0.1 -k 0.1 -- sh -c "echo \$\$ >pid; exec '$FIX/stream' -w 5:100k"
	await test -s pid
	await gone "$(<pid)"
	sleep 6 # longer than grace and kill-after, and than a client may take whose server had to be killed
	"$FIX/stream" -r 5:100k <&"$OUTPUT"
	ended
	[[ $STATUS == 0 ]]
	nothing_left
}

@test "a client that never reads does not keep up a session whose server had to be killed" {
	start_to_pipe -g 0.1 -k 0.1 -- sh -c 'trap "" TERM; : >ready; exec yes'
	await test -e ready
	close_stdin
	ended
	[[ $STATUS == 137 ]]
	nothing_left
}

# Where splice(2) is not to be had.

@test "every byte arrives where splice is refused with EINVAL, as on some files" {
	both_ways_denied splice=EINVAL
}
both_ways_denied() {
	run stream -w 1:20M -r 2:20M -- "$FIX/deny" "$1" -- "$MCP_REAP" -g 60 -- "$FIX/stream" -w 2:20M -r 1:20M
	verdict
}

# packets KIND NAME...: mcp-reap refuses such a stdin, or stdout.
packets() {
	need python3
	python3 - "$MCP_REAP" "$@" 3>&- 7>&- 8<&- <<-'EOF'
		import os, socket, subprocess, sys
		program, kind, *names = sys.argv[1:]
		for name in names:
		    if kind == "pipe":
		        ours, given = os.pipe2(os.O_DIRECT)
		    else:
		        a, b = socket.socketpair(socket.AF_UNIX, getattr(socket, kind))
		        given = a.fileno()
		    stdio = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, name: given}
		    done = subprocess.run([program, "--", "true"], stderr=subprocess.PIPE, **stdio)
		    said = done.stderr.decode()
		    assert done.returncode == 125, done
		    assert said == "mcp-reap: %s: it is made of packets: a stream is needed\n" % name, said
	EOF
}

@test "a pipe of packets is refused as stdout" {
	packets pipe stdout
}

@test "a socket of packets is refused" {
	packets SOCK_SEQPACKET stdin stdout
	packets SOCK_DGRAM stdin stdout
}

@test "from a pipe of packets every one comes whole, watched or not" {
	need python3
	local option
	for option in '' -s '-t trace' '-i 60'; do
		# shellcheck disable=SC2086
		python3 - "$MCP_REAP" $option 3>&- 7>&- 8<&- <<-'EOF'
			import os, subprocess, sys
			ours, theirs = os.pipe2(os.O_DIRECT)
			sent = b""
			child = subprocess.Popen([*sys.argv[1:], "--", "cat"], stdin=ours, stdout=open("got", "wb"), stderr=subprocess.DEVNULL)
			os.close(ours)
			for size in (4096, 1, 4095, 4073, 100) * 50:
			    packet = bytes([97 + size % 26]) * size
			    sent += packet
			    assert os.write(theirs, packet) == size
			os.close(theirs)
			child.wait()
			got = open("got", "rb").read()
			assert got == sent, (len(got), len(sent))
		EOF
	done
}

# At the end.

# shellcheck disable=SC2016 # what is quoted is for another shell
@test "a server that exits just when the client's pipe is full does not make us spin, and loses nothing" {
	local messages before
	mkfifo unread
	for messages in {2..6}; do
		exec 6<>unread
		MCP_REAP_TEST=$MARK "$MCP_REAP" -- sh -c 'for i in $(seq '"$messages"'); do
			dd if=/dev/zero bs=12288 count=1 2>/dev/null; sleep 0.05; done; exit 3' </dev/null >&6 2>err 3>&- 6>&- 7>&- 8<&- 9>tree &
		SHIM=$!
		await eval '! children "$SHIM" || gone "$SHIM"'
		if alive "$SHIM"; then # it waits for the client to read
			before=$(cpu "$SHIM")
			sleep 0.3
			(($(cpu "$SHIM") - before < 15))
		fi
		exec {reader}<unread
		exec 6>&-
		(($(wc -c <&"$reader") == messages * 12288))
		exec {reader}<&-
		ended
		((STATUS == 3))
	done
	nothing_left
}

# cpu PID: its time, in clock ticks.
cpu() {
	sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}
