// Compares what is read of messages with what JSON.parse reads:
//
//	node compare.mjs LINES [COUNT [SEED]]
//
// LINES is the program `lines`. COUNT messages (20000) are generated from SEED (1): of every shape that matters, written
// in every way that JSON allows, and then damaged at random, half of them. Each is read in pieces of 1, 2, 3 and 7 bytes,
// at random and whole.
//
// A text is of bytes, one a character (Latin-1), as its places are counted in bytes. Whether it is JSON is for a decoder
// of UTF-8 that does not mend anything, and JSON.parse.

import { spawnSync } from 'node:child_process';

const [lines, count = '20000', seed = '1'] = process.argv.slice(2);

let state = BigInt(seed) * 0x9e3779b97f4a7c15n;
function random(n) {
	state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
	return Number(state >> 33n) % n;
}
const pick = list => list[random(list.length)];
const often = percent => random(100) < percent;

// How the same thing can be written.

const blanks = () => (often(80) ? '' : pick([' ', '  ', '\t', '\r', ' \t ']));

function character(c) {
	const code = c.charCodeAt(0);
	const escapes = ['\\u' + code.toString(16).padStart(4, '0'), '\\u' + code.toString(16).toUpperCase().padStart(4, '0')];
	const short = { '"': '\\"', '\\': '\\\\', '/': '\\/', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t' }[c];
	if (short)
		escapes.push(short);
	if (code >= 0x20 && c !== '"' && c !== '\\' && (!often(8) || code > 0x7f))
		return c;
	return pick(escapes);
}

// One of its characters is a byte of the message.
const string = text => '"' + [...text].map(character).join('') + '"';

const bytes_of = text => Buffer.from(text, 'utf8').toString('latin1');

const texts = ['', 'a', 'id', 'method', 'params', 'result', 'error', 'requestId', 'uri', 'task', 'protocolVersion', 'jsonrpc',
	'cursor', 'level', '_meta', 'notifications', 'resultType', 'capabilities', 'serverInfo', 'tools', 'listChanged', 'code',
	'toolsListChanged', 'resourceSubscriptions', 'claude/channel', 'io.modelcontextprotocol/protocolVersion',
	'2.0', '2025-11-25', '{', '}', '[', ']', '","id":1,"', '\\', '"', '/', '\n', '\x00', '\x1f', '\x7f', '\xc3\xa9', '\xed\x9f\xbf',
	'\xee\x80\x80', '\xf0\x9f\x98\x80', '\xf4\x8f\xbf\xbf', 'initialize', 'notifications/initialized', 'notifications/cancelled',
	'tools/call', 'x'.repeat(119), 'x'.repeat(120), 'x'.repeat(121), 'y'.repeat(47), 'y'.repeat(48), 'z'.repeat(3000),
	bytes_of('\u65e5\u672c\u8a9e'.repeat(30))];
const escaped = ['"\\ud83d\\ude00"', '"\\uD83D\\uDE00"', '"\\ud83d"', '"\\ude00\\ud83d"', '"\\ud83d\\ud83d\\ude00"', '"\\ud83dx"', '"\\ud83d\\n"',
	'"\\u00e9"', '"\\u20ac"', '"\\u0000"', '"\\uffff"', '"\\ud83d\\udfff"', '"\\udbff\\udc00"', '"\\ud83d\\u0041"', '"m\\u0065thod"'];
const numbers = ['0', '-0', '1', '-1', '17', '1.0', '1e0', '1E+2', '0.5e-3', '9007199254740993', '1' + '0'.repeat(300), '1e999', '-1e-999',
	'3.' + '3'.repeat(100), '12345678901234567890', '0.0', '-0.0e-5', '0e99999999999', '10e-1', '100e-2', '0.1E1', '1e39', '1e40', '-1e40',
	'1e00000000001', '0.' + '0'.repeat(110) + '1', '1' + '0'.repeat(119), '9'.repeat(120), '-' + '9'.repeat(119) + '.9', '7'.repeat(119) + 'e9',
	'1e99999999', '1e100000000', '-32002', '-32002.0', '2147483647', '2147483648', '-2147483648', '-2147483649', '-3.2603e4'];
// None of these is JSON.
const broken = ['01', '-', '1.', '.5', '1e', '1e+', '+1', '0x1', 'NaN', 'Infinity', 'undefined', 'True', 'nul', 'truex', "'a'", '"a', '"\\x"',
	'"\\u12"', '"\\u12g4"', '"\t"', '"\x01"', '[1,]', '[,1]', '{"a":1,}', '{,}', '{"a"}', '{a:1}', '{"a":1 "b":2}', '[1 2]', '{1:2}', '}', ']',
	'[}', '{]', '//', '/**/1', '', '\xa0', '\x0b', '\x00', '\xef\xbb\xbf', '"\xff"', '"\x80"', '"\xc0\x80"', '"\xc1\xbf"', '"\xed\xa0\x80"', '"\xe0\x9f\xbf"',
	'"\xf0\x8f\xbf\xbf"', '"\xf4\x90\x80\x80"', '"\xf5\x80\x80\x80"', '"\xc3"', '"\xe2\x82"', '"\xf0\x9f\x98"', '"\xc3\\n"'];

function scalar() {
	switch (random(6)) {
	case 0: return string(pick(texts));
	case 1: return pick(escaped);
	case 2: return pick(numbers);
	case 3: return pick(['true', 'false', 'null']);
	case 4: return string(bytes_of(Array.from({ length: random(20) }, () =>
		String.fromCodePoint(pick([random(256), random(0x800), 0xe000 + random(0x2000), 0x10000 + random(0x100000)]))).join('')));
	default: return string(pick(texts) + pick(texts));
	}
}

function value(depth) {
	if (often(1))
		return pick(broken);
	if (depth > 4 || often(50))
		return scalar();
	if (often(2)) {
		const n = pick([3, 60, 63, 64, 65, 128, 500, 1000, 1020, 1030, 5000]);
		const [open, close] = pick([['[', ']'], ['{"a":', '}'], ['{"id":[', ']}']]);
		return open.repeat(n) + '1' + close.repeat(n);
	}
	if (often(30))
		return '[' + Array.from({ length: random(4) }, () => blanks() + value(depth + 1) + blanks()).join(',') + blanks() + ']';
	return object(Array.from({ length: random(5) }, () => [pick(texts), value(depth + 1)]));
}

function object(members) {
	return '{' + blanks() + members.map(([key, text]) =>
		string(key) + blanks() + ':' + blanks() + text + blanks()).join(',' + blanks()) + '}';
}

function shuffled(list) {
	for (let i = list.length - 1; i > 0; i--) {
		const j = random(i + 1);
		[list[i], list[j]] = [list[j], list[i]];
	}
	return list;
}

const id = () => (often(10) ? value(3) : often(50) ? pick(numbers) : often(30) ? pick(escaped) : string(pick(texts)));

// The members that matter: a number, where it is, its name (undefined: any other).
const table = [
	[2, 'message', 'id'], [3, 'message', 'method'], [4, 'message', 'params'], [5, 'message', 'result'], [6, 'message', 'error'],
	[7, 'params', 'requestId'], [8, 'params', 'uri'], [9, 'params', 'task'], [10, 'params', 'cursor'], [11, 'params', 'protocolVersion'],
	[12, 'params', 'level'], [13, 'params', '_meta'], [14, 'params', 'notifications'],
	[15, '_meta', 'io.modelcontextprotocol/protocolVersion'],
	[16, 'notifications', 'toolsListChanged'], [17, 'notifications', 'promptsListChanged'], [18, 'notifications', 'resourcesListChanged'],
	[19, 'notifications', undefined],
	[20, 'result', 'task'], [21, 'result', 'protocolVersion'], [22, 'result', 'resultType'], [23, 'result', 'capabilities'], [24, 'result', 'serverInfo'],
	[25, 'capabilities', 'tools'], [26, 'capabilities', 'prompts'], [27, 'capabilities', 'resources'], [28, 'capabilities', 'experimental'],
	[29, 'capabilities', 'logging'],
	[30, 'tools', 'listChanged'], [31, 'prompts', 'listChanged'], [32, 'resources', 'listChanged'], [33, 'experimental', 'claude/channel'],
	[34, 'error', 'code'],
];

// The value of a member that matters, most often as it should be.
function member_value(key) {
	if (often(10))
		return value(3);
	if (table.some(([, parent]) => parent === key))
		return often(90) ? object(members_of(key)) : pick(['null', '{}', '[]', '[{"id":1}]']);
	switch (key) {
	case 'id': case 'requestId': return id();
	case 'code': return pick(numbers);
	case 'listChanged': case 'toolsListChanged': case 'promptsListChanged': case 'task': return pick(['true', 'false', 'null', '{}']);
	default: return string(pick(texts));
	}
}

function members_of(parent) {
	const list = [];
	for (const [, within, key = 'resourceSubscriptions'] of table)
		if (within === parent && often(parent === 'message' || parent === 'result' ? 60 : 40))
			list.push([key, member_value(key)]);
	for (let n = often(30) ? random(4) : 0; n > 0; n--)
		list.push([pick(texts), value(2)]);
	if (list.length && often(2))
		list.push(pick(list)); // a member twice
	return shuffled(list);
}

const message = () => blanks() + object(members_of('message')) + blanks();

function line() {
	if (often(5))
		return blanks() + value(0) + blanks();
	if (often(90))
		return message();
	return '[' + Array.from({ length: random(5) }, () => (often(95) ? message() : value(3))).join(',') + ']';
}

function damaged(text) {
	if (often(50))
		return text;
	const bytes = [...text];
	for (let n = 1 + random(2); n > 0; n--) {
		const at = random(bytes.length + 1);
		switch (random(4)) {
		case 0: bytes.splice(at, 1); break;
		case 1: bytes.splice(at, 0, pick([...'{}[]":,\\u0\'1 tfn-\x00\x1f\xff'])); break;
		case 2: bytes.splice(at, 1, String.fromCharCode(random(256))); break;
		default: bytes.splice(at, random(8), ...bytes.slice(random(bytes.length + 1)).slice(0, random(8)));
		}
	}
	return bytes.join('').replaceAll('\n', ' ');
}

// What is right.

// A valid JSON text as a tree: each value with its kind, its place and what it holds, not decoded.
function parse(text) {
	const tokens = [...text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s"{}[\]:,]+/gs)];
	let next = 0;
	function read() {
		const token = tokens[next++];
		const [t] = token;
		const node = { kind: /[-0-9]/.test(t[0]) ? '0' : t[0], start: token.index };
		if (t === '{' || t === '[') {
			node.holds = [];
			const close = t === '{' ? '}' : ']';
			while (tokens[next][0] !== close) {
				if (tokens[next][0] === ',')
					next++;
				let key;
				if (t === '{') {
					key = tokens[next][0];
					next += 2;
				}
				node.holds.push([key, read()]);
			}
			next++;
		}
		const last = tokens[next - 1];
		node.end = last.index + last[0].length;
		node.raw = text.slice(node.start, node.end);
		return node;
	}
	return read();
}

function deepest(text) {
	let depth = 0, most = 0;
	for (const [t] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]]/gs)) {
		if (t === '{' || t === '[')
			most = Math.max(most, ++depth);
		else if (t === '}' || t === ']')
			depth--;
	}
	return most;
}

