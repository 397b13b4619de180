#include "worker/net/proxyproto.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>

enum {
	V1_MAX = 107,                   /* bytes, CRLF included */
	V2_HEAD = 16,
	TLV_HEAD = 3,
	UNIX_PATH = 108,
	UNIQUE_ID_MAX = 128,
	SSL_HEAD = 5,
};

enum {
	TLV_ALPN = 0x01,
	TLV_AUTHORITY = 0x02,
	TLV_CRC32C = 0x03,
	TLV_NOOP = 0x04,
	TLV_UNIQUE_ID = 0x05,
	TLV_SSL = 0x20,
	TLV_SSL_VERSION = 0x21,
	TLV_SSL_CN = 0x22,
	TLV_SSL_CIPHER = 0x23,
};

enum { CLIENT_SSL = 1, CLIENT_CERT_CONN = 2, CLIENT_CERT_SESS = 4 };

static const char v1_mark[] = "PROXY ";
static const char v2_mark[] = "\r\n\r\n\0\r\nQUIT\n";

static struct str
mark(int version)
{
	return version == 1 ? (struct str){ v1_mark, sizeof(v1_mark) - 1 } :
			      (struct str){ v2_mark, sizeof(v2_mark) - 1 };
}

static int
begins(struct str in, int version)
{
	struct str m = mark(version);
	size_t n = in.len < m.len ? in.len : m.len;

	if (n && memcmp(in.at, m.at, n))
		return -1;
	return n == m.len;
}

int
proxyproto_begins(struct str in)
{
	int one = begins(in, 1), two = begins(in, 2);

	return one > two ? one : two;
}

/* ---- version 1 */

/* A port is written without zeros in front. */
static bool
v1_port(struct str text, uint16_t *port)
{
	unsigned long long n;

	if (text.len > 1 && *text.at == '0')
		return false;
	if (!str_u64(text, 65535, &n))
		return false;
	*port = (uint16_t)n;
	return true;
}

static bool
v1_ip(struct str text, bool six, struct addr *a)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	char z[INET6_ADDRSTRLEN];

	if (text.len >= sizeof(z) || memchr(text.at, 0, text.len))
		return false;
	memcpy(z, text.at, text.len);
	z[text.len] = '\0';
	if (inet_pton(six ? AF_INET6 : AF_INET, z,
		      six ? (void *)&in6.sin6_addr : (void *)&in.sin_addr) != 1)
		return false;
	addr_from_sockaddr(a, six ? (struct sockaddr *)&in6 : (struct sockaddr *)&in);
	return true;
}

/* "TCP4 192.0.2.1 198.51.100.1 56324 443", without its CRLF. */
static bool
v1_line(struct str line, struct proxyproto *p)
{
	struct str part[5], rest = line;
	size_t n = 0;
	bool six;

	if (str_eq(line, STR("UNKNOWN")) || str_starts(line, STR("UNKNOWN "))) {
		p->local = true;
		return true;
	}
	while (n < 5 && str_split(&rest, ' ', &part[n]))
		n++;
	if (n != 5 || rest.at || part[0].len != 4 || memcmp(part[0].at, "TCP", 3) ||
	    (part[0].at[3] != '4' && part[0].at[3] != '6'))
		return false;
	six = part[0].at[3] == '6';
	return v1_ip(part[1], six, &p->from) && v1_ip(part[2], six, &p->to) &&
	       v1_port(part[3], &p->from.port) && v1_port(part[4], &p->to.port);
}

static long
v1_parse(struct str in, struct proxyproto *p)
{
	struct str s = str_first(in, V1_MAX);
	ptrdiff_t cr = str_find(s, '\r');

	p->version = 1;
	if (cr < 0)
		return in.len >= V1_MAX ? -1 : 0;
	if ((size_t)cr + 1 == s.len)
		return s.len == V1_MAX ? -1 : 0;
	if (s.at[cr + 1] != '\n' ||
	    !v1_line(str_from(str_first(s, (size_t)cr), sizeof(v1_mark) - 1), p))
		return -1;
	return (long)cr + 2;
}

