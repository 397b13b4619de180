/* stream — where codecs meet: one message goes out, one comes in.
 *
 * For the server role the message received is the request, for the client role the
 * response; nothing else differs. The exchange calls the codec by `ops`, the codec calls the
 * exchange by `user`. Whatever answers is a stream: an upstream, a canned page.
 *
 * Back-pressure is credit asked for by the reader: want() says how many more body bytes
 * may come; on_drain() says how many of those sent have left, which is the credit that the other
 * side can be given. Nothing here is called from within one of its own callbacks twice:
 * want() never delivers at once, it lets the codec have a turn. */
#ifndef HTTP_STREAM_H
#define HTTP_STREAM_H

#include "worker/http/fault.h"
#include "worker/http/msg.h"

struct stream;
struct wire;

struct stream_ops {                     /* the codec does this for the exchange */
	const char *name;
	/* A head; an interim response (status 1xx but 101) may be followed by another head. `end`: no body.
	 * After 101 (or a 2xx to CONNECT) bodies are raw bytes both ways. */
	void (*send_head)(struct stream *, const struct msg *, bool end);
	/* Body bytes, taken (copied or sent) before it returns. `end`: the last ones; may be empty then. */
	void (*send_body)(struct stream *, struct str bytes, bool end);
	/* Ends a chunked body with trailers. */
	void (*send_trailers)(struct stream *, const struct headers *);
	/* This many more body bytes may be delivered. */
	void (*want)(struct stream *, size_t credit);
	/* Gives the stream up, at any time; no callback comes any more. FAULT_NONE: both messages are whole
	 * and the connection may be used again. Anything else: the peer must see that the message was cut. */
	void (*release)(struct stream *, enum fault);
	/* Body bytes may be moved by the kernel from and to this socket as they are: at most *left of them are
	 * to come (in), or are still owed (out). NULL result: not now. May be NULL. */
	struct wire *(*raw_in)(struct stream *, uint64_t *left);
	struct wire *(*raw_out)(struct stream *, uint64_t *left);
	/* `n` raw bytes were moved behind the codec's back. */
	void (*raw_moved_in)(struct stream *, uint64_t n);
	void (*raw_moved_out)(struct stream *, uint64_t n);
};

struct stream_user {                    /* the exchange does this for the codec */
	/* The message and all that it points to are valid as long as the arena that the stream was given.
	 * `end`: no body follows. Interim responses come by here too. */
	void (*on_head)(struct stream *, struct msg *, bool end);
	/* Valid during the call only. */
	void (*on_body)(struct stream *, struct str bytes, bool end);
	void (*on_trailers)(struct stream *, struct headers *);
	/* `sent` bytes of body have left since the last time. */
	void (*on_drain)(struct stream *, size_t sent);
	/* The message will not be completed (or could not be sent). The stream is still to be released. */
	void (*on_fault)(struct stream *, enum fault);
	/* There is something to be read and the codec may move raw bytes: NULL or false: it reads itself. */
	bool (*on_raw)(struct stream *);
};

struct stream {
	const struct stream_ops *ops;
	const struct stream_user *user;
	void *owner;                    /* the exchange's */
	struct arena *arena;            /* for heads */
};

#endif
