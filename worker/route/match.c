#include "worker/route/match.h"

#include "base/diag.h"

#define NAME(r) STR_ARG((r)->conf->name)

/* The place of a part of the match string; of all of it when the part is a copy. */
static struct where
place(const struct route *r, struct str part)
{
	struct str match = r->conf->match;

	if (part.at < match.at || part.at > match.at + match.len)
		return r->conf->match_where;
	return where_in(r->conf->match_where, (size_t)(part.at - match.at), part.len);
}

static bool
is_token(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c))
			return false;
	}
	return s.len > 0;
}

/* Reports a name that is most likely a slip; -1 if it cannot be meant. */
static int
check_other(struct build *b, const struct route *r, struct str name)
{
	static const char *const known[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS",
					     "TRACE", "CONNECT", NULL };
	const char *near;
	char upper[16];

	if (!is_token(name)) {
		diag_error(b->diag, 302, place(r, name), "route \"%.*s\": \"%.*s\" is no method",
			   NAME(r), STR_ARG(name));
		return -1;
	}
	if (str_caseeq(name, STR("any")) || str_caseeq(name, STR("all"))) {
		diag_error(b->diag, 302, place(r, name),
			   "route \"%.*s\": \"%.*s\" is no method; every method is written \"*\"",
			   NAME(r), STR_ARG(name));
		return -1;
	}
	for (size_t i = 0; known[i]; i++)
		if (str_caseeq(name, str_of(known[i]))) {
			diag_error(b->diag, 302, place(r, name),
				   "route \"%.*s\": methods are written in capitals: \"%s\"",
				   NAME(r), known[i]);
			return -1;
		}
	if (name.len >= sizeof upper)
		return 0;
	for (size_t i = 0; i < name.len; i++)
		upper[i] = (char)(name.at[i] &
				  (name.at[i] >= 'a' && name.at[i] <= 'z' ? 0xdf : 0xff));
	near = diag_nearest((struct str){ upper, name.len }, known);
	if (near)
		diag_warn(b->diag, 312, place(r, name),
			  "route \"%.*s\": \"%.*s\" is no method of HTTP; did you mean \"%s\"?",
			  NAME(r), STR_ARG(name), near);
	return 0;
}

static int
parse_methods(struct build *b, struct route *r, struct str text)
{
	struct str name, rest = text, *others = NULL;
	int bad = 0;

	if (str_eq(text, STR("*")))
		return 0;
	while (str_split(&rest, ',', &name)) {
		enum method m = method_of(name);

		if (str_eq(name, STR("*"))) {
			diag_error(b->diag, 302, place(r, name),
				   "route \"%.*s\": \"*\" is every method and stands alone", NAME(r));
			bad = -1;
			continue;
		}
		r->methods |= (uint16_t)(1u << m);
		if (m == METHOD_GET)
			r->methods |= 1u << METHOD_HEAD;
		if (m != METHOD_OTHER)
			continue;
		if (check_other(b, r, name) < 0) {
			bad = -1;
			continue;
		}
		others = arena_push(b->image, others, r->nother, sizeof *others);
		others[r->nother++] = name;
	}
	r->other_methods = others;
	return bad;
}

/* A segment of a pattern that is neither "*" nor free of braces and stars: "{name}", or what is wrong with it. */
static int
check_segment(struct build *b, struct route *r, struct str s)
{
	struct str name = { s.at + 1, s.len - 2 };

	if (memchr(s.at, '*', s.len) && !memchr(s.at, '{', s.len)) {
		diag_error(b->diag, 306, place(r, s),
			   "route \"%.*s\": \"*\" stands only for everything after the last slash, as in \"/a/*\"",
			   NAME(r));
		return -1;
	}
	if (s.len < 2 || *s.at != '{' || s.at[s.len - 1] != '}' ||
	    memchr(name.at, '{', name.len) || memchr(name.at, '}', name.len)) {
		diag_error(b->diag, 304, place(r, s),
			   "route \"%.*s\": a capture is a whole segment, as in \"/a/{id}/b\"", NAME(r));
		return -1;
	}
	if (!name.len) {
		diag_error(b->diag, 304, place(r, s), "route \"%.*s\": the capture has no name", NAME(r));
		return -1;
	}
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.at[i], letter = char_lower(c);
		bool first = (letter >= 'a' && letter <= 'z') || c == '_';

		if (first || (i && ((c >= '0' && c <= '9') || c == '-')))
			continue;
		diag_error(b->diag, 304, place(r, name),
			   "route \"%.*s\": a capture's name is letters, digits, \"_\" and \"-\", a letter first",
			   NAME(r));
		return -1;
	}
	return 0;
}

