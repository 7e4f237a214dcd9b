/* SPDX-License-Identifier: MIT */
#include "spare.h"

#include "../base/options.h"
#include "proc.h"

#include <string.h>
#include <unistd.h>

static pid_t command;

bool spares_any(void)
{
	return opt.nspared > 0;
}

void never_spare(pid_t pid)
{
	command = pid;
}

/* Whether NAME is in one of the lists of --spare, between commas. */
static bool is_listed(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; length > 0 && i < opt.nspared; i++)
		for (const char *at = opt.spared[i]; at; at = strchr(at, ',')) {
			at += *at == ',';
			if (strncmp(at, name, length) == 0 && (!at[length] || at[length] == ','))
				return true;
		}
	return false;
}

static bool has_listed_name(pid_t pid)
{
	return pid != command && (is_listed(program_of(pid)) || is_listed(command_of(pid)));
}

bool is_spared(pid_t pid)
{
	struct proc p;

	if (!spares_any())
		return false;
	if (has_listed_name(pid))
		return true;
	/* The leader's number is its own as long as anybody is in its session. */
	if (!read_proc(pid, &p) || p.leader == pid)
		return false;
	for (pid_t at = p.leader; at > 1 && at != getpid(); at = parent_of(at))
		if (has_listed_name(at))
			return true;
	return false;
}
