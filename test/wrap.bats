#!/usr/bin/env bats
# contrib/wrap-config: a client's configuration with mcp-reap in front of its servers, and without it again.

# shellcheck disable=SC2016,SC2030,SC2031 # what is quoted is for jq or another shell; each test has its own PATH
load helper

WRAP=$BATS_TEST_DIRNAME/../contrib/wrap-config

setup_file() {
	need jq
	need_that contrib/wrap-config test -x "$WRAP"
}

# The file to work on is c.json, what it was before is before.json; mcp-reap is in PATH, and REAP is how it is written.
prepare() {
	mkdir bin
	ln -s "$MCP_REAP" bin/mcp-reap
	REAP=$PWD/bin/mcp-reap
	PATH=$PWD/bin:$PATH
	cat >c.json
	cp c.json before.json
}

# wrap [OPTION]...: on c.json, with the FIFOs closed.
wrap() {
	"$WRAP" "$@" c.json 3>&- 7>&- 8<&- 9>&-
}

# becomes TEXT: c.json is that, with mcp-reap's path as REAP.
becomes() {
	printf '%s\n' "${1//REAP/$REAP}" | diff - c.json
}

# wraps BEFORE AFTER: from the one to the other, and all is kept that has to be.
wraps() {
	prepare <<<"$1"
	wrap
	becomes "$2"
	cmp before.json c.json.bak
	tidy
}

# refuses WORD...: the run fails with status 1, says so, and leaves the file and its directory as they were.
refuses() {
	run -1 wrap
	grep -F -e "$*" <<<"$output"
	untouched
}
untouched() {
	cmp before.json c.json
	[[ ! -e c.json.bak ]]
	tidy
}
tidy() {
	[[ -z $(find . -name '.wrap-config*') ]]
}

# stub TOOL: what is on stdin runs in front of the tool itself.
stub() {
	{
		echo '#!/bin/sh'
		cat
		echo "exec $(command -v "$1") \"\$@\""
	} >stub
	chmod 755 stub
	mv stub "bin/$1"
}

# The shapes

@test "mcpServers: the command goes behind mcp-reap, and its arguments after it" {
	wraps '{"mcpServers": {"a": {"command": "npx", "args": ["-y", "a"], "env": {"K": "v"}}}}' \
		'{"mcpServers": {"a": {"command": "REAP", "args": ["--", "npx", "-y", "a"], "env": {"K": "v"}}}}'
}

@test "servers, as in VS Code's mcp.json" {
	wraps '{"inputs": [], "servers": {"a": {"type": "stdio", "command": "npx", "args": ["a"]}}}' \
		'{"inputs": [], "servers": {"a": {"type": "stdio", "command": "REAP", "args": ["--", "npx", "a"]}}}'
}

@test "mcp.servers, as in OpenClaw and VS Code's settings" {
	wraps '{"mcp": {"sessionIdleTtlMs": 0, "servers": {"a": {"command": "npx", "args": ["a"]}}}}' \
		'{"mcp": {"sessionIdleTtlMs": 0, "servers": {"a": {"command": "REAP", "args": ["--", "npx", "a"]}}}}'
}

@test "context_servers, as in Zed, today's form and the former" {
	wraps '{"context_servers": {"a": {"command": "npx", "args": []}, "b": {"command": {"path": "npx", "args": ["b"], "env": null}}}}' \
		'{"context_servers": {"a": {"command": "REAP", "args": ["--", "npx"]}, "b": {"command": {"path": "REAP", "args": ["--", "npx", "b"], "env": null}}}}'
}

@test "mcp.NAME with a list as the command, as in opencode, also if the name is servers" {
	wraps '{"mcp": {"a": {"type": "local", "command": ["npx", "a"]}, "servers": {"type": "local", "command": ["b"]}}}' \
		'{"mcp": {"a": {"type": "local", "command": ["REAP", "--", "npx", "a"]}, "servers": {"type": "local", "command": ["REAP", "--", "b"]}}}'
}

