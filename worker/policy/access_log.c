/* access-log — one line for every request, also for those that were refused.
 *
 * JSON with flat dotted names, or the members that `fields` chooses; the combined format
 * of other servers; or a template. A line is written into the buffer of the log file
 * itself (lib/logfile.h) and nothing waits for a disk. Every value is escaped, so that no
 * request can forge a line; credentials and what `redact` names are masked. */
#include <stdlib.h>

#include "base/clock.h"
#include "worker/exchange/clientcert.h"
#include "worker/exchange/context.h"
#include "worker/exchange/names.h"
#include "worker/exchange/template.h"
#include "worker/policy/lib/escape.h"
#include "worker/policy/lib/logfile.h"
#include "worker/policy/lib/logline.h"
#include "worker/policy/policies.h"

enum { BETWEEN = 32 };

struct access_log {
	struct str path;
	const struct template *format;
	struct template_pairs fields;
	struct conf_strs redact;
	/* Made by check(). */
	void (*write)(const struct access_log *, struct logline *, struct exchange *);
	bool json;
	struct between *between;        /* before each field, and after the last */
};

/* What stands between two values: '","name":"', all quotes included. */
struct between {
	struct str text;
	bool number;                    /* what follows is one, without quotes */
	char room[BETWEEN];             /* the text again, if it fits */
};

static conf_parse_fn parse_path;

static const struct conf_field fields[] = {
	CONF_ROW(struct access_log, path, VIA, .flags = CONF_F_REQUIRED,
		 .parse = parse_path,
		 .help = "a file, \"stdout\", \"stderr\", or \"syslog:\" and the path of "
			 "its socket, /dev/log when left out"),
	CONF_VIA(struct access_log, format, template_parse, "json",
		 "json, combined, or a template"),
	CONF_VIA(struct access_log, fields, template_pairs_parse, NULL,
		 "members of a JSON line and their templates; left out: the full set"),
	CONF_STRS(struct access_log, redact,
		  "query parameters, headers and cookies whose values are masked, "
		  "besides the usual credentials"),
	CONF_END
};

/* ---- load */

static int
parse_path(struct conf_load *load, const struct conf_node *node, struct str text,
	   struct where w, void *to)
{
	struct str *path = to;

	if (node && conf_text(load, node, &text) < 0)
		return -1;
	if (str_eq(text, STR("journal")) || str_starts(text, STR("journal:"))) {
		conf_error(load, 404, w, "\"journal\" is not in this version of postern; "
			   "under systemd \"stdout\" goes there");
		return -1;
	}
	if (!text.len || memchr(text.at, 0, text.len)) {
		conf_error(load, 439, w, "an access log needs a path");
		return -1;
	}
	if (str_eq(text, STR("stdout")) || str_eq(text, STR("stderr")))
		*path = text;
	else if (str_eq(text, STR("syslog")) || str_eq(text, STR("syslog:")))
		*path = STR("syslog:/dev/log");
	else if (str_starts(text, STR("syslog:")) && text.at[7] != '/')
		conf_error(load, 439, w,
			   "after \"syslog:\" stands the absolute path of its socket");
	else if (str_starts(text, STR("syslog:")))
		*path = text;
	else
		*path = node ? conf_path_of(node, conf_arena(load), text) : text;
	return path->len ? 0 : -1;
}

static void write_json(const struct access_log *, struct logline *, struct exchange *);
static void write_fields(const struct access_log *, struct logline *, struct exchange *);
static void
write_combined(const struct access_log *, struct logline *, struct exchange *);
static void
write_template(const struct access_log *, struct logline *, struct exchange *);

static int
check_format(struct conf_load *load, struct access_log *p, struct where w)
{
	bool json = p->format->constant && str_eq(p->format->text, STR("json"));

	if (p->fields.n && !json) {
		conf_error(load, 440, p->format->where.file ? p->format->where : w,
			   "\"fields\" are the members of a JSON line; format is then "
			   "\"json\"");
		return -1;
	}
	for (size_t i = 0; i < p->format->text.len; i++)
		if ((unsigned char)p->format->text.at[i] < ' ' &&
		    p->format->text.at[i] != '\t') {
			conf_error(load, 440, where_in(p->format->where, i, 1),
				   "a log line holds no control characters; its end "
				   "comes by itself");
			return -1;
		}
	p->json = json;
	if (json)
		p->write = p->fields.n ? write_fields : write_json;
	else if (p->format->constant && str_eq(p->format->text, STR("combined")))
		p->write = write_combined;
	else if (!p->format->constant)
		p->write = write_template;
	else
		conf_error(load, 440, p->format->where.file ? p->format->where : w,
			   "\"%.*s\" is no format: use \"json\", \"combined\", or a "
			   "template with {names}",
			   STR_ARG(p->format->text));
	return p->write ? 0 : -1;
}

