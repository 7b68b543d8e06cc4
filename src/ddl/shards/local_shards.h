/*
 * local_shards.h: the shards that have a placement on this node.
 */
#pragma once

#include "civitas/catalog/tables.h"
#include "civitas/ddl/shard_ddl.h"
#include "civitas/pg/vec.h"

CIVITAS_PG_BEGIN
#include "nodes/parsenodes.h"
CIVITAS_PG_END

namespace civitas::ddl {

struct LocalShard
{
	int index;
	ShardId shard_id;
};

pg::Vec<LocalShard> local_shards(const catalog::Table& table);

/* create_local_shards() for all of the table's shards that belong on this node. */
void create_own_shards(Oid relid);
/* One part of them, with every check that the part makes. */
void create_part_of_own_shards(Oid relid, ShardPart part);
/* Drops the shard's table where it exists, and what depends on it. */
void drop_shard_relation(const char *schema, const char *table, ShardId shard);
/* Applies the statement to the shard group of each local shard of the anchor table. */
void apply_tree_to_shards(Node *tree, const char *sql, Oid anchor);

} // namespace civitas::ddl
