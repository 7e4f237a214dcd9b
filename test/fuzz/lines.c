/*
 * What the scanner finds in the lines of stdin, a line each, for compare.mjs; or how fast it is.
 *
 *	lines [-p BYTES]	in pieces of so many bytes (65536); 0: of 1 to 16 at random
 *	lines -t SECONDS	scans stdin, which is kept in memory, again and again for so long; says MB/s
 *
 * A line of output: 0, or: 1 ID METHOD REQUEST-ID VERSION MEMBERS. Ids have their kind in front ('"' or '0'; '-': none);
 * texts are in hexadecimal.
 */
#define main mcp_reap_main
#include "../../mcp-reap.c"
#undef main

static void print_text(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		printf("%02x", (unsigned char)text[i]);
}

static void print_id(const struct id *id)
{
	printf(" %c", id->kind ? id->kind : '-');
	if (id->kind)
		print_text(id->bytes, id->size);
}

static void print_line(const struct scanner *s)
{
	if (!s->object) {
		puts("0");
		return;
	}
	putchar('1');
	print_id(&s->id);
	printf(" .");
	print_text(s->method, strlen(s->method));
	print_id(&s->request_id);
	printf(" .");
	print_text(s->version, strlen(s->version));
	printf(" %s%s%s%s%s\n", s->seen & METHOD ? "m" : "", s->seen & PARAMS ? "p" : "", s->seen & RESULT ? "r" : "",
	       s->seen & ERROR ? "e" : "", s->seen & TASK ? "t" : "");
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static struct scanner s;
	size_t size = 0, room = 1 << 20, piece = 65536;
	char *text = malloc(room);
	double limit = 0;

	for (int c; (c = getopt(argc, argv, "p:t:")) != -1;) {
		if (c == 'p')
			piece = (size_t)atol(optarg);
		else
			limit = atof(optarg);
	}
	for (size_t n; (n = fread(text + size, 1, room - size, stdin)) > 0;) {
		size += n;
		if (size == room)
			text = realloc(text, room *= 2);
	}
	if (limit > 0) {
		double begin = seconds(), now_is;
		uint64_t done = 0, objects = 0;

		do {
			for (size_t at = 0; at < size; at += piece) {
				size_t end = at + piece < size ? at + piece : size;

				for (size_t i = at; i < end;) {
					i += scan(&s, text + i, end - i);
					objects += s.over && s.object;
				}
			}
			done += size;
			now_is = seconds();
		} while (now_is - begin < limit);
		printf("%.0f MB/s, %.0f objects/s\n", (double)done / (now_is - begin) / 1e6,
		       (double)objects / (now_is - begin));
		return 0;
	}
	for (size_t at = 0; at < size;) {
		size_t want = piece ? piece : 1 + (size_t)(random() % 16), done = 0;

		if (want > size - at)
			want = size - at;
		while (done < want) {
			done += scan(&s, text + at + done, want - done);
			if (s.over)
				print_line(&s);
		}
		at += want;
	}
	return 0;
}
