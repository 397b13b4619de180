/* fuzz_head — heads of requests and responses.
 *
 * The first byte says what the input is: bit 0 a response, bits 1–3 the method that
 * it answers, bit 4 narrow limits. Held true: a head that comes in two parts is
 * judged as one that comes at once; and what was taken and is written anew is taken
 * again and means the same. */
#include <stdint.h>
#include <stdlib.h>

#include "worker/http/h1_parse.h"
#include "worker/http/h1_write.h"

static const struct h1_limits wide = { 1 << 20, 4096, 1 << 18 };

struct parsed {
	struct msg msg;
	enum fault fault;
	ptrdiff_t used;
	char *copy;
};

static void
check(bool holds)
{
	if (!holds)
		abort();
}

/* From memory of exactly that size. */
static void
parse(struct parsed *p, struct str head, int mode, const struct h1_limits *limits,
      struct arena *a)
{
	p->copy = malloc(head.len + !head.len);
	if (head.len)
		memcpy(p->copy, head.at, head.len);
	head.at = p->copy;
	p->fault = FAULT_NONE;
	p->used = mode & 1 ? h1_parse_response(head, limits, a,
					       (enum method)(mode >> 1 & 7), &p->msg,
					       &p->fault)
			   : h1_parse_request(head, limits, a, &p->msg, &p->fault);
	check(p->used >= -1 && p->used <= (ptrdiff_t)head.len &&
	      (p->used != -1) == !p->fault);
}

/* The next line that a writer passes on. */
static const struct header *
next_line(const struct headers *h, uint32_t *i, bool request)
{
	for (; *i < h->n; ++*i) {
		const struct header *at = &h->at[*i];

		if (at->gone || at->hop || at->token == TOKEN_CONTENT_LENGTH ||
		    at->token == TOKEN_TRANSFER_ENCODING ||
		    (request && at->token == TOKEN_HOST))
			continue;
		++*i;
		return at;
	}
	return NULL;
}

static void
same_lines(const struct msg *a, const struct msg *b, bool request)
{
	uint32_t i = 0, j = 0;
	const struct header *x, *y;

	if (!request && a->status >= 200 && !headers_has(&a->headers, TOKEN_DATE)) {
		y = next_line(&b->headers, &j, request);
		check(y && y->token == TOKEN_DATE);
	}
	do {
		x = next_line(&a->headers, &i, request);
		y = next_line(&b->headers, &j, request);
		check(!x == !y);
		check(!x || (str_eq(x->name, y->name) && str_eq(x->value, y->value)));
	} while (x);
}

static void
write_and_parse(const struct parsed *one, int mode, struct arena *a)
{
	static const enum h1_framing framing[] = {
		[BODY_NONE] = H1_NO_FRAMING,
		[BODY_LENGTH] = H1_LENGTH,
		[BODY_CHUNKED] = H1_CHUNKED,
		[BODY_CLOSE] = H1_UNTIL_CLOSE,
	};
	const struct msg *m = &one->msg;
	struct h1_head how = {
		.framing = framing[m->body], .length = m->length, .close = !m->keep_alive,
		.upgrade = m->upgrade_to, .te_trailers = m->te_trailers,
	};
	size_t size = h1_head_size(m, &how);
	char *buf = malloc(size), *end;
	bool request = !(mode & 1);
	struct parsed two;

	end = request ? h1_put_request(buf, m, &how) : h1_put_response(buf, m, &how);
	check((size_t)(end - buf) <= size);
	if (request && !m->host.len)
		goto out;               /* HTTP/1.0 without Host: the exchange sets one */
	parse(&two, (struct str){ buf, (size_t)(end - buf) }, mode, &wide, a);
	check(two.used == end - buf);
	check(m->method == two.msg.method && str_eq(m->method_text, two.msg.method_text));
	check(m->status == two.msg.status && m->keep_alive == two.msg.keep_alive);
	check(str_eq(m->host, two.msg.host) && str_eq(m->path, two.msg.path));
	check(str_eq(m->query, two.msg.query) && m->has_query == two.msg.has_query);
	check(m->body == two.msg.body &&
	      (m->body != BODY_LENGTH || m->length == two.msg.length));
	check(m->upgrade == two.msg.upgrade && str_eq(m->upgrade_to, two.msg.upgrade_to));
	check(m->te_trailers == two.msg.te_trailers);
	same_lines(m, &two.msg, request);
	free(two.copy);
out:
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct h1_limits narrow = { 200, 5, 20 };
	const struct h1_limits *limits;
	struct arena arena;
	struct parsed whole, part;
	struct str head;
	int mode;

	if (size < 2)
		return 0;
	mode = data[0];
	limits = mode & 16 ? &narrow : &wide;
	head = (struct str){ (const char *)data + 1, size - 1 };
	arena_init(&arena, NULL, 0, 1 << 24);
	parse(&whole, head, mode, limits, &arena);
	parse(&part, str_first(head, data[size - 1] % head.len), mode, limits, &arena);
	if (part.used != H1_MORE)
		check(part.used == whole.used && part.fault == whole.fault);
	if (whole.used > 0) {
		struct parsed exact;

		parse(&exact, str_first(head, (size_t)whole.used), mode, limits, &arena);
		check(exact.used == whole.used);
		free(exact.copy);
		parse(&exact, str_first(head, (size_t)whole.used - 1), mode, limits,
		      &arena);
		check(exact.used == H1_MORE);
		free(exact.copy);
		write_and_parse(&whole, mode, &arena);
	}
	free(part.copy);
	free(whole.copy);
	arena_reset(&arena);
	return 0;
}
