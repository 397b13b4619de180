#include <inttypes.h>

#include "conf/describe.h"
#include "conf/reader.h"

/* Text with what mdoc would take for its own made harmless. */
static void
plain(FILE *out, const char *text)
{
	bool start = true;

	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (start && (*text == '.' || *text == '\''))
			fprintf(out, "\\&%c", *text);
		else
			fputc(*text, out);
		start = *text == '\n';
	}
}

/* A help text as a sentence. */
static void
sentence(FILE *out, const char *text)
{
	if (*text >= 'a' && *text <= 'z')
		fputc(*text++ - 32, out);
	plain(out, text);
	fputs(".\n", out);
}

static const char *
kind_of(const struct conf_field *r)
{
	if (r->flags & CONF_F_NAMED)
		return "named groups";
	switch (r->kind) {
	case CONF_KIND_BOOL:     return "boolean";
	case CONF_KIND_INT:      return "number";
	case CONF_KIND_SIZE:     return "size";
	case CONF_KIND_DURATION: return "duration";
	case CONF_KIND_SHARE:    return "share";
	case CONF_KIND_STR:      return "string";
	case CONF_KIND_PATH:     return "path";
	case CONF_KIND_FILE:     return r->flags & CONF_F_SECRET ? "string" : "file";
	case CONF_KIND_ENUM:     return "word";
	case CONF_KIND_STRS:     return "list of strings";
	case CONF_KIND_PAIRS:    return "group of strings";
	case CONF_KIND_GROUP:    return "group";
	default:                 return NULL;
	}
}

static void
facts(FILE *out, const struct conf_field *r)
{
	char low[32], high[32];

	if (r->kind == CONF_KIND_ENUM) {
		fputs("One of", out);
		for (int i = 0; r->words[i]; i++)
			fprintf(out, "%s \\(dq%s\\(dq", i ? "," : "", r->words[i]);
		fputs(".\n", out);
	}
	if (r->flags & CONF_F_REQUIRED)
		fputs("Required.\n", out);
	else if (r->def && *r->def) {
		fputs("Default: ", out);
		plain(out, r->def);
		fputs(".\n", out);
	}
	if (r->kind == CONF_KIND_INT && (r->min || r->max))
		fprintf(out, "From %" PRId64 " to %" PRId64 ".\n", r->min, r->max);
	if ((r->kind == CONF_KIND_SIZE || r->kind == CONF_KIND_DURATION) && r->max &&
	    r->max != INT64_MAX) {
		(r->kind == CONF_KIND_SIZE ? put_size : put_duration)(low,
								      (uint64_t)r->min);
		(r->kind == CONF_KIND_SIZE ? put_size : put_duration)(high,
								      (uint64_t)r->max);
		fprintf(out, "From %s to %s.\n", low, high);
	}
}

static void
rows(FILE *out, const struct conf_field *all)
{
	if (!all->key)
		return;
	fputs(".Bl -tag -width 8n\n", out);
	for (const struct conf_field *r = all; r->key; r++) {
		if (r->flags & CONF_F_LATER)
			continue;

		const char *kind = kind_of(r);

		fprintf(out, ".It Cm %s", r->key);
		if (kind)
			fprintf(out, " Pq %s", kind);
		fputc('\n', out);
		sentence(out, r->help);
		facts(out, r);
		if (r->sub)
			rows(out, r->sub);
	}
	fputs(".El\n", out);
}

static const char head[] =
	".Dd November 21, 2026\n.Dt POSTERN.CONF 5\n.Os\n.Sh NAME\n.Nm postern.conf\n"
	".Nd configuration of the API gateway postern\n.Sh DESCRIPTION\n"
	"The syntax is that of libconfig: settings are\n.Ql name = value; ;\n"
	"groups are in braces, lists in parentheses, arrays in brackets; comments begin "
	"with\n"
	".Ql #\nor\n.Ql //\nor stand between\n.Ql /*\nand\n.Ql */ .\n"
	"Named things are groups, ordered things are lists.\nUnknown keys are errors.\n"
	".Pp\nDurations, sizes, shares, rates and quotas are strings with a unit:\n"
	".Bl -tag -width 10n\n"
	".It durations\n\\(dq250ms\\(dq, \\(dq30s\\(dq, \\(dq1h30m\\(dq, \\(dq1d\\(dq\n"
	".It sizes\n\\(dq512B\\(dq, \\(dq64KiB\\(dq, \\(dq1MiB\\(dq, \\(dq1GiB\\(dq\n"
	".It shares\n\\(dq20%\\(dq\n"
	".It rates\n\\(dq100/s\\(dq, \\(dq60/min\\(dq, \\(dq5000/h\\(dq, "
	"\\(dq10000/day\\(dq: spread evenly, whenever they begin\n"
	".It quotas\n\\(dq10000/day\\(dq, \\(dq5000000/month\\(dq, also per minute, "
	"hour or week: counted from one end of the calendar's window to the next; weeks "
	"begin on Monday\n.El\n.Pp\n"
	"Where 0 is allowed, \\(dqnone\\(dq may be written.\n"
	"In strings, ${env:NAME} stands for a variable of the environment and "
	"${var:NAME} for one of the\n"
	"section\n.Cm vars ;\n$${ is a literal ${.\nRelative paths are relative to the "
	"file that names them.\n"
	".Pp\nA small configuration:\n.Bd -literal -offset indent\n"
	"listeners: { main: { bind = [ \"127.0.0.1:8100\" ]; }; };\n"
	"upstreams: { origin: { targets = [ \"http://127.0.0.1:9000\" ]; }; };\n"
	"services:  { all: { domains = [ \"*\" ];\n"
	"                    routes = ( { match = \"* /*\"; to = \"origin\"; } ); }; "
	"};\n.Ed\n";

