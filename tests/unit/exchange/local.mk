# unit tests of exchange
EXTRA_DIST += tests/unit/exchange/fake.h tests/unit/exchange/fake_shared.h

check_PROGRAMS += tests/unit/exchange/test_template
tests_unit_exchange_test_template_SOURCES = tests/unit/exchange/test_template.c
tests_unit_exchange_test_template_LDADD = $(UNIT_LIBS_exchange)
TESTS += tests/unit/exchange/test_template

check_PROGRAMS += tests/unit/exchange/test_forwarded
tests_unit_exchange_test_forwarded_SOURCES = tests/unit/exchange/test_forwarded.c
tests_unit_exchange_test_forwarded_LDADD = $(UNIT_LIBS_exchange)
TESTS += tests/unit/exchange/test_forwarded

check_PROGRAMS += tests/unit/exchange/test_links
tests_unit_exchange_test_links_SOURCES = tests/unit/exchange/test_links.c
tests_unit_exchange_test_links_LDADD = $(UNIT_LIBS_exchange)
TESTS += tests/unit/exchange/test_links

check_PROGRAMS += tests/unit/exchange/test_directory
tests_unit_exchange_test_directory_SOURCES = tests/unit/exchange/test_directory.c
tests_unit_exchange_test_directory_LDADD = $(UNIT_LIBS_exchange)
TESTS += tests/unit/exchange/test_directory

check_PROGRAMS += tests/unit/exchange/test_signature
tests_unit_exchange_test_signature_SOURCES = tests/unit/exchange/test_signature.c
tests_unit_exchange_test_signature_LDADD = $(UNIT_LIBS_exchange)
TESTS += tests/unit/exchange/test_signature

check_PROGRAMS += tests/unit/exchange/test_clientcert
tests_unit_exchange_test_clientcert_SOURCES = tests/unit/exchange/test_clientcert.c
tests_unit_exchange_test_clientcert_LDADD = $(UNIT_LIBS_exchange)
TESTS += tests/unit/exchange/test_clientcert

check_PROGRAMS += tests/unit/exchange/test_grpc
tests_unit_exchange_test_grpc_SOURCES = tests/unit/exchange/test_grpc.c
tests_unit_exchange_test_grpc_LDADD = $(UNIT_LIBS_exchange)
TESTS += tests/unit/exchange/test_grpc

check_PROGRAMS += tests/unit/exchange/test_pace
tests_unit_exchange_test_pace_SOURCES = tests/unit/exchange/test_pace.c
tests_unit_exchange_test_pace_LDADD = $(UNIT_LIBS_exchange)
TESTS += tests/unit/exchange/test_pace

check_PROGRAMS += tests/unit/exchange/test_connect
tests_unit_exchange_test_connect_SOURCES = tests/unit/exchange/test_connect.c
tests_unit_exchange_test_connect_LDADD = $(UNIT_LIBS_exchange)
TESTS += tests/unit/exchange/test_connect

check_PROGRAMS += tests/unit/exchange/test_oauth
tests_unit_exchange_test_oauth_SOURCES = tests/unit/exchange/test_oauth.c
tests_unit_exchange_test_oauth_LDADD = $(UNIT_LIBS_exchange)
TESTS += tests/unit/exchange/test_oauth
check_PROGRAMS += tests/unit/exchange/test_oauth_workers
tests_unit_exchange_test_oauth_workers_SOURCES = tests/unit/exchange/test_oauth_workers.c
tests_unit_exchange_test_oauth_workers_LDADD = $(UNIT_LIBS_exchange)
TESTS += tests/unit/exchange/test_oauth_workers
