#include "conf/scan.h"

#include <errno.h>
#include <stdlib.h>

enum { WORD = 1, NAME_FIRST = 2, NAME = 4, BLANK = 8 };

static const unsigned char class[256] = {
	['\t'] = BLANK,
	['\n'] = BLANK,
	['\f'] = BLANK,
	['\r'] = BLANK,
	[' '] = BLANK,
	['*'] = WORD | NAME_FIRST | NAME,
	['_'] = WORD | NAME,
	['-'] = WORD | NAME,
	['0' ... '9'] = WORD | NAME,
	['A' ... 'Z'] = WORD | NAME_FIRST | NAME,
	['a' ... 'z'] = WORD | NAME_FIRST | NAME,
	['+'] = WORD,
	['.'] = WORD,
	['%'] = WORD,
	['/'] = WORD,
	['$'] = WORD,
	['~'] = WORD,
	['@'] = WORD,
	['&'] = WORD,
	['?'] = WORD,
	['!'] = WORD,
	['^'] = WORD,
	['|'] = WORD,
	['<'] = WORD,
	['>'] = WORD,
	['\\'] = WORD,
	['\''] = WORD,
	['`'] = WORD,
	[0x80 ... 0xff] = WORD,
};

static bool
is(unsigned char c, unsigned char of)
{
	return class[c] & of;
}

void
scan_init(struct scan *s, struct arena *arena, const char *file, struct str text,
	  struct diag *d)
{
	uint32_t n = 1;

	*s = (struct scan){ .text = text, .file = file, .diag = d };
	for (const char *p = text.at, *end = p + text.len;
	     (p = memchr(p, '\n', (size_t)(end - p))); p++)
		n++;
	s->lines = arena_alloc(arena, n * sizeof(*s->lines));
	s->nlines = 1;
	s->lines[0] = 0;
	for (const char *p = text.at, *end = p + text.len;
	     (p = memchr(p, '\n', (size_t)(end - p))); p++)
		s->lines[s->nlines++] = (uint32_t)(p - text.at) + 1;
	if (str_starts(text, STR("\xef\xbb\xbf"))) {
		s->at = 3;
		diag_warn(d, 108, scan_where(s, 0, 3),
			  "the file begins with a byte-order mark; it is passed over");
	}
}

uint32_t
scan_line(const struct scan *s, uint32_t at)
{
	uint32_t low = 0, high = s->nlines;

	/* Places are mostly asked for one after the other. */
	if (s->lines[s->hint] <= at) {
		low = s->hint;
		if (low + 4 < high && s->lines[low + 4] > at)
			high = low + 4;
	}
	while (high - low > 1) {
		uint32_t middle = (low + high) / 2;

		if (s->lines[middle] <= at)
			low = middle;
		else
			high = middle;
	}
	*(uint32_t *)&s->hint = low;
	return low;
}

struct where
scan_where(const struct scan *s, uint32_t at, uint32_t end)
{
	uint32_t line = scan_line(s, at);
	uint32_t stop =
		line + 1 < s->nlines ? s->lines[line + 1] - 1 : (uint32_t)s->text.len;

	if (end > stop)
		end = stop;
	return (struct where){
		.file = s->file, .line = line + 1, .column = at - s->lines[line] + 1,
		.len = end > at ? end - at : 1,
	};
}

static unsigned char
byte(const struct scan *s, uint32_t at)
{
	return at < s->text.len ? (unsigned char)s->text.at[at] : 0;
}

static struct scan_token
token(struct scan *s, enum scan_kind kind, uint32_t at, uint32_t end)
{
	s->at = end;
	return (struct scan_token){ kind, at, end };
}

/* To the end of a comment at `at`; 0 when there is none. */
static uint32_t
comment(struct scan *s, uint32_t at)
{
	const char *from = s->text.at + at, *end = s->text.at + s->text.len, *p;

	if (*from == '#' || (*from == '/' && byte(s, at + 1) == '/')) {
		p = memchr(from, '\n', (size_t)(end - from));
		return (uint32_t)((p ? p : end) - s->text.at);
	}
	if (*from != '/' || byte(s, at + 1) != '*')
		return 0;
	p = memmem(from + 2, (size_t)(end - from) - 2, "*/", 2);
	if (!p) {
		diag_error(s->diag, 118, scan_where(s, at, at + 2),
			   "this comment has no */");
		return (uint32_t)s->text.len;
	}
	return (uint32_t)(p + 2 - s->text.at);
}

