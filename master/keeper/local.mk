libkeeper_a_SOURCES = master/keeper/keeper.c master/keeper/keeper.h master/keeper/inside.h
libkeeper_a_SOURCES += master/keeper/state.c \
	master/keeper/collect.c master/keeper/collect.h master/keeper/collect_meters.c \
	master/keeper/collect_records.c master/keeper/collect_series.c
