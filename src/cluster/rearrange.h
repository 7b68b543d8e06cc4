/*
 * rearrange.h: what operations on shard groups (moves, splits) check, hold still, and do alike.
 */
#pragma once

#include "civitas/catalog/nodes.h"
#include "civitas/catalog/tables.h"
#include "civitas/shard/hash_range.h"
#include "transfer.h"

namespace civitas::cluster {

/* citus.shard_transfer_mode */
enum class TransferMode
{
	Auto,		  /* logical replication where every table has a replica identity */
	ForceLogical, /* also without one: UPDATE and DELETE fail meanwhile */
	BlockWrites
};
TransferMode transfer_mode_argument(Oid label);
TransferMode transfer_mode_named(const char *label);

/* 42704 where there is none. */
catalog::Node node_by_id(NodeId id);
/* Ids of new shards, without giving this transaction an id. */
pg::Vec<ShardId> new_shard_ids(int count);
/* How much of the whole range. */
double share_of(const shard::HashRange& range, const shard::HashRange& whole);

/* 55000 unless it can be given shards. */
void check_active_primary(const catalog::Node& node);

/*
 * Holds still, until the end of the transaction, what a rearrangement of the shard's group relies
 * on: first the set of nodes and the group's members (other rearrangements of it wait), returned by
 * oid; then the definitions of these. The shard may be gone afterwards, and a table dropped: the
 * second returns those that are left.
 */
List *lock_members(ShardId shard);
List *lock_definitions(List *tables);
/* Drops what earlier operations left of the targets; 55006 where that is in use. Before the tables
 * are locked: users of old placements are waited for. */
void clear_leftovers(Transfers transfers);
/* 42501 unless the caller owns all of the tables. */
void check_owner(List *tables);
/* 25001 where this transaction has changed one of the tables: the sessions that copy do not see
 * that. operation: "move or copy", "split". */
void check_not_written(List *tables, const char *operation);
/* Whether changes of a table's rows can be replicated. */
enum class Replicable
{
	Yes,
	Unlogged,
	NoIdentity /* INSERT can; UPDATE and DELETE would fail */
};
Replicable replicable(Oid relid);
/* 55000 where the mode needs changes of the tables to be replicated and they cannot be. done:
 * "moved", "split". */
void check_replicable(List *tables, TransferMode mode, const char *done);
/* 25001 where this transaction has written: the slot that it is about to make would wait for it. */
void check_nothing_written(const char *message, const char *hint);
/* Both, unless writes are blocked from the beginning. operation: "move or copy", "split". */
void check_mode(TransferMode mode, List *tables, const char *operation, const char *done);

/* Gives the targets, which have been created, their rows and indexes; at the end writes are
 * blocked. What logical replication needs is recorded for the operation. */
void fill_targets(TransferMode mode, int64 operation, List *tables, Transfers transfers);

/* The metadata, here and on all other nodes: the targets are placements of their shards now, the
 * sources are not any more unless they are kept. Runs the commands. */
void switch_placements(Transfers transfers, bool keep_sources, SwitchCommands *commands);

/* The source placements (all on one node) are dropped: if deferred when this transaction has
 * committed and nobody reads them any more, else by this transaction. */
void give_up_sources(int64 operation, Transfers transfers, bool deferred);

} // namespace civitas::cluster
