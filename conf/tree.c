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
	size_t *count;
};

static struct conf_node *value(struct tree *);

static void
advance(struct tree *t)
{
	t->last_end = t->tok.end;
	t->tok = scan_next(t->scan);
}

static struct where
place(const struct tree *t, struct scan_token tok)
{
	return scan_where(t->scan, tok.at, tok.end);
}

static char
first(const struct tree *t, struct scan_token tok)
{
	return tok.end > tok.at ? t->scan->text.at[tok.at] : '\0';
}

static struct str
text(const struct tree *t, struct scan_token tok)
{
	return (struct str){ t->scan->text.at + tok.at, tok.end - tok.at };
}

static void
stop(struct tree *t)
{
	t->stopped = true;
	t->scan->at = (uint32_t)t->scan->text.len;
	t->tok = (struct scan_token){ SCAN_END, t->scan->at, t->scan->at };
}

/* Nobody reads a thousand errors, and a hostile file has millions. */
static void
give_up(struct tree *t)
{
	if (t->diag->errors >= SCAN_ERRORS_MAX)
		stop(t);
}

/* After a string without end, brackets that do not add up are its fault: one finding is
 * enough. */
static bool
lost(struct tree *t)
{
	if (t->scan->torn)
		stop(t);
	return t->scan->torn;
}

static bool
starts_value(enum scan_kind k)
{
	return k == SCAN_BOOL || k == SCAN_INT || k == SCAN_LONG || k == SCAN_FLOAT ||
	       k == SCAN_STRING || k == SCAN_WORD || k == SCAN_OPEN;
}

static char
closer(char open)
{
	return open == '{' ? '}' : open == '[' ? ']' : ')';
}

/* Whether = or : comes after the current token. */
static bool
assign_follows(const struct tree *t)
{
	struct str rest = str_trim(str_from(t->scan->text, t->tok.end));

	return rest.len && (*rest.at == '=' || *rest.at == ':');
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
	while (!t->stopped) {
		if (t->tok.kind == SCAN_END || t->tok.kind == SCAN_CLOSE ||
		    t->tok.kind == SCAN_SEMICOLON)
			return;
		if (in_list && t->tok.kind == SCAN_COMMA)
			return;
		if (!in_list && t->tok.kind == SCAN_NAME && first_on_line(t) &&
		    assign_follows(t))
			return;
		if (t->tok.kind == SCAN_OPEN)
			value(t);
		else
			advance(t);
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
		diag_error(t->diag, 113, place(t, t->tok), "more than %d settings in all",
			   TREE_NODES);
		stop(t);
	}
	return n;
}

