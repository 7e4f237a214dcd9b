/*
 * libFuzzer's target: what is a stream of lines to the scanner must not depend on how its bytes are cut, and nothing
 * that comes from either side may lead beyond the notes that are kept of it.
 */
#define main mcp_reap_main
#include "../../mcp-reap.c"
#undef main

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What there is to know of a line: all that a later one could be mistaken by. */
struct finding {
	bool object;
	unsigned seen;
	struct id id, request_id;
	char method[NAME_SIZE], version[NAME_SIZE];
	uint64_t uri;
};

enum { LINES = 64 };

struct findings {
	struct finding line[LINES];
	size_t n;
	bool in_line;
};

static void keep_one(struct findings *f, const struct scanner *s)
{
	struct finding *one;

	if (f->n == LINES)
		return;
	one = &f->line[f->n++];
	one->object = s->object;
	if (!s->object) /* all the rest is worth nothing */
		return;
	one->seen = s->seen;
	one->id.kind = s->id.kind;
	if (s->id.kind) {
		one->id.size = s->id.size;
		memcpy(one->id.bytes, s->id.bytes, s->id.size);
	}
	one->request_id.kind = s->request_id.kind;
	if (s->request_id.kind) {
		one->request_id.size = s->request_id.size;
		memcpy(one->request_id.bytes, s->request_id.bytes, s->request_id.size);
	}
	strcpy(one->method, s->method);
	strcpy(one->version, s->version);
	one->uri = s->uri;
}

/* Scans DATA cut into pieces: of one byte (CUT 0), at random (a seed), or in one (SIZE_MAX).  Each piece is in memory
 * of its own size, so that AddressSanitizer sees a byte read too far. */
static void scan_all(struct findings *f, const char *data, size_t size, size_t cut)
{
	struct scanner *s = calloc(1, sizeof *s);
	uint64_t random = cut;

	memset(f, 0, sizeof *f);
	while (size > 0) {
		size_t piece = 1, done = 0;
		char *copy;

		if (cut == SIZE_MAX)
			piece = size;
		else if (cut > 0)
			piece = 1 + (size_t)((random = random * 6364136223846793005u + 1) >> 33) % 24;
		if (piece > size)
			piece = size;
		copy = malloc(piece);
		memcpy(copy, data, piece);
		while (done < piece) {
			size_t n = scan(s, copy + done, piece - done);

			if (n == 0 || n > piece - done)
				abort();
			done += n;
			if (s->over)
				keep_one(f, s);
			else if (done < piece)
				abort(); /* it stops behind a newline only */
		}
		free(copy);
		data += piece;
		size -= piece;
	}
	f->in_line = in_line(s);
	free(s);
}

/* Both sides take turns with the lines. */
static void talk_all(const char *data, size_t size)
{
	static struct notes our_notes;
	static struct talk our_talk;
	enum side side = CLIENT;

	notes = &our_notes;
	talk = &our_talk;
	opt.idle_stop = 1;
	talk->npending[CLIENT] = talk->npending[SERVER] = talk->nuris = 0;
	talk->handshake = NOTHING_SAID;
	talk->doubt = NULL;
	talk->version[0] = '\0';
	memset(talk->kept_size, 0, sizeof talk->kept_size);
	memset(talk->from, 0, sizeof talk->from);
	while (size > 0) {
		struct scanner *s = &talk->from[side];
		size_t n = scan(s, data, size);

		if (s->over) {
			if (side == CLIENT)
				keep_line(data, n);
			note_line(side);
			if (!s->object && !talk->doubt)
				abort();
			side = side == CLIENT ? SERVER : CLIENT;
		}
		if (talk->npending[CLIENT] > PENDING_MAX || talk->npending[SERVER] > PENDING_MAX || talk->nuris > URIS_MAX)
			abort();
		data += n;
		size -= n;
	}
	may_be_stopped();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct findings whole, bytes, pieces;
	const char *text = (const char *)data;

	scan_all(&whole, text, size, SIZE_MAX);
	scan_all(&bytes, text, size, 0);
	scan_all(&pieces, text, size, 1 + size);
	if (memcmp(&whole, &bytes, sizeof whole) != 0 || memcmp(&whole, &pieces, sizeof whole) != 0)
		abort();
	talk_all(text, size);
	return 0;
}
