#!/usr/bin/env bats
# The two rooms that read what passes, alone: every line below is read in every split.

# shellcheck disable=SC2016

bats_require_minimum_version 1.5.0

setup() {
	UNIT=$BATS_TEST_DIRNAME/../bin/unit
	cd "$BATS_TEST_TMPDIR" || return
}

# all_are WHAT [OPTION]...: what the reader of JSON says of each line of stdin, in which printf's escapes are undone.
all_are() {
	local line
	while IFS= read -r line; do
		printf '%b\n' "$line"
	done >lines
	"$UNIT/json" >said <lines
	[[ $(wc -l <said) == "$(wc -l <lines)" ]]
	paste -d ' ' said lines
	! grep -vxqF "$1" said
}

# json_says [-d DEPTH] TEXT EXPECTED
json_says() {
	local options=()
	if [[ $1 == -d ]]; then
		options=(-d "$2")
		shift 2
	fi
	local said
	said=$(printf '%s\n' "$1" | "$UNIT/json" "${options[@]}")
	echo "$1 -> $said"
	[[ $said == "$2" ]]
}

# message_says LINE PATTERN: the pattern is matched anywhere in what is said.
message_says() {
	local said
	said=$(printf '%s\n' "$1" | "$UNIT/message")
	echo "$1 -> $said"
	[[ "$said " == *$2* ]]
}

# repeat TEXT N
repeat() {
	local spaces
	printf -v spaces "%$2s" ''
	printf '%s' "${spaces// /"$1"}"
}

@test "what RFC 8259 allows is JSON" {
	all_are json <<'EOF'
0
-0
1
-12
10.25
1e5
1E+5
1.5e-3
-0.0
true
false
null
""
"a"
"\\""
"\\\\"
"\\/\\b\\f\\n\\r\\t"
"\\u0000\\u00e9\\uFFFF"
"\x7f"
[]
[ ]
{}
{ }
 \t\r 1 \t\r 
[1,2]
[ 1 , 2 ]
[[],{}]
{"a":1}
{ "a" : 1 , "a" : 2 }
{"":{"":[]}}
[null,true,false,"",0,-1.5e-7]
{"a":[{"b":{"c":[1,[2,[3]]]}}]}
123456789012345678901234567890123456789012345678901234567890
1e99999999999999999999
EOF
}

