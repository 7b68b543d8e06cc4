/*
 * modify.cpp: UPDATE and DELETE.
 *
 * One shard group where the router can tell, else every shard group on its own: then all tables
 * must be joined to the target on the distribution column, or be reference tables. Whatever else
 * there is finds its rows first (modify_rows.cpp). A reference table is written on every replica
 * with the same statement, so nothing in it may differ from node to node.
 */
#include "internal.h"

#include "civitas/deparse/query_template.h"
#include "civitas/pg/columns.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

constexpr const char *VOLATILE_REASON = "it uses volatile functions";

bool is_target_key(const Query *query, const catalog::Table& target, Node *node)
{
	while (node && IsA(node, RelabelType))
		node = reinterpret_cast<Node *>(castNode(RelabelType, node)->arg);
	return node && IsA(node, Var) && castNode(Var, node)->varno == query->resultRelation &&
		   castNode(Var, node)->varattno == target.distribution_attno &&
		   castNode(Var, node)->varlevelsup == 0;
}

/* Whether WHERE says that the distribution column equals this very value. */
bool held_equal(const Query *query, const catalog::Table& target, Expr *value)
{
	if (!is_execution_constant(reinterpret_cast<Node *>(value)))
		return false;
	Node *folded = eval_const_expressions(nullptr, reinterpret_cast<Node *>(value));
	ListCell *cell;
	foreach (cell, make_ands_implicit(reinterpret_cast<Expr *>(query->jointree->quals)))
	{
		const OpExpr *op = static_cast<const OpExpr *>(lfirst(cell));
		if (!IsA(op, OpExpr) || list_length(op->args) != 2 ||
			!is_hash_equality(op->opno, target.distribution_type, op->inputcollid))
			continue;
		Node *left = static_cast<Node *>(linitial(op->args));
		Node *right = static_cast<Node *>(lsecond(op->args));
		Node *other = is_target_key(query, target, left)	? right
					  : is_target_key(query, target, right) ? left
															: nullptr;
		if (other && equal(eval_const_expressions(nullptr, other), folded))
			return true;
	}
	return false;
}

} // namespace

bool sets_key(Query *query, const catalog::Table& target)
{
	if (query->commandType != CMD_UPDATE || !target.distribution_attno)
		return false;
	ListCell *cell;
	foreach (cell, query->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		if (entry->resjunk || entry->resno != target.distribution_attno ||
			is_target_key(query, target, reinterpret_cast<Node *>(entry->expr)))
			continue;
		if (!held_equal(query, target, entry->expr))
			return true;
		Oid type;
		int32 typmod;
		Oid collation;
		get_atttypetypmodcoll(target.relid, entry->resno, &type, &typmod, &collation);
		entry->expr = reinterpret_cast<Expr *>(
			makeVar(query->resultRelation, entry->resno, type, typmod, collation, 0));
	}
	return false;
}

namespace {

/* SET generated = DEFAULT alone leaves nothing to assign, which has no SQL: assign a column to
 * itself. */
void assign_something(Query *query, const catalog::Table& target)
{
	ListCell *cell;
	if (query->commandType != CMD_UPDATE)
		return;
	foreach (cell, query->targetList)
		if (!lfirst_node(TargetEntry, cell)->resjunk)
			return;
	AttrNumber attno = 1;
	const char *name = nullptr;
	for (; attno <= MaxHeapAttributeNumber; attno++)
	{
		name = pg::column_name(target.relid, attno);
		if (name != nullptr && get_attgenerated(target.relid, attno) == '\0')
			break;
	}
	if (attno > MaxHeapAttributeNumber)
		raise_unsupported("The table has generated columns only.");
	Oid type;
	int32 typmod;
	Oid collation;
	get_atttypetypmodcoll(target.relid, attno, &type, &typmod, &collation);
	Var *column = makeVar(query->resultRelation, attno, type, typmod, collation, 0);
	query->targetList =
		lcons(makeTargetEntry(reinterpret_cast<Expr *>(column), attno, pstrdup(name), false),
			  query->targetList);
}

PlannedStmt *plan_shipped(Query *query, const Facts& facts, plan::RemoteQuery *remote, List *keys)
{
	remote->read_only = false;
	Parameters parameters;
	Query *shipped = castNode(
		Query, extract_parameters(reinterpret_cast<Node *>(copyObjectImpl(query)), &parameters));
	const deparse::QueryTemplate text = deparse::make_query_template(shipped);
	remote->pieces = text.pieces;
	remote->holes = text.holes;
	remote->parameter_types = parameters.types;
	return make_statement(query, remote, query->returningList, parameters.exprs, keys, NIL, facts);
}

PlannedStmt *plan_reference(Query *query, const Facts& facts, const catalog::Table& target,
							const char *text, int options, ParamListInfo params)
{
	const char *reason = why_not_shipped(facts);
	if (reason == nullptr && facts.volatile_functions)
		reason = VOLATILE_REASON;
	if (facts.sharded_count > 0)
		reason = "it uses distributed tables";
	if (reason)
		return plan_modify_rows(query, facts, &target, text, options, params, reason);
	plan::RemoteQuery *remote = plan::make_remote_query();
	remote->tier = facts.simple ? plan::Tier::Router : plan::Tier::Pushdown;
	remote->anchor = target.relid;
	remote->target = plan::Target::AllReplicas;
	return plan_shipped(query, facts, remote, NIL);
}

/* Every shard group does its part alone. */
PlannedStmt *plan_shard_groups(Query *query, const Facts& facts, const catalog::Table& target,
							   const char *reason)
{
	plan::RemoteQuery *remote = plan::make_remote_query();
	remote->tier = facts.simple ? plan::Tier::Router : plan::Tier::Pushdown;
	remote->anchor = target.relid;
	remote->reason = reason ? pstrdup(reason) : nullptr;
	remote->target = plan::Target::ShardGroups;
	List *keys = NIL;
	bool nothing;
	if (find_prune_keys(target,
						make_ands_implicit(reinterpret_cast<Expr *>(query->jointree->quals)),
						query->resultRelation, &keys, &remote->key_kinds, &nothing))
		remote->pruning = nothing ? plan::Pruning::Nothing : plan::Pruning::Keys;
	ListCell *cell;
	foreach (cell, keys)
		lfirst(cell) = expression_planner(static_cast<Expr *>(lfirst(cell)));
	return plan_shipped(query, facts, remote, keys);
}

} // namespace

