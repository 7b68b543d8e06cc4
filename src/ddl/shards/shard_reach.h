/*
 * shard_reach.h: the shard half of applying a statement.
 */
#pragma once

#include "../statement_kinds.h"

namespace civitas::ddl {

/* Applies a statement about `tables` to their local shards as its kind says. The tree is not
 * changed. */
void apply_to_shards(const StatementKind& kind, Node *tree, const char *sql, List *tables);

/* SET CONSTRAINTS was run here: what it names on tables of the metadata is set on their local shards
 * as well. */
void set_constraints_of_shards(const ConstraintsSetStmt *statement);

} // namespace civitas::ddl
