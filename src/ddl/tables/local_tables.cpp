/*
 * local_tables.cpp: plain tables of the coordinator that the metadata knows.
 *
 * Foreign keys live among shards, so tables that a foreign key connects become known together: the
 * connected plain tables are collected first, then added with each referenced table before those
 * that reference it.
 */
#include "local_tables.h"
#include "../distribute/distribute.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/sql_text.h"
#include "table_checks.h"

CIVITAS_PG_BEGIN
#include "catalog/pg_class.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

#include <cstdlib>

namespace civitas::ddl {

using catalog::TableKind;

List *plain_tables_referencing(Oid relid)
{
	List *tables = NIL;
	List *texts = pg::sql_texts(
		psprintf("SELECT DISTINCT conrelid::oid::text FROM pg_constraint WHERE contype = 'f' "
				 "AND conparentid = 0 AND confrelid = %u AND conrelid <> confrelid",
				 relid));
	ListCell *cell;
	foreach (cell, texts)
	{
		const Oid other = static_cast<Oid>(strtoul(static_cast<char *>(lfirst(cell)), nullptr, 10));
		if (catalog::find_table(other) == nullptr)
			tables = lappend_oid(tables, other);
	}
	return tables;
}

namespace {

/* Appends the plain tables connected with relid, referenced ones first. */
void collect(Oid relid, List **visited, List **ordered)
{
	if (list_member_oid(*visited, relid) || catalog::find_table(relid) != nullptr)
		return;
	*visited = lappend_oid(*visited, relid);
	List *referenced = referenced_tables(relid);
	ListCell *cell;
	foreach (cell, referenced)
		collect(lfirst_oid(cell), visited, ordered);
	*ordered = lappend_oid(*ordered, relid);
	List *referencing = plain_tables_referencing(relid);
	foreach (cell, referencing)
		collect(lfirst_oid(cell), visited, ordered);
}

void add_one(Oid relid, bool autoconverted)
{
	Distribution distribution = {.kind = TableKind::Local};
	distribution.autoconverted = autoconverted;
	check_foreign_keys(relid, TableKind::Local, INVALID_COLOCATION_ID, InvalidAttrNumber);
	distribute_table(relid, distribution);
}

} // namespace

void add_local_tables(Oid relid, bool with_foreign_keys, bool autoconverted)
{
	List *visited = NIL;
	List *ordered = NIL;
	collect(relid, &visited, &ordered);
	if (!with_foreign_keys && list_length(ordered) > 1)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("foreign keys connect table \"%s\" with tables that the metadata does not know",
					get_rel_name(relid)),
			 errhint("Use cascade_via_foreign_keys => true to add all of them.")));
	ListCell *cell;
	foreach (cell, ordered)
	{
		open_for_distribution(lfirst_oid(cell));
		check_distributable(lfirst_oid(cell), false);
	}
	foreach (cell, ordered)
		add_one(lfirst_oid(cell), autoconverted);
}

void add_tables_referencing(Oid relid)
{
	List *referencing = plain_tables_referencing(relid);
	ListCell *cell;
	foreach (cell, referencing)
	{
		const Oid other = lfirst_oid(cell);
		if (catalog::find_table(other) != nullptr)
			continue;
		/* One that also references a plain or a distributed table is on its way to be distributed:
		 * it is left alone until then. */
		bool only_known = true;
		List *referenced = referenced_tables(other);
		ListCell *inner;
		foreach (inner, referenced)
		{
			const catalog::Table *table = catalog::find_table(lfirst_oid(inner));
			only_known = only_known && (lfirst_oid(inner) == other ||
										(table != nullptr && !table->is_distributed()));
		}
		if (only_known && plain_tables_referencing(other) == NIL)
			add_local_tables(other, false, true);
	}
}

void remove_unneeded_local_tables()
{
	if (!catalog::is_coordinator() ||
		pg::sql_text("SELECT 1 FROM pg_dist_partition WHERE autoconverted LIMIT 1") == nullptr)
		return;
	List *tables = catalog::sound_table_oids();
	ListCell *cell;
	foreach (cell, tables)
	{
		const catalog::Table *table = catalog::find_table(lfirst_oid(cell));
		if (table == nullptr || table->kind != TableKind::Local || !table->autoconverted ||
			!pg::owns(RelationRelationId, table->relid) || get_rel_relispartition(table->relid) ||
			is_connected_by_foreign_keys(table->relid))
			continue;
		open_for_distribution(lfirst_oid(cell));
		undistribute(lfirst_oid(cell), false, false);
	}
}

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_add_local_table_to_metadata);
PGDLLEXPORT Datum citus_add_local_table_to_metadata(PG_FUNCTION_ARGS)
{
	const Oid relid = PG_GETARG_OID(0);
	catalog::check_extension_version();
	catalog::require_coordinator();
	open_for_distribution(relid);
	const catalog::Table *table = catalog::find_table(relid);
	if (table != nullptr && table->kind == TableKind::Local)
	{
		/* It is asked for now, and stays when its foreign keys go. */
		if (table->autoconverted)
			catalog::set_autoconverted(relid, false);
		PG_RETURN_VOID();
	}
	check_distributable(relid, false);
	add_local_tables(relid, PG_GETARG_BOOL(1), false);
	PG_RETURN_VOID();
}

/* Tables that were added for a foreign key which is no more. */
PG_FUNCTION_INFO_V1(remove_local_tables_from_metadata);
PGDLLEXPORT Datum remove_local_tables_from_metadata(PG_FUNCTION_ARGS)
{
	catalog::check_extension_version();
	catalog::require_coordinator();
	remove_unneeded_local_tables();
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::ddl
