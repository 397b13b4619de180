/* pipe — pipes for splice(2): bytes go from socket to socket without being copied.
 *
 * A pipe belongs to whoever has bytes in it; empty ones rest in a small pool of the loop. */
#ifndef NET_PIPE_H
#define NET_PIPE_H

#include <stddef.h>
#include <sys/types.h>

enum { PIPE_ROOM = 256 * 1024, PIPES_MAX = 64 };

struct pipe {
	int in, out;                    /* to write to, to read from */
	size_t held;                    /* bytes in it */
	struct pipe *next;              /* in the pool */
};

/* NULL when the kernel has none of that size (descriptors, pipe-user-pages-soft): then bytes are copied. */
struct pipe *pipe_take(struct pipe **pool);
/* Back to the pool if it is empty, else closed with what is in it. */
void pipe_give(struct pipe **pool, struct pipe *);
void pipe_pool_free(struct pipe **pool);

/* As splice(2): bytes moved, 0 at the end of the socket, -1 with errno. */
ssize_t pipe_fill(struct pipe *, int socket, size_t max);
ssize_t pipe_drain(struct pipe *, int socket);

#endif
