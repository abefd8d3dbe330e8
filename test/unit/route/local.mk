# unit tests of src/route
check_PROGRAMS += test/unit/route/check_ask
test_unit_route_check_ask_SOURCES = test/unit/route/check_ask.c
test_unit_route_check_ask_LDADD = $(UNIT_LIBS)
test_unit_route_check_ask_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/route/check_better
test_unit_route_check_better_SOURCES = test/unit/route/check_better.c
test_unit_route_check_better_LDADD = $(UNIT_LIBS)
test_unit_route_check_better_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/route/check_candidates
test_unit_route_check_candidates_SOURCES = test/unit/route/check_candidates.c
test_unit_route_check_candidates_LDADD = $(UNIT_LIBS)
test_unit_route_check_candidates_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/route/check_choose
test_unit_route_check_choose_SOURCES = test/unit/route/check_choose.c
test_unit_route_check_choose_LDADD = $(UNIT_LIBS)
test_unit_route_check_choose_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/route/check_doubles
test_unit_route_check_doubles_SOURCES = test/unit/route/check_doubles.c
test_unit_route_check_doubles_LDADD = $(UNIT_LIBS)
test_unit_route_check_doubles_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/route/check_histories
test_unit_route_check_histories_SOURCES = test/unit/route/check_histories.c
test_unit_route_check_histories_LDADD = $(UNIT_LIBS)
test_unit_route_check_histories_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/route/check_lag
test_unit_route_check_lag_SOURCES = test/unit/route/check_lag.c
test_unit_route_check_lag_LDADD = $(UNIT_LIBS)
test_unit_route_check_lag_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/route/check_lsn
test_unit_route_check_lsn_SOURCES = test/unit/route/check_lsn.c
test_unit_route_check_lsn_LDADD = $(UNIT_LIBS)
test_unit_route_check_lsn_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/route/check_marks
test_unit_route_check_marks_SOURCES = test/unit/route/check_marks.c
test_unit_route_check_marks_LDADD = $(UNIT_LIBS)
test_unit_route_check_marks_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/route/check_params
test_unit_route_check_params_SOURCES = test/unit/route/check_params.c
test_unit_route_check_params_LDADD = $(UNIT_LIBS)
test_unit_route_check_params_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/route/check_roles
test_unit_route_check_roles_SOURCES = test/unit/route/check_roles.c $(FAILING_ALLOC_FILES)
test_unit_route_check_roles_LDADD = $(UNIT_LIBS)
test_unit_route_check_roles_CFLAGS = $(UNIT_CFLAGS)
test_unit_route_check_roles_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/route/check_outlier
test_unit_route_check_outlier_SOURCES = test/unit/route/check_outlier.c
test_unit_route_check_outlier_LDADD = $(UNIT_LIBS)
test_unit_route_check_outlier_CFLAGS = $(UNIT_CFLAGS)
