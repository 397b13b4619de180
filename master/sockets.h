/* sockets — the listening sockets: made here, used by the workers.
 *
 * For each address and worker slot one socket (SO_REUSEPORT), which lives as long as the
 * service uses the address: an accept queue is lost neither when a worker dies nor when
 * their number changes. With n workers, the socket of slot k is served by worker k mod n,
 * so that those of slots that a reload took away are served on by the workers that stay (and
 * by those, too, when the slot gets a worker again: nobody is told to stop listening).
 * A unix socket is one for all slots, and so is one that the service manager passed to us (activation.h).
 *
 * A reload is prepared (sockets made and bound, nothing listens yet) and then committed
 * or aborted. */
#ifndef MASTER_SOCKETS_H
#define MASTER_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/model.h"
#include "master/activation.h"

struct socket {
	int fd;
	uint32_t id;                    /* of this master; never used twice */
};

struct bound {                          /* an address */
	struct bound *next;
	char *address;                  /* conf_bind.text */
	struct socket *slots;           /* by slot; of a shared address one */
	unsigned nslots;
	unsigned kept;                  /* of these, committed: they listen; 0: a new address */
	int backlog;
	bool is_unix;
	bool passed;                    /* a socket of the service manager's */
	bool shared;                    /* one for all workers: either of those */
	uint64_t device, inode;         /* of a unix socket's file, so that only ours is removed */
	bool current, coming;           /* named by the configuration in force; by the one prepared */
};

struct sockets {
	struct bound *first;
	uint32_t last_id;
	struct activation activation;
};

/* Makes what `model` needs with `workers` workers. An address in use is tried again for `patience`
 * ms. What cannot be had goes to the diag, -1 then; sockets_abort() takes all back. */
int sockets_prepare(struct sockets *, const struct conf_model *, unsigned workers,
		    unsigned patience, struct diag *);

/* The prepared sockets begin to listen. -1 with errno and the address. */
int sockets_listen(struct sockets *, const char **address);
void sockets_abort(struct sockets *);
void sockets_commit(struct sockets *);

/* Closes those that are no longer named, after the workers have let go of them. */
void sockets_sweep(struct sockets *);

/* Those of a worker; `coming`: by the prepared configuration. Calls fn for each. */
void sockets_each(const struct sockets *, unsigned worker, unsigned workers, bool coming,
		  void (*fn)(void *arg, const struct bound *, const struct socket *), void *arg);

/* Whether a socket of this id is still there. */
bool sockets_has(const struct sockets *, uint32_t id);

/* A socket inherited from another master. */
void sockets_adopt(struct sockets *, const char *address, unsigned slot, int fd);

/* Closes all; `remove`: unix sockets are removed from their directories. */
void sockets_close(struct sockets *, bool remove);

/* "127.0.0.1:80, [::1]:80": those in force, cut to `size`. */
void sockets_list(const struct sockets *, char *to, size_t size);

#endif
