#include "control/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/diff.h"
#include "control/helpers.h"
#include "control/plan.h"

/* One load, on a helper. */
struct reload_job {
	struct job job;
	struct reload *of;
	struct config_from from;
	struct hash_key hash_key;
	const struct conf *previous;  /* published: it lives until the next one replaces it */
	struct conf_spreads *spreads; /* a copy, or NULL */
	char key[NAME_LEN];
	char value[RELOAD_VALUE_MAX];
	bool dry_run;
	/* the answer */
	struct config_set set;
	struct findings found;
	struct plan *plan; /* of files that were read; NULL: no memory for it */
	enum status status;
};

struct reload {
	struct env *env;
	const struct reload_ops *ops;
	void *arg;
	struct config_from from;
	struct list waiting, served;
	struct wheel_timer begin;
	struct reload_job *job; /* under way, or NULL */
	struct reload_request own;
};

/* Or is it SET, or other addresses of names? */
static bool reads_files(const struct reload_job *l)
{
	return l->spreads == NULL && *l->key == '\0';
}

/* --- on a helper --- */

static void job_run(struct job *j)
{
	struct reload_job *l = list_entry(j, struct reload_job, job);

	if (reads_files(l)) {
		l->status = config_load(&l->from, l->previous, &l->hash_key, &l->set, &l->found);
		return;
	}
	if (l->spreads != NULL)
		l->status = conf_set_spreads(l->previous, l->spreads, &l->set.conf, &l->found);
	else
		l->status = conf_set(l->previous, l->key, l->value, &l->set.conf, &l->found);
	if (l->status == OK)
		l->status = config_complete(&l->set, &l->hash_key, &l->found);
	if (l->status != OK)
		config_set_fini(&l->set);
}

/* --- what is told --- */

struct change_log {
	struct log *log;
	size_t n; /* changes so far */
};

/* As many as one place in the code may log at a time; log_changes counts the others. */
static void log_change(void *arg, const struct conf_change *ch)
{
	struct change_log *c = arg;
	char name[256], from[256], to[256];

	if (c->n++ >= LOG_SITE_BURST)
		return;
	log_info(c->log, "configuration changed",
		"what=%s name=%s key=%s from=%s to=%s effect=\"%s\"", ch->what,
		log_q(name, sizeof name, ch->name), *ch->key != '\0' ? ch->key : "-",
		log_q(from, sizeof from, ch->from), log_q(to, sizeof to, ch->to), ch->effect);
}

static void log_changes(struct log *log, const struct conf *previous, const struct conf *conf)
{
	struct change_log c = {.log = log};

	if (conf_diff(previous, conf, log_change, &c) != OK)
		log_warn(log, "changes not listed", "reason=memory");
	else if (c.n > LOG_SITE_BURST)
		log_info(log, "more changes of the configuration",
			"n=%zu hint=\"SHOW SETTINGS and SHOW DATABASES tell what holds now\"",
			c.n - LOG_SITE_BURST);
}

/* For whoever asked: the errors, or what has changed and what waits for a restart. */
static void answer_text(const struct reload_job *l, char text[RELOAD_TEXT_MAX])
{
	char line[FINDING_LINE_MAX];
	size_t len = 0;

	text[0] = '\0';
	if (l->status == OK) {
		if (l->plan != NULL)
			plan_text(l->plan, text, RELOAD_TEXT_MAX);
		return;
	}
	for (size_t i = 0; i < l->found.n && len < RELOAD_TEXT_MAX; i++)
		if (l->found.items[i].kind == FINDING_ERROR)
			len += (size_t)snprintf(text + len, RELOAD_TEXT_MAX - len, "%s%s",
				len != 0 ? "; " : "",
				finding_format(&l->found.items[i], line, sizeof line));
	if (len == 0)
		snprintf(text, RELOAD_TEXT_MAX, "%s", status_name(l->status));
}

/* --- one load --- */

static void kick(struct reload *r)
{
	if (r->job == NULL && !list_is_empty(&r->waiting))
		env_timer(r->env, &r->begin, 0);
}

static void job_free(struct reload_job *l)
{
	config_set_fini(&l->set);
	findings_fini(&l->found);
	plan_free(l->plan);
	free(l->spreads);
	free(l);
}

/* Before the present configuration is replaced. */
static void make_plan(struct reload_job *l)
{
	struct env *env = l->of->env;

	if (l->status == OK && l->spreads == NULL && *l->key == '\0' &&
		plan_new(l->previous, env_users(env), &l->set, &l->found, &l->plan) != OK)
		l->plan = NULL;
}

static const char *reload_word(const struct reload_job *l)
{
	if (l->spreads != NULL)
		return "addresses";
	return reads_files(l) ? "reload" : "set";
}

