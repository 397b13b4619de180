#include "conf/tree.h"

static struct conf_node *value(struct tree *);

static struct str
text(const struct tree *t, struct scan_token tok)
{
	return (struct str){ t->scan->text.at + tok.at, tok.end - tok.at };
}

static bool
starts_value(enum scan_kind k)
{
	return k == SCAN_BOOL || k == SCAN_INT || k == SCAN_LONG || k == SCAN_FLOAT ||
	       k == SCAN_STRING || k == SCAN_WORD || k == SCAN_OPEN;
}

static bool
first_on_line(const struct tree *t)
{
	return scan_line(t->scan, t->tok.at) !=
	       scan_line(t->scan, t->last_end ? t->last_end - 1 : 0);
}

/* After a slip: goes to where reading may begin again. */
static void
recover(struct tree *t, bool in_list)
{
	while (!t->stopped && !t->unwinding) {
		if (t->tok.kind == SCAN_END || t->tok.kind == SCAN_CLOSE ||
		    t->tok.kind == SCAN_SEMICOLON || (t->sure && tree_at_section(t)))
			return;
		if (in_list && t->tok.kind == SCAN_COMMA)
			return;
		if (!in_list && t->tok.kind == SCAN_NAME && first_on_line(t) &&
		    tree_assign_follows(t))
			return;
		if (t->tok.kind == SCAN_OPEN)
			value(t);
		else
			tree_advance(t);
	}
}

static struct conf_node *
node(struct tree *t, enum conf_node_kind kind)
{
	struct conf_node *n = ARENA_NEW(t->arena, struct conf_node);

	n->source = t->source;
	n->kind = (uint8_t)kind;
	n->at = t->tok.at;
	n->end = t->tok.end;
	if (++*t->count > TREE_NODES && !t->stopped) {
		diag_error(t->diag, 113, tree_place(t, t->tok), "more than %d settings in all",
			   TREE_NODES);
		tree_stop(t);
	}
	return n;
}

static void
push(struct tree *t, const struct conf_node *child)
{
	t->stack = arena_push(t->arena, t->stack, t->nstack, sizeof(*t->stack));
	t->stack[t->nstack++] = child;
}

static void
break_node(struct conf_node *n)
{
	n->kind = CONF_NODE_BROKEN;
	n->bracket = 0;
	n->n = 0;
	n->apart = true;
}

/* Stands for what was passed over. */
static struct conf_node *
broken(struct tree *t, struct scan_token tok)
{
	struct conf_node *n = node(t, CONF_NODE_BROKEN);

	n->at = tok.at;
	n->end = tok.end;
	break_node(n);
	return n;
}

/* Hands the children since `base` to their container. `errors` were there before it. */
static void
adopt(struct tree *t, struct conf_node *n, size_t base, int errors)
{
	n->n = (uint32_t)(t->nstack - base);
	n->child = arena_alloc(t->arena, n->n * sizeof(*n->child) + 1);
	if (n->n)
		memcpy(n->child, t->stack + base, n->n * sizeof(*n->child));
	t->nstack = base;
	n->apart = n->n > TREE_APART || t->diag->errors > errors;
	if (n->kind == CONF_NODE_GROUP)
		drop_duplicates(n, t->arena, t->diag);
	for (uint32_t i = 0; i < n->n && !n->apart; i++)
		n->apart = n->child[i]->apart;
}

/* What stands without quotes, up to a blank or bracket. */
static struct str
raw(const struct tree *t, uint32_t at)
{
	uint32_t p = at;

	while (p < t->scan->text.len && p - at < 60 &&
	       !strchr(" \t\r\n;,)]}\"", t->scan->text.at[p]))
		p++;
	return (struct str){ t->scan->text.at + at, p - at };
}

