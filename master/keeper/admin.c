/* The sockets. They are the keeper's own: a keeper that starts while another one of this
 * gateway still serves (an upgrade) takes the path over by a rename, and waits for the
 * port. */
#include "master/keeper/admin.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum { SECOND_MS = 1000, SOON_MS = 100, BACKLOG = 64 };
enum { PATIENCE_MS = 10000, HANDOVER_MS = 3000 };

/* ---- opening */

static int
listen_on(const struct sockaddr *to, socklen_t len)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, error;

	if (fd < 0)
		return -1;
	if (to->sa_family != AF_UNIX)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, to, len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static void
find_group(struct admin_door *d)
{
	struct group *g = *d->group ? getgrnam(d->group) : NULL;

	d->gid = g ? g->gr_gid : (gid_t)-1;
	if (*d->group && !g)
		log_warn("admin.socket_group: there is no group \"%s\"", d->group);
}

static void
give_to_group(const struct admin_door *d, const char *path)
{
	if (d->gid != (gid_t)-1 && chown(path, (uid_t)-1, d->gid) < 0)
		log_warn("admin.socket_group: %s cannot be given to group %s: %s; the "
			 "gateway's user must be a member of it",
			 path, d->group, strerror(errno));
}

/* Binds beside the path and moves it there, so that the path always leads to somebody. */
static int
open_unix(struct admin_door *d)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	char fresh[sizeof(d->address) + 16];
	struct stat st;
	int fd;

	if (lstat(d->address, &st) == 0 && !S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	snprintf(fresh, sizeof(fresh), "%s.%d", d->address, (int)getpid());
	if (strlen(fresh) >= sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(to.sun_path, fresh, strlen(fresh) + 1);
	unlink(fresh);
	fd = listen_on((struct sockaddr *)&to, sizeof(to));
	if (fd < 0)
		return -1;
	if (chmod(fresh, 0660) == 0 && lstat(fresh, &st) == 0) {
		give_to_group(d, fresh);
		if (rename(fresh, d->address) == 0) {
			d->dev = st.st_dev;
			d->ino = st.st_ino;
			return fd;
		}
	}
	int error = errno;

	unlink(fresh);
	close(fd);
	errno = error;
	return -1;
}

static int
open_tcp(struct admin_door *d)
{
	struct sockaddr_storage to;
	struct addr a;

	if (!addr_parse(&a, str_of(d->address))) {
		errno = EINVAL;
		return -1;
	}
	return listen_on((struct sockaddr *)&to, addr_to_sockaddr(&a, &to));
}

/* A port may still be held by the keeper before us. */
static void
cannot_open(struct admin_door *d, int error)
{
	bool wait = !d->unix_socket && error == EADDRINUSE;

	if (!d->since)
		d->since = clock_ms();
	if (d->said || (wait && clock_ms() < d->since + PATIENCE_MS))
		return;
	d->said = true;
	log_error("admin.%s %s: %s; tried again every second",
		  d->unix_socket ? "socket" : "http", d->address,
		  error == EEXIST ? "is there, and is no socket" : strerror(error));
}

static void
door_open(struct admin_door *d)
{
	struct loop *loop = &d->admin->keeper->loop;
	int fd;

	if (!*d->address || d->listen)
		return;
	fd = d->unix_socket ? open_unix(d) : open_tcp(d);
	if (fd >= 0) {
		d->listen = listen_start(loop, fd, str_of(d->address), admin_accept, d);
		if (!d->listen)
			close(fd);
	}
	if (!d->listen) {
		cannot_open(d, errno);
		return;
	}
	if (d->said)
		log_notice("admin.%s %s: open", d->unix_socket ? "socket" : "http",
			   d->address);
	d->since = 0;
	d->said = false;
}

static bool
path_is_ours(const struct admin_door *d)
{
	struct stat st;

	return lstat(d->address, &st) == 0 && st.st_dev == d->dev && st.st_ino == d->ino;
}

static void
door_close(struct admin_door *d)
{
	if (!d->listen)
		return;
	if (d->unix_socket && path_is_ours(d))
		unlink(d->address);
	listen_stop(d->listen, false);
	d->listen = NULL;
}

/* Somebody took our name away: a keeper that came after us and has failed, or a broom. */
static void
door_check(struct admin_door *d)
{
	struct stat st;

	if (d->listen && d->unix_socket && lstat(d->address, &st) < 0 && errno == ENOENT)
		door_close(d);
	door_open(d);
}

/* ---- the configuration */

static void
set_address(struct admin_door *d, struct str address, struct str group)
{
	char wanted[sizeof(d->address)], who[sizeof(d->group)];

	snprintf(wanted, sizeof(wanted), "%.*s", STR_ARG(address));
	snprintf(who, sizeof(who), "%.*s", STR_ARG(group));
	if (strcmp(wanted, d->address) == 0 && strcmp(who, d->group) == 0)
		return;
	door_close(d);
	memcpy(d->address, wanted, sizeof(wanted));
	memcpy(d->group, who, sizeof(who));
	d->said = false;
	d->since = 0;
	find_group(d);
}

static void
configure(struct admin *a)
{
	const struct conf_model *m = a->keeper->model;

	set_address(&a->door[0], m->admin.socket, m->admin.socket_group);
	set_address(&a->door[1], m->admin.http.text, STR_NONE);
	a->has_token = m->admin.token.len > 0;
	a->token = sha256(m->admin.token);
	for (int i = 0; i < 2; i++)
		door_open(&a->door[i]);
}

static void
every_second(struct timer *t)
{
	struct admin *a = list_entry(t, struct admin, second);
	bool soon = false;

	for (int i = 0; i < 2; i++) {
		door_check(&a->door[i]);
		soon |= a->door[i].since && !a->door[i].said;
	}
	timer_set(&a->keeper->loop.wheel, &a->second,
		  clock_ms() + (soon ? SOON_MS : SECOND_MS));
}

struct admin *
admin_new(struct keeper *k)
{
	struct admin *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->keeper = k;
	a->rules = (struct h1_rules){
		.limits = { .head = 16 * 1024, .headers = 64, .target = 8 * 1024 },
		.head_ms = 10000,
		.idle_ms = 60000,
		.linger_ms = 2000,
	};
	list_init(&a->conns);
	for (int i = 0; i < 2; i++)
		a->door[i].admin = a;
	a->door[0].unix_socket = true;
	configure(a);
	a->second.fire = every_second;
	timer_set(&k->loop.wheel, &a->second, clock_ms() + SECOND_MS);
	return a;
}

void
admin_reloaded(struct keeper *k)
{
	if (k->admin)
		configure(k->admin);
}

/* After an upgrade the keeper that comes after us may not have begun yet: until it has,
 * whoever asks is answered by us. */
static void
hand_over(struct admin *a)
{
	const struct slots *s = a->keeper->shared.slots;
	uint64_t end = clock_ms() + HANDOVER_MS;
	bool upgrade = false;

	for (int i = 0; i < SLOTS_MAX; i++)
		upgrade |= s->row[i].role == SLOT_MASTER && s->row[i].pid != getppid() &&
			   slot_alive(&s->row[i]);
	while (upgrade && clock_ms() < end && a->door[0].listen &&
	       path_is_ours(&a->door[0]))
		loop_turn(&a->keeper->loop, SOON_MS);
}

void
admin_free(struct admin *a)
{
	if (!a)
		return;
	hand_over(a);
	for (int i = 0; i < 2; i++)
		door_close(&a->door[i]);
	while (!list_empty(&a->conns))
		h1_close(list_entry(a->conns.next, struct admin_conn, link)->h);
	timer_remove(&a->keeper->loop.wheel, &a->second);
	loop_turn(&a->keeper->loop, 0); /* what was closed goes now */
	crypto_wipe(&a->token, sizeof(a->token));
	free(a->sorted.at);
	free(a);
}
