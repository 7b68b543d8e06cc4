/*
 * insert.cpp: INSERT.
 *
 *   VALUES   The rows' expressions are evaluated here, once each, and routed; the template holds
 *            everything else: the column list, ON CONFLICT, RETURNING, and a hole for the rows of
 *            a shard.
 *   SELECT   (and VALUES with subqueries) The SELECT is planned like any other and is the child of
 *            the node that routes its rows.
 *
 * The rewriter has put defaults into the target list. The distribution column is always among the
 * columns, as NULL when the statement leaves it out: that decides the shard, too.
 */
#include "internal.h"

#include "civitas/catalog/nodes.h"

#include "civitas/deparse/query_template.h"
#include "civitas/executor/scan.h"
#include "civitas/pg/columns.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::planner {

bool is_identity(Oid relid, AttrNumber attno)
{
	HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(attno));
	if (!HeapTupleIsValid(tuple))
		return false;
	const bool identity =
		reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple))->attidentity != '\0';
	ReleaseSysCache(tuple);
	return identity;
}

namespace {

/*
 * ON CONFLICT ON CONSTRAINT names an index that has another name on each shard: its columns say the
 * same.
 */
void infer_by_columns(Query *query)
{
	OnConflictExpr *conflict = query->onConflict;
	if (conflict == nullptr || !OidIsValid(conflict->constraint))
		return;
	const Oid index = get_constraint_index(conflict->constraint);
	HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("constraint of ON CONFLICT does not exist")));
	const Form_pg_index form = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
	if (!form->indisunique)
		raise_unsupported("ON CONFLICT ON CONSTRAINT needs a unique or primary key constraint.");
	const Oid relid = form->indrelid;
	List *elements = NIL;
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		const AttrNumber attno = form->indkey.values[i];
		Oid type;
		int32 typmod;
		Oid collation;
		get_atttypetypmodcoll(relid, attno, &type, &typmod, &collation);
		InferenceElem *element = makeNode(InferenceElem);
		element->expr = reinterpret_cast<Node *>(
			makeVar(query->resultRelation, attno, type, typmod, collation, 0));
		elements = lappend(elements, element);
	}
	ReleaseSysCache(tuple);
	conflict->arbiterElems = elements;
	conflict->arbiterWhere = nullptr;
	conflict->constraint = InvalidOid;
}

/* The target list as (column, expression) with the distribution column in it, ordered by column
 * number. */
List *complete_target_list(Query *query, const catalog::Table& table)
{
	List *result = NIL;
	bool has_key = false;
	ListCell *cell;
	foreach (cell, query->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		if (entry->resjunk)
			continue;
		has_key |= entry->resno == table.distribution_attno;
		result = lappend(result, entry);
	}
	AttrNumber missing = table.distribution_attno;
	if (missing == 0 && result == NIL)
	{
		/* DEFAULT VALUES without any default: name some column. */
		for (missing = 1; pg::column_name(table.relid, missing) == nullptr; missing++)
			if (missing > MaxHeapAttributeNumber)
				raise_unsupported("The table has no column.");
	}
	if (missing != 0 && !has_key)
	{
		Oid type;
		int32 typmod;
		Oid collation;
		get_atttypetypmodcoll(table.relid, missing, &type, &typmod, &collation);
		Const *null = makeNullConst(type, typmod, collation);
		result = lappend(result, makeTargetEntry(reinterpret_cast<Expr *>(null), missing,
												 get_attname(table.relid, missing, false), false));
	}
	return result;
}

/* The VALUES list that the rows come from, if it is one. */
RangeTblEntry *find_values(Query *query, Index *index)
{
	ListCell *cell;
	foreach (cell, query->jointree->fromlist)
	{
		*index = static_cast<Index>(lfirst_node(RangeTblRef, cell)->rtindex);
		RangeTblEntry *rte = rt_fetch(*index, query->rtable);
		if (rte->rtekind == RTE_VALUES)
			return rte;
	}
	return nullptr;
}

/* Whether the rows are more than the expressions of one VALUES list: a rule's condition and its own
 * VALUES make a query of it. */
