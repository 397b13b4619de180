/* dial — from an address to a connection that a request can be sent on: connect, the
 * PROXY header, the TLS handshake, the codec.
 *
 * Who waits is a struct call. Where the connection may become h2, all that come meanwhile
 * wait for the same dial; otherwise each has its own. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "worker/net/proxyproto.h"
#include "worker/upstream/inside.h"

enum dial_state { DIAL_CONNECTING, DIAL_GREETING, DIAL_DONE };

struct dial {
	struct event event;             /* first */
	struct list link;               /* of target.dials */
	struct list calls;              /* who waits */
	struct target *target;
	struct tls *tls;
	uint8_t state;                  /* enum dial_state */
	bool shared;                    /* others may join */
	struct addr for_whom;           /* of the PROXY header; family 0: nobody */
};

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
	case ETIMEDOUT:
		return FAULT_CONNECT_TIMEOUT;
	case EMFILE:
	case ENFILE:
		return FAULT_OUT_OF_FDS;
	case EAGAIN: /* unix: the queue of the listener is full */
		return FAULT_UPSTREAM_FULL;
	default:
		return FAULT_CONNECT_FAILED;
	}
}

static enum fault
fault_of_tls(enum tls_fault f)
{
	switch (f) {
	case TLS_EXPIRED:
	case TLS_NOT_YET:
		return FAULT_UPSTREAM_TLS_EXPIRED;
	case TLS_UNKNOWN_CA:
		return FAULT_UPSTREAM_TLS_UNKNOWN_CA;
	case TLS_HOSTNAME:
		return FAULT_UPSTREAM_TLS_HOSTNAME;
	case TLS_CERT_REFUSED:
		return FAULT_UPSTREAM_TLS_CLIENT_CERT;
	case TLS_REVOKED:
	case TLS_PIN:
	case TLS_BAD_CERT:
		return FAULT_UPSTREAM_TLS_CERTIFICATE;
	default:
		return FAULT_UPSTREAM_TLS_FAILED;
	}
}

/* The dial is over, its calls have been told; its descriptor is somebody else's, or
 * closed. */
static void
bury(struct dial *d)
{
	d->state = DIAL_DONE;
	list_remove(&d->link);
	list_init(&d->link);
	tls_free(d->tls);
	d->tls = NULL;
	loop_bury(d->target->all->loop, &d->event);
}

static void
refuse(struct dial *d, enum fault f, int error)
{
	while (!list_empty(&d->calls)) {
		struct call *c = list_entry(d->calls.next, struct call, link);

		list_remove(&c->link);
		c->dial = NULL;
		c->on_fault(c, f, error);
	}
	target_closed(d->target);
}

static void
fail(struct dial *d, enum fault f, int error)
{
	bury(d);
	refuse(d, f, error);
}

/* The connection is made. The first in line get a stream each; who finds no room asks
 * anew. */
static void
done(struct dial *d)
{
	struct target *t = d->target;
	struct str alpn = d->tls ? tls_alpn(d->tls) : STR_NONE;
	bool h2 = d->tls ? str_eq(alpn, STR("h2")) : t->conf->http == CONF_HTTP_H2;
	struct tls *tls = d->tls;
	struct conn *c;
	int fd = d->event.fd;

	t->h2 = h2;
	d->tls = NULL;
	loop_release(t->all->loop, &d->event);
	d->state = DIAL_DONE;
	list_remove(&d->link);
	list_init(&d->link);
	c = conn_made(t, fd, h2, tls);
	if (!c) {
		int error = errno;

		tls_free(tls);
		close(fd);
		refuse(d, FAULT_OUT_OF_FDS, error);
		return;
	}
	while (!list_empty(&d->calls)) {
		struct call *k = list_entry(d->calls.next, struct call, link);
		struct stream *s = stream_take(t);
		enum fault f;

		list_remove(&k->link);
		k->dial = NULL;
		if (s)
			k->on_ready(k, s);
		else if (connect_start(t, k, &d->for_whom, &f))
			k->on_fault(k, f, errno);
	}
	conn_unused(c);
}

