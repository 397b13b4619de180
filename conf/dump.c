#include "conf/reader.h"

struct dump {
	struct conf_load *load;
	FILE *out;
};

static void
group(struct dump *, const struct conf_field *rows, const struct conf_node *, int depth);

static void
indent(struct dump *d, int depth)
{
	fprintf(d->out, "%*s", depth * 2, "");
}

static void
quoted(struct dump *d, struct str s)
{
	fputc('"', d->out);
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];
		/* A backslash that stays one for libconfig is left alone, as people wrote
		 * it. */
		const char *escape = c == '"'    ? "\\\""
				     : c == '\\' ? "\\\\"
				     : c == '\n' ? "\\n"
				     : c == '\r' ? "\\r"
				     : c == '\t' ? "\\t"
						 : NULL;

		if (escape)
			fputs(escape, d->out);
		else if (c < 0x20 || c == 0x7f)
			fprintf(d->out, "\\x%02X", c);
		else
			fputc(c, d->out);
	}
	fputc('"', d->out);
}

/* Variables of the files are replaced; those of the environment may be secrets and
 * stay. */
static struct str
expanded(struct dump *d, struct str s)
{
	struct arena *a = &d->load->scratch;
	struct str out = { "", 0 };

	while (s.len) {
		const char *p = memmem(s.at, s.len, "${var:", 6);
		size_t n = p ? (size_t)(p - s.at) : s.len;

		if (p && n && p[-1] == '$')
			n += 6, p = NULL;
		out = arena_printf(a, "%.*s%.*s", STR_ARG(out), (int)n, s.at);
		s = str_from(s, n);
		if (!p)
			continue;

		struct str name = str_from(s, 6);
		ptrdiff_t end = str_find(name, '}');
		const struct conf_node *vars = conf_member(d->load->root, "vars"),
				       *var = NULL;

		if (end >= 0 && vars)
			var = conf_member(vars,
					  arena_str(a, str_first(name, (size_t)end)).at);
		if (var)
			out = arena_printf(a, "%.*s%.*s", STR_ARG(out),
					   STR_ARG(var->text));
		s = str_from(name, (size_t)end + 1);
	}
	return out;
}

static void
value(struct dump *d, const struct conf_field *r, const struct conf_node *n, int depth)
{
	struct str s;

	switch (conf_kind_of(n)) {
	case CONF_NODE_BROKEN: /* then nothing is printed at all */
		break;
	case CONF_NODE_BOOL:
		fputs(n->number ? "true" : "false", d->out);
		break;
	case CONF_NODE_INT:
		fprintf(d->out, "%lld%s", n->number,
			n->number != (int)n->number ? "L" : "");
		break;
	case CONF_NODE_FLOAT:
		fprintf(d->out, "%#g", n->real);
		break;
	case CONF_NODE_STRING:
		s = n->text;
		if (has_variables(s))
			s = expanded(d, s);
		if (r && r->flags & CONF_F_SECRET && !secret_elsewhere(s))
			s = STR("***");
		if (r && (r->flags & CONF_F_SECRET || r->kind == CONF_KIND_FILE) &&
		    str_starts(s, STR("file:")))
			s = arena_printf(&d->load->scratch, "file:%.*s",
					 STR_ARG(source_path(n->source, &d->load->scratch,
							     str_from(s, 5))));
		if (r && (r->kind == CONF_KIND_PATH || r->kind == CONF_KIND_FILE) &&
		    s.len && !has_variables(s) && !secret_elsewhere(s) &&
		    !(r->flags & CONF_F_SECRET) &&
		    !(r->flags & CONF_F_NONE && str_eq(s, STR("none"))))
			s = source_path(n->source, &d->load->scratch, s);
		quoted(d, s);
		break;
	case CONF_NODE_GROUP:
		fputs("{\n", d->out);
		group(d, r ? r->sub : NULL, n, depth + 1);
		indent(d, depth);
		fputc('}', d->out);
		break;
	case CONF_NODE_LIST:
		fputc(n->bracket, d->out);
		fputc(n->n && n->child[0]->bracket ? '\n' : ' ', d->out);
		for (uint32_t i = 0; i < n->n; i++) {
			const struct conf_node *c = n->child[i];

			if (c->bracket)
				indent(d, depth + 1);
			value(d, r && r->kind == CONF_KIND_VIA ? r : NULL, c, depth + 1);
			if (i + 1 < n->n)
				fputc(',', d->out);
			fputc(c->bracket ? '\n' : ' ', d->out);
		}
		if (n->n && n->child[n->n - 1]->bracket)
			indent(d, depth);
		fputc(n->bracket == '[' ? ']' : ')', d->out);
		break;
	}
}

