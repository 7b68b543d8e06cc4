/*
 * left_rows.cpp: rows that an UPDATE of the distribution column took out of a shard.
 *
 * To others such a row is not deleted: who waits for it must not act as if it never was. It gets
 * the mark that PostgreSQL gives to rows that an UPDATE moves to another partition, so that who
 * waited fails with a serialization error. The DELETE calls this for every row that it has deleted.
 */
#include "execution.h"

CIVITAS_PG_BEGIN
#include "access/generic_xlog.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
CIVITAS_PG_END

namespace civitas::executor {

namespace {

/* Whether this transaction deleted the row, and did not make another version of it here. */
bool deleted_by_us(const HeapTupleHeader row, ItemPointer tid)
{
	return (row->t_infomask & HEAP_XMAX_INVALID) == 0 &&
		   !HEAP_XMAX_IS_LOCKED_ONLY(row->t_infomask) && ItemPointerEquals(&row->t_ctid, tid) &&
		   TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(row));
}

void mark_row(Relation relation, Buffer buffer, ItemPointer tid)
{
	Page page = BufferGetPage(buffer);
	const OffsetNumber offset = ItemPointerGetOffsetNumber(tid);
	if (offset > PageGetMaxOffsetNumber(page) || !ItemIdIsNormal(PageGetItemId(page, offset)) ||
		!deleted_by_us(
			reinterpret_cast<HeapTupleHeader>(PageGetItem(page, PageGetItemId(page, offset))), tid))
		return;
	GenericXLogState *log = GenericXLogStart(relation);
	page = GenericXLogRegisterBuffer(log, buffer, 0);
	HeapTupleHeaderSetMovedPartitions(
		reinterpret_cast<HeapTupleHeader>(PageGetItem(page, PageGetItemId(page, offset))));
	GenericXLogFinish(log);
}

void mark_left_row(Oid relid, ItemPointer tid)
{
	Relation relation = try_relation_open(relid, RowExclusiveLock);
	if (relation == nullptr)
		return;
	if (relation->rd_tableam == GetHeapamTableAmRoutine() && ItemPointerIsValid(tid) &&
		ItemPointerGetBlockNumber(tid) < RelationGetNumberOfBlocks(relation))
	{
		Buffer buffer = ReadBuffer(relation, ItemPointerGetBlockNumber(tid));
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		mark_row(relation, buffer, tid);
		UnlockReleaseBuffer(buffer);
	}
	relation_close(relation, NoLock);
}

} // namespace

} // namespace civitas::executor

CIVITAS_PG_BEGIN

/* row_left(shard oid, row tid, found tid): marks the deleted row; the last argument. */
PG_FUNCTION_INFO_V1(citus_row_left);
PGDLLEXPORT Datum citus_row_left(PG_FUNCTION_ARGS)
{
	civitas::executor::mark_left_row(PG_GETARG_OID(0),
									 reinterpret_cast<ItemPointer>(PG_GETARG_POINTER(1)));
	PG_RETURN_DATUM(PG_GETARG_DATUM(2));
}

CIVITAS_PG_END
