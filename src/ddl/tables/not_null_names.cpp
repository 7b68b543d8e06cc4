/*
 * not_null_names.cpp: the names of NOT NULL constraints.
 *
 * From PostgreSQL 18 on NOT NULL is a constraint that has a name, and many ways lead to one: SET NOT
 * NULL, PRIMARY KEY, new columns, partitions. Where the statement gives none the server names it
 * after the table, on shards after the shard. Statements about constraints find those of shards by
 * the shell's names, so each takes the name of the shell's constraint on the same column.
 */
#include "not_null_names.h"

#include "../shards/local_shards.h"
#include "civitas/catalog/tables.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

#include <cstdlib>
#include <cstring>

namespace civitas::ddl {

namespace {

/* "oid name" of the shards' constraints that are called otherwise than the shell's. */
List *misnamed(Oid shell)
{
	const Oid schema = get_rel_namespace(shell);
	pg::Str shards;
	for (const LocalShard& shard : local_shards(catalog::get_table(shell)))
	{
		const Oid relid = get_relname_relid(
			catalog::shard_relation_name(get_rel_name(shell), shard.shard_id), schema);
		if (OidIsValid(relid))
			shards.raw(shards.empty() ? "" : ", ").oid(relid);
	}
	if (shards.empty())
		return NIL;
	pg::Str sql;
	sql.raw("SELECT k.oid || ' ' || own.conname FROM pg_constraint own "
			"JOIN pg_attribute a ON a.attrelid = own.conrelid AND a.attnum = own.conkey[1] "
			"JOIN pg_attribute s ON s.attname = a.attname AND s.attrelid IN (")
		.raw(shards.c_str())
		.raw(") JOIN pg_constraint k ON k.conrelid = s.attrelid AND k.contype = 'n' "
			 "AND k.conkey = ARRAY[s.attnum] AND k.conname <> own.conname "
			 "WHERE own.contype = 'n' AND own.conrelid = ")
		.oid(shell);
	return pg::sql_texts(sql.c_str());
}

} // namespace

void name_not_null_constraints(Oid relid)
{
	if (!pg::NOT_NULL_HAS_NAMES)
		return;
	ListCell *table;
	foreach (table, find_all_inheritors(relid, NoLock, nullptr))
	{
		if (catalog::find_table(lfirst_oid(table)) == nullptr)
			continue;
		ListCell *cell;
		foreach (cell, misnamed(lfirst_oid(table)))
		{
			char *text = static_cast<char *>(lfirst(cell));
			RenameConstraintById(static_cast<Oid>(strtoul(text, nullptr, 10)),
								 strchr(text, ' ') + 1);
			CommandCounterIncrement();
		}
	}
}

} // namespace civitas::ddl
