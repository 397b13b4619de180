#include "conf/reader.h"

/* ---- the tables */

static uint32_t
key_place(const struct conf_consumers *c, const struct digest *d)
{
	uint32_t i;

	memcpy(&i, d->byte, sizeof(i));
	for (i &= c->mask; c->keys[i].consumer != UINT32_MAX &&
			   !digest_same(&c->keys[i].digest, d);)
		i = (i + 1) & c->mask;
	return i;
}

static uint32_t
name_place(const struct conf_consumers *c, struct str name)
{
	uint32_t i = (uint32_t)str_hash(name) & c->names_mask;

	while (c->names[i] && !str_eq(c->at[c->names[i] - 1].name, name))
		i = (i + 1) & c->names_mask;
	return i;
}

/* Three of four places at most are taken. */
static size_t
places(size_t n)
{
	size_t room = 16;

	while (room * 3 < n * 4)
		room *= 2;
	return room;
}

void
roll_reserve(struct conf_load *l, size_t consumers, size_t keys)
{
	struct conf_consumers *c = &l->model->consumers, old = *c;
	struct roll_place *old_places = l->roll.places;
	size_t names = places(old.n + consumers), room = places(old.nkeys + keys);

	c->at = arena_alloc(l->image, (old.n + consumers) * sizeof(*c->at));
	c->names = ARENA_NEWS(l->image, uint32_t, names);
	c->names_mask = (uint32_t)names - 1;
	for (size_t i = 0; i < old.n; i++) {
		c->at[i] = old.at[i];
		c->names[name_place(c, old.at[i].name)] = (uint32_t)i + 1;
	}
	c->keys = arena_alloc(l->image, room * sizeof(*c->keys));
	memset(c->keys, 0xff, room * sizeof(*c->keys));
	c->mask = (uint32_t)room - 1;
	l->roll.places = arena_alloc(&l->scratch, room * sizeof(*l->roll.places));
	for (uint32_t i = 0; old.keys && i <= old.mask; i++)
		if (old.keys[i].consumer != UINT32_MAX) {
			uint32_t to = key_place(c, &old.keys[i].digest);

			c->keys[to] = old.keys[i];
			l->roll.places[to] = old_places[i];
		}
}

struct conf_consumer *
roll_consumer(struct conf_load *l, struct str name, struct where w, bool *made)
{
	struct conf_consumers *c = &l->model->consumers;
	uint32_t i = name_place(c, name);

	*made = !c->names[i];
	if (!*made)
		return &c->at[c->names[i] - 1];
	c->at[c->n] = (struct conf_consumer){
		.name = name, .where = w, .index = (uint32_t)c->n
	};
	c->names[i] = (uint32_t)++c->n;
	return &c->at[c->n - 1];
}

static struct where
key_where(const struct roll *r, struct roll_place p)
{
	struct where w = { r->file, p.line, p.column, 0 };

	return p.column ? w : r->given[p.line];
}

void
roll_key(struct conf_load *l, const struct conf_consumer *of, const struct digest *d,
	 struct roll_place at)
{
	struct conf_consumers *c = &l->model->consumers;
	uint32_t i = key_place(c, d);

	if (c->keys[i].consumer == UINT32_MAX) {
		c->keys[i] = (struct conf_key){ *d, of->index };
		l->roll.places[i] = at;
		c->nkeys++;
	} else if (c->keys[i].consumer != of->index && l->roll.twice++ < ROLL_ERRORS) {
		diag_error(l->diag, 231, key_where(&l->roll, at),
			   "consumer \"%.*s\" has a key of \"%.*s\"; a key has one owner",
			   STR_ARG(of->name), STR_ARG(c->at[c->keys[i].consumer].name));
		diag_note(l->diag, key_where(&l->roll, l->roll.places[i]),
			  "it is first given here");
	}
}

const struct conf_consumer *
conf_key_find(const struct conf_consumers *c, const struct digest *d)
{
	uint32_t i;

	if (!c->keys)
		return NULL;
	i = c->keys[key_place(c, d)].consumer;
	return i == UINT32_MAX ? NULL : &c->at[i];
}

const struct conf_consumer *
conf_consumer_find(const struct conf_model *m, struct str name)
{
	const struct conf_consumers *c = &m->consumers;
	uint32_t i = c->names ? c->names[name_place(c, name)] : 0;

	return i ? &c->at[i - 1] : NULL;
}

/* ---- what is read */

