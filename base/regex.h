/* regex — PCRE2, the one file that knows it.
 *
 * Patterns are compiled when the configuration is built and their code lies in the
 * image, so that every worker reads the same copy; a worker may add machine code of
 * its own (regex_bind). Subjects are bytes. Matching is bounded in steps: a pattern
 * that runs away is a mismatch that is counted, never a stalled worker. */
#ifndef BASE_REGEX_H
#define BASE_REGEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

enum { REGEX_GROUPS = 32 };             /* captures of a pattern, the whole match included */

struct regex {
	void *code;                     /* pcre2_code in the arena */
	struct str pattern;
	uint32_t id;                    /* set by the owner of a table for regex_bind(), from 0 */
	uint16_t groups;                /* capture groups, the whole match not counted */
	struct str *names;              /* groups entries: name of group i+1, or empty */
};

/* NULL and an error text with its offset in the pattern if it does not compile. */
struct regex *regex_compile(struct arena *, struct str pattern, bool caseless,
			    struct str *error, size_t *offset);

struct regex_match {
	struct str group[REGEX_GROUPS]; /* 0 is the whole match */
};

/* A process's own machine code for `n` regexes of one image, found by their ids. */
struct regex_jit;
struct regex_jit *regex_bind(const struct regex *const *all, size_t n);
void regex_unbind(struct regex_jit *);

/* Whether it matches; `jit` and `m` may be NULL. */
bool regex_match(const struct regex *, const struct regex_jit *jit, struct str subject,
		 struct regex_match *m);

/* Whether this machine allows machine code (once said in the log when not). */
bool regex_has_jit(void);

#endif
