/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "options.h"

#include "say.h"
#include "words.h"

#include <ctype.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULTS                                                                                   \
	{                                                                                          \
		.grace = -1, .kill_after = -1, .idle_stop = -1, .idle_request = -1                 \
	}
static const struct options defaults = DEFAULTS;
struct options opt = DEFAULTS;

enum { AUTO_STOP = 600000, HOUR = 3600000 }; /* ms */

static const char usage[] =
	"Usage: mcp-reap [OPTION]... [--] COMMAND [ARG]...\n"
	"       mcp-reap --list[=json] | --stop=PID | --restart=PID | --forget\n"
	"Run COMMAND, a stdio server, and leave nothing of it behind when the session\n"
	"is over: when stdin ends, stdout is closed, the client dies, or COMMAND exits.\n"
	"\n"
	"  -g, --grace=DURATION       from the end of input to SIGTERM\n"
	"                               [10s; 2s once the client waits no more]\n"
	"  -k, --kill-after=DURATION  from SIGTERM to SIGKILL\n"
	"                               [2s; 10s before COMMAND's first output]\n"
	"  -i, --idle-stop=WHEN       end COMMAND when nothing passes for a DURATION and it\n"
	"                               is not at work; start it again when needed;\n"
	"                               auto[:DURATION, 10m]: only if it was never\n"
	"                               used; never\n"
	"      --idle-request=DURATION\n"
	"                             for how long a request without an answer keeps\n"
	"                               COMMAND [10 times idle-stop; 1h at least]\n"
	"  -z, --lazy                 start COMMAND when it is first needed; until then\n"
	"                               answer with what it said last time\n"
	"  -r, --restart              start COMMAND again when it dies\n"
	"  -f, --frugal               as -z -i 30m -l -j -r: for clients that forget sessions\n"
	"  -l, --drop-launcher[=all]  once COMMAND, an npx, has started the server, end\n"
	"                               npx itself, which only waits; all: even if it\n"
	"                               is the server's own parent\n"
	"  -j, --json-only            send lines that are not JSON to stderr, not stdout\n"
	"  -x, --no-new-privs         COMMAND cannot gain privileges (setuid)\n"
	"  -o, --outlive-parent       our parent may exit; only stdio and signals\n"
	"                               end the session\n"
	"      --spare=NAME[,NAME]    let descendants of that name, and what is below them,\n"
	"                               live on when the session ends\n"
	"  -v, --verbose              say on stderr what happens\n"
	"  -s, --stats[=json]         say on stderr at the end what the session was\n"
	"  -t, --trace=FILE           write all messages to FILE, as JSON Lines; -: to\n"
	"                               stderr; %p in FILE is our process's number\n"
	"      --trace-max=SIZE       keep FILE at about SIZE, and the one before as FILE.1\n"
	"  -L, --list[=json]          show the sessions that run on this host\n"
	"      --stop=PID             end that session by SIGTERM\n"
	"      --restart=PID          start that session's COMMAND again\n"
	"      --forget               remove what --lazy has kept\n"
	"  -h, --help                 show this help and exit\n"
	"  -V, --version              show the version and exit\n"
	"\n"
	"DURATION is a number with an optional unit: ms, s (the default), m, h or d.\n"
	"Options in the environment's MCP_REAP_OPTIONS are read first; --no-OPTION takes\n"
	"one back, but for -f and --idle-request.\n"
	"Exit status: COMMAND's, or the signal that it died of; 125 if mcp-reap failed,\n"
	"126 if COMMAND cannot be run, 127 if it is not found.\n"
	"\n"
	"Examples:\n"
	"  mcp-reap -- npx -y @upstash/context7-mcp\n"
	"  mcp-reap -f -- npx -y @upstash/context7-mcp   for clients that live on\n";

/* Added to an option's letter: as if the option had not been given before, by
 * MCP_REAP_OPTIONS say. */
enum { NO = 1024 };

/* Options without a letter. */
enum { SPARE = 512, TRACE_MAX, STOP_SESSION, FORGET_KEPT };

