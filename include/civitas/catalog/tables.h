/*
 * tables.h: what the metadata says about a table (pg_dist_partition, pg_dist_shard,
 * pg_dist_placement), as this backend sees it.
 *
 * One entry a table, built on first use (also for tables that are not in the metadata, so that
 * the answer "plain table" is cheap), dropped by relcache invalidation of the table. A pointer
 * stays valid until the end of the transaction, even when the entry is rebuilt meanwhile. Memory
 * per shard is under 64 bytes.
 */
#pragma once

#include "civitas/base/ids.h"
#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "access/attnum.h"
#include "nodes/parsenodes.h"
CIVITAS_PG_END

#include <span>

namespace civitas::catalog {

/* pg_dist_partition's (partmethod, repmodel, autoconverted), named. */
enum class TableKind : char
{
	Hash,		 /* partmethod h */
	Reference,	 /* partmethod n, repmodel t: one shard, a replica on every node with shards */
	SingleShard, /* partmethod n, repmodel s, in a colocation group: one shard, one placement */
	Local, /* partmethod n, repmodel s, no colocation: a coordinator table the metadata knows */
	Range, /* partmethod r */
	Append /* partmethod a */
};

/* A row of pg_dist_placement. */
struct Placement
{
	int64 placement_id;
	GroupId group_id;
};

/* A row of pg_dist_shard with its placements, ordered by group. min/max are hash values, both
 * inclusive; 0 where the table is not hash-distributed. */
struct Shard
{
	ShardId shard_id;
	int32 min_hash;
	int32 max_hash;
	int32 first_placement; /* index into Table::placements */
	int32 placement_count;
};

/* A table of the metadata. Shards ascend by min_hash; shard "index" means the position here, and
 * equal indexes of colocated tables belong together (one shard group). */
struct Table
{
	Oid relid;
	TableKind kind;
	char partmethod;
	char repmodel;
	bool autoconverted;
	ColocationId colocation_id;
	AttrNumber distribution_attno; /* 0 unless hash (or range/append) distributed, or damaged */
	Oid distribution_type;		   /* type of that column */
	Oid distribution_collation;	   /* its collation */
	FmgrInfo *hash_finfo;		   /* of the type's default hash opclass; lives with the entry */
	bool uniform;				   /* ranges are the equal ones: index is arithmetic */
	int shard_count;
	const Shard *shards;
	const Placement *placements;
	const char *damage; /* what is wrong with the metadata, a sentence; null: nothing */
	bool readable;		/* damaged or not, all of its rows can be found */

	std::span<const Placement> placements_of(int shard_index) const
	{
		const Shard& shard = shards[shard_index];
		return {placements + shard.first_placement, static_cast<size_t>(shard.placement_count)};
	}
	bool is_distributed() const
	{
		return damage == nullptr && (kind == TableKind::Hash || kind == TableKind::SingleShard);
	}
	/* All rows are in one placement of one shard; such tables of one colocation belong together. */
	bool is_single() const { return kind == TableKind::SingleShard || kind == TableKind::Local; }
};
CIVITAS_SERVER_STATE(Table);

/* The entry of a table of the metadata; null for any other relation (and where the extension is not
 * installed). */
const Table *find_table(Oid relid);
/* Like find_table(); 42809 "table %s is not distributed" where there is none. */
const Table& get_table(Oid relid);

/*
 * Metadata that makes no sense (the distribution column is gone, shards are missing) is no error of
 * find_table() and get_table(): such a table can be dropped, and what is about all tables passes it
 * by. XX001, saying what is wrong, by those who need it whole.
 */
[[noreturn]] void refuse_damaged(const Table& table);
inline void require_sound(const Table& table)
{
	if (table.damage != nullptr)
		refuse_damaged(table);
}

/*
 * The entries of a table (or InvalidOid) and of others (oids, or InvalidOid) behind it, as they are
 * at one moment: tables of a shard group are in step at one place only, and other sessions may move
 * it at any time. An array in CurrentMemoryContext; null for InvalidOid. 42809 like get_table().
 */
const Table **get_tables_at_once(Oid first, const List *others);

/* Hash of a value of the distribution column's type: what decides its shard. */
int32 hash_value(const Table& table, Datum value);
/* A value of any type as one of the distribution column's: as it is, or through its text form. */
Datum distribution_value(const Table& table, Datum value, Oid type);
/* NULLs are in the shard that holds this hash. */
inline constexpr int32 NULL_HASH = 0;
/* Index of the shard that holds a value of the distribution column, also NULL; XX001 as below. */
int shard_index_of_value(const Table& table, Datum value, bool is_null);
/* Index of the shard that holds a hash; raises XX001 when the metadata has no such range. */
int shard_index_of_hash(const Table& table, int32 hash);

/* Which table a shard belongs to. */
struct ShardOwner
{
	Oid relid;
	int shard_index;
};
/* False where there is no such shard. */
bool find_shard(ShardId shard_id, ShardOwner *owner);

/* Oids of all tables of the metadata, ordered by oid. In CurrentMemoryContext, as the others. */
List *all_table_oids();
/* Those whose metadata is sound; of one colocation group. */
List *sound_table_oids();
List *colocated_table_oids(ColocationId colocation_id);
/* Whether the group has any table, sound or not. */
bool colocation_is_used(ColocationId colocation_id);

/* One of the reference tables; null where there is none. All of them have their replicas on the
 * same nodes. */
const Table *any_reference_table();
/* Whether shards may be on the nodes of the group: it has the replicas of the reference tables that
 * they are joined with and refer to, or there are none. */
bool has_reference_tables(GroupId group_id);

/*
 * A shard's own table name: <name>_<shardid>, at most 63 bytes. A longer name is cut at a
 * character boundary and given an 8-digit hex hash of the whole name: <cut>_<hash>_<shardid>.
 * Used for shards' indexes as well. In CurrentMemoryContext.
 */
char *shard_relation_name(const char *name, ShardId shard_id);
/* Same, schema-qualified and quoted, for a shard of the table. */
char *qualified_shard_name(Oid relid, ShardId shard_id);
/* Changes when names in the text of a task may have: of shards, schemas and types. */
uint64 names_generation();
/* Whether a relation's name says <table>_<shardid> of a table in the same schema that the metadata
 * knows, and that shard exists. Sets the owner when not null. */
bool is_known_shard(Oid relid, ShardOwner *owner);

/* For statements that nodes make: whoever may delete rows of a shard may lock them. */
void let_deleters_lock(Query *query);

/* Whether this session is not to see shards in pg_class: true unless it is internal, or its
 * application name starts with one of citus.show_shards_for_app_name_prefixes. */
bool shards_are_hidden();

/* Name of the distribution column's attribute; null where there is none. */
char *distribution_column_name(const Table& table);

/* Called when a table of the metadata may have changed, inside an invalidation: it may not look
 * anything up. */
extern void (*table_changed_hook)();

void tables_init();

} // namespace civitas::catalog
