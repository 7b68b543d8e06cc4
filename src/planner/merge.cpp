/*
 * merge.cpp: MERGE.
 *
 * Where the target and the source are joined on their distribution columns, and what is inserted
 * belongs where its source row is, every shard group does its part alone: the statement is its
 * task.
 *
 * Else it is run as steps (steps.cpp). The first finds, by a join of the source with the locked
 * target, for every source row the target row, if any, and the number of the action to take; its
 * rows are the target's columns, ctid and tableoid, the columns of the source that actions use, and
 * that number. The second makes sure that no target row is changed twice. Then each action is an
 * UPDATE, DELETE or INSERT of its rows: deletions before updates before insertions. What RETURNING
 * is computed from they leave in one more store.
 */
#include "internal.h"

#include "civitas/deparse/query_template.h"

CIVITAS_PG_BEGIN
#include "access/sysattr.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/typcache.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

constexpr const char *FOUND = "found";

/* Whether there is an action for rows of this kind. */
bool acts_on(const Query *query, MergeMatchKind kind)
{
	ListCell *cell;
	foreach (cell, query->mergeActionList)
		if (pg::match_kind(lfirst_node(MergeAction, cell)) == kind)
			return true;
	return false;
}

/*
 * Where the target is a view, its condition says which rows of the table below are the target's:
 * no other row is matched, nor is it one that the source does not have.
 */
Query *without_target_condition(Query *query)
{
	Node *view = pg::merge_target_condition(query);
	if (view == nullptr)
		return query;
	query = static_cast<Query *>(copyObjectImpl(query));
	view = pg::merge_target_condition(query);
	ListCell *cell;
	foreach (cell, query->mergeActionList)
	{
		MergeAction *action = lfirst_node(MergeAction, cell);
		if (pg::match_kind(action) == MERGE_WHEN_NOT_MATCHED_BY_SOURCE)
			action->qual = make_and_qual(static_cast<Node *>(copyObjectImpl(view)), action->qual);
	}
	pg::set_merge_condition(query, make_and_qual(view, pg::merge_condition(query)));
	return query;
}

bool changes_matched(const Query *query)
{
	ListCell *cell;
	foreach (cell, query->mergeActionList)
	{
		const CmdType command = lfirst_node(MergeAction, cell)->commandType;
		if (command == CMD_UPDATE || command == CMD_DELETE)
			return true;
	}
	return false;
}

/* --- by shard groups ------------------------------------------------------------------------- */

/* What INSERTs put into the distribution column; false where one leaves it out. */
bool inserted_keys(const Query *query, const catalog::Table& target, List **keys)
{
	*keys = NIL;
	ListCell *cell;
	foreach (cell, query->mergeActionList)
	{
		const MergeAction *action = lfirst_node(MergeAction, cell);
		if (action->commandType != CMD_INSERT)
			continue;
		Node *key = nullptr;
		ListCell *entry;
		foreach (entry, action->targetList)
			if (lfirst_node(TargetEntry, entry)->resno == target.distribution_attno)
				key = reinterpret_cast<Node *>(lfirst_node(TargetEntry, entry)->expr);
		if (key == nullptr)
			return false;
		*keys = lappend(*keys, key);
	}
	return true;
}

const char *why_not_alone(const Query *query, const Facts& facts, const catalog::Table& target)
{
	if (const char *reason = why_not_shipped(facts))
		return reason;
	if (facts.volatile_functions)
		return "it uses volatile functions";
	if (returning_stays_here(query))
		return "its RETURNING is nothing that shards can compute";
	if (facts.locks || facts.sharded_writes)
		return "it locks or changes other rows";
	if (target.kind != catalog::TableKind::Hash)
		return "its target is not distributed by hash";
	for (int index = 0; index < target.shard_count; index++)
		if (target.placements_of(index).size() != 1)
			return "the target's shards have several placements";
	ListCell *cell;
	foreach (cell, query->mergeActionList)
	{
		const MergeAction *action = lfirst_node(MergeAction, cell);
		ListCell *entry;
		foreach (entry, action->commandType == CMD_UPDATE ? action->targetList : NIL)
			if (lfirst_node(TargetEntry, entry)->resno == target.distribution_attno)
				return "it sets the distribution column";
	}
	return nullptr;
}

