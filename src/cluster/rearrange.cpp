/*
 * rearrange.cpp: see rearrange.h.
 */
#include "rearrange.h"

#include "civitas/catalog/propagation.h"
#include "civitas/catalog/writes.h"
#include "civitas/cluster/cluster.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/debug_point.h"
#include "civitas/pg/sql_text.h"
#include "civitas/txn/transaction.h"
#include "cleanup.h"
#include "progress.h"
#include "replication.h"
#include "transfer.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_enum.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::cluster {

TransferMode transfer_mode_named(const char *label)
{
	return strcmp(label, "auto") == 0			 ? TransferMode::Auto
		   : strcmp(label, "force_logical") == 0 ? TransferMode::ForceLogical
												 : TransferMode::BlockWrites;
}

TransferMode transfer_mode_argument(Oid label)
{
	HeapTuple tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(label));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for enum label %u", label);
	const TransferMode mode =
		transfer_mode_named(NameStr(reinterpret_cast<Form_pg_enum>(GETSTRUCT(tuple))->enumlabel));
	ReleaseSysCache(tuple);
	return mode;
}

catalog::Node node_by_id(NodeId id)
{
	const catalog::Node *node = catalog::find_node(id);
	if (node == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("node %d does not exist", id)));
	return *node;
}

void check_active_primary(const catalog::Node& node)
{
	if (node.role != catalog::NodeRole::Primary || !node.is_active)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("node %s:%d is not an active primary", node.name, node.port),
						errhint("citus_activate_node() activates a node.")));
}

pg::Vec<ShardId> new_shard_ids(int count)
{
	/* nextval() in this transaction might give it an id, for which a replication slot would wait.
	 */
	pg::Vec<ShardId> ids;
	if (catalog::shard_ids_are_chosen())
	{
		while (ids.size() < count)
			ids.push(catalog::next_shard_id());
		return ids;
	}
	const char *list = run_as_owner_on_node(
		local_node(), psprintf("SELECT pg_catalog.string_agg(pg_catalog.nextval("
							   "'pg_catalog.pg_dist_shardid_seq')::text, ',') FROM "
							   "pg_catalog.generate_series(1, %d)",
							   count));
	for (const char *next = list; next != nullptr && ids.size() < count;)
	{
		ids.push(strtoll(next, nullptr, 10));
		next = strchr(next, ',');
		next = next != nullptr ? next + 1 : nullptr;
	}
	return ids;
}

double share_of(const shard::HashRange& range, const shard::HashRange& whole)
{
	const auto width = [](const shard::HashRange& of) {
		return static_cast<double>(of.max) - static_cast<double>(of.min) + 1;
	};
	return width(range) / width(whole);
}

namespace {

ColocationId group_of(ShardId shard)
{
	catalog::ShardOwner owner;
	if (!catalog::find_shard(shard, &owner))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("shard " INT64_FORMAT " does not exist", shard)));
	catalog::require_sound(catalog::get_table(owner.relid));
	return catalog::get_table(owner.relid).colocation_id;
}

} // namespace

List *lock_members(ShardId shard)
{
	catalog::lock_nodes(catalog::NodeLock::Define);
	const ColocationId colocation = group_of(shard);
	catalog::lock_colocation(colocation, catalog::ColocationLock::Rearrange);
	return catalog::colocated_table_oids(colocation);
}

void clear_leftovers(Transfers transfers)
{
	pg::Str sql;
	for (const ShardTransfer& transfer : transfers)
	{
		sql.raw(sql.empty()
					? "SELECT 1 FROM pg_dist_cleanup WHERE (object_name, node_group_id) IN ("
					: ", ");
		sql.ch('(').literal(catalog::qualified_shard_name(transfer.relid, transfer.target_shard));
		sql.raw(", ").num(transfer.target.group_id).ch(')');
	}
	const char *search = sql.raw(") LIMIT 1").c_str();
	if (pg::sql_text(search) == nullptr)
		return;
	run_as_owner_on_node(local_node(), "SELECT citus_internal.clean_up(30000, false)");
	if (pg::sql_text(search) != nullptr)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("node %s:%d still has an old placement of shard " INT64_FORMAT,
					transfers[0].target.name, transfers[0].target.port, transfers[0].target_shard),
			 errdetail("It could not be dropped yet: a transaction may read it, or a node "
					   "is not reachable."),
			 errhint("CALL citus_cleanup_orphaned_resources() tells more.")));
}

