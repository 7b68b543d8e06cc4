/*
 * shard_name.h: the shard that a relation's name speaks of.
 *
 * A shard's name ends in an underscore and the decimal digits of its id. Names come from anywhere: a
 * table of a user may end like that too, and is told apart by the metadata.
 */
#pragma once

#include "civitas/base/ids.h"

#include <string_view>

namespace civitas::shard {

/* The number after the last underscore; INVALID_SHARD_ID where the name does not end in one that is
 * written without leading zeros and fits. */
ShardId id_in_name(std::string_view name);

} // namespace civitas::shard
