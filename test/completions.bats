#!/usr/bin/env bats
# The completions in each shell, loaded as make install puts them in place, or as they are in MCP_REAP_TEST_SHARE.

# shellcheck disable=SC2016 # what is quoted is for another shell
load helper

setup_file() {
	export SHARE=${MCP_REAP_TEST_SHARE:-$BATS_FILE_TMPDIR/usr/share}
	[[ -z ${MCP_REAP_TEST_SHARE-} ]] || return 0
	cd "$BATS_TEST_DIRNAME/.." || return
	make -s install DESTDIR="$BATS_FILE_TMPDIR" PREFIX=/usr
}

# complete_in SHELL LINE: what SHELL makes of LINE at a press of the tabulator key, into completed.
complete_in() {
	case $1 in
	bash) bash --norc -c "$IN_BASH" - "$SHARE/bash-completion/completions/mcp-reap" "$2" ;;
	zsh) timeout -k 1 $((PATIENCE + 10)) zsh -f -c "$IN_ZSH" - "$SHARE/zsh/site-functions $SHARE/zsh/vendor-completions" "$2" "$PATIENCE" \
		"$BATS_FILE_TMPDIR/zcompdump" ;;
	fish) fish -c "source $SHARE/fish/vendor_completions.d/mcp-reap.fish; complete -C \$argv[1]" -- "$2" ;;
	esac >"$BATS_TEST_TMPDIR/completed" </dev/null 3>&- 7>&- 8<&- 9>&-
	echo "$1: $2 -> $(<"$BATS_TEST_TMPDIR/completed")"
}

