/*
 * node_changes.h: the steps that functions about nodes are made of. All on the coordinator, as a
 * superuser.
 */
#pragma once

#include "civitas/catalog/nodes.h"

namespace civitas::cluster {

/* Checks the caller and the place (42501, 0A000), and takes the lock that serialises node changes.
 */
void begin_node_change();

/* pg_dist_node as it is here, as SQL for another node. */
char *node_rows_sql();
/* Sends node_rows_sql() to every other active node but the ones given (0 = nobody). */
void send_node_rows(NodeId except);

/* A node that is to join: reachable, with this version of the extension, not this server, in no
 * other cluster; raises what is wrong, naming the node. */
void check_joining_node(const catalog::Node& node);

/* Gives an active node (its row is written) everything that it must know, and tells the other
 * nodes. It has no rows yet, not even of reference tables. */
void activate(const catalog::Node& node);

/* 55000 when a shard has no other placement than in this group. */
void check_removable(const catalog::Node& node);
/* Takes the group's replicas of reference tables out of the metadata, here and on the other nodes
 * but this one. */
void drop_replicas(const catalog::Node& node);

} // namespace civitas::cluster
