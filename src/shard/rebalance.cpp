/*
 * rebalance.cpp: planning moves of shard groups.
 *
 * Two passes.
 *
 * Evacuation. Placements on nodes where they must not be (drained, no capacity, not allowed), the
 * largest first, each to the node of the least utilisation that may take it: list scheduling by
 * decreasing size (Graham 1969).
 *
 * Balancing, pool by pool. Until nothing helps: the fullest node gives the emptiest one the
 * placement whose cost evens out the two best; if that pair has none, the next pair. With loads L
 * and capacities C, moving cost c from s to t changes the sum of L^2 / C, the measure of
 * unevenness, by
 *
 *     c * (c / Cs + c / Ct - 2 (Us - Ut)),   U = L / C,
 *
 * which is least at
 *
 *     c* = (Us - Ut) / (1 / Cs + 1 / Ct).
 *
 * So the best placement is the nearest one to c*, found by binary search in the node's placements
 * ordered by cost. A move is taken only if
 *   - one of the two nodes is outside of the threshold around the average,
 *   - the unevenness falls, and the target ends below what the source had (neither the sum nor the
 *     maximum ever rises, so that a plan is never worse than none),
 *   - Us - max(Us', Ut') is at least improvement_threshold times what the placement adds to the
 *     target.
 *
 * Every placement moves at most once, so both passes end, and a plan has no detours. A pair of
 * nodes that was found to have no useful move is not looked at again before one of the two changes.
 */
#include "civitas/shard/rebalance.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>
#include <vector>

namespace civitas::shard {

namespace {

using Index = std::int32_t;

/* What rounding may make of equal numbers. */
constexpr double EPSILON = 1e-9;

class Planner
{
public:
	Planner(const RebalanceInput& input, std::span<RebalanceMove> moves, std::span<Index> stuck)
		: input_(input), moves_(moves), stuck_(stuck), nodes_(input.nodes.size()),
		  location_(input.placements.size()), moved_(input.placements.size()),
		  group_first_(input.groups.size() + 1), by_group_(input.placements.size()),
		  load_(nodes_ * static_cast<std::size_t>(input.pool_count)), total_(nodes_)
	{
		for (const RebalancePlacement& placement : input.placements)
			group_first_[placement.group + 1]++;
		std::partial_sum(group_first_.begin(), group_first_.end(), group_first_.begin());
		std::vector<Index> next(group_first_.begin(), group_first_.end() - 1);
		for (std::size_t i = 0; i < input.placements.size(); i++)
		{
			const RebalancePlacement& placement = input.placements[i];
			location_[i] = placement.node;
			by_group_[next[placement.group]++] = static_cast<Index>(i);
			add_load(static_cast<Index>(i), placement.node, 1);
		}
	}

	RebalanceOutcome run()
	{
		evacuate();
		if (!input_.drain_only)
			for (Index pool = 0; pool < input_.pool_count; pool++)
				balance(pool);
		return {move_count_, stuck_count_};
	}

private:
	struct Item
	{
		double cost;
		Index placement;
	};

	/* A pool while it is balanced. */
	struct Pool
	{
		Index number;
		double low, high;						   /* bounds around the average utilisation */
		std::vector<std::vector<Item>> items;	   /* by node: placements that may move, by cost */
		std::vector<int> version;				   /* by node: changes with its items or load */
		std::vector<std::pair<int, int>> hopeless; /* source x target: versions then */
	};

	const RebalanceGroup& group_of(Index placement) const
	{
		return input_.groups[input_.placements[placement].group];
	}
	bool movable(Index placement) const { return group_of(placement).movable; }
	double& load(Index pool, Index node) { return load_[pool * nodes_ + node]; }
	double capacity(Index node) const { return input_.nodes[node].capacity; }
	double utilisation(Index pool, Index node) { return load(pool, node) / capacity(node); }

	void add_load(Index placement, Index node, double sign)
	{
		const RebalanceGroup& group = group_of(placement);
		load(group.pool, node) += sign * group.cost;
		total_[node] += sign * group.cost;
	}

