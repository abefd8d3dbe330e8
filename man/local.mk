# man: the manual pages. The sections of keys in pgweir.ini.5 come from the table of settings, as
# does the list in etc/pgweir.ini, and the tables in pgweir-console.7 from the console's: `make check`
# compares them, `make update-generated` writes them.
dist_man_MANS += man/pgweir.1 man/pgweir.ini.5 man/pgweir-console.7

noinst_PROGRAMS += man/print-settings
man_print_settings_SOURCES = man/print-settings.c
man_print_settings_LDADD = $(CORE_LIBS)

dist_check_SCRIPTS += man/check-generated man/check-manual
TESTS += man/check-generated man/check-manual

.PHONY: update-generated
update-generated: man/print-settings
	srcdir=$(srcdir) $(SHELL) $(srcdir)/man/check-generated --update
