# unit tests of src/base
check_PROGRAMS += test/unit/base/check_arena
test_unit_base_check_arena_SOURCES = test/unit/base/check_arena.c
test_unit_base_check_arena_LDADD = $(UNIT_LIBS)
test_unit_base_check_arena_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/base/check_bufpool
test_unit_base_check_bufpool_SOURCES = test/unit/base/check_bufpool.c $(FAILING_ALLOC_FILES)
test_unit_base_check_bufpool_LDADD = $(UNIT_LIBS)
test_unit_base_check_bufpool_CFLAGS = $(UNIT_CFLAGS)
test_unit_base_check_bufpool_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/base/check_hist
test_unit_base_check_hist_SOURCES = test/unit/base/check_hist.c
test_unit_base_check_hist_LDADD = $(UNIT_LIBS)
test_unit_base_check_hist_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/base/check_list
test_unit_base_check_list_SOURCES = test/unit/base/check_list.c
test_unit_base_check_list_LDADD = $(UNIT_LIBS)
test_unit_base_check_list_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/base/check_log
test_unit_base_check_log_SOURCES = test/unit/base/check_log.c
test_unit_base_check_log_LDADD = $(UNIT_LIBS)
test_unit_base_check_log_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/base/check_mailbox
test_unit_base_check_mailbox_SOURCES = test/unit/base/check_mailbox.c
test_unit_base_check_mailbox_LDADD = $(UNIT_LIBS)
test_unit_base_check_mailbox_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/base/check_map
test_unit_base_check_map_SOURCES = test/unit/base/check_map.c $(FAILING_ALLOC_FILES)
test_unit_base_check_map_LDADD = $(UNIT_LIBS)
test_unit_base_check_map_CFLAGS = $(UNIT_CFLAGS)
test_unit_base_check_map_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/base/check_rd
test_unit_base_check_rd_SOURCES = test/unit/base/check_rd.c
test_unit_base_check_rd_LDADD = $(UNIT_LIBS)
test_unit_base_check_rd_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/base/check_snap
test_unit_base_check_snap_SOURCES = test/unit/base/check_snap.c $(FAILING_ALLOC_FILES)
test_unit_base_check_snap_LDADD = $(UNIT_LIBS)
test_unit_base_check_snap_CFLAGS = $(UNIT_CFLAGS)
test_unit_base_check_snap_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/base/check_status
test_unit_base_check_status_SOURCES = test/unit/base/check_status.c
test_unit_base_check_status_LDADD = $(UNIT_LIBS)
test_unit_base_check_status_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/base/check_wheel
test_unit_base_check_wheel_SOURCES = test/unit/base/check_wheel.c
test_unit_base_check_wheel_LDADD = $(UNIT_LIBS)
test_unit_base_check_wheel_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/base/check_wr
test_unit_base_check_wr_SOURCES = test/unit/base/check_wr.c
test_unit_base_check_wr_LDADD = $(UNIT_LIBS)
test_unit_base_check_wr_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/base/check_value
test_unit_base_check_value_SOURCES = test/unit/base/check_value.c
test_unit_base_check_value_LDADD = $(UNIT_LIBS)
test_unit_base_check_value_CFLAGS = $(UNIT_CFLAGS)
