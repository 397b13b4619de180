/* h1_parse — HTTP/1.1 heads and chunked bodies, strictly (RFC 9112).
 *
 * Everything that smuggling uses is refused: bare CR or LF, NUL, folded lines, blanks before a
 * colon, repeated or odd lengths, a length beside a coding, any coding but "chunked" last
 * and alone, odd chunk sizes, chunk extensions beyond a bound. One pass, nothing allocated but
 * the table of header lines; slices point into the buffer. */
#ifndef HTTP_H1_PARSE_H
#define HTTP_H1_PARSE_H

#include "worker/http/fault.h"
#include "worker/http/msg.h"

struct h1_limits {
	uint32_t head;                  /* bytes */
	uint32_t headers;               /* lines */
	uint32_t target;                /* bytes */
};

enum { H1_MORE = 0 };

/* Parses a request head at the front of `buf`. Returns its length (with the empty
 * line), H1_MORE when it is not complete, or -1 with *fault. An empty line before the
 * request line is skipped (RFC 9112 §2.2): at most one. `m` is filled from scratch;
 * header lines are taken from the arena. When it is complete the framing has been
 * decided (m->body, m->length; RFC 9112 §6.3), Host checked (§3.2), hop-by-hop lines
 * marked. */
ptrdiff_t h1_parse_request(struct str buf, const struct h1_limits *, struct arena *, struct msg *m,
			   enum fault *fault);

/* As above for a response to a request with `method`. Faults are those of responses (502). */
ptrdiff_t h1_parse_response(struct str buf, const struct h1_limits *, struct arena *, enum method method,
			    struct msg *m, enum fault *fault);

/* After the head was copied from `from` to `to`: makes all slices point to the copy. */
void msg_rebase(struct msg *, const char *from, const char *to, size_t len);

/* A chunked body as a state machine that keeps its place between calls. */
struct h1_chunked {
	uint64_t left;                  /* of the chunk's data */
	uint32_t line;                  /* bytes of the current size or trailer line so far */
	uint32_t trailer;               /* bytes of trailers so far */
	uint8_t state;                  /* 0: begin */
	char *kept;                     /* the trailer lines so far, in the arena */
};

enum h1_chunk { H1_CHUNK_MORE, H1_CHUNK_DATA, H1_CHUNK_END, H1_CHUNK_BAD };

/* The bounds of what is no body. */
enum { H1_CHUNK_LINE = 256,             /* a chunk's size line with its extensions */
       H1_CHUNK_TRAILER = 8192 };       /* all trailer lines together */

/* Takes from the front of *in. DATA: *data is a piece of body (points into *in's
 * buffer). END: the last chunk and the trailer section are through; what is left in
 * *in belongs to the next message, *trailers (raw lines with their CR LF, may be
 * empty) was gathered in the arena. MORE: *in is used up. BAD: not valid. */
enum h1_chunk h1_chunk_next(struct h1_chunked *, struct str *in, struct str *data,
			    struct arena *, struct str *trailers);

/* Parses raw trailer lines; framing and hop-by-hop fields among them are marked `gone` (RFC 9110 §6.5.1). */
bool h1_parse_trailers(struct str raw, struct arena *, struct headers *);
/* What must not come after the body: it decides how the message is framed, routed, trusted or read. */
bool h1_not_in_trailers(const struct header *);

#endif