static void
make_between(struct arena *a, struct access_log *p)
{
	struct between *b = ARENA_NEWS(a, struct between, p->fields.n + 1);
	const char *quote = "";

	p->between = b;
	for (size_t i = 0; i < p->fields.n; i++, b++) {
		b->number = template_kind(p->fields.at[i].value) == TEMPLATE_NUMBER;
		/* A name of the language needs no escapes. */
		b->text = arena_printf(a, "%s%c\"%.*s\":%s", quote, i ? ',' : '{',
				       STR_ARG(p->fields.at[i].key),
				       b->number ? "" : "\"");
		quote = b->number ? "" : "\"";
	}
	b->text = arena_printf(a, "%s}\n", quote);
	for (b = p->between; b <= p->between + p->fields.n; b++)
		if (b->text.len <= BETWEEN)
			memcpy(b->room, b->text.at, b->text.len);
}

static int
check(struct conf_load *load, void *self, struct where w)
{
	struct access_log *p = self;

	if (!p->format || check_format(load, p, w) < 0)
		return -1;
	if (p->fields.n)
		make_between(conf_arena(load), p);
	return 0;
}

/* ---- JSON */

/* Each writes the value of a member; false: the member is left out. */
typedef bool member_fn(const struct access_log *, struct logline *, struct exchange *);

#define MEMBER(name)                                                                     \
	static bool put_##name(const struct access_log *p __attribute__((unused)),       \
			       struct logline *l, struct exchange *x)

static bool
quoted(struct logline *l, struct str s)
{
	logline_raw(l, STR("\""));
	logline_value(l, s);
	logline_raw(l, STR("\""));
	return true;
}

static bool
optional(struct logline *l, struct str s)
{
	return s.len && quoted(l, s);
}

static bool
number(struct logline *l, uint64_t n)
{
	logline_u64(l, n);
	return true;
}

/* Microseconds between two times, if both were reached. */
static bool
phase(struct logline *l, uint64_t from, uint64_t to)
{
	return from && to >= from && number(l, (to - from) / 1000);
}

static struct str
header(const struct exchange *x, enum token t)
{
	const struct header *h = headers_get(&x->request.headers, t);

	return h ? h->value : STR_NONE;
}

/* What was asked for, even if no path could be made of it. */
static struct str
asked_path(const struct exchange *x)
{
	return x->path.len ? x->path : x->request.path;
}

MEMBER(duration) { return number(l, exchange_duration(x)); }
MEMBER(method) { return optional(l, x->request.method_text); }
MEMBER(path) { return optional(l, asked_path(x)); }
MEMBER(domain) { return optional(l, x->host); }
MEMBER(status) { return number(l, x->status); }
MEMBER(bytes_in) { return number(l, x->bytes_in); }
MEMBER(bytes_out) { return number(l, x->bytes_out); }
MEMBER(version) { return optional(l, exchange_version(x)); }
MEMBER(agent) { return optional(l, header(x, TOKEN_USER_AGENT)); }
MEMBER(id) { return optional(l, exchange_id(x)); }
MEMBER(listener) { return optional(l, x->listener ? x->listener->name : STR_NONE); }
MEMBER(service)
{
	return optional(l, x->match.service ? x->match.service->conf->name : STR_NONE);
}
MEMBER(route)
{
	return optional(l, x->match.route ? x->match.route->conf->name : STR_NONE);
}
MEMBER(consumer) { return optional(l, x->consumer); }
MEMBER(plan) { return optional(l, x->plan ? x->plan->name : STR_NONE); }
MEMBER(key) { return optional(l, x->key_id); }
MEMBER(reason) { return optional(l, fault_info[x->fault].reason); }
MEMBER(revision) { return number(l, exchange_generation(x)); }
MEMBER(upstream) { return optional(l, exchange_upstream_name(x)); }
MEMBER(target) { return optional(l, exchange_target_name(x)); }
MEMBER(policy) { return optional(l, exchange_policy_name(x)); }
MEMBER(tls_version) { return optional(l, exchange_tls(x)->version); }
MEMBER(tls_cipher) { return optional(l, exchange_tls(x)->cipher); }
MEMBER(tls_subject) { return optional(l, exchange_tls(x)->subject); }
MEMBER(grpc_status) { return x->grpc_status && number(l, x->grpc_status - 1u); }
MEMBER(retries) { return number(l, x->attempts ? x->attempts - 1u : 0); }
MEMBER(match_us) { return phase(l, x->began, x->routed); }
MEMBER(policy_us) { return phase(l, x->routed, x->decided); }
MEMBER(queue_us) { return x->queued && number(l, x->queued / 1000); }
MEMBER(connect_us) { return !x->reused && phase(l, x->attempt_at, x->connected); }
MEMBER(first_us) { return phase(l, x->attempt_at, x->first_byte); }
MEMBER(body_us) { return phase(l, x->first_byte, x->ended); }

