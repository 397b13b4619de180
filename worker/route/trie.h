/* trie — the routes of a service by the segments of their paths.
 *
 * A node is a front of paths: "/v1/orders". What hangs below it is found by one hash of
 * (node, segment), for all nodes of a trie in one table, and one more child takes any segment
 * ({capture}). Leaves are lists of routes in written order: those that end here, and those that take
 * everything below. `lowest` lets a search leave out what could only find later routes. */
#ifndef ROUTE_TRIE_H
#define ROUTE_TRIE_H

#include "worker/route/match.h"

struct trie_node {
	const char *at;                 /* its own segment; NULL: the root, or any segment */
	uint32_t len;
	uint32_t parent;
	uint32_t any;                   /* the child for a capture; 0: none */
	uint32_t children;              /* others that it has */
	uint32_t exact, open;           /* first route that ends here, takes what is below: order + 1; 0: none */
	uint32_t lowest;                /* order, of all routes here and below */
};

struct trie_slot {
	uint32_t tag;                   /* of the hash */
	uint32_t node;                  /* 0: free (the root is nobody's child) */
};

struct trie {
	const struct trie_node *nodes;  /* 0 is the root */
	const struct trie_slot *slots;
	uint32_t n, mask;
};

/* `leaf` (may be NULL) gets the node of each route. */
const struct trie *trie_build(struct arena *, struct route *, uint32_t n, uint32_t *leaf);

/* The child with exactly that segment; 0: none. */
uint32_t trie_child(const struct trie *, uint32_t node, struct str segment);

enum { TRIE_MISSES = sizeof((struct route_match *)NULL)->miss / sizeof(*((struct route_match *)NULL)->miss) };

struct trie_search {
	const struct service *service;
	const struct route_request *request;
	struct str *value;              /* captures of a regex that was found */
	uint32_t best;                  /* order of the route found; UINT32_MAX: none */
	bool missed;                    /* some route took the path, but not the method */
	uint32_t nmisses;               /* passed over, as they came by; of a regex the path was not looked at */
	struct { uint32_t order; enum route_miss why; } miss[TRIE_MISSES];
	/* When set, nothing is searched: called with every route that takes the path, methods apart. */
	void (*each)(struct trie_search *, const struct route *);
	struct route_match *match;      /* for it */
};

/* Finds the first route in written order that takes the request. */
void trie_find(struct trie_search *);

#endif
