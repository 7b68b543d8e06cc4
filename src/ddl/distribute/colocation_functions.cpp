/*
 * colocation_functions.cpp: which tables and shards belong together, and changing it.
 */
#include "../tables/table_checks.h"
#include "civitas/catalog/metadata_sql.h"
#include "civitas/pg/vec.h"
#include "civitas/txn/transaction.h"
#include "distribute.h"

CIVITAS_PG_BEGIN
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

List *colocated_tables(const catalog::Table& table)
{
	return table.colocation_id == INVALID_COLOCATION_ID
			   ? list_make1_oid(table.relid)
			   : catalog::colocated_table_oids(table.colocation_id);
}

/* Why the shards of two tables do not line up; null where they do. */
const char *mismatch(const catalog::Table& table, const catalog::Table& other)
{
	if (table.kind != other.kind)
		return "They are distributed in different ways.";
	if (table.distribution_type != other.distribution_type ||
		table.distribution_collation != other.distribution_collation)
		return "Their distribution columns have different types or collations.";
	if (table.shard_count != other.shard_count)
		return "They have different numbers of shards.";
	for (int index = 0; index < table.shard_count; index++)
	{
		const catalog::Shard& mine = table.shards[index];
		const catalog::Shard& theirs = other.shards[index];
		if (mine.min_hash != theirs.min_hash || mine.max_hash != theirs.max_hash)
			return "Their shards have different hash ranges.";
		const auto here = table.placements_of(index);
		const auto there = other.placements_of(index);
		if (here.size() != there.size())
			return "Their shards have different numbers of placements.";
		for (size_t i = 0; i < here.size(); i++)
			if (here[i].group_id != there[i].group_id)
				return "Their shards are on different nodes.";
	}
	return nullptr;
}

/* A table that leaves its group must not be tied to it by foreign keys. */
void check_not_tied(const catalog::Table& table)
{
	List *members = colocated_tables(table);
	ListCell *cell;
	foreach (cell, members)
	{
		const Oid other = lfirst_oid(cell);
		if (other != table.relid && (list_member_oid(referenced_tables(other), table.relid) ||
									 list_member_oid(referenced_tables(table.relid), other)))
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("table \"%s\" must stay colocated with table \"%s\"",
								   get_rel_name(table.relid), get_rel_name(other)),
							errdetail("A foreign key connects them.")));
	}
}

ColocationId new_group_like(const catalog::Table& table)
{
	catalog::Colocation colocation = {};
	colocation.id = catalog::next_colocation_id();
	colocation.shard_count = table.shard_count;
	colocation.replication_factor = table.shard_count > 0 ? table.shards[0].placement_count : 1;
	colocation.distribution_type = table.distribution_type;
	colocation.distribution_collation = table.distribution_collation;
	colocation.isolated = true;
	catalog::insert_colocation(colocation);
	return colocation.id;
}

void change_colocation(Oid relid, const char *with)
{
	const catalog::Table& table = catalog::get_table(relid);
	if (!table.is_distributed())
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("table \"%s\" is not distributed by hash", get_rel_name(relid))));
	const ColocationId before = table.colocation_id;
	ColocationId after;
	if (pg_strcasecmp(with, "none") == 0)
	{
		check_not_tied(table);
		after = new_group_like(table);
	}
	else
	{
		const Oid other_id = RangeVarGetRelid(
			makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(with))),
			AccessShareLock, false);
		if (catalog::get_table(other_id).is_distributed())
			catalog::lock_colocation(catalog::get_table(other_id).colocation_id,
									 catalog::ColocationLock::Join);
		const catalog::Table& other = catalog::get_table(other_id);
		const char *detail = mismatch(table, other);
		if (detail != nullptr)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("cannot colocate table \"%s\" with table \"%s\"",
								   get_rel_name(relid), get_rel_name(other_id)),
							errdetail_internal("%s", detail)));
		after = other.colocation_id;
		if (after != before)
			check_not_tied(table);
	}
	if (after == before)
		return;
	catalog::set_colocation(relid, after);
	txn::run_on_other_nodes(catalog::table_metadata_sql(relid));
	catalog::delete_colocation_if_empty(before);
}

void require_table_argument(FunctionCallInfo fcinfo, int number)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("table name cannot be NULL")));
}

} // namespace

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(distributed_tables_colocated);
PGDLLEXPORT Datum distributed_tables_colocated(PG_FUNCTION_ARGS)
{
	require_table_argument(fcinfo, 0);
	require_table_argument(fcinfo, 1);
	const catalog::Table& first = catalog::get_table(PG_GETARG_OID(0));
	const catalog::Table& second = catalog::get_table(PG_GETARG_OID(1));
	PG_RETURN_BOOL(first.relid == second.relid || (first.colocation_id != INVALID_COLOCATION_ID &&
												   first.colocation_id == second.colocation_id));
}

PG_FUNCTION_INFO_V1(get_colocated_table_array);
PGDLLEXPORT Datum get_colocated_table_array(PG_FUNCTION_ARGS)
{
	List *tables = colocated_tables(catalog::get_table(PG_GETARG_OID(0)));
	pg::Vec<Datum> oids;
	ListCell *cell;
	foreach (cell, tables)
		oids.push(ObjectIdGetDatum(lfirst_oid(cell)));
	PG_RETURN_ARRAYTYPE_P(
		construct_array(oids.data(), oids.size(), REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT));
}

PG_FUNCTION_INFO_V1(get_colocated_shard_array);
PGDLLEXPORT Datum get_colocated_shard_array(PG_FUNCTION_ARGS)
{
	catalog::ShardOwner owner;
	if (!catalog::find_shard(PG_GETARG_INT64(0), &owner))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("shard " INT64_FORMAT " does not exist", PG_GETARG_INT64(0))));
	List *tables = colocated_tables(catalog::get_table(owner.relid));
	pg::Vec<Datum> shards;
	ListCell *cell;
	foreach (cell, tables)
	{
		const catalog::Table& table = catalog::get_table(lfirst_oid(cell));
		if (owner.shard_index < table.shard_count)
			shards.push(Int64GetDatum(table.shards[owner.shard_index].shard_id));
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(shards.data(), shards.size(), INT8OID, sizeof(int64),
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

PG_FUNCTION_INFO_V1(update_distributed_table_colocation);
PGDLLEXPORT Datum update_distributed_table_colocation(PG_FUNCTION_ARGS)
{
	const Oid relid = PG_GETARG_OID(0);
	catalog::check_extension_version();
	catalog::require_coordinator();
	open_for_distribution(relid);
	change_colocation(relid, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::ddl
