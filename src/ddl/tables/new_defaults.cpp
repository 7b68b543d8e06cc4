/*
 * new_defaults.cpp: defaults of columns that ALTER TABLE adds.
 *
 * On one table a default such as now() is computed once for all rows that are there already. Shards
 * would compute it one by one, so the coordinator does it, and everywhere
 *
 *     ADD COLUMN c timestamptz DEFAULT now()
 *
 * becomes
 *
 *     ADD COLUMN c timestamptz DEFAULT CAST('..' AS timestamptz), ALTER COLUMN c SET DEFAULT now()
 *
 * A volatile default, random(), is computed for each row, which shards do right by themselves.
 */
#include "../shards/shard_names.h"
#include "../statement_kinds.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

/* Calls visit(action, column, default) for each ADD COLUMN with a default. */
template <typename Visit> static void each_new_default(Node *statement, Visit&& visit)
{
	if (!IsA(statement, AlterTableStmt))
		return;
	ListCell *cell;
	foreach (cell, castNode(AlterTableStmt, statement)->cmds)
	{
		const auto *cmd = lfirst_node(AlterTableCmd, cell);
		if (cmd->subtype != AT_AddColumn)
			continue;
		const auto *column = castNode(ColumnDef, cmd->def);
		ListCell *inner;
		foreach (inner, column->constraints)
			if (lfirst_node(Constraint, inner)->contype == CONSTR_DEFAULT)
				visit(cmd, column, lfirst_node(Constraint, inner));
	}
}

namespace {

/* The expression as the column's value; null where the server will refuse it. */
Node *column_value(const ColumnDef *column, Node *raw, Oid *type, int32 *typmod)
{
	ParseState *state = make_parsestate(nullptr);
	const Type tuple = LookupTypeName(state, column->typeName, typmod, true);
	if (tuple == nullptr)
		return nullptr;
	*type = typeTypeId(tuple);
	ReleaseSysCache(tuple);
	Node *expression = transformExpr(state, raw, EXPR_KIND_COLUMN_DEFAULT);
	expression = coerce_to_target_type(state, expression, exprType(expression), *type, *typmod,
									   COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
	if (expression != nullptr)
		assign_expr_collations(state, expression);
	free_parsestate(state);
	return expression;
}

char *evaluated(Node *expression, Oid type, int32 typmod)
{
	EState *estate = CreateExecutorState();
	ExprState *compiled = ExecPrepareExpr(reinterpret_cast<Expr *>(expression), estate);
	bool null = false;
	const Datum value = ExecEvalExprSwitchContext(compiled, GetPerTupleExprContext(estate), &null);
	pg::Str sql;
	sql.raw("CAST(");
	if (null)
		sql.raw("NULL");
	else
	{
		Oid output;
		bool varlena;
		getTypeOutputInfo(type, &output, &varlena);
		sql.literal(OidOutputFunctionCall(output, value));
	}
	sql.raw(" AS ").raw(
		format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
	FreeExecutorState(estate);
	return sql.ch(')').c_str();
}

} // namespace

List *default_values(Node *statement, Oid relid)
{
	List *values = NIL;
	each_new_default(
		statement, [&](const AlterTableCmd *cmd, const ColumnDef *column, const Constraint *given) {
			char *value = pstrdup("");
			Oid type = InvalidOid;
			int32 typmod = -1;
			const bool exists =
				cmd->missing_ok && get_attnum(relid, column->colname) != InvalidAttrNumber;
			auto *raw = static_cast<Node *>(copyObjectImpl(given->raw_expr));
			Node *expression = exists ? nullptr : column_value(column, raw, &type, &typmod);
			if (expression != nullptr && contain_mutable_functions(expression) &&
				!contain_volatile_functions(expression))
				value = evaluated(expression, type, typmod);
			values = lappend(values, value);
		});
	return values;
}

void fill_defaults(Node *statement, List *values)
{
	List *defaults = NIL;
	int next = 0;
	each_new_default(
		statement, [&](const AlterTableCmd *, const ColumnDef *column, Constraint *given) {
			if (next == list_length(values))
				return;
			const char *value = static_cast<const char *>(list_nth(values, next++));
			if (value[0] == '\0')
				return;
			auto *set = makeNode(AlterTableCmd);
			set->subtype = AT_ColumnDefault;
			set->name = pstrdup(column->colname);
			set->def = given->raw_expr;
			defaults = lappend(defaults, set);
			const auto *select = castNode(SelectStmt, parse_one(psprintf("SELECT %s", value)));
			given->raw_expr = linitial_node(ResTarget, select->targetList)->val;
		});
	if (defaults == NIL)
		return;
	auto *alter = castNode(AlterTableStmt, statement);
	alter->cmds = list_concat(alter->cmds, defaults);
}

} // namespace civitas::ddl
