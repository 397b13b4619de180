#include "master/cli/record_text.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "master/cli/stat.h"
#include "worker/exchange/grpc.h"
#include "worker/exchange/policy.h"

static struct str
name_in_region(const struct record_view *v, uint32_t series)
{
	const struct stats *s = v->names;
	const struct series_name *n = &s->names[series];

	if (!series || series >= series_count(s) || n->len > sizeof(n->name))
		return STR_NONE;
	return (struct str){ n->name, n->len };
}

struct record_view
record_view(const struct record *r, const struct stats *stats)
{
	return (struct record_view){ r, record_texts(r), record_notes(r), name_in_region,
				     stats };
}

void
record_id(const struct record *r, char to[static 33])
{
	snprintf(to, 33, "%016" PRIx64 "%016" PRIx64, r->id[0], r->id[1]);
}

void
record_time(int64_t ms, char to[static 32])
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(to, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(to + n, 32 - n, ".%03dZ", (int)((ms % 1000 + 1000) % 1000));
}

/* What clients send is no reason for a terminal to change colour. */
static void
put_safe(struct str s, FILE *out)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\x%02x", c);
		else
			putc(c, out);
	}
}

static struct str
known(const struct record_view *v, uint32_t series)
{
	struct str s = v->name(v, series);

	return s.len ? s : STR("?");
}

static struct str
reason(unsigned fault)
{
	return fault && fault < FAULT_COUNT ? fault_info[fault].reason : STR_NONE;
}

const struct record_note *
record_decider(const struct record_view *v)
{
	unsigned p = v->record->policy;

	return p && p <= v->record->notes ? &v->notes[p - 1] : NULL;
}

static const struct policy *
policy_of(struct str name)
{
	ptrdiff_t slash = str_find(name, '/');
	struct str type = slash < 0 ? name : str_first(name, (size_t)slash);

	for (const struct policy *const *p = policies; *p; p++)
		if (str_eq(str_of((*p)->conf.name), type))
			return *p;
	return NULL;
}

void
record_explain(const struct record_view *v, const struct record_note *n, char *to,
	       size_t size)
{
	const struct policy *p = policy_of(v->name(v, n->policy));

	*to = '\0';
	if (p && p->explain)
		p->explain(n, to, size);
}

static void
put_grpc(const struct record *r, FILE *out)
{
	if (r->grpc && r->grpc <= GRPC_STATUS_COUNT)
		fprintf(out, " grpc %u %s", r->grpc - 1u, grpc_status_name[r->grpc - 1]);
	else if (r->grpc)
		fprintf(out, " grpc %u", r->grpc - 1u);
}

static const char *
decision_text(const struct record_note *n)
{
	return n->decision < DECISION_COUNT ? stat_decisions[n->decision] : "?";
}

/* ---- one line */

static void
put_latency(uint32_t us, FILE *out)
{
	char buf[32];

	fputs(stat_latency(us, buf), out);
}

static void
line_decider(const struct record_view *v, FILE *out)
{
	const struct record_note *n = record_decider(v);
	char buf[256];

	if (!n)
		return;
	record_explain(v, n, buf, sizeof(buf));
	fprintf(out, " by %.*s", STR_ARG(known(v, n->policy)));
	if (*buf)
		fprintf(out, " (%s)", buf);
}

void
record_line(const struct record_view *v, FILE *out)
{
	const struct record *r = v->record;
	const struct record_texts *t = &v->texts;
	char buf[40];

	record_time(r->at, buf);
	fprintf(out, "%s ", buf);
	put_safe(t->client, out);
	putc(' ', out);
	put_safe(t->method.len ? t->method : STR("-"), out);
	putc(' ', out);
	put_safe(t->host, out);
	put_safe(t->path, out);
	if (r->status)
		fprintf(out, " %u", r->status);
	else
		fputs(" -", out);
	put_grpc(r, out);
	if (r->fault)
		fprintf(out, " %.*s", STR_ARG(reason(r->fault)));
	line_decider(v, out);
	putc(' ', out);
	put_latency(r->us_total, out);
	if (r->route || r->service)
		fprintf(out, " %.*s",
			STR_ARG(known(v, r->route ? r->route : r->service)));
	for (unsigned i = 0; i < r->attempts && i < RECORD_ATTEMPTS; i++)
		fprintf(out, " -> %.*s", STR_ARG(known(v, r->attempt[i].target)));
	if (t->consumer.len) {
		fputs(" consumer=", out);
		put_safe(t->consumer, out);
	}
	record_id(r, buf);
	fprintf(out, " %s\n", buf);
}

/* ---- the whole story */

static void
place(const struct record_view *v, uint32_t file, uint32_t line, FILE *out)
{
	struct str name = v->name(v, file);

	if (name.len && line)
		fprintf(out, "%.*s:%u", STR_ARG(name), line);
	else if (name.len)
		fprintf(out, "%.*s", STR_ARG(name));
	else
		fprintf(out, "line %u", line);
}

static void
story_head(const struct record_view *v, FILE *out)
{
	const struct record *r = v->record;
	const struct record_texts *t = &v->texts;
	char id[40], at[32];

	record_id(r, id);
	record_time(r->at, at);
	fprintf(out, "request   %s", id);
	if (t->id.len) {
		fputs("  given as ", out);
		put_safe(t->id, out);
	}
	fprintf(out, "\n          %s  ", at);
	put_safe(t->method.len ? t->method : STR("(no method)"), out);
	putc(' ', out);
	put_safe(t->host, out);
	put_safe(t->path, out);
	fputs("  from ", out);
	put_safe(t->client, out);
	putc('\n', out);
}