/* clang-format off */
static const char short_options[] = "+:g:k:i:zrfljxovst:LhV";
static const struct option long_options[] = {
	{"grace",          required_argument, NULL, 'g'},
	{"kill-after",     required_argument, NULL, 'k'},
	{"idle-stop",      required_argument, NULL, 'i'},
	{"idle-request",   required_argument, NULL, 'R'},
	{"lazy",           no_argument,       NULL, 'z'},
	{"restart",        optional_argument, NULL, 'r'},
	{"frugal",         no_argument,       NULL, 'f'},
	{"drop-launcher",  optional_argument, NULL, 'l'},
	{"json-only",      no_argument,       NULL, 'j'},
	{"no-new-privs",   no_argument,       NULL, 'x'},
	{"outlive-parent", no_argument,       NULL, 'o'},
	{"verbose",        no_argument,       NULL, 'v'},
	{"stats",          optional_argument, NULL, 's'},
	{"trace",          required_argument, NULL, 't'},
	{"trace-max",      required_argument, NULL, TRACE_MAX},
	{"spare",          required_argument, NULL, SPARE},
	{"no-spare",          no_argument,    NULL, NO + SPARE},
	{"no-grace",          no_argument,    NULL, NO + 'g'},
	{"no-kill-after",     no_argument,    NULL, NO + 'k'},
	{"no-idle-stop",      no_argument,    NULL, NO + 'i'},
	{"no-lazy",           no_argument,    NULL, NO + 'z'},
	{"no-restart",        no_argument,    NULL, NO + 'r'},
	{"no-drop-launcher",  no_argument,    NULL, NO + 'l'},
	{"no-json-only",      no_argument,    NULL, NO + 'j'},
	{"no-no-new-privs",   no_argument,    NULL, NO + 'x'},
	{"no-outlive-parent", no_argument,    NULL, NO + 'o'},
	{"no-verbose",        no_argument,    NULL, NO + 'v'},
	{"no-stats",          no_argument,    NULL, NO + 's'},
	{"no-trace",          no_argument,    NULL, NO + 't'},
	{"no-trace-max",      no_argument,    NULL, NO + TRACE_MAX},
	{"list",           optional_argument, NULL, 'L'},
	{"stop",           required_argument, NULL, STOP_SESSION},
	{"forget",         no_argument,       NULL, FORGET_KEPT},
	{"help",           no_argument,       NULL, 'h'},
	{"version",        no_argument,       NULL, 'V'},
	{NULL,             0,                 NULL, 0},
};
/* clang-format on */

/* Where the options that are parsed come from. */
static enum { FROM_COMMAND_LINE, FROM_VARIABLE } source;

/* Exits with a complaint about the options. */
__attribute__((noreturn, format(printf, 1, 2))) static void refuse(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(source == FROM_VARIABLE ? "mcp-reap: " OPTIONS_VARIABLE ": " : "mcp-reap: ", format,
	    args);
	va_end(args);
	exit(EXIT_OURS);
}

