#include <arpa/inet.h>

#include "conf/reader.h"

enum { TEXT_MAX = 64 };

static bool
is_ip(struct str s, int family)
{
	char buf[TEXT_MAX];
	unsigned char ip[16];

	if (!s.len || s.len >= sizeof(buf))
		return false;
	memcpy(buf, s.at, s.len);
	buf[s.len] = '\0';
	return inet_pton(family, buf, ip) == 1;
}

static bool
is_port(struct str s, uint16_t *port)
{
	unsigned long long v;

	if (!str_u64(s, 65535, &v) || !v || (*s.at == '0'))
		return false;
	*port = (uint16_t)v;
	return true;
}

/* host:port at the last colon, [v6]:port; no port: rest is empty. False: the brackets are
 * odd. */
static bool
host_port(struct str s, struct str *host, struct str *port, bool *v6)
{
	*port = STR_NONE;
	*v6 = s.len && *s.at == '[';
	if (*v6) {
		ptrdiff_t end = str_find(s, ']');

		if (end < 0)
			return false;
		*host = (struct str){ s.at + 1, (size_t)end - 1 };
		s = str_from(s, (size_t)end + 1);
		if (!s.len)
			return true;
		*port = str_from(s, 1);
		return *s.at == ':' && port->len;
	}

	ptrdiff_t colon = str_find(s, ':');

	*host = colon < 0 ? s : str_first(s, (size_t)colon);
	if (colon >= 0)
		*port = str_from(s, (size_t)colon + 1);
	return colon < 0 || (port->len && str_find(*port, ':') < 0);
}

bool
is_address(struct str s)
{
	return is_ip(s, AF_INET) || is_ip(s, AF_INET6);
}

static const char *
unix_error(struct str path)
{
	if (!path.len || *path.at != '/')
		return "a socket has an absolute path: \"unix:/run/app.sock\"";
	if (path.len > 107)
		return "the path of a socket has at most 107 bytes";
	return NULL;
}

const char *
bind_error(struct str s)
{
	struct str host, port;
	uint16_t number;
	bool v6;

	if (str_starts(s, STR("unix:")))
		return unix_error(str_from(s, 5));
	if (str_starts(s, STR("http")) && memmem(s.at, s.len, "://", 3))
		return "an address has no scheme: \"0.0.0.0:80\"";
	if (!host_port(s, &host, &port, &v6))
		return "an address is \"0.0.0.0:80\", \"[::]:80\" or \"unix:/path\"";
	if (!port.len)
		return "the port is missing: \"0.0.0.0:80\"";
	if (!is_port(port, &number))
		return "a port is 1 to 65535";
	if (!host.len || str_eq(host, STR("*")))
		return "write \"0.0.0.0:PORT\" for all IPv4 addresses, \"[::]:PORT\" for "
		       "all IPv6 ones";
	if (str_eq(host, STR("localhost")))
		return "names are not resolved here; write \"127.0.0.1:PORT\" or "
		       "\"[::1]:PORT\"";
	if (!is_ip(host, v6 ? AF_INET6 : AF_INET))
		return "this is no IP address, and names are not resolved here";
	return NULL;
}

const char *
prefix_error(struct str s)
{
	ptrdiff_t slash = str_find(s, '/');
	struct str ip = slash < 0 ? s : str_first(s, (size_t)slash);
	bool v4 = is_ip(ip, AF_INET);
	unsigned long long bits;

	if (str_eq(s, STR("unix")))
		return NULL;
	if (!v4 && !is_ip(ip, AF_INET6))
		return "write an address, a prefix such as \"10.0.0.0/8\", or \"unix\"";
	if (slash >= 0 && !str_u64(str_from(s, (size_t)slash + 1), v4 ? 32 : 128, &bits))
		return v4 ? "a prefix of IPv4 has 0 to 32 bits"
			  : "a prefix of IPv6 has 0 to 128 bits";
	return NULL;
}

