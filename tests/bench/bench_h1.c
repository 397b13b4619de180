/* bench_h1 — what a head costs: parsed, and written anew. Not part of `make check`:
 *
 *   gcc -O2 -std=gnu11 -D_GNU_SOURCE -I. tests/bench/bench_h1.c -o /tmp/bench_h1 \
 *       worker/http/{token,headers,msg,fault,uri}.c worker/net/addr.c \
 *       worker/http/h1_{scan,lines,parse,write}.c base/{arena,clock,str}.c
 *
 * With a number and an index as arguments it does that many rounds of one head only,
 * for callgrind. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "worker/http/h1_parse.h"
#include "worker/http/h1_write.h"

static const struct h1_limits limits = { 32768, 100, 8192 };

static const struct {
	const char *name;
	bool response;
	struct str head;
} heads[] = {
#define HEAD(name, response, text) { name, response, { text, sizeof(text) - 1 } }
	HEAD("small request", false, "GET /b/128 HTTP/1.1\r\nHost: 127.0.0.1:8100\r\n\r\n"),
	HEAD("browser request", false,
	     "GET /v1/orders/4711?expand=items HTTP/1.1\r\nHost: api.example.com\r\n"
	     "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
	     "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
	     "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
	     "Connection: keep-alive\r\n\r\n"),
	HEAD("response", true,
	     "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 08:00:00 GMT\r\n"
	     "Content-Type: application/octet-stream\r\nContent-Length: 128\r\n"
	     "Connection: keep-alive\r\nETag: \"abc-128\"\r\n\r\n"),
#undef HEAD
};

static char home[4096], out[4096];

static void
parse(struct arena *a, size_t i, struct msg *m)
{
	enum fault fault;
	ptrdiff_t n;

	a->at = home;
	n = heads[i].response
		    ? h1_parse_response(heads[i].head, &limits, a, METHOD_GET, m, &fault)
		    : h1_parse_request(heads[i].head, &limits, a, m, &fault);
	if (n != (ptrdiff_t)heads[i].head.len)
		abort();
}

static void
write_head(size_t i, const struct msg *m)
{
	struct h1_head how = { .framing = heads[i].response ? H1_LENGTH : H1_NO_FRAMING,
			       .length = m->length };

	if (h1_head_size(m, &how) > sizeof(out))
		abort();
	if (heads[i].response)
		h1_put_response(out, m, &how);
	else
		h1_put_request(out, m, &how);
}

int
main(int argc, char **argv)
{
	struct arena a;
	struct msg m;

	arena_init(&a, home, sizeof(home), 1 << 20);
	clock_update();
	if (argc > 2) {
		size_t i = strtoul(argv[2], NULL, 10);

		for (long n = strtol(argv[1], NULL, 10); n > 0; n--) {
			parse(&a, i, &m);
			write_head(i, &m);
		}
		return 0;
	}
	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
		double best[2] = { 1e9, 1e9 };

		for (int round = 0; round < 20; round++) {
			enum { TIMES = 100000 };
			uint64_t t0 = clock_read(), t1, t2;

			for (int n = 0; n < TIMES; n++)
				parse(&a, i, &m);
			t1 = clock_read();
			for (int n = 0; n < TIMES; n++)
				write_head(i, &m);
			t2 = clock_read();
			if ((double)(t1 - t0) / TIMES < best[0])
				best[0] = (double)(t1 - t0) / TIMES;
			if ((double)(t2 - t1) / TIMES < best[1])
				best[1] = (double)(t2 - t1) / TIMES;
		}
		printf("%-16s parse %6.1f ns, write %6.1f ns\n", heads[i].name, best[0], best[1]);
	}
	return 0;
}
