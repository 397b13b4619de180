/* certs — what a TLS side is made of: certificates and keys as read, contexts of OpenSSL,
 * sessions to be resumed.
 *
 * Only tls*.c and certs*.c include it: they are the ones that know OpenSSL. A *face* is a
 * context with all the certificates (one for each type of key) that are shown to clients
 * who ask for some name; faces are as many as there are different sets of them. */
#ifndef NET_CERTS_H
#define NET_CERTS_H

#include <openssl/ssl.h>

#include "worker/net/tls.h"

/* ---- files */

/* The certificates in a PEM file, in their order; NULL: there is none, or one cannot be
 * read. */
STACK_OF(X509) *certs_read(struct str pem);
void certs_release(STACK_OF(X509) *);
/* The private key in a PEM file, never asking for a password; NULL, with `encrypted` set
 * if that is why. */
EVP_PKEY *certs_read_key(struct str pem, bool *encrypted);
/* Adds certificates, and lists if `crls`, to a store. How many; -1: one cannot be
 * read. */
int certs_add(X509_STORE *, struct str pem, bool crls);
/* Where the key of a pair is. */
static inline const struct tls_file *
certs_key_file(const struct tls_file *cert, const struct tls_file *key)
{
	return key->bytes.len ? key : cert;
}
/* The newest error of OpenSSL, in words, and clears them all. */
const char *certs_error(char *to, size_t room);
/* Settings that both sides have in common. -1: `error` says why. */
int certs_common(SSL_CTX *, int min, char error[static 256]);
/* Calls `fn` for each name that a certificate is for. */
void certs_names(X509 *, void (*fn)(void *, struct str), void *);
/* When a stapled response ends; 0: it is no good response. */
time_t certs_staple_end(struct str der);
/* Unix time of a certificate's field. */
time_t certs_time(const ASN1_TIME *);

/* ---- the server's side */

enum { FACE_KEYS = 4 };                 /* RSA, RSA-PSS, ECDSA, EdDSA */

struct face {
	SSL_CTX *context;
	int pair[FACE_KEYS];            /* of each type of key; -1: none */
};

struct name {
	char *text;                     /* lower case; of a wildcard what follows "*." */
	bool wild;
	uint32_t pair, face;
};

struct staple {
	X509 *cert;
	unsigned char *der;
	size_t len;
	time_t end;
};

struct tls_server {
	unsigned refs;                  /* its maker's, and one for each session */
	struct face *faces;             /* the first is for strangers */
	size_t nfaces;
	struct name *names;             /* sorted; one for each name and kind */
	size_t nnames;
	struct staple *staples;
	size_t nstaples;
	struct tls_tickets tickets;
	bool h1, h2, asks;
};

void tls_server_hold(struct tls_server *);
/* The first entry of a name; NULL: there is none. */
const struct name *server_name(const struct tls_server *, const char *text, bool wild);

/* Hooks of OpenSSL: by the name that was asked for; ALPN; the OCSP response; the keys of
 * tickets; whether a client's certificate is good. */
int server_face(SSL *, int *alert, void *server);
int server_protocol(SSL *, const unsigned char **out, unsigned char *out_len,
		    const unsigned char *in, unsigned int in_len, void *server);
int server_staple(SSL *, void *server);
int server_ticket(SSL *, unsigned char name[16], unsigned char iv[EVP_MAX_IV_LENGTH],
		  EVP_CIPHER_CTX *, EVP_MAC_CTX *, int sealing);
int server_verified(int ok, X509_STORE_CTX *);

/* ---- the client's side */

enum { CLIENT_SESSIONS = 64 };

struct client_session {
	char *key;                      /* host and target */
	SSL_SESSION *session;           /* NULL: none yet */
	uint64_t used;
	uint32_t life;                  /* counts whose it has been */
};

struct tls_client {
	unsigned refs;
	SSL_CTX *context;
	char *name;                     /* instead of the target's host; NULL: none */
	bool verify;
	uint8_t (*pins)[32];
	size_t npins;
	uint64_t clock;                 /* uses */
	struct client_session sessions[CLIENT_SESSIONS];
};

void tls_client_hold(struct tls_client *);
/* The place of a target's session, found or made. */
int client_slot(struct tls_client *, struct str host, struct str key);
/* Sets the peer's name: for SNI and for verification. -1: it is no name. */
int client_expect(struct tls_client *, SSL *, struct str host);

/* ---- the session that OpenSSL is working for right now (tls.c) */

struct tls {
	SSL *ssl;
	struct tls_server *server;      /* one of the two */
	struct tls_client *client;
	char *early;                    /* ciphertext that was received and not taken yet */
	uint32_t early_len;
	int fd;
	struct chain *owed;             /* what OpenSSL has to say besides; NULL: nothing */
	uint32_t slot_life;
	int16_t slot;                   /* of the client's sessions */
	uint8_t fault;                  /* enum tls_fault */
	uint8_t over;                   /* enum tls_over */
	bool done;                      /* the handshake */
	bool muted;                     /* nothing is to be sent any more */
	bool bid;                       /* close_notify was said */
	bool dry;                       /* the socket has nothing more, for now */
	bool eof;                       /* nor ever will */
	char *words;                    /* of the failure */
};

enum tls_over { TLS_GOES_ON, TLS_ENDED, TLS_BROKEN };

struct tls *tls_current(void);

/* Says why it failed, if that is not known yet. */
void tls_fail(struct tls *, enum tls_fault, const char *words);
/* Finds out why it failed, from OpenSSL's errors (`error`: of the socket, or 0). */
void tls_blame(struct tls *, int error);

#endif
