/*
 * recovery.cpp: finishing what a crash left prepared on other nodes.
 *
 * For each node: (1) the records of it that are visible, (2) the parts of this server that the node
 * holds prepared, (3) the transactions that run here now, (4) the visible records again. A part
 * whose transaction does not run is committed if (4) has its record, else rolled back. A record of
 * (1) whose part is not in (2) has done its duty and is deleted. See commit/gid.h for why the order
 * matters. One recovery at a time: it holds a lock on pg_dist_transaction that conflicts with
 * itself only.
 */
#include "civitas/pg/server.h"

#include "transaction_state.h"

#include "civitas/catalog/relations.h"
#include "civitas/pg/str.h"
#include "civitas/pg/subtransaction.h"
#include "civitas/pg/vec.h"

CIVITAS_PG_BEGIN
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
CIVITAS_PG_END

namespace civitas::txn {

namespace {

/* Columns of pg_dist_transaction. */
constexpr int COLUMN_GROUP = 1;
constexpr int COLUMN_GID = 2;
constexpr int COLUMN_XID = 3;
constexpr int COLUMNS = 3;

/* A row of pg_dist_transaction for one node. */
struct Record
{
	ItemPointerData place;
	const char *gid;
};

using Records = pg::Vec<Record>;

Records read_records(Relation relation, GroupId group)
{
	Records records;
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData key;
	ScanKeyInit(&key, COLUMN_GROUP, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(group));
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, snapshot, 1, &key);
	for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));)
	{
		bool is_null;
		const Datum gid = heap_getattr(tuple, COLUMN_GID, RelationGetDescr(relation), &is_null);
		records.push({tuple->t_self, TextDatumGetCString(gid)});
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	return records;
}

bool has_record(const Records& records, const char *gid)
{
	for (const Record& record : records)
	{
		if (strcmp(record.gid, gid) == 0)
			return true;
	}
	return false;
}

bool is_listed(const PGresult *prepared, const char *gid)
{
	for (int row = 0; row < PQntuples(prepared); row++)
	{
		if (strcmp(PQgetvalue(prepared, row, 0), gid) == 0)
			return true;
	}
	return false;
}

bool is_running(const uint64 *running, int count, uint64 number)
{
	for (int i = 0; i < count; i++)
	{
		if (running[i] == number)
			return true;
	}
	return false;
}

/* Ends one part on its node. A failure (somebody else was faster, no right) is a warning. */
bool finish_part(remote::Session *session, const char *gid, bool commit)
{
	pg::Str sql;
	sql.raw(commit ? "COMMIT PREPARED " : "ROLLBACK PREPARED ").literal(gid);
	remote::send_simple(session, sql.c_str());
	bool good = true;
	for (PGresult *result; (result = remote::next_result(session)) != nullptr;)
	{
		if (PQresultStatus(result) != PGRES_COMMAND_OK)
		{
			if (PQstatus(remote::connection(session)) != CONNECTION_OK)
				remote::raise_remote_error(session, result);
			remote::report_remote_error(WARNING, session, result);
			good = false;
		}
		PQclear(result);
	}
	return good;
}

/* Records of nodes that were removed speak for nothing any more. */
void forget_removed_nodes(Relation relation)
{
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, snapshot, 0, nullptr);
	for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));)
	{
		bool is_null;
		const Datum group = heap_getattr(tuple, COLUMN_GROUP, RelationGetDescr(relation), &is_null);
		if (catalog::find_primary(DatumGetInt32(group)) == nullptr)
			CatalogTupleDelete(relation, &tuple->t_self);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
}

