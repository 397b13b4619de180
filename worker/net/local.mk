libnet_a_SOURCES = worker/net/alarm.c worker/net/alarm.h worker/net/listen.c worker/net/pipe.c worker/net/pipe.h worker/net/loop.c worker/net/timer.c worker/net/wire.c worker/net/addr.c worker/net/addr.h worker/net/listen.h worker/net/loop.h worker/net/timer.h worker/net/wire.h
libnet_a_SOURCES += worker/net/dns.c worker/net/dns.h
libnet_a_SOURCES += worker/net/hello.c worker/net/hello.h worker/net/proxyproto.c worker/net/proxyproto.h \
	worker/net/tls.c worker/net/tls.h worker/net/tls_info.c worker/net/certs.h \
	worker/net/certs.c worker/net/certs_server.c worker/net/certs_client.c worker/net/certs_check.c worker/net/certs_hooks.c
