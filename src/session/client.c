/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "client.h"

#include "../base/fd.h"
#include "../base/options.h"
#include "../base/say.h"
#include "../tree/proc.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static pid_t client;

pid_t client_pid(void)
{
	return client;
}

int pidfd_of_client(void)
{
	int fd = client ? pidfd_open_of(client) : -1;

	/* Still our parent, it was not recycled when the pidfd was opened. */
	if (fd >= 0 && getppid() != client)
		shut(&fd);
	return fd;
}

int watch_client(void)
{
	if (opt.outlive_parent)
		return -1;
	prctl(PR_SET_PDEATHSIG, SIGCONT);
	client = getppid();
	int fd = pidfd_of_client();
	if (getppid() != client) {
		complain("client: died before the session began");
		exit(EXIT_OURS);
	}
	return fd;
}

bool client_is_in_our_group(void)
{
	return client == 0 || getpgid(client) == getpgrp();
}

bool client_is_dead(bool outside)
{
	if (opt.outlive_parent)
		return false;
	if (client == 0) /* then what comes from outside is all there is */
		return outside;
	return getppid() != client;
}
