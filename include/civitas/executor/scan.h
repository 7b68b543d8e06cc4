/*
 * scan.h: the CustomScan nodes that run a RemoteQuery.
 *
 * The planner puts `remote_scan_methods` into a CustomScan whose custom_private holds a RemoteQuery
 * (plan/remote_query.h) and whose custom_scan_tlist describes the remote rows (scanrelid = 0). With
 * command CMD_INSERT and a child in custom_plans, the child's rows are inserted (INSERT .. SELECT
 * through this node).
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "nodes/extensible.h"
CIVITAS_PG_END

namespace civitas::executor {

/* Reads rows or makes changes by remote tasks; registered under this name for plan serialization.
 */
extern const CustomScanMethods remote_scan_methods;
/* INSERT .. SELECT: pulls rows from custom_plans[0], routes them to shards. */
extern const CustomScanMethods insert_select_methods;
/* UPDATE and DELETE of the rows that custom_plans[0] found and locked: their ctids come first, then
 * the distribution column where there is one, then what the template's VALUES want. */
extern const CustomScanMethods modify_rows_methods;

/* Runs the steps of a statement (plan/steps.h), one after the other. */
extern const CustomScanMethods steps_methods;

/* Told of each run of a remote query, and of each statement once; null: nobody asks. */
extern void (*execution_hook)(bool multi_shard);
extern void (*statement_hook)(uint64 query_id, bool insert_select, const char *partition_key);
/* Whether the latter is wanted now. */
extern bool (*statements_wanted_hook)();

/* Until the end of the nesting level of settings, statements open one session to each node. */
void use_one_session_per_node();

void scan_init();

} // namespace civitas::executor
