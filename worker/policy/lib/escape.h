/* escape — text of unknown origin for log lines: nothing in it can end a line or a
 * string.
 *
 * Both write at `to`, never beyond `end`, and return the end, or NULL when it did not
 * fit. */
#ifndef POLICY_LIB_ESCAPE_H
#define POLICY_LIB_ESCAPE_H

#include "base/str.h"

/* The inside of a JSON string (RFC 8259 §7). What is no UTF-8 becomes U+FFFD; controls,
 * C1 and line separators too, are written as \u00XX. */
char *escape_json(char *to, char *end, struct str);

/* The inside of a quoted field of a combined log: quotes, backslashes, controls and what
 * is not ASCII become \xHH. */
char *escape_field(char *to, char *end, struct str);

#endif
