#include "conf/reader.h"

/* Words of other products, and what they are called here. */
static const struct { const char *word, *here;
} foreign[] = {
	{ "proxy_pass", "to = \"UPSTREAM\" of a route" },
	{ "fastcgi_pass", "to = \"UPSTREAM\" of a route; only HTTP is spoken" },
	{ "uwsgi_pass", "to = \"UPSTREAM\" of a route; only HTTP is spoken" },
	{ "grpc_pass", "to = \"UPSTREAM\" of a route" },
	{ "backend", "to = \"UPSTREAM\" of a route, and the section upstreams" },
	{ "default_backend", "to = \"UPSTREAM\" of a last route with match = \"* /*\"" },
	{ "use_backend", "to = \"UPSTREAM\" of a route" },
	{ "backends", "the section upstreams" },
	{ "cluster", "to = \"UPSTREAM\" of a route, and the section upstreams" },
	{ "clusters", "the section upstreams" },
	{ "endpoints", "targets of an upstream" },
	{ "lb_endpoints", "targets of an upstream" },
	{ "load_assignment", "targets of an upstream" },
	{ "server", "targets of an upstream, or a service" },
	{ "servers", "targets of an upstream" },
	{ "upstream_url", "targets of an upstream" },
	{ "server_name", "domains of a service" },
	{ "server_names", "domains of a service" },
	{ "hosts", "domains of a service" },
	{ "host", "domains of a service" },
	{ "virtual_hosts", "the section services" },
	{ "location", "match of a route" },
	{ "locations", "routes of a service" },
	{ "paths", "match of a route: match = \"GET /path/*\"" },
	{ "path_prefix", "match of a route: match = \"* /path/*\"" },
	{ "prefix", "match of a route: match = \"* /path/*\"" },
	{ "methods", "match of a route: match = \"GET,POST /path\"" },
	{ "acl", "match and when of a route" },
	{ "strip_path", "rewrite of a route: match = \"* /v1/*\"; rewrite = \"/{*}\"" },
	{ "prefix_rewrite", "rewrite of a route" },
	{ "regex_rewrite", "rewrite of a route with match = \"* ~ ^…$\"" },
	{ "preserve_host", "a policy of type \"headers\"; the Host of the client is kept" },
	{ "frontend", "the section listeners, and services" },
	{ "frontends", "the section listeners, and services" },
	{ "entrypoints", "the section listeners" },
	{ "listen", "bind of a listener, or http of the section admin" },
	{ "listener", "the section listeners" },
	{ "filter_chains", "policies of a service or route" },
	{ "http_filters", "policies of a service or route" },
	{ "plugins", "policies of a service or route" },
	{ "middlewares", "policies of a service or route" },
	{ "return", "respond or redirect of a route" },
	{ "direct_response", "respond of a route" },
	{ "redirect_to", "redirect of a route" },
	{ "ssl", "tls" },
	{ "ssl_certificate", "cert in tls of a listener" },
	{ "ssl_certificate_key", "key in tls of a listener" },
	{ "certificate", "cert" },
	{ "certificate_file", "cert" },
	{ "cert_file", "cert" },
	{ "crt", "cert" },
	{ "chain", "cert: the file has the whole chain, the certificate first" },
	{ "private_key", "key" },
	{ "key_file", "key" },
	{ "certificates", "certs" },
	{ "tls_certificates", "certs" },
	{ "ssl_protocols", "min in tls: \"1.2\" or \"1.3\"" },
	{ "ssl_min_ver", "min in tls: \"1.2\" or \"1.3\"" },
	{ "min_version", "min in tls: \"1.2\" or \"1.3\"" },
	{ "ssl_ciphers", "ciphers in tls" },
	{ "cipher_suites", "ciphers" },
	{ "ssl_ecdh_curve", "groups in tls" },
	{ "curves", "groups" },
	{ "ecdhe", "groups" },
	{ "ssl_client_certificate", "client_ca in tls of a listener" },
	{ "ssl_verify_client", "client_cert in tls of a listener" },
	{ "ssl_verify_depth", "depth in tls of a listener" },
	{ "ssl_crl", "crl in tls of a listener" },
	{ "crl_file", "crl" },
	{ "client_auth", "client_cert: \"request\" or \"require\"" },
	{ "mtls", "client_cert and client_ca in tls of a listener" },
	{ "require_client_certificate", "client_cert = \"require\"" },
	{ "forward_client_cert_details", "forward_client_cert in tls of a listener" },
	{ "ssl_session_tickets", "tickets in tls of a listener" },
	{ "ssl_stapling_file", "ocsp in tls of a listener" },
	{ "ssl_handshake_timeout", "handshake in tls of a listener" },
	{ "alpn", "http = [ \"h2\", \"1.1\" ] of a listener, or http of an upstream" },
	{ "http2", "http = [ \"h2\", \"1.1\" ] of a listener, or http of an upstream" },
	{ "proxy_http_version", "http of an upstream" },
	{ "proxy_ssl_verify", "verify in tls of an upstream" },
	{ "ssl_verify", "verify in tls of an upstream" },
	{ "tls_verify", "verify in tls of an upstream" },
	{ "insecure", "verify = false" },
	{ "insecure_skip_verify", "verify = false" },
	{ "proxy_ssl_trusted_certificate", "ca in tls of an upstream" },
	{ "ca_file", "ca, or client_ca of a listener" },
	{ "ca_certificates", "ca, or client_ca of a listener" },
	{ "trusted_ca", "ca, or client_ca of a listener" },
	{ "proxy_ssl_name", "sni in tls of an upstream" },
	{ "proxy_ssl_server_name", "sni in tls of an upstream" },
	{ "server_name_indication", "sni" },
	{ "proxy_ssl_certificate", "client_cert in tls of an upstream" },
	{ "proxy_ssl_certificate_key", "client_key in tls of an upstream" },
	{ "client_certificate", "client_cert" },
	{ "accept_proxy", "proxy_protocol = \"require\" of a listener" },
	{ "send_proxy", "proxy_protocol = 1 of an upstream" },
	{ "send_proxy_v2", "proxy_protocol = 2 of an upstream" },
	{ "basic_auth", "credential of an upstream" },
	{ "credential_injector", "credential of an upstream" },
	{ "oauth2", "credential: { type = \"oauth2\"; … } of an upstream" },
	{ "token_url", "token_upstream and token_path" },
	{ "token_endpoint", "token_upstream and token_path" },
	{ "scopes", "scope: \"read write\"" },
	{ "http_connect", "connect of a listener" },
	{ "forward_proxy", "connect of a listener" },
	{ "lb_policy", "balance of an upstream" },
	{ "load_balancer", "balance of an upstream" },
	{ "least_conn", "balance = \"least-request\" of an upstream" },
	{ "leastconn", "balance = \"least-request\" of an upstream" },
	{ "roundrobin", "balance = \"round-robin\" of an upstream" },
	{ "ip_hash", "balance of an upstream" },
	{ "keepalive", "pool: { idle = 64; } of an upstream" },
	{ "max_connections", "pool: { connections = 512; } of an upstream" },
	{ "maxconn", "pool: { connections = 512; } of an upstream" },
	{ "keepalive_timeout",
	  "gateway.timeouts.idle, and pool.idle_timeout of an upstream" },
	{ "client_max_body_size", "gateway.limits.body, or max_body of a route" },
	{ "client_header_timeout", "gateway.timeouts.head" },
	{ "client_body_timeout", "gateway.timeouts.body" },
	{ "large_client_header_buffers", "gateway.limits.head" },
	{ "send_timeout", "gateway.timeouts.send" },
	{ "proxy_connect_timeout", "timeout: { connect = \"1s\"; } of an upstream" },
	{ "connect_timeout", "timeout: { connect = \"1s\"; } of an upstream" },
	{ "proxy_read_timeout", "timeout: { response = \"60s\"; } of an upstream" },
	{ "read_timeout", "timeout: { response = \"60s\"; } of an upstream" },
	{ "response_timeout", "timeout: { response = \"60s\"; } of an upstream" },
	{ "proxy_next_upstream", "retry: { on = [ … ]; } of an upstream" },
	{ "retries", "retry: { attempts = 2; } of an upstream" },
	{ "num_retries", "retry: { attempts = 2; } of an upstream" },
	{ "retry_on", "retry: { on = [ … ]; } of an upstream" },
	{ "set_real_ip_from", "trust of a listener" },
	{ "real_ip_header", "trust of a listener" },
	{ "trusted_ips", "trust of a listener" },
	{ "worker_processes", "gateway.workers" },
	{ "nbthread", "gateway.workers" },
	{ "concurrency", "gateway.workers; requests at once are limited by a policy of type "
			 "\"concurrency\"" },
	{ "worker_connections", "gateway.max_files" },
	{ "worker_rlimit_nofile", "gateway.max_files" },
	{ "worker_cpu_affinity", "gateway.pin_cpus" },
	{ "access_log", "a policy of type \"access-log\" in gateway.policies" },
	{ "add_header", "a policy of type \"headers\"" },
	{ "proxy_set_header", "a policy of type \"headers\"" },
	{ "limit_req", "a policy of type \"rate-limit\"" },
	{ "limit_req_zone", "a policy of type \"rate-limit\"; its memory is there" },
	{ "limit_conn", "a policy of type \"concurrency\"" },
	{ "limit_conn_zone", "a policy of type \"concurrency\"; its memory is there" },
	{ "rate_limiting", "a policy of type \"rate-limit\"" },
	{ "rate_limits", "a policy of type \"rate-limit\"" },
	{ "local_ratelimit", "a policy of type \"rate-limit\"" },
	{ "stick_table", "a policy of type \"rate-limit\"; its memory is there" },
	{ "throttle", "a policy of type \"rate-limit\" or \"spike-control\"" },
	{ "throttling", "a policy of type \"rate-limit\" or \"spike-control\"" },
	{ "spike_arrest", "a policy of type \"spike-control\"" },
	{ "adaptive_concurrency", "a policy of type \"concurrency\"" },
	{ "max_concurrent", "a policy of type \"concurrency\"" },
	{ "key_auth", "a policy of type \"api-key\"" },
	{ "keyauth", "a policy of type \"api-key\"" },
	{ "verify_api_key", "a policy of type \"api-key\"" },
	{ "request_termination", "respond of a route, or a policy of type \"respond\"" },
	{ "request_size_limiting", "a policy of type \"size-limit\"" },
	{ "request_transformer", "a policy of type \"headers\"" },
	{ "response_transformer", "a policy of type \"headers\"" },
	{ "correlation_id", "a policy of type \"request-id\"" },
	{ "file_log", "a policy of type \"access-log\"" },
	{ "http_log", "a policy of type \"access-log\"" },
	{ "second", "rate = \"5/s\"" },
	{ "minute", "rate = \"60/min\"" },
	{ "hour", "rate = \"5000/h\"" },
	{ "day", "rate = \"10000/day\", or quota = \"10000/day\" of a plan" },
	{ "month", "quota = \"5000000/month\"" },
	{ "requests_per_unit", "rate = \"100/s\"" },
	{ "token_bucket", "rate = \"100/s\" and burst = 200" },
	{ "max_tokens", "burst" },
	{ "limit", "rate = \"100/s\"" },
	{ "limit_by", "by = \"{client.ip}\"" },
	{ "descriptors", "by = \"{client.ip}\"" },
	{ "usage_plans", "the section plans" },
	{ "usage_plan", "plan of a consumer" },
	{ "tier", "plan of a consumer" },
	{ "subscription", "plan of a consumer" },
	{ "users", "the section consumers" },
	{ "clients", "the section consumers" },
	{ "credentials", "keys of a consumer: [ \"sha256:<64 hex digits>\" ]" },
	{ "keyauth_credentials", "keys of a consumer: [ \"sha256:<64 hex digits>\" ]" },
	{ "api_keys", "keys of a consumer: [ \"sha256:<64 hex digits>\" ]" },
	{ "key", "keys of a consumer: [ \"sha256:<64 hex digits>\" ]" },
	{ "username", "the name of the group: consumers: { NAME: { … }; }" },
	{ "custom_id", "the name of the group: consumers: { NAME: { … }; }" },
	{ "timezone", "zone of a plan" },
	{ "time_zone", "zone of a plan" },
	{ "admin_listen", "http of the section admin" },
	{ "status_listen", "http of the section admin" },
	{ "metrics", "http of the section admin: /metrics is there" },
	{ "prometheus", "http of the section admin: /metrics is there" },
	{ "stats", "http of the section admin: /metrics is there" },
	{ "stub_status", "http of the section admin: /metrics is there" },
	{ "admin_token", "token of the section admin" },
	{ "retention", "the section history" },
	{ "proxy_hide_header", "a policy of type \"headers\"" },
	{ "more_set_headers", "a policy of type \"headers\"" },
	{ "http_request", "policies of a service or route" },
	{ "pid", "gateway.pid_file" },
	{ "error_log", "not needed: findings and faults go to standard error" },
	{ "worker_threads", "gateway.workers" },
	{ "backup", "not needed: a target with weight = 0 gets no new requests" },
	{ "down", "weight = 0 of a target" },
	{ "max_fails", "health of an upstream, which is not in this version of postern" },
	{ "fail_timeout",
	  "health of an upstream, which is not in this version of postern" },
	{ "health_check",
	  "health of an upstream, which is not in this version of postern" },
	{ "health_checks",
	  "health of an upstream, which is not in this version of postern" },
	{ "proxy_redirect", "a policy of type \"headers\"" },
	{ "try_files", "nothing: files are not served" },
	{ "root", "nothing: files are not served" },
	{ "alias", "nothing: files are not served" },
	{ "index", "nothing: files are not served" },
	{ "includes", "include = [ \"conf.d/*.conf\" ]" },
	{ "http", "gateway, listeners and services at the top level" },
	{ NULL, NULL },
};

