/* clock — the time, read once per turn of the loop.
 *
 * Time inside postern is monotonic: nanoseconds (clock_now) or milliseconds
 * (clock_ms) since the machine started. Wall time is only for people. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

extern struct clock_state {
	uint64_t now;                   /* ns, monotonic */
	uint64_t ms;                    /* now / 1,000,000 */
	int64_t wall;                   /* ns to add to `now` for the time since 1970 */
	char date[32];                  /* IMF-fixdate (RFC 9110 §5.6.7), of second date_s */
	char iso[32];                   /* 2026-11-21T07:27:00.123Z as of ms iso_ms */
	int64_t date_s, iso_ms;
} clock_state;

/* The monotonic clock just now, ns, leaving clock_now() as it is. */
uint64_t clock_read(void);

/* Reads the clocks. Once a turn, and before the first use in a process. */
void clock_update(void);

static inline uint64_t
clock_now(void)
{
	return clock_state.now;
}

static inline uint64_t
clock_ms(void)
{
	return clock_state.ms;
}

/* Wall time in ms since 1970. */
static inline int64_t
clock_wall_ms(void)
{
	return ((int64_t)clock_state.now + clock_state.wall) / 1000000;
}

/* "Sat, 21 Nov 2026 07:27:00 GMT", formatted once a second; 29 bytes. */
const char *clock_date(void);

/* "2026-11-21T07:27:00.123Z", formatted once a millisecond; 24 bytes. */
const char *clock_iso(void);

#endif
