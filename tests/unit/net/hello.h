/* hello — a connection of 192.0.2.9 for the tests of hello.c, and what became of it. */
#ifndef TESTS_UNIT_NET_HELLO_H
#define TESTS_UNIT_NET_HELLO_H

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "worker/net/hello.h"
#include "worker/net/wire.h"

/* A connection of 192.0.2.9, what became of it, and the codec's end of it. */
static struct {
	struct loop loop;
	struct list under_way;
	struct hello_rules rules;
	int client, fd;                 /* fd: what on_done got; -1: nothing yet */
	bool trusted, done, faulted, h2;
	enum hello_fault fault;
	struct addr peer;
	struct hello_facts *facts;
	struct tls *tls;
	enum tls_fault why;
} t;

static inline void
on_done(void *owner, int fd, bool h2, const struct addr *peer, struct tls *tls,
	struct hello_facts *facts, struct str first)
{
	ck_assert_ptr_eq(owner, &t);
	ck_assert(!t.done && !t.faulted && !tls == !t.rules.tls && !first.len);
	t.tls = tls;
	t.done = true;
	t.fd = fd;
	t.h2 = h2;
	t.peer = *peer;
	t.facts = facts;
}

static inline void
on_fault(void *owner, const struct addr *peer, enum hello_fault fault, enum tls_fault why,
	 struct str detail)
{
	ck_assert_ptr_eq(owner, &t);
	/* Those that are left are closed at the end, one after the other. */
	ck_assert(!t.done && (!t.faulted || fault == HELLO_GONE));
	ck_assert((why == TLS_OK) == (fault != HELLO_TLS) && detail.len);
	t.why = why;
	t.faulted = true;
	t.fault = fault;
	t.peer = *peer;
}

static const struct hello_ops ops = { on_done, on_fault };

static inline bool
trusted(void *owner, const struct addr *peer)
{
	struct addr wanted;

	ck_assert_ptr_eq(owner, &t);
	ck_assert(addr_parse(&wanted, STR("192.0.2.9:9")) && addr_same_ip(&wanted, peer));
	return t.trusted;
}

/* By TCP: a peek looks at all segments. */
static inline void
connected(int ends[2])
{
	struct sockaddr_storage at;
	struct addr a;
	socklen_t len = sizeof(at);
	int l = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	ck_assert(addr_parse(&a, STR("127.0.0.1:0")));
	ck_assert_int_eq(bind(l, (struct sockaddr *)&at, addr_to_sockaddr(&a, &at)), 0);
	ck_assert_int_eq(listen(l, 1), 0);
	ck_assert_int_eq(getsockname(l, (struct sockaddr *)&at, &len), 0);
	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(ends[0], (struct sockaddr *)&at, len), 0);
	setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	ends[1] = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	ck_assert_int_ge(ends[1], 0);
	close(l);
}

static struct addr from;

/* One more connection, of `from`; its client's end is left open. */
static inline void
another(void)
{
	int ends[2];

	connected(ends);
	ck_assert_int_eq(hello_begin(&t.loop, ends[1], &from, &t.rules, &ops, &t,
				     &t.under_way), 0);
}

static inline void
begin(int proxy, bool h1, bool h2, bool is_trusted)
{
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(loop_init(&t.loop), 0);
	list_init(&t.under_way);
	ck_assert(addr_parse(&from, STR("192.0.2.9:9")));
	connected(ends);
	t.client = ends[0];
	t.fd = -1;
	t.trusted = is_trusted;
	t.rules.proxy = proxy;
	t.rules.h1 = h1;
	t.rules.h2 = h2;
	t.rules.trusted = trusted;
	if (!t.rules.deadline_ms)
		t.rules.deadline_ms = 60000;
	ck_assert_int_eq(hello_begin(&t.loop, ends[1], &from, &t.rules, &ops, &t,
				     &t.under_way), 0);
}

static inline void
turns(void)
{
	for (int i = 0; i < 3; i++)
		loop_turn(&t.loop, 1);
}

static inline void
say(const void *bytes, size_t n)
{
	ck_assert_int_eq(send(t.client, bytes, n, 0), (ssize_t)n);
	turns();
}

static inline void
done(const char *peer, bool h2)
{
	char text[ADDR_TEXT];

	ck_assert_msg(!t.faulted, "fault %d", t.fault);
	ck_assert(t.done);
	ck_assert_int_eq(t.h2, h2);
	unit_str_eq((struct str){ text, (size_t)(addr_put(text, &t.peer) - text) }, peer);
	ck_assert(list_empty(&t.under_way));
}

static inline void
failed(enum hello_fault wanted)
{
	ck_assert(!t.done && t.faulted);
	ck_assert_int_eq(t.fault, wanted);
	ck_assert(list_empty(&t.under_way));
}

static inline void
waits(void)
{
	ck_assert(!t.done && !t.faulted);
}

/* Nothing of what follows was lost, and nothing else came. */
static inline void
reads(const char *wanted)
{
	char buf[256];
	ssize_t n = recv(t.fd, buf, sizeof(buf), MSG_DONTWAIT);

	unit_str_eq((struct str){ buf, n > 0 ? (size_t)n : 0 }, wanted);
}

static inline void
end(void)
{
	hello_close_all(&t.under_way);
	hello_facts_free(t.facts);
	if (t.fd >= 0)
		close(t.fd);
	close(t.client);
	turns();
	loop_free(&t.loop);
}

#endif
