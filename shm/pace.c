#include "shm/pace.h"

#include <stdatomic.h>

static const struct region_shape shape = { "upstream.pace", 1, sizeof(struct pace_row),
					   PACE_ROWS };

/* Resets are said in whole seconds: what differs less is the same window. */
enum { SAME_NS = 1500 * 1000 * 1000 };

_Static_assert(sizeof(struct pace_row) == 64, "one cache line");

struct pace *
pace_open(struct region *r)
{
	struct pace *p = region_segment(r, &shape, NULL);

	return p && region_reserve(r, p, sizeof(*p)) == 0 ? p : NULL;
}

const struct pace *
pace_find(const struct region *r)
{
	return region_find(r, &shape);
}

struct pace_row *
pace_row(struct pace *p, struct str upstream)
{
	uint64_t name = str_hash(upstream) | 1;

	for (unsigned i = 0; i < PACE_ROWS; i++) {
		struct pace_row *row = &p->row[(name + i) % PACE_ROWS];
		uint64_t found = atomic_load_explicit(&row->name, memory_order_relaxed);

		if (!found && atomic_compare_exchange_strong(&row->name, &found, name))
			return row;
		if (found == name)
			return row;
	}
	return NULL;
}

static uint64_t
load(const _Atomic uint64_t *at)
{
	return atomic_load_explicit(at, memory_order_relaxed);
}

/* What a request makes of a window that is open, or opens; false: it has to wait. */
static bool
next_window(const struct pace_row *r, union word *w, uint64_t now)
{
	if (w->tag <= now) {
		w->tag = now + load(&r->span);
		w->value = load(&r->quota);
	}
	return w->value && w->value--;
}

uint64_t
pace_take(struct pace_row *r, uint64_t now, uint64_t *ticket)
{
	uint64_t blocked = load(&r->blocked);

	if (blocked > now)
		return blocked - now;
	for (;;) {
		union word seen = word_look(&r->window), next = seen;

		if (seen.tag <= now && !load(&r->quota))
			break;                  /* nothing is known */
		if (!next_window(r, &next, now))
			return next.tag - now;
		if (word_swap(&r->window, seen, next))
			break;
	}
	*ticket = atomic_fetch_add_explicit(&r->sent, 1, memory_order_relaxed) + 1;
	return 0;
}

static void
raise_to(_Atomic uint64_t *at, uint64_t to)
{
	uint64_t old = load(at);

	while (old < to && !atomic_compare_exchange_weak(at, &old, to))
		;
}

static bool
same_window(uint64_t ends, uint64_t said, uint64_t now)
{
	uint64_t apart = ends > said ? ends - said : said - ends;

	return ends > now && apart <= SAME_NS;
}

static void
learn_window(struct pace_row *r, uint64_t now, uint64_t since,
	     const struct pace_said *said)
{
	uint64_t left = said->left > since ? said->left - since : 0;
	union word seen, next;

	do {
		next = (union word){ .tag = now + said->reset, .value = left };
		seen = word_look(&r->window);
		if (!same_window(seen.tag, next.tag, now))
			continue;
		if (seen.tag > next.tag)
			next.tag = seen.tag;
		if (seen.value < left)
			next.value = seen.value;
	} while (!word_swap(&r->window, seen, next));
}

/* How large a window is, where the vendor does not say: as large as the largest that was
 * seen. */
static void
learn_quota(struct pace_row *r, const struct pace_said *said)
{
	uint64_t quota = said->quota, span = said->span;

	if (!quota && load(&r->quota) <= said->left)
		quota = said->left + 1;
	if (!span && load(&r->span) < said->reset)
		span = said->reset;
	if (quota)
		atomic_store_explicit(&r->quota, quota, memory_order_relaxed);
	if (span)
		atomic_store_explicit(&r->span, span, memory_order_relaxed);
}

void
pace_learn(struct pace_row *r, uint64_t now, uint64_t ticket,
	   const struct pace_said *said)
{
	uint64_t sent = load(&r->sent);

	if (said->blocked)
		raise_to(&r->blocked, now + said->blocked);
	if (said->window) {
		learn_quota(r, said);
		learn_window(r, now, sent > ticket ? sent - ticket : 0, said);
	} else if (!said->blocked && load(&r->quota)) {
		/* No longer said. */
		atomic_store_explicit(&r->quota, 0, memory_order_relaxed);
	}
}
