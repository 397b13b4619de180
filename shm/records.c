#include "shm/records.h"

#include <stdatomic.h>
#include <string.h>

#include "shm/slots.h"
#include "shm/step.h"

/* Records are copied while others read them. */
#ifndef SHM_COPY
#define SHM_COPY memcpy
#endif

enum { BLOCK = 16384 };
enum { BLOCKS = RING_BYTES / BLOCK, KEPT_BLOCKS = RING_KEPT_BYTES / BLOCK };
#define PAGE 4096

/* A position is the number of bytes ever written before it; where it lies is the position
 * modulo the ring's size. A record that begins near the end runs on into `tail`, so that
 * it is always in one piece. `start` says for each block where its first record begins:
 * so a reader that was lapped finds the oldest. `head` is raised when a record is whole,
 * so that one that was cut short by a kill is simply written over. */
struct ring {
	_Atomic uint64_t head, kept_head;
	_Atomic uint64_t now[2];
	_Atomic uint64_t crash;         /* signature; written after the route */
	_Atomic uint64_t crash_route;
	uint64_t spare[2];
	_Atomic uint64_t start[BLOCKS], kept_start[KEPT_BLOCKS];
	char rest[PAGE - 64 - 8 * (BLOCKS + KEPT_BLOCKS)];
	char data[RING_BYTES];
	char tail[PAGE];
	char kept[RING_KEPT_BYTES];
	char kept_tail[PAGE];
};

_Static_assert((RING_BYTES & (RING_BYTES - 1)) == 0, "masked");
_Static_assert((RING_KEPT_BYTES & (RING_KEPT_BYTES - 1)) == 0, "masked");
_Static_assert(sizeof(struct ring) == RING_BYTES + RING_KEPT_BYTES + 3 * PAGE, "pages");
_Static_assert(offsetof(struct ring, data) == PAGE, "data begin at a page");
_Static_assert(offsetof(struct ring, kept) == RING_BYTES + 2 * PAGE, "and here");
_Static_assert(sizeof(struct record) == 240, "records cross processes and versions");
_Static_assert(RECORD_SIZE_MAX % 8 == 0 && RECORD_SIZE_MAX < PAGE, "fits the tail");

static const struct region_shape shape = { "records", 2, sizeof(struct ring), SLOTS_MAX };

/* One of the two, as writer and readers see it. */
struct lane {
	_Atomic uint64_t *head, *start;
	char *data;
	uint64_t bytes, block;          /* powers of two */
};

static inline struct lane
lane_of(const struct ring *ring, enum ring_which which)
{
	struct ring *r = (struct ring *)(uintptr_t)ring;

	if (which == RING_KEPT)
		return (struct lane){ &r->kept_head, r->kept_start, r->kept,
				      RING_KEPT_BYTES, BLOCK };
	return (struct lane){ &r->head, r->start, r->data, RING_BYTES, BLOCK };
}

struct ring *
rings_open(struct region *r)
{
	return region_segment(r, &shape, NULL);
}

const struct ring *
rings_find(const struct region *r)
{
	return region_find(r, &shape);
}

struct ring *
ring_of(struct ring *rings, int row)
{
	return rings + row;
}

const struct ring *
ring_of_const(const struct ring *rings, int row)
{
	return rings + row;
}

int
ring_reserve(struct region *r, struct ring *rings, int row)
{
	return region_reserve(r, rings + row, sizeof(*rings));
}

static inline size_t
texts_size(const struct record *r)
{
	return (size_t)r->method_len + r->host_len + r->path_len + r->client_len +
	       r->id_len + r->key_len + r->consumer_len + r->plan_len;
}

/* ---- writing */

static inline size_t
cut(struct str s, size_t max)
{
	return s.len < max ? s.len : max;
}

static inline char *
put_text(char *to, struct str text, size_t len)
{
	if (len)
		SHM_COPY(to, text.at, len);
	return to + len;
}

