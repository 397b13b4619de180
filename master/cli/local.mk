libcli_a_SOURCES = master/cli/cli.c master/cli/cli.h master/cli/check.c master/cli/explain.c master/cli/route.c \
	master/cli/attach.c master/cli/attach.h \
	master/cli/stat.c master/cli/stat.h \
	master/cli/stat_gather.c master/cli/stat_words.c \
	master/cli/stat_export.c \
	master/cli/record_text.c master/cli/record_text.h master/cli/record_json.c \
	master/cli/stat_records.c \
	master/cli/why.c master/cli/trace.c master/cli/query.c master/cli/query.h \
	master/cli/stat_table.c \
	master/cli/top.c master/cli/top.h master/cli/top_rates.c \
	master/cli/top_screen.c master/cli/top_terminal.c
libcli_a_SOURCES += master/cli/admin.c master/cli/admin.h master/cli/admin_ask.c master/cli/admin_print.c \
	master/cli/consumer.c master/cli/plan.c master/cli/usage.c
