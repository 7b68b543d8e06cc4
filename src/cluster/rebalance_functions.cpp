/*
 * rebalance_functions.cpp: rebalancing, as SQL functions.
 *
 * A plan is carried out in one of two ways. In the foreground (rebalance_table_shards(),
 * citus_drain_node()) each move is a transaction of its own, in a session to this very server, so
 * that a failure or a cancel costs only the move that runs. In the background
 * (citus_rebalance_start()) each move is a task of a job; tasks of one colocation group wait for
 * each other. One rebalance at a time: both take the same lock, and look for an open job.
 *
 * Nodes that lack reference tables get them first: all active ones, or those that a drain moves
 * shards to.
 */
#include "background_jobs.h"
#include "rearrange.h"
#include "rebalance.h"
#include "reference_copies.h"

#include "civitas/catalog/tables.h"
#include "civitas/cluster/cluster.h"
#include "civitas/cluster/jobs.h"
#include "civitas/pg/debug_point.h"
#include "civitas/pg/str.h"
#include "civitas/remote/session.h"
#include "civitas/txn/transaction.h"

CIVITAS_PG_BEGIN
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"
CIVITAS_PG_END

#include <algorithm>

namespace civitas::cluster {

namespace {

constexpr const char JOB_TYPE[] = "rebalance";

char *enum_argument(FunctionCallInfo fcinfo, int index, const char *name)
{
	if (PG_ARGISNULL(index))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be NULL", name)));
	return DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(index)));
}

const char *name_argument(FunctionCallInfo fcinfo, int index)
{
	return PG_ARGISNULL(index) ? nullptr : NameStr(*PG_GETARG_NAME(index));
}

/* Arguments that get_rebalance_table_shards_plan() and rebalance_table_shards() begin with:
 * relation, threshold, max_shard_moves, excluded_shard_list. */
RebalanceRequest common_arguments(FunctionCallInfo fcinfo)
{
	RebalanceRequest request;
	request.relation = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	request.has_threshold = !PG_ARGISNULL(1);
	request.threshold = PG_ARGISNULL(1) ? 0 : PG_GETARG_FLOAT4(1);
	if (!PG_ARGISNULL(2))
		request.max_moves = PG_GETARG_INT32(2);
	if (PG_ARGISNULL(3))
		return request;
	Datum *shards;
	bool *nulls;
	int count;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(3), INT8OID, 8, true, TYPALIGN_DOUBLE, &shards, &nulls,
					  &count);
	for (int i = 0; i < count; i++)
	{
		catalog::ShardOwner owner;
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("excluded_shard_list must not contain NULL")));
		if (!catalog::find_shard(DatumGetInt64(shards[i]), &owner))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("shard " INT64_FORMAT " does not exist", DatumGetInt64(shards[i]))));
	}
	request.excluded_shards = {shards, static_cast<size_t>(count)};
	return request;
}

/* Raises 55006 when somebody else rebalances. */
void lock_rebalance()
{
	const LOCKTAG tag = job_lock_tag(JobLock::Rebalance);
	if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE), errmsg("a rebalance is running already"),
						errhint("Wait until it has ended.")));
	const int64 job_id = find_open_job(JOB_TYPE);
	if (job_id != 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("a rebalance is running already, as job " INT64_FORMAT, job_id),
						errhint("Wait with SELECT citus_rebalance_wait(), or end it with SELECT "
								"citus_rebalance_stop().")));
}

char *move_command(const ShardMove& move, const char *mode)
{
	pg::Str sql;
	sql.raw("SELECT pg_catalog.citus_move_shard_placement(")
		.num(move.shard_id)
		.raw(", ")
		.num(move.source->node_id)
		.raw(", ")
		.num(move.target->node_id)
		.raw(", ")
		.literal(mode)
		.raw(")");
	return sql.c_str();
}

/* Nodes that get reference tables before anything moves. */
pg::Vec<catalog::Node> nodes_to_provide(const RebalancePlan& plan, bool drain_only)
{
	pg::Vec<catalog::Node> nodes;
	for (const catalog::Node& node : catalog::all_nodes())
	{
		bool wanted = !drain_only && node.is_active && node.role == catalog::NodeRole::Primary;
		for (const ShardMove& move : plan.moves)
			wanted = wanted || move.target->node_id == node.node_id;
		if (wanted)
			nodes.push(node);
	}
	return nodes_without_reference_tables(nodes.span());
}

