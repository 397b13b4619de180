#include "shm/tickets.h"

#include <stdatomic.h>
#include <string.h>

#include "base/crypto.h"
#include "shm/step.h"

/* The keys lie in words, so that reading while the master turns is no race, only of no
 * use: `version` is odd meanwhile, and readers look again. Keys: the next, the one that
 * seals, the one before. */
enum { WORDS = sizeof(struct ticket_key) / 8, NEXT = 0, SEALS = 1, BEFORE = 2 };

_Static_assert(sizeof(struct ticket_key) % 8 == 0, "whole words");

struct tickets {
	_Atomic uint64_t version; /* 0: there are no keys yet */
	_Atomic uint64_t turned;  /* wall clock, ms; 0: never, as far as is known */
	uint64_t spare[6];
	_Atomic uint64_t key[TICKETS][WORDS];
};

static const struct region_shape shape = { "tls.tickets", 1, sizeof(struct tickets), 1 };

static void
put(struct tickets *t, int at, const struct ticket_key *k)
{
	uint64_t words[WORDS];

	memcpy(words, k, sizeof(words));
	for (int i = 0; i < WORDS; i++) {
		SHM_STEP();
		atomic_store_explicit(&t->key[at][i], words[i], memory_order_relaxed);
	}
	crypto_wipe(words, sizeof(words));
}

static void
get(const struct tickets *t, int at, struct ticket_key *k)
{
	uint64_t words[WORDS] = { 0 };

	for (int i = 0; i < WORDS; i++) {
		SHM_STEP();
		words[i] = atomic_load_explicit(&t->key[at][i], memory_order_relaxed);
	}
	memcpy(k, words, sizeof(words));
	crypto_wipe(words, sizeof(words));
}

static void
begin(struct tickets *t)
{
	SHM_STEP();
	/* A master that was killed in here has left it odd. */
	atomic_store(&t->version, t->version | 1);
	atomic_thread_fence(memory_order_seq_cst);
}

static void
finish(struct tickets *t)
{
	atomic_thread_fence(memory_order_release);
	SHM_STEP();
	atomic_store(&t->version, (t->version | 1) + 1);
}

static void
renew(struct tickets *t, int at)
{
	struct ticket_key k;

	crypto_random(&k, sizeof(k));
	put(t, at, &k);
	crypto_wipe(&k, sizeof(k));
}

struct tickets *
tickets_open(struct region *r)
{
	struct tickets *t = region_segment(r, &shape, NULL);

	if (!t || region_reserve(r, t, sizeof(*t)) < 0)
		return NULL;
	/* None yet, or perhaps half of one: tickets of before are then lost, and nothing
	 * else. */
	if (t->version & 1 || !t->version) {
		begin(t);
		for (int i = 0; i < TICKETS; i++)
			renew(t, i);
		t->turned = 0;
		finish(t);
	}
	return t;
}

const struct tickets *
tickets_find(const struct region *r)
{
	return region_find(r, &shape);
}

bool
tickets_tick(struct tickets *t, uint64_t wall_ms)
{
	struct ticket_key k;

	/* A clock that was put back would keep a key for long. */
	if (!t->turned || t->turned > wall_ms) {
		t->turned = wall_ms;
		return false;
	}
	if (wall_ms - t->turned < TICKETS_TURN_MS)
		return false;
	begin(t);
	for (int i = BEFORE; i > NEXT; i--) {
		get(t, i - 1, &k);
		put(t, i, &k);
	}
	crypto_wipe(&k, sizeof(k));
	renew(t, NEXT);
	t->turned = wall_ms;
	finish(t);
	return true;
}

/* All keys of one moment; the last ones seen, if the master was killed while it turned.
 */
static void
look(const struct tickets *t, struct ticket_key k[TICKETS])
{
	for (int tries = 0; tries < 10000; tries++) {
		uint64_t version;

		SHM_STEP();
		version = atomic_load_explicit(&t->version, memory_order_acquire);
		if (version & 1)
			continue;
		for (int i = 0; i < TICKETS; i++)
			get(t, i, &k[i]);
		atomic_thread_fence(memory_order_acquire);
		SHM_STEP();
		if (atomic_load_explicit(&t->version, memory_order_relaxed) == version)
			return;
	}
	/* Whoever seals with half a key makes a ticket that nobody can open. */
	crypto_random(k, TICKETS * sizeof(k[0]));
}

void
tickets_seal(const struct tickets *t, struct ticket_key *k)
{
	struct ticket_key all[TICKETS];

	look(t, all);
	*k = all[SEALS];
	crypto_wipe(all, sizeof(all));
}

int
tickets_open_by(const struct tickets *t, const uint8_t name[16], struct ticket_key *k)
{
	struct ticket_key all[TICKETS];
	int found = 0;

	look(t, all);
	for (int i = 0; i < TICKETS && !found; i++) {
		if (memcmp(all[i].name, name, sizeof(all[i].name)))
			continue;
		*k = all[i];
		found = i == BEFORE ? 2 : 1;
	}
	crypto_wipe(all, sizeof(all));
	return found;
}
