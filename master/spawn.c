#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/heritage.h"
#include "master/master.h"

static struct child *
free_child(struct master *m)
{
	for (int i = 0; i < SLOTS_MAX; i++)
		if (m->children[i].state == CHILD_NONE)
			return &m->children[i];
	return NULL;
}

static const char *
child_name(const struct child *c)
{
	static char name[32];

	if (c->role == SLOT_KEEPER)
		return "keeper";
	snprintf(name, sizeof(name), "worker %u", c->number);
	return name;
}

struct inventory {
	struct worker_socket *sockets;
	uint32_t *ids;
	size_t n;
};

static void
take_socket(void *arg, const struct bound *b, const struct socket *s)
{
	struct inventory *i = arg;

	if (i->sockets) {
		i->sockets[i->n] = (struct worker_socket){ str_of(b->address), s->fd };
		i->ids[i->n] = s->id;
	}
	i->n++;
}

/* The sockets of a worker by the configuration in force. */
static int
take_sockets(const struct master *m, uint32_t number, struct inventory *i)
{
	*i = (struct inventory){ .n = 0 };
	sockets_each(&m->sockets, number, m->workers, false, take_socket, i);
	i->sockets = calloc(i->n + 1, sizeof(*i->sockets));
	i->ids = calloc(i->n + 1, sizeof(*i->ids));
	/* What it got is the caller's to free. */
	if (!i->sockets || !i->ids)
		return -1;
	i->n = 0;
	sockets_each(&m->sockets, number, m->workers, false, take_socket, i);
	return 0;
}

static int
reserve_row(struct master *m, enum slot_role role, uint32_t number)
{
	int row = slots_claim(m->shared.slots, role, number, getpid());

	if (row < 0)
		errno = EAGAIN;
	else if (role == SLOT_WORKER && shared_reserve_row(&m->shared, row) < 0) {
		slots_release(m->shared.slots, row);
		return -1;
	}
	return row;
}

static pid_t
fork_child(struct master *m, const struct child *c, int end,
	   const struct inventory *inventory)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		heritage_enter(&(struct heritage){
			.role = c->role,
			.number = c->number,
			.row = c->row,
			.channel = end,
			.cpu = c->role == SLOT_WORKER &&
					       m->current->image->model->gateway.pin_cpus
				       ? privs_cpu(c->number)
				       : -1,
			.window = &m->window,
			.slice = m->current->slice,
			.image = m->current->image,
			.identity = &m->identity,
			.shared = &m->shared,
			.sockets = inventory->sockets,
			.nsockets = inventory->n });
	return pid;
}

/* -1 with errno. */
static int
spawn(struct master *m, struct post *post, enum slot_role role, uint32_t number)
{
	struct inventory inventory = { .n = 0 };
	struct child *c = free_child(m);
	int ends[2] = { -1, -1 };

	if (!c) {
		errno = EAGAIN;
		return -1;
	}
	*c = (struct child){ .role = role, .number = number, .channel = -1 };
	c->row = reserve_row(m, role, number);
	if (c->row < 0)
		return -1;
	if ((role == SLOT_WORKER && take_sockets(m, number, &inventory) < 0) ||
	    channel_pair(ends) < 0 ||
	    (c->pid = fork_child(m, c, ends[1], &inventory)) < 0) {
		int error = errno;

		slots_release(m->shared.slots, c->row);
		if (ends[0] >= 0) {
			close(ends[0]);
			close(ends[1]);
		}
		free(inventory.sockets);
		free(inventory.ids);
		errno = error;
		return -1;
	}
	close(ends[1]);
	free(inventory.sockets);
	c->channel = ends[0];
	c->sockets = inventory.ids;
	c->nsockets = inventory.n;
	c->state = CHILD_STARTING;
	c->started = clock_ms();
	m->shared.slots->row[c->row].pid = c->pid;
	generation_hold(m, m->current, c);
	post->child = c;
	post->again = 0;
	if (m->reload.state == RELOAD_PREPARING)
		reload_invite(m, c);
	return 0;
}

static void
fill(struct master *m, struct post *post, enum slot_role role, uint32_t number)
{
	if (post->child || post->again > clock_ms())
		return;
	if (spawn(m, post, role, number) < 0) {
		log_error("cannot start %s %u: %s", role == SLOT_KEEPER ? "keeper" : "worker", number,
			  strerror(errno));
		post->again = clock_ms() + BACKOFF_MOST;
	}
}

void
spawn_posts(struct master *m)
{
	if (!m->current || m->state == MASTER_STOPPING)
		return;
	for (uint32_t i = 0; i < m->workers; i++)
		fill(m, &m->posts[i], SLOT_WORKER, i);
	fill(m, &m->keeper, SLOT_KEEPER, 0);
}

uint64_t
spawn_next(const struct master *m)
{
	uint64_t next = m->keeper.child ? 0 : m->keeper.again;

	if (!m->current || m->state == MASTER_STOPPING)
		return 0;
	for (uint32_t i = 0; i < m->workers; i++)
		if (!m->posts[i].child && (!next || m->posts[i].again < next))
			next = m->posts[i].again;
	return next;
}

bool
spawn_all_serve(const struct master *m)
{
	if (!m->current)
		return false;
	for (uint32_t i = 0; i < m->workers; i++)
		if (!m->posts[i].child || m->posts[i].child->state != CHILD_SERVING)
			return false;
	return true;
}

int
spawn_tell(struct child *c, const struct channel_msg *msg, int fd)
{
	if (c->channel < 0) {
		errno = EPIPE;
		return -1;
	}
	return channel_send(c->channel, msg, fd);
}