	/* Whether the strategy lets a group be on a node. */
	bool allowed(Index group, Index node) const
	{
		return input_.nodes[node].may_have_shards &&
			   (input_.allowed.empty() || input_.allowed[group * nodes_ + node] != 0);
	}

	bool has_placement_on(Index group, Index node) const
	{
		for (Index i = group_first_[group]; i < group_first_[group + 1]; i++)
			if (location_[by_group_[i]] == node)
				return true;
		return false;
	}

	bool may_go(Index placement, Index node) const
	{
		const Index group = input_.placements[placement].group;
		return capacity(node) > 0 && allowed(group, node) && !has_placement_on(group, node);
	}

	bool full() const { return move_count_ >= input_.max_moves; }

	void move(Index placement, Index target)
	{
		add_load(placement, location_[placement], -1);
		add_load(placement, target, 1);
		location_[placement] = target;
		moved_[placement] = true;
		moves_[move_count_++] = {placement, target};
	}

	/* --- evacuation --- */

	bool must_leave(Index placement) const
	{
		const Index node = location_[placement];
		return !allowed(input_.placements[placement].group, node) ||
			   (!input_.drain_only && capacity(node) <= 0);
	}

	Index refuge_for(Index placement)
	{
		const RebalanceGroup& group = group_of(placement);
		Index best = -1;
		double best_use = 0;
		double best_total = 0;
		for (Index node = 0; node < static_cast<Index>(nodes_); node++)
		{
			if (!may_go(placement, node))
				continue;
			const double use = (load(group.pool, node) + group.cost) / capacity(node);
			const double total = total_[node] / capacity(node);
			if (best < 0 || use < best_use - EPSILON * use ||
				(use <= best_use + EPSILON * use && total < best_total))
			{
				best = node;
				best_use = use;
				best_total = total;
			}
		}
		return best;
	}

	void evacuate()
	{
		std::vector<Index> leaving;
		for (std::size_t i = 0; i < location_.size(); i++)
			if (movable(static_cast<Index>(i)) && must_leave(static_cast<Index>(i)))
				leaving.push_back(static_cast<Index>(i));
		std::stable_sort(leaving.begin(), leaving.end(),
						 [this](Index a, Index b) { return group_of(a).cost > group_of(b).cost; });
		for (const Index placement : leaving)
		{
			if (full())
				return;
			const Index target = refuge_for(placement);
			if (target < 0)
				stuck_[stuck_count_++] = placement;
			else
				move(placement, target);
		}
	}

	/* --- balancing --- */

	Pool open_pool(Index number)
	{
		Pool pool;
		pool.number = number;
		pool.items.resize(nodes_);
		pool.version.resize(nodes_);
		pool.hopeless.assign(nodes_ * nodes_, {-1, -1});
		double cost = 0;
		double room = 0;
		for (Index node = 0; node < static_cast<Index>(nodes_); node++)
			if (takes_part(node))
			{
				cost += load(number, node);
				room += capacity(node);
			}
		const double average = room > 0 ? cost / room : 0;
		pool.low = average * (1 - input_.threshold);
		pool.high = average * (1 + input_.threshold);
		return pool;
	}

	bool takes_part(Index node) const
	{
		return capacity(node) > 0 && input_.nodes[node].may_have_shards;
	}

	void balance(Index number)
	{
		if (full())
			return;
		Pool pool = open_pool(number);
		for (std::size_t i = 0; i < location_.size(); i++)
		{
			const RebalanceGroup& group = group_of(static_cast<Index>(i));
			if (group.pool == number && group.movable && !moved_[i] && takes_part(location_[i]))
				pool.items[location_[i]].push_back({group.cost, static_cast<Index>(i)});
		}
		std::vector<Index> order;
		for (Index node = 0; node < static_cast<Index>(nodes_); node++)
		{
			std::sort(pool.items[node].begin(), pool.items[node].end(),
					  [](const Item& a, const Item& b) {
						  return a.cost != b.cost ? a.cost < b.cost : a.placement > b.placement;
					  });
			if (takes_part(node))
				order.push_back(node);
		}
		while (!full() && step(pool, order))
			;
	}

