#include "worker/exchange/clientcert.h"

#include "base/base64.h"
#include "worker/http/conn.h"

static const struct str xfcc = { "x-forwarded-client-cert", 23 };
static const struct str client_cert = { "client-cert", 11 };
static const struct str client_cert_chain = { "client-cert-chain", 17 };

const struct tls_info *
exchange_tls(const struct exchange *x)
{
	static const struct tls_info none;

	return x->tls ? x->tls : &none;
}

static const struct hello_facts *
facts_of(const struct exchange *x)
{
	return x->client && x->client->conn ? x->client->conn->facts : NULL;
}

/* ---- lines that only those may send who are believed */

/* Equal but for case, and for "_" where `name` has "-". */
static bool
same_folded(struct str sent, struct str name)
{
	if (sent.len != name.len)
		return false;
	for (size_t i = 0; i < sent.len; i++) {
		unsigned char a = char_lower((unsigned char)sent.at[i]);

		if ((a == '_' ? '-' : a) != char_lower((unsigned char)name.at[i]))
			return false;
	}
	return true;
}

/* A trusted peer that says by a PROXY header whose connection it is, and by
 * client_cert_from whose certificate that was: what else stands in the head may be
 * the client's own. */
static bool
said_behind_proxy(const struct exchange *x, struct str name)
{
	const struct conf_strs *from = &x->listener->client_cert_from;
	const struct hello_facts *f = facts_of(x);
	bool listed = false;

	for (size_t i = 0; i < from->n && !listed; i++)
		listed = str_caseeq(name, from->at[i]);
	return listed && f && f->proxied;
}

static bool
may_not_say(const struct exchange *x, struct str sent, struct str name)
{
	return same_folded(sent, name) &&
	       (!str_caseeq(sent, name) || !(x->trusted || said_behind_proxy(x, name)));
}

static void
strip(struct exchange *x)
{
	const struct conf_strs *from = &x->listener->client_cert_from;
	struct headers *h = &x->request.headers;

	for (uint32_t i = 0; i < h->n; i++) {
		struct header *l = &h->at[i];
		struct str name = l->name;
		char first = name.len ? name.at[0] | 0x20 : 0;

		if (first == 'x')
			l->gone |= may_not_say(x, name, xfcc);
		else if (first == 'c')
			l->gone |= may_not_say(x, name, client_cert) ||
				   may_not_say(x, name, client_cert_chain);
		for (size_t k = 0; k < from->n && !l->gone; k++)
			l->gone = may_not_say(x, name, from->at[k]);
	}
}

/* ---- what a trusted peer says */

/* The end of what ends with `by` outside of quotes, in which a backslash escapes. */
static size_t
up_to(struct str s, char by)
{
	bool quoted = false;

	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] == '"')
			quoted = !quoted;
		else if (s.at[i] == '\\' && quoted)
			i++;
		else if (s.at[i] == by && !quoted)
			return i;
	}
	return s.len;
}

static bool
take(struct str *rest, char by, struct str *part)
{
	size_t n;

	if (!rest->len)
		return false;
	n = up_to(*rest, by);
	*part = str_trim(str_first(*rest, n));
	*rest = str_from(*rest, n + 1);
	return true;
}

/* What follows the last comma outside of quotes. Read from the right: what a
 * stranger may have said further left, such as a quote that does not end, has no say
 * in it. */
static struct str
last_element(struct str list)
{
	bool quoted = false;
	size_t at = list.len;

	for (; at > 0; at--) {
		size_t escapes = 0;

		if (list.at[at - 1] == ',' && !quoted)
			break;
		if (list.at[at - 1] != '"')
			continue;
		while (escapes < at - 1 && list.at[at - 2 - escapes] == '\\')
			escapes++;
		if (!quoted || escapes % 2 == 0)
			quoted = !quoted;
	}
	return str_trim(str_from(list, at));
}

static struct str
unquoted(struct exchange *x, struct str s)
{
	char *to, *at;

	if (s.len < 2 || s.at[0] != '"' || s.at[s.len - 1] != '"')
		return s;
	s = (struct str){ s.at + 1, s.len - 2 };
	if (str_find(s, '\\') < 0)
		return s;
	to = at = arena_alloc_aligned(&x->arena, s.len, 1);
	for (size_t i = 0; i < s.len; i++) {
		/* Other pairs are of the subject itself (RFC 2253). */
		if (s.at[i] == '\\' && i + 1 < s.len && s.at[i + 1] == '"')
			i++;
		*at++ = s.at[i];
	}
	return (struct str){ to, (size_t)(at - to) };
}

