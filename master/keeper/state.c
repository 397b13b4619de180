#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "master/keeper/inside.h"

enum {
	RETRY_MS = 5000, /* between two attempts */
	READERS_MS = 60 * 1000,
	DEATHS_MOST = 3,           /* keepers that died in the store, one after another */
	FORGIVEN_MS = 600 * 1000,  /* good work after which they are forgotten */
	LOCKED_OUT_MS = 60 * 1000, /* an upgrade takes less */
	KILLED_INSIDE = 1,
	CRASHED_INSIDE = 2 /* values of control.store_busy */
};

/* ---- deaths inside LMDB */

static const int fatal[] = { SIGBUS, SIGSEGV, SIGABRT, SIGFPE, SIGILL };
static struct sigaction before[sizeof(fatal) / sizeof(*fatal)];
static struct control *told; /* by the handler, which knows nothing else */

/* A damaged file shows itself so; kill -9 does not come by here. */
static void
note_crash(int sig)
{
	if (told && told->store_busy)
		told->store_busy = CRASHED_INSIDE;
	for (size_t i = 0; i < sizeof(fatal) / sizeof(*fatal); i++)
		if (fatal[i] == sig)
			sigaction(sig, &before[i], NULL);
	raise(sig);
}

static void
watch_signals(struct keeper *k)
{
	struct sigaction a = { .sa_handler = note_crash, .sa_flags = SA_NODEFER };

	told = k->shared.control;
	sigemptyset(&a.sa_mask);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(*fatal); i++)
		sigaction(fatal[i], &a, &before[i]);
	/* A file that may not grow any more is an error of write(2), not our end. */
	signal(SIGXFSZ, SIG_IGN);
}

void
state_enter(struct keeper *k)
{
	k->shared.control->store_busy = KILLED_INSIDE;
}

void
state_leave(struct keeper *k)
{
	k->shared.control->store_busy = 0;
}

static void
set(struct keeper *k, enum store_state state)
{
	k->shared.control->store_state = state;
	k->state.said = state;
}

void
state_begin(struct keeper *k)
{
	struct control *c = k->shared.control;
	uint64_t none = 0;
	uint32_t busy = atomic_exchange(&c->store_busy, 0);

	atomic_compare_exchange_strong(&c->instance, &none, rand_u64() | 1);
	watch_signals(k);
	k->state.lock = -1;
	k->state.deaths = c->worker_deaths;
	k->state.crashed = busy == CRASHED_INSIDE;
	if (busy)
		c->store_deaths++;
	if (c->store_deaths >= DEATHS_MOST) {
		k->state.broken = true;
		set(k, STORE_BAD);
		log_error("store %s: keepers died in it %u times, one after another: it "
			  "is not opened any more; "
			  "traffic goes on, usage is kept in memory. Next: move the file "
			  "away or restore "
			  "a backup, then restart postern",
			  k->path, (unsigned)c->store_deaths);
	} else if (busy == CRASHED_INSIDE) {
		/* Workers stay out until we know. */
		set(k, STORE_UNKNOWN);
	}
}

/* ---- opening, closing */

static void
close_store(struct keeper *k)
{
	store_close(k->store);
	k->store = NULL;
	k->state.readonly = false;
	/* Should the directory be another one next time, so is its lock. */
	if (k->state.lock >= 0)
		close(k->state.lock);
	k->state.lock = -1;
}

void
state_end(struct keeper *k)
{
	close_store(k);
	told = NULL;
}

/* What it means and what to do, by the kind of failure. */
static const struct {
	enum store_state state;
	const char *text;
} meaning[] = {
	[STORE_FAIL_NONE] = { STORE_BAD, "it is tried again" },
	[STORE_FAIL_SPACE] = { STORE_READONLY, "usage is kept in memory and booked when "
					       "there is room again. Next: make room "
					       "on that disk" },
	[STORE_FAIL_READONLY] = { STORE_READONLY,
				  "usage is kept in memory and booked when it can be "
				  "written again. Next: "
				  "make it and its directory writable for the user that "
				  "the gateway runs as" },
	[STORE_FAIL_FOREIGN] = { STORE_BAD, "it is left as it is and not used; consumers "
					    "and keys in it are not known, "
					    "usage is kept in memory. Next: move it "
					    "away, or restore a backup: the next "
					    "good one is taken up by itself" },
	[STORE_FAIL_REFUSED] = { STORE_BAD, "it is tried again" },
	[STORE_FAIL_OTHER] = { STORE_BAD, "it is tried again every 5 s; usage is kept in "
					  "memory and booked then. Next: "
					  "look after its directory and disk" },
};

