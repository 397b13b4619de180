/* feed — gives a head to the parser as a whole and byte by byte; the result must be the same.
 *
 * Each piece lies in memory of exactly its size, so that the sanitizer sees a byte too many. */
#ifndef TESTS_UNIT_HTTP_FEED_H
#define TESTS_UNIT_HTTP_FEED_H

#include "tests/unit/unit.h"
#include "worker/http/h1_parse.h"

struct feed {
	struct arena arena;
	struct msg msg;
	enum fault fault;
	ptrdiff_t used;
	char *copy;
	bool response;
	enum method method;             /* that the response answers */
	struct h1_limits limits;
};

static inline void
feed_init(struct feed *f)
{
	*f = (struct feed){ .limits = { 32768, 100, 8192 }, .method = METHOD_GET };
	arena_init(&f->arena, NULL, 0, 1 << 20);
}

static inline void
feed_free(struct feed *f)
{
	arena_reset(&f->arena);
	free(f->copy);
	f->copy = NULL;
}

static inline void
feed_once(struct feed *f, struct str head)
{
	free(f->copy);
	f->copy = malloc(head.len + !head.len);
	if (head.len)
		memcpy(f->copy, head.at, head.len);
	head.at = f->copy;
	f->fault = FAULT_NONE;
	memset(&f->msg, 0xa5, sizeof(f->msg));
	f->used = f->response ? h1_parse_response(head, &f->limits, &f->arena, f->method, &f->msg,
						  &f->fault) :
				h1_parse_request(head, &f->limits, &f->arena, &f->msg, &f->fault);
}

/* As a whole; then in growing pieces, until one is not H1_MORE. */
static inline void
feed_all(struct feed *f, struct str head)
{
	feed_once(f, head);

	ptrdiff_t used = f->used;
	enum fault fault = f->fault;

	for (size_t n = 0; n <= head.len; n++) {
		feed_once(f, str_first(head, n));
		if (f->used != H1_MORE)
			break;
	}
	ck_assert_msg(f->used == used && f->fault == fault,
		      "\"%.*s\": %td, %.*s as a whole, %td, %.*s byte by byte", STR_ARG(head), used,
		      STR_ARG(fault_info[fault].reason), f->used, STR_ARG(fault_info[f->fault].reason));
}

/* Whatever follows a mistake does not mend it. */
static inline void
feed_more(struct feed *f, struct str head, enum fault fault)
{
	struct str more = STR("X-More: than a vector holds\r\nHost: more\r\n\r\n");
	char *all = malloc(head.len + more.len);

	memcpy(all, head.at, head.len);
	memcpy(all + head.len, more.at, more.len);
	feed_once(f, (struct str){ all, head.len + more.len });
	ck_assert_msg(f->used == -1 && f->fault == fault, "\"%.*s\" and more: %td, %.*s",
		      STR_ARG(head), f->used, STR_ARG(fault_info[f->fault].reason));
	free(all);
}

static inline void
feed_wants_fault(struct feed *f, struct str head, enum fault fault)
{
	feed_more(f, head, fault);
	feed_all(f, head);
	ck_assert_msg(f->used == -1 && f->fault == fault, "\"%.*s\": %td, %.*s, wanted %.*s",
		      STR_ARG(head), f->used, STR_ARG(fault_info[f->fault].reason),
		      STR_ARG(fault_info[fault].reason));
}

static inline void
feed_wants_all(struct feed *f, struct str head)
{
	feed_all(f, head);
	ck_assert_msg(f->used == (ptrdiff_t)head.len, "\"%.*s\": %td, %.*s", STR_ARG(head), f->used,
		      STR_ARG(fault_info[f->fault].reason));
}

#endif