static void
story_result(const struct record_view *v, FILE *out)
{
	const struct record *r = v->record;
	const struct record_note *n = record_decider(v);

	fputs("result    ", out);
	if (r->status)
		fprintf(out, "%u", r->status);
	else
		fputs("no answer", out);
	put_grpc(r, out);
	if (r->fault && r->fault < FAULT_COUNT)
		fprintf(out, " %.*s: %.*s", STR_ARG(fault_info[r->fault].reason),
			STR_ARG(fault_info[r->fault].text));
	if (n)
		fprintf(out, "\n          by policy %.*s", STR_ARG(known(v, n->policy)));
	fputs("\n          ", out);
	if (n)
		place(v, n->file, n->line, out);
	else
		place(v, r->file, r->line, out);
	fprintf(out, ", generation %u\n", r->generation);
	if (v->texts.consumer.len) {
		fputs("consumer  ", out);
		put_safe(v->texts.consumer, out);
		if (v->texts.plan.len) {
			fputs(", plan ", out);
			put_safe(v->texts.plan, out);
		}
		if (v->texts.key.len) {
			fputs(", key ", out);
			put_safe(v->texts.key, out);
		}
		putc('\n', out);
	}
}

static void
story_routes(const struct record_view *v, FILE *out)
{
	const struct record *r = v->record;

	fprintf(out, "listener  %.*s\n", STR_ARG(known(v, r->listener)));
	if (!r->service) {
		fputs("service   none\n", out);
		return;
	}
	fprintf(out, "service   %.*s\nroutes\n", STR_ARG(known(v, r->service)));
	if (r->order > r->misses)
		fprintf(out, "  %u of other %s\n", (unsigned)(r->order - r->misses),
			r->misses < RECORD_MISSES ? "paths" : "paths or methods");
	for (unsigned i = 0; i < r->misses && i < RECORD_MISSES; i++) {
		const struct record_miss *m = &r->miss[i];

		fprintf(out, "  %-28.*s no: ", STR_ARG(known(v, m->route)));
		if (m->why == ROUTE_MISS_METHOD) {
			fputs("it does not take ", out);
			put_safe(v->texts.method, out);
		} else if (m->why == ROUTE_MISS_WHEN) {
			fputs("its condition does not hold", out);
		} else {
			fputs("its path differs", out);
		}
		fputs("  ", out);
		place(v, r->file, m->line, out);
		putc('\n', out);
	}
	if (r->route) {
		fprintf(out, "  %-28.*s yes  ", STR_ARG(known(v, r->route)));
		place(v, r->file, r->line, out);
		putc('\n', out);
	} else {
		fputs("  none takes it\n", out);
	}
}

static void
story_policies(const struct record_view *v, FILE *out)
{
	const struct record *r = v->record;
	char buf[256];

	fputs(r->notes ? "policies\n" : "policies  none was asked\n", out);
	for (unsigned i = 0; i < r->notes; i++) {
		const struct record_note *n = &v->notes[i];

		record_explain(v, n, buf, sizeof(buf));
		fprintf(out, "  %-28.*s %-9s", STR_ARG(known(v, n->policy)),
			decision_text(n));
		if (*buf)
			fprintf(out, " %s", buf);
		if (n->us) {
			fputs(*buf ? ", held back " : " held back ", out);
			put_latency(n->us, out);
		}
		fputs("  ", out);
		place(v, n->file, n->line, out);
		putc('\n', out);
	}
}

static void
story_attempts(const struct record_view *v, FILE *out)
{
	const struct record *r = v->record;

	fputs(r->attempts ? "upstream\n" : "upstream  not asked\n", out);
	for (unsigned i = 0; i < r->attempts && i < RECORD_ATTEMPTS; i++) {
		unsigned fault = r->attempt[i].fault;

		fprintf(out, "  %-28.*s ", STR_ARG(known(v, r->attempt[i].target)));
		if (r->attempt[i].status)
			fprintf(out, "answered %u", r->attempt[i].status);
		else if (fault && fault < FAULT_COUNT)
			fprintf(out, "%.*s: %.*s", STR_ARG(fault_info[fault].reason),
				STR_ARG(fault_info[fault].text));
		if (r->attempt[i].error)
			fprintf(out, " (%s)", strerror((int)r->attempt[i].error));
		fprintf(out, " after %u us\n", r->attempt[i].us);
	}
}

void
record_story(const struct record_view *v, FILE *out)
{
	const struct record *r = v->record;

	story_head(v, out);
	story_result(v, out);
	story_routes(v, out);
	story_policies(v, out);
	story_attempts(v, out);
	fprintf(out, "times     total %u us: ", r->us_total);
	if (r->us_read)
		fprintf(out, "head %u, ", r->us_read);
	fprintf(out, "policies %u (held back %u), connect %u, first byte %u\n",
		r->us_policy, r->us_queue, r->us_connect, r->us_first_byte);
	fprintf(out, "bodies    %" PRIu64 " bytes in, %" PRIu64 " bytes out\n",
		r->bytes_in, r->bytes_out);
}
