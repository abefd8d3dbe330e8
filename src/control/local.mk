# control: floor 5, the control plane.
libcore_a_SOURCES += \
	src/control/collect.h \
	src/control/config.h \
	src/control/control.h \
	src/control/env.h \
	src/control/helpers.c src/control/helpers.h \
	src/control/pq.h \
	src/control/resolve.h
