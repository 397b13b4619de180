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

static int
http_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	   struct where w, void *to)
{
	static const struct conf_field row = { .key = "http", .kind = CONF_KIND_STRS };
	static const char *const words[] = { "1.1", "h2", NULL };
	struct conf_listener *listener = to;
	struct conf_strs all = { 0 };
	int result = 0;

	(void)text, (void)w;
	for (uint32_t i = 0; n->kind == CONF_NODE_LIST && i < n->n; i++)
		if (n->child[i]->kind == CONF_NODE_FLOAT)
			return wrong_type(l, n->child[i], "http",
					  "it in quotes: [ \"h2\", \"1.1\" ]");
	if (conf_fill_one(l, &row, n, &all) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		if (str_eq(all.at[i], STR("1.1"))) {
			listener->h1 = true;
			continue;
		}
		if (str_eq(all.at[i], STR("h2"))) {
			listener->h2 = true;
			continue;
		}
		conf_error(l, 211, all.where[i], "\"http\" cannot be \"%.*s\"%s",
			   STR_ARG(str_first(all.at[i], 60)),
			   suggest_word(&l->scratch, all.at[i], words));
		result = -1;
	}
	if (all.n || n->damaged)
		return result;
	conf_error(l, 242, conf_where(n),
		   "\"http\" is empty: no version of HTTP would be spoken; write [ \"h2\", "
		   "\"1.1\" ]");
	return -1;
}

static int
allow_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	    struct where w, void *to)
{
	static const struct conf_field row = { .key = "allow", .kind = CONF_KIND_STRS };
	struct conf_strs *all = to;
	int result;

	(void)text, (void)w;
	result = conf_fill_one(l, &row, n, all);
	if (result == 0 && !all->n && !n->damaged) {
		conf_error(l, 247, conf_where(n),
			   "\"allow\" is empty: nobody could be reached");
		return -1;
	}
	for (size_t i = 0; i < all->n; i++) {
		const char *error = all->at[i].at ? authority_error(all->at[i]) : NULL;
		struct str lower = arena_str(l->image, all->at[i]);

		for (size_t k = 0; k < lower.len; k++)
			((char *)lower.at)[k] =
				(char)char_lower((unsigned char)lower.at[k]);
		if (!error) {
			all->at[i] = lower;
			continue;
		}
		conf_error(l, 247, all->where[i], "\"allow\": \"%.*s\": %s",
			   STR_ARG(str_first(all->at[i], 100)), error);
		result = -1;
	}
	return result;
}

static const struct conf_field connect_rows[] = {
	{ "allow", CONF_KIND_VIA, CONF_F_REQUIRED, offsetof(struct conf_connect, allow),
	  .parse = allow_parse,
	  .help = "names and ports that clients may be connected to: [ "
		  "\"api.example.com:443\", \"*.example.com:443\" ]; others get 403" },
	CONF_END
};

static int
connect_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	      struct where w, void *to)
{
	struct conf_connect *c = ARENA_NEW(l->image, struct conf_connect);
	const struct conf_connect **out = to;

	(void)text, (void)w;
	*out = c;
	return conf_fill(l, n, connect_rows, c);
}

static bool
is_token(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i], low = char_lower(c);

		if (!(low >= 'a' && low <= 'z') && !(c >= '0' && c <= '9') && c != '-' &&
		    c != '_')
			return false;
	}
	return s.len;
}

static int
cert_from_parse(struct conf_load *l, const struct conf_node *n, struct str text,
		struct where w, void *to)
{
	static const struct conf_field row = { .key = "client_cert_from",
					       .kind = CONF_KIND_STRS };
	struct conf_strs *all = to;
	int result;

	(void)text, (void)w;
	result = conf_fill_one(l, &row, n, all);
	for (size_t i = 0; i < all->n; i++) {
		if (!all->at[i].at || is_token(all->at[i]))
			continue;
		conf_error(l, 248, all->where[i],
			   "\"client_cert_from\": \"%.*s\" is no name of a header, such as "
			   "\"Client-Cert\"",
			   STR_ARG(str_first(all->at[i], 100)));
		result = -1;
	}
	return result;
}

static const char *const proxies[] = { "none", "accept", "require", NULL };

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
	  .help = "versions of HTTP that are spoken; left out: [ \"h2\", \"1.1\" ] with tls, "
		  "[ \"1.1\" ] without; \"h2\" without tls takes HTTP/2 by prior knowledge. A "
		  "connection of h2 carries 128 requests at once and never holds more than "
		  "32 MiB" },
	{ "tls", CONF_KIND_VIA, .offset = offsetof(struct conf_listener, tls),
	  .parse = tls_parse, .sub = tls_rows,
	  .help = "TLS towards clients: { cert = \"chain.pem\"; key = \"private.key\"; }" },
	CONF_ENUM(struct conf_listener, proxy_protocol, "none", proxies,
		  "the PROXY protocol, version 1 or 2, from peers in trust: \"accept\" "
		  "serves those that do not speak it as well, \"require\" does not"),
	{ "client_cert_from", CONF_KIND_VIA,
	  .offset = offsetof(struct conf_listener, client_cert_from),
	  .parse = cert_from_parse,
	  .help = "headers in which peers in trust, who ended TLS and write these themselves, "
		  "say the client's "
		  "certificate: \"Client-Cert\" (RFC 9440), \"X-Forwarded-Client-Cert\" (as "
		  "Envoy writes it), or another name, whose value is taken as its subject" },
	{ "connect", CONF_KIND_VIA, .offset = offsetof(struct conf_listener, connect),
	  .parse = connect_parse, .sub = connect_rows,
	  .help = "a forward proxy for clients with https_proxy: CONNECT to what allow "
		  "says; left out: CONNECT is refused" },
	CONF_END
};

NAMED_STRUCT(struct conf_listener);

static int
listener(struct conf_load *l, const struct conf_node *n, void *to)
{
	struct conf_listener *listener = to;
	const struct conf_node *believed;
	int errors = l->diag->errors;

	conf_fill(l, n, listener_rows, listener);
	if (n->kind != CONF_NODE_GROUP)
		return -1;
	if (!conf_member(n, "http")) {
		listener->h1 = true;
		listener->h2 = listener->tls;
	}
	if (listener->tls && listener->redirect)
		conf_error(l, 249, conf_name_where(conf_member(n, "redirect")),
			   "redirect = \"https\" on a listener with tls would send clients "
			   "round in circles; it belongs to the one without");
	believed = conf_member(n, "client_cert_from");
	if (!believed && listener->proxy_protocol)
		believed = conf_member(n, "proxy_protocol");
	if (believed && !conf_member(n, "trust"))
		conf_error(l, 248, conf_name_where(believed),
			   "\"%.*s\" is believed from peers in trust only, and there are "
			   "none: trust = [ \"10.0.0.0/8\" ]",
			   STR_ARG(conf_name_of(believed)));
	return l->diag->errors > errors ? -1 : 0;
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