PlannedStmt *plan_merge_shards(Query *query, const Facts& facts, const catalog::Table& target,
							   const char **reason)
{
	*reason = why_not_alone(query, facts, target);
	if (*reason)
		return nullptr;
	List *keys;
	*reason = "it inserts no value for the distribution column";
	if (!inserted_keys(query, target, &keys))
		return nullptr;
	const Placement placement = place_merge(query, keys);
	*reason = placement.reason;
	if (!placement.ok)
		return nullptr;
	plan::RemoteQuery *remote = plan::make_remote_query();
	remote->read_only = false;
	remote->tier = plan::Tier::Pushdown;
	remote->anchor = target.relid;
	remote->target = plan::Target::ShardGroups;
	Parameters parameters;
	Query *shipped = castNode(
		Query, extract_parameters(reinterpret_cast<Node *>(copyObjectImpl(query)), &parameters));
	const deparse::QueryTemplate text = deparse::make_query_template(shipped);
	remote->pieces = text.pieces;
	remote->holes = text.holes;
	remote->parameter_types = parameters.types;
	return make_statement(query, remote, query->returningList, parameters.exprs, NIL, NIL, facts);
}

/* --- as steps -------------------------------------------------------------------------------- */

struct Merge
{
	Query *query;
	const char *text;
	int options;
	ParamListInfo params;
	const char *store;
	Query *find;   /* the SELECT that fills the store */
	List *columns; /* its target list */
	int target;	   /* range table index of the target */
	int target_columns;
	AttrNumber action;	  /* column with the number of the action */
	int marker;			  /* range table index of what tells the source's rows; 0: all are there */
	int join;			  /* range table index of an outer join; 0: it is an inner one */
	const char *returned; /* the store that RETURNING is computed from; null: there is none */
	List *returned_columns; /* what it holds */
};

/* Column of the store that holds a column of the statement. */
AttrNumber stored_column(Merge *merge, const Var *var)
{
	if (var->varno == merge->target)
	{
		if (var->varattno > 0)
			return var->varattno;
		if (var->varattno == SelfItemPointerAttributeNumber)
			return static_cast<AttrNumber>(merge->target_columns + 1);
		if (var->varattno == TableOidAttributeNumber)
			return static_cast<AttrNumber>(merge->target_columns + 2);
		raise_unsupported("MERGE uses system columns of its target other than ctid and tableoid.");
	}
	Var *plain = static_cast<Var *>(copyObjectImpl(var));
	plain->varlevelsup = 0;
	ListCell *cell;
	foreach (cell, merge->columns)
		if (equal(lfirst_node(TargetEntry, cell)->expr, plain))
			return lfirst_node(TargetEntry, cell)->resno;
	const AttrNumber number = static_cast<AttrNumber>(list_length(merge->columns) + 1);
	merge->columns =
		lappend(merge->columns, makeTargetEntry(reinterpret_cast<Expr *>(plain), number,
												psprintf("s%d", number), false));
	return number;
}

struct ToStore
{
	Merge *merge;
	int depth;
	int varno; /* of the store in the new query */
};

Node *to_store_mutator(Node *node, void *context)
{
	ToStore *state = static_cast<ToStore *>(context);
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Query))
	{
		state->depth++;
		Node *result = reinterpret_cast<Node *>(
			pg::mutate_query(castNode(Query, node), to_store_mutator, context));
		state->depth--;
		return result;
	}
	if (!IsA(node, Var) || static_cast<int>(castNode(Var, node)->varlevelsup) != state->depth)
		return pg::mutate_children(node, to_store_mutator, context);
	Merge *merge = state->merge;
	Var *var = static_cast<Var *>(copyObjectImpl(node));
	const bool whole = var->varno == merge->target && var->varattno == InvalidAttrNumber;
	var->varattno = whole ? InvalidAttrNumber : stored_column(merge, var);
	var->varno = state->varno;
	var->varnosyn = 0;
	var->varattnosyn = 0;
	if (!whole)
		return reinterpret_cast<Node *>(var);
	const Oid relid = rt_fetch(merge->target, merge->query->rtable)->relid;
	return row_value(var, relid, merge->target_columns);
}

Node *to_store(Merge *merge, Node *node, int varno)
{
	ToStore state = {merge, 0, varno};
	return to_store_mutator(node, &state);
}

/* Collects the source's columns that actions need, so that the store has them. */
void collect_columns(Merge *merge)
{
	ListCell *cell;
	foreach (cell, merge->query->mergeActionList)
	{
		const MergeAction *action = lfirst_node(MergeAction, cell);
		(void) to_store(merge, reinterpret_cast<Node *>(action->targetList), 1);
	}
	(void) to_store(merge, reinterpret_cast<Node *>(merge->query->returningList), 1);
}

