#include "master/sockets.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "master/bind.h"

enum { PROBE_AGAIN = 20 };              /* ms */

static void *
must(void *p)
{
	if (!p) {
		log_error("out of memory");
		abort();
	}
	return p;
}

static struct bound *
find(struct sockets *s, struct str address)
{
	for (struct bound *b = s->first; b; b = b->next)
		if (str_eq(str_of(b->address), address))
			return b;
	return NULL;
}

/* At the end of the list: their order is that of the configuration. */
static struct bound *
add(struct sockets *s, struct str address)
{
	struct bound *b = must(calloc(1, sizeof(*b))), **at = &s->first;

	b->address = must(strndup(address.len ? address.at : "", address.len));
	b->is_unix = b->shared = str_starts(address, STR("unix:"));
	while (*at)
		at = &(*at)->next;
	*at = b;
	return b;
}

static void
put_slot(struct sockets *s, struct bound *b, unsigned slot, int fd)
{
	if (slot >= b->nslots) {
		b->slots = must(realloc(b->slots, (slot + 1) * sizeof(*b->slots)));
		for (unsigned i = b->nslots; i <= slot; i++)
			b->slots[i] = (struct socket){ .fd = -1 };
		b->nslots = slot + 1;
	}
	b->slots[slot] = (struct socket){ .fd = fd, .id = ++s->last_id };
}

/* Whether we have the port ourselves, so that a probe would find us. */
static bool
is_our_port(const struct sockets *s, uint16_t port)
{
	struct bind_address a;

	for (const struct bound *b = s->first; b; b = b->next)
		if (b->nslots && bind_parse(&a, str_of(b->address)) && a.port == port)
			return true;
	return false;
}

static int
probe(const struct sockets *s, const struct bind_address *a, unsigned patience)
{
	int error;

	if (is_our_port(s, a->port))
		return 0;
	while ((error = bind_probe(a)) && patience >= PROBE_AGAIN) {
		poll(NULL, 0, PROBE_AGAIN);
		patience -= PROBE_AGAIN;
	}
	return error;
}

static const char *
path_of(const struct bound *b)
{
	return b->address + strlen("unix:");
}

/* Remembers which file is ours. */
static void
know_file(struct bound *b)
{
	struct stat st;

	if (!b->is_unix || b->passed || lstat(path_of(b), &st) < 0)
		return;
	b->device = st.st_dev;
	b->inode = st.st_ino;
}

static bool
is_our_file(const struct bound *b)
{
	struct stat st;

	return b->is_unix && !b->passed && lstat(path_of(b), &st) == 0 &&
	       b->inode == st.st_ino && b->device == st.st_dev;
}

/* Whether the configuration listens on [::] with this port, too. */
static bool
names_six(const struct conf_model *m, uint16_t port)
{
	struct bind_address a;

	for (size_t i = 0; i < m->nlisteners; i++) {
		const struct conf_listener *l = &m->listeners[i];

		for (size_t j = 0; j < l->nbinds; j++)
			if (bind_parse(&a, l->binds[j].text) && a.port == port &&
			    a.u.any.sa_family == AF_INET6)
				return true;
	}
	return false;
}

/* The slots of an address that it does not have yet. Returns an errno. */
static int
fill(struct sockets *s, struct bound *b, const struct conf_model *m, unsigned workers,
     unsigned patience)
{
	struct bind_address a;
	unsigned wanted;
	int fd, error;

	if (!bind_parse(&a, str_of(b->address)))
		return EINVAL;
	if (!b->nslots) {
		fd = activation_get(&s->activation, &a, !names_six(m, a.port));
		if (fd >= 0) {
			b->passed = b->shared = true;
			put_slot(s, b, 0, fd);
			return 0;
		}
		error = probe(s, &a, patience);
		if (error)
			return error;
	}
	wanted = b->shared ? 1 : workers;
	for (unsigned i = 0; i < wanted; i++) {
		if (i < b->nslots && b->slots[i].fd >= 0)
			continue;
		fd = bind_socket(&a);
		if (fd < 0)
			return errno;
		put_slot(s, b, i, fd);
		know_file(b);
	}
	return 0;
}

