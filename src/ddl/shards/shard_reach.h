/*
 * shard_reach.h: the shard half of applying a statement.
 */
#pragma once

#include "../statement_kinds.h"

namespace civitas::ddl {

/* Applies a statement about `tables` to their local shards as its kind says. The tree is not
 * changed. */
void apply_to_shards(const StatementKind& kind, Node *tree, const char *sql, List *tables);

} // namespace civitas::ddl
