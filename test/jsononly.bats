#!/usr/bin/env bats
# --json-only: what is not JSON goes to stderr, whole and in order, and nothing else changes.

# shellcheck disable=SC2030,SC2031,SC2153 # each test is a subshell; helper.bash sets STATUS
# shellcheck disable=SC2016 # what is quoted is for another shell
load helper
load mcp

# How a line begins that is a message.
MESSAGE='^[[:blank:]]*(\[[[:blank:]]*)?\{[[:blank:]]*["}]'

# parted [COMMAND...]: what a server writes, the file `lines`, comes out as it should: in `want.out` and `want.err`.
parted() {
	local code=0
	(($#)) || set -- cat lines
	mcp_reap -j -g 60 -- "$@" </dev/null >out 2>err || code=$?
	cmp out want.out
	cmp err want.err
	nothing_left
	return "$code"
}

# lines TEXT...: these, with a newline behind each; those that begin as a message does are for stdout.
lines() {
	printf '%s\n' "$@" >lines
	grep -E "$MESSAGE" lines >want.out || :
	grep -vE "$MESSAGE" lines >want.err || :
}

# many: thousands of lines of all kinds and lengths, the same each time.
many() {
	awk 'BEGIN {
		srand(1)
		split("{\"a\":|[{\"a\":|npm warn|  { \"a\":|\t[ {}|}|  noise {|\"{\"|0|:{|<html>|\033[1m{", begin, "|")
		for (i = 0; i < 20000; i++) {
			line = begin[1 + int(rand() * 12)] " line " i " "
			for (j = int(rand() * rand() * 60); j > 0; j--)
				line = line "{x}" j
			if (rand() < 0.002)
				for (j = 0; j < 12000; j++)
					line = line " more of it"
			print line
		}
	}' >lines
	grep -E "$MESSAGE" lines >want.out
	grep -vE "$MESSAGE" lines >want.err
	[[ -s want.out && -s want.err ]]
}

@test "lines that are not JSON go to stderr, the others to stdout" {
	lines 'npm warn deprecated' '{"jsonrpc":"2.0"}' 'Listening on stdio' '[{"jsonrpc":"2.0"}]' '"text"' 0 null '}' '<html>'
	parted
}

@test "blanks in front do not matter" {
	lines '  {"a":1}' $'\t[{"a":1}]' $' \t { "a":2}' $'{\t}' '[ { "a":3}]' '  noise' $'\tnoise {"a":1}' ' "a"'
	parted
}

@test "brackets in the middle of a line do not matter" {
	lines 'server: {"a":1}' 'a[1]' '{"a":"noise"}' '{ broken JSON' '[also broken'
	parted
}

@test "noise that begins as JSON does goes to stderr" {
	lines '[dotenv@17.2.3] injecting env (0) from .env' '[INFO] ready' '[2026-11-26 10:00:00] up' '[1]' '[]' \
		'{ level: 3 }' '{level:3}' "{ 'a': 1 }" "[ 'a', 'b' ]" '[ { a: 1 } ]' '{{}}' '{"a":1}'
	parted
}

@test "blank lines are noise" {
	lines '' '{"a":1}' '   ' $'\t' $'\r' '{"a":2}' ''
	parted
}

@test "an object that is printed over several lines is noise, line by line" {
	lines '{' '  level: 3,' '  name: {' "    a: [ 'b' ]" '  }' '}' '{"a":1}' '[' '  {' '    a: 1' '  }' ']' '{ ' '[ ' '[ {'
	parted
}

@test "a byte order mark is cut off, wherever the bytes are cut" {
	local size
	printf '\xef\xbb\xbf{"id":1}\n\xef\xbb\xbfnoise\n\xef\xbb\xbf\n\xef\xbbx\n{"id":2}\n\xef\xbb' >lines
	printf '{"id":1}\n{"id":2}\n' >want.out
	printf '\xef\xbb\xbf\xef\xbb\xbfnoise\n\xef\xbb\xbf\n\xef\xbbx\n\xef\xbb' >want.err
	for size in 1 2 3 4 1000; do
		parted dd if=lines bs="$size" status=none
		again
	done
}

@test "text that is glued to a message is cut off, and the message comes, wherever the bytes are cut" {
	local size
	printf '%s' $'Loading... {"jsonrpc":"2.0","id":1}\n' $'\e]0;npm\a{"jsonrpc" : "2.0"}\n' \
		$'{"json{"jsonrpc":2}\n' $'a{"resul{"result":{"a":"{"}}\n' $'x{"method":1}{"method":"y"}\n' $'{ level: 3 }{"jsonrpc":1}\n' >lines
	printf 'a\0b{"jsonrpc":3}\nlast{"jsonrp' >>lines
	printf '%s' $'{"jsonrpc":"2.0","id":1}\n' $'{"jsonrpc" : "2.0"}\n' \
		$'{"json{"jsonrpc":2}\n' $'{"result":{"a":"{"}}\n' $'{"method":"y"}\n' $'{"jsonrpc":1}\n' >want.out
	printf '{"jsonrpc":3}\n' >>want.out
	printf '%s' 'Loading... ' $'\e]0;npm\a' 'a{"resul' 'x{"method":1}' '{ level: 3 }' >want.err
	printf 'a\0blast{"jsonrp' >>want.err
	for size in 1 2 7 1000; do
		parted dd if=lines bs="$size" status=none
		again
	done
}

# again: another session in the same test.
again() {
	exec 8<&-
	exec 9<>tree
	exec 8<tree 9>&-
}

@test "what may yet be a message is not held for ever when the server exits" {
	local text
	for text in '{' '[' '[{' '  ' '{ '; do
		printf '%s' "$text" >lines
		: >want.out
		cp lines want.err
		parted
		again
	done
}

@test "without --json-only every line goes to stdout" {
	lines 'npm warn deprecated' '{"jsonrpc":"2.0"}'
	mcp_reap -g 60 -- cat lines </dev/null >out 2>err
	cmp out lines
	[[ ! -s err ]]
}

@test "thousands of lines are parted, each whole and in order" {
	many
	parted
}

@test "thousands of lines that come in pieces are parted, each whole and in order" {
	local size
	many
	head -n 3000 lines >some
	mv some lines
	grep -E "$MESSAGE" lines >want.out
	grep -vE "$MESSAGE" lines >want.err
	for size in 1 7 4095; do
		parted dd if=lines bs="$size" status=none
		again
	done
}

@test "lines of 10 MB of both kinds come whole" {
	{
		printf '{"'
		head -c 10000000 /dev/zero | tr '\0' '{'
		printf '\nn'
		head -c 10000000 /dev/zero | tr '\0' '{'
		printf '\n{"a":1}\nmore\n'
	} >lines
	grep '^{' lines >want.out
	grep -v '^{' lines >want.err
	parted
}

@test "a line of 100 MB passes unchanged" {
	{
		printf '{"a":"'
		head -c 100000000 /dev/zero | tr '\0' x
		printf '"}\n'
	} >lines
	cp lines want.out
	: >want.err
	parted
}

# More blanks than are kept: where the line goes is not said, but it is whole.
@test "a line with 100 KB of blanks in front comes whole" {
	{
		printf '%100000s{"a":1}\n' ''
		printf '{"a":2}\n'
	} >lines
	mcp_reap -j -g 60 -- cat lines </dev/null >out 2>err
	cat out err | sort | cmp - <(sort lines)
	has '^{"a":2}$'
}

@test "a last line without a newline comes, when it is JSON" {
	printf 'noise\n{"a":1}' >lines
	printf '{"a":1}' >want.out
	echo noise >want.err
	parted
}

@test "a last line without a newline comes, when it is not JSON" {
	printf '{"a":1}\nnoise' >lines
	echo '{"a":1}' >want.out
	printf 'noise' >want.err
	parted
}

@test "what a server writes just before it crashes arrives, at both ends" {
	lines 'noise 1' '{"a":1}' 'noise 2' '{"a":2}'
	run parted sh -c 'cat lines; kill -KILL $$'
	[[ $status == 137 ]]
}

@test "a message is not held up until its end" {
	start -j -g 0.2 -k 0.2 -- sh -c 'printf "  {\"a\""; exec sleep 300'
	await grep -q '^  {"a"$' out
}

@test "noise is not held up until its end" {
	start -j -g 0.2 -k 0.2 -- sh -c 'printf "Password: "; exec sleep 300'
	await grep -q '^Password: $' err
	[[ ! -s out ]]
}

@test "blanks wait for what they are in front of" {
	start -j -g 0.2 -k 0.2 -- sh -c 'printf "  "; touch said; until [ -e go ]; do sleep 0.02; done; echo text; exec sleep 300'
	await test -e said
	sleep 0.5
	[[ ! -s out && ! -s err ]]
	: >go
	await grep -qx '  text' err
	[[ ! -s out ]]
}

@test "both kinds stay in order where stdout and stderr are the same" {
	many
	start_to_one_pipe
	cat <&"$OUTPUT" >got
	ended
	[[ $STATUS == 0 ]]
	cmp got lines
}
start_to_one_pipe() {
	local both w
	mkfifo pipe
	exec {both}<>pipe
	exec {w}>pipe
	exec {OUTPUT}<pipe {both}>&-
	launch bash -c "exec \"\$@\" >&$w 2>&1 $w>&- $OUTPUT<&-" - "$MCP_REAP" -j -g 60 -- cat lines
	SHIM=$!
	exec {w}>&-
}

# stderr_to_pipe [OPTION]... -- COMMAND...: a session whose stderr is a pipe; we hold its other end as ERRORS.
stderr_to_pipe() {
	local both w
	mkfifo errors
	exec {both}<>errors
	exec {w}>errors
	exec {ERRORS}<errors {both}>&-
	launch bash -c "exec \"\$@\" 2>&$w $w>&- $ERRORS<&-" - "$MCP_REAP" -j "$@"
	SHIM=$!
	exec {w}>&-
}

@test "a stderr that is read slowly gets every line, and stdout too" {
	many
	stderr_to_pipe -g 60 -- cat lines
	while IFS= read -r -N 65536 -u "$ERRORS" piece || [[ $piece ]]; do
		printf '%s' "$piece"
		sleep 0.02
	done >got
	ended
	[[ $STATUS == 0 ]]
	cmp got want.err
	cmp out want.out
}

@test "a stderr that nobody reads does not keep the client from sending" {
	local i
	stderr_to_pipe -g 0.2 -k 0.2 -- sh -c 'yes noise & exec cat >got'
	for ((i = 0; i < 5; i++)); do
		sleep 0.1
		say "line $i"
	done
	await has 'line 4' got
	kill -TERM "$SHIM"
	ended
	nothing_left
}

@test "a stderr that nobody reads does not keep a session from ending" {
	stderr_to_pipe -g 0.2 -k 0.2 -- sh -c 'yes noise & exec cat'
	sleep 0.5
	close_stdin
	ended
	nothing_left
}

@test "noise that nobody reads does not hold a message" {
	local i
	stderr_to_pipe -g 60 -- sh -c 'head -c 300000 /dev/zero | tr "\\0" x; echo; while read -r line; do echo "noise $line"; echo "{\"id\":$line}"; done'
	for i in 1 2 3; do
		say "$i"
		await grep -qx "{\"id\":$i}" out
	done
	close_stdin
	ended
	[[ $STATUS == 0 ]]
	nothing_left
}

@test "noise that is read again after it was dropped comes whole, and the loss is said once" {
	local i
	stderr_to_pipe -g 60 -- sh -c 'head -c 300000 /dev/zero | tr "\\0" x; echo; while read -r line; do echo "noise $line"; echo "{\"id\":$line}"; done'
	say 1
	await has '"id":1'
	cat <&"$ERRORS" >got 2>/dev/null 3>&- 7>&- 8<&- &
	SPARE+=("$!")
	for i in 2 3 4; do
		await eval '(($(wc -c <got) >= 65536))'
		say "$i"
		await has "noise $i$" got
	done
	close_stdin
	ended
	(($(grep -c 'bytes for it were dropped' got) == 1))
}

@test "a stderr that is closed takes the noise, and nothing else is lost" {
	lines noise '{"a":1}' noise '{"a":2}'
	mcp_reap -j -g 60 -- cat lines </dev/null >out 2>&-
	cmp out want.out
	nothing_left
}

@test "a stderr whose reader is gone takes the noise, and nothing else is lost" {
	many
	stderr_to_pipe -g 60 -- cat lines
	exec {ERRORS}<&-
	ended
	[[ $STATUS == 0 ]]
	cmp out want.out
	nothing_left
}

@test "a stderr on a full disk takes the noise, and nothing else is lost" {
	many
	mcp_reap -j -g 60 -- cat lines </dev/null >out 2>/dev/full
	cmp out want.out
	nothing_left
}

@test "what the client sends is not touched" {
	many
	mcp_reap -j -g 60 -- sh -c 'cat >got' <lines
	cmp got lines
	nothing_left
}

@test "what the server itself writes to stderr comes as it is" {
	mcp_reap -j -g 60 -- sh -c 'echo "{\"a\":1}" >&2; echo "{\"a\":2}"' </dev/null >out 2>err
	[[ $(<err) == '{"a":1}' && $(<out) == '{"a":2}' ]]
	nothing_left
}

@test "the long option has the same meaning, and the server's status comes through" {
	run -3 --separate-stderr mcp_reap --json-only -- sh -c 'echo noise; echo "{}"; exit 3' </dev/null
	# shellcheck disable=SC2154 # by run
	[[ $output == '{}' && $stderr == noise ]]
	nothing_left
}


# With --idle-stop.

@test "with --json-only noise of the server does not turn idle-stop off" {
	session -j -i 100ms --
	hello
	call 1 raw '{"text":"listening\n","behind":"more\n"}'
	await answered 1
	await asleep
	has '^listening$' err
	ask 2
	(($(servers | wc -l) >= 2))
	run ! has listening
}

@test "with --json-only a restarted server's noise goes to stderr, before and within the handshake" {
	start -j -i 100ms -g 0.2 -k 0.2 -- sh -c 'echo noise 1; echo "  noise 2"; exec "$0" "$@"' "$FIX/mcp" log=log
	hello
	await asleep
	ask 1
	[[ $(grep -v '^mcp-reap: idle-stop: ' err) == $'noise 1\n  noise 2\nnoise 1\n  noise 2' ]]
	(($(wc -l <out) == 2))
}

@test "with --json-only an unfinished noise of the server does not keep it, and does not end in the next one" {
	session -j -i 100ms --
	hello
	call 1 raw '{"behind":"half of a line"}'
	await answered 1
	await asleep
	grep -qF 'half of a line' err
	ask 2
	(($(servers | wc -l) >= 2))
	run ! has half
}

@test "with --json-only many lines of one write all pass while the server says no more" {
	start -j -- sh -c 'i=0; while [ $i -lt 200 ]; do echo "{\"n\":$i}"; i=$((i + 1)); done >lines; cat lines; exec sleep 300'
	await eval '(($(wc -l <out) == 200))'
	cmp lines out
}

@test "with --json-only a full FIFO on stderr does not keep a session from ending" {
	mkfifo full
	exec 6<>full
	MCP_REAP_TEST=$MARK "$MCP_REAP" -j -v -- "$FIX/server" echo <in >out 2>&6 3>&- 6>&- 7>&- 8<&- 9>tree &
	SHIM=$!
	exec 7>in
	timeout 1 yes >&6 || :
	say '{"id":1}'
	await has '^{"id":1}$'
	close_stdin
	ended
	nothing_left
	exec 6>&-
}
