/*
 * pinning.cpp: spreading pins over columns that must be equal, until nothing changes.
 *
 * The pairs are few in most statements (their conditions), so that going through all of them until
 * nothing changes beats anything with a set-up. Where they are many each column that gets a value
 * is looked at once, with the pairs that lead away from it.
 */
#include "civitas/route/pinning.h"

#include "civitas/base/assert.h"

#include <cstddef>
#include <vector>

namespace civitas::route {

namespace {

bool pass_on(std::span<int> value_of, int from, int to)
{
	if (value_of[from] == NOT_PINNED || value_of[to] != NOT_PINNED)
		return false;
	value_of[to] = value_of[from];
	return true;
}

constexpr size_t MANY_PAIRS = 32;

void spread_over_few(const PinFacts& facts, std::span<int> value_of)
{
	bool changed = true;
	while (changed)
	{
		changed = false;
		for (const ColumnPair& pair : facts.equalities)
		{
			changed |= pass_on(value_of, pair.from, pair.to);
			changed |= pass_on(value_of, pair.to, pair.from);
		}
		for (const ColumnPair& pair : facts.edges)
			changed |= pass_on(value_of, pair.from, pair.to);
	}
}

/* Breadth first, over the pairs sorted by the column that they lead away from. */
void spread_over_many(const PinFacts& facts, std::span<int> value_of)
{
	std::vector<int> first(value_of.size() + 1, 0);
	const auto each_pair = [&](auto visit) {
		for (const ColumnPair& pair : facts.equalities)
		{
			visit(pair.from, pair.to);
			visit(pair.to, pair.from);
		}
		for (const ColumnPair& pair : facts.edges)
			visit(pair.from, pair.to);
	};
	each_pair([&](int from, int) { first[from + 1]++; });
	for (size_t column = 0; column < value_of.size(); column++)
		first[column + 1] += first[column];
	std::vector<int> next(first.begin(), first.end() - 1);
	std::vector<int> targets(first.back());
	each_pair([&](int from, int to) { targets[next[from]++] = to; });

	std::vector<int> pinned;
	for (size_t column = 0; column < value_of.size(); column++)
		if (value_of[column] != NOT_PINNED)
			pinned.push_back(static_cast<int>(column));
	for (size_t done = 0; done < pinned.size(); done++)
	{
		const int from = pinned[done];
		for (int at = first[from]; at < first[from + 1]; at++)
			if (pass_on(value_of, from, targets[at]))
				pinned.push_back(targets[at]);
	}
}

} // namespace

void find_pins(const PinFacts& facts, std::span<int> value_of)
{
	CIVITAS_ASSERT(value_of.size() == static_cast<std::size_t>(facts.column_count));
	for (int& value : value_of)
		value = NOT_PINNED;
	for (const Pin& pin : facts.pins)
		if (value_of[pin.column] == NOT_PINNED)
			value_of[pin.column] = pin.value;

	if (facts.equalities.size() + facts.edges.size() < MANY_PAIRS)
		spread_over_few(facts, value_of);
	else
		spread_over_many(facts, value_of);
}

Together together(std::span<const SpreadTable> tables, int *value)
{
	*value = NOT_PINNED;
	for (const SpreadTable& table : tables)
		if (table.colocation != tables.front().colocation)
			return Together::NotColocated;
	for (const SpreadTable& table : tables)
		if (table.value == NOT_PINNED && !table.one_shard)
			return Together::NotPinned;
	for (const SpreadTable& table : tables)
	{
		if (table.one_shard)
			continue;
		if (*value == NOT_PINNED)
			*value = table.value;
		else if (*value != table.value)
			return Together::DifferentValues;
	}
	return Together::Yes;
}

const char *reason(Together together)
{
	switch (together)
	{
	case Together::Yes:
		return nullptr;
	case Together::NotColocated:
		return "it uses distributed tables that are not colocated";
	case Together::NotPinned:
		return "a distributed table is not restricted to one value of its distribution column";
	case Together::DifferentValues:
		return "distributed tables are restricted to different distribution column values";
	}
	return nullptr;
}

bool join_is_local(JoinKind kind, Spread outer, Spread inner, bool on_keys)
{
	if (outer == Spread::Elsewhere || inner == Spread::Elsewhere)
		return false;
	if (outer == Spread::Replicated && inner == Spread::Replicated)
		return true;
	if (outer == Spread::Sharded && inner == Spread::Sharded)
		return on_keys;
	/* One side is everywhere. Its rows may only be looked up, not preserved: each shard group would
	 * return them. */
	if (inner == Spread::Replicated)
		return kind != JoinKind::Full;
	return kind == JoinKind::Inner;
}

} // namespace civitas::route
