/* record_text — a record of the recorder for people and programs: one line, the whole story, JSON.
 *
 * A record names its series by number; where it was found says what they are called: the
 * region (rings), or the record itself (the store). */
#ifndef CLI_RECORD_TEXT_H
#define CLI_RECORD_TEXT_H

#include <stdio.h>

#include "shm/records.h"
#include "shm/stats.h"

struct record_view {
	const struct record *record;
	struct record_texts texts;
	const struct record_note *notes;
	/* The name of a series; empty: not known. */
	struct str (*name)(const struct record_view *, uint32_t series);
	const void *names;
};

/* Of a record of a ring: `stats` knows the names. */
struct record_view record_view(const struct record *, const struct stats *stats);

/* 32 hex digits, and a NUL. */
void record_id(const struct record *, char to[static 33]);

/* The note of the policy that answered, or NULL. */
const struct record_note *record_decider(const struct record_view *);
/* What a policy says of its note, as a sentence, into `to`; empty: the decision says it all. */
void record_explain(const struct record_view *, const struct record_note *, char *to, size_t size);

/* A line with its end. */
void record_line(const struct record_view *, FILE *);
/* All of it, over several lines. */
void record_story(const struct record_view *, FILE *);
/* An object on a line, with its end. */
void record_json(const struct record_view *, FILE *);

/* "2026-11-21T11:20:44.123Z" */
void record_time(int64_t ms, char to[static 32]);

#endif
