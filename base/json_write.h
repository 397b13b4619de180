/* json_write — JSON into a buffer that says when it is full. Nothing is allocated. */
#ifndef BASE_JSON_WRITE_H
#define BASE_JSON_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct json_write {
	char *at, *end;
	bool full;                      /* something did not fit; what is there is cut short */
	bool comma;                     /* the next member needs one before it */
};

void json_begin(struct json_write *, char *buf, size_t size);
void json_open(struct json_write *, char bracket);        /* '{' or '[' */
void json_close(struct json_write *, char bracket);       /* '}' or ']' */
void json_key(struct json_write *, struct str key);
/* Bytes that are no UTF-8 become U+FFFD; control characters \u00XX (RFC 8259 §7). */
void json_str(struct json_write *, struct str value);
void json_int(struct json_write *, int64_t value);
void json_bool(struct json_write *, bool value);
/* Verbatim text, already JSON. */
void json_raw(struct json_write *, struct str text);

#endif
