/* fuzz_chunked — chunked bodies. Held true: however the bytes are cut on their way,
 * the same body, the same trailers and the same end come out. The first byte says how
 * they are cut. */
#include <stdint.h>
#include <stdlib.h>

#include "worker/http/h1_parse.h"

struct outcome {
	enum h1_chunk end;
	size_t left;                    /* behind the end */
	char *body;
	size_t body_len;
	struct str trailers;            /* in the arena */
};

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static enum h1_chunk
take_piece(struct h1_chunked *c, struct str *in, struct outcome *o, struct arena *a)
{
	for (;;) {
		struct str data = STR_NONE, trailers = STR_NONE;
		size_t before = in->len;
		enum h1_chunk what = h1_chunk_next(c, in, &data, a, &trailers);

		if (what == H1_CHUNK_END)
			o->trailers = trailers;
		if (what == H1_CHUNK_MORE)
			check(in->len == 0);
		if (what != H1_CHUNK_DATA)
			return what;
		check(data.len && in->len < before);
		memcpy(o->body + o->body_len, data.at, data.len);
		o->body_len += data.len;
	}
}

static void
take(struct str in, size_t step, struct outcome *o, struct arena *a)
{
	struct h1_chunked c = { 0 };

	*o = (struct outcome){ .end = H1_CHUNK_MORE, .body = malloc(in.len + 1) };
	while (in.len && o->end == H1_CHUNK_MORE) {
		struct str piece = str_first(in, step), rest = piece;
		char *copy = malloc(piece.len);

		memcpy(copy, piece.at, piece.len);
		rest.at = copy;
		o->end = take_piece(&c, &rest, o, a);
		in = str_from(in, piece.len - rest.len);
		free(copy);
	}
	o->left = o->end == H1_CHUNK_BAD ? 0 : in.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, cut;
	struct arena arena;
	struct str in;

	if (size < 2)
		return 0;
	in = (struct str){ (const char *)data + 1, size - 1 };
	arena_init(&arena, NULL, 0, 1 << 24);
	take(in, in.len, &whole, &arena);
	take(in, 1 + data[0] % 16, &cut, &arena);
	check(whole.end == cut.end && whole.left == cut.left);
	check(whole.body_len == cut.body_len &&
	      !memcmp(whole.body, cut.body, cut.body_len));
	check(str_eq(whole.trailers, cut.trailers));
	if (whole.end == H1_CHUNK_END) {
		struct headers lines;

		h1_parse_trailers(whole.trailers, &arena, &lines);
	}
	free(whole.body);
	free(cut.body);
	arena_reset(&arena);
	return 0;
}
