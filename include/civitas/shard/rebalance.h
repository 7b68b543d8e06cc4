/*
 * rebalance.h: which shard groups move where, so that nodes are loaded evenly.
 *
 * A shard group is one unit of movement: the equal ranges of all tables of a colocation group. Its
 * cost (a count, bytes) and the nodes' capacities come from a strategy; the utilisation of a node
 * is the cost on it divided by its capacity. Groups belong to pools, each balanced by itself: all
 * shard groups of one colocation group, or many small colocation groups together.
 *
 * Plain data in and out, so that the server zone may call it through pg::call_core.
 */
#pragma once

#include <cstdint>
#include <span>

namespace civitas::shard {

struct RebalanceNode
{
	double capacity;	  /* relative to the others; 0: nothing may go there */
	bool may_have_shards; /* false: drained, what is there leaves */
};

struct RebalanceGroup
{
	double cost;	   /* not negative */
	std::int32_t pool; /* 0 .. pool_count - 1 */
	bool movable;	   /* false: counts as load, stays where it is */
};

/* A placement of a shard group on a node, both by index. A group has one placement for each
 * replica, on different nodes. */
struct RebalancePlacement
{
	std::int32_t group;
	std::int32_t node;
};

struct RebalanceInput
{
	std::span<const RebalanceNode> nodes;
	std::span<const RebalanceGroup> groups;
	std::span<const RebalancePlacement> placements;
	/* groups x nodes, row by row: whether a group may be on a node. Empty: everywhere. */
	std::span<const std::uint8_t> allowed;
	std::int32_t pool_count;
	/* A node within (1 +- threshold) x the average utilisation is even enough. */
	double threshold;
	/* What a move must gain, as a share of what it adds to its target: see rebalance.cpp. */
	double improvement_threshold;
	/* Only take placements away from where they must not be. */
	bool drain_only;
	std::int32_t max_moves;
};

struct RebalanceMove
{
	std::int32_t placement; /* index into RebalanceInput::placements */
	std::int32_t target;	/* node index */
};

struct RebalanceOutcome
{
	std::int32_t moves; /* how many were written to `moves` */
	/* Placements that must leave their node (drained, or not allowed there), may be moved, and have
	 * nowhere to go. */
	std::int32_t stuck;
};

/*
 * Plans moves, to be carried out in the order given. `moves` and `stuck` have room for as many
 * entries as there are placements; a placement moves at most once.
 */
RebalanceOutcome plan_rebalance(const RebalanceInput& input, std::span<RebalanceMove> moves,
								std::span<std::int32_t> stuck);

} // namespace civitas::shard