@test "what RFC 8259 does not allow is no JSON" {
	all_are no <<'EOF'

\t
a
+1
01
-01
-
1.
.5
1.e5
1e
1e+
1e1.5
0x10
1 2
1a
NaN
Infinity
-Infinity
tru
True
truer
nul
nulll
'a'
"
"a
"\\"
"\\x"
"\\u123"
"\\u12g4"
"\t"
"\x01"
"a"b
[
]
[1
[1,
[1,]
[,1]
[,]
[1 2]
[1:2]
[1}
{
}
{]
{"a"}
{"a":}
{"a":1
{"a":1,}
{,}
{,"a":1}
{a:1}
{1:2}
{"a" 1}
{"a":1 "b":2}
{"a":1;"b":2}
{"a"::1}
{"a":1}}
[]]
{}{}
// 1
1 // 1
/**/1
\x0b1
\x0c1
\xa01
\xef\xbb\xbf1
EOF
}

@test "a string that is UTF-8 is JSON" {
	all_are json <<'EOF'
"\xc2\x80"
"\xdf\xbf"
"\xe0\xa0\x80"
"\xed\x9f\xbf"
"\xee\x80\x80"
"\xef\xbf\xbf"
"\xf0\x90\x80\x80"
"\xf4\x8f\xbf\xbf"
"aaaaaaa\xc3\xa9aaaaaaaaaaaaaaaa\xf0\x9f\x98\x80aaaaaaaa\xe2\x82\xac"
{"\xc3\xa9":"\xe6\x97\xa5\xe6\x9c\xac\\n\xe8\xaa\x9e"}
EOF
}

@test "a string that is not UTF-8 is no JSON" {
	all_are no <<'EOF'
"\x80"
"\xbf"
"\xc0\x80"
"\xc1\xbf"
"\xc3"
"\xc3a"
"\xc3\\n"
"\xc3\xc3"
"\xc3\xa9\xa9"
"\xe0\x9f\xbf"
"\xe2\x82"
"\xe2\x82a"
"\xed\xa0\x80"
"\xed\xbf\xbf"
"\xf0\x8f\xbf\xbf"
"\xf0\x9f\x98"
"\xf4\x90\x80\x80"
"\xf5\x80\x80\x80"
"\xff"
"aaaaaaaaaaaaaaaa\xff"
{"\xff":1}
"\xc3
[\xc3\xa9]
EOF
}

@test "half of a surrogate pair is JSON, and said" {
	all_are 'json half-pair' <<'EOF'
"\\ud83d"
"\\ude00"
"\\ude00\\ud83d"
"\\ud83d\\ud83d\\ude00"
"\\ud83dx"
"\\ud83d\\n\\ude00"
"\\ud83d\\u0041"
{"\\ud83d":1}
["a",["\\udc00"],"b"]
EOF
	all_are json <<'EOF'
"\\ud83d\\ude00"
"\\uD83D\\uDE00\\udbff\\udfff"
EOF
}

@test "1024 levels are JSON, one more is too deep" {
	json_says "$(repeat '[' 1024)$(repeat ']' 1024)" json
	json_says "$(repeat '{"a":' 1024)1$(repeat '}' 1024)" json
	json_says "$(repeat '[' 1025)$(repeat ']' 1025)" 'no too-deep'
	json_says "$(repeat '{"a":' 1025)1$(repeat '}' 1025)" 'no too-deep'
}

@test "a listener hears keys and values, and where they are" {
	json_says -d 9 ' {"a" : [1, "b\u00e9\n",null ] ,"c":{"d":-1.5e3,"e":false}, "f":true}' \
		$'json {@1 key=a [@8 0@9-10 "@12-23 n@24-28 close@30 key=c {@36 key=d 0@41-47=-1.5e3 key=e f@52-57 close@58 key=f t@64-68 close@69'
	json_says -d 1 ' 17 ' 'json 0@1-3'
	json_says -d 1 '"\ud83d\ude00"' 'json "@0-14'
	json_says -d 1 '{"\ud83d\ude00\u20ac":"\ud83d"}' \
		$'json half-pair {@0 key=\xf0\x9f\x98\x80\xe2\x82\xac "@22-30=\xed\xa0\xbd(half-pair) close@31'
}

@test "a listener hears nothing of what it does not look into" {
	json_says -d 1 '{"a":{"b":[1]},"c":[2,{"d":3}],"e":4}' \
		'json {@0 key=a {@5 close@14 key=c [@19 close@30 key=e 0@35-36=4 close@37'
	json_says -d 2 '[[1,[2]],3,{"a":{"b":4}},5]' \
		'json [@0 [@1 0@2-3 [@4 close@7 close@8 0@9-10 {@11 key=a {@16 close@23 close@24 0@25-26 close@27'
}

@test "a listener hears nothing of a value that it does not want" {
	json_says -d 1 '{"nothing":"a","nothing":1,"nothing":null,"b":2}' \
		'json {@0 key=nothing key=nothing key=nothing key=b 0@46-47=2 close@48'
}

@test "of a large text the first bytes are kept, and its size is known" {
	json_says -d 1 "{\"a\":\"$(repeat x 119)é\"}" "json {@0 key=a \"@5-128(121)=$(repeat x 119)"$'\xc3'' close@129'
	json_says -d 1 "{\"$(repeat '\t' 200)\":1}" "json {@0 key(200)=$(repeat $'\t' 120) 0@404-405=1 close@406"
}

@test "the hash of a string is that of all of it, however it is written" {
	json_says -d 1 '{"hash":"abc","hash":"\u0061b\u0063","hash":""}' \
		'json {@0 key=hash "@8-13=abc#e71fa2190541574b key=hash "@21-36=abc#e71fa2190541574b key=hash "@44-46=#cbf29ce484222325 close@47'
	local long
	long=$(repeat x 300)
	[[ $(printf '{"hash":"%sa"}\n{"hash":"%sb"}\n' "$long" "$long" | "$UNIT/json" -d 1 | sed 's/.*#//' | uniq | wc -l) == 2 ]]
}

@test "a request, a notification and an answer are told apart" {
	message_says '{"id":1,"method":"ping"}' '| request id=01 method=ping '
	message_says '{"id":"","method":"ping"}' '| request id=" method=ping '
	message_says '{"method":"ping"}' '| notification method=ping '
	message_says '{"id":1,"result":{}}' '| answer id=01 result '
	message_says '{"id":1,"result":null}' '| answer id=01 not:result '
	message_says '{"id":1,"error":{}}' '| answer is-error id=01 error '
	message_says '{"id":null,"error":{}}' '| answer is-error id=n error '
	message_says '{"id":1,"result":1,"error":null}' '| answer id=01 result not:error '
	message_says '{"id":1,"error":null}' '| id=01 not:error '
	message_says '{"id":null,"method":"ping"}' '| id=n method=ping '
	message_says '{"id":1,"method":"ping","result":1}' '| id=01 method=ping result '
	message_says '{"result":1}' '| result '
	message_says '{}' 'messages=1 | '
}

@test "an id is the same however it is written" {
	local id
	for id in 1 1.0 1e0 10e-1 0.1e1 1E+00 100e-02 0.0001e4; do
		message_says "{\"id\":$id}" ' id=01 '
	done
	for id in 0 -0 0.0 -0.00e7 0e999999999999; do
		message_says "{\"id\":$id}" ' id=00 '
	done
	message_says '{"id":-17.0}' ' id=0-17 '
	message_says '{"id":1.50}' ' id=015e-1 '
	message_says '{"id":12e2}' ' id=01200 '
	message_says '{"id":9007199254740993}' ' id=09007199254740993 '
	message_says '{"id":12345678901234567890123456789012345678901}' ' id=012345678901234567890123456789012345678901 '
	message_says '{"id":1e39}' " id=01$(repeat 0 39) "
	message_says "{\"id\":1$(repeat 0 40)}" ' id=01e40 '
	message_says '{"id":"\u0031"}' ' id="1 '
	message_says '{"id":"1"}' ' id="1 '
	message_says "{\"id\":\"$(repeat x 120)\"}" " id=\"$(repeat x 120) "
}

@test "what can be read in two ways is in doubt" {
	local line
	while IFS= read -r line; do
		message_says "${line#* }" " doubt=${line%% *} "
	done <<EOF
member-twice {"id":1,"id":1}
member-twice {"method":"a","m\\u0065thod":"a"}
member-twice {"params":{"uri":"a","uri":"b"}}
member-twice {"params":{"a":1},"params":{}}
member-twice {"result":{"capabilities":{"tools":{"listChanged":true,"listChanged":false}}}}
odd-id {"id":true}
odd-id {"id":[]}
odd-id {"id":{}}
odd-id {"params":{"requestId":{"id":1}}}
long-id {"id":"$(repeat x 121)"}
long-id {"id":$(repeat 7 121)}
long-id {"id":1e100000000}
long-id {"id":$(repeat 7 119)e1}
odd-method {"method":1}
odd-method {"method":null}
odd-method {"method":["a"]}
half-character {"method":"\\ud83d"}
half-character {"id":"\\ude00"}
half-character {"params":{"requestId":"\\ude00"}}
no-object [1]
no-object [{"id":1,"method":"a"},[]]
no-object 1
no-object "a"
no-message []
too-deep {"id":1,"a":$(repeat '[' 1024)$(repeat ']' 1024)}
EOF
}

@test "what cannot be mistaken is in no doubt" {
	local line
	while IFS= read -r line; do
		message_says "$line" ' messages=1 | '
	done <<'EOF'
{"a":1,"a":2}
{"params":{"a":{"uri":1},"uri":2,"b":{"uri":3}}}
{"params":[{"uri":1},{"uri":2}]}
{"result":{"method":"a","id":[]},"error":{"id":{}}}
{"params":{"text":"\ud83d"}}
{"params":{"notifications":{"a":1,"b":2}}}
EOF
}

@test "a name that does not fit in, or has a NUL, is ?" {
	message_says "{\"method\":\"$(repeat x 47)\"}" " method=$(repeat x 47) "
	message_says "{\"method\":\"$(repeat x 48)\"}" ' method=? '
	message_says '{"method":"a\u0000"}' ' method=? '
}

@test "the members of params are found" {
	message_says '{"params":{"requestId":7.0,"protocolVersion":"2025-11-25","level":"debug","cursor":"","task":{}}}' \
		'| requestId=07 version=2025-11-25 level=debug params params.task cursor params.protocolVersion params@10-96 '
	message_says '{"params":{"uri":"abc"}}' ' uri=e71fa2190541574b '
	message_says '{"params":{"cursor":null,"task":null,"level":1}}' '| params not:params.task not:cursor params@'
	message_says '{"params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}' ' meta.protocolVersion '
	message_says '{"params":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","x":{"uri":1}}}' '| params params@'
}

@test "what a subscription listens for is found" {
	message_says '{"params":{"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true}}}' \
		' listen.tools listen.prompts listen.resources params@'
	message_says '{"params":{"notifications":{"toolsListChanged":false,"resourceSubscriptions":["a"]}}}' \
		' not:listen.tools listen.other '
	message_says '{"params":{"notifications":{"a":null,"b":true,"c":false}}}' ' params listen.other '
	message_says '{"params":{"notifications":{"a":null,"c":false}}}' ' params not:listen.other '
}

@test "the members of a result are found" {
	message_says '{"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"prompts":{"listChanged":false},"resources":{},"experimental":{"claude/channel":{}}},"serverInfo":{"name":"x"}}}' \
		'| version=2025-11-25 result result.protocolVersion tools.listChanged not:prompts.listChanged claude/channel result@10-198 capabilities@57-171 serverInfo@185-197 '
	message_says '{"result":{"resultType":"task","task":{"taskId":"1"}}}' ' resultType=task result result.task '
	message_says '{"result":{"task":null,"capabilities":null}}' ' result not:result.task result@10-43 capabilities@38-42 '
}

@test "an error's code is found where it is an integer" {
	message_says '{"error":{"code":-32002}}' ' code=-32002 '
	message_says '{"error":{"code":-3.2002e4}}' ' code=-32002 '
	message_says '{"error":{"code":-2147483648}}' ' code=-2147483648 '
	message_says '{"error":{"code":2147483647}}' ' code=2147483647 '
	local code
	for code in 2147483648 -2147483649 1.5 '"1"' null '{}' 1e300; do
		message_says "{\"error\":{\"code\":$code}}" '| is-error error '
	done
}

@test "where an id is, is known to the byte" {
	message_says '{ "id" : 1.0e0 , "method":"a"}' ' id@9-14 '
	message_says '{"id":"a\"b","method":"a"}' ' id@6-12 '
	message_says ' [ {"id":1} , {"id":null} ]' ' id=01 id@9-10 | id=n id@20-24 '
}

@test "the messages of a batch are handled one by one" {
	message_says '[{"id":1,"method":"a"},{"method":"b","params":{"task":1}},{"id":2,"result":{}}]' \
		'json batch first=5b length=79 messages=3 | request id=01 method=a id@7-8 | notification method=b params params.task params@46-56 | answer id=02 result id@64-65 result@75-77 '
}

@test "a blank line is none, and the first byte of the others is known" {
	message_says '' 'no first=0a length=0 '
	message_says $' \t\r' 'no first=0a length=3 '
	message_says $' \t{"id":1}\r' 'json first=7b length=11 '
	message_says ' hello' 'no first=68 length=6 '
}