static bool
same_word(struct str a, const char *z)
{
	size_t i = 0;

	for (; i < a.len && z[i]; i++) {
		char c = (char)char_lower((unsigned char)a.at[i]);

		if ((c == '-' ? '_' : c) != z[i])
			return false;
	}
	return i == a.len && !z[i];
}

struct homes {
	struct arena *arena;
	struct str key;
	const char *found;
	unsigned n;
};

/* All groups that have the key, by the rows of the language. */
static void
walk(struct homes *h, const struct conf_field *rows, const char *path)
{
	for (const struct conf_field *r = rows; r->key; r++) {
		if (str_eq(h->key, str_of(r->key)) && *path && h->n++ == 0)
			h->found = path;
		if (!r->sub)
			continue;
		walk(h, r->sub,
		     arena_printf(h->arena, "%s%s%s%s", path, *path ? "." : "", r->key,
				  r->flags & CONF_F_NAMED ? ".NAME" : "")
			     .at);
	}
}

const char *
suggest_home(struct arena *a, struct str key)
{
	struct homes h = { .arena = a, .key = key };

	walk(&h, conf_rows, "");
	return h.n == 1 ? h.found : NULL;
}

static const char *
path_of(struct arena *a, const struct conf_field *rows, const struct conf_field *row,
	const char *above)
{
	const char *found = NULL;

	for (const struct conf_field *r = rows; r->key && !found; r++) {
		const char *path =
			arena_printf(a, "%s%s%s", above, *above ? "." : "", r->key).at;

		if (r == row)
			return path;
		if (r->sub)
			found = path_of(a, r->sub, row, path);
	}
	return found;
}