/* Raises 55000, before anything moves, when moves of the plan, or copying reference tables to the
 * nodes, would be refused in this mode. */
void check_can_move(const RebalancePlan& plan, std::span<const catalog::Node> lacking,
					const char *mode)
{
	if (!lacking.empty())
		check_reference_tables_replicable(transfer_mode_named(mode));
	List *checked = NIL;
	for (const ShardMove& move : plan.moves)
	{
		if (list_member_int(checked, move.colocation_id))
			continue;
		checked = lappend_int(checked, move.colocation_id);
		check_replicable(catalog::colocated_table_oids(move.colocation_id),
						 transfer_mode_named(mode), "moved");
	}
}

/* --- in the foreground --- */

/* What is committed step by step must not be part of something bigger: its locks would be waited
 * for. */
void require_own_transaction(const char *what)
{
	if (IsTransactionBlock() || TransactionIdIsValid(GetTopTransactionIdIfAny()))
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						errmsg("%s cannot run inside a transaction block", what),
						errdetail("Each move is committed by itself."),
						errhint("citus_rebalance_start() can: it runs in the background.")));
}

/* Runs statements one after another, each in a transaction of its own, in a session to this server.
 */
void run_in_own_session(List *commands)
{
	if (commands == NIL)
		return;
	remote::Session *session = remote::connect(txn::endpoint_of(local_node()));
	remote::set_claimed(session, true);
	PG_TRY();
	{
		ListCell *cell;
		foreach (cell, commands)
			remote::execute(session, static_cast<const char *>(lfirst(cell)));
	}
	PG_FINALLY();
	{
		if (remote::busy(session))
			remote::send_cancel(session);
		remote::close(session);
	}
	PG_END_TRY();
}

void carry_out(const RebalancePlan& plan, bool drain_only, const char *mode)
{
	const pg::Vec<catalog::Node> lacking = nodes_to_provide(plan, drain_only);
	check_can_move(plan, lacking.span(), mode);
	List *commands = NIL;
	for (const catalog::Node& node : lacking)
		commands = lappend(commands, copy_reference_tables_sql({&node, 1}, mode));
	for (const ShardMove& move : plan.moves)
		commands = lappend(commands, move_command(move, mode));
	run_in_own_session(commands);
}

/* --- in the background --- */

/* The tasks that came last for a colocation group. */
struct LastTask
{
	ColocationId colocation_id;
	int32 shard_index; /* -1: of the whole group */
	int64 task_id;
};

int64 *last_task_of(pg::Vec<LastTask>& tasks, const ShardMove& move, bool parallel)
{
	const int32 index = parallel ? move.shard_index : -1;
	for (LastTask& last : tasks)
		if (last.colocation_id == move.colocation_id && last.shard_index == index)
			return &last.task_id;
	tasks.push({move.colocation_id, index, 0});
	return &tasks.back().task_id;
}

/* What citus_rebalance_start() was asked for. */
struct Schedule
{
	const char *mode;
	bool parallel_references; /* to all nodes at the same time */
	bool parallel_shards;	  /* of a colocation group */
};

/* Tasks that copy reference tables: one for each node, after one another, or one for all. Their ids
 * in the order of the nodes. */
pg::Vec<int64> schedule_copies(int64 job_id, std::span<const catalog::Node> lacking,
							   const Schedule& how)
{
	pg::Vec<int64> tasks;
	pg::Vec<NodeId> ids;
	for (const catalog::Node& node : lacking)
		ids.push(node.node_id);
	if (how.parallel_references && !lacking.empty())
	{
		const int64 task =
			add_task(job_id, copy_reference_tables_sql(lacking, how.mode), {}, ids.span());
		while (tasks.size() < ids.size())
			tasks.push(task);
		return tasks;
	}
	int64 last = 0;
	for (int i = 0; i < ids.size(); i++)
	{
		last = add_task(job_id, copy_reference_tables_sql(lacking.subspan(i, 1), how.mode),
						{&last, static_cast<size_t>(last != 0 ? 1 : 0)}, {&ids[i], 1});
		tasks.push(last);
	}
	return tasks;
}

