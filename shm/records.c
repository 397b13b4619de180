#include "shm/records.h"

#include <stdatomic.h>
#include <string.h>

#include "shm/slots.h"

enum { BLOCK = 16384, BLOCKS = RING_BYTES / BLOCK };
#define PAGE 4096

/* A position is the number of bytes ever written before it; where it lies is the position
 * modulo RING_BYTES. A record that begins near the end runs on into `tail`, so that it is
 * always in one piece. `start` says for each block where its first record begins: so a
 * reader that was lapped finds the oldest. `head` is raised when a record is complete, so
 * that one that was cut short by a kill is simply written over. */
struct ring {
	_Atomic uint64_t head;
	_Atomic uint64_t now[2];
	uint64_t spare[5];
	_Atomic uint64_t start[BLOCKS];
	char rest[PAGE - 64 - 8 * BLOCKS];
	char data[RING_BYTES];
	char tail[PAGE];
};

_Static_assert((RING_BYTES & (RING_BYTES - 1)) == 0, "masked");
_Static_assert(sizeof(struct ring) == RING_BYTES + 2 * PAGE, "whole pages");
_Static_assert(offsetof(struct ring, data) == PAGE, "data begin at a page");
_Static_assert(RECORD_SIZE_MAX % 8 == 0 && RECORD_SIZE_MAX < PAGE, "fits the tail");

static const struct region_shape shape = { "records", 1, sizeof(struct ring), SLOTS_MAX };

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

static char *
put_text(char *to, struct str text, size_t len)
{
	if (len)
		memcpy(to, text.at, len);
	return to + len;
}

void
ring_write(struct ring *ring, struct record *r, const struct record_texts *t)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed), next;
	char *to = ring->data + (head & (RING_BYTES - 1));

	r->method_len = (uint8_t)(t->method.len < 32 ? t->method.len : 32);
	r->host_len = (uint16_t)(t->host.len < 64 ? t->host.len : 64);
	r->path_len = (uint16_t)(t->path.len < 256 ? t->path.len : 256);
	r->client_len = (uint8_t)(t->client.len < 64 ? t->client.len : 64);
	r->size = (uint32_t)(sizeof(*r) + r->method_len + r->host_len + r->path_len +
			     r->client_len + 7) & ~7u;

	/* Who sees a byte of this record also sees the head that stands before it. */
	atomic_thread_fence(memory_order_release);
	memcpy(to, r, sizeof(*r));
	to = put_text(to + sizeof(*r), t->method, r->method_len);
	to = put_text(to, t->host, r->host_len);
	to = put_text(to, t->path, r->path_len);
	put_text(to, t->client, r->client_len);

	next = head + r->size;
	if ((head ^ next) & ~(uint64_t)(BLOCK - 1))
		atomic_store_explicit(&ring->start[next / BLOCK % BLOCKS], next,
				      memory_order_relaxed);
	atomic_store_explicit(&ring->head, next, memory_order_release);
}

/* Whether the bytes from `at` on are still there, when the head is `head` and its writer
 * may be within the next record. */
static bool
still_there(uint64_t at, uint64_t head)
{
	return at <= head && head + RECORD_SIZE_MAX - at <= RING_BYTES;
}

static uint64_t
oldest(const struct ring *ring, uint64_t head)
{
	for (unsigned i = 1; i <= BLOCKS; i++) {
		uint64_t block = (head / BLOCK + i) % BLOCKS;
		uint64_t at = atomic_load_explicit(&ring->start[block],
						   memory_order_relaxed);

		if (at < head && still_there(at, head))
			return at;
	}
	return head;
}

/* Whether the copy hangs together; it does unless the region was scribbled on. */
static bool
record_whole(const struct record *r, uint32_t size)
{
	uint32_t texts = r->method_len + r->host_len + r->path_len + r->client_len;

	return r->size == size && sizeof(*r) + texts <= size &&
	       r->attempts <= RECORD_ATTEMPTS;
}

int
ring_read(const struct ring *ring, uint64_t *cursor, void *buf, uint32_t size,
	  uint64_t *lost)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
	uint64_t at = *cursor ? *cursor : oldest(ring, head);
	const char *from = ring->data + (at & (RING_BYTES - 1));
	uint32_t len;

	if (at == head)
		return 0;
	if (!still_there(at, head))
		goto lapped;
	memcpy(&len, from, sizeof(len));
	if (len < sizeof(struct record) || len > RECORD_SIZE_MAX || len > size || len % 8)
		goto lapped;
	memcpy(buf, from, len);
	atomic_thread_fence(memory_order_acquire);
	head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	if (!still_there(at, head) || !record_whole(buf, len))
		goto lapped;
	*cursor = at + len;
	return (int)len;
lapped:
	head = atomic_load_explicit(&ring->head, memory_order_acquire);
	/* What is still there and yet makes no sense is damage: go on from the head. */
	*cursor = at <= head && !still_there(at, head) ? oldest(ring, head) : head;
	if (lost)
		*lost = *cursor > at ? *cursor - at : 0;
	return -1;
}

struct record_texts
record_texts(const struct record *r)
{
	const char *at = (const char *)(r + 1);
	struct record_texts t;

	t.method = (struct str){ at, r->method_len };
	t.host = (struct str){ at += r->method_len, r->host_len };
	t.path = (struct str){ at += r->host_len, r->path_len };
	t.client = (struct str){ at + r->path_len, r->client_len };
	return t;
}

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
