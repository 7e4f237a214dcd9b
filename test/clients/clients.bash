# How the real clients are started and ended, and how what is left of their server is counted.
# shellcheck shell=bash disable=SC2034,SC2154
#
# Everything of a session is in a directory of its own: the client's home, where it works, what it says, the server's log.
# Clients hand no descriptors on to their servers, and some no environment either: the client is found by the marker
# MCP_REAP_TEST, its server by MCP_REAP_SERVER, which comes from the client's configuration.

HERE=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
WAIT=10  # seconds from the client's end to the count
STAYS=40 # seconds after which a client that has not ended never will

# Deaf to the end of its input and to SIGTERM, with a child and a double-forked process.
WORDS=(deaf term-proof child stray)

CLIENTS=(claude codex gemini opencode mcporter inspector)
ENDINGS=(end TERM INT HUP KILL)

# name CLIENT: what people call it. package CLIENT: its package.
name() {
	local -A names=([claude]='Claude Code' [codex]=Codex [gemini]='Gemini CLI' [inspector]="Inspector's CLI")
	echo "${names[$1]-$1}"
}
package() {
	local -A packages=([claude]=@anthropic-ai/claude-code [codex]=@openai/codex [gemini]=@google/gemini-cli
		[opencode]=opencode-ai [inspector]=@modelcontextprotocol/inspector)
	echo "${packages[$1]-$1}"
}

# program CLIENT: what starts it, among the programs of the packages.
program() {
	local -A programs=([inspector]=mcp-inspector)
	echo "${programs[$1]-$1}"
}

