/*
 * shard_name.cpp: see shard_name.h.
 */
#include "civitas/shard/shard_name.h"

#include <charconv>

namespace civitas::shard {

ShardId id_in_name(std::string_view name)
{
	const std::size_t underscore = name.rfind('_');
	if (underscore == std::string_view::npos)
		return INVALID_SHARD_ID;
	const std::string_view digits = name.substr(underscore + 1);
	/* from_chars() would take a sign. */
	if (digits.empty() || digits.front() < '1' || digits.front() > '9')
		return INVALID_SHARD_ID;
	ShardId id = 0;
	const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
	if (error != std::errc() || end != digits.data() + digits.size())
		return INVALID_SHARD_ID;
	return id;
}

} // namespace civitas::shard
