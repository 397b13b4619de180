/* model — a checked configuration, as plain structs in the image's arena.
 *
 * conf/load.h fills it; references between names are resolved to pointers. What it
 * says about paths (match, rewrite, redirect, templates) is still text here: the
 * router and the policies compile it (worker/worker.h, worker_compile). Nothing in it
 * points to a heap. */
#ifndef CONF_MODEL_H
#define CONF_MODEL_H

#include "base/crypto.h"
#include "base/diag.h"
#include "base/map.h"
#include "conf/field.h"

struct conf_bind {                      /* an address to listen on */
	struct str text; /* as written: "0.0.0.0:80", "[::]:80" or "unix:/path" */
	struct where where;
};

struct conf_gateway {
	int64_t workers;                /* "auto" (0) or a number */
	struct str user;                /* empty: stay who we are */
	struct str rundir, statedir;    /* made if missing */
	struct str pid_file;            /* empty: rundir/postern.pid */
	uint64_t drain;                 /* ms that old work may take at a graceful stop */
	uint64_t drain_term;            /* ms, the short deadline of SIGTERM */
	bool pin_cpus, core_dumps;
	int64_t max_files;              /* RLIMIT_NOFILE wanted; 0: as high as allowed */
	struct conf_use *policies;      /* for every service, before its own */
	size_t npolicies;
	struct {
		uint64_t head;          /* bytes of a request head: 431 above */
		int64_t headers;        /* header lines: 431 above */
		uint64_t target;        /* bytes of the request target: 414 above */
		uint64_t body; /* bytes of a request body: 413 above; 0: no limit */
		uint64_t response_head; /* bytes of a response head: 502 above */
	} limits;
	struct {
		uint64_t head; /* from the first byte of a request (or the accept) to its
				  last head byte */
		uint64_t body;          /* without progress of a body */
		uint64_t idle;          /* kept-alive connection without a request */
		uint64_t send;   /* without progress of a response towards a client */
		uint64_t tunnel; /* upgraded connection without a byte either way */
		uint64_t linger;        /* draining what a refused client still sends */
	} timeouts;
	bool merge_slashes;             /* "//" becomes "/" */
	int encoded_slash; /* enum conf_encoded_slash: what %2F in a path means */
	struct str consumers_file;      /* lines of "consumer sha256:<hex> [plan]"; empty: none */
	uint64_t poison;                /* ms that requests are refused for that killed two workers; 0: never */
};

enum conf_encoded_slash { CONF_SLASH_KEEP, CONF_SLASH_REJECT, CONF_SLASH_DECODE };

/* What the keeper serves and keeps. */
struct conf_admin {
	struct str socket;              /* path; "admin.sock" in rundir when left out; empty: none */
	struct str socket_group;        /* members may use it, beside root and gateway.user; empty: nobody else */
	struct conf_bind http;          /* address; empty text: none. Read-only without a token */
	struct str token;               /* a secret; empty: nothing can be changed over http */
};

struct conf_history {                   /* how long things are kept in the store */
	uint64_t minutes, hours, days;  /* ms: windows of usage and rollups of that length */
	uint64_t records;               /* ms: records of refused and failed requests */
	int64_t records_most;           /* how many of them at most */
	int64_t records_rate;           /* a second at most: the rest stays in memory only */
};

struct conf_rate {                      /* "100/s", as a plan or a policy has it */
	uint64_t count, period_ms;
	uint64_t interval;              /* ns between two requests, rounded up */
	uint64_t burst;                 /* requests at once, at least 1 */
};

enum conf_window { CONF_MINUTE, CONF_HOUR, CONF_DAY, CONF_WEEK, CONF_MONTH, CONF_WINDOWS };

struct conf_quota {                     /* "10000/day": calendar windows; weeks begin on Monday */
	uint64_t count;
	int window;                     /* enum conf_window */
};

enum { CONF_RATES = 4 };                /* rates, and quotas, in force together */