@test "mcp.servers.NAME with a list as the command, as in opencode 2" {
	wraps '{"mcp": {"servers": {"a": {"type": "local", "command": ["npx", "a"]}}}}' \
		'{"mcp": {"servers": {"a": {"type": "local", "command": ["REAP", "--", "npx", "a"]}}}}'
}

@test "projects.*.mcpServers and mcpServers, as in Claude Code" {
	wraps '{"projects": {"/p": {"mcpServers": {"a": {"command": "a"}}}, "/q": {}}, "mcpServers": {"b": {"command": "b"}}}' \
		'{"projects": {"/p": {"mcpServers": {"a": {"command": "REAP", "args": ["--", "a"]}}}, "/q": {}}, "mcpServers": {"b": {"command": "REAP", "args": ["--", "b"]}}}'
}

@test "what the README shows for each client is what the script makes of it" {
	local readme=$BATS_TEST_DIRNAME/../README.md block n=0
	need_that README.md test -e "$readme"
	prepare </dev/null
	awk '/^```json$/ { file = "block" ++n; next } /^```$/ { file = "" } file { print > file }' "$readme"
	for block in block*; do
		grep -q '^{' "$block" || continue
		cp "$block" c.json
		wrap --undo
		run -1 grep mcp-reap c.json
		wrap -o "$(grep -o '"-f"' "$block" | tr -d '"')"
		sed -i "s,$REAP,mcp-reap," c.json
		diff "$block" c.json
		n=$((n + 1))
	done
	((n >= 5))
}

# What is left alone

@test "remote servers, those without a command, and those behind mcp-reap already stay as they are" {
	prepare <<-'END'
		{"mcpServers": {
			"u": {"url": "https://u"},
			"h": {"type": "http", "url": "https://h", "command": "no"},
			"g": {"httpUrl": "https://g"},
			"e": {"enabled": true, "settings": {}},
			"m": {"command": "mcp-reap", "args": ["-v", "--", "m"]},
			"n": {"command": "/usr/bin/mcp-reap", "args": ["n"]}},
		 "mcp": {"r": {"type": "remote", "url": "https://r"}}}
	END
	run -0 wrap
	untouched
	grep -F 'mcpServers.u is remote' <<<"$output"
	grep -F 'mcpServers.h is remote' <<<"$output"
	grep -F 'mcpServers.g is remote' <<<"$output"
	grep -F 'mcpServers.e has no command' <<<"$output"
	grep -F 'mcpServers.m is behind mcp-reap already' <<<"$output"
	grep -F 'mcpServers.n is behind mcp-reap already' <<<"$output"
	grep -F 'mcp.r is remote' <<<"$output"
}

@test "a second run changes nothing and makes no second backup" {
	prepare <<<'{"mcpServers": {"a": {"command": "npx", "args": ["a"]}, "b": {"command": "b"}}}'
	wrap
	cp c.json once.json
	run -0 wrap -o -v
	grep -F 'nothing to change' <<<"$output"
	cmp once.json c.json
	cmp before.json c.json.bak
	[[ ! -e c.json.bak.1 ]]
}

# The text

@test "all other bytes stay: large and odd numbers, escapes, blanks, order, carriage returns, no new line at the end" {
	prepare </dev/null
	printf '{"z": 12345678901234567890, "f": [1.0, 1E5, -0, 1e999, 0.1000 ],\r\n\t"\\u00e9":"\\u00e9\\/ \\\\",  "l": [ ], "o":{ },\r\n%s\r\n "a":true}' \
		'"mcpServers" :{"a":{ "args" : ["\u0061" , 1.50],"command" : "npx" } },' >c.json
	cp c.json before.json
	wrap
	sed 's#\["\\u0061"#["--", "npx", "\\u0061"#; s#"npx" }#"'"$REAP"'" }#' before.json | cmp - c.json
}

