/* bequest — what one master leaves to the next at a binary upgrade.
 *
 * Lines of text in a memfd whose number is in $POSTERN_UPGRADE, so that binaries of
 * different versions understand each other; unknown lines are passed over:
 *
 *   postern-upgrade 1
 *   ready 7                    pipe on which the new master says that it serves
 *   lock 8                     the lock of the run directory
 *   revision 12                the last that was numbered
 *   socket 9 0 127.0.0.1:8100  descriptor, slot, address
 *   passed 10 web              descriptor, name: the service manager's (activation.h) */
#ifndef MASTER_BEQUEST_H
#define MASTER_BEQUEST_H

#include <stddef.h>
#include <stdint.h>

#define BEQUEST_VARIABLE "POSTERN_UPGRADE"

struct bequest_socket {
	int fd;
	unsigned slot;
	char *address;
};

struct bequest {
	int ready, lock;                /* -1: none */
	uint64_t revision;
	struct bequest_socket *sockets;
	size_t nsockets;
	struct bequest_socket *passed;  /* `address`: the name */
	size_t npassed;
};

void bequest_init(struct bequest *);
void bequest_free(struct bequest *);

/* The address is copied. */
void bequest_add(struct bequest *, int fd, unsigned slot, const char *address);

/* One of the service manager's; the name is copied. */
void bequest_pass(struct bequest *, int fd, const char *name);

/* A memfd of it, not close-on-exec. -1 with errno. */
int bequest_write(const struct bequest *);

/* -1: not of a kind that this binary understands. */
int bequest_parse(struct bequest *, const char *text);

/* Reads it from the environment and removes it there: 1; 0: there is none; -1: it cannot be understood. */
int bequest_take(struct bequest *);

#endif
