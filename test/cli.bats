#!/usr/bin/env bats
# The command line: options, durations, messages and exit statuses.

# shellcheck disable=SC2016 # what is quoted is for another shell
# shellcheck disable=SC2153 # STATUS is set by helper.bash, status by try
load helper

# try [ARG]...: mcp-reap with INPUT, or none, as stdin; sets status, stdout (OUTPUT, or a file) and stderr.
try() {
	status=0
	: >out
	mcp_reap "$@" <"${INPUT:-/dev/null}" >"${OUTPUT:-out}" 2>err || status=$?
	# The x keeps newlines at the end.
	stdout=$(cat out && echo x) stderr=$(cat err && echo x)
	stdout=${stdout%x} stderr=${stderr%x}
	echo "$* -> $status, stdout: '$stdout', stderr: '$stderr'"
}

# lost COMMAND...: such a command, where no directory of PATH is closed to us, which would change the verdict.
lost() {
	local tool
	tool=$(command -v timeout)
	PATH=${tool%/*} try -- "$@"
}

# refused STATUS: it said why in one line, nothing on stdout, and left with STATUS.
refused() {
	[[ $status == "$1" && -z $stdout ]]
	[[ $stderr =~ ^'mcp-reap: '[^$'\n']+': '[^$'\n']+$'\n'$ ]]
}

# worked OUTPUT: status 0, with that line on stdout, and nothing on stderr.
worked() {
	[[ $status == 0 && $stdout == "$1"$'\n' && -z $stderr ]]
}

# Options.

@test "every short option is understood" {
	try -g 5 -k5 -x -o -- echo hello
	worked hello
}

@test "every long option is understood" {
	try --grace=5 --kill-after 5 --no-new-privs --outlive-parent -- echo hello
	worked hello
}

@test "short options can be put together" {
	try -xog5 -- echo hello
	worked hello
}

@test "options end at the command, without --" {
	try sh -c 'echo "$@"' sh -v -x --help -g
	worked '-v -x --help -g'
}

@test "a -- after the command is the command's" {
	try -- sh -c 'echo "$@"' sh -- a -- b
	worked '-- a -- b'
}

@test "after -- a word with a dash is the command" {
	lost -v
	refused 127
}

@test "--help and -h print the usage on stdout" {
	local option word
	for option in --help -h; do
		try "$option"
		[[ $status == 0 && -z $stderr ]]
		[[ $stdout == *'mcp-reap [OPTION]... [--] COMMAND [ARG]...'* ]]
		for word in grace kill-after no-new-privs outlive-parent verbose help version; do
			[[ $stdout == *"--$word"* ]]
		done
	done
}

@test "--version and -V print name and version on stdout" {
	local option
	for option in --version -V; do
		try "$option"
		[[ $status == 0 && -z $stderr ]]
		[[ $stdout =~ ^'mcp-reap '[0-9.]+$'\n'$ ]]
	done
}

@test "--help and --version fail with 125 if they cannot be written" {
	local option OUTPUT=/dev/full
	for option in --help --version; do
		try "$option"
		refused 125
		[[ $stderr == *': No space left on device'* ]]
	done
}

@test "an unknown option is refused" {
	try -Z -- true
	refused 125
	[[ $stderr == *Z* ]]
	try --no-such-option -- true
	refused 125
	[[ $stderr == *no-such-option* ]]
}

@test "an option without its value is refused" {
	try -g
	refused 125
	[[ $stderr == *g* ]]
	try --kill-after
	refused 125
	[[ $stderr == *kill-after* ]]
}

@test "a value for an option that takes none is refused" {
	try --verbose=3 -- true
	refused 125
	[[ $stderr == *verbose* ]]
}

@test "nothing is left of what was refused" {
	try -g 5
	refused 125
	lost no-such-command
	refused 127
	try -- /tmp
	refused 126
	nothing_left
}

@test "a missing command is refused" {
	try
	refused 125
	try --
	refused 125
	try -g 5
	refused 125
}

# Durations.

@test "durations are taken as sleep takes them, and in milliseconds" {
	local duration INPUT=in
	exec 7<>in # open, so that no grace begins
	for duration in 0 2 0.5 .5 5. 500ms 0.5ms 2s 0.5s 1m 0.5h 1h 1d 1000000; do
		try -g "$duration" --kill-after="$duration" -- echo hello
		worked hello
	done
}

@test "what is no duration is refused, with the option and the value named" {
	local duration
	for duration in '' -1 -0 nan NAN 'nan(1)' inf infinity -inf 1e999 1e99 0x10 2x s ms . ' 2' '2 ' '2 s' '2s ' 2S 2ss 2sm \
		1,5 ٣ 99999999999999999999h; do
		try -g "$duration" -- echo hello
		refused 125
		[[ $stderr == *grace* && $stderr == *"'$duration'"* ]]
		try "--kill-after=$duration" -- echo hello
		refused 125
		[[ $stderr == *kill-after* && $stderr == *"'$duration'"* ]]
	done
}

@test "a decimal point is a point in every locale" {
	local in_german=(env "LOCPATH=$PWD" LC_ALL=de_DE.ISO-8859-1)
	need_that 'locale to compile' localedef -i de_DE -f ISO-8859-1 ./de_DE.ISO-8859-1
	# With musl no program knows of locales.
	need_that 'printf that knows locales' "${in_german[@]}" printf %.1f 0,5
	run "${in_german[@]}" timeout -k 1 60 "$MCP_REAP" -g 0.5 -- echo hello </dev/null
	[[ $status == 0 && $output == hello ]]
}

@test "a grace in minutes, hours or days lasts longer than a second" {
	local unit
	for unit in m h d; do
		mcp_reap -g 1$unit -- sh -c 'cat; sleep 1; echo saved' </dev/null >"saved.$unit" &
	done
	wait
	[[ $(cat saved.*) == $'saved\nsaved\nsaved' ]]
}

@test "a grace in milliseconds is short" {
	# Taken for seconds it would let the server finish.
	try -g 100ms -- sh -c 'sleep 40; echo too late'
	[[ $status == 143 && -z $stdout ]]
	nothing_left
}

# Exit statuses.

@test "the exit status is the server's" {
	local code
	for code in 0 1 2 42 124 125 126 127 128 255; do
		try -- sh -c "exit $code"
		[[ $status == "$code" && -z $stdout && -z $stderr ]]
	done
}

@test "the exit status of a server that died of a signal is 128 and its number" {
	local number
	for number in 1 2 3 6 9 11 13 15; do
		try -- "$FIX/server" crash="$number"
		[[ $status == $((128 + number)) && -z $stdout && $stderr != *mcp-reap:* ]]
	done
}

@test "a command that is not found is 127, with one line" {
	lost no-such-command
	refused 127
	[[ $stderr == 'mcp-reap: no-such-command: not found in PATH='/*$'\n' ]]
	try -- ./no-such-command
	refused 127
	[[ $stderr == *./no-such-command*': No such file or directory'* ]]
}

@test "without a PATH a command that is not found says so" {
	run -127 --separate-stderr env -u PATH "$MCP_REAP" -- no-such-command
	[[ $stderr == 'mcp-reap: no-such-command: not found, and PATH is not set' ]]
}

@test "a command line in one word is named as such" {
	local command
	for command in 'npx -y foo' '/usr/bin/npx -y foo'; do
		lost "$command"
		refused 127
		[[ $stderr == "mcp-reap: $command: not found: it is one word; "* ]]
	done
}

@test "a program with a blank in its name can be run" {
	printf '#!/bin/sh\n' >'a program'
	chmod +x 'a program'
	run -0 mcp_reap -- './a program'
}

@test "--no-OPTION takes back what MCP_REAP_OPTIONS has set" {
	local option
	export MCP_REAP_OPTIONS
	for option in -v -s --trace=- --grace=x --kill-after=x --idle-stop=x; do
		MCP_REAP_OPTIONS=${option/x/1}
		option=${option/#-v/--verbose} option=${option/#-s/--stats} option=${option%=*}
		run -0 --separate-stderr mcp_reap "--no-${option#--}" -- true </dev/null
		[[ -z $stderr ]]
	done
	MCP_REAP_OPTIONS='-x -o -l -j'
	run -0 --separate-stderr mcp_reap --no-no-new-privs --no-outlive-parent --no-drop-launcher --no-json-only -- \
		sh -c 'echo noise; grep NoNewPrivs /proc/self/status' </dev/null
	[[ $output == $'noise\nNoNewPrivs:\t0' ]]
	MCP_REAP_OPTIONS='--no-verbose' run -0 --separate-stderr mcp_reap -v -- true </dev/null
	[[ -n $stderr ]]
}

@test "a mistake in MCP_REAP_OPTIONS does not disable --help and --version" {
	local value
	for value in '--nonsense' '"' '-L' 'word'; do
		MCP_REAP_OPTIONS=$value run -0 mcp_reap --help
		[[ $output == Usage:* ]]
		MCP_REAP_OPTIONS=$value run -0 mcp_reap -V
		MCP_REAP_OPTIONS=$value run -125 mcp_reap -- true -h
		run -125 mcp_reap --nonsense --help
	done
}

@test "an empty command is not found" {
	try -- ''
	[[ $status == 127 && $(wc -l <err) == 1 ]]
}

@test "a directory is no command: 126, with one line" {
	try -- /tmp
	refused 126
	[[ $stderr == */tmp*': Permission denied'* ]]
}

