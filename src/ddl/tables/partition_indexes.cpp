/*
 * partition_indexes.cpp: the names of indexes that PostgreSQL makes on partitions.
 *
 * An index or a unique constraint of a partitioned table gets a part on each partition, and
 * PostgreSQL names the parts after the partition: on shards after the shard, which is not how the
 * index of a shard is called elsewhere. So each part is found by its parents (the part of the
 * shell's index on the partition goes with the part of the shard's index on the partition's shard)
 * and renamed.
 */
#include "partition_indexes.h"

#include "../shards/local_shards.h"
#include "../shards/shard_names.h"
#include "civitas/catalog/tables.h"

CIVITAS_PG_BEGIN
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/tablecmds.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

Oid shard_relation(Oid shell, ShardId shard)
{
	return get_relname_relid(catalog::shard_relation_name(get_rel_name(shell), shard),
							 get_rel_namespace(shell));
}

/* The part of a partitioned index that is on `table`; InvalidOid where there is none. */
Oid part_on(Oid partitioned_index, Oid table)
{
	ListCell *cell;
	foreach (cell, find_inheritance_children(partitioned_index, NoLock))
		if (IndexGetRelation(lfirst_oid(cell), true) == table)
			return lfirst_oid(cell);
	return InvalidOid;
}

void name_parts(Oid index, Oid parent_index, const LocalShard& shard, Oid partition_shard)
{
	const Oid parent_shard_index =
		shard_relation(parent_index, shard_of(IndexGetRelation(parent_index, false), shard.index));
	if (!OidIsValid(parent_shard_index))
		return;
	const Oid part = part_on(parent_shard_index, partition_shard);
	/* A name that is taken belongs to an index that matches as well, which the shell uses. */
	if (!OidIsValid(part) || OidIsValid(shard_relation(index, shard.shard_id)))
		return;
	RenameRelationInternal(part, catalog::shard_relation_name(get_rel_name(index), shard.shard_id),
						   true, true);
	CommandCounterIncrement();
}

void name_indexes_of(Oid partition)
{
	const catalog::Table *table = catalog::find_table(partition);
	if (table == nullptr)
		return;
	const pg::Vec<LocalShard> shards = local_shards(*table);
	Relation relation = relation_open(partition, NoLock);
	List *indexes = RelationGetIndexList(relation);
	relation_close(relation, NoLock);
	ListCell *cell;
	foreach (cell, indexes)
	{
		const Oid index = lfirst_oid(cell);
		if (!get_rel_relispartition(index))
			continue;
		const Oid parent_index = get_partition_parent(index, false);
		for (const LocalShard& shard : shards)
			name_parts(index, parent_index, shard, shard_relation(partition, shard.shard_id));
	}
}

} // namespace

void name_partition_indexes(Oid relid)
{
	if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
		return;
	/* Parents come before their partitions. */
	ListCell *cell;
	foreach (cell, find_all_inheritors(relid, NoLock, nullptr))
		if (lfirst_oid(cell) != relid)
			name_indexes_of(lfirst_oid(cell));
}

} // namespace civitas::ddl
