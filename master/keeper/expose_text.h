/* expose_text — Prometheus text, written into a buffer that grows: families, labels, values. Only expose*.c use it. */
#ifndef KEEPER_EXPOSE_TEXT_H
#define KEEPER_EXPOSE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct text {
	char *at;
	size_t len, room;
	bool failed;                    /* out of memory: nothing more is written */
	bool labelled;                  /* the line has a label already */
	uint32_t lines;                 /* samples written */
	const char *name;               /* of the family */
};

/* "# HELP" and "# TYPE"; `name` without "postern_", which every name begins with but those of process_*. */
void text_family(struct text *, const char *name, const char *type, const char *help);
/* A sample is text_begin() or text_begin_as(), labels, a value. `suffix`: "_bucket" … */
void text_begin(struct text *, const char *suffix);
void text_label(struct text *, const char *name, struct str value);
void text_u64(struct text *, uint64_t value);
/* Microseconds, as seconds. */
void text_us(struct text *, uint64_t us);
void text_double(struct text *, double value);

/* A family of one sample. */
void text_counter(struct text *, const char *name, const char *help, uint64_t value);
void text_gauge(struct text *, const char *name, const char *help, uint64_t value);

/* Puts `us` as seconds at `to` (32 bytes suffice): "0.000256"; returns the end. */
char *text_put_us(char *to, uint64_t us);
/* Bytes as they are: labels made once, of many samples. */
void text_raw(struct text *, struct str);

#endif
