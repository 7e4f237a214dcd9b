// Preloaded by NODE_OPTIONS=--require=.../slow.cjs: makes `npx -y` stay in mid-install for HOLD ms, as a slow disk or
// network does: what it unpacks of the package zod, which nearly everything depends on, waits that long.
'use strict';

const fs = require('node:fs');

const HOLD = 8000;
const open = fs.open;

fs.open = (path, ...rest) => {
	if (/\/_npx\/.*\/node_modules\/zod\//.test(path))
		setTimeout(() => open(path, ...rest), HOLD);
	else
		open(path, ...rest);
};