@test "a file that is not executable is no command: 126, with one line" {
	echo 'echo hello' >file
	try -- ./file
	refused 126
	[[ $stderr == *./file*': Permission denied'* ]]
}

@test "a script without an interpreter that exists is not found: 127, with one line" {
	printf '#!/no/such/interpreter\n' >file
	chmod +x file
	try -- ./file
	refused 127
	[[ $stderr == *./file*': No such file or directory'* ]]
}

@test "the command is looked up in PATH" {
	mkdir a b
	echo 'echo wrong' >a/some-command
	printf '#!/bin/sh\necho right\n' >b/some-command
	chmod +x b/some-command
	PATH=$PWD/a:$PWD/b:$PATH try -- some-command
	worked right
}

# -x.

@test "with -x the server cannot gain privileges" {
	local option
	for option in -x --no-new-privs; do
		try "$option" -- grep NoNewPrivs /proc/self/status
		worked $'NoNewPrivs:\t1'
	done
}

@test "without -x the server can gain privileges as the client can" {
	try -- grep NoNewPrivs /proc/self/status
	worked "$(grep NoNewPrivs /proc/self/status)"
}

# MCP_REAP_OPTIONS.

@test "MCP_REAP_OPTIONS is read before the command line, which has the last word" {
	MCP_REAP_OPTIONS='-x -g 2' try -- sh -c 'grep NoNewPrivs /proc/self/status; exec sleep 40'
	[[ $status == 143 && $stdout == $'NoNewPrivs:\t1\n' ]]
	MCP_REAP_OPTIONS='-g 100ms' try -g 40 -- sh -c 'sleep 1; echo saved'
	worked saved
}

