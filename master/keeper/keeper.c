#include "master/keeper/keeper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/keeper/inside.h"
#include "worker/channel.h"
#include "worker/worker.h"

enum { SECOND_MS = 1000, TICK_MS = 2 * TIMER_TICK_MS };

static void
say(struct keeper *k, enum channel_kind kind, uint64_t generation, bool ok,
    const char *text)
{
	struct channel_msg m = { .kind = kind, .generation = generation, .ok = ok };

	snprintf(m.text, sizeof(m.text), "%s", text);
	/* A master that is gone is noticed by the next receive. */
	channel_send(k->start->channel, &m, -1);
}

static void
beat(struct keeper *k)
{
	clock_update();
	k->row->heartbeat = clock_ms();
}

/* ---- what the master says */

static void
record(struct keeper *k, const struct channel_msg *m)
{
	static const char *const who[] = {
		[CHANNEL_BY_START] = "start",
		[CHANNEL_BY_SIGNAL] = "signal",
		[CHANNEL_BY_UPGRADE] = "upgrade",
	};
	struct revision r = { .ok = m->ok,
			      .generation = m->generation,
			      .at = (int64_t)m->ms,
			      .master = (int32_t)getppid() };
	struct store *s = state_open(k);
	int rc;

	snprintf(r.who, sizeof(r.who), "%s",
		 m->at < sizeof(who) / sizeof(who[0]) ? who[m->at] : "?");
	snprintf(r.file, sizeof(r.file), "%s", k->file);
	snprintf(r.text, sizeof(r.text), "%.*s", (int)sizeof(r.text) - 1, m->text);
	if (!s || k->state.readonly)
		return;
	state_enter(k);
	rc = store_revision_add(s, &r);
	if (rc < 0 && store_again(s))
		rc = store_revision_add(s, &r);
	state_leave(k);
	if (rc < 0)
		state_failed(k);
	else
		state_good(k);
}

/* Its place stays reserved: nothing else of this process may come to lie there. */
static void
unmap(struct keeper_image *m)
{
	void *at = (void *)(uintptr_t)m->at;

	if (m->generation && mmap(at, m->size, PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
				  -1, 0) == MAP_FAILED)
		log_warn("cannot unmap generation %llu: %s",
			 (unsigned long long)m->generation, strerror(errno));
	m->generation = 0;
}

static void
prepare(struct keeper *k, const struct channel_msg *m, int fd)
{
	void *at = fd < 0 ? MAP_FAILED
			  : mmap((void *)(uintptr_t)m->at, m->size, PROT_READ,
				 MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0);

	unmap(&k->coming);
	if (at == MAP_FAILED) {
		say(k, CHANNEL_PREPARED, m->generation, false,
		    "the keeper cannot map the image");
		return;
	}
	k->coming = (struct keeper_image){
		.generation = m->generation,
		.at = m->at,
		.size = m->size,
		.model = ((const struct image *)(uintptr_t)m->image)->model,
	};
	say(k, CHANNEL_PREPARED, m->generation, true, "");
}

static void
commit(struct keeper *k, uint64_t generation)
{
	struct keeper_image old = k->current;
	uint64_t number = old.generation;

	if (k->coming.generation != generation)
		return;
	k->current = k->coming;
	k->coming.generation = 0;
	k->model = k->current.model;
	k->generation = generation;
	k->row->generation = generation;
	snprintf(k->file, sizeof(k->file), "%.*s", STR_ARG(k->model->file));
	collect_reloaded(k);
	admin_reloaded(k);
	say(k, CHANNEL_COMMITTED, generation, true, "");
	unmap(&old);
	say(k, CHANNEL_RELEASED, number, true, "");
}

static void
heed(struct keeper *k, const struct channel_msg *m, int fd)
{
	switch (m->kind) {
	case CHANNEL_PREPARE:
		prepare(k, m, fd);
		break;
	case CHANNEL_COMMIT:
		commit(k, m->generation);
		break;
	case CHANNEL_ABORT:
		if (k->coming.generation == m->generation)
			unmap(&k->coming);
		break;
	case CHANNEL_REVISION:
		record(k, m);
		break;
	case CHANNEL_DRAIN:
	case CHANNEL_STOP:
		k->loop.stop = true;
		break;
	}
	if (fd >= 0)
		close(fd);
}

static void
channel_turn(struct event *e, uint32_t events)
{
	struct keeper *k = list_entry(e, struct keeper, channel);
	struct channel_msg m = { .kind = 0 };
	int fd, rc = 0;

	(void)events;
	while (!k->loop.stop && (rc = channel_receive(e->fd, &m, &fd)) > 0)
		heed(k, &m, fd);
	if (rc < 0)
		k->loop.stop = true;
}

static void
no_destroy(struct event *e)
{
	(void)e;
}

/* ---- time */

static void
every_second(struct timer *t)
{
	struct keeper *k = list_entry(t, struct keeper, second);

	beat(k);
	state_second(k);
	collect_second(k);
	beat(k);
	timer_set(&k->loop.wheel, t, clock_ms() + SECOND_MS);
}

static void
every_tick(struct timer *t)
{
	struct keeper *k = list_entry(t, struct keeper, tick);

	collect_records(k);
	timer_set(&k->loop.wheel, t, clock_ms() + TICK_MS);
}

static struct keeper *
make(const struct keeper_start *start)
{
	struct keeper *k = calloc(1, sizeof(*k));

	if (!k || loop_init(&k->loop))
		abort();
	k->start = start;
	k->shared = start->shared;
	k->row = &k->shared.slots->row[start->row];
	k->model = start->model;
	k->generation = start->generation;
	k->current = (struct keeper_image){ start->generation, start->at, start->size,
					    start->model };
	k->channel = (struct event){ .turn = channel_turn,
				     .destroy = no_destroy,
				     .fd = start->channel };
	k->second.fire = every_second;
	k->tick.fire = every_tick;
	snprintf(k->path, sizeof(k->path), "%.*s/state",
		 STR_ARG(start->model->gateway.statedir));
	snprintf(k->file, sizeof(k->file), "%.*s", STR_ARG(start->model->file));
	return k;
}

int
keeper_run(const struct keeper_start *start)
{
	struct keeper *k = make(start);

	if (loop_add(&k->loop, &k->channel) < 0) {
		log_error("cannot begin: %s", strerror(errno));
		return 1;
	}
	state_begin(k);
	k->collect = collect_new(k);
	k->admin = admin_new(k);
	k->row->generation = start->generation;
	k->row->state = SLOT_SERVING;
	beat(k);
	say(k, CHANNEL_READY, start->generation, true, "");
	timer_set(&k->loop.wheel, &k->second, clock_ms() + SECOND_MS);
	timer_set(&k->loop.wheel, &k->tick, clock_ms() + TICK_MS);
	state_second(k);
	loop_run(&k->loop);
	/* The workers are gone: what they counted last. */
	clock_update();
	collect_records(k);
	collect_now(k);
	admin_free(k->admin);
	collect_free(k->collect);
	state_end(k);
	loop_free(&k->loop);
	free(k);
	return 0;
}
