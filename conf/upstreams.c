#include "conf/reader.h"

static const char *const retry_words[] = { "connect", "502", "503", "504", NULL };
static const char *const balances[] = { "round-robin", "least-request", "random",
					"hash",        "sticky",        NULL };

static const char *const https[] = { "1.1", "h2", "auto", NULL };

enum { WEIGHT_MAX = 1000000, H = 3600000 };

struct target_group {
	struct str url;
	int64_t weight;
};

static const struct conf_field target_rows[] = {
	{ "url", CONF_KIND_STR, CONF_F_REQUIRED, offsetof(struct target_group, url),
	  .help = "\"http://host:port\" (port 80 when left out), \"https://host:port\" (443) or "
		  "\"unix:/path\"" },
	CONF_INT(struct target_group, weight, "1", 0, WEIGHT_MAX,
		 "share among the targets; 0: no new requests"),
	CONF_END
};

static int
target(struct conf_load *l, const struct conf_node *n, struct conf_target *t)
{
	struct target_group g = { .weight = 1 };
	struct where w = conf_where(n);

	if (n->kind == CONF_NODE_GROUP) {
		const struct conf_node *url = conf_member(n, "url");

		if (conf_fill(l, n, target_rows, &g) < 0)
			return -1;
		w = conf_where(url);
	} else if (n->kind != CONF_NODE_STRING) {
		return wrong_type(l, n, "targets",
				  "\"http://host:port\" or { url = \"…\"; weight = 1; }");
	} else if (conf_text(l, n, &g.url) < 0) {
		return -1;
	}
	t->weight = g.weight;
	return target_parse(l, t, g.url, w);
}

static int
targets_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	      struct where w, void *to)
{
	struct conf_upstream *u = to;
	const struct conf_node *child;
	int64_t total = 0;
	int result = 0;

	(void)text, (void)w;
	if (n->kind == CONF_NODE_STRING)
		return wrong_type(l, n, "targets",
				  arena_printf(&l->scratch, "[ \"%.*s\" ]",
					       STR_ARG(str_first(n->text, 100)))
					  .at);
	if (n->kind != CONF_NODE_LIST)
		return wrong_type(l, n, "targets", "a list: [ \"http://host:port\" ]");
	if (!n->n && !n->damaged) {
		conf_error(l, 222, conf_where(n),
			   "\"targets\" is empty: there is nobody to answer");
		return -1;
	}
	u->targets = ARENA_NEWS(l->image, struct conf_target, n->n);
	for_each_child(child, n) {
		struct conf_target *t = &u->targets[u->ntargets];

		t->index = (uint32_t)u->ntargets++;
		t->id = l->model->ntargets++;
		if (target(l, child, t) < 0)
			result = -1;
		total += t->weight;
	}
	if (!total && result == 0 && !n->damaged) {
		conf_error(l, 216, conf_where(n),
			   "all weights are 0: no target could ever be chosen");
		return -1;
	}
	return result;
}

static int
retry_on_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	       struct where w, void *to)
{
	static const struct conf_field row = { .key = "on", .kind = CONF_KIND_STRS };
	struct conf_strs all = { 0 };
	uint32_t *on = to;
	int result = 0;

	(void)text, (void)w;
	if (!n) {
		*on = CONF_RETRY_CONNECT;
		return 0;
	}
	for (uint32_t i = 0; n->kind == CONF_NODE_LIST && i < n->n; i++)
		if (n->child[i]->kind == CONF_NODE_INT)
			return wrong_type(l, n->child[i], "on",
					  "it in quotes: [ \"connect\", \"503\" ]");
	if (conf_fill_one(l, &row, n, &all) < 0)
		return -1;
	*on = 0;
	for (size_t i = 0; i < all.n; i++) {
		int k = 0;

		while (retry_words[k] && !str_eq(all.at[i], str_of(retry_words[k])))
			k++;
		if (retry_words[k]) {
			*on |= 1u << k;
			continue;
		}
		conf_error(l, 211, all.where[i], "\"on\" cannot be \"%.*s\"%s",
			   STR_ARG(all.at[i]),
			   suggest_word(&l->scratch, all.at[i], retry_words));
		result = -1;
	}
	return result;
}