/* ---- version 2 */

static unsigned
get16(const char *at)
{
	return (unsigned)(uint8_t)at[0] << 8 | (uint8_t)at[1];
}

static uint32_t
get32(const char *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static uint32_t
crc32c(uint32_t crc, const char *at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		crc ^= (uint8_t)at[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0x82f63b78 & -(crc & 1));
	}
	return crc;
}

/* Of a header whose checksum lies at `sum`: those four bytes count as zeros. */
static uint32_t
checksum(struct str header, size_t sum)
{
	uint32_t crc = crc32c(0xffffffff, header.at, sum);

	crc = crc32c(crc, "\0\0\0", 4);
	return ~crc32c(crc, header.at + sum + 4, header.len - sum - 4);
}

/* Takes a TLV off the front. */
static bool
tlv_next(struct str *rest, struct proxyproto_tlv *t)
{
	size_t len;

	if (rest->len < TLV_HEAD)
		return false;
	len = get16(rest->at + 1);
	if (rest->len - TLV_HEAD < len)
		return false;
	t->type = (uint8_t)rest->at[0];
	t->value = (struct str){ rest->at + TLV_HEAD, len };
	*rest = str_from(*rest, TLV_HEAD + len);
	return true;
}

/* It may get into logs and headers. */
static bool
is_text(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((uint8_t)s.at[i] < 0x20 || s.at[i] == 0x7f)
			return false;
	return true;
}

static bool
take_text(struct str *to, struct str value)
{
	*to = value;
	return is_text(value);
}

static bool
take_ssl(struct proxyproto *p, struct str value)
{
	struct proxyproto_tlv t;
	struct str rest;
	unsigned client;

	if (value.len < SSL_HEAD)
		return false;
	client = (uint8_t)value.at[0];
	p->tls = client & CLIENT_SSL;
	p->verified = p->tls && client & (CLIENT_CERT_CONN | CLIENT_CERT_SESS) &&
		      get32(value.at + 1) == 0;
	for (rest = str_from(value, SSL_HEAD); rest.len;) {
		bool good = tlv_next(&rest, &t);

		if (good && t.type == TLV_SSL_VERSION)
			good = take_text(&p->tls_version, t.value);
		else if (good && t.type == TLV_SSL_CN)
			good = take_text(&p->cn, t.value);
		else if (good && t.type == TLV_SSL_CIPHER)
			good = take_text(&p->tls_cipher, t.value);
		if (!good)
			return false;
	}
	return true;
}

static bool
take_tlv(struct proxyproto *p, const struct proxyproto_tlv *t, struct str header)
{
	size_t sum;

	switch (t->type) {
	case TLV_ALPN:
		return take_text(&p->alpn, t->value);
	case TLV_AUTHORITY:
		return take_text(&p->authority, t->value);
	case TLV_UNIQUE_ID:
		p->unique_id = t->value;
		return t->value.len <= UNIQUE_ID_MAX;
	case TLV_SSL:
		return take_ssl(p, t->value);
	case TLV_CRC32C:
		sum = (size_t)(t->value.at - header.at);
		return t->value.len == 4 && get32(t->value.at) == checksum(header, sum);
	}
	return true;
}

static bool
take_tlvs(struct proxyproto *p, struct str header, size_t from, struct arena *a)
{
	struct proxyproto_tlv *all, t;
	struct str rest = str_from(header, from);
	size_t n = 0;

	for (struct str r = rest; r.len; n++)
		if (!tlv_next(&r, &t))
			return false;
	if (!n)
		return true;
	all = ARENA_NEWS(a, struct proxyproto_tlv, n);
	while (tlv_next(&rest, &t)) {
		if (!take_tlv(p, &t, header))
			return false;
		if (t.type != TLV_NOOP && t.type != TLV_CRC32C)
			all[p->ntlvs++] = t;
	}
	p->tlvs = all;
	return true;
}

