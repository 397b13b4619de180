#include "master/keeper/keeper.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "shm/store.h"
#include "worker/channel.h"

enum { TURN_MS = 1000 };

struct mapped {                         /* an image of the master's window */
	uint64_t generation, at, size;
};

struct keeper {
	const struct keeper_start *start;
	struct slot *row;
	struct mapped current, coming;  /* generation 0: none */
	struct store *store;
	bool store_fails;               /* has been said */
	char path[PATH_MAX];            /* of the store */
	char file[256];                 /* the configuration's */
	bool stop;
};

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
store_failed(struct keeper *k, const char *error)
{
	if (!k->store_fails)
		log_error("store %s: %s; the history of revisions is not kept until this is mended",
			  k->path, error);
	k->store_fails = true;
	store_close(k->store);
	k->store = NULL;
}

static void
record(struct keeper *k, const struct channel_msg *m)
{
	static const char *const who[] = {
		[CHANNEL_BY_START] = "start", [CHANNEL_BY_SIGNAL] = "signal",
		[CHANNEL_BY_UPGRADE] = "upgrade",
	};
	struct revision r = { .ok = m->ok,
			      .generation = m->generation,
			      .at = (int64_t)m->ms,
			      .master = (int32_t)getppid() };
	const char *error;

	snprintf(r.who, sizeof(r.who), "%s",
		 m->at < sizeof(who) / sizeof(who[0]) ? who[m->at] : "?");
	snprintf(r.file, sizeof(r.file), "%s", k->file);
	snprintf(r.text, sizeof(r.text), "%.*s", (int)sizeof(r.text) - 1, m->text);
	if (!k->store)
		k->store = store_open(k->path, false, &error);
	if (!k->store || store_revision_add(k->store, &r, &error) < 0)
		store_failed(k, error);
	else if (k->store_fails) {
		k->store_fails = false;
		log_notice("store %s: writes again", k->path);
	}
}

/* Its place stays reserved: nothing else of this process may come to lie there. */
static void
unmap(struct mapped *m)
{
	void *at = (void *)(uintptr_t)m->at;

	if (m->generation &&
	    mmap(at, m->size, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		log_warn("cannot unmap generation %llu: %s", (unsigned long long)m->generation,
			 strerror(errno));
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
		say(k, CHANNEL_PREPARED, m->generation, false, "the keeper cannot map the image");
		return;
	}
	k->coming = (struct mapped){ m->generation, m->at, m->size };
	say(k, CHANNEL_PREPARED, m->generation, true, "");
}

static void
commit(struct keeper *k, uint64_t generation)
{
	struct mapped old = k->current;

	if (k->coming.generation != generation)
		return;
	k->current = k->coming;
	k->coming.generation = 0;
	k->row->generation = generation;
	say(k, CHANNEL_COMMITTED, generation, true, "");
	unmap(&old);
	say(k, CHANNEL_RELEASED, old.generation, true, "");
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
		k->stop = true;
		break;
	}
	if (fd >= 0)
		close(fd);
}

static void
listen_to_master(struct keeper *k)
{
	struct channel_msg m = { .kind = 0 };
	int fd, rc = 0;

	while (!k->stop && (rc = channel_receive(k->start->channel, &m, &fd)) > 0)
		heed(k, &m, fd);
	if (rc < 0)
		k->stop = true;
}

int
keeper_run(const struct keeper_start *start)
{
	struct keeper k = {
		.start = start, .row = &start->slots->row[start->row],
		.current = { start->generation, start->at, start->size },
	};
	struct pollfd p = { .fd = start->channel, .events = POLLIN };

	snprintf(k.path, sizeof(k.path), "%.*s/state",
		 STR_ARG(start->model->gateway.statedir));
	snprintf(k.file, sizeof(k.file), "%.*s", STR_ARG(start->model->file));
	k.row->generation = start->generation;
	k.row->state = SLOT_SERVING;
	say(&k, CHANNEL_READY, start->generation, true, "");
	while (!k.stop) {
		clock_update();
		k.row->heartbeat = clock_ms();
		if (poll(&p, 1, TURN_MS) > 0)
			listen_to_master(&k);
	}
	store_close(k.store);
	return 0;
}