List *lock_definitions(List *tables)
{
	ListCell *cell;
	foreach (cell, tables)
		LockRelationOid(lfirst_oid(cell), ShareUpdateExclusiveLock);
	/* Somebody may have dropped one while we waited. */
	foreach (cell, tables)
		if (catalog::find_table(lfirst_oid(cell)) == nullptr)
			tables = foreach_delete_current(tables, cell);
	return tables;
}

void check_owner(List *tables)
{
	ListCell *cell;
	foreach (cell, tables)
		if (!pg::owns(RelationRelationId, lfirst_oid(cell)))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(lfirst_oid(cell)));
}

void check_not_written(List *tables, const char *operation)
{
	ListCell *cell;
	foreach (cell, tables)
	{
		Relation relation = table_open(lfirst_oid(cell), NoLock);
		for (const LOCKMODE mode :
			 {RowExclusiveLock, ShareLock, ShareRowExclusiveLock, AccessExclusiveLock})
			if (CheckRelationLockedByMe(relation, mode, false))
				ereport(ERROR,
						(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						 errmsg("cannot %s a shard in a transaction that has changed table \"%s\"",
								operation, RelationGetRelationName(relation)),
						 errhint("Commit first.")));
		table_close(relation, NoLock);
	}
}

Replicable replicable(Oid relid)
{
	Relation relation = table_open(relid, AccessShareLock);
	const bool has_rows = relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE;
	const bool identified = relation->rd_rel->relreplident == REPLICA_IDENTITY_FULL ||
							OidIsValid(RelationGetReplicaIndex(relation));
	const bool permanent = RelationIsPermanent(relation);
	/* A lock that is kept says that replaced placements may still be read by this transaction. */
	table_close(relation, AccessShareLock);
	return !permanent				 ? Replicable::Unlogged
		   : has_rows && !identified ? Replicable::NoIdentity
									 : Replicable::Yes;
}

void check_replicable(List *tables, TransferMode mode, const char *done)
{
	if (mode == TransferMode::BlockWrites)
		return;
	ListCell *cell;
	foreach (cell, tables)
	{
		const Replicable answer = replicable(lfirst_oid(cell));
		const bool unlogged = answer == Replicable::Unlogged;
		if (unlogged || (answer == Replicable::NoIdentity && mode == TransferMode::Auto))
			ereport(
				ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("shards of table \"%s\" cannot be %s by logical replication",
						get_rel_name(lfirst_oid(cell)), done),
				 unlogged ? errdetail("It is unlogged.")
						  : errdetail("It has neither a primary key nor another replica identity: "
									  "UPDATE and DELETE would fail meanwhile."),
				 unlogged ? errhint("Set shard_transfer_mode to 'block_writes'.")
						  : errhint("Add a primary key, or set shard_transfer_mode to "
									"'block_writes' or, to have UPDATE and DELETE fail meanwhile, "
									"'force_logical'.")));
	}
}

namespace {

/* An earlier move in this transaction has stopped writes to the tables already. */
bool writes_are_blocked(List *tables)
{
	bool blocked = true;
	ListCell *cell;
	foreach (cell, tables)
	{
		Relation relation = table_open(lfirst_oid(cell), NoLock);
		blocked = blocked && CheckRelationLockedByMe(relation, ExclusiveLock, false);
		table_close(relation, NoLock);
	}
	return blocked;
}

} // namespace

void check_nothing_written(const char *message, const char *hint)
{
	/* A slot begins when all transactions that have written have ended. */
	if (txn::has_written() || TransactionIdIsValid(GetTopTransactionIdIfAny()))
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION), errmsg("%s", message),
						errhint("%s", hint)));
}

void check_mode(TransferMode mode, List *tables, const char *operation, const char *done)
{
	if (mode == TransferMode::BlockWrites || writes_are_blocked(tables))
		return;
	check_replicable(tables, mode, done);
	check_nothing_written(
		psprintf("cannot %s a shard by logical replication in a transaction that has written",
				 operation),
		"Commit first, or set shard_transfer_mode to 'block_writes'.");
}

/* --- filling ---------------------------------------------------------------------------------- */

