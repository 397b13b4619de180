/* h2_conn — what the parts of the HTTP/2 codec share: the connection (h2.c), its turns and its end (h2_turn.c),
 * header blocks (h2_head.c), what is received
 * (h2_rx.c), what is sent (h2_tx.c). Nobody else includes it.
 *
 * nghttp2 calls us back from within its receiving and its sending (`inside`): then frames may be submitted, but neither
 * sent nor received. All that wants a turn of its own afterwards (on_drain, on_idle, closing) waits for h2_settle(). */
#ifndef HTTP_H2_CONN_H
#define HTTP_H2_CONN_H

#include <nghttp2/nghttp2.h>

#include "worker/http/h2.h"

enum h2_rx { H2_RX_HEAD,
	     H2_RX_BODY,
	     H2_RX_EARLY,               /* CONNECT: what comes before the answer waits in `early` */
	     H2_RX_TUNNEL,
	     H2_RX_DONE };

enum h2_tx { H2_TX_HEAD, H2_TX_BODY, H2_TX_DONE };      /* DONE: the end was given to us, not sent perhaps */

struct h2_stream {
	struct stream stream;           /* first */
	struct list link;               /* of h2.streams */
	struct list wait;               /* of h2.waiting: on_drain() is owed; of untold, ending */
	uint64_t ends_at;               /* ms: when it is reset */
	int32_t id;                     /* -1: nothing was submitted yet */
	uint8_t rx, tx;
	uint8_t method;                 /* of the request */
	uint8_t fault;                  /* enum fault: to be told in a turn of its own */
	bool active;                    /* has a user */
	bool closed;                    /* nghttp2 knows it no more: nothing is sent or received */
	bool deferred;                  /* its DATA wait for resume */
	bool sent_end;                  /* END_STREAM was framed */
	bool ending;                    /* answered and given up: what still comes is dropped */
	bool untold, head_end;          /* on_head() is owed, with that `end` */
	bool fair;                      /* takes turns with others of its urgency */
	bool opened;                    /* its window was opened to H2_WINDOW_OPEN */
	bool connect;                   /* CONNECT: bodies are raw once it is accepted */
	bool early_end;
	bool limited;                   /* rx_left counts */
	bool sized;                     /* tx_left counts */
	int64_t credit;                 /* bytes wanted that have not come */
	uint64_t unconsumed;            /* delivered beyond it: the peer's window is smaller by as much */
	uint64_t received;
	uint64_t rx_left, tx_left;
	struct str now;                 /* during send_body() */
	struct chain out;               /* not framed yet */
	struct chain early;
	struct headers trailers;        /* to be sent; one block on the heap, with its text */
	const struct msg *late;         /* head that waits for the peer's SETTINGS */
	struct str protocol, accept;    /* client role, Upgrade: what 101 will say; in the arena */
};

/* A header block while it comes in: lines as text, one after the other. Offsets stand for pointers. */
struct h2_head {
	struct h2_stream *stream;       /* NULL: nobody wants it */
	char *text;
	struct header *at;              /* name.at and value.at are offsets into text */
	uint32_t len, room, n, nroom;
	uint32_t bytes;                 /* that count against the limit */
	uint64_t known, twice;
	struct str method, scheme, authority, path, protocol;   /* as offsets; at NULL: not there */
	uint16_t status;
	bool trailer;
	uint8_t fault;                  /* enum fault */
};

struct h2 {
	struct conn conn;               /* first */
	const struct h1_rules *rules;
	nghttp2_session *session;
	struct list streams, waiting;
	struct list untold;             /* requests, in their order */
	struct list ending;             /* the first to be reset first */
	struct timer ending_timer;
	uint32_t nstreams, nactive;     /* all; those with a user */
	uint32_t nopened;               /* streams whose windows are wide */
	struct h2_head head;
	bool head_open;                 /* a block is not complete */
	bool head_timed;
	bool greeted;                   /* the peer's SETTINGS came */
	bool readable, hangup, eof;
	bool inside, sending;           /* nghttp2 is at work; it is sending */
	bool condemned;                 /* GOAWAY with an error: nothing more is taken in */
	bool draining, last_said;       /* first GOAWAY, final one */
	bool goaway;                    /* the peer's */
	bool wire_gone;                 /* nothing can be sent any more */
	bool over;                      /* nothing is received or sent any more: users are told */
	bool lingering;
	bool idle_due, room_due, early_due, fault_due, drain_due;
	int32_t last_id;                /* server role: the highest that a head came for */
	int32_t skipped, skipped_to;    /* the last range below it that none came for */
	uint32_t data_left;             /* payload of the DATA frame that comes in; 0: not known */
	bool data_end;                  /* … it has END_STREAM */
	int32_t budget;                 /* of frames that bring nothing, in thousandths */
	int32_t explained;              /* WINDOW_UPDATEs and PINGs that what was sent explains */
	uint64_t budget_at;             /* ms */
	uint64_t idle_since;            /* ms */
	uint64_t dropped;               /* bytes read while lingering */
	char *first;                    /* what hello had read */
	size_t first_len;
};

