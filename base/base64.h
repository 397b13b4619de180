/* base64 — bytes as text and back (RFC 4648 §4, with padding). */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <sys/types.h>

#include "base/str.h"

/* How many characters `n` bytes become. */
static inline size_t
base64_size(size_t n)
{
	return (n + 2) / 3 * 4;
}

/* Writes base64_size(bytes.len) characters at `to`, no NUL, and returns the end. */
char *base64_put(char *to, struct str bytes);

/* Writes at most text.len / 4 * 3 bytes at `to`, which may be text.at itself. Returns how many, or -1: it is no
 * base64. Nothing but the alphabet is taken: padding at the end only, no blanks, no spare bits. */
ssize_t base64_get(char *to, struct str text);

#endif
