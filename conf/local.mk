libconf_a_SOURCES = conf/describe.h conf/field.h conf/load.h conf/model.h conf/codes.def \
	conf/scan.c conf/scan.h conf/tree.c conf/tree.h conf/brackets.c conf/duplicates.c conf/node.c conf/source.c conf/source.h \
	conf/reader.h conf/field.c conf/units.c conf/vars.c conf/secret.c conf/suggest.c \
	conf/addresses.c conf/files.c conf/load.c conf/gateway.c conf/listeners.c \
	conf/named.c conf/plans.c conf/windows.c conf/consumers.c conf/consumers_file.c conf/admin.c \
	conf/tls.c conf/upstreams.c conf/credential.c conf/policies.c conf/services.c conf/routes.c conf/tests.c conf/names.c conf/dump.c \
	conf/describe.c conf/manual.c

# Written from the option rows, by the program itself.
man_MANS += conf/postern.conf.5
CLEANFILES += conf/postern.conf.5
conf/postern.conf.5: postern$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) conf && ./postern explain --manual >$@.tmp && mv $@.tmp $@
