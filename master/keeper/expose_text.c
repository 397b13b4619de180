#include "master/keeper/expose_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
room(struct text *t, size_t n)
{
	size_t size = t->room ? t->room : 64 * 1024;
	char *at;

	if (t->failed)
		return false;
	if (t->room - t->len >= n)
		return true;
	while (size - t->len < n)
		size *= 2;
	at = realloc(t->at, size);
	t->failed = !at;
	if (!at)
		return false;
	t->at = at;
	t->room = size;
	return true;
}

void
text_raw(struct text *t, struct str s)
{
	if (!s.len || !room(t, s.len))
		return;
	memcpy(t->at + t->len, s.at, s.len);
	t->len += s.len;
}

static void
put_name(struct text *t, const char *name)
{
	if (strncmp(name, "process_", 8) != 0)
		text_raw(t, STR("postern_"));
	text_raw(t, str_of(name));
}

void
text_family(struct text *t, const char *name, const char *type, const char *help)
{
	t->name = name;
	text_raw(t, STR("# HELP "));
	put_name(t, name);
	text_raw(t, STR(" "));
	text_raw(t, str_of(help));
	text_raw(t, STR("\n# TYPE "));
	put_name(t, name);
	text_raw(t, STR(" "));
	text_raw(t, str_of(type));
	text_raw(t, STR("\n"));
}

void
text_begin(struct text *t, const char *suffix)
{
	put_name(t, t->name);
	text_raw(t, str_of(suffix));
	t->labelled = false;
	t->lines++;
}

void
text_label(struct text *t, const char *name, struct str value)
{
	text_raw(t, t->labelled ? STR(",") : STR("{"));
	t->labelled = true;
	text_raw(t, str_of(name));
	text_raw(t, STR("=\""));
	if (!room(t, 2 * value.len + 1))
		return;
	for (size_t i = 0; i < value.len; i++) {
		char c = value.at[i];

		if (c == '"' || c == '\\' || c == '\n')
			t->at[t->len++] = '\\';
		t->at[t->len++] = c == '\n' ? 'n' : c;
	}
	t->at[t->len++] = '"';
}

static void
put_value(struct text *t, const char *from, const char *end)
{
	text_raw(t, t->labelled ? STR("} ") : STR(" "));
	text_raw(t, (struct str){ from, (size_t)(end - from) });
	text_raw(t, STR("\n"));
}

void
text_u64(struct text *t, uint64_t value)
{
	char buf[24];

	put_value(t, buf, str_put_u64(buf, value));
}

char *
text_put_us(char *to, uint64_t us)
{
	uint64_t rest = us % 1000000;

	to = str_put_u64(to, us / 1000000);
	if (!rest)
		return to;
	*to++ = '.';
	for (uint64_t place = 100000; rest; rest %= place, place /= 10)
		*to++ = (char)('0' + rest / place);
	return to;
}

void
text_us(struct text *t, uint64_t us)
{
	char buf[32];

	put_value(t, buf, text_put_us(buf, us));
}

void
text_double(struct text *t, double value)
{
	char buf[40];
	int n = snprintf(buf, sizeof(buf), "%.6g", value);

	put_value(t, buf, buf + n);
}

static void
one(struct text *t, const char *name, const char *type, const char *help, uint64_t value)
{
	text_family(t, name, type, help);
	text_begin(t, "");
	text_u64(t, value);
}

void
text_counter(struct text *t, const char *name, const char *help, uint64_t value)
{
	one(t, name, "counter", help, value);
}

void
text_gauge(struct text *t, const char *name, const char *help, uint64_t value)
{
	one(t, name, "gauge", help, value);
}