@test "new words stand as the others do: in lines of their own, in one line, without blanks" {
	wraps '{
	"mcpServers": {
		"lines": {
			"command": "npx",
			"args": [
				"-y",
				"a"
			]
		},
		"line": {
			"command": "npx", "args": ["a"]
		},
		"none": {
			"command": "npx"
		},
		"empty": {"command": "npx", "args": [
		]}
	}
}' '{
	"mcpServers": {
		"lines": {
			"command": "REAP",
			"args": [
				"--",
				"npx",
				"-y",
				"a"
			]
		},
		"line": {
			"command": "REAP", "args": ["--", "npx", "a"]
		},
		"none": {
			"command": "REAP",
			"args": ["--", "npx"]
		},
		"empty": {"command": "REAP", "args": ["--", "npx"]}
	}
}'
}

@test "a file in one line without blanks stays so" {
	wraps '{"mcpServers":{"a":{"command":"npx","args":["a"]},"b":{"command":"b"}}}' \
		'{"mcpServers":{"a":{"command":"REAP","args":["--","npx","a"]},"b":{"command":"REAP","args":["--","b"]}}}'
}

@test "a command with blanks, quotes, backslashes and letters of any kind is started as it was" {
	local command=$'/My "App"\\sérver \'日本\' \t$(x)'
	prepare < <(jq -n --arg command "$command" '{mcpServers: {($command): {$command, args: [$command]}}}')
	wrap
	jq -e --arg command "$command" '.mcpServers[$command].args == ["--", $command, $command]' c.json
	wrap --undo
	cmp before.json c.json
}

@test "names spelt with escapes are seen as what they are" {
	wraps '{"mcpServers": {"a": {"comm\u0061nd": "n\u0070x", "\u0061rgs": ["a"]}}}' \
		'{"mcpServers": {"a": {"comm\u0061nd": "REAP", "\u0061rgs": ["--", "npx", "a"]}}}'
}

@test "of a name that comes twice the last one counts, as for the client" {
	wraps '{"mcpServers": {"a": {"command": "x", "args": ["x", "y"]}, "a": {"command": "y", "command": "z", "args": ["z"]}}}' \
		'{"mcpServers": {"a": {"command": "x", "args": ["x", "y"]}, "a": {"command": "y", "command": "REAP", "args": ["--", "z", "z"]}}}'
}

@test "some megabytes of history are no obstacle" {
	prepare < <(jq -n '{history: [range(8000) | {n: ., text: ("\"say\" \\ " * 50)}], mcpServers: {a: {command: "a"}}}')
	(($(stat -c %s c.json) > 3000000))
	wrap
	jq -e --slurpfile before before.json '.history == $before[0].history and .mcpServers.a.args == ["--", "a"]' c.json
}

@test "a document pasted into a string takes no awk longer than seconds" {
	local awk began
	prepare < <(jq -n '{pasted: ([range(60000) | {a: 1, b: "x"}] | tojson), mcpServers: {a: {command: "a"}}}')
	for awk in gawk mawk original-awk 'busybox awk'; do
		command -v "${awk%% *}" || continue
		printf '#!/bin/sh\nexec %s "$@"\n' "$awk" >bin/awk
		chmod 755 bin/awk
		cp before.json c.json
		began=$SECONDS
		PATH=$PWD/bin:$PATH timeout "$PATIENCE" "$WRAP" c.json 3>&- 7>&- 8<&- 9>&-
		echo "$awk: $((SECONDS - began)) s"
	done
	jq -e --slurpfile before before.json '.pasted == $before[0].pasted and .mcpServers.a.args == ["--", "a"]' c.json
}

@test "a server by the name of url hides no other, and is one itself" {
	wraps '{"mcp": {"servers": {"url": {"command": "npx", "args": ["x"]}, "b": {"command": "b"}}}}' \
		'{"mcp": {"servers": {"url": {"command": "REAP", "args": ["--", "npx", "x"]}, "b": {"command": "REAP", "args": ["--", "b"]}}}}'
}

# mcp-reap's name and options

@test "mcp-reap is written by its bare name where every PATH has it, save for a server with a PATH of its own" {
	need_that 'mount namespace' unshare -m true
	prepare <<<'{"mcpServers": {"a": {"command": "a"}, "b": {"command": "b", "env": {"PATH": "/b"}}}}'
	run -0 unshare -m sh -c 'mount --bind "$1" /usr/local/bin && PATH=/usr/local/bin:/usr/bin:/bin && shift && "$@"' \
		- bin "$WRAP" c.json
	jq -e '.mcpServers.a.command == "mcp-reap" and .mcpServers.b.command == "/usr/local/bin/mcp-reap"' c.json
}

