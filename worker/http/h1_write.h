/* h1_write — heads to bytes. The writer decides the framing lines itself. */
#ifndef HTTP_H1_WRITE_H
#define HTTP_H1_WRITE_H

#include "worker/http/msg.h"

enum h1_framing { H1_NO_FRAMING,        /* 1xx, 204, 304, tunnels; requests without a body */
		  H1_LENGTH, H1_CHUNKED,
		  H1_UNTIL_CLOSE };

struct h1_head {
	enum h1_framing framing;
	uint64_t length;                /* H1_LENGTH */
	bool close;                     /* say Connection: close */
	bool keep_alive;                /* say Connection: keep-alive (to HTTP/1.0) */
	struct str upgrade;             /* say Connection: upgrade and Upgrade: this; empty: no */
	bool te_trailers;               /* say TE: trailers */
};

/* The most bytes that the head can take. */
size_t h1_head_size(const struct msg *, const struct h1_head *);

/* Writes at `to` and returns the end. Lines that are gone, hop-by-hop or framing are left out; runs of
 * untouched lines are copied as one. The request target is m->path and m->query (absolute-form becomes
 * origin-form), Host is written from m->host as the first line. */
char *h1_put_request(char *to, const struct msg *, const struct h1_head *);
char *h1_put_response(char *to, const struct msg *, const struct h1_head *);

/* The standard reason phrase of a status, or empty. */
struct str h1_reason(int status);

#endif