int recover_node(Relation relation, const catalog::Node& node)
{
	const remote::Endpoint endpoint = endpoint_of(node);
	remote::Session *session = remote::find_idle(endpoint);
	if (session == nullptr)
		session = remote::connect(endpoint);

	const Records before = read_records(relation, node.group_id);
	PGresult *prepared = remote::query(
		session, "SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE database = "
				 "pg_catalog.current_database() AND gid LIKE 'citus\\_%' ESCAPE '\\'");
	int running_count;
	const uint64 *running = running_transactions(&running_count);
	const Records after = read_records(relation, node.group_id);

	int finished = 0;
	for (int row = 0; row < PQntuples(prepared); row++)
	{
		const char *gid = PQgetvalue(prepared, row, 0);
		commit::TransactionPart part;
		if (!commit::parse_gid(gid, &part))
			continue;
		const commit::Evidence evidence = {
			part.group == catalog::local_group_id() && part.database == MyDatabaseId,
			is_running(running, running_count, part.number), has_record(after, gid)};
		const commit::Outcome outcome = commit::decide(evidence);
		if (outcome != commit::Outcome::Leave &&
			finish_part(session, gid, outcome == commit::Outcome::Commit))
			finished++;
	}

	for (const Record& record : before)
	{
		commit::TransactionPart part;
		if (is_listed(prepared, record.gid) || (commit::parse_gid(record.gid, &part) &&
												is_running(running, running_count, part.number)))
			continue;
		ItemPointerData place = record.place;
		CatalogTupleDelete(relation, &place);
	}
	remote::release(prepared);
	return finished;
}

} // namespace

void insert_commit_records(int count)
{
	Relation relation =
		table_open(catalog::relation_oid(catalog::Catalog::Transaction), RowExclusiveLock);
	const Datum xid = UInt64GetDatum(U64FromFullTransactionId(GetTopFullTransactionId()));
	TupleTableSlot **slots =
		static_cast<TupleTableSlot **>(palloc(sizeof(TupleTableSlot *) * count));
	int filled = 0;
	for_each_participant([&](const Participant *participant) {
		if (participant->step != Step::Prepared)
			return;
		TupleTableSlot *slot =
			MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsHeapTuple);
		Datum values[COLUMNS];
		bool nulls[COLUMNS] = {false, false, false};
		values[COLUMN_GROUP - 1] = Int32GetDatum(participant->group);
		values[COLUMN_GID - 1] = CStringGetTextDatum(participant->gid);
		values[COLUMN_XID - 1] = xid;
		ExecStoreHeapTuple(heap_form_tuple(RelationGetDescr(relation), values, nulls), slot, true);
		slots[filled++] = slot;
	});
	/* All in one WAL record, but for the index. */
	CatalogIndexState indexes = CatalogOpenIndexes(relation);
	CatalogTuplesMultiInsertWithInfo(relation, slots, filled, indexes);
	CatalogCloseIndexes(indexes);
	for (int i = 0; i < filled; i++)
		ExecDropSingleTupleTableSlot(slots[i]);
	pfree(slots);
	table_close(relation, NoLock);
}

int recover_transactions()
{
	/* A standby cannot delete records, and its primary recovers. */
	if (RecoveryInProgress() || !catalog::extension_installed())
		return 0;
	Relation relation =
		table_open(catalog::relation_oid(catalog::Catalog::Transaction), RowExclusiveLock);
	LockRelation(relation, ShareUpdateExclusiveLock);

	int finished = 0;
	for (const catalog::Node& node : catalog::other_metadata_nodes())
	{
		int parts = 0;
		/* A node that cannot be reached must not keep the others waiting; what it had here until then
		 * is given up. */
		ErrorData *error =
			pg::error_of_subtransaction([&] { parts = recover_node(relation, node); });
		finished += parts;
		if (error == nullptr)
			continue;
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_CONNECTION_EXCEPTION)
			ReThrowError(error);
		ereport(WARNING,
				(errcode(error->sqlerrcode), errmsg_internal("%s", error->message),
				 error->detail != nullptr ? errdetail_internal("%s", error->detail) : 0,
				 errhint("Prepared transactions of this node are finished when it can be reached "
						 "again.")));
	}
	forget_removed_nodes(relation);
	table_close(relation, NoLock);
	return finished;
}

} // namespace civitas::txn
