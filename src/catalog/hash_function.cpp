/*
 * hash_function.cpp: see hash_function.h.
 */
#include "civitas/catalog/hash_function.h"

#include "civitas/catalog/tables.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_language.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
CIVITAS_PG_END

namespace civitas::catalog {

namespace {

/* Support function of hash classes: HASHSTANDARD_PROC. */
constexpr int STANDARD_HASH_FUNCTION = 1;

/* Calls visit(type, collation) for each type whose hash the hash of this one is made of. */
template <typename Visit> void for_each_part(Oid type, Oid collation, Oid function, Visit&& visit)
{
	const Oid base = getBaseType(type);
	if (function == F_HASH_ARRAY)
		visit(get_base_element_type(base), collation);
	else if (function == F_HASH_RANGE || function == F_HASH_MULTIRANGE)
	{
		const Oid range = function == F_HASH_RANGE ? base : get_multirange_range(base);
		visit(get_range_subtype(range), get_range_collation(range));
	}
	else if (function == F_HASH_RECORD && base != RECORDOID)
	{
		TupleDesc fields = lookup_rowtype_tupdesc_copy(base, -1);
		for (int i = 0; i < fields->natts; i++)
			if (!TupleDescAttr(fields, i)->attisdropped)
				visit(TupleDescAttr(fields, i)->atttypid, TupleDescAttr(fields, i)->attcollation);
	}
}

Oid hash_function(Oid type)
{
	const Oid function = find_hash_function(type);
	if (!OidIsValid(function))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("could not identify a hash function for type %s", format_type_be(type))));
	return function;
}

/* "#.." of a function whose source is in the catalog. */
void append_source(pg::Str *name, Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	const Oid language = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->prolang;
	ReleaseSysCache(tuple);
	if (language == INTERNALlanguageId || language == ClanguageId)
		return;
	const char *source = pg::sql_text(psprintf(
		"SELECT coalesce(pg_get_function_sqlbody(oid), prosrc) FROM pg_proc WHERE oid = %u",
		function));
	const uint64 hash = hash_bytes_extended(reinterpret_cast<const unsigned char *>(source),
											static_cast<int>(strlen(source)), 0);
	name->raw(psprintf("#" UINT64_FORMAT, hash));
}

/* Only values that are equal without having equal bytes are hashed by what the collation says. */
void append_collation(pg::Str *name, Oid collation)
{
	if (!OidIsValid(collation) || get_collation_isdeterministic(collation))
		return;
	name->raw(" COLLATE ")
		.raw(pg::sql_text(psprintf(
			"SELECT concat_ws(' ', format('%%I.%%I', nspname, collname), c.collprovider, "
			"coalesce(to_jsonb(c) ->> 'colliculocale', to_jsonb(c) ->> 'colllocale', "
			"c.collcollate), "
			"to_jsonb(c) ->> 'collicurules', pg_collation_actual_version(c.oid)) "
			"FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = %u",
			collation)));
}

void append_type(pg::Str *name, Oid type, Oid collation)
{
	check_stack_depth();
	const Oid function = hash_function(type);
	name->raw(format_procedure_qualified(function));
	append_source(name, function);
	append_collation(name, collation);
	bool any = false;
	for_each_part(type, collation, function, [&](Oid part, Oid part_collation) {
		name->raw(any ? ", " : "[");
		append_type(name, part, part_collation);
		any = true;
	});
	name->raw(any ? "]" : "");
}

bool is_hashed_as(Oid type, Oid wanted)
{
	check_stack_depth();
	if (getBaseType(type) == wanted)
		return true;
	bool found = false;
	for_each_part(type, InvalidOid, find_hash_function(type),
				  [&](Oid part, Oid) { found = found || is_hashed_as(part, wanted); });
	return found;
}

} // namespace

Oid find_hash_function(Oid type)
{
	/* The type cache would drop a function whose equality is not that of the type's B-tree class,
	 * once this backend has looked for the latter. */
	const Oid base = getBaseType(type);
	const Oid operator_class = GetDefaultOpClass(base, HASH_AM_OID);
	if (!OidIsValid(operator_class))
		return InvalidOid;
	const Oid input = get_opclass_input_type(operator_class);
	const Oid function =
		get_opfamily_proc(get_opclass_family(operator_class), input, input, STANDARD_HASH_FUNCTION);
	if (function != F_HASH_ARRAY && function != F_HASH_RECORD && function != F_HASH_RANGE &&
		function != F_HASH_MULTIRANGE)
		return function;
	/* These look for those of their parts in the type cache. */
	return lookup_type_cache(base, TYPECACHE_EQ_OPR | TYPECACHE_HASH_PROC)->hash_proc;
}

char *hash_function_name(Oid type, Oid collation)
{
	pg::Str name;
	append_type(&name, type, collation);
	return name.c_str();
}

char *hash_function_name(const Table& table)
{
	return hash_function_name(table.distribution_type, table.distribution_collation);
}

void check_hash_function(Oid type, Oid collation, const char *name)
{
	const char *own = hash_function_name(type, collation);
	if (strcmp(own, name) != 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("values of type %s are not hashed alike on all nodes", format_type_be(type)),
			 errdetail("Here they are hashed by %s, on the node that asks by %s.", own, name),
			 errhint("Make the default hash operator class, its functions and the collation "
					 "the same on all nodes.")));
}

char *hash_value_sql(const char *column, const char *function)
{
	pg::Str sql;
	sql.raw("COALESCE(citus_internal.hash_value(").ident(column).raw(", ").literal(function);
	return sql.raw("), ").num(NULL_HASH).ch(')').c_str();
}

void check_new_operator_class(Oid operator_class)
{
	CommandCounterIncrement();
	HeapTuple tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(operator_class));
	if (!HeapTupleIsValid(tuple))
		return;
	const auto form = *reinterpret_cast<Form_pg_opclass>(GETSTRUCT(tuple));
	ReleaseSysCache(tuple);
	if (!form.opcdefault || form.opcmethod != HASH_AM_OID)
		return;
	List *tables = sound_table_oids();
	ListCell *cell;
	foreach (cell, tables)
	{
		const Table *table = find_table(lfirst_oid(cell));
		if (table != nullptr && table->kind == TableKind::Hash &&
			is_hashed_as(table->distribution_type, form.opcintype))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot change how values of type %s are hashed",
							format_type_be(form.opcintype)),
					 errdetail("Table \"%s\" is distributed by such values; its rows would not be "
							   "found any more.",
							   get_rel_name(table->relid)),
					 errhint("Use undistribute_table() first, or do not make the operator class "
							 "the default.")));
	}
}

} // namespace civitas::catalog