# kill_marked: whoever is there of the sessions, and the stand-ins, are killed.
kill_marked() {
	local pids i
	for ((i = 0; i < 50; i++)); do
		mapfile -t pids < <(grep -alsE "MCP_REAP_(TEST|SERVER)=$MARK" /proc/[0-9]*/environ | cut -d / -f 3)
		((${#pids[@]})) || return 0
		kill -KILL "${pids[@]}" 2>/dev/null || :
		sleep 0.1
	done
}

# session CLIENT ENDING DIR [COMMAND...]: a session with COMMAND in front of the server, which is the fixture with WORDS.
# ENDING is `end`: the client ends by itself, or a signal, which it gets when it waits for an answer: of the model or,
# where there is none, of the tool. Leaves in DIR the client's `status`, or "stays" if it does not end, and `left`: how many
# processes the server still is WAIT seconds later. In a DIR that has had a session it is another one of the same user's.
session() {
	local client=$1 ending=$2 dir=$3 pid status=0
	local server=("${@:4}" "$FIX/mcp" log=../log "${WORDS[@]}")
	local api command environment=() # by set_up_*
	mkdir -p "$dir"/{home,work,tmp} || return
	dir=$(realpath "$dir")
	: >"$dir/log"
	rm -f "$dir"/{answer,offered}
	! has_model || start_model || return
	"set_up_$client" || return
	as_user "${command[@]}" >"$dir/out" 2>"$dir/err" &
	pid=$!
	await called || return
	[[ $ending == end ]] || kill "-$ending" "$pid"
	if PATIENCE=$STAYS await gone "$pid" 2>/dev/null; then
		wait "$pid" || status=$?
	else
		status=stays
	fi
	echo "$status" >"$dir/status"
	sleep "$WAIT"
	count >"$dir/left"
}

# as_user COMMAND...: in the session's home and work, with nothing of the environment that the tests run in.
as_user() {
	cd "$dir/work" && exec env -i --default-signal HOME="$dir/home" TMPDIR="$dir/tmp" TERM=dumb LANG=C.UTF-8 \
		PATH="$HERE/node_modules/.bin:/usr/bin:/bin" \
		MCP_REAP_TEST="$MARK" "${environment[@]}" "$@" </dev/null 3>&-
}

has_model() {
	[[ $client != @(mcporter|inspector) ]]
}

# start_model: the stand-in for the client's model, unless it is there; sets `api`.
start_model() {
	local what=hold
	if [[ -e $dir/port ]]; then
		api=http://127.0.0.1:$(<"$dir/port")
		return
	fi
	[[ $ending != end ]] || what=end
	MCP_REAP_TEST=$MARK node "$HERE/model.mjs" "$what" "$dir" </dev/null >"$dir/model" 2>&1 3>&- &
	await test -e "$dir/port" && api=http://127.0.0.1:$(<"$dir/port")
}

# called: the tool's answer has reached the model or, where there is none, the call the tool.
called() {
	if has_model; then
		[[ -e $dir/answer ]]
	else
		has '"tools/call"' "$dir/log"
	fi
}

# answered: the client has the answer to its call of the tool, as it told the model, or printed.
answered() {
	has 'said to the tool' "$1/answer" || has 'said to the tool' "$1/out"
}

# count: how many processes the server of the session is, mcp-reap's two included.
count() {
	grep -alsxzF "MCP_REAP_SERVER=$MARK.$dir" /proc/[0-9]*/environ | wc -l
}

# Each client's configuration, in the home of $dir, with the server, and the `command` that it is started with.

set_up_claude() {
	environment=(ANTHROPIC_BASE_URL="$api" ANTHROPIC_API_KEY=none ENABLE_TOOL_SEARCH=false MCP_CONNECTION_NONBLOCKING=0
		CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 DISABLE_AUTOUPDATER=1)
	[[ -e $dir/setup ]] || (as_user claude mcp add srv -s user -e MCP_REAP_SERVER="$MARK.$dir" -- "${server[@]}") >"$dir/setup" 2>&1 || return
	command=(claude -p go --allowedTools mcp__srv__echo)
}

set_up_codex() {
	environment=(KEY=none)
	mkdir -p "$dir/home/.codex"
	cat >"$dir/home/.codex/config.toml" <<-END
		model = "stand-in"
		model_provider = "stand-in"
		[model_providers.stand-in]
		name = "stand-in"
		base_url = "$api/v1"
		env_key = "KEY"
		[analytics]
		enabled = false
		[mcp_servers.srv]
		command = "${server[0]}"
		args = $(json_array "${server[@]:1}")
		env = { MCP_REAP_SERVER = "$MARK.$dir" }
	END
	command=(codex exec --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox go)
}

set_up_gemini() {
	environment=(GOOGLE_GEMINI_BASE_URL="$api" GEMINI_API_KEY=none GEMINI_CLI_TRUST_WORKSPACE=true
		GEMINI_CLI_NO_RELAUNCH=true)
	mkdir -p "$dir/home/.gemini"
	mcp_servers | jq '. + { security: { auth: { selectedType: "gemini-api-key" } },
		privacy: { usageStatisticsEnabled: false }, general: { enableAutoUpdate: false } }
		| .mcpServers.srv.trust = true' >"$dir/home/.gemini/settings.json" || return
	command=(gemini -m gemini-2.5-flash -p go)
}

set_up_opencode() {
	local config=$dir/home/.config/opencode
	environment=(OPENCODE_DISABLE_MODELS_FETCH=1 OPENCODE_DISABLE_LSP_DOWNLOAD=1)
	# Its first start installs a package for plugins; this looks as if it had.
	mkdir -p "$config/node_modules"
	echo '{"packages":{"":{"dependencies":{"@opencode-ai/plugin":"*"}}}}' >"$config/package-lock.json"
	jq -n --arg api "$api/v1" --argjson server "$(json_array "${server[@]}")" --arg mark "$MARK.$dir" '{
		autoupdate: false, share: "disabled", model: "stand-in/model", small_model: "stand-in/model",
		provider: { "stand-in": { npm: "@ai-sdk/openai-compatible", name: "stand-in",
			options: { baseURL: $api, apiKey: "none" }, models: { model: { name: "model" } } } },
		mcp: { srv: { type: "local", command: $server, environment: { MCP_REAP_SERVER: $mark } } }
	}' >"$config/opencode.json" || return
	command=(opencode run go)
}

set_up_mcporter() {
	mcp_servers >"$dir/work/servers.json" || return
	command=(mcporter --config servers.json call)
	if [[ $ending == end ]]; then
		command+=(srv.echo 'text=said to the tool')
	else
		command+=(srv.never)
	fi
}

set_up_inspector() {
	environment=(MCP_INSPECTOR_SECRET_STORE=memory)
	mcp_servers >"$dir/work/servers.json" || return
	command=(mcp-inspector --cli --config servers.json --server srv --method tools/call --tool-name)
	if [[ $ending == end ]]; then
		command+=(echo --tool-arg 'text=said to the tool')
	else
		command+=(never)
	fi
}

# mcp_servers: the server as most clients want it. json_array STRING...
mcp_servers() {
	jq -n --argjson server "$(json_array "${server[@]}")" --arg mark "$MARK.$dir" '{ mcpServers: { srv: {
		command: $server[0], args: $server[1:], env: { MCP_REAP_SERVER: $mark } } } }'
}
json_array() {
	printf '%s\n' "$@" | jq -cRn '[inputs]' # not as arguments: some look like options
}