/* The captures of a path whose segments are all right, or NULL. They must differ. */
static int
collect_captures(struct build *b, struct route *r)
{
	struct str names[ROUTE_CAPTURES + 1], s;
	const char *at = r->path.at + 1, *end = r->path.at + r->path.len;
	unsigned n = 0, depth = 0;

	while (match_segment(&at, end, &s)) {
		bool star = str_eq(s, STR("*"));

		if (++depth > MATCH_DEPTH) {
			diag_error(b->diag, 314, r->conf->match_where,
				   "route \"%.*s\": the path has more than %d segments", NAME(r),
				   MATCH_DEPTH);
			return -1;
		}
		if (!star && (!s.len || *s.at != '{'))
			continue;
		names[n] = star ? s : (struct str){ s.at + 1, s.len - 2 };
		for (unsigned i = 0; i < n; i++)
			if (str_eq(names[i], names[n])) {
				diag_error(b->diag, 305, place(r, names[n]),
					   "route \"%.*s\": the capture \"%.*s\" is there twice", NAME(r),
					   STR_ARG(names[n]));
				return -1;
			}
		r->form = star ? ROUTE_PREFIX : ROUTE_TEMPLATE;
		if (n++ == ROUTE_CAPTURES) {
			diag_error(b->diag, 314, r->conf->match_where,
				   "route \"%.*s\": the path has more than %d captures", NAME(r),
				   ROUTE_CAPTURES);
			return -1;
		}
	}
	r->ncaptures = (uint8_t)n;
	if (n) {
		struct str *copy = arena_alloc(b->image, n * sizeof *copy);

		memcpy(copy, names, n * sizeof *copy);
		r->capture = copy;
	}
	return 0;
}

static int
check_path(struct build *b, struct route *r, struct str path)
{
	const char *at = path.at + 1, *end = path.at + path.len;
	struct str s;
	int bad = 0;

	for (size_t i = 0; i < path.len; i++) {
		unsigned char c = (unsigned char)path.at[i];
		struct str odd = { path.at + i, 1 };

		if (c == '?' || c == '#')
			diag_error(b->diag, 303, place(r, str_from(path, i)),
				   "route \"%.*s\": a path ends before \"%c\"%s", NAME(r), c,
				   c == '?' ? "; conditions on the query are written in `when`" : "");
		else if (c <= ' ' || c == 0x7f)
			diag_error(b->diag, 303, place(r, odd),
				   "route \"%.*s\": a path has no blanks; an encoded one is %%20", NAME(r));
		else
			continue;
		return -1;
	}
	while (match_segment(&at, end, &s)) {
		if (str_eq(s, STR("*")) && at > end)
			break;
		if (memchr(s.at, '{', s.len) || memchr(s.at, '}', s.len) ||
		    (str_eq(s, STR("*")) || (s.len && s.at[s.len - 1] == '*')))
			bad |= check_segment(b, r, s);
		else if (s.len > 1 && *s.at == ':')
			diag_warn(b->diag, 315, place(r, s),
				  "route \"%.*s\": \"%.*s\" is plain text here; a capture is \"{%.*s}\"",
				  NAME(r), STR_ARG(s), STR_ARG(str_from(s, 1)));
	}
	return bad;
}

/* Bytes beyond ASCII as a client sends them. */
static struct str
encode_high(struct build *b, struct str path)
{
	size_t high = 0;
	char *front, *to;

	for (size_t i = 0; i < path.len; i++)
		high += (unsigned char)path.at[i] >> 7;
	if (!high)
		return path;
	front = to = arena_alloc_aligned(b->image, path.len + 2 * high, 1);
	for (size_t i = 0; i < path.len; i++) {
		unsigned char c = (unsigned char)path.at[i];

		if (c < 0x80) {
			*to++ = (char)c;
			continue;
		}
		*to++ = '%';
		*to++ = "0123456789ABCDEF"[c >> 4];
		*to++ = "0123456789ABCDEF"[c & 15];
	}
	return (struct str){ front, (size_t)(to - front) };
}

static int
parse_path(struct build *b, struct route *r, struct str path)
{
	enum fault fault;

	if (*path.at != '/') {
		diag_error(b->diag, 303, place(r, path),
			   "route \"%.*s\": a path begins with \"/\"%s", NAME(r),
			   path.len > 7 && (str_starts(path, STR("http://")) || str_starts(path, STR("https:/")))
				   ? "; the host belongs to `domains` of the service" : "");
		return -1;
	}
	if (check_path(b, r, path) < 0)
		return -1;
	fault = uri_normalise(encode_high(b, path), b->rules, b->image, &r->path);
	if (fault) {
		diag_error(b->diag, 303, place(r, path), "route \"%.*s\": %s", NAME(r),
			   fault == FAULT_ENCODED_SLASH
				   ? "no request has an encoded slash here: gateway.encoded_slash refuses it"
				   : "the path has a bad escape, or leads above \"/\"");
		return -1;
	}
	return collect_captures(b, r);
}

/* The literal segments in front of a pattern, with the slash after them: what every path
 * that it takes begins with. */
