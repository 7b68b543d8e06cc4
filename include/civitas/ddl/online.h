/*
 * online.h: a local table becomes a distributed one while others write to it: the definitions.
 *
 *   distribute_request() -> plan_online() -> (shards are made from models and filled: src/cluster)
 *     -> switch_online()
 *
 * plan_online() changes nothing, and gives the transaction no id: a replication slot would wait for
 * it.
 */
#pragma once

#include "civitas/base/ids.h"
#include "civitas/pg/vec.h"

CIVITAS_PG_BEGIN
#include "fmgr.h"
CIVITAS_PG_END

#include <span>

namespace civitas::ddl {

/* The arguments of create_distributed_table(). */
struct DistributeRequest
{
	Oid relid;
	const char *column; /* null: one shard */
	const char *with;
	int shard_count; /* 0: not given */
};
CIVITAS_SERVER_STATE(DistributeRequest);

/* Raises what is wrong with them. */
DistributeRequest distribute_request(FunctionCallInfo fcinfo);
/* create_distributed_table(): nobody else gets at the table until the end of the transaction. */
void distribute(const DistributeRequest& request);

/* A shard that a table is to have: its hashes and the nodes of its placements. */
struct PlannedShard
{
	int32 min_hash;
	int32 max_hash;
	std::span<const GroupId> groups;
};

/* Called before a table is distributed, with the groups that its shards may go to; set by
 * src/cluster, which makes them fit for shards if it can. */
extern void (*new_shards_hook)(std::span<const GroupId> groups);

/* Called before a role is dropped, or what it owns: drops placements that moves and splits have
 * replaced, which are its owner's still, as far as nobody uses them. Set by src/cluster. */
extern void (*replaced_placements_hook)();

struct Distribution;

struct OnlinePlan
{
	List *tables;		/* oids; partitions after their parents */
	const char *column; /* null: one shard takes all rows */
	Oid column_type;
	Oid column_collation;
	pg::Vec<PlannedShard> shards; /* of each of the tables */
	bool joins;					  /* an existing colocation group */
	const char *with;
	Distribution *distribution;
};

/* Checks the table and its partitions, and chooses the shards. The tables are locked against
 * changes of their definitions that need more than a moment (RowExclusiveLock). */
OnlinePlan plan_online(const DistributeRequest& request);
/* The table and its partitions, as they are now; locks them. */
List *table_with_partitions(Oid relid, int lock);
/* Makes tables like these on another node, without sequences: models of shards, to be dropped by
 * drop_models_sql() in the same transaction. */
char *make_models_sql(List *tables);
char *drop_models_sql(List *tables);
/* The tables are distributed: metadata here, shells and metadata elsewhere, nothing in the local
 * storage any more. ids: of the shards of the first table, then of the second. The caller holds
 * AccessExclusiveLock. */
void switch_online(const OnlinePlan& plan, std::span<const ShardId> ids);

} // namespace civitas::ddl
