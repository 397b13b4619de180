#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json_write.h"
#include "master/cli/stat.h"
#include "worker/route/route.h"

struct kept {
	uint64_t order;                 /* as read: records of a ring are in order */
	union {
		struct record record;
		char bytes[RECORD_SIZE_MAX];
	};
};

/* The last `n` of a ring, into slots[0 … n - 1] in any order. Returns how many. */
static size_t
keep_last(const struct ring *ring, struct kept *slots, size_t n, uint64_t *order)
{
	uint64_t cursor = 0, lost;
	size_t seen = 0;

	for (;;) {
		struct kept *k = &slots[seen % n];
		struct kept fresh;
		int size = ring_read(ring, &cursor, fresh.bytes, sizeof(fresh.bytes),
				     &lost);

		if (size == 0)
			break;
		if (size < 0)
			continue;
		memcpy(k->bytes, fresh.bytes, (size_t)size);
		k->order = (*order)++;
		/* A ring that is written faster than it is read has no end. */
		if (++seen == RING_BYTES / sizeof(struct record))
			break;
	}
	return seen < n ? seen : n;
}

static int
by_time(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;

	if (x->record.at != y->record.at)
		return x->record.at < y->record.at ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

static void
put_text(struct json_write *j, struct str key, struct str value)
{
	json_key(j, key);
	json_str(j, value);
}

static void
put_int(struct json_write *j, struct str key, uint64_t value)
{
	json_key(j, key);
	json_int(j, (int64_t)value);
}

static struct str
series_text(const struct stat_view *v, uint32_t index)
{
	const struct series_name *n = &v->shared.stats.names[index];

	if (index >= series_count(&v->shared.stats))
		return STR("?");
	return (struct str){ n->name, n->len };
}

static void
put_reason(struct json_write *j, uint16_t fault)
{
	if (fault && fault < FAULT_COUNT)
		put_text(j, STR("reason"), fault_info[fault].reason);
}

static void
put_time(struct json_write *j, int64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	char buf[64];
	struct tm tm;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(buf + n, sizeof(buf) - n, ".%03dZ", (int)(ms % 1000));
	put_text(j, STR("@timestamp"), (struct str){ buf, n });
}

static void
put_attempts(struct json_write *j, const struct stat_view *v, const struct record *r)
{
	json_key(j, STR("attempts"));
	json_open(j, '[');
	for (unsigned i = 0; i < r->attempts && i < RECORD_ATTEMPTS; i++) {
		json_open(j, '{');
		put_text(j, STR("target"), series_text(v, r->attempt[i].target));
		put_int(j, STR("us"), r->attempt[i].us);
		if (r->attempt[i].status)
			put_int(j, STR("status"), r->attempt[i].status);
		put_reason(j, r->attempt[i].fault);
		if (r->attempt[i].error)
			put_text(j, STR("error"),
				 str_of(strerror((int)r->attempt[i].error)));
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
print_record(const struct stat_view *v, const struct record *r, FILE *out)
{
	struct record_texts t = record_texts(r);
	struct json_write j;
	char buf[8192], id[40];

	json_begin(&j, buf, sizeof(buf));
	json_open(&j, '{');
	put_time(&j, r->at);
	snprintf(id, sizeof(id), "%016" PRIx64 "%016" PRIx64, r->id[0], r->id[1]);
	put_text(&j, STR("http.request.id"), str_of(id));
	put_text(&j, STR("client.address"), t.client);
	put_text(&j, STR("http.request.method"), t.method);
	put_text(&j, STR("url.domain"), t.host);
	put_text(&j, STR("url.path"), t.path);
	put_int(&j, STR("http.response.status_code"), r->status);
	put_reason(&j, r->fault);
	put_text(&j, STR("route"), r->route ? series_text(v, r->route) : STR(""));
	put_int(&j, STR("generation"), r->generation);
	if (r->policy)
		put_int(&j, STR("policy"), r->policy);
	put_int(&j, STR("http.request.body.bytes"), r->bytes_in);
	put_int(&j, STR("http.response.body.bytes"), r->bytes_out);
	put_int(&j, STR("total_us"), r->us_total);
	put_int(&j, STR("policy_us"), r->us_policy);
	put_int(&j, STR("connect_us"), r->us_connect);
	put_int(&j, STR("first_byte_us"), r->us_first_byte);
	put_attempts(&j, v, r);
	json_close(&j, '}');
	fwrite(buf, 1, (size_t)(j.at - buf), out);
	putc('\n', out);
}

void
stat_records(const struct stat_view *v, size_t n, FILE *out)
{
	struct kept *kept = calloc(2 * n, sizeof(*kept));
	uint64_t order = 0;
	size_t have = 0;

	if (!kept || !v->shared.rings) {
		free(kept);
		return;
	}
	for (int i = 0; i < SLOTS_MAX; i++) {
		const struct ring *ring = ring_of_const(v->shared.rings, i);

		if (!region_touched(v->region, ring))
			continue;
		have += keep_last(ring, kept + have, n, &order);
		qsort(kept, have, sizeof(*kept), by_time);
		if (have > n) {
			memmove(kept, kept + (have - n), n * sizeof(*kept));
			have = n;
		}
	}
	for (size_t i = 0; i < have; i++)
		print_record(v, &kept[i].record, out);
	free(kept);
}
