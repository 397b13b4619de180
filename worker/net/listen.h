/* listen — sockets that accept. They belong to the master; a worker only uses them. */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include "base/list.h"
#include "worker/net/addr.h"
#include "worker/net/loop.h"

struct listen {
	struct event event;           /* first */
	struct loop *loop;
	struct list link;               /* for its owner's list */
	struct str address;             /* as written: its identity, in the struct's own memory */
	void (*on_accept)(struct listen *, int fd, const struct addr *peer);
	void *user;                     /* what the configuration in force says of it */
	struct timer timer;             /* out of descriptors: tries again when it fires */
	char text[];
};

/* Begins to accept on `fd`. NULL with errno. */
struct listen *listen_start(struct loop *, int fd, struct str address,
			    void (*on_accept)(struct listen *, int, const struct addr *), void *user);

/* Accepts what is in the queue (when `drain`), then closes this process's descriptor. */
void listen_stop(struct listen *, bool drain);

#endif