static void
escape(struct scan *s, uint32_t at)
{
	unsigned char c = byte(s, at + 1);

	if (c == 'a' || c == 'b' || c == 'v')
		diag_warn(s->diag, 110, scan_where(s, at, at + 2),
			  "\\%c stays a backslash and %c here, and means something else "
			  "in later versions of "
			  "libconfig; write \\\\%c",
			  c, c, c);
	if ((c == 'x' || c == 'X') && byte(s, at + 2) == '0' && byte(s, at + 3) == '0')
		diag_error(s->diag, 114, scan_where(s, at, at + 4),
			   "a string cannot have a NUL in it");
}

/* Where a string without its quote was probably meant to end. */
static uint32_t
torn(struct scan *s, uint32_t at)
{
	uint32_t end = at + 1, comma = 0;
	unsigned depth = 0;

	diag_error(s->diag, 101, scan_where(s, at, at + 1), "this string is not closed");
	s->torn = true;
	for (; end < s->text.len && !strchr(";\n", s->text.at[end]); end++) {
		char c = s->text.at[end];

		if (c == ',' && !comma)
			comma = end;
		/* The next string begins: this one ended before it. */
		if (c == '"' && comma)
			return comma;
		depth += c == '{' || c == '[' || c == '(';
		if ((c == '}' || c == ']' || c == ')') && !depth--)
			break;
	}
	return end;
}

/* A string over several lines is believed only when what follows may follow a string:
 * else its first quote was never closed, and the quote found opens another one. */
static bool
plausible_end(const struct scan *s, uint32_t at)
{
	while (byte(s, at) == ' ' || byte(s, at) == '\t' || byte(s, at) == '\r')
		at++;

	unsigned char c = byte(s, at);

	return at >= s->text.len || c == '\n' || strchr(";,)]}#", c) ||
	       (c == '/' && (byte(s, at + 1) == '/' || byte(s, at + 1) == '*'));
}

static struct scan_token
string(struct scan *s, uint32_t at)
{
	uint32_t p = at + 1, size = (uint32_t)s->text.len, newline = 0;
	bool nul = false;

	for (; p < size && s->text.at[p] != '"'; p++) {
		unsigned char c = (unsigned char)s->text.at[p];

		if (c == '\n' && !newline)
			newline = p;
		else if (c == '\\')
			escape(s, p++);
		else if (c == '\0')
			nul = true;
	}
	if (p >= size || (newline && !plausible_end(s, p + 1)) ||
	    is(byte(s, p + 1), NAME))
		return token(s, SCAN_STRING, at, torn(s, at));
	if (nul)
		diag_error(s->diag, 114, scan_where(s, at, p + 1),
			   "a string cannot have a NUL in it");
	if (p - at > SCAN_STRING_MAX)
		diag_error(s->diag, 113, scan_where(s, at, at + 1),
			   "this string has %u bytes; at most %d are allowed", p - at - 1,
			   SCAN_STRING_MAX);
	return token(s, SCAN_STRING, at, p + 1);
}

static size_t
span(const char *p, const char *end, const char *of)
{
	const char *from = p;

	while (p < end && *p && strchr(of, *p))
		p++;
	return (size_t)(p - from);
}

static bool
is_float(const char *p, const char *end)
{
	const char *digits = "0123456789", *from = p;

	p += *p == '+' || *p == '-';

	bool sign = p > from;
	size_t whole = span(p, end, digits), part = 0;
	bool dot = false;

	p += whole;
	if (p < end && *p == '.') {
		dot = true;
		part = span(++p, end, digits);
		p += part;
	}
	if (!whole && !part)
		return false;
	if (p == end)
		return dot;
	if ((*p != 'e' && *p != 'E') || (!dot && !sign && !whole))
		return false;
	p++;
	p += p < end && (*p == '+' || *p == '-');
	return p < end && span(p, end, digits) == (size_t)(end - p);
}