# Splits the line as readline does, at blanks and around =.
IN_BASH='
	. /usr/share/bash-completion/bash_completion
	. "$1"
	compopt() { :; }
	COMP_LINE=$2 COMP_POINT=${#2}
	read -ra COMP_WORDS <<<"${2//=/ = }"
	[[ $2 != *" " ]] || COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_mcp_reap mcp-reap "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
	printf "%s\n" "${COMPREPLY[@]}"'

# An interactive zsh in a terminal of its own, which shows its line when told to.
IN_ZSH='
	zmodload zsh/zpty
	zpty -b z "TERM=dumb zsh -f -i"
	heard=""
	hear() {
		local end=$((SECONDS + $2)) part
		until [[ $heard == *${~1}* ]]; do
			((SECONDS < end)) || return
			zpty -r -t z part && heard+=$part || sleep 0.05
		done
	}
	zpty -w z "fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -d $4; bindkey \"^I\" complete-word
		shown() { print -r -- \"[\$BUFFER]\" }; zle -N shown; bindkey \"^X\" shown; print REA\"\"DY"
	hear READY $3 || exit
	heard=""
	zpty -w -n z "$2"$'"'\\t\\x18'"'
	hear "\[*\]" $3
	print -r -- "$heard"
	zpty -d z'

# completes SHELL LINE WORD: to WORD, among others perhaps.
completes() {
	complete_in "$1" "$2"
	grep -qwF -e "$3" completed
}

# claims_in SHELL: that it completes each LINE to WORD, of the lines "LINE | WORD" on stdin.
claims_in() {
	local line word
	need "$1"
	[[ $1 != bash ]] || need_that bash-completion test -r /usr/share/bash-completion/bash_completion
	: >some-file
	while IFS='|' read -r line word; do
		completes "$1" "${line% }" "${word# }"
	done
}

# SHIM is among the sessions.
listed() {
	"$MCP_REAP" --list | grep -q "^ *$SHIM  "
}

OPTIONS='
mcp-reap --gr | --grace
mcp-reap --kill | --kill-after
mcp-reap --idle-s | --idle-stop
mcp-reap --idle-r | --idle-request
mcp-reap --laz | --lazy
mcp-reap --rest | --restart
mcp-reap --fru | --frugal
mcp-reap --sto | --stop
mcp-reap --forg | --forget
mcp-reap --drop | --drop-launcher
mcp-reap --json | --json-only
mcp-reap --no-new | --no-new-privs
mcp-reap --outl | --outlive-parent
mcp-reap --verb | --verbose
mcp-reap --sta | --stats
mcp-reap --tra | --trace
mcp-reap --trace-m | --trace-max
mcp-reap --spa | --spare
mcp-reap --lis | --list
mcp-reap --hel | --help
mcp-reap --vers | --version
mcp-reap -v --grace=2 -k 3s --drop | --drop-launcher
mcp-reap --list=j | json
mcp-reap --stats=j | json
mcp-reap --drop-launcher=a | all
mcp-reap --idle-stop=a | auto
mcp-reap -t some | some-file
mcp-reap --trace=some | some-file'

COMMAND='
mcp-reap timeo | timeout
mcp-reap -v -- timeo | timeout
mcp-reap -vg 2 --kill-after 3 --trace=x timeo | timeout
mcp-reap -tx.log -g2 timeo | timeout
mcp-reap timeout --preserve | --preserve-status
mcp-reap -v -- timeout --preserve | --preserve-status
mcp-reap --stats timeout --preserve | --preserve-status
mcp-reap --stats=json -t x timeout --preserve | --preserve-status'

@test "bash completes every option, and the values that some have" {
	claims_in bash <<<"${OPTIONS#?}"
}

@test "bash completes the command, and then as the command does" {
	claims_in bash <<<"${COMMAND#?}"
}

@test "zsh completes every option, and the values that some have" {
	claims_in zsh <<<"${OPTIONS#?}"
}

@test "zsh completes the command, and then as the command does" {
	claims_in zsh <<<"${COMMAND#?}"
}

@test "fish completes every option, and the values that some have" {
	claims_in fish <<<"${OPTIONS#?}"
}

@test "fish completes the command, and then as the command does" {
	claims_in fish <<<"${COMMAND#?}"
}

@test "the PIDs of sessions are completed where one is to be stopped or restarted" {
	local shell
	start -- cat
	# Of all the sessions that are there, ours.
	printf '#!/bin/sh\n"%s" --list | grep -e PID -e "^ *%s  " -e "sessions*,"\n' "$MCP_REAP" "$SHIM" >mcp-reap
	chmod +x mcp-reap
	PATH=$PWD:$PATH
	await listed
	for shell in bash fish zsh; do
		need "$shell"
		completes "$shell" 'mcp-reap --stop=' "$SHIM"
		completes "$shell" 'mcp-reap --restart=' "$SHIM"
	done
}

@test "every long option of --help is in each completion, and in the tests of them" {
	local option
	for option in $("$MCP_REAP" --help | sed -nE 's/^  (-.,|   ) --([a-z-]*).*/\2/p'); do
		grep -q -e "--$option" "$BATS_TEST_DIRNAME/../completions/mcp-reap.bash"
		grep -q -e "--$option" "$BATS_TEST_DIRNAME/../completions/_mcp-reap"
		grep -q -e "-l $option " "$BATS_TEST_DIRNAME/../completions/mcp-reap.fish"
		[[ $OPTIONS == *"| --$option"$'\n'* ]]
	done
}

@test "the man page, --help and the options that are taken are the same" {
	local option
	"$MCP_REAP" --help | sed -nE 's/^  (-.,|   ) --([a-z-]*).*/\2/p' | sort -u >help
	sed -nE 's/^\.It (Fl .* , )?Fl -([a-z-]+).*/\2/p' "$BATS_TEST_DIRNAME/../man/mcp-reap.1" | sort -u | diff help -
	(($(wc -l <help) > 10))
	while read -r option; do
		run "$MCP_REAP" "--$option=" -- true </dev/null
		[[ $output != *'unknown option'* || $option =~ ^(forget|frugal|json-only|lazy|no-new-privs|outlive-parent|verbose|help|version)$ ]]
	done <help
}

@test "make uninstall removes what make install puts in place" {
	cd "$BATS_TEST_DIRNAME/.."
	make -s install DESTDIR="$BATS_TEST_TMPDIR/root" PREFIX=/usr
	(($(find "$BATS_TEST_TMPDIR/root" -type f | wc -l) == 5))
	make -s uninstall DESTDIR="$BATS_TEST_TMPDIR/root" PREFIX=/usr
	(($(find "$BATS_TEST_TMPDIR/root" -type f | wc -l) == 0))
}
