/* proxyproto — the PROXY protocol, versions 1 and 2 (proxy-protocol.txt of HAProxy), read and written. */
#ifndef NET_PROXYPROTO_H
#define NET_PROXYPROTO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "worker/net/addr.h"

enum { PROXYPROTO_MAX = 4096 };         /* a header that is longer is refused */

struct proxyproto_tlv {
	uint8_t type;
	struct str value;
};

struct proxyproto {
	uint8_t version;                /* 1 or 2 */
	bool local;                     /* LOCAL, UNKNOWN: no addresses; the connection's own are meant */
	struct addr from, to;
	const struct proxyproto_tlv *tlvs;      /* of the arena */
	uint32_t ntlvs;
	struct str authority, alpn, unique_id;  /* TLVs of their own; else empty */
	bool tls;                       /* PP2_CLIENT_SSL: the client came by TLS … */
	bool verified;                  /* … and showed a certificate that was good */
	struct str cn;                  /* … of this name */
};

/* Parses the front of `in`. Bytes that it took; 0: more is needed; -1: it is none, or a bad one. CRC32C is checked. */
long proxyproto_parse(struct str in, struct arena *, struct proxyproto *);

/* Writes one, at most PROXYPROTO_MAX bytes. Returns its length. */
size_t proxyproto_put(char to[static PROXYPROTO_MAX], int version, const struct proxyproto *);

#endif
