#include "base/diag.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/json_write.h"

enum {
	KEPT = 1000,      /* findings; a hostile file may have millions */
	SHOWN = 50,       /* errors, and as many warnings */
	LINE_WIDTH = 160, /* of an excerpt */
	LINE_LEAD = 80,   /* shown before the place in a line longer than that */
	WORD_MAX = 63,
};

void
diag_init(struct diag *d, struct arena *a)
{
	*d = (struct diag){ .arena = a };
	d->last = &d->first;
}

void
diag_file(struct diag *d, const char *name, struct str text)
{
	struct diag_file **at = &d->files;

	for (; *at; at = &(*at)->next)
		if (strcmp((*at)->name, name) == 0) {
			(*at)->text = text;
			return;
		}
	*at = ARENA_NEW(d->arena, struct diag_file);
	(*at)->name = name;
	(*at)->text = text;
	d->nfiles++;
}

static void __attribute__((format(printf, 5, 0)))
add(struct diag *d, enum diag_level level, int code, struct where w, const char *fmt,
    va_list args)
{
	if (level != DIAG_NOTE)
		d->dropping = d->errors + d->warnings >= KEPT;
	d->errors += level == DIAG_ERROR;
	d->warnings += level == DIAG_WARNING;
	d->newest = NULL;
	if (d->dropping)
		return;

	struct diag_item *item = ARENA_NEW(d->arena, struct diag_item);
	char text[2048];
	int n = vsnprintf(text, sizeof(text), fmt, args);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;

	item->level = level;
	item->code = code;
	item->where = w;
	item->about = NULL;
	item->text = arena_str(d->arena, (struct str){ text, len });
	*d->last = item;
	d->last = &item->next;
	d->newest = item;
}

void
diag_error(struct diag *d, int code, struct where w, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(d, DIAG_ERROR, code, w, fmt, args);
	va_end(args);
}

void
diag_warn(struct diag *d, int code, struct where w, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(d, DIAG_WARNING, code, w, fmt, args);
	va_end(args);
}

void
diag_note(struct diag *d, struct where w, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(d, DIAG_NOTE, 0, w, fmt, args);
	va_end(args);
}

void
diag_about(struct diag *d, const char *option)
{
	if (d->newest)
		d->newest->about = option;
}

void
diag_undo(struct diag *d, const struct diag *before)
{
	d->last = before->last;
	*d->last = NULL;
	d->newest = NULL;
	d->errors = before->errors;
	d->warnings = before->warnings;
	d->dropping = before->dropping;
}

struct where
where_in(struct where w, size_t offset, size_t len)
{
	/* The quote before the value is part of what `w` underlines. */
	size_t at = offset + 1;

	if (!w.file || at >= w.len)
		return w;
	if (len > w.len - at)
		len = w.len - at;
	w.column += (uint32_t)at;
	w.len = len ? (uint32_t)len : 1;
	return w;
}

static const struct diag_file *
file_of(const struct diag *d, const char *name, size_t *rank)
{
	*rank = 0;
	for (const struct diag_file *f = d->files; f && name; f = f->next, ++*rank)
		if (strcmp(f->name, name) == 0)
			return f;
	if (!name)
		*rank = SIZE_MAX;
	return NULL;
}

static struct str
line_of(const struct diag_file *f, uint32_t line)
{
	struct str rest = f->text, part = STR_NONE;

	for (uint32_t i = 0; i < line; i++)
		if (!str_split(&rest, '\n', &part))
			return STR_NONE;
	if (part.len && part.at[part.len - 1] == '\r')
		part.len--;
	return part;
}

/* A part of the line that has the place in it and does not cut a character. */
static struct str
excerpt(struct str line, size_t column, size_t *from)
{
	*from = 0;
	if (line.len > LINE_WIDTH && column > LINE_LEAD)
		*from = column - LINE_LEAD;
	while (*from < line.len && ((unsigned char)line.at[*from] & 0xc0) == 0x80)
		++*from;
	return str_first(str_from(line, *from), LINE_WIDTH);
}

