#include "base/json_write.h"

void
json_begin(struct json_write *j, char *buf, size_t size)
{
	*j = (struct json_write){ .at = buf, .end = buf + size };
}

/* All or nothing: what is cut short is cut between tokens. */
static void
put(struct json_write *j, const char *bytes, size_t n)
{
	if (j->full || n > (size_t)(j->end - j->at)) {
		j->full = true;
		return;
	}
	if (n)
		memcpy(j->at, bytes, n);
	j->at += n;
}

static void
put_comma(struct json_write *j)
{
	if (j->comma)
		put(j, ",", 1);
	j->comma = true;
}

void
json_open(struct json_write *j, char bracket)
{
	put_comma(j);
	put(j, &bracket, 1);
	j->comma = false;
}

void
json_close(struct json_write *j, char bracket)
{
	char close = bracket == '{' ? '}' : bracket == '[' ? ']' : bracket;

	put(j, &close, 1);
	j->comma = true;
}

/* Length of the well-formed UTF-8 sequence in front (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF), or 0. */
static size_t
utf8_len(struct str s)
{
	static const struct {
		unsigned char first_min, first_max, second_min, second_max, len;
	} forms[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	const unsigned char *p = (const unsigned char *)s.at;

	if (p[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		if (p[0] < forms[i].first_min || p[0] > forms[i].first_max)
			continue;
		if (s.len < forms[i].len || p[1] < forms[i].second_min ||
		    p[1] > forms[i].second_max)
			return 0;
		for (size_t k = 2; k < forms[i].len; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].len;
	}
	return 0;
}

static void
put_escaped(struct json_write *j, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
	const char *p = memchr(plain, c, sizeof(plain) - 1);

	if (p)
		put(j, (char[]){ '\\', letters[p - plain] }, 2);
	else
		put(j, (char[]){ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }, 6);
}

static void
put_string(struct json_write *j, struct str s)
{
	put(j, "\"", 1);
	while (s.len) {
		size_t run = 0;

		while (run < s.len && (unsigned char)s.at[run] >= 0x20 &&
		       (unsigned char)s.at[run] < 0x7f && s.at[run] != '"' &&
		       s.at[run] != '\\')
			run++;
		put(j, s.at, run);
		s = str_from(s, run);
		if (!s.len)
			break;

		unsigned char c = (unsigned char)*s.at;
		size_t n = utf8_len(s);

		if (!n)
			put(j, "\xef\xbf\xbd", 3);
		else if (n == 1)
			put_escaped(j, c);
		else
			put(j, s.at, n);
		s = str_from(s, n ? n : 1);
	}
	put(j, "\"", 1);
}

void
json_key(struct json_write *j, struct str key)
{
	put_comma(j);
	put_string(j, key);
	put(j, ":", 1);
	j->comma = false;
}

void
json_str(struct json_write *j, struct str value)
{
	put_comma(j);
	put_string(j, value);
}

void
json_int(struct json_write *j, int64_t value)
{
	char digits[24], *p = digits;
	uint64_t n = (uint64_t)value;

	if (value < 0) {
		*p++ = '-';
		n = 0 - n;
	}
	p = str_put_u64(p, n);
	put_comma(j);
	put(j, digits, (size_t)(p - digits));
}

void
json_bool(struct json_write *j, bool value)
{
	json_raw(j, value ? STR("true") : STR("false"));
}

void
json_raw(struct json_write *j, struct str text)
{
	put_comma(j);
	put(j, text.at, text.len);
}
