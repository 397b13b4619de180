/* clientcert — who the client is by its certificate, and telling the upstream.
 *
 * Either the client showed it to us, in the handshake of its connection, or a peer in the listener's `trust` has seen
 * it and says so, in one of the header lines that `client_cert_from` names:
 *   x-forwarded-client-cert   as Envoy writes it; of several elements the last one, which is the peer's own word
 *   client-cert               RFC 9440: the certificate itself
 *   any other name            its subject, as nginx says it with $ssl_client_s_dn
 * Where there is a `client_cert_from` and the peer is trusted nothing else counts: a client of whom it says nothing,
 * or says two things, has shown no certificate; that of the peer's own connection is never taken for the client's.
 *
 * A trusted peer that speaks the PROXY protocol is believed in the lines of `client_cert_from` only. Who is believed
 * has to write these lines itself, as one that ends TLS can: where a balancer that only passes bytes on is in `trust`,
 * `client_cert_from` has no place on the listener.
 *
 * Such lines of strangers are gone before anything looks at them: router, policies, logs. So are, whoever sends them,
 * lines whose names differ by "_" for "-" only: many an upstream takes them for the same. */
#ifndef EXCHANGE_CLIENTCERT_H
#define EXCHANGE_CLIENTCERT_H

#include "worker/exchange/exchange.h"
#include "worker/net/tls.h"

/* What is known of the client's TLS connection and certificate; all empty without. */
const struct tls_info *exchange_tls(const struct exchange *);

/* First of all, on the header lines as they came, once x->trusted is known: takes out what strangers say, finds out
 * who the client is. x->scheme becomes "https" where the client came by TLS. */
void clientcert_begin(struct exchange *);

/* Before the policies: X-Forwarded-Client-Cert and Client-Cert, as the listener's `tls.forward` says. Client-Cert
 * replaces what was there, an element of X-Forwarded-Client-Cert is added to what a trusted peer said. */
void clientcert_tell(struct exchange *);

/* The client's connection is about to go, and the logs are still to be written. */
void clientcert_keep(struct exchange *);

#endif
