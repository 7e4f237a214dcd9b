#!/usr/bin/env bats
# A look at the tree alone: what is seen of processes that do one thing each.

bats_require_minimum_version 1.5.0

setup() {
	LOOK=$BATS_TEST_DIRNAME/../bin/unit/look
	NPX=$BATS_TEST_DIRNAME/../fixtures/npx.cjs
	cd "$BATS_TEST_TMPDIR" || return
}

# sees EXPECTED cpu|working|resting|younger|holding COMMAND...
sees() {
	run -0 timeout 60 "$LOOK" "${@:2}"
	echo "${*:2}: $output, not $1"
	[[ $output == "$1" ]]
}

# holds WHAT WORD...: a server that does as the words say.
holds() {
	sees "$1" holding "$LOOK" server "${@:2}"
}

# younger NAME WORD...
younger() {
	sees "$1" younger "$LOOK" server "${@:2}"
}

# behind_npx WHAT WORD...: the same behind npm's shell and npm.
behind_npx() {
	command -v node >/dev/null || skip "no node here"
	sees "$1" holding node "$NPX" -- "exec '$LOOK' server ${*:2}"
}

# has_used WORD...: 300 ms of CPU, give or take the ticks of a few processes.
has_used() {
	run -0 timeout 60 "$LOOK" cpu "$LOOK" server "$@"
	echo "$output ms"
	((output >= 250 && output < 600))
}

@test "what a server computes is seen" {
	has_used spin
}

@test "what a child has computed is seen when it is dead" {
	has_used spin-child
}

@test "a server that has done nothing has used next to nothing" {
	run -0 timeout 60 "$LOOK" cpu "$LOOK" server file
	((output < 150))
}

@test "a server that waits, and what waits below it, is not at work" {
	sees none resting "$LOOK" server child daemon zombie
}

@test "a process that computes at this moment is at work" {
	sees helper working "$LOOK" server spinner
}

@test "a thread that computes makes its process one at work, though the first thread waits" {
	sees helper working "$LOOK" server spinning-thread
}

@test "what cannot be interrupted is at work" {
	sees helper working "$LOOK" server vfork
}

@test "a process that came later than the first use is found, by its name" {
	younger helper use child
	younger helper use daemon
}

@test "what was there before the first use is not younger" {
	younger none child daemon use
}

@test "who was there when all were mustered is not younger" {
	younger none use child muster
	younger helper use child muster child
}

@test "a dead child is not younger" {
	younger none use zombie
}

@test "a process whose first thread has exited is not dead" {
	younger helper use headless
	holds children headless
}

@test "a server with open files and pipes holds nothing" {
	holds nothing file
}

@test "a child, a daemon, or a server elsewhere is more than a server" {
	holds children child
	holds children daemon
	holds children child child
	holds children null
}

@test "a child that is dead is none" {
	holds nothing zombie
}

@test "a socket that listens is one" {
	holds socket listen-tcp
	holds socket listen-unix
}

@test "a connected socket is one" {
	holds socket connect-tcp
	holds socket connect-unix
}

@test "a socket of which nothing is known is one" {
	holds socket udp
	holds socket netlink
	holds socket half-pair
}

@test "a pair of sockets within the server is none, another beside it is" {
	holds nothing pair
	holds nothing pair pair
	holds socket pair connect-unix
}

@test "a pair of sockets that a child has, too, is more" {
	holds children pair child
}

@test "a socket as stderr is none" {
	holds nothing stderr
}

@test "what may not be read is not taken for nothing" {
	command -v setpriv >/dev/null || skip "no setpriv here"
	local without=()
	((EUID)) || without=(setpriv --inh-caps=-all --bounding-set=-all)
	run -0 timeout 60 "${without[@]}" "$LOOK" holding "$LOOK" server hide
	[[ $output == unreadable ]]
}

@test "each kind of lock is one" {
	holds lock flock
	holds lock posix
	holds lock ofd
	holds lock lease
}

@test "behind npx it is the server that is looked at" {
	behind_npx nothing file
	behind_npx socket listen-tcp
	behind_npx lock flock
	behind_npx children child child
}