struct conf_plan {
	struct str name;
	struct where where;
	uint32_t index;
	struct conf_rate rate[CONF_RATES];
	struct conf_quota quota[CONF_RATES];
	uint32_t nrates, nquotas;       /* 0: no limit */
	int64_t burst;                  /* as written; 0: what each rate allows in a second */
	struct str zone;                /* of calendar windows, "Europe/Berlin"; empty: UTC */
	struct str rate_text, quota_text;       /* as written, for people */
};

struct conf_consumer {
	struct str name;
	struct where where;
	uint32_t index;
	const struct conf_plan *plan;   /* NULL: none */
};

struct conf_key {
	struct digest digest;
	uint32_t consumer;              /* index */
};

struct conf_consumers {
	struct conf_consumer *at;
	size_t n;
	struct conf_key *keys;          /* open addressing by the digest's first bytes; consumer UINT32_MAX: free */
	uint32_t nkeys, mask;           /* places - 1; no table: 0 and keys NULL */
	uint32_t *names, names_mask;    /* open addressing by str_hash(): index + 1; 0: free. NULL: nobody */
};

struct conf_file {                      /* a file whose bytes are part of the configuration */
	struct str path;                /* as written: a path, "cred:NAME" or "file:PATH" */
	struct where where;
	struct str bytes;               /* empty: none */
};

struct conf_tls_pair {
	struct conf_file cert, key;     /* chain and key, PEM; key may be in the file of the chain */
	struct conf_file ocsp;          /* DER, to be stapled */
};

enum conf_tls_min { CONF_TLS_12, CONF_TLS_13 };
enum conf_client_cert { CONF_CERT_NONE, CONF_CERT_REQUEST, CONF_CERT_REQUIRE };
enum conf_forward_cert { CONF_FORWARD_NONE, CONF_FORWARD_XFCC, CONF_FORWARD_RFC9440, CONF_FORWARD_BOTH };

/* `tls` of a listener. */
struct conf_tls {
	struct conf_tls_pair *pairs;    /* cert and key, or certs; the first is the default */
	size_t npairs;
	int min;                        /* enum conf_tls_min */
	struct str ciphers, groups;     /* empty: ours */
	struct conf_file client_ca, crl;
	int client_cert;                /* enum conf_client_cert */
	int64_t depth;
	int forward;                    /* enum conf_forward_cert: who the client is, told to upstreams */
	bool tickets;
	uint64_t handshake;             /* ms until it must be done */
	int64_t pending;                /* handshakes under way, for each worker; 0: no limit */
	int64_t rate;                   /* a second and client address, for each worker; 0: no limit */
};

/* `tls` of an upstream. */
struct conf_upstream_tls {
	bool verify;
	struct conf_file ca, client_cert, client_key;
	struct str sni;
	struct conf_strs pin;
	int min;
};

enum conf_proxy { CONF_PROXY_OFF, CONF_PROXY_ACCEPT, CONF_PROXY_REQUIRE };
enum conf_http { CONF_HTTP_11, CONF_HTTP_H2, CONF_HTTP_AUTO };

/* `connect` of a listener: a forward proxy for clients that speak https_proxy. */
struct conf_connect {
	struct conf_strs allow;         /* "api.example.com:443", "*.example.com:443" */
};

/* `credential` of an upstream: what is sent along with every request to it. */
enum conf_credential_type { CONF_CRED_NONE, CONF_CRED_BASIC, CONF_CRED_HEADER, CONF_CRED_BEARER, CONF_CRED_OAUTH2 };
struct conf_credential {
	int type;                       /* enum conf_credential_type */
	struct where where;
	struct str header;              /* HEADER: its name; else "authorization" */
	struct str user;                /* BASIC */
	struct conf_file secret;        /* password, key, token; OAUTH2: client secret */
	struct str client_id, scope, audience;
	const struct conf_upstream *token_upstream;     /* OAUTH2: whom to ask … */
	struct str token_path;          /* … there */
	uint64_t early;                 /* ms before expiry when it is fetched anew */
};

