#include "shm/tokens.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "shm/step.h"

enum { PID_BITS = 22, WHY_BITS = 8, TRIES = 3 };

struct tokens_box {
	_Atomic uint64_t len;           /* of what is sealed */
	_Atomic uint64_t word[TOKENS_BOX / 8 - 1];
};

struct tokens {
	struct tokens_row row[TOKENS_ROWS];
	struct tokens_box box[TOKENS_ROWS];
};

/* What is sealed: the front of struct tokens_text without `len`, then the text. */
enum { HEAD = 16, SEALED_MOST = HEAD + TOKENS_LONGEST + CRYPTO_SEAL };

static const struct region_shape shape = { "upstream.tokens", 1,
					   sizeof(struct tokens), 1 };

_Static_assert(sizeof(struct tokens_row) == 64, "one cache line");
_Static_assert(sizeof(struct tokens_box) == TOKENS_BOX, "part of the layout");
_Static_assert(SEALED_MOST <= sizeof(((struct tokens_box *)0)->word), "the longest fits");

struct tokens *
tokens_open(struct region *r)
{
	struct tokens *t = region_segment(r, &shape, NULL);

	return t && region_reserve(r, t, offsetof(struct tokens, box)) == 0 ? t : NULL;
}

const struct tokens *
tokens_find(const struct region *r)
{
	return region_find(r, &shape);
}

static uint64_t
load(const _Atomic uint64_t *at)
{
	SHM_STEP();
	return atomic_load(at);
}

static void
store(_Atomic uint64_t *at, uint64_t value)
{
	SHM_STEP();
	atomic_store(at, value);
}

static bool
swap(_Atomic uint64_t *at, uint64_t old, uint64_t new)
{
	SHM_STEP();
	return atomic_compare_exchange_strong(at, &old, new);
}

/* ---- rows */

static bool
idle(const struct tokens_row *row, uint64_t now)
{
	return load(&row->used) + TOKENS_IDLE_MS < now && !tokens_leased(row, now);
}

/* Names are only ever replaced: who looks for one may stop where there is none. */
static struct tokens_row *
find(struct tokens *t, uint64_t name, uint64_t now)
{
	struct tokens_row *oldest = NULL;
	uint64_t was;

	for (unsigned i = 0; i < TOKENS_ROWS; i++) {
		struct tokens_row *row = &t->row[(name + i) % TOKENS_ROWS];

		was = load(&row->name);
		if (was == name || (!was && swap(&row->name, 0, name)) ||
		    (!was && load(&row->name) == name))
			return row;
		if (!oldest && idle(row, now))
			oldest = row;
	}
	return oldest;
}

struct tokens_row *
tokens_row(struct tokens *t, uint64_t name, uint64_t now)
{
	for (;;) {
		struct tokens_row *row = find(t, name, now);
		uint64_t was = row ? load(&row->name) : 0;

		if (!row)
			return NULL;
		if (was == name) {
			tokens_use(row, now);
			return row;
		}
		/* Who had it before finds another name as soon as it looks. */
		if (!idle(row, now) || !swap(&row->name, was, name))
			continue;
		tokens_use(row, now);
		store(&row->failed, 0);
		SHM_STEP();
		atomic_fetch_add(&row->version, 2);
	}
}

void
tokens_use(struct tokens_row *row, uint64_t now)
{
	store(&row->used, now);
}

/* ---- the lease */

