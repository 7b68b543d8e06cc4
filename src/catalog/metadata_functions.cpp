/*
 * metadata_functions.cpp: SQL functions that answer from the metadata.
 */
#include "civitas/catalog/hash_function.h"
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/relations.h"
#include "civitas/catalog/tables.h"
#include "civitas/catalog/writes.h"
#include "civitas/pg/str.h"
#include "distribution_key.h"

CIVITAS_PG_BEGIN
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::catalog {

namespace {

const char *existing_name(Oid relid)
{
	const char *name = get_rel_name(relid);
	if (name == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	return name;
}

/* Rows that is_in_hash_range() was asked about. */
int64 tested_rows;

/* The hash of the first argument by the function that the second one names. */
int32 hash_argument(FunctionCallInfo fcinfo)
{
	auto *function = static_cast<FmgrInfo *>(fcinfo->flinfo->fn_extra);
	if (function == nullptr)
	{
		const Oid type = get_fn_expr_argtype(fcinfo->flinfo, 0);
		check_hash_function(type, PG_GET_COLLATION(), text_to_cstring(PG_GETARG_TEXT_PP(1)));
		const MemoryContext context = fcinfo->flinfo->fn_mcxt;
		function = static_cast<FmgrInfo *>(MemoryContextAllocZero(context, sizeof(FmgrInfo)));
		fmgr_info_cxt(find_hash_function(type), function, context);
		fcinfo->flinfo->fn_extra = function;
	}
	return DatumGetInt32(FunctionCall1Coll(function, PG_GET_COLLATION(), PG_GETARG_DATUM(0)));
}

} // namespace

Datum distribution_value(const Table& table, Datum value, Oid type)
{
	if (type == table.distribution_type)
		return value;
	char *text;
	if (type == UNKNOWNOID)
		text = DatumGetCString(value);
	else
	{
		Oid output;
		bool is_varlena;
		getTypeOutputInfo(type, &output, &is_varlena);
		text = OidOutputFunctionCall(output, value);
	}
	Oid input;
	Oid io_parameter;
	getTypeInputInfo(table.distribution_type, &input, &io_parameter);
	Oid type_id;
	int32 typmod;
	Oid collation;
	get_atttypetypmodcoll(table.relid, table.distribution_attno, &type_id, &typmod, &collation);
	return OidInputFunctionCall(input, text, io_parameter, typmod);
}

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_version);
PGDLLEXPORT Datum citus_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text("Civitas " EXTENSION_VERSION
									 ", compatible with Citus 13.2.2, on PostgreSQL " PG_VERSION));
}

PG_FUNCTION_INFO_V1(column_name_to_column);
PGDLLEXPORT Datum column_name_to_column(PG_FUNCTION_ARGS)
{
	const Oid relid = PG_GETARG_OID(0);
	const char *column = text_to_cstring(PG_GETARG_TEXT_PP(1));
	const char *table_name = existing_name(relid);
	const AttrNumber attno = get_attnum(relid, column);
	if (attno == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist", column, table_name)));
	if (attno < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
						errmsg("cannot reference system column \"%s\" in relation \"%s\"", column,
							   table_name)));
	PG_RETURN_TEXT_P(cstring_to_text(distribution_key(relid, attno)));
}

PG_FUNCTION_INFO_V1(column_to_column_name);
PGDLLEXPORT Datum column_to_column_name(PG_FUNCTION_ARGS)
{
	const Oid relid = PG_GETARG_OID(0);
	const char *table_name = existing_name(relid);
	const AttrNumber attno = column_of_distribution_key(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	char *column = get_attname(relid, attno, true);
	if (column == nullptr)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("attribute %d of relation \"%s\" does not exist", attno, table_name)));
	PG_RETURN_TEXT_P(cstring_to_text(column));
}

