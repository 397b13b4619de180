/* channel — what master and worker (or keeper) say to each other.
 *
 * A SOCK_SEQPACKET socketpair; one struct channel_msg a packet, at most one descriptor beside
 * it (SCM_RIGHTS). Reload is a transaction: PREPARE → PREPARED from all → COMMIT, or ABORT. */
#ifndef WORKER_CHANNEL_H
#define WORKER_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

enum channel_kind {
	/* master → worker */
	/* + a listening descriptor; text: its address. Before the PREPARE that needs it. An
	 * address may have several: of slots that no longer have a worker. */
	CHANNEL_SOCKET = 1,
	/* + the sealed memfd of an image; at, size, image, generation: map it there, bind it. */
	CHANNEL_PREPARE,
	/* New exchanges use `generation`; sockets that it does not name are drained, closed. */
	CHANNEL_COMMIT,
	/* Unbind and unmap `generation`; close the sockets that came for it. */
	CHANNEL_ABORT,
	CHANNEL_REOPEN,                 /* reopen logs */
	/* Finish within `ms`, then exit 0. ok = 1: others go on serving (upgrade, fewer
	 * workers), idle connections are kept for one more answer; 0: closed at once. */
	CHANNEL_DRAIN,
	CHANNEL_STOP,                   /* exit at once */
	/* To the keeper: `generation` was put in force (ok), or refused: text says why.
	 * at: enum channel_who, ms: wall time, ms since 1970. */
	CHANNEL_REVISION,
	/* worker → master */
	CHANNEL_READY = 64,             /* serving `generation` */
	CHANNEL_PREPARED,               /* `generation` is bound (ok = 1), or not: text says why */
	CHANNEL_COMMITTED,
	CHANNEL_RELEASED,               /* `generation` has been unmapped */
};

enum channel_who { CHANNEL_BY_START, CHANNEL_BY_SIGNAL, CHANNEL_BY_UPGRADE };

struct channel_msg {
	uint32_t kind;
	uint32_t ok;
	uint64_t generation;
	uint64_t at;                    /* address of the slice */
	uint64_t size;
	uint64_t image;                 /* PREPARE: address of its struct image, inside the slice */
	uint64_t ms;
	char text[256];                 /* NUL-terminated */
};

/* Both ends non-blocking and close-on-exec. -1 with errno. */
int channel_pair(int fd[2]);

/* fd -1: none. Returns 0, or -1 with errno. A full socket is waited for, at most a second. */
int channel_send(int channel, const struct channel_msg *, int fd);

/* 1: a message (*fd is -1 or a descriptor that is the caller's), 0: none now, -1: the other end is gone. */
int channel_receive(int channel, struct channel_msg *, int *fd);

#endif
