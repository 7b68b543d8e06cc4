/*
 * reference_copies.cpp: replicas of reference tables on nodes that joined without them.
 *
 * A node joins with definitions and metadata only, for copies may be large and it may never need
 * them. Before its first shard it gets them all, in one go: copied like a shard group of a
 * colocation group that has one, with the same steps, records and guarantees as a move (move.cpp),
 * writes going on in the logical modes.
 *
 *   lock the colocation group -> which nodes lack them -> targets -> rows -> indexes -> changes
 *     -> writes stop -> last changes -> foreign keys -> placements in the metadata -> commit
 *
 * Invariant: all reference tables have their replicas on the same nodes, those with shards among
 * them. So what joins reference tables with each other or with shards finds them together.
 *
 * This is a transaction of its own also where it is a part of something bigger: the locks that the
 * switch needs are held for a moment then, not until the end of a move.
 */
#include "reference_copies.h"

#include "civitas/catalog/node_session.h"
#include "civitas/catalog/relations.h"
#include "civitas/cluster/cluster.h"
#include "civitas/ddl/online.h"
#include "civitas/pg/debug_point.h"
#include "civitas/txn/transaction.h"
#include "cleanup.h"
#include "disk_space.h"
#include "progress.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/rel.h"
#include "utils/relcache.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

List *reference_tables()
{
	const catalog::Table *any = catalog::any_reference_table();
	return any == nullptr ? NIL : catalog::colocated_table_oids(any->colocation_id);
}

/* --- the way ---------------------------------------------------------------------------------- */

/* From the first node that has them, the coordinator, to each of the others. */
pg::Vec<ShardTransfer> plan_transfers(List *tables, std::span<const catalog::Node> nodes)
{
	pg::Vec<ShardTransfer> transfers;
	for (const catalog::Node& node : nodes_without_reference_tables(nodes))
	{
		ListCell *cell;
		foreach (cell, tables)
		{
			const catalog::Table& table = catalog::get_table(lfirst_oid(cell));
			const ShardId shard = table.shards[0].shard_id;
			const catalog::Node& source = catalog::get_primary(table.placements_of(0)[0].group_id);
			transfers.push({table.relid, shard, shard, source, node, {}, 1});
		}
	}
	return transfers;
}

void carry_out(TransferMode mode, List *tables, Transfers transfers)
{
	const int64 operation = begin_operation();
	create_targets(operation, transfers);
	CIVITAS_DEBUG_POINT("references_created");
	fill_targets(mode, operation, tables, transfers);
	set_phase(Phase::ForeignKeys);
	SwitchCommands commands;
	add_foreign_keys(&commands, transfers);
	set_phase(Phase::Completing);
	switch_placements(transfers, true, &commands);
	keep_objects(operation);
	CIVITAS_DEBUG_POINT("references_switched");
}

void copy(std::span<const catalog::Node> nodes, TransferMode mode)
{
	const catalog::Table *any = catalog::any_reference_table();
	if (any == nullptr)
		return;
	List *tables = lock_members(any->shards[0].shard_id);
	/* Somebody may have done it while we waited. */
	if (nodes_without_reference_tables(nodes).empty())
		return;
	clear_leftovers(plan_transfers(tables, nodes).span());
	tables = lock_definitions(tables);
	check_not_written(tables, "copy");
	check_mode(mode, tables, "copy", "copied");
	const pg::Vec<ShardTransfer> list = plan_transfers(tables, nodes);
	check_disk_space(list.span());
	begin_progress(list.span(), "copy");
	PG_TRY();
	{
		carry_out(mode, tables, list.span());
	}
	PG_FINALLY();
	{
		end_progress();
	}
	PG_END_TRY();
}

/* --- before something else -------------------------------------------------------------------- */

bool is_locked(Oid relid, LOCKMODE mode)
{
	Relation relation = RelationIdGetRelation(relid);
	const bool locked = relation != nullptr && CheckRelationLockedByMe(relation, mode, true);
	if (relation != nullptr)
		RelationClose(relation);
	return locked;
}

/* Whether copying would wait for a lock that this transaction holds. */
bool is_in_the_way()
{
	if (txn::has_written() ||
		is_locked(catalog::relation_oid(catalog::Catalog::Node), ShareRowExclusiveLock))
		return true;
	List *tables = reference_tables();
	ListCell *cell;
	foreach (cell, tables)
		if (is_locked(lfirst_oid(cell), RowShareLock))
			return true;
	return false;
}