/* `pace` of an upstream: what it says of its limits is obeyed by all workers. */
struct conf_pace {
	bool learn;                     /* Retry-After, RateLimit, X-RateLimit-* of its answers */
	struct conf_rate rate;          /* besides, ours; count 0: none */
	int64_t burst;                  /* as written; 0: what the rate allows in a second */
	uint64_t wait;                  /* ms that a request may be held back for it; above: 503 */
};

struct conf_listener {
	struct str name;
	struct where where;
	uint32_t index;                 /* in the model */
	struct conf_bind *binds;
	size_t nbinds;
	struct conf_strs
		trust; /* address or prefix: peers whose forwarded headers are believed */
	int redirect;  /* 0, or 1: "https" — answer 308 to the https URL */
	int64_t backlog;
	const struct conf_tls *tls;     /* NULL: none */
	bool h1, h2;                    /* versions of HTTP spoken; without tls h2 is by prior knowledge */
	int proxy_protocol;             /* enum conf_proxy */
	const struct conf_connect *connect;     /* NULL: CONNECT is refused */
	struct conf_strs client_cert_from; /* headers in which trusted peers say the
					      client's certificate */
};

struct conf_target {
	struct str url; /* "http://host:port", "https://…" or "unix:/path" as written */
	struct where where;
	struct str host; /* name or address, brackets removed; empty for unix */
	uint16_t port;
	bool tls;                       /* https:// */
	struct str path;                /* of a unix socket */
	int64_t weight;                 /* 0: no new requests */
	uint32_t index;                 /* in its upstream */
	uint32_t id;                    /* in the model, over all upstreams */
};

struct conf_upstream {
	struct str name;
	struct where where;
	uint32_t index;
	struct conf_target *targets;
	size_t ntargets;
	bool used;                      /* by a route */
	struct {
		uint64_t connect, response, total;
	} timeout; /* ms; response: to its head; 0: none */
	struct {
		int64_t attempts;       /* further ones after the first */
		uint32_t on;            /* CONF_RETRY_* */
	} retry;
	struct {
		int64_t idle;           /* idle connections kept per worker and target */
		int64_t connections;    /* open connections per worker and target; 0: no
					   limit */
		uint64_t idle_timeout;  /* ms an idle connection is kept */
	} pool;
	struct conf_upstream_tls tls;   /* for targets with https:// */
	int http;                       /* enum conf_http; AUTO: by ALPN, 1.1 without TLS */
	int proxy_protocol;             /* 0, 1 or 2: the version of the header that is sent first */
	struct conf_credential credential;
	struct conf_pace pace;
};

enum {
	CONF_RETRY_CONNECT = 1,
	CONF_RETRY_502 = 2,
	CONF_RETRY_503 = 4,
	CONF_RETRY_504 = 8
};

/* A policy as written, named or inline. */
struct conf_policy {
	struct str name;                /* inline ones: empty */
	struct where where;
	const struct conf_type *type;
	uint32_t type_index;            /* in the table that conf_load() was given */
	void *self;                     /* the filled struct of its type */
	uint32_t index;                 /* in the model, over all policies */
	bool used;
};

/* A place where a policy is used. */
struct conf_use {
	const struct conf_policy *policy;
	struct where where;
};

enum conf_action { CONF_TO, CONF_REDIRECT, CONF_RESPOND };

struct conf_split {                     /* one of `to`, by weight */
	const struct conf_upstream *upstream;
	int64_t weight;
};

