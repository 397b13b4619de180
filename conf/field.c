#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "conf/reader.h"

enum { ROWS_MAX = 32 };

struct arena *
conf_arena(struct conf_load *l)
{
	return l->image;
}

struct reader_scope
reader_begin(struct conf_load *l, const char *kind, struct str name)
{
	struct reader_scope before = { l->kind, l->name };

	l->kind = kind;
	l->name = name;
	return before;
}

void
reader_end(struct conf_load *l, struct reader_scope before)
{
	l->kind = before.kind;
	l->name = before.name;
}

/* route "create": … */
__attribute__((format(printf, 2, 0))) static const char *
scoped(struct conf_load *l, const char *fmt, va_list args, char *buf, size_t size)
{
	int n = 0;

	if (l->kind)
		n = snprintf(buf, size, l->name.len ? "%s \"%.*s\": " : "%s: ", l->kind,
			     STR_ARG(l->name));
	if (n < 0 || (size_t)n >= size)
		n = 0;
	vsnprintf(buf + n, size - (size_t)n, fmt, args);
	return buf;
}

void
conf_error(struct conf_load *l, int code, struct where w, const char *fmt, ...)
{
	char buf[1024];
	va_list args;

	va_start(args, fmt);
	diag_error(l->diag, code, w, "%s", scoped(l, fmt, args, buf, sizeof(buf)));
	va_end(args);
	if (l->row && !l->diag->dropping)
		diag_about(l->diag, suggest_path(l->diag->arena, l->types, l->row));
}

void
conf_warn(struct conf_load *l, int code, struct where w, const char *fmt, ...)
{
	char buf[1024];
	va_list args;

	va_start(args, fmt);
	diag_warn(l->diag, code, w, "%s", scoped(l, fmt, args, buf, sizeof(buf)));
	va_end(args);
}

int
conf_text(struct conf_load *l, const struct conf_node *n, struct str *out)
{
	if (n->kind != CONF_NODE_STRING)
		return wrong_type(l, n, NULL, "a string in quotes");
	if (has_variables(n->text))
		return replace_variables(l, n, n->text, out);
	*out = n->text;
	return 0;
}

static const char *
found(struct arena *a, const struct conf_node *n)
{
	switch (conf_kind_of(n)) {
	case CONF_NODE_BOOL:    return n->number ? "true" : "false";
	case CONF_NODE_INT:     return arena_printf(a, "the number %lld", n->number).at;
	case CONF_NODE_FLOAT:   return arena_printf(a, "the number %g", n->real).at;
	case CONF_NODE_STRING:  return arena_printf(a, "the string \"%.*s\"%s",
						    STR_ARG(str_first(n->text, 40)),
						    n->text.len > 40 ? "…" : "").at;
	case CONF_NODE_GROUP:   return "a group";
	case CONF_NODE_LIST:    return "a list";
	case CONF_NODE_BROKEN:  break;
	}
	return "something else";
}

int
wrong_type(struct conf_load *l, const struct conf_node *n, const char *key,
	   const char *right)
{
	struct str name = key ? str_of(key) : conf_name_of(n);

	if (n->kind == CONF_NODE_BROKEN)
		return -1;
	if (name.len)
		conf_error(l, 205, conf_where(n), "\"%.*s\" cannot be %s; write %s",
			   STR_ARG(name), found(&l->scratch, n), right);
	else
		conf_error(l, 205, conf_where(n), "this cannot be %s; write %s",
			   found(&l->scratch, n), right);
	return -1;
}

static int
unit_missing(struct conf_load *l, const struct conf_field *r, const struct conf_node *n,
	     long long v)
{
	struct where w = conf_where(n);
	char size[32];

	put_size(size, (uint64_t)v);
	if (r->kind == CONF_KIND_DURATION)
		conf_error(l, 206, w, "\"%s\" needs a unit: \"%llds\" or \"%lldms\"",
			   r->key, v, v);
	else if (r->kind == CONF_KIND_SHARE)
		conf_error(l, 206, w, "\"%s\" needs a percent sign: \"%lld%%\"", r->key,
			   v);
	else if (v && v % 1024 == 0)
		conf_error(l, 206, w, "\"%s\" needs a unit: \"%s\"", r->key, size);
	else
		conf_error(l, 206, w, "\"%s\" needs a unit: \"%lldB\" or \"%lldKiB\"",
			   r->key, v, v);
	return -1;
}

