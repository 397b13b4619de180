/* signature — what tells a request that kills workers from others.
 *
 * The head lies in the arena as it was received: whatever policies did to its lines
 * meanwhile, a crash gives the same hash as the check before the policies. */
#include "base/siphash.h"
#include "worker/exchange/context.h"

/* Lines that differ from one sending of a request to the next, or by the way it took. */
static const struct str passing[] = {
	{ "x-request-id:", 13 }, { "traceparent:", 12 }, { "tracestate:", 11 },
	{ "date:", 5 },          { "forwarded:", 10 },   { "x-forwarded-", 12 },
	{ "x-real-ip:", 10 },    { "via:", 4 },          { "x-correlation-id:", 17 },
};

static bool
is_passing(struct str line)
{
	for (size_t i = 0; i < sizeof(passing) / sizeof(*passing); i++)
		if (line.len >= passing[i].len &&
		    str_caseeq(str_first(line, passing[i].len), passing[i]))
			return true;
	return false;
}

/* The next line of the head; false behind the empty one. */
static bool
next_line(const char **at, const char *end, struct str *line)
{
	const char *from = *at, *p = from;

	while (p < end && *p != '\n')
		p++;
	if (p == end)
		return false;
	*at = p + 1;
	*line = (struct str){ from, (size_t)(p - from) };
	if (line->len && line->at[line->len - 1] == '\r')
		line->len--;
	return line->len > 0;
}

uint64_t
exchange_signature(const struct exchange *x, uint32_t route)
{
	/* Not a secret: all processes, of upgrades too, must say the same. */
	static const uint64_t key[2] = { 0x706f737465726e21, 0x706f69736f6e2121 };
	uint64_t h = siphash(key, route, x->request.method_text).low;
	size_t front = x->request.method_text.len + 1; /* of the target in the head */
	struct str line;

	if (x->head_len > front) {
		const char *at = x->request.target.at, *end = at + x->head_len - front;

		while (next_line(&at, end, &line))
			if (!is_passing(line))
				h = siphash(key, h, line).low;
	}
	return h ? h : 1;
}
