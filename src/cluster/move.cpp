/*
 * move.cpp: citus_move_shard_placement(), citus_copy_shard_placement().
 *
 * A shard moves with its whole group: the shards of all colocated tables (partitions are tables)
 * at the same place of the hash range. What stands still meanwhile: the set of nodes, the group's
 * tables (DDL on them waits), the group's members (a new table is refused), other moves of the
 * group (they wait). Traffic goes on, reads always, writes until the end (block_writes: from the
 * beginning).
 *
 *   check, lock, look again -> targets -> rows -> indexes -> changes -> writes stop -> last changes
 *     -> foreign keys -> metadata on all nodes, in this transaction
 *
 * The transaction's commit is the switch. If it does not commit, the records of the targets are
 * still there and the targets get dropped; if it does, the old placements have a record instead.
 */
#include "civitas/catalog/propagation.h"
#include "civitas/catalog/relations.h"
#include "civitas/catalog/writes.h"
#include "civitas/cluster/cluster.h"
#include "civitas/pg/debug_point.h"
#include "civitas/pg/sql_text.h"
#include "civitas/txn/transaction.h"
#include "cleanup.h"
#include "disk_space.h"
#include "progress.h"
#include "replication.h"
#include "transfer.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

enum class Mode
{
	Auto,
	ForceLogical,
	BlockWrites
};

/* citus.defer_drop_after_shard_move */
bool defer_drop;

/* What was asked for. */
struct Request
{
	ShardId shard;
	catalog::Node source;
	catalog::Node target;
	Mode mode;
	bool copy; /* the source keeps its placement */
};

Mode mode_argument(Oid label)
{
	HeapTuple tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(label));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for enum label %u", label);
	const char *name = NameStr(reinterpret_cast<Form_pg_enum>(GETSTRUCT(tuple))->enumlabel);
	const Mode mode = strcmp(name, "auto") == 0			   ? Mode::Auto
					  : strcmp(name, "force_logical") == 0 ? Mode::ForceLogical
														   : Mode::BlockWrites;
	ReleaseSysCache(tuple);
	return mode;
}

/* --- checks ------------------------------------------------------------------------------------
 */

const char *verb(const Request& request)
{
	return request.copy ? "copied" : "moved";
}

catalog::ShardOwner find_owner(const Request& request)
{
	catalog::ShardOwner owner;
	if (!catalog::find_shard(request.shard, &owner))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("shard " INT64_FORMAT " does not exist", request.shard)));
	return owner;
}

void check_table(const Request& request, const catalog::Table& table)
{
	const char *detail = nullptr;
	if (table.kind == catalog::TableKind::Reference)
		detail = "It is a reference table: every node has all of it.";
	else if (table.kind == catalog::TableKind::Local)
		detail = "It is a local table of the coordinator.";
	if (detail != nullptr)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("shards of table \"%s\" cannot be %s", get_rel_name(table.relid),
							   verb(request)),
						errdetail_internal("%s", detail)));
}

void check_owner(List *tables)
{
	ListCell *cell;
	foreach (cell, tables)
		if (!pg_class_ownercheck(lfirst_oid(cell), GetUserId()))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(lfirst_oid(cell)));
}

void check_nodes(const Request& request)
{
	if (request.source.group_id == request.target.group_id)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("source and target must be different nodes")));
	for (const catalog::Node *node : {&request.source, &request.target})
		if (node->role != catalog::NodeRole::Primary || !node->is_active)
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
							errmsg("node %s:%d is not an active primary", node->name, node->port),
							errhint("citus_activate_node() activates a node.")));
}

bool has_placement(const catalog::Table& table, int index, GroupId group)
{
	for (const catalog::Placement& placement : table.placements_of(index))
		if (placement.group_id == group)
			return true;
	return false;
}

void check_placements(const Request& request, const catalog::Table& table, int index)
{
	if (!has_placement(table, index, request.source.group_id))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("node %s:%d has no placement of shard " INT64_FORMAT,
							   request.source.name, request.source.port, request.shard),
						errhint("citus_shards tells where it is.")));
	if (has_placement(table, index, request.target.group_id))
		ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
						errmsg("node %s:%d has a placement of shard " INT64_FORMAT " already",
							   request.target.name, request.target.port, request.shard)));
}