static void
say_failure(struct keeper *k, enum store_failure why, enum store_state state,
	    const char *error)
{
	bool again = k->state.said == state && k->state.why == why;

	set(k, state);
	k->state.why = why;
	k->retry_at = clock_ms() + RETRY_MS;
	if (!again)
		log_error("store %s: %s: traffic goes on, %s", k->path, error,
			  meaning[why].text);
}

/* Inodes are used again: when a file was made tells it from the one that had its number
 * before. */
static uint64_t
born(const char *path)
{
	struct statx x;

	if (statx(AT_FDCWD, path, 0, STATX_BTIME, &x) < 0 || !(x.stx_mask & STATX_BTIME))
		return 0;
	return (uint64_t)x.stx_btime.tv_sec * 1000000000 + x.stx_btime.tv_nsec;
}

static void
look_at_file(struct keeper *k)
{
	struct stat s;

	if (stat(k->path, &s) < 0)
		return;
	k->state.dev = s.st_dev;
	k->state.ino = s.st_ino;
	k->state.size = (uint64_t)s.st_size;
	k->shared.control->store_file =
		(s.st_dev * 0x9e3779b97f4a7c15 ^ s.st_ino ^ born(k->path)) + k->state.cut;
}

static void
opened(struct keeper *k)
{
	k->state.opened++;
	k->state.opened_at = clock_ms();
	look_at_file(k);
	k->shared.control->store_epoch++;
	api_overrides(k);
	if (k->state.said == STORE_BAD) {
		log_notice("store %s: opened", k->path);
		k->state.said = STORE_UNKNOWN;
	}
	/* After a failure of writing only a write says that it is over. */
	if (k->state.said == STORE_UNKNOWN) {
		set(k, STORE_OK);
		k->state.why = STORE_FAIL_NONE;
	}
}

struct store *
state_open(struct keeper *k)
{
	enum store_failure why = STORE_FAIL_NONE, second;
	const char *error = "", *more;

	if (k->store || k->state.broken || (k->retry_at && clock_ms() < k->retry_at))
		return k->store;
	state_enter(k);
	k->store = store_open(k->path, false, &error, &why);
	if (!k->store && (why == STORE_FAIL_SPACE || why == STORE_FAIL_READONLY)) {
		k->store = store_open(k->path, true, &more, &second);
		k->state.readonly = k->store != NULL;
	}
	state_leave(k);
	if (k->store && !k->state.readonly) {
		k->retry_at = 0;
		opened(k);
	} else if (k->store) {
		look_at_file(k);
		if (k->state.said != STORE_READONLY) {
			k->shared.control->store_epoch++;
			api_overrides(k);
		}
		say_failure(k, why, STORE_READONLY, error);
	} else {
		say_failure(k, why, STORE_BAD, error);
	}
	return k->store;
}

bool
state_writable(struct keeper *k)
{
	return state_open(k) && !k->state.readonly &&
	       (!k->retry_at || clock_ms() >= k->retry_at);
}

/* ---- failing, mending */

void
state_failed(struct keeper *k)
{
	struct control *c = k->shared.control;
	enum store_failure why;
	char error[256];

	if (!k->store || store_again(k->store))
		return;
	why = store_failure(k->store);
	if (why == STORE_FAIL_REFUSED) {
		log_error("store %s: %s", k->path, store_error(k->store));
		return;
	}
	if (why == STORE_FAIL_REFUSED)
		return;
	snprintf(error, sizeof(error), "%s", store_error(k->store));
	c->store_failed++;
	if (why == STORE_FAIL_SPACE || why == STORE_FAIL_READONLY) {
		say_failure(k, why, STORE_READONLY, error);
		return;
	}
	close_store(k);
	say_failure(k, why, STORE_BAD, error);
}

