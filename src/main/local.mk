# main: floor 6, the daemon.
bin_PROGRAMS += src/pgweir
src_pgweir_SOURCES = \
	src/main/activation.c src/main/activation.h \
	src/main/daemon.c src/main/daemon.h \
	src/main/journal_out.c src/main/journal_out.h \
	src/main/logsink.c src/main/logsink.h \
	src/main/main.c \
	src/main/sockets.c src/main/sockets.h \
	src/main/succession.c src/main/succession.h \
	src/main/syslog_out.c src/main/syslog_out.h
src_pgweir_CFLAGS = $(AM_CFLAGS) $(PGWEIR_LTO) -Wno-sign-conversion
src_pgweir_LDFLAGS = $(PGWEIR_LDFLAGS) $(PGWEIR_LTO)
src_pgweir_LDADD = $(CORE_LIBS)
