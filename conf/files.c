#include <glob.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/reader.h"

enum { DEPTH_MAX = 8, FILES_MAX = 10000 };

static int
read_file(struct conf_load *, struct source *from, struct where at, struct str path);

static bool
same_file(const struct source *a, const struct source *b)
{
	return a->inode && a->inode == b->inode && a->device == b->device;
}

static bool
is_pattern(struct str s)
{
	return str_find(s, '*') >= 0 || str_find(s, '?') >= 0 || str_find(s, '[') >= 0;
}

/* The directory is no pattern, whatever its name. */
static const char *
full_pattern(struct conf_load *l, const struct source *s, struct str name)
{
	char *p, *buf = arena_alloc(&l->scratch, s->dir.len * 2 + name.len + 2);

	if (name.len && *name.at == '/')
		return arena_str(&l->scratch, name).at;
	p = buf;
	for (size_t i = 0; i < s->dir.len; i++) {
		if (strchr("*?[]\\", s->dir.at[i]))
			*p++ = '\\';
		*p++ = s->dir.at[i];
	}
	*p++ = '/';
	memcpy(p, name.at, name.len);
	p[name.len] = '\0';
	return buf;
}

static int
include_pattern(struct conf_load *l, struct source *s, struct str name, struct where w)
{
	glob_t g;
	int result = 0;

	if (!is_pattern(name))
		return read_file(l, s, w, source_path(s, l->image, name));

	int error = glob(full_pattern(l, s, name), 0, NULL, &g);

	if (error == GLOB_NOMATCH) {
		diag_warn(l->diag, 502, w, "no file matches \"%.*s\"", STR_ARG(name));
	} else if (error) {
		diag_error(l->diag, 501, w, "\"%.*s\" cannot be looked up",
			   STR_ARG(name));
		result = -1;
	}
	for (size_t i = 0; !error && i < g.gl_pathc; i++)
		if (read_file(l, s, w, arena_str(l->image, str_of(g.gl_pathv[i]))) < 0)
			result = -1;
	globfree(&g);
	return result;
}

static bool
include_name(struct conf_load *l, const struct conf_node *n, struct str *name)
{
	if (n->kind != CONF_NODE_STRING) {
		wrong_type(l, n, "include", "[ \"conf.d/*.conf\" ]");
		return false;
	}
	*name = n->text;
	return name->len;
}

static int
includes(struct conf_load *l, struct source *s)
{
	const struct conf_node *list = conf_member(s->root, "include"), *child;
	struct str name;
	int result = 0;

	if (!list)
		return 0;
	if (list->kind != CONF_NODE_LIST)
		return include_name(l, list, &name)
			       ? wrong_type(l, list, "include",
					    arena_printf(&l->scratch, "[ \"%.*s\" ]",
							 STR_ARG(name))
						    .at)
			       : -1;
	if (s->depth == DEPTH_MAX) {
		diag_error(l->diag, 504, conf_where(list),
			   "files are included more than %d deep", DEPTH_MAX);
		return -1;
	}
	for_each_child(child, list)
		if (!include_name(l, child, &name) ||
		    include_pattern(l, s, name, conf_where(child)) < 0)
			result = -1;
	return result;
}

/* Relative to the directory of the main file when it lies in it. */
const char *
shown_name(struct conf_load *l, struct str path)
{
	if (str_starts(path, l->top) && path.len > l->top.len + 1 &&
	    path.at[l->top.len] == '/')
		path = str_from(path, l->top.len + 1);
	return arena_str(l->image, path).at;
}

static struct str
directory(struct str path)
{
	size_t n = path.len;

	while (n && path.at[n - 1] != '/')
		n--;
	return str_first(path, n > 1 ? n - 1 : 0);
}

/* Whether it was read already; a loop is said. */
static bool
seen(struct conf_load *l, const struct source *s, struct where at, int *result)
{
	*result = 0;
	for (const struct source *up = s->from; up; up = up->from)
		if (same_file(up, s)) {
			diag_error(l->diag, 503, at, "%s includes itself", up->name);
			*result = -1;
			return true;
		}
	for (const struct source *o = l->sources; o; o = o->next)
		if (same_file(o, s))
			return true;
	return false;
}

