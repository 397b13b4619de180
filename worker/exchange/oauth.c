#include "worker/exchange/oauth.h"

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"
#include "worker/exchange/oauth_fetch.h"
#include "worker/exchange/steps.h"

enum {
	FAILED_MS = 1000,               /* nobody asks again before */
	NEW_MS = 10000,                 /* refused so soon, it is not fetched anew */
	UNSAID_S = 300,                 /* life of a token that does not say it */
	TOKEN_MAX = 16 * 1024,
	WATCH_MS = 10,                  /* how often another's flight is looked after */
	LATE_MS = 2000,                 /* a flight may end so much after its time */
	USE_MS = 60000,                 /* how often the row hears that it is in use */
};

_Static_assert(TOKEN_MAX + 7 <= TOKENS_LONGEST, "a row has room for any of them");

/* Why a fetch failed, as the region has it: another binary has other numbers of faults.
 */
enum why { WHY_UNREACHABLE = 1, WHY_REFUSED };

struct oauth {
	struct list link;               /* of the worker */
	struct tokens_key key;
	struct worker *worker;
	struct tokens_row *row;         /* NULL: no room, the worker is on its own */
	struct tokens_row alone;        /* … then with this: only `failed` is used */
	uint64_t version;               /* of the row, when it was read last */
	uint64_t lease;                 /* for the fetch under way; 0: it needs none */
	uint64_t used;                  /* ms; when the row was told so */
	uint32_t users;                 /* generations, and a fetch under way */
	char *value;                    /* "Bearer …"; NULL: there was none yet */
	size_t len;
	uint64_t fetched, expires;      /* ms; 0: not to be used any more */
	struct alarm watch;             /* of another's flight */
	bool fetching;
};

/* ---- tokens of a worker */

/* Of all parts, and of what it is for. Nothing of the secret stays behind. */
static struct digest
digest_of(struct str purpose, const struct conf_credential *c)
{
	const struct conf_upstream *u = c->token_upstream;
	struct str parts[] = { u->name, c->token_path, c->client_id,
			       c->scope, c->audience, c->secret.bytes };
	struct digest pair[2] = { sha256(purpose) };
	struct str both = { (const char *)pair, sizeof(pair) };

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		pair[1] = sha256(parts[i]);
		pair[0] = sha256(both);
	}
	for (size_t i = 0; i < u->ntargets; i++) {
		pair[1] = sha256(u->targets[i].url);
		pair[0] = sha256(both);
	}
	return pair[0];
}

/* Whatever would make it another token. */
static struct tokens_key
key_of(const struct conf_credential *c)
{
	struct tokens_key k = { .seal = digest_of(STR("postern token: seal"), c) };
	struct digest name = digest_of(STR("postern token: name"), c);

	memcpy(&k.name, name.byte, sizeof(k.name));
	k.name |= !k.name;
	return k;
}

static void watched(struct alarm *);

static void
find_row(struct oauth *t)
{
	struct tokens *all = t->worker->shared->tokens;

	t->row = tokens_row(all, t->key.name, clock_ms());
	t->used = clock_ms();
	t->version = 0;
	if (!t->row)
		log_warn("no room for another access token in the shared memory: "
			 "each worker fetches its own");
}

