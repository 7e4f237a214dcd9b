// A stand-in for the model APIs of the clients: asks for one call of the server's tool `echo`, and with the answer to it
// ends the turn, or holds: does not answer, so that an ending can be placed within the session.
//
//	model.mjs end|hold DIR
//
// DIR/port has its port, once it listens on the loopback; DIR/offered what the server's log was when the tool was offered;
// DIR/answer what the tool answered, as the client passed it on.
import { createServer } from 'node:http';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';

const [, , what, dir] = process.argv;
const TEXT = 'said to the tool';
const DONE = 'done';
const LIFE = 600; // seconds; a failed test leaves nothing for long

// Each of the APIs: the path of its requests; the names of the tools that a request offers; the answers of tools that it
// holds; the events of a stream that calls a tool, and of one that ends the turn.
const apis = [
	{
		path: /\/v1\/messages$/, // Anthropic
		tools: (body) => body.tools?.map((tool) => tool.name),
		answers: (body) => body.messages.flatMap((message) => message.content)
			.filter((part) => part.type === 'tool_result').map((part) => part.content),
		call: (name) => anthropic('tool_use', { type: 'tool_use', id: 'call_1', name, input: {} },
			{ type: 'input_json_delta', partial_json: JSON.stringify({ text: TEXT }) }),
		end: () => anthropic('end_turn', { type: 'text', text: '' }, { type: 'text_delta', text: DONE }),
	},
	{
		path: /\/v1\/responses$/, // OpenAI, the one that Codex speaks
		tools: (body) => body.tools?.flatMap((tool) => tool.tools?.map((one) => `${tool.name} ${one.name}`) ?? [tool.name]),
		answers: (body) => body.input.filter((item) => item.type === 'function_call_output').map((item) => item.output),
		call: (name) => responses({
			type: 'function_call', call_id: 'call_1', name: name.split(' ').at(-1), namespace: name.split(' ').at(-2),
			arguments: JSON.stringify({ text: TEXT }),
		}),
		end: () => responses({ type: 'message', role: 'assistant', content: [{ type: 'output_text', text: DONE }] }),
	},
	{
		path: /\/v1\/chat\/completions$/, // OpenAI, the one that all others have
		tools: (body) => body.tools?.map((tool) => tool.function.name),
		answers: (body) => body.messages.filter((message) => message.role === 'tool').map((message) => message.content),
		call: (name) => chat('tool_calls', { tool_calls: [{ index: 0, id: 'call_1', type: 'function',
			function: { name, arguments: JSON.stringify({ text: TEXT }) } }] }),
		end: () => chat('stop', { content: DONE }),
	},
	{
		path: /:streamGenerateContent$/, // Gemini
		tools: (body) => body.tools?.flatMap((tool) => tool.functionDeclarations?.map((one) => one.name) ?? []),
		answers: (body) => body.contents.flatMap((content) => content.parts).filter((part) => part.functionResponse)
			.map((part) => part.functionResponse.response),
		call: (name) => gemini({ functionCall: { name, args: { text: TEXT } } }),
		end: () => gemini({ text: DONE }),
	},
];

function anthropic(reason, block, delta) {
	const usage = { input_tokens: 1, output_tokens: 1 };
	return [
		{ type: 'message_start', message: { id: 'msg_1', type: 'message', role: 'assistant', model: 'stand-in', content: [],
			stop_reason: null, stop_sequence: null, usage } },
		{ type: 'content_block_start', index: 0, content_block: block },
		{ type: 'content_block_delta', index: 0, delta },
		{ type: 'content_block_stop', index: 0 },
		{ type: 'message_delta', delta: { stop_reason: reason, stop_sequence: null }, usage },
		{ type: 'message_stop' },
	];
}

function responses(item) {
	return [
		{ type: 'response.created', response: { id: 'resp_1' } },
		{ type: 'response.output_item.done', output_index: 0, item: { id: 'item_1', ...item } },
		{ type: 'response.completed', response: { id: 'resp_1',
			usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 } } },
	];
}

function chat(reason, delta) {
	const chunk = { id: 'chat_1', object: 'chat.completion.chunk', created: 0, model: 'stand-in' };
	return [
		{ ...chunk, choices: [{ index: 0, delta: { role: 'assistant', ...delta }, finish_reason: null }] },
		{ ...chunk, choices: [{ index: 0, delta: {}, finish_reason: reason }],
			usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } },
	];
}

function gemini(part) {
	return [{
		candidates: [{ index: 0, content: { role: 'model', parts: [part] }, finishReason: 'STOP' }],
		usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
	}];
}

// The events of the answer to a request, or nothing: hold.
function turn(api, body) {
	const tool = api.tools(body)?.find((name) => /\becho$|_echo$/.test(name));
	if (!tool) // a title for the session, say
		return api.end();
	const answer = api.answers(body).map((one) => JSON.stringify(one)).find((one) => one.includes(TEXT));
	if (!answer) {
		write('offered', readFileSync(`${dir}/log`));
		return api.call(tool);
	}
	write('answer', answer);
	return what === 'hold' ? undefined : api.end();
}

// A file that is there is whole.
function write(name, text) {
	writeFileSync(`${dir}/.${name}`, `${text}\n`);
	renameSync(`${dir}/.${name}`, `${dir}/${name}`);
}

const server = createServer(async (request, response) => {
	const api = apis.find((one) => one.path.test(new URL(request.url, 'http://127.0.0.1').pathname));
	let body = '';
	for await (const chunk of request)
		body += chunk;
	if (!api || request.method !== 'POST') {
		response.writeHead(404).end();
		return;
	}
	const events = turn(api, JSON.parse(body));
	if (!events)
		return;
	response.writeHead(200, { 'content-type': 'text/event-stream' });
	for (const event of events)
		response.write(`${event.type ? `event: ${event.type}\n` : ''}data: ${JSON.stringify(event)}\n\n`);
	response.end();
});
server.listen(0, '127.0.0.1', () => write('port', server.address().port));
setTimeout(() => process.exit(), LIFE * 1000);
