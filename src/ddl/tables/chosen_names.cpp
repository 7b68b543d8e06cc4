/*
 * chosen_names.cpp: names that a statement leaves to the server.
 *
 * The coordinator's shell gets its index or constraint first; the name that the server chose there
 * is then used on every node and, with the shard's suffix, on every shard. New objects are matched
 * to the statement's unnamed parts by kind, in the order of creation (ascending oids).
 */
#include "../statement_kinds.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "catalog/namespace.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

#include <cstdlib>

namespace civitas::ddl {

namespace {

/* pg_constraint.contype of a constraint that has a name; 0 for NOT NULL, DEFAULT and the like. */
char catalog_kind(const Constraint *constraint)
{
	switch (constraint->contype)
	{
	case CONSTR_CHECK:
		return 'c';
	case CONSTR_PRIMARY:
		return 'p';
	case CONSTR_UNIQUE:
		return 'u';
	case CONSTR_EXCLUSION:
		return 'x';
	case CONSTR_FOREIGN:
		return 'f';
	default:
		return 0;
	}
}

/* Statistics without a name are put beside their table. */
char *schema_of(const RangeVar *table)
{
	return get_namespace_name(get_rel_namespace(RangeVarGetRelid(table, NoLock, false)));
}

} // namespace

/* Calls visit(kind, &name) for each unnamed part; kind 'i' is an index, 's' a statistics object. */
template <typename Visit> static void each_unnamed(Node *statement, Visit&& visit)
{
	if (IsA(statement, IndexStmt))
	{
		auto *index = castNode(IndexStmt, statement);
		if (index->idxname == nullptr)
			visit('i', &index->idxname);
		return;
	}
	if (IsA(statement, CreateStatsStmt))
	{
		auto *statistics = castNode(CreateStatsStmt, statement);
		char *name = nullptr;
		if (statistics->defnames == NIL)
			visit('s', &name);
		if (name != nullptr)
			statistics->defnames =
				list_make2(makeString(schema_of(linitial_node(RangeVar, statistics->relations))),
						   makeString(name));
		return;
	}
	if (!IsA(statement, AlterTableStmt))
		return;
	auto consider = [&](Constraint *constraint) {
		const char kind = catalog_kind(constraint);
		/* ADD CONSTRAINT .. USING INDEX without a name takes the index's. */
		if (kind != 0 && constraint->conname == nullptr)
			visit(kind, &constraint->conname);
	};
	ListCell *cell;
	foreach (cell, castNode(AlterTableStmt, statement)->cmds)
	{
		auto *cmd = lfirst_node(AlterTableCmd, cell);
		if (cmd->subtype == AT_AddConstraint)
			consider(castNode(Constraint, cmd->def));
		else if (cmd->subtype == AT_AddColumn)
		{
			ListCell *inner;
			foreach (inner, castNode(ColumnDef, cmd->def)->constraints)
				consider(lfirst_node(Constraint, inner));
		}
	}
}

namespace {

constexpr const char *OBJECTS = R"(
	SELECT contype::text, oid, conname FROM pg_constraint WHERE conrelid = {rel}
	UNION ALL SELECT 'i', c.oid, c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE indrelid = {rel}
	UNION ALL SELECT 's', oid, stxname FROM pg_statistic_ext WHERE stxrelid = {rel}
)";

char *with_relation(const char *prefix, Oid relid, const char *suffix)
{
	pg::Str sql;
	sql.raw(prefix);
	const char *query = OBJECTS;
	for (const char *hole; (hole = strstr(query, "{rel}")) != nullptr; query = hole + 5)
		sql.raw(query, static_cast<int>(hole - query)).oid(relid);
	return sql.raw(query).raw(suffix).c_str();
}

} // namespace

List *existing_object_ids(Oid relid)
{
	List *ids = NIL;
	List *texts =
		pg::sql_texts(with_relation("SELECT o.oid FROM (", relid, ") o(kind, oid, name)"));
	ListCell *cell;
	foreach (cell, texts)
		ids = lappend_oid(
			ids, static_cast<Oid>(strtoul(static_cast<char *>(lfirst(cell)), nullptr, 10)));
	return ids;
}

List *chosen_names(Node *statement, Oid relid, List *existing)
{
	bool any = false;
	each_unnamed(statement, [&](char, char **) { any = true; });
	if (!any)
		return NIL;

	/* "kind oid name" of what is new, oldest first. */
	List *texts = pg::sql_texts(with_relation("SELECT o.kind || o.oid || ' ' || o.name FROM (",
											  relid, ") o(kind, oid, name) ORDER BY o.oid"));
	List *fresh = NIL;
	ListCell *cell;
	foreach (cell, texts)
	{
		const char *text = static_cast<char *>(lfirst(cell));
		if (!list_member_oid(existing, static_cast<Oid>(strtoul(text + 1, nullptr, 10))))
			fresh = lappend(fresh, lfirst(cell));
	}
	List *names = NIL;
	each_unnamed(statement, [&](char kind, char **) {
		ListCell *candidate;
		foreach (candidate, fresh)
		{
			char *text = static_cast<char *>(lfirst(candidate));
			if (text[0] != kind)
				continue;
			names = lappend(names, strchr(text, ' ') + 1);
			fresh = foreach_delete_current(fresh, candidate);
			return;
		}
		/* Nothing was created: IF NOT EXISTS. Any name does. */
		names = lappend(names, pstrdup(""));
	});
	return names;
}

int fill_names(Node *statement, List *names)
{
	int next = 0;
	each_unnamed(statement, [&](char, char **name) {
		if (next < list_length(names))
		{
			char *chosen = static_cast<char *>(list_nth(names, next++));
			*name = chosen[0] == '\0' ? nullptr : chosen;
		}
	});
	return next;
}

} // namespace civitas::ddl
