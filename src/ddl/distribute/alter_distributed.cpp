/*
 * alter_distributed.cpp: another distribution column, shard count or colocation group for a table
 * that is distributed already; another access method.
 *
 * The table itself stays, on every node: its oid, views, rights, comments, sequences and whatever
 * else depends on it. Only the shards are replaced (redistribute()): new ones are made from the
 * shell, filled with the rows of the old ones, which are dropped; indexes and foreign keys are made
 * last. One distributed transaction, in which nobody else gets at the table.
 *
 * What changes together: the table with its partitions, or with cascade_to_colocated all tables of
 * its colocation group with theirs. No foreign key may connect one of them with a distributed table
 * that stays as it is.
 */
#include "../settings.h"
#include "../tables/table_checks.h"
#include "../utility_call.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"
#include "civitas/txn/transaction.h"
#include "distribute.h"
#include "gather_rows.h"

CIVITAS_PG_BEGIN
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/tablecmds.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/varlena.h"
CIVITAS_PG_END

namespace civitas::ddl {

using catalog::Table;
using catalog::TableKind;

namespace {

/* cascade_to_colocated. */
enum class Cascade
{
	Unspecified,
	No,
	Yes
};

/* The arguments. */
struct Request
{
	const char *column;		   /* null: as it is */
	int shard_count;		   /* 0: as it is */
	const char *colocate_with; /* null: not given */
	Cascade cascade;
};

[[noreturn]] void refuse_arguments(const char *message, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", message),
					hint != nullptr ? errhint("%s", hint) : 0));
}

/* Tables of the group that are nobody's partition. */
List *members_of(ColocationId colocation)
{
	List *members = catalog::colocated_table_oids(colocation);
	ListCell *cell;
	foreach (cell, members)
		if (get_rel_relispartition(lfirst_oid(cell)))
			members = foreach_delete_current(members, cell);
	return members;
}

void check_request(const Request& request)
{
	if (request.column == nullptr && request.shard_count == 0 && request.colocate_with == nullptr)
		refuse_arguments("nothing is asked to be altered",
						 "Give distribution_column, shard_count or colocate_with.");
	if (request.cascade == Cascade::Yes && request.column != nullptr)
		refuse_arguments("a new distribution column cannot be cascaded to colocated tables",
						 "Alter the distribution column of each table by itself.");
	if (request.cascade == Cascade::Yes && request.shard_count == 0 &&
		pg_strcasecmp(request.colocate_with, "none") == 0)
		refuse_arguments("colocate_with => 'none' cannot be cascaded to colocated tables",
						 "It is what takes a table out of its group.");
}

const Table& check_table(Oid relid, const Request& request)
{
	const Table& table = catalog::get_table(relid);
	catalog::require_sound(table);
	if (table.kind != TableKind::Hash && table.kind != TableKind::SingleShard)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("table \"%s\" is not distributed by hash", get_rel_name(relid)),
						errhint("Use undistribute_table(), then create_distributed_table().")));
	if (table.kind == TableKind::SingleShard && request.column == nullptr)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("table \"%s\" has no distribution column", get_rel_name(relid)),
						errhint("Give distribution_column to distribute it by hash.")));
	if (get_rel_relispartition(relid))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot alter partition \"%s\" by itself", get_rel_name(relid)),
						errhint("Alter the partitioned table \"%s\"; its partitions follow.",
								get_rel_name(get_partition_parent(relid, true)))));
	return table;
}

/* Whether colocate_with means another group than the table's. */
bool changes_group(const Table& table, const DistributionColumn& column, const Request& request)
{
	if (request.colocate_with == nullptr)
		return false;
	catalog::Colocation group = {};
	if (!catalog::find_colocation(table.colocation_id, &group))
		return true;
	if (pg_strcasecmp(request.colocate_with, "none") == 0)
		return !group.isolated || list_length(members_of(group.id)) > 1;
	if (pg_strcasecmp(request.colocate_with, "default") == 0)
		return !catalog::find_default_colocation(
				   request.shard_count > 0 ? request.shard_count : group.shard_count,
				   group.replication_factor, column.type, column.collation, &group) ||
			   group.id != table.colocation_id;
	List *name = textToQualifiedNameList(cstring_to_text(request.colocate_with));
	const Oid other = RangeVarGetRelid(makeRangeVarFromNameList(name), AccessShareLock, false);
	return catalog::get_table(other).colocation_id != table.colocation_id;
}

