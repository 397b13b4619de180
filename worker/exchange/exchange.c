#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rand.h"
#include "worker/exchange/steps.h"
#include "worker/http/conn.h"

/* The one mutable static: the handler of a fatal signal gets no argument, and must find
 * what this process was doing. */
static struct exchange *volatile running;

const struct exchange *
exchange_running(void)
{
	return running;
}

enum { ARENA_MAX = 32 * 1024 * 1024 };

static enum step (*const steps[STEP_COUNT])(struct exchange *) = {
	[STEP_ROUTE] = step_route,
	[STEP_POLICIES] = step_policies,
	[STEP_ACT] = step_act,
	[STEP_PICK] = step_pick,
	[STEP_SEND] = step_send,
	[STEP_FLOW] = step_flow,
	[STEP_RESPOND] = step_respond,
	[STEP_ANSWER] = step_answer,
	[STEP_END] = step_end,
};

/* Time in which nothing is to be done here is not ours, unless we chose to wait. The
 * clock of the turn will do, but for the moment in which the request has left. */
static inline void
went_away(struct exchange *x)
{
	if (!x->waiting && !x->backing_off)
		x->left = x->head_sent && !x->status ? clock_read() : clock_now();
}

static inline void
came_back(struct exchange *x)
{
	uint64_t now = clock_now();

	if (x->left && now > x->left)
		x->away += now - x->left;
	x->left = 0;
}

void
exchange_run(struct exchange *x)
{
	static const uint64_t nothing[2];
	struct ring *ring = x->worker->ring;

	if (x->running || x->gone)
		return;
	x->running = true;
	running = x;
	ring_now(ring, x->id); /* should it be our last act, the master says so */
	came_back(x);
	for (;;) {
		enum step next = steps[x->step](x);

		if (next < STEP_COUNT) {
			x->step = next;
			continue;
		}
		if (next == STEP_STAY) {
			x->running = false;
			went_away(x);
		}
		break;
	}
	running = NULL;
	ring_now(ring, nothing);
}

void
exchange_go(struct exchange *x, enum step step)
{
	x->step = step;
	exchange_run(x);
}

static void
woken(struct event *s, uint32_t events)
{
	struct exchange *x = list_entry(s, struct exchange, wake);

	(void)events;
	if (!x->waiting)
		return;
	x->waiting = false;
	exchange_run(x);
}

void
exchange_wake(struct exchange *x)
{
	loop_ready(&x->worker->loop, &x->wake);
}

static void
alarmed(struct alarm *a)
{
	exchange_wake(list_entry(a, struct exchange, alarm));
}

void
exchange_wait(struct exchange *x, uint64_t until)
{
	alarm_set(&x->worker->loop.alarms, &x->alarm, until);
}

/* ---- memory: exchanges are used again, with their timers where they hang */

static void
destroyed(struct event *s)
{
	free(list_entry(s, struct exchange, wake));
}

static struct exchange *
take(struct worker *w)
{
	struct exchange *x;

	if (++w->nexchanges > w->peak)
		w->peak = w->nexchanges;
	if (w->nrest) {
		x = list_entry(w->rest.next, struct exchange, link);
		list_remove(&x->link);
		w->nrest--;
		return x;
	}
	x = malloc(sizeof(*x));
	if (!x)
		abort();
	memset(&x->timer, 0, sizeof(x->timer));
	memset(&x->wake, 0, sizeof(x->wake));
	memset(&x->alarm, 0, sizeof(x->alarm));
	x->timer.fire = exchange_timer;
	x->alarm.fire = alarmed;
	x->wake.fd = -1;
	x->wake.turn = woken;
	x->wake.destroy = destroyed;
	return x;
}

static void
put_back(struct worker *w, struct exchange *x)
{
	arena_reset(&x->arena);
	x->gone = true;
	list_remove(&x->link);
	w->nexchanges--;
	timer_clear(&x->timer);
	alarm_clear(&w->loop.alarms, &x->alarm);
	if (x->wake.ready) {
		timer_remove(&w->loop.wheel, &x->timer);
		loop_bury(&w->loop, &x->wake);
		return;
	}
	list_insert(&w->rest, &x->link);
	w->nrest++;
}

static void
free_rest(struct worker *w, uint32_t keep)
{
	while (w->nrest > keep) {
		struct exchange *x = list_entry(w->rest.prev, struct exchange, link);

		list_remove(&x->link);
		timer_remove(&w->loop.wheel, &x->timer);
		free(x);
		w->nrest--;
	}
}

void
exchange_thin(struct worker *w)
{
	uint32_t wanted = w->peak + w->peak / 4 + 8;

	free_rest(w, wanted > w->nexchanges ? wanted - w->nexchanges : 0);
	w->peak = w->nexchanges;
}

