/* For SSL_CTX_set_ssl_version(). */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "worker/net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/chain.h"
#include "worker/net/certs.h"

enum {
	IN_ROOM = 64 * 1024,
	HELLO_ROOM = 16 * 1024,
	OUT_ROOM = 24 * 1024, /* more than most flights of a handshake */
	OWED_MAX = 1024 * 1024,
	RECORD = 16 * 1024,
	RECORD_EXTRA = 5 + 16 + 16 + 1, /* head, TLS 1.2's nonce, tag, TLS 1.3's type */
};

/* What OpenSSL works on during one call: whatever it reads and writes goes through here,
 * for one session at a time. Sessions therefore share one BIO, and a session at rest owns
 * no buffer. */
static struct desk {
	struct tls *tls;
	size_t in_from, in_to, in_want;
	bool bare; /* the socket itself has said that there is nothing */
	char *out;
	size_t out_len, out_room;
	char in[IN_ROOM], own_out[OUT_ROOM];
} desk;

static BIO *bio;

struct tls *
tls_current(void)
{
	return desk.tls;
}

static void
fill(struct tls *t)
{
	ssize_t n;

	do
		n = recv(t->fd, desk.in, desk.in_want, 0);
	while (n < 0 && errno == EINTR);
	desk.in_from = 0;
	desk.in_to = n > 0 ? (size_t)n : 0;
	if (n < (ssize_t)desk.in_want)
		t->dry = true;
	if (n == 0)
		t->eof = true;
	else if (n < 0 && errno != EAGAIN)
		t->eof = true, tls_blame(t, errno);
	else if (n < 0)
		desk.bare = true;
}

/* A short reading found nothing more, but may be followed by the end, which is told once:
 * who has nothing to say of has to look. */
static bool
look_again(struct tls *t)
{
	if (desk.bare || t->eof)
		return false;
	t->dry = false;
	return true;
}

static int
bio_in(BIO *b, char *to, int room)
{
	struct tls *t = desk.tls;
	size_t n;

	BIO_clear_retry_flags(b);
	if (desk.in_from == desk.in_to && !t->dry)
		fill(t);
	n = desk.in_to - desk.in_from;
	if (!n) {
		if (t->eof)
			return 0;
		BIO_set_retry_read(b);
		return -1;
	}
	if (n > (size_t)room)
		n = (size_t)room;
	memcpy(to, desk.in + desk.in_from, n);
	desk.in_from += n;
	return (int)n;
}

static void
owe(struct tls *t, const char *at, size_t len)
{
	if (!t->owed && !(t->owed = calloc(1, sizeof(*t->owed))))
		abort();
	chain_append(t->owed, (struct str){ at, len }, OWED_MAX);
}

static void
owe_rest(struct tls *t)
{
	if (desk.out_len)
		owe(t, desk.out, desk.out_len);
	desk.out_len = 0;
}

static int
bio_out(BIO *b, const char *at, int len)
{
	struct tls *t = desk.tls;

	BIO_clear_retry_flags(b);
	if (!t->owed && (size_t)len <= desk.out_room - desk.out_len) {
		memcpy(desk.out + desk.out_len, at, (size_t)len);
		desk.out_len += (size_t)len;
		return len;
	}
	owe_rest(t);
	owe(t, at, (size_t)len);
	return len;
}

static long
bio_ctrl(BIO *b, int what, long n, void *p)
{
	(void)b, (void)n, (void)p;
	if (what == BIO_CTRL_EOF)
		return desk.tls && desk.tls->eof;
	return what == BIO_CTRL_FLUSH;
}

static void
bio_make(void)
{
	BIO_METHOD *m =
		BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "postern");

	if (!m || !BIO_meth_set_read(m, bio_in) || !BIO_meth_set_write(m, bio_out) ||
	    !BIO_meth_set_ctrl(m, bio_ctrl) || !(bio = BIO_new(m)))
		abort();
	BIO_set_init(bio, 1);
}

static struct tls *
session_new(SSL_CTX *context, int fd)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (!bio)
		bio_make();
	if (!t || !(t->ssl = SSL_new(context)))
		abort();
	t->fd = fd;
	t->slot = -1;
	BIO_up_ref(bio);
	SSL_set_bio(t->ssl, bio, bio);
	return t;
}

struct tls *
tls_accept(struct tls_server *s, int fd)
{
	struct tls *t = session_new(s->faces[0].context, fd);

	t->server = s;
	tls_server_hold(s);
	SSL_set_accept_state(t->ssl);
	return t;
}

struct tls *
tls_connect(struct tls_client *c, int fd, struct str host, struct str key)
{
	struct tls *t = session_new(c->context, fd);

	t->client = c;
	tls_client_hold(c);
	SSL_set_connect_state(t->ssl);
	if (client_expect(c, t->ssl, host) < 0) {
		tls_fail(t, TLS_HOSTNAME, "the target has no name to be verified");
		return t;
	}
	t->slot = (int16_t)client_slot(c, host, key);
	t->slot_life = c->sessions[t->slot].life;
	if (c->sessions[t->slot].session)
		SSL_set_session(t->ssl, c->sessions[t->slot].session);
	return t;
}

