#include "worker/http/headers.h"

enum { FIRST_ROOM = 32 };

static struct header *
find_from(const struct headers *h, uint32_t i, enum token t, struct str name)
{
	if (!headers_has(h, t))
		return NULL;
	for (; i < h->n; i++) {
		struct header *at = &h->at[i];

		if (at->token != t || at->gone)
			continue;
		if (t != TOKEN_OTHER || str_caseeq(at->name, name))
			return at;
	}
	return NULL;
}

struct header *
headers_get(const struct headers *h, enum token t)
{
	if (!headers_has(h, t) || t == TOKEN_OTHER)
		return NULL;
	for (struct header *at = h->at, *end = at + h->n; at < end; at++)
		if (at->token == t && !at->gone)
			return at;
	return NULL;
}

struct header *
headers_next(const struct headers *h, const struct header *at)
{
	return headers_many(h, at->token)
		       ? find_from(h, (uint32_t)(at - h->at) + 1, at->token, at->name)
		       : NULL;
}

struct header *
headers_find(const struct headers *h, struct str name)
{
	enum token t = token_of(name);

	return t != TOKEN_OTHER ? headers_get(h, t) : find_from(h, 0, t, name);
}

static struct header *
add(struct headers *h, struct arena *a, enum token t, struct str name, struct str value)
{
	struct header *at;

	if (h->n == h->room) {
		uint32_t room = h->room ? h->room * 2 : FIRST_ROOM;

		at = arena_alloc(a, room * sizeof(*at));
		if (h->n)
			memcpy(at, h->at, h->n * sizeof(*at));
		h->at = at;
		h->room = room;
	}
	h->bytes += (uint32_t)(name.len + value.len + 4);
	at = &h->at[h->n++];
	*at = (struct header){
		.name = name,
		.value = value,
		.token = (uint8_t)t,
		.hop = token_flags[t] & TOKEN_HOP,
	};
	h->twice |= h->known & (uint64_t)1 << t;
	h->known |= (uint64_t)1 << t;
	return at;
}

struct header *
headers_add(struct headers *h, struct arena *a, struct str name, struct str value)
{
	return add(h, a, token_of(name), name, value);
}

struct header *
headers_add_token(struct headers *h, struct arena *a, enum token t, struct str value)
{
	return add(h, a, t, token_name[t], value);
}

struct header *
headers_add_line(struct headers *h, struct arena *a, enum token t, struct str value)
{
	struct str name = token_name[t];
	char *line = arena_alloc_aligned(a, name.len + value.len + 4, 1), *at = line;
	struct header *added;

	at = mempcpy(at, name.at, name.len);
	*at++ = ':';
	*at++ = ' ';
	at = mempcpy(at, value.at, value.len);
	*at++ = '\r';
	*at++ = '\n';
	added = add(h, a, t, (struct str){ line, name.len },
		    (struct str){ line + name.len + 2, value.len });
	added->raw = true;
	return added;
}

/* The first line is changed in its place, further ones go. */
void
headers_set_as(struct headers *h, struct arena *a, enum token t, struct str name,
	       struct str value)
{
	struct header *first = find_from(h, 0, t, name);

	if (!first) {
		add(h, a, t, name, value);
		return;
	}
	for (struct header *at = headers_next(h, first); at; at = headers_next(h, at))
		at->gone = true;
	h->bytes += (uint32_t)value.len;
	first->value = value;
	first->raw = false;
	first->hop = token_flags[t] & TOKEN_HOP;
}

void
headers_set(struct headers *h, struct arena *a, struct str name, struct str value)
{
	headers_set_as(h, a, token_of(name), name, value);
}

void
headers_set_token(struct headers *h, struct arena *a, enum token t, struct str value)
{
	headers_set_as(h, a, t, token_name[t], value);
}

static int
drop(struct headers *h, enum token t, struct str name)
{
	int n = 0;

	for (struct header *at = find_from(h, 0, t, name); at; at = headers_next(h, at)) {
		at->gone = true;
		n++;
	}
	return n;
}

int
headers_remove(struct headers *h, struct str name)
{
	return drop(h, token_of(name), name);
}

bool
headers_list_has(struct str value, struct str word)
{
	struct str part;

	while (str_split(&value, ',', &part))
		if (str_caseeq(str_trim(part), word))
			return true;
	return false;
}
