/* token — from a header name to a small number; its rows are in tokens.def. */
#ifndef HTTP_TOKEN_H
#define HTTP_TOKEN_H

#include <stdint.h>

#include "base/str.h"

enum token {
	TOKEN_OTHER,
#define TOKEN(id, name, flags) TOKEN_##id,
#include "worker/http/tokens.def"
#undef TOKEN
	TOKEN_COUNT
};
_Static_assert(TOKEN_COUNT <= 64, "struct headers keeps a bit for each");

enum { TOKEN_HOP = 1, TOKEN_FRAMING = 2 };

extern const struct str token_name[TOKEN_COUNT];
extern const uint8_t token_flags[TOKEN_COUNT];

/* The token of a name in any case; TOKEN_OTHER when it is none of ours. */
enum token token_of(struct str name);

#endif
