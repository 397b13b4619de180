/* The endpoints and the store: every change is one transaction with its row of the audit.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "master/keeper/api.h"
#include "shm/store_usage.h"

struct store *
api_store(const struct api_request *r, struct api_answer *a)
{
	struct store *s = state_open(r->keeper);

	if (!s)
		api_problem(r, a, 503,
			    "the store %s cannot be used now; the log says why",
			    r->keeper->path);
	return s;
}

void
api_store_failed(const struct api_request *r, struct api_answer *a)
{
	const char *why =
		r->keeper->store ? store_error(r->keeper->store) : "it is not open";

	api_problem(r, a, 503, "the store: %s", why);
	state_failed(r->keeper);
}

/* ---- writing */

static void
put_json(char *to, size_t size, json_t *doc)
{
	char *text = doc ? json_dumps(doc, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;

	if (text)
		strncpy(to, text, size - 1);
	free(text);
	json_decref(doc);
}

static int
write_all(struct store *s, const struct api_change *c, const struct audit_row *row)
{
	if (store_begin(s) < 0)
		return -1;
	if (c->write(s, c->arg) < 0 || store_audit_add(s, row) < 0) {
		store_abort(s);
		return -1;
	}
	return store_commit(s);
}

bool
api_write(const struct api_request *r, struct api_answer *a, struct api_change c)
{
	struct audit_row row = { .at = clock_wall_ms() };
	struct keeper *k = r->keeper;
	struct store *s;
	int rc, tries = 0;

	put_json(row.before, sizeof(row.before), c.before);
	put_json(row.after, sizeof(row.after), c.after);
	memcpy(row.who, r->who, sizeof(row.who));
	strncpy(row.what, c.what, sizeof(row.what) - 1);
	snprintf(row.name, sizeof(row.name), "%.*s", STR_ARG(c.name));
	s = api_store(r, a);
	if (!s)
		return false;
	state_enter(k);
	do
		rc = write_all(s, &c, &row);
	while (rc < 0 && store_again(s) && ++tries < 4);
	state_leave(k);
	if (rc < 0) {
		api_store_failed(r, a);
		return false;
	}
	state_good(k);
	/* After the commit: who reads the number sees what it stands for. */
	atomic_fetch_add(&k->shared.control->store_epoch, 1);
	return true;
}

/* ---- consumers of files that are suspended */

bool
api_overrides(struct keeper *k)
{
	struct store *s = k->store;
	uint64_t n = 0;
	int rc;

	if (!s)
		return false;
	state_enter(k);
	rc = store_booked_get(s, STR(API_OVERRIDES), &n, sizeof(n));
	state_leave(k);
	if (rc < 0)
		return false;
	atomic_store(&k->shared.control->overrides, rc ? (uint32_t)n : 0);
	return true;
}
