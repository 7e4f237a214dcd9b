// N sessions of one client, for ../sessions:
//
//	node sessions.mjs N up|asleep|again -- COMMAND [ARG]...
//
// Connects N times and lists the tools. Then it looks at what its descendants take: when all of them are up and nothing
// changes any more; or when each session is asleep, which is when what we have started has no children, as a lazy one's has
// none from the beginning; or when each was asleep and has been asked again. Then each is asked once more, and closed: to
// call a tool, which needs a server. One line of numbers for the table.

import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

const split = process.argv.indexOf('--');
const [n, when] = process.argv.slice(2, split);
const [command, ...args] = process.argv.slice(split + 1);
const patience = { timeout: 120_000 };
const sessions = [];

// Servers of plain sessions would outlive us.
process.on('SIGTERM', async () => {
	await Promise.allSettled(sessions.map(({ client }) => client.close()));
	process.exit(1);
});

function children(pid) {
	try {
		return readdirSync(`/proc/${pid}/task`).flatMap(task =>
			readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean));
	} catch {
		return []; // it has gone
	}
}

function below(pid) {
	return children(pid).flatMap(child => [child, ...below(child)]);
}

function pss(pid) {
	try {
		return Number(/^Pss: *([0-9]+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
	} catch {
		return 0;
	}
}

// From the spawn to the list of the tools, ms.
async function connect() {
	const began = performance.now();
	const transport = new StdioClientTransport({ command, args, env: process.env, stderr: 'ignore' });
	const client = new Client({ name: 'sessions', version: '1.0.0' });
	const session = { transport, client };
	sessions.push(session);
	await client.connect(transport, patience);
	const { tools } = await client.listTools(undefined, patience);
	if (tools.length === 0)
		throw new Error('no tools');
	return performance.now() - began;
}

// How long the answer took, ms. That the server's own server cannot be reached is an answer as well.
async function ask({ client }) {
	const began = performance.now();
	const params = { name: 'resolve-library-id', arguments: { libraryName: 'react', query: 'hooks' } };
	const { content } = await client.callTool(params, undefined, patience);
	if (content.length === 0)
		throw new Error('no answer');
	return performance.now() - began;
}

async function askAll() {
	const times = [];
	for (const session of sessions)
		times.push(await ask(session));
	return Math.max(...times);
}

function median(values) {
	const sorted = values.toSorted((a, b) => a - b);
	const half = sorted.length >> 1;
	return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

async function asleep() {
	const end = performance.now() + 120_000 + 4000 * Number(n);
	while (sessions.some(({ transport }) => children(transport.pid).length)) {
		if (performance.now() > end)
			throw new Error('not asleep');
		await sleep(50);
	}
}

// A client starts its servers one after the other; so do we, since npx is heavy to start.
const connected = [];
for (let i = 0; i < Number(n); i++)
	connected.push(await connect());
if (when !== 'up')
	await asleep();
if (when === 'again')
	await askAll();
if (when !== 'asleep')
	await sleep(1500); // garbage is collected, launchers are dropped

const processes = below(process.pid);
const kib = processes.reduce((sum, pid) => sum + pss(pid), 0);
const slowest = await askAll();
const mb = kib / 1024;
console.log(`${String(processes.length).padStart(9)} ${mb.toFixed(1).padStart(12)} ${(mb / Number(n)).toFixed(2).padStart(12)}` +
	` ${median(connected).toFixed(1).padStart(14)}   ${sessions.length} of ${n}, ${(slowest / 1000).toFixed(2)} s`);
await Promise.all(sessions.map(({ client }) => client.close()));
const left = below(process.pid);
if (left.length) {
	console.error(`left: ${left}`);
	process.exit(1);
}
process.exit(0);