/* Whether it is a whole number; says so when it does not fit. */
static bool
is_int(struct scan *s, uint32_t at, uint32_t stop, enum scan_kind *kind)
{
	const char *from = s->text.at + at, *end = s->text.at + stop, *p = from;
	bool hex = end - p > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X');
	char buf[32];

	p += hex ? 2 : *p == '+' || *p == '-';

	size_t n = span(p, end, hex ? "0123456789abcdefABCDEF" : "0123456789");
	const char *tail = p + n;
	size_t ls = span(tail, end, "L");

	if (!n || tail + ls != end || ls > 2)
		return false;
	*kind = ls ? SCAN_LONG : SCAN_INT;

	struct where w = scan_where(s, at, stop);
	int len = (int)(tail - from);
	bool fits = len < (int)sizeof(buf);

	if (fits) {
		memcpy(buf, from, (size_t)len);
		buf[len] = '\0';
		errno = 0;

		unsigned long long u = hex ? strtoull(buf + 2, NULL, 16) : 0;
		long long v = hex ? (long long)u : strtoll(buf, NULL, 10);

		fits = !errno && (!hex || u <= INT64_MAX);
		if (fits && !ls && (v > INT32_MAX || v < INT32_MIN)) {
			diag_error(s->diag, 106, w,
				   "%s does not fit into 32 bits; write %sL", buf, buf);
			*kind = SCAN_LONG;
		}
	}
	if (!fits)
		diag_error(s->diag, 106, w, "%.*s does not fit into 64 bits",
			   len > 60 ? 60 : len, from);
	return true;
}

static bool
is_name(const struct scan *s, uint32_t at, uint32_t end)
{
	if (!is((unsigned char)s->text.at[at], NAME_FIRST))
		return false;
	while (++at < end)
		if (!is((unsigned char)s->text.at[at], NAME))
			return false;
	return true;
}

static struct scan_token
word(struct scan *s, uint32_t at)
{
	uint32_t end = at;

	for (;; end++) {
		unsigned char c = byte(s, end);

		if (c == '/' && end > at &&
		    (byte(s, end + 1) == '/' || byte(s, end + 1) == '*'))
			break;
		/* An address without quotes: its // begins no comment. */
		if (c == ':' && byte(s, end + 1) == '/' && byte(s, end + 2) == '/') {
			end += 2;
			continue;
		}
		if (!is(c, WORD))
			break;
	}

	struct str text = { s->text.at + at, end - at };
	enum scan_kind kind = SCAN_WORD;

	if (is_name(s, at, end)) {
		kind = SCAN_NAME;
		if ((text.len == 4 || text.len == 5) &&
		    (str_caseeq(text, STR("true")) || str_caseeq(text, STR("false"))))
			kind = SCAN_BOOL;
	} else if (!is_int(s, at, end, &kind) && is_float(text.at, text.at + text.len)) {
		kind = SCAN_FLOAT;
	}
	return token(s, kind, at, end);
}

struct scan_token
scan_next(struct scan *s)
{
	for (;;) {
		uint32_t at = s->at, end;

		while (at < s->text.len && is((unsigned char)s->text.at[at], BLANK))
			at++;
		if (at >= s->text.len)
			return token(s, SCAN_END, (uint32_t)s->text.len,
				     (uint32_t)s->text.len);
		switch (s->text.at[at]) {
		case '"': return string(s, at);
		case '=':
		case ':': return token(s, SCAN_ASSIGN, at, at + 1);
		case ';': return token(s, SCAN_SEMICOLON, at, at + 1);
		case ',': return token(s, SCAN_COMMA, at, at + 1);
		case '{':
		case '[':
		case '(': return token(s, SCAN_OPEN, at, at + 1);
		case '}':
		case ']':
		case ')': return token(s, SCAN_CLOSE, at, at + 1);
		case '#':
		case '/':
			end = comment(s, at);
			if (!end)
				break;
			/* libconfig would take it for the end of the text. */
			if (memchr(s->text.at + at, '\0', end - at))
				diag_error(s->diag, 114, scan_where(s, at, end),
					   "a NUL has no place here");
			if (s->comments)
				return token(s, SCAN_COMMENT, at, end);
			s->at = end;
			continue;
		}
		if (is((unsigned char)s->text.at[at], WORD))
			return word(s, at);

		unsigned char c = (unsigned char)s->text.at[at];

		for (end = at; end < s->text.len && (unsigned char)s->text.at[end] == c;
		     end++)
			;
		diag_error(s->diag, 114, scan_where(s, at, end),
			   "a byte of value 0x%02x has no place here", c);
		s->at = s->diag->errors < SCAN_ERRORS_MAX ? end : (uint32_t)s->text.len;
	}
}
