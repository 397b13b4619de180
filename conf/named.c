#include "conf/reader.h"

int
named_parse(struct conf_load *l, const struct conf_node *n,
	    const struct named_section *s, void *array, size_t *count)
{
	const struct conf_node *child;
	int result = 0;
	char *all;

	if (n->kind != CONF_NODE_GROUP)
		return wrong_type(l, n, s->section, s->shape);
	if (!n->n && !n->damaged && s->none)
		conf_error(l, 222, conf_where(n), "%s", s->none);
	all = arena_zalloc(l->image, s->size * n->n);
	memcpy(array, &all, sizeof(all));
	for_each_child(child, n) {
		struct named head = { arena_str(l->image, conf_name_of(child)),
				      conf_name_where(child), (uint32_t)*count };
		char *one = all + s->size * (*count)++;

		memcpy(one, &head, offsetof(struct named, index) + sizeof(head.index));

		struct reader_scope before = reader_begin(l, s->kind, head.name);

		if (s->one(l, child, one) < 0)
			result = -1;
		reader_end(l, before);
		if (s->names)
			map_put(s->names, s->names_in, head.name, one);
	}
	return result;
}

/* [A-Za-z0-9._@-]: what may stand in headers, URLs, logs and tables as it is. */
static bool
plain_byte(char c)
{
	return (c >= '0' && c <= '9') || (char_lower((unsigned char)c) >= 'a' &&
	       char_lower((unsigned char)c) <= 'z') || c == '.' || c == '_' ||
	       c == '@' || c == '-';
}

const char *
name_error(struct str name)
{
	if (!name.len || name.len > NAME_BYTES)
		return "a name has 1 to 63 bytes";
	for (size_t i = 0; i < name.len; i++)
		if (!plain_byte(name.at[i]))
			return "a name has letters, digits and . _ @ - only";
	return NULL;
}
