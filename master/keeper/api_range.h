/* api_range — which windows of time a report is about: by, from, to, format of its query. */
#ifndef KEEPER_API_RANGE_H
#define KEEPER_API_RANGE_H

#include <stdio.h>

#include "master/keeper/api.h"
#include "shm/store_usage.h"

enum { API_ROWS = 100000 };             /* of a report, at most */

struct api_range {
	enum usage_level level;
	bool months;                    /* days are added up to months */
	bool csv;
	int64_t from, to;               /* seconds since 1970: from ≤ begin < to */
	const char *by;
};

/* false: answered. */
bool api_range(const struct api_request *, struct api_answer *, struct api_range *);
/* Where the window of the report begins that a row belongs to. */
int64_t api_range_begin(const struct api_range *, int64_t begin);
/* "2026-11-21T11:00:00Z", 21 bytes with NUL. */
void api_range_put(char to[24], int64_t begin);
/* A field of CSV, quoted where it must be (RFC 4180). */
void api_csv(FILE *, struct str);
/* What was written to `out`, an open_memstream() of *text and *len, becomes the answer. */
void api_csv_done(const struct api_request *, struct api_answer *, FILE *out, char **text, size_t *len);

#endif
