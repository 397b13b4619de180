/* admin — what the admin plane is asked: a method, a path with its query, a body.
 * Whatever the bytes are, the answer is a problem or a row was found, and texts that were
 * taken have no control characters. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "master/keeper/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const known[] = {
	"name", "plan", "note", "suspended", "expires", NULL
};

static void
take_body(const struct api_request *r, struct api_answer *a)
{
	json_t *doc = api_body(r, a, known);
	char text[64];

	if (!doc) {
		if (a->status != 400)
			abort();
		return;
	}
	for (const char *const *k = known; *k; k++)
		if (api_text(r, a, doc, *k, text, sizeof(text)) == 1)
			for (const char *at = text; *at; at++)
				if ((unsigned char)*at < ' ')
					abort();
	json_decref(doc);
}

static void
take_query(const struct api_request *r, struct api_answer *a)
{
	static const char *const keys[] = { "after", "from", "to", "by", "consumer" };
	struct str value;
	int64_t s;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (api_query(r, keys[i], &value))
			api_time(value, 1800000000, &s);
	if (api_limit(r, a, 10, 1000) > 1000)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = { (const char *)data, size }, line, method, path;
	struct api_request r = { .keeper = NULL };
	struct api_answer a = { 0 };
	const struct api *row;
	struct arena arena;

	if (!str_split(&rest, '\n', &line) || !str_split(&line, ' ', &method) || !line.at)
		return 0;
	arena_init(&arena, NULL, 0, 64 << 20);
	r.arena = &arena;
	r.query = line;
	str_split(&r.query, '?', &path);
	r.path = path;
	r.body = rest;
	row = api_find(method, &r, &a);
	if (row ? !str_eq(str_of(row->method), method)
		: a.status != 404 && a.status != 405)
		abort();
	for (int i = 0; row && i < 2; i++)
		if (r.param[i].len && !api_name(&r, &a, r.param[i], "consumer") &&
		    a.status != 400)
			abort();
	take_query(&r, &a);
	take_body(&r, &a);
	arena_reset(&arena);
	return 0;
}
