libpolicy_a_SOURCES = worker/policy/policies.c worker/policy/policies.h worker/policy/policies.def \
	worker/policy/access_log.c worker/policy/api_key.c worker/policy/concurrency.c worker/policy/cors.c worker/policy/forwarded.c worker/policy/grpc_web.c worker/policy/headers.c \
	worker/policy/quota.c worker/policy/rate_limit.c worker/policy/redirect.c worker/policy/request_id.c worker/policy/respond.c worker/policy/size_limit.c worker/policy/spike_control.c \
	worker/policy/lib/escape.c worker/policy/lib/escape.h worker/policy/lib/limit.c worker/policy/lib/limit.h worker/policy/lib/line.c worker/policy/lib/line.h \
	worker/policy/lib/logfile.c worker/policy/lib/logfile.h worker/policy/lib/logline.c worker/policy/lib/logline.h
