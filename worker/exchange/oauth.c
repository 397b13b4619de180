#include "worker/exchange/oauth.h"

#include <jansson.h>
#include <stdlib.h>

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
};

struct oauth {
	struct list link;               /* of the worker */
	struct digest key;
	struct worker *worker;
	uint32_t users;                 /* generations, and a fetch under way */
	char *value;                    /* "Bearer …"; NULL: none */
	size_t len;
	uint64_t fetched, renew, expires;       /* ms */
	uint64_t failed;                /* ms; 0: the last fetch did not fail */
	enum fault fault;               /* … why */
	bool fetching;
};

/* ---- tokens of a worker */

/* Whatever would make it another token. */
static struct digest
key_of(const struct conf_credential *c)
{
	struct str parts[] = { c->token_upstream->name, c->token_path, c->client_id,
			       c->scope, c->audience, c->secret.bytes };
	struct arena a;
	struct str all = STR_NONE;
	struct digest d;

	arena_init(&a, NULL, 0, (size_t)1 << 20);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		all = arena_printf(&a, "%.*s%zu:%.*s", STR_ARG(all), parts[i].len,
				   STR_ARG(parts[i]));
	d = sha256(all);
	arena_reset(&a);
	return d;
}

static struct oauth *
take(struct worker *w, const struct conf_credential *c)
{
	struct digest key = key_of(c);
	struct oauth *t;

	for (struct list *l = w->tokens.next; l != &w->tokens; l = l->next) {
		t = list_entry(l, struct oauth, link);
		if (digest_same(&t->key, &key)) {
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

void
oauth_doubt(struct oauth *t)
{
	if (t->value && clock_ms() >= t->fetched + NEW_MS)
		forget_value(t);
}

/* ---- fetching */

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
failed(struct oauth *t, const struct conf_credential *c, enum fault f, struct str why)
{
	t->failed = clock_ms();
	t->fault = f;
	t->worker->page->count[METRIC_TOKENS_FAILED]++;
	log_warn("no access token of \"%.*s\" for client \"%.*s\": %.*s",
		 STR_ARG(c->token_upstream->name), STR_ARG(c->client_id), STR_ARG(why));
}

static void
fetched(struct oauth *t, struct str value, uint64_t seconds, uint64_t early_ms)
{
	uint64_t life = (seconds ? seconds : UNSAID_S) * 1000;

	forget_value(t);
	t->value = malloc(value.len);
	if (!t->value)
		abort();
	memcpy(t->value, value.at, value.len);
	t->len = value.len;
	t->failed = 0;
	t->fetched = clock_ms();
	t->expires = t->fetched + life;
	t->renew = t->expires - (early_ms < life / 2 ? early_ms : life / 2);
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
	if (f)
		failed(t, c, FAULT_CREDENTIAL_UNREACHABLE, fault_info[f].text);
	else if (oauth_read(&a, status, json, &value, &seconds, &why) == 0)
		fetched(t, value, seconds, c->early);
	else
		failed(t, c, FAULT_CREDENTIAL_REFUSED,
		       arena_printf(&a, "it answered %d: %.*s", status, STR_ARG(why)));
	arena_reset(&a);
	wake_all(t->worker);
	let_go(t);
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
	bool valid = t->value && now < t->expires;
	bool silent = t->failed && now < t->failed + FAILED_MS;

	if ((!valid || now >= t->renew) && !t->fetching && !silent)
		fetch(t, g, c);
	if (valid)
		return OAUTH_READY;
	if (t->fetching)
		return OAUTH_WAIT;
	*fault = t->fault;
	return OAUTH_FAILED;
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
