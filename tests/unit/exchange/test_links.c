#include "worker/exchange/links.h"

#include "worker/exchange/template.h"

#include "tests/unit/exchange/fake.h"

struct plain {
	const struct template *text;
};

static const struct conf_field plain_fields[] = {
	CONF_VIA(struct plain, text, template_parse, NULL, "a text"),
	CONF_END
};

static enum verdict
pass(struct exchange *e, const void *self, void *state)
{
	(void)e;
	(void)self;
	(void)state;
	return PASS;
}

static void
over(struct exchange *e, const void *self, void *state)
{
	(void)e;
	(void)self;
	(void)state;
}

static const struct policy asks = {
	.conf = { .name = "asks", .size = sizeof(struct plain), .fields = plain_fields },
	.state_size = 5, .request = pass, .preflight = true,
};
static const struct policy ends = {
	.conf = { .name = "ends", .size = sizeof(struct plain), .fields = plain_fields },
	.state_size = 8, .done = over, .forwards = true,
};

static bool
needs(const void *self)
{
	return !((const struct plain *)self)->text;
}

static const struct policy who = {
	.conf = { .name = "who", .size = sizeof(struct plain), .fields = plain_fields },
	.request = pass, .identifies = true,
};
static const struct policy limit = {
	.conf = { .name = "limit", .size = sizeof(struct plain), .fields = plain_fields },
	.request = pass, .needs_identity = needs,
};

static struct arena image, said;
static struct diag diag;
static struct conf_model model;
static struct conf_service service[2];
static struct conf_route routes[4];
static struct router router;
static struct service compiled[2];
static struct route route[4];
static const struct links *gateway;
static const struct str id = { "id", 2 };

static const struct conf_policy *
policy(const char *name, const struct policy *type, const char *text)
{
	struct conf_policy *p = ARENA_NEW(&image, struct conf_policy);
	struct plain *self = ARENA_NEW(&image, struct plain);

	if (text)
		self->text = template_compile(&image, &diag, str_of(text),
					      (struct where){ "a.conf", 2, 5, 9 });
	*p = (struct conf_policy){ .name = str_of(name),
				   .type = &type->conf,
				   .self = self,
				   .index = (uint32_t)model.npolicies };
	model.policies = arena_push(&image, model.policies, model.npolicies, sizeof p);
	model.policies[model.npolicies++] = p;
	return p;
}

static struct conf_use *
uses(const struct conf_policy *a, const struct conf_policy *b)
{
	struct conf_use *u = ARENA_NEWS(&image, struct conf_use, 2);

	u[0] = (struct conf_use){ a, { "a.conf", 20, 1, 1 } };
	u[1] = (struct conf_use){ b, { "a.conf", 21, 1, 1 } };
	return u;
}

static void
begin(void)
{
	arena_init(&image, NULL, 0, 1 << 24);
	arena_init(&said, NULL, 0, 1 << 24);
	diag_init(&diag, &said);
	model = (struct conf_model){ .services = service, .nservices = 2 };
	router = (struct router){ .services = compiled, .nservices = 2 };
	memset(service, 0, sizeof service);
	memset(routes, 0, sizeof routes);
	for (int i = 0; i < 4; i++) {
		route[i] = (struct route){ .conf = &routes[i],
					   .service = &compiled[i / 2],
					   .ncaptures = 1,
					   .capture = &id };
		routes[i].name = STR("r");
		routes[i].where = (struct where){ "a.conf", 30 + (uint32_t)i, 1, 1 };
	}
	for (int i = 0; i < 2; i++)
		compiled[i] = (struct service){ .conf = &service[i],
						.routes = &route[2 * i],
						.nroutes = 2 };
}

static int
compile(void)
{
	return links_compile(&model, &router, &gateway, &image, &diag);
}

static void
end(void)
{
	arena_reset(&image);
	arena_reset(&said);
}

static void
says(int code, unsigned line, const char *words)
{
	for (struct diag_item *i = diag.first; i; i = i->next)
		if (i->code == code && i->where.line == line &&
		    memmem(i->text.at, i->text.len, words, strlen(words)))
			return;
	diag_print(&diag, stderr);
	ck_abort_msg("no E%d on line %u with \"%s\"", code, line, words);
}

