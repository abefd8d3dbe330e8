/*
 * special - functions whose call has an effect of its own: sequences, advisory locks, set_config …
 * They are known by name and hold for user functions of that name too.
 * Used by walk and body only.
 */
#ifndef PGWEIR_SQL_SPECIAL_H
#define PGWEIR_SQL_SPECIAL_H

#include "sql/scan.h"

/* The current token names the function of word `w` (category S), and `(` follows. */
void special_call(struct scan *s, enum word w);

/* The effect on the session of a call of the function; EFFECT_NONE for all other words. */
enum sql_effect_kind special_effect(enum word w);

#endif
