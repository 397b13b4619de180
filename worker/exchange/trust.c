#include "worker/exchange/trust.h"

const struct trust *
trust_compile(const struct conf_model *model, struct arena *image, struct diag *diag)
{
	struct trust *all = ARENA_NEWS(image, struct trust, model->nlisteners);
	bool bad = false;

	for (size_t i = 0; i < model->nlisteners; i++) {
		const struct conf_listener *l = &model->listeners[i];
		struct prefix *at = ARENA_NEWS(image, struct prefix, l->trust.n);

		for (size_t k = 0; k < l->trust.n; k++) {
			if (prefix_parse(&at[k], l->trust.at[k]))
				continue;
			diag_error(diag, 530, l->trust.where[k],
				   "listener \"%.*s\": \"%.*s\" is no address, no prefix "
				   "such as "
				   "\"10.0.0.0/8\", and not \"unix\"",
				   STR_ARG(l->name), STR_ARG(l->trust.at[k]));
			bad = true;
		}
		all[l->index] = (struct trust){ at, l->trust.n };
	}
	return bad ? NULL : all;
}

bool
trust_has(const struct trust *t, const struct addr *a)
{
	for (size_t i = 0; i < t->n; i++)
		if (prefix_has(&t->at[i], a))
			return true;
	return false;
}
