# main: the daemon.
bin_PROGRAMS += src/pgweir
src_pgweir_SOURCES = src/main/main.c
src_pgweir_CFLAGS = $(AM_CFLAGS) -Wno-sign-conversion
src_pgweir_LDADD = $(CORE_LIBS)
