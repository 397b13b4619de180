libkeeper_a_SOURCES = master/keeper/keeper.c master/keeper/keeper.h