NullTest *is_there(Var *column, bool there)
{
	NullTest *test = makeNode(NullTest);
	test->arg = reinterpret_cast<Expr *>(column);
	test->nulltesttype = there ? IS_NOT_NULL : IS_NULL;
	test->location = -1;
	return test;
}

/* CASE WHEN matched AND condition THEN 1 .. END: the action of a row; NULL for none. */
Expr *action_number(const Merge *merge)
{
	CaseExpr *choice = makeNode(CaseExpr);
	choice->casetype = INT4OID;
	choice->location = -1;
	choice->defresult = reinterpret_cast<Expr *>(makeNullConst(INT4OID, -1, InvalidOid));
	ListCell *cell;
	foreach (cell, merge->query->mergeActionList)
	{
		const MergeAction *action = lfirst_node(MergeAction, cell);
		const MergeMatchKind kind = pg::match_kind(action);
		List *conditions = list_make1(is_there(
			makeVar(merge->target, SelfItemPointerAttributeNumber, TIDOID, -1, InvalidOid, 0),
			kind != MERGE_WHEN_NOT_MATCHED_BY_TARGET));
		if (merge->marker && kind != MERGE_WHEN_NOT_MATCHED_BY_TARGET)
			conditions =
				lappend(conditions, is_there(makeVar(merge->marker, 1, BOOLOID, -1, InvalidOid, 0),
											 kind == MERGE_WHEN_MATCHED));
		if (action->qual)
			conditions = list_concat(
				conditions, make_ands_implicit(static_cast<Expr *>(copyObjectImpl(action->qual))));
		CaseWhen *when = makeNode(CaseWhen);
		when->expr = make_ands_explicit(conditions);
		when->result = reinterpret_cast<Expr *>(
			makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
					  Int32GetDatum(foreach_current_index(cell) + 1), false, true));
		when->location = -1;
		choice->args = lappend(choice->args, when);
	}
	return reinterpret_cast<Expr *>(choice);
}

RangeTblRef *reference_to(int index)
{
	RangeTblRef *ref = makeNode(RangeTblRef);
	ref->rtindex = index;
	return ref;
}

/* (SELECT true): a column that is NULL where the source has no row. */
RangeTblEntry *marker_entry()
{
	Query *marker = makeNode(Query);
	marker->commandType = CMD_SELECT;
	marker->jointree = makeFromExpr(NIL, nullptr);
	Expr *there = reinterpret_cast<Expr *>(makeBoolConst(true, false));
	marker->targetList = list_make1(makeTargetEntry(there, 1, pstrdup("there"), false));
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = marker;
	rte->eref = makeAlias("source", list_make1(makeString(pstrdup("there"))));
	rte->inFromCl = true;
	return rte;
}

/*
 * FROM source [LEFT | RIGHT | FULL] JOIN target: which of the two has rows that the other does not
 * have and an action is for.
 */
void join_target(Merge *merge, Query *find)
{
	const bool all_sources = acts_on(merge->query, MERGE_WHEN_NOT_MATCHED_BY_TARGET);
	const bool all_targets = acts_on(merge->query, MERGE_WHEN_NOT_MATCHED_BY_SOURCE);
	Node *condition = pg::take_merge_condition(find);
	FromExpr *from = find->jointree;
	if (!all_sources && !all_targets)
	{
		from->fromlist = lappend(from->fromlist, reference_to(merge->target));
		from->quals = condition;
		return;
	}
	if (all_targets)
	{
		find->rtable = lappend(find->rtable, marker_entry());
		merge->marker = list_length(find->rtable);
		from->fromlist = lappend(from->fromlist, reference_to(merge->marker));
	}
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	rte->rtekind = RTE_JOIN;
	rte->jointype = !all_targets ? JOIN_LEFT : all_sources ? JOIN_FULL : JOIN_RIGHT;
	rte->eref = makeAlias("merged", NIL);
	rte->inFromCl = true;
	find->rtable = lappend(find->rtable, rte);
	JoinExpr *join = makeNode(JoinExpr);
	join->jointype = rte->jointype;
	join->larg = list_length(from->fromlist) == 1
					 ? static_cast<Node *>(linitial(from->fromlist))
					 : reinterpret_cast<Node *>(makeFromExpr(from->fromlist, nullptr));
	join->rarg = reinterpret_cast<Node *>(reference_to(merge->target));
	join->quals = condition;
	join->rtindex = merge->join = list_length(find->rtable);
	find->jointree = makeFromExpr(list_make1(join), nullptr);
}

