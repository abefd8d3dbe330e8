#include "worker/replayed.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *state; /* a SQLSTATE, or a class */
	enum replay_cause cause;
} causes[] = {
	{"25006", REPLAYED_REFUSED},
	{"0A000", REPLAYED_UNSUPPORTED},
	{"55000", REPLAYED_UNSUPPORTED},
	{"3F", REPLAYED_MISSING},
	{"42", REPLAYED_MISSING},
	{"40", REPLAYED_CONFLICT},
	{"53", REPLAYED_RESOURCES},
	{"55P03", REPLAYED_RESOURCES},
	{"58", REPLAYED_SYSTEM},
	{"XX", REPLAYED_SYSTEM},
	{"57014", REPLAYED_CANCELED},
	{"57", REPLAYED_SHUTDOWN},
	{"08", REPLAYED_LOST},
	{REPLAY_LOST, REPLAYED_LOST},
};

enum replay_cause replay_cause_of(const char *why)
{
	for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
		if (strncmp(why, causes[i].state, strlen(causes[i].state)) == 0)
			return causes[i].cause;
	return REPLAYED_OTHER;
}

const char *replay_cause_name(enum replay_cause cause)
{
	static const char *const names[REPLAYED_CAUSES] = {
		[REPLAYED_REFUSED] = "refused",
		[REPLAYED_UNSUPPORTED] = "unsupported",
		[REPLAYED_MISSING] = "missing",
		[REPLAYED_CONFLICT] = "conflict",
		[REPLAYED_RESOURCES] = "resources",
		[REPLAYED_SYSTEM] = "system",
		[REPLAYED_CANCELED] = "canceled",
		[REPLAYED_SHUTDOWN] = "shutdown",
		[REPLAYED_LOST] = "lost",
		[REPLAYED_OTHER] = "other",
	};

	return names[cause];
}
