/* Answers of the admin socket, for people. */
#include <stdlib.h>
#include <string.h>

#include "master/cli/admin.h"

enum { COLUMNS = 16 };

static const json_t *
member(const json_t *o, const char *key)
{
	const char *dot = strchr(key, '.');
	char first[64];

	if (!dot)
		return json_object_get(o, key);
	snprintf(first, sizeof(first), "%.*s", (int)(dot - key), key);
	return json_object_get(json_object_get(o, first), dot + 1);
}

const char *
admin_text(const json_t *o, const char *key, char buf[static 32])
{
	const json_t *v = member(o, key);

	if (json_is_string(v))
		return json_string_value(v);
	if (json_is_integer(v))
		snprintf(buf, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	else if (json_is_boolean(v))
		snprintf(buf, 32, "%s", json_is_true(v) ? "yes" : "no");
	else
		snprintf(buf, 32, "-");
	return buf;
}

/* Columns that a terminal uses for a text: bytes but for those that continue a character.
 */
static int
width(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void
put(const char *text, int wide, bool right, bool last, FILE *out)
{
	int pad = wide - width(text);

	/* What came from outside may not steer the terminal. */
	if (right)
		fprintf(out, "%*s", pad > 0 ? pad : 0, "");
	for (; *text; text++)
		putc((unsigned char)*text < ' ' || *text == 127 ? '?' : *text, out);
	if (!right && !last)
		fprintf(out, "%*s", pad > 0 ? pad : 0, "");
	fputs(last ? "\n" : "  ", out);
}

static void
print_table(const json_t *list, const struct admin_column *columns, bool head, FILE *out)
{
	int wide[COLUMNS], n = 0;
	const json_t *o;
	char buf[32];
	size_t i;

	for (; columns[n].key && n < COLUMNS; n++) {
		wide[n] = width(columns[n].title);
		json_array_foreach(list, i, o) {
			int w = width(admin_text(o, columns[n].key, buf));

			if (w > wide[n])
				wide[n] = w;
		}
	}
	for (int k = 0; head && k < n; k++)
		put(columns[k].title, wide[k], columns[k].number, k == n - 1, out);
	json_array_foreach(list, i, o)
		for (int k = 0; k < n; k++)
			put(admin_text(o, columns[k].key, buf), wide[k],
			    columns[k].number, k == n - 1, out);
}

void
admin_table(const json_t *list, const struct admin_column *columns, FILE *out)
{
	print_table(list, columns, true, out);
}

void
admin_table_more(const json_t *list, const struct admin_column *columns, FILE *out)
{
	print_table(list, columns, false, out);
}

int
admin_print(const struct admin_reply *r)
{
	fwrite(r->text, 1, r->len, stdout);
	return 0;
}
