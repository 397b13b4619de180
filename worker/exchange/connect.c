#include "worker/exchange/connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "worker/http/h1.h"
#include "worker/http/uri.h"
#include "worker/net/dns.h"

struct connect {
	struct event event;             /* first: the socket while it connects */
	struct exchange *x;             /* NULL: nobody waits any more */
	struct dns_query query;
	struct addr at[DNS_ADDRESSES];  /* to be tried, in order */
	unsigned n, next;
};

/* ---- who may be reached */

static bool
split(struct str target, struct str *host, struct str *port)
{
	return uri_authority(target, host, port) && host->len && port->len;
}

/* "*.example.com" has all names below it, not itself. */
static bool
covers(struct str pattern, struct str host)
{
	struct str tail = str_from(pattern, 1);

	if (pattern.len < 2 || pattern.at[0] != '*')
		return str_caseeq(pattern, host);
	return host.len > tail.len &&
	       str_caseeq(str_from(host, host.len - tail.len), tail);
}

/* Names that look like addresses to a resolver ("127.1", "0x7f.1", "2130706433") are
 * none: the last label of a name is not a number (RFC 1123 §2.1). */
static bool
numeric(struct str host)
{
	size_t from = host.len;

	while (from && host.at[from - 1] != '.')
		from--;
	return from < host.len && host.at[from] >= '0' && host.at[from] <= '9';
}

enum connect_verdict
connect_allowed(const struct conf_connect *c, struct str host, struct str port,
		struct addr *addr)
{
	struct str name, number;
	bool literal;

	if (host.len > 2 && host.at[0] == '[')
		host = (struct str){ host.at + 1, host.len - 2 };
	if (host.len > 1 && host.at[host.len - 1] == '.')
		host.len--;
	literal = addr_parse(addr, host);
	if (!literal && numeric(host))
		return CONNECT_DENIED;
	for (size_t i = 0; i < c->allow.n; i++) {
		struct addr listed;

		if (!split(c->allow.at[i], &name, &number) || !str_eq(number, port))
			continue;
		if (name.len > 2 && name.at[0] == '[')
			name = (struct str){ name.at + 1, name.len - 2 };
		if (!literal && covers(name, host))
			return CONNECT_NAME;
		if (literal && addr_parse(&listed, name) && addr_same_ip(&listed, addr))
			return CONNECT_ADDRESS;
	}
	return CONNECT_DENIED;
}

/* RFC 6890: this host, loopback, link-local; the same in IPv6, and what has them inside
 * (NAT64 and 6to4 would lead there). */
bool
connect_is_local(const struct addr *a)
{
	static const char *const nowhere[] = {
		"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4",
		"255.255.255.255", "::/96", "fe80::/10", "ff00::/8",
		"64:ff9b::7f00:0/104", "64:ff9b::a9fe:0/112", "2002:7f00::/24",
		"2002:a9fe::/32",
	};
	struct prefix p;

	for (size_t i = 0; i < sizeof(nowhere) / sizeof(*nowhere); i++)
		if (prefix_parse(&p, str_of(nowhere[i])) && prefix_has(&p, a))
			return true;
	return false;
}

/* ---- the end of it */

static void
destroyed(struct event *e)
{
	free(e);
}

void
connect_forget(struct exchange *x)
{
	struct connect *c = x->connect;

	if (!c)
		return;
	x->connect = NULL;
	c->x = NULL;
	dns_cancel(&c->query);
	loop_bury(&x->worker->loop, &c->event);
}

void
connect_failed(struct exchange *x, enum fault f, int error)
{
	x->worker->page->count[METRIC_UP_FAILURES]++;
	forward_drop(x, f);
	x->error = error;
	exchange_answer(x, f);
	exchange_go(x, STEP_ANSWER);
}

/* ---- the tunnel */

static void
on_close(struct conn *c)
{
	(void)c;
}

static void
on_idle(struct conn *c)
{
	c->ops->close(c);
}

static const struct conn_owner owner = {
	.on_idle = on_idle,
	.on_close = on_close,
};

static void
open_tunnel(struct exchange *x, struct h1 *h)
{
	struct str kept = { x->kept, x->kept_len };

	x->upstream = &h->stream;
	stream_attach(x->upstream, &exchange_upstream_user, x, &x->arena, &x->response);
	h1_tunnel(h);
	x->connected = x->first_byte = clock_now();
	x->worker->page->count[METRIC_CONNECT_TUNNELS]++;
	exchange_respond(x, 200, STR_NONE, STR_NONE);
	x->answering = false;
	x->response.body = BODY_NONE;
	x->tunnel = x->head_sent = x->replay_lost = true;
	x->request_end = x->response_end = false;
	if (kept.len)
		x->upstream->ops->send_body(x->upstream, kept, false);
	forward_forget(x);
	exchange_go(x, STEP_RESPOND);
	x->client->ops->want(x->client, FLOW_WINDOW);
	x->upstream->ops->want(x->upstream, flow_window(x));
}

