/* proxyproto — the PROXY protocol, versions 1 and 2 (proxy-protocol.txt of HAProxy), read and written.
 *
 * A proxy in front says in its first bytes on whose behalf it connects. Whether it may is for hello.h to say. */
#ifndef NET_PROXYPROTO_H
#define NET_PROXYPROTO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "worker/net/addr.h"

enum { PROXYPROTO_MAX = 4096 };         /* a header that is longer is refused */

struct proxyproto_tlv {
	uint8_t type;
	struct str value;               /* any bytes */
};

struct proxyproto {
	uint8_t version;                /* 1 or 2 */
	bool local;                     /* LOCAL, UNKNOWN: no addresses; the connection's own are meant */
	struct addr from, to;           /* of a unix socket: the family alone */
	const struct proxyproto_tlv *tlvs;      /* of the arena; all but padding and checksum, those below, too */
	uint32_t ntlvs;
	/* TLVs of their own; else empty. Without control characters, but for unique_id: any bytes, at most 128. */
	struct str authority, alpn, unique_id;
	bool tls;                       /* PP2_CLIENT_SSL: the client came by TLS … */
	bool verified;                  /* … and showed a certificate that was good */
	struct str cn;                  /* … of this name */
	struct str tls_version, tls_cipher;     /* "TLSv1.3", "TLS_AES_256_GCM_SHA384", if it was said */
};

/* Whether a header of either version begins here: 1 yes, -1 no, 0: too few bytes to tell. */
int proxyproto_begins(struct str in);

/* Parses the front of `in`. Bytes that it took; 0: more is needed; -1: it is none, or a bad one. CRC32C is checked.
 * At most four times PROXYPROTO_MAX bytes of the arena; nothing points into `in`. */
long proxyproto_parse(struct str in, struct arena *, struct proxyproto *);

/* Writes one, at most PROXYPROTO_MAX bytes. Returns its length. Version 1 has addresses only; version 2 has all TLVs
 * that there is room for, and a checksum. */
size_t proxyproto_put(char to[static PROXYPROTO_MAX], int version, const struct proxyproto *);

#endif
