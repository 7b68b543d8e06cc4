/*
 * modify_rows.cpp: UPDATE and DELETE of rows that this node finds.
 *
 * The statement becomes a SELECT of the target's rows, planned like any other: their ctid and
 * distribution column, the new values, and the columns of other tables that RETURNING uses. The
 * leaf scan of the target locks its rows, so under READ COMMITTED it reads their latest versions,
 * and they stay where they are until the second step: UPDATE .. FROM (VALUES ..) WHERE ctid = .. on
 * each shard, in the session that holds the locks. Rows that the conditions over the target alone
 * leave are locked even if a join drops them afterwards. A row found several times is changed once,
 * by the first.
 *
 * A local table that is changed from distributed ones goes the same way: a subquery locks its rows,
 * and the changes are a local task.
 */
#include "internal.h"

#include "civitas/deparse/query_template.h"

CIVITAS_PG_BEGIN
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

/* Range table of the statement that a shard gets. */
constexpr int TARGET = 1;
constexpr int ROWS = 2;

/* The columns of the rows that are found, as the SELECT computes them and as VALUES names them. */
struct RowColumns
{
	Index target; /* range table index of the statement's target */
	List *select; /* TargetEntry */
	List *names;  /* String */
	List *types;  /* oid list */
};

/* Adds a column; how the shard's statement refers to it. */
Var *add_column(RowColumns *columns, Expr *expr)
{
	Node *node = reinterpret_cast<Node *>(expr);
	const Oid type = exprType(node);
	if (get_typtype(type) == TYPTYPE_PSEUDO)
		raise_unsupported("The changes need a value of a type that does not travel.");
	int number = 0;
	ListCell *cell;
	foreach (cell, columns->select)
		if (equal(lfirst_node(TargetEntry, cell)->expr, expr))
			number = foreach_current_index(cell) + 1;
	if (number == 0)
	{
		number = list_length(columns->select) + 1;
		char *name = psprintf("c%d", number);
		TargetEntry *entry = makeTargetEntry(static_cast<Expr *>(copyObjectImpl(expr)),
											 static_cast<AttrNumber>(number), name, false);
		columns->select = lappend(columns->select, entry);
		columns->names = lappend(columns->names, makeString(name));
		columns->types = lappend_oid(columns->types, type);
	}
	return makeVar(ROWS, static_cast<AttrNumber>(number), type, exprTypmod(node),
				   exprCollation(node), 0);
}

/* RETURNING: columns of other tables come with the rows, the target's are the shard's. */
Node *returning_mutator(Node *node, void *context)
{
	RowColumns *columns = static_cast<RowColumns *>(context);
	if (node == nullptr)
		return nullptr;
	if (IsA(node, SubLink) || IsA(node, Query))
		raise_unsupported("RETURNING has a subquery, and the statement needs several nodes.",
						  "Use WITH .. RETURNING and a SELECT.");
	if (IsA(node, Var))
	{
		Var *var = castNode(Var, node);
		if (static_cast<Index>(var->varno) != columns->target)
			return reinterpret_cast<Node *>(add_column(columns, reinterpret_cast<Expr *>(var)));
		Var *own = static_cast<Var *>(copyObjectImpl(var));
		own->varno = TARGET;
		own->varnosyn = 0;
		own->varattnosyn = 0;
		return reinterpret_cast<Node *>(own);
	}
	return pg::mutate_children(node, returning_mutator, context);
}

