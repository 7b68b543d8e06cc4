/*
 * pinning.h: which tables of a statement are held to one value of their distribution column.
 *
 * The facts are about columns, numbered by the caller, of all query levels at once. "Pinned to v"
 * says of a table's column: rows of the table where it is not v cannot change the statement's
 * answer. Then the shard of v is all that must be looked at.
 *
 *   pin       the column is compared to a value in a place where other rows fall away
 *   equality  rows count only where both columns are equal: a pin of either one holds for the other
 *   edge      a pin of `from` holds for `to` only: the nullable side of an outer join, what a
 *             sublink refers to outside of it, a column of a subquery's result
 */
#pragma once

#include <cstdint>
#include <span>

namespace civitas::route {

struct Pin
{
	int column;
	int value; /* numbered by the caller; equal numbers are equal values; from 0 */
};

struct ColumnPair
{
	int from;
	int to;
};

struct PinFacts
{
	int column_count;
	std::span<const Pin> pins;
	std::span<const ColumnPair> equalities;
	std::span<const ColumnPair> edges;
};

inline constexpr int NOT_PINNED = -1;

/* Fills value_of[column_count] with the value each column is pinned to, or NOT_PINNED. Where a
 * column has several pins any of them is right (two that differ leave no rows); the first is taken.
 */
void find_pins(const PinFacts& facts, std::span<int> value_of);

/* A table whose rows are spread. */
struct SpreadTable
{
	std::int32_t colocation; /* group; tables of different groups are never together */
	int value;				 /* what its column is pinned to, or NOT_PINNED */
	bool one_shard;			 /* has a single shard: needs no pin */
};

enum class Together
{
	Yes, /* one shard group holds all that matters; *value says whose (NOT_PINNED: single shards) */
	NotColocated,	/* tables of different colocation groups */
	NotPinned,		/* a table without a pin */
	DifferentValues /* pinned to values with different numbers: the caller may know that they share
					   a shard */
};

/* Whether one shard group answers for all the tables. */
Together together(std::span<const SpreadTable> tables, int *value);
/* As a sentence fragment for EXPLAIN and DEBUG; null for Yes. */
const char *reason(Together together);

/* Where the rows of one side of a join live, for pushing the join to the nodes. */
enum class Spread
{
	Replicated, /* reference tables: everywhere */
	Sharded,	/* over the shards of a colocation group */
	Elsewhere	/* on this node only */
};

enum class JoinKind
{
	Inner,
	Left, /* all rows of the outer side */
	Full,
	Semi, /* rows of the outer side with a match */
	Anti
};

/* Whether joining shard group by shard group gives the join. on_keys: an equality between the
 * distribution columns of both sides, of one colocation group, is among the join's conditions. */
bool join_is_local(JoinKind kind, Spread outer, Spread inner, bool on_keys);

} // namespace civitas::route
