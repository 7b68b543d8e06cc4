/*
 * modify.cpp: UPDATE and DELETE.
 *
 * One shard group where the router can tell, else every shard group on its own: then all tables
 * must be joined to the target on the distribution column, or be reference tables. A reference
 * table is written on every replica with the same statement, so nothing in it may differ from node
 * to node.
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

void check_modify(Query *query, const Facts& facts)
{
	if (query->withCheckOptions != NIL)
		raise_unsupported("The statement writes through a view WITH CHECK OPTION or a row security "
						  "policy.");
	if (facts.local_relations)
		raise_unsupported("A distributed table cannot be changed in one statement with tables that "
						  "are on this node only.",
						  "Make the other table a reference table.");
	if (returns_nameless_rows(query->returningList))
		raise_unsupported("RETURNING gives rows of no named type.",
						  "Return the columns, or cast the row to a type.");
	if (facts.security_quals)
		raise_unsupported("Row security or a security barrier view applies.");
	if (facts.sharded_writes)
		raise_unsupported("WITH changes a table of another shard group.");
	if (facts.sequence_functions)
		raise_unsupported("Sequence functions in UPDATE and DELETE would run on the nodes.");
	if (facts.local_objects)
		raise_unsupported("The statement uses functions that are not on every node.");
	if (facts.volatile_functions)
		raise_unsupported("Volatile functions are allowed only where one shard group is changed.",
						  "Restrict the distribution column to one value.");
}

} // namespace

PlannedStmt *plan_modify(Query *query, const Facts& facts, ParamListInfo params)
{
	const RangeTblEntry *rte = rt_fetch(query->resultRelation, query->rtable);
	if (!deparse::is_sharded_rte(rte))
		raise_unsupported("A local table cannot be changed from distributed tables.",
						  "Read the rows into a temporary table first.");
	if (query->jointree->quals != nullptr && IsA(query->jointree->quals, CurrentOfExpr))
		raise_unsupported(
			"The rows of a cursor come from shards: WHERE CURRENT OF does not know them.",
			"Use the row's key in WHERE.");
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
	check_modify(query, facts);

	plan::RemoteQuery *remote = plan::make_remote_query();
	remote->tier = facts.simple ? plan::Tier::Router : plan::Tier::Pushdown;
	remote->read_only = false;
	remote->anchor = target.relid;
	remote->reason = reason ? pstrdup(reason) : nullptr;
	List *keys = NIL;
	if (target.kind == catalog::TableKind::Reference)
	{
		if (facts.sharded_count > 0)
			raise_unsupported("A reference table cannot be changed from distributed tables.",
							  "Read the rows into a temporary table first.");
		remote->target = plan::Target::AllReplicas;
	}
	else
	{
		const Placement placement = place_on_target_shards(query);
		if (!placement.ok)
			raise_unsupported(
				psprintf("The shard groups cannot do their parts alone: %s.", placement.reason));
		remote->target = plan::Target::ShardGroups;
		bool nothing;
		if (find_prune_keys(target,
							make_ands_implicit(reinterpret_cast<Expr *>(query->jointree->quals)),
							query->resultRelation, &keys, &remote->key_is_array, &nothing))
			remote->pruning = nothing ? plan::Pruning::Nothing : plan::Pruning::Keys;
		ListCell *cell;
		foreach (cell, keys)
			lfirst(cell) = expression_planner(static_cast<Expr *>(lfirst(cell)));
	}

	Parameters parameters;
	Query *shipped = castNode(
		Query, extract_parameters(reinterpret_cast<Node *>(copyObjectImpl(query)), &parameters));
	const deparse::QueryTemplate text = deparse::make_query_template(shipped);
	remote->pieces = text.pieces;
	remote->holes = text.holes;
	remote->parameter_types = parameters.types;
	return make_statement(query, remote, query->returningList, parameters.exprs, keys, NIL, facts);
}

} // namespace civitas::planner