static int
balance_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	      struct where w, void *to)
{
	static const struct conf_field row = { .key = "balance",
					       .kind = CONF_KIND_ENUM,
					       .words = balances };
	int which = 0;

	(void)text, (void)to;
	if (!n)
		return 0;
	if (conf_fill_one(l, &row, n, &which) < 0)
		return -1;
	if (which) {
		conf_error(l, 209, w,
			   "balance = \"%s\" is not in this version of postern",
			   balances[which]);
		return -1;
	}
	return 0;
}

static int
proxy_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	    struct where w, void *to)
{
	int *version = to;

	(void)text, (void)w;
	if (n->kind == CONF_NODE_INT && (n->number == 1 || n->number == 2))
		*version = (int)n->number;
	else if (n->kind == CONF_NODE_STRING && str_eq(n->text, STR("v1")))
		*version = 1;
	else if (n->kind == CONF_NODE_STRING && str_eq(n->text, STR("v2")))
		*version = 2;
	else if (n->kind != CONF_NODE_STRING || !str_eq(n->text, STR("none")))
		return wrong_type(l, n, "proxy_protocol", "1 or 2");
	return 0;
}

#define U(member) offsetof(struct conf_upstream, member)

static const struct conf_field timeout_rows[] = {
	{ "connect", CONF_KIND_DURATION, .offset = U(timeout.connect) - U(timeout),
	  .def = "3s", .min = 1, .max = H, .help = "to connect to a target" },
	{ "response", CONF_KIND_DURATION, .offset = U(timeout.response) - U(timeout),
	  .def = "60s", .min = 0, .max = 24 * H,
	  .help = "from the end of the request to the head of the response, 504 above, and the "
		  "longest pause within its body; \"none\": no limit" },
	{ "total", CONF_KIND_DURATION, .offset = U(timeout.total) - U(timeout),
	  .def = "none", .min = 0, .max = 24 * H,
	  .help = "for everything, retries and bodies included; \"none\": no limit" },
	CONF_END
};

static const struct conf_field retry_rows[] = {
	{ "attempts", CONF_KIND_INT, .offset = U(retry.attempts) - U(retry), .def = "2",
	  .min = 0, .max = 10,
	  .help = "further attempts after the first, each at another target if there is "
		  "one" },
	{ "on", CONF_KIND_VIA, .offset = U(retry.on) - U(retry), .def = "[ \"connect\" ]",
	  .parse = retry_on_parse,
	  .help = "what is tried again: \"connect\" (no connection could be made), "
		  "\"502\", \"503\", \"504\"" },
	{ .key = "budget",
	  .kind = CONF_KIND_SHARE,
	  .flags = CONF_F_LATER,
	  .help = "a limit of retries" },
	CONF_END
};

static const struct conf_field pool_rows[] = {
	{ "idle", CONF_KIND_INT, .offset = U(pool.idle) - U(pool), .def = "64", .min = 0,
	  .max = 65536, .help = "idle connections kept for each worker and target" },
	{ "connections", CONF_KIND_INT, .offset = U(pool.connections) - U(pool),
	  .def = "0", .min = 0, .max = 1 << 20,
	  .help = "open connections for each worker and target, 503 above; 0: no limit" },
	{ "idle_timeout", CONF_KIND_DURATION, .offset = U(pool.idle_timeout) - U(pool),
	  .def = "60s", .min = 1, .max = 24 * H,
	  .help = "how long an idle connection is kept" },
	CONF_END
};