static void job_done(struct job *j)
{
	struct reload_job *l = list_entry(j, struct reload_job, job);
	struct reload *r = l->of;
	char text[RELOAD_TEXT_MAX];
	struct list *it;
	struct log *log;

	if (r == NULL) { /* control has ended meanwhile */
		job_free(l);
		return;
	}
	log = r->env->shared->log;
	if (!l->dry_run)
		config_log_findings(log, &l->found);
	make_plan(l);
	answer_text(l, text);
	if (l->dry_run) {
		log_info(log, "configuration looked at", "result=%s", status_name(l->status));
	} else if (l->status == OK) {
		log_changes(log, l->previous, l->set.conf);
		log_info(log, "configuration taken over", "by=%s", reload_word(l));
		r->ops->publish(r->arg, &l->set);
	} else {
		log_error(log, "configuration not taken over", "reason=%s errors=%zu",
			status_name(l->status), l->found.n_errors);
	}
	if (reads_files(l) && r->ops->ended != NULL)
		r->ops->ended(r->arg, l->status, text);
	r->job = NULL;
	while ((it = list_pop_front(&r->served)) != NULL) {
		struct reload_request *req = list_entry(it, struct reload_request, link);

		req->plan = &l->plan;
		req->done(req, l->status, text);
	}
	job_free(l);
	kick(r);
}

static bool wants_files(const struct reload_request *req)
{
	return req->spreads == NULL && *req->key == '\0' && !req->dry_run;
}

/* The first request, and with it all others that want just the files read. Errors: E_NOMEM. */
static enum status take_requests(struct reload *r, struct reload_job *l)
{
	struct reload_request *first = list_entry(r->waiting.next, struct reload_request, link);
	struct list *it, *tmp;

	if (first->spreads != NULL) {
		l->spreads = malloc(sizeof *l->spreads);
		if (l->spreads == NULL)
			return E_NOMEM;
		*l->spreads = *first->spreads;
	}
	memcpy(l->key, first->key, sizeof l->key);
	memcpy(l->value, first->value, sizeof l->value);
	l->dry_run = first->dry_run;
	list_foreach_safe (it, tmp, &r->waiting) {
		struct reload_request *req = list_entry(it, struct reload_request, link);

		if (req != first && !(wants_files(first) && wants_files(req)))
			continue;
		list_del(it);
		list_push_back(&r->served, it);
	}
	return OK;
}

static void on_begin(void *ctx, struct wheel_timer *t)
{
	struct reload *r = list_entry(t, struct reload, begin);
	struct reload_job *l;

	(void)ctx;
	if (r->job != NULL || list_is_empty(&r->waiting))
		return;
	l = calloc(1, sizeof *l);
	if (l == NULL) {
		env_timer(r->env, t, 1000000u);
		return;
	}
	l->job = (struct job){.run = job_run, .done = job_done};
	l->of = r;
	l->from = r->from;
	l->hash_key = r->env->shared->hash_key;
	l->previous = env_conf(r->env);
	if (*l->previous->conffile != '\0')
		l->from.path = l->previous->conffile;
	l->status = E_AGAIN; /* should no helper get to it */
	findings_init(&l->found);
	if (take_requests(r, l) != OK) {
		job_free(l);
		env_timer(r->env, t, 1000000u);
		return;
	}
	r->job = l;
	if (reads_files(l) && r->ops->begun != NULL)
		r->ops->begun(r->arg);
	if (helpers_submit(r->env->helpers, &l->job) != OK) {
		l->status = E_LIMIT;
		job_done(&l->job);
	}
}

void reload_ask(struct reload *r, struct reload_request *req)
{
	list_push_back(&r->waiting, &req->link);
	kick(r);
}

void reload_cancel(struct reload_request *req)
{
	list_del(&req->link);
}

static void own_done(struct reload_request *req, enum status st, const char *text)
{
	(void)req; /* the log has it all */
	(void)st;
	(void)text;
}

void reload_now(struct reload *r)
{
	if (list_is_empty(&r->own.link))
		reload_ask(r, &r->own);
}

enum status reload_new(struct env *env, const struct config_from *from,
	const struct reload_ops *ops, void *arg, struct reload **out)
{
	struct reload *r = calloc(1, sizeof *r);

	if (r == NULL)
		return E_NOMEM;
	r->env = env;
	r->ops = ops;
	r->arg = arg;
	r->from = *from;
	list_init(&r->waiting);
	list_init(&r->served);
	wheel_timer_init(&r->begin, on_begin);
	list_init(&r->own.link);
	r->own.done = own_done;
	*out = r;
	return OK;
}

void reload_free(struct reload *r)
{
	if (r == NULL)
		return;
	wheel_del(&r->env->wheel, &r->begin);
	if (r->job != NULL)
		r->job->of = NULL; /* it frees itself when the helper is done with it */
	free(r);
}