RangeTblEntry *values_entry(const RowColumns& columns)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	rte->rtekind = RTE_VALUES;
	rte->inFromCl = true;
	rte->alias = makeAlias("found_rows", static_cast<List *>(copyObjectImpl(columns.names)));
	rte->eref = makeAlias("found_rows", static_cast<List *>(copyObjectImpl(columns.names)));
	List *markers = NIL;
	ListCell *cell;
	foreach (cell, columns.types)
	{
		Param *marker = makeNode(Param);
		marker->paramkind = PARAM_EXTERN;
		marker->paramid = deparse::VALUES_MARKER + foreach_current_index(cell);
		marker->paramtype = lfirst_oid(cell);
		marker->paramtypmod = -1;
		marker->paramcollid = get_typcollation(lfirst_oid(cell));
		marker->location = -1;
		markers = lappend(markers, marker);
		rte->coltypes = lappend_oid(rte->coltypes, marker->paramtype);
		rte->coltypmods = lappend_int(rte->coltypmods, -1);
		rte->colcollations = lappend_oid(rte->colcollations, marker->paramcollid);
	}
	rte->values_lists = list_make1(markers);
	return rte;
}

RangeTblRef *reference(int index)
{
	RangeTblRef *ref = makeNode(RangeTblRef);
	ref->rtindex = index;
	return ref;
}

/* UPDATE target SET .. FROM (VALUES ..) WHERE target.ctid = .. RETURNING ..; its assignments and
 * VALUES are added when parameters have been taken out. */
Query *shard_statement(Query *query, const RowColumns& columns, List *returning)
{
	RangeTblEntry *target = static_cast<RangeTblEntry *>(
		copyObjectImpl(rt_fetch(query->resultRelation, query->rtable)));
	target->securityQuals = NIL;
	target->inFromCl = false;
	target->inh = true;
	Query *shipped = makeNode(Query);
	shipped->commandType = query->commandType;
	shipped->canSetTag = true;
	shipped->resultRelation = TARGET;
	RangeTblEntry *rows = values_entry(columns);
	rows->values_lists = NIL; /* set when the parameters are taken out */
	shipped->rtable = list_make2(target, rows);
	Var *ctid = makeVar(TARGET, SelfItemPointerAttributeNumber, TIDOID, -1, InvalidOid, 0);
	Var *found = makeVar(ROWS, 1, TIDOID, -1, InvalidOid, 0);
	Expr *same = make_opclause(TIDEqualOperator, BOOLOID, false, reinterpret_cast<Expr *>(ctid),
							   reinterpret_cast<Expr *>(found), InvalidOid, InvalidOid);
	shipped->jointree = makeFromExpr(list_make2(reference(TARGET), reference(ROWS)),
									 reinterpret_cast<Node *>(same));
	shipped->returningList = returning;
	return shipped;
}

/*
 * A local target becomes a subquery that locks its rows: there PostgreSQL's locking has nothing to
 * do with the other tables, whose rows it could not look up again.
 */
void lock_in_subquery(Query *select, Index index)
{
	RangeTblEntry *rte = rt_fetch(index, select->rtable);
	Query *inner = makeNode(Query);
	inner->commandType = CMD_SELECT;
	inner->canSetTag = true;
	RangeTblEntry *table = static_cast<RangeTblEntry *>(copyObjectImpl(rte));
	table->inFromCl = true;
	inner->rtable = list_make1(table);
	inner->jointree = makeFromExpr(list_make1(reference(1)), nullptr);
	inner->rowMarks = select->rowMarks;
	lfirst_node(RowMarkClause, list_head(inner->rowMarks))->rti = 1;
	inner->hasForUpdate = true;
	inner->hasRowSecurity = select->hasRowSecurity;
	select->rowMarks = NIL;
	select->hasForUpdate = false;

	List *names = NIL;
	const int count = list_length(rte->eref->colnames);
	for (AttrNumber attno = 1; attno <= count + 1; attno++)
	{
		/* The last one is the ctid. */
		Expr *expr;
		char *name = attno > count ? nullptr : get_attname(rte->relid, attno, true);
		if (attno > count)
			expr = reinterpret_cast<Expr *>(
				makeVar(1, SelfItemPointerAttributeNumber, TIDOID, -1, InvalidOid, 0));
		else if (name == nullptr)
			expr = reinterpret_cast<Expr *>(makeNullConst(INT4OID, -1, InvalidOid));
		else
		{
			Oid type;
			int32 typmod;
			Oid collation;
			get_atttypetypmodcoll(rte->relid, attno, &type, &typmod, &collation);
			expr = reinterpret_cast<Expr *>(makeVar(1, attno, type, typmod, collation, 0));
		}
		name = name ? name : psprintf("column %d", attno);
		names = lappend(names, makeString(name));
		inner->targetList = lappend(inner->targetList, makeTargetEntry(expr, attno, name, false));
	}
	RangeTblEntry *outer = makeNode(RangeTblEntry);
	outer->rtekind = RTE_SUBQUERY;
	outer->subquery = inner;
	outer->inFromCl = true;
	outer->eref = makeAlias(rte->eref->aliasname, names);
	*rte = *outer;
}

