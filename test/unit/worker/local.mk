# unit tests of src/worker
WORKER_UNIT_LIBS = $(CORE_LIBS) $(CHECK_LIBS)
WORKER_UNIT_CFLAGS = $(UNIT_CFLAGS) -I$(srcdir)/test/unit

check_PROGRAMS += test/unit/worker/check_hold
test_unit_worker_check_hold_SOURCES = test/unit/worker/check_hold.c
test_unit_worker_check_hold_LDADD = $(WORKER_UNIT_LIBS)
test_unit_worker_check_hold_CFLAGS = $(WORKER_UNIT_CFLAGS)

check_PROGRAMS += test/unit/worker/check_judge
test_unit_worker_check_judge_SOURCES = test/unit/worker/check_judge.c
test_unit_worker_check_judge_LDADD = $(WORKER_UNIT_LIBS)
test_unit_worker_check_judge_CFLAGS = $(WORKER_UNIT_CFLAGS)

check_PROGRAMS += test/unit/worker/check_keys
test_unit_worker_check_keys_SOURCES = test/unit/worker/check_keys.c $(FAILING_ALLOC_FILES)
test_unit_worker_check_keys_LDADD = $(WORKER_UNIT_LIBS)
test_unit_worker_check_keys_CFLAGS = $(WORKER_UNIT_CFLAGS)
test_unit_worker_check_keys_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/worker/check_kept
test_unit_worker_check_kept_SOURCES = test/unit/worker/check_kept.c $(FAILING_ALLOC_FILES)
test_unit_worker_check_kept_LDADD = $(WORKER_UNIT_LIBS)
test_unit_worker_check_kept_CFLAGS = $(WORKER_UNIT_CFLAGS)
test_unit_worker_check_kept_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/worker/check_show
test_unit_worker_check_show_SOURCES = test/unit/worker/check_show.c
test_unit_worker_check_show_LDADD = $(WORKER_UNIT_LIBS)
test_unit_worker_check_show_CFLAGS = $(WORKER_UNIT_CFLAGS)

check_PROGRAMS += test/unit/worker/check_entropy
test_unit_worker_check_entropy_SOURCES = test/unit/worker/check_entropy.c
test_unit_worker_check_entropy_LDADD = $(WORKER_UNIT_LIBS)
test_unit_worker_check_entropy_CFLAGS = $(WORKER_UNIT_CFLAGS)

check_PROGRAMS += test/unit/worker/check_fit
test_unit_worker_check_fit_SOURCES = test/unit/worker/check_fit.c
test_unit_worker_check_fit_LDADD = $(WORKER_UNIT_LIBS)
test_unit_worker_check_fit_CFLAGS = $(WORKER_UNIT_CFLAGS)

check_PROGRAMS += test/unit/worker/check_effects
test_unit_worker_check_effects_SOURCES = test/unit/worker/check_effects.c $(FAILING_ALLOC_FILES)
test_unit_worker_check_effects_LDADD = $(WORKER_UNIT_LIBS)
test_unit_worker_check_effects_CFLAGS = $(WORKER_UNIT_CFLAGS)
test_unit_worker_check_effects_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/worker/check_notify
test_unit_worker_check_notify_SOURCES = test/unit/worker/check_notify.c $(FAILING_ALLOC_FILES)
test_unit_worker_check_notify_LDADD = $(WORKER_UNIT_LIBS)
test_unit_worker_check_notify_CFLAGS = $(WORKER_UNIT_CFLAGS)
test_unit_worker_check_notify_LDFLAGS = $(FAILING_ALLOC_LINK)
check_PROGRAMS += test/unit/worker/check_replayed
test_unit_worker_check_replayed_SOURCES = test/unit/worker/check_replayed.c
test_unit_worker_check_replayed_LDADD = $(WORKER_UNIT_LIBS)
test_unit_worker_check_replayed_CFLAGS = $(WORKER_UNIT_CFLAGS)

check_PROGRAMS += test/unit/worker/check_moving
test_unit_worker_check_moving_SOURCES = test/unit/worker/check_moving.c
test_unit_worker_check_moving_LDADD = $(WORKER_UNIT_LIBS)
test_unit_worker_check_moving_CFLAGS = $(WORKER_UNIT_CFLAGS)

check_PROGRAMS += test/unit/worker/check_image
test_unit_worker_check_image_SOURCES = test/unit/worker/check_image.c test/unit/worker/image_world.h
test_unit_worker_check_image_LDADD = $(WORKER_UNIT_LIBS)
test_unit_worker_check_image_CFLAGS = $(WORKER_UNIT_CFLAGS)

check_PROGRAMS += test/unit/worker/check_busy
test_unit_worker_check_busy_SOURCES = test/unit/worker/check_busy.c $(FAILING_ALLOC_FILES)
test_unit_worker_check_busy_LDADD = $(WORKER_UNIT_LIBS)
test_unit_worker_check_busy_CFLAGS = $(WORKER_UNIT_CFLAGS)
test_unit_worker_check_busy_LDFLAGS = $(FAILING_ALLOC_LINK)