void schedule(int64 job_id, const RebalancePlan& plan, std::span<const catalog::Node> lacking,
			  const Schedule& how)
{
	const pg::Vec<int64> copies = schedule_copies(job_id, lacking, how);
	pg::Vec<LastTask> tasks;
	for (const ShardMove& move : plan.moves)
	{
		int64 *last = last_task_of(tasks, move, how.parallel_shards);
		const NodeId nodes[] = {move.source->node_id, move.target->node_id};
		pg::Vec<int64> before;
		if (*last != 0)
			before.push(*last);
		for (size_t i = 0; i < lacking.size(); i++)
			if (lacking[i].node_id == move.target->node_id)
				before.push(copies[static_cast<int>(i)]);
		*last = add_task(job_id, move_command(move, how.mode), before.span(), nodes);
	}
}

int64 require_open_job(const char *purpose)
{
	const int64 job_id = find_open_job(JOB_TYPE);
	if (job_id == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("no rebalance is running that could be %s", purpose)));
	return job_id;
}

/* --- the plan as rows --- */

int64 size_of(const RebalancePlan& plan, ShardId shard_id)
{
	const ShardSize *found =
		std::lower_bound(plan.sizes.begin(), plan.sizes.end(), shard_id,
						 [](const ShardSize& size, ShardId id) { return size.shard_id < id; });
	return found != plan.sizes.end() && found->shard_id == shard_id ? found->bytes : 0;
}

void put_move(ReturnSetInfo *result, const RebalancePlan& plan, const ShardMove& move)
{
	List *tables = catalog::colocated_table_oids(move.colocation_id);
	tables = lcons_oid(move.relid, list_delete_oid(tables, move.relid));
	ListCell *cell;
	foreach (cell, tables)
	{
		const catalog::Table& table = catalog::get_table(lfirst_oid(cell));
		const ShardId shard_id = table.shards[move.shard_index].shard_id;
		Datum values[] = {
			ObjectIdGetDatum(table.relid),			Int64GetDatum(shard_id),
			Int64GetDatum(size_of(plan, shard_id)), CStringGetTextDatum(move.source->name),
			Int32GetDatum(move.source->port),		CStringGetTextDatum(move.target->name),
			Int32GetDatum(move.target->port)};
		bool nulls[lengthof(values)] = {};
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

} // namespace

CIVITAS_PG_BEGIN

/* (relation, threshold, max_shard_moves, excluded_shard_list, drain_only, rebalance_strategy,
 * improvement_threshold) */
PG_FUNCTION_INFO_V1(get_rebalance_table_shards_plan);
PGDLLEXPORT Datum get_rebalance_table_shards_plan(PG_FUNCTION_ARGS)
{
	catalog::check_extension_version();
	catalog::require_coordinator();
	RebalanceRequest request = common_arguments(fcinfo);
	request.drain_only = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);
	request.strategy = name_argument(fcinfo, 5);
	request.has_improvement_threshold = !PG_ARGISNULL(6);
	request.improvement_threshold = PG_ARGISNULL(6) ? 0 : PG_GETARG_FLOAT4(6);
	request.with_sizes = true;
	const RebalancePlan plan = plan_rebalance(request);
	InitMaterializedSRF(fcinfo, 0);
	for (const ShardMove& move : plan.moves)
		put_move(reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo), plan, move);
	PG_RETURN_NULL();
}

/* (relation, threshold, max_shard_moves, excluded_shard_list, shard_transfer_mode, drain_only,
 * rebalance_strategy) */
PG_FUNCTION_INFO_V1(rebalance_table_shards);
PGDLLEXPORT Datum rebalance_table_shards(PG_FUNCTION_ARGS)
{
	catalog::check_extension_version();
	catalog::require_coordinator();
	require_own_transaction("rebalance_table_shards()");
	RebalanceRequest request = common_arguments(fcinfo);
	const char *mode = enum_argument(fcinfo, 4, "shard_transfer_mode");
	request.drain_only = !PG_ARGISNULL(5) && PG_GETARG_BOOL(5);
	request.strategy = name_argument(fcinfo, 6);
	request.must_own = true;
	lock_rebalance();
	carry_out(plan_rebalance(request), request.drain_only, mode);
	PG_RETURN_VOID();
}

