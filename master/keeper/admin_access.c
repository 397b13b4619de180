/* Who may. On the Unix socket the kernel says who asks. Over TCP anybody on this machine
 * may read; a browser that was sent here by a page from elsewhere (DNS rebinding,
 * cross-site requests) is told by Host and Origin. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/keeper/admin.h"
#include "worker/http/uri.h"

enum { GROUPS = 1024 };

static bool
in_group(int fd, const struct ucred *c, gid_t wanted)
{
	gid_t groups[GROUPS];
	socklen_t len = sizeof(groups);

	if (wanted == (gid_t)-1)
		return false;
	if (c->gid == wanted)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(*groups); i++)
		if (groups[i] == wanted)
			return true;
	return false;
}

void
admin_meet(const struct admin_door *d, int fd, const struct addr *from,
	   struct admin_peer *p)
{
	struct ucred c = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(c);
	char text[ADDR_TEXT];

	memset(p, 0, sizeof(*p));
	p->unix_socket = d->unix_socket;
	p->uid = (uid_t)-1;
	if (!d->unix_socket) {
		snprintf(p->who, sizeof(p->who), "%.*s",
			 (int)(addr_put(text, from) - text), text);
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) < 0)
		return;
	p->uid = c.uid;
	p->may = c.uid == 0 || c.uid == geteuid() || in_group(fd, &c, d->gid);
}

void
admin_name(struct admin_peer *p)
{
	struct passwd *user;

	if (!p->unix_socket || *p->who)
		return;
	user = getpwuid(p->uid);
	snprintf(p->who, sizeof(p->who), "uid %u%s%.40s%s", p->uid, user ? " (" : "",
		 user ? user->pw_name : "", user ? ")" : "");
}

/* ---- over TCP */

static struct addr
local_address(const struct h1 *h)
{
	struct sockaddr_storage s;
	socklen_t len = sizeof(s);
	struct addr a = { .family = 0 };

	if (getsockname(h->conn.wire.event.fd, (struct sockaddr *)&s, &len) == 0)
		addr_from_sockaddr(&a, (struct sockaddr *)&s);
	return a;
}

/* Host is the address that the client has connected to, or localhost: never a name that
 * somebody else may make lead here. */
static bool
host_is_ours(const struct admin_conn *c)
{
	struct addr ours = local_address(c->h), said;
	struct str host, port;
	unsigned long long n;

	if (!ours.family || !uri_authority(c->msg.host, &host, &port))
		return false;
	if (!port.len ? ours.port != 80 : !str_u64(port, 65535, &n) || n != ours.port)
		return false;
	if (str_caseeq(host, STR("localhost")))
		return true;
	return addr_parse(&said, host) && addr_same_ip(&said, &ours);
}

static bool
origin_is_ours(const struct admin_conn *c)
{
	const struct header *h = headers_get(&c->msg.headers, TOKEN_ORIGIN);

	return !h || (str_starts(h->value, STR("http://")) &&
		      str_caseeq(str_from(h->value, 7), c->msg.host));
}

enum bearer { BEARER_NONE, BEARER_WRONG, BEARER_RIGHT };

static enum bearer
token_given(const struct admin_conn *c)
{
	const struct header *h = headers_get(&c->msg.headers, TOKEN_AUTHORIZATION);
	struct digest d;

	if (!h)
		return BEARER_NONE;
	if (h->value.len < 7 || !str_caseeq(str_first(h->value, 7), STR("bearer ")))
		return BEARER_WRONG;
	d = sha256(str_trim(str_from(h->value, 7)));
	return c->admin->has_token && digest_same(&d, &c->admin->token) ? BEARER_RIGHT
									: BEARER_WRONG;
}

/* Who has the token is known by it, and by where it came from. */
static void
sign(const struct admin_conn *c, struct api_request *r)
{
	char hex[64];

	digest_put(hex, &c->admin->token);
	snprintf(r->who, sizeof(r->who), "token %.8s... from %.40s", hex, c->peer.who);
}

bool
admin_may(struct admin_conn *c, struct api_request *r, bool writes)
{
	enum bearer token;

	if (c->peer.unix_socket) {
		if (writes || !c->peer.may)
			admin_name(&c->peer);
		memcpy(r->who, c->peer.who, sizeof(r->who));
		if (!c->peer.may)
			api_problem(
				r, &c->answer, 403,
				"%s may not use this socket: root, the gateway's user "
				"and members of admin.socket_group may",
				c->peer.who);
		return c->peer.may;
	}
	if (!host_is_ours(c)) {
		api_problem(r, &c->answer, 421,
			    "Host must be the address that this listens on, or "
			    "localhost, with its port");
		return false;
	}
	if (!origin_is_ours(c)) {
		api_problem(r, &c->answer, 403, "Origin is another than this server");
		return false;
	}
	token = token_given(c);
	if (token == BEARER_WRONG)
		api_problem(r, &c->answer, 401, "the token is not that of admin.token");
	else if (writes && token == BEARER_NONE && c->admin->has_token)
		api_problem(r, &c->answer, 401,
			    "changing things needs \"Authorization: Bearer TOKEN\" with "
			    "admin.token");
	else if (writes && token == BEARER_NONE)
		api_problem(r, &c->answer, 403,
			    "admin.token is not set: nothing can be changed over http; "
			    "use the Unix socket");
	else if (token == BEARER_RIGHT)
		sign(c, r);
	return c->answer.status == 0;
}
