/*
 * shard_locks.cpp: locks on shard groups, beside those on rows.
 *
 * A change of many shards locks rows on several nodes at once; two of them could each have what the
 * other wants. So it first locks the shard groups that it touches, in one order for everybody: node
 * by node (ascending group), on each node ascending by key. Single-row changes take no such lock
 * and pay nothing; with those the search for deadlocks helps.
 *
 * Rows that are given (INSERT .. VALUES) wait only for others with the same unique key, and must
 * not keep others out of whole shards until their transaction ends. So they take no lock either:
 * where the table has a unique key they go through the shard groups in the order above, which is
 * the order in which their keys are locked then.
 *
 * A change of a reference table must meet the same rows on each placement. Its statement is
 * preceded, in the same flush, by a lock on the shard there, and on those of the reference tables
 * that it reads: inserts of given rows share it, everything else is alone. The first placement
 * comes first (many.cpp; flush_buffer() in shard_copy.cpp), so they queue up there; and the lock is
 * held until the part of that node is committed, so that who comes next sees the same on every one.
 *
 * The locks are advisory ones, of a class that SQL's advisory locks do not use, in the modes of
 * table locks, to the end of the transaction.
 */
#include "execution.h"

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

bool template_has(const plan::RemoteQuery *query, const char *word)
{
	ListCell *cell;
	foreach (cell, query->pieces)
		if (strstr(strVal(lfirst(cell)), word) != nullptr)
			return true;
	return false;
}

/* Whether two statements like this one may do different things when they meet in another order. */
bool order_matters(const plan::RemoteQuery *query)
{
	if (all_modifications_commutative)
		return false;
	return query->command != CMD_INSERT || template_has(query, "ON CONFLICT") ||
		   list_length(query->relations) > 1;
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
	if (query->command == CMD_SELECT)
		return template_has(query, " FOR UPDATE") && !template_has(query, "SKIP LOCKED") &&
			   !template_has(query, "NOWAIT");
	return order_matters(query);
}

/* INSERT .. VALUES; false for INSERT .. SELECT that the nodes run. */
bool inserts_given_rows(const plan::RemoteQuery *query)
{
	return query->command == CMD_INSERT && query->pruning == plan::Pruning::Routed;
}

char *lock_statement(Oid relation, std::span<const int64> keys, bool alone)
{
	pg::Str name;
	name.qualified(get_namespace_name(get_rel_namespace(relation)), get_rel_name(relation));
	pg::Str sql;
	sql.raw("SELECT citus_internal.lock_shard_groups(").literal(name.c_str()).raw(", '{");
	for (size_t index = 0; index < keys.size(); index++)
	{
		if (index > 0)
			sql.raw(",");
		sql.num(keys[index]);
	}
	sql.raw("}', ").raw(alone ? "true" : "false").raw(")");
	return sql.c_str();
}

int compare_keys(const void *left, const void *right)
{
	const int64 a = *static_cast<const int64 *>(left);
	const int64 b = *static_cast<const int64 *>(right);
	return a < b ? -1 : a > b;
}

/* Keys of the tasks that run on the group, ascending. */
pg::Vec<int64> keys_of_group(const Execution *execution, GroupId group)
{
	pg::Vec<int64> keys;
	for (const Task& task : execution->tasks)
		if (task.groups[0] == group)
			keys.push(affinity_key(execution, task).key);
	qsort(keys.data(), keys.size(), sizeof(int64), compare_keys);
	return keys;
}

/* Shards of the reference tables that a change of one of them changes and reads, ascending. */
pg::Vec<int64> replica_keys(const plan::RemoteQuery *query)
{
	pg::Vec<int64> keys;
	ListCell *cell;
	foreach (cell, query->relations)
	{
		const catalog::Table *table = catalog::find_table(lfirst_oid(cell));
		if (table != nullptr && table->kind == catalog::TableKind::Reference)
			keys.push(table->shards[0].shard_id);
	}
	qsort(keys.data(), keys.size(), sizeof(int64), compare_keys);
	return keys;
}

/* Whether the statement, which changes no row that was there, may wait for rows of others that do
 * the same. */
bool waits_for_keys(const Execution *execution)
{
	return execution->query->command == CMD_INSERT && !all_modifications_commutative &&
		   !inserts_given_rows(execution->query) && has_unique_index(execution->anchor->relid);
}

