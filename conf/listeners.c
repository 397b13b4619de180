#include "conf/reader.h"

static const char *const redirects[] = { "none", "https", NULL };

static int
binds_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	    struct where w, void *to)
{
	static const struct conf_field row = { .key = "bind", .kind = CONF_KIND_STRS };
	struct conf_listener *listener = to;
	struct conf_strs all = { 0 };
	int result;

	(void)text, (void)w;
	result = conf_fill_one(l, &row, n, &all);
	if (result == 0 && !all.n && !n->damaged) {
		conf_error(l, 222, conf_where(n),
			   "\"bind\" is empty: no client could connect");
		return -1;
	}
	listener->binds = ARENA_NEWS(l->image, struct conf_bind, all.n);
	listener->nbinds = all.n;
	for (size_t i = 0; i < all.n; i++) {
		const char *error = all.at[i].at ? bind_error(all.at[i]) : NULL;

		listener->binds[i] = (struct conf_bind){ all.at[i], all.where[i] };
		if (!error)
			continue;
		conf_error(l, 219, all.where[i], "cannot listen on \"%.*s\": %s",
			   STR_ARG(str_first(all.at[i], 120)), error);
		result = -1;
	}
	return result;
}

static int
trust_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	    struct where w, void *to)
{
	static const struct conf_field row = { .key = "trust", .kind = CONF_KIND_STRS };

	(void)text, (void)w;
	return conf_fill_one(l, &row, n, to) < 0 ? -1 : prefixes_check(l, to, "trust");
}

/* 1.1 is what there is; it may be said. */
static int
http_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	   struct where w, void *to)
{
	static const struct conf_field row = { .key = "http", .kind = CONF_KIND_STRS };
	static const char *const words[] = { "1.1", "h2", NULL };
	struct conf_strs all = { 0 };
	int result;

	(void)text, (void)w, (void)to;
	if (conf_fill_one(l, &row, n, &all) < 0)
		return -1;
	result = 0;
	for (size_t i = 0; i < all.n; i++) {
		if (str_eq(all.at[i], STR("1.1")))
			continue;
		if (str_eq(all.at[i], STR("h2")))
			conf_error(l, 209, all.where[i],
				   "\"h2\" (HTTP/2) is not in this version of postern");
		else
			conf_error(l, 211, all.where[i], "\"http\" cannot be \"%.*s\"%s",
				   STR_ARG(all.at[i]),
				   suggest_word(&l->scratch, all.at[i], words));
		result = -1;
	}
	return result;
}

const struct conf_field listener_rows[] = {
	{ "bind", CONF_KIND_VIA, CONF_F_REQUIRED, 0, .parse = binds_parse,
	  .help = "addresses to listen on: [ \"0.0.0.0:80\", \"[::]:80\", \"unix:/path\" "
		  "]" },
	{ "trust", CONF_KIND_VIA, .offset = offsetof(struct conf_listener, trust),
	  .parse = trust_parse,
	  .help = "addresses and prefixes of peers whose X-Forwarded-* and Forwarded "
		  "headers are believed" },
	CONF_ENUM(struct conf_listener, redirect, "none", redirects,
		  "\"https\" answers everything with 308 to the same URL with https"),
	CONF_INT(struct conf_listener, backlog, "4096", 1, 1 << 20,
		 "connections that may wait to be accepted"),
	{ "http", CONF_KIND_VIA, .parse = http_parse,
	  .help = "versions of HTTP spoken: [ \"1.1\" ]" },
	{ .key = "tls",
	  .kind = CONF_KIND_VIA,
	  .flags = CONF_F_LATER,
	  .help = "TLS towards clients" },
	{ .key = "proxy_protocol",
	  .kind = CONF_KIND_VIA,
	  .flags = CONF_F_LATER,
	  .help = "the PROXY protocol" },
	CONF_END
};

NAMED_STRUCT(struct conf_listener);

static int
listener(struct conf_load *l, const struct conf_node *n, void *to)
{
	return conf_fill(l, n, listener_rows, to);
}

int
listeners_parse(struct conf_load *l, const struct conf_node *n, struct str text,
		struct where w, void *to)
{
	struct conf_model *m = l->model;

	(void)text, (void)w, (void)to;
	return named_parse(l, n,
			   &(struct named_section){
				   .section = "listeners",
				   .kind = "listener",
				   .shape = "{ NAME: { bind = [ \"0.0.0.0:80\" ]; }; }",
				   .none = "no listener is defined: no client could "
					   "connect",
				   .size = sizeof(*m->listeners),
				   .one = listener,
				   .names = &l->listeners,
				   .names_in = &l->scratch },
			   &m->listeners, &m->nlisteners);
}
