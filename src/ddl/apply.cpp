/*
 * apply.cpp: a statement's text, carried out on this node.
 *
 * The coordinator ran the statement on its own shell and shards and sends the text, with what was
 * chosen there: names of unnamed objects, values of defaults. Here the same two things happen, in
 * the order that the statement's kind asks for.
 */
#include "apply.h"

#include "civitas/catalog/propagation.h"
#include "civitas/catalog/writes.h"
#include "civitas/ddl/shard_ddl.h"
#include "civitas/deparse/table_definition.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "objects/objects.h"
#include "shards/local_shards.h"
#include "shards/shard_names.h"
#include "shards/shard_reach.h"
#include "statement_kinds.h"
#include "tables/not_null_names.h"
#include "tables/partition_indexes.h"
#include "tables/sequence_columns.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

List *shard_range_vars(Oid relid)
{
	List *shards = NIL;
	for (const LocalShard& shard : local_shards(catalog::get_table(relid)))
		shards = lappend(
			shards,
			makeRangeVar(get_namespace_name(get_rel_namespace(relid)),
						 catalog::shard_relation_name(get_rel_name(relid), shard.shard_id), -1));
	return shards;
}

void truncate_shards(TruncateStmt *tree, const char *sql, List *tables)
{
	tree->relations = NIL;
	tree->restart_seqs = false;
	ListCell *cell;
	foreach (cell, tables)
		tree->relations = list_concat(tree->relations, shard_range_vars(lfirst_oid(cell)));
	if (tree->relations != NIL)
		execute_tree(reinterpret_cast<Node *>(tree), sql);
}

/* --- GRANT ---
 *
 * Whoever may insert some columns sends the other columns' defaults to the shards as values, and
 * must be allowed to there. So shards have the right to insert columns with defaults for every role
 * that has it for any column: taken together with the last, given anew after each change.
 */

List *columns_with_default(Oid relid)
{
	List *names = NIL;
	List *texts = pg::sql_texts(psprintf("SELECT attname FROM pg_attribute WHERE attrelid = %u AND "
										 "attnum > 0 AND NOT attisdropped AND "
										 "attgenerated = '' AND (atthasdef OR attidentity <> '')",
										 relid));
	ListCell *cell;
	foreach (cell, texts)
		names = lappend(names, makeString(static_cast<char *>(lfirst(cell))));
	return names;
}

bool names_columns(const GrantStmt *tree)
{
	ListCell *cell;
	foreach (cell, tree->privileges)
		if (lfirst_node(AccessPriv, cell)->cols != NIL)
			return true;
	return false;
}

bool is_insert_of_columns(const AccessPriv *privilege)
{
	return privilege->cols != NIL &&
		   (privilege->priv_name == nullptr || strcmp(privilege->priv_name, "insert") == 0);
}

List *add_default_columns(List *privileges, Oid relid)
{
	AccessPriv *privilege = makeNode(AccessPriv);
	privilege->priv_name = pstrdup("insert");
	privilege->cols = columns_with_default(relid);
	return privilege->cols == NIL ? privileges : lappend(privileges, privilege);
}

void grant_default_columns(Oid relid)
{
	if (!pg::owns(RelationRelationId, relid))
		return;
	const char *sql = deparse::default_column_grant(relid);
	if (sql != nullptr)
		apply_tree_to_shards(parse_one(sql), sql, relid);
}

void grant_on_shards(const GrantStmt *statement, const char *sql, List *tables)
{
	ListCell *table;
	foreach (table, tables)
	{
		const Oid relid = lfirst_oid(table);
		auto *tree = static_cast<GrantStmt *>(copyObjectImpl(statement));
		tree->objects = shard_range_vars(relid);
		if (tree->objects == NIL)
			continue;
		const bool columns = names_columns(tree);
		ListCell *cell;
		bool takes_insert = false;
		foreach (cell, tree->privileges)
			takes_insert = takes_insert || is_insert_of_columns(lfirst_node(AccessPriv, cell));
		if (takes_insert && !tree->is_grant && !tree->grant_option)
			tree->privileges = add_default_columns(tree->privileges, relid);
		execute_tree(reinterpret_cast<Node *>(tree), sql);
		if (columns)
			grant_default_columns(relid);
	}
}

/* Triggers for statements are fired where the statement was asked. What an earlier one left on the
 * shards, because its function was dropped, goes. */
