/*
 * metadata_sql.cpp: a table's metadata as one SQL call, and the functions that such calls reach.
 *
 * A table of any number of shards is one statement: its shards and placements travel as array
 * literals in catalog order. Types, collations and relations travel by name, for their oids differ
 * between nodes. The receiving functions replace what the node has for the table; they demand that
 * the caller owns it.
 */
#include "civitas/catalog/metadata_sql.h"
#include "civitas/catalog/hash_function.h"
#include "civitas/catalog/node_session.h"
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/relations.h"
#include "civitas/catalog/writes.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::catalog {

namespace {

void append_type(pg::Str& sql, Oid type)
{
	if (OidIsValid(type))
		sql.literal(format_type_be_qualified(type)).raw("::regtype");
	else
		sql.raw("0");
}

void append_collation(pg::Str& sql, Oid collation)
{
	HeapTuple tuple =
		OidIsValid(collation) ? SearchSysCache1(COLLOID, ObjectIdGetDatum(collation)) : nullptr;
	if (!HeapTupleIsValid(tuple))
	{
		sql.raw("0");
		return;
	}
	auto form = reinterpret_cast<Form_pg_collation>(GETSTRUCT(tuple));
	sql.literal(quote_qualified_identifier(get_namespace_name(form->collnamespace),
										   NameStr(form->collname)))
		.raw("::regcollation");
	ReleaseSysCache(tuple);
}

/* An element of a text array literal: quoted, or NULL. */
void append_element(pg::Str& array, Datum value, bool is_null)
{
	if (array.length() > 1)
		array.ch(',');
	if (is_null)
	{
		array.raw("NULL");
		return;
	}
	array.ch('"');
	for (const char *c = TextDatumGetCString(value); *c != '\0'; c++)
	{
		if (*c == '"' || *c == '\\')
			array.ch('\\');
		array.ch(*c);
	}
	array.ch('"');
}

void append_number(pg::Str& array, int64 value)
{
	if (array.length() > 1)
		array.ch(',');
	array.num(value);
}

/* ids, minima and maxima of the table's shards, each as an array literal's text; range bounds are
 * taken as stored, since range and append tables keep values of any type there. */
void append_shards(pg::Str& sql, Oid relid)
{
	pg::Str ids;
	pg::Str minima;
	pg::Str maxima;
	ids.ch('{');
	minima.ch('{');
	maxima.ch('{');
	Relation relation = table_open(relation_oid(Catalog::Shard), AccessShareLock);
	ScanKeyData key;
	ScanKeyInit(&key, SHARD_RELID, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	SysScanDesc scan = systable_beginscan(relation, relation_oid(Catalog::ShardRelidIndex), true,
										  nullptr, 1, &key);
	for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple);
		 tuple = systable_getnext(scan))
	{
		Datum values[SHARD_COLUMNS];
		bool nulls[SHARD_COLUMNS];
		heap_deform_tuple(tuple, RelationGetDescr(relation), values, nulls);
		append_number(ids, DatumGetInt64(values[SHARD_ID - 1]));
		append_element(minima, values[SHARD_MIN - 1], nulls[SHARD_MIN - 1]);
		append_element(maxima, values[SHARD_MAX - 1], nulls[SHARD_MAX - 1]);
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	sql.literal(ids.ch('}').c_str()).raw(", ");
	sql.literal(minima.ch('}').c_str()).raw(", ");
	sql.literal(maxima.ch('}').c_str()).raw(", ");
}

void append_placements(pg::Str& sql, const Table& table)
{
	pg::Str ids;
	pg::Str shards;
	pg::Str groups;
	ids.ch('{');
	shards.ch('{');
	groups.ch('{');
	for (int index = 0; index < table.shard_count; index++)
		for (const Placement& placement : table.placements_of(index))
		{
			append_number(ids, placement.placement_id);
			append_number(shards, table.shards[index].shard_id);
			append_number(groups, placement.group_id);
		}
	sql.literal(ids.ch('}').c_str()).raw(", ");
	sql.literal(shards.ch('}').c_str()).raw(", ");
	sql.literal(groups.ch('}').c_str());
}

char *relation_literal(Oid relid)
{
	pg::Str sql;
	sql.literal(quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
										   get_rel_name(relid)));
	return sql.raw("::regclass").c_str();
}

/* Elements of an array argument without NULLs (unless nulls is given). */
int array_elements(ArrayType *array, Oid type, int16 length, bool by_value, char align,
				   Datum **values, bool **nulls)
{
	int count;
	deconstruct_array(array, type, length, by_value, align, values, nulls, &count);
	return count;
}

int int8_elements(ArrayType *array, Datum **values)
{
	return array_elements(array, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, values, nullptr);
}

void check_owner(Oid relid)
{
	if (get_rel_name(relid) == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	if (!pg::owns(RelationRelationId, relid))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
}

[[noreturn]] void refuse_metadata(Oid relid, const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("metadata of table \"%s\" does not fit together", get_rel_name(relid)),
					errdetail_internal("%s", detail)));
}