struct SystemColumns
{
	Index target;
	AttrNumber ctid;
	int depth;
};

/* Columns of the local target that its subquery does not have as such. */
Node *subquery_columns(Node *node, void *context)
{
	SystemColumns *state = static_cast<SystemColumns *>(context);
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Var))
	{
		Var *var = static_cast<Var *>(copyObjectImpl(node));
		if (static_cast<Index>(var->varno) != state->target ||
			static_cast<int>(var->varlevelsup) != state->depth || var->varattno > 0)
			return reinterpret_cast<Node *>(var);
		if (var->varattno != SelfItemPointerAttributeNumber)
			raise_unsupported("The changes of a local table use its system columns or whole rows.");
		var->varattno = state->ctid;
		var->varattnosyn = state->ctid;
		return reinterpret_cast<Node *>(var);
	}
	if (IsA(node, Query))
	{
		state->depth++;
		Node *result = reinterpret_cast<Node *>(
			pg::mutate_query(castNode(Query, node), subquery_columns, context));
		state->depth--;
		return result;
	}
	return pg::mutate_children(node, subquery_columns, context);
}

/* The SELECT that finds and locks the rows. */
Query *finding_select(Query *query, List *target_list, bool local)
{
	Query *select = static_cast<Query *>(copyObjectImpl(query));
	const Index index = static_cast<Index>(select->resultRelation);
	select->commandType = CMD_SELECT;
	select->resultRelation = 0;
	select->returningList = NIL;
	select->override = OVERRIDING_NOT_SET;
	select->canSetTag = true;
	select->targetList = target_list;
	RangeTblEntry *rte = rt_fetch(index, select->rtable);
	rte->inFromCl = true;
	RowMarkClause *mark = makeNode(RowMarkClause);
	mark->rti = index;
	mark->strength = query->commandType == CMD_DELETE ? LCS_FORUPDATE : LCS_FORNOKEYUPDATE;
	mark->waitPolicy = LockWaitBlock;
	select->rowMarks = lappend(select->rowMarks, mark);
	select->hasForUpdate = true;
	if (local)
	{
		const int count = list_length(rte->eref->colnames);
		SystemColumns state = {index, static_cast<AttrNumber>(count + 1), 0};
		select = pg::mutate_query(select, subquery_columns, &state);
		lock_in_subquery(select, index);
	}
	return select;
}

void check_modify_rows(Query *query, const catalog::Table *target)
{
	const RangeTblEntry *rte = rt_fetch(query->resultRelation, query->rtable);
	if (get_rel_relkind(rte->relid) != RELKIND_RELATION ||
		(target == nullptr && rte->inh && has_subclass(rte->relid)))
		raise_unsupported("A partitioned or foreign table cannot be changed from rows of other "
						  "nodes.",
						  "Join on the distribution columns, or change the partitions.");
	if (query->withCheckOptions != NIL)
		raise_unsupported("The statement writes through a view WITH CHECK OPTION or a row security "
						  "policy.");
	if (has_sequence_function(reinterpret_cast<Node *>(query->returningList)) ||
		(target && has_local_objects(reinterpret_cast<Node *>(query->returningList))))
		raise_unsupported("RETURNING uses functions that cannot run on the nodes.");
	if (target == nullptr)
		return;
	for (int index = 0; index < target->shard_count; index++)
		if (target->placements_of(index).size() != 1)
			raise_unsupported("The table's shards have several placements, and the statement needs "
							  "rows of other nodes.");
}

} // namespace