static bool
lives(int32_t pid)
{
	return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

static int32_t
holder(uint64_t lease)
{
	return (int32_t)(lease & ((1 << PID_BITS) - 1));
}

static bool
holds(uint64_t lease, uint64_t now)
{
	return lease >> PID_BITS > now && lives(holder(lease));
}

bool
tokens_leased(const struct tokens_row *row, uint64_t now)
{
	return holds(load(&row->lease), now);
}

uint64_t
tokens_lease(struct tokens_row *row, int32_t pid, uint64_t now, uint64_t until)
{
	uint64_t old = load(&row->lease), mine = until << PID_BITS | (uint64_t)pid;

	/* Pids start anew in a container: one that is ours was another's before. */
	if (holds(old, now) && holder(old) != pid)
		return 0;
	/* Never the same twice, so that a late holder does not take it for its own. */
	if (mine == old)
		mine += (uint64_t)1 << PID_BITS;
	return swap(&row->lease, old, mine) ? mine : 0;
}

void
tokens_release(struct tokens_row *row, uint64_t lease)
{
	swap(&row->lease, lease, 0);
}

void
tokens_failed(struct tokens_row *row, uint64_t lease, uint64_t now, unsigned why)
{
	if (load(&row->lease) == lease)
		store(&row->failed, now << WHY_BITS | why);
	tokens_release(row, lease);
}

unsigned
tokens_silent(const struct tokens_row *row, uint64_t now, uint64_t ms)
{
	uint64_t failed = load(&row->failed);

	return failed && now < (failed >> WHY_BITS) + ms
		       ? (unsigned)(failed & ((1 << WHY_BITS) - 1))
		       : 0;
}

/* ---- the box */

struct bound {
	uint64_t name, version;
};

static struct str
bytes_of(const struct bound *b)
{
	return (struct str){ (const char *)b, sizeof(*b) };
}

static struct tokens_box *
box_of(struct tokens *t, const struct tokens_row *row)
{
	return &t->box[row - t->row];
}

/* A writer that was killed has left it odd; one that is only late must not find it as
 * it was. */
static uint64_t
begin(struct tokens_row *row)
{
	uint64_t old, mine;

	do {
		old = load(&row->version);
		mine = old & 1 ? old + 2 : old + 1;
	} while (!swap(&row->version, old, mine));
	atomic_thread_fence(memory_order_release);
	return mine;
}

static void
put(struct tokens_box *b, const uint8_t *from, size_t n)
{
	store(&b->len, n);
	for (size_t i = 0; i < n; i += 8) {
		uint64_t w = 0;

		memcpy(&w, from + i, n - i < 8 ? n - i : 8);
		SHM_STEP();
		atomic_store_explicit(&b->word[i / 8], w, memory_order_relaxed);
	}
}

/* Returns how many bytes; 0: nothing that could be a token. */
static size_t
get(const struct tokens_box *b, uint8_t *to)
{
	size_t n = load(&b->len);

	if (n <= CRYPTO_SEAL + HEAD || n > SEALED_MOST)
		return 0;
	for (size_t i = 0; i < n; i += 8) {
		uint64_t w;

		SHM_STEP();
		w = atomic_load_explicit(&b->word[i / 8], memory_order_relaxed);
		memcpy(to + i, &w, n - i < 8 ? n - i : 8);
	}
	return n;
}

static void
seal(uint8_t *to, const struct tokens_key *k, uint64_t version,
     const struct tokens_text *text)
{
	struct bound b = { k->name, version };
	uint8_t plain[HEAD + TOKENS_LONGEST];

	memcpy(plain, &text->fetched, 8);
	memcpy(plain + 8, &text->expires, 8);
	memcpy(plain + HEAD, text->at, text->len);
	crypto_seal(to, &k->seal, bytes_of(&b), plain, HEAD + text->len);
	crypto_wipe(plain, HEAD + text->len);
}

static void
unseal(struct tokens_text *text, const struct tokens_key *k, uint64_t version,
       const uint8_t *sealed, size_t n)
{
	struct bound b = { k->name, version };
	uint8_t plain[HEAD + TOKENS_LONGEST];

	if (!n || crypto_open(plain, &k->seal, bytes_of(&b), sealed, n) < 0)
		return;
	text->len = (uint32_t)(n - CRYPTO_SEAL - HEAD);
	memcpy(&text->fetched, plain, 8);
	memcpy(&text->expires, plain + 8, 8);
	memcpy(text->at, plain + HEAD, text->len);
	crypto_wipe(plain, HEAD + text->len);
}

uint64_t
tokens_publish(struct region *r, struct tokens *t, struct tokens_row *row,
	       const struct tokens_key *k, uint64_t lease, const struct tokens_text *text)
{
	size_t n = HEAD + text->len + CRYPTO_SEAL;
	struct tokens_box *box = box_of(t, row);
	uint8_t sealed[SEALED_MOST];
	uint64_t mine = 0;

	if (load(&row->lease) != lease || load(&row->name) != k->name ||
	    (r && region_reserve(r, box, 8 + n) < 0)) {
		tokens_release(row, lease);
		return 0;
	}
	mine = begin(row);
	seal(sealed, k, mine + 1, text);
	put(box, sealed, n);
	store(&row->failed, 0);
	/* Who came in between writes, too, and what lies there may be a mix: nobody
	 * opens it. */
	if (!swap(&row->version, mine, mine + 1))
		mine = 0;
	tokens_release(row, lease);
	return mine ? mine + 1 : 0;
}

uint64_t
tokens_read(const struct tokens *t, const struct tokens_row *row,
	    const struct tokens_key *k, struct tokens_text *text)
{
	uint8_t sealed[SEALED_MOST];
	uint64_t version;
	size_t n;

	text->len = 0;
	for (int i = 0; i < TRIES; i++) {
		version = load(&row->version);
		if (version & 1)
			return 0;
		n = get(&t->box[row - t->row], sealed);
		atomic_thread_fence(memory_order_acquire);
		if (load(&row->version) != version)
			continue;
		unseal(text, k, version, sealed, n);
		return version;
	}
	return 0;
}

bool
tokens_void(struct tokens_row *row, uint64_t version)
{
	return !(version & 1) && swap(&row->version, version, version + 2);
}
