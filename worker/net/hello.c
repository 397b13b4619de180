#include "worker/net/hello.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rand.h"

enum {
	FACTS_HOME = 128,               /* bytes that need no block of the arena's */
	FACTS_HOME_PROXY = 512,
	HANDSHAKES_A_TURN = 8,
	FACTS_MAX = 256 * 1024,
	LINGER_MS = 1000,
	LINGER_BYTES = 64 * 1024,
	GATE_WAYS = 4,
	GATE_SETS = 1024,
};

enum verdict { NEXT, WAIT, OVER };

struct hello {
	struct event event;             /* first */
	struct loop *loop;
	struct list link;               /* of those under way */
	struct timer timer;
	const struct hello_ops *ops;
	void *owner;
	struct tls *tls;
	struct hello_facts *facts;
	struct hello_gate *gate;
	uint32_t pending, rate;
	uint32_t left;                  /* bytes that a lingering one may still send */
	struct addr peer;
	uint8_t step;
	uint8_t proxy;                  /* enum hello_proxy, for this peer */
	bool h1, h2;                    /* allowed; in the end: which it is */
	bool entered;                   /* counted at the gate */
	bool gone;                      /* the client will send no more */
};

/* ---- facts */

static struct hello_facts *
facts_of(struct hello *h)
{
	struct hello_facts *f = h->facts;
	size_t home = h->proxy ? FACTS_HOME_PROXY : FACTS_HOME;

	if (f)
		return f;
	f = calloc(1, sizeof(*f) + home);
	if (!f)
		abort();
	arena_init(&f->arena, f + 1, home, FACTS_MAX);
	f->socket_peer = h->peer;
	h->facts = f;
	return f;
}

void
hello_facts_free(struct hello_facts *f)
{
	if (!f)
		return;
	arena_reset(&f->arena);
	free(f);
}

/* ---- the gate: GCRA for each address, in a small set-associative table */

struct hello_gate {
	uint64_t seed;
	uint32_t under_way;
	struct {
		uint64_t who, until;    /* until: ns, when all is forgotten */
	} cell[GATE_SETS][GATE_WAYS];
};

struct hello_gate *
hello_gate_new(void)
{
	struct hello_gate *g = calloc(1, sizeof(*g));

	if (!g)
		abort();
	g->seed = rand_u64();
	return g;
}

void
hello_gate_free(struct hello_gate *g)
{
	free(g);
}

static uint64_t
mix(uint64_t n)
{
	n ^= n >> 32;
	n *= 0xd6e8feb86659fd93;
	n ^= n >> 32;
	n *= 0xd6e8feb86659fd93;
	return n ^ n >> 32;
}

static uint64_t
hash_of(const struct hello_gate *g, const struct addr *a)
{
	uint64_t half[2];

	memcpy(half, a->ip, 16);
	/* Whoever has an address of IPv6 has its /64. */
	if (a->family == AF_INET6)
		half[1] = 0;
	return mix(mix(half[0] ^ g->seed) ^ half[1]) | 1;
}

/* Whether `peer` may begin another one now. */
static bool
gate_rate(struct hello_gate *g, const struct addr *peer, uint32_t rate)
{
	uint64_t who = hash_of(g, peer), now = clock_now(), second = 1000000000;
	unsigned set = (unsigned)(who >> 20) % GATE_SETS, at = 0;

	for (unsigned i = 0; i < GATE_WAYS; i++) {
		if (g->cell[set][i].who == who) {
			at = i;
			break;
		}
		if (g->cell[set][i].until < g->cell[set][at].until)
			at = i;
	}
	if (g->cell[set][at].who != who) {
		g->cell[set][at].who = who;
		g->cell[set][at].until = 0;
	}
	if (g->cell[set][at].until < now)
		g->cell[set][at].until = now;
	if (g->cell[set][at].until + second / rate > now + second)
		return false;
	g->cell[set][at].until += second / rate;
	return true;
}

static bool
gate_enter(struct hello *h)
{
	struct hello_gate *g = h->gate;

	if (!g || h->entered)
		return true;
	if (h->pending && g->under_way >= h->pending)
		return false;
	if (h->rate && h->peer.family != AF_UNIX && !gate_rate(g, &h->peer, h->rate))
		return false;
	g->under_way++;
	h->entered = true;
	return true;
}

static void
gate_leave(struct hello *h)
{
	if (h->entered)
		h->gate->under_way--;
	h->entered = false;
}

/* ---- its end */

static void
hello_destroy(struct event *s)
{
	free(s);
}

static void
forget(struct hello *h)
{
	list_remove(&h->link);
	timer_remove(&h->loop->wheel, &h->timer);
}

