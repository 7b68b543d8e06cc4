/*
 * check_options.cpp: what a change must satisfy that the shards do not know.
 *
 * WITH CHECK OPTION of a view is a column of RETURNING that raises the error, on the node that
 * changed the row: the statement fails there before anything can commit. The client does not get
 * that column (plan_node.cpp leaves it out). citus_internal.unreferenced() guards rows that move to
 * another shard (move_rows.cpp).
 */
#include "internal.h"

#include "civitas/catalog/logical_names.h"
#include "civitas/deparse/query_template.h"
#include "civitas/pg/columns.h"

CIVITAS_PG_BEGIN
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

#include "civitas/pg/str.h"

namespace civitas::planner {

namespace {

constexpr const char *CHECK_FUNCTION = "check_option";

/* ARRAY[column::text, ...] of the changed row, for the error's detail. */
Expr *row_as_texts(const Query *query)
{
	const RangeTblEntry *rte = rt_fetch(query->resultRelation, query->rtable);
	/* Who reaches the table through the view only must not see its other columns. */
	if (pg_class_aclcheck(rte->relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		return reinterpret_cast<Expr *>(makeNullConst(TEXTARRAYOID, -1, DEFAULT_COLLATION_OID));
	ArrayExpr *array = makeNode(ArrayExpr);
	array->array_typeid = TEXTARRAYOID;
	array->array_collid = DEFAULT_COLLATION_OID;
	array->element_typeid = TEXTOID;
	array->location = -1;
	for (AttrNumber attno = 1; attno <= list_length(rte->eref->colnames); attno++)
	{
		if (pg::column_name(rte->relid, attno) == nullptr)
			continue;
		Oid type;
		int32 typmod;
		Oid collation;
		get_atttypetypmodcoll(rte->relid, attno, &type, &typmod, &collation);
		CoerceViaIO *text = makeNode(CoerceViaIO);
		text->arg = reinterpret_cast<Expr *>(
			makeVar(query->resultRelation, attno, type, typmod, collation, 0));
		text->resulttype = TEXTOID;
		text->resultcollid = DEFAULT_COLLATION_OID;
		text->coerceformat = COERCE_EXPLICIT_CAST;
		text->location = -1;
		array->elements = lappend(array->elements, text);
	}
	return reinterpret_cast<Expr *>(array);
}

Expr *holds(const WithCheckOption *option)
{
	return make_ands_explicit(make_ands_implicit(reinterpret_cast<Expr *>(option->qual)));
}

Expr *check_call(const Query *query, const WithCheckOption *option)
{
	Oid types[] = {BOOLOID, TEXTOID, TEXTARRAYOID};
	const Oid function = LookupFuncName(
		list_make2(makeString(pstrdup("citus_internal")), makeString(pstrdup(CHECK_FUNCTION))), 3,
		types, false);
	return reinterpret_cast<Expr *>(
		makeFuncExpr(function, BOOLOID,
					 list_make3(holds(option), text_constant(option->relname), row_as_texts(query)),
					 InvalidOid, DEFAULT_COLLATION_OID, COERCE_EXPLICIT_CALL));
}

/*
 * ON CONFLICT DO UPDATE through a view changes rows only that the view shows: they are looked at
 * before its WHERE is.
 */
void check_conflicting_row(OnConflictExpr *conflict, const WithCheckOption *option)
{
	if (has_local_objects(option->qual) || why_only_here(option->qual) != nullptr)
		raise_unsupported("The view uses functions that cannot run on the nodes.");
	Oid types[] = {BOOLOID, TEXTOID};
	const Oid function = LookupFuncName(
		list_make2(makeString(pstrdup("citus_internal")), makeString(pstrdup("visible_in_view"))),
		2, types, false);
	Expr *visible = reinterpret_cast<Expr *>(
		makeFuncExpr(function, BOOLOID, list_make2(holds(option), text_constant(option->relname)),
					 InvalidOid, DEFAULT_COLLATION_OID, COERCE_EXPLICIT_CALL));
	if (conflict->onConflictWhere)
	{
		CaseWhen *when = makeNode(CaseWhen);
		when->expr = visible;
		when->result = make_ands_explicit(
			make_ands_implicit(reinterpret_cast<Expr *>(conflict->onConflictWhere)));
		when->location = -1;
		CaseExpr *choice = makeNode(CaseExpr);
		choice->casetype = BOOLOID;
		choice->args = list_make1(when);
		choice->defresult = reinterpret_cast<Expr *>(makeBoolConst(false, false));
		choice->location = -1;
		visible = reinterpret_cast<Expr *>(choice);
	}
	conflict->onConflictWhere = reinterpret_cast<Node *>(visible);
}

} // namespace

Const *text_constant(const char *value)
{
	return makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1, CStringGetTextDatum(value), false,
					 false);
}

void add_check_options(Query *query)
{
	List *calls = NIL;
	ListCell *cell;
	foreach (cell, query->withCheckOptions)
	{
		const WithCheckOption *option = lfirst_node(WithCheckOption, cell);
		if (pg::is_view_conflict_check(option))
		{
			check_conflicting_row(query->onConflict, option);
			continue;
		}
		if (option->kind != WCO_VIEW_CHECK)
			raise_unsupported("The statement is checked by a row security policy.");
		calls = lappend(calls, check_call(query, option));
	}
	query->withCheckOptions = NIL;
	if (calls == NIL)
		return;
	query->returningList =
		lappend(query->returningList,
				makeTargetEntry(make_ands_explicit(calls),
								static_cast<AttrNumber>(list_length(query->returningList) + 1),
								pstrdup(CHECK_FUNCTION), false));
}

/* A call that was made here: calls that a client writes have a place in its text. */
bool is_check_option(const TargetEntry *entry)
{
	const Node *node = reinterpret_cast<const Node *>(entry->expr);
	if (IsA(node, BoolExpr))
		node = static_cast<const Node *>(linitial(reinterpret_cast<const BoolExpr *>(node)->args));
	if (!IsA(node, FuncExpr))
		return false;
	const FuncExpr *call = reinterpret_cast<const FuncExpr *>(node);
	return call->location < 0 && call->funcresulttype == BOOLOID && list_length(call->args) == 3 &&
		   strcmp(get_func_name(call->funcid), CHECK_FUNCTION) == 0 &&
		   get_func_namespace(call->funcid) == get_namespace_oid("citus_internal", true);
}

bool returns_to_client(const Query *query)
{
	ListCell *cell;
	foreach (cell, query->returningList)
		if (!is_check_option(lfirst_node(TargetEntry, cell)))
			return true;
	return false;
}

} // namespace civitas::planner

namespace {

/* PostgreSQL shows as much of a failing row's column. */
constexpr int SHOWN_BYTES = 64;

} // namespace

CIVITAS_PG_BEGIN

/* check_option(holds boolean, view_name text, row text[]): true, or the error. */
PG_FUNCTION_INFO_V1(citus_check_option);
PGDLLEXPORT Datum citus_check_option(PG_FUNCTION_ARGS)
{
	if (!PG_ARGISNULL(0) && PG_GETARG_BOOL(0))
		PG_RETURN_DATUM(BoolGetDatum(true));
	const char *view = PG_ARGISNULL(1) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_WITH_CHECK_OPTION_VIOLATION),
						errmsg("new row violates check option for view \"%s\"", view)));
	civitas::pg::Str row;
	row.ch('(');
	Datum *values = nullptr;
	bool *nulls = nullptr;
	int count = 0;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls,
					  &count);
	for (int index = 0; index < count; index++)
	{
		if (index > 0)
			row.raw(", ");
		const char *shown_text = nulls[index] ? "null" : TextDatumGetCString(values[index]);
		const int length = static_cast<int>(strlen(shown_text));
		const int shown = pg_mbcliplen(shown_text, length, SHOWN_BYTES);
		row.raw(pnstrdup(shown_text, shown));
		if (shown < length)
			row.raw("...");
	}
	row.ch(')');
	ereport(ERROR, (errcode(ERRCODE_WITH_CHECK_OPTION_VIOLATION),
					errmsg("new row violates check option for view \"%s\"", view),
					errdetail("Failing row contains %s.", row.c_str())));
}

