/*
 * setting_text - one setting for people: what values it takes, which one it has.
 * Owns: nothing.
 */
#ifndef PGWEIR_CONF_SETTING_TEXT_H
#define PGWEIR_CONF_SETTING_TEXT_H

#include "conf/settings.h"

#define SETTING_TEXT_MAX 65536u /* bytes of a value as text; as long as a line may be */

/* "a whole number, 1 to 65535" and the like, cut at `cap`. Returns buf. */
const char *setting_expected(const struct setting *s, char *buf, size_t cap);

/*
 * The row's field of `base` as text that setting_parse would read back; times in seconds, sizes
 * in bytes; "" if unset; "***" for a secret that is set. Cut at `cap`. Returns buf.
 */
const char *setting_format(const struct setting *s, const void *base, char *buf, size_t cap);

#endif