static void
finish(struct hello *h)
{
	int fd = h->event.fd;

	gate_leave(h);
	forget(h);
	loop_release(h->loop, &h->event);
	h->ops->on_done(h->owner, fd, h->h2, &h->peer, h->tls, h->facts, STR_NONE);
}

/* A close with bytes unread would be a reset, and the alert that says why be lost. */
static void
linger(struct hello *h)
{
	h->left = LINGER_BYTES;
	shutdown(h->event.fd, SHUT_WR);
	timer_hang(&h->loop->wheel, &h->timer, clock_ms() + LINGER_MS);
	loop_ready(h->loop, &h->event);
}

static void
fault(struct hello *h, enum hello_fault what, enum tls_fault why, struct str detail)
{
	bool lingers = what == HELLO_TLS && !h->gone && why != TLS_CLOSED;

	gate_leave(h);
	if (!lingers)
		forget(h);
	h->ops->on_fault(h->owner, &h->peer, what, why, detail);
	h->owner = NULL;
	hello_facts_free(h->facts);
	h->facts = NULL;
	tls_free(h->tls);
	h->tls = NULL;
	if (lingers)
		linger(h);
	else
		loop_bury(h->loop, &h->event);
}

/* ---- steps */

enum { STEP_PROXY, STEP_TLS, STEP_CODEC, STEP_DONE, STEP_LINGER };

static enum verdict
fail(struct hello *h, enum hello_fault what, struct str detail)
{
	h->step = STEP_LINGER;
	fault(h, what, what == HELLO_TLS ? TLS_OTHER : TLS_OK, detail);
	return OVER;
}

/* What has come, left where it is. Returns its length, or 0 with a verdict. */
static size_t
peek(struct hello *h, char *to, size_t size, enum verdict *verdict)
{
	ssize_t n;

	do
		n = recv(h->event.fd, to, size, MSG_PEEK);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return (size_t)n;
	if (n < 0 && errno == EAGAIN)
		*verdict = WAIT;
	else
		*verdict = fail(h, HELLO_GONE, STR("the client left"));
	return 0;
}

static enum verdict
more(struct hello *h)
{
	return h->gone ? fail(h, HELLO_GONE, STR("the client left")) : WAIT;
}

/* Off the socket with what was peeked at. */
static bool
consume(struct hello *h, char *buf, size_t n)
{
	while (n) {
		ssize_t got = recv(h->event.fd, buf, n, 0);

		if (got <= 0 && !(got < 0 && errno == EINTR))
			return false;
		if (got > 0)
			n -= (size_t)got;
	}
	return true;
}

static enum verdict
step_proxy(struct hello *h)
{
	char buf[PROXYPROTO_MAX];
	enum verdict verdict = NEXT;
	struct hello_facts *f;
	size_t n;
	long took;
	int is;

	if (h->proxy == HELLO_PROXY_OFF)
		return NEXT;
	n = peek(h, buf, sizeof(buf), &verdict);
	if (!n)
		return verdict;
	is = proxyproto_begins((struct str){ buf, n });
	if (is < 0 && h->proxy == HELLO_PROXY_REQUIRE)
		return fail(h, HELLO_NO_PROXY, STR("no header of the PROXY protocol"));
	if (is < 0)
		return NEXT;
	if (!is)
		return more(h);
	f = facts_of(h);
	took = proxyproto_parse((struct str){ buf, n }, &f->arena, &f->proxy);
	if (!took)
		return more(h);
	if (took < 0 || !consume(h, buf, (size_t)took))
		return fail(h, HELLO_BAD_PROXY, STR("the header of the PROXY protocol is broken"));
	if (!f->proxy.local) {
		h->peer = f->proxy.from;
		f->proxied = true;
	}
	return NEXT;
}

static enum verdict
step_tls(struct hello *h)
{
	struct hello_facts *f;
	enum tls_fault why;

	if (!h->tls)
		return NEXT;
	if (!gate_enter(h))
		return fail(h, HELLO_TOO_MANY, STR("too many handshakes"));
	/* Each takes as long as a dozen requests: who is served already is not to wait
	 * for all who come. */
	if (h->loop->handshakes >= HANDSHAKES_A_TURN) {
		loop_ready(h->loop, &h->event);
		return WAIT;
	}
	h->loop->handshakes++;
	switch (tls_handshake(h->tls)) {
	case TLS_WANT:
		return WAIT;
	case TLS_FAILED:
		why = tls_fault(h->tls);
		h->step = STEP_LINGER;
		fault(h, HELLO_TLS, why, tls_error(h->tls));
		return OVER;
	case TLS_DONE:
		break;
	}
	f = facts_of(h);
	tls_info(h->tls, &f->arena, &f->tls);
	f->peer_der = tls_peer_der(h->tls, &f->arena);
	return NEXT;
}

