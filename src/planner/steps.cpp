/*
 * steps.cpp: statements whose WITH changes data, where one shard group cannot do all of it.
 *
 * Every WITH query that is left (simple ones have become subqueries) and the statement itself are
 * parts, each planned like a statement of its own. What a part returns goes into a store, which the
 * others read in place of the WITH query. They run in the order in which PostgreSQL would start
 * them: the statement with what it reads first, then the WITH queries that nobody reads, the last
 * one first.
 *
 * No part may see what another one wrote: they have one snapshot. On other nodes a later statement
 * does see what an earlier one did, so a table that is read after it was changed is read before,
 * into a store (hazards below): as it is, or, for a table that is changed twice, as rows that are
 * locked and known by their ctid (modify_rows.cpp). A row that was changed by an earlier part has
 * moved on and is not found again, as PostgreSQL changes a row once in a statement.
 */
#include "internal.h"

#include "civitas/deparse/query_template.h"
#include "civitas/executor/scan.h"
#include "civitas/pg/columns.h"
#include "civitas/pg/vec.h"
#include "civitas/plan/steps.h"

CIVITAS_PG_BEGIN
#include "access/sysattr.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
CIVITAS_PG_END

namespace civitas::planner {

/* Names are used within one execution; a number keeps those of nested plans apart. */
const char *new_store()
{
	static uint32 count = 0;
	return psprintf("citus step %u", ++count);
}

namespace {

struct Part
{
	Query *query;
	CommonTableExpr *cte; /* null: the statement itself */
	const char *store;
	Bitmapset *needs; /* indexes of the parts that it reads */
	bool ordered;
	EarlyRows early; /* store: null unless its target's rows are found before */
};

struct Planning
{
	pg::Vec<Part> parts; /* the statement itself is the last one */
	pg::Vec<int> order;
	List *reads; /* plan::Step lists that run before everything else */
	const char *text;
	int options;
	ParamListInfo params;
};

bool is_write(const Query *query)
{
	return query->commandType != CMD_SELECT;
}

/* --- what reads what ------------------------------------------------------------------------- */

struct References
{
	Planning *planning;
	int part;
	int depth; /* levels below the one that had the WITH */
};

bool replace_references(Node *node, void *context)
{
	References *references = static_cast<References *>(context);
	if (node == nullptr)
		return false;
	if (!IsA(node, Query))
		return pg::walk_children(node, replace_references, context);
	Query *query = castNode(Query, node);
	Part& part = references->planning->parts[references->part];
	ListCell *cell;
	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		if (rte->rtekind != RTE_CTE || static_cast<int>(rte->ctelevelsup) != references->depth ||
			rte->self_reference)
			continue;
		for (int index = 0; index < references->planning->parts.size(); index++)
		{
			const Part& other = references->planning->parts[index];
			if (other.cte == nullptr || strcmp(other.cte->ctename, rte->ctename) != 0)
				continue;
			part.needs = bms_add_member(part.needs, index);
			rte->rtekind = RTE_NAMEDTUPLESTORE;
			rte->enrname = pstrdup(other.store);
			rte->enrtuples = 1000;
			rte->ctename = nullptr;
			rte->ctelevelsup = 0;
			break;
		}
	}
	references->depth++;
	const bool result = pg::walk_query(query, replace_references, context);
	references->depth--;
	return result;
}

/* SELECT * FROM a recursive WITH query. */
Query *select_recursive(CommonTableExpr *cte)
{
	Query *query = makeNode(Query);
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->hasRecursive = true;
	query->cteList = list_make1(cte);
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	rte->rtekind = RTE_CTE;
	rte->ctename = cte->ctename;
	rte->eref = makeAlias(cte->ctename, static_cast<List *>(copyObjectImpl(cte->ctecolnames)));
	rte->coltypes = cte->ctecoltypes;
	rte->coltypmods = cte->ctecoltypmods;
	rte->colcollations = cte->ctecolcollations;
	rte->inFromCl = true;
	query->rtable = list_make1(rte);
	RangeTblRef *from = makeNode(RangeTblRef);
	from->rtindex = 1;
	query->jointree = makeFromExpr(list_make1(from), nullptr);
	ListCell *cell;
	foreach (cell, cte->ctecoltypes)
	{
		const int column = foreach_current_index(cell);
		const AttrNumber number = static_cast<AttrNumber>(column + 1);
		Var *var = makeVar(1, number, lfirst_oid(cell), list_nth_int(cte->ctecoltypmods, column),
						   list_nth_oid(cte->ctecolcollations, column), 0);
		query->targetList = lappend(
			query->targetList, makeTargetEntry(reinterpret_cast<Expr *>(var), number,
											   strVal(list_nth(cte->ctecolnames, column)), false));
	}
	return query;
}

void split_statement(Planning *planning, Query *query)
{
	ListCell *cell;
	foreach (cell, query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, cell);
		Query *body = castNode(Query, cte->ctequery);
		if (cte->cterefcount == 0 && !is_write(body))
			continue;
		Part part = {};
		part.cte = cte;
		part.query = cte->cterecursive ? select_recursive(cte) : body;
		part.store = new_store();
		planning->parts.push(part);
	}
	query->cteList = NIL;
	query->hasModifyingCTE = false;
	query->hasRecursive = false;
	Part statement = {};
	statement.query = query;
	planning->parts.push(statement);

