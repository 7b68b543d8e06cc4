/*
 * router.cpp: statements that one shard group answers as a whole (fast path and router tiers).
 *
 * The whole statement goes to one node, whatever SQL it uses, when every distributed table in it is
 * held to the same shard (pinning.cpp) and everything else is a reference table or needs no table.
 * PostgreSQL's planner does not see it here: the node plans it. The fast path is the case of a
 * single table without subqueries: it differs in name only, and in how little there is to find out.
 */
#include "internal.h"

#include "civitas/deparse/query_template.h"

CIVITAS_PG_BEGIN
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

const catalog::Table *first_reference(const Facts& facts)
{
	ListCell *cell;
	foreach (cell, facts.relations)
	{
		const catalog::Table *table = catalog::find_table(lfirst_oid(cell));
		if (table->kind == catalog::TableKind::Reference)
			return table;
	}
	return nullptr;
}

/* Whether the changes in WITH may be left to a shard: no check option, no other distribution
 * column. */
bool with_fits_one_shard(const Query *query)
{
	ListCell *cell;
	foreach (cell, query->cteList)
	{
		const Query *body = castNode(Query, lfirst_node(CommonTableExpr, cell)->ctequery);
		if (body->commandType == CMD_SELECT)
			continue;
		const RangeTblEntry *rte = rt_fetch(body->resultRelation, body->rtable);
		const catalog::Table *table = catalog::find_table(rte->relid);
		ListCell *assigned;
		if (body->withCheckOptions != NIL || table == nullptr)
			return false;
		/* Its condition drops no row. */
		if (body->commandType == CMD_MERGE)
			return false;
		foreach (assigned, body->commandType == CMD_UPDATE ? body->targetList : NIL)
			if (lfirst_node(TargetEntry, assigned)->resno == table->distribution_attno)
				return false;
	}
	return true;
}

} // namespace

PlannedStmt *plan_router(Query *query, const Facts& facts, ParamListInfo params,
						 const char **reason)
{
	*reason = why_not_shipped(facts);
	if (!*reason && returns_nameless_rows(query->commandType == CMD_SELECT ? query->targetList
																		   : query->returningList))
		*reason = "it returns rows of no named type";
	if (*reason)
		return nullptr;

	plan::RemoteQuery *remote = plan::make_remote_query();
	remote->tier = facts.simple ? plan::Tier::FastPath : plan::Tier::Router;
	List *prune_keys = NIL;
	if (facts.sharded_count == 0)
	{
		if (facts.sharded_writes)
		{
			*reason = "it writes to a reference table in WITH";
			return nullptr;
		}
		remote->target = plan::Target::AnyReplica;
		remote->anchor = first_reference(facts)->relid;
		if (facts.locks)
		{
			/* A row lock must meet writers on every replica: the first placement would do for
			 * writers that lock in order; all of them is the safe choice, rows come from the first.
			 */
			remote->target = plan::Target::AllReplicas;
		}
	}
	else
	{
		const Placement placement = place_on_one_shard(query, params);
		*reason = placement.reason;
		if (!placement.ok)
			return nullptr;
		if (facts.sharded_writes && !with_fits_one_shard(query))
		{
			*reason = "WITH changes data in a way that this node must check";
			return nullptr;
		}
		if (facts.sharded_writes && facts.reference_count > 0)
		{
			*reason = "it writes in WITH and uses reference tables";
			return nullptr;
		}
		remote->target = plan::Target::ShardGroups;
		remote->anchor = placement.anchor->relid;
		remote->run_when_empty = !facts.simple || query->hasAggs;
		if (placement.nothing)
			remote->pruning = plan::Pruning::Nothing;
		else if (placement.key)
		{
			remote->pruning = plan::Pruning::Keys;
			prune_keys = list_make1(expression_planner(placement.key));
			remote->key_kinds = list_make1_int(static_cast<int>(placement.key_kind));
		}
	}
	remote->read_only = query->commandType == CMD_SELECT && !facts.locks && !facts.sharded_writes &&
						!facts.volatile_functions;

	remote->waits_for_rows = query->commandType == CMD_SELECT && facts.waits_for_rows;

	Parameters parameters;
	Query *shipped = castNode(
		Query, extract_parameters(reinterpret_cast<Node *>(copyObjectImpl(query)), &parameters));
	/* Where the client has parameters, what it left constant may be so for a reason: partial
	 * indexes. */
	if (facts.simple && prune_keys != NIL && parameters.exprs == NIL)
		extract_constants(shipped, &parameters);
	const deparse::QueryTemplate text = deparse::make_query_template(shipped);
	remote->pieces = text.pieces;
	remote->holes = text.holes;
	remote->parameter_types = parameters.types;

	List *target_list = query->commandType == CMD_SELECT ? query->targetList : query->returningList;
	return make_statement(query, remote, target_list, parameters.exprs, prune_keys, NIL, facts);
}

} // namespace civitas::planner
