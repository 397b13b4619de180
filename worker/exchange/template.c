#include "worker/exchange/template.h"

#include <stdarg.h>
#include <stdio.h>

#include "worker/exchange/names.h"

enum { PARTS_MAX = 64 };

struct template_part {
	const struct template_name *row;        /* NULL: `text` is a literal */
	struct str text;                /* literal, or what follows the row's name */
	uint32_t offset, len;           /* in the text as written, braces included */
	uint8_t token;                  /* of a header's name */
};

/* Where findings go: a load under way, or a diag alone. */
struct report {
	struct conf_load *load;
	struct diag *diag;
};

static void
say(const struct report *r, int code, struct where w, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void
say(const struct report *r, int code, struct where w, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r->load)
		conf_error(r->load, code, w, "%s", text);
	else
		diag_error(r->diag, code, w, "%s", text);
}

static bool
is_capture_name(struct str s)
{
	if (str_eq(s, STR("*")))
		return true;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i], l = char_lower(c);

		if ((unsigned)(l - 'a') >= 26 && (unsigned)(c - '0') >= 10 && c != '_' &&
		    c != '-')
			return false;
	}
	return s.len != 0;
}

static const struct template_name *
find_row(struct str name, struct str *arg)
{
	for (const struct template_name *n = template_names; n->name; n++) {
		struct str row = str_of(n->name);

		*arg = STR_NONE;
		if (!n->takes_name) {
			if (str_eq(row, name))
				return n;
		} else if (str_starts(name, row)) {
			*arg = str_from(name, row.len);
			return n;
		}
	}
	return NULL;
}

static void
say_unknown(const struct report *r, struct where w, struct str name)
{
	const char *words[64];
	const char *near;
	size_t n = 0;

	for (const struct template_name *t = template_names; t->name && n < 63; t++)
		if (!t->later)
			words[n++] = t->name;
	words[n] = NULL;
	near = diag_nearest(name, words);
	say(r, 402, w,
	    near ? "no such name \"{%.*s}\"; did you mean \"{%s}\"?"
		 : "no such name \"{%.*s}\"%s",
	    STR_ARG(name), near ? near : "");
}

/* Fills a part from the name between two braces. */
static int
name_part(const struct report *r, struct template_part *p, struct str name,
	  struct where w)
{
	struct str arg;
	const struct template_name *row = find_row(name, &arg);

	if (row && row->later) {
		say(r, 404, w, "\"{%.*s}\" is not in this version of postern",
		    STR_ARG(name));
		return -1;
	}
	if (row && row->takes_name && !arg.len) {
		say(r, 402, w, "\"{%.*s}\" needs a name, such as \"{%sNAME}\"",
		    STR_ARG(name), row->name);
		return -1;
	}
	if (!row && is_capture_name(name)) {
		row = &template_capture;
		arg = name;
	}
	if (!row) {
		say_unknown(r, w, name);
		return -1;
	}
	p->row = row;
	p->text = arg;
	p->token = row->kind == TEMPLATE_HEADER ? (uint8_t)token_of(arg) : TOKEN_OTHER;
	return 0;
}

/* Takes the next part off the front of what is left from *at on. */
static int
next_part(const struct report *r, struct str text, struct where w, size_t *at,
	  struct template_part *p)
{
	size_t from = *at, to = from;

	*p = (struct template_part){ .offset = (uint32_t)from };
	if (text.at[from] == '{' && from + 1 < text.len && text.at[from + 1] != '{') {
		struct str rest = str_from(text, from + 1);
		ptrdiff_t close = str_find(rest, '}');

		if (close < 0) {
			say(r, 401, where_in(w, from, 1),
			    "this brace is not closed; a brace itself is \"{{\"");
			return -1;
		}
		p->len = (uint32_t)close + 2;
		*at = from + p->len;
		return name_part(r, p, str_first(rest, (size_t)close),
				 where_in(w, from, p->len));
	}
	if (text.at[from] == '{') {             /* "{{", or a brace at the end */
		if (from + 1 >= text.len) {
			say(r, 401, where_in(w, from, 1),
			    "this brace is not closed; a brace itself is \"{{\"");
			return -1;
		}
		from++, to = from + 1;
	}
	while (to < text.len && text.at[to] != '{')
		to++;
	p->text = (struct str){ text.at + from, to - from };
	p->len = (uint32_t)(to - p->offset);
	*at = to;
	return 0;
}