enum { H2_WINDOW_OPEN = 256 * 1024,     /* a stream's that brings much and is taken off */
       H2_OPEN_MOST = 32,               /* of those, of one client */
       H2_SMALL = 16 * 1024,            /* of a body, in one turn: leaves with those of other streams */
       H2_A_TURN = 32,          /* requests, or faults, that are told of in one turn */
       H2_EARLY_MAX = H2_WINDOW,
       H2_EXPLAINED_MAX = 1024 };

static inline struct h2 *
h2_of(struct stream *s)
{
	return (struct h2 *)s->conn;
}

static inline struct h2_stream *
h2_stream_of(struct stream *s)
{
	return (struct h2_stream *)s;
}

static inline bool
h2_server(const struct h2 *h)
{
	return h->conn.role == CONN_SERVER;
}

static inline void
h2_explain(struct h2 *h, int32_t n)
{
	if (h->explained < H2_EXPLAINED_MAX)
		h->explained += n;
}

/* ---- h2.c */

struct h2_stream *h2_stream_new(struct h2 *, int32_t id);
/* It is forgotten, once it has no user and nghttp2 does not know it. */
void h2_stream_drop(struct h2_stream *);
void h2_stream_free(struct h2_stream *);
void h2_stream_attach(struct stream *);
void h2_stream_release(struct stream *, enum fault);
/* Its response is whole and sent, its request is not, and nobody wants the rest: RST_STREAM with NO_ERROR, after a
 * while
 * (RFC 9113 §8.1). Clients that hear it while they still send take it for a failure (curl 7.88), and most end by
 * themselves. */
void h2_stream_end(struct h2 *, struct h2_stream *);

/* Tells the user now, or in a turn of its own. */
void h2_fault(struct h2_stream *, enum fault);
void h2_fault_later(struct h2_stream *, enum fault);
/* `n` frames came that bring nothing: false, and GOAWAY, when they are too many. */
bool h2_spend(struct h2 *, unsigned n);
/* GOAWAY with that code of HTTP/2; nothing more is taken in. */
void h2_condemn(struct h2 *, uint32_t code);
/* The second step of drain. */
void h2_last_goaway(struct h2 *);
void h2_drain(struct conn *, uint64_t grace_ms);

/* ---- h2_turn.c */

extern const struct wire_ops h2_wire_ops;
/* Asks for a turn, unless there will be one. */
void h2_soon(struct h2 *);
void h2_close(struct conn *);

/* ---- h2_head.c */

void h2_head_begin(struct h2 *, struct h2_stream *, bool trailer);
/* 0, or an error of nghttp2. */
int h2_head_line(struct h2 *, struct str name, struct str value);
void h2_head_free(struct h2_head *);
/* What was gathered, into the arena: a request, a response, trailers. `end`: no body follows. */
enum fault h2_head_request(struct h2 *, struct h2_head *, struct arena *, struct msg *, bool end);
enum fault h2_head_response(struct h2 *, struct h2_head *, struct arena *, struct msg *, uint8_t method, bool end);
void h2_head_trailers(struct h2_head *, struct arena *, struct headers *);

/* ---- h2_rx.c */

void h2_rx_callbacks(nghttp2_session_callbacks *);
/* Takes received bytes; false: the session is broken. */
bool h2_feed(struct h2 *, struct str in);
void h2_want(struct stream *, size_t credit);
/* Server role: requests are told of when all that came with them is taken in, a number in each turn: who takes back
 * what he has just asked for costs nobody else anything (CVE-2023-44487), and who asks for much waits for the
 * others. */
void h2_tell_requests(struct h2 *);
/* Delivers what came early. */
void h2_deliver_early(struct h2_stream *);

/* ---- h2_tx.c */

void h2_tx_callbacks(nghttp2_session_callbacks *);
/* Frames what can be framed. */
void h2_pump(struct h2 *);
void h2_send_head(struct stream *, const struct msg *, bool end, bool close);
size_t h2_send_body(struct stream *, struct str bytes, bool end);
size_t h2_stream_room(const struct stream *);
void h2_send_trailers(struct stream *, const struct headers *);
/* The peer's SETTINGS are there: heads that waited for them. */
void h2_send_late(struct h2 *);

/* ---- h2_websocket.c: the handshake of RFC 6455 §4, for who needs it on one side only */

enum { H2_KEY_LEN = 24, H2_ACCEPT_LEN = 28 };
void h2_websocket_key(char to[static H2_KEY_LEN]);
void h2_websocket_accept(char to[static H2_ACCEPT_LEN], struct str key);

#endif
