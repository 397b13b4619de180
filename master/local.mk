postern_SOURCES = master/main.c
