/* tls — TLS on a wire (OpenSSL), both sides.
 *
 * A *tls_server* is a listener's side of one generation: certificates by SNI, what
 * clients must show, versions; a *tls_client* an upstream's: whom to believe, what we
 * show. Both are made by each worker from the image, where the load has put the files'
 * bytes (checked once, read with the rights of the master). A `struct tls` is one
 * connection's session; it holds on to what it needs, so that a reload touches no
 * connection.
 *
 * A session at rest keeps no buffers (SSL_MODE_RELEASE_BUFFERS). Bytes come and go by the
 * wire's socket; what cannot be sent is held by the wire, as without TLS. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/str.h"

struct tls;
struct tls_server;
struct tls_client;

/* Where session tickets are sealed and opened: the same for all workers
 * (shm/tickets.h). */
struct tls_ticket_key {
	uint8_t name[16], aes[32], hmac[32];
};
struct tls_tickets {
	void *arg;
	void (*seal)(void *arg, struct tls_ticket_key *);
	/* 1; 2: good, but to be renewed; 0: unknown. */
	int (*find)(void *arg, const uint8_t name[16], struct tls_ticket_key *);
};

struct tls_file {                       /* of the configuration */
	struct str bytes;               /* PEM (ocsp: DER), as read; empty: none */
	struct str path;                /* for messages */
	struct where where;
};

struct tls_pair {
	struct tls_file cert, key;      /* chain, leaf first; key (perhaps in the same file) */
	struct tls_file ocsp;           /* response to staple */
};

enum tls_min { TLS_MIN_12, TLS_MIN_13 };
enum tls_ask { TLS_ASK_NOT, TLS_ASK_REQUEST, TLS_ASK_REQUIRE };

struct tls_server_rules {
	const struct tls_pair *pairs;   /* the first is for who names none, or a stranger */
	size_t npairs;
	int min;                        /* enum tls_min */
	struct str ciphers;             /* of TLS 1.2, OpenSSL's syntax; empty: the default here */
	struct str groups;              /* empty: X25519, P-256, P-384 */
	int ask;                        /* enum tls_ask: client certificates */
	struct tls_file client_ca, crl;
	int depth;                      /* certificates between the client's and the root */
	bool h1, h2;                    /* for ALPN */
	bool tickets;                   /* resumption */
};

struct tls_client_rules {
	bool verify;
	struct tls_file ca;             /* empty: the system's */
	struct str name;                /* SNI, and to be verified; empty: the target's host */
	struct tls_file cert, key;      /* ours; empty: none */
	const struct str *pins;         /* "sha256:" and base64 of an SPKI's: one must match */
	size_t npins;
	int min;
	bool h1, h2;                    /* for ALPN */
};

/* NULL with a message in error[256]; the builder has made one to try, so that it does not
 * fail in a worker. `tickets` may be NULL: no resumption by tickets. */
struct tls_server *tls_server_new(const struct tls_server_rules *,
				  const struct tls_tickets *, char error[static 256]);
struct tls_client *tls_client_new(const struct tls_client_rules *, char error[static 256]);
void tls_server_free(struct tls_server *);
void tls_client_free(struct tls_client *);

/* What is wrong with certificates, keys, chains, names, dates: into the diag (E5xx;
 * expiry soon and missing intermediates are warnings). By the builder; `check` calls it
 * too. */
void tls_check(const struct tls_server_rules *, struct arena *, struct diag *);
void tls_check_client(const struct tls_client_rules *, struct arena *, struct diag *);
/* Sets covered[i] for each of these hosts ("*.example.com" too) that the certificate is for (RFC 9525 §6.3). */
void tls_covers(const struct tls_pair *, const struct str *hosts, size_t n, bool *covered);

/* A session on a connected socket, in the server role. ALPN: what `http` of the listener
 * allows, in its order. */
struct tls *tls_accept(struct tls_server *, int fd);
/* In the client role. `host`: SNI and the name to verify (of the target, unless the
 * configuration gives one); `key`: the target's identity: sessions are kept and used
 * again by it. */
