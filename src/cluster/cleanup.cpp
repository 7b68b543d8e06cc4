/*
 * cleanup.cpp: records of temporary objects, and dropping what they name.
 *
 * A record is written over a session to this very server, so it is committed before the object is
 * made. The operation holds an advisory lock until its transaction ends: a record whose operation
 * is locked is left alone. A record of policy OnFailure is deleted by the operation's own
 * transaction, so it is gone exactly if the operation has succeeded.
 *
 * Cleaning up: one session at a time; the records of ended operations, tables last. A placement
 * that was replaced is dropped when no node's metadata has it any more and every transaction that
 * may still be on its way to it has ended; until then its record stays.
 */
#include "cleanup.h"

#include "civitas/catalog/writes.h"
#include "civitas/cluster/cluster.h"
#include "civitas/ddl/online.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"
#include "transfer.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

/* Advisory lock classes, beside those of pg_advisory_lock() (1, 2). */
constexpr uint16 OPERATION_LOCK = 10;
constexpr uint16 CLEANER_LOCK = 11;

bool lock(uint16 lock_class, int64 id, bool wait)
{
	LOCKTAG tag;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<uint32>(id >> 32), static_cast<uint32>(id),
						 lock_class);
	return LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

/* A row of pg_dist_cleanup. */
struct Record
{
	int64 id;
	int64 operation;
	ObjectType type;
	const char *name;
	GroupId group;
	CleanupPolicy policy;
};

char *insert_sql(int64 operation, std::span<const TemporaryObject> objects)
{
	pg::Str sql;
	for (const TemporaryObject& object : objects)
	{
		sql.raw(sql.empty() ? "INSERT INTO pg_catalog.pg_dist_cleanup (operation_id, object_type, "
							  "object_name, node_group_id, policy_type) VALUES "
							: ", ");
		sql.ch('(').num(operation).raw(", ").num(static_cast<int>(object.type)).raw(", ");
		sql.literal(object.name).raw(", ").num(object.group).raw(", ");
		sql.num(static_cast<int>(object.policy)).ch(')');
	}
	return sql.c_str();
}

/* --- reading records ------------------------------------------------------------------------- */

int64 int_column(HeapTuple row, TupleDesc descriptor, int column)
{
	return strtoll(SPI_getvalue(row, descriptor, column), nullptr, 10);
}

/* In the order in which they can be dropped. In CurrentMemoryContext. */
pg::Vec<Record> read_records(const char *condition)
{
	pg::Vec<Record> records;
	const MemoryContext context = CurrentMemoryContext;
	SPI_connect();
	pg::Str sql;
	sql.raw("SELECT record_id, operation_id, object_type, object_name, node_group_id, policy_type "
			"FROM pg_catalog.pg_dist_cleanup WHERE ")
		.raw(condition)
		.raw(" ORDER BY pg_catalog.array_position(ARRAY[3, 4, 1], object_type), record_id");
	if (SPI_execute(sql.c_str(), false, 0) != SPI_OK_SELECT)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("cannot read pg_dist_cleanup")));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc descriptor = SPI_tuptable->tupdesc;
		Record record = {};
		record.id = int_column(row, descriptor, 1);
		record.operation = int_column(row, descriptor, 2);
		record.type = static_cast<ObjectType>(int_column(row, descriptor, 3));
		record.name = MemoryContextStrdup(context, SPI_getvalue(row, descriptor, 4));
		record.group = static_cast<GroupId>(int_column(row, descriptor, 5));
		record.policy = static_cast<CleanupPolicy>(int_column(row, descriptor, 6));
		records.push(record);
	}
	SPI_finish();
	return records;
}

/* Records whose operation has ended; its lock is held from here on. */
pg::Vec<Record> take_records(const char *condition)
{
	pg::Vec<Record> all = read_records(condition);
	pg::Str ended;
	int64 last_free = -1;
	for (const Record& record : all)
	{
		if (record.operation == last_free || !lock(OPERATION_LOCK, record.operation, false))
			continue;
		last_free = record.operation;
		ended.raw(ended.empty() ? "operation_id IN (" : ", ").num(record.operation);
	}
	if (ended.empty())
		return pg::Vec<Record>();
	/* What a transaction that ended meanwhile deleted is gone now. */
	return read_records(ended.raw(") AND ").raw(condition).c_str());
}

