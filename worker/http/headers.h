/* headers — the header lines of a message, in order; names keep their case. */
#ifndef HTTP_HEADERS_H
#define HTTP_HEADERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "worker/http/token.h"

struct header {
	struct str name, value;         /* value without surrounding blanks */
	uint8_t token;                  /* enum token */
	bool hop;                       /* named by Connection, or such by its token: not forwarded */
	bool gone;                      /* removed */
	bool raw;                       /* "name: value\r\n" lies in memory just like that, from name.at on */
};

struct headers {
	struct header *at;
	uint32_t n, room;
	uint32_t bytes;                 /* at least as many as all lines take */
	uint64_t known;                 /* bit 1 << token: there is (or was) such a line … */
	uint64_t twice;                 /* … more than one */
};

static inline bool
headers_has(const struct headers *h, enum token t)
{
	return h->known >> t & 1;
}

static inline bool
headers_many(const struct headers *h, enum token t)
{
	return h->twice >> t & 1;
}

/* The first line with that token, or NULL. */
struct header *headers_get(const struct headers *, enum token);
/* The next one after `h` of the same token or name, or NULL. */
struct header *headers_next(const struct headers *, const struct header *h);
/* By any name, case ignored. */
struct header *headers_find(const struct headers *, struct str name);

/* Adds a line; name and value are kept by reference. */
struct header *headers_add(struct headers *, struct arena *, struct str name, struct str value);
struct header *headers_add_token(struct headers *, struct arena *, enum token, struct str value);
/* The same for a value that is known to hold no control character: the whole line is laid out in the arena, so
 * that the writer copies it as it is. */
struct header *headers_add_line(struct headers *, struct arena *, enum token, struct str value);
/* Replaces all lines of that name by one. */
void headers_set(struct headers *, struct arena *, struct str name, struct str value);
/* The same for who knows the token of the name. */
void headers_set_as(struct headers *, struct arena *, enum token, struct str name, struct str value);
void headers_set_token(struct headers *, struct arena *, enum token, struct str value);
/* Removes all lines of that name; how many there were. */
int headers_remove(struct headers *, struct str name);

/* Whether a comma-separated list value (RFC 9110 §5.6.1) has this word, case ignored. */
bool headers_list_has(struct str value, struct str word);

#endif
