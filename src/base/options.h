/* SPDX-License-Identifier: MIT */
/* What the user asks for: the command line, and MCP_REAP_OPTIONS. */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VERSION "0.2.0"
#define OPTIONS_VARIABLE "MCP_REAP_OPTIONS"

enum { SPARED_MAX = 16 };

/* Read-only once main has begun.  Times are in ms. */
extern struct options {
	int64_t grace;                  /* -1: not said */
	int64_t kill_after;             /* -1: not said */
	int64_t idle_stop;              /* -1: never */
	bool idle_auto;                 /* only a server that was never used, and holds nothing */
	int64_t idle_request;           /* for how long a request without an answer holds */
	const char *spared[SPARED_MAX]; /* names with commas between them */
	size_t nspared;
	enum drop { DROP_NONE, DROP_ABOVE_PARENT, DROP_ALL } drop_launcher;
	bool json_only;
	bool no_new_privs;
	bool outlive_parent;
	bool verbose;
	const char *trace; /* a file's name; NULL: none */
	int64_t trace_max; /* bytes of that file; 0: any number */
	bool stats;
	bool json; /* for what --stats or --list says */
	bool lazy;
	bool restart;
	enum action { RUN, LIST, STOP, RESTART, FORGET } action; /* what else than to run COMMAND */
	pid_t session; /* that is to be stopped, or restarted */
} opt;

/* Whether a session can go on when its server has gone. */
bool session_outlives_server(void);

/* Fills opt.  Returns COMMAND and its arguments, none for another action.  Exits on a mistake, and
 * after --help and --version. */
char **parse_options(int argc, char **argv);

/* The index in ARGV, another session's command line, of its COMMAND. */
int find_command(int argc, char **argv);

/* Whether another session, called by ARGV and with VARIABLE, NULL for none, as MCP_REAP_OPTIONS,
 * which is cut into its words, has --restart.  What cannot be told is no. */
bool asks_for_restart(int argc, char **argv, char *variable);

#endif