/* The ranges of a table's shards follow each other without a gap or an overlap; its placements are
 * on groups of the cluster. */
void check_table_rows(Oid relid)
{
	const Table& table = get_table(relid);
	for (int index = 0; index < table.shard_count; index++)
	{
		const Shard& shard = table.shards[index];
		if (table.kind == TableKind::Hash &&
			(shard.min_hash > shard.max_hash ||
			 (index == 0 ? shard.min_hash != PG_INT32_MIN
						 : shard.min_hash != int64{table.shards[index - 1].max_hash} + 1) ||
			 (index == table.shard_count - 1 && shard.max_hash != PG_INT32_MAX)))
			refuse_metadata(relid, psprintf("The range of shard " INT64_FORMAT
											" does not follow on the one before.",
											shard.shard_id));
		for (const Placement& placement : table.placements_of(index))
			if (find_primary(placement.group_id) == nullptr)
				refuse_metadata(relid, psprintf("There is no node group %d.", placement.group_id));
	}
}

/* Placements of shards of the table only. */
void check_placement_shards(Oid relid, ArrayType *shards)
{
	Datum *values;
	const int count = int8_elements(shards, &values);
	for (int i = 0; i < count; i++)
	{
		ShardOwner owner;
		if (!find_shard(DatumGetInt64(values[i]), &owner) || owner.relid != relid)
			refuse_metadata(relid, psprintf("Shard " INT64_FORMAT " is not one of the table's.",
											DatumGetInt64(values[i])));
	}
}

void delete_table_rows(Oid relid)
{
	delete_shards(relid);
	delete_partition(relid);
}

/* A shard row with bounds as text. */
void insert_shard_row(Relation relation, Oid relid, Datum id, Datum min, bool min_null, Datum max,
					  bool max_null)
{
	Datum values[SHARD_COLUMNS] = {ObjectIdGetDatum(relid), id, CharGetDatum('t'), min, max};
	bool nulls[SHARD_COLUMNS] = {false, false, false, min_null, max_null};
	CatalogTupleInsert(relation, heap_form_tuple(RelationGetDescr(relation), values, nulls));
}

void insert_shard_arrays(Oid relid, ArrayType *ids, ArrayType *minima, ArrayType *maxima)
{
	Datum *id_values;
	Datum *min_values;
	Datum *max_values;
	bool *min_nulls;
	bool *max_nulls;
	const int count = int8_elements(ids, &id_values);
	if (array_elements(minima, TEXTOID, -1, false, TYPALIGN_INT, &min_values, &min_nulls) !=
			count ||
		array_elements(maxima, TEXTOID, -1, false, TYPALIGN_INT, &max_values, &max_nulls) != count)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("shard arrays must have the same length")));
	Relation relation = table_open(relation_oid(Catalog::Shard), RowExclusiveLock);
	for (int i = 0; i < count; i++)
		insert_shard_row(relation, relid, id_values[i], min_values[i], min_nulls[i], max_values[i],
						 max_nulls[i]);
	table_close(relation, NoLock);
}

void insert_placement_arrays(ArrayType *ids, ArrayType *shards, ArrayType *groups)
{
	Datum *id_values;
	Datum *shard_values;
	Datum *group_values;
	const int count = int8_elements(ids, &id_values);
	if (int8_elements(shards, &shard_values) != count ||
		array_elements(groups, INT4OID, 4, true, TYPALIGN_INT, &group_values, nullptr) != count)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("placement arrays must have the same length")));
	Relation relation = table_open(relation_oid(Catalog::Placement), RowExclusiveLock);
	for (int i = 0; i < count; i++)
	{
		Datum values[PLACEMENT_COLUMNS] = {id_values[i], shard_values[i],
										   Int32GetDatum(PLACEMENT_STATE_ACTIVE), Int64GetDatum(0),
										   group_values[i]};
		bool nulls[PLACEMENT_COLUMNS] = {};
		CatalogTupleInsert(relation, heap_form_tuple(RelationGetDescr(relation), values, nulls));
	}
	table_close(relation, NoLock);
}

} // namespace

char *table_metadata_sql(Oid relid)
{
	const Table& table = get_table(relid);
	Colocation colocation = {};
	if (table.colocation_id == INVALID_COLOCATION_ID ||
		!find_colocation(table.colocation_id, &colocation))
		colocation = {};

	pg::Str sql;
	const char method[] = {table.partmethod, '\0'};
	const char replication[] = {table.repmodel, '\0'};
	sql.raw("SELECT citus_internal.add_table_metadata(").raw(relation_literal(relid)).raw(", ");
	sql.literal(method).raw(", ").literal_or_null(distribution_column_name(table)).raw(", ");
	sql.literal(replication).raw(", ").boolean(table.autoconverted).raw(", ");
	sql.num(table.colocation_id).raw(", ").num(colocation.shard_count).raw(", ");
	sql.num(colocation.replication_factor).raw(", ");
	append_type(sql, colocation.distribution_type);
	sql.raw(", ");
	append_collation(sql, colocation.distribution_collation);
	sql.raw(", ");
	append_shards(sql, relid);
	append_placements(sql, table);
	sql.raw(", ").literal_or_null(table.kind == TableKind::Hash ? hash_function_name(table)
																: nullptr);
	return sql.raw(")").c_str();
}

