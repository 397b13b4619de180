#include "worker/exchange/names.h"

#include "base/clock.h"
#include "worker/exchange/clientcert.h"
#include "worker/exchange/context.h"
#include "worker/exchange/links.h"
#include "worker/http/uri.h"
#include "worker/upstream/upstream.h"

#define GETTER(name) \
	static struct str \
	get_##name(struct exchange *x __attribute__((unused)), \
		   struct str arg __attribute__((unused)), \
		   enum token token __attribute__((unused)))

static struct str
number(struct exchange *x, uint64_t n)
{
	char *to = arena_alloc_aligned(&x->arena, 20, 1);

	return (struct str){ to, (size_t)(str_put_u64(to, n) - to) };
}

static struct str
address(struct exchange *x, const struct addr *a)
{
	char *to = arena_alloc_aligned(&x->arena, ADDR_TEXT, 1);

	return (struct str){ to, (size_t)(addr_put_ip(to, a) - to) };
}

/* Several lines of one name are one list (RFC 9110 §5.3); cookies are joined by "; ". */
static struct str
join(struct exchange *x, const struct headers *h, const struct header *first)
{
	struct str sep = first->token == TOKEN_COOKIE ? STR("; ") : STR(", ");
	const struct header *next = headers_next(h, first);
	size_t len = first->value.len;
	char *to, *at;

	if (!next)
		return first->value;
	for (; next; next = headers_next(h, next))
		len += sep.len + next->value.len;
	to = at = arena_alloc_aligned(&x->arena, len, 1);
	for (next = first; next; next = headers_next(h, next)) {
		if (next != first)
			at = mempcpy(at, sep.at, sep.len);
		at = mempcpy(at, next->value.at ? next->value.at : "", next->value.len);
	}
	return (struct str){ to, len };
}

static struct str
header_value(struct exchange *x, const struct headers *h, struct str name,
	     enum token token)
{
	const struct header *first;

	if (token != TOKEN_OTHER)
		first = headers_has(h, token) ? headers_get(h, token) : NULL;
	else
		first = headers_find(h, name);
	return first ? join(x, h, first) : STR_NONE;
}

GETTER(client_ip) { return exchange_client_ip(x); }
GETTER(client_port) { return number(x, x->client_addr.port); }
GETTER(peer_ip) { return address(x, &x->peer); }
GETTER(method) { return x->request.method_text; }
GETTER(host) { return x->host; }
GETTER(scheme) { return x->scheme; }
GETTER(path) { return x->path; }
GETTER(query) { return x->request.query; }
GETTER(path_sent) { return x->request.path; }
GETTER(consumer) { return x->consumer; }
GETTER(plan) { return x->plan ? x->plan->name : STR_NONE; }
GETTER(key_id) { return x->key_id; }
GETTER(route) { return x->match.route ? x->match.route->conf->name : STR_NONE; }
GETTER(service) { return x->match.service ? x->match.service->conf->name : STR_NONE; }
GETTER(listener) { return x->listener ? x->listener->name : STR_NONE; }
GETTER(request_id) { return exchange_id(x); }
GETTER(status) { return number(x, x->status); }
GETTER(reason) { return fault_info[x->fault].reason; }
GETTER(bytes_in) { return number(x, x->bytes_in); }
GETTER(bytes_out) { return number(x, x->bytes_out); }
GETTER(duration_us) { return number(x, exchange_duration(x) / 1000); }
GETTER(duration_ms) { return number(x, exchange_duration(x) / 1000000); }
GETTER(attempts) { return number(x, x->attempts); }
GETTER(version) { return exchange_version(x); }
GETTER(cookie) { return exchange_cookie(x, arg); }
GETTER(capture) { return exchange_capture(x, arg); }

GETTER(header)
{
	/* The line may be gone: the exchange keeps it in request.host. */
	if (token == TOKEN_HOST)
		return x->request.host;
	return header_value(x, &x->request.headers, arg, token);
}

GETTER(response_header)
{
	return header_value(x, &x->response.headers, arg, token);
}

GETTER(query_value)
{
	struct str value;

	return uri_query(x->request.query, arg, &x->arena, &value) ? value : STR_NONE;
}

/* Seconds with six decimals. */
GETTER(duration)
{
	uint64_t us = exchange_duration(x) / 1000;
	char *to = arena_alloc_aligned(&x->arena, 28, 1);
	char *at = str_put_u64(to, us / 1000000);

	*at++ = '.';
	for (uint64_t unit = 100000, rest = us % 1000000; unit; unit /= 10)
		*at++ = (char)('0' + rest / unit % 10);
	return (struct str){ to, (size_t)(at - to) };
}

GETTER(time)
{
	return arena_str(&x->arena, (struct str){ clock_iso(), 24 });
}

GETTER(upstream) { return exchange_upstream_name(x); }
GETTER(upstream_target) { return exchange_target_name(x); }

struct str
exchange_upstream_name(const struct exchange *x)
{
	return x->cluster ? x->cluster->conf->name : STR_NONE;
}

struct str
exchange_target_name(const struct exchange *x)
{
	return x->member ? x->member->target->name : STR_NONE;
}

struct str
exchange_version(const struct exchange *x)
{
	if (x->codec && strcmp(x->codec, "h2") == 0)
		return STR("2");
	return x->request.minor ? STR("1.1") : STR("1.0");
}

uint64_t
exchange_generation(const struct exchange *x)
{
	return x->gen ? x->gen->number : 0;
}

