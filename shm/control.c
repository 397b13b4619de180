#include "shm/control.h"

static const struct region_shape shape = { "control", 1, sizeof(struct control), 1 };

_Static_assert(sizeof(struct control) % 64 == 0, "whole cache lines");

struct control *
control_open(struct region *r)
{
	struct control *c = region_segment(r, &shape, NULL);

	return c && region_reserve(r, c, sizeof(*c)) == 0 ? c : NULL;
}

const struct control *
control_find(const struct region *r)
{
	return region_find(r, &shape);
}
