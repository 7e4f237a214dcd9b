#!/usr/bin/env bats
# What a server said last time, in its file: what is found again, what is not, and what cannot do harm.

# shellcheck disable=SC2012 # the names are hexadecimal digits
# shellcheck disable=SC2030,SC2031 # bats runs each test in a subshell
# shellcheck disable=SC2103 # so that a failing cd fails the test
bats_require_minimum_version 1.5.0

setup() {
	ANSWERS=$BATS_TEST_DIRNAME/../bin/unit/answers
	cd "$BATS_TEST_TMPDIR" || return
	export XDG_CACHE_HOME=$PWD/cache
	INIT='{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","clientInfo":{"name":"me"}}}'
	OTHER=${INIT/'"me"'/'"you"'}
	INITIALIZED='{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25"}}'
	TOOLS='{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
	LISTED='{"jsonrpc":"2.0","id":1,"result":{"tools":["x"]}}'
	COMMAND=(true 1)
}

# with WORD...: what the words of unit/answers.c come to, for COMMAND.
with() {
	run -0 timeout 20 "$ANSWERS" "$@" -- "${COMMAND[@]}"
}

# keeps [WORD...]: a session in which INIT and TOOLS are answered, and then the words, is kept in FILE.
keeps() {
	with open "$INIT" expect "$INIT" hear "$INITIALIZED" expect "$TOOLS" hear "$LISTED" "$@" save
	[[ ${lines[-1]} == ok ]]
	FILE=$(echo cache/mcp-reap/*.jsonl)
}

# said [WHY]: what a session that opens like that is told; WHY: nothing, for that reason.
said() {
	with open "$INIT" find "$INIT" find "$TOOLS"
	if (($#)); then
		[[ $output == "$1"$'\n-\n-' ]]
	else
		[[ $output == $'ok\n"result":{"protocolVersion":"2025-11-25"}\n"result":{"tools":["x"]}' ]]
	fi
}

# answered REQUEST ANSWER: REQUEST, behind INIT, is kept with ANSWER; if so, found is what is said in the next session.
answered() {
	rm -rf cache
	with open "$INIT" expect "$INIT" hear "$INITIALIZED" expect "$1" hear "$2" save
	with open "$INIT" find "$INIT" find "$1"
	FOUND=${lines[2]}
}

@test "a digest is that of sha256sum" {
	local n
	for n in 0 1 3 55 56 57 63 64 65 119 120 128 10000; do
		head -c "$n" /dev/urandom >bytes
		[[ $("$ANSWERS" digest <bytes) == "$(sha256sum <bytes | cut -d ' ' -f 1)" ]]
	done
}

@test "without anything kept nothing is found, and no file is made" {
	said none
	[[ ! -e cache ]]
}

@test "what is kept is found again" {
	keeps
	said
}

@test "an answer is found for another id, and without its own" {
	keeps
	with open "$INIT" find "${INIT/'"id":0'/'"id":"a"'}"
	[[ ${lines[1]} == '"result":{"protocolVersion":"2025-11-25"}' ]]
}

@test "a file is JSON Lines, without a word of the environment" {
	export SECRET=hunter2
	keeps
	(($(wc -l <"$FILE") == 3))
	! grep -q hunter2 "$FILE" || return
	! command -v jq || jq -e . "$FILE"
}

@test "another word, directory, program, variable or first request is another key" {
	keeps
	TOKEN=1 said none
	HOME=/x said none
	PATH=$PATH:/x said none
	with open "$OTHER"
	[[ $output == none ]]
	with open "$TOOLS"
	[[ $output == none ]]
	cp /bin/true true
	PATH=$PWD:$PATH said none
	mkdir other
	cd other
	said none
	cd ..
	COMMAND=(true 2)
	said none
	COMMAND=(true)
	said none
	COMMAND=(true 1 '')
	said none
}

@test "words and directories that are no UTF-8 are told apart" {
	COMMAND=(true $'\xff')
	keeps
	said
	COMMAND=(true $'\xfe')
	said none
}

@test "a program whose file was changed is another key" {
	cp /bin/true program
	COMMAND=(./program)
	keeps
	said
	touch program
	said none
	COMMAND=(./no-program)
	said no-program
}

@test "what a shell or a client varies from session to session is not of the key" {
	local name
	keeps
	for name in SHLVL OLDPWD INVOCATION_ID SSH_CONNECTION CLAUDE_CODE_SESSION_ID CLAUDE_CODE_MESSAGING_TOKEN \
		CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS OPENCODE_PID; do
		(
			export "$name=77"
			said
		)
	done
	PATH=/root/.codex/tmp/arg0-linux/codex-arg0Ab3:$PATH said
	PATH=/root/.codex/tmp/arg0-linux/codex-arg0Ab3/bin:$PATH said none
	CLAUDE_CODE_SESSION_IDS=1 said none
}

@test "a key that is too long is none" {
	COMMAND=(true "$(printf '%0100000d' 0)" "$(printf '%0100000d' 0)" "$(printf '%0100000d' 0)")
	with open "$INIT" find "$INIT" expect "$INIT" hear "$INITIALIZED" save
	[[ $output == $'long-key\n-\nnot expected\nok' && ! -e cache ]]
}

@test "params are compared, but what of _meta is new for each request" {
	local meta='{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":%s}}' one another
	while IFS='|' read -r one another; do
		# shellcheck disable=SC2059
		answered "$(printf "$meta" "$one")" "$LISTED"
		[[ $FOUND == '"result":{"tools":["x"]}' ]]
		# shellcheck disable=SC2059
		with open "$INIT" find "$INIT" find "$(printf "$meta" "$another")"
		echo "$another: ${lines[2]}"
		[[ ${lines[2]} == '"result":{"tools":["x"]}' ]]
	done <<-'END'
		{"progressToken":1}|{"progressToken":"2"}
		{"progressToken":1}|{}
		{ "progressToken" : 1 , "a":[1,{"b":2}]}|{ "a":[1,{"b":2}]}
		{"a":1,"progressToken":"x","traceparent":"y"}|{"a":1}
		{"a":1, "tracestate":"x","b":2,"baggage":"\"}"}|{"a":1, "b":2}
	END
	while IFS='|' read -r one another; do
		# shellcheck disable=SC2059
		answered "$(printf "$meta" "$one")" "$LISTED"
		# shellcheck disable=SC2059
		with open "$INIT" find "$INIT" find "$(printf "$meta" "$another")"
		echo "$another: ${lines[2]}"
		[[ ${lines[2]} == - ]]
	done <<-'END'
		{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}|{"io.modelcontextprotocol/protocolVersion":"2026-07-29"}
		{"a":{"progressToken":1}}|{"a":{"progressToken":2}}
		{"progressToken":{"a":1}}|{"progressToken":{"a":2}}
		{"a":1}|{"a":2}
		{"progressToke\u006e":1}|{"progressToke\u006e":1}
	END
}

@test "two requests of one method with other params are two answers" {
	keeps expect '{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{"a":1}}' hear '{"jsonrpc":"2.0","id":2,"result":{"tools":[]}}'
	with open "$INIT" find "$INIT" find "$TOOLS" find '{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{"a":1}}'
	[[ ${lines[2]} == '"result":{"tools":["x"]}' && ${lines[3]} == '"result":{"tools":[]}' ]]
}

@test "nothing but the six requests is ever kept, and no later page" {
	local request
	for request in '"method":"tools/call","params":{"name":"x"}' '"method":"resources/read","params":{"uri":"x"}' \
		'"method":"ping"' '"method":"tools/list","params":{"cursor":"x"}' '"method":"tools/list","params":[1]'; do
		answered "{\"jsonrpc\":\"2.0\",\"id\":1,$request}" "$LISTED"
		[[ $FOUND == - ]]
		(($(wc -l <cache/mcp-reap/*.jsonl) == 2))
	done
	for request in server/discover tools/list prompts/list resources/list resources/templates/list; do
		answered "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$request\"}" "$LISTED"
		[[ $FOUND == '"result":{"tools":["x"]}' ]]
	done
}

@test "an answer that the next server may not stand by is not kept" {
	local answer
	for answer in '"result":{"tools":[],"nextCursor":"2"}' '"result":{"resultType":"input_required"}' '"result":[]' \
		'"error":{"code":-32603,"message":"not now"}' '"error":{"code":-32000,"message":"log in"}' '"error":"no"'; do
		answered "$TOOLS" "{\"jsonrpc\":\"2.0\",\"id\":1,$answer}"
		echo "$answer: $FOUND"
		[[ $FOUND == - ]]
	done
	for answer in '"result":{"tools":[],"nextCursor":null}' '"result":{"resultType":"complete"}' \
		'"error":{"code":-32601,"message":"no"}' '"result":{"tools":[{"nextCursor":"x"}]}'; do
		answered "$TOOLS" "{\"jsonrpc\":\"2.0\",\"id\":1,$answer}"
		[[ $FOUND == "$answer" ]]
	done
}

@test "an error to server/discover is kept, whatever it is, and one to initialize is not" {
	local discover='{"jsonrpc":"2.0","id":"p","method":"server/discover"}' error='"error":{"code":-32602,"message":"what?"}'
	with open "$discover" expect "$discover" hear "{\"jsonrpc\":\"2.0\",\"id\":\"p\",$error}" \
		expect "$INIT" hear "{\"jsonrpc\":\"2.0\",\"id\":0,$error}" save
	with open "$discover" find "$discover" find "$INIT"
	[[ $output == $'ok\n'"$error"$'\n-' ]]
}

@test "a list is found only behind the initialize that it was kept with" {
	local discover='{"jsonrpc":"2.0","id":"p","method":"server/discover"}'
	with open "$discover" expect "$discover" hear '{"jsonrpc":"2.0","id":"p","error":{"code":-32601}}' \
		expect "$INIT" hear "$INITIALIZED" expect "$TOOLS" hear "$LISTED" save
	with open "$discover" find "$discover" find "$TOOLS" find "$INIT" find "$TOOLS"
	[[ ${lines[2]} == - && ${lines[4]} == '"result":{"tools":["x"]}' ]]
	with open "$discover" find "$discover" find "$OTHER" find "$TOOLS"
	[[ ${lines[2]} == - && ${lines[3]} == - ]]
	# And another one takes its place.
	with open "$discover" expect "$OTHER" hear "$INITIALIZED" save
	with open "$discover" find "$OTHER" find "$TOOLS"
	[[ $output == $'ok\n"result":{"protocolVersion":"2025-11-25"}\n-' ]]
}

@test "an answer that is not as it was replaces the old one, and that is told" {
	keeps
	with open "$INIT" find "$INIT" find "$TOOLS" expect "$TOOLS" hear "$LISTED" expect "$TOOLS" hear "${LISTED/x/y}" save
	[[ ${lines[3]} == 'as kept' && ${lines[4]} == 'not as kept' ]]
	with open "$INIT" find "$INIT" find "$TOOLS"
	[[ ${lines[2]} == '"result":{"tools":["y"]}' ]]
	(($(wc -l <"$FILE") == 3))
}

@test "an answer that is not to be kept takes the old one with it, and that is told" {
	keeps expect "$TOOLS" hear '{"jsonrpc":"2.0","id":1,"error":{"code":-32603}}'
	[[ ${lines[2]} == 'not as kept' ]]
	with open "$INIT" find "$INIT" find "$TOOLS"
	[[ ${lines[2]} == - ]]
}

@test "an answer of which only a part is there is not kept" {
	with open "$INIT" expect "$INIT" part "$INITIALIZED" expect "$INIT" hear "$INITIALIZED" save
	[[ $output == $'none\nnot expected\nnot as kept\nok' ]]
}

@test "lists without an initialize are found without one, and not behind one" {
	with open "$TOOLS" expect "$TOOLS" hear "$LISTED" save
	with open "$TOOLS" find "$TOOLS"
	[[ ${lines[1]} == '"result":{"tools":["x"]}' ]]
	with open "$TOOLS" find "$INIT" find "$TOOLS"
	[[ ${lines[1]} == - && ${lines[2]} == - ]]
}

@test "only what was asked for is kept, once" {
	with open "$INIT" hear "$INITIALIZED" expect "$INIT" hear "${INITIALIZED/'"id":0'/'"id":1'}" hear "$INITIALIZED" hear "$INITIALIZED"
	[[ $output == $'none\nnot expected\nnot expected\nnot as kept\nnot expected' ]]
}

@test "what the client was told, and no more, is to be asked again" {
	keeps
	with open "$INIT" find "$INIT" told
	[[ $output == $'ok\n'*$'\ninitialize {"protocolVersion":"2025-11-25","clientInfo":{"name":"me"}}' ]]
}

@test "list_changed drops the lists of its kind, until they are answered again" {
	local templates='{"jsonrpc":"2.0","id":2,"method":"resources/templates/list"}'
	keeps expect "$templates" hear "${LISTED/'"id":1'/'"id":2'}" \
		changed '{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}'
	with open "$INIT" find "$INIT" find "$TOOLS" find "$templates"
	[[ ${lines[2]} == '"result":{"tools":["x"]}' && ${lines[3]} == - ]]
	keeps changed '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}' find "$TOOLS"
	[[ ${lines[3]} == - ]]
	with open "$INIT" find "$INIT" find "$TOOLS"
	[[ ${lines[2]} == - ]]
	keeps changed '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}' expect "$TOOLS" hear "$LISTED"
	[[ ${lines[3]} == 'as kept' ]]
	said
}

@test "an answer that comes behind list_changed is kept, although it was asked for before" {
	with open "$INIT" expect "$INIT" hear "$INITIALIZED" expect "$TOOLS" \
		changed '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}' hear "$LISTED" save
	[[ ${lines[-1]} == ok ]]
	said
}

@test "the directory is 0700 and the file 0600, whatever the umask" {
	umask 0
	keeps
	[[ $(stat -c %a cache/mcp-reap) == 700 && $(stat -c %a "$FILE") == 600 ]]
}

@test "without XDG_CACHE_HOME, or with one that is empty or relative, it is in ~/.cache, and without a home nowhere" {
	local cache
	export HOME=$PWD/home
	mkdir home
	unset XDG_CACHE_HOME
	for cache in none '' cache; do
		rm -rf home/.cache
		[[ $cache == none ]] || export XDG_CACHE_HOME=$cache
		keeps || true
		[[ -f $(echo home/.cache/mcp-reap/*.jsonl) ]]
	done
	unset XDG_CACHE_HOME HOME
	with open "$INIT" expect "$INIT" hear "$INITIALIZED" save
	[[ $output == $'none\nnot as kept\nNo such file or directory' ]]
}

@test "what is older than a week, or from days to come, is not used, each by itself" {
	local now
	keeps
	now=$(date +%s)
	sed -i -E "s/\"time\":[0-9]+/\"time\":$((now - 8 * 86400))/" "$FILE"
	said old
	sed -i -E "s/\"time\":[0-9]+/\"time\":$((now + 8 * 86400))/" "$FILE"
	said old
	sed -i -E "2s/\"time\":[0-9]+/\"time\":$((now - 6 * 86400))/" "$FILE"
	with open "$INIT" find "$INIT" find "$TOOLS"
	[[ ${lines[1]} != - && ${lines[2]} == - ]]
}

@test "what is confirmed is young again, and a file is not written for nothing" {
	local inode
	keeps
	inode=$(stat -c %i "$FILE")
	keeps
	(($(stat -c %i "$FILE") == inode))
	sed -i -E "2,3s/\"time\":[0-9]+/\"time\":$(($(date +%s) - 6 * 86400))/" "$FILE"
	keeps
	[[ ${lines[1]} == 'as kept' && ${lines[2]} == 'as kept' ]]
	(($(sed -nE '2s/.*"time":([0-9]+).*/\1/p' "$FILE") > $(date +%s) - 3600))
	(($(sed -nE '3s/.*"time":([0-9]+).*/\1/p' "$FILE") > $(date +%s) - 3600))
}

@test "a file that is cut off anywhere is as none, or as one with fewer answers" {
	local size bytes
	keeps
	size=$(stat -c %s "$FILE")
	cp "$FILE" copy
	for ((bytes = 0; bytes < size; bytes += 1 + bytes / 60)); do
		head -c "$bytes" copy >"$FILE"
		with open "$INIT" find "$INIT" find "$TOOLS"
		echo "$bytes: $output"
		[[ $output =~ ^(other-key|broken|old)$'\n-\n-'$ || $output == $'ok\n"result":{"protocolVersion":"2025-11-25"}\n-' ]]
	done
}

@test "a line that is not as we write it is as no file" {
	local line
	keeps
	head -n 1 "$FILE" >key
	while read -r line; do
		{ cat key && echo "${line//NOW/$(date +%s)}"; } >"$FILE"
		echo "$line"
		said broken
	done <<-'END'

		x
		{}
		[]
		7
		"time"
		null
		{"time":NOW,"method":"tools/call","result":{}}
		{"time":NOW,"method":"tools/list"}
		{"time":NOW,"method":"tools/list","result":[]}
		{"time":NOW,"method":"tools/list","result":null}
		{"time":NOW,"method":"tools/list","result":"x"}
		{"time":NOW,"method":"tools/list","error":7}
		{"time":NOW,"method":"tools/list","result":{},"error":{}}
		{"time":NOW,"method":"tools/list","result":{},"result":{}}
		{"time":NOW,"method":"tools/list","result":{},"more":{}}
		{"time":NOW,"method":"tools/list","params":[],"result":{}}
		{"time":NOW,"method":"initialize","error":{}}
		{"time":NOW,"method":7,"result":{}}
		{"time":NOW,"method":{},"result":{}}
		{"time":NOW,"method":"tools/list","method":"tools/list","result":{}}
		{"method":"tools/list","result":{}}
		{"time":"NOW","method":"tools/list","result":{}}
		{"time":-5,"method":"tools/list","result":{}}
		{"time":1e9,"method":"tools/list","result":{}}
		{"time":99999999999999999999,"method":"tools/list","result":{}}
		[{"time":NOW,"method":"tools/list","result":{}}]
		{"time":NOW,"method":"tools/list","result":{}}{}
		{"time":NOW,"method":"tools/list","result":{"a":1,}}
	END
	printf '%s\n' '{"time":NOW,"method":"tools/list","result":{}}' '{"time":NOW,"method":"tools/list","result":{"a":1}}' |
		sed "s/NOW/$(date +%s)/" | cat key - >"$FILE"
	said broken
}

@test "another key in the file, or none, is as no file" {
	keeps
	sed -i '1s/"digest":"./"digest":"x/' "$FILE"
	said other-key
	: >"$FILE"
	said other-key
}

@test "four megabytes of brackets, and more than that, are as no file" {
	keeps
	{ head -n 1 "$FILE" && head -c 4190000 /dev/zero | tr '\0' '['; } >new
	mv new "$FILE"
	said broken
	echo >>"$FILE"
	said broken
	head -c 5000000 /dev/zero >"$FILE"
	said too-large
}

@test "a symlink, a FIFO, a directory, a socket and another's file are as no file" {
	keeps
	mv "$FILE" real
	ln -s "$PWD/real" "$FILE"
	said foreign
	rm "$FILE"
	mkfifo "$FILE"
	said foreign
	rm "$FILE"
	mkdir "$FILE"
	said foreign
	rmdir "$FILE"
	if ((EUID == 0)); then
		cp real "$FILE"
		chown 12345 "$FILE"
		said foreign
	fi
}

@test "a symlink in the file's place is replaced, not followed; a directory stays, and that is said" {
	keeps
	rm "$FILE"
	echo mine >real
	ln -s "$PWD/real" "$FILE"
	keeps
	[[ $(<real) == mine && ! -L $FILE ]]
	rm "$FILE"
	mkdir "$FILE"
	with open "$INIT" expect "$INIT" hear "$INITIALIZED" save
	[[ ${lines[-1]} == 'Is a directory' ]]
	(($(ls -A cache/mcp-reap | wc -l) == 1))
}

@test "a file or a directory that others can write to is as none" {
	keeps
	chmod 660 "$FILE"
	said foreign
	chmod 600 "$FILE"
	chmod 777 cache/mcp-reap
	said foreign-directory
}

@test "a directory that is a symlink is not ours" {
	mkdir -p cache elsewhere
	ln -s "$PWD/elsewhere" cache/mcp-reap
	with open "$INIT" expect "$INIT" hear "$INITIALIZED" save
	[[ ${lines[0]} == foreign-directory && ${lines[-1]} == 'Not a directory' && -z $(ls elsewhere) ]]
}

@test "two that write one key at once leave a whole file" {
	local i
	for i in {1..20}; do
		"$ANSWERS" open "$INIT" expect "$INIT" hear "$INITIALIZED" expect "$TOOLS" hear "$LISTED" save -- "${COMMAND[@]}" >/dev/null 3>&- &
	done
	wait
	said
	(($(ls -A cache/mcp-reap | wc -l) == 1))
}

@test "on a full disk the old file stays, and nothing half is left" {
	((EUID == 0)) || skip "only root can mount"
	local large i
	mkdir cache
	mount -t tmpfs -o size=16k none cache || skip "no mount here"
	large="{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[\"$(printf '%030000d' 0)\"]}}"
	keeps
	with open "$INIT" expect "$TOOLS" hear "$large" save
	said && i=kept
	large=$output$(ls -A cache/mcp-reap)
	umount cache
	[[ $i == kept && $large == *jsonl ]]
}

@test "whatever call fails while a file is written, the old one stays, and nothing half is left" {
	local deny=$BATS_TEST_DIRNAME/../bin/deny calls large
	large="{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[\"$(printf '%030000d' 0)\"]}}"
	keeps
	for calls in fsync=ENOSPC 'renameat=ENOSPC renameat2=ENOSPC'; do
		# shellcheck disable=SC2086
		"$deny" $calls -- true || skip "no seccomp here"
		# shellcheck disable=SC2086
		run -0 "$deny" $calls -- "$ANSWERS" open "$INIT" expect "$TOOLS" hear "${LISTED/x/y}" save -- "${COMMAND[@]}"
		[[ ${lines[-1]} == 'No space left on device' ]]
		said
		(($(ls -A cache/mcp-reap | wc -l) == 1))
	done
	run -0 bash -c 'trap "" XFSZ; ulimit -f 8; exec "$@"' - "$ANSWERS" open "$INIT" expect "$TOOLS" hear "$large" save -- "${COMMAND[@]}"
	[[ ${lines[-1]} == 'File too large' ]]
	said
	(($(ls -A cache/mcp-reap | wc -l) == 1))
}

@test "where there is room for no directory or no file, that is said" {
	((EUID == 0)) || skip "only root can mount"
	local inodes said=()
	mkdir cache
	for inodes in 1 2; do
		mount -t tmpfs -o nr_inodes=$inodes none cache || skip "no mount here"
		with open "$INIT" expect "$INIT" hear "$INITIALIZED" save
		said+=("${lines[-1]}")
		umount cache
	done
	[[ ${said[*]} == 'No space left on device No space left on device' ]]
}

@test "an answer that finds no room in four megabytes is not kept, and the others are" {
	{
		printf '%s' '{"jsonrpc":"2.0","id":1,"result":{"tools":["'
		head -c 100000 /dev/zero | tr '\0' x
		printf '"]}}'
	} >large
	local i words=()
	for i in {1..50}; do
		words+=(expect "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"a\":$i}}" hear "$(<large)")
		((i % 8)) || { keeps "${words[@]}" && words=(); }
	done
	(($(stat -c %s "$FILE") < 4194304 && $(wc -l <"$FILE") <= 17))
	said
}

@test "a hundred files are kept, and the oldest go" {
	local i
	mkdir -p cache/mcp-reap
	for i in {1..99}; do
		touch -d "$((200 - i)) minutes ago" "cache/mcp-reap/$(printf '%032x' "$i").jsonl"
	done
	keeps
	(($(ls cache/mcp-reap | wc -l) == 100))
	COMMAND=(true 2)
	with open "$INIT" expect "$INIT" hear "$INITIALIZED" save
	(($(ls cache/mcp-reap | wc -l) == 100))
	[[ ! -e cache/mcp-reap/$(printf '%032x' 1).jsonl && -e cache/mcp-reap/$(printf '%032x' 2).jsonl ]]
}

@test "a new file that was never finished goes after an hour" {
	keeps
	touch "${FILE%.jsonl}.new-1" "${FILE%.jsonl}.new-2"
	touch -d '2 hours ago' "${FILE%.jsonl}.new-1"
	COMMAND=(true 2)
	with open "$INIT" expect "$INIT" hear "$INITIALIZED" save
	[[ ! -e ${FILE%.jsonl}.new-1 && -e ${FILE%.jsonl}.new-2 ]]
}

@test "what was closed is not found, and can be opened again" {
	keeps
	with open "$INIT" close find "$INIT" open "$INIT" find "$INIT"
	[[ $output == $'ok\n-\nok\n"result":{"protocolVersion":"2025-11-25"}' ]]
}
