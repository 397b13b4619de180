/* hello — a connection before the first byte of HTTP: the PROXY protocol's header, the TLS handshake, and which codec
 * is to speak (ALPN, or the preface of HTTP/2).
 *
 * It has a deadline; how many handshakes may be under way, and how many a client may begin in a second, is limited (the
 * gate). In the end its owner gets the socket and what was found out, and opens the codec. A PROXY header is read from
 * trusted peers only: the bytes of a stranger are never taken for one. */
#ifndef NET_HELLO_H
#define NET_HELLO_H

#include "worker/net/addr.h"
#include "worker/net/loop.h"
#include "worker/net/proxyproto.h"
#include "worker/net/tls.h"

struct hello_facts {                    /* lives as long as the connection */
	struct addr socket_peer;        /* whom the kernel knows */
	bool proxied;                   /* the peer address is of a PROXY header */
	struct proxyproto proxy;        /* version 0: there was none */
	struct tls_info tls;            /* version empty: no TLS */
	struct str peer_der;            /* DER of the client's certificate; empty: none */
	struct arena arena;             /* of all that */
};
/* NULL does nothing. */
void hello_facts_free(struct hello_facts *);

enum hello_fault {
	HELLO_TIMEOUT,
	HELLO_NO_PROXY,                 /* a header is required: a trusted peer sent none, or it is a stranger */
	HELLO_BAD_PROXY,
	HELLO_TLS,                      /* enum tls_fault says more */
	HELLO_GONE,                     /* the client left, or hello_close_all() */
	HELLO_TOO_MANY                  /* the gate is closed to it */
};

enum hello_proxy { HELLO_PROXY_OFF, HELLO_PROXY_ACCEPT, HELLO_PROXY_REQUIRE };     /* as enum conf_proxy */

struct hello;

/* How many handshakes are under way, and who began how many of late: of a listener in a worker. It outlives its
 * hellos. About 64 KiB. */
struct hello_gate;
struct hello_gate *hello_gate_new(void);
void hello_gate_free(struct hello_gate *);

struct hello_rules {                    /* a listener's, by its worker; used during hello_begin() only */
	struct tls_server *tls;         /* NULL: none */
	bool h2, h1;                    /* codecs allowed */
	int proxy;                      /* enum hello_proxy */
	bool (*trusted)(void *owner, const struct addr *);     /* may it send a PROXY header? NULL: nobody */
	uint64_t deadline_ms;
	struct hello_gate *gate;        /* NULL: no limits */
	uint32_t pending;               /* handshakes under way; 0: no limit */
	uint32_t rate;                  /* that an address (a /64 of IPv6) may begin in a second; 0: no limit */
};

struct hello_ops {
	/* The socket is the owner's now: it is to be put into the loop (wire_open) or closed. `facts` (NULL: there is
	 * nothing to tell) and `tls` (NULL: none) are, too. `first`: bytes of HTTP that were read already, valid during
	 * the call. */
	void (*on_done)(void *owner, int fd, bool h2, const struct addr *peer, struct tls *, struct hello_facts *,
			struct str first);
	/* It is closed (or will be by itself, once the client has read why). */
	void (*on_fault)(void *owner, const struct addr *peer, enum hello_fault, enum tls_fault, struct str detail);
};

/* Takes a socket. -1 with errno: it is still the caller's, and nobody was called. Either function may be called from
 * within: at once when there is nothing to wait for. After one of them was called, `owner` is not used any more. */
int hello_begin(struct loop *, int fd, const struct addr *peer, const struct hello_rules *, const struct hello_ops *,
		void *owner, struct list *under_way);
/* Closes all of a list; their owners hear of HELLO_GONE. */
void hello_close_all(struct list *under_way);

#endif
