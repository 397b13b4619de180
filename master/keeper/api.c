/* The endpoints: which it is, and what all of them need. */
#include "master/keeper/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "worker/http/h1_write.h"
#include "worker/http/uri.h"

const struct api api[] = {
#define API(m, p, f, w, h) { .method = #m, .path = p, .fn = f, .writes = w, .help = h },
#include "master/keeper/api.def"
#undef API
	{ NULL, NULL, NULL, false, NULL },
};

/* ---- which */

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)char_lower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A segment of a path without its escapes; false: one of them is none, or hides a NUL. */
static bool
decode(struct str s, struct arena *a, struct str *to)
{
	char *out = arena_alloc_aligned(a, s.len + 1, 1);
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		int c = (unsigned char)s.at[i];

		if (c == '%') {
			if (i + 2 >= s.len || hex(s.at[i + 1]) < 0 ||
			    hex(s.at[i + 2]) < 0)
				return false;
			c = hex(s.at[i + 1]) << 4 | hex(s.at[i + 2]);
			i += 2;
		}
		if (!c)
			return false;
		out[n++] = (char)c;
	}
	out[n] = 0;
	*to = (struct str){ out, n };
	return true;
}

bool
api_match(const char *pattern, struct str path, struct arena *a, struct str param[2])
{
	struct str want = str_of(pattern), have, part;
	int n = 0;

	while (str_split(&want, '/', &part)) {
		if (!str_split(&path, '/', &have))
			return false;
		if (part.len && *part.at == '{') {
			if (!have.len || n == 2 || !decode(have, a, &param[n++]))
				return false;
		} else if (!str_eq(part, have)) {
			return false;
		}
	}
	return !path.at;
}

const struct api *
api_find(struct str method, struct api_request *r, struct api_answer *answer)
{
	struct str allow = STR_NONE;

	for (const struct api *row = api; row->method; row++) {
		if (!api_match(row->path, r->path, r->arena, r->param))
			continue;
		if (str_eq(str_of(row->method), method))
			return row;
		allow = arena_printf(r->arena, "%.*s%s%s", STR_ARG(allow),
				     allow.len ? ", " : "", row->method);
	}
	if (!allow.len) {
		api_problem(r, answer, 404,
			    "there is no such endpoint; GET /v1 lists them");
	} else {
		api_problem(r, answer, 405, "this endpoint takes %.*s", STR_ARG(allow));
		answer->allow = allow;
	}
	return NULL;
}

bool
api_query(const struct api_request *r, const char *name, struct str *value)
{
	return uri_query(r->query, str_of(name), r->arena, value);
}

int
api_limit(const struct api_request *r, struct api_answer *a, int usual, int most)
{
	unsigned long long n;
	struct str s;

	if (!api_query(r, "limit", &s))
		return usual;
	if (str_u64(s, (unsigned)most, &n) && n)
		return (int)n;
	api_problem(r, a, 400, "limit is a number from 1 to %d", most);
	return -1;
}

/* ---- JSON */

void
api_json(const struct api_request *r, struct api_answer *a, int status, json_t *doc)
{
	char *text = doc ? json_dumps(doc, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;

	json_decref(doc);
	a->status = status;
	a->type = NULL;
	a->body = STR("{}\n");
	if (!text) {
		a->status = 500;
		return;
	}
	a->body = arena_printf(r->arena, "%s\n", text);
	crypto_wipe(text, strlen(text));
	free(text);
}

void
api_problem(const struct api_request *r, struct api_answer *a, int status,
	    const char *fmt, ...)
{
	json_t *doc = json_object();
	char detail[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	json_object_set_new(doc, "type", json_string("about:blank"));
	api_set(doc, "title", h1_reason(status));
	json_object_set_new(doc, "status", json_integer(status));
	api_set(doc, "detail", str_of(detail));
	api_set(doc, "instance", r->path);
	api_json(r, a, status, doc);
	a->type = "application/problem+json";
}

json_t *
api_body(const struct api_request *r, struct api_answer *a, const char *const *known)
{
	json_error_t error;
	json_t *doc, *value;
	const char *key;

	if (!str_trim(r->body).len)
		return json_object();
	doc = json_loadb(r->body.at, r->body.len, JSON_REJECT_DUPLICATES, &error);
	if (!doc) {
		api_problem(r, a, 400, "the body is no JSON: %s (line %d, column %d)",
			    error.text, error.line, error.column);
		return NULL;
	}
	if (!json_is_object(doc)) {
		api_problem(r, a, 400, "the body must be a JSON object");
		json_decref(doc);
		return NULL;
	}
	json_object_foreach(doc, key, value)
	{
		const char *const *k = known;

		while (*k && strcmp(*k, key) != 0)
			k++;
		if (*k)
			continue;
		api_problem(r, a, 400, "there is no member \"%.64s\" here", key);
		json_decref(doc);
		return NULL;
	}
	return doc;
}

int
api_text(const struct api_request *r, struct api_answer *a, const json_t *doc,
	 const char *key, char *to, size_t size)
{
	const json_t *v = json_object_get(doc, key);
	const char *text = json_string_value(v);
	size_t len = json_string_length(v);

	if (!v)
		return 0;
	if (json_is_null(v)) {
		memset(to, 0, size);
		return 1;
	}
	if (!text) {
		api_problem(r, a, 400, "%s must be a text", key);
		return -1;
	}
	if (len >= size) {
		api_problem(r, a, 400, "%s is longer than %zu bytes", key, size - 1);
		return -1;
	}
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 127) {
			api_problem(r, a, 400, "%s has a control character", key);
			return -1;
		}
	memset(to, 0, size);
	memcpy(to, text, len);
	return 1;
}

void
api_set(json_t *doc, const char *key, struct str value)
{
	json_t *text;

	while (value.len && !(text = json_stringn(value.at, value.len)))
		value.len--;
	json_object_set_new(doc, key, value.len ? text : json_null());
}

bool
api_name(const struct api_request *r, struct api_answer *a, struct str name,
	 const char *what)
{
	bool good = name.len > 0 && name.len < CONSUMER_NAME;

	for (size_t i = 0; good && i < name.len; i++) {
		unsigned char c = (unsigned char)name.at[i], l = char_lower(c);

		good = (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') ||
		       (c && strchr("._@-", c));
	}
	if (!good)
		api_problem(
			r, a, 400,
			"the name of a %s is 1 to %d characters of A-Z a-z 0-9 . _ @ -",
			what, CONSUMER_NAME - 1);
	return good;
}
