#include "conf/reader.h"

enum { S = 1000, H = 3600000, BURST_MAX = 1000000, EARLY = 30 * S };

static const char *const words[] = { "basic", "header", "bearer", "oauth2", NULL };

struct token_use {                      /* an upstream that is to be asked for tokens */
	struct token_use *next;
	struct conf_upstream *by;
	struct str name;
	struct where where;
};

struct written {                        /* a credential as it stands there */
	struct conf_credential c;
	struct str token_upstream;
};

#define OF_UPSTREAM offsetof(struct conf_upstream, credential)
#define C(member) offsetof(struct written, c.member)

const struct conf_field credential_rows[] = {
	{ "type", CONF_KIND_ENUM, CONF_F_REQUIRED, C(type), .words = words,
	  .help = "\"basic\" sends user and password, \"header\" a value under a name, "
		  "\"bearer\" a token, \"oauth2\" a token that is fetched with client "
		  "credentials and renewed before it expires" },
	{ "user", CONF_KIND_STR, .offset = C(user), .help = "name of the user, for \"basic\"" },
	{ "password", CONF_KIND_FILE, CONF_F_SECRET, C(secret),
	  .help = "password, for \"basic\"" },
	{ "header", CONF_KIND_STR, .offset = C(header),
	  .help = "name of the header, for \"header\", such as \"x-api-key\"" },
	{ "value", CONF_KIND_FILE, CONF_F_SECRET, C(secret), .help = "its value, for \"header\"" },
	{ "token", CONF_KIND_FILE, CONF_F_SECRET, C(secret), .help = "the token, for \"bearer\"" },
	{ "token_upstream", CONF_KIND_STR,
	  .offset = offsetof(struct written, token_upstream),
	  .help = "upstream that gives tokens, for \"oauth2\"" },
	{ "token_path", CONF_KIND_STR, .offset = C(token_path),
	  .help = "path where it does, for \"oauth2\", such as \"/oauth2/token\"" },
	{ "client_id", CONF_KIND_STR, .offset = C(client_id),
	  .help = "who asks, for \"oauth2\"" },
	{ "client_secret", CONF_KIND_FILE, CONF_F_SECRET, C(secret),
	  .help = "its secret, for \"oauth2\"" },
	{ "scope", CONF_KIND_STR, .offset = C(scope),
	  .help = "what the token is to allow, for \"oauth2\"; several are separated by "
		  "blanks" },
	{ "audience", CONF_KIND_STR, .offset = C(audience),
	  .help = "whom the token is for, for \"oauth2\"" },
	{ "early", CONF_KIND_DURATION, .offset = C(early), .min = 0, .max = 24 * H,
	  .help = "how long before it expires a token is renewed, for \"oauth2\"; left out: "
		  "30s" },
	CONF_END
};

/* Which keys a type takes, and needs. */
static const struct {
	const char *key;
	int type;
	bool needed;
} keys[] = {
	{ "user", CONF_CRED_BASIC, true },
	{ "password", CONF_CRED_BASIC, true },
	{ "header", CONF_CRED_HEADER, true },
	{ "value", CONF_CRED_HEADER, true },
	{ "token", CONF_CRED_BEARER, true },
	{ "token_upstream", CONF_CRED_OAUTH2, true },
	{ "token_path", CONF_CRED_OAUTH2, true },
	{ "client_id", CONF_CRED_OAUTH2, true },
	{ "client_secret", CONF_CRED_OAUTH2, true },
	{ "scope", CONF_CRED_OAUTH2, false },
	{ "audience", CONF_CRED_OAUTH2, false },
	{ "early", CONF_CRED_OAUTH2, false },
};

static const char *
taken_by(struct conf_load *l, int type)
{
	const char *all = "";

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (keys[i].type == type)
			all = arena_printf(&l->scratch, "%s%s%s", all, *all ? ", " : "",
					   keys[i].key)
				      .at;
	return all;
}