	/* The next move of the pool; false where none helps. */
	bool step(Pool& pool, std::vector<Index>& order)
	{
		/* Fullest first; among equals those that are full over all pools. */
		std::sort(order.begin(), order.end(), [&](Index a, Index b) {
			const double use_a = utilisation(pool.number, a);
			const double use_b = utilisation(pool.number, b);
			if (use_a != use_b)
				return use_a > use_b;
			const double total_a = total_[a] / capacity(a);
			const double total_b = total_[b] / capacity(b);
			return total_a != total_b ? total_a > total_b : a < b;
		});
		for (const Index source : order)
			for (auto target = order.rbegin(); target != order.rend(); ++target)
			{
				if (!is_uneven(pool, source, *target))
					break;
				if (move_best(pool, source, *target))
					return true;
			}
		return false;
	}

	bool is_uneven(const Pool& pool, Index source, Index target)
	{
		const double from = utilisation(pool.number, source);
		const double to = utilisation(pool.number, target);
		return from > to && (from > pool.high * (1 + EPSILON) || to < pool.low * (1 - EPSILON));
	}

	/* Whether moving `cost` is worth it; see the head of the file. */
	bool helps(const Pool& pool, Index source, Index target, double cost)
	{
		if (cost <= 0)
			return false;
		const double before = utilisation(pool.number, source);
		const double added = cost / capacity(target);
		const double source_after = before - cost / capacity(source);
		const double target_after = utilisation(pool.number, target) + added;
		const double slack = EPSILON * before;
		const double unevenness =
			cost / capacity(source) + added - 2 * (before - utilisation(pool.number, target));
		return unevenness < -slack && target_after < before - slack &&
			   before - std::max(source_after, target_after) + slack >=
				   input_.improvement_threshold * added;
	}

	bool move_best(Pool& pool, Index source, Index target)
	{
		std::pair<int, int>& hopeless = pool.hopeless[source * nodes_ + target];
		const std::pair<int, int> versions{pool.version[source], pool.version[target]};
		if (hopeless == versions)
			return false;
		std::vector<Item>& items = pool.items[source];
		const double ideal = (utilisation(pool.number, source) - utilisation(pool.number, target)) /
							 (1 / capacity(source) + 1 / capacity(target));
		const auto middle =
			std::lower_bound(items.begin(), items.end(), ideal,
							 [](const Item& item, double cost) { return item.cost < cost; });
		/* The nearest above and below that may go there. The gain of a cost is a parabola with its
		 * top at the ideal, so that a neighbour that does not help has none behind it that would;
		 * only the improvement threshold is not symmetric, and is looked at for each. */
		auto above = middle;
		while (above != items.end() && above->cost < 2 * ideal &&
			   !(may_go(above->placement, target) && helps(pool, source, target, above->cost)))
			++above;
		if (above != items.end() && above->cost >= 2 * ideal)
			above = items.end();
		auto below = middle;
		bool found_below = false;
		while (!found_below && below != items.begin())
		{
			--below;
			found_below =
				may_go(below->placement, target) && helps(pool, source, target, below->cost);
		}
		if (above == items.end() && !found_below)
		{
			hopeless = versions;
			return false;
		}
		const bool take_above =
			above != items.end() && (!found_below || above->cost - ideal <= ideal - below->cost);
		const auto chosen = take_above ? above : below;
		move(chosen->placement, target);
		items.erase(chosen);
		pool.version[source]++;
		pool.version[target]++;
		return true;
	}

	const RebalanceInput& input_;
	std::span<RebalanceMove> moves_;
	std::span<Index> stuck_;
	const std::size_t nodes_;
	std::vector<Index> location_;	 /* by placement: its node now */
	std::vector<bool> moved_;		 /* by placement */
	std::vector<Index> group_first_; /* by group: where its placements begin in by_group_ */
	std::vector<Index> by_group_;
	std::vector<double> load_;	/* pool x node */
	std::vector<double> total_; /* by node, all pools */
	Index move_count_ = 0;
	Index stuck_count_ = 0;
};

} // namespace

RebalanceOutcome plan_rebalance(const RebalanceInput& input, std::span<RebalanceMove> moves,
								std::span<std::int32_t> stuck)
{
	return Planner(input, moves, stuck).run();
}

} // namespace civitas::shard
