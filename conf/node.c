#include "conf/source.h"

enum conf_node_kind
conf_kind_of(const struct conf_node *n)
{
	return (enum conf_node_kind)n->kind;
}

struct str
conf_name_of(const struct conf_node *n)
{
	return (struct str){ n->source->scan.text.at + n->name_at, n->name_len };
}

struct where
conf_where(const struct conf_node *n)
{
	return scan_where(&n->source->scan, n->at, n->bracket ? n->at + 1 : n->end);
}

struct where
conf_name_where(const struct conf_node *n)
{
	return scan_where(&n->source->scan, n->name_at, n->name_at + n->name_len);
}

size_t
conf_count(const struct conf_node *n)
{
	return n->bracket ? n->n : 0;
}

const struct conf_node *
conf_child(const struct conf_node *n, size_t i)
{
	return n->child[i];
}

const struct conf_node *
conf_member(const struct conf_node *n, const char *key)
{
	size_t len = strlen(key);

	for (uint32_t i = 0; n->kind == CONF_NODE_GROUP && i < n->n; i++)
		if (n->child[i]->name_len == len &&
		    memcmp(conf_name_of(n->child[i]).at, key, len) == 0)
			return n->child[i];
	return NULL;
}

struct str
source_path(const struct source *s, struct arena *a, struct str name)
{
	if (name.len && *name.at == '/')
		return arena_str(a, name);
	return arena_printf(a, "%.*s/%.*s", STR_ARG(s->dir), STR_ARG(name));
}

struct str
conf_path_of(const struct conf_node *n, struct arena *a, struct str path)
{
	return source_path(n->source, a, path);
}
