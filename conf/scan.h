/* scan — the tokens of a configuration file, comments too.
 *
 * Runs before libconfig, which knows lines only and stops at its first error. Slips that
 * lie within a token (a string without its end, a number too large) are reported here,
 * and the token is mended so that reading can go on; slips between tokens are found by
 * tree.c. */
#ifndef CONF_SCAN_H
#define CONF_SCAN_H

#include "base/diag.h"

enum scan_kind {
	SCAN_END,
	SCAN_NAME, /* [A-Za-z*][-A-Za-z0-9_*]* that is neither true nor false */
	SCAN_BOOL,
	SCAN_INT,
	SCAN_LONG, /* 32 bits, and 64 with an L */
	SCAN_FLOAT,
	SCAN_STRING, /* one piece, quotes included */
	SCAN_WORD,   /* bytes that are none of these: 30s, /path, 10.0.0.1 */
	SCAN_ASSIGN, /* = or : */
	SCAN_SEMICOLON,
	SCAN_COMMA,
	SCAN_OPEN, /* { [ ( */
	SCAN_CLOSE,
	SCAN_COMMENT,
};

struct scan_token {
	enum scan_kind kind;
	uint32_t at, end;               /* offsets in the text */
};

struct scan {
	struct str text;                /* followed by a NUL */
	const char *file;               /* as shown */
	struct diag *diag;
	uint32_t at;                    /* what is read next */
	uint32_t *lines, nlines;        /* offset of the first byte of each */
	uint32_t hint;                  /* the line that was asked for last */
	bool torn; /* a string was not closed: brackets may not add up */
	bool comments;                  /* they are tokens; else passed over */
};

enum { SCAN_FILE_MAX = 64 << 20, SCAN_STRING_MAX = 1 << 20, SCAN_ERRORS_MAX = 1000 };

/* `text` is at most SCAN_FILE_MAX long. The table of lines lies in `arena`. */
void scan_init(struct scan *, struct arena *arena, const char *file, struct str text,
	       struct diag *);

struct scan_token scan_next(struct scan *);

/* The place of some bytes; cut at the end of their first line. */
struct where scan_where(const struct scan *, uint32_t at, uint32_t end);

/* Line of an offset, from 0. */
uint32_t scan_line(const struct scan *, uint32_t at);

#endif
