/* activation — listening sockets that the service manager made and passed to us (sd_listen_fds(3)).
 *
 * They are matched to the addresses of the configuration by what they are bound to, and used instead of sockets of our
 * own: one for all workers then, since it cannot be had a second time. They stay with us as long as we run, named or
 * not, and go to the next binary at an upgrade. */
#ifndef MASTER_ACTIVATION_H
#define MASTER_ACTIVATION_H

#include "master/bind.h"

struct passed {
	int fd;
	char *name;                     /* of $LISTEN_FDNAMES, or "" */
	struct bind_address address;
	bool dual;                      /* of IPv6, and takes IPv4 as well */
	bool used;                      /* by an address of the configuration, ever */
};

struct activation {
	struct passed *at;
	size_t n;
	bool told;                      /* of those that nobody asked for */
};

/* Takes those of the environment, which is cleared of it. */
void activation_take(struct activation *);
/* One more; the name is copied. What is not a listening stream socket is warned about and closed. */
void activation_add(struct activation *, int fd, const char *name);
/* A descriptor of its own of the one for this address, or -1. `dual`: one of [::] that takes IPv4 too will do for
 * 0.0.0.0. Says so in the log. */
int activation_get(struct activation *, const struct bind_address *, bool dual);
/* Warns of those that were never used; once. */
void activation_tell(struct activation *);
void activation_free(struct activation *);

#endif
