/*
 * distribute.h: turning a table into a table of the metadata, and back.
 */
#pragma once

#include "civitas/catalog/writes.h"
#include "civitas/ddl/online.h"
#include "civitas/ddl/shard_ddl.h"
#include "civitas/pg/vec.h"

namespace civitas::ddl {

/* What the table is to become. */
struct Distribution
{
	catalog::TableKind kind;
	const char *column = nullptr; /* distribution column, for TableKind::Hash */
	ColocationId colocation_id = INVALID_COLOCATION_ID;
	int shard_count = 1;
	int replication_factor = 1;
	int first_place = 0; /* where placing shards begins, in the list of nodes */
	bool autoconverted = false;
	Oid like = InvalidOid; /* a table of the same colocation group, whose ranges and placements are
							  followed */
};
CIVITAS_SERVER_STATE(Distribution);

/*
 * Carries it out for a checked and locked table, partitions included: metadata here, shell and
 * metadata on the other nodes, shards where they belong, the table's rows moved into them. All in
 * this transaction.
 */
void distribute_table(Oid relid, const Distribution& distribution);

/* The shards that it is to have. */
pg::Vec<PlannedShard> plan_shards(const Distribution& distribution);
/* Its metadata, here. ids: of the shards; none: new ones. */
void insert_metadata(Oid relid, const Distribution& distribution,
					 std::span<const PlannedShard> shards, std::span<const ShardId> ids = {});
/* What another node needs to know the table: shell, foreign keys, metadata; not the shards. */
char *definition_sql(Oid relid);

/* What create_distributed_table() was asked for, with what the settings say. */
Distribution hash_distribution(const DistributeRequest& request);

/* Finds the colocation group to join, if there is one; nobody else makes a group until the end of
 * the transaction. with: the colocate_with argument. Fills colocation_id, like, shard_count. */
bool join_colocation(Oid relid, Distribution *distribution, const char *with, bool count_given,
					 Oid type, Oid collation);
/* Makes one. */
void make_colocation(Distribution *distribution, const char *with, Oid type, Oid collation);
/* One or the other. */
void choose_colocation(Oid relid, Distribution *distribution, const char *with, bool count_given,
					   Oid type, Oid collation);

/* The group of all reference tables, made when there is none. */
void choose_reference_colocation(Distribution *distribution);

/* From here on rows that come into shards, on any node, are old ones and fire no triggers; or they
 * are new again. */
void say_rows_move(bool moving);

/* A part of the shards of all the tables, on every node. */
void create_part_of_shards(List *tables, ShardPart part);

/* Turns a plain table (or partition) into one colocated with `parent`, as its partition. */
void distribute_partition(Oid partition, Oid parent);

/* Moves the rows that the shell itself holds into the shards, with progress and a NOTICE, and
 * empties the shell. */
void move_rows_to_shards(Oid relid);
/* 42P01 where there is no such relation. */
Oid owner_of(Oid relid);
/* Runs body() in the name of the table's owner, whose code (checks, generated columns) it runs, and
 * under restrictions: whoever asked for it must lend that code no rights. An error puts the user back
 * with the transaction. */
template <typename Body> void as_owner(Oid relid, Body&& body)
{
	Oid user;
	int context;
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(owner_of(relid), context | SECURITY_RESTRICTED_OPERATION);
	body();
	SetUserIdAndSecContext(user, context);
}
/* Throws away what the shell itself holds. The caller holds AccessExclusiveLock. */
void empty_shell(Oid relid);

/* The table's rows into a temporary table of this session, without generated columns; and from
 * there into the shards. */
void save_rows(Oid relid);
void move_saved_rows_to_shards(Oid relid);
const char *saved_rows_name(Oid relid);
/* Its columns but the generated ones, quoted, comma-separated; null where there are none. */
const char *stored_column_list(Oid relid);
const char *qualified_table_name(Oid relid);

/* Gives tables that are distributed already other shards: new ones are made as the distribution of
 * each says, filled with the rows of the old ones, and these are dropped. `tables`: parents before
 * partitions. committed: others_see_all_rows(); else the rows go through a temporary table here.
 * Shells and what depends on them stay as they are. The caller holds AccessExclusiveLock everywhere
 * and disposes of colocation groups that became empty. */
void redistribute(List *tables, const Distribution *distributions, bool committed);
/* ACCESS EXCLUSIVE, on all nodes but this one. */
void lock_elsewhere(List *tables);

/* Makes the table plain again, rows and all. with_foreign_keys: also the tables connected by
 * foreign keys. committed: as above. */
void undistribute(Oid relid, bool with_foreign_keys, bool committed);

/* Tables of the metadata at the other end of a foreign key, whichever side. */
List *tables_connected_by_foreign_keys(Oid relid);
/* Whether a foreign key connects the table with another one of the metadata. */
bool is_connected_by_foreign_keys(Oid relid);

/* The statement that asks a function about the table on another node:
 * function('schema.table'::regclass). */
char *call_on_table(const char *function, Oid relid);

} // namespace civitas::ddl