struct conf_route {
	struct str name;                /* given, or "1", "2" … by order */
	struct where where;             /* of the route; match_where etc. of the value */
	struct str match;               /* "GET,PUT /v1/orders/{id}" */
	struct where match_where;
	struct {
		struct conf_pairs headers, query, cookies;     /* value "*" : present */
		struct conf_strs client;                       /* addresses or prefixes */
	} when;
	enum conf_action action;
	bool broken;                    /* it has errors: parts may be missing */
	struct conf_split *to;
	size_t nto;
	struct str rewrite, redirect;   /* templates; empty: none */
	struct where rewrite_where, redirect_where;
	int64_t redirect_status; /* 301 302 303 307 308; default 302 … 308 as documented
				  */
	int64_t respond_status;
	struct str respond_body, respond_type;
	uint64_t max_body;              /* 0: that of the gateway */
	struct {
		uint64_t response, total;       /* 0: that of the upstream */
		uint64_t tunnel;                /* 0: that of the gateway */
	} timeout;
	struct conf_use
		*policies; /* of the route itself, after those of gateway and service */
	size_t npolicies;
	struct conf_strs without;       /* names of inherited policies not to run */
};

struct conf_test {                      /* one of `tests` of a service */
	struct where where;
	struct str send;                /* "GET https://api.example.com/v1/orders/7" */
	struct where send_where;
	struct conf_pairs headers;
	struct str client;              /* address of the client; empty: 127.0.0.1 */
	struct str on; /* listener name; empty: the first of the service */
	/* What is expected; empty or 0: not looked at. */
	struct str service, route, path, upstream, location;
	int64_t status;
	struct where expect_where;      /* of the last expectation */
};

struct conf_domain {
	struct str name; /* lower case; "api.example.com", "*.example.com" or "*" */
	struct where where;
};

struct conf_service {
	struct str name;
	struct where where;
	uint32_t index;
	bool broken;                    /* it has errors: parts may be missing */
	struct conf_domain *domains;
	size_t ndomains;
	const struct conf_listener **on; /* resolved; every listener when left out */
	size_t non;
	struct conf_use *policies;
	size_t npolicies;
	struct conf_route *routes;
	size_t nroutes;
	struct conf_test *tests;
	size_t ntests;
};

struct conf_model {
	struct str file;                /* of the main file, absolute */
	struct conf_gateway gateway;
	struct conf_listener *listeners;
	size_t nlisteners;
	struct conf_upstream *upstreams;
	size_t nupstreams;
	uint32_t ntargets;              /* over all upstreams */
	struct conf_policy **policies;  /* all of them, inline ones too */
	size_t npolicies;
	struct conf_service *services;
	size_t nservices;
	size_t nroutes;                 /* over all services */
	struct conf_admin admin;
	struct conf_history history;
	struct conf_plan *plans;
	size_t nplans;
	struct map plan_names;
	struct conf_consumers consumers;
	bool uses_broken;               /* policies that are used may be missing */
};

/* The consumer whose key this is, or NULL. Digests are compared in constant time. */
const struct conf_consumer *conf_key_find(const struct conf_consumers *, const struct digest *);
const struct conf_plan *conf_plan_find(const struct conf_model *, struct str name);
const struct conf_consumer *conf_consumer_find(const struct conf_model *, struct str name);

/* Makes a plan of texts, as the store keeps them: rates and quotas separated by blanks. -1 and a sentence that
 * shows the fix in *error. Strings are not copied. */
int conf_plan_texts(struct conf_plan *, struct str name, struct str rate, struct str quota, struct str zone,
		    uint64_t burst, const char **error);

/* Fills interval and burst from count and period; `burst` 0: what the rate allows in a second. -1 and a sentence
 * when that many requests at once would take more than a lifetime to recover. */
int conf_rate_finish(struct conf_rate *, uint64_t burst, const char **error);

/* "10000/day", "5000000/month"; minute, hour, day, week or month. -1 and a sentence that shows the fix in *error. */
int conf_quota(struct str, struct conf_quota *, const char **error);
extern const char *const conf_window_names[CONF_WINDOWS];       /* "minute" … "month" */

/* When the calendar window that `now` (seconds since 1970) lies in ends: minutes since 1970, in that zone (empty:
 * UTC). Zone rules are those of the C library (tzdata), daylight saving included. */
uint32_t conf_window_ends(enum conf_window, struct str zone, int64_t now);
/* Whether the C library knows that zone. */
bool conf_zone_known(struct str zone);

#endif