static struct oauth *
take(struct worker *w, const struct conf_credential *c)
{
	struct tokens_key key = key_of(c);
	struct oauth *t;

	for (struct list *l = w->tokens.next; l != &w->tokens; l = l->next) {
		t = list_entry(l, struct oauth, link);
		if (digest_same(&t->key.seal, &key.seal)) {
			t->users++;
			return t;
		}
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		abort();
	t->key = key;
	t->worker = w;
	t->users = 1;
	t->watch.fire = watched;
	find_row(t);
	list_append(&w->tokens, &t->link);
	return t;
}

static void
forget_value(struct oauth *t)
{
	if (t->value)
		crypto_wipe(t->value, t->len);
	free(t->value);
	t->value = NULL;
	t->len = 0;
}

static void
let_go(struct oauth *t)
{
	if (--t->users)
		return;
	forget_value(t);
	crypto_wipe(&t->key, sizeof(t->key));
	alarm_clear(&t->worker->loop.alarms, &t->watch);
	list_remove(&t->link);
	free(t);
}

struct oauth **
oauth_bind(struct worker *w, const struct conf_model *m)
{
	struct oauth **all = calloc(m->nupstreams + 1, sizeof(struct oauth *));

	if (!all)
		abort();
	for (size_t i = 0; i < m->nupstreams; i++)
		if (m->upstreams[i].credential.type == CONF_CRED_OAUTH2)
			all[i] = take(w, &m->upstreams[i].credential);
	return all;
}

void
oauth_unbind(struct oauth **all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (all[i])
			let_go(all[i]);
	free(all);
}

struct str
oauth_value(const struct oauth *t)
{
	return (struct str){ t->value, t->len };
}

static void
keep_value(struct oauth *t, const char *at, size_t len, uint64_t from, uint64_t until)
{
	forget_value(t);
	t->value = malloc(len);
	if (!t->value)
		abort();
	memcpy(t->value, at, len);
	t->len = len;
	t->fetched = from;
	t->expires = until;
}

/* Its bytes stay: an attempt that was promised it may be connecting yet. */
static void
void_value(struct oauth *t)
{
	t->fetched = t->expires = 0;
}

/* ---- what all workers have */

/* Takes over what was published since. */
static void
read_row(struct oauth *t)
{
	struct tokens_text text;
	uint64_t version;

	if (t->row->name != t->key.name) {
		if (t->lease)
			return;
		find_row(t);
	}
	if (!t->row)
		return;
	version = tokens_read(t->worker->shared->tokens, t->row, &t->key, &text);
	if (!version)
		return;
	t->version = version;
	if (text.len)
		keep_value(t, text.at, text.len, text.fetched, text.expires);
	else
		void_value(t);
	crypto_wipe(text.at, text.len);
}

static inline void
look(struct oauth *t, uint64_t now)
{
	if (!t->row)
		return;
	if (tokens_version(t->row) != t->version)
		read_row(t);
	if (now >= t->used + USE_MS) {
		t->used = now;
		tokens_use(t->row, now);
	}
}

static void
publish(struct oauth *t)
{
	struct tokens_text text = { .fetched = t->fetched, .expires = t->expires };
	uint64_t version;

	if (!t->lease)
		return;
	text.len = (uint32_t)t->len;
	memcpy(text.at, t->value, t->len);
	version = tokens_publish(t->worker->shared->region, t->worker->shared->tokens,
				 t->row, &t->key, t->lease, &text);
	if (version)
		t->version = version;
	crypto_wipe(text.at, text.len);
}

void
oauth_doubt(struct oauth *t)
{
	if (!t->expires || clock_ms() < t->fetched + NEW_MS)
		return;
	if (t->row)
		tokens_void(t->row, t->version);
	void_value(t);
}

static enum fault
silent(const struct oauth *t, uint64_t now)
{
	switch (tokens_silent(t->row ? t->row : &t->alone, now, FAILED_MS)) {
	case 0:
		return FAULT_NONE;
	case WHY_REFUSED:
		return FAULT_CREDENTIAL_REFUSED;
	default:
		return FAULT_CREDENTIAL_UNREACHABLE;
	}
}

static void
wake_all(struct worker *w)
{
	for (struct list *l = w->exchanges.next; l != &w->exchanges; l = l->next) {
		struct exchange *x = list_entry(l, struct exchange, link);

		if (x->waiting && x->step == STEP_PICK)
			exchange_wake(x);
	}
}

static void
watch(struct oauth *t)
{
	alarm_set(&t->worker->loop.alarms, &t->watch,
		  clock_now() + WATCH_MS * 1000000ull);
}

/* It was published, or nobody fetches any more: those who wait ask again. */
static void
watched(struct alarm *a)
{
	struct oauth *t = list_entry(a, struct oauth, watch);

	if (t->row && tokens_version(t->row) == t->version &&
	    tokens_leased(t->row, clock_ms()))
		watch(t);
	else
		wake_all(t->worker);
}

/* ---- fetching */

static void
give_back(struct oauth *t)
{
	if (t->lease)
		tokens_release(t->row, t->lease);
	t->lease = 0;
}

static void
failed(struct oauth *t, const struct conf_credential *c, enum why why, struct str text)
{
	tokens_failed(t->lease ? t->row : &t->alone, t->lease, clock_ms(), why);
	t->worker->page->count[METRIC_TOKENS_FAILED]++;
	log_warn("no access token of \"%.*s\" for client \"%.*s\": %.*s",
		 STR_ARG(c->token_upstream->name), STR_ARG(c->client_id), STR_ARG(text));
}

static void
fetched(struct oauth *t, struct str value, uint64_t seconds)
{
	uint64_t now = clock_ms(), life = (seconds ? seconds : UNSAID_S) * 1000;

	keep_value(t, value.at, value.len, now, now + life);
	publish(t);
	t->worker->page->count[METRIC_TOKENS_FETCHED]++;
}

static void
on_answer(struct oauth *t, const struct conf_credential *c, enum fault f, int status,
	  struct str json)
{
	struct arena a;
	struct str value, why = STR_NONE;
	uint64_t seconds;

	arena_init(&a, NULL, 0, (size_t)1 << 20);
	t->fetching = false;
	if (f == FAULT_DRAINING)
		give_back(t);
	else if (f)
		failed(t, c, WHY_UNREACHABLE, fault_info[f].text);
	else if (oauth_read(&a, status, json, &value, &seconds, &why) == 0)
		fetched(t, value, seconds);
	else
		failed(t, c, WHY_REFUSED,
		       arena_printf(&a, "it answered %d: %.*s", status, STR_ARG(why)));
	t->lease = 0;
	arena_reset(&a);
	wake_all(t->worker);
	let_go(t);
}

static bool
due(const struct oauth *t, const struct conf_credential *c, uint64_t now)
{
	uint64_t half = (t->expires - t->fetched) / 2;

	return now >= t->expires - (c->early < half ? c->early : half);
}

/* Whether it is this worker that has to fetch it. */
static bool
take_lease(struct oauth *t, const struct conf_credential *c, uint64_t now)
{
	if (!t->row)
		return true;
	t->lease = tokens_lease(t->row, getpid(), now,
				now + oauth_fetch_most(c) + LATE_MS);
	/* Another may have been through with it just before. */
	if (t->lease)
		look(t, now);
	if (t->lease && t->row->name == t->key.name && due(t, c, now) && !silent(t, now))
		return true;
	give_back(t);
	watch(t);
	return false;
}

static void
fetch(struct oauth *t, struct generation *g, const struct conf_credential *c)
{
	t->fetching = true;
	t->users++;
	oauth_fetch(g, c, on_answer, t);
}

enum oauth_state
oauth_ask(struct oauth *t, struct generation *g, const struct conf_credential *c,
	  enum fault *fault)
{
	uint64_t now = clock_ms();

	look(t, now);
	if (due(t, c, now) && !t->fetching && !t->watch.place && !silent(t, now) &&
	    take_lease(t, c, now))
		fetch(t, g, c);
	if (now < t->expires)
		return OAUTH_READY;
	*fault = silent(t, now);
	/* Another was through with it while this one looked. */
	if (!*fault && !t->fetching && !t->watch.place)
		watch(t);
	return t->fetching || t->watch.place ? OAUTH_WAIT : OAUTH_FAILED;
}

/* ---- what the endpoint says */

/* Printable ASCII: what a header and a log line can hold. */
static bool
is_plain(const json_t *j, size_t max)
{
	const char *s = json_string_value(j);
	size_t n = json_string_length(j);

	if (!s || !n || n > max)
		return false;
	for (size_t i = 0; i < n; i++)
		if (s[i] < 0x21 || s[i] > 0x7e)
			return false;
	return true;
}

/* Some say the number as a text. */
static uint64_t
seconds_of(const json_t *j)
{
	unsigned long long n;

	if (json_is_number(j))
		return json_number_value(j) >= 1 && json_number_value(j) < 1e9
			       ? (uint64_t)json_number_value(j)
			       : 0;
	return json_is_string(j) && str_u64(str_of(json_string_value(j)), 1000000000, &n)
		       ? n
		       : 0;
}

static bool
is_bearer(const json_t *type)
{
	return !type || (json_is_string(type) &&
			 str_caseeq(str_of(json_string_value(type)), STR("bearer")));
}

int
oauth_read(struct arena *a, int status, struct str json, struct str *value,
	   uint64_t *seconds, struct str *why)
{
	json_t *j = json_loadb(json.at, json.len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *token = json_object_get(j, "access_token");
	const json_t *error = json_object_get(j, "error");

	*why = STR_NONE;
	if (status != 200)
		*why = is_plain(error, 64)
			       ? arena_str(a, str_of(json_string_value(error)))
			       : STR("no token");
	else if (!json_is_object(j))
		*why = STR("no JSON object");
	else if (!is_plain(token, TOKEN_MAX))
		*why = STR("no access_token, or one that no header can hold");
	else if (!is_bearer(json_object_get(j, "token_type")))
		*why = STR("a token_type that is not Bearer");
	if (!why->len) {
		*value = arena_printf(a, "Bearer %s", json_string_value(token));
		*seconds = seconds_of(json_object_get(j, "expires_in"));
	}
	json_decref(j);
	return why->len ? -1 : 0;
}
