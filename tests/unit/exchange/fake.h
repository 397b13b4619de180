/* fake — an exchange without wires, for tests of what looks at one. */
#ifndef TESTS_EXCHANGE_FAKE_H
#define TESTS_EXCHANGE_FAKE_H

#include <stdio.h>

#include "tests/unit/unit.h"

#include "base/clock.h"
#include "worker/exchange/context.h"
#include "worker/exchange/exchange.h"

static struct exchange *x;
static struct worker fake_worker;
static struct stats_page fake_page;
static struct generation fake_gen;

static inline void
fake_header(const char *name, const char *value)
{
	headers_add(&x->request.headers, &x->arena, str_of(name), str_of(value));
}

/* GET http://api.example.com/v1/orders/7?a=1 from 192.0.2.7 by 10.0.0.1, both untrusted.
 */
static inline void
fake_begin(void)
{
	static const struct conf_listener web = { .name = { "web", 3 } };

	clock_update();
	fake_page = (struct stats_page){ .latency_sum = 0 };
	fake_worker.page = &fake_page;
	list_init(&fake_worker.logfiles);
	fake_gen.number = 3;
	x = calloc(1, sizeof *x);
	ck_assert_ptr_nonnull(x);
	arena_init(&x->arena, x->home, sizeof x->home, 1 << 20);
	x->worker = &fake_worker;
	x->gen = &fake_gen;
	x->listener = &web;
	x->scheme = STR("http");
	addr_parse(&x->peer, STR("10.0.0.1:4711"));
	addr_parse(&x->client_addr, STR("192.0.2.7"));
	x->request.method = METHOD_GET;
	x->request.method_text = STR("GET");
	x->request.minor = 1;
	x->request.host = STR("API.example.com:8080");
	x->request.path = x->path = STR("/v1/orders/7");
	x->request.query = STR("a=1");
	x->request.has_query = true;
	x->host = STR("api.example.com");
	x->began = clock_now() - 1500000;
	x->ended = clock_now();
	x->id_text = STR("0123456789abcdef0123456789abcdef");
}

static inline void
fake_end(void)
{
	arena_reset(&x->arena);
	free(x);
	x = NULL;
}

/* The lines that would be sent, "name: value\n" each. */
static inline const char *
fake_lines(const struct headers *h)
{
	static char buf[8192];
	size_t n = 0;

	*buf = 0;
	for (uint32_t i = 0; i < h->n; i++)
		if (!h->at[i].gone)
			n += (size_t)snprintf(buf + n, sizeof buf - n, "%.*s: %.*s\n",
					      STR_ARG(h->at[i].name),
					      STR_ARG(h->at[i].value));
	return buf;
}

#endif