/* The columns as the join leaves them. */
List *columns_of_join(const Merge *merge, const Query *find)
{
	if (merge->join == 0)
		return merge->columns;
	const JoinExpr *join = linitial_node(JoinExpr, find->jointree->fromlist);
	Node *marked = reinterpret_cast<Node *>(merge->columns);
	if (join->jointype != JOIN_RIGHT)
		marked = pg::nullable_by(marked, join->rarg, join->rtindex);
	if (join->jointype != JOIN_LEFT)
		marked = pg::nullable_by(marked, join->larg, join->rtindex);
	return castNode(List, marked);
}

/* SELECT .. FROM source JOIN target ON .., with the target's rows locked where any of them may be
 * changed. */
void make_find(Merge *merge)
{
	Query *find = static_cast<Query *>(copyObjectImpl(merge->query));
	find->commandType = CMD_SELECT;
	find->resultRelation = 0;
	find->mergeActionList = NIL;
	find->returningList = NIL;
	find->override = OVERRIDING_NOT_SET;
	find->hasSubLinks = true; /* conditions of actions may have some */
	RangeTblEntry *rte = rt_fetch(merge->target, find->rtable);
	rte->inFromCl = true;
	join_target(merge, find);
	if (changes_matched(merge->query))
	{
		RowMarkClause *mark = makeNode(RowMarkClause);
		mark->rti = merge->target;
		mark->strength = LCS_FORUPDATE;
		mark->waitPolicy = LockWaitBlock;
		find->rowMarks = list_make1(mark);
		find->hasForUpdate = true;
	}

	merge->columns = row_columns(rte, merge->target);
	merge->target_columns = list_length(rte->eref->colnames);
	collect_columns(merge);
	merge->action = static_cast<AttrNumber>(list_length(merge->columns) + 1);
	merge->columns = lappend(merge->columns, makeTargetEntry(action_number(merge), merge->action,
															 pstrdup("action"), false));
	find->targetList = columns_of_join(merge, find);
	merge->find = find;
}

RangeTblEntry *entry_of(const char *store, List *columns)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	rte->rtekind = RTE_NAMEDTUPLESTORE;
	rte->eref = makeAlias(FOUND, NIL);
	rte->inFromCl = true;
	name_store(rte, store, columns);
	return rte;
}

RangeTblEntry *store_entry(const Merge *merge)
{
	return entry_of(merge->store, merge->columns);
}

Node *is_action(const Merge *merge, int number, int varno)
{
	Var *action = makeVar(varno, merge->action, INT4OID, -1, InvalidOid, 0);
	Const *wanted =
		makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(number), false, true);
	return reinterpret_cast<Node *>(
		make_opclause(lookup_type_cache(INT4OID, TYPECACHE_EQ_OPR)->eq_opr, BOOLOID, false,
					  reinterpret_cast<Expr *>(action), reinterpret_cast<Expr *>(wanted),
					  InvalidOid, InvalidOid));
}

Query *empty_change(const Merge *merge, const MergeAction *action)
{
	Query *change = makeNode(Query);
	change->commandType = action->commandType;
	change->canSetTag = true; /* a local table's rows are counted by PostgreSQL */
	RangeTblEntry *target = rt_fetch(merge->target, merge->query->rtable);
	RangeTblEntry *rte = static_cast<RangeTblEntry *>(copyObjectImpl(target));
	rte->inFromCl = false;
	pg::give_rights(change, rte, pg::rights_of(merge->query, target));
	change->rtable = list_make1(rte);
	change->resultRelation = 1;
	change->cteList = static_cast<List *>(copyObjectImpl(merge->query->cteList));
	change->hasSubLinks = merge->query->hasSubLinks;
	change->override = action->override;
	return change;
}

/* --- RETURNING ------------------------------------------------------------------------------- */

/* What an action gives for a column that RETURNING needs: `own` is what it has for a column of the
 * target, `other` where the store's columns are. */
