/*
 * distribute_online.cpp: create_distributed_table_concurrently().
 *
 * The local table is cut like a shard that is split: its rows, as they are when a replication slot
 * begins, go into shards that nobody knows yet, what is written meanwhile follows from the slot,
 * and in the end, while nobody gets at the table, the metadata says that the shards are the table.
 *
 *   check -> record -> slot -> definitions stand still -> shards, rows, indexes -> caught up
 *     -> nobody reads or writes -> last changes -> metadata and shells everywhere -> commit
 *
 * Until the commit the table is a local one, and all that was made has records (cleanup.h). The
 * locks: RowExclusive first (a publication could not be made under more), which keeps DDL away that
 * takes the table from its writers; ShareUpdateExclusive when the publication is there; then, for
 * the switch, AccessExclusive, patiently.
 *
 * The nodes do not know the table. What makes its shards there is a model of it, made and dropped
 * in the transaction that makes them; so those on one node are made by one command.
 */
#include "civitas/catalog/hash_function.h"
#include "civitas/catalog/relations.h"
#include "civitas/cluster/cluster.h"
#include "civitas/ddl/online.h"
#include "civitas/pg/debug_point.h"
#include "civitas/pg/sql_text.h"
#include "cleanup.h"
#include "disk_space.h"
#include "progress.h"
#include "rearrange.h"
#include "reference_copies.h"
#include "replication.h"
#include "transfer.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

/* --- checks ---------------------------------------------------------------------------------- */

/* As the caller, and before anything is locked for long. */
bool is_empty(Oid relid)
{
	pg::Str sql;
	sql.raw("SELECT 1 FROM ");
	sql.qualified(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
	return pg::sql_text(sql.raw(" LIMIT 1").c_str()) == nullptr;
}

void check_can_follow(List *tables)
{
	ListCell *cell;
	foreach (cell, tables)
	{
		const Replicable answer = replicable(lfirst_oid(cell));
		if (answer == Replicable::Yes)
			continue;
		const bool unlogged = answer == Replicable::Unlogged;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" cannot be distributed concurrently",
						get_rel_name(lfirst_oid(cell))),
				 unlogged ? errdetail("It is unlogged.")
						  : errdetail("It has neither a primary key nor another replica identity: "
									  "UPDATE and DELETE would fail meanwhile."),
				 unlogged ? errhint("Use create_distributed_table(), which blocks writes "
									"meanwhile.")
						  : errhint("Add a primary key or set REPLICA IDENTITY, or use "
									"create_distributed_table(), which blocks writes meanwhile.")));
	}
}

/* The nodes get the rows from here. */
const catalog::Node& this_node()
{
	const catalog::Node *node = catalog::find_primary(catalog::local_group_id());
	if (node == nullptr)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the coordinator is not among the nodes of the cluster"),
						errhint("Add it with citus_set_coordinator_host().")));
	return *node;
}

/* DDL that got in between the plan and the lock. */
void hold_definitions(const ddl::OnlinePlan& plan)
{
	const Oid relid = linitial_oid(plan.tables);
	LockRelationOid(relid, ShareUpdateExclusiveLock);
	List *now = ddl::table_with_partitions(relid, ShareUpdateExclusiveLock);
	if (!equal(now, plan.tables))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("partitions of table \"%s\" came or went meanwhile", get_rel_name(relid)),
				 errhint("Try again.")));
}

/* --- transfers ------------------------------------------------------------------------------- */

constexpr shard::HashRange ALL_HASHES = {PG_INT32_MIN, PG_INT32_MAX};

/* The index in `ids` of a table's shard. */
int id_index(const ddl::OnlinePlan& plan, int table, int shard)
{
	return table * plan.shards.size() + shard;
}

/* Every placement of every shard; one shard group on one node after the other. */
pg::Vec<ShardTransfer> plan_transfers(const ddl::OnlinePlan& plan, const pg::Vec<ShardId>& ids)
{
	pg::Vec<ShardTransfer> transfers;
	const catalog::Node& source = this_node();
	const char *function =
		plan.column == nullptr
			? nullptr
			: catalog::hash_function_name(plan.column_type, plan.column_collation);
	for (int shard = 0; shard < plan.shards.size(); shard++)
	{
		const shard::HashRange range = {plan.shards[shard].min_hash, plan.shards[shard].max_hash};
		for (const GroupId group : plan.shards[shard].groups)
		{
			ListCell *cell;
			foreach (cell, plan.tables)
				transfers.push({lfirst_oid(cell),
								INVALID_SHARD_ID,
								ids[id_index(plan, foreach_current_index(cell), shard)],
								source,
								catalog::get_primary(group),
								{plan.column, function, range, ALL_HASHES},
								share_of(range, ALL_HASHES)});
		}
	}
	return transfers;
}

/* --- shards ---------------------------------------------------------------------------------- */

