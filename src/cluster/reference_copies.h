/*
 * reference_copies.h: replicas of reference tables on nodes that joined without them.
 *
 * A node has all reference tables or none. One without reads them on another node, and must get
 * them before its first shard.
 */
#pragma once

#include "rearrange.h"

namespace civitas::cluster {

/* Those of the nodes that lack reference tables. */
pg::Vec<catalog::Node> nodes_without_reference_tables(std::span<const catalog::Node> nodes);

/* 55000 where the mode needs changes of reference tables to be replicated and they cannot be. */
void check_reference_tables_replicable(TransferMode mode);

/*
 * Copies reference tables to those of the nodes that lack them, in a transaction of its own, which
 * is committed on return. 25001 where that would wait for this transaction; 55000 where the mode
 * needs changes of the tables to be replicated and they cannot be.
 */
void provide_reference_tables(std::span<const catalog::Node> nodes, TransferMode mode);
/* The same for nodes that are about to get shards of new tables. Does nothing where this
 * transaction is in the way. */
void provide_for_new_shards(std::span<const GroupId> groups);
/* 55006 where the node lost them again since. With the set of nodes locked. */
void check_has_reference_tables(const catalog::Node& node);

/* A command that does it, in a transaction of its own, if it is still necessary then. */
char *copy_reference_tables_sql(std::span<const catalog::Node> nodes, const char *mode);

} // namespace civitas::cluster