static void
setting(struct dump *d, const struct conf_field *r, const struct conf_node *n, int depth)
{
	struct str name = conf_name_of(n);

	indent(d, depth);
	fprintf(d->out, "%.*s%s ", STR_ARG(name),
		n->kind == CONF_NODE_GROUP ? ":" : " =");
	value(d, r, n, depth);
	fputs(";\n", d->out);
}

static void
default_of(struct dump *d, const struct conf_field *r, int depth)
{
	if (r->flags & (CONF_F_LATER | CONF_F_REQUIRED) ||
	    (!r->def && r->kind != CONF_KIND_GROUP))
		return;
	if (r->kind == CONF_KIND_GROUP) {
		bool any = false;

		for (const struct conf_field *s = r->sub; s->key; s++)
			any |= s->def || s->kind == CONF_KIND_GROUP;
		if (!any)
			return;
		indent(d, depth);
		fprintf(d->out, "%s: {\n", r->key);
		group(d, r->sub, NULL, depth + 1);
		indent(d, depth);
		fputs("};\n", d->out);
		return;
	}
	indent(d, depth);

	bool bare = r->kind == CONF_KIND_BOOL || r->kind == CONF_KIND_INT ||
		    *r->def == '[' ||
		    (r->kind == CONF_KIND_VIA && *r->def >= '0' && *r->def <= '9');

	fprintf(d->out, bare ? "%s = %s;\n" : "%s = \"%s\";\n", r->key, r->def);
}

/* The rows of a policy, by its type. */
static const struct conf_field *
type_rows(struct dump *d, const struct conf_node *n)
{
	const struct conf_node *type = conf_member(n, "type");
	uint32_t index;
	const struct conf_type *t = NULL;
	struct str name;

	if (type && type->kind == CONF_NODE_STRING &&
	    conf_text(d->load, type, &name) == 0)
		t = type_find(d->load->types, name, &index);
	return t ? t->fields : NULL;
}

/* Settings that are there in the order of the rows, then defaults; what has no row as it
 * is. */
static void
group(struct dump *d, const struct conf_field *rows, const struct conf_node *n, int depth)
{
	const struct conf_node *child;

	if (n && conf_member(n, "type") && (!rows || rows == policy_rows)) {
		const struct conf_field *of_type = type_rows(d, n);

		if (of_type) {
			setting(d, NULL, conf_member(n, "type"), depth);
			rows = of_type;
		}
	}
	if (!rows) {
		for_each_child(child, n)
			setting(d, NULL, child, depth);
		return;
	}
	for (const struct conf_field *r = rows; r->key; r++) {
		child = n ? conf_member(n, r->key) : NULL;
		if (!child) {
			default_of(d, r, depth);
			continue;
		}
		if (r->flags & CONF_F_NAMED && child->kind == CONF_NODE_GROUP) {
			const struct conf_node *named;

			indent(d, depth);
			fprintf(d->out, "%s: {\n", r->key);
			for_each_child(named, child)
				setting(d, r, named, depth + 1);
			indent(d, depth);
			fputs("};\n", d->out);
		} else {
			setting(d, r, child, depth);
		}
	}
}

static void
section(struct dump *d, const struct conf_field *r)
{
	const struct conf_node *n = conf_member(d->load->root, r->key);
	struct conf_node top = {
		.kind = CONF_NODE_GROUP, .bracket = '{', .n = 1, .child = &n
	};

	if (n && r->flags & CONF_F_NAMED) {
		group(d, (const struct conf_field[]){ *r, CONF_END }, &top, 0);
	} else if (n || !(r->flags & CONF_F_NAMED)) {
		fprintf(d->out, "%s: {\n", r->key);
		group(d, r->sub, n, 1);
		fputs("};\n", d->out);
	}
}

static void
forget(void *image)
{
	arena_reset(image);
}

int
conf_dump(const char *path, const struct conf_type *const *types, struct diag *diag,
	  FILE *out)
{
	/* The variables stand where they are used, the included files where they
	 * belong. */
	static const char *const order[] = { "gateway",   "admin",     "history",
					     "listeners", "upstreams", "plans",
					     "consumers", "policies",  "services" };
	/* The findings name files that lie in it. */
	struct arena *image = ARENA_NEW(diag->arena, struct arena);
	struct conf_load l;
	struct dump d = { &l, out };

	arena_init(image, NULL, 0, (size_t)4 << 30);
	arena_defer(diag->arena, forget, image);
	load_begin(&l, image, types, diag);

	int result = load_run(&l, path);

	for (size_t i = 0; result == 0 && i < sizeof(order) / sizeof(*order); i++)
		for (const struct conf_field *r = conf_rows; r->key; r++)
			if (strcmp(r->key, order[i]) == 0)
				section(&d, r);
	load_end(&l);
	return result;
}
