#include "main/syslog_out.h"

#include <string.h>
#include <syslog.h>

static const struct {
	const char *name;
	int facility;
} facilities[] = {{"auth", LOG_AUTH}, {"authpriv", LOG_AUTHPRIV}, {"daemon", LOG_DAEMON},
	{"user", LOG_USER}, {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2},
	{"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5},
	{"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7}};

static int facility_of(const char *name)
{
	for (unsigned i = 0; i < sizeof facilities / sizeof *facilities; i++)
		if (strcmp(facilities[i].name, name) == 0)
			return facilities[i].facility;
	return LOG_DAEMON;
}

void syslog_out_open(const char *ident, const char *facility)
{
	openlog(ident, LOG_PID, facility_of(facility));
}

void syslog_out_put(int level, const char *text, const char *kv)
{
	static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

	syslog(priorities[level], "%s%s%s", text, *kv != '\0' ? " " : "", kv);
}
