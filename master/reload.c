#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/master.h"
#include "master/notify.h"

enum { PATIENCE = 2000 }; /* ms: for an address, before anything is served */

#define DIAG_MAX ((size_t)16 << 20)

/* Who takes part: what works by a configuration and will go on doing so. */
static bool
is_voter(const struct child *c)
{
	return c->state == CHILD_STARTING || c->state == CHILD_SERVING;
}

static bool
has_socket(const struct child *c, uint32_t id)
{
	for (size_t i = 0; i < c->nsockets; i++)
		if (c->sockets[i] == id)
			return true;
	return false;
}

static void
begin(struct master *m)
{
	struct build_setup setup = { m->current ? NULL : setup_in_builder, setup_restore,
				     m };
	struct reload *r = &m->reload;

	r->again = false;
	r->started = clock_ms();
	r->deaths = 0;
	r->number = ++m->last_number;
	if (m->current)
		notify_send("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)notify_monotonic());
	r->build.serving = m->current ? m->current->number : 0;
	if (build_start(&r->build, &m->window, m->file, r->number, &m->shared, &setup) <
	    0) {
		reload_refuse(m, errno == ENOMEM ? "too many configurations are still in use" :
			      strerror(errno));
		return;
	}
	r->state = RELOAD_BUILDING;
}

/* The transaction is over. */
static void
end(struct master *m)
{
	m->reload.state = RELOAD_NONE;
	if (m->state == MASTER_SERVING)
		notify_send("READY=1");
	status_tell(m);
	if (m->upgrade.state == UPGRADE_ASKED)
		upgrade_ask(m);
	else if (m->reload.again && m->upgrade.state == UPGRADE_NONE &&
		 m->state != MASTER_STOPPING)
		begin(m);
}

void
reload_ask(struct master *m)
{
	if (m->state == MASTER_STOPPING)
		return;
	if (m->reload.state != RELOAD_NONE || m->upgrade.state != UPGRADE_NONE)
		m->reload.again = true;
	else
		begin(m);
}

/* Sockets that a child was given but that never came into use. */
static void
forget_sockets(struct master *m, struct child *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->nsockets; i++)
		if (sockets_has(&m->sockets, c->sockets[i]))
			c->sockets[n++] = c->sockets[i];
	c->nsockets = n;
}

static void
call_off(struct master *m)
{
	struct reload *r = &m->reload;
	struct channel_msg msg = { .kind = CHANNEL_ABORT, .generation = r->number };

	sockets_abort(&m->sockets);
	EACH_CHILD(m, c) {
		if (c->vote != VOTE_NONE)
			spawn_tell(c, &msg, -1);
		c->vote = VOTE_NONE;
		forget_sockets(m, c);
	}
	/* Its slice is not used again before a child has read this: the channel keeps the
	 * order. */
	r->coming = NULL;
	EACH_CHILD(m, c)
		generation_let_go(m, c, r->number);
	generation_sweep(m);
}

void
reload_refuse(struct master *m, const char *why)
{
	uint64_t number = m->reload.number;
	time_t now = time(NULL);
	char at[8] = "", text[200];
	struct tm tm;

	/* `why` may lie in what is given back. */
	snprintf(text, sizeof(text), "%s", why);
	call_off(m);
	m->reload.state = RELOAD_NONE;
	if (!m->current) {
		m->exit_status = 1;
		stop_ask(m, STOP_NOW);
		return;
	}
	if (localtime_r(&now, &tm))
		strftime(at, sizeof(at), "%H:%M", &tm);
	snprintf(m->rejected, sizeof(m->rejected), "revision %llu REJECTED %s: %.100s",
		 (unsigned long long)number, at, text);
	log_error("revision %llu was refused: %s; revision %llu keeps serving",
		  (unsigned long long)number, text,
		  (unsigned long long)m->current->number);
	status_record(m, number, false, text);
	end(m);
}