/* --- dropping --------------------------------------------------------------------------------- */

/* The id at the end of a shard's (quoted) name. */
ShardId shard_id_of(const char *name)
{
	const char *last = strrchr(name, '_');
	return last != nullptr ? strtoll(last + 1, nullptr, 10) : INVALID_SHARD_ID;
}

char *drop_sql(const Record& record, int lock_timeout)
{
	pg::Str sql;
	switch (record.type)
	{
	case ObjectType::Placement:
		sql.raw("SELECT citus_internal.drop_placement(").literal(record.name).raw(", ");
		sql.num(lock_timeout).ch(')');
		break;
	case ObjectType::ReplicationSlot:
		sql.raw("SELECT citus_internal.drop_replication_slot(").literal(record.name).ch(')');
		break;
	case ObjectType::Publication:
		sql.raw("DROP PUBLICATION IF EXISTS ").ident(record.name);
		break;
	}
	return sql.c_str();
}

/* Whether the metadata says that the shard's table is one that queries use. */
bool is_in_use(const Record& record)
{
	catalog::ShardOwner owner;
	if (!catalog::find_shard(shard_id_of(record.name), &owner))
		return false;
	for (const catalog::Placement& placement :
		 catalog::get_table(owner.relid).placements_of(owner.shard_index))
		if (placement.group_id == record.group)
			return true;
	return false;
}

/* Waits on every node until nobody can be on the way to the operation's replaced placements; null,
 * or why somebody may be. */
const char *wait_for_users(std::span<const Record *const> records, int64 operation,
						   int lock_timeout)
{
	pg::Str shards;
	pg::Str groups;
	pg::Str names;
	for (const Record *record : records)
	{
		if (record->operation != operation || record->policy != CleanupPolicy::Deferred)
			continue;
		shards.raw(shards.empty() ? "" : ", ").num(shard_id_of(record->name));
		groups.raw(groups.empty() ? "" : ", ").num(record->group);
		names.raw(names.empty() ? "" : ", ").literal(record->name);
	}
	const char *sql =
		psprintf("SET lock_timeout = %d; SELECT "
				 "pg_catalog.count(citus_internal.wait_for_placement_users(s, g, n)) FROM "
				 "ROWS FROM (pg_catalog.unnest(ARRAY[%s]::bigint[]), "
				 "pg_catalog.unnest(ARRAY[%s]::integer[]), "
				 "pg_catalog.unnest(ARRAY[%s]::pg_catalog.text[])) p(s, g, n)",
				 lock_timeout, shards.c_str(), groups.c_str(), names.c_str());
	pg::Vec<NodeTask> tasks;
	for (const catalog::Node& node : catalog::other_metadata_nodes())
		tasks.push({node, sql, false, false, nullptr});
	/* By a session of its own, so that a timeout is a result here too. */
	tasks.push({local_node(), sql, false, false, nullptr});
	run_tasks({tasks.data(), static_cast<size_t>(tasks.size())}, true);
	for (const NodeTask& task : tasks)
		if (!task.success)
			return psprintf("%s:%d: %s", task.node.name, task.node.port, task.result);
	return nullptr;
}

void report(int level, const Record& record, const char *reason)
{
	const char *kind = record.type == ObjectType::Placement			? "placement"
					   : record.type == ObjectType::ReplicationSlot ? "replication slot"
																	: "publication";
	ereport(level, (errmsg("could not drop %s %s yet", kind, record.name),
					errdetail_internal("%s", reason), errhint("It will be tried again.")));
}

