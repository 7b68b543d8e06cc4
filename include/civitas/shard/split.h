/*
 * split.h: cutting a shard's hash range into several.
 *
 * A split point is the last hash of a piece: n points make n + 1 pieces, the last of which ends
 * where the shard ends. Nothing here allocates, so both zones may call it.
 */
#pragma once

#include "civitas/shard/hash_range.h"

namespace civitas::shard {

/* Why points do not cut a range. */
enum class SplitProblem
{
	None,
	NoPoints,
	OutOfRange,	  /* a point below the range's first hash, or not below its last */
	NotAscending, /* a point that is not above the one before */
};

/* What is wrong with the points, and which one (0-based) into *which. */
SplitProblem check_split_points(HashRange range, std::span<const std::int32_t> points, int *which);

/* Piece `index` of a range that valid points cut. */
HashRange split_piece(HashRange range, std::span<const std::int32_t> points, int index);

/* The points (at most two, into `points`) that put one hash of the range into a piece of its own.
 * Returns how many: 0 where the range is that one hash. *piece: which piece it is. */
int isolating_points(HashRange range, std::int32_t hash, std::int32_t points[2], int *piece);

} // namespace civitas::shard
