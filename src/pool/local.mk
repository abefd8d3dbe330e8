# pool: floor 3, waiting and what workers share of pools. Pure.
libpure_a_SOURCES += \
	src/pool/budget.h \
	src/pool/share.h \
	src/pool/waitq.h