const char *why_not_shipped(const Facts& facts)
{
	if (facts.local_relations)
		return "it uses tables that are on this node only";
	if (facts.unknown)
		return "it has parts that are not known to be the same on every node";
	if (facts.local_rows)
		return "it uses rows that are on this node only";
	if (facts.security_quals)
		return "row security or a security barrier applies";
	if (facts.here != nullptr)
		return facts.here;
	if (facts.local_objects)
		return "it uses functions or collations that are not on every node";
	if (facts.parts_computed)
		return "it assigns to parts of a value that is computed";
	if (facts.tableoid)
		return "it computes with tableoid, which is another number on each node";
	return nullptr;
}

PlannedStmt *plan_modify(Query *query, const Facts& facts, const char *text, int options,
						 ParamListInfo params)
{
	const RangeTblEntry *rte = rt_fetch(query->resultRelation, query->rtable);
	if (query->jointree->quals != nullptr && IsA(query->jointree->quals, CurrentOfExpr))
		raise_unsupported(
			"The rows of a cursor come from shards: WHERE CURRENT OF does not know them.",
			"Use the row's key in WHERE.");
	/* PostgreSQL knows how a foreign table's rows are found again. */
	if (rte->relkind == RELKIND_FOREIGN_TABLE && !writes_in_with(query))
		return plan_general(query, facts, text, options, params, "it changes a foreign table");
	add_check_options(query);
	if (!deparse::is_sharded_rte(rte))
	{
		if (writes_in_with(query))
			return plan_steps(query, facts, text, options, params);
		/* A view with INSTEAD OF triggers: they are called here, for rows that a SELECT finds. */
		if (rte->relkind == RELKIND_VIEW)
			return plan_general(query, facts, text, options, params, "it changes a view");
		if (returning_stays_here(query))
			return plan_returning_here(query, facts, text, options, params);
		return plan_modify_rows(query, facts, nullptr, text, options, params,
								"it changes a local table");
	}
	const catalog::Table& target = catalog::get_table(rte->relid);
	refuse_unchecked_keys(rte->relid, query->commandType == CMD_UPDATE ? query->targetList : NIL);
	const bool moves = sets_key(query, target);
	assign_something(query, target);

	const char *reason = nullptr;
	if (!moves && target.kind != catalog::TableKind::Reference)
	{
		PlannedStmt *routed = plan_router(query, facts, params, &reason);
		if (routed)
			return routed;
	}
	if (writes_in_with(query))
		return plan_steps(query, facts, text, options, params);
	if (returning_stays_here(query))
		return plan_returning_here(query, facts, text, options, params);
	if (target.kind == catalog::TableKind::Reference)
		return plan_reference(query, facts, target, text, options, params);
	const char *alone = moves ? "it sets the distribution column" : why_not_shipped(facts);
	if (alone == nullptr && facts.volatile_functions)
		alone = VOLATILE_REASON;
	if (alone == nullptr)
	{
		const Placement placement = place_on_target_shards(query);
		if (placement.ok)
			return plan_shard_groups(query, facts, target, reason);
		alone = placement.reason;
	}
	return plan_modify_rows(query, facts, &target, text, options, params, alone);
}

PlannedStmt *plan_modify_early(Query *query, const Facts& facts, const char *text, int options,
							   ParamListInfo params, EarlyRows *early)
{
	const catalog::Table& target =
		catalog::get_table(rt_fetch(query->resultRelation, query->rtable)->relid);
	add_check_options(query);
	refuse_unchecked_keys(target.relid, query->commandType == CMD_UPDATE ? query->targetList : NIL);
	assign_something(query, target);
	if (returning_stays_here(query))
		raise_unsupported("RETURNING needs this node, and the table is changed more than once.");
	return plan_modify_rows(query, facts, &target, text, options, params,
							"an earlier part of the statement changes the same table", early);
}

} // namespace civitas::planner
