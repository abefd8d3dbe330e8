#include "conf/pattern.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pattern {
	regex_t re;
};

static enum status invalid(char *err, const char *why)
{
	snprintf(err, PATTERN_ERR_MAX, "%s", why);
	return E_INVALID;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The largest number inside {n,m}, at least 1. */
static uint32_t repeat_at(const char *brace)
{
	uint32_t n = 0, max = 1;

	for (const char *p = brace + 1; *p != '\0' && *p != '}'; p++) {
		n = *p < '0' || *p > '9' ? 0 : n * 10 + (uint32_t)(*p - '0');
		if (n > PATTERN_REPEAT_MAX)
			return PATTERN_REPEAT_MAX + 1;
		if (n > max)
			max = n;
	}
	return max;
}

/*
 * How often what stands before `p` is copied by it: x+ is made of xx*, which nests. Of a group or
 * of what is repeated already that counts squared: regcomp(3) goes through nested loops again and
 * again, minutes for (.*)++++++.
 */
static uint32_t copies_at(const char *p, char before)
{
	bool nests = before != '\0' && strchr(")+*?}", before) != NULL;
	uint32_t n = *p == '{' ? repeat_at(p) : *p == '+' && nests ? 2 : 1;

	return nests ? n * n : n;
}

static enum status check(const char *text, char *err)
{
	uint32_t repeat = 1;
	char before = '\0'; /* of an escape: nothing */

	if (strlen(text) > PATTERN_MAX)
		return invalid(err, "a regular expression of at most 255 bytes");
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\\' && is_alnum(p[1]) && strchr("wWsS", p[1]) == NULL)
			return invalid(err,
				"a POSIX regular expression: write [0-9] for \\d; back "
				"references and other escapes of letters are not known");
		if (*p == '\\' && p[1] != '\0') {
			p++;
			before = '\0';
			continue;
		}
		if ((repeat *= copies_at(p, before)) > PATTERN_REPEAT_MAX)
			return invalid(err, "at most 1000 repetitions in a regular expression");
		before = *p;
	}
	return OK;
}

enum status pattern_new(const char *text, struct pattern **out, char *err)
{
	enum status st = check(text, err);
	char why[PATTERN_ERR_MAX - 32];
	struct pattern *p;
	int rc;

	if (st != OK)
		return st;
	if ((p = calloc(1, sizeof *p)) == NULL)
		return E_NOMEM;
	rc = regcomp(&p->re, text, REG_EXTENDED);
	if (rc == 0) {
		*out = p;
		return OK;
	}
	(void)regerror(rc, &p->re, why, sizeof why);
	free(p); /* regcomp leaves nothing to free when it fails */
	if (rc == REG_ESPACE)
		return E_NOMEM;
	snprintf(err, PATTERN_ERR_MAX, "a regular expression: %s", why);
	return E_INVALID;
}

void pattern_free(struct pattern *p)
{
	if (p == NULL)
		return;
	regfree(&p->re);
	free(p);
}

size_t pattern_n_groups(const struct pattern *p)
{
	return p->re.re_nsub;
}

bool pattern_matches(const struct pattern *p, const char *subject)
{
	return strlen(subject) <= PATTERN_SUBJECT_MAX && regexec(&p->re, subject, 0, NULL, 0) == 0;
}

bool pattern_match_group(const struct pattern *p, const char *subject, struct pattern_group *out)
{
	regmatch_t m[2];

	*out = (struct pattern_group){0, 0};
	if (strlen(subject) > PATTERN_SUBJECT_MAX || regexec(&p->re, subject, 2, m, 0) != 0)
		return false;
	if (p->re.re_nsub != 0 && m[1].rm_so >= 0) {
		out->at = (size_t)m[1].rm_so;
		out->len = (size_t)(m[1].rm_eo - m[1].rm_so);
	}
	return true;
}