static int
out_of_range(struct conf_load *l, const struct conf_field *r, struct where w, uint64_t v)
{
	char is[32], low[32], high[32];
	void (*put)(char *, uint64_t) =
		r->kind == CONF_KIND_SIZE ? put_size : put_duration;

	put(is, v);
	put(low, (uint64_t)r->min);
	put(high, (uint64_t)r->max);
	conf_error(l, 207, w, "\"%s\" is %s; it may be %s to %s", r->key, is, low, high);
	return -1;
}

/* A duration or size, from a node or (node NULL) from the default. */
static int
quantity(struct conf_load *l, const struct conf_field *r, const struct conf_node *n,
	 struct str text, void *to)
{
	const char *error;
	uint64_t v = 0;

	if (n && n->kind == CONF_NODE_INT)
		return unit_missing(l, r, n, n->number);
	if (n && n->kind != CONF_NODE_STRING)
		return wrong_type(l, n, r->key, r->kind == CONF_KIND_SIZE ? "\"64KiB\"" :
				  r->kind == CONF_KIND_SHARE ? "\"20%\"" : "\"30s\"");
	if (n && conf_text(l, n, &text) < 0)
		return -1;

	unsigned long long bare;

	if (n && str_u64(text, 1ull << 40, &bare))
		return unit_missing(l, r, n, (long long)bare);
	if (r->kind == CONF_KIND_SHARE) {
		if (conf_share(text, to, &error) == 0)
			return 0;
	} else if (!r->min && str_eq(text, STR("none"))) {
		*(uint64_t *)to = 0;
		return 0;
	} else if ((r->kind == CONF_KIND_SIZE ? conf_size : conf_duration)(text, &v,
									   &error) == 0) {
		*(uint64_t *)to = v;
		if (r->max && (v < (uint64_t)r->min || v > (uint64_t)r->max))
			return out_of_range(l, r, n ? conf_where(n) : (struct where){ 0 },
					    v);
		return 0;
	}

	const char *fix = unit_of_others(&l->scratch, text, r->kind == CONF_KIND_SIZE);

	conf_error(l, 206, n ? conf_where(n) : (struct where){ 0 },
		   fix ? "\"%s\": \"%.*s\" is not understood; write \"%s\""
		       : "\"%s\": \"%.*s\" is not understood; %s",
		   r->key, STR_ARG(str_first(text, 60)), fix ? fix : error);
	return -1;
}

static int
integer(struct conf_load *l, const struct conf_field *r, const struct conf_node *n,
	int64_t *to)
{
	if (n->kind != CONF_NODE_INT)
		return wrong_type(l, n, r->key, n->kind == CONF_NODE_STRING ?
				  "a whole number without quotes" : "a whole number");
	if ((r->min || r->max) && (n->number < r->min || n->number > r->max)) {
		conf_error(l, 207, conf_where(n),
			   "\"%s\" is %lld; it may be %" PRId64 " to %" PRId64, r->key,
			   n->number, r->min, r->max);
		return -1;
	}
	*to = n->number;
	return 0;
}

static int
enumeration(struct conf_load *l, const struct conf_field *r, const struct conf_node *n,
	    struct str text, int *to)
{
	if (n && n->kind != CONF_NODE_STRING)
		return wrong_type(l, n, r->key,
				  suggest_word(&l->scratch, STR(""), r->words) + 8);
	if (n && conf_text(l, n, &text) < 0)
		return -1;
	for (int i = 0; r->words[i]; i++)
		if (str_eq(text, str_of(r->words[i]))) {
			*to = i;
			return 0;
		}
	conf_error(l, 211, n ? conf_where(n) : (struct where){ 0 },
		   "\"%s\" cannot be \"%.*s\"%s", r->key, STR_ARG(str_first(text, 60)),
		   suggest_word(&l->scratch, text, r->words));
	return -1;
}

