/*
 * rearrange.h: what operations on shard groups (moves, splits) check and hold still.
 */
#pragma once

#include "civitas/catalog/nodes.h"
#include "civitas/catalog/tables.h"

namespace civitas::cluster {

/* citus.shard_transfer_mode */
enum class TransferMode
{
	Auto,		  /* logical replication where every table has a replica identity */
	ForceLogical, /* also without one: UPDATE and DELETE fail meanwhile */
	BlockWrites
};
TransferMode transfer_mode_argument(Oid label);

/* 42704 where there is none. */
catalog::Node node_by_id(NodeId id);
/* 55000 unless it can be given shards. */
void check_active_primary(const catalog::Node& node);

/*
 * Holds still, until the end of the transaction, what a rearrangement of the shard's group relies
 * on: the set of nodes, the group's members, the definitions of its tables; other rearrangements of
 * it wait. Returns the group's tables (oids), by oid. The shard may be gone afterwards.
 */
List *lock_group(ShardId shard);
/* 42501 unless the caller owns all of the tables. */
void check_owner(List *tables);
/* 25001 where this transaction has changed one of the tables: the sessions that copy do not see
 * that. */
void check_not_written(List *tables);
/* 55000 where changes of one of the tables cannot be replicated. done: "moved", "split". */
void check_replica_identities(List *tables, TransferMode mode, const char *done);

} // namespace civitas::cluster