const char *
suggest_path(struct arena *a, const struct conf_type *const *types,
	     const struct conf_field *row)
{
	const char *found = path_of(a, conf_rows, row, "");

	for (int i = 0; types[i] && !found; i++)
		if (path_of(a, types[i]->fields, row, ""))
			found = types[i]->name;
	return found;
}

static const char *const *
keys(struct arena *a, const struct conf_field *rows)
{
	size_t n = 0;
	const char **all;

	while (rows[n].key)
		n++;
	all = arena_alloc(a, (n + 1) * sizeof(*all));
	n = 0;
	for (const struct conf_field *r = rows; r->key; r++)
		if (!(r->flags & CONF_F_LATER))
			all[n++] = r->key;
	all[n] = NULL;
	return all;
}

static const char *
list(struct arena *a, const char *const *words)
{
	struct str s = { "", 0 };

	for (int i = 0; words[i]; i++)
		s = arena_printf(a, "%s%s%s", s.at, i ? ", " : "", words[i]);
	return s.at;
}

/* Units as other products write them. */
static const struct { const char *word, *here;
	bool size;
} units[] = {
	{ "k", "KiB", true },   { "kb", "KiB", true },  { "m", "MiB", true },
	{ "mb", "MiB", true },  { "g", "GiB", true },   { "gb", "GiB", true },
	{ "kib", "KiB", true }, { "mib", "MiB", true }, { "gib", "GiB", true },
	{ "ki", "KiB", true },  { "mi", "MiB", true },  { "gi", "GiB", true },
	{ "bytes", "B", true }, { "sec", "s", false },  { "secs", "s", false },
	{ "second", "s", false }, { "seconds", "s", false }, { "min", "m", false },
	{ "mins", "m", false }, { "minute", "m", false }, { "minutes", "m", false },
	{ "hour", "h", false }, { "hours", "h", false }, { "day", "d", false },
	{ "days", "d", false }, { "msec", "ms", false }, { "millis", "ms", false },
	{ NULL, NULL, false },
};