START_TEST(chains_are_flat_and_in_order)
{
	const struct conf_policy *a, *b, *c;

	begin();
	a = policy("a", &asks, NULL);
	b = policy("b", &ends, NULL);
	c = policy("c", &asks, NULL);
	model.gateway.policies = uses(a, NULL);
	model.gateway.npolicies = 1;
	service[0].policies = uses(b, NULL);
	service[0].npolicies = 1;
	routes[1].policies = uses(c, NULL);
	routes[1].npolicies = 1;
	ck_assert_int_eq(compile(), 0);
	ck_assert_uint_eq(gateway->n, 1);
	ck_assert(gateway->preflight && gateway->has_request);
	ck_assert(!gateway->has_done && !gateway->has_response && !gateway->forwards);
	ck_assert_uint_eq(compiled[0].links->n, 2);
	ck_assert(compiled[0].links->has_done && compiled[0].links->forwards);
	ck_assert_ptr_eq(route[0].links, compiled[0].links);
	ck_assert_uint_eq(route[1].links->n, 3);
	ck_assert_ptr_eq(route[1].links->at[0].conf, a);
	ck_assert_ptr_eq(route[1].links->at[1].conf, b);
	ck_assert_ptr_eq(route[1].links->at[2].conf, c);
	ck_assert_str_eq(route[1].links->at[0].from, "gateway");
	ck_assert_str_eq(route[1].links->at[1].from, "service");
	ck_assert_str_eq(route[1].links->at[2].from, "route");
	/* States do not overlap and lie on 16 bytes. */
	ck_assert_uint_eq(route[1].links->at[1].state, 16);
	ck_assert_uint_eq(route[1].links->at[2].state, 32);
	ck_assert_uint_eq(route[1].links->state_size, 48);
	/* The second service adds nothing: it shares the gateway's. */
	ck_assert_ptr_eq(compiled[1].links, gateway);
	ck_assert_ptr_eq(route[3].links, gateway);
	end();
}
END_TEST

START_TEST(without_takes_inherited_ones_out)
{
	struct str names[] = { STR("alpha"), STR("betta") };
	struct where where[] = { { "a.conf", 40, 1, 1 }, { "a.conf", 41, 1, 1 } };
	const struct conf_policy *a, *b;

	begin();
	a = policy("alpha", &asks, NULL);
	b = policy("beta", &ends, NULL);
	model.gateway.policies = uses(a, b);
	model.gateway.npolicies = 2;
	routes[0].without = routes[2].without = (struct conf_strs){ names, where, 1 };
	ck_assert_int_eq(compile(), 0);
	ck_assert_uint_eq(route[0].links->n, 1);
	ck_assert_ptr_eq(route[0].links->at[0].conf, b);
	ck_assert_ptr_eq(route[0].links, route[2].links);
	ck_assert_uint_eq(route[1].links->n, 2);
	routes[0].without.n = 2;
	ck_assert_int_eq(compile(), -1);
	says(410, 41, "no inherited policy \"betta\"; did you mean \"beta\"?");
	end();
}
END_TEST

START_TEST(a_policy_that_runs_twice_is_a_warning)
{
	const struct conf_policy *a;

	begin();
	a = policy("a", &asks, NULL);
	model.gateway.policies = uses(a, NULL);
	model.gateway.npolicies = 1;
	routes[0].policies = uses(a, NULL);
	routes[0].npolicies = 1;
	ck_assert_int_eq(compile(), 0);
	ck_assert_int_eq(diag.warnings, 1);
	says(411, 20, "runs twice");
	end();
}
END_TEST

START_TEST(captures_of_policies_are_checked_for_each_route)
{
	begin();
	model.gateway.policies = uses(policy("a", &asks, "x-{id}"), NULL);
	model.gateway.npolicies = 1;
	ck_assert_int_eq(compile(), 0);
	route[3].ncaptures = 0;
	ck_assert_int_eq(compile(), -1);
	ck_assert_int_eq(diag.errors, 1);
	says(403, 2, "no capture gives \"{id}\"");
	says(0, 33, "runs this policy");
	end();
}
END_TEST

START_TEST(rewrite_and_redirect_are_compiled)
{
	begin();
	routes[0].rewrite = STR("/orders/{id}");
	routes[1].redirect = STR("https://b/{id}?{query}");
	ck_assert_int_eq(compile(), 0);
	ck_assert_ptr_nonnull(route[0].rewrite);
	ck_assert_ptr_null(route[0].redirect);
	ck_assert_ptr_nonnull(route[1].redirect);
	ck_assert_ptr_null(route[2].rewrite);
	end();
}
END_TEST

