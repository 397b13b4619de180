#include "worker/worker.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "worker/channel.h"
#include "worker/crash.h"
#include "worker/exchange/directory.h"
#include "worker/exchange/oauth_fetch.h"
#include "worker/net/dns.h"
#include "worker/generation.h"
#include "worker/serve.h"

enum { SECOND_MS = 1000, ORPHAN_DRAIN_MS = 5000 };

static void
tell(struct worker *w, enum channel_kind kind, uint64_t generation, const char *why)
{
	struct channel_msg m = { .kind = kind,
				 .ok = why == NULL,
				 .generation = generation };

	if (w->single)
		return;
	if (why)
		strncpy(m.text, why, sizeof(m.text) - 1);
	channel_send(w->channel.fd, &m, -1);
}

/* ---- once a second */

static void
store(_Atomic uint64_t *at, uint64_t value)
{
	atomic_store_explicit(at, value, memory_order_relaxed);
}

static void
publish(struct worker *w)
{
	struct slot *s = w->slot;

	store(&s->heartbeat, clock_ms());
	store(&s->connections, w->nconns);
	store(&s->exchanges, w->nexchanges);
	store(&s->upstream_connections, w->upstreams.open);
	store(&s->lag, w->loop.lag_us);
	store(&s->busy, w->loop.busy_us);
	w->loop.lag_us = 0;
}

static void
finish(struct worker *w, int status)
{
	w->status = status;
	w->loop.stop = true;
}

/* Handshakes under way are clients, too. */
static bool
all_gone(const struct worker *w)
{
	return !w->nconns && list_empty(&w->hellos);
}

static void
drain_on(struct worker *w)
{
	if (w->drain_by && clock_ms() >= w->drain_by) {
		serve_cut(w);
		finish(w, 0);
	} else if (all_gone(w)) {
		finish(w, 0);
	}
}

static void
every_second(struct timer *t)
{
	struct worker *w = list_entry(t, struct worker, second);

	publish(w);
	generation_tick(w, w->reopen);
	w->reopen = false;
	exchange_thin(w);
	if (w->draining)
		drain_on(w);
	timer_set(&w->loop.wheel, &w->second, clock_ms() + SECOND_MS);
}

static void
after_turn(struct loop *l)
{
	struct worker *w = (struct worker *)l;

	if (w->draining && all_gone(w))
		finish(w, 0);
}

static void
drain(struct worker *w, uint64_t ms, bool others_serve)
{
	uint64_t by = clock_ms() + ms;

	if (!w->draining || by < w->drain_by)
		w->drain_by = by;
	w->draining = true;
	w->rules.draining = true;
	atomic_store(&w->slot->state, SLOT_DRAINING);
	serve_stop(w, !others_serve);
	timer_hang(&w->loop.wheel, &w->second,
		   w->drain_by < clock_ms() + SECOND_MS ? w->drain_by
							: clock_ms() + SECOND_MS);
}

/* ---- what the master says */

static void
prepare(struct worker *w, const struct channel_msg *m, int fd)
{
	const char *error = "it cannot be mapped";
	struct generation *g = NULL;
	void *at;

	at = mmap((void *)(uintptr_t)m->at, m->size, PROT_READ, MAP_SHARED | MAP_FIXED,
		  fd, 0);
	if (at != MAP_FAILED)
		g = generation_bind(w, (const struct image *)(uintptr_t)m->image,
				    (uintptr_t)m->at, m->size, &error);
	if (!g)
		generation_unmap((uintptr_t)m->at, m->size);
	tell(w, CHANNEL_PREPARED, m->generation, g ? NULL : error);
}

static void
commit(struct worker *w, uint64_t generation)
{
	struct generation *g = generation_find(w, generation);

	if (!g || g == w->gen)
		return;
	generation_commit(w, g);
	tell(w, CHANNEL_COMMITTED, generation, NULL);
}

static void
call_off(struct worker *w, uint64_t generation)
{
	struct generation *g = generation_find(w, generation);

	serve_abort(w);
	if (g && g != w->gen)
		generation_unref(g);
}

static void
obey(struct worker *w, const struct channel_msg *m, int fd)
{
	switch (m->kind) {
	case CHANNEL_SOCKET:
		serve_socket(w, str_of(m->text), fd);
		return;                         /* the descriptor is kept */
	case CHANNEL_PREPARE:
		prepare(w, m, fd);
		break;
	case CHANNEL_COMMIT:
		commit(w, m->generation);
		break;
	case CHANNEL_ABORT:
		call_off(w, m->generation);
		break;
	case CHANNEL_REOPEN:
		generation_tick(w, true);
		break;
	case CHANNEL_DRAIN:
		drain(w, m->ms, m->ok);
		break;
	case CHANNEL_STOP:
		finish(w, 0);
		break;
	default:
		log_warn("unknown word %u from the master", m->kind);
	}
	if (fd >= 0)
		close(fd);
}

