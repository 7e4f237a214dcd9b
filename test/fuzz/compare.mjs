// Compares what the scanner finds in messages with what JSON.parse does:
//
//	node compare.mjs LINES [COUNT [SEED]]
//
// LINES is the program `lines`. COUNT messages (20000) are generated from SEED (1): of every shape that matters, written
// in every way that JSON allows, and then damaged at random, half of them. Each is scanned in pieces of 1, 2, 3 and 7
// bytes, at random and whole.
//
// Bytes are compared as bytes: as Latin-1 they are a text that JSON.parse takes exactly as the scanner has to, invalid
// UTF-8 included. Only escapes beyond ASCII need a look: the scanner writes them in UTF-8.

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

// A text in Latin-1: one of its characters is a byte of the message.
const string = text => '"' + [...text].map(character).join('') + '"';

const texts = ['', 'a', 'id', 'method', 'params', 'result', 'error', 'requestId', 'uri', 'task', 'protocolVersion', 'jsonrpc',
	'2.0', '2025-11-25', '{', '}', '[', ']', '","id":1,"', '\\', '"', '/', '\n', '\x00', '\x1f', '\x7f', '\xff', '\xc3\xa9', '\xc0\x80',
	'\xed\xa0\x80', '\xf0\x9f\x98\x80', 'initialize', 'notifications/initialized', 'notifications/cancelled', 'tools/call',
	'x'.repeat(119), 'x'.repeat(120), 'x'.repeat(121), 'y'.repeat(47), 'y'.repeat(48), 'z'.repeat(3000)];
const escaped = ['"\\ud83d\\ude00"', '"\\uD83D\\uDE00"', '"\\ud83d"', '"\\ude00\\ud83d"', '"\\ud83d\\ud83d\\ude00"', '"\\ud83dx"', '"\\ud83d\\n"',
	'"\\u00e9"', '"\\u20ac"', '"\\u0000"', '"\\uffff"', '"\\ud83d\\udfff"', '"\\udbff\\udc00"', '"\\ud83d\\u0041"', '"m\\u0065thod"'];
const numbers = ['0', '-0', '1', '-1', '17', '1.0', '1e0', '1E+2', '0.5e-3', '9007199254740993', '1' + '0'.repeat(300), '1e999', '-1e-999',
	'3.' + '3'.repeat(100), '12345678901234567890'];
// None of these is JSON.
const broken = ['01', '-', '1.', '.5', '1e', '1e+', '+1', '0x1', 'NaN', 'Infinity', 'undefined', 'True', 'nul', 'truex', "'a'", '"a', '"\\x"',
	'"\\u12"', '"\\u12g4"', '"\t"', '"\x01"', '[1,]', '[,1]', '{"a":1,}', '{,}', '{"a"}', '{a:1}', '{"a":1 "b":2}', '[1 2]', '{1:2}', '}', ']',
	'[}', '{]', '//', '/**/1', '', '\xa0', '\x0b', '\x00'];

function scalar() {
	switch (random(6)) {
	case 0: return string(pick(texts));
	case 1: return pick(escaped);
	case 2: return pick(numbers);
	case 3: return pick(['true', 'false', 'null']);
	case 4: return string(Array.from({ length: random(20) }, () => String.fromCharCode(random(256))).join(''));
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

function message() {
	const members = [['jsonrpc', '"2.0"']];
	const inner = [];
	if (often(75))
		members.push(['id', id()]);
	if (often(60))
		members.push(['method', often(95) ? string(pick(texts)) : value(3)]);
	if (often(30))
		inner.push(['requestId', id()]);
	if (often(20))
		inner.push(['uri', scalar()]);
	if (often(10))
		inner.push(['task', value(3)]);
	if (often(40))
		inner.push(['protocolVersion', often(90) ? string(pick(texts)) : value(3)]);
	for (let n = random(3); n > 0; n--)
		inner.push([pick(texts), value(2)]);
	const holder = pick(['params', 'result', 'error', 'other']);
	members.push([holder, often(85) ? object(shuffled(inner)) : value(1)]);
	for (let n = often(30) ? random(4) : 0; n > 0; n--)
		members.push([pick(texts), value(1)]);
	if (often(4))
		members.push(pick(members)); // a member twice
	return blanks() + object(shuffled(members)) + blanks();
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

// The decoded keys, and the raw values, of the members of the outermost object of a valid JSON text.
function members(text) {
	const found = [];
	let depth = 0, start = -1, key;
	for (const token of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s"{}[\]:,]+/gs)) {
		const [t] = token;
		const end = token.index + t.length;
		if (depth === 1 && start < 0 && t[0] === '"')
			key = JSON.parse(t);
		if (t === '{' || t === '[')
			depth++;
		if (depth === 1 && start >= 0 && (t === ',' || t === '}')) {
			found.push([key, text.slice(start, token.index).trim()]);
			start = -1;
		}
		if (depth === 1 && t === ':' && start < 0)
			start = end;
		if (t === '}' || t === ']')
			depth--;
	}
	return found;
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

const nothing = '0';

// An id as `lines` prints it; null where there is a doubt.
function identity(raw) {
	if (raw === undefined || raw === 'null')
		return '-';
	if (raw[0] === '"')
		return decoded(raw).length > 240 ? null : '"' + decoded(raw);
	if (!/^[-0-9]/.test(raw) || raw.length > 120)
		return null;
	return '0' + Buffer.from(raw, 'latin1').toString('hex');
}

function name(raw) {
	if (raw === undefined)
		return '.';
	const hex = decoded(raw);
	return hex.length / 2 >= 48 || /^(..)*00/.test(hex) ? '.3f' : '.' + hex;
}

function expected(text) {
	let parsed;
	try {
		parsed = JSON.parse(text);
	} catch {
		return nothing;
	}
	if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed) || deepest(text) > 1024)
		return nothing;
	const seen = {};
	const watch = (list, keys) => {
		for (const [key, raw] of list) {
			if (!keys.includes(key))
				continue;
			if (key in seen)
				return false;
			seen[key] = raw;
		}
		return true;
	};
	const outer = members(text);
	if (!watch(outer, ['id', 'method', 'params', 'result', 'error']))
		return nothing;
	if (seen.params?.[0] === '{' && !watch(members(seen.params), ['requestId', 'uri', 'task']))
		return nothing;
	if (seen.result?.[0] === '{' && !watch(members(seen.result), ['protocolVersion']))
		return nothing;
	const own = identity(seen.id), other = identity(seen.requestId);
	if (own === null || other === null || (seen.method !== undefined && seen.method[0] !== '"'))
		return nothing;
	const version = seen.protocolVersion?.[0] === '"' ? seen.protocolVersion : undefined;
	return `1 ${own} ${name(seen.method)} ${other} ${name(version)} ` + ('method' in seen ? 'm' : '') + ('params' in seen ? 'p' : '') +
		('result' in seen ? 'r' : '') + ('error' in seen ? 'e' : '') + ('task' in seen ? 't' : '');
}

const texts_of_all = Array.from({ length: Number(count) }, () => damaged(message()));
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
const objects = right.filter(line => line !== nothing).length;
console.log(`${right.length} messages, ${objects} of them objects without a doubt: ${wrong} differences`);
process.exit(wrong || objects < right.length / 10 || objects === right.length ? 1 : 0);
