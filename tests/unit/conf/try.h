/* try — a configuration from a text. */
#ifndef TESTS_UNIT_CONF_TRY_H
#define TESTS_UNIT_CONF_TRY_H

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/load.h"
#include "tests/unit/conf/sample.h"
#include "tests/unit/unit.h"

static struct arena try_image, try_findings;
static struct diag try_diag;

static inline struct conf_model *
try_load(const char *text)
{
	char path[64];
	int fd = memfd_create("conf", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	arena_init(&try_image, NULL, 0, (size_t)1 << 30);
	arena_init(&try_findings, NULL, 0, (size_t)1 << 30);
	diag_init(&try_diag, &try_findings);

	struct conf_model *m = conf_load(path, &try_image, sample_types, &try_diag);

	close(fd);
	return m;
}

static inline void
try_free(void)
{
	arena_reset(&try_image);
	arena_reset(&try_findings);
}

#define TRY_LISTENERS "listeners: { web: { bind = [ \"127.0.0.1:1\" ]; }; };\n"
#define TRY_UPSTREAMS "upstreams: { o: { targets = [ \"http://10.0.0.1\" ]; }; };\n"
#define TRY_SERVICES                                                                     \
	"services: { s: { domains = [ \"*\" ]; routes = ( { match = \"* /*\"; to = "     \
	"\"o\"; } ); }; };\n"

/* A good configuration whose gateway uses a policy with these options. */
static inline const struct sample *
try_sample(const char *options)
{
	static char text[4096];

	snprintf(text, sizeof(text),
		 "gateway: { policies = ( { type = \"sample\"; %s } ); };\n" TRY_LISTENERS
			 TRY_UPSTREAMS TRY_SERVICES,
		 options);

	struct conf_model *m = try_load(text);

	return m ? m->gateway.policies[0].policy->self : NULL;
}

#endif
