# packaging: what an installation needs besides the program.
if SYSTEMD
systemdsystemunit_DATA = packaging/systemd/pgweir.service packaging/systemd/pgweir.socket

# sysusers.d and tmpfiles.d want a name of their own.
install-data-hook: install-systemd
uninstall-hook: uninstall-systemd
install-systemd: packaging/systemd/pgweir.tmpfiles.conf
	$(MKDIR_P) "$(DESTDIR)$(sysusersdir)" "$(DESTDIR)$(tmpfilesdir)"
	$(INSTALL_DATA) "$(srcdir)/packaging/systemd/pgweir.sysusers.conf" "$(DESTDIR)$(sysusersdir)/pgweir.conf"
	$(INSTALL_DATA) packaging/systemd/pgweir.tmpfiles.conf "$(DESTDIR)$(tmpfilesdir)/pgweir.conf"
uninstall-systemd:
	rm -f "$(DESTDIR)$(sysusersdir)/pgweir.conf" "$(DESTDIR)$(tmpfilesdir)/pgweir.conf"
endif
.PHONY: install-systemd uninstall-systemd

dist_noinst_DATA = packaging/systemd/pgweir.socket packaging/systemd/pgweir.sysusers.conf
EXTRA_DIST += packaging/systemd/pgweir.service.in packaging/systemd/pgweir.tmpfiles.conf.in
packaging_made = packaging/systemd/pgweir.service packaging/systemd/pgweir.tmpfiles.conf
CLEANFILES += $(packaging_made)
all-local: $(packaging_made)
$(packaging_made): %: %.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && sed -e 's|@bindir[@]|$(bindir)|g' \
		-e 's|@pgweirconfdir[@]|$(pgweirconfdir)|g' $(srcdir)/$@.in > $@.tmp && mv $@.tmp $@

dist_check_SCRIPTS += packaging/systemd/check-units
TESTS += packaging/systemd/check-units
