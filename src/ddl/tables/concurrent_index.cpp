/*
 * concurrent_index.cpp: indexes without blocking writes.
 *
 * Create: the (empty) shells get the index in a short transaction that commits at once; then every
 * shard gets its own by CREATE INDEX CONCURRENTLY, one after the other, each in transactions of its
 * own. When one fails, what exists is dropped again on all nodes, invalid indexes too, and the
 * error goes to the user. Drop: the shards' indexes first, each CONCURRENTLY, then the shells' in
 * one transaction: a failure in between leaves an index that DROP INDEX can be repeated for.
 * Rebuild: shard by shard; shells have no rows to index. A failure leaves what was rebuilt, and in the
 * shard that failed perhaps an invalid index beside the old one, as on a plain server.
 */
#include "concurrent_index.h"

#include "../shards/shard_names.h"
#include "../statement_kinds.h"
#include "alter_table.h"
#include "civitas/catalog/propagation.h"
#include "civitas/catalog/tables.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"
#include "civitas/txn/transaction.h"
#include "table_checks.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "tcop/dest.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

/* One command for one node. */
struct Step
{
	NodeId node_id; /* 0: this node */
	const char *sql;
};

void commit_and_continue()
{
	while (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();
	StartTransactionCommand();
}

void run_here(const char *sql)
{
	PlannedStmt *wrapper = makeNode(PlannedStmt);
	wrapper->commandType = CMD_UTILITY;
	wrapper->utilityStmt = parse_one(sql);
	wrapper->stmt_location = -1;
	PushActiveSnapshot(GetTransactionSnapshot());
	catalog::with_propagation_suspended([&] {
		ProcessUtility(wrapper, sql, false, PROCESS_UTILITY_TOPLEVEL, nullptr, nullptr,
					   None_Receiver, nullptr);
	});
	commit_and_continue();
}

void run_step(const Step& step)
{
	if (step.node_id == 0)
		run_here(step.sql);
	else
		txn::run_outside_transaction(*catalog::find_node(step.node_id), step.sql);
}

/* make(shard id) for every placement of every shard. */
template <typename Make> void each_placement(Oid relid, pg::Vec<Step> *steps, Make&& make)
{
	const catalog::Table& table = catalog::get_table(relid);
	for (int index = 0; index < table.shard_count; index++)
		for (const catalog::Placement& placement : table.placements_of(index))
		{
			const NodeId node = placement.group_id == catalog::local_group_id()
									? 0
									: catalog::get_primary(placement.group_id).node_id;
			steps->push({node, make(table.shards[index].shard_id)});
		}
}

const char *drop_shard_index(const char *schema, const char *index, ShardId shard)
{
	pg::Str sql;
	sql.raw("DROP INDEX CONCURRENTLY IF EXISTS ");
	return sql.qualified(schema, catalog::shard_relation_name(index, shard)).c_str();
}

void drop_shells(const char *schema, const char *index)
{
	pg::Str sql;
	sql.raw("DROP INDEX IF EXISTS ").qualified(schema, index);
	txn::run_on_other_nodes(sql.c_str());
	PushActiveSnapshot(GetTransactionSnapshot());
	execute_tree(parse_one(sql.c_str()), sql.c_str());
	PopActiveSnapshot();
}

/* After a failure: the transaction is a new one, everything that was made goes. */
void clean_up(const pg::Vec<Step>& drops, int attempted, const char *schema, const char *index)
{
	for (int i = 0; i < attempted; i++)
		run_step(drops[i]);
	drop_shells(schema, index);
	commit_and_continue();
}

/* The shell's index definition cut behind the table's name: "USING btree (a)". */
const char *definition_tail(Oid relid, Oid index_id)
{
	const char *definition =
		pg::sql_text(psprintf("SELECT pg_catalog.pg_get_indexdef(%u)", index_id));
	const char *table =
		psprintf(" ON %s ", quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
													   get_rel_name(relid)));
	const char *found = strstr(definition, table);
	if (found == nullptr)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("unexpected index definition")));
	return found + strlen(table);
}

} // namespace

