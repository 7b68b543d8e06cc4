/*
 * fired_rows.h: rows that fired a trigger on a shard, on their way to the node that was asked.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "commands/trigger.h"
#include "nodes/execnodes.h"
CIVITAS_PG_END

namespace civitas::executor {

/* Whether what the trigger's function does waits for the end of the statement on the node that was
 * asked: it fires after the row, and need not wait for the end of the transaction. */
bool fires_where_asked(const Trigger& trigger);

/* Keeps rows of `table`, in its own row type (null: none), that fired its trigger here. */
void keep_fired_row(Relation table, const Trigger& trigger, TriggerEvent event, HeapTuple old_row,
					HeapTuple new_row);

/* Whether a change of the table's rows can fire triggers whose rows must be fetched; also through
 * foreign keys that take other tables' rows along. */
bool may_keep_fired_rows(Relation table);

/* Fetches what this statement fired on all nodes, and calls the functions. target: the statement's
 * own table, whose triggers with transition tables fire also without rows; null: none. changes: as in
 * StatementTriggers. */
void fire_for_kept_rows(const ResultRelInfo *target, AclMode changes);

/* Without triggers that have transition tables: those are fired by fire_for_kept_rows(). */
TriggerDesc *without_transition_tables(TriggerDesc *triggers);

} // namespace civitas::executor