static int
strings(struct conf_load *l, const struct conf_field *r, const struct conf_node *n,
	struct conf_strs *to)
{
	int result = 0;

	if (n->kind == CONF_NODE_STRING) {
		const char *right = arena_printf(&l->scratch, "[ \"%.*s\" ]",
						 STR_ARG(str_first(n->text, 60))).at;

		return wrong_type(l, n, r->key, right);
	}
	if (n->kind != CONF_NODE_LIST)
		return wrong_type(l, n, r->key, "a list of strings: [ \"a\", \"b\" ]");
	to->n = n->n;
	to->at = ARENA_NEWS(l->image, struct str, n->n);
	to->where = ARENA_NEWS(l->image, struct where, n->n);
	for (uint32_t i = 0; i < n->n; i++) {
		to->where[i] = conf_where(n->child[i]);
		if (conf_text(l, n->child[i], &to->at[i]) < 0)
			result = -1;
	}
	return result;
}

static int
pairs(struct conf_load *l, const struct conf_field *r, const struct conf_node *n,
      struct conf_pairs *to)
{
	int result = 0;

	if (n->kind != CONF_NODE_GROUP)
		return wrong_type(l, n, r->key,
				  "a group of strings: { name = \"value\"; }");
	to->n = n->n;
	to->at = ARENA_NEWS(l->image, struct conf_pair, n->n);
	for (uint32_t i = 0; i < n->n; i++) {
		struct conf_pair *p = &to->at[i];

		p->key = arena_str(l->image, conf_name_of(n->child[i]));
		p->key_where = conf_name_where(n->child[i]);
		p->value_where = conf_where(n->child[i]);
		if (conf_text(l, n->child[i], &p->value) < 0)
			result = -1;
	}
	return result;
}

static int
string(struct conf_load *l, const struct conf_field *r, const struct conf_node *n,
       struct str *to)
{
	if (r->flags & CONF_F_SECRET && n->kind != CONF_NODE_STRING) {
		struct where unseen = conf_where(n);

		unseen.len = 0;
		conf_error(l, 205, unseen, "\"%s\" is a string in quotes", r->key);
		return -1;
	}
	if (n->kind == CONF_NODE_INT)
		return wrong_type(l, n, r->key,
				  arena_printf(&l->scratch, "\"%lld\"", n->number).at);
	if (n->kind != CONF_NODE_STRING)
		return wrong_type(l, n, r->key, "a string in quotes");
	if (conf_text(l, n, to) < 0)
		return -1;
	if (r->flags & CONF_F_SECRET)
		return secret_read(l, n, *to, to);
	if (r->flags & CONF_F_NONE && str_eq(*to, STR("none")))
		*to = STR_NONE;
	if (r->kind == CONF_KIND_PATH && to->len)
		*to = source_path(n->source, l->image, *to);
	return 0;
}

int
conf_fill_one(struct conf_load *l, const struct conf_field *r, const struct conf_node *n,
	      void *to)
{
	if (n->kind == CONF_NODE_BROKEN) {
		l->model->uses_broken |= r->parse == uses_parse;
		return -1;
	}
	switch (r->kind) {
	case CONF_KIND_BOOL:
		if (n->kind != CONF_NODE_BOOL)
			return wrong_type(l, n, r->key, "true or false");
		*(bool *)to = n->number;
		return 0;
	case CONF_KIND_INT:
		return integer(l, r, n, to);
	case CONF_KIND_SIZE:
	case CONF_KIND_DURATION:
	case CONF_KIND_SHARE:
		return quantity(l, r, n, STR_NONE, to);
	case CONF_KIND_STR:
	case CONF_KIND_PATH:
		return string(l, r, n, to);
	case CONF_KIND_FILE:
		return file_read(l, r, n, to);
	case CONF_KIND_ENUM:
		return enumeration(l, r, n, STR_NONE, to);
	case CONF_KIND_STRS:
		return strings(l, r, n, to);
	case CONF_KIND_PAIRS:
		return pairs(l, r, n, to);
	case CONF_KIND_GROUP:
		return conf_fill(l, n, r->sub, to);
	case CONF_KIND_VIA:
		return r->parse(l, n, STR_NONE, conf_where(n), to);
	case CONF_KIND_END:
		break;
	}
	return 0;
}

