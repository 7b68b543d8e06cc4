/*
 * writes.h: changing the metadata catalogs of this node.
 *
 * Each call writes the local catalog only, through the catalog's indexes, as the extension's own
 * action (whatever the current role may do: callers check rights first), increments the command
 * counter and invalidates the table, so that every backend sees it at commit. metadata_sql.h gives
 * the SQL that does the same to other nodes.
 */
#pragma once

#include "civitas/catalog/nodes.h"
#include "civitas/catalog/tables.h"

CIVITAS_PG_BEGIN
#include "storage/lock.h"
CIVITAS_PG_END

namespace civitas::catalog {

/* Ids from the coordinator's sequences. */
ShardId next_shard_id();
/* Whether citus.next_shard_id says what the next ones are. */
bool shard_ids_are_chosen();
int64 next_placement_id();
ColocationId next_colocation_id();
NodeId next_node_id();
GroupId next_group_id();

/* partkey is the distribution column's name here; it is stored in the form that
 * column_name_to_column() gives. Null where none. */
void insert_partition(Oid relid, char partmethod, const char *column, ColocationId colocation_id,
					  char repmodel, bool autoconverted);
void delete_partition(Oid relid);
void set_colocation(Oid relid, ColocationId colocation_id);
/* Whether the table is known for its foreign keys alone; the other nodes need not know. */
void set_autoconverted(Oid relid, bool autoconverted);
/* min/max null for tables without ranges. */
void insert_shard(Oid relid, ShardId shard_id, const int32 *min_hash, const int32 *max_hash);
/* Deletes the table's shards with their placements. */
void delete_shards(Oid relid);
/* Deletes one shard with its placements. */
void delete_shard(ShardId shard_id);
void insert_placement(int64 placement_id, ShardId shard_id, GroupId group_id);
void delete_placement(int64 placement_id);
/* The shard that a placement is of; 0 where there is no such placement. */
ShardId shard_of_placement(int64 placement_id);
void delete_placements_of_group(GroupId group_id);

/* A row of pg_dist_colocation. */
struct Colocation
{
	ColocationId id;
	int32 shard_count;
	int32 replication_factor;
	Oid distribution_type;
	Oid distribution_collation;
	/* Made for colocate_with => 'none': find_default_colocation() passes over it. */
	bool isolated = false;
};
void insert_colocation(const Colocation& colocation);
void delete_colocation(ColocationId id);
void set_shard_count(ColocationId id, int32 shard_count);
/* False where there is none. */
bool find_colocation(ColocationId id, Colocation *out);
/* The oldest group that tables distributed with colocate_with => 'default' share; false where none
 * exists yet. Groups made for colocate_with => 'none' are never returned. */
bool find_default_colocation(int32 shard_count, int32 replication_factor, Oid type, Oid collation,
							 Colocation *out);
/* The locks on a colocation group, until the end of the transaction; what they waited for is
 * visible afterwards. Join: before a table comes or goes; 55006 while its shards are being moved or
 * split. Rearrange: before a shard group changes its place; waits for others that do. */
enum class ColocationLock
{
	Join,
	Rearrange
};
void lock_colocation(ColocationId id, ColocationLock lock);
LOCKTAG colocation_lock_tag(ColocationId id);
/* Deletes the group when no table is in it any more. True if it did. */
bool delete_colocation_if_empty(ColocationId id);

void insert_node(const Node& node);
void update_node(const Node& node); /* by node_id, all columns */
void delete_node(NodeId node_id);
void set_local_group(GroupId group_id);

/* pg_dist_object: an object (schema, type, function, extension, ...) that the cluster keeps on
 * every node. */
void insert_object(Oid class_id, Oid object_id, int32 sub_id);
void delete_object(Oid class_id, Oid object_id, int32 sub_id);
bool object_is_distributed(Oid class_id, Oid object_id);
/* Of a function that is in pg_dist_object: which argument (from 0; -1: none) says with which shards of
 * the colocation group a call belongs. */
void set_function_placement(Oid function, int argument, ColocationId colocation);
/* Whether the function was made with the type, as what makes ranges was. */
bool is_part_of_type(Oid function, Oid type);

/* Drops what this backend remembers of the table, and every other backend's at commit. */
void invalidate_table(Oid relid);
void invalidate_nodes();

} // namespace civitas::catalog