bool reads_table(Query *query)
{
	int lists = 0;
	ListCell *cell;
	foreach (cell, query->jointree->fromlist)
	{
		if (!IsA(lfirst(cell), RangeTblRef))
			return true;
		const RangeTblEntry *rte = rt_fetch(lfirst_node(RangeTblRef, cell)->rtindex, query->rtable);
		if (rte->rtekind != RTE_VALUES && rte->rtekind != RTE_RESULT)
			return true;
		lists += rte->rtekind == RTE_VALUES;
	}
	return lists > 1 || query->jointree->quals || query->hasSubLinks || query->cteList != NIL ||
		   query->hasTargetSRFs;
}

struct RowContext
{
	Index values; /* range table index of VALUES */
	List *row;
};

Node *substitute_row(Node *node, void *context)
{
	const RowContext *row = static_cast<const RowContext *>(context);
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Var) && static_cast<Index>(castNode(Var, node)->varno) == row->values)
		return static_cast<Node *>(
			copyObjectImpl(list_nth(row->row, castNode(Var, node)->varattno - 1)));
	return pg::mutate_children(node, substitute_row, context);
}

/* On a node that is not the coordinator, sequences too small to be split among nodes are asked of
 * it. */
Node *ask_coordinator(Node *node, void *context)
{
	const Oid function = *static_cast<const Oid *>(context);
	if (node == nullptr)
		return nullptr;
	Node *copy = pg::mutate_children(node, ask_coordinator, context);
	if (IsA(copy, FuncExpr) && castNode(FuncExpr, copy)->funcid == F_NEXTVAL)
	{
		FuncExpr *call = castNode(FuncExpr, copy);
		Node *argument = static_cast<Node *>(linitial(call->args));
		if (IsA(argument, Const) && !castNode(Const, argument)->constisnull)
		{
			HeapTuple tuple = SearchSysCache1(SEQRELID, castNode(Const, argument)->constvalue);
			if (HeapTupleIsValid(tuple))
			{
				/* pg_sequence: seqrelid, seqtypid, ... */
				bool null;
				const Oid type = DatumGetObjectId(SysCacheGetAttr(SEQRELID, tuple, 2, &null));
				ReleaseSysCache(tuple);
				if (type != INT8OID)
					call->funcid = function;
			}
		}
	}
	else if (IsA(copy, NextValueExpr) && castNode(NextValueExpr, copy)->typeId != INT8OID)
	{
		const NextValueExpr *next = castNode(NextValueExpr, copy);
		Const *sequence = makeConst(REGCLASSOID, -1, InvalidOid, sizeof(Oid),
									ObjectIdGetDatum(next->seqid), false, true);
		FuncExpr *call = makeFuncExpr(function, INT8OID, list_make1(sequence), InvalidOid,
									  InvalidOid, COERCE_EXPLICIT_CALL);
		return coerce_to_target_type(nullptr, reinterpret_cast<Node *>(call), INT8OID, next->typeId,
									 -1, COERCION_EXPLICIT, COERCE_EXPLICIT_CAST, -1);
	}
	return copy;
}

} // namespace

Node *with_sequences(Node *node)
{
	if (catalog::is_coordinator() || !has_sequence_function(node))
		return node;
	Oid type = REGCLASSOID;
	Oid function = LookupFuncName(list_make2(makeString(pstrdup("citus_internal")),
											 makeString(pstrdup("coordinator_nextval"))),
								  1, &type, true);
	return OidIsValid(function) ? ask_coordinator(node, &function) : node;
}

