/* h1_lines — the header lines of an HTTP/1.1 head or trailer section; for h1_parse.c only. */
#ifndef HTTP_H1_LINES_H
#define HTTP_H1_LINES_H

#include "worker/http/fault.h"
#include "worker/http/headers.h"

struct h1_lines {
	enum fault fault;               /* in the words of requests */
	uint32_t last[TOKEN_COUNT];     /* index of the last such line, where headers.known says so */
};

/* Parses lines from `p` to the empty one and returns what follows that. NULL: not valid (fault), or
 * more is needed (FAULT_NONE). Memory from `lo` to `end` may be read. The table is taken from the
 * arena; it grows only once the whole head is there, so that a head that comes in
 * drops costs no memory. `whole`: `end` ends the section, without an empty line. */
const char *h1_lines_parse(struct h1_lines *, struct headers *, const char *p, const char *end,
			   const char *lo, bool whole, uint32_t max, struct arena *);

/* Gives the table back, if nothing was allocated after it. */
void h1_lines_undo(struct headers *, struct arena *);

/* What Connection says. */
struct h1_options {
	bool close, keep_alive, upgrade, te;
};

/* Reads all Connection lines and marks the lines that they name as hop-by-hop; Host and framing are
 * none of theirs. False: it names more than anyone has a use for. */
bool h1_lines_connection(struct headers *, struct h1_options *);

#endif
