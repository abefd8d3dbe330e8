# packaging: what an installation needs besides the program.
if SYSTEMD
systemdsystemunit_DATA = packaging/systemd/pgweir.service packaging/systemd/pgweir.socket

# sysusers.d and tmpfiles.d want a name of their own.
install_systemd = install-systemd
uninstall_systemd = uninstall-systemd
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
EXTRA_DIST += packaging/build-deb packaging/debian packaging/rpm packaging/container \
	packaging/kubernetes packaging/helm
packaging_made = packaging/systemd/pgweir.service packaging/systemd/pgweir.tmpfiles.conf
CLEANFILES += $(packaging_made)
all-local: $(packaging_made)
$(packaging_made): %: %.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && sed -e 's|@bindir[@]|$(bindir)|g' \
		-e 's|@pgweirconfdir[@]|$(pgweirconfdir)|g' $(srcdir)/$@.in > $@.tmp && mv $@.tmp $@

dist_check_SCRIPTS += packaging/systemd/check-units
TESTS += packaging/systemd/check-units

# Completion in shells: where each of them looks, for /usr and /usr/local.
bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
fishcompletiondir = $(datadir)/fish/vendor_completions.d
dist_zshcompletion_DATA = packaging/completion/_pgweir
dist_fishcompletion_DATA = packaging/completion/pgweir.fish packaging/completion/pgweir-ramp.fish
EXTRA_DIST += packaging/completion/pgweir.bash
install-data-hook: $(install_systemd) install-bash-completion
uninstall-hook: $(uninstall_systemd) uninstall-bash-completion
.PHONY: install-bash-completion uninstall-bash-completion
install-bash-completion:
	$(MKDIR_P) "$(DESTDIR)$(bashcompletiondir)"
	$(INSTALL_DATA) "$(srcdir)/packaging/completion/pgweir.bash" "$(DESTDIR)$(bashcompletiondir)/pgweir"
	ln -sf pgweir "$(DESTDIR)$(bashcompletiondir)/pgweir-ramp"
uninstall-bash-completion:
	rm -f "$(DESTDIR)$(bashcompletiondir)/pgweir" "$(DESTDIR)$(bashcompletiondir)/pgweir-ramp"

dist_check_SCRIPTS += packaging/completion/check-completion
TESTS += packaging/completion/check-completion

# What monitoring systems read; tried by test/integration/test_page.py.
EXTRA_DIST += packaging/grafana/pgweir.json packaging/prometheus/prometheus.yml packaging/prometheus/pgweir.rules.yml \
	packaging/prometheus/pgweir.rules_test.yml
