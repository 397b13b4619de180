libexchange_a_SOURCES = worker/exchange/exchange.h worker/exchange/links.h worker/exchange/policy.h worker/exchange/template.h 
