# unit tests of src/pool
check_PROGRAMS += test/unit/pool/check_budget
test_unit_pool_check_budget_SOURCES = test/unit/pool/check_budget.c test/unit/pool/meet.h
test_unit_pool_check_budget_LDADD = $(UNIT_LIBS)
test_unit_pool_check_budget_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/pool/check_handover
test_unit_pool_check_handover_SOURCES = test/unit/pool/check_handover.c test/unit/pool/meet.h
test_unit_pool_check_handover_LDADD = $(UNIT_LIBS)
test_unit_pool_check_handover_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/pool/check_registry
test_unit_pool_check_registry_SOURCES = test/unit/pool/check_registry.c $(FAILING_ALLOC_FILES)
test_unit_pool_check_registry_LDADD = $(UNIT_LIBS)
test_unit_pool_check_registry_CFLAGS = $(UNIT_CFLAGS)
test_unit_pool_check_registry_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/pool/check_share
test_unit_pool_check_share_SOURCES = test/unit/pool/check_share.c $(FAILING_ALLOC_FILES)
test_unit_pool_check_share_LDADD = $(UNIT_LIBS)
test_unit_pool_check_share_CFLAGS = $(UNIT_CFLAGS)
test_unit_pool_check_share_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/pool/check_waitq
test_unit_pool_check_waitq_SOURCES = test/unit/pool/check_waitq.c
test_unit_pool_check_waitq_LDADD = $(UNIT_LIBS)
test_unit_pool_check_waitq_CFLAGS = $(UNIT_CFLAGS)
