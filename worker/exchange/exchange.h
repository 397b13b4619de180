/* exchange — one request and its response, from the first byte to the last.
 *
 * An exchange has two ends, each a stream of any codec: `client`, that the request came by, and
 * `upstream`, that the response comes by. It runs by a table of steps and one loop
 * (exchange_run): a step says which is next and never calls it; whatever is asynchronous
 * ends in exchange_wake(). It pins the image it was begun with.
 *
 * This header is what policies may use. */
#ifndef EXCHANGE_EXCHANGE_H
#define EXCHANGE_EXCHANGE_H

#include "base/arena.h"
#include "base/siphash.h"
#include "shm/records.h"
#include "worker/http/stream.h"
#include "worker/net/addr.h"
#include "worker/net/alarm.h"
#include "worker/net/loop.h"
#include "worker/route/route.h"
#include "worker/upstream/call.h"

struct worker;
struct generation;                      /* a bound image: worker/worker.h */
struct links;
struct link;
struct connect;                         /* exchange/connect.h */
struct conn;                            /* the client connection it came by */
struct member;
struct cluster;
struct tls_info;                        /* worker/net/tls.h */
struct filter;                          /* exchange/filter.h */

enum { EXCHANGE_HOME = 6 * 1024 };      /* first piece of the arena */

struct exchange {
	/* Kept from one use to the next. */
	struct timer timer;
	struct event wake;             /* has no descriptor: a place on the ready list */
	struct alarm alarm;             /* of exchange_wait() */
	struct list link;               /* of the worker's exchanges, or of those at rest */

	/* Zeroed when it begins, from here on. */
	struct worker *worker;
	struct generation *gen;         /* pinned */

	/* Where it came from. */
	const struct conf_listener *listener;
	struct stream *client;          /* NULL once given back */
	struct addr peer;               /* of the socket */
	struct addr client_addr;        /* believed: the peer, or what a trusted one says (X-Forwarded-For …) */
	struct str scheme;              /* "http" or "https", as the client used it */
	struct str client_text;         /* client_addr without port, once asked for */
	const char *codec;              /* conn_ops.name of the connection it came by; NULL: none */
	bool trusted;                   /* the peer is in the listener's `trust` */
	const struct tls_info *tls;     /* of the client: exchange_tls(); NULL: no TLS, no certificate */

	/* What is asked (beside `request`, below). */
	struct str host;                /* lower case, without port */
	struct str path;                /* normalised, before any rewrite */
	uint64_t id[2];                 /* request id */
	struct str id_text;             /* of a trusted peer, or 32 hex digits; empty until asked for */
	uint32_t head_len;              /* of the head as received, which lies in the arena; 0: it does not */
	bool id_made;                   /* id_text is our own: 32 hex digits of `id` */

	/* What is decided. */
	const struct links *links;      /* chain in force */
	void *states;                   /* of all its policies */
	struct str consumer;            /* known by an identifying policy; else empty */
	struct siphash meter;           /* where it is metered; all 0: not worked out yet */
	const struct conf_plan *plan;   /* of the consumer; NULL: none */
	struct str key_id;              /* of the API key it came with; empty: none */
	enum fault fault;               /* what went wrong; the reason of the answer */
	struct str detail;              /* what the answer says instead of the fault's sentence */
	int error;                      /* errno that belongs to it, or 0 */
	const struct link *answered_by; /* the policy that answered; NULL: none */

	/* What comes back. */
	struct stream *upstream;
	struct cluster *cluster;
	struct member *member;
	struct str answer;              /* body of an answer of our own */
	uint8_t grpc;                   /* enum grpc: exchange/grpc.h */
	uint8_t grpc_status;            /* … that the client got + 1; 0: none, or not known */
	const struct filter *filter;    /* that the bodies go through; NULL: none */
	void *filter_state;
	uint16_t status;                /* sent to the client; 0: nothing yet */

	/* Times (ns of clock_now; 0: did not happen) and sizes, for logs and records. */
	uint64_t began, routed, decided, attempt_at, connected, first_byte, ended;
	uint64_t queued;                /* ns that policies held it back */
	uint64_t away;                  /* ns that others had it: upstream or client. The rest is ours */
	uint64_t bytes_in, bytes_out;   /* of bodies */

	struct record record;           /* attempts gather here */

