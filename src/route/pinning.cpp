/*
 * pinning.cpp: spreading pins over columns that must be equal, until nothing changes.
 *
 * The pairs are few (a statement's conditions), so that a loop to the fixed point beats
 * anything with a set-up.
 */
#include "civitas/route/pinning.h"

namespace civitas::route {

namespace {

bool pass_on(std::span<int> value_of, int from, int to)
{
	if (value_of[from] == NOT_PINNED || value_of[to] != NOT_PINNED)
		return false;
	value_of[to] = value_of[from];
	return true;
}

} // namespace

void find_pins(const PinFacts& facts, std::span<int> value_of)
{
	for (int& value : value_of)
		value = NOT_PINNED;
	for (const Pin& pin : facts.pins)
		if (value_of[pin.column] == NOT_PINNED)
			value_of[pin.column] = pin.value;

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
