/* bytes - literals with zero bytes in them, compared and read. For the tests of src/proto. */
#ifndef PGWEIR_TEST_BYTES_H
#define PGWEIR_TEST_BYTES_H

#include <signal.h>

#include "../unit.h"
#include "base/rd.h"
#include "base/wr.h"

/* The bytes of a literal, without the NUL that C adds. */
#define BYTES(lit) ((const uint8_t *)(lit)), (sizeof(lit) - 1)

#define RD(lit) rd_of((lit), sizeof(lit) - 1)

/* What was written is exactly this, and all of it fitted. */
#define ck_written(w, lit)                                   \
	do {                                                 \
		ck_assert(!(w).bad);                         \
		ck_assert_uint_eq((w).len, sizeof(lit) - 1); \
		ck_assert_mem_eq((w).buf, lit, (w).len);     \
	} while (0)

#endif