static const char matching[] =
	".Sh HOW A ROUTE IS FOUND\n"
	"The host of a request chooses the service: a domain that is written out, then the longest\n"
	".Ql *.example.com ,\nthen\n.Ql * .\n"
	"Within the service the routes are tried as they are written; the first whose path, method and\n"
	"conditions fit is taken.\n"
	"Where only the method does not fit, the answer is 405 with Allow; where nothing fits, 404.\n"
	"What is compared is the path without dot segments and with its percent-encoding in one form,\n"
	"and that is what the upstream is sent.\n"
	".Pp\nPaths of\n.Cm match\nare:\n"
	".Bl -tag -width 16n\n"
	".It Ql /a/b\nthis path and no other\n"
	".It Ql /a/{id}\none segment in place of {id}; it is a capture of that name\n"
	".It Ql /a/*\nall below /a/, but not /a itself; the rest is the capture {*}\n"
	".It Ql ~ ^/a/(?<n>\\ed+)$\na regular expression of PCRE2; its named groups are captures. "
	"In a string of\nthe configuration a backslash is written twice\n.El\n"
	".Pp\n.Ql postern route\nshows for a request which routes were tried, and\n.Cm tests\n"
	"of a service see to it that it stays so.\n";

static const char consumers[] =
	".Sh WHO CALLS\n"
	"A policy of type\n.Cm api-key\n"
	"finds out whose key a request bears; policies that run after it can count by\n"
	".Ql {consumer} ,\nby the rates of its plan\n.Pq Cm rate No = \\(dqplan\\(dq ,\n"
	"and by the quotas of its plan\n.Pq Cm quota No = \\(dqplan\\(dq .\n"
	"Consumers and their keys stand in\n.Cm consumers ,\nin\n.Cm gateway.consumers_file ,\n"
	"and in the store, where\n.Ql postern consumer\nputs them while the gateway runs.\n"
	"The keys of one consumer add up; a key has one owner.\n"
	"Only digests of keys are kept: what\n.Ql printf %s KEY | sha256sum\nprints.\n"
	"A file of consumers has lines such as\n.Bd -literal -offset indent\n"
	"# CONSUMER sha256:DIGEST [PLAN]\n"
	"acme sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae gold\n"
	".Ed\n";

static const char material[] =
	".Sh CERTIFICATES, KEYS AND SECRETS\n"
	"Certificates and keys are files in PEM:\n"
	".Bl -tag -width 12n\n"
	".It Ql tls/api.pem\na path, relative to the file that names it;\n.Ql file:PATH\nis the same\n"
	".It Ql cred:NAME\na credential of systemd:\n.Ql LoadCredential=NAME:/path\nin the unit\n.El\n"
	".Pp\nSecrets, such as tokens and passwords, are\n.Ql file:PATH ,\n.Ql cred:NAME\nor\n"
	".Ql env:NAME ;\none that stands in the configuration itself is warned of where everybody may read that.\n"
	"A line break at the end of the file is no part of it.\n"
	".Pp\nAll of these are read when the configuration is loaded, by the user who starts postern.\n"
	"What was replaced takes effect with the next reload; no connection is closed for it.\n"
	"Keys and secrets that everybody may read are warned of, those that everybody may write to refused.\n"
	"None of them is shown in a finding, a log, or the configuration that\n.Fl T\nprints.\n"
	".Pp\nThe HTTP that is spoken:\n"
	".Bl -tag -width 28n\n"
	".It listener with tls\nHTTP/2 and 1.1, as ALPN agrees; one of them if\n.Cm http\nsays so\n"
	".It listener without\n1.1;\n.Ql http = [ \\(dqh2\\(dq, \\(dq1.1\\(dq ]\n"
	"takes HTTP/2 by prior knowledge as well\n"
	".It target\n1.1;\n.Ql http = \\(dqh2\\(dq\nby ALPN with https://, by prior knowledge without;\n"
	".Ql http = \\(dqauto\\(dq\nwhat the target with https:// prefers\n.El\n";

static const char tail[] =
	".Sh FILES\n.Bl -tag -width Pa\n.It Pa /etc/postern/postern.conf\nthe main file\n"
	".It Pa /etc/postern/conf.d/\nfiles of others, when\n.Cm include\nnames "
	"them\n.El\n"
	".Sh SEE ALSO\n.Xr postern 8\n";

void
conf_describe_manual(const struct conf_type *const *types, void (*more)(FILE *),
		     FILE *out)
{
	fputs(head, out);
	for (const struct conf_field *r = conf_rows; r->key; r++) {
		if (r->flags & CONF_F_LATER)
			continue;
		fputs(".Sh ", out);
		for (const char *p = r->key; *p; p++)
			fputc(*p >= 'a' && *p <= 'z' ? *p - 32 : *p, out);
		fputc('\n', out);
		sentence(out, r->help);
		if (r->sub)
			rows(out, r->sub);
	}
	fputs(".Sh POLICY TYPES\n", out);
	for (int i = 0; types[i]; i++) {
		fprintf(out, ".Ss %s\n", types[i]->name);
		sentence(out, types[i]->help);
		rows(out, types[i]->fields);
	}
	fputs(matching, out);
	fputs(consumers, out);
	fputs(material, out);
	more(out);
	fputs(tail, out);
}
