/*
 * split.cpp: see split.h.
 */
#include "civitas/shard/split.h"

#include "civitas/base/assert.h"

namespace civitas::shard {

SplitProblem check_split_points(HashRange range, std::span<const std::int32_t> points, int *which)
{
	*which = 0;
	if (points.empty())
		return SplitProblem::NoPoints;
	for (std::size_t i = 0; i < points.size(); i++)
	{
		*which = static_cast<int>(i);
		if (points[i] < range.min || points[i] >= range.max)
			return SplitProblem::OutOfRange;
		if (i > 0 && points[i] <= points[i - 1])
			return SplitProblem::NotAscending;
	}
	return SplitProblem::None;
}

HashRange split_piece(HashRange range, std::span<const std::int32_t> points, int index)
{
	const auto at = static_cast<std::size_t>(index);
	CIVITAS_ASSERT(at <= points.size());
	return {at == 0 ? range.min : points[at - 1] + 1, at == points.size() ? range.max : points[at]};
}

int isolating_points(HashRange range, std::int32_t hash, std::int32_t points[2], int *piece)
{
	int count = 0;
	CIVITAS_ASSERT(range.min <= hash && hash <= range.max);
	if (hash > range.min)
		points[count++] = hash - 1;
	*piece = count;
	if (hash < range.max)
		points[count++] = hash;
	return count;
}

} // namespace civitas::shard