START_TEST(bad_rewrites_are_refused)
{
	static const struct { const char *text, *words;
	} bad[] = {
		{ "/a?b=1", "a path alone" },          { "/a b", "holds no blanks" },
		{ "a/b", "begins with \"/\"" },        { "/\xc3\xa4", "percent-encode" },
		{ "/{idd}", "did you mean \"{id}\"" },
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		begin();
		routes[0].rewrite = str_of(bad[i].text);
		routes[0].rewrite_where = (struct where){ "a.conf", 50, 1, 8 };
		ck_assert_int_eq(compile(), -1);
		says(strstr(bad[i].text, "idd") ? 403 : 406, 50, bad[i].words);
		end();
	}
}
END_TEST

/* Gateway and service policies, then those of the first route. */
static int
compile_chain(const struct conf_policy *gateway_policy, const struct conf_policy *a,
	      const struct conf_policy *b)
{
	model.gateway.policies = uses(gateway_policy, NULL);
	model.gateway.npolicies = 1;
	service[0].policies = uses(a, b);
	service[0].npolicies = 2;
	return compile();
}

START_TEST(a_limit_by_plan_comes_after_who_identifies)
{
	begin();
	ck_assert_int_eq(compile_chain(policy("any", &asks, "{header.x}"),
				       policy("key", &who, NULL),
				       policy("by-plan", &limit, NULL)),
			 0);
	ck_assert_int_eq(diag.warnings, 0);
	ck_assert(route[0].links->identifies);
	ck_assert(!route[2].links->identifies);
	end();

	begin();
	ck_assert_int_eq(compile_chain(policy("any", &asks, NULL),
				       policy("by-plan", &limit, NULL),
				       policy("key", &who, NULL)),
			 -1);
	ck_assert_int_eq(diag.errors, 1);
	says(412, 20, "policy \"by-plan\" needs to know the consumer");
	ck_assert(str_starts(diag.first->next->text, STR("\"key\" does, but runs later")));
	end();

	/* One route goes without. */
	begin();
	routes[1].without = (struct conf_strs){ (struct str[]){ STR("key") },
						(struct where[]){ { "a.conf", 9, 1, 1 } },
						1 };
	ck_assert_int_eq(compile_chain(policy("any", &asks, NULL),
				       policy("key", &who, NULL),
				       policy("by-plan", &limit, NULL)),
			 -1);
	ck_assert_int_eq(diag.errors, 1);
	ck_assert_uint_eq(diag.first->next->where.line, 31);
	end();
}
END_TEST

START_TEST(templates_of_nobody_are_a_warning)
{
	begin();
	ck_assert_int_eq(compile_chain(policy("early", &asks, "{consumer}"),
				       policy("key", &who, NULL),
				       policy("by", &limit, "{consumer}")),
			 0);
	ck_assert_int_eq(diag.warnings, 1);
	says(413, 2, "\"{consumer}\" is empty");
	end();

	/* What is written at the end comes late enough. */
	begin();
	ck_assert_int_eq(compile_chain(policy("log", &ends, "{consumer}"),
				       policy("key", &who, NULL),
				       policy("any", &asks, "{consumer}")),
			 0);
	ck_assert_int_eq(diag.warnings, 0);
	end();
}
END_TEST

START_TEST(ten_thousand_routes_share_one_chain)
{
	static struct conf_route many[10000];
	static struct route out[10000];
	struct str name = STR("a");
	struct where where = { "a.conf", 1, 1, 1 };
	size_t before;

	begin();
	model.gateway.policies = uses(policy("a", &asks, NULL), policy("b", &ends, NULL));
	model.gateway.npolicies = 2;
	for (int i = 0; i < 10000; i++) {
		many[i].without = (struct conf_strs){ &name, &where, 1 };
		out[i] = (struct route){ .conf = &many[i], .service = &compiled[0] };
	}
	compiled[0].routes = out;
	compiled[0].nroutes = 10000;
	arena_alloc(&image, 1);
	before = image.used;
	ck_assert_int_eq(compile(), 0);
	for (int i = 1; i < 10000; i++)
		ck_assert_ptr_eq(out[i].links, out[0].links);
	ck_assert_uint_lt(image.used - before, 100000);
	end();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		chains_are_flat_and_in_order,
		without_takes_inherited_ones_out,
		a_policy_that_runs_twice_is_a_warning,
		captures_of_policies_are_checked_for_each_route,
		rewrite_and_redirect_are_compiled,
		bad_rewrites_are_refused,
		a_limit_by_plan_comes_after_who_identifies,
		templates_of_nobody_are_a_warning,
		ten_thousand_routes_share_one_chain,
	};

	return unit_run("exchange/links", tests, sizeof tests / sizeof *tests);
}
