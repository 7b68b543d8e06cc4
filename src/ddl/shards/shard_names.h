/*
 * shard_names.h: a statement about tables, turned into the same statement about their shards.
 */
#pragma once

#include "civitas/base/ids.h"
#include "civitas/ddl/shard_ddl.h"
#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "nodes/parsenodes.h"
CIVITAS_PG_END

namespace civitas::ddl {

/* The shard of a metadata table that goes with shard index `index` of a colocated table; 0 for any
 * other relation. */
ShardId shard_of(Oid relid, int index);

/* In place of an index: the shards of set_named_shards(), which need not be in the metadata yet. */
inline constexpr int NAMED_SHARDS = -1;
/* Makes shard_of(.., NAMED_SHARDS) answer from these; they must live as long as it is asked. */
void set_named_shards(std::span<const NamedShard> shards);

/* The metadata table that a name stands for: itself, or that of the index it names. InvalidOid for
 * anything else. */
Oid metadata_table_of(const RangeVar *relation);

/*
 * Renames, in a raw parse tree that the caller owns, every metadata table to its shard of `index`,
 * and the indexes and index-backed constraints of such tables with them. Must run while the names
 * still resolve.
 */
void rename_to_shards(Node *statement, int index);

/* Raw parse tree of one statement. */
Node *parse_one(const char *sql);

/* Runs a raw parse tree as a utility statement with the hooks suspended, then makes its changes
 * visible. */
void execute_tree(Node *statement, const char *sql);

} // namespace civitas::ddl