static void
print_caret(const struct diag_file *f, struct where w, FILE *out)
{
	struct str line = line_of(f, w.line);

	if (!line.at || !w.len || !w.column || w.column > line.len + 1)
		return;

	size_t from, place = w.column - 1;
	struct str shown = excerpt(line, place, &from);
	const char *cut = from ? "…" : "";

	place -= from;
	fprintf(out, "%5" PRIu32 " | %s", w.line, cut);
	for (size_t i = 0; i < shown.len; i++) {
		unsigned char c = (unsigned char)shown.at[i];

		fputc((c < 0x20 && c != '\t') || c == 0x7f ? '?' : c, out);
	}
	fprintf(out, "\n      | %s", from ? " " : "");
	for (size_t i = 0; i < place && i < shown.len; i++) {
		unsigned char c = (unsigned char)shown.at[i];

		if ((c & 0xc0) != 0x80)
			fputc(c == '\t' ? '\t' : ' ', out);
	}
	fputc('^', out);
	for (size_t i = place + 1; i < place + w.len && i < shown.len; i++)
		if (((unsigned char)shown.at[i] & 0xc0) != 0x80)
			fputc('~', out);
	fputc('\n', out);
}

static void
print_item(const struct diag *d, const struct diag_item *item, FILE *out)
{
	static const char *const names[] = { "error", "warning", "note" };
	struct where w = item->where;
	size_t rank;
	const struct diag_file *f = file_of(d, w.file, &rank);

	if (w.file && w.line)
		fprintf(out, "%s:%" PRIu32 ":%" PRIu32 ": ", w.file, w.line, w.column);
	else if (w.file)
		fprintf(out, "%s: ", w.file);
	fprintf(out, "%s: %.*s", names[item->level], STR_ARG(item->text));
	if (item->code)
		fprintf(out, " [%c%d]", item->level == DIAG_ERROR ? 'E' : 'W',
			item->code);
	fputc('\n', out);
	if (f && w.line && item->level != DIAG_NOTE)
		print_caret(f, w, out);
}

/* A finding with its notes behind it, and the place where it sorts. */
struct group {
	const struct diag_item *item;
	size_t rank, order;
};

static int
compare(const void *left, const void *right)
{
	const struct group *a = left, *b = right;
	struct where v = a->item->where, w = b->item->where;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (v.file && w.file && v.file != w.file && strcmp(v.file, w.file) != 0)
		return strcmp(v.file, w.file);
	if (v.line != w.line)
		return v.line < w.line ? -1 : 1;
	if (v.column != w.column)
		return v.column < w.column ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

static struct group *
sorted(const struct diag *d, size_t *n)
{
	struct group *all = NULL;

	*n = 0;
	for (const struct diag_item *i = d->first; i; i = i->next) {
		if (i->level == DIAG_NOTE && *n)
			continue;
		all = arena_push(d->arena, all, *n, sizeof(*all));
		all[*n].item = i;
		all[*n].order = *n;
		file_of(d, i->where.file, &all[*n].rank);
		++*n;
	}
	if (*n)
		qsort(all, *n, sizeof(*all), compare);
	return all;
}

static void
print_sum(const struct diag *d, const struct diag_item *first, FILE *out)
{
	if (d->errors)
		fprintf(out, "%d error%s", d->errors, d->errors == 1 ? "" : "s");
	if (d->errors && d->warnings)
		fputs(", ", out);
	if (d->warnings)
		fprintf(out, "%d warning%s", d->warnings, d->warnings == 1 ? "" : "s");
	if (!d->errors && !d->warnings)
		fputs("no errors", out);
	if (d->nfiles)
		fprintf(out, " in %d file%s", d->nfiles, d->nfiles == 1 ? "" : "s");
	fputc('.', out);
	if (d->outcome)
		fprintf(out, " %s", d->outcome);
	/* Explaining the first error is the next step. */
	if (first && first->about)
		fprintf(out, " Next: postern explain %s", first->about);
	else if (first)
		fprintf(out, " Next: postern explain E%d", first->code);
	fputc('\n', out);
}

void
diag_print(const struct diag *d, FILE *out)
{
	size_t n;
	struct group *all = sorted(d, &n);
	int shown[] = { 0, 0, 0 };
	const struct diag_item *first = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct diag_item *item = all[i].item;

		if (shown[item->level] == SHOWN)
			continue;
		shown[item->level]++;
		if (item->level == DIAG_ERROR && item->code && !first)
			first = item;
		do {
			print_item(d, item, out);
			item = item->next;
		} while (item && item->level == DIAG_NOTE);
	}

	int more = d->errors + d->warnings - shown[DIAG_ERROR] - shown[DIAG_WARNING];

	if (more > 0)
		fprintf(out, "… and %d more\n", more);
	print_sum(d, first, out);
}