static int
read_file(struct conf_load *l, struct source *from, struct where at, struct str path)
{
	struct source *s = ARENA_NEW(&l->scratch, struct source);
	int result;

	s->path = path.at;
	s->name = shown_name(l, path);
	s->dir = directory(path);
	s->from = from;
	s->depth = from ? from->depth + 1 : 0;
	if (!from)
		at = (struct where){ .file = s->name };
	if (source_identify(s, at, l->diag) < 0)
		return -1;
	if (seen(l, s, at, &result))
		return result;
	if (++l->nfiles > FILES_MAX) {
		if (l->nfiles == FILES_MAX + 1)
			diag_error(l->diag, 504, at, "more than %d files", FILES_MAX);
		return -1;
	}
	s->next = l->sources;
	l->sources = s;
	*l->last_in_order = s;
	l->last_in_order = &s->in_order;
	result = source_read(s, at, &l->scratch, l->image, l->diag, &l->count);
	if (!s->root)
		return -1;
	if (includes(l, s) < 0)
		s->incomplete = true;
	l->incomplete |= s->incomplete;
	return s->incomplete ? -1 : result;
}

struct section {
	struct section *next;
	struct conf_node *node;
	struct map names;               /* made when a second file has the section */
	bool merged;                    /* then its children are an array that can grow */
};

static struct section *
section(struct conf_load *l, struct section **all, const struct conf_node *n,
	bool *is_new)
{
	struct section **at = all;

	for (; *at; at = &(*at)->next)
		if (str_eq(conf_name_of((*at)->node), conf_name_of(n))) {
			*is_new = false;
			return *at;
		}
	*is_new = true;
	*at = ARENA_NEW(&l->scratch, struct section);
	(*at)->node = ARENA_NEW(&l->scratch, struct conf_node);
	*(*at)->node = *n;
	return *at;
}

static int
twice(struct conf_load *l, const struct conf_node *a, const struct conf_node *b)
{
	conf_error(l, 111, conf_name_where(b), "\"%.*s\" is defined twice",
		   STR_ARG(conf_name_of(b)));
	diag_note(l->diag, conf_name_where(a), "the first is here");
	return -1;
}

static int
merge(struct conf_load *l, struct section *into, const struct conf_node *n)
{
	struct conf_node *to = into->node;
	const struct conf_node *child, **all;
	int result = 0;

	if (to->kind == CONF_NODE_BROKEN || n->kind == CONF_NODE_BROKEN) {
		if (to->kind == CONF_NODE_BROKEN)
			*to = *n;
		to->damaged = true;
		return -1;
	}
	if (to->kind != CONF_NODE_GROUP || n->kind != CONF_NODE_GROUP)
		return twice(l, to, n);
	all = into->merged ? to->child : NULL;
	for (uint32_t i = 0; i < to->n && !into->merged; i++) {
		map_put(&into->names, &l->scratch, conf_name_of(to->child[i]),
			(void *)to->child[i]);
		all = arena_push(&l->scratch, all, i, sizeof(*all));
		all[i] = to->child[i];
	}
	into->merged = true;
	to->damaged |= n->damaged;
	for_each_child(child, n) {
		const struct conf_node *before =
			map_get(&into->names, conf_name_of(child));

		if (before) {
			result = twice(l, before, child);
			continue;
		}
		map_put(&into->names, &l->scratch, conf_name_of(child), (void *)child);
		all = arena_push(&l->scratch, all, to->n, sizeof(*all));
		all[to->n++] = child;
	}
	to->child = all;
	return result;
}

static void
merge_all(struct conf_load *l)
{
	struct section *all = NULL;
	const struct conf_node *child;
	bool is_new;

	l->root = ARENA_NEW(&l->scratch, struct conf_node);
	*l->root = *l->main->root;
	l->root->child = NULL;
	l->root->n = 0;
	for (struct source *s = l->main; s; s = s->in_order) {
		if (!s->root)
			continue; /* it could not be read */
		for_each_child(child, s->root) {
			if (str_eq(conf_name_of(child), STR("include")))
				continue;

			struct section *into = section(l, &all, child, &is_new);

			if (!is_new) {
				merge(l, into, child);
				continue;
			}
			l->root->child = arena_push(&l->scratch, l->root->child,
						    l->root->n, sizeof(*l->root->child));
			l->root->child[l->root->n++] = into->node;
		}
	}
}

int
load_files(struct conf_load *l, const char *path)
{
	struct str full = arena_str(l->image, str_of(path));

	if (*path != '/') {
		char *cwd = getcwd(NULL, 0);

		full = arena_printf(l->image, "%s/%s", cwd ? cwd : "", path);
		free(cwd);
	}
	l->top = directory(full);
	l->model->file = full;
	l->last_in_order = &l->main;

	read_file(l, NULL, (struct where){ 0 }, full);
	if (!l->main || !l->main->root)
		return -1;
	merge_all(l);
	return 0;
}