/* "$host" and "$1" of other products are text here. */
static void
warn_dollar(const struct report *r, struct str text, struct where w)
{
	static const struct { const char *word, *here;
	} words[] = {
		{ "host", "host" },           { "http_host", "host" },
		{ "server_name", "host" },    { "request_uri", "path" },
		{ "uri", "path" },            { "request_method", "method" },
		{ "scheme", "scheme" },       { "remote_addr", "client.ip" },
		{ "remote_port", "client.port" }, { "request_id", "request.id" },
	};
	const char *near = "NAME";
	ptrdiff_t at = str_find(text, '$');
	size_t n;

	if (at < 0)
		return;

	struct str word = str_from(text, (size_t)at + 1);

	for (n = 0; n < word.len; n++) {
		unsigned char c = (unsigned char)word.at[n], l = char_lower(c);

		if ((unsigned)(l - 'a') >= 26 && (unsigned)(c - '0') >= 10 && c != '_')
			break;
	}
	if (!n)
		return;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (str_eq(str_first(word, n), str_of(words[i].word)))
			near = words[i].here;
	w = where_in(w, (size_t)at, n + 1);
	if (r->load)
		conf_warn(r->load, 408, w, "\"$%.*s\" is plain text here; write \"{%s}\"",
			  STR_ARG(str_first(word, n)), near);
	else
		diag_warn(r->diag, 408, w, "\"$%.*s\" is plain text here; write \"{%s}\"",
			  STR_ARG(str_first(word, n)), near);
}

static const struct template *
compile(struct arena *a, const struct report *r, struct str text, struct where w)
{
	struct template_part part[PARTS_MAX];
	struct template *t;
	uint32_t n = 0;
	int bad = 0;

	text = arena_str(a, text);
	for (size_t at = 0; at < text.len;) {
		if (n == PARTS_MAX) {
			say(r, 405, w, "a template has at most %d parts", PARTS_MAX);
			return NULL;
		}
		size_t before = at;
		if (next_part(r, text, w, &at, &part[n++]) < 0) {
			bad = -1;
			if (at == before)
				break;
		}
	}
	if (bad)
		return NULL;
	warn_dollar(r, text, w);
	t = ARENA_NEW(a, struct template);
	*t = (struct template){ .n = n, .text = text, .where = w,
				.constant = n == 0 || (n == 1 && !part[0].row) };
	if (n) {
		struct template_part *to = ARENA_NEWS(a, struct template_part, n);

		memcpy(to, part, n * sizeof(*to));
		t->parts = to;
	}
	return t;
}

const struct template *
template_compile(struct arena *a, struct diag *diag, struct str text, struct where w)
{
	return compile(a, &(struct report){ .diag = diag }, text, w);
}

int
template_parse(struct conf_load *load, const struct conf_node *node, struct str text,
	       struct where w, void *to)
{
	const struct template **out = to;

	if (node && conf_text(load, node, &text) < 0)
		return -1;
	if (node)
		w = conf_where(node);
	*out = compile(conf_arena(load), &(struct report){ .load = load }, text, w);
	return *out ? 0 : -1;
}

int
template_pairs_parse(struct conf_load *load, const struct conf_node *node,
		     struct str text, struct where w, void *to)
{
	struct template_pairs *pairs = to;
	int rc = 0;

	(void)text;
	*pairs = (struct template_pairs){ 0 };
	if (!node)
		return 0;
	if (conf_kind_of(node) != CONF_NODE_GROUP) {
		conf_error(load, 407, w,
			   "this is a group of strings, such as { x-name = \"value\"; }");
		return -1;
	}
	pairs->n = conf_count(node);
	pairs->at = ARENA_NEWS(conf_arena(load), struct template_pair, pairs->n);
	for (size_t i = 0; i < pairs->n; i++) {
		const struct conf_node *child = conf_child(node, i);

		pairs->at[i].key = arena_str(conf_arena(load), conf_name_of(child));
		pairs->at[i].token = (uint8_t)token_of(pairs->at[i].key);
		pairs->at[i].key_where = conf_name_where(child);
		if (template_parse(load, child, STR_NONE, w, &pairs->at[i].value) < 0)
			rc = -1;
	}
	return rc;
}

struct template_piece
template_piece(const struct template *t, uint32_t i, struct exchange *x)
{
	const struct template_part *p = &t->parts[i];

	if (!p->row)
		return (struct template_piece){ .value = p->text,
						.kind = TEMPLATE_LITERAL };
	return (struct template_piece){ .value = p->row->get(x, p->text, p->token),
					.name = p->text,
					.kind = p->row->kind };
}

enum template_kind
template_kind(const struct template *t)
{
	return t->n == 1 && t->parts[0].row ? t->parts[0].row->kind : TEMPLATE_LITERAL;
}

/* What stays as it is. Values that come from a URI keep all that may stand in one (RFC
 * 3986 pchar, "/", and "?" in a query), their escapes too; of all others only unreserved
 * characters. */
static bool
is_uri_safe(unsigned char c, unsigned kind)
{
	if ((unsigned)(char_lower(c) - 'a') < 26 || (unsigned)(c - '0') < 10 ||
	    (c && strchr("-._~", c)))
		return true;
	if (kind != TEMPLATE_CAPTURE && kind != TEMPLATE_TEXT && kind != TEMPLATE_QUERY)
		return false;
	return c &&
	       (strchr("%!$&'()*+,;=:@/", c) || (c == '?' && kind == TEMPLATE_QUERY));
}

