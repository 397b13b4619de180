/* vendor — what external services answer: limits in header lines, a token in JSON.
 * Whatever the bytes are, nobody is held back for ever, and a token is one line of
 * printable text. */
#include <stdint.h>
#include <stdlib.h>

#include "worker/exchange/oauth.h"
#include "worker/exchange/pace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DAY_NS (24 * 3600 * 1000000000ull)

static void
limits(struct str lines, struct arena *a)
{
	struct msg m = { .status = 429 };
	struct pace_said said;
	struct str line, name;

	while (str_split(&lines, '\n', &line)) {
		str_split(&line, ':', &name);
		headers_add(&m.headers, a, name, str_trim(line));
	}
	pace_read(&m, 1795276800000, &said);
	if (said.blocked > DAY_NS || said.reset > 31 * DAY_NS || said.span > 31 * DAY_NS)
		abort();
	if (said.window && !said.reset)
		abort();
}

static void
token(struct str json, struct arena *a)
{
	struct str value, why;
	uint64_t seconds;

	if (oauth_read(a, 200, json, &value, &seconds, &why)) {
		if (!why.len)
			abort();
		return;
	}
	if (value.len < 8 || seconds > 1000000000)
		abort();
	for (size_t i = 7; i < value.len; i++)
		if (value.at[i] <= ' ' || value.at[i] > '~')
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = { (const char *)data, size };
	struct arena a;

	arena_init(&a, NULL, 0, 64 << 20);
	limits(all, &a);
	token(all, &a);
	arena_reset(&a);
	return 0;
}
