#include "worker/policy/lib/line.h"

#include "worker/http/token.h"

bool
line_is_token(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if ((unsigned)(char_lower(c) - 'a') >= 26 && (unsigned)(c - '0') >= 10 &&
		    (!c || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return s.len != 0;
}

/* Eight bytes at once; a tab, and some others, are to be looked at one by one. */
static inline bool
is_plain(const char *at)
{
	const uint64_t each = 0x0101010101010101;
	uint64_t w, del;

	memcpy(&w, at, 8);
	del = w ^ each * 0x7f;
	return !((((w - each * 0x20) & ~w) | ((del - each) & ~del)) & each * 0x80);
}

bool
line_is_value(struct str s)
{
	size_t i = 0;

	while (i + 8 <= s.len && is_plain(s.at + i))
		i += 8;
	if (i && i < s.len && s.len - i < 8 && is_plain(s.at + s.len - 8))
		return true;
	for (; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

int
line_check_name(struct conf_load *load, struct str name, struct where w,
		enum line_side side, bool host)
{
	enum token t = token_of(name);

	if (!line_is_token(name)) {
		conf_error(load, 430, w, "\"%.*s\" is no header name", STR_ARG(name));
		return -1;
	}
	if (token_flags[t] & (TOKEN_HOP | TOKEN_FRAMING)) {
		conf_error(load, 431, w,
			   "\"%.*s\" belongs to one connection and is written by postern "
			   "itself",
			   STR_ARG(name));
		return -1;
	}
	if (t == TOKEN_EXPECT && side == LINE_REQUEST) {
		conf_error(load, 431, w,
			   "\"%.*s\" decides how the body is sent and is written by "
			   "postern itself",
			   STR_ARG(name));
		return -1;
	}
	if (t == TOKEN_HOST && !host) {
		conf_error(load, 431, w,
			   "\"%.*s\" can only be set, and only in a request",
			   STR_ARG(name));
		return -1;
	}
	return 0;
}

int
line_check_value(struct conf_load *load, struct str value, struct where w)
{
	if (line_is_value(value))
		return 0;
	conf_error(load, 432, w, "a header value can not hold control characters");
	return -1;
}
