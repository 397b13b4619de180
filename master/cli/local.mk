libcli_a_SOURCES = master/cli/cli.c master/cli/cli.h master/cli/check.c master/cli/explain.c master/cli/route.c \
	master/cli/attach.c master/cli/attach.h \
	master/cli/stat.c master/cli/stat.h \
	master/cli/stat_gather.c master/cli/stat_words.c \
	master/cli/stat_export.c \
	master/cli/stat_records.c \
	master/cli/stat_table.c
