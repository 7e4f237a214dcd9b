// An MCP server made of version 2 of the TypeScript SDK, which speaks 2026-07-28 and the versions before it:
//
//	node server.mjs
//
// Its tools: pid says who answers, and grow adds a tool to them.

import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';

serveStdio(() => {
	const server = new McpServer({ name: 'interop-server', version: '1.0.0' }, { capabilities: { tools: { listChanged: true } } });
	const answer = text => ({ content: [{ type: 'text', text }] });
	server.registerTool('pid', { description: 'who answers' }, async () => answer(`${process.pid}`));
	server.registerTool('grow', { description: 'one tool more' }, async () => {
		server.registerTool('grown', { description: 'what grew' }, async () => answer('grown'));
		return answer('grown');
	});
	return server;
});
