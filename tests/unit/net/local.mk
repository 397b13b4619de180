# unit tests of net

check_PROGRAMS += tests/unit/net/test_addr
tests_unit_net_test_addr_SOURCES = tests/unit/net/test_addr.c
tests_unit_net_test_addr_LDADD = $(UNIT_LIBS_net)
TESTS += tests/unit/net/test_addr

check_PROGRAMS += tests/unit/net/test_timer
tests_unit_net_test_timer_SOURCES = tests/unit/net/test_timer.c
tests_unit_net_test_timer_LDADD = $(UNIT_LIBS_net)
TESTS += tests/unit/net/test_timer

check_PROGRAMS += tests/unit/net/test_wire
tests_unit_net_test_wire_SOURCES = tests/unit/net/test_wire.c
tests_unit_net_test_wire_LDADD = $(UNIT_LIBS_net)
TESTS += tests/unit/net/test_wire

check_PROGRAMS += tests/unit/net/test_alarm
tests_unit_net_test_alarm_SOURCES = tests/unit/net/test_alarm.c
tests_unit_net_test_alarm_LDADD = $(UNIT_LIBS_net)
TESTS += tests/unit/net/test_alarm

check_PROGRAMS += tests/unit/net/test_proxyproto
tests_unit_net_test_proxyproto_SOURCES = tests/unit/net/test_proxyproto.c
tests_unit_net_test_proxyproto_LDADD = $(UNIT_LIBS_net)
TESTS += tests/unit/net/test_proxyproto

check_PROGRAMS += tests/unit/net/test_hello
tests_unit_net_test_hello_SOURCES = tests/unit/net/test_hello.c tests/unit/net/hello.h
tests_unit_net_test_hello_LDADD = $(UNIT_LIBS_net)
TESTS += tests/unit/net/test_hello

check_PROGRAMS += tests/unit/net/test_tls
tests_unit_net_test_tls_SOURCES = tests/unit/net/test_tls.c tests/unit/net/certificates.h tests/unit/net/handshake.h
tests_unit_net_test_tls_LDADD = $(UNIT_LIBS_net)
TESTS += tests/unit/net/test_tls

check_PROGRAMS += tests/unit/net/test_wire_tls
tests_unit_net_test_wire_tls_SOURCES = tests/unit/net/test_wire_tls.c tests/unit/net/certificates.h
tests_unit_net_test_wire_tls_LDADD = $(UNIT_LIBS_net)
TESTS += tests/unit/net/test_wire_tls

check_PROGRAMS += tests/unit/net/test_hello_tls
tests_unit_net_test_hello_tls_SOURCES = tests/unit/net/test_hello_tls.c tests/unit/net/hello.h tests/unit/net/certificates.h
tests_unit_net_test_hello_tls_LDADD = $(UNIT_LIBS_net)
TESTS += tests/unit/net/test_hello_tls

check_PROGRAMS += tests/unit/net/test_certs
tests_unit_net_test_certs_SOURCES = tests/unit/net/test_certs.c tests/unit/net/certificates.h tests/unit/net/handshake.h
tests_unit_net_test_certs_LDADD = $(UNIT_LIBS_net)
TESTS += tests/unit/net/test_certs
