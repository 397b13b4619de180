#include "worker/http/local.h"
#include "base/json_write.h"
#include "worker/http/h1_write.h"

enum { SHOWN = 512 };                   /* of a detail or a path; the rest is left out */

/* ---- Accept (RFC 9110 §12.5.1) */

/* A weight in thousandths; what is none counts as 0. */
static int
parse_weight(struct str s)
{
	static const int place[] = { 100, 10, 1 };
	int q;

	if (s.len == 0 || s.len > 5 || (*s.at != '0' && *s.at != '1'))
		return 0;
	if (s.len > 1 && s.at[1] != '.')
		return 0;
	q = (*s.at - '0') * 1000;
	for (size_t i = 2; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return 0;
		q += (s.at[i] - '0') * place[i - 2];
	}
	return q > 1000 ? 0 : q;
}

/* Takes one element off a list, by commas (or parameters, by semicolons), but not
 * those in quotes. */
static bool
next_part(struct str *rest, char by, struct str *part)
{
	bool quoted = false;
	size_t i;

	if (!rest->at)
		return false;
	for (i = 0; i < rest->len && (quoted || rest->at[i] != by); i++) {
		if (quoted && rest->at[i] == '\\' && i + 1 < rest->len)
			i++;
		else if (rest->at[i] == '"')
			quoted = !quoted;
	}
	*part = str_trim(str_first(*rest, i));
	*rest = i < rest->len ? str_from(*rest, i + 1) : STR_NONE;
	return true;
}

static int
range_weight(struct str parameters)
{
	struct str one;

	while (next_part(&parameters, ';', &one))
		if (one.len > 2 && (*one.at | 0x20) == 'q' && one.at[1] == '=')
			return parse_weight(str_from(one, 2));
	return 1000;
}

/* How much `accept` wants a type: the most specific range that takes it decides. */
static int
weight_of(struct str accept, struct str type, struct str any_of_type)
{
	int best = -1, q = 0;
	struct str element;

	while (next_part(&accept, ',', &element)) {
		struct str range;
		int how = -1;

		next_part(&element, ';', &range);
		if (str_caseeq(range, STR("*/*")))
			how = 0;
		else if (str_caseeq(range, any_of_type))
			how = 1;
		else if (str_caseeq(range, type))
			how = 2;
		if (how > best) {
			best = how;
			q = range_weight(element);
		}
	}
	return q;
}

static bool
prefers_html(struct str accept)
{
	int html, json, problem;

	if (accept.len == 0)
		return false;
	html = weight_of(accept, STR("text/html"), STR("text/*"));
	json = weight_of(accept, STR("application/json"), STR("application/*"));
	problem = weight_of(accept, STR("application/problem+json"), STR("application/*"));
	return html > json && html > problem;
}

/* ---- documents */

struct problem {
	int status;
	struct str title, detail, instance, reason, request_id;
};

static void
member(struct json_write *j, struct str key, struct str value)
{
	if (value.len == 0)
		return;
	json_key(j, key);
	json_str(j, value);
}

static struct str
json_document(struct arena *a, const struct problem *p)
{
	/* A byte takes at most six, as \u00XX. */
	size_t size = 256 + 6 * (p->title.len + p->detail.len + p->instance.len +
				 p->reason.len + p->request_id.len);
	char *buf = arena_alloc_aligned(a, size, 1);
	struct json_write j;

	json_begin(&j, buf, size - 1);
	json_open(&j, '{');
	member(&j, STR("type"), STR("about:blank"));
	member(&j, STR("title"), p->title);
	json_key(&j, STR("status"));
	json_int(&j, p->status);
	member(&j, STR("detail"), p->detail);
	member(&j, STR("instance"), p->instance);
	member(&j, STR("reason"), p->reason);
	member(&j, STR("request_id"), p->request_id);
	json_close(&j, '}');
	*j.at++ = '\n';
	return (struct str){ buf, (size_t)(j.at - buf) };
}

static char *
put(char *to, struct str s)
{
	if (s.len)
		memcpy(to, s.at, s.len);
	return to + s.len;
}

static struct str
escape_of(char c)
{
	switch (c) {
	case '&': return STR("&amp;");
	case '<': return STR("&lt;");
	case '>': return STR("&gt;");
	case '"': return STR("&quot;");
	case '\'': return STR("&#39;");
	default: return STR_NONE;
	}
}

/* Printable ASCII as it is or escaped; all else becomes "?". */
static char *
put_escaped(char *to, struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		struct str escape = escape_of(s.at[i]);

		if (escape.len)
			to = put(to, escape);
		else
			*to++ = s.at[i] >= ' ' && s.at[i] < 0x7f ? s.at[i] : '?';
	}
	return to;
}

static char *
put_row(char *to, struct str label, struct str value)
{
	if (value.len == 0)
		return to;
	to = put(to, STR("<dt>"));
	to = put(to, label);
	to = put(to, STR("</dt><dd>"));
	to = put_escaped(to, value);
	return put(to, STR("</dd>\n"));
}

static struct str
html_document(struct arena *a, const struct problem *p)
{
	size_t size = 1024 + 6 * (2 * p->title.len + p->detail.len + p->instance.len +
				  p->reason.len + p->request_id.len);
	char *buf = arena_alloc_aligned(a, size, 1), *to = buf;
	char digits[24];
	struct str status = { digits, (size_t)(str_put_u64(digits, (unsigned)p->status) -
					       digits) };

	to = put(to, STR("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
			 "<meta name=\"viewport\" content=\"width=device-width\">\n<title>"));
	to = put(to, status);
	*to++ = ' ';
	to = put_escaped(to, p->title);
	to = put(to, STR("</title>\n<style>body{font:16px/1.5 sans-serif;max-width:40em;"
			 "margin:4em auto;padding:0 1em}dt{color:#666}</style></head>\n"
			 "<body><h1>"));
	to = put(to, status);
	*to++ = ' ';
	to = put_escaped(to, p->title);
	to = put(to, STR("</h1>\n<p>"));
	to = put_escaped(to, p->detail);
	to = put(to, STR("</p>\n<dl>\n"));
	to = put_row(to, STR("Path"), p->instance);
	to = put_row(to, STR("Reason"), p->reason);
	to = put_row(to, STR("Request"), p->request_id);
	to = put(to, STR("</dl></body></html>\n"));
	return (struct str){ buf, (size_t)(to - buf) };
}

struct local_answer
local_problem(struct arena *a, enum fault fault, int status, struct str detail,
	      struct str instance, struct str request_id, struct str accept)
{
	const struct fault_info *f = &fault_info[fault];
	struct problem p = {
		.status = status,
		.title = h1_reason(status),
		.detail = str_first(detail.len ? detail : f->text, SHOWN),
		.instance = str_first(instance, SHOWN),
		.reason = f->reason,
		.request_id = str_first(request_id, SHOWN),
	};

	if (prefers_html(accept))
		return (struct local_answer){ STR("text/html; charset=utf-8"),
					      html_document(a, &p) };
	return (struct local_answer){ STR("application/problem+json"), json_document(a, &p) };
}
