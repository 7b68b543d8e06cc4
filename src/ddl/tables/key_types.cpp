/*
 * key_types.cpp: what a distribution column's values consist of.
 *
 * The hash of a composite value is that of its attributes, of an array that of its elements. So what
 * happens to a type may concern tables that never name it. A composite type with an operator class of
 * its own for hashing is hashed as that class likes.
 */
#include "key_types.h"

#include "civitas/catalog/tables.h"

CIVITAS_PG_BEGIN
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

bool is_hashed_by_attributes(Oid type)
{
	return lookup_type_cache(type, TYPECACHE_HASH_PROC)->hash_proc == F_HASH_RECORD;
}

/* Whether a type's values hold some of another: as itself, base type, element or field. */
bool is_made_of(Oid type, Oid part)
{
	check_stack_depth();
	if (type == part || !OidIsValid(type))
		return type == part;
	switch (get_typtype(type))
	{
	case TYPTYPE_DOMAIN:
		return is_made_of(getBaseType(type), part);
	case TYPTYPE_RANGE:
		return is_made_of(get_range_subtype(type), part);
	case TYPTYPE_MULTIRANGE:
		return is_made_of(get_multirange_range(type), part);
	case TYPTYPE_COMPOSITE: {
		if (!is_hashed_by_attributes(type))
			return false;
		TupleDesc fields = lookup_rowtype_tupdesc(type, -1);
		bool found = false;
		for (int i = 0; i < fields->natts; i++)
			found = found || is_made_of(TupleDescAttr(fields, i)->atttypid, part);
		ReleaseTupleDesc(fields);
		return found;
	}
	default:
		return is_made_of(get_element_type(type), part);
	}
}

} // namespace

List *tables_keyed_by(Oid type)
{
	List *keyed = NIL;
	ListCell *cell;
	foreach (cell, catalog::sound_table_oids())
	{
		const catalog::Table& table = catalog::get_table(lfirst_oid(cell));
		if (table.kind == catalog::TableKind::Hash && is_made_of(table.distribution_type, type))
			keyed = lappend_oid(keyed, table.relid);
	}
	return keyed;
}

List *tables_keyed_by_attributes_of(Oid type)
{
	return is_hashed_by_attributes(type) ? tables_keyed_by(type) : NIL;
}

void check_alter_composite_type(const AlterTableStmt *statement)
{
	if (statement->objtype != OBJECT_TYPE)
		return;
	const Oid relid = RangeVarGetRelid(statement->relation, NoLock, true);
	const Oid type = OidIsValid(relid) ? get_rel_type_id(relid) : InvalidOid;
	List *tables = OidIsValid(type) ? tables_keyed_by_attributes_of(type) : NIL;
	ListCell *cell;
	foreach (cell, statement->cmds)
	{
		const AlterTableType action = lfirst_node(AlterTableCmd, cell)->subtype;
		if (tables != NIL &&
			(action == AT_AddColumn || action == AT_DropColumn || action == AT_AlterColumnType))
			ereport(
				ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot change the attributes of type %s", format_type_be(type)),
				 errdetail("Distributed table \"%s\" has it in its distribution column, and would "
						   "look for its rows in other shards.",
						   get_rel_name(linitial_oid(tables))),
				 errhint("Use undistribute_table() first.")));
	}
}

} // namespace civitas::ddl