/* Foreign keys to distributed tables that are not altered would point at shards elsewhere. */
void check_foreign_key_neighbours(List *tables)
{
	ListCell *cell;
	foreach (cell, tables)
	{
		List *neighbours = tables_connected_by_foreign_keys(lfirst_oid(cell));
		ListCell *other;
		foreach (other, neighbours)
			if (!list_member_oid(tables, lfirst_oid(other)) &&
				catalog::get_table(lfirst_oid(other)).is_distributed())
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot alter distributed table \"%s\"",
								get_rel_name(lfirst_oid(cell))),
						 errdetail("A foreign key connects it with distributed table \"%s\".",
								   get_rel_name(lfirst_oid(other))),
						 errhint("Drop the foreign key, or, where the distribution column stays, "
								 "use cascade_to_colocated => true.")));
	}
}

void check_not_in_use(List *tables)
{
	ListCell *cell;
	foreach (cell, tables)
	{
		Relation relation = table_open(lfirst_oid(cell), NoLock);
		CheckTableNotInUse(relation, "alter");
		table_close(relation, NoLock);
	}
}

/* A member of the group whose shards show where the new ones go; none where all of them are being
 * altered, so that new places are chosen. */
Oid model_outside_of(List *tables, ColocationId colocation)
{
	List *members = catalog::colocated_table_oids(colocation);
	ListCell *cell;
	foreach (cell, members)
		if (!list_member_oid(tables, lfirst_oid(cell)))
			return lfirst_oid(cell);
	return InvalidOid;
}

/* What the first table becomes. */
Distribution choose_distribution(const Table& table, const DistributionColumn& column,
								 const Request& request, List *tables)
{
	Distribution distribution = {.kind = TableKind::Hash};
	const bool hash = table.kind == TableKind::Hash;
	distribution.column =
		request.column != nullptr ? request.column : catalog::distribution_column_name(table);
	distribution.shard_count = request.shard_count > 0 ? request.shard_count
							   : hash				   ? table.shard_count
													   : shard_count_setting;
	distribution.replication_factor = table.shards[0].placement_count;
	const bool group_fits = hash && column.type == table.distribution_type &&
							column.collation == table.distribution_collation &&
							distribution.shard_count == table.shard_count;
	if (request.colocate_with == nullptr && group_fits)
		distribution.colocation_id = table.colocation_id;
	else
	{
		catalog::Colocation group = {};
		const bool isolated =
			hash && catalog::find_colocation(table.colocation_id, &group) && group.isolated;
		const char *with = request.colocate_with != nullptr ? request.colocate_with
						   : isolated						? "none"
															: "default";
		choose_colocation(table.relid, &distribution, with, request.shard_count > 0, column.type,
						  column.collation);
	}
	distribution.like = model_outside_of(tables, distribution.colocation_id);
	return distribution;
}

/* The distribution of every table, given that of the first. */
pg::Vec<Distribution> distributions_of(List *tables, const Distribution& first)
{
	pg::Vec<Distribution> all;
	ListCell *cell;
	foreach (cell, tables)
	{
		const Oid relid = lfirst_oid(cell);
		Distribution own = first;
		if (foreach_current_index(cell) > 0)
		{
			own.like = linitial_oid(tables);
			if (!get_rel_relispartition(relid))
				own.column = catalog::distribution_column_name(catalog::get_table(relid));
			else
			{
				const Oid parent = get_partition_parent(relid, false);
				int at = 0;
				ListCell *other;
				foreach (other, tables)
					if (lfirst_oid(other) == parent)
						at = foreach_current_index(other);
				own.column = all[at].column;
			}
		}
		all.push(own);
	}
	return all;
}

/* Which tables change together; asks for a choice where there is one. */
List *tables_to_alter(const Table& table, const Request& request, bool group_changes)
{
	List *tables = table_with_partitions(table.relid, AccessExclusiveLock);
	List *members = table.kind == TableKind::Hash ? members_of(table.colocation_id) : NIL;
	if (list_length(members) <= 1 || request.cascade == Cascade::No)
		return tables;
	if (request.cascade == Cascade::Unspecified)
	{
		if (group_changes && request.shard_count > 0 && request.shard_count != table.shard_count)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("cascade_to_colocated must be given"),
					 errdetail("Table \"%s\" is colocated with other tables.",
							   get_rel_name(table.relid)),
					 errhint("cascade_to_colocated => true changes the shard count of all of them, "
							 "false takes the table out of their group.")));
		return tables;
	}
	ListCell *cell;
	foreach (cell, members)
	{
		if (lfirst_oid(cell) == table.relid)
			continue;
		open_for_distribution(lfirst_oid(cell));
		tables = list_concat(tables, table_with_partitions(lfirst_oid(cell), AccessExclusiveLock));
	}
	return tables;
}