	for (int index = 0; index < planning->parts.size(); index++)
	{
		const Part& part = planning->parts[index];
		/* A WITH query is one level below the statement. */
		References references = {planning, index, part.cte ? 1 : 0};
		replace_references(part.cte ? part.cte->ctequery : reinterpret_cast<Node *>(part.query),
						   &references);
		if (part.cte)
			part.query->canSetTag = false;
	}
}

void put_in_order(Planning *planning, int index)
{
	if (planning->parts[index].ordered)
		return;
	planning->parts[index].ordered = true;
	int need = -1;
	while ((need = bms_next_member(planning->parts[index].needs, need)) >= 0)
		put_in_order(planning, need);
	planning->order.push(index);
}

void order_parts(Planning *planning)
{
	for (int index = planning->parts.size() - 1; index >= 0; index--)
		if (planning->parts[index].cte == nullptr || is_write(planning->parts[index].query))
			put_in_order(planning, index);
}

/* --- hazards --------------------------------------------------------------------------------- */

Oid target_of(const Query *query)
{
	if (!is_write(query))
		return InvalidOid;
	const RangeTblEntry *rte = rt_fetch(query->resultRelation, query->rtable);
	return deparse::is_sharded_rte(rte) ? rte->relid : InvalidOid;
}

Oid root_of(Oid relid)
{
	if (!get_rel_relispartition(relid))
		return relid;
	List *ancestors = get_partition_ancestors(relid);
	return ancestors == NIL ? relid : llast_oid(ancestors);
}

/* Whether a change of one table can change the other: it is the same, or a foreign key leads there,
 * which may cascade. */
bool may_change(Oid written, Oid read, int depth)
{
	if (root_of(written) == root_of(read))
		return true;
	Relation relation = depth < 8 ? RelationIdGetRelation(read) : nullptr;
	if (relation == nullptr)
		return false;
	bool result = false;
	ListCell *cell;
	foreach (cell, RelationGetFKeyList(relation))
		result = result ||
				 may_change(written, lfirst_node(ForeignKeyCacheInfo, cell)->confrelid, depth + 1);
	RelationClose(relation);
	return result;
}

bool changed_before(Planning *planning, int position, Oid relid)
{
	for (int i = 0; i < position; i++)
	{
		const Oid written = target_of(planning->parts[planning->order[i]].query);
		if (OidIsValid(written) && may_change(written, relid, 0))
			return true;
	}
	return false;
}

bool is_condition_of(Node *clause, int varno)
{
	Relids used = pull_varnos(nullptr, clause);
	int member;
	return bms_get_singleton_member(used, &member) && member == varno &&
		   !contain_subplans(clause) && !contain_vars_of_level(clause, 1) &&
		   !contain_volatile_functions(clause);
}

/* The AND-ed conditions over one table of the query's FROM; none where an outer join is around. */
Node *conditions_over(const Query *query, int varno)
{
	bool plain = varno == query->resultRelation;
	ListCell *cell;
	foreach (cell, query->jointree->fromlist)
		plain = plain || (IsA(lfirst(cell), RangeTblRef) &&
						  lfirst_node(RangeTblRef, cell)->rtindex == varno);
	if (!plain)
		return nullptr;
	List *result = NIL;
	foreach (cell, make_ands_implicit(static_cast<Expr *>(copyObjectImpl(query->jointree->quals))))
		if (is_condition_of(static_cast<Node *>(lfirst(cell)), varno))
			result = lappend(result, lfirst(cell));
	if (result == NIL)
		return nullptr;
	ChangeVarNodes(reinterpret_cast<Node *>(result), varno, 1, 0);
	return reinterpret_cast<Node *>(make_ands_explicit(result));
}