const char *
unit_of_others(struct arena *a, struct str text, bool size)
{
	size_t n = 0;

	while (n < text.len && text.at[n] >= '0' && text.at[n] <= '9')
		n++;

	struct str word = str_trim(str_from(text, n));

	for (int i = 0; n && n < 16 && units[i].word; i++)
		if (units[i].size == size && str_caseeq(word, str_of(units[i].word)))
			return arena_printf(a, "%.*s%s", STR_ARG(str_first(text, n)),
					    units[i].here)
				.at;
	return NULL;
}

/* The row whose key a text begins with. */
static const struct conf_field *
named_first(const struct conf_field *rows, const char *text)
{
	for (; rows->key; rows++)
		if (str_eq(str_of(rows->key),
			   str_first(str_of(text), strcspn(text, " "))))
			return rows;
	return NULL;
}

/* However others use the word: it differs in a dash, or an s at the end. */
static bool
plainly(struct str key, const char *near)
{
	return (key.len > 4 && same_word(key, near)) ||
	       (strlen(near) == key.len + 1 && near[key.len] == 's' &&
		str_starts(str_of(near), key));
}

const struct conf_field *
unknown_key(struct conf_load *l, const struct conf_node *group,
	    const struct conf_field *rows, const struct conf_node *child)
{
	struct str key = conf_name_of(child);
	struct where w = conf_name_where(child);
	struct arena *a = &l->scratch;
	const char *const *known = keys(a, rows);

	/* It may belong to a group that ended too early. */
	if (group == l->root && child->source->loose)
		return NULL;
	for (const struct conf_field *r = rows; r->key; r++)
		for (const struct conf_field *s = r->kind == CONF_KIND_GROUP ? r->sub
									     : NULL;
		     s && s->key; s++)
			if (str_eq(key, str_of(s->key))) {
				conf_error(
					l, 202, w,
					"\"%s\" belongs into %s: write %s: { %s = …; };",
					s->key, r->key, r->key, s->key);
				return NULL;
			}

	const char *near = diag_nearest(key, known);

	for (int i = 0; foreign[i].word; i++)
		if (same_word(key, foreign[i].word) && !(near && plainly(key, near))) {
			conf_error(l, 201, w, "unknown key \"%.*s\"; here that is %s",
				   STR_ARG(key), foreign[i].here);
			return named_first(rows, foreign[i].here);
		}

	const char *home = suggest_home(a, key);

	if (home)
		conf_error(l, 202, w, "unknown key \"%.*s\"; it belongs to %s",
			   STR_ARG(key), home);
	else if (near)
		conf_error(l, 201, w, "unknown key \"%.*s\"; did you mean \"%s\"?",
			   STR_ARG(key), near);
	else
		conf_error(l, 201, w, "unknown key \"%.*s\"; known here: %s",
			   STR_ARG(key), list(a, known));
	return near && !home ? named_first(rows, near) : NULL;
}

