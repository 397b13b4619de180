# What make install puts in place besides the program and its manual pages. A configuration
# that is there already is left alone.
unitdir = $(systemdsystemunitdir)
logrotatedir = $(sysconfdir)/logrotate.d
sysusersdir = $(prefix)/lib/sysusers.d
confdir = $(sysconfdir)/postern
samplesdir = $(docdir)/samples

SAMPLES = conf/samples/api-product.conf conf/samples/behind-firewall.conf conf/samples/between.conf \
	conf/samples/browser-api.conf conf/samples/canary.conf conf/samples/egress.conf conf/samples/ingress-firewall.conf \
	conf/samples/ingress-mtls.conf conf/samples/internal.conf conf/samples/limits.conf conf/samples/postern.conf \
	conf/samples/protect-origin.conf conf/samples/sidecar.conf conf/samples/static-answers.conf conf/samples/websocket.conf
dist_samples_DATA = $(SAMPLES)
dist_samples_SCRIPTS = conf/samples/certs.sh
dist_doc_DATA = README.md CHANGELOG.md
patternsdir = $(docdir)/patterns
dist_patterns_DATA = doc/patterns/README.md doc/patterns/internal.md doc/patterns/ingress-mtls.md \
	doc/patterns/ingress-firewall.md doc/patterns/egress.md doc/patterns/between.md
dist_man_MANS = master/postern.8

# Files of the repository name the paths of Debian; these are the ones of this build.
PATHS_SED = $(SED) -e 's|/usr/sbin/|$(sbindir)/|g' -e 's|/etc/postern|$(confdir)|g' \
	-e 's|/run/postern|$(runstatedir)/postern|g' -e 's|/var/log/|$(localstatedir)/log/|g' \
	-e 's|/var/lib/|$(localstatedir)/lib/|g'

install-data-local:
	$(MKDIR_P) "$(DESTDIR)$(confdir)" "$(DESTDIR)$(logrotatedir)" "$(DESTDIR)$(sysusersdir)" \
		"$(DESTDIR)$(localstatedir)/log/postern"
	test -f "$(DESTDIR)$(confdir)/postern.conf" || \
		$(INSTALL_DATA) $(srcdir)/conf/samples/postern.conf "$(DESTDIR)$(confdir)/postern.conf"
	$(PATHS_SED) $(srcdir)/scripts/postern.logrotate >"$(DESTDIR)$(logrotatedir)/postern"
	$(PATHS_SED) $(srcdir)/scripts/postern.sysusers >"$(DESTDIR)$(sysusersdir)/postern.conf"
	chmod 644 "$(DESTDIR)$(logrotatedir)/postern" "$(DESTDIR)$(sysusersdir)/postern.conf"
if INSTALL_UNIT
	$(MKDIR_P) "$(DESTDIR)$(unitdir)"
	$(PATHS_SED) $(srcdir)/scripts/postern.service >"$(DESTDIR)$(unitdir)/postern.service"
	chmod 644 "$(DESTDIR)$(unitdir)/postern.service"
endif

uninstall-local:
	! cmp -s $(srcdir)/conf/samples/postern.conf "$(DESTDIR)$(confdir)/postern.conf" || \
		rm -f "$(DESTDIR)$(confdir)/postern.conf"
	rm -f "$(DESTDIR)$(logrotatedir)/postern" "$(DESTDIR)$(sysusersdir)/postern.conf"
	rm -f "$(DESTDIR)$(unitdir)/postern.service"
	rmdir "$(DESTDIR)$(localstatedir)/log/postern" 2>/dev/null || :

dist-hook:
	find "$(distdir)" -name __pycache__ -exec rm -rf {} +
	find "$(distdir)" \( -name '*.trs' -o -name '*.log' -o -name '.dirstamp' -o -name '*.o' \) -delete