static void
push(struct tree *t, const struct conf_node *child)
{
	t->stack = arena_push(t->arena, t->stack, t->nstack, sizeof(*t->stack));
	t->stack[t->nstack++] = child;
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

static void
unclosed(struct tree *t)
{
	if (t->stopped || lost(t))
		return;

	struct scan_token open = t->suspected ? t->suspect : t->open[t->depth];

	diag_error(t->diag, 102, place(t, open), "this %c is not closed", first(t, open));
	stop(t);
}

/* At a closing bracket: whether the innermost container ends here, well or not. */
static bool
closes(struct tree *t)
{
	char c = first(t, t->tok);
	unsigned d = t->depth;

	if (d && closer(first(t, t->open[d])) == c) {
		suspect(t, t->open[d]);
		return true;
	}
	if (lost(t))
		return true;
	while (d && closer(first(t, t->open[d])) != c)
		d--;
	if (d) {
		struct scan_token open = t->open[t->depth];

		diag_error(t->diag, 102, place(t, open),
			   "this %c is not closed before the %c in line %u",
			   first(t, open), c, place(t, t->tok).line);
		return true;
	}
	diag_error(t->diag, 103, place(t, t->tok), "this %c closes nothing", c);
	advance(t);
	if (t->tok.kind == SCAN_SEMICOLON)
		advance(t);
	return false;
}

/* Hands the children since `base` to their container. */
static void
adopt(struct tree *t, struct conf_node *n, size_t base)
{
	n->n = (uint32_t)(t->nstack - base);
	n->child = arena_alloc(t->arena, n->n * sizeof(*n->child) + 1);
	if (n->n)
		memcpy(n->child, t->stack + base, n->n * sizeof(*n->child));
	t->nstack = base;
	n->apart = n->n > TREE_APART;
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
	      const struct conf_node *n, struct scan_token tok)
{
	if (list->bracket != '[')
		return;
	if (n->bracket)
		diag_error(t->diag, 116, place(t, tok),
			   "an array in [ ] holds no groups or lists; use a list in ( )");
	else if (t->nstack > base &&
		 (t->stack[base]->kind != n->kind || t->stack[base]->apart != n->apart))
		diag_error(t->diag, 116, place(t, tok),
			   "an array in [ ] holds values of one kind; use a list in ( )");
}

/* After a semicolon inside a list: a separator gone wrong, or a bracket that is
 * missing? */
static bool
semicolon_in_list(struct tree *t)
{
	struct scan_token semicolon = t->tok, open = t->open[t->depth];

	advance(t);
	if (starts_value(t->tok.kind)) {
		diag_error(t->diag, 107, place(t, semicolon),
			   "elements are separated by a comma, not by a semicolon");
		return true;
	}
	if (t->tok.kind == SCAN_CLOSE && first(t, t->tok) == closer(first(t, open))) {
		diag_error(t->diag, 107, place(t, semicolon),
			   "no semicolon stands before the end of a list");
		return true;
	}
	if (!lost(t))
		diag_error(t->diag, 102, place(t, open),
			   "this %c is not closed before the semicolon", first(t, open));
	return false;
}

static void
list_body(struct tree *t, struct conf_node *list)
{
	size_t base = t->nstack;
	bool comma = true, any = false;
	struct scan_token last = t->tok;

	while (!t->stopped) {
		give_up(t);

		struct scan_token tok = t->tok;

		if (tok.kind == SCAN_END) {
			unclosed(t);
		} else if (tok.kind == SCAN_CLOSE) {
			if (!closes(t))
				continue;
			if (any && comma)
				diag_error(t->diag, 107, place(t, last),
					   "no comma stands after the last element");
			break;
		} else if (tok.kind == SCAN_COMMA) {
			if (comma)
				diag_error(t->diag, 107, place(t, tok),
					   "one comma too many");
			comma = true;
			last = tok;
			advance(t);
		} else if (tok.kind == SCAN_SEMICOLON) {
			if (!semicolon_in_list(t))
				break;
			comma = true;
			any = false;
		} else if (tok.kind == SCAN_ASSIGN ||
			   (tok.kind == SCAN_NAME && assign_follows(t))) {
			diag_error(t->diag, 104, place(t, tok),
				   "elements of a list have no names; a group in it is "
				   "written { … }");
			recover(t, true);
		} else {
			if (!comma)
				diag_error(t->diag, 107, place(t, tok),
					   "a comma is missing before this");

			struct conf_node *n = value(t);

			if (n) {
				array_element(t, list, base, n, tok);
				push(t, n);
			} else {
				recover(t, true);
			}
			comma = false;
			any = true;
		}
	}
	adopt(t, list, base);
}

/* name = value; Returns NULL when there was a slip. */
static struct conf_node *
setting(struct tree *t)
{
	struct scan_token name = t->tok;
	bool odd = name.kind != SCAN_NAME;

	advance(t);
	if (odd && str_starts(text(t, name), STR("@include"))) {
		diag_error(t->diag, 115, place(t, name),
			   "@include is not used here; write include = [ "
			   "\"conf.d/*.conf\" ];");
		if (t->tok.kind == SCAN_STRING)
			advance(t);
		return NULL;
	}
	if (odd)
		diag_error(t->diag, 109, place(t, name),
			   name.kind == SCAN_STRING
				   ? "a name is not in quotes, and has letters, digits, "
				     "- and _ only"
				   : "this is no name; names begin with a letter and "
				     "have letters, digits, - and _ only");
	if (t->tok.kind == SCAN_ASSIGN) {
		advance(t);
		if (t->tok.kind != SCAN_NAME && !starts_value(t->tok.kind)) {
			diag_error(t->diag, 119, place(t, name), "%.*s has no value",
				   STR_ARG(text(t, name)));
			return NULL;
		}
	} else if (!odd && (starts_value(t->tok.kind) ||
			    (t->tok.kind == SCAN_NAME && !first_on_line(t)))) {
		diag_error(t->diag, 104, place(t, t->tok),
			   "there is no = between %.*s and its value",
			   STR_ARG(text(t, name)));
	} else {
		if (!odd)
			diag_error(t->diag, 119, place(t, name), "%.*s has no value",
				   STR_ARG(text(t, name)));
		return NULL;
	}

	struct conf_node *n = value(t);

	if (!n || odd)
		return NULL;
	n->name_at = name.at;
	n->name_len = name.end - name.at;
	return n;
}

static void
group_body(struct tree *t, struct conf_node *group)
{
	size_t base = t->nstack;
	bool top = !t->depth;

	while (!t->stopped) {
		give_up(t);
		if (t->tok.kind == SCAN_END) {
			if (!top)
				unclosed(t);
			break;
		}
		if (t->tok.kind == SCAN_CLOSE) {
			if (!closes(t))
				continue;
			break;
		}
		if (t->tok.kind == SCAN_SEMICOLON || t->tok.kind == SCAN_COMMA) {
			diag_error(t->diag, 107, place(t, t->tok), "one %s too many",
				   t->tok.kind == SCAN_COMMA ? "comma" : "semicolon");
			advance(t);
			continue;
		}
		if (t->tok.kind == SCAN_OPEN || t->tok.kind == SCAN_ASSIGN) {
			diag_error(t->diag, 109, place(t, t->tok),
				   "a name is missing before this");
			recover(t, false);
		} else if (top && t->nstack - base >= TREE_TOP) {
			diag_error(t->diag, 113, place(t, t->tok),
				   "more than %d settings at the top level", TREE_TOP);
			stop(t);
		} else {
			struct conf_node *n = setting(t);

			if (n)
				push(t, n);
			else
				recover(t, false);
		}
		if (t->tok.kind == SCAN_SEMICOLON || t->tok.kind == SCAN_COMMA) {
			advance(t);
		} else if (starts_value(t->tok.kind)) {
			diag_error(t->diag, 107, place(t, t->tok),
				   "a semicolon is missing before this");
			recover(t, false);
			if (t->tok.kind == SCAN_SEMICOLON)
				advance(t);
		}
	}
	adopt(t, group, base);
}

static struct conf_node *
container(struct tree *t)
{
	struct scan_token open = t->tok;
	struct conf_node *n =
		node(t, first(t, open) == '{' ? CONF_NODE_GROUP : CONF_NODE_LIST);

	n->bracket = (uint8_t)first(t, open);
	if (t->stopped)
		return n;
	if (t->depth == TREE_DEPTH) {
		diag_error(t->diag, 112, place(t, open),
			   "more than %d brackets are open here", TREE_DEPTH);
		stop(t);
		return n;
	}
	t->open[++t->depth] = open;
	advance(t);
	if (n->bracket == '{')
		group_body(t, n);
	else
		list_body(t, n);
	if (t->tok.kind == SCAN_CLOSE && first(t, t->tok) == closer((char)n->bracket)) {
		n->end = t->tok.end;
		advance(t);
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
		advance(t);
		for (; t->tok.kind == SCAN_STRING; advance(t))
			n->end = t->tok.end;
		return n;
	default:
		bare_word(t);
		advance(t);
		return NULL;
	}
	if (!t->stopped)
		advance(t);
	return n;
}

struct conf_node *
tree_read(struct source *s, struct arena *a, struct diag *d, size_t *count)
{
	struct tree t = {
		.source = s, .scan = &s->scan, .arena = a, .diag = d, .count = count
	};

	advance(&t);
	t.last_end = 0;

	struct conf_node *root = node(&t, CONF_NODE_GROUP);

	root->bracket = '{';
	root->end = (uint32_t)s->scan.text.len;
	group_body(&t, root);
	root->apart = true;
	return root;
}
