# The benchmark: ./quickstart bench, or bench/run.py --help. The scripts compile the instruments
# themselves; they are here for their warnings.
EXTRA_PROGRAMS += bench/floor_epoll bench/floor_uring bench/fakepg bench/drive bench/storm
bench_floor_epoll_SOURCES = bench/floor_epoll.c
bench_floor_epoll_CFLAGS = $(AM_CFLAGS) -Wno-sign-conversion
bench_floor_uring_SOURCES = bench/floor_uring.c
bench_floor_uring_CFLAGS = $(AM_CFLAGS) -Wno-sign-conversion $(LIBURING_CFLAGS)
bench_floor_uring_LDADD = $(LIBURING_LIBS)
bench_fakepg_SOURCES = bench/fakepg.c
bench_fakepg_CFLAGS = $(AM_CFLAGS) -Wno-sign-conversion
bench_drive_SOURCES = bench/drive.c
bench_drive_CFLAGS = $(AM_CFLAGS) -Wno-sign-conversion
bench_storm_SOURCES = bench/storm.c
bench_storm_CFLAGS = $(AM_CFLAGS) $(LIBPQ_CFLAGS)
bench_storm_LDADD = $(LIBPQ_LIBS)
# bench/classify.py builds bench/classify.c itself.
EXTRA_DIST += bench/classify.c bench/classify.py
dist_bin_SCRIPTS += bench/pgweir-ramp
dist_man_MANS += man/pgweir-ramp.1
# What is counted: instructions, allocations, system calls, bytes.
EXTRA_DIST += bench/rig.py bench/choice.py bench/roundtrip.py bench/syscalls.py bench/memory.py
EXTRA_DIST += bench/workers.py bench/flat.py bench/switch.py bench/storm.py
EXTRA_DIST += bench/baseline.tsv
EXTRA_DIST += bench/run.py bench/contenders.py bench/load.py bench/report.py bench/picture.py
CLEANFILES += bench/floor_epoll bench/floor_uring bench/fakepg bench/drive bench/storm
