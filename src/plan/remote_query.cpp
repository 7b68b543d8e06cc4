/*
 * remote_query.cpp: the RemoteQuery node (copy, equal, out, read).
 *
 * The fields are listed once, in for_each_field(); copying, comparing, printing and reading are
 * visitors of that list, so that a new field cannot be forgotten by one of them.
 */
#include "civitas/plan/remote_query.h"

#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "nodes/nodeFuncs.h"
#include "nodes/readfuncs.h"
#include "nodes/value.h"
#include "optimizer/optimizer.h"
CIVITAS_PG_END

#include <cstdlib>
#include <cstring>

namespace civitas::plan {

namespace {

/* Calls visit(name, field of a, field of b) for every field, in the order in which they are
 * printed. */
template <typename Query, typename Other, typename Visit>
void for_each_field(Query& a, Other& b, Visit visit)
{
	visit("tier", a.tier, b.tier);
	visit("command", a.command, b.command);
	visit("target", a.target, b.target);
	visit("pruning", a.pruning, b.pruning);
	visit("returns_rows", a.returns_rows, b.returns_rows);
	visit("binary_results", a.binary_results, b.binary_results);
	visit("read_only", a.read_only, b.read_only);
	visit("on_conflict", a.on_conflict, b.on_conflict);
	visit("waits_for_rows", a.waits_for_rows, b.waits_for_rows);
	visit("run_when_empty", a.run_when_empty, b.run_when_empty);
	visit("rows_repeat", a.rows_repeat, b.rows_repeat);
	visit("tableoid_position", a.tableoid_position, b.tableoid_position);
	visit("rows_at_once", a.rows_at_once, b.rows_at_once);
	visit("moves", a.moves, b.moves);
	visit("moved_position", a.moved_position, b.moved_position);
	visit("row_by_row", a.row_by_row, b.row_by_row);
	visit("run_as", a.run_as, b.run_as);
	visit("anchor", a.anchor, b.anchor);
	visit("relations", a.relations, b.relations);
	visit("pieces", a.pieces, b.pieces);
	visit("holes", a.holes, b.holes);
	visit("parameter_types", a.parameter_types, b.parameter_types);
	visit("key_kinds", a.key_kinds, b.key_kinds);
	visit("insert_columns", a.insert_columns, b.insert_columns);
	visit("insert_types", a.insert_types, b.insert_types);
	visit("merge_columns", a.merge_columns, b.merge_columns);
	visit("merge_operators", a.merge_operators, b.merge_operators);
	visit("merge_collations", a.merge_collations, b.merge_collations);
	visit("merge_nulls_first", a.merge_nulls_first, b.merge_nulls_first);
	visit("distribution_position", a.distribution_position, b.distribution_position);
	visit("reason", a.reason, b.reason);
}

/* --- copy: from b into a --------------------------------------------------------------------- */

struct CopyField
{
	template <typename T> void operator()(const char *, T& to, const T& from) const { to = from; }
	void operator()(const char *, List *& to, List *const& from) const
	{
		to = static_cast<List *>(copyObjectImpl(from));
	}
	void operator()(const char *, char *& to, char *const& from) const
	{
		to = from ? pstrdup(from) : nullptr;
	}
};

void copy_query(ExtensibleNode *to, const ExtensibleNode *from)
{
	for_each_field(*reinterpret_cast<RemoteQuery *>(to),
				   *reinterpret_cast<const RemoteQuery *>(from), CopyField{});
}

/* --- equal ----------------------------------------------------------------------------------- */

struct EqualField
{
	bool *equal;
	template <typename T> void operator()(const char *, const T& a, const T& b) const
	{
		*equal = *equal && a == b;
	}
	void operator()(const char *, List *const& a, List *const& b) const
	{
		*equal = *equal && ::equal(a, b);
	}
	void operator()(const char *, char *const& a, char *const& b) const
	{
		*equal = *equal && (a == b || (a && b && strcmp(a, b) == 0));
	}
};

bool equal_queries(const ExtensibleNode *a, const ExtensibleNode *b)
{
	bool same = true;
	for_each_field(*reinterpret_cast<const RemoteQuery *>(a),
				   *reinterpret_cast<const RemoteQuery *>(b), EqualField{&same});
	return same;
}

/* --- out: every field as " :name value" ------------------------------------------------------- */

struct OutField
{
	StringInfo out;
	/* bool, int, Oid and the enums: all are printed as numbers. */
	template <typename T> void operator()(const char *name, const T& value, const T&) const
	{
		appendStringInfo(out, " :%s " INT64_FORMAT, name, static_cast<int64>(value));
	}
	void operator()(const char *name, List *const& value, List *const&) const
	{
		appendStringInfo(out, " :%s ", name);
		outNode(out, value);
	}
	void operator()(const char *name, char *const& value, char *const&) const
	{
		appendStringInfo(out, " :%s ", name);
		outToken(out, value);
	}
};

void out_query(StringInfo out, const ExtensibleNode *node)
{
	const RemoteQuery& query = *reinterpret_cast<const RemoteQuery *>(node);
	for_each_field(query, query, OutField{out});
}

/* --- read ------------------------------------------------------------------------------------ */

struct ReadField
{
	template <typename T> void operator()(const char *, T& value, const T&) const
	{
		int length;
		pg_strtok(&length); /* :name */
		const char *token = pg_strtok(&length);
		value = static_cast<T>(strtoll(token, nullptr, 10));
	}
	void operator()(const char *, List *& value, List *const&) const
	{
		int length;
		pg_strtok(&length);
		value = static_cast<List *>(nodeRead(nullptr, 0));
	}
	void operator()(const char *, char *& value, char *const&) const
	{
		int length;
		pg_strtok(&length);
		const char *token = pg_strtok(&length);
		/* outToken() prints a null pointer as <>, which is read as a token without length. */
		value = length == 0 ? nullptr : debackslash(token, length);
	}
};

void read_query(ExtensibleNode *node)
{
	RemoteQuery& query = *reinterpret_cast<RemoteQuery *>(node);
	for_each_field(query, query, ReadField{});
}

const ExtensibleNodeMethods remote_query_methods = {
	REMOTE_QUERY_NAME, sizeof(RemoteQuery), copy_query, equal_queries, out_query, read_query,
};

/* Whether other parts of the plan compute a part of the expression. */
bool set_by_plan(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	return IsA(node, Var) ||
		   (IsA(node, Param) && castNode(Param, node)->paramkind != PARAM_EXTERN) ||
		   pg::walk_children(node, set_by_plan, context);
}

} // namespace

RemoteQuery *make_remote_query()
{
	RemoteQuery *query =
		reinterpret_cast<RemoteQuery *>(newNode(sizeof(RemoteQuery), T_ExtensibleNode));
	query->extensible.extnodename = REMOTE_QUERY_NAME;
	query->tier = Tier::General;
	query->command = CMD_SELECT;
	query->read_only = true;
	query->returns_rows = true;
	query->distribution_position = -1;
	query->tableoid_position = -1;
	return query;
}

RemoteQuery *remote_query_of(const CustomScan *scan)
{
	return reinterpret_cast<RemoteQuery *>(linitial(scan->custom_private));
}

void set_remote_query(CustomScan *scan, RemoteQuery *query, List *parameters, List *prune_keys,
					  List *rows)
{
	ListCell *cell;
	foreach (cell, parameters)
		if (set_by_plan(static_cast<Node *>(lfirst(cell)), nullptr))
		{
			scan->custom_exprs = lappend(scan->custom_exprs, lfirst(cell));
			lfirst(cell) = nullptr;
		}
	/* They are evaluated once, before there is a row. */
	Assert(!contain_var_clause(reinterpret_cast<Node *>(parameters)));
	Assert(!contain_var_clause(reinterpret_cast<Node *>(prune_keys)));
	List *expressions = list_make3(parameters, prune_keys, rows);
	fix_opfuncids(reinterpret_cast<Node *>(expressions));
	scan->custom_private = list_make2(query, expressions);
}

List *expressions_of(const CustomScan *scan)
{
	return static_cast<List *>(lsecond(scan->custom_private));
}

List *parameters_of(const CustomScan *scan)
{
	List *parameters = static_cast<List *>(list_nth(expressions_of(scan), 0));
	if (scan->custom_exprs == NIL)
		return parameters;
	List *result = NIL;
	int next = 0;
	ListCell *cell;
	foreach (cell, parameters)
		result =
			lappend(result, lfirst(cell) ? lfirst(cell) : list_nth(scan->custom_exprs, next++));
	return result;
}

List *prune_keys_of(const CustomScan *scan)
{
	return static_cast<List *>(list_nth(expressions_of(scan), 1));
}

List *rows_of(const CustomScan *scan)
{
	return static_cast<List *>(list_nth(expressions_of(scan), 2));
}

void plan_init()
{
	RegisterExtensibleNodeMethods(&remote_query_methods);
}

} // namespace civitas::plan