/* ---- the desk is one session's for the length of a call */

static void
begin_write(struct tls *t, char *out, size_t room)
{
	desk.tls = t;
	desk.in_from = desk.in_to = 0;
	desk.bare = false;
	desk.out = out;
	desk.out_len = 0;
	desk.out_room = room;
	t->dry = true;
	ERR_clear_error();
}

static void
begin(struct tls *t, size_t want)
{
	begin_write(t, desk.own_out, OUT_ROOM);
	desk.in_want = want < IN_ROOM ? want : IN_ROOM;
	t->dry = t->eof;
	if (t->early) {
		/* At most what was at the desk before: it fits. */
		memcpy(desk.in, t->early, t->early_len);
		desk.in_to = t->early_len;
		free(t->early);
		t->early = NULL;
		t->early_len = 0;
	}
}

static void
end(struct tls *t)
{
	size_t n = desk.in_to - desk.in_from;

	if (n) {
		t->early = malloc(n);
		if (!t->early)
			abort();
		memcpy(t->early, desk.in + desk.in_from, n);
		t->early_len = (uint32_t)n;
	}
	desk.tls = NULL;
}

static void
owed_done(struct tls *t)
{
	if (t->owed && !t->owed->len) {
		free(t->owed);
		t->owed = NULL;
	}
}

/* What a handshake has to say. -1: the socket failed. */
static int
send_owed(struct tls *t)
{
	while (t->owed && t->owed->len) {
		struct iovec v[16];
		struct msghdr m = { .msg_iov = v };
		ssize_t n;

		m.msg_iovlen = (size_t)chain_iov(t->owed, v, 16);
		n = sendmsg(t->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR || errno == ENOTCONN
				       ? 0
				       : -1;
		chain_drop(t->owed, (size_t)n);
	}
	owed_done(t);
	return 0;
}

static int
send_desk(struct tls *t)
{
	ssize_t n = 0;

	if (!t->owed && desk.out_len) {
		n = send(t->fd, desk.out, desk.out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOTCONN)
			return -1;
		n = n < 0 ? 0 : n;
		if ((size_t)n < desk.out_len)
			owe(t, desk.out + n, desk.out_len - (size_t)n);
		desk.out_len = 0;
		return 0;
	}
	return send_owed(t);
}

/* ---- handshake */

/* OpenSSL keeps the buffer that it read the last message into until it has looked for
 * another one; and the answer of the OCSP responder for good. */
static void
release(struct tls *t)
{
	char byte;
	size_t n;

	if (t->server && t->server->nstaples)
		SSL_set_tlsext_status_ocsp_resp(t->ssl, NULL, 0);
	if (desk.in_from < desk.in_to || SSL_has_pending(t->ssl))
		return;
	t->dry = true;
	SSL_read_ex(t->ssl, &byte, 0, &n);
}

/* A ticket says that a certificate was good, not that it still is. */
static bool
still_good(const struct tls *t)
{
	X509 *peer;

	if (!t->server || !t->server->asks || !SSL_session_reused(t->ssl))
		return true;
	peer = SSL_get0_peer_certificate(t->ssl);
	return !peer || X509_cmp_current_time(X509_get0_notAfter(peer)) > 0;
}

static enum tls_state
failed(struct tls *t)
{
	t->over = TLS_BROKEN;
	return TLS_FAILED;
}

enum tls_state
tls_handshake(struct tls *t)
{
	int r;

	if (t->owed && !t->fault && send_owed(t) < 0)
		tls_blame(t, errno);
	if (t->over == TLS_BROKEN || t->fault)
		return failed(t);
	if (t->done)
		return t->owed ? TLS_WANT : TLS_DONE;
	begin(t, HELLO_ROOM);
	do
		r = SSL_do_handshake(t->ssl);
	while (r != 1 && SSL_get_error(t->ssl, r) == SSL_ERROR_WANT_READ &&
	       look_again(t));
	if (r == 1) {
		t->done = true;
		release(t);
	} else if (SSL_get_error(t->ssl, r) != SSL_ERROR_WANT_READ) {
		tls_blame(t, 0);
	}
	if (send_desk(t) < 0)
		tls_blame(t, errno);
	end(t);
	if (t->done && !still_good(t))
		tls_fail(t, TLS_EXPIRED, "the certificate of the ticket has expired");
	if (t->fault)
		return failed(t);
	return t->done && !t->owed ? TLS_DONE : TLS_WANT;
}

/* A context for sessions at rest: of the same method, and empty. OpenSSL begins anew when
 * a session is taken away from one whose method is not that of its context, which is the
 * one that chooses a version. */
static SSL_CTX *
resting(const SSL_METHOD *m)
{
	static struct {
		const SSL_METHOD *method;
		SSL_CTX *context;
	} known[4];

	for (int i = 0; i < 4; i++) {
		if (known[i].method == m)
			return known[i].context;
		if (known[i].method)
			continue;
		known[i].method = m;
		known[i].context = SSL_CTX_new(TLS_server_method());
		if (known[i].context && !SSL_CTX_set_ssl_version(known[i].context, m)) {
			SSL_CTX_free(known[i].context);
			known[i].context = NULL;
		}
		return known[i].context;
	}
	return NULL;
}

/* Only where it is known to be good: TLS 1.2 would go on without encryption
 * (tests/unit/net/test_wire_tls.c looks), and another version of OpenSSL has to be looked
 * at first. Small fragments that were agreed on are written down in the session. */
static bool
may_rest(const struct tls *t)
{
	const SSL_SESSION *session = SSL_get_session(t->ssl);

	return t->server && t->done && OpenSSL_version_num() >> 20 == 0x300 &&
	       SSL_version(t->ssl) == TLS1_3_VERSION && session &&
	       !SSL_SESSION_get_max_fragment_length(session);
}

void
tls_rest(struct tls *t)
{
	SSL_CTX *rest;

	if (!may_rest(t))
		return;
	rest = resting(SSL_get_ssl_method(t->ssl));
	if (!rest || !SSL_set_SSL_CTX(t->ssl, rest))
		return;
	SSL_set_session(t->ssl, NULL);
	ERR_clear_error();
}

/* ---- bytes */

static void
read_failed(struct tls *t, int r)
{
	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		break;
	case SSL_ERROR_ZERO_RETURN:
		t->over = TLS_ENDED;
		break;
	default:
		t->over = TLS_BROKEN;
		tls_blame(t, 0);
	}
}