void
reload_stop(struct master *m)
{
	struct reload *r = &m->reload;
	struct build_answer answer;

	if (r->state == RELOAD_BUILDING) {
		build_kill(&r->build);
		build_finish(&r->build, &m->window, &answer);
	} else if (r->state == RELOAD_PREPARING) {
		call_off(m);
	}
	r->state = RELOAD_NONE;
	r->again = false;
}

struct giving {
	struct child *child;
	bool failed;
};

static void
give_socket(void *arg, const struct bound *b, const struct socket *s)
{
	struct channel_msg msg = { .kind = CHANNEL_SOCKET };
	struct giving *g = arg;
	uint32_t *ids;

	if (g->failed || has_socket(g->child, s->id))
		return;
	snprintf(msg.text, sizeof(msg.text), "%s", b->address);
	ids = realloc(g->child->sockets, (g->child->nsockets + 1) * sizeof(*ids));
	if (!ids)
		abort();
	g->child->sockets = ids;
	ids[g->child->nsockets++] = s->id;
	g->failed = spawn_tell(g->child, &msg, s->fd) < 0;
}

void
reload_invite(struct master *m, struct child *c)
{
	struct generation *next = m->reload.coming;
	struct giving g = { .child = c };
	struct channel_msg msg = {
		.kind = CHANNEL_PREPARE, .generation = next->number, .size = next->size,
		.at = (uint64_t)(uintptr_t)window_at(&m->window, next->slice),
		.image = (uint64_t)(uintptr_t)next->image,
	};
	unsigned workers = setup_workers(&next->image->model->gateway);

	c->vote = VOTE_ASKED;
	if (c->role == SLOT_WORKER && c->number < workers)
		sockets_each(&m->sockets, c->number, workers, true, give_socket, &g);
	/* If it cannot be told, it is dead and will be buried, or hangs until the
	 * deadline. */
	if (g.failed || spawn_tell(c, &msg, next->memfd) < 0)
		return;
	generation_hold(m, next, c);
}

static int
prepare_sockets(struct master *m, const struct conf_model *model, char *why, size_t size)
{
	struct arena arena;
	struct diag d;
	int rc;

	arena_init(&arena, NULL, 0, DIAG_MAX);
	diag_init(&d, &arena);
	rc = sockets_prepare(&m->sockets, model, setup_workers(&model->gateway),
			     m->current ? 0 : PATIENCE, &d);
	if (rc < 0) {
		diag_print(&d, stderr);
		fflush(stderr);
		if (d.first)
			snprintf(why, size, "%.*s", STR_ARG(d.first->text));
	}
	arena_reset(&arena);
	return rc;
}

void
reload_built(struct master *m)
{
	struct reload *r = &m->reload;
	struct build_answer answer;
	const struct conf_model *model;
	char why[200] = "";

	build_finish(&r->build, &m->window, &answer);
	r->state = RELOAD_NONE;
	if (!answer.ok) {
		reload_refuse(m, answer.text);
		return;
	}
	r->coming = generation_add(m, &r->build, &answer);
	if (!r->coming) {
		reload_refuse(m, "the image cannot be mapped");
		return;
	}
	model = r->coming->image->model;
	if (!m->current && setup_region(m, &model->gateway) < 0) {
		reload_refuse(m, "");
		return;
	}
	setup_warn(m, &model->gateway);
	if (prepare_sockets(m, model, why, sizeof(why)) < 0) {
		reload_refuse(m, why);
		return;
	}
	r->state = RELOAD_PREPARING;
	r->deadline = clock_ms() + PREPARE_TIMEOUT;
	EACH_CHILD(m, c)
		if (is_voter(c))
			reload_invite(m, c);
	reload_check(m);
}

