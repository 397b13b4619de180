#include "conf/reader.h"

const struct conf_field test_rows[] = {
	{ "send", CONF_KIND_STR, CONF_F_REQUIRED, offsetof(struct conf_test, send),
	  .help = "\"METHOD URL\": \"GET https://api.example.com/v1/orders/7\"" },
	CONF_PAIRS(struct conf_test, headers, "header fields of the request"),
	CONF_STR(struct conf_test, client, NULL,
		 "address of the client; left out: 127.0.0.1"),
	CONF_STR(struct conf_test, on, NULL,
		 "listener that it comes in at; left out: the first of the service"),
	CONF_STR(struct conf_test, service, NULL, "expected: the service"),
	CONF_STR(struct conf_test, route, NULL, "expected: the route"),
	CONF_STR(struct conf_test, path, NULL,
		 "expected: the path that the upstream sees"),
	CONF_STR(struct conf_test, upstream, NULL, "expected: the upstream"),
	CONF_STR(struct conf_test, location, NULL,
		 "expected: the Location of a redirect"),
	CONF_INT(struct conf_test, status, NULL, 100, 599,
		 "expected: the status of an answer of the gateway"),
	CONF_END
};

static bool
is_send(struct str s)
{
	struct str method;

	if (!str_split(&s, ' ', &method) || !method.len || !s.at)
		return false;
	return str_starts(s, STR("http://")) || str_starts(s, STR("https://")) ||
	       str_starts(s, STR("/"));
}

static int
test(struct conf_load *l, const struct conf_node *n, struct conf_test *t)
{
	static const char *const expectations[] = {
		"service", "route", "path", "upstream", "location", "status", NULL,
	};
	const struct conf_node *k;
	void *near;
	bool expects = false;

	t->where = conf_where(n);
	if (conf_fill(l, n, test_rows, t) < 0)
		return -1;
	t->send_where = conf_where(conf_member(n, "send"));
	for (int i = 0; expectations[i]; i++) {
		k = conf_member(n, expectations[i]);
		if (k && (!expects || k->at > conf_member(n, "send")->at))
			t->expect_where = conf_where(k);
		expects |= k != NULL;
	}
	if (!expects && n->damaged)
		return -1;
	if (!expects) {
		conf_error(l, 229, t->where,
			   "the test expects nothing: service, route, path, upstream, "
			   "location "
			   "or status");
		return -1;
	}
	if (!is_send(t->send)) {
		conf_error(l, 229, t->send_where,
			   "write \"METHOD URL\": \"GET "
			   "https://api.example.com/v1/orders/7\"");
		return -1;
	}
	k = conf_member(n, "client");
	if (k && (prefix_error(t->client) || str_find(t->client, '/') >= 0)) {
		conf_error(l, 219, conf_where(k), "\"client\": \"%.*s\" is no address",
			   STR_ARG(t->client));
		return -1;
	}
	k = conf_member(n, "on");
	if (!k || map_get(&l->listeners, t->on))
		return 0;
	if (!section_whole(l, "listeners"))
		return -1;
	conf_error(l, 204, conf_where(k), "no listener \"%.*s\"%s", STR_ARG(t->on),
		   suggest_name(&l->scratch, t->on, &l->listeners, &near));
	return -1;
}

int
tests_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	    struct where w, void *to)
{
	struct conf_service *s = to;
	const struct conf_node *child;
	int result = 0;

	(void)text, (void)w;
	if (n->kind != CONF_NODE_LIST)
		return wrong_type(
			l, n, "tests",
			"a list: ( { send = \"GET http://host/\"; route = \"NAME\"; } )");
	s->tests = ARENA_NEWS(l->image, struct conf_test, n->n);
	for_each_child(child, n)
		if (test(l, child, &s->tests[s->ntests++]) < 0)
			result = -1;
	return result;
}
