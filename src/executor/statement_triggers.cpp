/*
 * statement_triggers.cpp: statement-level triggers, once, where the statement was asked.
 *
 * The nodes change shards, each with a statement of its own; none of them is the user's. So the
 * triggers that are for the statement stand on the table alone and are fired by whoever carries it
 * out: before the first change is sent, and, queued as PostgreSQL queues them, after the last.
 */
#include "civitas/catalog/propagation.h"
#include "civitas/catalog/tables.h"
#include "civitas/pg/compat.h"
#include "execution.h"
#include "fired_rows.h"

CIVITAS_PG_BEGIN
#include "access/table.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"
CIVITAS_PG_END

namespace civitas::executor {

namespace {

bool has_statement_triggers(const TriggerDesc *triggers)
{
	return triggers != nullptr &&
		   (triggers->trig_insert_before_statement || triggers->trig_insert_after_statement ||
			triggers->trig_update_before_statement || triggers->trig_update_after_statement ||
			triggers->trig_delete_before_statement || triggers->trig_delete_after_statement);
}

AclMode right_to(CmdType command)
{
	switch (command)
	{
	case CMD_INSERT:
		return ACL_INSERT;
	case CMD_UPDATE:
		return ACL_UPDATE;
	case CMD_DELETE:
		return ACL_DELETE;
	default:
		return ACL_INSERT | ACL_UPDATE | ACL_DELETE;
	}
}

/* What the statement does to the relation: the rights that it asks for. 0: not its target. */
AclMode changes_of(EState *estate, Index number, CmdType command)
{
	const auto *rte = list_nth_node(RangeTblEntry, estate->es_range_table, number - 1);
	const pg::Rights *rights = pg::rights_in(estate, rte);
	const AclMode asked = rights == nullptr ? 0 : rights->requiredPerms;
	if ((asked & right_to(command)) == 0)
		return 0;
	/* INSERT .. ON CONFLICT DO UPDATE is both. */
	return asked & (command == CMD_INSERT ? ACL_INSERT | ACL_UPDATE : right_to(command));
}

/* The place of the statement's target among its relations; 0: it has no triggers to fire. */
Index target_of(EState *estate, const plan::RemoteQuery *query)
{
	Index found = 0;
	ListCell *cell;
	foreach (cell, estate->es_range_table)
	{
		const auto *rte = lfirst_node(RangeTblEntry, cell);
		const Index number = foreach_current_index(cell) + 1;
		if (rte->rtekind != RTE_RELATION || !list_member_oid(query->relations, rte->relid) ||
			changes_of(estate, number, query->command) == 0)
			continue;
		if (rte->relid == query->anchor)
			return number;
		if (found == 0)
			found = number;
	}
	return found;
}

} // namespace

ResultRelInfo *trigger_target(Relation relation, Index number)
{
	if (!has_statement_triggers(relation->trigdesc))
		return nullptr;
	auto *target = makeNode(ResultRelInfo);
	InitResultRelInfo(target, relation, number, nullptr, 0);
	target->ri_TrigDesc = without_transition_tables(target->ri_TrigDesc);
	return target;
}

void fire_before_statement(EState *estate, ResultRelInfo *target, AclMode changes)
{
	if (changes & ACL_INSERT)
		ExecBSInsertTriggers(estate, target);
	if (changes & ACL_UPDATE)
		ExecBSUpdateTriggers(estate, target);
	if (changes & ACL_DELETE)
		ExecBSDeleteTriggers(estate, target);
}

void fire_after_statement(EState *estate, ResultRelInfo *target, AclMode changes)
{
	if (changes & ACL_DELETE)
		ExecASDeleteTriggers(estate, target, nullptr);
	if (changes & ACL_UPDATE)
		ExecASUpdateTriggers(estate, target, nullptr);
	if (changes & ACL_INSERT)
		ExecASInsertTriggers(estate, target, nullptr);
}

/* As PostgreSQL's COPY: an executor's state for nothing but the triggers. */
uint64 copy_with_triggers(ParseState *state, Relation relation, uint64 (*copy)(void *),
						  void *argument)
{
	const bool rows = may_keep_fired_rows(relation);
	if (!rows && !has_statement_triggers(relation->trigdesc))
		return copy(argument);
	EState *estate = CreateExecutorState();
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	pg::init_range_table(estate, state);
	ResultRelInfo *target = trigger_target(relation, 1);
	MemoryContextSwitchTo(old);
	AfterTriggerBeginQuery();
	if (target != nullptr)
		ExecBSInsertTriggers(estate, target);
	const uint64 copied = copy(argument);
	if (rows)
		fire_for_kept_rows(target, ACL_INSERT);
	if (target != nullptr)
		ExecASInsertTriggers(estate, target, nullptr);
	AfterTriggerEndQuery(estate);
	ExecResetTupleTable(estate->es_tupleTable, false);
	ExecCloseResultRelations(estate);
	ExecCloseRangeTableRelations(estate);
	FreeExecutorState(estate);
	return copied;
}

StatementTriggers before_statement(EState *estate, const plan::RemoteQuery *query)
{
	StatementTriggers triggers = {nullptr, 0, false};
	const bool fires = query->command != CMD_SELECT && !catalog::moving_rows();
	const Index number = fires ? target_of(estate, query) : 0;
	if (number == 0)
		return triggers;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	Relation relation = pg::open_range_table_relation(estate, number);
	triggers.rows = may_keep_fired_rows(relation);
	triggers.target = trigger_target(relation, number);
	if (triggers.target != nullptr)
	{
		triggers.changes = changes_of(estate, number, query->command);
		fire_before_statement(estate, triggers.target, triggers.changes);
	}
	MemoryContextSwitchTo(old);
	return triggers;
}

void after_statement(EState *estate, const StatementTriggers& triggers)
{
	if (!triggers.fire())
		return;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	if (triggers.rows)
		fire_for_kept_rows(triggers.target, triggers.changes);
	if (triggers.target != nullptr)
		fire_after_statement(estate, triggers.target, triggers.changes);
	MemoryContextSwitchTo(old);
}

} // namespace civitas::executor