/* What this transaction has written is invisible to the sessions that copy. */
void check_not_written(List *tables)
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
						 errmsg("cannot move or copy a shard in a transaction that has changed "
								"table \"%s\"",
								RelationGetRelationName(relation)),
						 errhint("Commit first.")));
		table_close(relation, NoLock);
	}
}

/* Whether changes of its rows can be replicated. */
bool has_replica_identity(Oid relid)
{
	Relation relation = table_open(relid, NoLock);
	const bool has = relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
					 (RelationIsPermanent(relation) &&
					  (relation->rd_rel->relreplident == REPLICA_IDENTITY_FULL ||
					   OidIsValid(RelationGetReplicaIndex(relation))));
	table_close(relation, NoLock);
	return has;
}

void check_replica_identity(const Request& request, List *tables)
{
	ListCell *cell;
	foreach (cell, tables)
	{
		const Oid relid = lfirst_oid(cell);
		const bool unlogged = get_rel_persistence(relid) == RELPERSISTENCE_UNLOGGED;
		if (unlogged || (request.mode == Mode::Auto && !has_replica_identity(relid)))
			ereport(
				ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("shards of table \"%s\" cannot be %s by logical replication",
						get_rel_name(relid), verb(request)),
				 unlogged ? errdetail("It is unlogged.")
						  : errdetail("It has neither a primary key nor another replica identity: "
									  "UPDATE and DELETE would fail meanwhile."),
				 unlogged ? errhint("Set shard_transfer_mode to 'block_writes'.")
						  : errhint("Add a primary key, or set shard_transfer_mode to "
									"'block_writes' or, to have UPDATE and DELETE fail meanwhile, "
									"'force_logical'.")));
	}
}

/* --- locks -------------------------------------------------------------------------------------
 */

/* --- the way -----------------------------------------------------------------------------------
 */

pg::Vec<ShardTransfer> plan_transfers(const Request& request, List *tables, int index)
{
	pg::Vec<ShardTransfer> transfers;
	ListCell *cell;
	foreach (cell, tables)
	{
		const catalog::Table& table = catalog::get_table(lfirst_oid(cell));
		check_placements(request, table, index);
		const ShardId shard = table.shards[index].shard_id;
		transfers.push({table.relid, shard, shard, request.source, request.target, nullptr});
	}
	return transfers;
}

/* An earlier operation may have left tables of these shards. */
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
	run_as_owner_on_node(local_node(), "SELECT citus_internal.clean_up(30000)");
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

/* Holds still what the move relies on, until the end of the transaction. The group's tables, by
 * oid. */
List *lock_group(const Request& request)
{
	catalog::lock_nodes(catalog::NodeLock::Define);
	catalog::ShardOwner owner = find_owner(request);
	const ColocationId colocation = catalog::get_table(owner.relid).colocation_id;
	catalog::lock_colocation(colocation, catalog::ColocationLock::Rearrange);
	owner = find_owner(request);
	List *tables = catalog::colocated_table_oids(colocation);
	check_owner(tables);
	/* As long as the tables are not locked: users of old placements are waited for. */
	clear_leftovers(plan_transfers(request, tables, owner.shard_index).span());
	ListCell *cell;
	foreach (cell, tables)
		LockRelationOid(lfirst_oid(cell), ShareUpdateExclusiveLock);
	/* Somebody may have dropped one while we waited. */
	return catalog::colocated_table_oids(colocation);
}

void append_array(pg::Str& sql, const pg::Vec<int64>& values, const char *type)
{
	sql.raw("ARRAY[");
	for (const int64& value : values)
		sql.raw(&value == values.begin() ? "" : ", ").num(value);
	sql.raw("]::").raw(type).raw("[]");
}

/* The metadata, here and on all other nodes. */
void switch_placements(const Request& request, Transfers transfers)
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
			if (!request.copy && placement.group_id == request.source.group_id)
				removed.push(placement.placement_id);
		added.push(catalog::next_placement_id());
		shards.push(transfer.target_shard);
		groups.push(request.target.group_id);
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
	txn::run_on_other_nodes(sql.ch(')').c_str());
}

