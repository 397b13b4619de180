/* diag — everything that is wrong with a configuration, each with its place.
 *
 * A place is a file, a line, a column and a length. Findings are collected (all at
 * once, up to 50 errors are shown) and rendered like this:
 *
 *   conf.d/orders.conf:14:37: error: route "create": no upstream "ordrs"; did you mean "orders"? [E204]
 *      14 |   { match = "POST /v1/orders"; to = "ordrs"; },
 *         |                                     ^~~~~~~
 *
 * Warnings look the same with [W204]; notes have no code and no sum.
 * Codes are stable; conf/codes.def lists them with what `postern explain` says. */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/str.h"

/* A place in the configuration. Lies in images too: it outlives the texts. */
struct where {
	const char *file;               /* as shown; NULL: no place */
	uint32_t line, column;          /* from 1; columns are bytes */
	uint32_t len;                   /* bytes underlined; 0: the line is not shown, there is a secret in it */
};

enum diag_level { DIAG_ERROR, DIAG_WARNING, DIAG_NOTE };

struct diag_item {
	struct diag_item *next;
	enum diag_level level;
	int code;                       /* 204 for E204; 0 for notes */
	struct where where;
	struct str text;
	const char *about;              /* the option: services.routes.to; NULL */
};

struct diag_file {
	struct diag_file *next;
	const char *name;
	struct str text;                /* for caret lines */
};

struct diag {
	struct arena *arena;            /* lives with the load, not in the image */
	struct diag_item *first, **last;
	struct diag_file *files;
	int errors, warnings, nfiles;
	bool dropping;                  /* enough are kept: the rest is only counted */
	struct diag_item *newest;       /* NULL: it was dropped, or there is none */
	const char *outcome; /* "Revision 41 keeps serving.": said with the sum; NULL */
};

void diag_init(struct diag *, struct arena *);

/* Makes the text of a file known, for caret lines. Both are kept by reference. */
void diag_file(struct diag *, const char *name, struct str text);

void diag_error(struct diag *, int code, struct where, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void diag_warn(struct diag *, int code, struct where, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Belongs to the finding before it. */
void diag_note(struct diag *, struct where, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Names the option that the newest finding is about; kept by reference. */
void diag_about(struct diag *, const char *option);

/* Takes back what was found since `before`, a copy. */
void diag_undo(struct diag *, const struct diag *before);

/* The place `offset` bytes into the string value at `w`, `len` bytes long. */
struct where where_in(struct where w, size_t offset, size_t len);

/* Renders all findings in order of file and line, then a line such as
 * "3 errors, 1 warning in 4 files. Revision 41 keeps serving. Next: postern explain
 * services.routes.to" */
void diag_print(const struct diag *, FILE *);

/* All findings as one JSON document: {"errors":3,"warnings":1,"files":4,"findings":[{"level":"error",
 * "code":"E204","file":"…","line":14,"column":37,"length":7,"option":"services.routes.to","text":"…",
 * "notes":[…]}, …]}; option only where one is known */
void diag_print_json(const struct diag *, FILE *);

/* The word of `words` (NULL-terminated) nearest to `s` in edit distance, if near enough
 * to suggest, else NULL. */
const char *diag_nearest(struct str s, const char *const *words);

#endif
