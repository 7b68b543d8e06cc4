/*
 * shard_ddl.h: DDL below the table: on the shards that live on this node.
 *
 * A statement's own text is parsed here, relations that are distributed tables are renamed to the
 * shards of one shard group (index names get the shard's suffix too), and the result is executed,
 * once for each shard group with a placement on this node. Runs as the table's owner.
 */
#pragma once

#include "civitas/base/ids.h"
#include "civitas/pg/server.h"

#include <span>

namespace civitas::ddl {

/* Creates the tables of the given shards of relid on this node from the local shell's definition,
 * foreign keys to other tables' shards included (their shards must exist). attach: also attaches a
 * partition's shard to its parent's shard. */
void create_local_shards(Oid relid, std::span<const ShardId> shard_ids);
/* A shard by name; it need not be in the metadata. */
struct NamedShard
{
	Oid relid;
	ShardId shard_id;
};

/* What a shard is made of, for those who fill it in between. */
enum class ShardPart
{
	Table,		/* columns, defaults, CHECK constraints, owner, grants */
	Indexes,	/* with the constraints that rest on them, and the replica identity */
	Attach,		/* partitions to the shards of their parents */
	ForeignKeys /* without looking at the rows: they obeyed them where they come from */
};

/* Makes one part of the given shards (of one shard group) on this node from the local shells. As a
 * superuser. */
void create_shard_parts(std::span<const NamedShard> shards, ShardPart part);
/* Drops them (IF EXISTS). */
void drop_local_shards(Oid relid, std::span<const ShardId> shard_ids);
/* Applies one DDL statement's text to every local shard of the tables it names. */
void apply_to_local_shards(const char *sql);

} // namespace civitas::ddl
