libexchange_a_SOURCES = worker/exchange/context.h worker/exchange/steps.h worker/exchange/exchange.c worker/exchange/decide.c \
	worker/exchange/forward.c worker/exchange/flow.c worker/exchange/respond.c worker/exchange/watch.c worker/exchange/finish.c worker/exchange/signature.c \
	worker/exchange/exchange.h worker/exchange/links.h worker/exchange/policy.h worker/exchange/template.h \
	worker/exchange/template.c worker/exchange/names.c worker/exchange/names.h worker/exchange/links.c \
	worker/exchange/directory.c worker/exchange/directory.h worker/exchange/digests.c worker/exchange/digests.h worker/exchange/trust.c worker/exchange/trust.h worker/exchange/forwarded.c worker/exchange/forwarded.h \
	worker/exchange/clientcert.c worker/exchange/clientcert.h worker/exchange/grpc.c worker/exchange/grpc.h worker/exchange/filter.h \
	worker/exchange/connect.c worker/exchange/connect.h worker/exchange/credential.c worker/exchange/credential.h \
	worker/exchange/oauth.c worker/exchange/oauth.h worker/exchange/oauth_fetch.c worker/exchange/oauth_fetch.h \
	worker/exchange/pace.c worker/exchange/pace.h