static void
connected(struct exchange *x, int fd)
{
	struct worker *w = x->worker;
	struct h1 *h = h1_open(&w->loop, fd, CONN_CLIENT, &owner, &w->upstreams.rules,
			       NULL, NULL, STR_NONE);

	if (h) {
		open_tunnel(x, h);
		return;
	}
	close(fd);
	connect_failed(x, FAULT_OUT_OF_FDS, errno);
}

static void try_next(struct connect *, int error);

static void
on_writable(struct event *e, uint32_t events)
{
	struct connect *c = (struct connect *)e;
	struct exchange *x = c->x;
	int error = 0, fd = e->fd;
	socklen_t len = sizeof(error);

	if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
		try_next(c, error);
		return;
	}
	x->connect = NULL;
	loop_release(&x->worker->loop, e);
	connected(x, fd);
}

static int
dial(struct connect *c, const struct addr *to)
{
	struct sockaddr_storage s;
	socklen_t len = addr_to_sockaddr(to, &s);
	int one = 1;

	c->event.fd = socket(s.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->event.fd < 0)
		return -1;
	setsockopt(c->event.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->event.fd, (struct sockaddr *)&s, len) && errno != EINPROGRESS)
		return -1;
	return loop_add(&c->x->worker->loop, &c->event);
}

/* A struct of its own for each try: an event is registered once. */
static struct connect *
again(struct connect *old)
{
	struct connect *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	*c = *old;
	c->event = (struct event){ .fd = -1, .turn = on_writable, .destroy = destroyed };
	c->x->connect = c;
	old->x = NULL;
	loop_bury(&c->x->worker->loop, &old->event);
	return c;
}

static void
try_next(struct connect *c, int error)
{
	struct exchange *x = c->x;

	while (c->next < c->n) {
		c = again(c);
		x->worker->page->count[METRIC_UP_CONNECTS]++;
		if (dial(c, &c->at[c->next++]) == 0)
			return;
		error = errno;
	}
	connect_failed(x, error == ECONNREFUSED ? FAULT_CONNECT_REFUSED :
		       error == EMFILE || error == ENFILE ? FAULT_OUT_OF_FDS :
							    FAULT_CONNECT_FAILED,
		       error);
}

/* ---- the beginning */

static enum step
deny(struct exchange *x, enum fault f)
{
	x->worker->page->count[METRIC_CONNECT_REFUSED]++;
	exchange_answer(x, f);
	return STEP_ANSWER;
}

static void
on_answer(struct dns_query *q, const struct addr *at, unsigned n, const char *error)
{
	struct connect *c = list_entry(q, struct connect, query);
	struct exchange *x = c->x;
	uint16_t port = c->at[0].port;

	(void)error;
	for (unsigned i = 0; i < n; i++)
		if (!connect_is_local(&at[i])) {
			c->at[c->n] = at[i];
			c->at[c->n++].port = port;
		}
	if (c->n)
		try_next(c, 0);
	else if (n)
		exchange_go(x, deny(x, FAULT_CONNECT_LOCAL));
	else
		connect_failed(x, FAULT_UPSTREAM_DNS, 0);
}

static struct connect *
begin(struct exchange *x)
{
	struct connect *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	c->event = (struct event){ .fd = -1, .turn = on_writable, .destroy = destroyed };
	c->query.on_answer = on_answer;
	c->x = x;
	return c;
}

enum step
connect_act(struct exchange *x)
{
	struct str host, port;
	enum connect_verdict v = CONNECT_DENIED;
	unsigned long long number = 0;
	struct connect *c;
	struct addr to;

	x->decided = x->attempt_at = clock_now();
	if (split(x->request.host, &host, &port) && str_u64(port, 65535, &number))
		v = connect_allowed(x->listener->connect, host, port, &to);
	if (v == CONNECT_DENIED)
		return deny(x, FAULT_CONNECT_DENIED);
	c = x->connect = begin(x);
	exchange_watch(x);
	to.port = (uint16_t)number;
	c->at[0] = to;
	if (v == CONNECT_ADDRESS) {
		c->n = 1;
		try_next(c, 0);
		return (enum step)x->step == STEP_ANSWER ? STEP_ANSWER : STEP_STAY;
	}
	dns_ask(x->worker->dns, &c->query, host);
	return STEP_STAY;
}