static void
keys_check(struct conf_load *l, const struct conf_node *n, int type)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const struct conf_node *k = conf_member(n, keys[i].key);

		if (k && keys[i].type != type)
			conf_error(l, 244, conf_name_where(k),
				   "\"%s\" is not for type \"%s\", which has %s",
				   keys[i].key, words[type - 1], taken_by(l, type));
		if (!k && keys[i].type == type && keys[i].needed && !n->damaged)
			conf_error(l, 244, conf_where(conf_member(n, "type")),
				   "\"%s\" is missing: type \"%s\" has %s", keys[i].key,
				   words[type - 1], taken_by(l, type));
	}
}

/* A secret becomes part of a header line. */
static void
secret_check(struct conf_load *l, const struct conf_file *f)
{
	struct where unseen = f->where;

	if (!f->path.len)
		unseen.len = 0;
	for (size_t i = 0; i < f->bytes.len; i++)
		if ((unsigned char)f->bytes.at[i] < 0x20 || f->bytes.at[i] == 0x7f) {
			conf_error(l, 244, unseen,
				   "the secret has a line break or control character in it "
				   "and cannot be sent");
			return;
		}
}

static void
words_check(struct conf_load *l, const struct conf_node *n,
	    const struct conf_credential *c)
{
	static const char *const ours[] = { "host", "connection", "content-length",
					    "transfer-encoding", "te", "upgrade", "trailer",
					    NULL };
	const struct conf_node *header = conf_member(n, "header");

	if (header && c->header.at) {
		bool good = c->header.len;

		for (size_t i = 0; i < c->header.len; i++)
			good &= c->header.at[i] > 0x20 && c->header.at[i] < 0x7f &&
				!strchr("\"(),/:;<=>?@[\\]{}", c->header.at[i]);
		for (int i = 0; ours[i]; i++)
			good &= !str_caseeq(c->header, str_of(ours[i]));
		if (!good)
			conf_error(l, 244, conf_where(header),
				   "\"header\": \"%.*s\" cannot be it; such as \"x-api-key\"",
				   STR_ARG(str_first(c->header, 60)));
	}
	if (c->user.at && str_find(c->user, ':') >= 0)
		conf_error(l, 244, conf_where(conf_member(n, "user")),
			   "\"user\" has no colon in it: that is where the password begins");
	if (c->token_path.at && (!c->token_path.len || *c->token_path.at != '/' ||
				 str_find(c->token_path, ' ') >= 0 ||
				 str_find(c->token_path, '#') >= 0))
		conf_error(l, 244, conf_where(conf_member(n, "token_path")),
			   "\"token_path\" begins with a slash: \"/oauth2/token\"; the host is "
			   "that of token_upstream");
}

int
credential_parse(struct conf_load *l, const struct conf_node *n, struct str text,
		 struct where w, void *to)
{
	struct written g = { .c.early = EARLY };
	struct conf_credential *c = to;
	int errors = l->diag->errors;

	(void)text;
	if (n->kind != CONF_NODE_GROUP) {
		/* Perhaps it is the secret itself. */
		secret_hide(n);
		w.len = 0;
		conf_error(l, 205, w,
			   "\"credential\" is a group: { type = \"bearer\"; token = "
			   "\"file:/path\"; }");
		return -1;
	}
	if (conf_fill(l, n, credential_rows, &g) < 0)
		return -1;
	g.c.type++; /* words begin with the first that is one */
	keys_check(l, n, g.c.type);
	secret_check(l, &g.c.secret);
	words_check(l, n, &g.c);
	*c = g.c;
	c->where = n->name_len ? conf_name_where(n) : w;
	if (c->type && c->type != CONF_CRED_HEADER)
		c->header = STR("authorization");
	if (c->type == CONF_CRED_OAUTH2 && g.token_upstream.len) {
		struct token_use *use = ARENA_NEW(&l->scratch, struct token_use);

		use->by = (struct conf_upstream *)((char *)c - OF_UPSTREAM);
		use->name = g.token_upstream;
		use->where = conf_where(conf_member(n, "token_upstream"));
		use->next = l->tokens;
		l->tokens = use;
	}
	return l->diag->errors > errors ? -1 : 0;
}

