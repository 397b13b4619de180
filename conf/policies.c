#include "conf/reader.h"

/* Types of the language that this version does not have. */
static const char *const later[] = {
	"jwt", "cache", "compress", "basic-auth", "mirror", "ip-allow", NULL,
};

const struct conf_field policy_rows[] = { { .key = "type",
					    .kind = CONF_KIND_STR,
					    .flags = CONF_F_REQUIRED,
					    .help = "what the policy does" },
					  CONF_END };

const struct conf_type *
type_find(const struct conf_type *const *types, struct str name, uint32_t *index)
{
	for (uint32_t i = 0; types[i]; i++)
		if (str_eq(name, str_of(types[i]->name))) {
			*index = i;
			return types[i];
		}
	return NULL;
}

static const struct conf_type *
type_of(struct conf_load *l, const struct conf_node *n, uint32_t *index)
{
	const struct conf_node *t = conf_member(n, "type");
	const char *names[64];
	struct str name;
	int k = 0;

	if (!t) {
		if (!n->damaged)
			conf_error(l, 208,
				   n->name_len ? conf_name_where(n) : conf_where(n),
				   "\"type\" is missing: what the policy does");
		return NULL;
	}
	if (conf_text(l, t, &name) < 0)
		return NULL;

	const struct conf_type *type = type_find(l->types, name, index);

	if (type)
		return type;
	for (int i = 0; later[i]; i++)
		if (str_eq(name, str_of(later[i]))) {
			conf_error(l, 209, conf_where(t),
				   "policy type \"%s\" is not in this version of postern",
				   later[i]);
			return NULL;
		}
	for (; l->types[k] && k < 63; k++)
		names[k] = l->types[k]->name;
	names[k] = NULL;
	conf_error(l, 225, conf_where(t), "no policy type \"%.*s\"%s",
		   STR_ARG(str_first(name, 60)), suggest_word(&l->scratch, name, names));
	return NULL;
}

/* The same group without its `type`, which the rows of a type do not have. */
static struct conf_node *
options(struct conf_load *l, const struct conf_node *n)
{
	struct conf_node *copy = ARENA_NEW(&l->scratch, struct conf_node);
	const struct conf_node *child;

	*copy = *n;
	copy->child = arena_alloc(&l->scratch, (n->n + 1) * sizeof(*copy->child));
	copy->n = 0;
	for_each_child(child, n)
		if (!str_eq(conf_name_of(child), STR("type")))
			copy->child[copy->n++] = child;
	return copy;
}

struct str
conf_policy_name(const struct conf_load *l)
{
	return l->policy;
}

static struct conf_policy *
policy(struct conf_load *l, const struct conf_node *n)
{
	struct conf_model *m = l->model;
	struct conf_policy *p = ARENA_NEW(l->image, struct conf_policy);

	if (n->kind != CONF_NODE_GROUP) {
		wrong_type(l, n, NULL, "{ type = \"…\"; }");
		if (!n->name_len)
			return NULL;
	}
	p->name = arena_str(l->image, conf_name_of(n));
	p->where = n->name_len ? conf_name_where(n) : conf_where(n);

	struct reader_scope before = reader_begin(l, "policy", p->name);

	p->type = n->kind == CONF_NODE_GROUP ? type_of(l, n, &p->type_index) : NULL;
	l->policy = p->name;
	if (p->type) {
		const struct conf_field *above = l->row;
		int errors = l->diag->errors;

		l->row = p->type->fields;
		if (!n->name_len)
			reader_begin(l, "policy of type", str_of(p->type->name));
		p->self = arena_zalloc(l->image, p->type->size + 1);
		if (conf_fill(l, options(l, n), p->type->fields, p->self) == 0 &&
		    p->type->check && p->type->check(l, p->self, p->where) < 0 &&
		    l->diag->errors == errors)
			conf_error(l, 207, p->where, "it cannot be used as it is");
		l->row = above;
	}
	reader_end(l, before);
	m->policies =
		arena_push(l->image, m->policies, m->npolicies, sizeof(*m->policies));
	p->index = (uint32_t)m->npolicies;
	m->policies[m->npolicies++] = p;
	return p;
}

int
policies_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	       struct where w, void *to)
{
	const struct conf_node *child;
	int errors = l->diag->errors;

	(void)text, (void)w, (void)to;
	if (n->kind != CONF_NODE_GROUP)
		return wrong_type(l, n, "policies", "{ NAME: { type = \"…\"; }; }");
	for_each_child(child, n) {
		struct conf_policy *p = policy(l, child);

		if (p)
			map_put(&l->policies, &l->scratch, p->name, p);
	}
	return l->diag->errors > errors ? -1 : 0;
}

static struct conf_policy *
used(struct conf_load *l, const struct conf_node *n)
{
	struct str name;
	void *near;

	if (n->kind == CONF_NODE_GROUP)
		return policy(l, n);
	if (n->kind != CONF_NODE_STRING) {
		wrong_type(l, n, "policies",
			   "the name of a policy, or { type = \"…\"; }");
		return NULL;
	}
	if (conf_text(l, n, &name) < 0)
		return NULL;

	struct conf_policy *p = map_get(&l->policies, name);

	if (p || !section_whole(l, "policies"))
		return p;

	const char *hint = suggest_name(&l->scratch, name, &l->policies, &near);

	conf_error(l, 204, conf_where(n), "no policy \"%.*s\"%s", STR_ARG(name), hint);
	if (near)
		diag_note(l->diag, ((struct conf_policy *)near)->where,
			  "\"%.*s\" is defined here",
			  STR_ARG(((struct conf_policy *)near)->name));
	return NULL;
}

int
uses_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	   struct where w, void *to)
{
	struct uses *u = to;
	const struct conf_node *child;
	int result = 0;

	(void)text, (void)w;
	l->model->uses_broken |= n->kind != CONF_NODE_LIST || n->damaged;
	if (n->kind == CONF_NODE_STRING)
		return wrong_type(l, n, "policies",
				  arena_printf(&l->scratch, "[ \"%.*s\" ]",
					       STR_ARG(str_first(n->text, 60)))
					  .at);
	if (n->kind != CONF_NODE_LIST)
		return wrong_type(l, n, "policies", "a list of names: [ \"NAME\" ]");
	u->at = ARENA_NEWS(l->image, struct conf_use, n->n);
	for_each_child(child, n) {
		struct conf_policy *p = used(l, child);

		if (!p) {
			result = -1;
			continue;
		}
		p->used = true;
		u->at[u->n++] = (struct conf_use){ p, conf_where(child) };
	}
	l->model->uses_broken |= result < 0;
	return result;
}
