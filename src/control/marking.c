#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "conf/conf.h"
#include "control/listening_own.h"
#include "sql/lexer.h"
#include "worker/kept.h"

static void put(const struct listenings *ls, const struct wr *w)
{
	if (ls->link.send != NULL)
		ls->link.send(ls->link.arg, w);
}

static void send_round(const struct listening *l, enum takeover_record what, const char *more)
{
	uint8_t buf[512];
	struct wr w = wr_of(buf, sizeof buf);

	wr_u8(&w, (uint8_t)what);
	wr_u64(&w, l->mark.round);
	wr_cstr(&w, l->database);
	if (more != NULL)
		wr_cstr(&w, more);
	put(l->of, &w);
}

static void release_held(struct listening *l, bool marker_too)
{
	struct list *it, *tmp;

	l->mark.is_new = false;
	list_foreach_safe (it, tmp, &l->all) {
		struct channel *ch = list_entry(it, struct channel, link);

		if (!ch->is_held || (!marker_too && strcmp(ch->name, MARKING_CHANNEL) == 0))
			continue;
		ch->is_held = false;
		listening_look_channel(l, ch);
	}
	listening_look(l);
}

/* Every worker is to answer. */
static void clear(struct listening *l, enum marking_step step)
{
	l->mark.step = step;
	l->mark.n_answers = 0;
	listening_tell(l, listening_all_workers(l), LISTENING_UNMARKED, "");
}

/* --- the old process --- */

/* Does a worker listen that knows no marker, or none that is still good? */
static bool is_wanted(const struct listening *l)
{
	uint64_t good = l->mark.is_full ? 0 : UINT64_MAX;
	struct list *it;

	list_foreach (it, &l->all) {
		const struct channel *ch = list_entry(it, struct channel, link);

		if (ch->is_on && (ch->workers & ~(ch->marked & good)) != 0)
			return true;
	}
	return false;
}

static void begin(struct listening *l)
{
	struct list *it;

	l->mark.round++;
	list_foreach (it, &l->all) {
		struct channel *ch = list_entry(it, struct channel, link);
		uint64_t had = ch->number >> KEPT_ROUND_BITS; /* it counts on between take-overs */

		ch->is_listed = false;
		ch->marked = 0;
		if (l->mark.round <= had)
			l->mark.round = had + 1;
	}
	l->mark.begun_us = env_now_us(l->of->env);
	l->mark.is_here = l->mark.is_there = l->mark.is_full = false;
	if (listening_hold(l, MARKING_CHANNEL) == NULL)
		return;
	listening_look(l);
	clear(l, MARKING_CLEARING);
}