static void
bare_word(struct tree *t)
{
	static const char *const yes[] = { "yes", "on", "enabled", "enable", NULL };
	static const char *const no[] = { "no", "off", "disabled", "disable", NULL };
	struct str w = raw(t, t->tok.at);
	struct where place = scan_where(t->scan, t->tok.at, t->tok.at + (uint32_t)w.len);

	for (int i = 0; yes[i]; i++)
		if (str_caseeq(w, str_of(yes[i])) || str_caseeq(w, str_of(no[i]))) {
			diag_error(t->diag, 105, place, "%.*s is no value here; write %s",
				   STR_ARG(w),
				   str_caseeq(w, str_of(yes[i])) ? "true" : "false");
			return;
		}
	if (str_starts(w, STR("\xe2\x80")))
		diag_error(t->diag, 105, place,
			   "these are not the quotes of the language; write \"…\"");
	else
		diag_error(t->diag, 105, place, "a value needs quotes: \"%.*s\"",
			   STR_ARG(w));
}

static void
array_element(struct tree *t, const struct conf_node *list, size_t base,
	      struct conf_node *n, struct scan_token tok)
{
	if (list->bracket != '[' || n->kind == CONF_NODE_BROKEN)
		return;
	if (n->bracket)
		diag_error(t->diag, 116, tree_place(t, tok),
			   "an array in [ ] holds no groups or lists; use a list in ( )");
	else if (t->nstack > base && t->stack[base]->kind != CONF_NODE_BROKEN &&
		 (t->stack[base]->kind != n->kind || t->stack[base]->apart != n->apart)) {
		diag_error(t->diag, 116, tree_place(t, tok),
			   "an array in [ ] holds values of one kind; use a list in ( )");
		break_node(n);
	}
}

/* After a semicolon inside a list: a separator gone wrong, or a bracket that is
 * missing? */
static bool
semicolon_in_list(struct tree *t)
{
	struct scan_token semicolon = t->tok, open = t->open[t->depth];

	tree_advance(t);
	if (starts_value(t->tok.kind)) {
		diag_error(t->diag, 107, tree_place(t, semicolon),
			   "elements are separated by a comma, not by a semicolon");
		return true;
	}
	if (t->tok.kind == SCAN_CLOSE &&
	    tree_first(t, t->tok) == tree_closer(tree_first(t, open))) {
		diag_error(t->diag, 107, tree_place(t, semicolon),
			   "no semicolon stands before the end of a list");
		return true;
	}
	if (!tree_lost(t))
		diag_error(t->diag, 102, tree_place(t, open),
			   "this %c is not closed before the semicolon", tree_first(t, open));
	t->loose = true;
	return false;
}

static void
list_body(struct tree *t, struct conf_node *list)
{
	size_t base = t->nstack;
	int errors = t->diag->errors - t->slip;
	bool comma = true, any = false;
	struct scan_token last = t->tok;

	while (!t->stopped && !t->unwinding) {
		tree_give_up(t);

		struct scan_token tok = t->tok;

		if (tok.kind == SCAN_END || (t->sure && tree_at_section(t))) {
			tree_unclosed(t);
		} else if (tok.kind == SCAN_CLOSE) {
			if (!tree_closes(t))
				continue;
			if (any && comma)
				diag_error(t->diag, 107, tree_place(t, last),
					   "no comma stands after the last element");
			break;
		} else if (tok.kind == SCAN_COMMA) {
			if (comma)
				diag_error(t->diag, 107, tree_place(t, tok),
					   "one comma too many");
			comma = true;
			last = tok;
			tree_advance(t);
		} else if (tok.kind == SCAN_SEMICOLON) {
			if (!semicolon_in_list(t))
				break;
			comma = true;
			any = false;
		} else if (tok.kind == SCAN_ASSIGN ||
			   (tok.kind == SCAN_NAME && tree_assign_follows(t))) {
			diag_error(t->diag, 104, tree_place(t, tok),
				   "elements of a list have no names; a group in it is "
				   "written { … }");
			list->damaged = true;
			recover(t, true);
		} else {
			if (!comma)
				diag_error(t->diag, 107, tree_place(t, tok),
					   "a comma is missing before this");

			struct conf_node *n = value(t);

			if (n)
				array_element(t, list, base, n, tok);
			push(t, n ? n : broken(t, tok));
			if (!n)
				recover(t, true);
			comma = false;
			any = true;
		}
	}
	adopt(t, list, base, errors);
}

