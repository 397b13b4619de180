#include "conf/describe.h"

#include <inttypes.h>

#include "conf/reader.h"

static const struct { int number; const char *slug, *text; } codes[] = {
#define CODE(number, slug, text) { number, slug, text },
#include "conf/codes.def"
#undef CODE
};

enum { CODES = sizeof(codes) / sizeof(*codes), PATH_MAX_LEN = 256 };

/* Words, broken at `width`. */
static void
wrap(FILE *out, const char *text, int indent, int width)
{
	int column = 0;

	while (*text) {
		int n = (int)strcspn(text, " ");

		if (column && column + n + 1 > width) {
			fputc('\n', out);
			column = 0;
		}
		column += fprintf(out, column ? " %*s%.*s" : "%*s%.*s",
				  column ? 0 : indent, "", n, text);
		text += n;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static const char *
kind_name(const struct conf_field *r)
{
	if (r->flags & CONF_F_NAMED)
		return "named groups";
	switch (r->kind) {
	case CONF_KIND_BOOL:     return "true or false";
	case CONF_KIND_INT:      return "whole number";
	case CONF_KIND_SIZE:     return "size, such as \"64KiB\"";
	case CONF_KIND_DURATION: return "duration, such as \"30s\"";
	case CONF_KIND_SHARE:    return "share, such as \"20%\"";
	case CONF_KIND_STR:      return "string";
	case CONF_KIND_PATH:     return "path, relative to its file";
	case CONF_KIND_FILE:
		return r->flags & CONF_F_SECRET
			       ? "string"
			       : "path, relative to its file, or \"cred:NAME\"";
	case CONF_KIND_ENUM:     return "one word";
	case CONF_KIND_STRS:     return "list of strings";
	case CONF_KIND_PAIRS:    return "group of strings";
	case CONF_KIND_GROUP:    return "group";
	default:                 return NULL;
	}
}

/* "1ms to 1h", or false when nothing is said. */
static bool
range_text(const struct conf_field *r, char *buf, size_t size)
{
	char low[32], high[32];

	if (!r->min && !r->max)
		return false;
	if (r->kind == CONF_KIND_INT) {
		snprintf(buf, size, "%" PRId64 " to %" PRId64, r->min, r->max);
		return true;
	}
	if (r->kind != CONF_KIND_SIZE && r->kind != CONF_KIND_DURATION)
		return false;
	(r->kind == CONF_KIND_SIZE ? put_size : put_duration)(low, (uint64_t)r->min);
	(r->kind == CONF_KIND_SIZE ? put_size : put_duration)(high, (uint64_t)r->max);
	if (r->max == INT64_MAX)
		snprintf(buf, size, "%s or more", low);
	else
		snprintf(buf, size, "%s to %s", low, high);
	return true;
}

static bool
bare(const struct conf_field *r)
{
	return r->kind == CONF_KIND_BOOL || r->kind == CONF_KIND_INT || *r->def == '[' ||
	       (r->kind == CONF_KIND_VIA && *r->def >= '0' && *r->def <= '9');
}

static void
say_default(const struct conf_field *r, FILE *out)
{
	fprintf(out, bare(r) ? "%s" : "\"%s\"", r->def);
}

static void
say_row(const struct conf_field *r, const char *path, FILE *out)
{
	char range[80];
	const char *kind = kind_name(r);

	fprintf(out, "%s: %s\n", path, r->help);
	if (r->flags & CONF_F_LATER) {
		fputs("  not in this version of postern; using it is an error (E209)\n",
		      out);
		return;
	}
	if (kind)
		fprintf(out, "  value    %s\n", kind);
	if (r->kind == CONF_KIND_ENUM) {
		fputs("  words   ", out);
		for (int i = 0; r->words[i]; i++)
			fprintf(out, " \"%s\"", r->words[i]);
		fputc('\n', out);
	}
	if (r->flags & CONF_F_REQUIRED) {
		fputs("  default  none: it must be given\n", out);
	} else if (r->def && *r->def) {
		fputs("  default  ", out);
		say_default(r, out);
		fputc('\n', out);
	}
	if (range_text(r, range, sizeof(range)))
		fprintf(out, "  range    %s\n", range);
	if (r->flags & CONF_F_SECRET)
		fputs("  secret   \"file:/path\", \"cred:NAME\" or \"env:NAME\"; never "
		      "printed\n",
		      out);
}

static void
say_members(const struct conf_field *rows, FILE *out)
{
	for (const struct conf_field *r = rows; r->key; r++) {
		if (r->flags & CONF_F_LATER)
			continue;
		fprintf(out, "  %-20s %s", r->key, r->help);
		if (r->flags & CONF_F_REQUIRED) {
			fputs(" (required)", out);
		} else if (r->def && *r->def) {
			fputs(" (", out);
			say_default(r, out);
			fputc(')', out);
		}
		fputc('\n', out);
	}
}

static const struct conf_field *
find(const struct conf_field *rows, struct str key)
{
	for (const struct conf_field *r = rows; r && r->key; r++)
		if (str_eq(key, str_of(r->key)))
			return r;
	return NULL;
}

static int
no_such(struct str part, const struct conf_field *rows, const char *above, FILE *out)
{
	const char *words[64];
	int n = 0;

	for (const struct conf_field *r = rows; r && r->key && n < 63; r++)
		words[n++] = r->key;
	words[n] = NULL;

	const char *near = diag_nearest(part, words);

	fprintf(out, "no option \"%.*s\"%s%s", STR_ARG(part), *above ? " in " : "",
		above);
	if (near)
		fprintf(out, "; did you mean \"%s\"?", near);
	fputc('\n', out);
	return -1;
}

/* Names of things may stand in a path (upstreams.orders.retry), be NAME, or be left
 * out. */
static int
describe_path(struct str key, const struct conf_type *const *types, FILE *out)
{
	const struct conf_field *rows = conf_rows, *row = NULL;
	char path[PATH_MAX_LEN] = "";
	size_t len = 0;
	bool may_name = false, typed = false;
	struct str part;

	while (str_split(&key, '.', &part)) {
		const struct conf_field *r = find(rows, part);

		if (!r && may_name) {
			may_name = false;
			continue;
		}
		if (!r || len + strlen(r->key) + 8 > sizeof(path))
			return no_such(part, rows, path, out);
		len += (size_t)snprintf(path + len, sizeof(path) - len, "%s%s%s",
					len ? "." : "", r->key,
					r->flags & CONF_F_NAMED && key.at ? ".NAME" : "");
		row = r;
		rows = r->sub;
		may_name = r->flags & CONF_F_NAMED;
		typed = r->flags & CONF_F_TYPED;
	}
	if (!row)
		return -1;
	say_row(row, path, out);
	if (row->sub) {
		fputc('\n', out);
		say_members(row->sub, out);
	}
	if (typed) {
		fputs("\nTypes:\n", out);
		for (int i = 0; types[i]; i++)
			fprintf(out, "  %-16s %s\n", types[i]->name, types[i]->help);
	}
	return 0;
}

static int
describe_code(int number, FILE *out)
{
	for (int i = 0; i < CODES; i++) {
		if (codes[i].number != number)
			continue;
		fprintf(out, "E%d %s\n\n", number, codes[i].slug);
		wrap(out, codes[i].text, 0, 78);
		return 0;
	}
	fprintf(out, "no finding has the code %d\n", number);
	return -1;
}

static void
describe_type(const struct conf_type *t, FILE *out)
{
	fprintf(out, "policy type \"%s\": %s\n\n", t->name, t->help);
	for (const struct conf_field *r = t->fields; r->key; r++) {
		say_row(r, r->key, out);
		if (r->sub)
			say_members(r->sub, out);
	}
}

int
conf_describe(const char *key, const struct conf_type *const *types, FILE *out)
{
	unsigned long long code;

	if (*key && strchr("EWew", *key) && str_u64(str_of(key + 1), 999, &code))
		return describe_code((int)code, out);
	for (int i = 0; types[i]; i++)
		if (strcmp(key, types[i]->name) == 0) {
			describe_type(types[i], out);
			return 0;
		}
	if (find(conf_rows, str_first(str_of(key), strcspn(key, "."))))
		return describe_path(str_of(key), types, out);

	/* A key alone: where it lives. */
	struct arena a;

	arena_init(&a, NULL, 0, 1 << 20);

	const char *home = suggest_home(&a, str_of(key));
	int result;

	if (home)
		result = describe_path(arena_printf(&a, "%s.%s", home, key), types, out);
	else
		result = no_such(str_of(key), conf_rows, "", out);
	arena_reset(&a);
	return result;
}
