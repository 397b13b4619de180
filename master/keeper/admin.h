/* admin — what the files of the admin plane share: its sockets (admin.c), who may do what (admin_access.c),
 * the requests (admin_http.c). Nobody else includes this. */
#ifndef KEEPER_ADMIN_H
#define KEEPER_ADMIN_H

#include <sys/stat.h>

#include "master/keeper/inside.h"
#include "worker/http/h1.h"
#include "worker/net/listen.h"

enum { ADMIN_CONNECTIONS = 64, ADMIN_BODY = 64 * 1024 };

/* A socket that is listened on, or will be. */
struct admin_door {
	struct admin *admin;
	struct listen *listen;          /* NULL: not open */
	char address[256];              /* path or "127.0.0.1:9901"; empty: not wanted */
	char group[64];                 /* of the Unix socket */
	gid_t gid;                      /* its number; -1: none */
	dev_t dev;                      /* what our name in the file system is, to tell it from that of another */
	ino_t ino;
	uint64_t since;                 /* ms when it was first tried; 0: never, or it is open */
	bool unix_socket;
	bool said;                      /* that it cannot be opened */
};

struct admin {
	struct keeper *keeper;
	struct admin_door door[2];      /* Unix, TCP */
	struct timer second;
	struct h1_rules rules;
	struct list conns;
	unsigned nconns;
	struct {                        /* consumers of the files by name, of that generation; api_consumers.c */
		uint64_t generation;    /* 0: none yet */
		const struct conf_consumer **at;
	} sorted;
	struct digest token;            /* of admin.token, compared as such */
	bool has_token;
};

/* Who is at the other end. */
struct admin_peer {
	bool unix_socket;
	bool may;                       /* Unix socket: root, the gateway's own user, members of the group */
	uid_t uid;                      /* Unix socket */
	char who[64];                   /* "127.0.0.1:4711"; Unix socket: empty until admin_name() */
};

/* A connection: one request at a time. */
struct admin_conn {
	struct list link;
	struct admin *admin;
	struct h1 *h;
	struct admin_peer peer;
	struct event grave;             /* its memory goes after the turn */
	struct timer timer;             /* without progress */
	struct arena arena;             /* of the request under way */
	struct msg msg;
	struct api_answer answer;
	size_t sent;                    /* of the answer's body */
	char *body;
	size_t body_len;
	bool answering, whole;          /* the whole request is there */
};

/* ---- admin_http.c */

void admin_accept(struct listen *, int fd, const struct addr *peer);

/* ---- admin_access.c */

/* Looks who has connected. */
void admin_meet(const struct admin_door *, int fd, const struct addr *, struct admin_peer *);
/* Fills in peer->who: "uid 0 (root)". Asks for the user's name, which may take its time: only when it is needed. */
void admin_name(struct admin_peer *);
/* Whether this request may be answered; if not, the answer says why. `writes`: it would change something. */
bool admin_may(struct admin_conn *, struct api_request *, bool writes);

#endif