/* The bytes of a record are at `to`, behind the head: they count from now on. */
static inline void
lane_raise(const struct lane *l, uint64_t head, uint32_t size)
{
	uint64_t next = head + size;

	SHM_STEP();
	if ((head ^ next) & ~(l->block - 1))
		atomic_store_explicit(&l->start[(next & (l->bytes - 1)) / l->block], next,
				      memory_order_relaxed);
	SHM_STEP();
	atomic_store_explicit(l->head, next, memory_order_release);
}

/* Where the next record goes. Who sees a byte of it also sees the head before it. */
static inline char *
lane_place(const struct lane *l, uint64_t *head)
{
	*head = atomic_load_explicit(l->head, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	SHM_STEP();
	return l->data + (*head & (l->bytes - 1));
}

static void
write_lane(const struct lane *l, const void *from, uint32_t size)
{
	uint64_t head;
	char *to = lane_place(l, &head);

	SHM_COPY(to, from, size);
	lane_raise(l, head, size);
}

void
ring_write(struct ring *ring, struct record *r, const struct record_note *note,
	   const struct record_texts *t)
{
	struct lane l = lane_of(ring, RING_ALL);
	uint64_t head;
	char *front = lane_place(&l, &head), *to = front + sizeof(*r);
	size_t notes = r->notes * sizeof(*note);

	r->method_len = (uint8_t)cut(t->method, 32);
	r->host_len = (uint16_t)cut(t->host, 64);
	r->path_len = (uint16_t)cut(t->path, 256);
	r->client_len = (uint8_t)cut(t->client, 64);
	r->id_len = (uint8_t)cut(t->id, 64);
	r->key_len = (uint8_t)cut(t->key, 16);
	r->consumer_len = (uint8_t)cut(t->consumer, 64);
	r->plan_len = (uint8_t)cut(t->plan, 64);
	r->size = (uint32_t)(sizeof(*r) + notes + texts_size(r) + 7) & ~7u;

	SHM_COPY(front, r, sizeof(*r));
	SHM_STEP();
	if (notes)
		SHM_COPY(to, note, notes);
	to = put_text(to + notes, t->method, r->method_len);
	to = put_text(to, t->host, r->host_len);
	to = put_text(to, t->path, r->path_len);
	to = put_text(to, t->client, r->client_len);
	if (r->id_len | r->key_len | r->consumer_len | r->plan_len) {
		to = put_text(to, t->id, r->id_len);
		to = put_text(to, t->key, r->key_len);
		to = put_text(to, t->consumer, r->consumer_len);
		put_text(to, t->plan, r->plan_len);
	}
	lane_raise(&l, head, r->size);
	if (r->kept) {
		l = lane_of(ring, RING_KEPT);
		write_lane(&l, front, r->size);
	}
}

/* ---- reading */

/* Whether the bytes from `at` on are still there, when the head is `head` and its writer
 * may be within the next record. */
static bool
still_there(const struct lane *l, uint64_t at, uint64_t head)
{
	return at <= head && head + RECORD_SIZE_MAX - at <= l->bytes;
}

static uint64_t
oldest(const struct lane *l, uint64_t head)
{
	uint64_t blocks = l->bytes / l->block;

	for (uint64_t i = 1; i <= blocks; i++) {
		uint64_t block = (head / l->block + i) & (blocks - 1);
		uint64_t at = atomic_load_explicit(&l->start[block],
						   memory_order_relaxed);

		if (at < head && still_there(l, at, head))
			return at;
	}
	return head;
}

/* Whether the copy hangs together; it does unless the region was scribbled on. */
static bool
record_whole(const struct record *r, uint32_t size)
{
	size_t notes = r->notes * sizeof(struct record_note);

	return r->size == size && sizeof(*r) + notes + texts_size(r) <= size &&
	       r->attempts <= RECORD_ATTEMPTS && r->misses <= RECORD_MISSES &&
	       r->notes <= RECORD_NOTES && r->policy <= r->notes;
}

static int
read_lane(const struct lane *l, uint64_t *cursor, void *buf, uint32_t size,
	  uint64_t *lost)
{
	uint64_t head = atomic_load_explicit(l->head, memory_order_acquire);
	uint64_t at = *cursor ? *cursor : oldest(l, head);
	const char *from = l->data + (at & (l->bytes - 1));
	uint32_t len;

	if (at == head)
		return 0;
	if (!still_there(l, at, head))
		goto lapped;
	SHM_STEP();
	SHM_COPY(&len, from, sizeof(len));
	if (len < sizeof(struct record) || len > RECORD_SIZE_MAX || len > size || len % 8)
		goto lapped;
	SHM_STEP();
	SHM_COPY(buf, from, len);
	SHM_STEP();
	atomic_thread_fence(memory_order_acquire);
	head = atomic_load_explicit(l->head, memory_order_relaxed);
	if (!still_there(l, at, head) || !record_whole(buf, len))
		goto lapped;
	*cursor = at + len;
	return (int)len;
lapped:
	head = atomic_load_explicit(l->head, memory_order_acquire);
	/* What is still there and yet makes no sense is damage: go on from the head. */
	*cursor = at <= head && !still_there(l, at, head) ? oldest(l, head) : head;
	if (lost)
		*lost = *cursor > at ? *cursor - at : 0;
	return -1;
}

int
ring_read(const struct ring *ring, enum ring_which which, uint64_t *cursor, void *buf,
	  uint32_t size, uint64_t *lost)
{
	struct lane l = lane_of(ring, which);

	return read_lane(&l, cursor, buf, size, lost);
}

uint64_t
ring_end(const struct ring *ring, enum ring_which which)
{
	struct lane l = lane_of(ring, which);

	return atomic_load_explicit(l.head, memory_order_acquire);
}

const struct record_note *
record_notes(const struct record *r)
{
	return (const struct record_note *)(const void *)(r + 1);
}

static struct str
take_text(const char **at, size_t len)
{
	struct str s = { *at, len };

	*at += len;
	return s;
}

struct record_texts
record_texts(const struct record *r)
{
	const char *at = (const char *)(record_notes(r) + r->notes);
	struct record_texts t;

	t.method = take_text(&at, r->method_len);
	t.host = take_text(&at, r->host_len);
	t.path = take_text(&at, r->path_len);
	t.client = take_text(&at, r->client_len);
	t.id = take_text(&at, r->id_len);
	t.key = take_text(&at, r->key_len);
	t.consumer = take_text(&at, r->consumer_len);
	t.plan = take_text(&at, r->plan_len);
	return t;
}

/* ---- what is under way, what a crash left */

void
ring_now(struct ring *ring, const uint64_t id[2])
{
	atomic_store_explicit(&ring->now[0], id[0], memory_order_relaxed);
	atomic_store_explicit(&ring->now[1], id[1], memory_order_relaxed);
}

bool
ring_doing(const struct ring *ring, uint64_t id[2])
{
	id[0] = atomic_load_explicit(&ring->now[0], memory_order_relaxed);
	id[1] = atomic_load_explicit(&ring->now[1], memory_order_relaxed);
	return id[0] || id[1];
}

/* Only words, and nothing that is not async-signal-safe. */
void
ring_crashed(struct ring *ring, uint64_t signature, uint32_t route)
{
	atomic_store_explicit(&ring->crash_route, route, memory_order_relaxed);
	atomic_store_explicit(&ring->crash, signature, memory_order_release);
}

bool
ring_take_crash(struct ring *ring, uint64_t *signature, uint32_t *route)
{
	*signature = atomic_exchange(&ring->crash, 0);
	*route = (uint32_t)atomic_load_explicit(&ring->crash_route, memory_order_relaxed);
	return *signature != 0;
}
