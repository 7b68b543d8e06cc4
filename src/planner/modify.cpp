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

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

constexpr const char *VOLATILE_REASON = "it uses volatile functions";

/* An UPDATE may set the distribution column only to itself. */
void check_assignments(Query *query, const catalog::Table& target)
{
	if (query->commandType != CMD_UPDATE || !target.distribution_attno)
		return;
	ListCell *cell;
	foreach (cell, query->targetList)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		if (entry->resjunk || entry->resno != target.distribution_attno)
			continue;
		if (IsA(entry->expr, Var) &&
			reinterpret_cast<Var *>(entry->expr)->varno == query->resultRelation &&
			reinterpret_cast<Var *>(entry->expr)->varattno == target.distribution_attno)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot change the value of distribution column \"%s\" of table \"%s\"",
						entry->resname, get_rel_name(target.relid)),
				 errhint("Delete the row and insert it with the new value in one transaction.")));
	}
}

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
		name = get_attname(target.relid, attno, true);
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

PlannedStmt *plan_reference(Query *query, const Facts& facts, const catalog::Table& target)
{
	const char *reason = why_not_shipped(facts);
	if (reason == nullptr && facts.volatile_functions)
		reason = VOLATILE_REASON;
	if (facts.sharded_count > 0)
		reason = "it uses distributed tables";
	if (reason)
		raise_unsupported(
			psprintf("Every replica of a reference table must run the statement, and %s.", reason),
			"Read the rows into a temporary table first, and change the table by its key.");
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
						query->resultRelation, &keys, &remote->key_is_array, &nothing))
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
	if (facts.local_rows)
		return "it uses rows that are on this node only";
	if (facts.security_quals)
		return "row security or a security barrier applies";
	if (facts.sequence_functions)
		return "it uses sequence functions";
	if (facts.local_objects)
		return "it uses functions that are not on every node";
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
	if (!deparse::is_sharded_rte(rte))
	{
		if (facts.sharded_writes)
			raise_unsupported("WITH changes a distributed table.");
		return plan_modify_rows(query, facts, nullptr, text, options, params,
								"it changes a local table");
	}
	const catalog::Table& target = catalog::get_table(rte->relid);
	check_assignments(query, target);
	assign_something(query, target);

	const char *reason = nullptr;
	if (target.kind != catalog::TableKind::Reference && query->withCheckOptions == NIL)
	{
		PlannedStmt *routed = plan_router(query, facts, params, &reason);
		if (routed)
			return routed;
	}
	if (query->withCheckOptions != NIL)
		raise_unsupported("The statement writes through a view WITH CHECK OPTION or a row security "
						  "policy.");
	if (facts.sharded_writes || (facts.local_writes && query->hasModifyingCTE))
		raise_unsupported("WITH changes a table of another shard group.");
	if (returns_nameless_rows(query->returningList))
		raise_unsupported("RETURNING gives rows of no named type.",
						  "Return the columns, or cast the row to a type.");
	if (target.kind == catalog::TableKind::Reference)
		return plan_reference(query, facts, target);
	const char *alone = why_not_shipped(facts);
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

} // namespace civitas::planner
