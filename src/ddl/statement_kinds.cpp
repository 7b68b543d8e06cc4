/*
 * statement_kinds.cpp: the table of utility statements.
 *
 * A statement that names a table of the metadata and has no row runs as on a plain server, on the
 * shell of this node alone (CREATE VIEW, for one). What would be wrong that way has a row that
 * refuses it.
 */
#include "statement_kinds.h"

#include "civitas/catalog/nodes.h"
#include "civitas/catalog/tables.h"
#include "civitas/pg/compat.h"
#include "objects/replication_checks.h"
#include "shards/shard_names.h"
#include "tables/alter_table.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_statistic_ext.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

/* --- what a statement is about ---------------------------------------------------------------- */

namespace {

List *one(RangeVar *relation)
{
	return relation == nullptr ? NIL : list_make1(relation);
}

} // namespace

template <typename Statement> static List *of_relation(Node *node)
{
	return one(reinterpret_cast<Statement *>(node)->relation);
}

namespace {

List *of_truncate(Node *node)
{
	return castNode(TruncateStmt, node)->relations;
}

List *of_grant(Node *node)
{
	return castNode(GrantStmt, node)->objects;
}

/* Of a statement for the whole database: the tables of the metadata that are the caller's to
 * maintain. The shards of another node are reached from the coordinator. */
List *maintained_tables()
{
	List *relations = NIL;
	if (!catalog::extension_installed() || !catalog::is_coordinator())
		return NIL;
	ListCell *cell;
	foreach (cell, catalog::all_table_oids())
	{
		const Oid relid = lfirst_oid(cell);
		if (!pg::owns(RelationRelationId, relid))
			continue;
		if (catalog::get_table(relid).damage != nullptr)
			ereport(WARNING,
					(errmsg("skipping \"%s\" --- its metadata is damaged", get_rel_name(relid)),
					 errdetail_internal("%s", catalog::get_table(relid).damage)));
		else
			relations =
				lappend(relations, makeRangeVar(get_namespace_name(get_rel_namespace(relid)),
												get_rel_name(relid), -1));
	}
	return relations;
}

List *of_vacuum(Node *node)
{
	if (castNode(VacuumStmt, node)->rels == NIL)
		return maintained_tables();
	List *relations = NIL;
	ListCell *cell;
	foreach (cell, castNode(VacuumStmt, node)->rels)
		if (lfirst_node(VacuumRelation, cell)->relation != nullptr)
			relations = lappend(relations, lfirst_node(VacuumRelation, cell)->relation);
	return relations;
}

List *of_drop(Node *node)
{
	List *relations = NIL;
	ListCell *cell;
	foreach (cell, castNode(DropStmt, node)->objects)
		relations = lappend(relations, makeRangeVarFromNameList(lfirst_node(List, cell)));
	return relations;
}

/* COMMENT, SECURITY LABEL: a name list, whose last part is a column or constraint for some kinds.
 */
List *of_statistics_name(List *names);

List *of_object(ObjectType type, Node *object)
{
	switch (type)
	{
	case OBJECT_TABLE:
	case OBJECT_INDEX:
		return one(makeRangeVarFromNameList(castNode(List, object)));
	case OBJECT_COLUMN:
	case OBJECT_TRIGGER:
	case OBJECT_POLICY:
	case OBJECT_RULE:
	case OBJECT_TABCONSTRAINT: {
		List *names = list_truncate(list_copy(castNode(List, object)),
									list_length(castNode(List, object)) - 1);
		return names == NIL ? NIL : one(makeRangeVarFromNameList(names));
	}
	case OBJECT_STATISTIC_EXT:
		return of_statistics_name(castNode(List, object));
	default:
		return NIL;
	}
}

List *of_comment(Node *node)
{
	auto *statement = castNode(CommentStmt, node);
	return of_object(statement->objtype, statement->object);
}

List *of_security_label(Node *node)
{
	auto *statement = castNode(SecLabelStmt, node);
	return of_object(statement->objtype, statement->object);
}

/* DROP TRIGGER, POLICY, RULE: a name list, whose last part is not the table's. */
List *of_drop_part(Node *node)
{
	List *relations = NIL;
	ListCell *cell;
	foreach (cell, castNode(DropStmt, node)->objects)
		relations = list_concat(relations, of_object(castNode(DropStmt, node)->removeType,
													 static_cast<Node *>(lfirst(cell))));
	return relations;
}

List *of_policy(Node *node)
{
	return one(castNode(CreatePolicyStmt, node)->table);
}

List *of_alter_policy(Node *node)
{
	return one(castNode(AlterPolicyStmt, node)->table);
}

/* The table of a statistics object that there is. */
List *of_statistics_name(List *names)
{
	const Oid statistics = get_statistics_object_oid(names, true);
	HeapTuple tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(statistics));
	if (!HeapTupleIsValid(tuple))
		return NIL;
	const Oid relid = reinterpret_cast<Form_pg_statistic_ext>(GETSTRUCT(tuple))->stxrelid;
	ReleaseSysCache(tuple);
	return one(makeRangeVar(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid), -1));
}