/* (nodename, nodeport, shard_transfer_mode, rebalance_strategy) */
PG_FUNCTION_INFO_V1(citus_drain_node);
PGDLLEXPORT Datum citus_drain_node(PG_FUNCTION_ARGS)
{
	catalog::check_extension_version();
	catalog::require_coordinator();
	if (!superuser())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("only superusers may drain nodes")));
	require_own_transaction("citus_drain_node()");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("nodename and nodeport must not be NULL")));
	const char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const int32 port = PG_GETARG_INT32(1);
	const catalog::Node *node = catalog::find_node(name, port);
	if (node == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("node at \"%s:%d\" does not exist", name, port)));
	const char *mode = enum_argument(fcinfo, 2, "shard_transfer_mode");
	RebalanceRequest request;
	request.strategy = name_argument(fcinfo, 3);
	request.drain_only = true;
	request.drained_node = node->node_id;
	request.must_own = true;
	lock_rebalance();

	/* Committed first: no table that is made meanwhile goes there. */
	pg::Str sql;
	sql.raw("SELECT pg_catalog.citus_set_node_property(")
		.literal(name)
		.raw(", ")
		.num(port)
		.raw(", 'shouldhaveshards', false)");
	run_in_own_session(list_make1(sql.c_str()));
	carry_out(plan_rebalance(request), true, mode);
	PG_RETURN_VOID();
}

/* (rebalance_strategy, drain_only, shard_transfer_mode, parallel_transfer_reference_tables,
 * parallel_transfer_colocated_shards) */
PG_FUNCTION_INFO_V1(citus_rebalance_start);
PGDLLEXPORT Datum citus_rebalance_start(PG_FUNCTION_ARGS)
{
	catalog::check_extension_version();
	catalog::require_coordinator();
	RebalanceRequest request;
	request.strategy = name_argument(fcinfo, 0);
	request.drain_only = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	request.must_own = true;
	const Schedule how = {enum_argument(fcinfo, 2, "shard_transfer_mode"),
						  !PG_ARGISNULL(3) && PG_GETARG_BOOL(3),
						  !PG_ARGISNULL(4) && PG_GETARG_BOOL(4)};
	lock_rebalance();
	const RebalancePlan plan = plan_rebalance(request);
	const pg::Vec<catalog::Node> lacking = nodes_to_provide(plan, request.drain_only);
	if (plan.moves.empty() && lacking.empty())
	{
		ereport(NOTICE, (errmsg("the shards are in balance, there is nothing to move")));
		PG_RETURN_NULL();
	}
	check_can_move(plan, lacking.span(), how.mode);
	const int64 job_id =
		create_job(JOB_TYPE, request.drain_only ? "Drain nodes that should have no shards"
												: "Rebalance all colocation groups");
	schedule(job_id, plan, lacking.span(), how);
	ereport(NOTICE,
			(errmsg("%d moves are scheduled as job " INT64_FORMAT, plan.moves.size(), job_id),
			 lacking.empty() ? 0
							 : errdetail_plural("Reference tables are copied to %d node first.",
												"Reference tables are copied to %d nodes first.",
												lacking.size(), lacking.size()),
			 errhint("SELECT * FROM citus_rebalance_status() shows how far they are.")));
	PG_RETURN_INT64(job_id);
}

PG_FUNCTION_INFO_V1(citus_rebalance_stop);
PGDLLEXPORT Datum citus_rebalance_stop(PG_FUNCTION_ARGS)
{
	catalog::check_extension_version();
	cancel_job(require_open_job("stopped"));
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(citus_rebalance_wait);
PGDLLEXPORT Datum citus_rebalance_wait(PG_FUNCTION_ARGS)
{
	catalog::check_extension_version();
	wait_for_job(require_open_job("waited for"), nullptr);
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::cluster
