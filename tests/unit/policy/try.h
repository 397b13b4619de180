/* try — one policy, from its text in a configuration to what it does with a fake
 * exchange. */
#ifndef TESTS_POLICY_TRY_H
#define TESTS_POLICY_TRY_H

#include <unistd.h>

#include "tests/unit/exchange/fake.h"

#include "conf/load.h"
#include "worker/exchange/policy.h"

static struct arena image, said;
static struct diag diag;
static const struct policy *policy;
static const struct conf_model *model;
static const void *self;
static void *state;
static const char *above = "";          /* further sections */

/* Loads `text`, the members of one policy. False when there were errors. */
static inline bool
try_load(const char *text)
{
	const struct conf_type *types[32] = { NULL };
	char path[] = "/tmp/postern-policy-XXXXXX";
	struct conf_model *m;
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");

	arena_init(&image, NULL, 0, 1 << 26);
	arena_init(&said, NULL, 0, 1 << 26);
	diag_init(&diag, &said);
	for (int i = 0; policies[i]; i++)
		types[i] = &policies[i]->conf;
	fprintf(f, "policies: { p: { %s }; };\n%s"
		   "listeners: { web: { bind = [ \"127.0.0.1:1\" ]; }; };\n"
		   "upstreams: { o: { targets = [ \"http://127.0.0.1:2\" ]; }; };\n"
		   "services: { s: { domains = [ \"*\" ]; policies = [ \"p\" ];\n"
		   "  routes = ( { match = \"* /*\"; to = \"o\"; } ); }; };\n", text, above);
	fclose(f);
	m = conf_load(path, &image, types, &diag);
	unlink(path);
	if (!m || diag.errors)
		return false;
	model = m;
	policy = (const struct policy *)m->policies[0]->type;
	self = m->policies[0]->self;
	return true;
}

/* A policy and a fake exchange. */
static inline void
try_begin(const char *text)
{
	if (!try_load(text)) {
		diag_print(&diag, stderr);
		ck_abort_msg("refused: %s", text);
	}
	fake_begin();
	fake_gen.model = model;
	state = arena_zalloc(&x->arena, policy->state_size + 1);
	x->response.status = 200;
}

/* The same policy for the next request. */
static inline void
try_again(void)
{
	fake_end();
	fake_begin();
	fake_gen.model = model;
	state = arena_zalloc(&x->arena, policy->state_size + 1);
	x->response.status = 200;
}

static inline void
try_end(void)
{
	fake_end();
	arena_reset(&image);
	arena_reset(&said);
}

/* `text` must be refused with that code, on line 1, and words. */
static inline void
try_refused(const char *text, int code, const char *words)
{
	ck_assert_msg(!try_load(text), "was taken: %s", text);
	for (struct diag_item *i = diag.first; i; i = i->next)
		if (i->code == code && i->where.line == 1 &&
		    memmem(i->text.at, i->text.len, words, strlen(words))) {
			arena_reset(&image);
			arena_reset(&said);
			return;
		}
	diag_print(&diag, stderr);
	ck_abort_msg("no E%d with \"%s\" for %s", code, words, text);
}

static inline enum verdict
try_request(void)
{
	return policy->request(x, self, state);
}

static inline void
try_response(void)
{
	policy->response(x, self, state);
}

static inline void
try_sends(const char *lines)
{
	ck_assert_str_eq(fake_lines(&x->request.headers), lines);
}

static inline void
try_returns(const char *lines)
{
	ck_assert_str_eq(fake_lines(&x->response.headers), lines);
}

/* What `postern why` would say of the policy's note. */
static inline void
try_explains(const char *words)
{
	char said_of_it[256] = "";

	policy->explain(&x->note[0], said_of_it, sizeof said_of_it);
	ck_assert_str_eq(said_of_it, words);
}

static inline const char *
try_returned(const char *name)
{
	struct header *h = headers_find(&x->response.headers, str_of(name));

	return h ? arena_str(&x->arena, h->value).at : NULL;
}

static inline void
fake_answer_header(const char *name, const char *value)
{
	headers_add(&x->response.headers, &x->arena, str_of(name), str_of(value));
}

#endif
