/*
 * apply.cpp: a statement's text, carried out on this node.
 *
 * The coordinator ran the statement on its own shell and shards and sends the text, with the names
 * that were chosen for unnamed objects. Here the same two things happen, in the order that the
 * statement's kind asks for.
 */
#include "apply.h"

#include "civitas/catalog/propagation.h"
#include "civitas/catalog/writes.h"
#include "civitas/ddl/shard_ddl.h"
#include "local_shards.h"
#include "objects.h"
#include "shard_names.h"
#include "shard_reach.h"
#include "statement_kinds.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

/* TRUNCATE and GRANT list tables: one statement with every local shard of them. */
static void apply_to_all_shards_at_once(Node *tree, const char *sql, List *tables)
{
	List *shards = NIL;
	ListCell *cell;
	foreach (cell, tables)
	{
		const Oid relid = lfirst_oid(cell);
		for (const LocalShard& shard : local_shards(catalog::get_table(relid)))
			shards = lappend(shards, makeRangeVar(get_namespace_name(get_rel_namespace(relid)),
												  catalog::shard_relation_name(get_rel_name(relid),
																			   shard.shard_id),
												  -1));
	}
	if (shards == NIL)
		return;
	if (IsA(tree, TruncateStmt))
	{
		castNode(TruncateStmt, tree)->relations = shards;
		castNode(TruncateStmt, tree)->restart_seqs = false;
	}
	else
		castNode(GrantStmt, tree)->objects = shards;
	execute_tree(tree, sql);
}

void apply_to_shards(const StatementKind& kind, Node *tree, const char *sql, List *tables)
{
	if (kind.reach == Reach::ShellOnly)
		return;
	auto *copy = static_cast<Node *>(copyObjectImpl(tree));
	if (kind.reach == Reach::AllShardsAtOnce)
		apply_to_all_shards_at_once(copy, sql, tables);
	else
		apply_tree_to_shards(copy, sql, linitial_oid(tables));
}

void apply_statement(const char *sql, List *names)
{
	Node *tree = parse_one(sql);
	if (!localize_object_statement(tree))
		return;
	const StatementKind *kind = statement_kind(tree);
	List *tables = kind == nullptr ? NIL : metadata_tables(*kind, tree);
	fill_names(tree, names);
	auto *shell = static_cast<Node *>(copyObjectImpl(tree));
	if (tables != NIL && kind->reach == Reach::ShardsThenShell)
		apply_to_shards(*kind, tree, sql, tables);
	execute_tree(shell, sql);
	if (tables != NIL && kind->reach != Reach::ShardsThenShell)
		apply_to_shards(*kind, tree, sql, tables);
}

void apply_to_local_shards(const char *sql)
{
	Node *tree = parse_one(sql);
	const StatementKind *kind = statement_kind(tree);
	List *tables = kind == nullptr ? NIL : metadata_tables(*kind, tree);
	if (tables != NIL)
		apply_to_shards(*kind, tree, sql, tables);
}

void drop_table_here(Oid relid)
{
	const catalog::Table *table = catalog::find_table(relid);
	if (table != nullptr)
	{
		const ColocationId colocation = table->colocation_id;
		pg::Vec<ShardId> ids;
		for (const LocalShard& shard : local_shards(*table))
			ids.push(shard.shard_id);
		drop_local_shards(relid, ids.span());
		catalog::delete_shards(relid);
		catalog::delete_partition(relid);
		if (colocation != INVALID_COLOCATION_ID)
			catalog::delete_colocation_if_empty(colocation);
	}
	ObjectAddress address;
	ObjectAddressSet(address, RelationRelationId, relid);
	catalog::with_propagation_suspended(
		[&] { performDeletion(&address, DROP_CASCADE, PERFORM_DELETION_QUIETLY); });
}

} // namespace civitas::ddl
