#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "worker/upstream/upstream.h"

static void
on_idle(struct h1 *h)
{
	struct target *t = h->data;

	list_remove(&h->link);
	if (!t->users || t->nidle >= t->max_idle) {
		list_insert(&t->busy, &h->link);
		h1_close(h);
		return;
	}
	list_insert(&t->idle, &h->link);
	t->nidle++;
	h->pooled = true;
	wire_timer(&h->wire, clock_ms() + t->idle_timeout);
}

static void
on_close(struct h1 *h)
{
	struct target *t = h->data;

	list_remove(&h->link);
	if (h->pooled)
		t->nidle--;
	h->pooled = false;
	t->nopen--;
	t->all->open--;
	if (!t->users && !t->nopen) {
		list_remove(&t->link);
		free(t);
	}
}

static const struct h1_owner owner = {
	.on_idle = on_idle,
	.on_close = on_close,
};

struct h1 *
pool_take(struct target *t)
{
	struct h1 *h;

	if (list_empty(&t->idle))
		return NULL;
	h = list_entry(t->idle.next, struct h1, link);
	list_remove(&h->link);
	list_insert(&t->busy, &h->link);
	t->nidle--;
	h->pooled = false;
	t->all->page->count[METRIC_UP_REUSED]++;
	return h;
}

static socklen_t
address_of(const struct target *t, struct sockaddr_storage *s)
{
	struct sockaddr_un *un = (struct sockaddr_un *)s;

	if (t->addr.family != AF_UNIX)
		return addr_to_sockaddr(&t->addr, s);
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	if (t->path.len >= sizeof(un->sun_path))
		return 0;
	memcpy(un->sun_path, t->path.at, t->path.len);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + t->path.len + 1);
}

static enum fault
fault_of(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case ENOENT:
		return FAULT_CONNECT_REFUSED;
	case EMFILE:
	case ENFILE:
		return FAULT_OUT_OF_FDS;
	case EAGAIN: /* unix: the queue of the listener is full */
		return FAULT_UPSTREAM_FULL;
	default:
		return FAULT_CONNECT_FAILED;
	}
}

struct h1 *
connect_start(struct target *t, enum fault *fault)
{
	struct sockaddr_storage s;
	socklen_t len;
	struct h1 *h;
	int fd, one = 1;

	*fault = FAULT_UPSTREAM_DNS;
	errno = 0;
	if (!t->addr.family)
		return NULL;
	*fault = FAULT_UPSTREAM_FULL;
	if (t->max_open && t->nopen >= t->max_open)
		return NULL;
	len = address_of(t, &s);
	fd = socket(s.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		*fault = fault_of(errno);
		return NULL;
	}
	if (s.ss_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&s, len) && errno != EINPROGRESS) {
		*fault = fault_of(errno);
		close(fd);
		return NULL;
	}
	h = h1_open(t->all->loop, fd, H1_CLIENT, &owner, &t->all->rules, t, true);
	if (!h) {
		*fault = FAULT_OUT_OF_FDS;
		close(fd);
		return NULL;
	}
	list_insert(&t->busy, &h->link);
	t->nopen++;
	t->all->open++;
	t->all->page->count[METRIC_UP_CONNECTS]++;
	return h;
}
