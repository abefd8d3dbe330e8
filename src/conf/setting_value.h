/*
 * setting_value - the value of one setting: from text into its field, and back.
 * Owns: nothing. `base` is the struct conf, conf_db or conf_user that the row's scope says.
 */
#ifndef PGWEIR_CONF_SETTING_VALUE_H
#define PGWEIR_CONF_SETTING_VALUE_H

#include "base/arena.h"
#include "conf/conf.h"
#include "conf/settings.h"

/*
 * Parse `text` into the row's field of `base` (a struct conf, conf_db or conf_user). Strings and
 * lists are copied into `a`. A NULL text sets "unset".
 * Errors: E_INVALID (setting_expected says what would do), nothing changed; E_NOMEM.
 */
enum status setting_parse(
	const struct setting *s, const char *text, void *base, struct arena *a) MUST_USE;

/* The field as it is; the row's type has to be one that has such a field. */
uint64_t setting_number(const struct setting *s, const void *base); /* also of a bool */
const char *setting_string(const struct setting *s, const void *base);
struct conf_list setting_list(const struct setting *s, const void *base);

/* Whether the row's field is the same in both. */
bool setting_is_equal(const struct setting *s, const void *base_a, const void *base_b);

/* Copy the field from one struct to another of the same kind; strings into `a`. E_NOMEM. */
enum status setting_copy(
	const struct setting *s, const void *from, void *to, struct arena *a) MUST_USE;

#endif