const char *
suggest_word(struct arena *a, struct str s, const char *const *words)
{
	const char *near = diag_nearest(s, words), *all = "\"";

	for (int i = 0; foreign[i].word && !near; i++)
		for (int k = 0; same_word(s, foreign[i].word) && words[k]; k++)
			if (strstr(foreign[i].here,
				   arena_printf(a, "\"%s\"", words[k]).at))
				near = words[k];
	if (near)
		return arena_printf(a, "; did you mean \"%s\"?", near).at;
	for (int i = 0; words[i]; i++)
		all = arena_printf(a, "%s%s\"%s", all, words[i],
				   words[i + 1] ? ", \"" : "")
			      .at;
	return arena_printf(a, "; it is one of %s", all).at;
}

const char *
suggest_name(struct arena *a, struct str s, const struct map *names, void **value)
{
	const char **all = arena_alloc(a, (names->count + 1) * sizeof(*all));
	size_t n = 0;

	if (value)
		*value = NULL;
	/* Thousands of names times thousands of slips would take minutes. */
	if (names->count > 1000)
		return "";
	for (uint32_t i = 0; names->slots && i <= names->mask; i++)
		if (names->slots[i].value)
			all[n++] = arena_str(a, names->slots[i].key).at;
	all[n] = NULL;

	const char *near = diag_nearest(s, all);

	if (!near)
		return "";
	if (value)
		*value = map_get(names, str_of(near));
	return arena_printf(a, "; did you mean \"%s\"?", near).at;
}
