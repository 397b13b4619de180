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

/* For who compares by himself: the names, padded with NUL, and the only one that a name with that first letter
 * and length can be. */
extern const char token_text[TOKEN_COUNT][24];
extern const uint8_t token_slot[128];

static inline enum token
token_guess(char first, size_t len)
{
	return (enum token)token_slot[(((unsigned char)first | 0x20) * 7 + len * 5) & 127];
}

#endif
