/*
 * doubles - how long a cluster had more than one primary at once: what the old one acknowledges
 * meanwhile is lost, unless PostgreSQL's synchronous replication prevents it. Pure.
 * Seen:   two or more nodes say that they are the primary; all but one are fenced, so nothing of
 *         ours goes there. This begins when they have answered, and ends when one is left.
 * Unseen: before it, the new one may have been promoted for as long as it had not answered: an
 * upper bound, for the old one may have been dead. Owns:   nothing; embedded in struct
 * topo_cluster.
 */
#ifndef PGWEIR_ROUTE_DOUBLES_H
#define PGWEIR_ROUTE_DOUBLES_H

#include <stdint.h>

struct doubles {
	uint16_t n_primaries; /* nodes that are up and say so */
	uint32_t n;           /* times that there was more than one */
	uint64_t since_us;    /* when the present time began; 0: there is one at most */
	uint64_t us;          /* all times that are over */
	uint32_t promotions;  /* replicas that became the primary */
	uint64_t unseen_us;   /* of all of them, and of the last one */
	uint64_t last_unseen_us;
};

/* So many nodes say now that they are the primary. */
void doubles_see(struct doubles *d, uint16_t n_primaries, uint64_t now_us);

/* A replica is the primary now; it was one for unseen_us at most before we knew. */
void doubles_promoted(struct doubles *d, uint64_t unseen_us);

/* All that was seen, the present time included. */
uint64_t doubles_us(const struct doubles *d, uint64_t now_us);

#endif
