libexchange_a_SOURCES = worker/exchange/exchange.h worker/exchange/links.h worker/exchange/policy.h worker/exchange/template.h \
	worker/exchange/template.c worker/exchange/names.c worker/exchange/names.h worker/exchange/links.c \
	worker/exchange/trust.c worker/exchange/trust.h worker/exchange/forwarded.c worker/exchange/forwarded.h