static void
json_item(struct json_write *j, const struct diag_item *item)
{
	static const char *const names[] = { "error", "warning", "note" };
	char code[16];

	json_open(j, '{');
	json_key(j, STR("level"));
	json_str(j, str_of(names[item->level]));
	if (item->code) {
		snprintf(code, sizeof(code), "%c%d",
			 item->level == DIAG_ERROR ? 'E' : 'W', item->code);
		json_key(j, STR("code"));
		json_str(j, str_of(code));
	}
	if (item->where.file) {
		json_key(j, STR("file"));
		json_str(j, str_of(item->where.file));
		json_key(j, STR("line"));
		json_int(j, item->where.line);
		json_key(j, STR("column"));
		json_int(j, item->where.column);
		json_key(j, STR("length"));
		json_int(j, item->where.len);
	}
	if (item->about) {
		json_key(j, STR("option"));
		json_str(j, str_of(item->about));
	}
	json_key(j, STR("text"));
	json_str(j, item->text);
}

static size_t
json_room(const struct diag_item *item)
{
	return 256 + 6 * (item->text.len + str_of(item->where.file).len +
			  str_of(item->about).len);
}

void
diag_print_json(const struct diag *d, FILE *out)
{
	size_t n;
	struct group *all = sorted(d, &n);

	fprintf(out, "{\"errors\":%d,\"warnings\":%d,\"files\":%d,\"findings\":[", d->errors,
		d->warnings, d->nfiles);
	for (size_t i = 0; i < n; i++) {
		const struct diag_item *item = all[i].item;
		size_t room = json_room(item);
		struct json_write j;

		for (const struct diag_item *k = item->next; k && k->level == DIAG_NOTE;
		     k = k->next)
			room += json_room(k);

		char *text = arena_alloc(d->arena, room);

		json_begin(&j, text, room);
		json_item(&j, item);
		json_key(&j, STR("notes"));
		json_open(&j, '[');
		while ((item = item->next) && item->level == DIAG_NOTE) {
			json_item(&j, item);
			json_close(&j, '}');
		}
		json_close(&j, ']');
		json_close(&j, '}');
		fprintf(out, "%s%.*s", i ? "," : "", (int)(j.at - text), text);
	}
	fputs("]}\n", out);
}

static bool
same(char a, char b)
{
	if (a == '_')
		a = '-';
	if (b == '_')
		b = '-';
	return char_lower((unsigned char)a) == char_lower((unsigned char)b);
}

/* Damerau-Levenshtein, each pair of letters swapped at most once. */
static unsigned
distance(struct str a, struct str b)
{
	unsigned row[3][WORD_MAX + 1];
	unsigned *before = row[0], *above = row[1], *here = row[2];

	for (unsigned k = 0; k <= b.len; k++)
		above[k] = k;
	for (unsigned i = 1; i <= a.len; i++) {
		here[0] = i;
		for (unsigned k = 1; k <= b.len; k++) {
			unsigned best = above[k - 1] + !same(a.at[i - 1], b.at[k - 1]);

			if (above[k] + 1 < best)
				best = above[k] + 1;
			if (here[k - 1] + 1 < best)
				best = here[k - 1] + 1;
			if (i > 1 && k > 1 && same(a.at[i - 1], b.at[k - 2]) &&
			    same(a.at[i - 2], b.at[k - 1]) && before[k - 2] + 1 < best)
				best = before[k - 2] + 1;
			here[k] = best;
		}

		unsigned *spare = before;

		before = above;
		above = here;
		here = spare;
	}
	return above[b.len];
}

const char *
diag_nearest(struct str s, const char *const *words)
{
	const char *nearest = NULL;
	unsigned least = s.len < 3 ? 2 : (unsigned)(s.len + 1) / 3 + 1;

	if (!s.len || s.len > WORD_MAX)
		return NULL;
	for (; *words; words++) {
		struct str word = str_of(*words);

		if (word.len > WORD_MAX)
			continue;

		unsigned far = distance(s, word);

		if (far < least && far < word.len) {
			least = far;
			nearest = *words;
		}
	}
	return nearest;
}
