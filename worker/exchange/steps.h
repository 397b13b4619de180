/* steps — how an exchange goes on: one row a step, and what the parts of exchange/ share.
 *
 * A step returns the next one, or STEP_STAY when something asynchronous is to happen
 * first; that then sets x->step, where it differs, and calls exchange_run(). Nobody outside exchange/ includes this. */
#ifndef EXCHANGE_STEPS_H
#define EXCHANGE_STEPS_H

#include "worker/exchange/context.h"

enum step {
	STEP_ROUTE,                     /* which service, which route                   exchange/decide.c */
	STEP_POLICIES,                  /* forwards                                     exchange/decide.c */
	STEP_ACT,                       /* what the route says                          exchange/decide.c */
	STEP_PICK,                      /* a target and a connection to it              exchange/forward.c */
	STEP_SEND,                      /* the request                                  exchange/forward.c */
	STEP_FLOW,                      /* bodies, both ways; waits for the response    exchange/flow.c */
	STEP_RESPOND,                   /* policies backwards, the head to the client   exchange/respond.c */
	STEP_ANSWER,                    /* the same with a response of our own          exchange/respond.c */
	STEP_END,                       /* logs, records, streams given back            exchange/finish.c */
	STEP_COUNT,
	STEP_STAY = 250,
	STEP_GONE,                      /* the exchange is no more */
};

enum step step_route(struct exchange *);
enum step step_policies(struct exchange *);
enum step step_act(struct exchange *);
enum step step_pick(struct exchange *);
enum step step_send(struct exchange *);
enum step step_flow(struct exchange *);
enum step step_respond(struct exchange *);
enum step step_answer(struct exchange *);
enum step step_end(struct exchange *);

/* Runs steps from x->step on. The exchange may be gone afterwards. */
void exchange_run(struct exchange *);
/* Sets the step and runs, unless it is running already: then that loop goes on with it. */
void exchange_go(struct exchange *, enum step);

/* Its meter is about to be read: works out which, if it has one. */
void exchange_meter(struct exchange *);

/* The attempt failed before anything was sent to the client: retries or answers. */
void forward_failed(struct exchange *, enum fault, int error);
/* Gives the upstream connection up because of this. */
void forward_drop(struct exchange *, enum fault);
/* The connection was made, or was not: for the counters of connects. */
void forward_connected(struct exchange *, bool made);
/* Ends the attempt's entry in the record. */
void forward_note(struct exchange *, enum fault, int error, int status);

/* The response is whole: the upstream is given back, as soon as the request is through too. */
void exchange_finish_upstream(struct exchange *);

/* Keeps bytes of the request body for an attempt to come; lets go of them. */
void forward_keep(struct exchange *, struct str);
void forward_forget(struct exchange *);

/* No answer can be given any more: cuts both sides. */
void exchange_abort(struct exchange *, enum fault);

/* What the policy that is next has said so far becomes a note of its own. */
void decide_note(struct exchange *, enum decision said_by_verdict);

/* Something went on: the watch over stalls begins anew. */
void exchange_watch(struct exchange *);
void exchange_timer(struct timer *);

/* Credit to begin a body with. */
enum { FLOW_WINDOW = LOOP_RBUF, REPLAY_MAX = 64 * 1024 };
/* … of a response: of those that are many on the client's connection, what the client says that it takes, since who
 * takes none of them has that much held for each. */
enum { FLOW_LEAST = 16 * 1024, FLOW_MOST = 65535 };     /* the most: of who says nothing (RFC 9113 §6.9.2) */
size_t flow_window(const struct exchange *);

#endif
