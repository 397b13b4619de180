#include "shm/meters.h"

#include <string.h>

enum { CONSUMER = 64, SERVICE = 94 };

_Static_assert(CONSUMER + 1 + SERVICE <= LEDGER_NAME, "a name has room for both");

static const char ledger[] = "meters";

int
meters_open(struct ledger *l, struct region *r)
{
	return ledger_open(l, r, ledger, 2, METERS, sizeof(struct meter));
}

int
meters_find(struct ledger *l, const struct region *r)
{
	return ledger_find_in(l, r, ledger, 2, METERS, sizeof(struct meter));
}

unsigned
meter_class(unsigned status)
{
	return status < 200 || status > 599 ? 0 : status / 100 - 1;
}

static void
add(_Atomic uint64_t *to, uint64_t n)
{
	if (n)
		atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

/* "consumer\0service" */
static struct str
meter_name(char buf[static LEDGER_NAME], struct str consumer, struct str service)
{
	size_t n = consumer.len < CONSUMER ? consumer.len : CONSUMER;
	size_t m = service.len < SERVICE ? service.len : SERVICE;

	if (n)
		memcpy(buf, consumer.at, n);
	buf[n] = '\0';
	if (m)
		memcpy(buf + n + 1, service.at, m);
	return (struct str){ buf, n + 1 + m };
}

struct siphash
meters_key(const struct ledger *l, struct str consumer, struct str service)
{
	char buf[LEDGER_NAME];
	struct siphash key = ledger_key(l, meter_name(buf, consumer, service));

	ledger_prefetch(l, key);
	return key;
}

bool
meters_add(struct ledger *l, struct siphash key, struct str consumer, struct str service,
	   unsigned status, uint64_t in, uint64_t out)
{
	int64_t entry = ledger_look(l, key);
	unsigned class = meter_class(status);
	struct meter *m;

	if (entry < 0) {
		char buf[LEDGER_NAME];

		entry = ledger_take(l, key, meter_name(buf, consumer, service));
	}
	if (entry < 0)
		return false;
	m = ledger_value(l, entry);
	add(&m->of[class].requests, 1);
	add(&m->of[class].in, in);
	add(&m->of[class].out, out);
	return true;
}

void
meter_split(struct str name, struct str *consumer, struct str *service)
{
	const char *end = name.len ? memchr(name.at, '\0', name.len) : NULL;
	size_t n = end ? (size_t)(end - name.at) : name.len;

	*consumer = (struct str){ name.at, n };
	*service = end ? str_from(name, n + 1) : (struct str){ name.at, 0 };
}
