/* SPDX-License-Identifier: MIT */
/* What the shim knows of its session. */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include "../talk/lane.h"
#include "../talk/lines.h"
#include "../tree/look.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes of what we say of a failure, with the server's last words. */
enum { WHY_MAX = 768 };

struct session {
	struct lane in;  /* client to server */
	struct lane out; /* server to client */
	struct lane err; /* the server's stderr to ours, if it is traced */
	struct lines from_client, from_server, from_stderr;
	int control; /* the pipe to the reaper; -1: none (more) */
	int exit;    /* an eventfd: how the server died */
	int signals; /* a signalfd */

	/* A session has one server after the other: */
	enum { UP, GOING_DOWN, STOPPED, COMING_UP } server;
	enum why { IDLE, FAILED, DIED, ASKED } why; /* it goes down */
	pid_t reaper;                               /* 0: gone, and the tree with it */
	int status;                                 /* the session's, once the reaper is gone */
	int killed_by; /* the signal that the server, or a stopped one's session, died of; 0: none
			*/
	bool server_spoke;
	bool outlived;   /* it is for the shim to say whether the session ends with it */
	int64_t started; /* when */
	int64_t spoke;   /* when a whole message came first, of since_boot(); 0: not yet */

	int64_t input_ended; /* when; 0: not yet */
	int unread_poll;     /* ms until we look again whether it has been read */
	int64_t over;        /* when the reaper was told to end; 0: not yet */
	sigset_t asked;      /* ending signals that were sent to us */
	bool forced;         /* not ended by the end of input alone */
	bool relay_failed;   /* bytes were lost, by an error of ours */
	int64_t progress;    /* when output could be moved last, once the reaper is gone */
	int64_t sampled;     /* when the reaper was told to look at the tree */

	struct crew crew;      /* who was there before the server was asked anything */
	int64_t looked;        /* when the tree was looked at last; 0: not yet */
	int64_t cpu;           /* ms that it had used by then */
	int64_t put_off;       /* the server is not stopped before; 0: no matter */
	int64_t put_off_since; /* if nothing has passed since then */
	bool has_stopped;      /* the user knows that servers are stopped */
	bool left_container;   /* the last stop may have */
	int deaths;            /* of servers that could not live, behind each other */
	int64_t not_before;    /* the next is not to be started before; 0: no matter */
	int64_t called;        /* when a new server was called for; 0: none is */
	int64_t retry;         /* when the next try is due */
	int64_t wait;          /* ms, from a failed try to the next */
	int64_t deadline;      /* of this try, or of a pause in it */
	bool has_served;       /* one has, whom the client has talked to */
	int64_t first_start;   /* ms that the first server took for its first message */
	int64_t replayed;      /* when the handshake was; the new server may still have questions */
	bool settled;          /* it has not */
	char failure[WHY_MAX]; /* why the last try failed */
	int64_t memory;        /* KiB of the tree, before it was stopped */
};

#endif