static void
greet(struct dial *d)
{
	struct target *t = d->target;

	if (t->conf->proxy_protocol) {
		struct proxyproto p = { .from = d->for_whom, .to = t->addr };
		char head[PROXYPROTO_MAX];
		size_t n;

		p.local = !p.from.family;
		n = proxyproto_put(head, t->conf->proxy_protocol, &p);
		/* A new socket has room for it. */
		if (send(d->event.fd, head, n, MSG_NOSIGNAL) != (ssize_t)n) {
			fail(d, FAULT_CONNECT_FAILED, errno);
			return;
		}
	}
	if (!t->tls) {
		done(d);
		return;
	}
	d->state = DIAL_GREETING;
	d->tls = tls_connect(t->tls, d->event.fd, t->host, t->key);
	if (!d->tls)
		fail(d, FAULT_UPSTREAM_TLS_FAILED, 0);
}

static void
turn(struct event *e, uint32_t events)
{
	struct dial *d = (struct dial *)e;
	int error = 0;
	socklen_t len = sizeof(error);

	if (d->state == DIAL_CONNECTING) {
		if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
			return;
		getsockopt(e->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error) {
			errno = error;
			fail(d, fault_of(error), error);
			return;
		}
		greet(d);
	}
	if (d->state != DIAL_GREETING)
		return;
	switch (tls_handshake(d->tls)) {
	case TLS_WANT:
		break;
	case TLS_DONE:
		done(d);
		break;
	case TLS_FAILED:
		fail(d, fault_of_tls(tls_fault(d->tls)), 0);
		break;
	}
}

static void
destroy(struct event *e)
{
	free(e);
}

static void
join(struct dial *d, struct call *c)
{
	list_append(&d->calls, &c->link);
	c->dial = d;
}

/* One under way that this call may wait for: where it is known, or likely, that one
 * connection will do for many. */
static struct dial *
joinable(const struct target *t)
{
	if (!t->h2)
		return NULL;
	for (struct list *l = t->dials.next; l != &t->dials; l = l->next) {
		struct dial *d = list_entry(l, struct dial, link);

		if (d->shared)
			return d;
	}
	return NULL;
}

int
connect_start(struct target *t, struct call *c, const struct addr *for_whom,
	      enum fault *fault)
{
	struct dial *d = joinable(t);
	struct sockaddr_storage s;
	socklen_t len;
	int fd, one = 1;

	if (d) {
		join(d, c);
		return 0;
	}
	*fault = FAULT_UPSTREAM_DNS;
	errno = 0;
	if (!t->addr.family)
		return -1;
	*fault = FAULT_UPSTREAM_FULL;
	if (t->max_open && t->nopen >= t->max_open)
		return -1;
	len = address_of(t, &s);
	fd = socket(s.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		*fault = fault_of(errno);
		return -1;
	}
	if (s.ss_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&s, len) && errno != EINPROGRESS) {
		*fault = fault_of(errno);
		close(fd);
		return -1;
	}
	d = calloc(1, sizeof(*d));
	if (!d)
		abort();
	d->event.fd = fd;
	d->event.turn = turn;
	d->event.destroy = destroy;
	if (loop_add(t->all->loop, &d->event)) {
		*fault = FAULT_OUT_OF_FDS;
		close(fd);
		free(d);
		return -1;
	}
	d->target = t;
	/* A PROXY header is of one client: nobody else's requests go by its
	 * connection. */
	d->shared = !t->conf->proxy_protocol;
	if (for_whom)
		d->for_whom = *for_whom;
	list_init(&d->calls);
	list_append(&t->dials, &d->link);
	join(d, c);
	target_opened(t);
	return 0;
}

void
connect_cancel(struct call *c)
{
	struct dial *d = c->dial;

	if (!d)
		return;
	c->dial = NULL;
	list_remove(&c->link);
	if (!list_empty(&d->calls) || d->state == DIAL_DONE)
		return;
	bury(d);
	target_closed(d->target);
}