namespace {

/* "a, b, ..." of an array of text. */
const char *joined(ArrayType *array)
{
	Datum *values;
	bool *nulls;
	int count;
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	civitas::pg::Str list;
	for (int index = 0; index < count; index++)
		list.raw(index > 0 ? ", " : "")
			.raw(nulls[index] ? "null" : TextDatumGetCString(values[index]));
	return list.c_str();
}

} // namespace

/* visible_in_view(holds boolean, view_name text): true, or the error. */
PG_FUNCTION_INFO_V1(citus_visible_in_view);
PGDLLEXPORT Datum citus_visible_in_view(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || !PG_GETARG_BOOL(0))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("conflicting row is not visible through view \"%s\"",
							   PG_ARGISNULL(1) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(1)))));
	PG_RETURN_DATUM(BoolGetDatum(true));
}

/* unreferenced(referenced, table, constraint, referencing table, columns, values): true, or the
 * error of a foreign key that the change of the row would break. */
PG_FUNCTION_INFO_V1(citus_unreferenced);
PGDLLEXPORT Datum citus_unreferenced(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || !PG_GETARG_BOOL(0))
		PG_RETURN_DATUM(BoolGetDatum(true));
	const auto argument = [&](int number) {
		return PG_ARGISNULL(number) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(number));
	};
	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("update or delete on table \"%s\" violates foreign key constraint \"%s\" on "
					"table \"%s\"",
					argument(1), argument(2), argument(3)),
			 errdetail("Key (%s)=(%s) is still referenced from table \"%s\".", argument(4),
					   PG_ARGISNULL(5) ? "" : joined(PG_GETARG_ARRAYTYPE_P(5)), argument(3)),
			 err_generic_string(PG_DIAG_TABLE_NAME, argument(3)),
			 err_generic_string(PG_DIAG_CONSTRAINT_NAME, argument(2))));
}