MEMBER(query)
{
	if (!x->request.query.len)
		return false;
	logline_raw(l, STR("\""));
	logline_query(l, x->request.query);
	logline_raw(l, STR("\""));
	return true;
}

MEMBER(client)
{
	if (!x->client_addr.family)
		return false;
	logline_raw(l, STR("\""));
	logline_raw(l, exchange_client_ip(x));
	logline_raw(l, STR("\""));
	return true;
}

/* W3C Trace Context §3.2: version "-" trace id "-" parent id "-" flags. */
MEMBER(trace)
{
	struct str s = header(x, TOKEN_TRACEPARENT);

	if (s.len < 55 || s.at[2] != '-' || s.at[35] != '-')
		return false;
	return quoted(l, (struct str){ s.at + 3, 32 });
}

#define ROW(name, fn) { { ",\"" name "\":", sizeof(",\"" name "\":") - 1 }, put_##fn }

/* All members after "@timestamp", in their order. */
static const struct {
	struct str key;
	member_fn *put;
} members[] = {
	ROW("event.duration", duration),
	ROW("http.request.method", method),
	ROW("url.domain", domain),
	ROW("url.path", path),
	ROW("url.query", query),
	ROW("http.version", version),
	ROW("http.response.status_code", status),
	ROW("http.request.body.bytes", bytes_in),
	ROW("http.response.body.bytes", bytes_out),
	ROW("client.address", client),
	ROW("user_agent.original", agent),
	ROW("tls.version", tls_version),
	ROW("tls.cipher", tls_cipher),
	ROW("tls.client.subject", tls_subject),
	ROW("grpc.status", grpc_status),
	ROW("trace.id", trace),
	ROW("http.request.id", id),
	ROW("postern.listener", listener),
	ROW("postern.service", service),
	ROW("postern.route", route),
	ROW("postern.consumer", consumer),
	ROW("postern.plan", plan),
	ROW("postern.key", key),
	ROW("postern.upstream", upstream),
	ROW("postern.target", target),
	ROW("postern.reason", reason),
	ROW("postern.policy", policy),
	ROW("postern.revision", revision),
	ROW("postern.retries", retries),
	ROW("postern.phase.match_us", match_us),
	ROW("postern.phase.policy_us", policy_us),
	ROW("postern.phase.queue_us", queue_us),
	ROW("postern.phase.connect_us", connect_us),
	ROW("postern.phase.first_byte_us", first_us),
	ROW("postern.phase.body_us", body_us),
};

static void
write_json(const struct access_log *p, struct logline *l, struct exchange *x)
{
	logline_raw(l, STR("{\"@timestamp\":\""));
	logline_raw(l, (struct str){ clock_iso(), 24 });
	logline_raw(l, STR("\""));
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		char *before = l->at;

		logline_raw(l, members[i].key);
		if (!members[i].put(p, l, x))
			l->at = before;
	}
	logline_raw(l, STR("}\n"));
}

static void
put_between(struct logline *l, const struct between *b)
{
	if (b->text.len <= BETWEEN && l->end - l->at >= BETWEEN) {
		memcpy(l->at, b->room, BETWEEN);
		l->at += b->text.len;
	} else {
		logline_raw(l, b->text);
	}
}

static void
write_fields(const struct access_log *p, struct logline *l, struct exchange *x)
{
	for (size_t i = 0; i < p->fields.n; i++) {
		const struct template *t = p->fields.at[i].value;

		put_between(l, &p->between[i]);
		if (p->between[i].number) {
			struct str value = template_eval(t, x);

			logline_raw(l, value.len ? value : STR("null"));
		} else {
			logline_template(l, t, x, false);
		}
	}
	put_between(l, &p->between[p->fields.n]);
}

/* ---- text */

static void
or_dash(struct logline *l, struct str s)
{
	if (s.len)
		logline_value(l, s);
	else
		logline_raw(l, STR("-"));
}

/* 127.0.0.1 - name [21/Nov/2026:07:27:00 +0000] "GET /a?b HTTP/1.1" 200 12 "referer"
 * "agent" */