char *delete_table_metadata_sql(Oid relid)
{
	pg::Str sql;
	sql.raw("SELECT citus_internal.delete_table_metadata(").raw(relation_literal(relid));
	return sql.raw(")").c_str();
}

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_internal_add_table_metadata);
PGDLLEXPORT Datum citus_internal_add_table_metadata(PG_FUNCTION_ARGS)
{
	require_node_call(fcinfo);
	for (int argument = 0; argument < 16; argument++)
		if (PG_ARGISNULL(argument) && argument != 2)
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("argument %d must not be null", argument + 1)));
	const Oid relid = PG_GETARG_OID(0);
	check_extension_version();
	check_owner(relid);

	Colocation colocation;
	colocation.id = PG_GETARG_INT32(5);
	colocation.shard_count = PG_GETARG_INT32(6);
	colocation.replication_factor = PG_GETARG_INT32(7);
	colocation.distribution_type = PG_GETARG_OID(8);
	colocation.distribution_collation = PG_GETARG_OID(9);
	Colocation existing;
	if (colocation.id != INVALID_COLOCATION_ID && !find_colocation(colocation.id, &existing))
		insert_colocation(colocation);

	delete_table_rows(relid);
	insert_partition(relid, PG_GETARG_CHAR(1),
					 PG_ARGISNULL(2) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(2)),
					 colocation.id, PG_GETARG_CHAR(3), PG_GETARG_BOOL(4));
	insert_shard_arrays(relid, PG_GETARG_ARRAYTYPE_P(10), PG_GETARG_ARRAYTYPE_P(11),
						PG_GETARG_ARRAYTYPE_P(12));
	invalidate_table(relid);
	CommandCounterIncrement();
	check_placement_shards(relid, PG_GETARG_ARRAYTYPE_P(14));
	insert_placement_arrays(PG_GETARG_ARRAYTYPE_P(13), PG_GETARG_ARRAYTYPE_P(14),
							PG_GETARG_ARRAYTYPE_P(15));
	invalidate_table(relid);
	CommandCounterIncrement();
	check_table_rows(relid);
	if (!PG_ARGISNULL(16))
	{
		const Table& table = get_table(relid);
		check_hash_function(table.distribution_type, table.distribution_collation,
							text_to_cstring(PG_GETARG_TEXT_PP(16)));
	}
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(citus_internal_delete_table_metadata);
PGDLLEXPORT Datum citus_internal_delete_table_metadata(PG_FUNCTION_ARGS)
{
	require_node_call(fcinfo);
	const Oid relid = PG_GETARG_OID(0);
	check_extension_version();
	check_owner(relid);
	const Table *table = find_table(relid);
	if (table != nullptr)
	{
		const ColocationId colocation = table->colocation_id;
		delete_table_rows(relid);
		delete_colocation_if_empty(colocation);
	}
	PG_RETURN_VOID();
}

/* replace_shard(table, shard, ids, minima, maxima, placements, their shards, their groups): new
 * shards in the place of one. */
PG_FUNCTION_INFO_V1(citus_internal_replace_shard);
PGDLLEXPORT Datum citus_internal_replace_shard(PG_FUNCTION_ARGS)
{
	require_node_call(fcinfo);
	const Oid relid = PG_GETARG_OID(0);
	check_extension_version();
	check_owner(relid);
	ShardOwner owner;
	if (!find_shard(PG_GETARG_INT64(1), &owner) || owner.relid != relid)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("table \"%s\" has no shard " INT64_FORMAT, get_rel_name(relid),
							   PG_GETARG_INT64(1))));
	delete_shard(PG_GETARG_INT64(1));
	insert_shard_arrays(relid, PG_GETARG_ARRAYTYPE_P(2), PG_GETARG_ARRAYTYPE_P(3),
						PG_GETARG_ARRAYTYPE_P(4));
	invalidate_table(relid);
	CommandCounterIncrement();
	check_placement_shards(relid, PG_GETARG_ARRAYTYPE_P(6));
	insert_placement_arrays(PG_GETARG_ARRAYTYPE_P(5), PG_GETARG_ARRAYTYPE_P(6),
							PG_GETARG_ARRAYTYPE_P(7));
	invalidate_table(relid);
	CommandCounterIncrement();
	check_table_rows(relid);
	const Table& table = get_table(relid);
	if (table.colocation_id != INVALID_COLOCATION_ID)
		set_shard_count(table.colocation_id, table.shard_count);
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::catalog