PlannedStmt *plan_modify_rows(Query *query, const Facts& facts, const catalog::Table *target,
							  const char *text, int options, ParamListInfo params,
							  const char *reason)
{
	check_modify_rows(query, target);
	const RangeTblEntry *rte = rt_fetch(query->resultRelation, query->rtable);
	plan::RemoteQuery *remote = plan::make_remote_query();
	RowColumns columns = {static_cast<Index>(query->resultRelation), NIL, NIL, NIL};
	Var *ctid =
		makeVar(query->resultRelation, SelfItemPointerAttributeNumber, TIDOID, -1, InvalidOid, 0);
	add_column(&columns, reinterpret_cast<Expr *>(ctid));
	if (target && target->distribution_attno)
	{
		Oid type;
		int32 typmod;
		Oid collation;
		get_atttypetypmodcoll(rte->relid, target->distribution_attno, &type, &typmod, &collation);
		Var *key =
			makeVar(query->resultRelation, target->distribution_attno, type, typmod, collation, 0);
		remote->distribution_position =
			add_column(&columns, reinterpret_cast<Expr *>(key))->varattno - 1;
	}

	List *assignments = NIL;
	List *junk = NIL; /* subqueries behind SET (a, b) = (SELECT ..) */
	ListCell *cell;
	foreach (cell, query->targetList)
	{
		TargetEntry *entry = static_cast<TargetEntry *>(copyObjectImpl(lfirst(cell)));
		if (entry->resjunk)
		{
			junk = lappend(junk, entry);
			continue;
		}
		if (query->commandType != CMD_UPDATE)
			continue;
		Node *value = with_sequences(reinterpret_cast<Node *>(entry->expr));
		entry->expr =
			reinterpret_cast<Expr *>(add_column(&columns, reinterpret_cast<Expr *>(value)));
		assignments = lappend(assignments, entry);
	}
	List *returning =
		castNode(List, returning_mutator(reinterpret_cast<Node *>(query->returningList), &columns));

	Parameters parameters;
	Query *shipped = castNode(
		Query,
		extract_parameters(reinterpret_cast<Node *>(shard_statement(query, columns, returning)),
						   &parameters));
	shipped->targetList = assignments;
	rt_fetch(ROWS, shipped->rtable)->values_lists = values_entry(columns)->values_lists;
	const deparse::QueryTemplate written = deparse::make_query_template(shipped);
	remote->pieces = written.pieces;
	remote->holes = written.holes;
	remote->parameter_types = parameters.types;
	remote->insert_columns = columns.names;
	remote->insert_types = columns.types;
	remote->read_only = false;
	remote->rows_repeat = list_length(query->jointree->fromlist) != 1 ||
						  !IsA(linitial(query->jointree->fromlist), RangeTblRef);
	remote->anchor = target ? target->relid : InvalidOid;
	remote->target = plan::Target::ShardGroups;
	remote->pruning = target && target->kind == catalog::TableKind::Hash ? plan::Pruning::Routed
																		 : plan::Pruning::All;
	remote->reason = pstrdup(reason);

	foreach (cell, junk)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		entry->resno = static_cast<AttrNumber>(list_length(columns.select) + 1);
		columns.select = lappend(columns.select, entry);
	}
	Query *select = finding_select(query, columns.select, target == nullptr);
	Facts found = facts;
	found.locks = true;
	found.local_writes = false;
	PlannedStmt *statement = plan_general(select, found, text, options, params, reason);
	Facts own = facts;
	own.range_tables = NIL;
	add_range_tables(statement, query, own);
	return write_rows(statement, query, remote, parameters.exprs, rte->relid);
}

} // namespace civitas::planner
