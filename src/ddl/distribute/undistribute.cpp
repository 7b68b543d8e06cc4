/*
 * undistribute.cpp: a table of the metadata becomes a plain table of the coordinator again.
 *
 * Its rows are put into the coordinator's own table, which keeps its oid, indexes, rights and
 * everything that depends on it; shards, metadata and the other nodes' shells go. Rows that this
 * transaction has written only its own sessions see: then all are read through the distributed plan
 * into a temporary table first.
 */
#include "../apply.h"
#include "../tables/table_checks.h"
#include "civitas/catalog/propagation.h"
#include "civitas/ddl/objects.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/txn/transaction.h"
#include "distribute.h"
#include "gather_rows.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_inherits.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

List *tables_connected_by_foreign_keys(Oid relid)
{
	pg::Str sql;
	sql.raw("SELECT CASE WHEN conrelid = ")
		.oid(relid)
		.raw(" THEN confrelid ELSE conrelid END::oid FROM pg_constraint "
			 "WHERE contype = 'f' AND conparentid = 0 AND conrelid <> confrelid AND ")
		.oid(relid)
		.raw(" IN (conrelid, confrelid)");
	List *connected = NIL;
	List *texts = pg::sql_texts(sql.c_str());
	ListCell *cell;
	foreach (cell, texts)
	{
		const Oid other = static_cast<Oid>(strtoul(static_cast<char *>(lfirst(cell)), nullptr, 10));
		if (catalog::find_table(other) != nullptr)
			connected = list_append_unique_oid(connected, other);
	}
	return connected;
}

bool is_connected_by_foreign_keys(Oid relid)
{
	return tables_connected_by_foreign_keys(relid) != NIL;
}

namespace {

void collect(Oid relid, bool with_foreign_keys, List **tables)
{
	if (list_member_oid(*tables, relid))
		return;
	List *connected = tables_connected_by_foreign_keys(relid);
	const catalog::Table& table = catalog::get_table(relid);
	if (!table.readable)
		catalog::require_sound(table);
	if (connected != NIL && !with_foreign_keys && table.kind != catalog::TableKind::Local)
		ereport(
			ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("cannot undistribute table \"%s\": foreign keys connect it with other tables",
					get_rel_name(relid)),
			 errhint("Use cascade_via_foreign_keys => true to undistribute all of them.")));
	*tables = lappend_oid(*tables, relid);
	List *partitions = find_inheritance_children(relid, AccessExclusiveLock);
	ListCell *cell;
	foreach (cell, partitions)
		collect(lfirst_oid(cell), with_foreign_keys, tables);
	if (!with_foreign_keys)
		return;
	foreach (cell, connected)
	{
		open_for_distribution(lfirst_oid(cell));
		collect(lfirst_oid(cell), true, tables);
	}
}

void restore_rows(Oid relid)
{
	const char *columns = stored_column_list(relid);
	if (columns == nullptr)
		return;
	pg::Str sql;
	sql.raw("INSERT INTO ")
		.raw(qualified_table_name(relid))
		.raw(" (")
		.raw(columns)
		.raw(") OVERRIDING SYSTEM VALUE SELECT ");
	sql.raw(columns).raw(" FROM pg_temp.").raw(saved_rows_name(relid));
	pg::Str drop;
	drop.raw("DROP TABLE pg_temp.").raw(saved_rows_name(relid));
	/* The rows satisfied the foreign keys as shards; while other tables of the set are still empty
	 * here they would not, so the checks are left out. */
	const int level = NewGUCNestLevel();
	set_config_option("session_replication_role", "replica", PGC_SUSET, PGC_S_SESSION,
					  GUC_ACTION_SAVE, true, 0, false);
	/* Checks and generated columns are the owner's code: it runs in his name. */
	pg::Str grant;
	grant.raw("GRANT SELECT ON pg_temp.").raw(saved_rows_name(relid)).raw(" TO ");
	grant.ident(GetUserNameFromId(owner_of(relid), false));
	catalog::with_propagation_suspended([&] {
		pg::sql_run(grant.c_str());
		as_owner(relid, [&] { pg::sql_run(sql.c_str()); });
		pg::sql_run(drop.c_str());
	});
	AtEOXact_GUC(true, level);
}

/* Shards, shells elsewhere, metadata. */
void leave_metadata(Oid relid)
{
	txn::run_on_other_nodes(call_on_table("citus_internal.drop_table", relid));
	leave_metadata_here(relid);
}

} // namespace

void undistribute(Oid relid, bool with_foreign_keys, bool committed)
{
	catalog::get_table(relid);
	if (get_rel_relispartition(relid) &&
		catalog::find_table(get_partition_parent(relid, false)) != nullptr)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot undistribute partition \"%s\" by itself", get_rel_name(relid)),
				 errhint("Undistribute the partitioned table, or detach the partition first.")));
	txn::require_one_session_per_node();
	List *tables = NIL;
	collect(relid, with_foreign_keys, &tables);
	lock_elsewhere(tables);
	const pg::Vec<OldShard> shards = shards_of(tables);
	wait_for_writers(shards.span());
	ListCell *cell;
	if (committed)
		pull_rows_home(shards.span());
	else
		foreach (cell, tables)
			if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_RELATION)
				save_rows(lfirst_oid(cell));
	/* Partitions and referencing tables before what they rest on. */
	for (int i = list_length(tables) - 1; i >= 0; i--)
		leave_metadata(list_nth_oid(tables, i));
	CommandCounterIncrement();
	forget_dependents(tables);
	if (committed)
		return;
	foreach (cell, tables)
		if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_RELATION)
			restore_rows(lfirst_oid(cell));
}

} // namespace civitas::ddl
