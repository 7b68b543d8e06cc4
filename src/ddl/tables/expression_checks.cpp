/*
 * expression_checks.cpp: expressions of a table that would mean something else on its shards.
 *
 * CHECK constraints, generated columns, indexes and statistics are evaluated where the rows are. A
 * shard is another table there: it has an oid and a row type of its own. So tableoid is refused, and
 * so is handing the whole row to what takes the table's row type; a function of any record will do.
 */
#include "table_checks.h"

#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

/* What an expression belongs to. */
struct Place
{
	Oid relid;
	const char *kind;
	const char *name;
};

bool is_whole_row(Node *node)
{
	return node != nullptr && IsA(node, Var) && castNode(Var, node)->varattno == 0;
}

[[noreturn]] void refuse_tableoid(const Place& place)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("tableoid in %s \"%s\" of distributed table \"%s\" is not supported",
						   place.kind, place.name, get_rel_name(place.relid)),
					errdetail("It would be the oid of the shard."),
					errhint("Compare with a column of the table instead.")));
}

[[noreturn]] void refuse_row_type(const Place& place, Oid function)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("function %s of the whole row in %s \"%s\" of distributed table \"%s\" is not "
					"supported",
					get_func_name(function), place.kind, place.name, get_rel_name(place.relid)),
			 errdetail("The function takes the row type of the table, and rows of shards have "
					   "types of their own."),
			 errhint("Give it the columns that it needs as arguments.")));
}

/* Whether rows of any type can be the function's argument. */
bool takes_any_row(Oid function, int argument)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;
	const auto *form = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
	const int last = form->pronargs - 1;
	const Oid type =
		last < 0 ? InvalidOid : form->proargtypes.values[argument < last ? argument : last];
	ReleaseSysCache(tuple);
	return type == RECORDOID || type == ANYOID || IsPolymorphicType(type);
}

void check_arguments(const Place& place, Oid function, List *arguments)
{
	ListCell *cell;
	foreach (cell, arguments)
		if (is_whole_row(static_cast<Node *>(lfirst(cell))) &&
			!takes_any_row(function, foreach_current_index(cell)))
			refuse_row_type(place, function);
}

bool has_whole_row(Node *node, void *context)
{
	return node != nullptr &&
		   (is_whole_row(node) || pg::walk_children(node, has_whole_row, context));
}

bool check_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	const auto& place = *static_cast<const Place *>(context);
	if (IsA(node, Var) && castNode(Var, node)->varattno == TableOidAttributeNumber)
		refuse_tableoid(place);
	if (IsA(node, FuncExpr))
		check_arguments(place, castNode(FuncExpr, node)->funcid, castNode(FuncExpr, node)->args);
	if (IsA(node, OpExpr))
		check_arguments(place, get_opcode(castNode(OpExpr, node)->opno),
						castNode(OpExpr, node)->args);
	return pg::walk_children(node, check_walker, context);
}

void check_expression(Node *expression, const Place& place)
{
	check_walker(expression, const_cast<Place *>(&place));
}

void check_constraints(Relation relation)
{
	const TupleConstr *constraints = RelationGetDescr(relation)->constr;
	if (constraints == nullptr)
		return;
	for (int i = 0; i < constraints->num_check; i++)
		check_expression(
			static_cast<Node *>(stringToNode(constraints->check[i].ccbin)),
			{RelationGetRelid(relation), "CHECK constraint", constraints->check[i].ccname});
	for (int i = 0; i < constraints->num_defval; i++)
	{
		const auto *attribute =
			TupleDescAttr(RelationGetDescr(relation), constraints->defval[i].adnum - 1);
		if (attribute->attgenerated != '\0')
			check_expression(
				static_cast<Node *>(stringToNode(constraints->defval[i].adbin)),
				{RelationGetRelid(relation), "generated column", NameStr(attribute->attname)});
	}
}

void check_indexes(Relation relation)
{
	ListCell *cell;
	foreach (cell, RelationGetIndexList(relation))
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);
		const Place place = {RelationGetRelid(relation), "index", RelationGetRelationName(index)};
		check_expression(reinterpret_cast<Node *>(RelationGetIndexExpressions(index)), place);
		check_expression(reinterpret_cast<Node *>(RelationGetIndexPredicate(index)), place);
		index_close(index, AccessShareLock);
	}
}

} // namespace

void refuse_whole_rows(Oid index_id)
{
	Relation index = index_open(index_id, AccessShareLock);
	if (has_whole_row(reinterpret_cast<Node *>(RelationGetIndexExpressions(index)), nullptr) ||
		has_whole_row(reinterpret_cast<Node *>(RelationGetIndexPredicate(index)), nullptr))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("index \"%s\" over whole rows of a distributed table cannot be made "
							   "concurrently",
							   RelationGetRelationName(index)),
						errhint("Leave CONCURRENTLY out.")));
	index_close(index, AccessShareLock);
}

void check_expressions(Oid relid)
{
	Relation relation = table_open(relid, NoLock);
	check_constraints(relation);
	check_indexes(relation);
	table_close(relation, NoLock);
}

} // namespace civitas::ddl