/* SELECT of the columns that the query uses; NULLs stand for the others. */
Query *read_before(const Query *query, int varno)
{
	const RangeTblEntry *rte = rt_fetch(varno, query->rtable);
	const pg::Rights *rights = pg::rights_of(query, rte);
	Query *read = makeNode(Query);
	read->commandType = CMD_SELECT;
	RangeTblEntry *table = static_cast<RangeTblEntry *>(copyObjectImpl(rte));
	table->inFromCl = true;
	table->lateral = false;
	pg::give_rights(read, table, rights);
	read->rtable = list_make1(table);
	RangeTblRef *from = makeNode(RangeTblRef);
	from->rtindex = 1;
	read->jointree = makeFromExpr(list_make1(from), conditions_over(query, varno));
	int used = -1;
	bool all = false;
	while ((used = bms_next_member(rights->selectedCols, used)) >= 0)
	{
		const int attno = used + FirstLowInvalidHeapAttributeNumber;
		all = all || attno == 0;
		if (attno < 0)
			raise_unsupported("System columns are read of a table that WITH changes.");
	}
	for (AttrNumber attno = 1; attno <= list_length(rte->eref->colnames); attno++)
	{
		const char *name = pg::column_name(rte->relid, attno);
		Oid type = INT4OID;
		int32 typmod = -1;
		Oid collation = InvalidOid;
		if (name)
			get_atttypetypmodcoll(rte->relid, attno, &type, &typmod, &collation);
		const bool wanted =
			name && (all || bms_is_member(attno - FirstLowInvalidHeapAttributeNumber,
										  rights->selectedCols));
		Expr *expr = wanted
						 ? reinterpret_cast<Expr *>(makeVar(1, attno, type, typmod, collation, 0))
						 : reinterpret_cast<Expr *>(makeNullConst(type, typmod, collation));
		read->targetList =
			lappend(read->targetList,
					makeTargetEntry(expr, attno,
									name ? pstrdup(name) : psprintf("column %d", attno), false));
	}
	return read;
}

void add_read(Planning *planning, Query *query, const char *store);

struct Hazards
{
	Planning *planning;
	int position;
	Query *top;
};

bool find_hazards(Node *node, void *context)
{
	Hazards *hazards = static_cast<Hazards *>(context);
	if (node == nullptr)
		return false;
	if (!IsA(node, Query))
		return pg::walk_children(node, find_hazards, context);
	Query *query = castNode(Query, node);
	Bitmapset *used = deparse::range_table_references(reinterpret_cast<Node *>(query->jointree));
	int index = -1;
	while ((index = bms_next_member(used, index)) >= 0)
	{
		RangeTblEntry *rte = rt_fetch(index, query->rtable);
		if (index == query->resultRelation || !deparse::is_sharded_rte(rte) ||
			!changed_before(hazards->planning, hazards->position, rte->relid))
			continue;
		if (query->rowMarks != NIL || rte->securityQuals != NIL)
			raise_unsupported(
				"Rows are locked, or seen through a security barrier, of a table that "
				"WITH changes.");
		Query *read = read_before(query, index);
		const char *store = new_store();
		rte->rtekind = RTE_NAMEDTUPLESTORE;
		pg::forget_rights(rte);
		rte->relid = InvalidOid;
		rte->tablesample = nullptr;
		rte->inh = false;
		name_store(rte, store, read->targetList);
		add_read(hazards->planning, read, store);
	}
	return pg::walk_query(query, find_hazards, context);
}

void avoid_hazards(Planning *planning, int position)
{
	Part& part = planning->parts[planning->order[position]];
	const Oid target = target_of(part.query);
	if (OidIsValid(target) && part.query->commandType != CMD_INSERT &&
		changed_before(planning, position, target))
	{
		if (part.query->commandType == CMD_MERGE)
			raise_unsupported("MERGE changes a table that WITH changes.",
							  "Use several statements in one transaction.");
		part.early.store = new_store();
	}
	Hazards hazards = {planning, position, part.query};
	find_hazards(reinterpret_cast<Node *>(part.query), &hazards);
}

/* --- plans ----------------------------------------------------------------------------------- */

plan::Step step_for(PlannedStmt *statement, const char *store, const char *label, List *target_list)
{
	plan::Step step = {statement, store, label, store == nullptr, NIL, NIL, NIL, NIL};
	ListCell *cell;
	foreach (cell, target_list)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		const Node *expr = reinterpret_cast<const Node *>(entry->expr);
		if (entry->resjunk)
			continue;
		step.names = lappend(step.names, makeString(pstrdup(entry->resname ? entry->resname : "")));
		step.types = lappend_oid(step.types, exprType(expr));
		step.typmods = lappend_int(step.typmods, exprTypmod(expr));
		step.collations = lappend_oid(step.collations, exprCollation(expr));
	}
	return step;
}

