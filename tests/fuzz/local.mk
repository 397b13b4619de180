# A target is tests/fuzz/fuzz_WHAT.c with its seeds in tests/fuzz/seeds/WHAT. It is linked with
# replay.c and runs its seeds in make check; with --enable-fuzz it is linked with libFuzzer
# instead, and scripts/fuzz runs it.
EXTRA_DIST += tests/fuzz/seeds
FUZZ_TARGETS =
if FUZZ
FUZZ_MAIN =
LINK_FUZZ = $(AM_LDFLAGS) -fsanitize=fuzzer
noinst_PROGRAMS += $(FUZZ_TARGETS)
else
FUZZ_MAIN = tests/fuzz/replay.c
LINK_FUZZ = $(AM_LDFLAGS)
check_PROGRAMS += $(FUZZ_TARGETS)
TESTS += $(FUZZ_TARGETS)
endif

FUZZ_TARGETS += tests/fuzz/fuzz_uri
tests_fuzz_fuzz_uri_SOURCES = tests/fuzz/fuzz_uri.c $(FUZZ_MAIN)
tests_fuzz_fuzz_uri_LDADD = $(LIBS_http)
tests_fuzz_fuzz_uri_LDFLAGS = $(LINK_FUZZ)

FUZZ_TARGETS += tests/fuzz/fuzz_head
tests_fuzz_fuzz_head_SOURCES = tests/fuzz/fuzz_head.c $(FUZZ_MAIN)
tests_fuzz_fuzz_head_LDADD = $(LIBS_http)
tests_fuzz_fuzz_head_LDFLAGS = $(LINK_FUZZ)

FUZZ_TARGETS += tests/fuzz/fuzz_chunked
tests_fuzz_fuzz_chunked_SOURCES = tests/fuzz/fuzz_chunked.c $(FUZZ_MAIN)
tests_fuzz_fuzz_chunked_LDADD = $(LIBS_http)
tests_fuzz_fuzz_chunked_LDFLAGS = $(LINK_FUZZ)

FUZZ_TARGETS += tests/fuzz/fuzz_image
tests_fuzz_fuzz_image_SOURCES = tests/fuzz/fuzz_image.c $(FUZZ_MAIN)
tests_fuzz_fuzz_image_LDADD = $(LIBS_worker)
tests_fuzz_fuzz_image_LDFLAGS = $(LINK_FUZZ)

FUZZ_TARGETS += tests/fuzz/fuzz_conf
tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/fuzz_conf.c tests/unit/conf/sample.h $(FUZZ_MAIN)
tests_fuzz_fuzz_conf_LDADD = $(LIBS_conf)
tests_fuzz_fuzz_conf_LDFLAGS = $(LINK_FUZZ)

FUZZ_TARGETS += tests/fuzz/fuzz_query
tests_fuzz_fuzz_query_SOURCES = tests/fuzz/fuzz_query.c $(FUZZ_MAIN)
tests_fuzz_fuzz_query_LDADD = $(LIBS_master)
tests_fuzz_fuzz_query_LDFLAGS = $(LINK_FUZZ)

FUZZ_TARGETS += tests/fuzz/fuzz_consumers
tests_fuzz_fuzz_consumers_SOURCES = tests/fuzz/fuzz_consumers.c $(FUZZ_MAIN)
tests_fuzz_fuzz_consumers_LDADD = $(LIBS_conf)
tests_fuzz_fuzz_consumers_LDFLAGS = $(LINK_FUZZ)

FUZZ_TARGETS += tests/fuzz/fuzz_admin
tests_fuzz_fuzz_admin_SOURCES = tests/fuzz/fuzz_admin.c $(FUZZ_MAIN)
tests_fuzz_fuzz_admin_LDADD = $(LIBS_master)
tests_fuzz_fuzz_admin_LDFLAGS = $(LINK_FUZZ)

FUZZ_TARGETS += tests/fuzz/fuzz_proxyproto
tests_fuzz_fuzz_proxyproto_SOURCES = tests/fuzz/fuzz_proxyproto.c $(FUZZ_MAIN)
tests_fuzz_fuzz_proxyproto_LDADD = $(LIBS_net)
tests_fuzz_fuzz_proxyproto_LDFLAGS = $(LINK_FUZZ)

FUZZ_TARGETS += tests/fuzz/fuzz_vendor
tests_fuzz_fuzz_vendor_SOURCES = tests/fuzz/fuzz_vendor.c $(FUZZ_MAIN)
tests_fuzz_fuzz_vendor_LDADD = $(LIBS_exchange)
tests_fuzz_fuzz_vendor_LDFLAGS = $(LINK_FUZZ)

FUZZ_TARGETS += tests/fuzz/fuzz_clientcert
tests_fuzz_fuzz_clientcert_SOURCES = tests/fuzz/fuzz_clientcert.c $(FUZZ_MAIN)
tests_fuzz_fuzz_clientcert_LDADD = $(LIBS_exchange)
tests_fuzz_fuzz_clientcert_LDFLAGS = $(LINK_FUZZ)

FUZZ_TARGETS += tests/fuzz/fuzz_h2
tests_fuzz_fuzz_h2_SOURCES = tests/fuzz/fuzz_h2.c $(FUZZ_MAIN)
tests_fuzz_fuzz_h2_LDADD = $(LIBS_http)
tests_fuzz_fuzz_h2_LDFLAGS = $(LINK_FUZZ)