/* Later, or with this transaction, which then waits for readers of the old placements. */
void drop_sources(const Request& request, int64 operation, Transfers transfers)
{
	if (!defer_drop)
	{
		pg::Str sql;
		for (const ShardTransfer& transfer : transfers)
		{
			sql.raw(sql.empty() ? "DROP TABLE " : ", ");
			sql.raw(catalog::qualified_shard_name(transfer.relid, transfer.source_shard));
		}
		sql.raw(" CASCADE");
		if (request.source.group_id == catalog::local_group_id())
			catalog::with_propagation_suspended([&] { pg::sql_run(sql.c_str()); });
		else
			txn::run_on_node(request.source, sql.c_str());
		return;
	}
	pg::Vec<TemporaryObject> old;
	for (const ShardTransfer& transfer : transfers)
		old.push({ObjectType::Placement,
				  catalog::qualified_shard_name(transfer.relid, transfer.source_shard),
				  request.source.group_id, CleanupPolicy::Deferred});
	record_for_drop(operation, old.span());
}

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

/* A slot begins when all transactions that have written have ended; this one would wait for itself.
 */
void check_nothing_written()
{
	if (txn::has_written() || TransactionIdIsValid(GetTopTransactionIdIfAny()))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot move or copy a shard by logical replication in a transaction that "
						"has written"),
				 errhint("Commit first, or set shard_transfer_mode to 'block_writes'.")));
}

/* Rows, indexes and foreign keys while nobody writes. */
void fill_blocked(List *tables, Transfers transfers)
{
	block_writes(tables, transfers, nullptr, nullptr);
	CIVITAS_DEBUG_POINT("move_blocked");
	set_phase(Phase::Copying);
	copy_rows(transfers);
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
	copy_rows(transfers, snapshots(replication));
	end_snapshots(replication);
	CIVITAS_DEBUG_POINT("move_copied");
	set_phase(Phase::Indexing);
	build_indexes(transfers);
	CIVITAS_DEBUG_POINT("move_indexed");
	set_phase(Phase::CatchingUp);
	subscribe(replication);
	CIVITAS_DEBUG_POINT("move_subscribed");
	catch_up(replication);
	CIVITAS_DEBUG_POINT("move_caught_up");
	block_writes(
		tables, transfers, [](void *argument) { catch_up(static_cast<Replication *>(argument)); },
		replication);
	CIVITAS_DEBUG_POINT("move_blocked");
	set_phase(Phase::FinalCatchUp);
	finish_replication(replication);
}

void fill(const Request& request, int64 operation, List *tables, Transfers transfers)
{
	if (request.mode == Mode::BlockWrites || writes_are_blocked(tables))
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

void carry_out(const Request& request, List *tables, Transfers transfers)
{
	const int64 operation = begin_operation();
	CIVITAS_DEBUG_POINT("move_begun");
	create_targets(operation, transfers);
	CIVITAS_DEBUG_POINT("move_created");
	fill(request, operation, tables, transfers);
	set_phase(Phase::ForeignKeys);
	add_foreign_keys(transfers);
	if (!request.copy)
		ignore_foreign_keys(transfers);
	CIVITAS_DEBUG_POINT("move_filled");
	set_phase(Phase::Completing);
	switch_placements(request, transfers);
	keep_objects(operation);
	if (!request.copy)
		drop_sources(request, operation, transfers);
	CIVITAS_DEBUG_POINT("move_switched");
}

void transfer(const Request& request)
{
	check_table(request, catalog::get_table(find_owner(request).relid));
	List *tables = lock_group(request);
	const catalog::ShardOwner owner = find_owner(request);
	check_owner(tables);
	check_not_written(tables);
	const pg::Vec<ShardTransfer> list = plan_transfers(request, tables, owner.shard_index);
	const Transfers transfers = list.span();
	if (request.mode != Mode::BlockWrites && !writes_are_blocked(tables))
	{
		check_replica_identity(request, tables);
		check_nothing_written();
	}
	check_disk_space(transfers);
	begin_progress(transfers, request.copy ? "copy" : "move");
	PG_TRY();
	{
		carry_out(request, tables, transfers);
	}
	PG_FINALLY();
	{
		end_progress();
	}
	PG_END_TRY();
}

/* --- arguments ---------------------------------------------------------------------------------
 */

void begin()
{
	catalog::check_extension_version();
	catalog::require_coordinator();
	PreventCommandIfReadOnly("moving shards");
}

catalog::Node node_by_id(NodeId id)
{
	const catalog::Node *node = catalog::find_node(id);
	if (node == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("node %d does not exist", id)));
	return *node;
}