List *result_columns(const Query *query)
{
	return is_write(query) ? query->returningList : query->targetList;
}

void add_read(Planning *planning, Query *query, const char *store)
{
	List *columns = static_cast<List *>(copyObjectImpl(query->targetList));
	PlannedStmt *statement = plan_any(query, planning->text, planning->options, planning->params);
	planning->reads = lappend(planning->reads,
							  plan::make_step(step_for(statement, store, "Read Before", columns)));
}

PlannedStmt *plan_part(Planning *planning, Part& part)
{
	if (part.early.store == nullptr)
		return plan_any(part.query, planning->text, planning->options, planning->params);
	Facts facts;
	collect_facts(part.query, &facts);
	Node *conditions = conditions_over(part.query, part.query->resultRelation);
	PlannedStmt *statement = plan_modify_early(part.query, facts, planning->text, planning->options,
											   planning->params, &part.early);
	part.early.query->jointree->quals = conditions;
	add_read(planning, part.early.query, part.early.store);
	return statement;
}

} // namespace

/* The statement around the steps. */
PlannedStmt *make_steps(Query *query, const Facts& facts, List *steps)
{
	CustomScan *scan = makeNode(CustomScan);
	scan->methods = &executor::steps_methods;
	scan->custom_private = steps;
	return statement_around(scan, query, result_columns(query), facts);
}

List *make_plan_step(PlannedStmt *statement, const char *store, const char *label,
					 List *target_list, bool counts)
{
	plan::Step step = step_for(statement, store, label, target_list);
	step.counts = counts;
	return plan::make_step(step);
}

List *reads_before(Query *part, Query *change, const char *text, int options, ParamListInfo params)
{
	Planning planning = {};
	planning.text = text;
	planning.options = options;
	planning.params = params;
	for (Query *query : {change, part})
	{
		Part entry = {};
		entry.query = query;
		planning.parts.push(entry);
		planning.order.push(planning.order.size());
	}
	Hazards hazards = {&planning, 1, part};
	find_hazards(reinterpret_cast<Node *>(part), &hazards);
	return planning.reads;
}

bool writes_in_with(const Query *query)
{
	ListCell *cell;
	foreach (cell, query->cteList)
		if (is_write(castNode(Query, lfirst_node(CommonTableExpr, cell)->ctequery)))
			return true;
	return false;
}

void name_store(RangeTblEntry *rte, const char *store, List *target_list)
{
	rte->enrname = pstrdup(store);
	rte->enrtuples = 1000;
	rte->coltypes = rte->coltypmods = rte->colcollations = NIL;
	List *names = NIL;
	ListCell *cell;
	foreach (cell, target_list)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		const Node *expr = reinterpret_cast<const Node *>(entry->expr);
		rte->coltypes = lappend_oid(rte->coltypes, exprType(expr));
		rte->coltypmods = lappend_int(rte->coltypmods, exprTypmod(expr));
		rte->colcollations = lappend_oid(rte->colcollations, exprCollation(expr));
		names = lappend(names, makeString(pstrdup(entry->resname)));
	}
	rte->eref = makeAlias(rte->eref->aliasname, names);
}

namespace {

/* The columns that RETURNING is computed from: what the change returns, and what a store holds. */
struct ReturnedColumns
{
	List *columns; /* TargetEntry */
	int depth;
};

Node *returned_columns_mutator(Node *node, void *context)
{
	ReturnedColumns *state = static_cast<ReturnedColumns *>(context);
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Query))
	{
		state->depth++;
		Node *result = reinterpret_cast<Node *>(
			pg::mutate_query(castNode(Query, node), returned_columns_mutator, context));
		state->depth--;
		return result;
	}
	const bool merge_action = pg::is_merge_action_call(node);
	if (!merge_action &&
		(!IsA(node, Var) || static_cast<int>(castNode(Var, node)->varlevelsup) != state->depth))
		return pg::mutate_children(node, returned_columns_mutator, context);
	Node *column = static_cast<Node *>(copyObjectImpl(node));
	if (!merge_action)
		castNode(Var, column)->varlevelsup = 0;
	int number = 0;
	ListCell *cell;
	foreach (cell, state->columns)
		if (equal(lfirst_node(TargetEntry, cell)->expr, column))
			number = foreach_current_index(cell) + 1;
	if (number == 0)
	{
		number = list_length(state->columns) + 1;
		state->columns = lappend(state->columns, makeTargetEntry(reinterpret_cast<Expr *>(column),
																 static_cast<AttrNumber>(number),
																 psprintf("c%d", number), false));
	}
	return reinterpret_cast<Node *>(makeVar(1, static_cast<AttrNumber>(number), exprType(column),
											exprTypmod(column), exprCollation(column),
											static_cast<Index>(state->depth)));
}

} // namespace