static int64_t parse_duration(const char *option, const char *value)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = {{"", 1e3}, {"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
	const double most = 1e15; /* ms: 31,000 years, and far from overflow */
	const char *unit = value;
	double number = 0, divisor = 0; /* 0: no point yet */
	bool any = false;

	/* strtod(3) takes blanks, signs, hex, inf and nan as well, and is a tenth
	 * of a static binary. */
	for (; isdigit((unsigned char)*unit) || (*unit == '.' && divisor == 0); unit++) {
		if (*unit == '.') {
			divisor = 1;
			continue;
		}
		any = true;
		number = number * 10 + (*unit - '0');
		divisor *= 10;
	}
	for (size_t i = 0; any && i < sizeof units / sizeof *units; i++) {
		double ms = number * units[i].ms / (divisor > 0 ? divisor : 1);
		if (strcmp(unit, units[i].name) == 0 && ms <= most) {
			int64_t whole = (int64_t)ms;
			return whole + ((double)whole < ms); /* never less than asked */
		}
	}
	refuse("--%s: '%s': not a duration", option, value);
}

/* When an idle server is to be stopped: a duration, auto, auto:DURATION or never. */
static void parse_idle(const char *value)
{
	static const char automatic[] = "auto";
	const size_t n = sizeof automatic - 1;

	opt.idle_auto = strncmp(value, automatic, n) == 0 && (!value[n] || value[n] == ':');
	if (strcmp(value, "never") == 0)
		opt.idle_stop = -1;
	else if (opt.idle_auto && !value[n])
		opt.idle_stop = AUTO_STOP;
	else
		opt.idle_stop = parse_duration("idle-stop", opt.idle_auto ? value + n + 1 : value);
	if (opt.idle_stop == 0)
		refuse("--idle-stop: '%s': too short; to have no server stopped, say never", value);
}

/* Bytes: a whole number, with K, M or G behind it. */
static int64_t parse_size(const char *option, const char *value)
{
	static const char units[] = "KMG";
	const int64_t most = INT64_C(1) << 50;
	const char *unit = value, *known;
	int64_t size = 0;

	for (; isdigit((unsigned char)*unit) && size <= most; unit++)
		size = size * 10 + (*unit - '0');
	if (unit > value && *unit && (known = strchr(units, *unit)) && !unit[1] && size <= most) {
		size <<= 10 * (known - units + 1);
		unit++;
	}
	if (unit == value || *unit || size <= 0 || size > most << 10)
		refuse("--%s: '%s': not a size", option, value);
	return size;
}

/* Whether VALUE, which OPTION need not have, asks for JSON. */
static bool parse_format(const char *option, const char *value)
{
	if (value && strcmp(value, "json") != 0)
		refuse("--%s: '%s': not a format; there is json", option, value);
	return value != NULL;
}

/* Which launchers VALUE, which --drop-launcher need not have, lets go. */
static enum drop parse_launchers(const char *value)
{
	if (value && strcmp(value, "all") != 0)
		refuse("--drop-launcher: '%s': there is all", value);
	return value ? DROP_ALL : DROP_ABOVE_PARENT;
}

static pid_t parse_session(const char *option, const char *value)
{
	const char *digit = value;
	int64_t pid = 0;

	for (; isdigit((unsigned char)*digit) && pid <= INT_MAX; digit++)
		pid = pid * 10 + (*digit - '0');
	if (*digit || pid <= 0 || pid > INT_MAX)
		refuse("--%s: '%s': not a PID", option, value);
	return (pid_t)pid;
}

/* An ACTION instead of a session is asked for; SESSION: whose it is. */
static void ask_for(enum action action, pid_t session)
{
	if (opt.action != RUN)
		refuse("--list, --stop, --restart, --forget: one at a time");
	opt.action = action;
	opt.session = session;
}

/* For gateways, and for people who do not want to choose. */
static void be_frugal(void)
{
	opt.lazy = opt.restart = opt.json_only = true;
	opt.drop_launcher = DROP_ABOVE_PARENT;
	opt.idle_stop = (int64_t)HOUR / 2;
	opt.idle_auto = false;
}

__attribute__((noreturn)) static void print_and_exit(const char *text)
{
	print("%s", text);
	exit(0);
}

/* Whether LIST is of names as programs have them, and not of paths, between commas. */
static bool is_list_of_names(const char *list)
{
	size_t n = strlen(list);

	return n > 0 && *list != ',' && list[n - 1] != ',' && !strstr(list, ",,") &&
	       !strchr(list, '/');
}

/* Takes back the option of that LETTER. */
static void take_back(int letter)
{
	switch (letter) {
	case 'g':
		opt.grace = defaults.grace;
		break;
	case 'k':
		opt.kill_after = defaults.kill_after;
		break;
	case 'i':
		opt.idle_stop = defaults.idle_stop;
		opt.idle_auto = defaults.idle_auto;
		break;
	case 'z':
		opt.lazy = defaults.lazy;
		break;
	case 'r':
		opt.restart = defaults.restart;
		break;
	case 'l':
		opt.drop_launcher = defaults.drop_launcher;
		break;
	case 'j':
		opt.json_only = defaults.json_only;
		break;
	case 'x':
		opt.no_new_privs = defaults.no_new_privs;
		break;
	case 'o':
		opt.outlive_parent = defaults.outlive_parent;
		break;
	case 'v':
		opt.verbose = defaults.verbose;
		break;
	case 's':
		opt.stats = defaults.stats;
		break;
	case 't':
		opt.trace = defaults.trace;
		break;
	case TRACE_MAX:
		opt.trace_max = defaults.trace_max;
		break;
	case SPARE:
		opt.nspared = 0;
		break;
	}
}

/* Parses what precedes the first word that is no option; optind is its index. */
static void parse_words(int argc, char **argv)
{
	static char none[1];

	opterr = 0;
	optind = 0; /* glibc, musl: begin anew */
	for (int c;;) {
		optarg = none; /* or musl leaves the last one's */
		c = getopt_long(argc, argv, short_options, long_options, NULL);
		if (c == -1)
			return;
		const char *value = optarg == none ? NULL : optarg;
		if (source == FROM_VARIABLE &&
		    (c == 'L' || c == 'h' || c == 'V' || c == STOP_SESSION || c == FORGET_KEPT ||
		     (c == 'r' && value)))
			refuse("%s: not for every session", argv[optind - 1]);
		if (c >= NO) {
			take_back(c - NO);
			continue;
		}
		switch (c) {
		case 'g':
			opt.grace = parse_duration("grace", optarg);
			break;
		case 'k':
			opt.kill_after = parse_duration("kill-after", optarg);
			break;
		case 'i':
			parse_idle(optarg);
			break;
		case 'z':
			opt.lazy = true;
			break;
		case 'r':
			if (value)
				ask_for(RESTART, parse_session("restart", value));
			else
				opt.restart = true;
			break;
		case 'f':
			be_frugal();
			break;
		case STOP_SESSION:
			ask_for(STOP, parse_session("stop", optarg));
			break;
		case FORGET_KEPT:
			ask_for(FORGET, 0);
			break;
		case 'l':
			opt.drop_launcher = parse_launchers(value);
			break;
		case 'R':
			opt.idle_request = parse_duration("idle-request", optarg);
			break;
		case 'j':
			opt.json_only = true;
			break;
		case 'x':
			opt.no_new_privs = true;
			break;
		case 'o':
			opt.outlive_parent = true;
			break;
		case 'v':
			opt.verbose = true;
			break;
		case 's':
			opt.stats = true;
			opt.json = parse_format("stats", value);
			break;
		case 't':
			if (!*optarg)
				refuse("--trace: '': not a file");
			opt.trace = optarg;
			break;
		case TRACE_MAX:
			opt.trace_max = parse_size("trace-max", optarg);
			break;
		case SPARE:
			if (!is_list_of_names(optarg) || opt.nspared == SPARED_MAX)
				refuse("--spare: '%s': %s", optarg,
				       is_list_of_names(optarg) ? "too many" : "not a name");
			opt.spared[opt.nspared++] = optarg;
			break;
		case 'L':
			ask_for(LIST, 0);
			opt.json = parse_format("list", value);
			break;
		case 'h':
			print_and_exit(usage);
		case 'V':
			print_and_exit("mcp-reap " VERSION "\n");
		default:
			/* A long option unknown, or with a value that it does not
			 * take, leaves optopt 0 or its letter. */
			if (c == ':')
				refuse("%s: its value is missing", argv[optind - 1]);
			if (optopt && strncmp(argv[optind - 1], "--", 2) != 0)
				refuse("-%c: unknown option; try 'mcp-reap --help'", optopt);
			refuse("%s: unknown option; try 'mcp-reap --help'", argv[optind - 1]);
		}
	}
}

/* The options for a client whose configuration cannot be changed.  They are no
 * business of the server's, which may run mcp-reap as well. */
static void parse_variable(char *program)
{
	const char *value = getenv(OPTIONS_VARIABLE);
	if (!value)
		return;
	static char *text; /* for as long as we live: options point into it */
	text = strdup(value);
	char **words = calloc(strlen(value) + 2, sizeof *words);
	if (!text || !words)
		fail("memory");
	unsetenv(OPTIONS_VARIABLE);
	source = FROM_VARIABLE;
	words[0] = program;
	const char *why;
	int n = 1 + split_words(text, words + 1, &why);
	if (n == 0)
		refuse("%s", why);
	parse_words(n, words);
	if (optind < n)
		refuse("%s: not an option", words[optind]);
	free((void *)words);
	source = FROM_COMMAND_LINE;
}

/* --help and --version, where the command line has them: not for a mistake in the variable
 * to disable. */
static void answer_questions(int argc, char **argv)
{
	opterr = 0;
	optind = 0;
	for (int c; (c = getopt_long(argc, argv, short_options, long_options, NULL)) != -1;) {
		if (c == 'h')
			print_and_exit(usage);
		if (c == 'V')
			print_and_exit("mcp-reap " VERSION "\n");
		if (c == '?' || c == ':')
			return; /* a mistake that comes first is said first */
	}
}

char **parse_options(int argc, char **argv)
{
	answer_questions(argc, argv);
	parse_variable(*argv);
	parse_words(argc, argv);
	if (opt.action != RUN && optind < argc)
		refuse("%s: a command has no place beside --list and its kind", argv[optind]);
	if (optind == argc && opt.action == RUN)
		refuse("command: missing; try 'mcp-reap --help'");
	if (opt.idle_request < 0)
		opt.idle_request = 10 * opt.idle_stop > HOUR ? 10 * opt.idle_stop : HOUR;
	return argv + optind;
}

bool session_outlives_server(void)
{
	return opt.idle_stop >= 0 || opt.lazy || opt.restart;
}

int find_command(int argc, char **argv)
{
	optind = 0; /* anew */
	while (getopt_long(argc, argv, short_options, long_options, NULL) != -1)
		;
	return optind;
}

/* Reads the options of another session.  Returns false if one is not known here: the session is
 * another version's, and what follows may mean anything. */
static bool find_restart(int argc, char **argv, bool *restart)
{
	opterr = 0;
	optind = 0;
	for (int c; (c = getopt_long(argc, argv, short_options, long_options, NULL)) != -1;) {
		if (c == '?' || c == ':')
			return false;
		if (c == 'r' || c == 'f')
			*restart = true;
		else if (c == NO + 'r')
			*restart = false;
	}
	return true;
}

bool asks_for_restart(int argc, char **argv, char *variable)
{
	bool restart = false, known = true;
	const char *why;

	if (variable) {
		char **words = calloc(strlen(variable) + 2, sizeof *words);
		if (!words)
			fail("memory");
		words[0] = *argv;
		int n = split_words(variable, words + 1, &why);
		known = n >= 0 && find_restart(1 + n, words, &restart);
		free((void *)words);
	}
	return known && find_restart(argc, argv, &restart) && restart;
}