const char *
key_error(struct str text, struct digest *d)
{
	if (!str_starts(text, STR("sha256:")))
		return "a key stands here as its digest: \"sha256:\" and the 64 hex digits "
		       "of printf %s KEY | sha256sum";
	if (!digest_parse(d, str_from(text, 7)))
		return "\"sha256:\" is followed by 64 hex digits";
	return NULL;
}

int
roll_plan(struct conf_load *l, struct conf_consumer *c, struct str name, struct where w)
{
	const struct conf_plan *plan = conf_plan_find(l->model, name);
	void *near;

	if (!plan && !section_whole(l, "plans"))
		return -1;
	if (!plan) {
		const char *hint =
			suggest_name(&l->scratch, name, &l->model->plan_names, &near);

		conf_error(l, 204, w, "no plan \"%.*s\"%s", STR_ARG(str_first(name, 63)),
			   hint);
		if (near)
			diag_note(l->diag, ((struct conf_plan *)near)->where,
				  "\"%.*s\" is defined here",
				  STR_ARG(((struct conf_plan *)near)->name));
		return -1;
	}
	if (c->plan && c->plan != plan) {
		conf_error(l, 236, w, "\"%.*s\" has the plan \"%.*s\" already",
			   STR_ARG(c->name), STR_ARG(c->plan->name));
		diag_note(l->diag, c->where, "the consumer is first named here");
		return -1;
	}
	c->plan = plan;
	return 0;
}

/* ---- the section */

struct consumer_options {
	struct conf_consumer *consumer;
};

static int
plan_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	   struct where w, void *to)
{
	struct consumer_options *o = to;

	if (n->kind != CONF_NODE_STRING)
		return wrong_type(l, n, "plan", "the name of a plan");
	return conf_text(l, n, &text) < 0 ? -1 : roll_plan(l, o->consumer, text, w);
}

static int
keys_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	   struct where w, void *to)
{
	static const struct conf_field row = { .key = "keys", .kind = CONF_KIND_STRS };
	struct consumer_options *o = to;
	struct conf_strs all = { 0 };
	int result;

	(void)text;
	if (n->kind == CONF_NODE_STRING) {
		w.len = 0;
		conf_error(l, 205, w,
			   "\"keys\" is a list: [ \"sha256:<64 hex digits>\" ]");
		return -1;
	}
	result = conf_fill_one(l, &row, n, &all);
	for (size_t i = 0; i < all.n; i++) {
		struct digest d;
		const char *error = all.at[i].at ? key_error(all.at[i], &d) : NULL;

		/* It may be the key itself. */
		all.where[i].len = 0;
		if (error)
			conf_error(l, 233, all.where[i], "%s", error);
		if (error || !all.at[i].at) {
			result = -1;
			continue;
		}
		l->roll.given[l->roll.ngiven] = all.where[i];
		roll_key(l, o->consumer, &d, (struct roll_place){ l->roll.ngiven++, 0 });
	}
	return result;
}

const struct conf_field consumer_rows[] = {
	{ "plan", CONF_KIND_VIA, .parse = plan_parse,
	  .help = "the plan whose rates and quotas hold; left out: none" },
	{ "keys", CONF_KIND_VIA, .parse = keys_parse,
	  .help = "digests of its keys: [ \"sha256:<64 hex digits>\" ], as printf %s KEY | "
		  "sha256sum prints them" },
	CONF_END
};

int
consumers_parse(struct conf_load *l, const struct conf_node *n, struct str text,
		struct where w, void *to)
{
	const struct conf_node *child, *keys;
	size_t nkeys = 0;
	int result = 0;

	(void)text, (void)w, (void)to;
	if (n->kind != CONF_NODE_GROUP)
		return wrong_type(l, n, "consumers",
				  "{ NAME: { keys = [ \"sha256:…\" ]; }; }");
	for_each_child(child, n)
		nkeys += (keys = conf_member(child, "keys")) ? conf_count(keys) : 0;
	l->roll.given = ARENA_NEWS(&l->scratch, struct where, nkeys);
	roll_reserve(l, n->n, nkeys);
	for_each_child(child, n) {
		struct str name = arena_str(l->image, conf_name_of(child));
		const char *error = name_error(name);
		bool made;
		struct consumer_options o;

		struct reader_scope before = reader_begin(l, "consumer", name);

		if (error)
			conf_error(l, 232, conf_name_where(child), "%s", error);
		o.consumer = roll_consumer(l, name, conf_name_where(child), &made);
		if (conf_fill(l, child, consumer_rows, &o) < 0 || error)
			result = -1;
		reader_end(l, before);
	}
	return result;
}