/* Drops objects of one type, on all nodes at once. */
int drop_objects(std::span<const Record *const> records, int level, int lock_timeout)
{
	pg::Vec<NodeTask> tasks;
	pg::Vec<const Record *> tried;
	pg::Str gone;
	int count = 0;
	int64 asked = -1;
	const char *reason = nullptr;
	const auto note_gone = [&](const Record& record) {
		gone.raw(gone.empty() ? "DELETE FROM pg_catalog.pg_dist_cleanup WHERE record_id IN ("
							  : ", ");
		gone.num(record.id);
		count++;
	};
	for (const Record *record : records)
	{
		const catalog::Node *node = record->group == catalog::local_group_id()
										? nullptr
										: catalog::find_primary(record->group);
		/* The node has left the cluster and took it along; or the placement is in use after all. */
		if ((node == nullptr && record->group != catalog::local_group_id()) ||
			(record->type == ObjectType::Placement && is_in_use(*record)))
		{
			note_gone(*record);
			continue;
		}
		if (record->policy == CleanupPolicy::Deferred && record->operation != asked)
		{
			reason = wait_for_users(records, record->operation, lock_timeout);
			asked = record->operation;
		}
		if (record->policy == CleanupPolicy::Deferred && reason != nullptr)
		{
			report(level, *record, reason);
			continue;
		}
		tasks.push({node != nullptr ? *node : local_node(), drop_sql(*record, lock_timeout), false,
					false, nullptr});
		tried.push(record);
	}
	run_tasks({tasks.data(), static_cast<size_t>(tasks.size())}, true);
	for (int i = 0; i < tasks.size(); i++)
		if (tasks[i].success)
			note_gone(*tried[i]);
		else
			report(level, *tried[i], tasks[i].result);
	if (!gone.empty())
		pg::sql_run(gone.ch(')').c_str());
	return count;
}

} // namespace

void (*litter_hook)();

int64 begin_operation()
{
	if (litter_hook != nullptr)
		litter_hook();
	/* nextval() in this transaction might give it an id, for which a new slot would wait. */
	const char *id = run_as_owner_on_node(
		local_node(), "SELECT pg_catalog.nextval('pg_catalog.pg_dist_operationid_seq')");
	const int64 operation = strtoll(id, nullptr, 10);
	lock(OPERATION_LOCK, operation, true);
	return operation;
}

void record_objects(int64 operation, std::span<const TemporaryObject> objects)
{
	if (objects.empty())
		return;
	run_as_owner_on_node(local_node(), insert_sql(operation, objects));
	/* Again: who cleans up may have been told by begin_operation() and have found nothing yet. */
	if (litter_hook != nullptr)
		litter_hook();
}

void record_for_drop(int64 operation, std::span<const TemporaryObject> objects)
{
	if (!objects.empty())
		as_extension_owner([&] { pg::sql_run(insert_sql(operation, objects)); });
}

void keep_objects(int64 operation)
{
	as_extension_owner([&] {
		pg::sql_run(psprintf("DELETE FROM pg_dist_cleanup WHERE operation_id = " INT64_FORMAT
							 " AND policy_type = %d",
							 operation, static_cast<int>(CleanupPolicy::OnFailure)));
	});
}

int clean_up(const CleanUp& how)
{
	int gone = 0;
	if (!lock(CLEANER_LOCK, 0, how.wait))
		return 0;
	as_extension_owner([&] {
		const pg::Vec<Record> records =
			take_records(how.only_replication ? psprintf("object_type <> %d",
														 static_cast<int>(ObjectType::Placement))
											  : "true");
		for (int first = 0; first < records.size();)
		{
			pg::Vec<const Record *> same;
			for (; first < records.size() && (same.empty() || same[0]->type == records[first].type);
				 first++)
				same.push(&records[first]);
			gone += drop_objects({same.data(), static_cast<size_t>(same.size())}, how.level,
								 how.lock_timeout);
		}
	});
	return gone;
}

bool clean_up_in_background()
{
	/* Short: the records of the next operations need not wait for readers of this one's. */
	constexpr int lock_timeout = 1000;
	clean_up({.level = LOG, .lock_timeout = lock_timeout, .wait = false});
	return read_records("true").empty();
}

