#include "conf/reader.h"

static const char *
domain_error(struct str s)
{
	struct str rest = s;

	if (str_eq(s, STR("*")))
		return NULL;
	if (memmem(s.at, s.len, "://", 3))
		return "a domain has no scheme: \"api.example.com\"";
	if (str_find(s, '/') >= 0)
		return "a domain has no path; paths stand in match of routes";
	if (str_find(s, ':') >= 0 && *s.at != '[')
		return "a domain has no port; listeners have them";
	if (str_starts(s, STR("*.")))
		rest = str_from(s, 2);
	if (str_find(rest, '*') >= 0)
		return "a star stands for whole names at the front only: "
		       "\"*.example.com\"";
	if (str_starts(s, STR(".")))
		return "write \"*.example.com\" for all names below";
	if (!rest.len || s.len > 255)
		return "a domain is a name such as \"api.example.com\", "
		       "\"*.example.com\" or \"*\"";
	if (str_eq(s, STR("_")))
		return "all names that no other service has are \"*\"";
	for (size_t i = 0; *s.at != '[' && i < rest.len; i++)
		if (strchr("~^$()?+|\\,;", rest.at[i]))
			return "a domain is a name, not a regex: \"*.example.com\" "
			       "stands for all names below";
	for (size_t i = 0; i < rest.len; i++)
		if ((unsigned char)rest.at[i] <= ' ' || (unsigned char)rest.at[i] >= 0x7f)
			return "names with other letters are written in their xn-- form";
	return NULL;
}

static int
domains_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	      struct where w, void *to)
{
	static const struct conf_field row = { .key = "domains", .kind = CONF_KIND_STRS };
	struct conf_service *s = to;
	struct conf_strs all = { 0 };
	int result;

	(void)text, (void)w;
	result = conf_fill_one(l, &row, n, &all);
	if (result == 0 && !all.n && !n->damaged) {
		conf_error(l, 222, conf_where(n),
			   "\"domains\" is empty: no request would come here");
		return -1;
	}
	s->domains = ARENA_NEWS(l->image, struct conf_domain, all.n);
	s->ndomains = all.n;
	for (size_t i = 0; i < all.n; i++) {
		const char *error = all.at[i].at ? domain_error(all.at[i]) : NULL;
		struct str lower = arena_str(l->image, all.at[i]);
		char *p = (char *)lower.at;

		for (size_t k = 0; k < lower.len; k++)
			p[k] = (char)char_lower((unsigned char)p[k]);
		s->domains[i] = (struct conf_domain){ lower, all.where[i] };
		if (!error)
			continue;
		conf_error(l, 223, all.where[i], "domain \"%.*s\": %s",
			   STR_ARG(str_first(all.at[i], 100)), error);
		result = -1;
	}
	return result;
}

static int
on_parse(struct conf_load *l, const struct conf_node *n, struct str text, struct where w,
	 void *to)
{
	static const struct conf_field row = { .key = "on", .kind = CONF_KIND_STRS };
	struct conf_service *s = to;
	struct conf_strs all = { 0 };
	int result = 0;

	(void)text, (void)w;
	if (conf_fill_one(l, &row, n, &all) < 0)
		return -1;
	if (!all.n && !n->damaged) {
		conf_error(l, 222, conf_where(n),
			   "\"on\" is empty: no request would come here; leave it out "
			   "for every listener");
		return -1;
	}
	s->on = ARENA_NEWS(l->image, const struct conf_listener *, all.n);
	for (size_t i = 0; i < all.n; i++) {
		void *near;
		const struct conf_listener *listener = map_get(&l->listeners, all.at[i]);

		if (listener) {
			s->on[s->non++] = listener;
			continue;
		}

		result = -1;
		if (!all.at[i].at || !section_whole(l, "listeners"))
			continue;

		const char *hint =
			suggest_name(&l->scratch, all.at[i], &l->listeners, &near);

		conf_error(l, 204, all.where[i], "no listener \"%.*s\"%s",
			   STR_ARG(all.at[i]), hint);
		if (near)
			diag_note(l->diag, ((struct conf_listener *)near)->where,
				  "\"%.*s\" is defined here",
				  STR_ARG(((struct conf_listener *)near)->name));
	}
	return result;
}

const struct conf_field service_rows[] = {
	{ "domains", CONF_KIND_VIA, CONF_F_REQUIRED, 0, .parse = domains_parse,
	  .help = "names it answers for: [ \"api.example.com\", \"*.example.com\", \"*\" "
		  "]" },
	{ "on", CONF_KIND_VIA, .parse = on_parse,
	  .help = "names of listeners; left out: every one" },
	{ "policies", CONF_KIND_VIA, .offset = offsetof(struct conf_service, policies),
	  .parse = uses_parse, .help = "policies of all its routes, in this order" },
	{ "routes", CONF_KIND_VIA, CONF_F_REQUIRED | CONF_F_LIST, 0,
	  .parse = routes_parse, .sub = route_rows,
	  .help = "ordered routes; the first that matches wins" },
	{ "tests", CONF_KIND_VIA, CONF_F_LIST, 0, .parse = tests_parse, .sub = test_rows,
	  .help = "requests and what is expected of the routes, run by every check and "
		  "reload" },
	CONF_END
};

static void
everywhere(struct conf_load *l, struct conf_service *s)
{
	const struct conf_model *m = l->model;

	s->on = ARENA_NEWS(l->image, const struct conf_listener *, m->nlisteners);
	for (size_t i = 0; i < m->nlisteners; i++)
		s->on[s->non++] = &m->listeners[i];
}

NAMED_STRUCT(struct conf_service);

static int
service(struct conf_load *l, const struct conf_node *n, void *to)
{
	struct conf_service *s = to;

	s->broken = conf_fill(l, n, service_rows, s) < 0 || n->damaged;
	if (!conf_member(n, "on"))
		everywhere(l, s);
	return s->broken ? -1 : 0;
}

int
services_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	       struct where w, void *to)
{
	struct conf_model *m = l->model;

	(void)text, (void)w, (void)to;
	return named_parse(l, n,
			   &(struct named_section){
				   .section = "services",
				   .kind = "service",
				   .shape = "{ NAME: { domains = [ \"*\" ]; routes = "
					    "( … ); }; }",
				   .none = "no service is defined: nothing would be "
					   "answered",
				   .size = sizeof(*m->services),
				   .one = service },
			   &m->services, &m->nservices);
}
