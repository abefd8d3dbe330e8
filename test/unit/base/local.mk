# unit tests of src/base
check_PROGRAMS += test/unit/base/check_arena
test_unit_base_check_arena_SOURCES = test/unit/base/check_arena.c
test_unit_base_check_arena_LDADD = $(UNIT_LIBS)
test_unit_base_check_arena_CFLAGS = $(UNIT_CFLAGS)