/* The addresses, `len` bytes at most. Bytes that they took, or -1. */
static long
v2_addresses(const char *at, size_t len, unsigned family, struct proxyproto *p)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	switch (family) {
	case 1:
		if (len < 12)
			return -1;
		memcpy(&in.sin_addr, at, 4);
		memcpy(&in.sin_port, at + 8, 2);
		addr_from_sockaddr(&p->from, (struct sockaddr *)&in);
		memcpy(&in.sin_addr, at + 4, 4);
		memcpy(&in.sin_port, at + 10, 2);
		addr_from_sockaddr(&p->to, (struct sockaddr *)&in);
		return 12;
	case 2:
		if (len < 36)
			return -1;
		memcpy(&in6.sin6_addr, at, 16);
		memcpy(&in6.sin6_port, at + 32, 2);
		addr_from_sockaddr(&p->from, (struct sockaddr *)&in6);
		memcpy(&in6.sin6_addr, at + 16, 16);
		memcpy(&in6.sin6_port, at + 34, 2);
		addr_from_sockaddr(&p->to, (struct sockaddr *)&in6);
		return 36;
	case 3:
		p->from.family = p->to.family = AF_UNIX;
		return len < 2 * UNIX_PATH ? -1 : 2 * UNIX_PATH;
	}
	/* Unspecified: the proxy does not know. */
	p->local = true;
	return 0;
}

static long
v2_parse(struct str in, struct arena *a, struct proxyproto *p)
{
	unsigned command, family, transport;
	struct str header;
	long took;
	size_t len;

	if (in.len < V2_HEAD)
		return 0;
	p->version = 2;
	command = (uint8_t)in.at[12];
	family = (uint8_t)in.at[13] >> 4;
	transport = (uint8_t)in.at[13] & 15;
	len = V2_HEAD + get16(in.at + 14);
	if (command >> 4 != 2 || (command & 15) > 1 || len > PROXYPROTO_MAX)
		return -1;
	p->local = (command & 15) == 0;
	if (!p->local && (family > 3 || transport > 2))
		return -1;
	if (in.len < len)
		return 0;
	/* All of what a LOCAL header has is to be passed over. */
	if (p->local)
		return (long)len;
	header = arena_str(a, str_first(in, len));
	assert(header.at && header.len == len);
	took = v2_addresses(header.at + V2_HEAD, len - V2_HEAD, family, p);
	if (took < 0 || !take_tlvs(p, header, V2_HEAD + (size_t)took, a))
		return -1;
	return (long)len;
}

long
proxyproto_parse(struct str in, struct arena *a, struct proxyproto *p)
{
	*p = (struct proxyproto){ .version = 0 };
	switch (proxyproto_begins(in)) {
	case 0:
		return 0;
	case 1:
		return begins(in, 1) > 0 ? v1_parse(in, p) : v2_parse(in, a, p);
	}
	return -1;
}

/* ---- writing */

static bool
is_inet(const struct addr *a)
{
	return a->family == AF_INET || a->family == AF_INET6;
}

static bool
is_six(const struct proxyproto *p)
{
	return p->from.family == AF_INET6 || p->to.family == AF_INET6;
}

static size_t
v1_put(char *to, const struct proxyproto *p)
{
	bool six = is_six(p);
	char *at = to;

	if (p->local || !is_inet(&p->from) || !is_inet(&p->to)) {
		memcpy(to, "PROXY UNKNOWN\r\n", 15);
		return 15;
	}
	memcpy(at, six ? "PROXY TCP6 " : "PROXY TCP4 ", 11);
	at += 11;
	for (int i = 0; i < 2; i++) {
		const struct addr *a = i ? &p->to : &p->from;

		if (six && a->family == AF_INET) {
			memcpy(at, "::ffff:", 7);
			at += 7;
		}
		at = addr_put_ip(at, a);
		*at++ = ' ';
	}
	at = str_put_u64(at, p->from.port);
	*at++ = ' ';
	at = str_put_u64(at, p->to.port);
	memcpy(at, "\r\n", 2);
	return (size_t)(at + 2 - to);
}

