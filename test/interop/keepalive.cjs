// Preloaded by NODE_OPTIONS=--require=.../keepalive.cjs: makes a server outlive the end of its input, as an open
// keep-alive socket or a forgotten timer does in real ones. npx and npm are left as they are.
//
//	KEEPALIVE=timer       (default) only a signal ends it
//	KEEPALIVE=deaf        SIGINT, SIGTERM and SIGHUP do not end it either
//	KEEPALIVE=save:FILE   on the first of these signals it takes a second to save: writes FILE, then exits
'use strict';

const { writeFileSync } = require('node:fs');
const { isMainThread } = require('node:worker_threads');

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];

function die(signal) {
	process.removeAllListeners(signal);
	process.kill(process.pid, signal);
}

function outlive(mode) {
	const [word, file] = mode.split(/:(.*)/s);
	setInterval(() => {}, 1 << 30);
	process.stdin.once('end', () => process.stderr.write('keepalive: end of input, still here\n'));
	// context7 calls exit() itself when its input ends.
	const exit = process.exit;
	process.exit = () => {};
	let saving = false;
	for (const signal of signals) {
		process.prependListener(signal, () => {
			if (word === 'timer')
				die(signal);
			if (word !== 'save' || saving)
				return;
			saving = true;
			setTimeout(() => {
				writeFileSync(file, 'saved\n');
				exit.call(process, 0);
			}, 1000);
		});
	}
}

if (isMainThread && !/(^|\/)np[mx](-cli\.js)?$/.test(process.argv[1] ?? ''))
	outlive(process.env.KEEPALIVE ?? 'timer');