namespace {

List *evaluated_rows(Query *query, List *columns)
{
	RowContext context = {0, NIL};
	RangeTblEntry *values = find_values(query, &context.values);
	List *rows = NIL;
	const int count = values ? list_length(values->values_lists) : 1;
	for (int i = 0; i < count; i++)
	{
		List *row = NIL;
		if (values)
			context.row = static_cast<List *>(list_nth(values->values_lists, i));
		ListCell *cell;
		foreach (cell, columns)
		{
			Node *expr = reinterpret_cast<Node *>(lfirst_node(TargetEntry, cell)->expr);
			expr =
				values ? substitute_row(expr, &context) : static_cast<Node *>(copyObjectImpl(expr));
			row = lappend(row, expression_planner(reinterpret_cast<Expr *>(with_sequences(expr))));
		}
		rows = lappend(rows, row);
	}
	return rows;
}

/* The INSERT without its rows, as a template. */
void make_insert_template(Query *query, List *columns, const catalog::Table& table,
						  plan::RemoteQuery *remote, Parameters *parameters)
{
	Query *shipped = static_cast<Query *>(copyObjectImpl(query));
	adapt_insert(shipped, columns, table);
	/* Parameters of the rest (ON CONFLICT, RETURNING); what the rows need is evaluated here. */
	shipped->targetList = NIL;
	shipped->jointree = makeFromExpr(NIL, nullptr);
	shipped->cteList = read_ctes(shipped, reinterpret_cast<Node *>(shipped->onConflict));
	ListCell *cell;
	foreach (cell, shipped->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		if (rte->rtekind == RTE_SUBQUERY || rte->rtekind == RTE_VALUES ||
			rte->rtekind == RTE_FUNCTION || rte->rtekind == RTE_CTE)
		{
			rte->rtekind = RTE_RESULT;
			rte->subquery = nullptr;
			rte->functions = NIL;
			rte->values_lists = NIL;
		}
	}
	shipped = castNode(Query, extract_parameters(reinterpret_cast<Node *>(shipped), parameters));

	int number = 0;
	foreach (cell, columns)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		Oid type;
		int32 typmod;
		Oid collation;
		get_atttypetypmodcoll(table.relid, entry->resno, &type, &typmod, &collation);
		Param *marker = makeNode(Param);
		marker->paramkind = PARAM_EXTERN;
		marker->paramid = deparse::VALUES_MARKER + number;
		marker->paramtype = type;
		marker->paramtypmod = typmod;
		marker->paramcollid = collation;
		marker->location = -1;
		if (entry->resno == table.distribution_attno)
			remote->distribution_position = number;
		remote->insert_columns = lappend(remote->insert_columns,
										 makeString(get_attname(table.relid, entry->resno, false)));
		remote->insert_types = lappend_oid(remote->insert_types, type);
		shipped->targetList =
			lappend(shipped->targetList,
					makeTargetEntry(reinterpret_cast<Expr *>(marker), entry->resno,
									get_attname(table.relid, entry->resno, false), false));
		number++;
	}
	const deparse::QueryTemplate text = deparse::make_query_template(shipped);
	remote->pieces = text.pieces;
	remote->holes = text.holes;
	remote->parameter_types = parameters->types;
}

PlannedStmt *plan_insert_select(Query *query, List *columns, const Facts& facts,
								const catalog::Table& table, plan::RemoteQuery *remote,
								List *parameters, const char *text, int options,
								ParamListInfo params)
{
	PlannedStmt *statement =
		plan_select(insert_select_source(query, columns), text, options, params);

	/* The target and ON CONFLICT's entries; those of the SELECT are there already. */
	Facts own = facts;
	own.range_tables = own.rights = NIL;
	ListCell *cell;
	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		if (rte->rtekind != RTE_RELATION)
			continue;
		own.range_tables = lappend(own.range_tables, rte);
		own.rights = lappend(own.rights, pg::rights_of(query, rte));
	}
	add_range_tables(statement, query, own);

	return write_rows(statement, query, remote, parameters, table.relid);
}

} // namespace

Query *insert_select_source(Query *query, List *columns)
{
	Query *select = static_cast<Query *>(copyObjectImpl(query));
	select->commandType = CMD_SELECT;
	select->onConflict = nullptr;
	select->returningList = NIL;
	select->override = OVERRIDING_NOT_SET;
	select->withCheckOptions = NIL;
	RangeTblEntry *target = rt_fetch(select->resultRelation, select->rtable);
	RangeTblEntry *nothing = makeNode(RangeTblEntry);
	nothing->rtekind = RTE_RESULT;
	nothing->eref = target->eref;
	*target = *nothing;
	select->resultRelation = 0;
	select->canSetTag = true;
	/* An INSERT's source is not marked as an item of FROM; a SELECT that is to be printed needs it.
	 */
	ListCell *item;
	foreach (item, select->rtable)
		lfirst_node(RangeTblEntry, item)->inFromCl = true;

	select->targetList = NIL;
	ListCell *cell;
	foreach (cell, columns)
	{
		TargetEntry *entry = static_cast<TargetEntry *>(copyObjectImpl(lfirst(cell)));
		entry->resno = static_cast<AttrNumber>(list_length(select->targetList) + 1);
		entry->expr =
			reinterpret_cast<Expr *>(with_sequences(reinterpret_cast<Node *>(entry->expr)));
		select->targetList = lappend(select->targetList, entry);
	}
	return select;
}

