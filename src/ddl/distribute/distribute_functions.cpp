/*
 * distribute_functions.cpp: create_distributed_table() and its relatives, as SQL sees them.
 *
 * Arguments are checked here, then the table, and only then anything is changed.
 */
#include "../settings.h"
#include "../tables/local_tables.h"
#include "../tables/table_checks.h"
#include "civitas/catalog/metadata_sql.h"
#include "civitas/txn/transaction.h"
#include "distribute.h"
#include "gather_rows.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_enum.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

using catalog::TableKind;

namespace {

void require_argument(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s cannot be NULL", name)));
}

void require_hash(Oid label)
{
	HeapTuple tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(label));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid distribution type")));
	const bool hash =
		strcmp(NameStr(reinterpret_cast<Form_pg_enum>(GETSTRUCT(tuple))->enumlabel), "hash") == 0;
	ReleaseSysCache(tuple);
	if (!hash)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("only hash distribution is supported"),
			 errhint("Use distribution_type => 'hash'; time ranges are best served by partitioning "
					 "a hash-distributed table.")));
}

/* A local table of the metadata becomes plain again first; its rows are in place then. */
void leave_local_metadata(Oid relid)
{
	const catalog::Table *table = catalog::find_table(relid);
	if (table != nullptr && table->kind == TableKind::Local)
		undistribute(relid, false, false);
}

void distribute_by_hash(const DistributeRequest& request)
{
	const Oid relid = request.relid;
	leave_local_metadata(relid);
	check_distributable(relid, false);
	const DistributionColumn column = check_distribution_column(relid, request.column);
	check_unique_indexes(relid, column.attno);
	Distribution distribution = hash_distribution(request);
	choose_colocation(relid, &distribution, request.with, request.shard_count > 0, column.type,
					  column.collation);
	check_foreign_keys(relid, TableKind::Hash, distribution.colocation_id, column.attno);
	distribute_table(relid, distribution);
}

void distribute_single_shard(const DistributeRequest& request)
{
	const Oid relid = request.relid;
	leave_local_metadata(relid);
	check_distributable(relid, false);
	Distribution distribution = {.kind = TableKind::SingleShard};
	choose_colocation(relid, &distribution, request.with, false, InvalidOid, InvalidOid);
	check_foreign_keys(relid, TableKind::SingleShard, distribution.colocation_id,
					   InvalidAttrNumber);
	distribute_table(relid, distribution);
}

} // namespace

Distribution hash_distribution(const DistributeRequest& request)
{
	Distribution distribution = {.kind = TableKind::Hash};
	distribution.column = request.column;
	distribution.shard_count = request.shard_count > 0 ? request.shard_count : shard_count_setting;
	distribution.replication_factor = shard_replication_factor;
	return distribution;
}

DistributeRequest distribute_request(FunctionCallInfo fcinfo)
{
	require_argument(fcinfo, 0, "table_name");
	require_argument(fcinfo, 2, "distribution_type");
	require_argument(fcinfo, 3, "colocate_with");
	DistributeRequest request = {PG_GETARG_OID(0), nullptr, text_to_cstring(PG_GETARG_TEXT_PP(3)),
								 0};
	if (!PG_ARGISNULL(1))
		request.column = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!PG_ARGISNULL(4))
	{
		request.shard_count = PG_GETARG_INT32(4);
		if (request.shard_count < 1 || request.shard_count > MAX_SHARD_COUNT)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("%d is outside the valid range for shard_count (1 .. %d)",
								   request.shard_count, MAX_SHARD_COUNT)));
		if (request.column == nullptr)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("shard_count cannot be given without a distribution column"),
							errdetail("A table without a distribution column has one shard.")));
	}
	require_hash(PG_GETARG_OID(2));
	catalog::check_extension_version();
	catalog::require_coordinator();
	return request;
}

void (*new_shards_hook)(std::span<const GroupId> groups);

void distribute(const DistributeRequest& request)
{
	/* That may take a while: before the table is locked. */
	if (new_shards_hook != nullptr)
		new_shards_hook(catalog::shard_groups());
	open_for_distribution(request.relid);
	if (request.column != nullptr)
		distribute_by_hash(request);
	else
		distribute_single_shard(request);
}

CIVITAS_PG_BEGIN
PG_FUNCTION_INFO_V1(create_distributed_table);
PGDLLEXPORT Datum create_distributed_table(PG_FUNCTION_ARGS)
{
	distribute(distribute_request(fcinfo));
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(create_reference_table);
PGDLLEXPORT Datum create_reference_table(PG_FUNCTION_ARGS)
{
	const Oid relid = PG_GETARG_OID(0);
	catalog::check_extension_version();
	catalog::require_coordinator();
	open_for_distribution(relid);
	leave_local_metadata(relid);
	check_distributable(relid, false);
	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("partitioned table \"%s\" cannot be a reference table",
							   get_rel_name(relid))));
	Distribution distribution = {.kind = TableKind::Reference};
	check_foreign_keys(relid, TableKind::Reference, INVALID_COLOCATION_ID, InvalidAttrNumber);
	choose_reference_colocation(&distribution);
	distribute_table(relid, distribution);
	if (enable_local_reference_table_foreign_keys)
		add_tables_referencing(relid);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(undistribute_table);
PGDLLEXPORT Datum undistribute_table(PG_FUNCTION_ARGS)
{
	const Oid relid = PG_GETARG_OID(0);
	catalog::check_extension_version();
	catalog::require_coordinator();
	const bool committed = others_see_all_rows();
	open_for_distribution(relid);
	undistribute(relid, PG_GETARG_BOOL(1), committed);
	PG_RETURN_VOID();
}

/* Rows are moved, not copied, when a table is distributed: there is nothing left to throw away but
 * what an old version may have left. */
PG_FUNCTION_INFO_V1(truncate_local_data_after_distributing_table);
PGDLLEXPORT Datum truncate_local_data_after_distributing_table(PG_FUNCTION_ARGS)
{
	require_argument(fcinfo, 0, "function_name");
	const Oid relid = PG_GETARG_OID(0);
	catalog::check_extension_version();
	catalog::require_coordinator();
	open_for_distribution(relid);
	catalog::get_table(relid);
	if (get_rel_relkind(relid) == RELKIND_RELATION)
		empty_shell(relid);
	PG_RETURN_VOID();
}
CIVITAS_PG_END

} // namespace civitas::ddl
