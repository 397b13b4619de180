#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/store_inside.h"

/* The file format of LMDB 0.9, data version 1, as far as it is a matter of references:
 * two meta pages, the newer one counts; two trees, of free pages and of named tables; a
 * leaf of the second holds the roots of the tables. */
enum {
	META_MAGIC = (int)0xBEEFC0DE,
	META_VERSION = 1,
	PAGE_HEAD = 16,
	NODE_HEAD = 8,
	DEPTH_MOST = 32,
	KEY_MOST = 511,
	PAGE_LEAST = 512,
	PAGE_MOST = 32768,
	PAGE_BRANCH = 1,
	PAGE_LEAF = 2,
	PAGE_OVERFLOW = 4,
	PAGE_META = 8,

	NODE_BIG = 1,
	NODE_TABLE = 2,
	NODE_DUPLICATES = 4,
	BEYOND_MOST = 1 << 20 /* pages given out by one transaction and never written */
};
#define NO_PAGE UINT64_MAX

struct page { /* its head */
	uint64_t number;
	uint16_t pad, flags;
	union {
		struct {
			uint16_t lower, upper;
		} at;
		uint32_t pages; /* PAGE_OVERFLOW */
	} u;
};
_Static_assert(sizeof(struct page) == PAGE_HEAD, "as LMDB has it");

struct tree {
	uint32_t pad;
	uint16_t flags, depth;
	uint64_t branches, leaves, overflows, entries, root;
};

struct meta {
	struct page page;
	uint32_t magic, version;
	uint64_t address, map;
	struct tree trees[2];
	uint64_t last, txn;
};
_Static_assert(sizeof(struct tree) == 48 && sizeof(struct meta) == 152, "as LMDB has it");

enum { FREE, NAMES };

struct check {
	int fd;
	uint32_t psize;
	uint64_t last, txn; /* as the meta page says */
	uint64_t pages;     /* in the file */
	bool leaves;        /* look at these, too */
	bool limits;        /* … of the tables of checkpoints only */
	bool lists;         /* second round of the free pages: what they list */
	uint16_t sizes[PAGE_MOST / 2]; /* of the nodes of a page, where each begins */
	uint8_t *seen;                 /* a bit for each page */
	uint8_t *buf[DEPTH_MOST *
		     2]; /* the path: of a table it begins in the tree of names */
};

struct node {
	uint16_t low, high, flags, ksize;
};