@test "MCP_REAP_OPTIONS is split as the shell splits words that need no expansion" {
	local value
	for value in $' \t-v\n --grace  "1s" ' "-v '--grace=1s'" '-v --gr\ace "1"s' "'-v' -\"g\"1's'" '"-v" --grace=\1s'; do
		MCP_REAP_OPTIONS=$value try -- echo hello
		[[ $status == 0 && $stdout == $'hello\n' && $stderr == *': done '* ]]
	done
	for value in "--grace='1 s'" '--grace=1\ s' '--grace="1 s"'; do
		MCP_REAP_OPTIONS=$value try -- echo hello
		refused 125
		[[ $stderr == "mcp-reap: MCP_REAP_OPTIONS: --grace: '1 s': not a duration"$'\n' ]]
	done
	for value in '$HOME' '"$(:)"' '*' '~' '"\$\`\"\\\x"'; do
		MCP_REAP_OPTIONS=--grace=$value try -- echo hello
		refused 125
		value=${value#'"'} value=${value%'"'}
		[[ $value != *x ]] || value='$`"\\x'
		[[ $stderr == *": --grace: '$value': "* ]]
	done
}

# -z, -r, -f.

@test "--lazy, --restart, --frugal and their --no- are taken, on the command line and in MCP_REAP_OPTIONS" {
	local options
	for options in -z --lazy -r --restart -f --frugal -zrf '--no-lazy --no-restart' '-f --idle-stop=5m --no-lazy'; do
		# shellcheck disable=SC2086
		try $options --no-lazy -- echo '{}'
		worked '{}'
		MCP_REAP_OPTIONS=$options try --no-lazy -- echo '{}'
		worked '{}'
	done
}

@test "--frugal is --json-only, and what is behind it has the last word" {
	try -f --no-lazy -- echo hello
	[[ $status == 0 && $stdout == '' && $stderr == $'hello\n' ]]
	try -f --no-lazy --no-json-only -- echo hello
	worked hello
}

@test "MCP_REAP_OPTIONS that is empty or blank is none" {
	local value
	for value in '' ' ' $'\n\t'; do
		MCP_REAP_OPTIONS=$value try -- echo hello
		worked hello
	done
}

@test "bad content of MCP_REAP_OPTIONS is refused with 125, and the variable named" {
	local value
	for value in true '-- true' '""' "'" '"-v' "\\" "-v \\" -Z --no-such-option -g --verbose=3 --list -L --help -V \
		--stop=1 --restart=1 --forget; do
		MCP_REAP_OPTIONS=$value try -- echo hello
		refused 125
		[[ $stderr == 'mcp-reap: MCP_REAP_OPTIONS: '* ]]
	done
}

@test "the server does not see MCP_REAP_OPTIONS" {
	MCP_REAP_OPTIONS=-x try -- sh -c 'echo "${MCP_REAP_OPTIONS-none}"'
	worked none
}

# -v.

# said_by [OPTION]...: what such a session says on stderr, one that ends with SIGTERM and SIGKILL.
said_by() {
	start "$@" -g 0.1 -k 0.1 -- "$FIX/server" deaf term-proof child ready
	await has '^ready'
	close_stdin
	ended
	[[ $STATUS == 137 && $(<out) == 'ready '* ]]
	stderr=$(<err)
	nothing_left
}

@test "without -v a session says nothing" {
	said_by
	[[ -z $stderr ]]
}

@test "with -v a session says on stderr how it starts and ends, whom it signalled and reaped, and how long it took" {
	local option line
	for option in -v --verbose; do
		said_by "$option"
		echo "$stderr"
		while read -r line; do
			[[ $line =~ ^mcp-reap\[[0-9]+\]:\ [a-z] ]]
		done <err
		[[ $stderr =~ ': start shim='[0-9]+' reaper='[0-9]+' client='[0-9]+' command='[^$'\n']*server$'\n' ]]
		[[ $stderr == *': end reason=stdin-closed'* ]]
		[[ $stderr == *': signal name=TERM processes=2'* ]]
		[[ $stderr == *': signal name=KILL'* ]]
		[[ $stderr =~ ': reaped pid='[0-9]+' command=server signal=KILL'$'\n' ]]
		[[ $stderr =~ ': reaped pid='[0-9]+' command=server signal=TERM'$'\n' ]]
		[[ $stderr =~ ': done status=137 '.*'seconds='[0-9.]+$ ]]
	done
}