static bool make_payload(char *out)
{
	uint8_t random[MARKING_PAYLOAD_LEN / 2];

	if (RAND_bytes(random, sizeof random) != 1)
		return false;
	for (size_t i = 0; i < sizeof random; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", random[i]);
	return true;
}

static void send_channel(const struct listening *l, const struct channel *ch)
{
	uint8_t buf[512];
	struct wr w = wr_of(buf, sizeof buf);

	wr_u8(&w, TAKEOVER_CHANNEL);
	wr_cstr(&w, l->database);
	wr_cstr(&w, ch->name);
	put(l->of, &w);
}

/* Nobody is on his way to the new process: it may forget what it has kept. */
static void offer(struct listening *l)
{
	const struct channel *marker = listening_channel(l, MARKING_CHANNEL);
	struct list *it;

	if (marker == NULL || !marker->is_on || !make_payload(l->mark.payload))
		return;
	list_foreach (it, &l->all) {
		struct channel *ch = list_entry(it, struct channel, link);

		ch->is_listed = ch->is_on && !ch->is_asked;
		if (ch->is_listed)
			send_channel(l, ch);
	}
	l->mark.step = MARKING_OFFERED;
	send_round(l, TAKEOVER_MARK, l->mark.payload);
}

static void set_if_both(struct listening *l)
{
	uint32_t n = 0;
	struct list *it;
	char db[NAME_LEN * 4];

	if (!l->mark.is_here || !l->mark.is_there)
		return;
	l->mark.step = MARKING_SET;
	list_foreach (it, &l->all) {
		struct channel *ch = list_entry(it, struct channel, link);

		if (!ch->is_listed || ch->is_asked)
			continue; /* it is being left */
		n++;
		ch->marked = ch->workers;
		listening_tell(l, ch->workers, LISTENING_MARKED, ch->name);
	}
	log_info(l->of->env->shared->log, "listening clients go to the new process",
		"db=%s channels=%u round=%lu", log_q(db, sizeof db, l->database), n,
		(unsigned long)l->mark.round);
}

static void consider(struct listening *l)
{
	struct marking *m = &l->mark;
	uint64_t since_us = env_now_us(l->of->env) - m->begun_us;

	if (l->state != LISTENING_READY && l->state != LISTENING_ASKED)
		return;
	if (m->step == MARKING_CLEARING && m->n_answers == l->of->env->shared->n_workers)
		offer(l);
	if (since_us < MARKING_AGAIN_US || !is_wanted(l))
		return;
	if ((m->step != MARKING_CLEARING && m->step != MARKING_OFFERED) || m->is_full ||
		since_us >= MARKING_RETRY_US)
		begin(l);
}

static void on_timer(void *ctx, struct wheel_timer *t)
{
	struct listenings *ls = list_entry(t, struct listenings, marking);
	struct list *it;

	(void)ctx;
	list_foreach (it, &ls->all)
		consider(list_entry(it, struct listening, link));
	env_timer(ls->env, t, MARKING_LOOK_US);
}

void listenings_hand_on(struct listenings *ls, const struct listenings_link *to)
{
	ls->link = *to;
	env_timer(ls->env, &ls->marking, 0);
}

void listenings_stay(struct listenings *ls)
{
	struct list *it;

	ls->link.send = NULL;
	wheel_del(&ls->env->wheel, &ls->marking);
	list_foreach (it, &ls->all) {
		struct listening *l = list_entry(it, struct listening, link);

		l->mark.step = MARKING_NONE;
		release_held(l, true);
	}
}

void listenings_hear_new(struct listenings *ls, enum takeover_record what, struct rd *in)
{
	uint64_t round = rd_u64(in);
	const char *database = rd_cstr(in);
	struct listening *l = in->bad ? NULL : listening_find(ls, database);

	if (l == NULL || l->mark.round != round)
		return;
	if (what == TAKEOVER_FULL) {
		l->mark.is_full = l->mark.step == MARKING_OFFERED || l->mark.step == MARKING_SET;
	} else if (l->mark.step == MARKING_OFFERED) {
		l->mark.is_there = true;
		set_if_both(l);
	}
}

/* --- the new process --- */

/* A name that the server refuses would end the connection. */
static bool is_name(const char *channel)
{
	size_t len = strlen(channel);

	return len != 0 && len < CHANNEL_LEN && lexer_inspect(channel, len, true) != TEXT_BAD;
}

static void hold(struct listenings *ls, const char *database, const char *channel)
{
	struct listening *l;

	if (conf_find_db(env_conf(ls->env), database) == NULL || !is_name(channel) ||
		strlen(database) >= NAME_LEN)
		return;
	l = listening_get(ls, database);
	if (l == NULL || l->channels.n_items >= MARKING_HELD_MAX)
		return;
	l->mark.is_new = true;
	(void)!listening_hold(l, channel); /* without memory the marker does not come */
}

void listenings_hear_old(struct listenings *ls, const struct listenings_link *to,
	enum takeover_record what, struct rd *in)
{
	uint64_t round = what == TAKEOVER_MARK ? rd_u64(in) : 0;
	const char *database = rd_cstr(in), *text = rd_cstr(in);
	struct listening *l;

	if (in->bad)
		return;
	ls->link = *to;
	if (what == TAKEOVER_CHANNEL) {
		hold(ls, database, text);
		return;
	}
	l = listening_find(ls, database);
	if (l == NULL || strlen(text) != sizeof l->mark.payload - 1)
		return;
	l->mark.step = MARKING_DUE;
	l->mark.round = round;
	text_copy(l->mark.payload, sizeof l->mark.payload, text);
	listening_look(l);
}

bool marking_is_due(struct listening *l, char *sql, size_t cap)
{
	if (l->mark.step != MARKING_DUE)
		return false;
	(void)snprintf(sql, cap, "NOTIFY \"%s\", '%s'", MARKING_CHANNEL, l->mark.payload);
	l->mark.step = MARKING_SENT;
	l->mark.is_asked = true;
	return true;
}

void marking_answered(struct listening *l, const char *error)
{
	l->mark.is_asked = false;
	if (*error != '\0')
		log_warn(l->of->env->shared->log,
			"listening clients stay in the process taken over", "reason=\"%s\"", error);
}

static void begin_to_keep(struct listening *l)
{
	struct list *it;

	l->mark.step = MARKING_KEEPING;
	l->mark.kept = 0;
	l->mark.is_full = false;
	list_foreach (it, &l->all) {
		struct channel *ch = list_entry(it, struct channel, link);

		if (ch->is_held && ch->is_on)
			ch->number = kept_first(l->mark.round);
	}
	listening_tell(l, listening_all_workers(l), LISTENING_KEEP, "");
	send_round(l, TAKEOVER_MARKED, NULL);
}

void listenings_settle(struct listenings *ls)
{
	struct list *it;

	ls->link.send = NULL;
	list_foreach (it, &ls->all) {
		struct listening *l = list_entry(it, struct listening, link);

		if (l->mark.is_new)
			clear(l, MARKING_SETTLING);
	}
}

/* --- both --- */

static void heard_here(struct listening *l)
{
	struct list *it;

	l->mark.is_here = true;
	list_foreach (it, &l->all) {
		struct channel *ch = list_entry(it, struct channel, link);

		if (ch->is_listed)
			ch->number = kept_first(l->mark.round);
	}
	set_if_both(l);
}

void marking_heard(struct listening *l, const char *channel, const char *payload)
{
	const struct marking *m = &l->mark;

	if ((m->step != MARKING_OFFERED && m->step != MARKING_SENT) ||
		strcmp(channel, MARKING_CHANNEL) != 0 || strcmp(payload, m->payload) != 0)
		return;
	if (m->step == MARKING_SENT)
		begin_to_keep(l);
	else if (!m->is_here)
		heard_here(l);
}

uint64_t marking_workers(const struct listening *l, const struct channel *ch)
{
	return l->mark.is_new && ch->is_held ? listening_all_workers(l) : ch->workers;
}

uint64_t marking_number(struct listening *l, struct channel *ch, size_t len)
{
	struct marking *m = &l->mark;

	if (m->step == MARKING_KEEPING && !m->is_full) {
		m->kept += sizeof(struct tell_notified) + len;
		m->is_full = m->kept > MARKING_KEPT_MAX;
		if (m->is_full)
			send_round(l, TAKEOVER_FULL, NULL);
	}
	return ch->number != 0 ? ++ch->number : 0;
}

void marking_down(struct listening *l)
{
	struct marking *m = &l->mark;

	m->is_asked = false;
	if (m->step == MARKING_SENT) {
		m->step = MARKING_DUE;
	} else if (m->step == MARKING_KEEPING) {
		m->step = MARKING_NONE;
		send_round(l, TAKEOVER_FULL, NULL);
	} else if (m->step < MARKING_DUE) {
		m->step = MARKING_NONE;
	}
}

void listenings_take_unmarked(struct listenings *ls, struct ask_unmarked *a)
{
	struct listening *l = listening_find(ls, a->database);

	if (l != NULL && a->round == l->mark.round &&
		(l->mark.step == MARKING_CLEARING || l->mark.step == MARKING_SETTLING) &&
		++l->mark.n_answers == ls->env->shared->n_workers) {
		release_held(l, l->mark.step == MARKING_SETTLING);
		if (l->mark.step == MARKING_SETTLING)
			l->mark.step = MARKING_NONE;
		else
			offer(l);
	}
	free(a);
}

void marking_init(struct listenings *ls)
{
	wheel_timer_init(&ls->marking, on_timer);
}

void marking_end(struct listenings *ls)
{
	wheel_del(&ls->env->wheel, &ls->marking);
}