@test "without mcp-reap in PATH no server would start: nothing is done" {
	prepare <<<'{"mcpServers": {"a": {"command": "a"}}}'
	# All that is in PATH but mcp-reap, which may be installed here.
	mkdir others
	find -H /usr/local/bin /usr/bin /bin -maxdepth 1 ! -type d -exec ln -sf -t others {} +
	rm -f others/mcp-reap
	PATH=$PWD/others refuses 'mcp-reap is not in PATH'
}

@test "-o puts options in front, and --options= as well" {
	prepare <<<'{"mcpServers": {"a": {"command": "npx", "args": ["a"]}}}'
	wrap -o ' -i  10m --drop-launcher '
	becomes '{"mcpServers": {"a": {"command": "REAP", "args": ["-i", "10m", "--drop-launcher", "--", "npx", "a"]}}}'
	wrap --undo
	wrap --options=-v
	becomes '{"mcpServers": {"a": {"command": "REAP", "args": ["-v", "--", "npx", "a"]}}}'
}

@test "options that mcp-reap does not have, or that are none, are refused" {
	local options
	prepare <<<'{"mcpServers": {"a": {"command": "npx"}}}'
	for options in --no-such-option '-g never' '-v --' '-g 2 touch' touch '-g' -V -L '-t "a b"' '-t a\ b'; do
		run ! wrap -o "$options"
		grep -F options <<<"$output"
		untouched
	done
	[[ ! -e -- ]]
}

@test "wrong words on the command line are refused with status 2" {
	prepare <<<'{"mcpServers": {"a": {"command": "npx"}}}'
	run -2 "$WRAP"
	run -2 "$WRAP" c.json c.json
	run -2 "$WRAP" --no-such-option c.json
	run -2 "$WRAP" c.json -o
	run -2 "$WRAP" -u -o -v c.json
	untouched
	run -0 "$WRAP" --help
	grep -F 'Usage: wrap-config' <<<"$output"
}

# What is shown