/* All have agreed. */
static void
commit(struct master *m)
{
	struct channel_msg msg = { .kind = CHANNEL_COMMIT };
	struct generation *old = m->current;
	struct reload *r = &m->reload;
	const char *address;

	if (sockets_listen(&m->sockets, &address) < 0) {
		char why[200];

		snprintf(why, sizeof(why), "cannot listen on %s: %s", address, strerror(errno));
		log_error("%s", why);
		reload_refuse(m, why);
		return;
	}
	sockets_commit(&m->sockets);
	m->current = r->coming;
	m->workers = setup_workers(&m->current->image->model->gateway);
	r->coming = NULL;
	r->state = RELOAD_COMMITTING;
	r->deadline = clock_ms() + COMMIT_TIMEOUT;
	msg.generation = m->current->number;
	EACH_CHILD(m, c) {
		if (c->vote != VOTE_GIVEN)
			continue;
		c->vote = VOTE_COMMITTING;
		if (spawn_tell(c, &msg, -1) < 0)
			kill(c->pid, SIGKILL); /* it would serve what is no longer true */
	}
	close(m->current->memfd);
	m->current->memfd = -1;
	if (old)
		generation_retire(m, old);
	generation_sweep(m);
	spawn_posts(m);
	reload_check(m);
}

/* Slots that the new configuration does not have: others have their sockets by now. */
static void
retire_workers(struct master *m)
{
	for (unsigned i = m->workers; i < WORKERS_MAX; i++) {
		struct post *p = &m->posts[i];

		if (p->child)
			spawn_drain(m, p->child, m->current->image->model->gateway.drain,
				    true);
		*p = (struct post){ .child = NULL };
	}
}

static void
finish(struct master *m)
{
	struct reload *r = &m->reload;

	EACH_CHILD(m, c)
		if (c->vote == VOTE_COMMITTING) {
			log_warn("%s %u (pid %d) has not changed over to revision %llu "
				 "in %d s",
				 c->role == SLOT_KEEPER ? "keeper" : "worker", c->number,
				 (int)c->pid, (unsigned long long)r->number,
				 COMMIT_TIMEOUT / 1000);
			c->vote = VOTE_NONE;
		}
	retire_workers(m);
	sockets_sweep(&m->sockets);
	EACH_CHILD(m, c)
		forget_sockets(m, c);
	m->rejected[0] = '\0';
	if (m->state == MASTER_SERVING)
		log_notice("revision %llu is in force after %llu ms", (unsigned long long)r->number,
			   (unsigned long long)(clock_ms() - r->started));
	status_record(m, r->number, true, "");
	end(m);
}

/* Whether some child is at `vote`. */
static struct child *
any_at(struct master *m, enum vote vote)
{
	EACH_CHILD(m, c)
		if (is_voter(c) && c->vote == vote)
			return c;
	return NULL;
}

void
reload_check(struct master *m)
{
	struct reload *r = &m->reload;
	bool late = r->state != RELOAD_NONE && clock_ms() >= r->deadline;
	const struct child *slow;
	char why[100];

	if (r->state == RELOAD_PREPARING) {
		slow = any_at(m, VOTE_ASKED);
		if (!slow) {
			commit(m);
		} else if (late) {
			snprintf(why, sizeof(why), "%s %u did not answer within %d s",
				 slow->role == SLOT_KEEPER ? "keeper" : "worker",
				 slow->number, PREPARE_TIMEOUT / 1000);
			reload_refuse(m, why);
		}
	} else if (r->state == RELOAD_COMMITTING) {
		if (late || !any_at(m, VOTE_COMMITTING))
			finish(m);
	}
}

void
reload_voted(struct master *m, struct child *c, const struct channel_msg *msg)
{
	char why[320];

	if (m->reload.state != RELOAD_PREPARING || msg->generation != m->reload.number ||
	    c->vote != VOTE_ASKED)
		return;
	if (!msg->ok) {
		snprintf(why, sizeof(why), "%s %u: %s", c->role == SLOT_KEEPER ? "keeper" : "worker",
			 c->number, msg->text);
		reload_refuse(m, why);
		return;
	}
	c->vote = VOTE_GIVEN;
}

/* One death may be chance and its successor is invited; two are the configuration's
 * doing. */
void
reload_died(struct master *m, const struct child *c)
{
	if (m->reload.state == RELOAD_PREPARING && c->role == SLOT_WORKER &&
	    ++m->reload.deaths > 1)
		reload_refuse(m, "workers died while they prepared it");
}
