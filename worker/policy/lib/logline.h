/* logline — one line of an access log, written where it will lie. */
#ifndef POLICY_LIB_LOGLINE_H
#define POLICY_LIB_LOGLINE_H

#include "conf/field.h"
#include "worker/exchange/template.h"

struct exchange;

struct logline {
	char *at, *end;
	size_t cap;                     /* longer values are cut to this */
	bool full;                      /* something did not fit: the line is of no use */
	const struct conf_strs *redact; /* names of query parameters, headers and cookies that are masked */
	/* escape_json or escape_field: of every value, so that none can end the line. */
	char *(*escape)(char *to, char *end, struct str);
};

/* Our own text. */
static inline void
logline_raw(struct logline *l, struct str s)
{
	if (s.len > (size_t)(l->end - l->at)) {
		l->full = true;
		return;
	}
	if (s.len)
		l->at = mempcpy(l->at, s.at, s.len);
}

void logline_value(struct logline *, struct str);       /* escaped */
void logline_u64(struct logline *, uint64_t);

/* Whether a name is masked, case ignored: those of the usual credentials always are. */
bool logline_masks(const struct logline *, struct str name);
/* A query with the values of masked parameters replaced by "***". */
void logline_query(struct logline *, struct str query);
/* A URI with such a query. */
void logline_uri(struct logline *, struct str uri);
/* One part of a template: escaped, and masked by what it is; a literal as it is when `raw`. */
void logline_piece(struct logline *, const struct template_piece *, bool raw);
/* All parts of a template, each escaped and masked by what it is; literal parts as they
 * are when `raw`. */
void logline_template(struct logline *, const struct template *, struct exchange *, bool raw);

#endif
