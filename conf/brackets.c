#include "conf/tree.h"

struct where
tree_place(const struct tree *t, struct scan_token tok)
{
	return scan_where(t->scan, tok.at, tok.end);
}

void
tree_stop(struct tree *t)
{
	t->stopped = t->loose = t->source->loose = true;
	t->scan->at = (uint32_t)t->scan->text.len;
	t->tok = (struct scan_token){ SCAN_END, t->scan->at, t->scan->at };
}

static uint32_t
skip_blanks(const struct tree *t, uint32_t at)
{
	while (at < t->scan->text.len && strchr(" \t\r\n\f", t->scan->text.at[at]) &&
	       t->scan->text.at[at])
		at++;
	return at;
}

bool
tree_assign_follows(const struct tree *t)
{
	char c = t->scan->text.at[skip_blanks(t, t->tok.end)];

	return c == '=' || c == ':';
}

bool
tree_at_section(const struct tree *t)
{
	struct str name = { t->scan->text.at + t->tok.at, t->tok.end - t->tok.at };

	if (t->tok.kind != SCAN_NAME ||
	    t->scan->lines[scan_line(t->scan, t->tok.at)] != t->tok.at ||
	    !is_section(name))
		return false;

	return tree_assign_follows(t) &&
	       t->scan->text.at[skip_blanks(t, skip_blanks(t, t->tok.end) + 1)] == '{';
}

/* Brackets do not add up. Reading ends here, or goes on with the next section when what
 * looks like one is taken for one. */
static void
lose(struct tree *t)
{
	t->lost = t->loose = true;
	while (t->sure && t->tok.kind != SCAN_END && !tree_at_section(t))
		tree_advance(t);
	if (t->tok.kind == SCAN_END || !t->sure)
		tree_stop(t);
	else
		t->unwinding = true;
}

/* Nobody reads a thousand errors, and a hostile file has millions. */
void
tree_give_up(struct tree *t)
{
	if (t->diag->errors >= SCAN_ERRORS_MAX)
		tree_stop(t);
}

/* After a string without end, brackets that do not add up are its fault: one finding is
 * enough. */
bool
tree_lost(struct tree *t)
{
	if (t->scan->torn)
		lose(t);
	return t->scan->torn;
}

static uint32_t
indent(const struct tree *t, uint32_t at, bool *leads)
{
	uint32_t from = t->scan->lines[scan_line(t->scan, at)], p = from;

	while (p < at && (t->scan->text.at[p] == ' ' || t->scan->text.at[p] == '\t'))
		p++;
	*leads = p == at;
	return p - from;
}

/* A closing bracket that stands alone on its line, further left than the line that it
 * closes: often the sign that an inner bracket was forgotten. */
static void
suspect(struct tree *t, struct scan_token open)
{
	bool leads, ignored;

	if (t->suspected || scan_line(t->scan, open.at) == scan_line(t->scan, t->tok.at))
		return;

	uint32_t here = indent(t, t->tok.at, &leads),
		 there = indent(t, open.at, &ignored);

	if (leads && here < there) {
		t->suspect = open;
		t->suspected = true;
	}
}

void
tree_unclosed(struct tree *t)
{
	if (t->stopped || tree_lost(t))
		return;

	struct scan_token open = t->suspected ? t->suspect : t->open[t->depth];

	diag_error(t->diag, 102, tree_place(t, open), "this %c is not closed", tree_first(t, open));
	lose(t);
}

/* At a closing bracket: whether the innermost container ends here, well or not. */
bool
tree_closes(struct tree *t)
{
	char c = tree_first(t, t->tok);
	unsigned d = t->depth;

	if (d && tree_closer(tree_first(t, t->open[d])) == c) {
		suspect(t, t->open[d]);
		return true;
	}
	if (tree_lost(t))
		return true;
	while (d && tree_closer(tree_first(t, t->open[d])) != c)
		d--;
	if (d) {
		struct scan_token open = t->open[t->depth];

		t->loose = true;
		diag_error(t->diag, 102, tree_place(t, open),
			   "this %c is not closed before the %c in line %u",
			   tree_first(t, open), c, tree_place(t, t->tok).line);
		return true;
	}
	diag_error(t->diag, 103, tree_place(t, t->tok), "this %c closes nothing", c);
	tree_advance(t);
	if (t->tok.kind == SCAN_SEMICOLON)
		tree_advance(t);
	return false;
}