struct tls *tls_connect(struct tls_client *, int fd, struct str host, struct str key);
/* Sends close_notify if it can, frees; before the socket is closed. NULL does nothing. */
void tls_free(struct tls *);
/* Nothing more is sent, not even by tls_free(): the peer is to see that something is
 * missing. */
void tls_mute(struct tls *);

/* Lets go of what only the handshake needed, in the server role: who the peer is, and
 * what it has agreed on. Done by wire_tls(). */
void tls_rest(struct tls *);

enum tls_state { TLS_DONE, TLS_WANT, TLS_FAILED };
/* Goes on with the handshake; to be called whenever the socket may be read or written. */
enum tls_state tls_handshake(struct tls *);

/* Why a handshake or a reading failed. */
enum tls_fault {
	TLS_OK, TLS_EXPIRED, TLS_NOT_YET, TLS_UNKNOWN_CA, TLS_HOSTNAME, TLS_REVOKED, TLS_PIN,
	TLS_NO_CLIENT_CERT,             /* we wanted one */
	TLS_CERT_REFUSED,               /* the peer does not take ours, or wants one and we have none */
	TLS_BAD_CERT, TLS_VERSION, TLS_CIPHER, TLS_NOT_TLS, TLS_CLOSED, TLS_OTHER
};
enum tls_fault tls_fault(const struct tls *);
struct str tls_alpn(const struct tls *);          /* what was agreed on; empty: nothing */
struct str tls_error(const struct tls *);       /* in OpenSSL's words; for logs */

/* As recv(2): 0 after close_notify, -1 with errno EAGAIN, EPROTO, or the socket's. A
 * reading that is not filled has found nothing more: neither in the socket nor here. */
ssize_t tls_recv(struct tls *, void *, size_t);
/* The end was met behind the bytes that tls_recv() has returned: the next reading will
 * say so. */
bool tls_over(const struct tls *);
/* What the protocol itself has to say (answers to key updates, alerts), found out while
 * reading; it is to be sent at once. Returns how many bytes were put into `out`; 0:
 * nothing, as nearly always. */
size_t tls_owed(struct tls *, char *out, size_t room);
/* close_notify, to be sent; 0: it was said already. */
size_t tls_bye(struct tls *, char *out, size_t room);
/* Encrypts into `out` (room: tls_room(n)) what of the bytes fits into it: returns how
 * many bytes of `out` are to be sent; all of `bytes` is taken. -1: it failed. */
size_t tls_room(size_t n);
ssize_t tls_seal(struct tls *, struct str bytes, char *out, size_t room);
/* Bytes that were decrypted already and wait in OpenSSL. */
bool tls_pending(const struct tls *);

/* ---- what became of the handshake */

struct tls_info {
	struct str version;             /* "TLSv1.3" */
	struct str cipher, group;
	struct str sni;                 /* empty: none */
	struct str alpn;                /* "h2", "http/1.1", or empty */
	bool resumed;
	bool verified;                  /* the peer's certificate was asked for, is there and good */
	/* Of the peer's certificate; empty: none. */
	struct str subject, issuer, serial;     /* RFC 2253; serial in hex */
	struct str san;                 /* "DNS:a.example, URI:spiffe://…": all of DNS, URI, email, IP Address */
	struct str uri, dns;            /* the first of each kind */
	struct str fingerprint;         /* SHA-256 of the DER, hex */
};
/* Filled in the arena. Before wire_tls(), which lets go of a server's part of it. */
void tls_info(const struct tls *, struct arena *, struct tls_info *);
/* The same of any certificate, in DER (identity: a trusted peer's Client-Cert): fills
 * what is said of the peer's, but `verified`. false: it is none. */
bool tls_describe(struct str der, struct arena *, struct tls_info *);
/* The peer's certificate in DER, and in PEM; empty: none. In the arena. */
struct str tls_peer_der(const struct tls *, struct arena *);
struct str tls_peer_pem(const struct tls *, struct arena *);

#endif
