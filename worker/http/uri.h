/* uri — a path is normalised once, and what is matched is what is forwarded.
 *
 * RFC 3986 §6.2.2: percent-encoded unreserved characters are decoded, other escapes get
 * upper-case digits, dot segments are removed (§5.2.4; ".." above the root is an error, not a
 * clamp), and, as configured, duplicate slashes merged. %00 is refused, %2F kept, refused or
 * decoded. */
#ifndef HTTP_URI_H
#define HTTP_URI_H

#include "base/arena.h"
#include "worker/http/fault.h"

enum uri_slash { URI_SLASH_KEEP, URI_SLASH_REJECT, URI_SLASH_DECODE };  /* as enum conf_encoded_slash */

struct uri_rules {
	bool merge_slashes;
	uint8_t encoded_slash;          /* enum uri_slash */
};

/* `path` begins with "/". *out is `path` itself when nothing had to change (the common case: one scan). */
enum fault uri_normalise(struct str path, struct uri_rules, struct arena *, struct str *out);

/* Splits an authority "host:port", "[::1]:8080". `port` is empty when left out. false: not valid
 * (RFC 3986 §3.2: reg-name characters, brackets, digits; userinfo is refused). */
bool uri_authority(struct str authority, struct str *host, struct str *port);

/* The value of a query parameter, percent-decoded into the arena ("+" is a blank); false: not there. */
bool uri_query(struct str query, struct str name, struct arena *, struct str *value);

#endif
