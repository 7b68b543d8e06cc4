/*
 * shard_locks.cpp: locks on shard groups, beside those on rows.
 *
 * A change of many shards locks rows on several nodes at once; two of them could each have what the
 * other wants. So it first locks the shard groups that it touches, in one order for everybody: node
 * by node (ascending group), on each node ascending by key. Single-row changes take no such lock
 * and pay nothing; with those the search for deadlocks helps.
 *
 * Rows that are given (INSERT .. VALUES, COPY) wait only for others with the same unique key, and
 * must not keep others out of whole shards until their transaction ends. So they take no lock
 * either: where the table has a unique key they go through the shard groups in the order above,
 * which is the order in which their keys are locked then. A COPY of more rows than it can keep back
 * sends them as they come: it may wait in a circle, but only with another one that has a key of its
 * own, of which one had to fail anyway.
 *
 * A change of what has replicas (a reference table, shards with several placements) must meet the
 * same rows on each of them. Its statement is preceded, in the same flush, by a lock on the shard
 * or shard group there, and on those of the reference tables that it reads: rows that are given
 * share it, everything else is alone. The first placement comes first (many.cpp; flush_buffer() in
 * shard_copy.cpp), so they queue up there; and the lock is held until the part of that node is
 * committed, so that who comes next sees the same on every one. Where such a change has several
 * shards it takes the locks of all placements before, in the order above.
 *
 * The locks are advisory ones, of a class that SQL's advisory locks do not use, in the modes of
 * table locks, to the end of the transaction.
 */
#include "execution.h"

#include "civitas/catalog/node_session.h"
#include "civitas/pg/str.h"
#include "civitas/txn/transaction.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_index.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
CIVITAS_PG_END

#include <cstdlib>
#include <cstring>

namespace civitas::executor {

bool all_modifications_commutative;
bool enable_deadlock_prevention;

namespace {

/* The fourth field of our lock tags; SQL's advisory locks have 1 and 2 there. */
constexpr uint16 LOCK_CLASS_GROUP = 21;
constexpr uint16 LOCK_CLASS_SHARD = 22;

/* Under this affinity key a node's session that holds the locks is found; no shard has that id. */
constexpr int64 LOCKING_SESSION = -1;

void lock_key(ColocationId colocation, int64 key, bool alone)
{
	LOCKTAG tag;
	if (colocation != INVALID_COLOCATION_ID)
		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<uint32>(colocation),
							 static_cast<uint32>(key), LOCK_CLASS_GROUP);
	else
		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<uint32>(key >> 32),
							 static_cast<uint32>(key), LOCK_CLASS_SHARD);
	LockAcquire(&tag, alone ? ExclusiveLock : RowExclusiveLock, false, false);
}

/* Whether two statements like this one may do different things when they meet in another order. */
bool order_matters(const plan::RemoteQuery *query)
{
	if (all_modifications_commutative)
		return false;
	return query->command != CMD_INSERT || query->on_conflict || list_length(query->relations) > 1;
}

/* Whether a row of the table may have to wait for another one. */
bool has_unique_index(Oid relid)
{
	bool found = false;
	Relation relation = table_open(relid, AccessShareLock);
	ListCell *cell;
	foreach (cell, RelationGetIndexList(relation))
	{
		HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));
		if (!HeapTupleIsValid(tuple))
			continue;
		const auto *index = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
		found = found || index->indisunique || index->indisexclusion;
		ReleaseSysCache(tuple);
	}
	table_close(relation, NoLock);
	return found;
}

/* Whether the statement locks rows that were there before it, and waits for them. */
bool locks_rows(const plan::RemoteQuery *query)
{
	return query->command == CMD_SELECT ? query->waits_for_rows : order_matters(query);
}

/* INSERT .. VALUES; false for INSERT .. SELECT that the nodes run. */
bool inserts_given_rows(const plan::RemoteQuery *query)
{
	return query->command == CMD_INSERT && query->pruning == plan::Pruning::Routed;
}

/* What is locked on a node, each ascending. */
struct Keys
{
	pg::Vec<int64> groups; /* shard groups of the table's colocation */
	pg::Vec<int64> shards;
};
CIVITAS_SERVER_STATE(Keys);

/* Shard groups are locked as such only where several tables share them. */
bool has_groups(const catalog::Table& table)
{
	return table.kind != catalog::TableKind::Reference &&
		   table.colocation_id != INVALID_COLOCATION_ID;
}

void add_key(Keys *keys, const catalog::Table& table, int shard_index)
{
	if (has_groups(table))
		keys->groups.push(shard_index);
	else
		keys->shards.push(table.shards[shard_index].shard_id);
}

int compare_keys(const void *left, const void *right)
{
	const int64 a = *static_cast<const int64 *>(left);
	const int64 b = *static_cast<const int64 *>(right);
	return a < b ? -1 : a > b;
}

void sort_keys(pg::Vec<int64>& keys)
{
	qsort(keys.data(), keys.size(), sizeof(int64), compare_keys);
}

