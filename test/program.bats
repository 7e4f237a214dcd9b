#!/usr/bin/env bats
# --idle-stop behind a launcher: what is started again is the program, and where that cannot be, the command.

# shellcheck disable=SC2030,SC2031,SC2153 # each test is a subshell; helper.bash sets STATUS
load helper
load mcp

NPX=$BATS_TEST_DIRNAME/fixtures/npx.cjs

# npx SHELL-COMMAND [HOW]...: a session with it behind the fixture `npx`, stopped when idle.
npx() {
	need node
	start -v -i 3 -g 0.2 -k 0.2 -- node "$NPX" "${@:2}" -- "$1"
}

# again: the server is stopped, and called for.
again() {
	await asleep
	ask 1
	[[ $SERVER == "$(server)" ]]
}

# of_program, of_command: what answers was started by it.
of_program() {
	await has 'idle-start .*program=' err
}
of_command() {
	await has 'idle-start' err
	run ! has 'idle-start .*program=' err
}

@test "what is started again is the program behind npx, without npx" {
	npx "'$FIX/mcp' log=log keep=keep"
	hello
	again
	of_program
	[[ $(children "$(reaper_pid)") == "$(server)" ]]
	close_stdin
	ended
	[[ $STATUS == 0 ]]
	nothing_left
}

@test "it has the arguments, the environment and the directory that it had" {
	local pid
	mkdir dir
	npx "cd dir && ONE='a b' '$FIX/mcp' log='$PWD/log' 'stderr=c  d'"
	hello
	pid=$(server)
	tr '\0' '\n' <"/proc/$pid/environ" | sort >environ
	tr '\0' '\n' <"/proc/$pid/cmdline" >cmdline
	again
	of_program
	pid=$(server)
	[[ $(readlink "/proc/$pid/cwd") == "$PWD/dir" ]]
	tr '\0' '\n' <"/proc/$pid/environ" | sort | cmp - environ
	tr '\0' '\n' <"/proc/$pid/cmdline" | cmp - cmdline
	grep -qx 'ONE=a b' environ
}

@test "a program that was called by a link is called by it again" {
	ln -s "$FIX/mcp" link
	npx "'$PWD/link' log=log keep=keep"
	hello
	again
	of_program
	has "program=.*/link" err
}

@test "it is stopped and started many times" {
	local i
	npx "'$FIX/mcp' log=log keep=keep"
	hello
	for ((i = 1; i <= 3; i++)); do
		await asleep
		ask "$i"
		of_program
	done
	(($(grep -c 'idle-start .*program=' err) == 3))
}

@test "with --drop-launcher the program is known, too" {
	need node
	start -v -l -i 3 -g 0.2 -k 0.2 -- node "$NPX" -- "'$FIX/mcp' log=log keep=keep"
	hello
	await has launcher-dropped err
	again
	of_program
}

@test "without a launcher the command is run" {
	session -v -i 1 --
	hello
	again
	run ! has 'program=' err
}

@test "a program whose file is gone is replaced by the command" {
	npx "[ -e srv ] || cp '$FIX/mcp' srv; '$PWD/srv' log=log keep=keep"
	hello
	await asleep
	rm srv
	ask 1
	[[ -e srv ]]
}

@test "a program that exits before it answers is replaced by the command" {
	cat >srv <<-END
		#!/bin/bash
		rm token || exit 3
		'$FIX/mcp' log=log keep=keep
		exit
	END
	chmod +x srv
	npx "touch token; ./srv"
	hello
	again
	of_command
	has 'idle-program-failed .*status=3' err
	await asleep
	ask 2
	(($(grep -c 'idle-program-failed' err) == 1))
}

@test "a program that has overwritten its arguments is started by the command" {
	npx "bash -c 'exec -a title \"$FIX/mcp\" log=log keep=keep'"
	hello
	again
	of_command
}

@test "a program with fewer rights than its launcher is started by the command" {
	need setpriv
	npx "setpriv --no-new-privs '$FIX/mcp' log=log keep=keep"
	hello
	again
	of_command
	grep -q 'NoNewPrivs:.1' "/proc/$(server)/status"
}

@test "a shell that may have more to do than to wait is started again" {
	npx "'$FIX/mcp' log=log keep=keep; touch finished" 'title=npm run fixture'
	hello
	again
	of_command
	[[ -e finished ]]
}

@test "a directory that is gone leaves it to the command" {
	npx "mkdir -p dir && cd dir && '$FIX/mcp' log='$PWD/log'"
	hello
	await asleep
	rmdir dir
	ask 1
	[[ -d dir ]]
}
