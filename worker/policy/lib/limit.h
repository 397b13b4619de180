/* limit — what all policies that count requests share: whose are counted together, what becomes of those beyond the
 * limit, and what responses say of it. */
#ifndef POLICY_LIB_LIMIT_H
#define POLICY_LIB_LIMIT_H

#include "worker/exchange/exchange.h"
#include "worker/exchange/template.h"

enum limit_mode { LIMIT_ENFORCE, LIMIT_OBSERVE };
enum limit_full { LIMIT_FULL_ALLOW, LIMIT_FULL_REFUSE };
enum limit_say { LIMIT_SAY_REFUSED, LIMIT_SAY_ALWAYS, LIMIT_SAY_NEVER };

extern const char *const limit_modes[], *const limit_fulls[], *const limit_when[];

struct limit_by {                       /* the key */
	const struct template *by;
	int64_t ipv4_prefix, ipv6_prefix;
	bool address;                   /* `by` is {client.ip} and nothing else */
};

struct limit_rules {
	int mode, when_full;
	int headers;                    /* enum limit_say */
	bool x_headers;
};

/* Rows of `by`, ipv4_prefix, ipv6_prefix in the member `m` of a policy's struct; the help says what is counted. */
#define LIMIT_BY_ROWS(s, m, text)                                                        \
	{ .key = "by", .kind = CONF_KIND_VIA, .offset = offsetof(s, m.by),               \
	  .parse = template_parse, .help = (text) },                                     \
	{ .key = "ipv4_prefix", .kind = CONF_KIND_INT, .offset = offsetof(s, m.ipv4_prefix), \
	  .def = "32", .min = 8, .max = 32,                                              \
	  .help = "with by = \"{client.ip}\": bits of an IPv4 address that make a key" }, \
	{ .key = "ipv6_prefix", .kind = CONF_KIND_INT, .offset = offsetof(s, m.ipv6_prefix), \
	  .def = "64", .min = 16, .max = 128,                                            \
	  .help = "the same for IPv6, where a client usually owns a whole /64" }

#define LIMIT_MODE_ROWS(s, m)                                                            \
	{ .key = "mode", .kind = CONF_KIND_ENUM, .offset = offsetof(s, m.mode),          \
	  .def = "enforce", .words = limit_modes,                                        \
	  .help = "\"observe\" refuses nothing and counts what would have been refused" }, \
	{ .key = "when_full", .kind = CONF_KIND_ENUM, .offset = offsetof(s, m.when_full), \
	  .def = "refuse", .words = limit_fulls,                                         \
	  .help = "what becomes of a new key when there is no room to count it" }

#define LIMIT_HEADER_ROWS(s, m)                                                          \
	{ .key = "headers", .kind = CONF_KIND_ENUM, .offset = offsetof(s, m.headers),    \
	  .def = "refused", .words = limit_when,                                         \
	  .help = "which responses say RateLimit and RateLimit-Policy" },                \
	{ .key = "x_headers", .kind = CONF_KIND_BOOL, .offset = offsetof(s, m.x_headers), \
	  .def = "false",                                                                \
	  .help = "X-RateLimit-Limit, -Remaining and -Reset beside them" }

/* By check(): fills in the default key where none is given. -1: said. */
int limit_by_check(struct conf_load *, struct limit_by *, const char *by, struct where);
/* Whether the key is nothing without an identifying policy: it names only {consumer}, {plan} and {key.id}. */
bool limit_by_identity(const struct limit_by *);

enum { LIMIT_KEY = 17 };
/* The key of this request; `room` may hold it. */
struct str limit_key(const struct limit_by *, struct exchange *, uint8_t room[LIMIT_KEY]);

/* What tells a policy's counts from those of all others: its name, so that they go on when anything else of it
 * is changed. One without a name is known by its place, and its counts begin anew when that changes. *name is what
 * people read. */
uint64_t limit_identity(struct conf_load *, struct where, const char *type, struct str *name);

/* What the table said: in the order of its own verdicts (cells, quotas, inflight). */
enum limit_found { LIMIT_ADMITTED, LIMIT_REFUSED, LIMIT_NO_ROOM };

/* Whether the request passes by these rules, counted; and the decision to be noted. */
bool limit_passes(struct exchange *, const struct limit_rules *, enum limit_found, enum decision *);

/* Rounded up. */
static inline uint64_t
limit_seconds(uint64_t ns)
{
	return (ns + 999999999) / 1000000000;
}

struct limit_said {                     /* of one window */
	struct str name;                /* of the policy, or of the plan */
	uint64_t count, seconds;        /* the limit: so many in so long; 0 s: at the same time */
	uint64_t remaining;
	uint64_t next;                  /* seconds until there is more than `remaining` */
	uint64_t reset;                 /* seconds until nothing is used any more */
};

/* Whether this response is to say anything. */
static inline bool
limit_says(const struct limit_rules *r, bool refused)
{
	return r->mode == LIMIT_ENFORCE && r->headers != LIMIT_SAY_NEVER &&
	       (r->headers == LIMIT_SAY_ALWAYS || refused);
}

/* RateLimit-Policy, RateLimit and, where the rules want them, the older X-RateLimit-*. */
void limit_say(struct exchange *, const struct limit_rules *, const struct limit_said *);

/* "12.4 s", "340 ms", "3 h 20 min": for explanations. */
void limit_put_time(char *to, size_t size, uint64_t ns);

#endif
