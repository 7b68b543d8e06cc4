/*
 * logical_names.h: from the names that shards carry back to the names that users know.
 *
 * A node (or a shard on this node) reports errors under shard names: users_102008,
 * users_pkey_102008. A name is turned back only when it says <name>_<shardid> of a shard that the
 * metadata knows and <name> is that table or one of its indexes, so data that merely looks alike is
 * left alone.
 */
#pragma once

#include "civitas/pg/server.h"

namespace civitas::catalog {

/* The table's or index's own name for the name of a shard's; null when it is no such name. In
 * CurrentMemoryContext. Needs a valid transaction; outside of one every name stays as it is. */
char *logical_name(const char *shard_level_name);
/* A message with every double-quoted shard-level name replaced by its logical one. `text` itself
 * when there is none. */
char *logical_text(char *text);

/* In a PG_CATCH block, after FlushErrorState(): the error, which is about to be raised again, in the user's
 * names, as far as they can be looked up. */
void use_logical_names(ErrorData *error);

} // namespace civitas::catalog