static int
fill_default(struct conf_load *l, const struct conf_field *r, void *to)
{
	struct str text = str_of(r->def);

	if (r->kind == CONF_KIND_GROUP)
		return conf_defaults(l, r->sub, to);
	if (!r->def)
		return 0;
	switch (r->kind) {
	case CONF_KIND_BOOL:
		*(bool *)to = strcmp(r->def, "true") == 0;
		return 0;
	case CONF_KIND_INT:
		*(int64_t *)to = strtoll(r->def, NULL, 10);
		return 0;
	case CONF_KIND_SIZE:
	case CONF_KIND_DURATION:
	case CONF_KIND_SHARE:
		return quantity(l, r, NULL, text, to);
	case CONF_KIND_STR:
	case CONF_KIND_PATH:
		*(struct str *)to = arena_str(l->image, text);
		return 0;
	case CONF_KIND_ENUM:
		return enumeration(l, r, NULL, text, to);
	case CONF_KIND_VIA:
		return r->parse(l, NULL, text, (struct where){ 0 }, to);
	default:
		return 0;
	}
}

int
conf_defaults(struct conf_load *l, const struct conf_field *rows, void *to)
{
	int result = 0;

	for (const struct conf_field *r = rows; r->key; r++)
		if (!(r->flags & CONF_F_LATER) &&
		    fill_default(l, r, (char *)to + r->offset) < 0)
			result = -1;
	return result;
}

static const struct conf_field *
row_of(const struct conf_field *rows, struct str key)
{
	for (const struct conf_field *r = rows; r->key; r++)
		if (key.len && r->key[0] == key.at[0] &&
		    strncmp(r->key, key.at, key.len) == 0 && r->key[key.len] == '\0')
			return r;
	return NULL;
}

static int
missing(struct conf_load *l, const struct conf_node *group, const struct conf_field *r)
{
	if (!group->damaged)
		conf_error(l, 208,
			   group->name_len ? conf_name_where(group) : conf_where(group),
			   "\"%s\" is missing: %s", r->key, r->help);
	return -1;
}

int
conf_fill(struct conf_load *l, const struct conf_node *group,
	  const struct conf_field *rows, void *to)
{
	/* What was meant by another word is not missing. */
	static const struct conf_node wrong = { .kind = CONF_NODE_BROKEN };
	const struct conf_node *given[ROWS_MAX] = { NULL }, *child;
	const struct conf_field *meant, *above = l->row;
	int result = 0;

	if (group->kind != CONF_NODE_GROUP)
		return wrong_type(l, group, NULL, "a group: { key = value; }");
	for_each_child(child, group) {
		const struct conf_field *r = row_of(rows, conf_name_of(child));

		if (!r) {
			meant = unknown_key(l, group, rows, child);
			if (meant && !given[meant - rows])
				given[meant - rows] = &wrong;
			result = -1;
			continue;
		}
		if (r->flags & CONF_F_LATER) {
			l->row = r;
			conf_error(l, 209, conf_name_where(child),
				   "\"%s\" (%s) is not in this version of postern",
				   r->key, r->help);
			l->row = above;
			result = -1;
			continue;
		}
		assert(r - rows < ROWS_MAX);
		given[r - rows] = child;
		if (r->flags & CONF_F_SECRET)
			secret_hide(child);
	}
	for (const struct conf_field *r = rows; r->key; r++) {
		const struct conf_node *n = given[r - rows];
		void *at = (char *)to + r->offset;

		if (r->flags & CONF_F_LATER)
			continue;
		if (!n && !(r->flags & CONF_F_REQUIRED)) {
			if (fill_default(l, r, at) < 0)
				result = -1;
			continue;
		}
		l->row = r;
		if ((n ? conf_fill_one(l, r, n, at) : missing(l, group, r)) < 0)
			result = -1;
	}
	l->row = above;
	return result;
}
