# etc: the example configuration. Installed where there is none; an edited one is never touched.
EXTRA_DIST += etc/pgweir.ini etc/userlist.txt
pgweirconfdir = $(sysconfdir)/pgweir

install-data-local: install-config
uninstall-local: uninstall-config

.PHONY: install-config uninstall-config
install-config:
	$(MKDIR_P) "$(DESTDIR)$(pgweirconfdir)"
	@for f in pgweir.ini userlist.txt; do \
		to="$(DESTDIR)$(pgweirconfdir)/$$f"; \
		if test -e "$$to"; then echo "keeping $$to"; continue; fi; \
		echo "installing $$to"; \
		(umask 077 && sed 's|/etc/pgweir|$(pgweirconfdir)|' "$(srcdir)/etc/$$f" > "$$to") || exit 1; \
	done

# Only what was never edited is taken away.
uninstall-config:
	@for f in pgweir.ini userlist.txt; do \
		to="$(DESTDIR)$(pgweirconfdir)/$$f"; \
		if sed 's|/etc/pgweir|$(pgweirconfdir)|' "$(srcdir)/etc/$$f" | cmp -s - "$$to"; then \
			rm -f "$$to"; \
		fi; \
	done
	@rmdir "$(DESTDIR)$(pgweirconfdir)" 2>/dev/null || :