void append_keys(pg::Str *sql, const pg::Vec<int64>& keys)
{
	sql->raw(", '{");
	for (int index = 0; index < keys.size(); index++)
	{
		if (index > 0)
			sql->raw(",");
		sql->num(keys[index]);
	}
	sql->raw("}'");
}

char *lock_statement(const catalog::Table& table, const Keys& keys, bool alone)
{
	pg::Str name;
	name.qualified(get_namespace_name(get_rel_namespace(table.relid)), get_rel_name(table.relid));
	pg::Str sql;
	sql.raw("SELECT citus_internal.lock_shard_groups(").literal(name.c_str());
	append_keys(&sql, keys.groups);
	append_keys(&sql, keys.shards);
	sql.raw(alone ? ", true)" : ", false)");
	return sql.c_str();
}

void lock_here(const catalog::Table& table, const Keys& keys, bool alone)
{
	for (const int64 key : keys.groups)
		lock_key(table.colocation_id, key, alone);
	for (const int64 key : keys.shards)
		lock_key(INVALID_COLOCATION_ID, key, alone);
}

void lock_on_node(const catalog::Table& table, GroupId group, const Keys& keys, bool alone)
{
	if (group == catalog::local_group_id())
	{
		lock_here(table, keys, alone);
		return;
	}
	/* A transaction may have several sessions on the node: its locks belong to one of them, which
	 * would otherwise wait for itself; also when a reference table was written by another since. */
	remote::Session *session = txn::own_affinity(group, INVALID_COLOCATION_ID, LOCKING_SESSION);
	if (session == nullptr)
		session = txn::affinity(group, INVALID_COLOCATION_ID, LOCKING_SESSION);
	if (session == nullptr)
		session = txn::session_for(catalog::get_primary(group));
	txn::set_affinity(group, INVALID_COLOCATION_ID, LOCKING_SESSION, session);
	if (remote::claimed(session))
		yield_session(session);
	remote::begin_pipeline(session);
	txn::queue_preamble(session, true);
	remote::queue_hidden(session, lock_statement(table, keys, alone));
	remote::flush_pipeline(session);
	await_sync(session);
}

bool has_replicas(const Execution *execution)
{
	return execution->current_phase_end < execution->tasks.size();
}

/* The reference tables that a change of replicas changes and reads. */
void add_reference_shards(Keys *keys, const plan::RemoteQuery *query)
{
	ListCell *cell;
	foreach (cell, query->relations)
	{
		const catalog::Table *table = catalog::find_table(lfirst_oid(cell));
		if (table != nullptr && table->kind == catalog::TableKind::Reference)
			keys->shards.push(table->shards[0].shard_id);
	}
}

/* What the statement touches on a node. */
Keys keys_of_group(const Execution *execution, GroupId group)
{
	Keys keys;
	for (const Task& task : execution->tasks)
		if (task.groups[0] == group)
			add_key(&keys, *execution->anchor, task.shard_index);
	if (has_replicas(execution))
		add_reference_shards(&keys, execution->query);
	sort_keys(keys.groups);
	sort_keys(keys.shards);
	return keys;
}

/* What is locked on a placement in the same flush as the statement. */
Keys replica_keys(const Execution *execution, const Task& task)
{
	Keys keys;
	if (execution->query->target != plan::Target::AllReplicas)
		add_key(&keys, *execution->anchor, task.shard_index);
	add_reference_shards(&keys, execution->query);
	sort_keys(keys.shards);
	return keys;
}

/* Whether the statement, which changes no row that was there, may wait for rows of others that do
 * the same. */
bool waits_for_keys(const Execution *execution)
{
	return execution->query->command == CMD_INSERT && !all_modifications_commutative &&
		   !inserts_given_rows(execution->query) && has_unique_index(execution->anchor->relid);
}

void add_group(pg::Vec<GroupId>& groups, GroupId group)
{
	for (const GroupId known : groups)
		if (known == group)
			return;
	groups.push(group);
}

void sort_groups(pg::Vec<GroupId>& groups)
{
	qsort(groups.data(), groups.size(), sizeof(GroupId), [](const void *left, const void *right) {
		return *static_cast<const GroupId *>(left) < *static_cast<const GroupId *>(right) ? -1 : 1;
	});
}

/* The shards of a table on one node: all of them, or those that have other placements too. */
Keys keys_of_table(const catalog::Table& table, GroupId group, bool replicated_only)
{
	Keys keys;
	for (int index = 0; index < table.shard_count; index++)
	{
		const std::span<const catalog::Placement> placements = table.placements_of(index);
		if (replicated_only && placements.size() == 1)
			continue;
		for (const catalog::Placement& placement : placements)
			if (placement.group_id == group)
				add_key(&keys, table, index);
	}
	sort_keys(keys.shards);
	return keys;
}

