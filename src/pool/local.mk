# pool: floor 3, waiting and what workers share of pools. Pure.
libpure_a_SOURCES += \
	src/pool/budget.c src/pool/budget.h \
	src/pool/registry.c src/pool/registry.h \
	src/pool/share.c src/pool/share.h \
	src/pool/waitq.c src/pool/waitq.h