// The bytes of a JSON string whose bytes are Latin-1, in hexadecimal; escapes beyond ASCII become UTF-8, and half a
// surrogate pair what it would be if it were a character.
function decoded(raw) {
	let hex = '';
	const add = code => {
		const bytes = code < 0x80 ? [code] : code < 0x800 ? [0xc0 | code >> 6, 0x80 | code & 63]
			: code < 0x10000 ? [0xe0 | code >> 12, 0x80 | code >> 6 & 63, 0x80 | code & 63]
			: [0xf0 | code >> 18, 0x80 | code >> 12 & 63, 0x80 | code >> 6 & 63, 0x80 | code & 63];
		hex += bytes.map(byte => byte.toString(16).padStart(2, '0')).join('');
	};
	for (const [t] of raw.slice(1, -1).matchAll(/(?:\\u[0-9a-fA-F]{4})+|\\.|[^\\]/gs)) {
		if (t.startsWith('\\u'))
			for (const c of JSON.parse(`"${t}"`))
				add(c.codePointAt(0));
		else if (t[0] === '\\')
			add(JSON.parse(`"${t}"`).charCodeAt(0));
		else
			hex += t.charCodeAt(0).toString(16).padStart(2, '0');
	}
	return hex;
}

const half_pair = raw => !JSON.parse(Buffer.from(raw, 'latin1').toString('utf8')).isWellFormed();

