/* uri — paths, authorities and queries. The first byte of an input chooses the rules. */
#include <stdint.h>
#include <stdlib.h>

#include "worker/http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct str all = { (const char *)data, size }, text, out, again, host, port;
	struct uri_rules rules;

	if (!size)
		return 0;
	text = str_from(all, 1);
	rules = (struct uri_rules){ .merge_slashes = *data & 1,
				    .encoded_slash = (*data >> 1) % 3 };
	arena_init(&arena, NULL, 0, 16 * size + 4096);
	if (!uri_normalise(text, rules, &arena, &out)) {
		if (!out.len || *out.at != '/' || out.len > text.len)
			abort();
		/* What went through once stays as it is. */
		if (uri_normalise(out, rules, &arena, &again) || !str_eq(out, again))
			abort();
	}
	if (uri_authority(text, &host, &port) &&
	    (!host.len || host.len + port.len > text.len))
		abort();
	uri_query(text, str_first(text, 3), &arena, &out);
	arena_reset(&arena);
	return 0;
}
