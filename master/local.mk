# All of the master but main(), for its unit tests.
noinst_LIBRARIES += libmaster.a
libmaster_a_SOURCES = \
	master/activation.c master/activation.h \
	master/backoff.c master/backoff.h \
	master/bequest.c master/bequest.h \
	master/bind.c master/bind.h \
	master/build.c master/build.h \
	master/generation.c \
	master/heritage.c master/heritage.h \
	master/master.c master/master.h \
	master/notify.c master/notify.h \
	master/privs.c master/privs.h \
	master/reload.c \
	master/rundir.c master/rundir.h \
	master/setup.c \
	master/single.c \
	master/sockets.c master/sockets.h \
	master/spawn.c \
	master/status.c \
	master/stop.c \
	master/upgrade.c \
	master/window.c master/window.h
postern_SOURCES = master/main.c