static void
forgive(struct keeper *k)
{
	struct control *c = k->shared.control;

	/* Killed by somebody in the middle of a write says nothing against the file. */
	if (c->store_deaths &&
	    (!k->state.crashed || clock_ms() > k->state.opened_at + FORGIVEN_MS))
		c->store_deaths = 0;
}

void
state_good(struct keeper *k)
{
	forgive(k);
	k->retry_at = 0;
	if (k->state.said == STORE_OK)
		return;
	if (k->state.said == STORE_READONLY)
		log_notice("store %s: writes again; what was counted meanwhile is booked",
			   k->path);
	set(k, STORE_OK);
	k->state.why = STORE_FAIL_NONE;
}

/* An idle gateway has nothing to write by which it would see that the disk has room
 * again. */
static void
probe(struct keeper *k)
{
	int64_t now = clock_wall_ms();
	int rc;

	if (k->state.said != STORE_READONLY || !state_writable(k))
		return;
	state_enter(k);
	rc = store_booked_put(k->store, STR("probe"), &now, sizeof(now));
	if (rc < 0 && store_again(k->store))
		rc = store_booked_put(k->store, STR("probe"), &now, sizeof(now));
	state_leave(k);
	if (rc < 0)
		state_failed(k);
	else
		state_good(k);
}

/* A file that was cut short or put aside: what is mapped of it must not be touched any
 * more. */
static void
watch_file(struct keeper *k)
{
	struct state *s = &k->state;
	struct stat now;
	bool there = stat(k->path, &now) == 0;

	if (there && now.st_dev == s->dev && now.st_ino == s->ino &&
	    (uint64_t)now.st_size >= s->size) {
		s->size = (uint64_t)now.st_size;
		return;
	}
	s->cut++;
	log_error("store %s: the file was %s while it was in use", k->path,
		  !there                                         ? "removed"
		  : now.st_dev == s->dev && now.st_ino == s->ino ? "cut short"
								 : "replaced");
	close_store(k);
	set(k, STORE_UNKNOWN);
	k->retry_at = 0;
}

static void
watch_readers(struct keeper *k)
{
	uint64_t deaths = k->shared.control->worker_deaths;

	if (clock_ms() < k->state.readers_at && deaths == k->state.deaths)
		return;
	k->state.deaths = deaths;
	k->state.readers_at = clock_ms() + READERS_MS;
	state_enter(k);
	store_clear_readers(k->store);
	state_leave(k);
}

void
state_second(struct keeper *k)
{
	struct control *c = k->shared.control;
	uint64_t used, room;

	if (k->store)
		watch_file(k);
	if (k->store && k->state.readonly && clock_ms() >= k->retry_at) {
		close_store(k);
		k->retry_at = 0;
	}
	if (!state_open(k))
		return;
	watch_readers(k);
	probe(k);
	if (!k->store)
		return;
	state_enter(k);
	store_room(k->store, &used, &room);
	state_leave(k);
	c->store_used = used;
	c->store_room = room;
}

/* ---- who books */

bool
state_owns(struct keeper *k)
{
	struct state *s = &k->state;
	char directory[sizeof(k->path)];
	char *slash;
	int fd;

	if (s->lock >= 0)
		return true;
	snprintf(directory, sizeof(directory), "%s", k->path);
	slash = strrchr(directory, '/');
	if (!slash)
		return false;
	*slash = '\0';
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		if (s->locked_out_said)
			log_notice("store %s: the other postern is gone: usage is booked "
				   "here",
				   k->path);
		s->lock = fd;
		s->locked_out = 0;
		s->locked_out_said = false;
		/* It wrote what we may remember otherwise. */
		s->opened++;
		return true;
	}
	close(fd);
	if (!s->locked_out)
		s->locked_out = clock_ms();
	if (!s->locked_out_said && clock_ms() > s->locked_out + LOCKED_OUT_MS) {
		s->locked_out_said = true;
		log_warn("store %s: another postern books into it: usage is kept in "
			 "memory until that has "
			 "ended. Next: give each gateway a statedir of its own",
			 k->path);
	}
	return false;
}
