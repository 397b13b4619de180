#include "worker/net/dns.h"

#include <ares.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Retransmissions are due by the resolver's own clock; a reply over TCP may leave a part
 * unread: both are looked after this often while something is asked. */
enum { TICK_MS = 100, TRY_MS = 2000, TRIES = 2 };

/* What the system says of its name servers is read again after this time. */
enum { SETTINGS_MS = 60000 };

struct dns {
	struct loop *loop;
	ares_channel channel;
	bool begun;
	uint64_t stale;                 /* ms; from when on the settings are read again */
	struct list sockets;
	struct timer timer;
	unsigned lookups;
};

struct socket {
	struct event event;             /* first */
	struct list link;
	struct dns *dns;
	int fd;
};

struct dns_lookup {
	struct event event;             /* has no descriptor: a turn for the answer */
	struct dns *dns;
	struct loop *loop;
	struct dns_query *query;        /* NULL: nobody wants it any more */
	unsigned n;
	struct addr at[DNS_ADDRESSES];
	const char *error;
};

static void
arm(struct dns *d)
{
	if (d->lookups)
		timer_set(&d->loop->wheel, &d->timer, clock_ms() + TICK_MS);
	else
		timer_clear(&d->timer);
}

/* ---- sockets: the library opens and closes them */

static void
on_socket(struct event *e, uint32_t events)
{
	struct socket *s = (struct socket *)e;

	(void)events;
	if (s->fd >= 0)
		ares_process_fd(s->dns->channel, s->fd, s->fd);
}

static void
socket_free(struct event *e)
{
	free(e);
}

static struct socket *
socket_find(struct dns *d, int fd)
{
	for (struct list *l = d->sockets.next; l != &d->sockets; l = l->next) {
		struct socket *s = list_entry(l, struct socket, link);

		if (s->fd == fd)
			return s;
	}
	return NULL;
}

static void
socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct dns *d = data;
	struct socket *s = socket_find(d, fd);

	if (s && !readable && !writable) {
		list_remove(&s->link);
		s->fd = -1;
		loop_release(d->loop, &s->event);       /* the library closes it */
	} else if (!s && (readable || writable)) {
		s = calloc(1, sizeof(*s));
		if (!s)
			abort();
		s->dns = d;
		s->fd = s->event.fd = fd;
		s->event.turn = on_socket;
		s->event.destroy = socket_free;
		list_append(&d->sockets, &s->link);
		loop_add(d->loop, &s->event);   /* if not: the timer looks after it */
	}
}

static void
on_timer(struct timer *t)
{
	struct dns *d = list_entry(t, struct dns, timer);
	ares_socket_t fd[ARES_GETSOCK_MAXNUM];
	int bits = ares_getsock(d->channel, fd, ARES_GETSOCK_MAXNUM);

	ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++)
		if (ARES_GETSOCK_READABLE(bits, i) && socket_find(d, fd[i]))
			ares_process_fd(d->channel, fd[i], ARES_SOCKET_BAD);
	arm(d);
}

/* For one more question, which is counted already. */
static bool
begin(struct dns *d)
{
	struct ares_options o = {
		.sock_state_cb = socket_state,
		.sock_state_cb_data = d,
		.timeout = TRY_MS,              /* doubled for the second */
		.tries = TRIES,
	};

	if (d->begun && (d->lookups > 1 || clock_ms() < d->stale))
		return true;
	if (d->begun)
		ares_destroy(d->channel);
	d->stale = clock_ms() + SETTINGS_MS;
	d->begun = ares_init_options(&d->channel, &o, ARES_OPT_SOCK_STATE_CB |
				     ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES) == ARES_SUCCESS;
	return d->begun;
}

struct dns *
dns_open(struct loop *loop)
{
	struct dns *d = calloc(1, sizeof(*d));

	if (!d)
		abort();
	d->loop = loop;
	d->timer.fire = on_timer;
	list_init(&d->sockets);
	return d;
}

void
dns_close(struct dns *d)
{
	if (d->begun)
		ares_destroy(d->channel);
	if (d->timer.link.next)
		timer_remove(&d->loop->wheel, &d->timer);
	free(d);
}

/* ---- questions */

static void
on_turn(struct event *e, uint32_t events)
{
	struct dns_lookup *l = (struct dns_lookup *)e;
	struct dns_query *q = l->query;

	(void)events;
	if (q) {
		q->lookup = NULL;
		q->on_answer(q, l->at, l->n, l->error);
	}
	loop_bury(l->loop, &l->event);
}

static void
lookup_free(struct event *e)
{
	free(e);
}

static void
take(struct dns_lookup *l, const struct ares_addrinfo_node *list, int family)
{
	for (; list && l->n < DNS_ADDRESSES; list = list->ai_next)
		if (list->ai_family == family)
			addr_from_sockaddr(&l->at[l->n++], list->ai_addr);
}

static void
on_found(void *data, int status, int timeouts, struct ares_addrinfo *found)
{
	struct dns_lookup *l = data;

	(void)timeouts;
	if (found) {
		take(l, found->nodes, AF_INET);
		take(l, found->nodes, AF_INET6);
		ares_freeaddrinfo(found);
	}
	l->error = status == ARES_SUCCESS ? "no address" : ares_strerror(status);
	l->dns->lookups--;
	loop_ready(l->loop, &l->event);
}

void
dns_ask(struct dns *d, struct dns_query *q, struct str name)
{
	static const struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_NOSORT,
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};
	struct dns_lookup *l = calloc(1, sizeof(*l));
	char text[DNS_NAME + 1];

	if (!l)
		abort();
	l->dns = d;
	l->loop = d->loop;
	l->query = q;
	l->event.fd = -1;
	l->event.turn = on_turn;
	l->event.destroy = lookup_free;
	q->lookup = l;
	d->lookups++;
	if (name.len > DNS_NAME || !begin(d)) {
		on_found(l, ARES_EBADNAME, 0, NULL);
		return;
	}
	memcpy(text, name.at, name.len);
	text[name.len] = '\0';
	ares_getaddrinfo(d->channel, text, NULL, &hints, on_found, l);
	arm(d);
}

void
dns_cancel(struct dns_query *q)
{
	if (q->lookup)
		q->lookup->query = NULL;
	q->lookup = NULL;
}