namespace {

bool is_among(const VirtualTransactionId *list, int count, const VirtualTransactionId& wanted)
{
	for (int i = 0; i < count; i++)
		if (VirtualTransactionIdEquals(list[i], wanted))
			return true;
	return false;
}

/*
 * Waits for the transactions that use the table now: each holds a lock on its shell until it ends.
 * New ones see the new placement and need not be waited for; nor does the next move of the group,
 * which reads no placement by itself.
 */
void wait_for_users_of(Oid relid)
{
	LOCKTAG shell;
	SET_LOCKTAG_RELATION(shell, MyDatabaseId, relid);
	const LOCKTAG group = catalog::colocation_lock_tag(catalog::get_table(relid).colocation_id);
	int user_count;
	int mover_count;
	const VirtualTransactionId *users = GetLockConflicts(&shell, AccessExclusiveLock, &user_count);
	const VirtualTransactionId *movers = GetLockConflicts(&group, ShareLock, &mover_count);
	for (int i = 0; i < user_count; i++)
		if (!is_among(movers, mover_count, users[i]))
			VirtualXactLock(users[i], true);
}

/* The table that a shard belonged to before it was split; none where that is gone. */
Oid table_of_former_shard(ShardId shard, const char *name)
{
	List *tables = catalog::all_table_oids();
	ListCell *cell;
	foreach (cell, tables)
		if (strcmp(catalog::qualified_shard_name(lfirst_oid(cell), shard), name) == 0)
			return lfirst_oid(cell);
	return InvalidOid;
}

/* In a session of its own: the caller may be in a transaction that uses the placements, and need not
 * have rights on them. */
void drop_replaced_placements()
{
	if (pg::sql_text("SELECT 1 FROM pg_dist_cleanup WHERE object_type = 1 LIMIT 1") != nullptr)
		run_as_owner_on_node(local_node(), "SELECT citus_internal.clean_up(1000, false)");
}

/* How long CALL waits for readers of a placement, ms. */
constexpr int CALL_LOCK_TIMEOUT = 5000;

void call_clean_up()
{
	catalog::check_extension_version();
	catalog::require_coordinator();
	PreventCommandIfReadOnly("CALL citus_cleanup_orphaned_resources()");
	const int gone = clean_up({.level = WARNING, .lock_timeout = CALL_LOCK_TIMEOUT, .wait = true});
	if (gone > 0)
		ereport(NOTICE, (errmsg("cleaned up %d orphaned resources", gone)));
}

} // namespace

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_cleanup_orphaned_resources);
PGDLLEXPORT Datum citus_cleanup_orphaned_resources(PG_FUNCTION_ARGS)
{
	call_clean_up();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(citus_internal_clean_up);
PGDLLEXPORT Datum citus_internal_clean_up(PG_FUNCTION_ARGS)
{
	catalog::require_coordinator();
	PG_RETURN_INT32(clean_up({.level = DEBUG1,
							  .lock_timeout = PG_GETARG_INT32(0),
							  .wait = true,
							  .only_replication = PG_GETARG_BOOL(1)}));
}

/* wait_for_placement_users(shard, group, name): returns when no transaction on this node can still
 * be on its way to that placement, which the metadata must have dropped, maybe with the shard. */
PG_FUNCTION_INFO_V1(citus_internal_wait_for_placement_users);
PGDLLEXPORT Datum citus_internal_wait_for_placement_users(PG_FUNCTION_ARGS)
{
	const ShardId shard = PG_GETARG_INT64(0);
	const GroupId group = PG_GETARG_INT32(1);
	catalog::ShardOwner owner;
	if (!catalog::find_shard(shard, &owner))
	{
		const Oid relid = table_of_former_shard(shard, text_to_cstring(PG_GETARG_TEXT_PP(2)));
		if (OidIsValid(relid))
			wait_for_users_of(relid);
		PG_RETURN_VOID();
	}
	for (const catalog::Placement& placement :
		 catalog::get_table(owner.relid).placements_of(owner.shard_index))
		if (placement.group_id == group)
			ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
							errmsg("the metadata of this node still has the placement"),
							errhint("recover_prepared_transactions() finishes what a crash "
									"interrupted.")));
	wait_for_users_of(owner.relid);
	PG_RETURN_VOID();
}

CIVITAS_PG_END

void cleanup_init()
{
	ddl::replaced_placements_hook = drop_replaced_placements;
}

} // namespace civitas::cluster