@test "the change is shown on stdout, and no line beside it, which may hold a secret" {
	prepare <<-'END'
		{"mcpServers": {"a": {
			"command": "npx",
			"env": {"TOKEN": "secret"},
			"args": ["a"]
		}}}
	END
	wrap >shown
	[[ $(grep '^[-+][^-+]' shown | tr -d '\t') == '-"command": "npx",
+"command": "'$REAP'",
-"args": ["a"]
+"args": ["--", "npx", "a"]' ]]
	run -1 grep secret shown
}

@test "-n shows the same and changes nothing, in a directory that cannot be written to as well" {
	prepare <<<'{"mcpServers": {"a": {"command": "npx", "args": ["a"]}}}'
	run -0 wrap -n
	grep -F '+{"mcpServers": {"a": {"command": "'"$REAP"'", "args": ["--", "npx", "a"]}}}' <<<"$output"
	untouched
	run -0 wrap --dry-run -o -v
	grep -F '["-v", "--", "npx", "a"]' <<<"$output"
	untouched
	read_only wrap -n
	untouched
}

# read_only COMMAND...: with the directory read-only, for root too.
read_only() {
	if ((EUID)); then
		chmod a-w .
		run "$@"
		chmod u+w .
	else
		need_that 'mount namespace' unshare -m true
		run unshare -m bash -c 'mount --bind . . && mount -o remount,ro,bind . && cd "$PWD" && exec "$@"' - \
			"$WRAP" "${@:2}" "$PWD/c.json"
	fi
}

# The file

@test "an existing backup is never overwritten" {
	prepare <<<'{"mcpServers": {"a": {"command": "npx", "args": ["a"]}}}'
	echo mine >c.json.bak
	ln -s nowhere c.json.bak.1
	mkdir c.json.bak.2
	run -0 wrap
	grep -F 'c.json.bak.3' <<<"$output"
	[[ $(<c.json.bak) == mine && $(readlink c.json.bak.1) == nowhere && -z $(ls c.json.bak.2) ]]
	cmp before.json c.json.bak.3
}

@test "a backup that appears at the last moment is not overwritten either" {
	prepare <<<'{"mcpServers": {"a": {"command": "npx", "args": ["a"]}}}'
	stub ln <<<'echo mine >c.json.bak'
	run -1 wrap
	cmp before.json c.json
	[[ $(<c.json.bak) == mine ]]
	tidy
}

@test "both files are on the disk before the one takes the other's place" {
	prepare <<<'{"mcpServers": {"a": {"command": "npx", "args": ["a"]}}}'
	stub sync <<<'echo "sync ${1##*/}" >>calls'
	stub mv <<<'echo mv >>calls'
	wrap
	[[ $(head -n 3 calls) == $'sync backup\nsync file\nmv' ]]
}

@test "a symbolic link stays one, and the file that it is for changes in place of it" {
	prepare <<<'{"mcpServers": {"a": {"command": "npx", "args": ["a"]}}}'
	mkdir real
	mv c.json real/d.json
	ln -s real/d.json between.json
	ln -s between.json c.json
	wrap
	[[ $(readlink c.json) == between.json && $(readlink between.json) == real/d.json ]]
	becomes '{"mcpServers": {"a": {"command": "REAP", "args": ["--", "npx", "a"]}}}'
	cmp before.json real/d.json.bak
	tidy
}

@test "the file and its backup keep mode and owner" {
	prepare <<<'{"mcpServers": {"a": {"command": "npx", "args": ["a"]}}}'
	chmod 640 c.json
	((EUID)) || chown 12345:54321 c.json
	local was
	was=$(stat -c %u:%g:%a c.json)
	wrap
	[[ $(stat -c %u:%g:%a c.json) == "$was" && $(stat -c %u:%g:%a c.json.bak) == "$was" ]]
}

@test "a file of odd name, given with --, is as good as any" {
	prepare <<<'{"mcpServers": {"a": {"command": "npx", "args": ["a"]}}}'
	local name=$'-n a=b\n*.json'
	mv -- c.json "$name"
	"$WRAP" -- "$name"
	cmp -- before.json "$name.bak"
	mv -- "$name" c.json
	becomes '{"mcpServers": {"a": {"command": "REAP", "args": ["--", "npx", "a"]}}}'
}

@test "a file with a second hard link is refused, as a new file would part the two" {
	prepare <<<'{"mcpServers": {"a": {"command": "npx", "args": ["a"]}}}'
	ln c.json d.json
	refuses 'more than one name'
}

@test "a file that changes meanwhile is left as the other program has written it" {
	prepare <<<'{"mcpServers": {"a": {"command": "npx", "args": ["a"]}}}'
	stub ln <<<'echo >>c.json'
	echo >>before.json
	refuses 'another program has just changed it'
}

@test "a file that another one is put in place of meanwhile is left so" {
	prepare <<<'{"mcpServers": {"a": {"command": "npx", "args": ["a"]}}}'
	echo '{"new": 1}' >before.json
	stub ln <<<'cp before.json new && mv new c.json'
	refuses 'another program has just changed it'
}

@test "in a directory that cannot be written to nothing is done" {
	prepare <<<'{"mcpServers": {"a": {"command": "npx", "args": ["a"]}}}'
	read_only wrap
	[[ $status == 1 ]]
	grep -F 'cannot be written to' <<<"$output"
	untouched
}

@test "on a full disk the file is the old one or the new one, whole" {
	local room status old=0 new=0
	need_that 'mount namespace' unshare -m true
	prepare < <(jq -n '{pad: [range(400)], mcpServers: {a: {command: "npx", args: ["a"]}}}')
	wrap
	cp c.json after.json
	for ((room = 0; room <= 64; room += 8)); do
		run unshare -m bash -c 'mkdir -p full && mount -t tmpfs -o size=$(($1 + 8))k none full && cp before.json full/c.json &&
			head -c 4096 /dev/zero >full/ballast && { TMPDIR=$PWD "$2" full/c.json; status=$?; cp full/c.json got.json; exit $status; }' \
			- "$room" "$WRAP"
		case $status in
		0) cmp after.json got.json && new=1 ;;
		1) cmp before.json got.json && old=1 ;;
		*) false ;;
		esac
	done
	((old && new))
}