void
exchange_free_rest(struct worker *w)
{
	free_rest(w, 0);
}

struct exchange *
exchange_begin(struct worker *w, struct generation *gen, struct stream *client,
	       const struct conf_listener *listener)
{
	struct exchange *x = take(w);

	memset(&x->worker, 0,
	       offsetof(struct exchange, request) - offsetof(struct exchange, worker));
	arena_init(&x->arena, x->home, sizeof(x->home), ARENA_MAX);
	x->response.headers = (struct headers){ 0 };
	x->match.service = NULL;
	x->match.route = NULL;
	x->match.fault = FAULT_NONE;
	x->match.nmisses = 0;
	x->worker = w;
	x->gen = gen;
	x->gen->refs++;
	list_insert(&w->exchanges, &x->link);
	x->listener = listener;
	x->client = client;
	x->codec = client->conn->ops->name;
	x->peer = client->conn->peer;
	x->client_addr = client->conn->peer;
	x->scheme = client->conn->wire.tls ? STR("https") : STR("http");
	x->links = x->gen->links;
	x->began = clock_now();
	x->id[0] = rand_u64();
	x->id[1] = rand_u64();
	stream_attach(client, &exchange_client_user, x, &x->arena, &x->request);
	return x;
}

void
exchange_cancel(struct exchange *x)
{
	struct worker *w = x->worker;
	struct generation *gen = x->gen;

	put_back(w, x);
	generation_unref(gen);
}

/* ---- for policies */

struct stats_page *
worker_stats(struct worker *w)
{
	return w->page;
}

struct shared *
worker_shared(struct worker *w)
{
	return w->shared;
}

int
worker_row(const struct worker *w)
{
	return w->row;
}

struct directory *
worker_directory(struct worker *w)
{
	return w->directory;
}

struct list *
worker_logfiles(struct worker *w)
{
	return &w->logfiles;
}

void *
exchange_bound(const struct exchange *x)
{
	return (void *)(uintptr_t)x->bound;
}

uint64_t
exchange_duration(const struct exchange *x)
{
	return (x->ended ? x->ended : clock_now()) - x->began;
}

/* Eight hex digits at once: a nibble to each byte, then up to '0' … '9' and 'a' … 'f'. */
static inline void
put_hex(char *to, uint32_t n)
{
	const uint64_t ones = 0x0101010101010101;
	uint64_t x = n, letters;

	x = (x | x << 16) & 0x0000ffff0000ffff;
	x = (x | x << 8) & 0x00ff00ff00ff00ff;
	x = (x | x << 4) & 0x0f * ones;
	letters = (x + 6 * ones) >> 4 & ones;
	x = htobe64(x + '0' * ones + letters * ('a' - '0' - 10));
	memcpy(to, &x, sizeof(x));
}

struct str
exchange_id(struct exchange *x)
{
	char *to;

	if (x->id_text.len)
		return x->id_text;
	to = arena_alloc_aligned(&x->arena, 32, 1);
	for (int i = 0; i < 4; i++)
		put_hex(to + 8 * i, (uint32_t)(x->id[i / 2] >> (i % 2 ? 0 : 32)));
	x->id_text = (struct str){ to, 32 };
	x->id_made = true;
	return x->id_text;
}

void
exchange_identify(struct exchange *x, struct str consumer, const struct conf_plan *plan,
		  struct str key_id)
{
	x->consumer = consumer;
	x->plan = plan;
	x->key_id = key_id;
}

struct str
exchange_client_ip(struct exchange *x)
{
	if (!x->client_text.len) {
		char *to = arena_alloc_aligned(&x->arena, ADDR_TEXT, 1);

		x->client_text =
			(struct str){ to,
				      (size_t)(addr_put_ip(to, &x->client_addr) - to) };
	}
	return x->client_text;
}

struct str
exchange_capture(const struct exchange *x, struct str name)
{
	const struct route *r = x->match.route;

	for (unsigned i = 0; r && i < r->ncaptures; i++)
		if (str_eq(r->capture[i], name))
			return x->match.value[i];
	return STR_NONE;
}

struct str
exchange_cookie(const struct exchange *x, struct str name)
{
	const struct header *h = headers_get(&x->request.headers, TOKEN_COOKIE);

	for (; h; h = headers_next(&x->request.headers, h)) {
		struct str rest = h->value, part;

		while (str_split(&rest, ';', &part)) {
			struct str key;

			part = str_trim(part);
			if (str_split(&part, '=', &key) && part.at && str_eq(key, name))
				return part;
		}
	}
	return STR_NONE;
}
