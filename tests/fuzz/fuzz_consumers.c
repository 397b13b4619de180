/* consumers — any text as gateway.consumers_file: it is taken, or refused with findings
 * that have their place in it; what was taken is found again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char first[] =
	"plans: { gold: { rate = \"9/s\"; }; };\n"
	"listeners: { web: { bind = [ \"127.0.0.1:1\" ]; }; };\n"
	"services: { s: { domains = [ \"*\" ]; routes = ( { match = \"* /*\"; respond = 204; } ); "
	"}; };\n"
	"consumers: { acme: { keys = [ \"sha256:"
	"0000000000000000000000000000000000000000000000000000000000000000\" ]; }; };\n";

static const struct conf_type *const types[] = { NULL };

static void
check_findings(const struct diag *d, const uint8_t *data, size_t size)
{
	uint32_t lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	for (const struct diag_item *i = d->first; i; i = i->next)
		if (!i->where.file || i->where.line > lines + 8)
			abort();
	if (d->errors > 50)
		abort();
}

static void
check_found(const struct conf_model *m)
{
	const struct conf_consumers *c = &m->consumers;
	uint32_t keys = 0;

	for (size_t i = 0; i < c->n; i++)
		if (conf_consumer_find(m, c->at[i].name) != &c->at[i] ||
		    c->at[i].index != i || c->at[i].name.len > 63)
			abort();
	for (uint32_t i = 0; i <= c->mask; i++)
		if (c->keys[i].consumer != UINT32_MAX) {
			keys++;
			if (conf_key_find(c, &c->keys[i].digest) !=
			    &c->at[c->keys[i].consumer])
				abort();
		}
	if (keys != c->nkeys)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int conf = -1, keys;
	static char path[64];
	struct arena image, findings;
	struct diag d;

	if (conf < 0) {
		conf = memfd_create("conf", 0);
		keys = memfd_create("keys", 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", conf);
		if (dprintf(conf, "gateway: { consumers_file = \"/proc/self/fd/%d\"; };\n%s",
			    keys, first) < 0)
			abort();
	}
	if (ftruncate(keys, 0) < 0 || pwrite(keys, data, size, 0) != (ssize_t)size)
		abort();
	arena_init(&image, NULL, 0, (size_t)256 << 20);
	arena_init(&findings, NULL, 0, (size_t)64 << 20);
	diag_init(&d, &findings);

	struct conf_model *m = conf_load(path, &image, types, &d);

	if (!m == !d.errors)
		abort();
	check_findings(&d, data, size);
	if (m)
		check_found(m);
	arena_reset(&findings);
	arena_reset(&image);
	return 0;
}