Expr *returned_column(Merge *merge, const MergeAction *action, Node *column, int own, int other)
{
	if (pg::is_merge_action_call(column))
		return reinterpret_cast<Expr *>(text_constant(action->commandType == CMD_UPDATE ? "UPDATE"
													  : action->commandType == CMD_DELETE
														  ? "DELETE"
														  : "INSERT"));
	if (!IsA(column, Var))
		return static_cast<Expr *>(copyObjectImpl(column));
	Var *var = static_cast<Var *>(copyObjectImpl(column));
	if (var->varno == merge->target)
		var->varno = own;
	else
	{
		var->varattno = stored_column(merge, var);
		var->varno = other;
	}
	var->varnosyn = 0;
	var->varattnosyn = 0;
	return reinterpret_cast<Expr *>(var);
}

/* What an action's statement returns, for the store that RETURNING is computed from. */
List *returned_columns(Merge *merge, const MergeAction *action)
{
	List *result = NIL;
	ListCell *cell;
	foreach (cell, merge->returned_columns)
	{
		TargetEntry *entry = static_cast<TargetEntry *>(copyObjectImpl(lfirst(cell)));
		entry->expr = returned_column(merge, action, reinterpret_cast<Node *>(entry->expr), 1, 1);
		result = lappend(result, entry);
	}
	return result;
}

bool returns_source(const Merge *merge)
{
	ListCell *cell;
	foreach (cell, merge->returned_columns)
	{
		const Expr *column = lfirst_node(TargetEntry, cell)->expr;
		if (IsA(column, Var) && reinterpret_cast<const Var *>(column)->varno != merge->target)
			return true;
	}
	return false;
}

/* RETURNING of an INSERT does not see the rows' source, and who computes them before does not see
 * what the table makes of them. */
void refuse_changed_rows(Oid relid)
{
	ListCell *cell;
	foreach (cell, find_all_inheritors(relid, NoLock, nullptr))
	{
		Relation relation = RelationIdGetRelation(lfirst_oid(cell));
		const TupleConstr *constraints = relation ? RelationGetDescr(relation)->constr : nullptr;
		if (relation == nullptr || (constraints && constraints->has_generated_stored) ||
			(relation->trigdesc && relation->trigdesc->trig_insert_before_row))
			raise_unsupported("RETURNING of a MERGE reads the source beside an INSERT into a table "
							  "with generated columns or BEFORE triggers.");
		RelationClose(relation);
	}
}

/* The rows that an action inserts, as the target's columns, and after them the columns of the source
 * that RETURNING needs. */
Query *rows_to_insert(Merge *merge, const MergeAction *action, int number)
{
	const RangeTblEntry *target = rt_fetch(merge->target, merge->query->rtable);
	Query *rows = makeNode(Query);
	rows->commandType = CMD_SELECT;
	rows->rtable = list_make1(store_entry(merge));
	rows->jointree = makeFromExpr(list_make1(reference_to(1)), is_action(merge, number, 1));
	rows->cteList = static_cast<List *>(copyObjectImpl(merge->query->cteList));
	rows->hasSubLinks = merge->query->hasSubLinks;
	ListCell *cell;
	foreach (cell, row_columns(target, merge->target))
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		if (entry->resno > merge->target_columns)
			break;
		Node *expr = reinterpret_cast<Node *>(entry->expr);
		entry->expr = reinterpret_cast<Expr *>(
			makeNullConst(exprType(expr), exprTypmod(expr), exprCollation(expr)));
		ListCell *assigned;
		foreach (assigned, action->targetList)
			if (lfirst_node(TargetEntry, assigned)->resno == entry->resno)
				entry->expr = reinterpret_cast<Expr *>(with_sequences(to_store(
					merge, reinterpret_cast<Node *>(lfirst_node(TargetEntry, assigned)->expr), 1)));
		rows->targetList = lappend(rows->targetList, entry);
	}
	foreach (cell, merge->returned_columns)
	{
		Node *column = reinterpret_cast<Node *>(lfirst_node(TargetEntry, cell)->expr);
		if (!IsA(column, Var) || castNode(Var, column)->varno == merge->target)
			continue;
		const int position = list_length(rows->targetList) + 1;
		rows->targetList =
			lappend(rows->targetList, makeTargetEntry(returned_column(merge, action, column, 1, 1),
													  static_cast<AttrNumber>(position),
													  psprintf("s%d", position), false));
	}
	return rows;
}

