/* hello — a connection before the first byte of HTTP: the PROXY protocol's header, the TLS handshake, and which codec
 * is to speak (ALPN, or the preface of HTTP/2).
 *
 * It has a deadline; how many may be under way, and how many a client may begin in a second, is limited
 * (hello_rules). In the end its owner gets the socket and what was found out, and opens the codec. */
#ifndef NET_HELLO_H
#define NET_HELLO_H

#include "worker/net/addr.h"
#include "worker/net/loop.h"
#include "worker/net/proxyproto.h"
#include "worker/net/tls.h"

struct hello_facts {                    /* lives as long as the connection */
	struct addr socket_peer;        /* whom the kernel knows */
	bool proxied;                   /* the peer address is of a PROXY header */
	struct proxyproto proxy;
	struct tls_info tls;            /* version empty: no TLS */
	struct str peer_der;            /* DER of the client's certificate; empty: none */
	struct arena arena;             /* of all that */
};
void hello_facts_free(struct hello_facts *);

enum hello_fault { HELLO_TIMEOUT, HELLO_NO_PROXY, HELLO_BAD_PROXY, HELLO_TLS, HELLO_GONE, HELLO_TOO_MANY };

struct hello;

struct hello_rules {                    /* a listener's, by its worker */
	struct tls_server *tls;         /* NULL: none */
	bool h2, h1;                    /* codecs allowed */
	int proxy;                      /* enum conf_proxy: off, accept, require */
	bool (*trusted)(void *, const struct addr *);   /* may it send a PROXY header? */
	uint64_t deadline_ms;
};

struct hello_ops {
	/* The socket is the owner's now. `first`: bytes of HTTP that were read already, valid during the call. */
	void (*on_done)(void *owner, int fd, bool h2, const struct addr *peer, struct tls *, struct hello_facts *,
			struct str first);
	/* It is closed. */
	void (*on_fault)(void *owner, const struct addr *peer, enum hello_fault, enum tls_fault, struct str detail);
};

/* Takes a socket. -1 with errno: it is still the caller's. */
int hello_begin(struct loop *, int fd, const struct addr *peer, const struct hello_rules *, const struct hello_ops *,
		void *owner, struct list *under_way);
/* Closes all of a list. */
void hello_close_all(struct list *under_way);

#endif
