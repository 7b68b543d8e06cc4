/*
 * maintenance.cpp: VACUUM and ANALYZE on shards, and shell statistics.
 *
 * VACUUM cannot run in a transaction block: each other node gets one VACUUM that lists its shards,
 * outside the transaction; this node's shards follow by name. ANALYZE stays inside the transaction.
 * Afterwards the shell's pg_class row says how many rows the shards have, and pg_statistic what a
 * sample of them tells of the columns (column_statistics.h): the planner estimates from both.
 */
#include "maintenance.h"

#include "../shards/shard_names.h"
#include "civitas/catalog/propagation.h"
#include "civitas/catalog/tables.h"
#include "civitas/catalog/writes.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"
#include "civitas/txn/transaction.h"
#include "column_statistics.h"
#include "concurrent_index.h"

CIVITAS_PG_BEGIN
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "commands/defrem.h"
#include "commands/vacuum.h"
#include "tcop/dest.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
CIVITAS_PG_END

#include <cstdlib>

namespace civitas::ddl {

namespace {

bool has_placement(const catalog::Table& table, int index, GroupId group)
{
	for (const catalog::Placement& placement : table.placements_of(index))
		if (placement.group_id == group)
			return true;
	return false;
}

/* "shard, shard": the table's shards on a group, each between `prefix` and `suffix`; empty where
 * there are none. */
void append_shards(pg::Str *sql, Oid relid, GroupId group, const char *prefix, const char *suffix,
				   bool as_literals)
{
	const catalog::Table& table = catalog::get_table(relid);
	for (int index = 0; index < table.shard_count; index++)
	{
		if (!has_placement(table, index, group))
			continue;
		const char *name = catalog::qualified_shard_name(relid, table.shards[index].shard_id);
		sql->raw(sql->empty() ? "" : ", ").raw(prefix);
		if (as_literals)
			sql->literal(name);
		else
			sql->raw(name);
		sql->raw(suffix);
	}
}

const char *verb_and_options(const VacuumStmt *statement)
{
	pg::Str sql;
	sql.raw(statement->is_vacuumcmd ? "VACUUM " : "ANALYZE ");
	ListCell *cell;
	foreach (cell, statement->options)
	{
		auto *option = lfirst_node(DefElem, cell);
		sql.raw(foreach_current_index(cell) == 0 ? "(" : ", ").raw(option->defname);
		sql.raw(option->arg != nullptr ? " " : "");
		if (option->arg != nullptr && IsA(option->arg, String))
			sql.literal(strVal(option->arg));
		else if (option->arg != nullptr)
			sql.raw(defGetString(option));
	}
	return sql.raw(statement->options != NIL ? ") " : "").c_str();
}

/* VACUUM (ONLY_DATABASE_STATS) is about no table. */
bool is_about_tables(const VacuumStmt *statement)
{
	ListCell *cell;
	foreach (cell, statement->options)
	{
		auto *option = lfirst_node(DefElem, cell);
		if (strcmp(option->defname, "only_database_stats") == 0 && defGetBoolean(option))
			return false;
	}
	return true;
}

/* Whether the statement says ONLY of the table, as it can from 18 on: not of its partitions. */
bool says_only(const VacuumStmt *statement, Oid relid)
{
	ListCell *cell;
	foreach (cell, statement->rels)
	{
		const RangeVar *relation = lfirst_node(VacuumRelation, cell)->relation;
		if (relation != nullptr && !relation->inh && metadata_table_of(relation) == relid)
			return true;
	}
	return false;
}

/* The columns that the statement names for the table, as String nodes; NIL for all. */
List *named_columns(const VacuumStmt *statement, Oid relid)
{
	ListCell *cell;
	foreach (cell, statement->rels)
	{
		const auto *target = lfirst_node(VacuumRelation, cell);
		if (target->va_cols != NIL && target->relation != nullptr &&
			metadata_table_of(target->relation) == relid)
			return target->va_cols;
	}
	return NIL;
}

/* "ONLY shard (a, b), ..." of all the tables that have shards on the group. */
char *vacuum_targets(const VacuumStmt *statement, List *tables, GroupId group)
{
	pg::Str all;
	ListCell *cell;
	foreach (cell, tables)
	{
		pg::Str columns;
		List *names = named_columns(statement, lfirst_oid(cell));
		ListCell *column;
		foreach (column, names)
			columns.raw(foreach_current_index(column) == 0 ? " (" : ", ")
				.ident(strVal(lfirst(column)));
		columns.raw(names != NIL ? ")" : "");
		pg::Str shards;
		append_shards(&shards, lfirst_oid(cell), group,
					  says_only(statement, lfirst_oid(cell)) ? "ONLY " : "", columns.c_str(),
					  false);
		if (!shards.empty())
			all.raw(all.empty() ? "" : ", ").raw(shards.c_str());
	}
	return all.empty() ? nullptr : all.c_str();
}

} // namespace

/* --- statistics of the shell
 * ------------------------------------------------------------------------ */

struct Size
{
	double rows;
	double pages;
};

namespace {

char *size_query(Oid relid, GroupId group)
{
	pg::Str shards;
	append_shards(&shards, relid, group, "", "::pg_catalog.regclass", true);
	if (shards.empty())
		return nullptr;
	pg::Str sql;
	sql.raw("SELECT pg_catalog.sum(GREATEST(reltuples, 0)) || ' ' || pg_catalog.sum(relpages) "
			"FROM pg_catalog.pg_class WHERE oid IN (");
	return sql.raw(shards.c_str()).raw(")").c_str();
}

/* Null: the node has none of the shards. */
Size parse_size(const char *text)
{
	if (text == nullptr || text[0] == '\0')
		return {0, 0};
	char *rest = nullptr;
	const double rows = strtod(text, &rest);
	return {rows, strtod(rest, nullptr)};
}

bool wants_columns(const VacuumStmt *statement)
{
	bool analyze = !statement->is_vacuumcmd;
	ListCell *cell;
	foreach (cell, statement->options)
	{
		auto *option = lfirst_node(DefElem, cell);
		if (strcmp(option->defname, "analyze") == 0)
			analyze = defGetBoolean(option);
	}
	return analyze;
}

void update_shell_statistics(Oid relid, const VacuumStmt *statement)
{
	const catalog::Table& table = catalog::get_table(relid);
	Size total = {0, 0};
	const char *sql = size_query(relid, catalog::local_group_id());
	if (sql != nullptr)
	{
		const Size size = parse_size(pg::sql_text(sql));
		total = {total.rows + size.rows, total.pages + size.pages};
	}
	for (const catalog::Node& node : catalog::other_metadata_nodes())
	{
		sql = size_query(relid, node.group_id);
		if (sql == nullptr)
			continue;
		PGresult *result = remote::query(txn::session_for(node), sql);
		const Size size = parse_size(PQgetvalue(result, 0, 0));
		remote::release(result);
		total = {total.rows + size.rows, total.pages + size.pages};
	}
	/* The rows of a table with replicas are counted once. */
	double copies = 0;
	for (int index = 0; index < table.shard_count; index++)
		copies += table.shards[index].placement_count;
	copies = copies > 0 ? copies / table.shard_count : 1;
	Relation relation = table_open(relid, ShareUpdateExclusiveLock);
	pg::update_relation_statistics(relation, static_cast<BlockNumber>(total.pages / copies),
								   total.rows / copies);
	if (wants_columns(statement))
		update_column_statistics(relation, named_columns(statement, relid), total.rows / copies);
	table_close(relation, NoLock);
}

/* --- VACUUM and ANALYZE
 * ------------------------------------------------------------------------------ */

void run_local(const char *sql, bool top_level)
{
	PlannedStmt *wrapper = makeNode(PlannedStmt);
	wrapper->commandType = CMD_UTILITY;
	wrapper->utilityStmt = parse_one(sql);
	wrapper->stmt_location = -1;
	if (!ActiveSnapshotSet())
		PushActiveSnapshot(GetTransactionSnapshot());
	catalog::with_propagation_suspended([&] {
		ProcessUtility(wrapper, sql, false,
					   top_level ? PROCESS_UTILITY_TOPLEVEL : PROCESS_UTILITY_QUERY, nullptr,
					   nullptr, None_Receiver, nullptr);
	});
}

/* VACUUM and ANALYZE of a partitioned table are also about its partitions. */
List *add_partitions(List *tables)
{
	List *all = NIL;
	ListCell *cell;
	foreach (cell, tables)
		all = list_concat_unique_oid(all, find_all_inheritors(lfirst_oid(cell), NoLock, nullptr));
	return all;
}

void run_vacuum(const UtilityCall& call, List *tables)
{
	const auto *statement = castNode(VacuumStmt, call.statement->utilityStmt);
	const bool top_level = call.context == PROCESS_UTILITY_TOPLEVEL;
	if (statement->is_vacuumcmd)
		PreventInTransactionBlock(top_level, "VACUUM");

	/* VACUUM commits on the way: what is needed afterwards must not be in the transaction's memory.
	 */
	const MemoryContext previous = MemoryContextSwitchTo(PortalContext);
	tables = is_about_tables(statement) ? list_copy(tables) : NIL;
	List *with_partitions = add_partitions(tables);
	const char *verb = verb_and_options(statement);
	/* Of a statement for the whole database the shards here are part anyway. */
	const char *local = statement->rels != NIL
							? vacuum_targets(statement, tables, catalog::local_group_id())
							: nullptr;
	const std::span<const catalog::Node> nodes = catalog::other_metadata_nodes();
	const int count = static_cast<int>(nodes.size());
	auto *commands =
		static_cast<txn::NodeCommand *>(palloc(sizeof(txn::NodeCommand) * (count + 1)));
	auto *node_ids = static_cast<NodeId *>(palloc(sizeof(NodeId) * (count + 1)));
	int used = 0;
	for (const catalog::Node& node : nodes)
	{
		const char *targets = vacuum_targets(statement, tables, node.group_id);
		if (targets == nullptr)
			continue;
		node_ids[used] = node.node_id;
		commands[used++] = {&node, psprintf("%s%s", verb, targets)};
	}
	const char *local_sql = local != nullptr ? psprintf("%s%s", verb, local) : nullptr;
	MemoryContextSwitchTo(previous);

	catalog::with_propagation_suspended([&] { run_plain(call); });
	if (!statement->is_vacuumcmd)
		txn::run_on_nodes({commands, static_cast<size_t>(used)});
	else
		for (int i = 0; i < used; i++)
			txn::run_outside_transaction(*catalog::find_node(node_ids[i]), commands[i].sql);
	if (local_sql != nullptr)
	{
		MemoryContextSwitchTo(PortalContext);
		run_local(local_sql, top_level);
		MemoryContextSwitchTo(previous);
	}
	ListCell *cell;
	foreach (cell, with_partitions)
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lfirst_oid(cell))))
			update_shell_statistics(lfirst_oid(cell), statement);
}

} // namespace