const struct conf_field upstream_rows[] = {
	{ "targets", CONF_KIND_VIA, CONF_F_REQUIRED | CONF_F_LIST, 0,
	  .parse = targets_parse, .sub = target_rows,
	  .help = "who answers: [ \"http://host:port\" ], or a list of groups with "
		  "weights" },
	{ "balance", CONF_KIND_VIA, .def = "round-robin", .parse = balance_parse,
	  .help = "how a target is chosen: \"round-robin\", by weight" },
	CONF_GROUP(struct conf_upstream, timeout, timeout_rows,
		   "how long an upstream may take"),
	CONF_GROUP(struct conf_upstream, retry, retry_rows,
		   "when another attempt is made"),
	CONF_GROUP(struct conf_upstream, pool, pool_rows, "connections to its targets"),
	{ .key = "health",
	  .kind = CONF_KIND_VIA,
	  .flags = CONF_F_LATER,
	  .help = "health checks" },
	{ .key = "breaker",
	  .kind = CONF_KIND_VIA,
	  .flags = CONF_F_LATER,
	  .help = "limits of concurrency" },
	{ .key = "outlier",
	  .kind = CONF_KIND_VIA,
	  .flags = CONF_F_LATER,
	  .help = "ejection of bad targets" },
	{ "tls", CONF_KIND_VIA, .offset = U(tls), .parse = upstream_tls_parse,
	  .sub = upstream_tls_rows,
	  .help = "TLS towards targets that begin with https://; left out: they are verified "
		  "against the authorities of the system" },
	CONF_ENUM(struct conf_upstream, http, "1.1", https,
		  "the version of HTTP: \"h2\", many requests on few connections, by prior "
		  "knowledge without TLS; \"auto\": what a target with TLS chooses (ALPN)"),
	{ "proxy_protocol", CONF_KIND_VIA, .offset = U(proxy_protocol),
	  .parse = proxy_parse,
	  .help = "version of the PROXY protocol that tells targets who the client is: 1 or "
		  "2; each connection serves one client then; left out: none" },
	{ "credential", CONF_KIND_VIA, .offset = U(credential), .parse = credential_parse,
	  .sub = credential_rows,
	  .help = "what is sent along with every request, in place of what the client sent "
		  "there" },
	{ "pace", CONF_KIND_VIA, .offset = U(pace), .parse = pace_parse, .sub = pace_rows,
	  .help = "limits of an external service that all workers keep together" },
	CONF_END
};

static void
contradictions(struct conf_load *l, const struct conf_node *n,
	       const struct conf_upstream *u)
{
	const struct conf_node *group = conf_member(n, "timeout");
	uint64_t total = u->timeout.total;

	if (!group || !total)
		return;

	const struct conf_node *connect = conf_member(group, "connect");
	const struct conf_node *response = conf_member(group, "response");

	if (u->timeout.connect > total)
		conf_warn(
			l, 217,
			conf_where(connect ? connect : conf_member(group, "total")),
			"timeout.connect is longer than timeout.total and never strikes");
	if (response && u->timeout.response > total)
		conf_warn(l, 217, conf_where(response),
			  "timeout.response is longer than timeout.total and never "
			  "strikes");
}

static int
filled(struct conf_load *l, const struct conf_node *n, struct conf_upstream *u)
{
	if (n->kind == CONF_NODE_GROUP) {
		if (conf_fill(l, n, upstream_rows, u) < 0)
			return -1;
		contradictions(l, n, u);
		return 0;
	}
	/* The shortest form: NAME = [ "http://…" ]; */
	conf_defaults(l, upstream_rows, u);
	if (n->kind == CONF_NODE_STRING) {
		u->targets = ARENA_NEW(l->image, struct conf_target);
		u->ntargets = 1;
		u->targets->id = l->model->ntargets++;
		return target(l, n, u->targets);
	}
	if (n->kind != CONF_NODE_LIST)
		return wrong_type(l, n, NULL, "{ targets = [ \"http://host:port\" ]; }");
	return targets_parse(l, n, STR_NONE, conf_where(n), u);
}

static int
upstream(struct conf_load *l, const struct conf_node *n, void *to)
{
	struct conf_upstream *u = to;
	int errors = l->diag->errors, result;

	u->tls.verify = true;
	result = filled(l, n, u);
	if (result == 0) {
		upstream_tls_check(l, n, u);
		credential_check(l, u);
	}
	return result < 0 || l->diag->errors > errors ? -1 : 0;
}

NAMED_STRUCT(struct conf_upstream);

int
upstreams_parse(struct conf_load *l, const struct conf_node *n, struct str text,
		struct where w, void *to)
{
	struct conf_model *m = l->model;

	int result;

	(void)text, (void)w, (void)to;
	result = named_parse(l, n,
			   &(struct named_section){
				   .section = "upstreams",
				   .kind = "upstream",
				   .shape = "{ NAME: { targets = [ "
					    "\"http://host:port\" ]; }; }",
				   .size = sizeof(*m->upstreams),
				   .one = upstream,
				   .names = &l->upstreams,
				   .names_in = &l->scratch },
			   &m->upstreams, &m->nupstreams);
	return credentials_resolve(l) < 0 ? -1 : result;
}
