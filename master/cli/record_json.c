/* record_json — a record as JSON; the names are those of the access log. */
#include <stdarg.h>
#include <string.h>

#include "base/json_write.h"
#include "master/cli/record_text.h"
#include "master/cli/stat.h"
#include "worker/exchange/policy.h"

enum { LINE_MAX_BYTES = 16384 };

static void
put_text(struct json_write *j, struct str key, struct str value)
{
	json_key(j, key);
	json_str(j, value);
}

/* Left out when there is none. */
static void
put_known(struct json_write *j, struct str key, struct str value)
{
	if (value.len)
		put_text(j, key, value);
}

static void
put_int(struct json_write *j, struct str key, uint64_t value)
{
	json_key(j, key);
	json_int(j, (int64_t)value);
}

static void
put_reason(struct json_write *j, unsigned fault)
{
	if (fault && fault < FAULT_COUNT)
		put_text(j, STR("reason"), fault_info[fault].reason);
}

static void
put_place(struct json_write *j, const struct record_view *v, uint32_t file, uint32_t line)
{
	struct str name = v->name(v, file);
	char buf[160];

	if (!name.len)
		return;
	snprintf(buf, sizeof(buf), "%.*s:%u", STR_ARG(name), line);
	put_text(j, STR("config"), str_of(buf));
}

static void
put_attempts(struct json_write *j, const struct record_view *v)
{
	const struct record *r = v->record;

	json_key(j, STR("attempts"));
	json_open(j, '[');
	for (unsigned i = 0; i < r->attempts && i < RECORD_ATTEMPTS; i++) {
		json_open(j, '{');
		put_text(j, STR("target"), v->name(v, r->attempt[i].target));
		put_int(j, STR("us"), r->attempt[i].us);
		if (r->attempt[i].status)
			put_int(j, STR("status"), r->attempt[i].status);
		put_reason(j, r->attempt[i].fault);
		if (r->attempt[i].error) {
			put_int(j, STR("errno"), r->attempt[i].error);
			put_text(j, STR("error"),
				 str_of(strerror((int)r->attempt[i].error)));
		}
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
put_policies(struct json_write *j, const struct record_view *v)
{
	char buf[256];

	json_key(j, STR("policies"));
	json_open(j, '[');
	for (unsigned i = 0; i < v->record->notes; i++) {
		const struct record_note *n = &v->notes[i];

		json_open(j, '{');
		put_text(j, STR("policy"), v->name(v, n->policy));
		if (n->decision < DECISION_COUNT)
			put_text(j, STR("decision"), str_of(stat_decisions[n->decision]));
		record_explain(v, n, buf, sizeof(buf));
		put_known(j, STR("text"), str_of(buf));
		if (n->us)
			put_int(j, STR("held_us"), n->us);
		json_key(j, STR("operands"));
		json_open(j, '[');
		for (int k = 0; k < 3; k++)
			json_int(j, (int64_t)n->operand[k]);
		json_close(j, ']');
		put_place(j, v, n->file, n->line);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
put_misses(struct json_write *j, const struct record_view *v)
{
	static const char *const why[] = { "path", "method", "condition" };
	const struct record *r = v->record;

	put_int(j, STR("routes_before"), r->order);
	json_key(j, STR("missed"));
	json_open(j, '[');
	for (unsigned i = 0; i < r->misses && i < RECORD_MISSES; i++) {
		json_open(j, '{');
		put_text(j, STR("route"), v->name(v, r->miss[i].route));
		if (r->miss[i].why <= ROUTE_MISS_WHEN)
			put_text(j, STR("why"), str_of(why[r->miss[i].why]));
		put_place(j, v, r->file, r->miss[i].line);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
put_who(struct json_write *j, const struct record_view *v)
{
	const struct record *r = v->record;
	const struct record_texts *t = &v->texts;
	char buf[40];

	record_time(r->at, buf);
	put_text(j, STR("@timestamp"), str_of(buf));
	record_id(r, buf);
	put_text(j, STR("http.request.id"), str_of(buf));
	put_known(j, STR("id_given"), t->id);
	put_text(j, STR("client.address"), t->client);
	put_text(j, STR("http.request.method"), t->method);
	put_text(j, STR("url.domain"), t->host);
	put_text(j, STR("url.path"), t->path);
	put_int(j, STR("http.response.status_code"), r->status);
	if (r->grpc)
		put_int(j, STR("grpc.status"), r->grpc - 1);
	put_reason(j, r->fault);
	put_known(j, STR("listener"), v->name(v, r->listener));
	put_known(j, STR("service"), v->name(v, r->service));
	put_text(j, STR("route"), v->name(v, r->route));
	put_known(j, STR("consumer"), t->consumer);
	put_known(j, STR("plan"), t->plan);
	put_known(j, STR("key"), t->key);
}

void
record_json(const struct record_view *v, FILE *out)
{
	const struct record *r = v->record;
	const struct record_note *n = record_decider(v);
	char buf[LINE_MAX_BYTES];
	struct json_write j;

	json_begin(&j, buf, sizeof(buf));
	json_open(&j, '{');
	put_who(&j, v);
	put_int(&j, STR("generation"), r->generation);
	if (n)
		put_text(&j, STR("policy"), v->name(v, n->policy));
	put_place(&j, v, n ? n->file : r->file, n ? n->line : r->line);
	put_int(&j, STR("http.request.body.bytes"), r->bytes_in);
	put_int(&j, STR("http.response.body.bytes"), r->bytes_out);
	put_int(&j, STR("total_us"), r->us_total);
	if (r->us_read)
		put_int(&j, STR("read_us"), r->us_read);
	put_int(&j, STR("policy_us"), r->us_policy);
	put_int(&j, STR("queue_us"), r->us_queue);
	put_int(&j, STR("connect_us"), r->us_connect);
	put_int(&j, STR("first_byte_us"), r->us_first_byte);
	if (r->service)
		put_misses(&j, v);
	put_policies(&j, v);
	put_attempts(&j, v);
	json_close(&j, '}');
	fwrite(buf, 1, (size_t)(j.at - buf), out);
	putc('\n', out);
}