@test "killed at any step, it leaves the old file or the new one, whole, and the next run works" {
	local tool step steps
	prepare <<<'{"mcpServers": {"a": {"command": "npx", "args": ["a"]}}}'
	wrap
	cp c.json after.json
	mkdir killers
	for tool in cat jq cmp diff cp stat sync ln mv rm mktemp readlink; do # awk is beside a cmp in a pipe
		cat >"killers/$tool" <<-END
			#!/bin/sh
			# Steps are counted before and after each tool.
			step() {
				read -r n <count
				echo \$((n + 1)) >count
				[ \$n != \$STEP ] || { read -r pid <pid; kill -KILL \$pid; exit 1; }
			}
			step
			$(command -v "$tool") "\$@"
			status=\$?
			step
			exit \$status
		END
		chmod 755 "killers/$tool"
	done
	killed_at() {
		cp before.json c.json
		rm -rf c.json.bak* .wrap-config*
		echo 0 >count
		run env STEP="$1" PATH="$PWD/killers:$PATH" sh -c 'echo $$ >pid && exec "$@"' - "$WRAP" c.json 3>&- 7>&- 8<&- 9>&-
		cmp before.json c.json || cmp after.json c.json
		[[ ! -e c.json.bak ]] || cmp before.json c.json.bak
	}
	killed_at never
	((status == 0))
	steps=$(<count)
	# Most of the steps are the reading; the last ones are the writing.
	for ((step = 0; step < steps; step += step < steps - 24 ? 5 : 1)); do
		killed_at $step
		((status == 137))
	done
	cmp after.json c.json
	# What is left of a killed one is in nobody's way.
	cp before.json c.json
	rm -f c.json.bak*
	mkdir .wrap-config.abcdef
	wrap
	cmp after.json c.json
}

# --undo

@test "--undo gives back what was there, and keeps what has changed in the meantime" {
	prepare <<-'END'
		{"mcpServers": {
			"a": {"command": "npx", "args": ["-y", "a"]},
			"b": {
				"args": [
					"b"
				],
				"command": "b"
			},
			"c": {"command": "c", "args": []},
			"d": {"command": ["d", "e"]},
			"e": {"command": {"path": "f", "args": ["g"]}}
		}, "n": 1}
	END
	wrap -o '-g 3 -tlog --idle-stop=1h --trace log'
	sed -i 's/"n": 1/"n": 2/' before.json c.json
	run -0 wrap --undo
	grep -F 'mcpServers.a stands alone again' <<<"$output"
	cmp before.json c.json
	[[ -e c.json.bak && -e c.json.bak.1 ]]
	run -0 wrap -u
	grep -F 'nothing to change' <<<"$output"
	[[ ! -e c.json.bak.2 ]]
}

@test "--undo leaves an empty list where there were no arguments" {
	prepare <<<'{"mcpServers": {"a": {"command": "a"}}}'
	wrap
	wrap --undo
	becomes '{"mcpServers": {"a": {"command": "a", "args": []}}}'
}

@test "--undo of each option that --help names finds the command again" {
	prepare < <("$MCP_REAP" --help | sed -n 's/^      \(--[a-z-]*\)\(=[A-Z]*\).*/\1 \2/p; s/^  \(-[a-z]\), \(--[a-z-]*\)\(\[*=[A-Za-z]*\)*.*/\1 \3\n\2 \3/p' | jq -nR '{mcpServers:
		[inputs | split(" ") | select(.[0] != "-h" and .[0] != "--help" and .[1] != "=PID") | {key: .[0], value: {command: "mcp-reap",
			args: ([.[0]] + (if .[1] | startswith("=") then ["x"] else [] end) + ["--", "npx", "a"])}}] | from_entries}')
	jq -e '.mcpServers | length > 15 and .["-g"].args[1] == "x" and .["--trace-max"].args[1] == "x" and .["-s"].args[1] == "--"' c.json
	wrap --undo
	jq -e 'all(.mcpServers[]; . == {command: "npx", args: ["a"]})' c.json
}