catalog::Node node_by_name(text *name, int32 port)
{
	const char *host = text_to_cstring(name);
	const catalog::Node *node = catalog::find_node(host, port);
	if (node == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("node at \"%s:%d\" does not exist", host, port)));
	return *node;
}

Datum run_by_id(FunctionCallInfo fcinfo, bool copy)
{
	begin();
	Request request = {};
	request.shard = PG_GETARG_INT64(0);
	find_owner(request);
	request.source = node_by_id(PG_GETARG_INT32(1));
	request.target = node_by_id(PG_GETARG_INT32(2));
	request.mode = mode_argument(PG_GETARG_OID(3));
	request.copy = copy;
	check_nodes(request);
	transfer(request);
	PG_RETURN_VOID();
}

Datum run_by_name(FunctionCallInfo fcinfo, bool copy)
{
	begin();
	Request request = {};
	request.shard = PG_GETARG_INT64(0);
	find_owner(request);
	request.source = node_by_name(PG_GETARG_TEXT_PP(1), PG_GETARG_INT32(2));
	request.target = node_by_name(PG_GETARG_TEXT_PP(3), PG_GETARG_INT32(4));
	request.mode = mode_argument(PG_GETARG_OID(5));
	request.copy = copy;
	check_nodes(request);
	transfer(request);
	PG_RETURN_VOID();
}

int int8_elements(Datum array, Datum **values)
{
	int count;
	deconstruct_array(DatumGetArrayTypeP(array), INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  values, nullptr, &count);
	return count;
}

/* The owner of the shard's table, or of the placement's, must be calling. */
void check_shard_owner(ShardId shard)
{
	catalog::ShardOwner owner;
	if (!catalog::find_shard(shard, &owner))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("shard " INT64_FORMAT " does not exist", shard)));
	if (!pg_class_ownercheck(owner.relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(owner.relid));
}

} // namespace

void move_init()
{
	DefineCustomBoolVariable(
		"citus.defer_drop_after_shard_move",
		"Drops the old placement of a moved shard later, in the background.",
		"Off: the move itself drops it, and waits for those who still read it while writes wait.",
		&defer_drop, true, PGC_USERSET, 0, nullptr, nullptr, nullptr);
}

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_move_shard_placement);
PGDLLEXPORT Datum citus_move_shard_placement(PG_FUNCTION_ARGS)
{
	return run_by_name(fcinfo, false);
}

PG_FUNCTION_INFO_V1(citus_move_shard_placement_by_id);
PGDLLEXPORT Datum citus_move_shard_placement_by_id(PG_FUNCTION_ARGS)
{
	return run_by_id(fcinfo, false);
}

PG_FUNCTION_INFO_V1(citus_copy_shard_placement);
PGDLLEXPORT Datum citus_copy_shard_placement(PG_FUNCTION_ARGS)
{
	return run_by_name(fcinfo, true);
}

PG_FUNCTION_INFO_V1(citus_copy_shard_placement_by_id);
PGDLLEXPORT Datum citus_copy_shard_placement_by_id(PG_FUNCTION_ARGS)
{
	return run_by_id(fcinfo, true);
}

/* change_placements(removed, added, shards of the added, groups of the added) */
PG_FUNCTION_INFO_V1(citus_internal_change_placements);
PGDLLEXPORT Datum citus_internal_change_placements(PG_FUNCTION_ARGS)
{
	Datum *removed;
	Datum *added;
	Datum *shards;
	Datum *groups;
	int group_count;
	const int removed_count = int8_elements(PG_GETARG_DATUM(0), &removed);
	const int added_count = int8_elements(PG_GETARG_DATUM(1), &added);
	const int shard_count = int8_elements(PG_GETARG_DATUM(2), &shards);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(3), INT4OID, 4, true, TYPALIGN_INT, &groups, nullptr,
					  &group_count);
	if (shard_count != added_count || group_count != added_count)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("there must be a shard and a group for each placement")));
	for (int i = 0; i < removed_count; i++)
	{
		const ShardId shard = catalog::shard_of_placement(DatumGetInt64(removed[i]));
		check_shard_owner(shard);
		catalog::delete_placement(DatumGetInt64(removed[i]));
	}
	for (int i = 0; i < added_count; i++)
	{
		check_shard_owner(DatumGetInt64(shards[i]));
		catalog::insert_placement(DatumGetInt64(added[i]), DatumGetInt64(shards[i]),
								  DatumGetInt32(groups[i]));
	}
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::cluster
