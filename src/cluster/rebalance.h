/*
 * rebalance.h: from the metadata to a plan of moves.
 */
#pragma once

#include "civitas/catalog/nodes.h"
#include "civitas/pg/vec.h"

namespace civitas::cluster {

/* What the callers of get_rebalance_table_shards_plan() and its kin may say. */
struct RebalanceRequest
{
	Oid relation = InvalidOid;		/* its colocation group only; InvalidOid: all groups */
	const char *strategy = nullptr; /* null: the default one */
	bool has_threshold = false;
	double threshold = 0;
	bool has_improvement_threshold = false;
	double improvement_threshold = 0;
	int32 max_moves = PG_INT32_MAX;
	std::span<const Datum> excluded_shards; /* bigint */
	bool drain_only = false;
	NodeId drained_node = 0; /* take shards from this node only, whatever shouldhaveshards says */
	bool must_own = false;	 /* 42501 unless the current user owns all tables of the groups */
	bool with_sizes = false; /* fill in ShardMove::sizes */
};

/* A shard group changes its node. */
struct ShardMove
{
	ColocationId colocation_id;
	Oid relid; /* one table of the group; the others follow */
	int32 shard_index;
	ShardId shard_id; /* of that table */
	const catalog::Node *source;
	const catalog::Node *target;
};

/* The size of a shard as its node says, bytes. */
struct ShardSize
{
	ShardId shard_id;
	int64 bytes;
};

struct RebalancePlan
{
	pg::Vec<ShardMove> moves; /* in the order in which they are to be made */
	pg::Vec<ShardSize> sizes; /* by shard id; only what the nodes told */
};

/*
 * Plans moves as the strategy says; changes nothing. In CurrentMemoryContext. Raises 42704 for an
 * unknown strategy, 42809 for a table that is not distributed, 22023 for bad thresholds and for
 * what the strategy's functions answer. Shards that must leave a node and have nowhere to go are a
 * WARNING.
 */
RebalancePlan plan_rebalance(const RebalanceRequest& request);

} // namespace civitas::cluster
