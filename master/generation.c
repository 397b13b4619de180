#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "master/master.h"

static bool
holds(const struct child *c, int slice)
{
	return c->held[slice / 64] >> (slice % 64) & 1;
}

struct generation *
generation_add(struct master *m, const struct build *b, const struct build_answer *answer)
{
	struct generation *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	*g = (struct generation){ .next = m->generations,
				  .number = b->generation,
				  .slice = b->slice,
				  .memfd = b->memfd,
				  .size = answer->size };
	m->generations = g;
	if (window_map(&m->window, g->slice, g->memfd, g->size, false) < 0) {
		generation_sweep(m);
		return NULL;
	}
	g->image = answer->image;
	return g;
}

void
generation_hold(struct master *m, struct generation *g, struct child *c)
{
	(void)m;
	if (holds(c, g->slice))
		return;
	c->held[g->slice / 64] |= (uint64_t)1 << (g->slice % 64);
	g->holders++;
}

static void
let_go(struct generation *g, struct child *c)
{
	if (!holds(c, g->slice))
		return;
	c->held[g->slice / 64] &= ~((uint64_t)1 << (g->slice % 64));
	g->holders--;
}

void
generation_let_go(struct master *m, struct child *c, uint64_t number)
{
	for (struct generation *g = m->generations; g; g = g->next)
		if (g->number == number)
			let_go(g, c);
	generation_sweep(m);
}

void
generation_let_go_all(struct master *m, struct child *c)
{
	for (struct generation *g = m->generations; g; g = g->next)
		let_go(g, c);
	generation_sweep(m);
}

void
generation_retire(struct master *m, struct generation *g)
{
	window_clear(&m->window, g->slice);
	g->image = NULL;
	if (g->memfd >= 0)
		close(g->memfd);
	g->memfd = -1;
}

void
generation_sweep(struct master *m)
{
	for (struct generation **at = &m->generations; *at;) {
		struct generation *g = *at;

		if (g->holders || g == m->current || g == m->reload.coming) {
			at = &g->next;
			continue;
		}
		*at = g->next;
		generation_retire(m, g);
		window_give(&m->window, g->slice);
		free(g);
	}
}
