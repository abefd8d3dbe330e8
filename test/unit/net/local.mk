# unit tests of src/net
NET_UNIT_LIBS = $(CORE_LIBS) $(CHECK_LIBS)
NET_UNIT_CFLAGS = $(UNIT_CFLAGS) -I$(srcdir)/test/unit
NET_CALLS_LINK = $(AM_LDFLAGS) -Wl,--wrap=recv,--wrap=send,--wrap=sendmsg
EXTRA_DIST += test/unit/net/net_calls.h test/unit/net/net_unit.h

check_PROGRAMS += test/unit/net/check_loop
test_unit_net_check_loop_SOURCES = test/unit/net/check_loop.c
test_unit_net_check_loop_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_loop_CFLAGS = $(NET_UNIT_CFLAGS)

check_PROGRAMS += test/unit/net/check_conn
test_unit_net_check_conn_SOURCES = test/unit/net/check_conn.c
test_unit_net_check_conn_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_conn_CFLAGS = $(NET_UNIT_CFLAGS)

check_PROGRAMS += test/unit/net/check_conn_rx
test_unit_net_check_conn_rx_SOURCES = test/unit/net/check_conn_rx.c
test_unit_net_check_conn_rx_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_conn_rx_CFLAGS = $(NET_UNIT_CFLAGS)
test_unit_net_check_conn_rx_LDFLAGS = $(NET_CALLS_LINK)

check_PROGRAMS += test/unit/net/check_conn_tx
test_unit_net_check_conn_tx_SOURCES = test/unit/net/check_conn_tx.c
test_unit_net_check_conn_tx_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_conn_tx_CFLAGS = $(NET_UNIT_CFLAGS)
test_unit_net_check_conn_tx_LDFLAGS = $(NET_CALLS_LINK)

check_PROGRAMS += test/unit/net/check_batch
test_unit_net_check_batch_SOURCES = test/unit/net/check_batch.c
test_unit_net_check_batch_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_batch_CFLAGS = $(NET_UNIT_CFLAGS)
test_unit_net_check_batch_LDFLAGS = $(NET_CALLS_LINK) -Wl,--wrap=syscall

EXTRA_DIST += test/unit/net/tls_unit.h
check_PROGRAMS += test/unit/net/check_tls
test_unit_net_check_tls_SOURCES = test/unit/net/check_tls.c
test_unit_net_check_tls_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_tls_CFLAGS = $(NET_UNIT_CFLAGS)

check_PROGRAMS += test/unit/net/check_conn_tls
test_unit_net_check_conn_tls_SOURCES = test/unit/net/check_conn_tls.c
test_unit_net_check_conn_tls_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_conn_tls_CFLAGS = $(NET_UNIT_CFLAGS)
test_unit_net_check_conn_tls_LDFLAGS = $(NET_CALLS_LINK)

check_PROGRAMS += test/unit/net/check_addr
test_unit_net_check_addr_SOURCES = test/unit/net/check_addr.c
test_unit_net_check_addr_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_addr_CFLAGS = $(NET_UNIT_CFLAGS)

check_PROGRAMS += test/unit/net/check_listen
test_unit_net_check_listen_SOURCES = test/unit/net/check_listen.c
test_unit_net_check_listen_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_listen_CFLAGS = $(NET_UNIT_CFLAGS)

check_PROGRAMS += test/unit/net/check_hosts
test_unit_net_check_hosts_SOURCES = test/unit/net/check_hosts.c
test_unit_net_check_hosts_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_hosts_CFLAGS = $(NET_UNIT_CFLAGS)

check_PROGRAMS += test/unit/net/check_resolver
test_unit_net_check_resolver_SOURCES = test/unit/net/check_resolver.c
test_unit_net_check_resolver_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_resolver_CFLAGS = $(NET_UNIT_CFLAGS)

check_PROGRAMS += test/unit/net/check_nomem
test_unit_net_check_nomem_SOURCES = test/unit/net/check_nomem.c $(FAILING_ALLOC_FILES)
test_unit_net_check_nomem_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_nomem_CFLAGS = $(NET_UNIT_CFLAGS)
test_unit_net_check_nomem_LDFLAGS = $(FAILING_ALLOC_LINK)

# The same on io_uring.
NET_URING_CFLAGS = $(NET_UNIT_CFLAGS) -DTEST_ENGINE=LOOP_URING
if HAVE_LIBURING

check_PROGRAMS += test/unit/net/check_loop_uring
test_unit_net_check_loop_uring_SOURCES = test/unit/net/check_loop.c
test_unit_net_check_loop_uring_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_loop_uring_CFLAGS = $(NET_URING_CFLAGS)

check_PROGRAMS += test/unit/net/check_conn_uring
test_unit_net_check_conn_uring_SOURCES = test/unit/net/check_conn.c
test_unit_net_check_conn_uring_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_conn_uring_CFLAGS = $(NET_URING_CFLAGS)

check_PROGRAMS += test/unit/net/check_conn_rx_uring
test_unit_net_check_conn_rx_uring_SOURCES = test/unit/net/check_conn_rx.c
test_unit_net_check_conn_rx_uring_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_conn_rx_uring_CFLAGS = $(NET_URING_CFLAGS)
test_unit_net_check_conn_rx_uring_LDFLAGS = $(NET_CALLS_LINK)

check_PROGRAMS += test/unit/net/check_conn_tx_uring
test_unit_net_check_conn_tx_uring_SOURCES = test/unit/net/check_conn_tx.c
test_unit_net_check_conn_tx_uring_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_conn_tx_uring_CFLAGS = $(NET_URING_CFLAGS)
test_unit_net_check_conn_tx_uring_LDFLAGS = $(NET_CALLS_LINK)

check_PROGRAMS += test/unit/net/check_conn_tls_uring
test_unit_net_check_conn_tls_uring_SOURCES = test/unit/net/check_conn_tls.c
test_unit_net_check_conn_tls_uring_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_conn_tls_uring_CFLAGS = $(NET_URING_CFLAGS)
test_unit_net_check_conn_tls_uring_LDFLAGS = $(NET_CALLS_LINK)

check_PROGRAMS += test/unit/net/check_listen_uring
test_unit_net_check_listen_uring_SOURCES = test/unit/net/check_listen.c
test_unit_net_check_listen_uring_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_listen_uring_CFLAGS = $(NET_URING_CFLAGS)

check_PROGRAMS += test/unit/net/check_nomem_uring
test_unit_net_check_nomem_uring_SOURCES = test/unit/net/check_nomem.c $(FAILING_ALLOC_FILES)
test_unit_net_check_nomem_uring_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_nomem_uring_CFLAGS = $(NET_URING_CFLAGS)
test_unit_net_check_nomem_uring_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/net/check_uring
test_unit_net_check_uring_SOURCES = test/unit/net/check_uring.c
test_unit_net_check_uring_LDADD = $(NET_UNIT_LIBS)
test_unit_net_check_uring_CFLAGS = $(NET_URING_CFLAGS)
endif