/* The post, if any, that the child fills. */
static struct post *
post_of(struct master *m, const struct child *c)
{
	struct post *post = c->role == SLOT_KEEPER ? &m->keeper : &m->posts[c->number];

	return post->child == c ? post : NULL;
}

void
spawn_drain(struct master *m, struct child *c, uint64_t ms, bool others_serve)
{
	struct channel_msg msg = { .kind = CHANNEL_DRAIN, .ms = ms, .ok = others_serve };
	struct post *post = post_of(m, c);

	if (post)
		post->child = NULL;
	c->state = CHILD_DRAINING;
	c->drain_by = clock_ms() + ms + DRAIN_SLACK + STOP_GRACE;
	if (spawn_tell(c, &msg, -1) < 0 && errno != EPIPE)
		kill(c->pid, SIGKILL);
}

void
spawn_overdue(struct master *m)
{
	EACH_CHILD(m, c)
	if (c->state == CHILD_DRAINING && c->drain_by && clock_ms() >= c->drain_by) {
		log_warn("%s (pid %d) does not end by itself", child_name(c),
			 (int)c->pid);
		kill(c->pid, SIGKILL);
		c->drain_by = 0;
	}
}

static void
heed(struct master *m, struct child *c, const struct channel_msg *msg)
{
	switch (msg->kind) {
	case CHANNEL_READY:
		if (c->state == CHILD_STARTING)
			c->state = CHILD_SERVING;
		break;
	case CHANNEL_PREPARED:
		reload_voted(m, c, msg);
		break;
	case CHANNEL_COMMITTED:
		if (c->vote == VOTE_COMMITTING)
			c->vote = VOTE_NONE;
		break;
	case CHANNEL_RELEASED:
		generation_let_go(m, c, msg->generation);
		break;
	}
}

void
spawn_listen(struct master *m, struct child *c)
{
	struct channel_msg msg = { .kind = 0 };
	int fd, rc;

	while ((rc = channel_receive(c->channel, &msg, &fd)) > 0) {
		if (fd >= 0)
			close(fd);
		heed(m, c, &msg);
	}
	if (rc == 0)
		return;
	/* It is dying, or out of its mind: nothing can be asked of it any more. */
	close(c->channel);
	c->channel = -1;
	if (c->state != CHILD_DRAINING)
		kill(c->pid, SIGKILL);
}

static void
say_death(const struct master *m, const struct child *c, int status)
{
	char how[96], request[64] = "";
	uint64_t id[2];

	if (c->role == SLOT_WORKER && ring_doing(ring_of(m->shared.rings, c->row), id))
		snprintf(request, sizeof(request), " while it worked on request %016llx%016llx",
			 (unsigned long long)id[0], (unsigned long long)id[1]);
	log_error("%s (pid %d) %s%s", child_name(c), (int)c->pid,
		  status_death(status, how, sizeof(how)), request);
}

/* What killed two workers is refused for a while. */
static void
say_poison(struct master *m, const struct child *c)
{
	const struct series_name *names = m->shared.stats.names;
	uint64_t ms = m->current ? m->current->image->model->gateway.poison : 0;
	uint64_t signature;
	uint32_t route;
	unsigned deaths;

	if (c->role != SLOT_WORKER ||
	    !ring_take_crash(ring_of(m->shared.rings, c->row), &signature, &route) || !ms)
		return;
	deaths = poison_died(m->shared.poison, signature, route, clock_ms(), ms);
	if (route >= series_count(&m->shared.stats))
		route = 0;
	if (deaths >= POISON_DEATHS)
		log_error("ALERT: requests with signature %016llx, of route %.*s, have killed %u "
			  "workers and are refused with 503 for %llu s",
			  (unsigned long long)signature, (int)names[route].len,
			  names[route].name, deaths, (unsigned long long)(ms / 1000));
	else
		log_error("the request had signature %016llx, of route %.*s; another death by it, "
			  "and it is refused", (unsigned long long)signature,
			  (int)names[route].len, names[route].name);
}

static void
bury(struct master *m, struct child *c, int status)
{
	struct post *post = post_of(m, c);
	bool expected = m->state == MASTER_STOPPING || c->state == CHILD_DRAINING;
	bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (!expected || !clean) {
		say_death(m, c, status);
		say_poison(m, c);
		atomic_fetch_add(&m->shared.control->worker_deaths,
				 c->role == SLOT_WORKER);
	} else {
		log_info("%s (pid %d) has finished", child_name(c), (int)c->pid);
	}
	if (c->channel >= 0)
		close(c->channel);
	/* In this order: once it is released another master may have it. */
	if (c->role == SLOT_WORKER)
		inflight_clear(&m->shared.inflight, c->row);
	slots_release(m->shared.slots, c->row);
	generation_let_go_all(m, c);
	free(c->sockets);
	if (post) {
		post->child = NULL;
		post->again =
			clock_ms() + backoff_died(&post->backoff, c->started, clock_ms());
		if (backoff_loops(&post->backoff) && m->state == MASTER_SERVING)
			log_error("%s keeps dying: the next one starts in %llu ms", child_name(c),
				  (unsigned long long)(post->again - clock_ms()));
	}
	struct child was = *c;

	*c = (struct child){ .state = CHILD_NONE, .channel = -1 };
	if (!expected)
		reload_died(m, &was);
	if (m->state == MASTER_STARTING && was.role == SLOT_WORKER) {
		log_error("a worker died before it served");
		m->exit_status = 1;
		stop_ask(m, STOP_NOW);
	}
}

void
spawn_reap(struct master *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == m->upgrade.pid) {
			upgrade_reaped(m, status);
			continue;
		}
		EACH_CHILD(m, c)
			if (c->pid == pid) {
				bury(m, c, status);
				break;
			}
	}
}