void lock_table(const catalog::Table& table, bool replicated_only, bool alone)
{
	pg::Vec<GroupId> groups;
	for (int index = 0; index < table.shard_count; index++)
		for (const catalog::Placement& placement : table.placements_of(index))
			add_group(groups, placement.group_id);
	sort_groups(groups);
	for (const GroupId group : groups)
	{
		const Keys keys = keys_of_table(table, group, replicated_only);
		if (!keys.groups.empty() || !keys.shards.empty())
			lock_on_node(table, group, keys, alone);
	}
}

} // namespace

void lock_shard_groups(Execution *execution)
{
	const plan::RemoteQuery *query = execution->query;
	if (!enable_deadlock_prevention || query->read_only ||
		query->target != plan::Target::ShardGroups || execution->anchor == nullptr ||
		locks_replica(execution))
		return;
	const bool alone = locks_rows(query) || waits_for_keys(execution);
	if (!alone && !has_replicas(execution))
		return;
	pg::Vec<GroupId> groups;
	for (const Task& task : execution->tasks)
		add_group(groups, task.groups[0]);
	sort_groups(groups);
	for (const GroupId group : groups)
		lock_on_node(*execution->anchor, group, keys_of_group(execution, group), alone);
}

void lock_before_batches(const plan::RemoteQuery *query)
{
	if (!enable_deadlock_prevention || query->command != CMD_INSERT ||
		query->target != plan::Target::ShardGroups || !OidIsValid(query->anchor))
		return;
	const bool alone = order_matters(query);
	lock_table(catalog::get_table(query->anchor), !alone, alone);
}

bool goes_node_by_node(const Execution *execution)
{
	return enable_deadlock_prevention && inserts_given_rows(execution->query) &&
		   execution->current_phase_end > 1 && !locks_rows(execution->query) &&
		   has_unique_index(execution->anchor->relid);
}

bool locks_replica(const Execution *execution)
{
	if (!execution->write || execution->anchor == nullptr)
		return false;
	if (execution->query->target == plan::Target::AllReplicas)
		return true;
	/* For several shards lock_shard_groups() has taken them in its order, where that is wanted. */
	return has_replicas(execution) &&
		   (execution->current_phase_end == 1 || !enable_deadlock_prevention);
}

bool sees_what_it_waited_for(const Execution *execution)
{
	return locks_replica(execution) || (execution->write && has_replicas(execution));
}

void queue_replica_lock(const Execution *execution, const Task& task, remote::Session *session)
{
	remote::queue_hidden(session, lock_statement(*execution->anchor, replica_keys(execution, task),
												 order_matters(execution->query)));
}

void lock_local_replica(const Execution *execution, const Task& task)
{
	if (locks_replica(execution))
		lock_here(*execution->anchor, replica_keys(execution, task),
				  order_matters(execution->query));
}

const char *copied_rows_lock(const catalog::Table& table)
{
	Keys keys;
	add_key(&keys, table, 0);
	return lock_statement(table, keys, false);
}

void lock_for_copied_rows(const catalog::Table& table)
{
	lock_key(INVALID_COLOCATION_ID, table.shards[0].shard_id, false);
}

void lock_before_copy(const catalog::Table& table)
{
	if (table.kind == catalog::TableKind::Hash)
		lock_table(table, true, false);
}

bool copies_node_by_node(const catalog::Table& table)
{
	return enable_deadlock_prevention && !all_modifications_commutative &&
		   table.kind == catalog::TableKind::Hash && has_unique_index(table.relid);
}

} // namespace civitas::executor

using namespace civitas;

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_internal_lock_shard_groups);

namespace {

/* The elements of a bigint[] argument. */
std::span<const int64> keys_argument(Datum argument)
{
	ArrayType *array = DatumGetArrayTypeP(argument);
	if (ARR_HASNULL(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("keys of locks may not be null")));
	return {reinterpret_cast<const int64 *>(ARR_DATA_PTR(array)),
			static_cast<size_t>(ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)))};
}

} // namespace

/* lock_shard_groups(relation, groups, shards, alone): locks shard groups of a table that the caller
 * may change, and shards, in the order given, to the end of the transaction. */
PGDLLEXPORT Datum citus_internal_lock_shard_groups(PG_FUNCTION_ARGS)
{
	catalog::require_node_call(fcinfo);
	const Oid relation = PG_GETARG_OID(0);
	const AclMode rights = ACL_INSERT | ACL_UPDATE | ACL_DELETE;
	if (pg_class_aclcheck(relation, GetUserId(), rights) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(relation, GetUserId(), ACL_INSERT | ACL_UPDATE, ACLMASK_ANY) !=
			ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(relation));
	const catalog::Table& table = catalog::get_table(relation);
	for (const int64 key : keys_argument(PG_GETARG_DATUM(1)))
		executor::lock_key(table.colocation_id, key, PG_GETARG_BOOL(3));
	for (const int64 key : keys_argument(PG_GETARG_DATUM(2)))
		executor::lock_key(INVALID_COLOCATION_ID, key, PG_GETARG_BOOL(3));
	PG_RETURN_VOID();
}

CIVITAS_PG_END
