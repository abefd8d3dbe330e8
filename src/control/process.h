/*
 * process - what the system says about this process: memory and time. Reads /proc, which does not
 * block.
 */
#ifndef PGWEIR_CONTROL_PROCESS_H
#define PGWEIR_CONTROL_PROCESS_H

#include <stdint.h>

uint64_t process_rss_bytes(void); /* 0 if it cannot be told */
uint64_t process_cpu_us(void);    /* of all threads, user and system */

#endif
