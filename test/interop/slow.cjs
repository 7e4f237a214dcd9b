// Preloaded by NODE_OPTIONS=--require=.../slow.cjs: keeps `npx -y` in mid-install for HOLD ms, as a slow disk or network
// does: the first file that it unpacks of zod, a package that nearly everything depends on, waits that long. On a
// signal npm lets what it is unpacking finish, and only then rolls back: HOLD must stay well below mcp-reap's 10 s to
// SIGKILL, and beyond the 2 s that some clients wait between end of input and SIGTERM.
'use strict';

const fs = require('node:fs');

const HOLD = 4000;
const open = fs.open;
let held = false;

fs.open = (path, ...rest) => {
	if (!held && /\/_npx\/.*\/node_modules\/zod\//.test(path)) {
		held = true;
		setTimeout(() => open(path, ...rest), HOLD);
	} else {
		open(path, ...rest);
	}
};
