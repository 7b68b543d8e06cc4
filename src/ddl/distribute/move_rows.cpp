/*
 * move_rows.cpp: rows between a table's own storage, its shards, and a temporary table that holds
 * them while the shards are replaced.
 */
#include "civitas/executor/scan.h"
#include "civitas/executor/shard_copy.h"
#include "civitas/pg/columns.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "distribute.h"

CIVITAS_PG_BEGIN
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "commands/progress.h"
#include "commands/tablecmds.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/backend_progress.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
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

namespace {

uint64 send_rows(Relation relation, Oid target)
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
			copy = executor::shard_copy_begin_rows(catalog::get_table(target),
												   pg::stored_columns(RelationGetDescr(relation)),
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

/* Sends every row of a relation to the shards of a table that has the same columns. */
uint64 copy_rows(Relation relation, Oid target)
{
	uint64 rows = 0;
	as_owner(target, [&] { rows = send_rows(relation, target); });
	return rows;
}

} // namespace

Oid owner_of(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

void move_rows_to_shards(Oid relid)
{
	Relation relation = table_open(relid, AccessExclusiveLock);
	pgstat_progress_start_command(PROGRESS_COMMAND_COPY, relid);
	pgstat_progress_update_param(PROGRESS_COPY_COMMAND, PROGRESS_COPY_COMMAND_FROM);
	const uint64 rows = copy_rows(relation, relid);
	pgstat_progress_end_command();
	table_close(relation, NoLock);
	if (rows == 0)
		return;
	CommandCounterIncrement();
	empty_shell(relid);
	ereport(NOTICE, (errmsg("moved " UINT64_FORMAT " %s of table \"%s\" into its shards", rows,
							rows == 1 ? "row" : "rows", get_rel_name(relid))));
}

/* --- rows in a temporary table --------------------------------------------------------------- */

const char *qualified_table_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

const char *stored_column_list(Oid relid)
{
	pg::Str sql;
	sql.raw("SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE "
			"attnum > 0 "
			"AND NOT attisdropped AND attgenerated = '' AND attrelid = ")
		.oid(relid);
	return pg::sql_text(sql.c_str());
}

const char *saved_rows_name(Oid relid)
{
	return psprintf("citus_saved_rows_%u", relid);
}

void save_rows(Oid relid)
{
	const char *columns = stored_column_list(relid);
	pg::Str sql;
	sql.raw("CREATE TEMPORARY TABLE ")
		.raw(saved_rows_name(relid))
		.raw(" ON COMMIT DROP AS SELECT ");
	sql.raw(columns != nullptr ? columns : "").raw(" FROM ").raw(qualified_table_name(relid));
	const int level = NewGUCNestLevel();
	/* One session to each node: the locks of a second one would block the drop of the shards. */
	executor::use_one_session_per_node();
	/* Rows that a policy hides from the owner must not be lost: rather an error. */
	set_config_option("row_security", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
					  false);
	pg::sql_run(sql.c_str());
	AtEOXact_GUC(true, level);
}

void move_saved_rows_to_shards(Oid relid)
{
	const Oid saved = RelnameGetRelid(saved_rows_name(relid));
	Relation relation = table_open(saved, AccessShareLock);
	if (RelationGetDescr(relation)->natts > 0)
		copy_rows(relation, relid);
	table_close(relation, NoLock);
	pg::Str drop;
	drop.raw("DROP TABLE pg_temp.").raw(saved_rows_name(relid));
	pg::sql_run(drop.c_str());
}

} // namespace civitas::ddl