/* SELECT of what RETURNING needs from the rows that were inserted. */
Query *returned_rows(Merge *merge, const MergeAction *action, const char *store, List *columns)
{
	const Oid relid = rt_fetch(merge->target, merge->query->rtable)->relid;
	Query *select = makeNode(Query);
	select->commandType = CMD_SELECT;
	select->rtable = list_make1(entry_of(store, columns));
	select->jointree = makeFromExpr(list_make1(reference_to(1)), nullptr);
	AttrNumber position = static_cast<AttrNumber>(merge->target_columns);
	ListCell *cell;
	foreach (cell, merge->returned_columns)
	{
		TargetEntry *entry = static_cast<TargetEntry *>(copyObjectImpl(lfirst(cell)));
		Node *column = reinterpret_cast<Node *>(entry->expr);
		if (IsA(column, Var) && pg::is_old(castNode(Var, column)))
			entry->expr = reinterpret_cast<Expr *>(
				makeNullConst(exprType(column), exprTypmod(column), exprCollation(column)));
		else if (!IsA(column, Var) || castNode(Var, column)->varno == merge->target)
			entry->expr = returned_column(merge, action, column, 1, 1);
		else
			entry->expr = reinterpret_cast<Expr *>(makeVar(
				1, ++position, exprType(column), exprTypmod(column), exprCollation(column), 0));
		if (IsA(entry->expr, Var))
			pg::forget_old_and_new(reinterpret_cast<Var *>(entry->expr));
		if (IsA(entry->expr, Var) && reinterpret_cast<Var *>(entry->expr)->varattno < 0)
			raise_unsupported("RETURNING of a MERGE reads system columns beside the source.");
		if (IsA(entry->expr, Var) && reinterpret_cast<Var *>(entry->expr)->varattno == 0)
			entry->expr = reinterpret_cast<Expr *>(
				row_value(reinterpret_cast<Var *>(entry->expr), relid, merge->target_columns));
		select->targetList = lappend(select->targetList, entry);
	}
	return select;
}

/* --- the actions ----------------------------------------------------------------------------- */

/* UPDATE or DELETE of the target's rows in the store; the store stands for the target. */
PlannedStmt *plan_change(Merge *merge, const MergeAction *action, int number, Query *change)
{
	change->targetList =
		castNode(List, to_store(merge,
								reinterpret_cast<Node *>(
									action->commandType == CMD_UPDATE ? action->targetList : NIL),
								1));
	change->jointree = makeFromExpr(list_make1(reference_to(1)), is_action(merge, number, 1));
	change->returningList = returned_columns(merge, action);
	const catalog::Table *target = catalog::find_table(rt_fetch(1, change->rtable)->relid);
	Facts facts;
	collect_facts(change, &facts);
	EarlyRows early = {merge->store, nullptr, merge->columns};
	return plan_modify_rows(change, facts, target, merge->text, merge->options, merge->params,
							"it is a part of MERGE", &early);
}

PlannedStmt *plan_insertion(Merge *merge, const MergeAction *action, int number, Query *change)
{
	change->rtable = lappend(change->rtable, store_entry(merge));
	change->targetList =
		castNode(List, to_store(merge, reinterpret_cast<Node *>(action->targetList), 2));
	change->jointree = makeFromExpr(list_make1(reference_to(2)), is_action(merge, number, 2));
	change->returningList = returned_columns(merge, action);
	return plan_any(change, merge->text, merge->options, merge->params);
}

/*
 * An INSERT with RETURNING of the source's columns: the rows are computed, inserted, and
 * returned.
 */
List *plan_insertion_of_rows(Merge *merge, const MergeAction *action, int number, Query *change)
{
	refuse_changed_rows(rt_fetch(1, change->rtable)->relid);
	const char *store = new_store();
	Query *rows = rows_to_insert(merge, action, number);
	List *columns = static_cast<List *>(copyObjectImpl(rows->targetList));
	const char *label = psprintf("Rows of Action %d", number);
	PlannedStmt *statement = plan_any(rows, merge->text, merge->options, merge->params);
	List *steps = list_make1(make_plan_step(statement, store, label, columns, false));

	change->rtable = lappend(change->rtable, entry_of(store, columns));
	change->jointree = makeFromExpr(list_make1(reference_to(2)), nullptr);
	change->cteList = NIL;
	change->hasSubLinks = false;
	ListCell *cell;
	foreach (cell, action->targetList)
	{
		TargetEntry *entry = static_cast<TargetEntry *>(copyObjectImpl(lfirst(cell)));
		Node *expr = reinterpret_cast<Node *>(entry->expr);
		entry->expr = reinterpret_cast<Expr *>(
			makeVar(2, entry->resno, exprType(expr), exprTypmod(expr), exprCollation(expr), 0));
		change->targetList = lappend(change->targetList, entry);
	}
	statement = plan_any(change, merge->text, merge->options, merge->params);
	label = psprintf("Action %d", number);
	steps = lappend(steps, make_plan_step(statement, new_store(), label, NIL, true));

	Query *returned = returned_rows(merge, action, store, columns);
	columns = static_cast<List *>(copyObjectImpl(returned->targetList));
	statement = plan_any(returned, merge->text, merge->options, merge->params);
	label = psprintf("Returned by Action %d", number);
	return lappend(steps, make_plan_step(statement, merge->returned, label, columns, false));
}

