# unit tests of net

check_PROGRAMS += tests/unit/net/test_addr
tests_unit_net_test_addr_SOURCES = tests/unit/net/test_addr.c
tests_unit_net_test_addr_LDADD = $(UNIT_LIBS_net)
TESTS += tests/unit/net/test_addr