struct str
exchange_policy_name(const struct exchange *x)
{
	const struct link *by = x->answered_by;

	if (!by)
		return STR_NONE;
	return by->conf->name.len ? by->conf->name : str_of(by->policy->conf.name);
}

GETTER(policy) { return exchange_policy_name(x); }

GETTER(tls_version) { return exchange_tls(x)->version; }
GETTER(tls_cipher) { return exchange_tls(x)->cipher; }
GETTER(tls_sni) { return exchange_tls(x)->sni; }
GETTER(tls_subject) { return exchange_tls(x)->subject; }
GETTER(tls_issuer) { return exchange_tls(x)->issuer; }
GETTER(tls_serial) { return exchange_tls(x)->serial; }
GETTER(tls_san) { return exchange_tls(x)->san; }
GETTER(tls_fingerprint) { return exchange_tls(x)->fingerprint; }
GETTER(tls_verified) { return exchange_tls(x)->verified ? STR("true") : STR("false"); }

#define NAME(n, k, g, h) { .name = n, .kind = TEMPLATE_##k, .get = get_##g, .help = h }
#define WHO(n, g, h) \
	{ .name = n, .kind = TEMPLATE_TEXT, .identity = true, .get = get_##g, .help = h }
#define WITH(n, k, g, h) \
	{ .name = n, .takes_name = true, .kind = TEMPLATE_##k, .get = get_##g, .help = h }
#define LATER(n, h)      { .name = n, .takes_name = true, .later = true, .help = h }

const struct template_name template_names[] = {
	NAME("client.ip", TEXT, client_ip, "address of the client, as believed"),
	NAME("client.port", NUMBER, client_port,
	     "its port; 0 when only a proxy knows it"),
	NAME("peer.ip", TEXT, peer_ip, "address of the connection's other end"),
	NAME("method", TEXT, method, "method of the request"),
	NAME("scheme", TEXT, scheme, "http or https, as the client used it"),
	NAME("host", TEXT, host, "host of the request in lower case, without port"),
	NAME("path", TEXT, path, "path of the request, normalised"),
	NAME("query", QUERY, query, "query of the request, without \"?\""),
	NAME("version", TEXT, version, "version of HTTP that the client speaks: 1.0, 1.1 or 2"),
	WITH("header.", HEADER, header, "a request header, all lines of it joined"),
	WITH("query.", QUERY_VALUE, query_value, "a query parameter, decoded"),
	WITH("cookie.", COOKIE, cookie, "a cookie of the request"),
	WHO("consumer", consumer, "who a policy found it to be"),
	WHO("plan", plan, "the plan of the consumer"),
	WHO("key.id", key_id, "the id of the API key, as `postern key` shows it"),
	NAME("listener", TEXT, listener, "name of the listener"),
	NAME("service", TEXT, service, "name of the service"),
	NAME("route", TEXT, route, "name of the route"),
	NAME("request.id", TEXT, request_id, "id of the request"),
	NAME("path.sent", TEXT, path_sent, "path that the upstream was asked for"),
	NAME("upstream", TEXT, upstream, "name of the upstream"),
	NAME("upstream.target", TEXT, upstream_target, "target of the last attempt"),
	NAME("attempts", NUMBER, attempts, "upstream attempts made"),
	NAME("status", NUMBER, status, "status sent to the client; 0 before"),
	NAME("reason", TEXT, reason,
	     "why the gateway answered by itself; empty if it did not"),
	NAME("policy", TEXT, policy, "the policy that answered; empty if none did"),
	WITH("response.header.", HEADER, response_header,
	     "a response header, all lines of it joined"),
	NAME("bytes.in", NUMBER, bytes_in, "bytes of the request body"),
	NAME("bytes.out", NUMBER, bytes_out, "bytes of the response body"),
	NAME("duration", NUMBER, duration,
	     "seconds since the request began, with six decimals"),
	NAME("duration.ms", NUMBER, duration_ms, "the same in milliseconds"),
	NAME("duration.us", NUMBER, duration_us, "the same in microseconds"),
	NAME("time", TEXT, time, "time now, 2026-11-21T07:27:00.123Z"),
	LATER("claim.", "a claim of the token"),
	NAME("tls.version", TEXT, tls_version,
	     "TLSv1.2 or TLSv1.3, of the client's connection; empty: no TLS"),
	NAME("tls.cipher", TEXT, tls_cipher, "its cipher suite"),
	NAME("tls.sni", TEXT, tls_sni, "the name that the client asked for in its handshake"),
	NAME("tls.client.subject", TEXT, tls_subject,
	     "subject of the client's certificate (RFC 2253); empty: it showed none"),
	NAME("tls.client.issuer", TEXT, tls_issuer, "who signed the client's certificate"),
	NAME("tls.client.serial", TEXT, tls_serial, "its serial number, hex"),
	NAME("tls.client.san", TEXT, tls_san,
	     "its alternative names: \"DNS:a.example, URI:spiffe://example/a\""),
	NAME("tls.client.fingerprint", TEXT, tls_fingerprint, "its SHA-256, hex"),
	NAME("tls.client.verified", TEXT, tls_verified,
	     "true: it has shown a certificate, and that is good; else false"),
	{ .name = NULL },
};

const struct template_name template_capture =
	NAME("CAPTURE", CAPTURE, capture,
	     "a name of the route's match; \"*\" is the rest of a prefix");
