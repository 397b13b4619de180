#include "worker/exchange/credential.h"

#include "base/base64.h"
#include "base/clock.h"
#include "worker/exchange/oauth.h"

static struct str
basic(struct arena *a, struct str user, struct str password)
{
	struct str both = arena_printf(a, "%.*s:%.*s", STR_ARG(user), STR_ARG(password));
	char *to = arena_alloc_aligned(a, 6 + base64_size(both.len), 1);

	memcpy(to, "Basic ", 6);
	return (struct str){ to, (size_t)(base64_put(to + 6, both) - to) };
}

static struct str
value_of(struct exchange *x, const struct conf_credential *c)
{
	switch (c->type) {
	case CONF_CRED_BASIC:
		return basic(&x->arena, c->user, c->secret.bytes);
	case CONF_CRED_BEARER:
		return arena_printf(&x->arena, "Bearer %.*s", STR_ARG(c->secret.bytes));
	case CONF_CRED_OAUTH2:
		return oauth_value(x->gen->tokens[x->cluster->conf->index]);
	default:
		return c->secret.bytes;
	}
}

void
credential_send_head(struct exchange *x, bool end)
{
	const struct conf_credential *c = &x->cluster->conf->credential;
	const struct stream_ops *ops = x->upstream->ops;
	struct headers asked = x->request.headers, *h = &x->request.headers;
	struct str value;

	if (c->type == CONF_CRED_NONE) {
		ops->send_head(x->upstream, &x->request, end, false);
		return;
	}
	value = value_of(x, c);
	/* A copy: what is replaced in it is still there afterwards. */
	h->room = h->n + 1;
	h->at = ARENA_NEWS(&x->arena, struct header, h->room);
	memcpy(h->at, asked.at, asked.n * sizeof(*h->at));
	if (c->type == CONF_CRED_HEADER)
		headers_set(h, &x->arena, c->header, value);
	else
		headers_set_as(h, &x->arena, TOKEN_AUTHORIZATION, STR("Authorization"),
			       value);
	ops->send_head(x->upstream, &x->request, end, false);
	x->request.headers = asked;
}

/* ---- waiting */

enum step
credential_pause(struct exchange *x)
{
	x->paused = clock_now();
	x->waiting = true;
	exchange_watch(x);
	return STEP_STAY;
}

void
credential_resume(struct exchange *x)
{
	if (x->paused)
		x->queued += clock_now() - x->paused;
	x->paused = 0;
}

enum step
credential_ready(struct exchange *x)
{
	const struct conf_upstream *u = x->cluster->conf;
	enum fault f;

	if (u->credential.type != CONF_CRED_OAUTH2)
		return STEP_PICK;
	switch (oauth_ask(x->gen->tokens[u->index], x->gen, &u->credential, &f)) {
	case OAUTH_READY:
		return STEP_PICK;
	case OAUTH_WAIT:
		return credential_pause(x);
	default:
		exchange_answer_later(x, f, 1);
		return STEP_ANSWER;
	}
}

void
credential_refused(struct exchange *x)
{
	const struct conf_upstream *u = x->cluster->conf;

	if (u->credential.type == CONF_CRED_OAUTH2)
		oauth_doubt(x->gen->tokens[u->index]);
}