static char *
put16(char *at, unsigned n)
{
	at[0] = (char)(n >> 8);
	at[1] = (char)n;
	return at + 2;
}

static char *
put_bytes(char *at, const void *from, size_t n)
{
	memcpy(at, from, n);
	return at + n;
}

/* Returns the end, or `at` when there is no room (or nothing to say). */
static char *
put_tlv(char *at, const char *end, unsigned type, struct str value)
{
	if (!value.at || value.len > 0xffff || (size_t)(end - at) < TLV_HEAD + value.len)
		return at;
	*at++ = (char)type;
	at = put16(at, (unsigned)value.len);
	return value.len ? put_bytes(at, value.at, value.len) : at;
}

static char *
put_ssl(char *at, const char *end, const struct proxyproto *p)
{
	char *to = at + TLV_HEAD + SSL_HEAD;

	if (!p->tls || to > end)
		return at;
	at[0] = TLV_SSL;
	at[3] = CLIENT_SSL;
	if (p->verified)
		at[3] |= CLIENT_CERT_CONN | CLIENT_CERT_SESS;
	memcpy(at + 4, p->verified ? "\0\0\0\0" : "\0\0\0\1", 4);
	to = put_tlv(to, end, TLV_SSL_VERSION, p->tls_version);
	to = put_tlv(to, end, TLV_SSL_CN, p->cn);
	to = put_tlv(to, end, TLV_SSL_CIPHER, p->tls_cipher);
	put16(at + 1, (unsigned)(to - at) - TLV_HEAD);
	return to;
}

static bool
has_field(unsigned type)
{
	return type == TLV_ALPN || type == TLV_AUTHORITY || type == TLV_UNIQUE_ID ||
	       type == TLV_SSL || type == TLV_CRC32C || type == TLV_NOOP;
}

static char *
put_addresses(char *at, const struct proxyproto *p)
{
	bool six = is_six(p);
	/* An IPv4 address is kept as its mapped one. */
	size_t skip = six ? 0 : 12;

	at = put_bytes(at, p->from.ip + skip, 16 - skip);
	at = put_bytes(at, p->to.ip + skip, 16 - skip);
	return put16(put16(at, p->from.port), p->to.port);
}

static size_t
v2_put(char *to, const struct proxyproto *p)
{
	const char *end = to + (PROXYPROTO_MAX - TLV_HEAD - 4);
	char *at = put_bytes(to, v2_mark, sizeof(v2_mark) - 1) + 4;
	uint32_t crc;

	to[12] = p->local ? 0x20 : 0x21;
	to[13] = 0;
	put16(to + 14, 0);
	if (p->local)
		return V2_HEAD;
	if (is_inet(&p->from) && is_inet(&p->to)) {
		to[13] = is_six(p) ? 0x21 : 0x11;
		at = put_addresses(at, p);
	}
	at = put_tlv(at, end, TLV_ALPN, p->alpn);
	at = put_tlv(at, end, TLV_AUTHORITY, p->authority);
	at = put_tlv(at, end, TLV_UNIQUE_ID, p->unique_id);
	at = put_ssl(at, end, p);
	for (uint32_t i = 0; i < p->ntlvs; i++)
		if (!has_field(p->tlvs[i].type))
			at = put_tlv(at, end, p->tlvs[i].type, p->tlvs[i].value);
	at = put_tlv(at, end + TLV_HEAD + 4, TLV_CRC32C, STR("\0\0\0\0"));
	put16(to + 14, (unsigned)(at - to) - V2_HEAD);
	crc = checksum((struct str){ to, (size_t)(at - to) }, (size_t)(at - to) - 4);
	put16(put16(at - 4, crc >> 16), crc & 0xffff);
	return (size_t)(at - to);
}

size_t
proxyproto_put(char to[static PROXYPROTO_MAX], int version, const struct proxyproto *p)
{
	return version == 1 ? v1_put(to, p) : v2_put(to, p);
}
