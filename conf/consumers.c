#include "conf/reader.h"

/* ---- what is read */

void
roll_reserve(struct conf_load *l, size_t consumers, size_t keys)
{
	struct roll *r = l->roll, old = *r;
	size_t names = 64;

	r->room = old.n + (uint32_t)consumers;
	r->keys_room = old.nkeys + (uint32_t)keys;
	while (names < (size_t)r->room * 2)
		names *= 2;
	r->at = ARENA_NEWS(&l->scratch, struct conf_consumer, r->room);
	r->keys = ARENA_NEWS(&l->scratch, struct roll_key, r->keys_room);
	r->names = ARENA_NEWS(&l->scratch, uint32_t, names);
	r->mask = (uint32_t)names - 1;
	r->n = 0;
	if (old.nkeys)
		memcpy(r->keys, old.keys, old.nkeys * sizeof(*old.keys));
	for (uint32_t i = 0; i < old.n; i++) {
		bool made;

		*roll_consumer(l, old.at[i].name, old.at[i].where, &made) = old.at[i];
	}
}

struct conf_consumer *
roll_consumer(struct conf_load *l, struct str name, struct where w, bool *made)
{
	struct roll *r = l->roll;
	uint32_t i = (uint32_t)str_hash(name) & r->mask;

	for (; r->names[i]; i = (i + 1) & r->mask)
		if (str_eq(r->at[r->names[i] - 1].name, name)) {
			*made = false;
			return &r->at[r->names[i] - 1];
		}
	*made = true;
	r->at[r->n] = (struct conf_consumer){ .name = name, .where = w, .index = r->n };
	r->names[i] = ++r->n;
	return &r->at[r->n - 1];
}

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
	struct roll *r = l->roll;
	struct conf_strs all = { 0 };
	int result = conf_fill_one(l, &row, n, &all);

	(void)text, (void)w;
	if (r->nkeys + all.n > r->keys_room)
		roll_reserve(l, r->room - r->n, r->keys_room + all.n);
	for (size_t i = 0; i < all.n; i++) {
		struct digest d;
		const char *error = all.at[i].at ? key_error(all.at[i], &d) : NULL;
		struct where unseen = all.where[i];

		/* It may be the key itself. */
		unseen.len = 0;
		if (error)
			conf_error(l, 233, unseen, "%s", error);
		if (error || !all.at[i].at) {
			result = -1;
			continue;
		}
		r->keys[r->nkeys++] = (struct roll_key){
			.digest = d,
			.consumer = o->consumer->index,
			.where = &all.where[i],
		};
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
	const struct conf_node *child;
	int result = 0;

	(void)text, (void)w, (void)to;
	if (n->kind != CONF_NODE_GROUP)
		return wrong_type(l, n, "consumers",
				  "{ NAME: { keys = [ \"sha256:…\" ]; }; }");
	l->roll = ARENA_NEW(&l->scratch, struct roll);
	roll_reserve(l, n->n, 2 * n->n);
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

/* ---- the tables */

static struct where
key_where(const struct roll *r, const struct roll_key *k)
{
	if (k->where)
		return *k->where;
	return (struct where){ r->file, k->line, k->column, 7 + 64 };
}

static void
key_twice(struct conf_load *l, const struct roll_key *k)
{
	const struct roll *r = l->roll;
	const struct roll_key *first = r->keys;

	while (!digest_same(&first->digest, &k->digest))
		first++;
	conf_error(l, 231, key_where(r, k),
		   "consumer \"%.*s\" has a key of \"%.*s\"; a key has one owner",
		   STR_ARG(r->at[k->consumer].name), STR_ARG(r->at[first->consumer].name));
	diag_note(l->diag, key_where(r, first), "it is first given here");
}

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

static void
fill_keys(struct conf_load *l, struct conf_consumers *c)
{
	const struct roll *r = l->roll;
	size_t room = 64;
	int twice = 0;

	if (!r->nkeys)
		return;
	while (room < (size_t)r->nkeys / 2 * 3)
		room *= 2;
	c->keys = arena_alloc(l->image, room * sizeof(*c->keys));
	memset(c->keys, 0xff, room * sizeof(*c->keys));
	c->mask = (uint32_t)room - 1;
	for (uint32_t i = 0; i < r->nkeys; i++) {
		const struct roll_key *k = &r->keys[i];
		struct conf_key *to = &c->keys[key_place(c, &k->digest)];

		if (to->consumer == UINT32_MAX) {
			*to = (struct conf_key){ k->digest, k->consumer };
			c->nkeys++;
		} else if (to->consumer != k->consumer && twice < ROLL_ERRORS) {
			key_twice(l, k);
			twice++;
		}
	}
}

static void
fill_names(struct conf_load *l, struct conf_consumers *c)
{
	const struct roll *r = l->roll;
	size_t room = 16;

	if (!r->n)
		return;
	while (room < (size_t)r->n * 2)
		room *= 2;
	c->n = r->n;
	c->at = arena_alloc(l->image, r->n * sizeof(*c->at));
	memcpy(c->at, r->at, r->n * sizeof(*c->at));
	c->names = ARENA_NEWS(l->image, uint32_t, room);
	c->names_mask = (uint32_t)room - 1;
	for (uint32_t n = 0; n < r->n; n++) {
		uint32_t i = (uint32_t)str_hash(c->at[n].name) & c->names_mask;

		while (c->names[i])
			i = (i + 1) & c->names_mask;
		c->names[i] = n + 1;
	}
}

void
consumers_finish(struct conf_load *l)
{
	struct conf_model *m = l->model;

	if (m->gateway.consumers_file.len)
		consumers_file_read(l, m->gateway.consumers_file);
	if (!l->roll)
		return;
	fill_names(l, &m->consumers);
	fill_keys(l, &m->consumers);
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

	if (!c->names)
		return NULL;
	for (uint32_t i = (uint32_t)str_hash(name) & c->names_mask; c->names[i];
	     i = (i + 1) & c->names_mask)
		if (str_eq(c->at[c->names[i] - 1].name, name))
			return &c->at[c->names[i] - 1];
	return NULL;
}