/* shell_oid(shard, names, oids): of the named tables, the oid given for the one that a shard
 * belongs to. */
PG_FUNCTION_INFO_V1(citus_shell_oid);
PGDLLEXPORT Datum citus_shell_oid(PG_FUNCTION_ARGS)
{
	const Oid shard = PG_GETARG_OID(0);
	char *name = get_rel_name(shard);
	if (name == nullptr)
		PG_RETURN_NULL();
	const char *logical = civitas::catalog::logical_name(name);
	const char *wanted = civitas::deparse::shell_name(get_namespace_name(get_rel_namespace(shard)),
													  logical ? logical : name);
	Datum *names;
	Datum *oids;
	int count;
	int oid_count;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &names, nullptr,
					  &count);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), OIDOID, sizeof(Oid), true, TYPALIGN_INT, &oids,
					  nullptr, &oid_count);
	for (int index = 0; index < count && index < oid_count; index++)
		if (strcmp(TextDatumGetCString(names[index]), wanted) == 0)
			PG_RETURN_DATUM(oids[index]);
	PG_RETURN_NULL();
}

/* merge_once(count): true for one source row, else the error that MERGE gives. */
PG_FUNCTION_INFO_V1(citus_merge_once);
PGDLLEXPORT Datum citus_merge_once(PG_FUNCTION_ARGS)
{
	if (PG_GETARG_INT64(0) > 1)
		ereport(ERROR, (errcode(ERRCODE_CARDINALITY_VIOLATION),
						errmsg("MERGE command cannot affect row a second time"),
						errhint("Ensure that not more than one source row matches any one target "
								"row.")));
	PG_RETURN_DATUM(BoolGetDatum(true));
}

CIVITAS_PG_END