static void
add_san(struct exchange *x, struct tls_info *info, const char *kind, struct str value)
{
	info->san = arena_printf(&x->arena, "%.*s%s%s:%.*s", STR_ARG(info->san),
				 info->san.len ? ", " : "", kind, STR_ARG(value));
}

static bool
read_xfcc(struct exchange *x, struct str line, struct tls_info *info)
{
	struct str element = last_element(line), pair;

	while (take(&element, ';', &pair)) {
		struct str key, value = pair;

		if (!take(&value, '=', &key))
			continue;
		value = unquoted(x, str_trim(value));
		if (str_caseeq(key, STR("hash"))) {
			info->fingerprint = value;
		} else if (str_caseeq(key, STR("subject"))) {
			info->subject = value;
		} else if (str_caseeq(key, STR("uri")) && value.len) {
			info->uri = info->uri.len ? info->uri : value;
			add_san(x, info, "URI", value);
		} else if (str_caseeq(key, STR("dns")) && value.len) {
			info->dns = info->dns.len ? info->dns : value;
			add_san(x, info, "DNS", value);
		}
	}
	return info->fingerprint.len || info->subject.len || info->san.len;
}

/* A byte sequence of RFC 8941: base64 between colons. */
static bool
read_client_cert(struct exchange *x, struct str value, struct tls_info *info)
{
	char *der;
	ssize_t n;

	if (value.len < 2 || value.at[0] != ':' || value.at[value.len - 1] != ':')
		return false;
	value = (struct str){ value.at + 1, value.len - 2 };
	der = arena_alloc_aligned(&x->arena, value.len, 1);
	n = base64_get(der, value);
	return n > 0 && tls_describe((struct str){ der, (size_t)n }, &x->arena, info);
}

/* One line says it, and is believed whole, but an element more may be added to XFCC. */
static bool
read_line(struct exchange *x, struct str name, struct tls_info *info)
{
	const struct headers *h = &x->request.headers;
	const struct header *line = headers_find(h, name), *next;
	bool elements = str_caseeq(name, xfcc);

	if (!line)
		return false;
	while ((next = headers_next(h, line))) {
		if (!elements)
			return false;
		line = next;
	}
	if (elements)
		return read_xfcc(x, line->value, info);
	if (str_caseeq(name, client_cert))
		return read_client_cert(x, line->value, info);
	info->subject = line->value;
	return line->value.len > 0;
}

/* Of the connection stays what is of the connection. */
static struct tls_info *
without_client(struct exchange *x, const struct tls_info *of)
{
	struct tls_info *info = ARENA_NEW(&x->arena, struct tls_info);

	info->version = of->version;
	info->cipher = of->cipher;
	info->group = of->group;
	info->sni = of->sni;
	info->alpn = of->alpn;
	info->resumed = of->resumed;
	return info;
}

static void
believe(struct exchange *x)
{
	const struct conf_strs *from = &x->listener->client_cert_from;
	const struct tls_info *connection = exchange_tls(x);

	x->tls = without_client(x, connection);
	for (size_t i = 0; i < from->n; i++) {
		struct tls_info *info = without_client(x, connection);

		info->verified = read_line(x, from->at[i], info);
		if (info->verified) {
			x->tls = info;
			return;
		}
	}
}

/* As RFC 2253 §2.4 writes it: no name can pose as more than one. */
static struct str
common_name(struct exchange *x, struct str cn)
{
	char *to = arena_alloc_aligned(&x->arena, 3 + 2 * cn.len, 1), *at = to;

	at = mempcpy(at, "CN=", 3);
	for (size_t i = 0; i < cn.len; i++) {
		bool edge = (cn.at[i] == ' ' && (i == 0 || i + 1 == cn.len)) ||
			    (cn.at[i] == '#' && i == 0);

		if (edge || strchr(",+\"\\<>;=", cn.at[i]))
			*at++ = '\\';
		*at++ = cn.at[i];
	}
	return (struct str){ to, (size_t)(at - to) };
}

/* The PROXY header of a trusted peer: by TLS, perhaps with a certificate. */
static void
proxied(struct exchange *x, const struct proxyproto *p)
{
	struct tls_info *info;

	x->scheme = STR("https");
	if (!p->verified || !p->cn.len)
		return;
	info = without_client(x, exchange_tls(x));
	info->subject = common_name(x, p->cn);
	info->verified = true;
	x->tls = info;
}