Query *select_returning(Query *query, const char *store, List **columns)
{
	ReturnedColumns state = {NIL, 0};
	Query *select = makeNode(Query);
	select->commandType = CMD_SELECT;
	select->targetList = castNode(
		List, returned_columns_mutator(reinterpret_cast<Node *>(query->returningList), &state));
	if (state.columns == NIL)
	{
		Const *one =
			makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(1), false, true);
		state.columns =
			list_make1(makeTargetEntry(reinterpret_cast<Expr *>(one), 1, pstrdup("c1"), false));
	}
	*columns = state.columns;
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	rte->rtekind = RTE_NAMEDTUPLESTORE;
	rte->eref = makeAlias("changed", NIL);
	rte->inFromCl = true;
	name_store(rte, store, state.columns);
	select->rtable = list_make1(rte);
	RangeTblRef *from = makeNode(RangeTblRef);
	from->rtindex = 1;
	select->jointree = makeFromExpr(list_make1(from), nullptr);
	select->hasSubLinks = checkExprHasSubLink(reinterpret_cast<Node *>(select->targetList));
	return select;
}

bool returning_stays_here(const Query *query)
{
	Node *returning = reinterpret_cast<Node *>(query->returningList);
	return returning &&
		   (checkExprHasSubLink(returning) || has_unknown_nodes(returning) ||
			why_here(returning) != nullptr || has_local_objects(returning) ||
			computes_with_tableoid(returning) || returns_nameless_rows(query->returningList));
}

PlannedStmt *plan_returning_here(Query *query, const Facts& facts, const char *text, int options,
								 ParamListInfo params)
{
	/* A WITH query that both read is computed once. */
	if (read_ctes(query, reinterpret_cast<Node *>(query->returningList)) != NIL)
		return plan_steps(query, facts, text, options, params);
	Planning planning = {};
	planning.text = text;
	planning.options = options & ~(CURSOR_OPT_PARALLEL_OK | CURSOR_OPT_SCROLL);
	planning.params = params;
	Part change = {};
	change.query = static_cast<Query *>(copyObjectImpl(query));
	change.store = new_store();
	List *columns;
	Part statement = {};
	statement.query = select_returning(change.query, change.store, &columns);
	change.query->returningList = columns;
	planning.parts.push(change);
	planning.parts.push(statement);
	planning.order.push(0);
	planning.order.push(1);
	avoid_hazards(&planning, 1);

	List *returned = static_cast<List *>(copyObjectImpl(statement.query->targetList));
	plan::Step first = step_for(plan_part(&planning, planning.parts[0]), change.store, "Change",
								static_cast<List *>(copyObjectImpl(columns)));
	first.counts = true;
	plan::Step second =
		step_for(plan_part(&planning, planning.parts[1]), nullptr, "Returning", returned);
	second.counts = false;
	List *steps = list_make2(plan::make_step(first), plan::make_step(second));
	return make_steps(query, facts, list_concat(planning.reads, steps));
}

PlannedStmt *plan_steps(Query *query, const Facts& facts, const char *text, int options,
						ParamListInfo params)
{
	Planning planning = {};
	planning.text = text;
	planning.options = options & ~(CURSOR_OPT_PARALLEL_OK | CURSOR_OPT_SCROLL);
	planning.params = params;
	split_statement(&planning, static_cast<Query *>(copyObjectImpl(query)));
	order_parts(&planning);
	for (int position = planning.order.size() - 1; position > 0; position--)
		avoid_hazards(&planning, position);
	List *steps = NIL;
	for (const int index : planning.order.span())
	{
		Part& part = planning.parts[index];
		List *columns = static_cast<List *>(copyObjectImpl(result_columns(part.query)));
		const char *label = part.cte ? psprintf("CTE %s", part.cte->ctename) : "Statement";
		PlannedStmt *statement = plan_part(&planning, part);
		steps = lappend(steps, plan::make_step(step_for(statement, part.store, label, columns)));
	}
	return make_steps(query, facts, list_concat(planning.reads, steps));
}

} // namespace civitas::planner