static ssize_t
nothing(const struct tls *t)
{
	if (t->over == TLS_ENDED)
		return 0;
	errno = t->over == TLS_GOES_ON ? EAGAIN : EPROTO;
	return -1;
}

ssize_t
tls_recv(struct tls *t, void *to, size_t room)
{
	size_t got = 0, n;

	if (t->over)
		return nothing(t);
	/* A little more than fits: what is left over has to be kept, and copied. */
	begin(t, room + 1024);
	while (got < room) {
		int r;

		if (got && t->dry && !t->eof && desk.in_from == desk.in_to &&
		    !SSL_pending(t->ssl))
			break;
		r = SSL_read_ex(t->ssl, (char *)to + got, room - got, &n);
		if (r <= 0) {
			read_failed(t, r);
			if (!got && !t->over && look_again(t))
				continue;
			break;
		}
		got += n;
	}
	if (desk.out_len)
		owe_rest(t);
	end(t);
	return got ? (ssize_t)got : nothing(t);
}

bool
tls_over(const struct tls *t)
{
	return t->over != TLS_GOES_ON;
}

size_t
tls_owed(struct tls *t, char *out, size_t room)
{
	struct iovec v;
	size_t put = 0;

	while (put < room && t->owed && chain_iov(t->owed, &v, 1)) {
		if (v.iov_len > room - put)
			v.iov_len = room - put;
		memcpy(out + put, v.iov_base, v.iov_len);
		chain_drop(t->owed, v.iov_len);
		put += v.iov_len;
	}
	owed_done(t);
	return put;
}

size_t
tls_room(size_t n)
{
	return n + (n / RECORD + 1) * RECORD_EXTRA;
}

ssize_t
tls_seal(struct tls *t, struct str bytes, char *out, size_t room)
{
	size_t n = 0;
	int r = 1;

	if (!bytes.len)
		return 0;
	begin_write(t, out, room);
	r = SSL_write_ex(t->ssl, bytes.at, bytes.len, &n);
	end(t);
	if (r <= 0 || n != bytes.len || t->owed)
		return -1;
	return (ssize_t)desk.out_len;
}

size_t
tls_bye(struct tls *t, char *out, size_t room)
{
	if (t->bid || t->muted || !t->done || t->over == TLS_BROKEN)
		return 0;
	t->bid = true;
	begin_write(t, out, room);
	SSL_shutdown(t->ssl);
	end(t);
	return desk.out_len;
}

bool
tls_pending(const struct tls *t)
{
	return t->early || SSL_has_pending(t->ssl);
}

void
tls_mute(struct tls *t)
{
	t->muted = true;
}

void
tls_free(struct tls *t)
{
	char last[64];
	size_t n;

	if (!t)
		return;
	n = t->owed ? 0 : tls_bye(t, last, sizeof(last));
	if (n)
		send(t->fd, last, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	/* Else OpenSSL would hold it against the session, which could not be resumed. */
	if (!t->fault)
		SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(t->ssl);
	if (t->owed) {
		chain_free(t->owed);
		free(t->owed);
	}
	tls_server_free(t->server);
	tls_client_free(t->client);
	free(t->early);
	free(t->words);
	free(t);
}
