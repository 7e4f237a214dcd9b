// An MCP client made of the real TypeScript SDK, driven by words:
//
//	node client.mjs [--sdk=1|2] [--auto] WORD... -- COMMAND [ARG]...
//
//	start           begin to connect, do not wait for it
//	connect         wait until connected (starts if need be)
//	list            list the tools
//	call:TOOL:JSON  call a tool with these arguments
//	send:TOOL:JSON  the same, but do not wait for the result
//	echo:BYTES      call "echo" with so many bytes, compare what comes back
//	gate:FILE       wait until FILE exists
//	asleep          wait until what we have started has no child any more
//	alone           see that it has none now
//	changed         wait until the server has said that its tools have changed, and they have been listed again
//	many:N          call "echo" N times at once, compare what comes back
//	close           close the client, as the SDK does it
//	exit            process.exit(0), with the session open
//	wait            stay until somebody kills us
//
//	--changes       the client lists the tools again when the server says that they have changed
//	--roots=DIR     the client has this root
//	--sampling=FILE the server may ask us for a completion, which it gets when FILE exists
//
// --sdk: the major version of the SDK. --auto: version 2 asks a short-lived sibling server which protocol it speaks.
// Every step prints one JSON line; an error ends the program with status 1. The server gets the whole environment
// (the SDK's own default would drop the marker of the test), and our stderr.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const argv = process.argv.slice(2);
const split = argv.indexOf('--');
if (split < 0 || split + 1 >= argv.length) {
	console.error('usage: client.mjs [--sdk=1|2] [--auto] WORD... -- COMMAND [ARG]...');
	process.exit(2);
}
const words = argv.slice(0, split);
const [command, ...args] = argv.slice(split + 1);
const v2 = words.includes('--sdk=2');
const auto = words.includes('--auto');

const { Client } = await import(v2 ? '@modelcontextprotocol/client'
	: '@modelcontextprotocol/sdk/client/index.js');
const { StdioClientTransport } = await import(v2 ? '@modelcontextprotocol/client/stdio'
	: '@modelcontextprotocol/sdk/client/stdio.js');

const began = performance.now();
function say(event, more = {}) {
	console.log(JSON.stringify({ event, ms: Math.round(performance.now() - began), ...more }));
}

// Of all that the server said.
function digest(value) {
	return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

const transport = new StdioClientTransport({ command, args, env: process.env, stderr: 'inherit' });
const option = name => words.find(word => word.startsWith(`--${name}=`))?.slice(`--${name}=`.length);
const sampling = option('sampling');
const roots = option('roots');
let changes = 0;
const onChanged = (error, tools) => {
	changes++;
	say('changed', { error: error?.message, names: tools?.map(tool => tool.name) });
};
const client = new Client({ name: 'interop', version: '1.0.0' }, {
	...(auto ? { versionNegotiation: { mode: 'auto' } } : {}),
	...(words.includes('--changes') ? { listChanged: { tools: { onChanged } } } : {}),
	capabilities: { ...(sampling ? { sampling: {} } : {}), ...(roots ? { roots: { listChanged: true } } : {}) },
});
if (roots) {
	const { ListRootsRequestSchema } = await import('@modelcontextprotocol/sdk/types.js');
	client.setRequestHandler(v2 ? 'roots/list' : ListRootsRequestSchema, async () => {
		say('rooted');
		return { roots: [{ uri: `file://${roots}` }] };
	});
}
if (sampling) {
	const { CreateMessageRequestSchema } = await import('@modelcontextprotocol/sdk/types.js');
	client.setRequestHandler(CreateMessageRequestSchema, async () => {
		say('asked');
		while (!existsSync(sampling))
			await sleep(5);
		return { role: 'assistant', model: 'none', content: { type: 'text', text: 'sampled' } };
	});
}
client.onerror = error => say('error', { message: String(error) });
// A loaded machine and a cold npx are slow: the SDK's own 60 s are not what is tested.
const patience = { timeout: 180_000 };
let connecting;

function start() {
	connecting ??= client.connect(transport, patience).then(
		() => say('connected', { server: client.getServerVersion()?.name, pid: transport.pid,
			digest: digest([client.getServerVersion(), client.getServerCapabilities(), client.getInstructions()]) }));
	connecting.catch(() => {});
}

function call(name, input) {
	const request = { name, arguments: input };
	return v2 ? client.callTool(request, patience) : client.callTool(request, undefined, patience);
}

const steps = {
	async start() {
		start();
		// The transport has its pid once spawn(2) is done, which is before the server's first byte.
		while (transport.pid === null && !auto)
			await sleep(5);
		say('started', { pid: transport.pid });
	},
	async connect() {
		start();
		await connecting;
	},
	async list() {
		const { tools } = await client.listTools(undefined, patience);
		say('tools', { digest: digest(tools), names: tools.map(tool => tool.name) });
	},
	async call(name, ...json) {
		const result = await call(name, JSON.parse(json.join(':')));
		const text = result.content?.map(part => part.text ?? '').join('');
		say('called', { name, isError: Boolean(result.isError), text: text.slice(0, 200) });
	},
	async send(name, ...json) {
		call(name, JSON.parse(json.join(':'))).catch(error => say('unanswered', { message: String(error) }));
	},
	async echo(bytes) {
		let message = '';
		// No two lines alike, and not only ASCII: a lost, doubled or split piece shows.
		for (let n = 0; message.length < Number(bytes); n++)
			message += `${n} äöü€😀 "quoted" \\ \u2028 `;
		const result = await call('echo', { message });
		const same = result.content[0].text === `Echo: ${message}`;
		say('echoed', { bytes: Buffer.byteLength(message), same });
		if (!same)
			throw new Error('the echo differs');
	},
	async gate(file) {
		while (!existsSync(file))
			await sleep(5);
	},
	async asleep() {
		const { pid } = transport;
		while (readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8') !== '')
			await sleep(5);
		const [, pss] = /^Pss: *([0-9]+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
		say('asleep', { pss: Number(pss) });
	},
	async alone() {
		const { pid } = transport;
		const alone = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8') === '';
		say('alone', { alone });
		if (!alone)
			throw new Error('there is a child');
	},
	async changed() {
		while (changes === 0)
			await sleep(5);
		changes = 0;
	},
	async many(n) {
		const results = await Promise.all(Array.from({ length: Number(n) }, (_, i) => call('echo', { message: `${i}` })));
		const same = results.every((result, i) => result.content[0].text === `Echo: ${i}`);
		say('many', { same });
		if (!same)
			throw new Error('an echo differs');
	},
	async close() {
		say('closing');
		await client.close();
		say('closed');
	},
	async exit() {
		say('exiting');
		process.exit(0);
	},
	async wait() {
		say('waiting');
		setInterval(() => {}, 1 << 30);
		await new Promise(() => {});
	},
};

try {
	for (const word of words) {
		if (word.startsWith('--'))
			continue;
		const [step, ...rest] = word.split(':');
		await steps[step](...rest);
	}
} catch (error) {
	say('failed', { message: String(error) });
	process.exit(1);
}
