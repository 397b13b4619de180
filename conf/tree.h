/* tree — what tree.c and brackets.c share while the settings of a file are read: tree.c
 * makes the nodes, brackets.c finds out what is not closed and where reading can go on.
 * Only they include this. */
#ifndef CONF_TREE_H
#define CONF_TREE_H

#include "conf/source.h"

struct tree {
	struct source *source;
	struct scan *scan;
	struct arena *arena;
	struct diag *diag;
	struct scan_token tok;
	uint32_t last_end;              /* of the token before */
	const struct conf_node **stack; /* children of open containers */
	size_t nstack;
	struct scan_token open[TREE_DEPTH + 1];
	unsigned depth;
	struct scan_token suspect; /* an opening bracket whose closing one stands oddly */
	bool suspected, stopped;
	bool sure;      /* a section begins where it seems to, whatever is open */
	bool unwinding; /* to the top level, for there is one */
	bool lost;      /* not all of the file could be read */
	bool loose;                     /* brackets of this section do not add up */
	bool slip;                      /* there is one in the current token */
	size_t *count;
};

static inline void
tree_advance(struct tree *t)
{
	t->last_end = t->tok.end;

	int errors = t->diag->errors;

	t->tok = scan_next(t->scan);
	t->slip = t->diag->errors > errors;
}

/* Its first byte; 0: none. */
static inline char
tree_first(const struct tree *t, struct scan_token tok)
{
	return tok.end > tok.at ? t->scan->text.at[tok.at] : '\0';
}

static inline char
tree_closer(char open)
{
	return open == '{' ? '}' : open == '[' ? ']' : ')';
}

struct where tree_place(const struct tree *, struct scan_token);

/* Nothing more is read. */
void tree_stop(struct tree *);

/* Nobody reads a thousand errors, and a hostile file has millions: stops after some. */
void tree_give_up(struct tree *);

/* Whether = or : comes after the current token. */
bool tree_assign_follows(const struct tree *);

/* Whether a section seems to begin here: NAME: { at the very left. */
bool tree_at_section(const struct tree *);

/* After a string without end, brackets that do not add up are its fault: one finding is
 * enough. */
bool tree_lost(struct tree *);

/* The text ended, or a section began, within a container. */
void tree_unclosed(struct tree *);

/* At a closing bracket: whether the innermost container ends here, well or not. */
bool tree_closes(struct tree *);

#endif
