/* query — what postern trace is asked. What can be read takes records, and says the same
 * twice. */
#include <stdint.h>
#include <stdlib.h>

#include "master/cli/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str
name_of(const struct record_view *v, uint32_t series)
{
	(void)v;
	return series ? STR("orders-api/create") : STR_NONE;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct record_note note[1] = { { .policy = 1 } };
	struct record r = { .status = 503,
			    .us_total = 300001,
			    .attempts = 1,
			    .notes = 1,
			    .route = 1,
			    .id = { 0x0123456789abcdef, 1 } };
	struct record_view v = { .record = &r, .notes = note, .name = name_of };
	struct str text = { (const char *)data, size };
	struct query_error error;
	struct query q;
	bool takes;

	v.texts = (struct record_texts){ .method = STR("GET"),
					 .host = STR("a.test"),
					 .path = STR("/a b"),
					 .client = STR("10.0.0.1"),
					 .consumer = STR("acme") };
	r.attempt[0].target = 1;
	if (query_parse(text, &q, &error) < 0) {
		if (error.at > size || !*error.text)
			abort();
		return 0;
	}
	if (q.n > QUERY_TERMS)
		abort();
	takes = query_takes(&q, &v);
	for (unsigned i = 0; i < q.n; i++)
		q.term[i].negated = !q.term[i].negated;
	/* One term and its opposite. */
	if (q.n == 1 && query_takes(&q, &v) == takes)
		abort();
	return 0;
}
