# The benchmark: ./quickstart bench, or bench/run.py --help. The relay is built on demand alone.
EXTRA_PROGRAMS += bench/floor_epoll
bench_floor_epoll_SOURCES = bench/floor_epoll.c
bench_floor_epoll_CFLAGS = $(AM_CFLAGS) -Wno-sign-conversion
# bench/classify.py builds bench/classify.c itself.
EXTRA_DIST += bench/classify.c bench/classify.py bench/roundtrip.py
EXTRA_DIST += bench/run.py bench/contenders.py bench/load.py bench/report.py
CLEANFILES += bench/floor_epoll
