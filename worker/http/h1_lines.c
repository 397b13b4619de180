#include "worker/http/h1_lines.h"
#include "worker/http/h1_scan.h"

enum {
	FIRST_ROOM = 32,
	MAX_OPTIONS = 32,               /* names unknown to us in Connection */
};

static inline bool
blank(char c)
{
	return c == ' ' || c == '\t';
}

static enum fault
bad_name(const char *name, const char *stop)
{
	if (stop > name)
		return FAULT_BAD_HEADER;
	if (blank(*stop))
		return FAULT_OBS_FOLD;
	return *stop == '\n' ? FAULT_BAD_LINE_END : FAULT_BAD_HEADER;
}

/* Room for one more line. False: it is not worth it, since the head is not complete. */
static bool
make_room(struct headers *h, const char *p, const char *end, bool whole, struct arena *a)
{
	struct header *at;
	uint32_t room = h->room ? h->room * 2 : FIRST_ROOM;

	if (h->room && !whole && !memmem(p, (size_t)(end - p), "\r\n\r\n", 4))
		return false;
	at = arena_alloc(a, room * sizeof(*at));
	if (h->n)
		memcpy(at, h->at, h->n * sizeof(*at));
	h->at = at;
	h->room = room;
	return true;
}

void
h1_lines_undo(struct headers *h, struct arena *a)
{
	if (h->at && (char *)(h->at + h->room) == a->at)
		a->at = (char *)h->at;
	*h = (struct headers){ 0 };
}

static inline struct str
slice(const char *from, const char *to)
{
	return (struct str){ from, (size_t)(to - from) };
}

static inline void
set_line(struct header *h, enum token t, struct str name, struct str value, bool raw)
{
	h->name = name;
	h->value = value;
	h->token = (uint8_t)t;
	h->hop = token_flags[t] & TOKEN_HOP;
	h->gone = false;
	h->raw = raw;
}

#ifdef SCAN_SSE2
/* The token of a name of less than 16 bytes that stands at the front of `x`. */
static inline enum token
short_token(__m128i x, char first, unsigned len)
{
	enum token t = token_guess(first, len);
	__m128i text = scan_load(token_text[t]);
	/* Only letters have bit 0x40, and only letters may differ by 0x20. */
	__m128i fold = _mm_and_si128(_mm_srli_epi16(text, 1), _mm_set1_epi8(0x20));
	unsigned same =
		(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_or_si128(x, fold), text));
	unsigned all = (1U << len) - 1;

	return token_name[t].len == len && (same & all) == all ? t : TOKEN_OTHER;
}

/* What most lines are: a short name of letters, digits and dashes, one blank, a
 * value, CR LF. Returns the next line, or NULL when it is anything else. */
static inline const char *
plain_line(struct header *h, const char *p, const char *end, const char *lo)
{
	const char *value, *stop;
	unsigned ends, len;
	__m128i x;

	if (end - p < 18)
		return NULL;
	x = scan_load(p);
	ends = scan_ends_name(x);
	if (!ends)
		return NULL;
	len = (unsigned)__builtin_ctz(ends);
	value = p + len + 2;
	if (len == 0 || memcmp(p + len, ": ", 2) != 0 || (unsigned char)*value <= ' ')
		return NULL;
	stop = scan_value(value, end, lo);
	if (end - stop < 2 || memcmp(stop, "\r\n", 2) != 0 ||
	    (unsigned char)stop[-1] <= ' ')
		return NULL;
	set_line(h, short_token(x, *p, len), (struct str){ p, len }, slice(value, stop),
		 true);
	return stop + 2;
}
#else
static inline const char *
plain_line(struct header *h, const char *p, const char *end, const char *lo)
{
	(void)h, (void)p, (void)end, (void)lo;
	return NULL;
}
#endif

/* Any line, with all its mistakes. As above, but NULL means a fault, or more to come. */
static const char *
any_line(struct header *h, const char *p, const char *end, const char *lo,
	 enum fault *fault)
{
	const char *colon = scan_name(p, end, lo), *value, *stop, *last;
	struct str name = slice(p, colon);