static struct str
literal_front(struct str pattern)
{
	size_t n = 1, slash = 0;

	if (!str_starts(pattern, STR("^/")) || str_find(pattern, '|') >= 0)
		return STR("/");
	for (; n < pattern.len; n++) {
		unsigned char c = (unsigned char)pattern.at[n], letter = char_lower(c);

		if (c == '/')
			slash = n;
		else if (!((letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') ||
			   c == '-' || c == '_' || c == '~'))
			break;
	}
	/* What follows may make the last of them optional. */
	if (n < pattern.len && slash == n - 1 && strchr("?*{+", pattern.at[n])) {
		for (slash = n - 2; slash > 0 && pattern.at[slash] != '/'; slash--)
			;
	}
	return slash ? (struct str){ pattern.at + 1, slash } : STR("/");
}

static int
parse_regex(struct build *b, struct route *r, struct str pattern)
{
	size_t offset = (size_t)(pattern.at - r->conf->match.at);
	struct str names[ROUTE_CAPTURES], *copy;
	unsigned n = 0;

	r->form = ROUTE_REGEX;
	r->regex = build_regex(b, pattern, r->conf->name, r->conf->match_where, offset);
	if (!r->regex)
		return -1;
	r->path = literal_front(pattern);
	for (unsigned i = 0; i < r->regex->groups; i++) {
		if (!r->regex->names[i].len)
			continue;
		if (n == ROUTE_CAPTURES || i + 1 >= REGEX_GROUPS) {
			diag_error(b->diag, 314, place(r, pattern),
				   "route \"%.*s\": the regex has more than %d named groups, or one after group %d",
				   NAME(r), ROUTE_CAPTURES, REGEX_GROUPS - 1);
			return -1;
		}
		names[n++] = r->regex->names[i];
	}
	r->ncaptures = (uint8_t)n;
	if (n) {
		copy = arena_alloc(b->image, n * sizeof *copy);
		memcpy(copy, names, n * sizeof *copy);
		r->capture = copy;
	}
	return 0;
}

int
match_parse(struct build *b, struct route *r)
{
	struct str text = str_trim(r->conf->match), methods, path;
	size_t n = 0;
	int bad;

	while (n < text.len && text.at[n] != ' ' && text.at[n] != '\t')
		n++;
	methods = str_first(text, n);
	path = str_trim(str_from(text, n));
	if (!path.len) {
		diag_error(b->diag, 301, r->conf->match_where,
			   "route \"%.*s\": a match is \"METHODS PATH\", such as \"GET /a\" or \"* /a/*\"%s",
			   NAME(r), text.len && *text.at == '/' ? "; there is no method" : "");
		return -1;
	}
	if (methods.at[methods.len - 1] == ',' || memchr(methods.at, '|', methods.len)) {
		diag_error(b->diag, 302, place(r, methods),
			   "route \"%.*s\": methods are separated by commas without blanks: \"GET,POST\"",
			   NAME(r));
		return -1;
	}
	bad = parse_methods(b, r, methods);
	if (*path.at != '~')
		return parse_path(b, r, path) < 0 ? -1 : bad;
	path = str_trim(str_from(path, 1));
	if (!path.len) {
		diag_error(b->diag, 301, r->conf->match_where,
			   "route \"%.*s\": there is no regex after \"~\"", NAME(r));
		return -1;
	}
	return parse_regex(b, r, path) < 0 ? -1 : bad;
}

static bool
regex_path(const struct route *r, const struct regex_jit *jit, struct str path,
	   struct str *value)
{
	struct regex_match m;
	unsigned n = 0;

	if (!r->ncaptures || !value)
		return regex_match(r->regex, jit, path, NULL);
	if (!regex_match(r->regex, jit, path, &m))
		return false;
	for (unsigned i = 0; n < r->ncaptures; i++)
		if (r->regex->names[i].len)
			value[n++] = m.group[i + 1];
	return true;
}

bool
match_path(const struct route *r, const struct regex_jit *jit, struct str path,
	   struct str *value)
{
	const char *want = r->path.at + 1, *want_end = r->path.at + r->path.len;
	const char *at = path.at + 1, *end = path.at + path.len;
	unsigned n = 0;
	struct str w, s;

	if (r->form == ROUTE_REGEX)
		return regex_path(r, jit, path, value);
	if (r->form == ROUTE_EXACT)
		return str_eq(r->path, path);
	if (!path.len || *path.at != '/')
		return false;
	while (match_segment(&want, want_end, &w)) {
		bool capture = w.len && *w.at == '{';

		if (at > end)
			return false;
		if (str_eq(w, STR("*")) && want > want_end) {
			if (value)
				value[n] = (struct str){ at, (size_t)(end - at) };
			return true;
		}
		match_segment(&at, end, &s);
		if (capture ? !s.len : !str_eq(w, s))
			return false;
		if (capture && value)
			value[n++] = s;
	}
	return at > end;
}