PG_FUNCTION_INFO_V1(shard_name);
PGDLLEXPORT Datum shard_name(PG_FUNCTION_ARGS)
{
	const Oid relid = PG_GETARG_OID(0);
	const ShardId shard_id = PG_GETARG_INT64(1);
	const bool skip_public = PG_GETARG_BOOL(2);
	if (shard_id <= 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("shard_id cannot be zero or negative value")));
	const char *name = shard_relation_name(existing_name(relid), shard_id);
	const char *schema = get_namespace_name(get_rel_namespace(relid));
	if (skip_public && strcmp(schema, "public") == 0)
		PG_RETURN_TEXT_P(cstring_to_text(quote_identifier(name)));
	PG_RETURN_TEXT_P(cstring_to_text(quote_qualified_identifier(schema, name)));
}

PG_FUNCTION_INFO_V1(get_shard_id_for_distribution_column);
PGDLLEXPORT Datum get_shard_id_for_distribution_column(PG_FUNCTION_ARGS)
{
	check_extension_version();
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("relation cannot be NULL")));
	const Table& table = get_table(PG_GETARG_OID(0));
	if (pg_class_aclcheck(table.relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(table.relid));
	if (table.partmethod == 'n')
	{
		if (table.shard_count == 0)
			PG_RETURN_NULL();
		PG_RETURN_INT64(table.shards[0].shard_id);
	}
	require_sound(table);
	if (table.kind != TableKind::Hash)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("finding the shard of a value is only supported for hash-distributed and "
						"reference tables")));
	const bool is_null = PG_ARGISNULL(1);
	const Datum value = is_null ? Datum{0}
								: distribution_value(table, PG_GETARG_DATUM(1),
													 get_fn_expr_argtype(fcinfo->flinfo, 1));
	const int index = shard_index_of_value(table, value, is_null);
	PG_RETURN_INT64(table.shards[index].shard_id);
}

/* hash_value(value, function): what hash_value() of tables.h says of a distribution column. Not
 * always SQL can call the type's hash function: that of date takes an integer. */
PG_FUNCTION_INFO_V1(citus_internal_hash_value);
PGDLLEXPORT Datum citus_internal_hash_value(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(hash_argument(fcinfo));
}

/* is_in_hash_range(value, function, least hash, greatest): which rows go into a new shard; they are
 * counted, so that it can be told whether the new shards have got them all. */
PG_FUNCTION_INFO_V1(citus_internal_is_in_hash_range);
PGDLLEXPORT Datum citus_internal_is_in_hash_range(PG_FUNCTION_ARGS)
{
	tested_rows++;
	const int32 hash = PG_ARGISNULL(0) ? NULL_HASH : hash_argument(fcinfo);
	PG_RETURN_BOOL(hash >= PG_GETARG_INT32(2) && hash <= PG_GETARG_INT32(3));
}

/* How many rows this session has given to is_in_hash_range() since it was asked last. */
PG_FUNCTION_INFO_V1(citus_internal_tested_rows);
PGDLLEXPORT Datum citus_internal_tested_rows(PG_FUNCTION_ARGS)
{
	const int64 rows = tested_rows;
	tested_rows = 0;
	PG_RETURN_INT64(rows);
}

PG_FUNCTION_INFO_V1(relation_is_a_known_shard);
PGDLLEXPORT Datum relation_is_a_known_shard(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_known_shard(PG_GETARG_OID(0), nullptr));
}

PG_FUNCTION_INFO_V1(citus_table_is_visible);
PGDLLEXPORT Datum citus_table_is_visible(PG_FUNCTION_ARGS)
{
	const Oid relid = PG_GETARG_OID(0);
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		PG_RETURN_NULL();
	if (shards_are_hidden() && is_known_shard(relid, nullptr))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(RelationIsVisible(relid));
}

PG_FUNCTION_INFO_V1(role_exists);
PGDLLEXPORT Datum role_exists(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(OidIsValid(get_role_oid(NameStr(*PG_GETARG_NAME(0)), true)));
}

CIVITAS_PG_END

} // namespace civitas::catalog