/* SELECT citus_internal.merge_twice(count(*) > 1) FROM store WHERE the row is changed GROUP BY what
 * it is known by. */
PlannedStmt *plan_check(Merge *merge, List **columns)
{
	Query *check = makeNode(Query);
	check->commandType = CMD_SELECT;
	check->rtable = list_make1(store_entry(merge));
	List *changes = NIL;
	ListCell *cell;
	foreach (cell, merge->query->mergeActionList)
	{
		const CmdType command = lfirst_node(MergeAction, cell)->commandType;
		if (command == CMD_UPDATE || command == CMD_DELETE)
			changes = lappend(changes, is_action(merge, foreach_current_index(cell) + 1, 1));
	}
	if (changes == NIL)
		return nullptr;
	check->jointree = makeFromExpr(
		list_make1(reference_to(1)),
		reinterpret_cast<Node *>(list_length(changes) == 1 ? static_cast<Expr *>(linitial(changes))
														   : makeBoolExpr(OR_EXPR, changes, -1)));
	Aggref *count = makeNode(Aggref);
	count->aggfnoid = LookupFuncName(list_make1(makeString(pstrdup("count"))), 0, nullptr, false);
	count->aggtype = INT8OID;
	count->aggstar = true;
	count->aggkind = AGGKIND_NORMAL;
	count->aggsplit = AGGSPLIT_SIMPLE;
	count->aggno = count->aggtransno = -1;
	count->location = -1;
	Oid types[] = {INT8OID};
	const Oid function = LookupFuncName(
		list_make2(makeString(pstrdup("citus_internal")), makeString(pstrdup("merge_once"))), 1,
		types, false);
	Expr *call = reinterpret_cast<Expr *>(makeFuncExpr(
		function, BOOLOID, list_make1(count), InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL));
	check->targetList = list_make1(makeTargetEntry(call, 1, pstrdup("once"), false));
	check->hasAggs = true;
	/* ctid and tableoid, and the distribution column: that decides the shard. */
	const RangeTblEntry *rte = rt_fetch(merge->target, merge->query->rtable);
	const catalog::Table *target = catalog::find_table(rte->relid);
	List *known = list_make2_int(merge->target_columns + 1, merge->target_columns + 2);
	if (target && target->distribution_attno)
		known = lappend_int(known, target->distribution_attno);
	foreach (cell, known)
	{
		const TargetEntry *column =
			list_nth_node(TargetEntry, merge->columns, lfirst_int(cell) - 1);
		Node *expr = reinterpret_cast<Node *>(column->expr);
		Var *var =
			makeVar(1, column->resno, exprType(expr), exprTypmod(expr), exprCollation(expr), 0);
		TargetEntry *entry =
			makeTargetEntry(reinterpret_cast<Expr *>(var),
							static_cast<AttrNumber>(list_length(check->targetList) + 1),
							pstrdup(column->resname), true);
		entry->ressortgroupref = static_cast<Index>(foreach_current_index(cell) + 1);
		check->targetList = lappend(check->targetList, entry);
		const TypeCacheEntry *type =
			lookup_type_cache(var->vartype, TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR);
		SortGroupClause *group = makeNode(SortGroupClause);
		group->tleSortGroupRef = entry->ressortgroupref;
		group->eqop = type->eq_opr;
		group->sortop = type->lt_opr;
		group->hashable = true;
		check->groupClause = lappend(check->groupClause, group);
	}
	*columns = check->targetList;
	return plan_locally(check, merge->text, merge->options, merge->params);
}