int
credentials_resolve(struct conf_load *l)
{
	int result = 0;

	for (struct token_use *use = l->tokens; use; use = use->next) {
		struct conf_upstream *u = map_get(&l->upstreams, use->name);
		struct reader_scope before = reader_begin(l, "upstream", use->by->name);

		if (!u && section_whole(l, "upstreams"))
			conf_error(l, 204, use->where, "no upstream \"%.*s\"%s",
				   STR_ARG(use->name),
				   suggest_name(&l->scratch, use->name, &l->upstreams,
						NULL));
		else if (u && u->credential.type == CONF_CRED_OAUTH2)
			conf_error(l, 244, use->where,
				   "upstream \"%.*s\" needs a token itself and cannot be "
				   "asked for one",
				   STR_ARG(use->name));
		reader_end(l, before);
		if (!u || u->credential.type == CONF_CRED_OAUTH2)
			result = -1;
		if (!u)
			continue;
		u->used = true;
		use->by->credential.token_upstream = u;
	}
	return result;
}

static bool
local(struct str host)
{
	return str_starts(host, STR("127.")) || str_eq(host, STR("::1")) ||
	       str_caseeq(host, STR("localhost"));
}

void
credential_check(struct conf_load *l, const struct conf_upstream *u)
{
	for (size_t i = 0; u->credential.type && i < u->ntargets; i++) {
		const struct conf_target *t = &u->targets[i];

		if (t->tls || t->path.len || !t->host.len || local(t->host))
			continue;
		conf_warn(l, 250, t->where,
			  "the credential goes over the network as it is; write \"https://…\"");
		diag_note(l->diag, u->credential.where, "the credential is here");
		return;
	}
}

/* ---- pace */

static int
rate_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	   struct where w, void *to)
{
	struct conf_rate *r = to;
	const char *error;

	if (n->kind != CONF_NODE_STRING)
		return wrong_type(l, n, "rate", "\"100/s\"");
	if (conf_text(l, n, &text) < 0)
		return -1;
	if (conf_rate(text, &r->count, &r->period_ms, &error) == 0)
		return 0;
	conf_error(l, 206, w, "\"rate\": \"%.*s\" is not understood; %s",
		   STR_ARG(str_first(text, 60)), error);
	return -1;
}

const struct conf_field pace_rows[] = {
	{ "learn", CONF_KIND_BOOL, .offset = offsetof(struct conf_pace, learn),
	  .def = "true",
	  .help = "what its answers say of its limits is obeyed: Retry-After, RateLimit, "
		  "X-RateLimit-*" },
	{ "rate", CONF_KIND_VIA, .offset = offsetof(struct conf_pace, rate),
	  .parse = rate_parse,
	  .help = "requests that it may be sent, such as \"100/s\"; left out: as many as "
		  "there are" },
	CONF_INT(struct conf_pace, burst, "0", 0, BURST_MAX,
		 "of them at once; 0: what the rate allows in a second, at least 1"),
	CONF_DURATION(struct conf_pace, wait, "2s", 0, H,
		      "how long a request is held back rather than refused with 503"),
	CONF_END
};

int
pace_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	   struct where w, void *to)
{
	struct conf_pace *p = to;
	const char *error;

	(void)text, (void)w;
	if (n->kind != CONF_NODE_GROUP)
		return wrong_type(l, n, "pace", "a group: { learn = true; }");
	if (conf_fill(l, n, pace_rows, p) < 0)
		return -1;
	if (p->burst && !p->rate.count) {
		conf_error(l, 251, conf_name_where(conf_member(n, "burst")),
			   "\"burst\" has no effect without \"rate\"");
		return -1;
	}
	if (!p->rate.count || conf_rate_finish(&p->rate, (uint64_t)p->burst, &error) == 0)
		return 0;
	conf_error(l, 251, conf_where(conf_member(n, "rate")), "\"rate\": %s", error);
	return -1;
}