List *of_alter_statistics(Node *node)
{
	return of_statistics_name(castNode(AlterStatsStmt, node)->defnames);
}

List *of_rename(Node *node)
{
	auto *statement = castNode(RenameStmt, node);
	return statement->renameType == OBJECT_STATISTIC_EXT
			   ? of_statistics_name(castNode(List, statement->object))
			   : one(statement->relation);
}

List *of_set_schema(Node *node)
{
	auto *statement = castNode(AlterObjectSchemaStmt, node);
	return statement->objectType == OBJECT_STATISTIC_EXT
			   ? of_statistics_name(castNode(List, statement->object))
			   : one(statement->relation);
}

List *of_alter_owner(Node *node)
{
	return of_statistics_name(castNode(List, castNode(AlterOwnerStmt, node)->object));
}

List *of_statistics(Node *node)
{
	List *relations = NIL;
	ListCell *cell;
	foreach (cell, castNode(CreateStatsStmt, node)->relations)
		if (IsA(lfirst(cell), RangeVar))
			relations = lappend(relations, lfirst(cell));
	return relations;
}

List *of_lock(Node *node)
{
	return castNode(LockStmt, node)->relations;
}

List *of_inheritance(Node *node)
{
	return castNode(CreateStmt, node)->inhRelations;
}

/* --- which statements of a tag ---------------------------------------------------------------- */

bool drops_parts(Node *node)
{
	const ObjectType type = castNode(DropStmt, node)->removeType;
	return type == OBJECT_TRIGGER || type == OBJECT_POLICY;
}

bool drops_rules(Node *node)
{
	return castNode(DropStmt, node)->removeType == OBJECT_RULE;
}

bool drops_indexes(Node *node)
{
	auto *statement = castNode(DropStmt, node);
	return statement->removeType == OBJECT_INDEX && !statement->concurrent;
}

bool drops_indexes_concurrently(Node *node)
{
	auto *statement = castNode(DropStmt, node);
	return statement->removeType == OBJECT_INDEX && statement->concurrent;
}

bool grants_on_tables(Node *node)
{
	auto *statement = castNode(GrantStmt, node);
	return statement->targtype == ACL_TARGET_OBJECT && statement->objtype == OBJECT_TABLE;
}

bool is_concurrent(Node *node)
{
	return castNode(IndexStmt, node)->concurrent;
}

bool inherits_without_bound(Node *node)
{
	return castNode(CreateStmt, node)->partbound == nullptr;
}

bool reindexes_concurrently(Node *node)
{
	bool concurrently = false;
	ListCell *cell;
	foreach (cell, castNode(ReindexStmt, node)->params)
		if (strcmp(lfirst_node(DefElem, cell)->defname, "concurrently") == 0)
			concurrently = defGetBoolean(lfirst_node(DefElem, cell));
	return concurrently;
}

/* A table becomes no view. */
void check_rule(Node *node, List *tables)
{
	if (castNode(RuleStmt, node)->event == CMD_SELECT)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("rules for SELECT are not supported on distributed table \"%s\"",
							   get_rel_name(linitial_oid(tables)))));
}

void check_cluster(Node *, List *tables)
{
	if (get_rel_relkind(linitial_oid(tables)) == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("CLUSTER is not supported on partitioned distributed table \"%s\"",
							   get_rel_name(linitial_oid(tables))),
						errhint("Cluster its partitions, one by one.")));
}

bool is_about_statistics(Node *node)
{
	return castNode(AlterOwnerStmt, node)->objectType == OBJECT_STATISTIC_EXT;
}

bool renames_rule(Node *node)
{
	return castNode(RenameStmt, node)->renameType == OBJECT_RULE;
}

/* --- the table -------------------------------------------------------------------------------- */

