/*
 * move_rows.cpp: rows between a table's own storage and its shards.
 */
#include "civitas/executor/shard_copy.h"
#include "civitas/pg/compat.h"
#include "distribute.h"

CIVITAS_PG_BEGIN
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_attribute.h"
#include "commands/progress.h"
#include "commands/tablecmds.h"
#include "executor/tuptable.h"
#include "utils/backend_progress.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
CIVITAS_PG_END

namespace civitas::ddl {

void empty_shell(Oid relid)
{
	Relation relation = table_open(relid, AccessExclusiveLock);
	CheckTableNotInUse(relation, "distribute");
	const Oid toast = relation->rd_rel->reltoastrelid;
	pg::set_new_storage(relation);
	table_close(relation, NoLock);
	if (OidIsValid(toast))
	{
		Relation toast_relation = table_open(toast, AccessExclusiveLock);
		pg::set_new_storage(toast_relation);
		table_close(toast_relation, NoLock);
	}
	CommandCounterIncrement();
	pg::rebuild_indexes(relid);
	CommandCounterIncrement();
}

static List *stored_columns(TupleDesc row_type)
{
	List *names = NIL;
	for (int i = 0; i < row_type->natts; i++)
	{
		const Form_pg_attribute attribute = TupleDescAttr(row_type, i);
		if (!attribute->attisdropped && attribute->attgenerated == '\0')
			names = lappend(names, makeString(pstrdup(NameStr(attribute->attname))));
	}
	return names;
}

/* Sends every row of the table to its shard. */
static uint64 copy_rows(Relation relation)
{
	uint64 rows = 0;
	PushActiveSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(relation, nullptr);
	TableScanDesc scan = table_beginscan(relation, GetActiveSnapshot(), 0, nullptr);
	executor::ShardCopy *copy = nullptr;
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		/* Most tables are distributed empty: nothing is opened for them. */
		if (copy == nullptr)
			copy = executor::shard_copy_begin_rows(catalog::get_table(RelationGetRelid(relation)),
												   stored_columns(RelationGetDescr(relation)),
												   RelationGetDescr(relation));
		slot_getallattrs(slot);
		executor::shard_copy_slot(copy, slot);
		pgstat_progress_update_param(PROGRESS_COPY_TUPLES_PROCESSED, static_cast<int64>(++rows));
	}
	if (copy != nullptr)
		executor::shard_copy_finish(copy);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	PopActiveSnapshot();
	return rows;
}

void move_rows_to_shards(Oid relid)
{
	Relation relation = table_open(relid, AccessExclusiveLock);
	pgstat_progress_start_command(PROGRESS_COMMAND_COPY, relid);
	pgstat_progress_update_param(PROGRESS_COPY_COMMAND, PROGRESS_COPY_COMMAND_FROM);
	const uint64 rows = copy_rows(relation);
	pgstat_progress_end_command();
	table_close(relation, NoLock);
	if (rows == 0)
		return;
	CommandCounterIncrement();
	empty_shell(relid);
	ereport(NOTICE, (errmsg("moved " UINT64_FORMAT " %s of table \"%s\" into its shards", rows,
							rows == 1 ? "row" : "rows", get_rel_name(relid))));
}

} // namespace civitas::ddl
