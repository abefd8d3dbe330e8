# unit tests of src/net
NET_UNIT_LIBS = $(CORE_LIBS) $(CHECK_LIBS)
NET_UNIT_CFLAGS = $(UNIT_CFLAGS) -I$(srcdir)/test/unit
EXTRA_DIST += test/unit/net/net_unit.h

check_PROGRAMS += test/unit/net/check_loop
test_unit_net_check_loop_SOURCES = test/unit/net/check_loop.c
test_unit_net_check_loop_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_loop_CFLAGS = $(NET_UNIT_CFLAGS)

check_PROGRAMS += test/unit/net/check_conn
test_unit_net_check_conn_SOURCES = test/unit/net/check_conn.c
test_unit_net_check_conn_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_conn_CFLAGS = $(NET_UNIT_CFLAGS)
test_unit_net_check_conn_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=recv,--wrap=send,--wrap=sendmsg