namespace {

/* The schema is on the other nodes as well, which may have a plain one of the name. */
bool is_schema_of_tables(const ReindexStmt *statement)
{
	const Oid schema = get_namespace_oid(statement->name, true);
	return OidIsValid(schema) && catalog::object_is_distributed(NamespaceRelationId, schema);
}

} // namespace

bool is_for_whole_database(Node *statement)
{
	if (IsA(statement, ClusterStmt))
		return castNode(ClusterStmt, statement)->relation == nullptr;
	if (!IsA(statement, ReindexStmt))
		return false;
	const auto *reindex = castNode(ReindexStmt, statement);
	return reindex->kind == REINDEX_OBJECT_DATABASE ||
		   (reindex->kind == REINDEX_OBJECT_SCHEMA && is_schema_of_tables(reindex));
}

void run_on_whole_databases(const UtilityCall& call)
{
	const MemoryContext previous = MemoryContextSwitchTo(PortalContext);
	const char *text = statement_text(call);
	pg::Vec<NodeId> nodes(PortalContext);
	if (catalog::is_coordinator())
		for (const catalog::Node& node : catalog::other_metadata_nodes())
			nodes.push(node.node_id);
	MemoryContextSwitchTo(previous);
	catalog::with_propagation_suspended([&] { run_plain(call); });
	for (const NodeId node : nodes)
		txn::run_outside_transaction(*catalog::find_node(node), text);
}

void run_maintenance(const UtilityCall& call, List *tables)
{
	switch (nodeTag(call.statement->utilityStmt))
	{
	case T_VacuumStmt:
		run_vacuum(call, tables);
		break;
	case T_ReindexStmt:
		reindex_concurrently(call, linitial_oid(tables));
		break;
	case T_IndexStmt:
		create_index_concurrently(call, linitial_oid(tables));
		break;
	default:
		drop_index_concurrently(call);
	}
}

} // namespace civitas::ddl