static void
say(struct diag *diag, const struct conf_bind *bind, int error)
{
	if (error == EINVAL)
		diag_error(diag, 521, bind->where, "\"%.*s\" is not an address to listen on; "
			   "write \"0.0.0.0:80\", \"[::]:80\" or \"unix:/path\"", STR_ARG(bind->text));
	else if (error == EACCES && geteuid() != 0)
		diag_error(diag, 520, bind->where, "cannot listen on %.*s: %s; ports below 1024 need "
			   "root or CAP_NET_BIND_SERVICE", STR_ARG(bind->text), strerror(error));
	else
		diag_error(diag, 520, bind->where, "cannot listen on %.*s: %s",
			   STR_ARG(bind->text), strerror(error));
}

int
sockets_prepare(struct sockets *s, const struct conf_model *model, unsigned workers,
		unsigned patience, struct diag *diag)
{
	int rc = 0, error;

	for (struct bound *b = s->first; b; b = b->next)
		b->coming = false;
	for (size_t i = 0; i < model->nlisteners; i++) {
		const struct conf_listener *l = &model->listeners[i];

		for (size_t j = 0; j < l->nbinds; j++) {
			struct bound *b = find(s, l->binds[j].text);

			if (!b)
				b = add(s, l->binds[j].text);
			b->coming = true;
			b->backlog = l->backlog > 0 ? (int)l->backlog : 511;
			error = fill(s, b, model, workers, patience);
			if (error) {
				say(diag, &l->binds[j], error);
				rc = -1;
			}
		}
	}
	return rc;
}

int
sockets_listen(struct sockets *s, const char **address)
{
	for (struct bound *b = s->first; b; b = b->next) {
		*address = b->address;
		/* What was passed listens already. */
		for (unsigned i = 0; b->coming && !b->passed && i < b->nslots; i++)
			if (b->slots[i].fd >= 0 && listen(b->slots[i].fd, b->backlog) < 0)
				return -1;
	}
	return 0;
}

static void
drop(struct bound *b, unsigned from)
{
	for (unsigned i = from; i < b->nslots; i++)
		if (b->slots[i].fd >= 0)
			close(b->slots[i].fd);
	if (b->nslots > from)
		b->nslots = from;
}

static void
discard(struct bound **at, bool remove)
{
	struct bound *b = *at;

	if (remove && b->nslots && is_our_file(b))
		unlink(path_of(b));
	drop(b, 0);
	*at = b->next;
	free(b->slots);
	free(b->address);
	free(b);
}

void
sockets_abort(struct sockets *s)
{
	for (struct bound **at = &s->first; *at;) {
		(*at)->coming = (*at)->current;
		if ((*at)->kept) {
			drop(*at, (*at)->kept);
			at = &(*at)->next;
		} else {
			discard(at, true);
		}
	}
}

void
sockets_commit(struct sockets *s)
{
	for (struct bound *b = s->first; b; b = b->next) {
		b->current = b->coming;
		b->kept = b->nslots;
	}
	activation_tell(&s->activation);
}

void
sockets_sweep(struct sockets *s)
{
	for (struct bound **at = &s->first; *at;)
		if ((*at)->current)
			at = &(*at)->next;
		else
			discard(at, true);
}

void
sockets_each(const struct sockets *s, unsigned worker, unsigned workers, bool coming,
	     void (*fn)(void *, const struct bound *, const struct socket *), void *arg)
{
	for (const struct bound *b = s->first; b; b = b->next) {
		unsigned n = coming ? b->nslots : b->kept;

		if (!(coming ? b->coming : b->current))
			continue;
		for (unsigned i = 0; i < n; i++)
			if (b->slots[i].fd >= 0 && (b->shared || i % workers == worker))
				fn(arg, b, &b->slots[i]);
	}
}

bool
sockets_has(const struct sockets *s, uint32_t id)
{
	for (const struct bound *b = s->first; b; b = b->next)
		for (unsigned i = 0; i < b->nslots; i++)
			if (b->slots[i].fd >= 0 && b->slots[i].id == id)
				return true;
	return false;
}

void
sockets_adopt(struct sockets *s, const char *address, unsigned slot, int fd)
{
	struct bound *b = find(s, str_of(address));

	if (!b)
		b = add(s, str_of(address));
	put_slot(s, b, slot, fd);
	b->kept = b->nslots;
	know_file(b);
}

void
sockets_close(struct sockets *s, bool remove)
{
	while (s->first)
		discard(&s->first, remove);
	activation_free(&s->activation);
}

void
sockets_list(const struct sockets *s, char *to, size_t size)
{
	size_t len = 0;

	if (size)
		to[0] = '\0';
	for (const struct bound *b = s->first; b && len < size; b = b->next)
		if (b->current)
			len += (size_t)snprintf(to + len, size - len, "%s%s", len ? ", " : "", b->address);
}