void create_trigger_on_shards(CreateTrigStmt *statement, const char *sql, Oid relid)
{
	if (!statement->row && statement->transitionRels == NIL)
		return;
	pg::Str drop;
	drop.raw("DROP TRIGGER ").ident(statement->trigname).raw(" ON ");
	drop.qualified(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
	apply_tree_to_shards(parse_one(drop.c_str()), drop.c_str(), relid);
	apply_tree_to_shards(reinterpret_cast<Node *>(statement), sql, relid);
}

/* All that it was about were sequences. */
bool does_nothing(Node *tree)
{
	return IsA(tree, AlterTableStmt) && castNode(AlterTableStmt, tree)->cmds == NIL;
}

bool is_trigger_for_statements(Oid relid, const char *name)
{
	return pg::sql_text(psprintf("SELECT 1 FROM pg_trigger WHERE tgrelid = %u AND tgname = %s AND "
								 "tgtype & 1 = 0 AND tgoldtable IS NULL AND tgnewtable IS NULL",
								 relid, quote_literal_cstr(name))) != nullptr;
}

/* The table of a DROP's object. */
Oid table_of_object(const DropStmt *statement, List *names)
{
	if (statement->removeType != OBJECT_INDEX)
		names = list_truncate(list_copy(names), list_length(names) - 1);
	return metadata_table_of(makeRangeVarFromNameList(names));
}

/* DROP INDEX may name indexes of several tables, each with shards of its own. */
void apply_drop_to_shards(DropStmt *statement, const char *sql, List *tables)
{
	ListCell *cell;
	foreach (cell, tables)
	{
		auto *own = static_cast<DropStmt *>(copyObjectImpl(statement));
		ListCell *object;
		foreach (object, own->objects)
			if (table_of_object(own, lfirst_node(List, object)) != lfirst_oid(cell))
				own->objects = foreach_delete_current(own->objects, object);
		apply_tree_to_shards(reinterpret_cast<Node *>(own), sql, lfirst_oid(cell));
	}
}

} // namespace

void apply_to_shards(const StatementKind& kind, Node *tree, const char *sql, List *tables)
{
	if (kind.reach == Reach::ShellOnly)
		return;
	if (IsA(tree, RenameStmt) && castNode(RenameStmt, tree)->renameType == OBJECT_TRIGGER &&
		is_trigger_for_statements(linitial_oid(tables), castNode(RenameStmt, tree)->subname))
		return;
	if (does_nothing(tree))
		return;
	auto *copy = static_cast<Node *>(copyObjectImpl(tree));
	if (IsA(copy, TruncateStmt))
		truncate_shards(castNode(TruncateStmt, copy), sql, tables);
	else if (IsA(copy, GrantStmt))
		grant_on_shards(castNode(GrantStmt, copy), sql, tables);
	else if (IsA(copy, CreateTrigStmt))
		create_trigger_on_shards(castNode(CreateTrigStmt, copy), sql, linitial_oid(tables));
	else if (IsA(copy, DropStmt))
		apply_drop_to_shards(castNode(DropStmt, copy), sql, tables);
	else
		apply_tree_to_shards(copy, sql, linitial_oid(tables));
	if (IsA(copy, AlterTableStmt))
	{
		name_not_null_constraints(linitial_oid(tables));
		grant_default_columns(linitial_oid(tables));
	}
	if (IsA(copy, AlterTableStmt) || IsA(copy, IndexStmt))
		name_partition_indexes(linitial_oid(tables));
}

void apply_statement(const char *sql, List *chosen)
{
	Node *tree = parse_one(sql);
	if (!localize_object_statement(tree))
		return;
	const StatementKind *kind = statement_kind(tree);
	List *tables = kind == nullptr ? NIL : metadata_tables(*kind, tree);
	auto *shell = static_cast<Node *>(copyObjectImpl(tree));
	if (tables != NIL)
	{
		strip_sequences(tree, linitial_oid(tables), Stripped::Shards);
		strip_sequences(shell, linitial_oid(tables), Stripped::Shell);
	}
	for (Node *statement : {tree, shell})
	{
		const int names = fill_names(statement, chosen);
		fill_defaults(statement, list_copy_tail(chosen, names));
	}
	if (tables != NIL && kind->reach == Reach::ShardsThenShell)
		apply_to_shards(*kind, tree, sql, tables);
	/* Shells have no rows, and triggers for TRUNCATE were fired where it was asked. */
	if (tables == NIL || (!IsA(shell, TruncateStmt) && !does_nothing(shell)))
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

void leave_metadata_here(Oid relid)
{
	const catalog::Table *table = catalog::find_table(relid);
	if (table == nullptr)
		return;
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

void drop_table_here(Oid relid)
{
	leave_metadata_here(relid);
	ObjectAddress address;
	ObjectAddressSet(address, RelationRelationId, relid);
	catalog::with_propagation_suspended(
		[&] { performDeletion(&address, DROP_CASCADE, PERFORM_DELETION_QUIETLY); });
}

} // namespace civitas::ddl