	/* How it goes on; the exchange's own. */
	uint64_t left;                  /* ns; since when others have it; 0: they do not */
	uint64_t held;                  /* ns; since when the policy that is next holds it back; 0: it does not */
	uint8_t step;                   /* enum step */
	uint8_t attempts;               /* so far */
	uint8_t interim;                /* 1xx seen */
	uint16_t at_link;               /* the next policy forwards */
	uint64_t tried;                 /* members, by cluster_bit() */
	uint64_t deadline;              /* ms; whole exchange; 0: none */
	uint64_t progress;              /* ms; when something last went on */
	uint64_t body_limit;            /* bytes; 0: none */
	char *kept;                     /* request body kept until it is sent, or for another attempt; heap */
	uint32_t kept_len, kept_room;
	bool client_blocked, upstream_blocked;  /* something is held on that side */
	struct headers trailers;        /* of the request, where they came before it could be sent */
	bool request_end;               /* whole request received */
	bool response_end;              /* whole response received */
	struct call call;               /* for a stream to the target */
	bool connecting;                /* … it waits */
	uint64_t paused;                /* ns; since when the attempt is held back; 0: it is not */
	struct {                        /* of exchange/pace.h */
		uint64_t since, slot;   /* ns; when the attempt was asked for first, and its place by our rate */
		uint64_t ticket;        /* of the last attempt */
	} pace;
	struct connect *connect;        /* of CONNECT: the tunnel that is being made; NULL: none */
	bool reused;                    /* the upstream connection had been used before */
	bool fresh_only;                /* a reused one was dead: take a new one */
	bool keeping;                   /* … even when it has been sent */
	bool replay_lost;               /* part of the body is gone: it can not be sent again */
	bool head_sent;                 /* to the upstream, in this attempt */
	bool prepared;                  /* the request is ready to be forwarded */
	bool tunnel;
	bool waiting;                   /* a policy said WAIT, or the attempt is held back */
	bool backing_off;
	bool running;                   /* in exchange_run() */
	bool answering;                 /* with something of our own */
	bool close_client;              /* the connection ends with this answer */
	bool truncated;                 /* the response was cut */
	bool gone;                      /* over: nothing more is to be done with it */
	const void *bound;              /* during a policy's call */
	uint8_t nnotes;                 /* … of `note` */
	bool noted;                     /* the policy that is called wrote its note itself */

	/* Not zeroed: the codec fills both from scratch. `request.path` is what is forwarded; policies
	 * may change headers, the method stays. */
	struct msg request;
	struct msg response;
	struct route_match match;       /* what is decided: service, route and fault are empty at first */
	struct record_note note[RECORD_NOTES];
	struct arena arena;
	char home[EXCHANGE_HOME];
};

/* ---- for policies */

/* Answers with the fault's status and a problem document. Returns ANSWER, so that a policy can return it. */
int exchange_answer(struct exchange *, enum fault);
/* The same with a Retry-After of that many seconds. */
int exchange_answer_later(struct exchange *, enum fault, uint64_t seconds);
/* Answers with a status of one's own; `type` and `body` may be empty. Headers: add them to x->response.headers
 * afterwards. Body and type are kept by reference: image or arena. */
int exchange_respond(struct exchange *, int status, struct str type, struct str body);

/* Goes on after WAIT, in a turn of its own: the policy that said WAIT is called again. */
void exchange_wake(struct exchange *);
/* Before WAIT: wakes at that time (ns of clock_now). A client that leaves meanwhile ends the exchange. Time spent so is
 * counted in x->queued. */
void exchange_wait(struct exchange *, uint64_t until);

/* What the policy that is called has decided, with its operands, for `postern why`, metrics and logs. Said once, by
 * policies whose decision is more than PASS or ANSWER; for the others the verdict says it all. */
void exchange_decided(struct exchange *, enum decision, uint64_t a, uint64_t b, uint64_t c);

/* Who it is: by an identifying policy. The strings live as long as the exchange. */
void exchange_identify(struct exchange *, struct str consumer, const struct conf_plan *, struct str key_id);

/* What policy.bind returned in this worker, during a call. */
void *exchange_bound(const struct exchange *);

/* The request id as text: 32 hex digits, or what a trusted peer gave. */
struct str exchange_id(struct exchange *);

/* x->client_addr as text, without port. */
struct str exchange_client_ip(struct exchange *);

/* The time inside, ns. */
uint64_t exchange_duration(const struct exchange *);

/* Value of a capture of the match, or empty. */
struct str exchange_capture(const struct exchange *, struct str name);
/* Value of a cookie of the request, or empty. */
struct str exchange_cookie(const struct exchange *, struct str name);

/* What a policy may know of its worker: its page of counters, what it shares with the others, its row there, and
 * the access logs it has open (struct logfile of policy/lib/logfile.h, kept over generations). */
struct stats_page;
struct stats_page *worker_stats(struct worker *);
struct shared;
struct shared *worker_shared(struct worker *);
int worker_row(const struct worker *);
struct list *worker_logfiles(struct worker *);
struct directory;                       /* exchange/directory.h: consumers, keys, plans */
struct directory *worker_directory(struct worker *);

#endif