/* The first row whose tag and condition fit counts. */
constexpr StatementKind KINDS[] = {
	{T_AlterTableStmt, Reach::ShellThenShards, "ALTER TABLE", of_relation<AlterTableStmt>, nullptr,
	 check_alter_table},
	{T_IndexStmt, Reach::OwnTransactions, "CREATE INDEX CONCURRENTLY", of_relation<IndexStmt>,
	 is_concurrent, nullptr},
	{T_IndexStmt, Reach::ShellThenShards, "CREATE INDEX", of_relation<IndexStmt>, nullptr, nullptr},
	{T_DropStmt, Reach::ShardsThenShell, "DROP INDEX", of_drop, drops_indexes, nullptr},
	{T_DropStmt, Reach::OwnTransactions, "DROP INDEX CONCURRENTLY", of_drop,
	 drops_indexes_concurrently, nullptr},
	{T_DropStmt, Reach::ShardsThenShell, "DROP TRIGGER", of_drop_part, drops_parts, nullptr},
	{T_DropStmt, Reach::ShellOnly, "DROP RULE", of_drop_part, drops_rules, nullptr},
	{T_RenameStmt, Reach::ShellOnly, "ALTER RULE", of_relation<RenameStmt>, renames_rule, nullptr},
	{T_RenameStmt, Reach::ShardsThenShell, "ALTER TABLE .. RENAME", of_rename, nullptr, nullptr},
	{T_AlterObjectSchemaStmt, Reach::ShardsThenShell, "ALTER TABLE .. SET SCHEMA", of_set_schema,
	 nullptr, check_not_published_schema},
	{T_AlterOwnerStmt, Reach::ShardsThenShell, "ALTER STATISTICS", of_alter_owner,
	 is_about_statistics, nullptr},
	{T_AlterStatsStmt, Reach::ShardsThenShell, "ALTER STATISTICS", of_alter_statistics, nullptr,
	 nullptr},
	{T_TruncateStmt, Reach::AllShardsAtOnce, "TRUNCATE", of_truncate, nullptr, nullptr},
	{T_GrantStmt, Reach::AllShardsAtOnce, "GRANT", of_grant, grants_on_tables, nullptr},
	{T_VacuumStmt, Reach::OwnTransactions, "VACUUM", of_vacuum, nullptr, nullptr},
	{T_CommentStmt, Reach::ShellOnly, "COMMENT", of_comment, nullptr, nullptr},
	{T_LockStmt, Reach::ShellOnly, "LOCK TABLE", of_lock, nullptr, nullptr},
	{T_CreateStatsStmt, Reach::ShellThenShards, "CREATE STATISTICS", of_statistics, nullptr,
	 nullptr},
	{T_ReindexStmt, Reach::OwnTransactions, "REINDEX CONCURRENTLY", of_relation<ReindexStmt>,
	 reindexes_concurrently, nullptr},
	{T_ReindexStmt, Reach::ShardsThenShell, "REINDEX", of_relation<ReindexStmt>, nullptr, nullptr},
	{T_CreateStmt, Reach::Refused, "CREATE TABLE .. INHERITS", of_inheritance,
	 inherits_without_bound, nullptr},
	{T_CreateTrigStmt, Reach::ShellThenShards, "CREATE TRIGGER", of_relation<CreateTrigStmt>,
	 nullptr, nullptr},
	{T_RuleStmt, Reach::ShellOnly, "CREATE RULE", of_relation<RuleStmt>, nullptr, check_rule},
	{T_CreatePolicyStmt, Reach::ShellThenShards, "CREATE POLICY", of_policy, nullptr, nullptr},
	{T_AlterPolicyStmt, Reach::ShellThenShards, "ALTER POLICY", of_alter_policy, nullptr, nullptr},
	{T_SecLabelStmt, Reach::Refused, "SECURITY LABEL", of_security_label, nullptr, nullptr},
	{T_ClusterStmt, Reach::ShardsThenShell, "CLUSTER", of_relation<ClusterStmt>, nullptr,
	 check_cluster},
};

} // namespace

const StatementKind *statement_kind(Node *statement)
{
	for (const StatementKind& kind : KINDS)
		if (kind.tag == nodeTag(statement) && (kind.applies == nullptr || kind.applies(statement)))
			return &kind;
	return nullptr;
}

List *metadata_tables(const StatementKind& kind, Node *statement)
{
	List *tables = NIL;
	List *relations = kind.relations(statement);
	ListCell *cell;
	foreach (cell, relations)
	{
		const Oid table = metadata_table_of(lfirst_node(RangeVar, cell));
		if (OidIsValid(table))
			tables = list_append_unique_oid(tables, table);
	}
	return tables;
}

} // namespace civitas::ddl