static enum verdict
step_codec(struct hello *h)
{
	static const char preface[24] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	enum verdict verdict = NEXT;
	char buf[sizeof(preface)];
	size_t n;

	if (!h->h1 || !h->h2)
		return NEXT;
	if (h->tls) {
		h->h2 = str_eq(h->facts->tls.alpn, STR("h2"));
		return NEXT;
	}
	n = peek(h, buf, sizeof(buf), &verdict);
	if (!n)
		return verdict;
	if (memcmp(buf, preface, n))
		h->h2 = false;
	else if (n < sizeof(preface))
		return more(h);
	return NEXT;
}

static enum verdict
step_done(struct hello *h)
{
	finish(h);
	return OVER;
}

static enum verdict
step_linger(struct hello *h)
{
	char buf[4096];
	ssize_t n;

	while (h->left) {
		n = recv(h->event.fd, buf, sizeof(buf), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return WAIT;
		if (n <= 0)
			break;
		h->left -= (uint32_t)n < h->left ? (uint32_t)n : h->left;
	}
	forget(h);
	loop_bury(h->loop, &h->event);
	return OVER;
}

static enum verdict (*const steps[])(struct hello *) = {
	[STEP_PROXY] = step_proxy,
	[STEP_TLS] = step_tls,
	[STEP_CODEC] = step_codec,
	[STEP_DONE] = step_done,
	[STEP_LINGER] = step_linger,
};

static void
hello_turn(struct event *s, uint32_t events)
{
	struct hello *h = (struct hello *)s;

	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		h->gone = true;
	/* Behind those that wait for their turn. */
	if (events && h->step == STEP_TLS && h->tls && h->loop->ready) {
		loop_ready(h->loop, s);
		return;
	}
	while (steps[h->step](h) == NEXT)
		h->step++;
}

static void
hello_fire(struct timer *t)
{
	struct hello *h = list_entry(t, struct hello, timer);

	if (h->step == STEP_LINGER) {
		forget(h);
		loop_bury(h->loop, &h->event);
	} else {
		fail(h, HELLO_TIMEOUT, STR("it took too long"));
	}
}

/* ---- its beginning */

/* The session is made now: a reload may take the server away before the PROXY header is
 * here. */
static void
begin_tls(struct hello *h, struct tls_server *server, bool peer_known)
{
	if (peer_known && !gate_enter(h)) {
		fail(h, HELLO_TOO_MANY, STR("too many handshakes"));
		return;
	}
	h->tls = tls_accept(server, h->event.fd);
	if (!h->tls)
		fail(h, HELLO_TLS, STR("no memory for a session"));
}

int
hello_begin(struct loop *l, int fd, const struct addr *peer, const struct hello_rules *r,
	    const struct hello_ops *ops, void *owner, struct list *under_way)
{
	bool trusted = r->proxy && r->trusted && r->trusted(owner, peer);
	struct hello *h;

	if (r->proxy == HELLO_PROXY_REQUIRE && !trusted) {
		close(fd);
		ops->on_fault(owner, peer, HELLO_NO_PROXY, TLS_OK,
			      STR("a PROXY header is required, and the peer is not in trust"));
		return 0;
	}
	if (!trusted && !r->tls && !(r->h1 && r->h2)) {
		ops->on_done(owner, fd, r->h2, peer, NULL, NULL, STR_NONE);
		return 0;
	}
	h = calloc(1, sizeof(*h));
	if (!h)
		abort();
	h->event.turn = hello_turn;
	h->event.fd = fd;
	h->event.destroy = hello_destroy;
	h->loop = l;
	h->timer.fire = hello_fire;
	h->ops = ops;
	h->owner = owner;
	h->gate = r->gate;
	h->pending = r->pending;
	h->rate = r->rate;
	h->peer = *peer;
	h->proxy = (uint8_t)(trusted ? r->proxy : HELLO_PROXY_OFF);
	h->h1 = r->h1;
	h->h2 = r->h2;
	if (loop_add(l, &h->event) < 0) {
		free(h);
		return -1;
	}
	list_append(under_way, &h->link);
	if (r->deadline_ms)
		timer_hang(&l->wheel, &h->timer, clock_ms() + r->deadline_ms);
	if (r->tls)
		begin_tls(h, r->tls, !trusted);
	return 0;
}

void
hello_close_all(struct list *under_way)
{
	while (!list_empty(under_way)) {
		struct hello *h = list_entry(under_way->next, struct hello, link);

		if (h->step == STEP_LINGER) {
			forget(h);
			loop_bury(h->loop, &h->event);
		} else {
			fail(h, HELLO_GONE, STR("the listener closes"));
		}
	}
}