static struct str
uri_value(const struct template_piece *p, struct arena *a)
{
	static const char hex[] = "0123456789ABCDEF";
	char *to, *end;
	size_t bad = 0;

	for (size_t i = 0; i < p->value.len; i++)
		bad += !is_uri_safe((unsigned char)p->value.at[i], p->kind);
	if (!bad)
		return p->value;
	to = end = arena_alloc_aligned(a, p->value.len + 2 * bad, 1);
	for (size_t i = 0; i < p->value.len; i++) {
		unsigned char c = (unsigned char)p->value.at[i];

		if (is_uri_safe(c, p->kind)) {
			*end++ = (char)c;
		} else {
			*end++ = '%';
			*end++ = hex[c >> 4];
			*end++ = hex[c & 15];
		}
	}
	return (struct str){ to, (size_t)(end - to) };
}

static struct str
eval(const struct template *t, struct exchange *x, bool uri)
{
	struct str value[PARTS_MAX];
	size_t len = 0;
	char *to, *at;

	if (t->constant)
		return t->n ? t->parts[0].text : STR("");
	for (uint32_t i = 0; i < t->n; i++) {
		struct template_piece p = template_piece(t, i, x);

		value[i] = uri && p.kind != TEMPLATE_LITERAL ? uri_value(&p, &x->arena)
							     : p.value;
		len += value[i].len;
	}
	if (t->n == 1)
		return value[0];
	to = at = arena_alloc_aligned(&x->arena, len, 1);
	for (uint32_t i = 0; i < t->n; i++)
		if (value[i].len)
			at = mempcpy(at, value[i].at, value[i].len);
	return (struct str){ to, len };
}

struct str
template_eval(const struct template *t, struct exchange *x)
{
	if (t->n == 1)                          /* most are one name */
		return template_piece(t, 0, x).value;
	return eval(t, x, false);
}

struct str
template_eval_uri(const struct template *t, struct exchange *x)
{
	return eval(t, x, true);
}

struct str
template_eval_location(const struct template *t, struct exchange *x)
{
	struct str to = eval(t, x, true);

	if (to.len < 2 || to.at[0] != '/' || to.at[1] != '/' ||
	    str_starts(t->text, STR("//")))
		return to;
	return arena_printf(&x->arena, "/.%.*s", STR_ARG(to));
}

bool
template_is_identity(const struct template *t)
{
	bool any = false;

	for (uint32_t i = 0; i < t->n; i++) {
		if (!t->parts[i].row)
			continue;
		if (!t->parts[i].row->identity)
			return false;
		any = true;
	}
	return any;
}

bool
template_has_captures(const struct template *t)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->parts[i].row == &template_capture)
			return true;
	return false;
}

int
template_check_captures(const struct template *t, const struct str *captures, size_t n,
			struct diag *diag, struct where used_at)
{
	int bad = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct template_part *p = &t->parts[i];
		const char *words[32];
		const char *near;
		size_t k, nwords = 0;

		if (p->row != &template_capture)
			continue;
		for (k = 0; k < n && !str_eq(captures[k], p->text); k++)
			;
		if (k < n)
			continue;
		for (k = 0; k < n && nwords < 31; k++)
			words[nwords++] = arena_str(diag->arena, captures[k]).at;
		words[nwords] = NULL;
		near = diag_nearest(p->text, words);
		if (!near) {
			nwords = 0;
			for (const struct template_name *r = template_names;
			     r->name && nwords < 31; r++)
				if (!r->later)
					words[nwords++] = r->name;
			words[nwords] = NULL;
			near = diag_nearest(p->text, words);
		}
		diag_error(diag, 403, where_in(t->where, p->offset, p->len),
			   near ? "no capture gives \"{%.*s}\"; did you mean \"{%s}\"?"
				: "no capture gives \"{%.*s}\"%s",
			   STR_ARG(p->text), near ? near : "");
		if (used_at.file &&
		    (used_at.line != t->where.line || used_at.file != t->where.file))
			diag_note(diag, used_at, "used here");
		bad = -1;
	}
	return bad;
}

void
template_each(const struct conf_field *rows, const void *self,
	      void (*fn)(const struct template *, void *arg), void *arg)
{
	for (; rows->key; rows++) {
		const void *at = (const char *)self + rows->offset;

		if (rows->kind == CONF_KIND_GROUP) {
			template_each(rows->sub, at, fn, arg);
		} else if (rows->kind == CONF_KIND_VIA && rows->parse == template_parse) {
			const struct template *t = *(const struct template *const *)at;

			if (t)
				fn(t, arg);
		} else if (rows->kind == CONF_KIND_VIA &&
			   rows->parse == template_pairs_parse) {
			const struct template_pairs *pairs = at;

			for (size_t i = 0; i < pairs->n; i++)
				if (pairs->at[i].value)
					fn(pairs->at[i].value, arg);
		}
	}
}
