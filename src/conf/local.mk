# conf: floor 2, the configuration. Pure: file contents come in.
libpure_a_SOURCES += \
	src/conf/access.c src/conf/access.h \
	src/conf/advice.c src/conf/advice.h \
	src/conf/build.c src/conf/build.h \
	src/conf/chars.c src/conf/chars.h \
	src/conf/check.c src/conf/check.h \
	src/conf/cidr.c src/conf/cidr.h \
	src/conf/clusters.c src/conf/clusters.h \
	src/conf/conf.c src/conf/conf.h \
	src/conf/diff.c src/conf/diff.h \
	src/conf/document.c src/conf/document.h \
	src/conf/effective.c src/conf/effective.h \
	src/conf/fields.c src/conf/fields.h \
	src/conf/findings.c src/conf/findings.h \
	src/conf/hba.c src/conf/hba.h src/conf/hba_own.h src/conf/hba_parse.c \
	src/conf/ident.c src/conf/ident.h \
	src/conf/ini.c src/conf/ini.h \
	src/conf/method_options.c src/conf/method_options.h \
	src/conf/migrate.c src/conf/migrate.h \
	src/conf/nodes.c src/conf/nodes.h \
	src/conf/own.h \
	src/conf/pairs.c src/conf/pairs.h \
	src/conf/pattern.c src/conf/pattern.h \
	src/conf/setting_text.c src/conf/setting_text.h \
	src/conf/setting_value.c src/conf/setting_value.h \
	src/conf/settings.c src/conf/settings.h src/conf/settings_table.c \
	src/conf/source.c src/conf/source.h \
	src/conf/variables.c src/conf/variables.h
EXTRA_DIST += docs/decisions/0010-own-ini-reader.md