/* What makes parts of all the targets on one node. */
char *make_sql(const ddl::OnlinePlan& plan, Transfers transfers, const catalog::Node& node,
			   std::span<const char *const> parts)
{
	const auto group_size = static_cast<size_t>(list_length(plan.tables));
	const bool is_here = node.group_id == catalog::local_group_id();
	pg::Str sql;
	if (!is_here)
		sql.raw(ddl::make_models_sql(plan.tables));
	for (const char *part : parts)
		for (size_t first = 0; first < transfers.size(); first += group_size)
			if (transfers[first].target.group_id == node.group_id)
				sql.raw(create_parts_sql(transfers.subspan(first, group_size), part)).raw(";\n");
	return is_here ? sql.c_str() : sql.raw(ddl::drop_models_sql(plan.tables)).c_str();
}

/* On each node that gets some. */
void make_parts(const ddl::OnlinePlan& plan, Transfers transfers,
				std::span<const char *const> parts)
{
	List *seen = NIL;
	pg::Vec<OwnerCommand> commands;
	for (const ShardTransfer& transfer : transfers)
	{
		if (list_member_int(seen, transfer.target.group_id))
			continue;
		seen = lappend_int(seen, transfer.target.group_id);
		commands.push(
			{transfer.target, make_sql(plan, transfers, transfer.target, parts), nullptr});
	}
	run_as_owner_on_nodes({commands.data(), static_cast<size_t>(commands.size())});
}

/* --- the way --------------------------------------------------------------------------------- */

void fill(const ddl::OnlinePlan& plan, Transfers transfers, Replication *replication)
{
	start_publishing(replication);
	hold_definitions(plan);
	CIVITAS_DEBUG_POINT("online_published");
	constexpr const char *TABLES[] = {"table"};
	make_parts(plan, transfers, TABLES);
	CIVITAS_DEBUG_POINT("online_created");
	set_phase(Phase::Copying);
	pg::Vec<RowCount> counts = copy_rows(transfers, snapshots(replication));
	end_snapshots(replication);
	CIVITAS_DEBUG_POINT("online_copied");
	set_phase(Phase::Indexing);
	constexpr const char *INDEXES[] = {"indexes", "attach"};
	make_parts(plan, transfers, INDEXES);
	analyze(transfers);
	CIVITAS_DEBUG_POINT("online_indexed");
	set_phase(Phase::CatchingUp);
	start_applying(replication);
	catch_up(replication);
	CIVITAS_DEBUG_POINT("online_caught_up");
	lock_patiently(
		[](void *tables) {
			ListCell *cell;
			foreach (cell, static_cast<List *>(tables))
				LockRelationOid(lfirst_oid(cell), AccessExclusiveLock);
		},
		plan.tables, [](void *argument) { catch_up(static_cast<Replication *>(argument)); },
		replication);
	CIVITAS_DEBUG_POINT("online_blocked");
	set_phase(Phase::FinalCatchUp);
	finish_replication(replication, counts.data());
	check_row_counts(transfers, counts.span());
}

void carry_out(const ddl::OnlinePlan& plan, Transfers transfers, const pg::Vec<ShardId>& ids)
{
	const int64 operation = begin_operation();
	record_targets(operation, transfers);
	Replication *replication = plan_replication(operation, transfers);
	PG_TRY();
	{
		fill(plan, transfers, replication);
	}
	PG_FINALLY();
	{
		close_replication(replication);
	}
	PG_END_TRY();
	set_phase(Phase::Completing);
	ddl::switch_online(plan, ids.span());
	keep_objects(operation);
	CIVITAS_DEBUG_POINT("online_switched");
}

void distribute_online(const ddl::DistributeRequest& request)
{
	provide_for_new_shards(catalog::shard_groups());
	catalog::lock_nodes(catalog::NodeLock::Define);
	const ddl::OnlinePlan plan = ddl::plan_online(request);
	check_can_follow(plan.tables);
	this_node();
	check_nothing_written("cannot distribute a table concurrently in a transaction that has "
						  "written",
						  "Commit first.");
	const pg::Vec<ShardId> ids = new_shard_ids(list_length(plan.tables) * plan.shards.size());
	const pg::Vec<ShardTransfer> list = plan_transfers(plan, ids);
	check_disk_space(list.span());
	begin_progress(list.span(), "distribute");
	PG_TRY();
	{
		carry_out(plan, list.span(), ids);
	}
	PG_FINALLY();
	{
		end_progress();
	}
	PG_END_TRY();
}

} // namespace

CIVITAS_PG_BEGIN

/* (table_name, distribution_column, distribution_type, colocate_with, shard_count) */
PG_FUNCTION_INFO_V1(create_distributed_table_concurrently);
PGDLLEXPORT Datum create_distributed_table_concurrently(PG_FUNCTION_ARGS)
{
	const ddl::DistributeRequest request = ddl::distribute_request(fcinfo);
	PreventInTransactionBlock(true, "create_distributed_table_concurrently()");
	if (get_rel_name(request.relid) == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", request.relid)));
	check_owner(list_make1_oid(request.relid));
	/* That takes a moment; rows that come meanwhile are moved. */
	if (is_empty(request.relid))
		ddl::distribute(request);
	else
		distribute_online(request);
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::cluster