	if (colon == end)
		return NULL;
	if (*colon != ':' || colon == p) {
		*fault = bad_name(p, colon);
		return NULL;
	}
	for (value = colon + 1; value < end && blank(*value); value++)
		;
	stop = scan_value(value, end, lo);
	if (end - stop < 2 && (stop == end || *stop == '\r'))
		return NULL;
	if (*stop != '\r' || stop[1] != '\n') {
		*fault = *stop == '\r' || *stop == '\n' ? FAULT_BAD_LINE_END :
							  FAULT_BAD_HEADER;
		return NULL;
	}
	for (last = stop; last > value && blank(last[-1]); last--)
		;
	set_line(h, token_of(name), name, slice(value, last),
		 last == stop && value == colon + 2 && colon[1] == ' ');
	return stop + 2;
}

const char *
h1_lines_parse(struct h1_lines *l, struct headers *h, const char *p, const char *end,
	       const char *lo, bool whole, uint32_t max, struct arena *a)
{
	uint64_t known = 0, twice = 0;
	const char *next = NULL;
	uint32_t n = 0;

	make_room(h, p, end, whole, a);
	l->fault = FAULT_NONE;
	for (uint32_t count = 0; p < end && *p != '\r'; count++, p = next) {
		struct header *at;
		uint64_t bit;

		if (count == max) {
			l->fault = FAULT_TOO_MANY_HEADERS;
			break;
		}
		h->n = n;
		/* Without room the head is incomplete: the last line may be written
		 * over. */
		if (n == h->room && !make_room(h, p, end, whole, a))
			n--;
		at = &h->at[n];
		next = plain_line(at, p, end, lo);
		if (!next && !(next = any_line(at, p, end, lo, &l->fault)))
			break;
		bit = (uint64_t)1 << at->token;
		twice |= known & bit;
		known |= bit;
		l->last[at->token] = n++;
	}
	h->n = n;
	h->known = known;
	h->twice = twice;
	if (p == end)
		return whole ? p : NULL;
	if (*p != '\r' || end - p < 2)
		return NULL;
	if (p[1] == '\n' && !whole)
		return p + 2;
	l->fault = FAULT_BAD_LINE_END;
	return NULL;
}

static void
mark_hop(struct headers *h, enum token t, struct str name)
{
	for (uint32_t i = 0; i < h->n; i++)
		if (h->at[i].token == t &&
		    (t != TOKEN_OTHER || str_caseeq(h->at[i].name, name)))
			h->at[i].hop = true;
}

bool
h1_lines_connection(struct headers *h, struct h1_options *o)
{
	/* Tokens that need no marks: not any more, or never. */
	uint64_t done = (uint64_t)1 << TOKEN_HOST | (uint64_t)1 << TOKEN_CONTENT_LENGTH |
			(uint64_t)1 << TOKEN_KEEP_ALIVE | (uint64_t)1 << TOKEN_UPGRADE |
			(uint64_t)1 << TOKEN_TE;
	int others = 0;

	*o = (struct h1_options){ 0 };
	for (uint32_t i = 0; i < h->n; i++) {
		struct str rest = h->at[i].value, option;

		if (h->at[i].token != TOKEN_CONNECTION)
			continue;
		while (str_split(&rest, ',', &option)) {
			enum token t;

			option = str_trim(option);
			t = token_of(option);
			o->keep_alive |= t == TOKEN_KEEP_ALIVE;
			o->upgrade |= t == TOKEN_UPGRADE;
			o->te |= t == TOKEN_TE;
			if (t != TOKEN_OTHER) {
				if (!(done >> t & 1))
					mark_hop(h, t, option);
				done |= (uint64_t)1 << t;
			} else if (str_caseeq(option, STR("close"))) {
				o->close = true;
			} else if (option.len) {
				if (++others > MAX_OPTIONS)
					return false;
				mark_hop(h, t, option);
			}
		}
	}
	return true;
}
