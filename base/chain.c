#include "base/chain.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_ROOM = 16 * 1024 - 32, CHUNK_SMALL = 2048 - 32, CHUNK_TINY = 512 - 32 };

struct chunk {
	struct chunk *next;
	size_t from, to, room;          /* held: data[from..to) */
	char data[];
};

/* A short answer that a socket did not take should not cost a large chunk. */
static struct chunk *
chunk_new(size_t wanted)
{
	size_t room = wanted <= CHUNK_TINY ? CHUNK_TINY :
		      wanted <= CHUNK_SMALL ? CHUNK_SMALL : CHUNK_ROOM;
	struct chunk *k = malloc(sizeof(*k) + room);

	if (!k)
		abort();
	k->next = NULL;
	k->from = k->to = 0;
	k->room = room;
	return k;
}

void
chain_append(struct chain *c, struct str bytes, size_t max)
{
	if (bytes.len > max || c->len > max - bytes.len)
		abort();
	while (bytes.len) {
		struct chunk *k = c->last;

		if (!k || k->to == k->room) {
			k = chunk_new(bytes.len);
			if (c->last)
				c->last->next = k;
			else
				c->first = k;
			c->last = k;
		}

		size_t n = k->room - k->to;

		if (n > bytes.len)
			n = bytes.len;
		memcpy(k->data + k->to, bytes.at, n);
		k->to += n;
		c->len += n;
		bytes = str_from(bytes, n);
	}
}

int
chain_iov(const struct chain *c, struct iovec *v, int n)
{
	int used = 0;

	for (struct chunk *k = c->first; k && used < n; k = k->next)
		v[used++] = (struct iovec){ k->data + k->from, k->to - k->from };
	return used;
}

void
chain_drop(struct chain *c, size_t n)
{
	if (n > c->len)
		abort();
	c->len -= n;
	while (c->first && n >= c->first->to - c->first->from) {
		struct chunk *k = c->first;

		n -= k->to - k->from;
		c->first = k->next;
		free(k);
	}
	if (!c->first)
		c->last = NULL;
	else
		c->first->from += n;
}

void
chain_free(struct chain *c)
{
	chain_drop(c, c->len);
}
