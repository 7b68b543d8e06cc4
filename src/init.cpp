/*
 * init.cpp: the composition root.
 *
 * The library is loaded by shared_preload_libraries; each module registers its settings, hooks and
 * shared memory in dependency order. Nothing here knows more than that order.
 */
#include "civitas/catalog/logical_names.h"
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/tables.h"
#include "civitas/cluster/cluster.h"
#include "civitas/daemon/maintenance.h"
#include "civitas/ddl/absent_settings.h"
#include "civitas/ddl/utility.h"
#include "civitas/executor/scan.h"
#include "civitas/pg/server.h"
#include "civitas/plan/remote_query.h"
#include "civitas/planner/planner.h"
#include "civitas/remote/session.h"
#include "civitas/stats/stats.h"
#include "civitas/txn/transaction.h"

CIVITAS_PG_BEGIN
PG_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);
CIVITAS_PG_END

void _PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("citus can only be loaded at server start"),
				 errhint("Add citus to shared_preload_libraries in postgresql.conf and restart the "
						 "server.")));

	/* Modules, in dependency order: pg, catalog, remote, plan, deparse, planner, txn, executor,
	 * ddl, cluster, stats, daemon. */
	civitas::catalog::nodes_init();
	civitas::catalog::tables_init();
	civitas::remote::session_init();
	civitas::remote::logical_name_hook = civitas::catalog::logical_name;
	civitas::catalog::table_changed_hook = civitas::remote::forget_prepared_statements;
	civitas::plan::plan_init();
	civitas::planner::planner_init();
	civitas::txn::transaction_init();
	civitas::executor::scan_init();
	civitas::ddl::utility_init();
	civitas::cluster::cluster_init();
	civitas::stats::stats_init();
	civitas::remote::session_event_hook = civitas::stats::count_session;
	civitas::executor::execution_hook = civitas::stats::count_execution;
	civitas::executor::statement_hook = civitas::stats::count_statement;
	civitas::executor::statements_wanted_hook = civitas::stats::counts_statements;
	civitas::daemon::maintenance_init();
	/* After all that have settings: what is not known by now is refused. */
	civitas::ddl::absent_settings_init();
}