void
clientcert_begin(struct exchange *x)
{
	const struct hello_facts *f = facts_of(x);

	if (headers_has(&x->request.headers, TOKEN_OTHER))
		strip(x);
	if (f && f->tls.version.len) {
		x->tls = &f->tls;
		x->scheme = STR("https");
	} else if (f && f->proxied && f->proxy.tls) {
		proxied(x, &f->proxy);
	}
	if (x->listener->client_cert_from.n && (x->trusted || (f && f->proxied)))
		believe(x);
}

void
clientcert_keep(struct exchange *x)
{
	const struct hello_facts *f = facts_of(x);
	struct tls_info *info;

	if (!f || !x->tls)
		return;
	info = arena_alloc(&x->arena, sizeof(*info));
	*info = *x->tls;
	struct str *all[] = { &info->version, &info->cipher, &info->group, &info->sni,
			      &info->alpn, &info->subject, &info->issuer, &info->serial,
			      &info->san, &info->uri, &info->dns, &info->fingerprint };
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		*all[i] = arena_str(&x->arena, *all[i]);
	x->tls = info;
}

/* ---- telling the upstream */

static char *
put(char *to, struct str s)
{
	return s.len ? mempcpy(to, s.at, s.len) : to;
}

/* A value of a certificate is whatever its authority signed. */
static bool
is_plain(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.at[i] < ' ' || (unsigned char)s.at[i] >= 0x7f)
			return false;
	return s.len > 0;
}

/* ;KEY=value, quoted where it holds what divides. A subject (RFC 2253) has its quotes
 * escaped already. */
static char *
put_pair(char *to, const char *key, struct str value, bool subject)
{
	bool quote = subject;

	if (!is_plain(value))
		return to;
	for (size_t i = 0; i < value.len; i++)
		quote |= strchr(",;=\"\\ ", value.at[i]) != NULL;
	to = put(to, str_of(key));
	if (!quote)
		return put(to, value);
	*to++ = '"';
	for (size_t i = 0; i < value.len; i++) {
		if (!subject && (value.at[i] == '"' || value.at[i] == '\\'))
			*to++ = '\\';
		*to++ = value.at[i];
	}
	*to++ = '"';
	return to;
}

/* "DNS:a.example, URI:spiffe://a/b": no value of it holds a comma or a blank. */
static bool
next_san(struct str *rest, struct str *kind, struct str *value)
{
	if (!rest->len || !str_split(rest, ',', value))
		return false;
	*value = str_trim(*value);
	return str_split(value, ':', kind);
}

static void
tell_xfcc(struct exchange *x, const struct tls_info *info)
{
	struct headers *h = &x->request.headers;
	const struct header *before = headers_find(h, xfcc);
	struct str san = info->san, kind, value;
	size_t room = 64 + info->fingerprint.len + info->subject.len + 3 * info->san.len;
	char *to, *at;

	for (const struct header *l = before; l; l = headers_next(h, l))
		room += l->value.len + 2;
	to = at = arena_alloc_aligned(&x->arena, room, 1);
	for (const struct header *l = before; l; l = headers_next(h, l))
		at = put(put(at, l->value), STR(", "));
	at = put(put(at, STR("Hash=")), info->fingerprint);
	at = put_pair(at, ";Subject=", info->subject, true);
	while (next_san(&san, &kind, &value))
		if (str_eq(kind, STR("URI")))
			at = put_pair(at, ";URI=", value, false);
		else if (str_eq(kind, STR("DNS")))
			at = put_pair(at, ";DNS=", value, false);
	headers_set(h, &x->arena, STR("X-Forwarded-Client-Cert"),
		    (struct str){ to, (size_t)(at - to) });
}

static void
tell_client_cert(struct exchange *x, struct str der)
{
	struct headers *h = &x->request.headers;
	char *to, *at;

	to = at = arena_alloc_aligned(&x->arena, base64_size(der.len) + 2, 1);
	*at++ = ':';
	at = base64_put(at, der);
	*at++ = ':';
	headers_remove(h, client_cert_chain);
	headers_set(h, &x->arena, STR("Client-Cert"),
		    (struct str){ to, (size_t)(at - to) });
}

void
clientcert_tell(struct exchange *x)
{
	const struct conf_tls *rules = x->listener->tls;
	const struct hello_facts *f = facts_of(x);

	/* x->tls is another one where a trusted peer says who it is: its lines do. */
	if (!rules || !f || x->tls != &f->tls || !f->tls.verified)
		return;
	if (rules->forward == CONF_FORWARD_XFCC || rules->forward == CONF_FORWARD_BOTH)
		tell_xfcc(x, &f->tls);
	if (f->peer_der.len && (rules->forward == CONF_FORWARD_RFC9440 ||
				rules->forward == CONF_FORWARD_BOTH))
		tell_client_cert(x, f->peer_der);
}