const char *label(TransferMode mode)
{
	return mode == TransferMode::Auto			? "auto"
		   : mode == TransferMode::ForceLogical ? "force_logical"
												: "block_writes";
}

void provide(std::span<const catalog::Node> lacking, TransferMode mode)
{
	/* So that a cycle of waits through that session is found. */
	txn::begin_distributed_transaction();
	run_as_owner_on_node(local_node(), copy_reference_tables_sql(lacking, label(mode)));
}

/* A slot would wait for a transaction that has an id; the coordinator, which is the source, may not
 * make any. */
TransferMode mode_for_new_shards()
{
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()) || wal_level < WAL_LEVEL_LOGICAL)
		return TransferMode::BlockWrites;
	List *tables = reference_tables();
	ListCell *cell;
	foreach (cell, tables)
		if (replicable(lfirst_oid(cell)) != Replicable::Yes)
			return TransferMode::BlockWrites;
	return TransferMode::Auto;
}

} // namespace

pg::Vec<catalog::Node> nodes_without_reference_tables(std::span<const catalog::Node> nodes)
{
	pg::Vec<catalog::Node> lacking;
	for (const catalog::Node& node : nodes)
		if (!catalog::has_reference_tables(node.group_id))
			lacking.push(node);
	return lacking;
}

void check_reference_tables_replicable(TransferMode mode)
{
	check_replicable(reference_tables(), mode, "copied");
}

void provide_reference_tables(std::span<const catalog::Node> nodes, TransferMode mode)
{
	const pg::Vec<catalog::Node> lacking = nodes_without_reference_tables(nodes);
	if (lacking.empty())
		return;
	for (const catalog::Node& node : lacking)
		check_active_primary(node);
	check_reference_tables_replicable(mode);
	if (is_in_the_way() ||
		(mode != TransferMode::BlockWrites && TransactionIdIsValid(GetTopTransactionIdIfAny())))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("reference tables must be copied to node %s:%d first", lacking[0].name,
						lacking[0].port),
				 errdetail("That would wait for this transaction, which has written or locked "
						   "something."),
				 errhint("Commit first.")));
	provide(lacking.span(), mode);
}

void provide_for_new_shards(std::span<const GroupId> groups)
{
	pg::Vec<catalog::Node> lacking;
	for (const GroupId group : groups)
		if (!catalog::has_reference_tables(group))
			lacking.push(catalog::get_primary(group));
	if (!lacking.empty() && !is_in_the_way())
		provide(lacking.span(), mode_for_new_shards());
}

void check_has_reference_tables(const catalog::Node& node)
{
	if (!catalog::has_reference_tables(node.group_id))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("node %s:%d has no reference tables any more", node.name, node.port),
						errhint("Try again.")));
}

char *copy_reference_tables_sql(std::span<const catalog::Node> nodes, const char *mode)
{
	pg::Str sql;
	for (const catalog::Node& node : nodes)
		sql.raw(sql.empty() ? "SELECT citus_internal.copy_reference_tables(ARRAY[" : ", ")
			.num(node.node_id);
	return sql.raw("]::integer[], ").literal(mode).ch(')').c_str();
}

void reference_copies_init()
{
	ddl::new_shards_hook = provide_for_new_shards;
}

CIVITAS_PG_BEGIN

/* copy_reference_tables(node ids, transfer_mode): for whoever may move shards there or make tables,
 * which would do it as well. */
PG_FUNCTION_INFO_V1(citus_internal_copy_reference_tables);
PGDLLEXPORT Datum citus_internal_copy_reference_tables(PG_FUNCTION_ARGS)
{
	catalog::check_extension_version();
	catalog::require_node_call(fcinfo);
	catalog::require_coordinator();
	PreventCommandIfReadOnly("copying reference tables");
	Datum *ids;
	bool *nulls;
	int count;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), INT4OID, 4, true, TYPALIGN_INT, &ids, &nulls,
					  &count);
	pg::Vec<catalog::Node> nodes;
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a node id cannot be NULL")));
		nodes.push(node_by_id(DatumGetInt32(ids[i])));
		check_active_primary(nodes.back());
	}
	const TransferMode mode = transfer_mode_argument(PG_GETARG_OID(1));
	as_extension_owner([&] { copy(nodes.span(), mode); });
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::cluster
