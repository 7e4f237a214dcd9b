// A small MCP client of our own that ends its session exactly as other clients do (measured, or read in their sources):
//
//	node sequence.mjs NAME [OPTION]... -- COMMAND [ARG]...
//
//	--call=TOOL:JSON   call a tool, wait for the answer
//	--send=TOOL:JSON   send a call and go on at once
//	--gate=FILE        do not speak; wait until FILE exists
//
// JSON can be @FILE: read it from there. Calls are made in the order given. Like its models it stops as soon as the
// process that it started has exited. Every step prints one JSON line.

import { execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

// own: the server is started in a session (and process group) of its own. pipes: stdio by pipes, not by Node's sockets.
// steps: milliseconds since the start of the ending; eof, or a signal, to the pid or to the group.
const sequences = {
	'claude-code': { steps: [[0, 'SIGINT'], [100, 'SIGTERM'], [500, 'SIGKILL'], [500, 'eof']] },
	'python-sdk': { own: true, pipes: true,
		steps: [[0, 'eof'], [2000, 'SIGTERM', 'group'], [4000, 'SIGKILL', 'group']] },
	'typescript-sdk-1.23': { steps: [[0, 'SIGTERM']] },
	'rmcp': { pipes: true, steps: [[0, 'eof'], [3000, 'SIGKILL']] },
	'codex': { own: true, pipes: true, steps: [[0, 'SIGTERM', 'group'], [2000, 'SIGKILL', 'group'], [2000, 'eof']] },
	'zed': { own: true, pipes: true, steps: [[0, 'SIGKILL', 'group'], [0, 'eof']] },
};

const argv = process.argv.slice(2);
const split = argv.indexOf('--');
const sequence = sequences[argv[0]];
if (!sequence || split < 0 || split + 1 >= argv.length) {
	console.error(`usage: sequence.mjs ${Object.keys(sequences).join('|')} [OPTION]... -- COMMAND [ARG]...`);
	process.exit(2);
}
const options = argv.slice(1, split).map(word => word.match(/^--(\w+)=(.*)$/s).slice(1));
const [command, ...args] = argv.slice(split + 1);

const began = performance.now();
function say(event, more = {}) {
	console.log(JSON.stringify({ event, ms: Math.round(performance.now() - began), ...more }));
}

// A real pipe(2) is not to be had in Node; a FIFO is the same thing with a name.
function pipe() {
	const dir = mkdtempSync(join(tmpdir(), 'sequence-'));
	const name = join(dir, 'pipe');
	execFileSync('mkfifo', [name]);
	const both = openSync(name, 'r+');
	const ends = { read: openSync(name, 'r'), write: openSync(name, 'w') };
	closeSync(both);
	rmSync(dir, { recursive: true });
	return ends;
}

function launch() {
	if (!sequence.pipes) {
		const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], detached: sequence.own });
		return { child, stdin: child.stdin, stdout: child.stdout };
	}
	const input = pipe();
	const output = pipe();
	const child = spawn(command, args, { stdio: [input.read, output.write, 'inherit'], detached: sequence.own });
	closeSync(input.read);
	closeSync(output.write);
	return {
		child,
		stdin: new Socket({ fd: input.write, readable: false, writable: true }),
		stdout: new Socket({ fd: output.read, readable: true, writable: false }),
	};
}

const { child, stdin, stdout } = launch();
child.on('error', error => {
	say('failed', { message: String(error) });
	process.exit(1);
});
const exited = new Promise(resolve => child.on('exit', (code, signal) => {
	say('exited', { code, signal });
	resolve(true);
}));
let running = true;
exited.then(() => { running = false; });
stdin.on('error', error => say('stdin', { message: error.message }));
say('started', { pid: child.pid });

const answers = new Map();
createInterface({ input: stdout }).on('line', line => {
	const message = JSON.parse(line);
	answers.get(message.id)?.(message);
});
let id = 0;

function send(message) {
	return new Promise(resolve => stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`, resolve));
}

async function request(method, params) {
	id++;
	const answer = new Promise(resolve => answers.set(id, resolve));
	await send({ id, method, params });
	return answer;
}

async function speak() {
	const { result } = await request('initialize', {
		protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'sequence', version: '1.0.0' },
	});
	await send({ method: 'notifications/initialized' });
	say('connected', { server: result.serverInfo.name });
	for (const [option, value] of options) {
		const [name, json] = value.split(/:(.*)/s);
		const input = json && JSON.parse(json.startsWith('@') ? readFileSync(json.slice(1), 'utf8') : json);
		if (option === 'call') {
			const answer = await request('tools/call', { name, arguments: input });
			say('called', { name, isError: Boolean(answer.error ?? answer.result.isError) });
		}
		if (option === 'send') {
			await send({ id: ++id, method: 'tools/call', params: { name, arguments: input } });
			say('sent', { name });
		}
	}
}

const gate = options.find(([option]) => option === 'gate')?.[1];
if (gate) {
	while (!existsSync(gate))
		await sleep(5);
} else {
	await speak();
}

say('ending', { sequence: argv[0] });
const ending = performance.now();
for (const [at, what, whom] of sequence.steps) {
	if (running)
		await Promise.race([exited, sleep(at - (performance.now() - ending))]);
	if (!running)
		break;
	say(what, { whom: what === 'eof' ? undefined : whom ?? 'pid' });
	if (what === 'eof')
		stdin.end();
	else
		process.kill(whom === 'group' ? -child.pid : child.pid, what);
}
// A signal sent just now has not been reaped yet; a sequence without a KILL waits for ever, as its model does.
await exited;
say('done');
process.exit(0);