static int
read_at(const struct check *c, void *to, size_t size, uint64_t at)
{
	for (char *p = to; size;) {
		ssize_t n = pread(c->fd, p, size, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : MDB_CORRUPTED;
		p += n;
		at += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

/* Each page belongs to one place, and lies in the file. */
static int
claim(struct check *c, uint64_t first, uint64_t count)
{
	if (first < 2 || count > c->pages || first > c->last ||
	    first + count - 1 > c->last || first + count > c->pages)
		return MDB_CORRUPTED;
	for (uint64_t n = first; n < first + count && c->leaves; n++) {
		if (c->seen[n / 8] >> n % 8 & 1)
			return MDB_CORRUPTED;
		c->seen[n / 8] |= (uint8_t)(1 << n % 8);
	}
	return 0;
}

static int
check_list(struct check *c, const uint64_t *list, size_t size)
{
	if (size < sizeof(*list) || list[0] > size / sizeof(*list) - 1)
		return MDB_CORRUPTED;
	for (uint64_t i = 1; i <= list[0]; i++) {
		if (i > 1 && list[i] >= list[i - 1])
			return MDB_CORRUPTED;
		/* What is free may lie beyond the end. */
		if (list[i] >= c->pages && list[i] <= c->last)
			continue;

		int rc = claim(c, list[i], 1);

		if (rc)
			return rc;
	}
	return 0;
}

static int
check_overflow(struct check *c, uint64_t number, size_t size, bool list)
{
	uint64_t need = (PAGE_HEAD - 1 + size) / c->psize + 1;
	struct page head;
	uint64_t *words;
	int rc;

	if (number > c->last || number >= c->pages)
		return MDB_CORRUPTED;
	rc = read_at(c, &head, sizeof(head), number * c->psize);
	if (rc)
		return rc;
	if (head.number != number || head.flags != PAGE_OVERFLOW || head.u.pages < need)
		return MDB_CORRUPTED;
	if (!c->lists)
		return claim(c, number, head.u.pages);
	if (!list)
		return 0;
	words = malloc(size + 1);
	if (!words)
		return ENOMEM;
	rc = read_at(c, words, size, number * c->psize + PAGE_HEAD);
	if (!rc)
		rc = check_list(c, words, size);
	free(words);
	return rc;
}

static int
check_tree(struct check *, const struct tree *, bool names, bool list, int level);

/* A row: its value in the page, or on pages of its own, or the root of a table. */
static int
check_row(struct check *c, const struct node *n, const uint8_t *value, size_t room,
	  bool names, bool list, int level)
{
	size_t size = n->low | (size_t)n->high << 16;
	struct tree table;
	uint64_t number;

	if (n->flags & NODE_DUPLICATES)
		return MDB_INVALID; /* whole as it may be, it is none of ours */
	if (n->flags & NODE_BIG) {
		if (room < sizeof(number) || n->flags & NODE_TABLE)
			return MDB_CORRUPTED;
		memcpy(&number, value, sizeof(number));
		return check_overflow(c, number, size, list);
	}
	if (size > room)
		return MDB_CORRUPTED;
	if (n->flags & NODE_TABLE) {
		struct str name = { (const char *)value - n->ksize, n->ksize };
		bool leaves = c->leaves;
		int rc;

		if (!names || size != sizeof(table))
			return MDB_CORRUPTED;
		memcpy(&table, value, sizeof(table));
		c->leaves |= c->limits &&
			     (str_eq(name, STR("cells")) || str_eq(name, STR("quotas")));
		rc = check_tree(c, &table, false, false, level);
		c->leaves = leaves;
		return rc;
	}
	if (list && c->lists) {
		uint64_t words[PAGE_MOST / 8];

		memcpy(words, value, size);
		return check_list(c, words, size);
	}
	return 0;
}

static int
compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len, bool numbers)
{
	uint64_t x, y;

	if (!numbers)
		return store_order((struct str){ (const char *)a, a_len },
				   (struct str){ (const char *)b, b_len });
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* Nodes fill the upper part of a page without gaps; LMDB moves them about as if nothing
 * else could be. */
static int
check_layout(struct check *c, const uint8_t *page, bool leaf)
{
	const struct page *head = (const struct page *)(const void *)page;
	unsigned count = (head->u.at.lower - PAGE_HEAD) / 2, at = head->u.at.upper;

	memset(c->sizes, 0, c->psize / 2 * sizeof(*c->sizes));
	for (unsigned i = 0; i < count; i++) {
		size_t size;
		uint16_t begin;
		struct node n;

		memcpy(&begin, page + PAGE_HEAD + 2 * i, 2);
		if (begin < at || begin > c->psize - NODE_HEAD || begin % 2 ||
		    c->sizes[begin / 2])
			return MDB_CORRUPTED;
		memcpy(&n, page + begin, sizeof(n));
		size = NODE_HEAD + (size_t)n.ksize;
		if (leaf && n.flags & NODE_BIG)
			size += sizeof(uint64_t);
		else if (leaf)
			size += n.low | (size_t)n.high << 16;
		if (n.ksize > KEY_MOST || size > c->psize)
			return MDB_CORRUPTED;
		c->sizes[begin / 2] = (uint16_t)((size + 1) & ~(size_t)1);
	}
	for (unsigned i = 0; i < count; i++) {
		if (at >= c->psize || !c->sizes[at / 2])
			return MDB_CORRUPTED;
		at += c->sizes[at / 2];
	}
	return at == c->psize ? 0 : MDB_CORRUPTED;
}

struct within { /* a tree */
	const struct tree *tree;
	bool names, list;
	uint64_t entries;
};

static int
check_page(struct check *, struct within *, uint64_t number, int depth, int level);

static int
check_nodes(struct check *c, struct within *w, const uint8_t *page, int depth, int level)
{
	const struct page *head = (const struct page *)(const void *)page;
	unsigned count = (head->u.at.lower - PAGE_HEAD) / 2;
	bool leaf = depth == w->tree->depth, numbers = w->tree->flags & MDB_INTEGERKEY;
	const uint8_t *before = NULL;
	size_t before_len = 0;

	for (unsigned i = 0; i < count; i++) {
		struct node n;
		uint16_t at;
		int rc;

		memcpy(&at, page + PAGE_HEAD + 2 * i, 2);
		memcpy(&n, page + at, sizeof(n));

		const uint8_t *key = page + at + NODE_HEAD;
		size_t room = c->psize - at - NODE_HEAD;

		/* The first key of a branch is never looked at. */
		if (leaf || i) {
			if (!n.ksize || (numbers && n.ksize != sizeof(uint64_t)))
				return MDB_CORRUPTED;
			if (before &&
			    compare(before, before_len, key, n.ksize, numbers) >= 0)
				return MDB_CORRUPTED;
			before = key;
			before_len = n.ksize;
		}
		if (leaf)
			rc = check_row(c, &n, key + n.ksize, room - n.ksize, w->names,
				       w->list, level + 1);
		else
			rc = check_page(c, w,
					n.low | (uint64_t)n.high << 16 |
						(uint64_t)n.flags << 32,
					depth + 1, level + 1);
		if (rc)
			return rc;
	}
	if (leaf)
		w->entries += count;
	return 0;
}

static int
check_page(struct check *c, struct within *w, uint64_t number, int depth, int level)
{
	bool leaf = depth == w->tree->depth;
	struct page head;
	int rc;

	/* The names are few, and lead to the tables. */
	if (leaf && !c->leaves && !w->names)
		return number < 2 || number > c->last || number >= c->pages
			       ? MDB_CORRUPTED
			       : 0;
	if (c->lists)
		rc = number > c->last || number >= c->pages ? MDB_CORRUPTED : 0;
	else
		rc = claim(c, number, 1);
	if (!rc && !c->buf[level] && !(c->buf[level] = malloc(c->psize)))
		rc = ENOMEM;
	if (!rc)
		rc = read_at(c, c->buf[level], c->psize, number * c->psize);
	if (rc)
		return rc;
	memcpy(&head, c->buf[level], sizeof(head));
	if (head.number != number || head.flags != (leaf ? PAGE_LEAF : PAGE_BRANCH) ||
	    head.u.at.lower < PAGE_HEAD || head.u.at.lower % 2 ||
	    head.u.at.lower > head.u.at.upper || head.u.at.upper > c->psize)
		return MDB_CORRUPTED;
	/* Of a branch LMDB asserts two; for free pages it does not. */
	if ((head.u.at.lower - PAGE_HEAD) / 2 < (leaf || w->list ? 1 : 2))
		return MDB_CORRUPTED;
	rc = check_layout(c, c->buf[level], leaf);
	return rc ? rc : check_nodes(c, w, c->buf[level], depth, level);
}

static int
check_tree(struct check *c, const struct tree *tree, bool names, bool list, int level)
{
	struct within w = { tree, names, list, 0 };
	int rc;

	/* Sorted in ways that we do not use. Of the free pages the flags are those of the
	 * file. */
	if (list ? !(tree->flags & MDB_INTEGERKEY) : tree->flags & ~MDB_INTEGERKEY)
		return MDB_INVALID;
	if (tree->root == NO_PAGE || !tree->depth)
		return tree->root == NO_PAGE && !tree->depth && !tree->entries
			       ? 0
			       : MDB_CORRUPTED;
	if (tree->depth >= DEPTH_MOST)
		return MDB_CORRUPTED;
	rc = check_page(c, &w, tree->root, 1, level);
	if (!rc && (c->leaves || names) && w.entries != tree->entries)
		rc = MDB_CORRUPTED;
	return rc;
}

/* The meta page that counts. */
static int
read_metas(struct check *c, uint64_t size, struct meta *newest)
{
	struct meta m[2];
	int rc;

	if (size < sizeof(m[0]))
		return MDB_INVALID;
	for (int i = 0; i < 2; i++) {
		rc = read_at(c, &m[i], sizeof(m[i]), i ? c->psize : 0);
		if (rc)
			return rc;
		if (!(m[i].page.flags & PAGE_META) || m[i].magic != (uint32_t)META_MAGIC)
			return i ? MDB_CORRUPTED : MDB_INVALID;
		if (m[i].version != META_VERSION)
			return i ? MDB_CORRUPTED : MDB_VERSION_MISMATCH;
		c->psize = m[i].trees[FREE].pad;
		if (c->psize < PAGE_LEAST || c->psize > PAGE_MOST ||
		    c->psize & (c->psize - 1) || c->psize != m[0].trees[FREE].pad)
			return MDB_CORRUPTED;
	}
	*newest = m[m[0].txn < m[1].txn];
	return 0;
}

static int
check_trees(struct check *c, const struct meta *m)
{
	int rc = check_tree(c, &m->trees[NAMES], true, false, 0);

	if (!rc)
		rc = check_tree(c, &m->trees[FREE], false, true, 0);
	if (!rc && c->leaves) {
		c->lists = true;
		rc = check_tree(c, &m->trees[FREE], false, true, 0);
	}
	return rc;
}

static int
check_file(struct check *c, enum store_check how, uint64_t *bytes)
{
	struct stat st;
	struct meta m;
	int rc = fstat(c->fd, &st) < 0 ? errno : 0;

	if (!rc && !S_ISREG(st.st_mode))
		return MDB_INVALID;
	if (!rc && !st.st_size)
		return ENOENT;
	if (!rc)
		rc = read_metas(c, (uint64_t)st.st_size, &m);
	/* Who is writing just now has written the pages first. */
	if (!rc && fstat(c->fd, &st) < 0)
		rc = errno;
	if (rc)
		return rc;
	c->pages = (uint64_t)st.st_size / c->psize;
	c->last = m.last;
	c->txn = m.txn;
	*bytes = (c->last < c->pages ? c->pages : c->last + 1) * c->psize;
	if (c->last < 1 || c->last >= c->pages + BEYOND_MOST)
		return MDB_CORRUPTED;
	/* Free pages at the end need not be there; whether these are free is to be seen.
	 */
	if (c->last >= c->pages)
		how = CHECK_ROWS;
	c->leaves = how == CHECK_ROWS;
	c->limits = how == CHECK_LIMITS;
	if (how == CHECK_HEAD)
		return 0;
	c->seen = calloc(c->pages / 8 + 1, 1);
	return c->seen ? check_trees(c, &m) : ENOMEM;
}

int
store_check(const char *path, enum store_check how, uint64_t *bytes)
{
	int rc = 0;

	for (int tries = 0; tries < 10; tries++) {
		struct check c = { .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) };
		struct meta now;

		if (c.fd < 0)
			return errno;
		rc = check_file(&c, how, bytes);

		/* Of a file that is written to meanwhile one sees halves. */
		bool moved = rc == MDB_CORRUPTED && c.txn &&
			     !read_metas(&c, sizeof(now), &now) && now.txn != c.txn;

		for (int i = 0; i < DEPTH_MOST * 2; i++)
			free(c.buf[i]);
		free(c.seen);
		close(c.fd);
		if (!moved)
			return rc;
	}
	return 0;
}
