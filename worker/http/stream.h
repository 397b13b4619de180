/* stream — where codecs meet: one message goes out, one comes in.
 *
 * For the server role the message received is the request, for the client role the
 * response; nothing else differs. The exchange calls the codec by `ops`, the codec calls the
 * exchange by `user`. Whatever answers is a stream: an upstream, a canned page.
 *
 * Back-pressure is credit asked for by the reader: want() says how many more body bytes
 * may come. send_body() says whether it had to hold bytes back; then no credit should be given
 * to the other side until on_drain(). Nothing recurses: want() and release() never deliver at
 * once, they let the codec have a turn of its own. */
#ifndef HTTP_STREAM_H
#define HTTP_STREAM_H

#include "worker/http/fault.h"
#include "worker/http/msg.h"

struct stream;
struct wire;

struct stream_ops {                     /* the codec does this for the exchange */
	const char *name;
	/* A head. An interim response (1xx but 101) may be followed by another head. `end`: no body follows.
	 * After 101 bodies are raw bytes both ways. `close`: say that the connection ends with this message. */
	void (*send_head)(struct stream *, const struct msg *, bool end, bool close);
	/* Body bytes, taken (copied or sent) before it returns. `end`: the last ones; may be empty then.
	 * Returns how many bytes of the message wait for the peer; 0: all have left, and on_drain() will not come. */
	size_t (*send_body)(struct stream *, struct str bytes, bool end);
	/* Ends a body with trailers (dropped where the framing has no place for them). */
	void (*send_trailers)(struct stream *, const struct headers *);
	/* This many more body bytes may be delivered; 0: none, whatever was said before. */
	void (*want)(struct stream *, size_t credit);
	/* Gives the stream up, at any time; no callback comes any more. FAULT_NONE: both messages are whole
	 * and the connection may be used again. Anything else: the peer must see that the message was cut. */
	void (*release)(struct stream *, enum fault);
	/* The rest of the body goes from here to `to` inside the kernel, as it is: true when that is possible. Then
	 * on_relay() tells of progress, and on_body() comes once more, empty, at the end. May be NULL. */
	bool (*relay)(struct stream *, struct stream *to);
	/* So much of a body would leave at once, as far as one knows. May be NULL: much. */
	size_t (*room)(const struct stream *);
	/* stream_attach() was called: messages may come and go. */
	void (*attach)(struct stream *);
};

struct stream_user {                    /* the exchange does this for the codec */
	/* The head is in stream->msg, valid as long as stream->arena. `end`: no body follows. Interim
	 * responses come by here too. */
	void (*on_head)(struct stream *, bool end);
	/* Valid during the call only. */
	void (*on_body)(struct stream *, struct str bytes, bool end);
	/* Instead of the last on_body(), when there are any. */
	void (*on_trailers)(struct stream *, struct headers *);
	/* `n` more bytes went by relay(); `blocked`: the other side takes no more just now. */
	void (*on_relay)(struct stream *, size_t n, bool blocked);
	/* What send_body() had to hold has left. */
	void (*on_drain)(struct stream *);
	/* The message that comes in will not be completed, or the one that goes out was not taken. The stream
	 * is still to be released. */
	void (*on_fault)(struct stream *, enum fault);
};

struct conn;

struct stream {
	const struct stream_ops *ops;
	struct conn *conn;              /* that it goes by; NULL: of no connection (an answer of our own) */
	const struct stream_user *user;
	void *owner;                    /* the exchange's */
	struct arena *arena;            /* for what on_head() delivers */
	struct msg *msg;                /* where the head that comes in is put */
};

/* Gives the stream a user, the arena for heads and the place for the next one. */
static inline void
stream_attach(struct stream *s, const struct stream_user *u, void *o, struct arena *a, struct msg *m)
{
	s->user = u;
	s->owner = o;
	s->arena = a;
	s->msg = m;
	s->ops->attach(s);
}

#endif
