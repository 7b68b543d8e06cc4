/*
 * node_changes.h: the steps that functions about nodes are made of. All on the coordinator, as a
 * superuser.
 */
#pragma once

#include "civitas/catalog/nodes.h"

namespace civitas::cluster {

/* Checks the caller and the place (42501, 0A000), and takes the lock that serialises changes of nodes. */
void begin_node_change(catalog::NodeLock lock = catalog::NodeLock::Change);

/* --- node_links.cpp --- */

/* What other nodes think that a node has which has nothing here (any more): placements. Statements of the transaction that
 * changed nodes may have to find them yet. */
enum class Stale
{
	Forgotten,
	Kept
};
/* pg_dist_node as it is here, as SQL for another node; a newer version than before. */
char *node_rows_sql(Stale stale = Stale::Forgotten);
/* Rows of nodes change in this transaction: after its commit the other active nodes are told. */
void tell_nodes_at_commit();
/* Whether an active node answers and can be written to. Asked once a transaction. */
bool has_link(const catalog::Node& node);
/* Traffic to the node's group waits, here and on the nodes that answer, to the end of the transaction. */
void pause_everywhere(const catalog::Node& paused, bool force, int32 cooldown);
void node_links_init();

/* A node that is to join: reachable, with this version of the extension, not this server, in no
 * other cluster; raises what is wrong, naming the node. */
void check_joining_node(const catalog::Node& node);

/* Gives an active node (its row is written) everything that it must know. It has no rows yet, not even
 * of reference tables. */
void activate(const catalog::Node& node);

/* Gives the node another address. A registered secondary of the same group that has it takes the node's; 42710 where
 * another node has it. False: it has this address already. */
bool move_to_address(catalog::Node node, const char *name, int32 port);

/* 55000 when a shard has no other placement than in this group. */
void check_removable(const catalog::Node& node);
/* Takes the group's replicas of reference tables out of the metadata, here and on the other nodes
 * but this one that answer; the others lose them with the next rows. */
void drop_replicas(const catalog::Node& node);

} // namespace civitas::cluster
