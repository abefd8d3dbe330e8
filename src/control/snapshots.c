#include "control/snapshots.h"

#include <stdlib.h>
#include <string.h>

#include "auth/users.h"
#include "conf/access.h"
#include "control/control.h"
#include "route/topology.h"

void snapshots_free_conf(void *conf)
{
	conf_free(conf);
}

void snapshots_free_users(void *users)
{
	auth_users_free(users);
}

enum status control_prepare(struct shared *sh, struct config_set *set)
{
	struct topology *topology = NULL;
	struct node_addrs *addrs = calloc(1, sizeof *addrs);
	struct catalogs *catalogs = calloc(1, sizeof *catalogs);
	struct admin_state *admin = calloc(1, sizeof *admin);

	if (addrs == NULL || catalogs == NULL || admin == NULL ||
		topology_new(NODES_MAX, CLUSTERS_MAX, &topology) != OK) {
		free(addrs);
		free(catalogs);
		free(admin);
		return E_NOMEM;
	}
	atomic_store(&sh->conf, set->conf);
	atomic_store(&sh->users, set->users);
	atomic_store(&sh->access, set->access);
	atomic_store(&sh->tls, set->tls);
	atomic_store(&sh->topology, topology);
	atomic_store(&sh->addrs, addrs);
	atomic_store(&sh->catalogs, catalogs);
	atomic_store(&sh->admin, admin);
	memset(set, 0, sizeof *set);
	return OK;
}

void snapshots_free(struct shared *sh)
{
	snapshots_free_conf((void *)(uintptr_t)atomic_exchange(&sh->conf, NULL));
	snapshots_free_users((void *)(uintptr_t)atomic_exchange(&sh->users, NULL));
	access_free((void *)(uintptr_t)atomic_exchange(&sh->access, NULL));
	config_tls_free((void *)(uintptr_t)atomic_exchange(&sh->tls, NULL));
	topology_free((void *)(uintptr_t)atomic_exchange(&sh->topology, NULL));
	free((void *)(uintptr_t)atomic_exchange(&sh->addrs, NULL));
	free((void *)(uintptr_t)atomic_exchange(&sh->catalogs, NULL));
	free((void *)(uintptr_t)atomic_exchange(&sh->admin, NULL));
}