static void
channel_turn(struct event *s, uint32_t events)
{
	struct worker *w = list_entry(s, struct worker, channel);
	struct channel_msg m;
	int fd, r;

	(void)events;
	while (s->fd >= 0 && (r = channel_receive(s->fd, &m, &fd)) != 0) {
		if (r < 0) {
			log_error("the master is gone: finishing what is under way");
			loop_bury(&w->loop, s);
			drain(w, ORPHAN_DRAIN_MS, true);
			return;
		}
		obey(w, &m, fd);
	}
}

static void
signal_turn(struct event *s, uint32_t events)
{
	struct worker *w = list_entry(s, struct worker, channel);
	const struct conf_gateway *g = &w->gen->model->gateway;
	struct signalfd_siginfo i;

	(void)events;
	while (read(s->fd, &i, sizeof(i)) == (ssize_t)sizeof(i)) {
		if (i.ssi_signo == SIGUSR1)
			generation_tick(w, true);
		else if (i.ssi_signo == SIGQUIT && !w->draining)
			drain(w, g->drain, false);
		else if (i.ssi_signo == SIGTERM && !w->draining)
			drain(w, g->drain_term, false);
		else if (i.ssi_signo != SIGHUP)
			finish(w, 0);
	}
}

static void
no_destroy(struct event *s)
{
	(void)s;
}

/* Signals are the master's business; alone, they are ours. */
static int
listen_to_master(struct worker *w, int channel)
{
	static const int ours[] = { SIGHUP, SIGQUIT, SIGTERM, SIGINT, SIGUSR1, SIGUSR2 };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
		sigaddset(&set, ours[i]);
		if (channel >= 0)
			signal(ours[i], SIG_IGN);
	}
	signal(SIGPIPE, SIG_IGN);
	w->single = channel < 0;
	w->channel.destroy = no_destroy;
	if (w->single) {
		sigprocmask(SIG_BLOCK, &set, NULL);
		w->channel.turn = signal_turn;
		w->channel.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	} else {
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		w->channel.turn = channel_turn;
		w->channel.fd = channel;
	}
	return loop_add(&w->loop, &w->channel);
}

static void
pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		log_warn("cannot be pinned to processor %d: %s", cpu, strerror(errno));
}

static struct worker *
make(const struct worker_start *s)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (!w || loop_init(&w->loop))
		abort();
	list_init(&w->generations);
	list_init(&w->exchanges);
	list_init(&w->rest);
	list_init(&w->conns);
	list_init(&w->hellos);
	list_init(&w->logfiles);
	list_init(&w->tokens);
	list_init(&w->fetches);
	list_init(&w->sites);
	list_init(&w->listens);
	list_init(&w->sockets);
	w->number = s->number;
	w->shared = (struct shared *)(uintptr_t)&s->shared;
	w->row = s->row;
	w->slot = &s->shared.slots->row[s->row];
	w->page = &s->shared.stats.pages[s->row];
	w->series = &s->shared.stats.series[(size_t)s->row * SERIES_MAX];
	w->tally = &s->shared.tallies[s->row];
	w->ring = ring_of(s->shared.rings, s->row);
	w->loop.after = after_turn;
	w->second.fire = every_second;
	upstreams_init(&w->upstreams, &w->loop, w->page);
	w->dns = dns_open(&w->loop);
	w->directory = directory_new(s->image->model->gateway.statedir, w->shared);
	return w;
}

static void
end(struct worker *w)
{
	serve_cut(w);
	oauth_fetch_stop(w);
	dns_close(w->dns);
	upstreams_close_idle(&w->upstreams);
	generation_tick(w, false);
	generation_unref(w->gen);
	loop_turn(&w->loop, 0);
	serve_end(w);
	exchange_free_rest(w);
	directory_free(w->directory);
	publish(w);
	loop_free(&w->loop);
	free(w);
}

int
worker_run(const struct worker_start *s)
{
	struct worker *w;
	struct generation *g;
	const char *error = NULL;
	int status;

	clock_update();
	rand_reseed();
	pin(s->cpu);
	w = make(s);
	crash_install(w->ring);
	if (listen_to_master(w, s->channel)) {
		log_error("cannot begin: %s", strerror(errno));
		return 1;
	}
	for (size_t i = 0; i < s->nsockets; i++)
		serve_socket(w, s->sockets[i].address, s->sockets[i].fd);
	g = generation_bind(w, s->image, s->at, s->size, &error);
	if (!g) {
		log_error("cannot begin: %s", error);
		return 1;
	}
	generation_commit(w, g);
	atomic_store(&w->slot->state, SLOT_SERVING);
	publish(w);
	timer_hang(&w->loop.wheel, &w->second, clock_ms() + SECOND_MS);
	tell(w, CHANNEL_READY, g->number, NULL);
	loop_run(&w->loop);
	status = w->status;
	end(w);
	return status;
}