void create_index_concurrently(const UtilityCall& call, Oid relid)
{
	PreventInTransactionBlock(call.context == PROCESS_UTILITY_TOPLEVEL,
							  "CREATE INDEX CONCURRENTLY");
	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot create index on partitioned table \"%s\" concurrently",
							   get_rel_name(relid))));

	/* Outlives the transactions below. */
	MemoryContextSwitchTo(PortalContext);
	auto *statement = static_cast<IndexStmt *>(copyObjectImpl(call.statement->utilityStmt));
	statement->concurrent = false;
	auto *tree = static_cast<Node *>(copyObjectImpl(statement));
	List *existing = existing_object_ids(relid);
	execute_tree(reinterpret_cast<Node *>(statement), call.sql);
	check_altered(relid);
	fill_names(tree, chosen_names(tree, relid, existing));
	const char *schema = get_namespace_name(get_rel_namespace(relid));
	const char *index = castNode(IndexStmt, tree)->idxname;
	const Oid index_id =
		index == nullptr ? InvalidOid : get_relname_relid(index, get_rel_namespace(relid));
	if (!OidIsValid(index_id) || list_member_oid(existing, index_id))
		return;
	refuse_whole_rows(index_id);
	const char *tail = definition_tail(relid, index_id);
	const char *create =
		castNode(IndexStmt, tree)->unique ? "CREATE UNIQUE INDEX " : "CREATE INDEX ";

	pg::Vec<Step> creates(PortalContext);
	pg::Vec<Step> drops(PortalContext);
	each_placement(relid, &creates, [&](ShardId shard) -> const char * {
		pg::Str sql;
		sql.raw(create).raw("CONCURRENTLY ").ident(catalog::shard_relation_name(index, shard));
		return sql.raw(" ON ")
			.raw(catalog::qualified_shard_name(relid, shard))
			.ch(' ')
			.raw(tail)
			.c_str();
	});
	each_placement(relid, &drops,
				   [&](ShardId shard) { return drop_shard_index(schema, index, shard); });
	pg::Str shell;
	shell.raw(create)
		.ident(index)
		.raw(" ON ")
		.qualified(schema, get_rel_name(relid))
		.ch(' ')
		.raw(tail);
	send_new_dependencies(list_make1_oid(relid));
	txn::run_on_other_nodes(shell.c_str());
	commit_and_continue();
	MemoryContextSwitchTo(PortalContext);

	volatile int attempted = 0;
	PG_TRY();
	{
		for (const Step& step : creates)
		{
			CHECK_FOR_INTERRUPTS();
			attempted = attempted + 1;
			run_step(step);
			MemoryContextSwitchTo(PortalContext);
		}
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(PortalContext);
		ErrorData *error = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		StartTransactionCommand();
		clean_up(drops, attempted, schema, index);
		ReThrowError(error);
	}
	PG_END_TRY();
}

void drop_index_concurrently(const UtilityCall& call)
{
	const auto *statement = castNode(DropStmt, call.statement->utilityStmt);
	PreventInTransactionBlock(call.context == PROCESS_UTILITY_TOPLEVEL, "DROP INDEX CONCURRENTLY");
	if (list_length(statement->objects) != 1 || statement->behavior == DROP_CASCADE)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("DROP INDEX CONCURRENTLY takes one index, without CASCADE")));
	const Oid index_id =
		RangeVarGetRelid(makeRangeVarFromNameList(linitial_node(List, statement->objects)),
						 ShareUpdateExclusiveLock, false);
	if (!pg::owns(RelationRelationId, index_id))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_INDEX, get_rel_name(index_id));
	const Oid relid = IndexGetRelation(index_id, false);
	if (OidIsValid(get_index_constraint(index_id)))
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop index \"%s\": a constraint needs it", get_rel_name(index_id)),
				 errhint("Drop the constraint instead.")));

	MemoryContextSwitchTo(PortalContext);
	const char *schema = get_namespace_name(get_rel_namespace(relid));
	const char *index = pstrdup(get_rel_name(index_id));
	pg::Vec<Step> drops(PortalContext);
	each_placement(relid, &drops,
				   [&](ShardId shard) { return drop_shard_index(schema, index, shard); });
	commit_and_continue();
	MemoryContextSwitchTo(PortalContext);
	for (const Step& step : drops)
	{
		CHECK_FOR_INTERRUPTS();
		run_step(step);
		MemoryContextSwitchTo(PortalContext);
	}
	drop_shells(schema, index);
}

void reindex_concurrently(const UtilityCall& call, Oid relid)
{
	const auto *statement = castNode(ReindexStmt, call.statement->utilityStmt);
	PreventInTransactionBlock(call.context == PROCESS_UTILITY_TOPLEVEL, "REINDEX CONCURRENTLY");
	const Oid target = RangeVarGetRelid(statement->relation, ShareUpdateExclusiveLock, false);
	const bool index = statement->kind == REINDEX_OBJECT_INDEX;
	if (!pg::owns(RelationRelationId, target))
		aclcheck_error(ACLCHECK_NOT_OWNER, index ? OBJECT_INDEX : OBJECT_TABLE,
					   get_rel_name(target));
	const char *tablespace = nullptr;
	ListCell *cell;
	foreach (cell, statement->params)
		if (strcmp(lfirst_node(DefElem, cell)->defname, "tablespace") == 0)
			tablespace = defGetString(lfirst_node(DefElem, cell));

	MemoryContextSwitchTo(PortalContext);
	const char *schema = get_namespace_name(get_rel_namespace(target));
	const char *name = pstrdup(get_rel_name(target));
	pg::Vec<Step> steps(PortalContext);
	each_placement(relid, &steps, [&](ShardId shard) -> const char * {
		pg::Str sql;
		sql.raw("REINDEX ");
		if (tablespace != nullptr)
			sql.raw("(TABLESPACE ").ident(tablespace).raw(") ");
		return sql.raw(index ? "INDEX CONCURRENTLY " : "TABLE CONCURRENTLY ")
			.qualified(schema, catalog::shard_relation_name(name, shard))
			.c_str();
	});
	commit_and_continue();
	MemoryContextSwitchTo(PortalContext);
	for (const Step& step : steps)
	{
		CHECK_FOR_INTERRUPTS();
		run_step(step);
		MemoryContextSwitchTo(PortalContext);
	}
}

} // namespace civitas::ddl
