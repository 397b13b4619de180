#include "worker/net/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static void
set_ip4(struct addr *a, const void *ip)
{
	memcpy(a->ip, mapped, sizeof mapped);
	memcpy(a->ip + 12, ip, 4);
	a->family = AF_INET;
}

static void
set_ip6(struct addr *a, const void *ip)
{
	memcpy(a->ip, ip, 16);
	a->family = memcmp(ip, mapped, sizeof mapped) ? AF_INET6 : AF_INET;
}

/* An address without brackets and port. */
static bool
parse_ip(struct addr *a, struct str text)
{
	char z[INET6_ADDRSTRLEN];
	uint8_t ip[16];

	if (text.len == 0 || text.len >= sizeof z || memchr(text.at, 0, text.len))
		return false;
	memcpy(z, text.at, text.len);
	z[text.len] = 0;
	if (inet_pton(AF_INET, z, ip) == 1)
		set_ip4(a, ip);
	else if (inet_pton(AF_INET6, z, ip) == 1)
		set_ip6(a, ip);
	else
		return false;
	return true;
}

static bool
parse_port(struct addr *a, struct str text)
{
	unsigned long long port;

	if (!str_u64(text, 65535, &port))
		return false;
	a->port = (uint16_t)port;
	return true;
}

bool
addr_parse(struct addr *a, struct str text)
{
	ptrdiff_t colon, close;

	*a = (struct addr){ .family = 0 };
	if (text.len && *text.at == '[') {
		close = str_find(text, ']');
		if (close < 2 || !memchr(text.at, ':', (size_t)close) ||
		    !parse_ip(a, (struct str){ text.at + 1, (size_t)close - 1 }))
			return false;
		text = str_from(text, (size_t)close + 1);
		return !text.len || (*text.at == ':' && parse_port(a, str_from(text, 1)));
	}
	colon = str_find(text, ':');
	if (colon >= 0 && str_find(str_from(text, (size_t)colon + 1), ':') < 0)
		return parse_ip(a, str_first(text, (size_t)colon)) &&
		       parse_port(a, str_from(text, (size_t)colon + 1));
	return parse_ip(a, text);
}

void
addr_from_sockaddr(struct addr *a, const struct sockaddr *sa)
{
	const struct sockaddr_in *in = (const void *)sa;
	const struct sockaddr_in6 *in6 = (const void *)sa;

	*a = (struct addr){ .family = 0 };
	switch (sa->sa_family) {
	case AF_INET:
		set_ip4(a, &in->sin_addr);
		a->port = ntohs(in->sin_port);
		break;
	case AF_INET6:
		set_ip6(a, &in6->sin6_addr);
		a->port = ntohs(in6->sin6_port);
		break;
	case AF_UNIX:
		a->family = AF_UNIX;
		break;
	}
}

socklen_t
addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *to)
{
	struct sockaddr_in *in = (void *)to;
	struct sockaddr_in6 *in6 = (void *)to;

	memset(to, 0, sizeof *to);
	to->ss_family = a->family;
	switch (a->family) {
	case AF_INET:
		memcpy(&in->sin_addr, a->ip + 12, 4);
		in->sin_port = htons(a->port);
		return sizeof *in;
	case AF_INET6:
		memcpy(&in6->sin6_addr, a->ip, 16);
		in6->sin6_port = htons(a->port);
		return sizeof *in6;
	}
	return sizeof to->ss_family;
}

/* Written for each request (X-Forwarded-For), so not by inet_ntop(). */
static char *
put_ip4(char *to, const uint8_t *ip)
{
	for (int i = 0; i < 4; i++) {
		unsigned n = ip[i];

		if (i)
			*to++ = '.';
		if (n >= 100)
			*to++ = (char)('0' + n / 100);
		if (n >= 10)
			*to++ = (char)('0' + n / 10 % 10);
		*to++ = (char)('0' + n % 10);
	}
	return to;
}

char *
addr_put_ip(char *to, const struct addr *a)
{
	switch (a->family) {
	case AF_INET:
		return put_ip4(to, a->ip + 12);
	case AF_INET6:
		if (!inet_ntop(AF_INET6, a->ip, to, ADDR_TEXT))
			return to;
		return to + strlen(to);
	case AF_UNIX:
		memcpy(to, "unix", 4);
		return to + 4;
	}
	*to = '-';
	return to + 1;
}

char *
addr_put(char *to, const struct addr *a)
{
	if (a->family == AF_INET6)
		*to++ = '[';
	to = addr_put_ip(to, a);
	if (a->family == AF_INET6)
		*to++ = ']';
	if (a->family == AF_INET || a->family == AF_INET6) {
		*to++ = ':';
		to = str_put_u64(to, a->port);
	}
	return to;
}

bool
addr_same_ip(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

bool
prefix_parse(struct prefix *p, struct str text)
{
	struct addr a = { .family = 0 };
	unsigned long long bits;
	ptrdiff_t slash;
	bool ip4;

	*p = (struct prefix){ .bits = 0 };
	if (str_eq(text, STR("unix"))) {
		p->any_unix = true;
		return true;
	}
	slash = str_find(text, '/');
	if (!parse_ip(&a, slash < 0 ? text : str_first(text, (size_t)slash)))
		return false;
	ip4 = str_find(text, ':') < 0;
	bits = ip4 ? 32 : 128;
	if (slash >= 0 && !str_u64(str_from(text, (size_t)slash + 1), bits, &bits))
		return false;
	p->bits = (uint8_t)(ip4 ? bits + 96 : bits);
	for (unsigned i = 0; i < 16; i++) {
		unsigned left = p->bits > i * 8 ? p->bits - i * 8 : 0;

		p->ip[i] = left >= 8 ? a.ip[i] : (uint8_t)(a.ip[i] & (0xff00 >> left));
	}
	return true;
}

bool
prefix_has(const struct prefix *p, const struct addr *a)
{
	unsigned whole = p->bits / 8, rest = p->bits % 8;

	if (a->family != AF_INET && a->family != AF_INET6)
		return p->any_unix && a->family == AF_UNIX;
	if (p->any_unix || memcmp(p->ip, a->ip, whole))
		return false;
	return !rest || !((p->ip[whole] ^ a->ip[whole]) & (0xff00 >> rest) & 0xff);
}