/* Between a name and what may be its value. False when there is none. */
static bool
assign(struct tree *t, struct scan_token name, bool odd)
{
	struct str is = text(t, name);

	if (t->tok.kind == SCAN_ASSIGN) {
		tree_advance(t);
		if (t->tok.kind == SCAN_NAME || starts_value(t->tok.kind))
			return true;
	} else if (!odd && (starts_value(t->tok.kind) ||
			    (t->tok.kind == SCAN_NAME && !first_on_line(t)))) {
		bool bare = t->tok.kind == SCAN_NAME || t->tok.kind == SCAN_WORD;

		diag_error(t->diag, 104, tree_place(t, t->tok),
			   "there is no = between %.*s and its value%s", STR_ARG(is),
			   bare ? ", which has no quotes either" : "");
		return !bare;
	} else if (odd) {
		return false;
	}
	diag_error(t->diag, 119, tree_place(t, name), "%.*s has no value", STR_ARG(is));
	return false;
}

/* name = value; *whole: false when reading has to find its feet again. NULL when not even
 * the name is known. */
static struct conf_node *
setting(struct tree *t, bool *whole)
{
	struct scan_token name = t->tok;
	bool odd = name.kind != SCAN_NAME;

	*whole = false;

	tree_advance(t);
	if (odd && str_starts(text(t, name), STR("@include"))) {
		diag_error(t->diag, 115, tree_place(t, name),
			   "@include is not used here; write include = [ "
			   "\"conf.d/*.conf\" ];");
		if (t->tok.kind == SCAN_STRING)
			tree_advance(t);
		t->source->incomplete = true;
		return NULL;
	}
	if (odd)
		diag_error(t->diag, 109, tree_place(t, name),
			   name.kind == SCAN_STRING
				   ? "a name is not in quotes, and has letters, digits, "
				     "- and _ only"
				   : "this is no name; names begin with a letter and "
				     "have letters, digits, - and _ only");

	struct conf_node *n = assign(t, name, odd) ? value(t) : NULL;

	*whole = n && !odd;
	if (odd)
		return NULL;
	if (!n)
		n = broken(t, name);
	n->name_at = name.at;
	n->name_len = name.end - name.at;
	return n;
}

/* What of it lies where is not known. */
static void
section_is_loose(struct tree *t, struct conf_node *section)
{
	if (section)
		break_node(section);
	t->source->loose = true;
	t->loose = false;
}

static void
group_body(struct tree *t, struct conf_node *group)
{
	size_t base = t->nstack;
	int errors = t->diag->errors - t->slip;
	bool top = !t->depth;

	while (!t->stopped && !t->unwinding) {
		tree_give_up(t);
		if (t->tok.kind == SCAN_END || (!top && t->sure && tree_at_section(t))) {
			if (!top)
				tree_unclosed(t);
			break;
		}
		if (t->tok.kind == SCAN_CLOSE) {
			if (!tree_closes(t)) {
				t->source->loose |= top;
				continue;
			}
			break;
		}
		if (t->tok.kind == SCAN_SEMICOLON || t->tok.kind == SCAN_COMMA) {
			diag_error(t->diag, 107, tree_place(t, t->tok), "one %s too many",
				   t->tok.kind == SCAN_COMMA ? "comma" : "semicolon");
			tree_advance(t);
			continue;
		}
		if (t->tok.kind == SCAN_OPEN || t->tok.kind == SCAN_ASSIGN) {
			diag_error(t->diag, 109, tree_place(t, t->tok),
				   "a name is missing before this");
			group->damaged = true;
			recover(t, false);
		} else if (top && t->nstack - base >= TREE_TOP) {
			diag_error(t->diag, 113, tree_place(t, t->tok),
				   "more than %d settings at the top level", TREE_TOP);
			tree_stop(t);
		} else {
			bool whole;
			struct conf_node *n = setting(t, &whole);

			if (top && t->loose)
				section_is_loose(t, n);
			if (n)
				push(t, n);
			else
				group->damaged = true;
			if (!whole)
				recover(t, false);
			/* A torn string is to blame within its section only. */
			if (top)
				t->scan->torn = t->suspected = false;
			if (top && t->unwinding) {
				t->unwinding = false;
				continue;
			}
		}
		if (t->tok.kind == SCAN_SEMICOLON || t->tok.kind == SCAN_COMMA) {
			tree_advance(t);
		} else if (starts_value(t->tok.kind)) {
			diag_error(t->diag, 107, tree_place(t, t->tok),
				   "a semicolon is missing before this");
			recover(t, false);
			if (t->tok.kind == SCAN_SEMICOLON)
				tree_advance(t);
		}
	}
	adopt(t, group, base, errors);
}

