#include "worker/net/pipe.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void
pipe_free(struct pipe *p)
{
	close(p->in);
	close(p->out);
	free(p);
}

struct pipe *
pipe_take(struct pipe **pool)
{
	struct pipe *p = *pool;
	int ends[2];

	if (p) {
		*pool = p->next;
		return p;
	}
	if (pipe2(ends, O_NONBLOCK | O_CLOEXEC))
		return NULL;
	if (fcntl(ends[1], F_SETPIPE_SZ, PIPE_ROOM) < PIPE_ROOM ||
	    !(p = calloc(1, sizeof(*p)))) {
		close(ends[0]);
		close(ends[1]);
		return NULL;
	}
	p->in = ends[1];
	p->out = ends[0];
	return p;
}

void
pipe_give(struct pipe **pool, struct pipe *p)
{
	size_t n = 0;

	for (const struct pipe *q = *pool; q; q = q->next)
		n++;
	if (p->held || n >= PIPES_MAX) {
		pipe_free(p);
		return;
	}
	p->next = *pool;
	*pool = p;
}

void
pipe_pool_free(struct pipe **pool)
{
	while (*pool) {
		struct pipe *p = *pool;

		*pool = p->next;
		pipe_free(p);
	}
}

ssize_t
pipe_fill(struct pipe *p, int socket, size_t max)
{
	ssize_t n =
		splice(socket, NULL, p->in, NULL, max, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (n > 0)
		p->held += (size_t)n;
	return n;
}

ssize_t
pipe_drain(struct pipe *p, int socket)
{
	/* No SPLICE_F_MORE: a body that comes slowly would be held back by up to 200
	 * ms. */
	ssize_t n = splice(p->out, NULL, socket, NULL, p->held,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (n > 0)
		p->held -= (size_t)n;
	return n;
}