int
prefixes_check(struct conf_load *l, const struct conf_strs *s, const char *key)
{
	int result = 0;

	for (size_t i = 0; i < s->n; i++) {
		const char *error = s->at[i].at ? prefix_error(s->at[i]) : NULL;

		if (!error)
			continue;
		conf_error(l, 219, s->where[i], "\"%s\": \"%.*s\" is no address: %s", key,
			   STR_ARG(str_first(s->at[i], 60)), error);
		result = -1;
	}
	return result;
}

bool
is_host(struct str s)
{
	if (!s.len || s.len > 253)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = char_lower((unsigned char)s.at[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
		      c == '-' || c == '_'))
			return false;
	}
	return true;
}

const char *
authority_error(struct str s)
{
	struct str host, port;
	uint16_t number;
	bool v6;

	if (memmem(s.at, s.len, "://", 3) || str_find(s, '/') >= 0)
		return "a name and a port, without scheme and path: \"api.example.com:443\"";
	if (!host_port(s, &host, &port, &v6))
		return "a name and a port: \"api.example.com:443\"";
	if (!port.len)
		return "the port is missing: \"api.example.com:443\"";
	if (!is_port(port, &number))
		return "a port is 1 to 65535; each is written out";
	if (v6)
		return is_ip(host, AF_INET6) ? NULL : "this is no IPv6 address";
	if (str_eq(host, STR("*")))
		return "every name would be everybody, this machine included; a wildcard is "
		       "\"*.example.com:443\"";
	if (str_starts(host, STR("*.")))
		host = str_from(host, 2);
	if (str_find(host, '*') >= 0)
		return "a wildcard stands for the labels in front: \"*.example.com:443\"";
	return is_host(host) ? NULL : "this is no name of a host";
}

static int
bad_target(struct conf_load *l, struct where w, struct str url, const char *why)
{
	conf_error(l, 220, w, "target \"%.*s\": %s", STR_ARG(str_first(url, 100)), why);
	return -1;
}

int
target_parse(struct conf_load *l, struct conf_target *t, struct str url, struct where w)
{
	struct str rest = url, port;
	bool v6;

	t->url = url;
	t->where = w;
	if (str_starts(url, STR("unix:"))) {
		const char *error = unix_error(str_from(url, 5));

		t->path = str_from(url, 5);
		return error ? bad_target(l, w, url, error) : 0;
	}
	t->tls = str_starts(url, STR("https://"));
	if (!t->tls && !str_starts(url, STR("http://"))) {
		if (memmem(url.at, url.len, "://", 3))
			return bad_target(
				l, w, url,
				"the scheme is http:// or https://, or unix:/path for a "
				"socket");
		if (str_find(url, ' ') >= 0)
			return bad_target(l, w, url,
					  "one address each; with a weight: ( { url = "
					  "\"http://host:port\"; weight = 3; } )");
		return bad_target(
			l, w, url,
			arena_printf(&l->scratch, "write \"%s%.*s\"",
				     url.len && *url.at == '/' ? "unix:" : "http://",
				     STR_ARG(str_first(url, 100)))
				.at);
	}
	rest = str_from(url, t->tls ? 8 : 7);
	if (rest.len && rest.at[rest.len - 1] == '/')
		rest.len--;
	if (str_find(rest, '@') >= 0)
		return bad_target(l, w, url, "a target has no user and password");
	if (str_find(rest, '/') >= 0 || str_find(rest, '?') >= 0 ||
	    str_find(rest, '#') >= 0)
		return bad_target(l, w, url,
				  "a target has no path; use rewrite of the route");
	if (!host_port(rest, &t->host, &port, &v6))
		return bad_target(l, w, url,
				  "write \"http://host:port\" or \"http://[::1]:port\"");
	t->port = t->tls ? 443 : 80;
	if (port.len && !is_port(port, &t->port))
		return bad_target(l, w, url, "a port is 1 to 65535");
	if (v6 ? !is_ip(t->host, AF_INET6) : !is_host(t->host))
		return bad_target(l, w, url,
				  v6 ? "this is no IPv6 address"
				     : "this is no name of a host");
	/* Whoever calls getaddrinfo() wants its end. */
	t->host = arena_str(l->image, t->host);
	return 0;
}
