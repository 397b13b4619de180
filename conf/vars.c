#include <stdlib.h>

#include "conf/reader.h"

bool
has_variables(struct str s)
{
	return s.len && memchr(s.at, '$', s.len) && memmem(s.at, s.len, "${", 2);
}

static int
unset(struct conf_load *l, const struct conf_node *n, size_t at, size_t len,
      struct str what)
{
	struct where w = where_in(conf_where(n), at, len);

	if (str_starts(what, STR("var:"))) {
		struct str name = str_from(what, 4);

		if (map_get(&l->vars, name) || !section_whole(l, "vars"))
			return -1;
		conf_error(l, 213, w, "no variable \"%.*s\" in the section vars%s",
			   STR_ARG(name),
			   suggest_name(&l->scratch, name, &l->vars, NULL));
	} else if (str_starts(what, STR("env:"))) {
		conf_error(l, 213, w, "%.*s is not set in the environment",
			   STR_ARG(str_from(what, 4)));
	} else {
		conf_error(l, 213, w,
			   "write ${env:NAME} or ${var:NAME}; $${ is a literal ${");
	}
	return -1;
}

/* The value of "env:NAME" or "var:NAME". */
static bool
lookup(struct conf_load *l, struct str what, struct str *value)
{
	if (str_starts(what, STR("env:"))) {
		const char *text = getenv(arena_str(&l->scratch, str_from(what, 4)).at);

		*value = str_of(text);
		return text;
	}
	if (!str_starts(what, STR("var:")))
		return false;

	const struct str *var = map_get(&l->vars, str_from(what, 4));

	if (var)
		*value = *var;
	return var && var->at;
}

struct growing {
	struct arena *arena;
	char *at;
	size_t len, room;
};

static void
put(struct growing *g, struct str s)
{
	if (g->len + s.len + 1 > g->room) {
		size_t room = (g->len + s.len + 1) * 2;
		char *p = arena_alloc_aligned(g->arena, room, 1);

		if (g->len)
			memcpy(p, g->at, g->len);
		g->at = p;
		g->room = room;
	}
	if (s.len)
		memcpy(g->at + g->len, s.at, s.len);
	g->len += s.len;
}

int
replace_variables(struct conf_load *l, const struct conf_node *n, struct str text,
		  struct str *out)
{
	struct growing g = { .arena = &l->scratch };
	size_t at = 0;

	while (at < text.len) {
		const char *p = memmem(text.at + at, text.len - at, "${", 2);
		size_t next = p ? (size_t)(p - text.at) : text.len;

		if (p && next > at && p[-1] == '$') {
			put(&g, (struct str){ text.at + at, next - at - 1 });
			put(&g, STR("${"));
			at = next + 2;
			continue;
		}
		put(&g, (struct str){ text.at + at, next - at });
		at = next;
		if (!p)
			break;

		struct str what = str_from(text, at + 2), value;
		ptrdiff_t end = str_find(what, '}');

		if (end < 0) {
			conf_error(l, 213, where_in(conf_where(n), at, 2),
				   "this ${ has no }");
			return -1;
		}
		what.len = (size_t)end;
		if (!lookup(l, what, &value))
			return unset(l, n, at, what.len + 3, what);
		put(&g, value);
		if (g.len > SCAN_STRING_MAX) {
			conf_error(l, 113, conf_where(n),
				   "with its variables this string is too long");
			return -1;
		}
		at += what.len + 3;
	}
	*out = arena_str(l->image, (struct str){ g.at, g.len });
	return 0;
}

/* The section vars: strings, in which ${env:} may stand. */
int
vars_parse(struct conf_load *l, const struct conf_node *node, struct str text,
	   struct where w, void *to)
{
	const struct conf_node *child;
	int result = 0;

	(void)text, (void)w, (void)to;
	if (!node)
		return 0;
	if (node->kind != CONF_NODE_GROUP)
		return wrong_type(l, node, "vars", "{ name = \"value\"; }");
	struct str *values = ARENA_NEWS(l->image, struct str, node->n), *v = values;

	for_each_child(child, node) {
		if (child->kind == CONF_NODE_STRING &&
		    memmem(child->text.at, child->text.len, "${var:", 6)) {
			conf_error(l, 213, conf_where(child),
				   "a variable is not made of other variables");
			result = -1;
		} else if (conf_text(l, child, v) < 0) {
			result = -1;
		}
		v++;
	}
	/* Known only now, so that none of them sees another. */
	v = values;
	for_each_child(child, node)
		map_put(&l->vars, &l->scratch, conf_name_of(child), v++);
	return result;
}
