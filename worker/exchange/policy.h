/* policy — what a policy implements and may use.
 *
 * A policy is one file: what it is, its options, its binding, its act, its const table.
 * It registers by a line in worker/policy/policies.def. It sees the exchange (exchange.h)
 * and nothing of other policies. */
#ifndef EXCHANGE_POLICY_H
#define EXCHANGE_POLICY_H

#include "conf/field.h"
#include "worker/exchange/exchange.h"

enum verdict {
	PASS,                           /* the next policy */
	WAIT,                           /* exchange_wake() will call again */
	ANSWER,                         /* exchange_answer() or exchange_respond() was called */
	ABORT,                          /* close without an answer */
};

struct policy {
	struct conf_type conf;          /* name, help, size, fields, check */
	size_t state_size;              /* zeroed, in the exchange's arena */
	/* What it counts in: the builder reserves that memory before the first use. */
	bool cells, quotas, inflight;
	/* It finds out who the consumer is: what comes after it can ask for {consumer} and {plan}. */
	bool identifies;
	/* Whether its configuration asks for that: an error when nothing before it identifies. NULL: no. */
	bool (*needs_identity)(const void *self);
	/* The name of the header, query parameter or cookie in which a secret comes: masked in logs. */
	struct str (*credential)(const void *self);
	/* Answers CORS preflights: OPTIONS finds the route of the method asked for. */
	bool preflight;
	/* Writes X-Forwarded-* and Forwarded itself (exchange/forwarded.h). */
	bool forwards;
	/* Once a worker and generation, after the fork; what it returns is
	 * exchange_bound() during calls. NULL is fine unless *error is set: then the
	 * reload fails. */
	void *(*bind)(struct worker *, const void *self, const char **error);
	void (*unbind)(struct worker *, void *bound);
	/* Forwards, in order. */
	enum verdict (*request)(struct exchange *, const void *self, void *state);
	/* Backwards; also for answers of the gateway itself. Interim responses do not
	 * come by. */
	void (*response)(struct exchange *, const void *self, void *state);
	/* Backwards, once, when the exchange is over, however it ended. */
	void (*done)(struct exchange *, const void *self, void *state);
	/* What a note of its means, as a sentence without a full stop, for `postern why` ("100 of 100 used, next in
	 * 12.4 s"); NULL: the decision says it all. No exchange, no configuration: the note is all there is. */
	void (*explain)(const struct record_note *, char *to, size_t size);
	/* Once a second and on USR1 (`reopen`); for what is bound. */
	void (*tick)(struct worker *, void *bound, bool reopen);
};

/* All policies there are, NULL-terminated, in the order of policies.def
 * (policy/policies.c). */
extern const struct policy *const policies[];

#endif