void add_actions(Merge *merge, CmdType command, List **reads, List **steps)
{
	ListCell *cell;
	foreach (cell, merge->query->mergeActionList)
	{
		const MergeAction *action = lfirst_node(MergeAction, cell);
		const int number = foreach_current_index(cell) + 1;
		if (action->commandType != command)
			continue;
		Query *change = empty_change(merge, action);
		if (change->hasSubLinks)
		{
			/* Subqueries in it see the target as it was. */
			change->jointree = makeFromExpr(NIL, nullptr);
			Query *seen = makeNode(Query);
			seen->commandType = CMD_SELECT;
			seen->jointree = makeFromExpr(NIL, nullptr);
			seen->targetList = action->targetList;
			*reads = list_concat(
				*reads, reads_before(seen, change, merge->text, merge->options, merge->params));
		}
		if (command == CMD_INSERT && returns_source(merge))
		{
			*steps = list_concat(*steps, plan_insertion_of_rows(merge, action, number, change));
			continue;
		}
		PlannedStmt *statement = command == CMD_INSERT
									 ? plan_insertion(merge, action, number, change)
									 : plan_change(merge, action, number, change);
		const char *label = psprintf("Action %d", number);
		const char *store = merge->returned ? merge->returned : new_store();
		*steps = lappend(
			*steps, make_plan_step(statement, store, label, returned_columns(merge, action), true));
	}
}

PlannedStmt *plan_merge_steps(Query *query, const Facts& facts, const char *text, int options,
							  ParamListInfo params, const char *reason)
{
	Merge merge = {};
	merge.query = static_cast<Query *>(copyObjectImpl(query));
	merge.text = text;
	merge.options = options & ~(CURSOR_OPT_PARALLEL_OK | CURSOR_OPT_SCROLL);
	merge.params = params;
	merge.store = new_store();
	merge.target = query->resultRelation;
	make_find(&merge);
	List *reads = NIL;
	List *steps = NIL;
	Query *returning = nullptr;
	if (query->returningList != NIL)
	{
		merge.returned = new_store();
		returning = select_returning(merge.query, merge.returned, &merge.returned_columns);
		/* Subqueries in it see the target as it was. */
		const MergeAction *any = linitial_node(MergeAction, query->mergeActionList);
		reads = reads_before(returning, empty_change(&merge, any), text, options, params);
	}

	List *actions = NIL;
	add_actions(&merge, CMD_DELETE, &reads, &actions);
	add_actions(&merge, CMD_UPDATE, &reads, &actions);
	add_actions(&merge, CMD_INSERT, &reads, &actions);

	List *columns = static_cast<List *>(copyObjectImpl(merge.columns));
	Facts found;
	collect_facts(merge.find, &found);
	PlannedStmt *find = plan_general(merge.find, found, text, merge.options, params, reason);
	steps = lappend(steps, make_plan_step(find, merge.store, "Find", columns, false));
	List *check_columns;
	PlannedStmt *check = plan_check(&merge, &check_columns);
	if (check)
		steps = lappend(steps, make_plan_step(check, new_store(), "Check", check_columns, false));
	steps = list_concat(steps, actions);
	if (returning)
	{
		List *returned = static_cast<List *>(copyObjectImpl(returning->targetList));
		PlannedStmt *last = plan_any(returning, text, merge.options, params);
		steps = lappend(steps, make_plan_step(last, nullptr, "Returning", returned, false));
	}
	return make_steps(query, facts, list_concat(reads, steps));
}

} // namespace

PlannedStmt *plan_merge(Query *query, const Facts& facts, const char *text, int options,
						ParamListInfo params)
{
	const RangeTblEntry *rte = rt_fetch(query->resultRelation, query->rtable);
	if (query->withCheckOptions != NIL || rte->securityQuals != NIL)
		raise_unsupported("MERGE meets a row security policy, or a view's check option or security "
						  "barrier.");
	/* A WITH query that RETURNING reads, too, is computed once. */
	if (writes_in_with(query) ||
		read_ctes(query, reinterpret_cast<Node *>(query->returningList)) != NIL)
		return plan_steps(query, facts, text, options, params);
	if (rte->relkind == RELKIND_VIEW)
		raise_unsupported("MERGE fires triggers of a view.");
	query = without_target_condition(query);
	const char *reason = "its target is a local table";
	if (deparse::is_sharded_rte(rte))
	{
		const catalog::Table& target = catalog::get_table(rte->relid);
		PlannedStmt *alone = plan_merge_shards(query, facts, target, &reason);
		if (alone)
			return alone;
	}
	return plan_merge_steps(query, facts, text, options, params, reason);
}

} // namespace civitas::planner