static struct conf_node *
container(struct tree *t)
{
	struct scan_token open = t->tok;
	struct conf_node *n =
		node(t, tree_first(t, open) == '{' ? CONF_NODE_GROUP : CONF_NODE_LIST);

	n->bracket = (uint8_t)tree_first(t, open);
	if (t->stopped)
		return n;
	if (t->depth == TREE_DEPTH) {
		diag_error(t->diag, 112, tree_place(t, open),
			   "more than %d brackets are open here", TREE_DEPTH);
		tree_stop(t);
		return n;
	}
	t->open[++t->depth] = open;
	tree_advance(t);
	if (n->bracket == '{')
		group_body(t, n);
	else
		list_body(t, n);
	if (!t->unwinding && t->tok.kind == SCAN_CLOSE &&
	    tree_first(t, t->tok) == tree_closer((char)n->bracket)) {
		n->end = t->tok.end;
		tree_advance(t);
	}
	t->depth--;
	return n;
}

/* At what should be a value. NULL and a finding when it is none. */
static struct conf_node *
value(struct tree *t)
{
	struct conf_node *n;

	switch (t->tok.kind) {
	case SCAN_OPEN:
		return container(t);
	case SCAN_BOOL:
		n = node(t, CONF_NODE_BOOL);
		break;
	case SCAN_INT:
	case SCAN_LONG:
		n = node(t, CONF_NODE_INT);
		/* libconfig has two kinds of numbers and does not mix them in an
		 * array. */
		n->apart = t->tok.kind == SCAN_LONG;
		break;
	case SCAN_FLOAT:
		n = node(t, CONF_NODE_FLOAT);
		break;
	case SCAN_STRING:
		n = node(t, CONF_NODE_STRING);
		for (; t->tok.kind == SCAN_STRING; tree_advance(t)) {
			n->end = t->tok.end;
			if (t->slip)
				break_node(n);
		}
		return n;
	default:
		bare_word(t);
		tree_advance(t);
		return NULL;
	}
	if (t->slip)
		break_node(n);
	if (!t->stopped)
		tree_advance(t);
	return n;
}

/* *lost: brackets did not add up, and something was left unread. */
static struct conf_node *
read_all(struct source *s, struct arena *a, struct diag *d, size_t *count, bool sure,
	 bool *lost)
{
	struct tree t = {
		.source = s, .scan = &s->scan, .arena = a, .diag = d, .count = count,
		.sure = sure,
	};

	tree_advance(&t);
	t.last_end = 0;

	struct conf_node *root = node(&t, CONF_NODE_GROUP);

	root->bracket = '{';
	root->end = (uint32_t)s->scan.text.len;
	group_body(&t, root);
	root->apart = true;
	if (root->damaged || s->loose)
		s->incomplete = true;
	*lost = t.lost;
	return root;
}

struct conf_node *
tree_read(struct source *s, struct arena *a, struct diag *d, size_t *count)
{
	struct diag before = *d;
	size_t nodes = *count;
	uint32_t at = s->scan.at;
	bool lost;
	struct conf_node *root = read_all(s, a, d, count, false, &lost);

	if (!lost)
		return root;
	diag_undo(d, &before);
	*count = nodes;
	s->scan.at = at;
	s->scan.torn = false;
	return read_all(s, a, d, count, true, &lost);
}
