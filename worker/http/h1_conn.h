/* h1_conn — what the parts of the HTTP/1.1 codec share: the connection (h1.c), the side that
 * takes messages apart (h1_rx.c), the side that sends them (h1_tx.c). Nobody else includes it. */
#ifndef HTTP_H1_CONN_H
#define HTTP_H1_CONN_H

#include "worker/http/h1.h"

/* The most that is read at once where a head is expected: what pipelining may pile up. */
enum { H1_HEAD_READ = 64 * 1024, H1_LARGE_READ = 16 * 1024, H1_LEAST_READ = 16 * 1024 };

/* Takes received bytes as far as they go; the rest is held. */
void h1_feed(struct h1 *, struct str in);
/* The same with what is held. */
void h1_feed_held(struct h1 *);
void h1_hold(struct h1 *, struct str bytes, bool fresh);

/* Server role: the message before is through, its answer too. */
void h1_next_request(struct h1 *);

/* All that is to be sent was given to the wire, and the connection ends with it: lets it arrive
 * before closing. */
void h1_linger(struct h1 *);

/* Client role: the response is whole, and the rest of the request can not be sent. */
void h1_unsendable(struct h1 *);

/* The end of what comes in: 0, or errno. */
void h1_ended(struct h1 *, int error);

/* stream_ops.attach. */
void h1_attach(struct stream *);

/* stream_ops.relay; one turn of it; the end of those from and to this connection. */
bool h1_relay(struct stream *from, struct stream *to);
void h1_relay_pump(struct h1 *from);
void h1_relay_stop(struct h1 *);

/* Tells the user, or closes when there is none. */
void h1_fault(struct h1 *, enum fault);
void h1_abort(struct h1 *);

#endif
