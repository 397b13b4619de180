#include "worker/policy/lib/logline.h"

#include "worker/exchange/exchange.h"

static const struct str mask = { "***", 3 };

/* Headers and parameters that hold credentials wherever they are used. */
static const struct str always[] = {
	{ "authorization", 13 }, { "proxy-authorization", 19 },
	{ "cookie", 6 }, { "set-cookie", 10 },
	{ "x-api-key", 9 }, { "api-key", 7 },
	{ "api_key", 7 }, { "apikey", 6 },
	{ "access_token", 12 }, { "refresh_token", 13 },
	{ "id_token", 8 }, { "token", 5 },
	{ "password", 8 }, { "passwd", 6 },
	{ "secret", 6 }, { "client_secret", 13 },
};

void
logline_value(struct logline *l, struct str s)
{
	char *to = l->escape(l->at, l->end, str_first(s, l->cap));

	if (to)
		l->at = to;
	else
		l->full = true;
}

void
logline_u64(struct logline *l, uint64_t n)
{
	if (l->end - l->at < 20)
		l->full = true;
	else
		l->at = str_put_u64(l->at, n);
}

static int
hex_digit(char c)
{
	unsigned char l = char_lower((unsigned char)c);

	return (unsigned)(c - '0') < 10  ? c - '0'
	       : (unsigned)(l - 'a') < 6 ? l - 'a' + 10
					 : -1;
}

/* Whether a name of a query, still percent-encoded, is `plain` in any case. */
static bool
same_name(struct str encoded, struct str plain)
{
	size_t k = 0;

	if (encoded.len < plain.len)    /* most of them, at once */
		return false;
	for (size_t i = 0; i < encoded.len; i++, k++) {
		unsigned char c = (unsigned char)encoded.at[i];

		if (c == '%' && i + 2 < encoded.len &&
		    hex_digit(encoded.at[i + 1]) >= 0 &&
		    hex_digit(encoded.at[i + 2]) >= 0) {
			c = (unsigned char)(hex_digit(encoded.at[i + 1]) << 4 |
					    hex_digit(encoded.at[i + 2]));
			i += 2;
		}
		if (k == plain.len ||
		    char_lower(c) != char_lower((unsigned char)plain.at[k]))
			return false;
	}
	return k == plain.len;
}

bool
logline_masks(const struct logline *l, struct str name)
{
	const struct conf_strs *redact = l->redact;

	for (size_t i = 0; i < redact->n; i++)
		if (same_name(name, redact->at[i]))
			return true;
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (same_name(name, always[i]))
			return true;
	return false;
}

void
logline_query(struct logline *l, struct str query)
{
	struct str rest = str_first(query, l->cap), pair;
	bool first = true;

	while (rest.len && str_split(&rest, '&', &pair)) {
		ptrdiff_t eq = str_find(pair, '=');

		if (!first)
			logline_raw(l, STR("&"));
		first = false;
		if (eq >= 0 && logline_masks(l, str_first(pair, (size_t)eq))) {
			logline_value(l, str_first(pair, (size_t)eq + 1));
			logline_raw(l, mask);
		} else {
			logline_value(l, pair);
		}
	}
}

void
logline_uri(struct logline *l, struct str uri)
{
	ptrdiff_t mark = str_find(uri, '?');

	if (mark < 0) {
		logline_value(l, uri);
		return;
	}
	logline_value(l, str_first(uri, (size_t)mark));
	logline_raw(l, STR("?"));
	logline_query(l, str_from(uri, (size_t)mark + 1));
}

void
logline_piece(struct logline *l, const struct template_piece *p, bool raw)
{
	switch (p->kind) {
	case TEMPLATE_LITERAL:
		if (raw)
			logline_raw(l, p->value);
		else
			logline_value(l, p->value);
		break;
	case TEMPLATE_QUERY:
		logline_query(l, p->value);
		break;
	case TEMPLATE_HEADER:
	case TEMPLATE_QUERY_VALUE:
	case TEMPLATE_COOKIE:
		if (p->value.len && logline_masks(l, p->name))
			logline_raw(l, mask);
		else if (str_caseeq(p->name, STR("referer")) ||
			 str_caseeq(p->name, STR("location")))
			logline_uri(l, p->value);
		else
			logline_value(l, p->value);
		break;
	default:
		logline_value(l, p->value);
	}
}

void
logline_template(struct logline *l, const struct template *t, struct exchange *x,
		 bool raw)
{
	for (uint32_t i = 0; i < t->n; i++) {
		struct template_piece p = template_piece(t, i, x);

		logline_piece(l, &p, raw);
	}
}
