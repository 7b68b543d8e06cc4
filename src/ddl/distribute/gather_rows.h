/*
 * gather_rows.h: rows of shards that are about to be replaced, from node to node.
 */
#pragma once

#include "civitas/base/ids.h"
#include "civitas/pg/server.h"
#include "civitas/pg/vec.h"

CIVITAS_PG_BEGIN
#include "nodes/pg_list.h"
CIVITAS_PG_END

#include <span>

namespace civitas::ddl {

/* A shard that the metadata need not know any more. */
struct OldShard
{
	Oid relid;
	const char *name; /* qualified and quoted */
	std::span<const GroupId> groups;
};
CIVITAS_SERVER_STATE(OldShard);

/* Whether a session of any node to any node sees all rows that this transaction sees: it has not
 * written yet, and this node is one that can be asked. To be called before anything is locked. */
bool others_see_all_rows();

pg::Vec<OldShard> shards_of(List *tables);
/* Returns when no transaction is left that has written to the shards, on any node; for callers that
 * keep new ones away. */
void wait_for_writers(std::span<const OldShard> shards);
void drop_shards(std::span<const OldShard> shards);

/* Fills the new shards of the tables, on all nodes, from the old ones. */
void gather_on_all_nodes(List *tables, std::span<const OldShard> shards);
/* Fills those of one table on this node; nodes: who has which of the old ones. */
void gather_rows(Oid relid, std::span<const NodeId> nodes, std::span<const char *const> shards);
/* Puts the rows of the shards into the tables' own storage on this node. */
void pull_rows_home(std::span<const OldShard> shards);

} // namespace civitas::ddl