namespace {

/* Rows, indexes and foreign keys while nobody writes. */
void fill_blocked(List *tables, Transfers transfers)
{
	block_writes(tables, transfers, nullptr, nullptr);
	CIVITAS_DEBUG_POINT("move_blocked");
	set_phase(Phase::Copying);
	const pg::Vec<RowCount> counts = copy_rows(transfers);
	check_row_counts(transfers, counts.span());
	CIVITAS_DEBUG_POINT("move_copied");
	set_phase(Phase::Indexing);
	build_indexes(transfers);
}

/* The same while everybody writes, until the last moment. */
void fill_logically(List *tables, Transfers transfers, Replication *replication)
{
	start_publishing(replication);
	CIVITAS_DEBUG_POINT("move_published");
	set_phase(Phase::Copying);
	pg::Vec<RowCount> counts = copy_rows(transfers, snapshots(replication));
	end_snapshots(replication);
	CIVITAS_DEBUG_POINT("move_copied");
	set_phase(Phase::Indexing);
	build_indexes(transfers);
	CIVITAS_DEBUG_POINT("move_indexed");
	set_phase(Phase::CatchingUp);
	start_applying(replication);
	CIVITAS_DEBUG_POINT("move_applying");
	catch_up(replication);
	CIVITAS_DEBUG_POINT("move_caught_up");
	block_writes(
		tables, transfers, [](void *argument) { catch_up(static_cast<Replication *>(argument)); },
		replication);
	CIVITAS_DEBUG_POINT("move_blocked");
	set_phase(Phase::FinalCatchUp);
	finish_replication(replication, counts.data());
	check_row_counts(transfers, counts.span());
}

} // namespace

void fill_targets(TransferMode mode, int64 operation, List *tables, Transfers transfers)
{
	if (mode == TransferMode::BlockWrites || writes_are_blocked(tables))
	{
		fill_blocked(tables, transfers);
		return;
	}
	Replication *replication = plan_replication(operation, transfers);
	PG_TRY();
	{
		fill_logically(tables, transfers, replication);
	}
	PG_FINALLY();
	{
		close_replication(replication);
	}
	PG_END_TRY();
}

namespace {

void append_array(pg::Str& sql, const pg::Vec<int64>& values, const char *type)
{
	sql.raw("ARRAY[");
	for (const int64& value : values)
		sql.raw(&value == values.begin() ? "" : ", ").num(value);
	sql.raw("]::").raw(type).raw("[]");
}

} // namespace

void switch_placements(Transfers transfers, bool keep_sources, SwitchCommands *commands)
{
	pg::Vec<int64> removed;
	pg::Vec<int64> added;
	pg::Vec<int64> shards;
	pg::Vec<int64> groups;
	for (const ShardTransfer& transfer : transfers)
	{
		catalog::ShardOwner owner;
		if (!catalog::find_shard(transfer.source_shard, &owner))
			continue;
		const catalog::Table& table = catalog::get_table(owner.relid);
		for (const catalog::Placement& placement : table.placements_of(owner.shard_index))
			if (!keep_sources && placement.group_id == transfer.source.group_id)
				removed.push(placement.placement_id);
		added.push(catalog::next_placement_id());
		shards.push(transfer.target_shard);
		groups.push(transfer.target.group_id);
	}
	for (const int64 placement : removed)
		catalog::delete_placement(placement);
	for (int i = 0; i < added.size(); i++)
		catalog::insert_placement(added[i], shards[i], static_cast<GroupId>(groups[i]));
	pg::Str sql;
	sql.raw("SELECT citus_internal.change_placements(");
	append_array(sql, removed, "bigint");
	append_array(sql.raw(", "), added, "bigint");
	append_array(sql.raw(", "), shards, "bigint");
	append_array(sql.raw(", "), groups, "integer");
	commands->add_on_other_nodes(sql.ch(')').c_str());
	commands->run_on_nodes();
}

void give_up_sources(int64 operation, Transfers transfers, bool deferred)
{
	if (!deferred)
	{
		pg::Str sql;
		for (const ShardTransfer& transfer : transfers)
		{
			sql.raw(sql.empty() ? "DROP TABLE " : ", ");
			sql.raw(catalog::qualified_shard_name(transfer.relid, transfer.source_shard));
		}
		sql.raw(" CASCADE");
		if (transfers[0].source.group_id == catalog::local_group_id())
			catalog::with_propagation_suspended([&] { pg::sql_run(sql.c_str()); });
		else
			txn::run_on_node(transfers[0].source, sql.c_str());
		return;
	}
	pg::Vec<TemporaryObject> old;
	for (const ShardTransfer& transfer : transfers)
		old.push({ObjectType::Placement,
				  catalog::qualified_shard_name(transfer.relid, transfer.source_shard),
				  transfers[0].source.group_id, CleanupPolicy::Deferred});
	record_for_drop(operation, old.span());
}

} // namespace civitas::cluster
