#include "worker/fit.h"

#include "worker/custom.h"

/*
 * Does what is known of the replica hold for this connection? A node that restarts, or is cloned
 * anew, may go back in time: only a sample begun later tells of those that were there.
 */
static bool sample_holds(struct worker *w, const struct server *s)
{
	const struct topo_node *n = topology_node(w->topology, (uint16_t)s->pool->node);

	return n != NULL && topo_node_counts_for(n, s->ready_us);
}

/*
 * A read that was lost with its primary does not trust connections that are as old: they may be
 * lost as well, and it runs again only once.
 */
static bool is_doubted(const struct client *c, const struct server *s)
{
	return c->busy->lost_us != 0 && s->pool->node == c->busy->lost_node &&
	       s->ready_us <= c->busy->lost_us;
}

bool fit_server(struct worker *w, const struct client *c, const struct server *s)
{
	const struct topo_cluster *cluster = fit_cluster(w, c->acc);

	if (server_is_outdated(w, s) || !custom_fits(w, c, s))
		return false;
	if (cluster == NULL || c->state == CLIENT_WELCOME)
		return true;
	if (is_doubted(c, s))
		return false;
	if (!s->in_recovery)
		return s->timeline >= cluster->timeline_max;
	return !c->busy->needs_primary && (!c->busy->by_sample || sample_holds(w, s));
}
