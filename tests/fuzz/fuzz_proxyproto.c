/* What begins a connection from a trusted proxy; what was understood is written and read
 * again. */
#include <stdlib.h>

#include "worker/net/proxyproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool so)
{
	if (!so)
		abort();
}

static bool
same(const struct addr *a, const struct addr *b)
{
	return addr_same_ip(a, b) && a->port == b->port;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	struct proxyproto p, q;
	char text[PROXYPROTO_MAX];
	struct arena a;
	long took;

	arena_init(&a, NULL, 0, 1 << 20);
	took = proxyproto_parse(in, &a, &p);
	must(took <= (long)size && took <= PROXYPROTO_MAX);
	if (took > 0) {
		must(proxyproto_parse(str_first(in, (size_t)took - 1), &a, &q) == 0);
		for (int version = 1; version <= 2; version++) {
			size_t n = proxyproto_put(text, version, &p);

			must(n <= sizeof(text));
			in = (struct str){ text, n };
			must(proxyproto_parse(in, &a, &q) == (long)n);
			must(p.local ? q.local : q.local || same(&p.from, &q.from));
		}
	}
	arena_reset(&a);
	return 0;
}