void alter_distributed(Oid relid, const Request& request, bool committed)
{
	const Table& table = check_table(relid, request);
	const ColocationId before = table.colocation_id;
	const char *name =
		request.column != nullptr ? request.column : catalog::distribution_column_name(table);
	const DistributionColumn column = check_distribution_column(relid, name);
	const bool column_changes =
		table.kind != TableKind::Hash || column.attno != table.distribution_attno;
	const bool count_changes = request.shard_count > 0 && request.shard_count != table.shard_count;
	const bool group_changes = changes_group(table, column, request);
	if (!column_changes && !count_changes && !group_changes)
		refuse_arguments(psprintf("table \"%s\" has these properties already", get_rel_name(relid)),
						 "See citus_tables for the properties of distributed tables.");

	List *tables = tables_to_alter(table, request, count_changes || group_changes);
	ListCell *cell;
	if (column_changes)
		foreach (cell, tables)
		{
			const Oid each = lfirst_oid(cell);
			const DistributionColumn own = check_distribution_column(each, name);
			check_unique_indexes(each, own.attno);
		}
	check_foreign_key_neighbours(tables);
	if (column_changes)
		check_foreign_keys(relid, TableKind::Hash, INVALID_COLOCATION_ID, column.attno);
	check_not_in_use(tables);
	const Distribution first = choose_distribution(table, column, request, tables);
	pg::Vec<Distribution> distributions = distributions_of(tables, first);

	txn::require_one_session_per_node();
	lock_elsewhere(tables);
	redistribute(tables, distributions.data(), committed);
	if (before != INVALID_COLOCATION_ID)
		catalog::delete_colocation_if_empty(before);
}

} // namespace

void lock_elsewhere(List *tables)
{
	List *names = NIL;
	ListCell *cell;
	foreach (cell, tables)
		names = lappend(names, const_cast<char *>(qualified_table_name(lfirst_oid(cell))));
	lock_shells_elsewhere(names, "ACCESS EXCLUSIVE");
}

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(alter_distributed_table);
PGDLLEXPORT Datum alter_distributed_table(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("table_name cannot be NULL")));
	const Oid relid = PG_GETARG_OID(0);
	Request request = {};
	request.column = PG_ARGISNULL(1) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(1));
	request.shard_count = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	request.colocate_with = PG_ARGISNULL(3) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(3));
	request.cascade = PG_ARGISNULL(4)	  ? Cascade::Unspecified
					  : PG_GETARG_BOOL(4) ? Cascade::Yes
										  : Cascade::No;
	if (!PG_ARGISNULL(2) && (request.shard_count < 1 || request.shard_count > MAX_SHARD_COUNT))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%d is outside the valid range for shard_count (1 .. %d)",
							   request.shard_count, MAX_SHARD_COUNT),
						request.shard_count == 0
							? errhint("Use undistribute_table() to make the table a plain one.")
							: 0));
	catalog::check_extension_version();
	catalog::require_coordinator();
	check_request(request);
	const bool committed = others_see_all_rows();
	open_for_distribution(relid);
	alter_distributed(relid, request, committed);
	PG_RETURN_VOID();
}

/* The statement does it, on the shell and on the shards; the name in the API is from the time
 * before PostgreSQL had the statement. */
PG_FUNCTION_INFO_V1(alter_table_set_access_method);
PGDLLEXPORT Datum alter_table_set_access_method(PG_FUNCTION_ARGS)
{
	const Oid relid = PG_GETARG_OID(0);
	catalog::check_extension_version();
	if (get_rel_name(relid) == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	const char kind = get_rel_relkind(relid);
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not a table", get_rel_name(relid))));
	pg::Str sql;
	sql.raw("ALTER TABLE ").raw(qualified_table_name(relid)).raw(" SET ACCESS METHOD ");
	pg::sql_run(sql.ident(text_to_cstring(PG_GETARG_TEXT_PP(1))).c_str());
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::ddl