void adapt_insert(Query *query, List *columns, const catalog::Table& table)
{
	infer_by_columns(query);
	ListCell *cell;
	foreach (cell, columns)
		if (is_identity(table.relid, lfirst_node(TargetEntry, cell)->resno))
			query->override = OVERRIDING_SYSTEM_VALUE;
}

PlannedStmt *write_rows(PlannedStmt *statement, Query *query, plan::RemoteQuery *remote,
						List *parameters, Oid relid)
{
	CustomScan *scan = makeNode(CustomScan);
	Index index;
	scan->custom_scan_tlist = remote_target_list(statement, query->returningList, &index);
	scan->scan.plan.targetlist = index_var_list(scan->custom_scan_tlist, query->returningList);
	scan->custom_relids = bms_make_singleton(index);
	scan->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	scan->custom_plans = list_make1(statement->planTree);
	plan::set_remote_query(scan, remote, parameters, NIL, NIL);
	scan->methods = query->commandType == CMD_INSERT ? &executor::insert_select_methods
													 : &executor::modify_rows_methods;
	scan->scan.plan.startup_cost = statement->planTree->startup_cost;
	scan->scan.plan.total_cost = statement->planTree->total_cost;
	scan->scan.plan.plan_rows = query->returningList ? statement->planTree->plan_rows : 0;
	remote->tier = plan::Tier::General;
	const bool by_place = query->commandType != CMD_INSERT;
	statement->dependsOnRole |= by_place;
	if (query->resultRelation)
	{
		RangeTblEntry *target = rt_fetch(query->resultRelation, query->rtable);
		remote->run_as = (by_place ? role_for_places : role_for_shards)(
			list_make1(pg::rights_of(query, target)),
			reinterpret_cast<Node *>(query->returningList));
	}
	remote->command = query->commandType;
	remote->relations = list_make1_oid(relid);
	remote->returns_rows = query->returningList != NIL;
	remote->binary_results = binary_capable(query->returningList);

	statement->planTree = &scan->scan.plan;
	statement->commandType = query->commandType;
	statement->hasReturning = returns_to_client(query);
	statement->queryId = query->queryId;
	statement->canSetTag = query->canSetTag;
	statement->parallelModeNeeded = false;
	return statement;
}

PlannedStmt *plan_insert(Query *query, const Facts& facts, const char *text, int options,
						 ParamListInfo params)
{
	const RangeTblEntry *rte = rt_fetch(query->resultRelation, query->rtable);
	if (!deparse::is_sharded_rte(rte))
	{
		/* A local table filled from distributed ones: PostgreSQL's INSERT over our SELECT. */
		if (writes_in_with(query))
			return plan_steps(query, facts, text, options, params);
		return plan_general(query, facts, text, options, params, "it inserts into a local table");
	}
	const catalog::Table& table = catalog::get_table(rte->relid);
	check_conflict_action(query, facts, table);
	add_check_options(query);
	if (writes_in_with(query))
		return plan_steps(query, facts, text, options, params);
	if (returning_stays_here(query))
		return plan_returning_here(query, facts, text, options, params);

	List *columns = complete_target_list(query, table);
	plan::RemoteQuery *remote = plan::make_remote_query();
	remote->read_only = false;
	remote->on_conflict = query->onConflict != nullptr;
	remote->tier = plan::Tier::FastPath;
	remote->anchor = table.relid;
	if (table.kind == catalog::TableKind::Reference)
	{
		remote->target = plan::Target::AllReplicas;
		remote->pruning = plan::Pruning::All;
	}
	else
	{
		remote->target = plan::Target::ShardGroups;
		remote->pruning =
			table.kind == catalog::TableKind::Hash ? plan::Pruning::Routed : plan::Pruning::All;
	}
	Parameters parameters;
	if (reads_table(query))
	{
		const char *reason = nullptr;
		PlannedStmt *alone = plan_insert_shards(query, columns, facts, table, &reason);
		if (alone)
			return alone;
		check_conflict_reads(query);
		remote->reason = pstrdup(reason);
		make_insert_template(query, columns, table, remote, &parameters);
		return plan_insert_select(query, columns, facts, table, remote, parameters.exprs, text,
								  options, params);
	}
	make_insert_template(query, columns, table, remote, &parameters);
	List *rows = evaluated_rows(query, columns);
	return make_statement(query, remote, query->returningList, parameters.exprs, NIL, rows, facts);
}

} // namespace civitas::planner
