#include "control/show.h"

#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/setting_text.h"
#include "control/plan.h"

#define I8         REPLY_TYPE_INT8
#define T          REPLY_TYPE_TEXT
#define SOURCE_MAX 1024u /* bytes of a file's name and line that are shown */

/* --- SETTINGS: what SHOW CONFIG tells, where it comes from, and what it is for --- */

static const struct reply_column settings_columns[] = {
	{"name", T}, {"value", T}, {"default", T}, {"source", T}, {"changed_by", T}, {"help", T}};

static const char *changed_by(const struct setting *s)
{
	if (s->type == SETTING_NONE)
		return "nothing";
	return (s->flags & SETTING_RESTART) != 0 ? "restart" : "reload, SET";
}

static size_t settings_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct conf *conf = env_conf(in->env);
	char value[ROWS_VALUE_MAX + 1], source[SOURCE_MAX];
	const struct setting *s;

	if (pos >= n_settings)
		return SIZE_MAX;
	s = &settings[pos];
	if (s->scope != SETTING_GLOBAL || s->alias_of != NULL)
		return pos + 1;
	rows_begin(out);
	rows_text(out, s->name);
	if (s->type == SETTING_NONE)
		rows_text(out, s->def);
	else
		rows_text(out, setting_format(s, conf, value, sizeof value));
	rows_text(out, setting_default(s, conf->is_pgbouncer));
	rows_text(out, conf_source(conf, s->name, source, sizeof source));
	rows_text(out, changed_by(s));
	rows_text(out, s->type == SETTING_NONE ? s->note : s->help);
	rows_end(out);
	return pos + 1;
}

const struct show_table show_settings = {
	"settings", SHOW_COLUMNS(settings_columns), 0, SHOW_NO_STREAM, NULL, settings_row, false};

/* --- RELOAD DRY RUN --- */

static const struct reply_column plan_columns[] = {{"what", T}, {"name", T}, {"key", T},
	{"present", T}, {"new", T}, {"effect", T}, {"clients", I8}, {"servers", I8}};

/* Whom it concerns now; false: that cannot be told by number. */
static bool find_concerned(
	const struct show_in *in, const struct plan_change *c, struct name_sum *sum)
{
	if (strcmp(c->what, "database") == 0)
		*sum = gathered_database(in->gathered, c->name);
	else if (strcmp(c->what, "user") == 0 || strcmp(c->what, "auth_file") == 0)
		*sum = gathered_user(in->gathered, c->name);
	else
		return false;
	return true;
}

static size_t put_left_out(const struct show_in *in, size_t pos, struct rows *out)
{
	char text[32];

	if (pos > plan_n(in->plan) || plan_n_left_out(in->plan) == 0)
		return SIZE_MAX;
	(void)snprintf(text, sizeof text, "%zu more", plan_n_left_out(in->plan));
	rows_begin(out);
	rows_text(out, text);
	for (size_t i = 1; i < sizeof plan_columns / sizeof *plan_columns; i++)
		rows_text(out, NULL);
	rows_end(out);
	return pos + 1;
}

static size_t plan_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct plan_change *c;
	struct name_sum sum;
	bool is_known;

	if (pos >= plan_n(in->plan))
		return put_left_out(in, pos, out);
	c = plan_at(in->plan, pos);
	is_known = find_concerned(in, c, &sum);
	rows_begin(out);
	rows_text(out, c->what);
	rows_text(out, c->name);
	rows_text(out, *c->key != '\0' ? c->key : NULL);
	rows_text(out, c->from);
	rows_text(out, c->to);
	rows_text(out, c->effect);
	if (is_known) {
		rows_u64(out, sum.clients);
		rows_u64(out, sum.servers);
	} else {
		rows_text(out, NULL);
		rows_text(out, NULL);
	}
	rows_end(out);
	return pos + 1;
}

const struct show_table show_plan = {"reload_dry_run", SHOW_COLUMNS(plan_columns), GATHER_POOLS,
	SHOW_NO_STREAM, NULL, plan_row, true};