void lock_on_node(Execution *execution, GroupId group)
{
	const pg::Vec<int64> keys = keys_of_group(execution, group);
	if (group == catalog::local_group_id())
	{
		const ColocationId colocation = affinity_key(execution, execution->tasks[0]).colocation;
		for (const int64 key : keys)
			lock_key(colocation, key, true);
		return;
	}
	/* A transaction may have several sessions on the node: its locks belong to one of them, which
	 * would otherwise wait for itself. */
	remote::Session *session = txn::affinity(group, INVALID_COLOCATION_ID, LOCKING_SESSION);
	if (session == nullptr)
		session = txn::session_for(catalog::get_primary(group));
	txn::set_affinity(group, INVALID_COLOCATION_ID, LOCKING_SESSION, session);
	if (remote::claimed(session))
		yield_session(session);
	remote::begin_pipeline(session);
	txn::queue_preamble(session, true);
	remote::queue_hidden(session, lock_statement(execution->query->anchor, keys.span(), true));
	remote::flush_pipeline(session);
	await_sync(session);
}

} // namespace

void lock_shard_groups(Execution *execution)
{
	if (!enable_deadlock_prevention || execution->query->read_only ||
		execution->query->target != plan::Target::ShardGroups || execution->anchor == nullptr ||
		!(locks_rows(execution->query) || waits_for_keys(execution)))
		return;
	pg::Vec<GroupId> groups;
	for (const Task& task : execution->tasks)
	{
		bool known = false;
		for (const GroupId group : groups)
			known = known || group == task.groups[0];
		if (!known)
			groups.push(task.groups[0]);
	}
	qsort(groups.data(), groups.size(), sizeof(GroupId), [](const void *left, const void *right) {
		return *static_cast<const GroupId *>(left) < *static_cast<const GroupId *>(right) ? -1 : 1;
	});
	for (const GroupId group : groups)
		lock_on_node(execution, group);
}

bool goes_node_by_node(const Execution *execution)
{
	return enable_deadlock_prevention && inserts_given_rows(execution->query) &&
		   execution->tasks.size() > 1 && execution->current_phase_end == execution->tasks.size() &&
		   !locks_rows(execution->query) && has_unique_index(execution->anchor->relid);
}

bool locks_replica(const Execution *execution)
{
	return execution->write && execution->query->target == plan::Target::AllReplicas &&
		   execution->anchor != nullptr;
}

void queue_replica_lock(const Execution *execution, remote::Session *session)
{
	const pg::Vec<int64> keys = replica_keys(execution->query);
	remote::queue_hidden(session, lock_statement(execution->query->anchor, keys.span(),
												 order_matters(execution->query)));
}

void lock_local_replica(const Execution *execution)
{
	for (const int64 key : replica_keys(execution->query))
		lock_key(INVALID_COLOCATION_ID, key, order_matters(execution->query));
}

const char *copied_rows_lock(const catalog::Table& table)
{
	const int64 key = table.shards[0].shard_id;
	return lock_statement(table.relid, {&key, 1}, false);
}

void lock_for_copied_rows(const catalog::Table& table)
{
	lock_key(INVALID_COLOCATION_ID, table.shards[0].shard_id, false);
}

} // namespace civitas::executor

using namespace civitas;

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_internal_lock_shard_groups);

/* lock_shard_groups(relation, keys, alone): locks shard groups of a table that the caller may
 * change, in the order of the keys, to the end of the transaction. */
PGDLLEXPORT Datum citus_internal_lock_shard_groups(PG_FUNCTION_ARGS)
{
	const Oid relation = PG_GETARG_OID(0);
	const AclMode rights = ACL_INSERT | ACL_UPDATE | ACL_DELETE;
	if (pg_class_aclcheck(relation, GetUserId(), rights) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(relation, GetUserId(), ACL_INSERT | ACL_UPDATE, ACLMASK_ANY) !=
			ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(relation));
	const catalog::Table& table = catalog::get_table(relation);
	const bool by_shard =
		table.kind == catalog::TableKind::Reference || table.colocation_id == INVALID_COLOCATION_ID;
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(1);
	if (ARR_HASNULL(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("keys of locks may not be null")));
	const int64 *keys = reinterpret_cast<const int64 *>(ARR_DATA_PTR(array));
	const int count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	for (int index = 0; index < count; index++)
		executor::lock_key(by_shard ? INVALID_COLOCATION_ID : table.colocation_id, keys[index],
						   PG_GETARG_BOOL(2));
	PG_RETURN_VOID();
}

CIVITAS_PG_END
