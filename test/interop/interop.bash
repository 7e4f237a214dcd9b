# How the interop suite starts real clients and servers, and proves that nothing of them is left.
# shellcheck shell=bash disable=SC2034
#
# Node hands no descriptor above 2 down to what it starts, so the tree is held by stderr, which client, mcp-reap, npx, sh
# and server all share: the FIFO `tree`, drained into `err`. Its end-of-file means that nobody is left. What has a stderr
# of its own (npm's install scripts, the sibling server of SDK 2) is found by the marker in the environment.

: "${MCP_REAP_TEST_PATIENCE:=120}" # a cold npx on a loaded machine
load ../helper

HERE=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
SERVERS=(@upstash/context7-mcp @modelcontextprotocol/server-{everything,memory,filesystem})

setup() {
	MCP_REAP=$(realpath "${MCP_REAP:-$HERE/../../mcp-reap}")
	MARK=$BASHPID.${EPOCHREALTIME//[!0-9]/}
	cd "$BATS_TEST_TMPDIR" || return
	# npx looks for a project in the directories above; this one has nothing installed.
	echo '{}' >package.json
	echo 'known text' >known.txt
	mkfifo tree
	# Opened for reading and writing, a FIFO does not wait for its other end.
	exec 9<>tree
	cat tree >err 3>&- 9>&- &
	DRAIN=$!
	exec 8>tree 9>&-
	export XDG_CACHE_HOME=$PWD/cache # what --lazy keeps
	export npm_config_cache=$BATS_FILE_TMPDIR/npm npm_config_offline=true npm_config_update_notifier=false
	# fetch() refuses port 9: the tools of context7 answer at once, with or without a network.
	export CONTEXT7_API_URL=http://127.0.0.1:9/api MEMORY_FILE_PATH=$BATS_TEST_TMPDIR/memory.jsonl
}

teardown() {
	if [[ -z ${BATS_TEST_COMPLETED-} ]]; then
		tail -v -n 20 ./*.out err 2>/dev/null || :
	fi
	exec 8>&-
	local i
	for ((i = 0; i < 50; i++)); do
		kill_marked || break
		sleep 0.1
	done
	# The drain ends by itself then. It is not killed: its number may be another process's by now.
}

# kill_marked: SIGKILL to each process of this test; fails if there is none.
kill_marked() {
	local pids
	mapfile -t pids < <(marked)
	((${#pids[@]})) || return
	kill -KILL "${pids[@]}" 2>/dev/null || :
}

# nothing_left: nobody holds the tree, and no process has the marker. Ends the test's own hold on the tree.
nothing_left() {
	exec 8>&-
	if ! await gone "$DRAIN" || ! await unmarked; then
		show_marked
		return 1
	fi
}

# fill_cache PACKAGE...: what `npx -y` installs on first use, once for all tests, which then run npx offline.
fill_cache() {
	local package
	if [[ ! -d $HERE/node_modules ]]; then
		echo "$HERE: run npm install there first" >&2
		return 1
	fi
	cd "$BATS_FILE_TMPDIR" || return
	echo '{}' >package.json
	for package; do
		npm_config_cache=$PWD/npm timeout 300 npx -y --package="$(version "$package")" -c true >&2 3>&- || return
	done
}

# version PACKAGE: PACKAGE@VERSION, as pinned in package.json.
version() {
	jq -r --arg name "$1" '"\($name)@\(.dependencies[$name])"' "$HERE/package.json"
}

# use SERVER direct|npx: sets COMMAND, which starts the server, and CALL, a word for client.mjs: a tool that works
# offline (those of context7 do not: they answer that they cannot).
use() {
	local package bin extra=()
	case $1 in
	context7)
		package=@upstash/context7-mcp bin=context7-mcp
		CALL='call:resolve-library-id:{"libraryName":"react","query":"hooks"}'
		;;
	everything)
		package=@modelcontextprotocol/server-everything bin=mcp-server-everything
		CALL=echo:1000
		;;
	sequential-thinking)
		package=@modelcontextprotocol/server-sequential-thinking bin=mcp-server-sequential-thinking
		CALL='call:sequentialthinking:{"thought":"one","nextThoughtNeeded":true,"thoughtNumber":1,"totalThoughts":2}'
		;;
	playwright)
		package=@playwright/mcp bin=playwright-mcp
		CALL='call:browser_close:{}'
		;;
	memory)
		package=@modelcontextprotocol/server-memory bin=mcp-server-memory
		CALL='call:create_entities:{"entities":[{"name":"one","entityType":"thing","observations":["seen"]}]}'
		;;
	filesystem)
		package=@modelcontextprotocol/server-filesystem bin=mcp-server-filesystem
		CALL="call:read_text_file:{\"path\":\"$BATS_TEST_TMPDIR/known.txt\"}"
		extra=("$BATS_TEST_TMPDIR")
		;;
	esac
	if [[ $2 == npx ]]; then
		COMMAND=(npx -y "$(version "$package")" "${extra[@]}")
	else
		COMMAND=("$HERE/node_modules/.bin/$bin" "${extra[@]}")
	fi
}

# answered SERVER [NAME]: the call of `use` had its effect, as the client NAME saw it.
answered() {
	local out=${2:-one}.out
	case $1 in
	context7) has '"event":"called".*fetch failed' "$out" ;;
	everything) has '"event":"echoed".*"same":true' "$out" ;;
	memory) has '"name":"one"' memory.jsonl ;;
	filesystem) has '"event":"called".*known text' "$out" ;;
	playwright) has '"event":"called"' "$out" ;; # there may be no browser
	*) has '"event":"called".*"isError":false' "$out" ;;
	esac
}

# with_keepalive MODE: puts the preload in front of COMMAND or of mcp-reap: "${KEEPALIVE[@]}" COMMAND...
with_keepalive() {
	KEEPALIVE=(env "NODE_OPTIONS=--require=$HERE/keepalive.cjs" "KEEPALIVE=$1")
}

# client NAME WORD... -- COMMAND...: client.mjs in the background; its report is NAME.out, its pid CLIENTS[NAME].
# sequence NAME WORD... -- COMMAND...: the same for sequence.mjs.
declare -gA CLIENTS # load runs this file in a function
client() {
	in_background "$1" node "$HERE/client.mjs" "${@:2}"
}
sequence() {
	in_background "$1" node "$HERE/sequence.mjs" "${@:2}"
}
in_background() {
	MCP_REAP_TEST=$MARK "${@:2}" </dev/null >"$1.out" 2>tree 3>&- 8>&- &
	CLIENTS[$1]=$!
}

# reported EVENT [NAME]: the client NAME has printed a line for the event.
reported() {
	has "\"event\":\"$1\"" "${2:-one}.out"
}

# succeeds [NAME]: the client NAME ends in time, with status 0.
succeeds() {
	await gone "${CLIENTS[${1:-one}]}"
	wait "${CLIENTS[${1:-one}]}"
}

# kill_client [NAME]: SIGKILL once it has nothing more to do.
kill_client() {
	local pid=${CLIENTS[${1:-one}]}
	await waiting_or_dead "${1:-one}"
	reported waiting "${1:-one}"
	kill -KILL "$pid"
	await gone "$pid"
}
waiting_or_dead() {
	reported waiting "$1" || gone "${CLIENTS[$1]}"
}

# quiet: mcp-reap had nothing to complain about.
quiet() {
	! has '^mcp-reap' err
}

# session SERVER direct|npx close|exit|kill: connect, list, call, and end like this, behind mcp-reap.
session() {
	use "$1" "$2"
	if [[ $3 == kill ]]; then
		client one connect list "$CALL" wait -- "$MCP_REAP" -- "${COMMAND[@]}"
		kill_client
	else
		client one connect list "$CALL" "$3" -- "$MCP_REAP" -- "${COMMAND[@]}"
		succeeds
	fi
	reported tools
	answered "$1"
	nothing_left
	quiet
}

# outliving SERVER direct|npx MODE: three sessions at a time, each with another ending, with servers that outlive EOF.
outliving() {
	use "$1" "$2"
	with_keepalive "$3"
	client close connect list close -- "${KEEPALIVE[@]}" "$MCP_REAP" -- "${COMMAND[@]}"
	client exit connect list exit -- "${KEEPALIVE[@]}" "$MCP_REAP" -- "${COMMAND[@]}"
	client kill connect list wait -- "${KEEPALIVE[@]}" "$MCP_REAP" -- "${COMMAND[@]}"
	kill_client kill
	succeeds exit
	succeeds close
	nothing_left
	quiet
	has 'keepalive: end of input, still here' err
}

# ends SEQUENCE SERVER direct|npx MODE: a session that is ended by another client's sequence; the server outlives EOF.
ends() {
	use "$2" "$3"
	with_keepalive "$4"
	sequence one "$1" -- "${KEEPALIVE[@]}" "$MCP_REAP" -- "${COMMAND[@]}"
	succeeds
	reported connected
	reported exited
	nothing_left
	quiet
}

# by_hand SERVER direct|npx: requests from a pipe that ends at once, answers on stdout, as in a shell.
by_hand() {
	local hello='{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"hand","version":"1"}}'
	use "$1" "$2"
	printf '%s\n' \
		'{"jsonrpc":"2.0","id":1,"method":"initialize","params":'"$hello"'}' \
		'{"jsonrpc":"2.0","method":"notifications/initialized"}' \
		'{"jsonrpc":"2.0","id":2,"method":"tools/list"}' |
		MCP_REAP_TEST=$MARK timeout -k 1 "$PATIENCE" "$MCP_REAP" -- "${COMMAND[@]}" >one.out 2>tree 3>&- 8>&-
	jq -se 'map(select(.id == 1).result.serverInfo.name) | length == 1' one.out
	jq -se 'map(select(.id == 2).result.tools[].name) | length > 1' one.out
	nothing_left
	quiet
}

# cold_npx: npx has nothing installed and nothing cached.
cold_npx() {
	export XDG_CACHE_HOME=$PWD/cache # what --lazy keeps
	export npm_config_cache=$PWD/cold npm_config_offline=false
}

# slow_npx: sets SLOW, which goes in front of a command: its npx stays in mid-install for some seconds.
slow_npx() {
	SLOW=(env "NODE_OPTIONS=--require=$HERE/slow.cjs")
}

# unpacking: npx is in mid-install of server-everything: the package itself is there, what it needs is not yet.
unpacking() {
	compgen -G "cold/_npx/*/node_modules/@*/server-everything/package.json" >/dev/null
}

# interrupted_install SEQUENCE [WRAPPER...]: that sequence in the middle of a cold install.
interrupted_install() {
	cold_npx
	use everything npx
	sequence one "$1" --gate=go -- "${@:2}" "${COMMAND[@]}"
	await unpacking
	: >go
	succeeds
	reported exited
}

# installs_again: the same npx works afterwards.
installs_again() {
	client two connect list "$CALL" close -- "${COMMAND[@]}"
	succeeds two
	answered everything two
}