static void
write_combined(const struct access_log *p, struct logline *l, struct exchange *x)
{
	const char *date = clock_date();        /* "Sat, 21 Nov 2026 07:27:00 GMT" */

	(void)p;
	if (x->client_addr.family)
		logline_raw(l, exchange_client_ip(x));
	else
		logline_raw(l, STR("-"));
	logline_raw(l, STR(" - "));
	or_dash(l, x->consumer);
	logline_raw(l, STR(" ["));
	logline_raw(l, (struct str){ date + 5, 2 });
	logline_raw(l, STR("/"));
	logline_raw(l, (struct str){ date + 8, 3 });
	logline_raw(l, STR("/"));
	logline_raw(l, (struct str){ date + 12, 4 });
	logline_raw(l, STR(":"));
	logline_raw(l, (struct str){ date + 17, 8 });
	logline_raw(l, STR(" +0000] \""));
	if (x->request.method_text.len) {
		logline_value(l, x->request.method_text);
		logline_raw(l, STR(" "));
		logline_value(l, asked_path(x));
		if (x->request.query.len)
			logline_raw(l, STR("?"));
		logline_query(l, x->request.query);
		logline_raw(l, STR(" HTTP/"));
		logline_raw(l, exchange_version(x));
		if (exchange_version(x).len == 1)
			logline_raw(l, STR(".0"));
	} else {
		logline_raw(l, STR("-"));
	}
	logline_raw(l, STR("\" "));
	logline_u64(l, x->status);
	logline_raw(l, STR(" "));
	logline_u64(l, x->bytes_out);
	logline_raw(l, STR(" \""));
	if (headers_get(&x->request.headers, TOKEN_REFERER))
		logline_uri(l, header(x, TOKEN_REFERER));
	else
		logline_raw(l, STR("-"));
	logline_raw(l, STR("\" \""));
	or_dash(l, header(x, TOKEN_USER_AGENT));
	logline_raw(l, STR("\"\n"));
}

static void
write_template(const struct access_log *p, struct logline *l, struct exchange *x)
{
	logline_template(l, p->format, x, true);
	logline_raw(l, STR("\n"));
}

/* ---- the policy */

struct open_log {                       /* of a worker and configuration */
	struct logfile *file;
	/* What the policy says, and where others look for credentials. */
	struct conf_strs redact;
};

static void *
open_log(struct worker *w, const void *self, const char **error)
{
	const struct access_log *p = self;
	struct logfile *file = logfile_open(w, p->path, error);
	struct open_log *o;

	if (!file)
		return NULL;
	o = calloc(1, sizeof(*o));
	if (!o)
		abort();
	o->file = file;
	return o;
}

static void
close_log(struct worker *w, void *bound)
{
	struct open_log *o = bound;

	(void)w;
	if (!o)
		return;
	logfile_close(o->file);
	free(o->redact.at);
	free(o);
}

/* A request that was refused before its key was taken out of it has it still. */
static void
learn(struct open_log *o, const struct access_log *p, const struct conf_model *m)
{
	o->redact.at = calloc(p->redact.n + m->npolicies + 1, sizeof(*o->redact.at));
	if (!o->redact.at)
		abort();
	for (size_t i = 0; i < p->redact.n; i++)
		o->redact.at[o->redact.n++] = p->redact.at[i];
	for (size_t i = 0; i < m->npolicies; i++) {
		const struct conf_policy *c = m->policies[i];
		const struct policy *other = (const void *)c->type;

		if (other && other->credential)
			o->redact.at[o->redact.n++] = other->credential(c->self);
	}
}

static void
done(struct exchange *x, const void *self, void *state)
{
	/* A line that is too long is tried once more with its values cut. */
	static const size_t caps[] = { SIZE_MAX, 512, 48 };
	const struct access_log *p = self;
	struct open_log *o = exchange_bound(x);
	char *to = o ? logfile_room(o->file) : NULL;

	(void)state;
	if (!to)
		return;
	if (!o->redact.at)
		learn(o, p, x->gen->model);
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		struct logline l = {
			.at = to,
			.end = to + LOGFILE_LINE,
			.cap = caps[i],
			.redact = &o->redact,
			.escape = p->json ? escape_json : escape_field,
		};

		p->write(p, &l, x);
		if (!l.full) {
			logfile_line(o->file, (size_t)(l.at - to));
			return;
		}
	}
	logfile_lost(o->file);
}

static void
tick(struct worker *w, void *bound, bool reopen)
{
	struct open_log *o = bound;

	(void)w;
	if (o)
		logfile_tick(o->file, reopen);
}

const struct policy access_log_policy = {
	.conf = {
		.name = "access-log",
		.help = "Writes a line for every request, refused ones too",
		.size = sizeof(struct access_log),
		.fields = fields,
		.check = check,
	},
	.bind = open_log,
	.unbind = close_log,
	.done = done,
	.tick = tick,
};
