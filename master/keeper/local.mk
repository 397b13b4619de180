libkeeper_a_SOURCES = master/keeper/keeper.c master/keeper/keeper.h master/keeper/inside.h
libkeeper_a_SOURCES += master/keeper/state.c \
	master/keeper/collect.c master/keeper/collect.h master/keeper/collect_meters.c \
	master/keeper/collect_journal.c master/keeper/collect_retire.c \
	master/keeper/collect_records.c master/keeper/collect_series.c master/keeper/sample.c \
	master/keeper/sample.h
libkeeper_a_SOURCES += master/keeper/admin.c master/keeper/admin.h \
	master/keeper/admin_access.c master/keeper/admin_http.c \
	master/keeper/api.c master/keeper/api.h master/keeper/api.def \
	master/keeper/api_consumers.c master/keeper/api_keys.c master/keeper/api_plans.c \
	master/keeper/api_quota.c master/keeper/api_range.c master/keeper/api_range.h \
	master/keeper/api_rollups.c master/keeper/api_status.c master/keeper/api_store.c \
	master/keeper/api_time.c master/keeper/api_usage.c \
	master/keeper/expose.c master/keeper/expose.h master/keeper/expose_inside.h \
	master/keeper/expose_consumers.c master/keeper/expose_process.c \
	master/keeper/expose_series.c \
	master/keeper/expose_text.c master/keeper/expose_text.h
