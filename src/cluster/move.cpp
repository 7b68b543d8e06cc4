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
#include "civitas/catalog/node_session.h"
#include "civitas/catalog/propagation.h"
#include "civitas/catalog/relations.h"
#include "civitas/catalog/writes.h"
#include "civitas/cluster/cluster.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/debug_point.h"
#include "civitas/pg/sql_text.h"
#include "civitas/txn/transaction.h"
#include "cleanup.h"
#include "disk_space.h"
#include "progress.h"
#include "rearrange.h"
#include "reference_copies.h"
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

/* citus.defer_drop_after_shard_move */
bool defer_drop;

/* What was asked for. */
struct Request
{
	ShardId shard;
	catalog::Node source;
	catalog::Node target;
	TransferMode mode;
	bool copy; /* the source keeps its placement */
};

/* --- checks ----------------------------------------------------------------------------------- */

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
		detail = "It is a reference table: every node with shards has all of it.";
	else if (table.kind == catalog::TableKind::Local)
		detail = "It is a local table of the coordinator.";
	if (detail != nullptr)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("shards of table \"%s\" cannot be %s", get_rel_name(table.relid),
							   verb(request)),
						errdetail_internal("%s", detail)));
}

void check_nodes(const Request& request)
{
	if (request.source.group_id == request.target.group_id)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("source and target must be different nodes")));
	check_active_primary(request.source);
	check_active_primary(request.target);
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

/* --- the way ---------------------------------------------------------------------------------- */

pg::Vec<ShardTransfer> plan_transfers(const Request& request, List *tables, int index)
{
	pg::Vec<ShardTransfer> transfers;
	ListCell *cell;
	foreach (cell, tables)
	{
		const catalog::Table& table = catalog::get_table(lfirst_oid(cell));
		check_placements(request, table, index);
		const ShardId shard = table.shards[index].shard_id;
		transfers.push({table.relid, shard, shard, request.source, request.target, {}, 1});
	}
	return transfers;
}

/* The group's tables, held still. */
List *lock_group(const Request& request)
{
	List *tables = lock_members(request.shard);
	check_owner(tables);
	clear_leftovers(plan_transfers(request, tables, find_owner(request).shard_index).span());
	return lock_definitions(tables);
}

/* Later, or with this transaction, which then waits for readers of the old placements. */
void carry_out(const Request& request, List *tables, Transfers transfers)
{
	const int64 operation = begin_operation();
	CIVITAS_DEBUG_POINT("move_begun");
	create_targets(operation, transfers);
	CIVITAS_DEBUG_POINT("move_created");
	fill_targets(request.mode, operation, tables, transfers);
	set_phase(Phase::ForeignKeys);
	SwitchCommands commands;
	add_foreign_keys(&commands, transfers);
	if (!request.copy)
		ignore_foreign_keys(&commands, transfers);
	CIVITAS_DEBUG_POINT("move_filled");
	set_phase(Phase::Completing);
	switch_placements(transfers, request.copy, &commands);
	keep_objects(operation);
	if (!request.copy)
		give_up_sources(operation, transfers, defer_drop);
	CIVITAS_DEBUG_POINT("move_switched");
}

void transfer(const Request& request)
{
	check_table(request, catalog::get_table(find_owner(request).relid));
	check_owner(
		catalog::colocated_table_oids(catalog::get_table(find_owner(request).relid).colocation_id));
	provide_reference_tables({&request.target, 1}, request.mode);
	List *tables = lock_group(request);
	check_has_reference_tables(request.target);
	const catalog::ShardOwner owner = find_owner(request);
	check_owner(tables);
	check_not_written(tables, "move or copy");
	const pg::Vec<ShardTransfer> list = plan_transfers(request, tables, owner.shard_index);
	const Transfers transfers = list.span();
	check_mode(request.mode, tables, "move or copy", verb(request));
	check_disk_space(transfers);
	begin_progress(transfers, request.copy ? "copy" : "move");
	PG_TRY();
	{
		carry_out(request, tables, list.span());
	}
	PG_FINALLY();
	{
		end_progress();
	}
	PG_END_TRY();
}

/* --- arguments -------------------------------------------------------------------------------- */

void check_may_move()
{
	catalog::check_extension_version();
	catalog::require_coordinator();
	PreventCommandIfReadOnly("moving shards");
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
	check_may_move();
	Request request = {};
	request.shard = PG_GETARG_INT64(0);
	find_owner(request);
	request.source = node_by_id(PG_GETARG_INT32(1));
	request.target = node_by_id(PG_GETARG_INT32(2));
	request.mode = transfer_mode_argument(PG_GETARG_OID(3));
	request.copy = copy;
	check_nodes(request);
	transfer(request);
	PG_RETURN_VOID();
}

Datum run_by_name(FunctionCallInfo fcinfo, bool copy)
{
	check_may_move();
	Request request = {};
	request.shard = PG_GETARG_INT64(0);
	find_owner(request);
	request.source = node_by_name(PG_GETARG_TEXT_PP(1), PG_GETARG_INT32(2));
	request.target = node_by_name(PG_GETARG_TEXT_PP(3), PG_GETARG_INT32(4));
	request.mode = transfer_mode_argument(PG_GETARG_OID(5));
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
	if (!pg::owns(RelationRelationId, owner.relid))
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
	catalog::require_node_call(fcinfo);
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
		catalog::get_primary(DatumGetInt32(groups[i]));
		catalog::insert_placement(DatumGetInt64(added[i]), DatumGetInt64(shards[i]),
								  DatumGetInt32(groups[i]));
	}
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::cluster