// A number in its one form; null: no room for it.
function canonical(raw) {
	const [, sign, whole, fraction = '', power = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(raw);
	const digits = (whole + fraction).replace(/^0+/, '');
	const short = digits.replace(/0+$/, '');
	if (short === '')
		return '0';
	const exponent = BigInt(power) - BigInt(fraction.length) + BigInt(digits.length - short.length);
	let form = short + (exponent === 0n ? '' : 'e' + exponent);
	if (exponent >= 0n && BigInt(short.length) + exponent <= 40n)
		form = short + '0'.repeat(Number(exponent));
	return exponent >= 100000000n || (sign + form).length > 120 ? null : sign + form;
}

// An id as `lines` prints it; null where there is a doubt.
function identity(node) {
	if (node === undefined)
		return '-';
	switch (node.kind) {
	case 'n': return 'n';
	case '"': {
		const hex = decoded(node.raw);
		return hex.length > 240 || half_pair(node.raw) ? null : '"' + hex;
	}
	case '0': {
		const form = node.raw.length > 120 ? null : canonical(node.raw);
		return form === null ? null : '0' + Buffer.from(form).toString('hex');
	}
	default: return null;
	}
}

function name(node) {
	if (node?.kind !== '"')
		return '.';
	const hex = decoded(node.raw);
	return hex.length / 2 >= 48 || /^(..)*00/.test(hex) ? '.3f' : '.' + hex;
}

function code(node) {
	const form = node?.kind === '0' && node.raw.length <= 120 ? canonical(node.raw) : null;
	return form !== null && /^-?\d{1,12}$/.test(form) && Number(form) === (Number(form) | 0) ? form : undefined;
}

// A message as `lines` prints it; null where there is a doubt.
function described(node) {
	const found = {};
	let seen = 0n, set = 0n, twice = false;
	const look = (holder, at) => {
		for (const [raw, child] of holder.holds) {
			const key = Buffer.from(decoded(raw), 'hex').toString('latin1');
			const here = table.filter(([, within]) => within === at);
			const [number, , is] = here.find(([, , other]) => other === key) ?? here.find(([, , other]) => other === undefined) ?? [];
			if (number === undefined)
				continue;
			twice ||= is !== undefined && number in found;
			found[number] = child;
			seen |= 1n << BigInt(number);
			if (child.kind !== 'n' && child.kind !== 'f' && (number !== 34 || code(child) !== undefined))
				set |= 1n << BigInt(number);
			if (child.kind === '{' && table.some(([, within]) => within === is))
				look(child, is);
		}
	};
	look(node, 'message');
	const [own, method, other] = [found[2], found[3], found[7]];
	if (twice || identity(own) === null || identity(other) === null || (method && (method.kind !== '"' || half_pair(method.raw))))
		return null;
	const version = [found[11], found[21]].filter(child => child?.kind === '"').sort((a, b) => b.start - a.start)[0];
	const places = [2, 4, 5, 23, 24].map(number => (found[number] ? ` ${found[number].start}-${found[number].end}` : ' -'));
	return ` ${identity(own)} ${name(method)} ${identity(other)} ${name(version)} ${name(found[12])} ${name(found[22])} ` +
		`${code(found[34]) ?? 0} ${seen.toString(16)} ${set.toString(16)}` + places.join('');
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function expected(text) {
	try {
		JSON.parse(decoder.decode(Buffer.from(text, 'latin1')));
	} catch {
		return '0';
	}
	if (deepest(text) > 1024)
		return '0';
	const whole = parse(text);
	if (whole.kind === '{')
		return described(whole) === null ? '?' : 'm' + described(whole);
	if (whole.kind !== '[' || !whole.holds.length || whole.holds.some(([, child]) => child.kind !== '{' || described(child) === null))
		return '?';
	return 'b' + whole.holds.map(([, child]) => described(child)).join('');
}

const texts_of_all = Array.from({ length: Number(count) }, () => damaged(line()));
const right = texts_of_all.map(expected);
const input = Buffer.from(texts_of_all.join('\n') + '\n', 'latin1');
let wrong = 0;
for (const piece of ['65536', '1', '2', '3', '7', '0']) {
	const { status, stdout } = spawnSync(lines, ['-p', piece], { input, maxBuffer: 1 << 30, encoding: 'latin1' });
	const found = stdout.split('\n');
	if (status !== 0 || found.length !== right.length + 1) {
		console.error(`${lines} -p ${piece}: status ${status}, ${found.length - 1} lines of ${right.length}`);
		process.exit(1);
	}
	right.forEach((line, i) => {
		if (line !== found[i] && wrong++ < 10)
			console.error(`pieces of ${piece}: ${JSON.stringify(texts_of_all[i]).slice(0, 400)}\n\texpected ${line}\n\tfound    ${found[i]}`);
	});
}
const count_of = kind => right.filter(text => text[0] === kind).length;
const [good, bad] = [count_of('m') + count_of('b'), count_of('0')];
console.log(`${right.length} lines, ${bad} no JSON, ${count_of('?')} in doubt, ${count_of('b')} batches: ${wrong} differences`);
process.exit(wrong || good < right.length / 10 || bad < right.length / 10 ? 1 : 0);
