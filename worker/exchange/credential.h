/* credential — who we are to an upstream: a line that is sent along with every request to it.
 *
 * It takes the place of what the client sent in that header. It is there while the head is written to the upstream, and
 * at no other time: policies, logs and records see the client's request. */
#ifndef EXCHANGE_CREDENTIAL_H
#define EXCHANGE_CREDENTIAL_H

#include "worker/exchange/steps.h"

/* Before an attempt: STEP_PICK: it is there, or none is needed; STEP_STAY: an access token is being fetched;
 * STEP_ANSWER: there is none to be had. */
enum step credential_ready(struct exchange *);

/* The head of the request to the upstream, with the credential. */
void credential_send_head(struct exchange *, bool end);

/* The upstream answered 401: an access token that is not new is doubted. */
void credential_refused(struct exchange *);

/* Waits in STEP_PICK until exchange_wake(), or the deadline. Returns STEP_STAY. The time is counted in x->queued by
 * credential_resume(), which is called first of all in STEP_PICK. */
enum step credential_pause(struct exchange *);
void credential_resume(struct exchange *);

#endif