@test "--undo does not guess where hand-written options end" {
	local args
	for args in '["-v", "npx", "a"]' '["npx", "--", "a"]' '["--idle", "5m", "--", "npx"]' '["-v", "--"]' '[]' '["-x", 1, "--", "a"]'; do
		rm -rf bin
		prepare <<<'{"mcpServers": {"a": {"command": "mcp-reap", "args": '"$args"'}}}'
		run -1 wrap --undo
		grep -F 'where the options of mcp-reap end is not clear' <<<"$output"
		untouched
	done
}

@test "--undo works where mcp-reap has been removed already" {
	prepare <<<'{"mcpServers": {"a": {"command": "/gone/mcp-reap", "args": ["--", "npx", "a"]}}}'
	rm bin/mcp-reap
	wrap --undo
	becomes '{"mcpServers": {"a": {"command": "npx", "args": ["a"]}}}'
}

# What is refused, and what to write instead

@test "comments, trailing commas and JSON5 are refused, with what to write by hand" {
	local text
	for text in $'{\n// mine\n"mcpServers": {"a": {"command": "npx"}}}' '{"mcpServers": {"a": {"command": "npx"},}}' \
		"{mcpServers: {a: {command: 'npx'}}}" '{"mcpServers": {"a": {"command": "npx" /* mine */}}}'; do
		rm -rf bin
		prepare <<<"$text"
		run -1 wrap -o '-i 10m'
		grep -F 'JSONC, JSON5' <<<"$output"
		grep -F '"command": "mcp-reap",' <<<"$output"
		grep -F '"args": ["-i", "10m", "--", "npx", "-y", "some-server"]' <<<"$output"
		grep -F '"command": ["mcp-reap", "-i", "10m", "--", "npx", "-y", "some-server"]' <<<"$output"
		untouched
	done
}

@test "TOML and YAML, as of Codex and Goose, are refused, with what to write by hand" {
	prepare <<<'x'
	echo 'command = "npx"' >c.toml
	run -1 "$WRAP" c.toml
	grep -F 'args = ["--", "npx", "-y", "some-server"]' <<<"$output"
	cp c.toml c.yaml
	run -1 "$WRAP" -o -v c.yaml
	grep -F 'cmd: mcp-reap' <<<"$output"
	grep -F 'args: ["-v", "--", "npx", "-y", "some-server"]' <<<"$output"
	[[ $(cat c.toml c.yaml) == $'command = "npx"\ncommand = "npx"' ]]
}

@test "what is no object, broken off, two documents or has bytes behind it is refused" {
	local text
	for text in '[]' '"x"' 'null' '{"mcpServers": {"a": {"command": "npx"' '{"mcpServers": {"a": {"command": "npx"}}} {}' \
		'{"mcpServers": {"a": {"command": "npx"}}}}' $'\xef\xbb\xbf{"mcpServers": {"a": {"command": "npx"}}}' \
		'{"a": nan, "mcpServers": {"a": {"command": "npx"}}}'; do
		rm -rf bin
		prepare <<<"$text"
		refuses 'nothing is changed'
	done
	printf '{"mcpServers": {"a": {"command": "npx"}}}\0' >c.json
	cp c.json before.json
	refuses 'nothing is changed'
}

@test "a byte order mark is named, and what cannot be edited for another reason gets advice, too" {
	prepare <<<$'\xef\xbb\xbf{"mcpServers": {"a": {"command": "npx"}}}'
	refuses 'byte order mark'
	grep -F '"command": "mcp-reap",' <<<"$output"
	rm -rf bin
	prepare <<<'{"a": nan, "mcpServers": {"a": {"command": "npx"}}}'
	refuses 'nothing is changed'
	grep -F '"command": "mcp-reap",' <<<"$output"
}

