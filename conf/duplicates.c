#include "base/map.h"
#include "conf/source.h"

static void
duplicate(struct diag *d, struct conf_node *group, const struct conf_node *a,
	  struct conf_node *b)
{
	struct where w = conf_name_where(b);

	diag_error(d, 111, w, "\"%.*s\" stands twice in one group",
		   STR_ARG(conf_name_of(b)));
	diag_note(d, conf_name_where(a), "the first is here");
	group->apart = true;
	b->dropped = true;
}

void
drop_duplicates(struct conf_node *group, struct arena *a, struct diag *d)
{
	const struct conf_node **all = group->child;

	if (group->n <= 12) {
		for (uint32_t i = 1; i < group->n; i++)
			for (uint32_t k = 0; k < i; k++)
				if (!all[k]->dropped &&
				    all[i]->name_len == all[k]->name_len &&
				    str_eq(conf_name_of(all[i]), conf_name_of(all[k]))) {
					duplicate(d, group, all[k],
						  (struct conf_node *)all[i]);
					break;
				}
	} else {
		struct map names = { 0 };

		for (uint32_t i = 0; i < group->n; i++) {
			struct str name = conf_name_of(all[i]);
			const struct conf_node *before = map_get(&names, name);

			if (before)
				duplicate(d, group, before, (struct conf_node *)all[i]);
			else
				map_put(&names, a, name, (void *)all[i]);
		}
	}

	uint32_t kept = 0;

	for (uint32_t i = 0; i < group->n; i++)
		if (!all[i]->dropped)
			all[kept++] = all[i];
	group->n = kept;
}
