/*
 * set_constraints.cpp: SET CONSTRAINTS by name, for the shards of this node.
 *
 * Foreign keys and constraint triggers have one name on the table and on its shards, so PostgreSQL
 * finds them all. A deferrable constraint with an index carries the shard's id: whoever names the
 * table's means those of the shards too. Runs on every node that is told of the statement, after
 * PostgreSQL has taken it for the shells.
 */
#include "civitas/catalog/logical_names.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "local_shards.h"
#include "shard_names.h"
#include "shard_reach.h"

CIVITAS_PG_BEGIN
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "nodes/makefuncs.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

#include <cstdlib>

namespace civitas::ddl {

namespace {

/* Tables of the metadata with such a constraint in that schema. */
List *tables_with(const char *schema, const char *constraint)
{
	pg::Str sql;
	sql.raw("SELECT k.conrelid FROM pg_constraint k JOIN pg_dist_partition p ON p.logicalrelid = "
			"k.conrelid JOIN pg_namespace n ON n.oid = k.connamespace WHERE k.condeferrable AND "
			"k.contype IN ('p', 'u', 'x') AND k.conname = ")
		.literal(constraint)
		.raw(" AND n.nspname = ")
		.literal(schema);
	return pg::sql_texts(sql.c_str());
}

bool has_constraint(const char *schema, const char *constraint)
{
	pg::Str sql;
	sql.raw("SELECT 1 FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace WHERE "
			"k.conname = ")
		.literal(constraint)
		.raw(" AND n.nspname = ")
		.literal(schema);
	return pg::sql_text(sql.c_str()) != nullptr;
}

/* The schema in which PostgreSQL found the name; null: none. */
const char *schema_of_constraint(const RangeVar *name)
{
	if (name->schemaname != nullptr)
		return name->schemaname;
	ListCell *cell;
	foreach (cell, fetch_search_path(true))
	{
		const char *schema = get_namespace_name(lfirst_oid(cell));
		if (schema != nullptr && has_constraint(schema, name->relname))
			return schema;
	}
	return nullptr;
}

List *constraints_of_shards(const RangeVar *name)
{
	List *names = NIL;
	const char *schema = schema_of_constraint(name);
	if (schema == nullptr)
		return NIL;
	ListCell *cell;
	foreach (cell, tables_with(schema, name->relname))
	{
		const Oid relid = static_cast<Oid>(strtoul(static_cast<char *>(lfirst(cell)), nullptr, 10));
		for (const LocalShard& shard : local_shards(catalog::get_table(relid)))
		{
			char *own_name = catalog::shard_relation_name(name->relname, shard.shard_id);
			const Oid table =
				get_relname_relid(catalog::shard_relation_name(get_rel_name(relid), shard.shard_id),
								  get_rel_namespace(relid));
			if (OidIsValid(table) && OidIsValid(get_relation_constraint_oid(table, own_name, true)))
				names = lappend(names, makeRangeVar(pstrdup(schema), own_name, -1));
		}
	}
	return names;
}

} // namespace

void set_constraints_of_shards(const ConstraintsSetStmt *statement)
{
	List *names = NIL;
	ListCell *cell;
	foreach (cell, statement->constraints)
		names = list_concat(names, constraints_of_shards(lfirst_node(RangeVar, cell)));
	if (names == NIL)
		return;
	auto *own = makeNode(ConstraintsSetStmt);
	own->constraints = names;
	own->deferred = statement->deferred;
	MemoryContext context = CurrentMemoryContext;
	PG_TRY();
	{
		execute_tree(reinterpret_cast<Node *>(own), "SET CONSTRAINTS");
	}
	PG_CATCH();
	{
		/* What was deferred is checked, and fails for a shard. */
		MemoryContextSwitchTo(context);
		ErrorData *error = CopyErrorData();
		FlushErrorState();
		catalog::use_logical_names(error);
		ReThrowError(error);
	}
	PG_END_TRY();
}

} // namespace civitas::ddl