@test "an empty file, a directory, a device and a missing file are refused" {
	prepare </dev/null
	refuses 'is empty'
	for name in . /dev/null tree nothing; do
		run -1 "$WRAP" "$name"
		grep -F 'no such file' <<<"$output"
	done
	[[ ! -e nothing && ! -e nothing.bak ]]
}

@test "an unknown shape is refused, with what to write by hand" {
	local text
	for text in '{}' '{"theme": "dark"}' '{"mcpServers": ["a"]}' '{"a": {"command": "npx"}}' '{"mcp": 1, "servers": "x", "projects": []}'; do
		rm -rf bin
		prepare <<<"$text"
		refuses 'has no servers where'
		grep -F '"command": "mcp-reap",' <<<"$output"
	done
}

@test "one server that cannot go behind mcp-reap, and nothing is changed" {
	local server
	for server in '"x"' '{"command": 1}' '{"command": ""}' '{"command": []}' '{"command": [["x"]]}' '{"command": "x", "args": "y"}' \
		'{"command": "x", "args": false}' '{"command": "x", "args": 0}' '{"command": "x", "args": {}}' \
		'{"command": "x", "args": [{"y": 1}]}' '{"command": "~/x"}' '{"command": {"args": []}}' $'{"command": "x\xe9"}'; do
		rm -rf bin
		prepare <<<'{"mcpServers": {"good": {"command": "npx"}, "bad": '"$server"'}}'
		refuses mcpServers.bad
	done
}

@test "without jq, awk or diff it says so and does nothing" {
	local tool
	prepare <<<'{"mcpServers": {"a": {"command": "npx"}}}'
	for tool in sh cat readlink stat mktemp rm sed cp ln mv sync cmp jq awk diff; do
		ln -s "$(command -v "$tool")" bin/
	done
	for tool in jq awk diff; do
		rm "bin/$tool"
		run -1 env PATH="$PWD/bin" "$WRAP" c.json
		grep -F "needs $tool" <<<"$output"
		untouched
		ln -s "$(command -v "$tool")" bin/
	done
}

@test "an awk that loses a byte, or adds one, is noticed" {
	local filter
	prepare <<<$'{"mcpServers": {\r\n"a": {"command": "npx"}}}\r'
	for filter in "tr -d '\r'" 'head -c -1' 'sed s/npx/npy/' 'cat - /dev/fd/3'; do
		printf '#!/bin/sh\n%s "$@" | %s 3<<.\n\n.\n' "$(PATH=${PATH#*:} command -v awk)" "$filter" >bin/awk
		chmod 755 bin/awk
		refuses 'cannot be edited'
	done
}

@test "the shells and the awks that are here agree" {
	local command
	prepare < <(jq -n '{s: ("\"\\" * 9), mcpServers: {a: {command: "é \"", args: ["b"]}, c: {command: "c", args: []}}}')
	wrap
	cp c.json after.json
	agrees() {
		cp before.json c.json
		"$@" "$WRAP" c.json 3>&- 7>&- 8<&- 9>&-
		cmp after.json c.json
	}
	for command in dash 'bash --posix' mksh 'busybox sh'; do
		echo "$command"
		# shellcheck disable=SC2086 # words
		! command -v "${command%% *}" || agrees $command
	done
	for command in mawk gawk original-awk 'busybox awk'; do
		echo "$command"
		printf '#!/bin/sh\nexec %s "$@"\n' "$command" >bin/awk
		chmod 755 bin/awk
		! command -v "${command%% *}" || agrees
	done
}

@test "a server behind mcp-reap answers as it did before" {
	local command words
	prepare <<<'{"mcpServers": {"a": {"command": "printf", "args": ["%s|", "a b", "", "$c\"é"]}}}'
	wrap -o '-g 1'
	mapfile -t words < <(jq -r '.mcpServers.a | .command, .args[]' c.json)
	[[ $("${words[@]}" </dev/null) == 'a b||$c"é|' ]]
}
