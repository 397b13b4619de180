#include <sys/un.h>

#include "conf/reader.h"

#define A(member) offsetof(struct conf_admin, member)
#define H(member) offsetof(struct conf_history, member)

enum { TOKEN_LEAST = 16 };
#define HOUR ((int64_t)3600000)
#define YEARS (HOUR * 24 * 3660)

const struct conf_field history_rows[] = {
	{ "minutes", CONF_KIND_DURATION, .offset = H(minutes), .def = "24h", .min = HOUR,
	  .max = YEARS, .help = "how long usage and latencies are kept minute by minute" },
	{ "hours", CONF_KIND_DURATION, .offset = H(hours), .def = "32d", .min = HOUR,
	  .max = YEARS, .help = "the same hour by hour" },
	{ "days", CONF_KIND_DURATION, .offset = H(days), .def = "400d", .min = 24 * HOUR,
	  .max = YEARS, .help = "the same day by day" },
	{ "records", CONF_KIND_DURATION, .offset = H(records), .def = "7d", .min = 0,
	  .max = YEARS,
	  .help = "how long postern why can tell of requests that were refused or failed" },
	{ "records_most", CONF_KIND_INT, .offset = H(records_most), .def = "100000",
	  .min = 0, .max = 10000000, .help = "how many of them are kept at most" },
	{ "records_rate", CONF_KIND_INT, .offset = H(records_rate), .def = "200",
	  .min = 0, .max = 100000,
	  .help = "how many of them are kept in a second at most; the rest is in memory "
		  "only, until others take its place" },
	CONF_END
};

static const char *
http_error(struct str s)
{
	if (str_starts(s, STR("unix:")))
		return "a socket is admin.socket; this is \"127.0.0.1:9901\"";
	return bind_error(s);
}

static int
http_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	   struct where w, void *to)
{
	struct conf_bind *http = to;
	const char *error;

	if (n->kind != CONF_NODE_STRING)
		return wrong_type(l, n, "http", "an address: \"127.0.0.1:9901\"");
	if (conf_text(l, n, &text) < 0)
		return -1;
	if (str_eq(text, STR("none")))
		return 0;
	if ((error = http_error(text))) {
		conf_error(l, 219, w, "cannot listen on \"%.*s\": %s",
			   STR_ARG(str_first(text, 120)), error);
		return -1;
	}
	*http = (struct conf_bind){ text, w };
	return 0;
}

const struct conf_field admin_rows[] = {
	{ "socket", CONF_KIND_PATH, CONF_F_NONE, A(socket),
	  .help = "path of the socket that postern consumer, usage, quota and others "
		  "talk to; left out: admin.sock in rundir; \"none\": there is none" },
	{ "socket_group", CONF_KIND_STR, .offset = A(socket_group),
	  .help = "group whose members may use it beside root and the gateway's own user; "
		  "left out: nobody else" },
	{ "http", CONF_KIND_VIA, .offset = A(http), .parse = http_parse,
	  .help = "address where /metrics and the admin API are served as well, such as "
		  "\"127.0.0.1:9901\"; left out: nowhere" },
	{ "token", CONF_KIND_STR, CONF_F_SECRET, A(token),
	  .help = "what Authorization: Bearer must carry to change anything by http; left "
		  "out: http can read only" },
	CONF_END
};

static bool
loopback(struct str s)
{
	return str_starts(s, STR("127.")) || str_starts(s, STR("[::1]:")) ||
	       str_starts(s, STR("localhost:"));
}

static void
check_admin(struct conf_load *l, const struct conf_node *n, const struct conf_admin *a)
{
	const struct conf_node *token = conf_member(n, "token");
	struct where unseen = token ? conf_name_where(token) : (struct where){ 0 };

	unseen.len = 0;
	if (str_ends(a->socket, STR("/")) ||
	    memmem(a->socket.at ? a->socket.at : "", a->socket.len, "unix:", 5))
		conf_error(l, 207, conf_where(conf_member(n, "socket")),
			   "\"socket\" is a path, \"/run/postern/admin.sock\", or \"none\"");
	else if (a->socket.len >= sizeof(((struct sockaddr_un *)0)->sun_path))
		conf_error(l, 207, conf_where(conf_member(n, "socket")),
			   "the path of a socket has at most 107 bytes");
	if (a->http.text.len && !loopback(a->http.text) && !a->token.len)
		conf_warn(l, 237, a->http.where,
			  "whoever reaches \"%.*s\" can read metrics, usage and the names "
			  "of consumers; set token, or listen on 127.0.0.1",
			  STR_ARG(a->http.text));
	if (token && a->token.at && a->token.len < TOKEN_LEAST)
		conf_warn(l, 238, unseen,
			  "a token of %zu bytes can be guessed; openssl rand -hex 32 makes "
			  "a good one",
			  a->token.len);
}

int
admin_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	    struct where w, void *to)
{
	struct conf_admin *a = &l->model->admin;

	(void)text, (void)w, (void)to;
	if (!n)
		return conf_defaults(l, admin_rows, a);

	struct reader_scope before = reader_begin(l, "admin", STR_NONE);
	int errors = l->diag->errors, result = conf_fill(l, n, admin_rows, a);

	check_admin(l, n, a);
	reader_end(l, before);
	return result < 0 || l->diag->errors > errors ? -1 : 0;
}

void
admin_finish(struct conf_load *l)
{
	const struct conf_node *n = conf_member(l->root, "admin");
	struct conf_model *m = l->model;

	if (!n || !conf_member(n, "socket"))
		m->admin.socket = arena_printf(l->image, "%.*s/admin.sock",
					       STR_ARG(m->gateway.rundir));
}
