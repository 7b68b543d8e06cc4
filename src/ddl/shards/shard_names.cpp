/*
 * shard_names.cpp: renaming in raw parse trees.
 *
 * A raw tree holds names as the user wrote them; RangeVarGetRelid resolves each under the
 * search_path in force and the shard's qualified name takes its place. One function per statement
 * kind, found by node tag. A constraint that exists already is looked up on the shard itself, which
 * tells whether it carries the suffix (index-backed) or not, whatever has happened to the shell
 * meanwhile.
 */
#include "shard_names.h"

#include "civitas/catalog/propagation.h"
#include "civitas/catalog/tables.h"
#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_statistic_ext.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "nodes/plannodes.h"
#include "parser/parser.h"
#include "tcop/dest.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

std::span<const NamedShard> named_shards;

} // namespace

void set_named_shards(std::span<const NamedShard> shards)
{
	named_shards = shards;
}

ShardId shard_of(Oid relid, int index)
{
	if (index == NAMED_SHARDS)
		for (const NamedShard& shard : named_shards)
			if (shard.relid == relid)
				return shard.shard_id;
	const catalog::Table *table = catalog::find_table(relid);
	if (table == nullptr || table->shard_count == 0)
		return INVALID_SHARD_ID;
	if (index == NAMED_SHARDS && table->kind != catalog::TableKind::Reference)
		return INVALID_SHARD_ID;
	return table->shards[table->shard_count == 1 ? 0 : index].shard_id;
}

namespace {

Oid table_behind(Oid relid)
{
	const char kind = get_rel_relkind(relid);
	if (kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX)
		return IndexGetRelation(relid, true);
	return relid;
}

} // namespace

Oid metadata_table_of(const RangeVar *relation)
{
	const Oid relid = RangeVarGetRelid(relation, NoLock, true);
	if (!OidIsValid(relid))
		return InvalidOid;
	const Oid table = table_behind(relid);
	return OidIsValid(table) && catalog::find_table(table) != nullptr ? table : InvalidOid;
}

namespace {

/* The shard's id, or 0 where the name is not a metadata table's or index's and stays as it is. */
ShardId rename_range_var(RangeVar *relation, int index)
{
	if (relation == nullptr)
		return INVALID_SHARD_ID;
	const Oid relid = RangeVarGetRelid(relation, NoLock, true);
	if (!OidIsValid(relid))
		return INVALID_SHARD_ID;
	const ShardId shard = shard_of(table_behind(relid), index);
	if (shard == INVALID_SHARD_ID)
		return INVALID_SHARD_ID;
	relation->catalogname = nullptr;
	relation->schemaname = get_namespace_name(get_rel_namespace(relid));
	relation->relname = catalog::shard_relation_name(get_rel_name(relid), shard);
	return shard;
}

bool is_index_backed(ConstrType type)
{
	return type == CONSTR_PRIMARY || type == CONSTR_UNIQUE || type == CONSTR_EXCLUSION;
}

} // namespace

/* --- columns -----------------------------------------------------------------------------------
 *
 * An expression may name its table: t.b, schema.t.b, t.*, t for the whole row.
 */

/* The table as expressions know it, and the shard's name. */
struct NamedTable
{
	Oid relid;
	const char *schema;
	const char *name;
	char *shard_name;
};

namespace {

bool is_word(List *names, int at, const char *word)
{
	auto *node = at < list_length(names) ? static_cast<Node *>(list_nth(names, at)) : nullptr;
	return node != nullptr && IsA(node, String) && strcmp(strVal(node), word) == 0;
}

void rename_column(ColumnRef *column, const NamedTable& table)
{
	List *fields = column->fields;
	const int count = list_length(fields);
	int at = 0;
	if (count > 2 && is_word(fields, count - 2, table.name) &&
		is_word(fields, count - 3, table.schema))
		at = count - 2;
	else if (!is_word(fields, 0, table.name) ||
			 (count == 1 && get_attnum(table.relid, table.name) != InvalidAttrNumber))
		return;
	column->fields = lcons(makeString(table.shard_name), list_copy_tail(list_copy(fields), at + 1));
}

bool rename_columns_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, ColumnRef))
	{
		rename_column(castNode(ColumnRef, node), *static_cast<NamedTable *>(context));
		return false;
	}
	return pg::walk_raw_children(node, rename_columns_walker, context);
}

void rename_columns(Node *expression, NamedTable *table)
{
	rename_columns_walker(expression, table);
}

void rename_index_columns(List *elements, NamedTable *table)
{
	ListCell *cell;
	foreach (cell, elements)
		rename_columns(lfirst_node(IndexElem, cell)->expr, table);
}

/* What `relation` stands for; to be called before it is renamed, and finished afterwards. */
NamedTable named_table(const RangeVar *relation)
{
	const Oid relid = RangeVarGetRelid(relation, NoLock, true);
	if (!OidIsValid(relid))
		return {InvalidOid, "", "", nullptr};
	return {relid, get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid), nullptr};
}

void rename_new_constraint(Constraint *constraint, ShardId shard, int index, NamedTable *table)
{
	rename_columns(constraint->raw_expr, table);
	rename_columns(constraint->where_clause, table);
	ListCell *cell;
	foreach (cell, constraint->exclusions)
		rename_columns(linitial_node(IndexElem, lfirst_node(List, cell))->expr, table);
	if (is_index_backed(constraint->contype))
	{
		if (constraint->conname != nullptr)
			constraint->conname = catalog::shard_relation_name(constraint->conname, shard);
		if (constraint->indexname != nullptr)
			constraint->indexname = catalog::shard_relation_name(constraint->indexname, shard);
	}
	else if (constraint->contype == CONSTR_FOREIGN)
		rename_range_var(constraint->pktable, index);
}

void rename_new_constraints(List *constraints, ShardId shard, int index, NamedTable *table)
{
	ListCell *cell;
	foreach (cell, constraints)
		if (IsA(lfirst(cell), Constraint))
			rename_new_constraint(lfirst_node(Constraint, cell), shard, index, table);
}

/* How the shard calls the constraint that the table calls `name`. */
char *existing_constraint_name(const RangeVar *shard_relation, char *name, ShardId shard)
{
	const Oid relid = RangeVarGetRelid(shard_relation, NoLock, true);
	char *suffixed = catalog::shard_relation_name(name, shard);
	if (OidIsValid(relid) && OidIsValid(get_relation_constraint_oid(relid, suffixed, true)))
		return suffixed;
	return name;
}

void rename_alter_table_cmd(AlterTableCmd *cmd, const RangeVar *relation, ShardId shard, int index,
							NamedTable *table)
{
	switch (cmd->subtype)
	{
	case AT_AddConstraint:
		rename_new_constraint(castNode(Constraint, cmd->def), shard, index, table);
		break;
	case AT_AddColumn:
		rename_new_constraints(castNode(ColumnDef, cmd->def)->constraints, shard, index, table);
		break;
	case AT_AlterColumnType:
		rename_columns(castNode(ColumnDef, cmd->def)->raw_default, table);
		break;
	case AT_AlterConstraint: {
		char **name = pg::altered_constraint_name(cmd);
		*name = existing_constraint_name(relation, *name, shard);
		break;
	}
	case AT_DropConstraint:
	case AT_ValidateConstraint:
		cmd->name = existing_constraint_name(relation, cmd->name, shard);
		break;
	case AT_DropCluster:
		break;
	case AT_ClusterOn:
		cmd->name = catalog::shard_relation_name(cmd->name, shard);
		break;
	case AT_ReplicaIdentity: {
		auto *identity = castNode(ReplicaIdentityStmt, cmd->def);
		if (identity->name != nullptr)
			identity->name = catalog::shard_relation_name(identity->name, shard);
		break;
	}
	case AT_AttachPartition:
	case AT_DetachPartition:
	case AT_DetachPartitionFinalize:
		rename_range_var(castNode(PartitionCmd, cmd->def)->name, index);
		break;
	default:
		if (pg::sets_expression(cmd->subtype))
			rename_columns(cmd->def, table);
		break;
	}
}

/* Shards have no rules, and of the triggers those that are fired by rows. */
bool is_for_table_alone(const AlterTableCmd *cmd, const RangeVar *shard)
{
	switch (cmd->subtype)
	{
	case AT_EnableRule:
	case AT_EnableAlwaysRule:
	case AT_EnableReplicaRule:
	case AT_DisableRule:
		return true;
	case AT_EnableTrig:
	case AT_EnableAlwaysTrig:
	case AT_EnableReplicaTrig:
	case AT_DisableTrig: {
		const Oid relid = RangeVarGetRelid(shard, NoLock, true);
		return OidIsValid(relid) && !OidIsValid(get_trigger_oid(relid, cmd->name, true));
	}
	default:
		return false;
	}
}

void rename_alter_table(Node *node, int index)
{
	auto *statement = castNode(AlterTableStmt, node);
	NamedTable table = named_table(statement->relation);
	const ShardId shard = rename_range_var(statement->relation, index);
	table.shard_name = statement->relation->relname;
	ListCell *cell;
	foreach (cell, statement->cmds)
	{
		auto *cmd = lfirst_node(AlterTableCmd, cell);
		if (is_for_table_alone(cmd, statement->relation))
			statement->cmds = foreach_delete_current(statement->cmds, cell);
		else
			rename_alter_table_cmd(cmd, statement->relation, shard, index, &table);
	}
}

void rename_create(Node *node, int index)
{
	auto *statement = castNode(CreateStmt, node);
	NamedTable table = named_table(statement->relation);
	const ShardId shard = rename_range_var(statement->relation, index);
	table.shard_name = statement->relation->relname;
	rename_new_constraints(statement->constraints, shard, index, &table);
	ListCell *cell;
	foreach (cell, statement->tableElts)
	{
		auto *element = static_cast<Node *>(lfirst(cell));
		if (IsA(element, Constraint))
			rename_new_constraint(castNode(Constraint, element), shard, index, &table);
		else if (IsA(element, ColumnDef))
			rename_new_constraints(castNode(ColumnDef, element)->constraints, shard, index, &table);
	}
	if (statement->partspec != nullptr)
		foreach (cell, statement->partspec->partParams)
			rename_columns(lfirst_node(PartitionElem, cell)->expr, &table);
}

void rename_index(Node *node, int index)
{
	auto *statement = castNode(IndexStmt, node);
	NamedTable table = named_table(statement->relation);
	const ShardId shard = rename_range_var(statement->relation, index);
	table.shard_name = statement->relation->relname;
	rename_index_columns(statement->indexParams, &table);
	rename_columns(statement->whereClause, &table);
	if (statement->idxname != nullptr)
		statement->idxname = catalog::shard_relation_name(statement->idxname, shard);
}

/* CREATE STATISTICS schema.name .. FROM table. */
void rename_create_statistics(Node *node, int index)
{
	auto *statement = castNode(CreateStatsStmt, node);
	auto *relation = linitial_node(RangeVar, statement->relations);
	NamedTable table = named_table(relation);
	const ShardId shard = rename_range_var(relation, index);
	table.shard_name = relation->relname;
	ListCell *cell;
	foreach (cell, statement->exprs)
		rename_columns(lfirst_node(StatsElem, cell)->expr, &table);
	if (statement->defnames != NIL)
		llast(statement->defnames) =
			makeString(catalog::shard_relation_name(strVal(llast(statement->defnames)), shard));
}

/* A statistics object's name, in place; the shard's id, or 0 where there is no such object. */
ShardId rename_statistics(List *names, int index)
{
	const Oid statistics = get_statistics_object_oid(names, true);
	HeapTuple tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(statistics));
	if (!HeapTupleIsValid(tuple))
		return INVALID_SHARD_ID;
	const Oid relid = reinterpret_cast<Form_pg_statistic_ext>(GETSTRUCT(tuple))->stxrelid;
	ReleaseSysCache(tuple);
	const ShardId shard = shard_of(relid, index);
	llast(names) = makeString(catalog::shard_relation_name(strVal(llast(names)), shard));
	return shard;
}

void rename_alter_statistics(Node *node, int index)
{
	rename_statistics(castNode(AlterStatsStmt, node)->defnames, index);
}

void rename_alter_owner(Node *node, int index)
{
	rename_statistics(castNode(List, castNode(AlterOwnerStmt, node)->object), index);
}

void rename_rename(Node *node, int index)
{
	auto *statement = castNode(RenameStmt, node);
	if (statement->renameType == OBJECT_STATISTIC_EXT)
	{
		statement->newname = catalog::shard_relation_name(
			statement->newname, rename_statistics(castNode(List, statement->object), index));
		return;
	}
	const ShardId shard = rename_range_var(statement->relation, index);
	switch (statement->renameType)
	{
	case OBJECT_TABLE:
	case OBJECT_INDEX:
		statement->newname = catalog::shard_relation_name(statement->newname, shard);
		break;
	case OBJECT_TABCONSTRAINT: {
		char *name = existing_constraint_name(statement->relation, statement->subname, shard);
		if (name != statement->subname)
			statement->newname = catalog::shard_relation_name(statement->newname, shard);
		statement->subname = name;
		break;
	}
	default:
		break;
	}
}

void rename_set_schema(Node *node, int index)
{
	auto *statement = castNode(AlterObjectSchemaStmt, node);
	if (statement->objectType == OBJECT_STATISTIC_EXT)
		rename_statistics(castNode(List, statement->object), index);
	else
		rename_range_var(statement->relation, index);
}

void rename_drop(Node *node, int index)
{
	auto *statement = castNode(DropStmt, node);
	/* A trigger or policy follows the name of its table. */
	const bool part =
		statement->removeType != OBJECT_INDEX && statement->removeType != OBJECT_TABLE;
	ListCell *cell;
	foreach (cell, statement->objects)
	{
		List *names = lfirst_node(List, cell);
		const int count = list_length(names) - (part ? 1 : 0);
		RangeVar *relation = makeRangeVarFromNameList(list_truncate(list_copy(names), count));
		if (rename_range_var(relation, index) != INVALID_SHARD_ID)
			lfirst(cell) = list_concat(
				list_make2(makeString(relation->schemaname), makeString(relation->relname)),
				list_copy_tail(names, count));
	}
	/* A shard that another session dropped meanwhile is gone, which is what is wanted. */
	statement->missing_ok = true;
}

void rename_grant(Node *node, int index)
{
	ListCell *cell;
	foreach (cell, castNode(GrantStmt, node)->objects)
		rename_range_var(lfirst_node(RangeVar, cell), index);
}

void rename_reindex(Node *node, int index)
{
	rename_range_var(castNode(ReindexStmt, node)->relation, index);
}

void rename_cluster(Node *node, int index)
{
	auto *statement = castNode(ClusterStmt, node);
	const ShardId shard = rename_range_var(statement->relation, index);
	if (statement->indexname != nullptr)
		statement->indexname = catalog::shard_relation_name(statement->indexname, shard);
}

void rename_vacuum(Node *node, int index)
{
	ListCell *cell;
	foreach (cell, castNode(VacuumStmt, node)->rels)
		rename_range_var(lfirst_node(VacuumRelation, cell)->relation, index);
}

} // namespace

namespace {

/* --- triggers and policies --- */

/* The function of the table's trigger is called by the shard's (executor/shard_trigger.cpp). */
void rename_create_trigger(Node *node, int index)
{
	auto *statement = castNode(CreateTrigStmt, node);
	rename_range_var(statement->relation, index);
	rename_range_var(statement->constrrel, index);
	statement->funcname =
		list_make2(makeString(pstrdup("citus_internal")), makeString(pstrdup("shard_trigger")));
	statement->args = NIL;
	/* Rows for transition tables are gathered one by one. */
	if (statement->transitionRels != NIL)
		statement->row = true;
	statement->transitionRels = NIL;
}

/* A policy's expression may hold subqueries. Reference tables in them are read where the shard is;
 * others are asked for as tables. */
struct PolicyNames
{
	NamedTable *table;
	int index;
};

void rename_policy_expression(Node *expression, PolicyNames *names);

bool rename_policy_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	auto *names = static_cast<PolicyNames *>(context);
	if (IsA(node, ColumnRef))
	{
		rename_column(castNode(ColumnRef, node), *names->table);
		return false;
	}
	if (IsA(node, RangeVar))
	{
		auto *relation = castNode(RangeVar, node);
		const Oid relid = RangeVarGetRelid(relation, NoLock, true);
		const catalog::Table *table = OidIsValid(relid) ? catalog::find_table(relid) : nullptr;
		if (table == nullptr || table->kind != catalog::TableKind::Reference)
			return false;
		if (relation->alias == nullptr)
			relation->alias = makeAlias(relation->relname, NIL);
		rename_range_var(relation, names->index);
		return false;
	}
	return pg::walk_raw_children(node, rename_policy_walker, context);
}

void rename_policy_expression(Node *expression, PolicyNames *names)
{
	rename_policy_walker(expression, names);
}

void rename_policy(RangeVar *relation, Node *using_clause, Node *check, int index)
{
	NamedTable table = named_table(relation);
	rename_range_var(relation, index);
	table.shard_name = relation->relname;
	PolicyNames names = {&table, index};
	rename_policy_expression(using_clause, &names);
	rename_policy_expression(check, &names);
}

void rename_create_policy(Node *node, int index)
{
	auto *statement = castNode(CreatePolicyStmt, node);
	rename_policy(statement->table, statement->qual, statement->with_check, index);
}

void rename_alter_policy(Node *node, int index)
{
	auto *statement = castNode(AlterPolicyStmt, node);
	rename_policy(statement->table, statement->qual, statement->with_check, index);
}

} // namespace

struct Renamer
{
	NodeTag tag;
	void (*rename)(Node *statement, int index);
};

namespace {

constexpr Renamer RENAMERS[] = {
	{T_AlterTableStmt, rename_alter_table},
	{T_CreateStmt, rename_create},
	{T_IndexStmt, rename_index},
	{T_CreateStatsStmt, rename_create_statistics},
	{T_AlterStatsStmt, rename_alter_statistics},
	{T_AlterOwnerStmt, rename_alter_owner},
	{T_AlterPolicyStmt, rename_alter_policy},
	{T_CreatePolicyStmt, rename_create_policy},
	{T_CreateTrigStmt, rename_create_trigger},
	{T_ClusterStmt, rename_cluster},
	{T_RenameStmt, rename_rename},
	{T_AlterObjectSchemaStmt, rename_set_schema},
	{T_DropStmt, rename_drop},
	{T_GrantStmt, rename_grant},
	{T_ReindexStmt, rename_reindex},
	{T_VacuumStmt, rename_vacuum},
};

} // namespace

void rename_to_shards(Node *statement, int index)
{
	for (const Renamer& renamer : RENAMERS)
		if (nodeTag(statement) == renamer.tag)
		{
			renamer.rename(statement, index);
			return;
		}
	ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
					errmsg("statement kind %d cannot be applied to shards",
						   static_cast<int>(nodeTag(statement)))));
}

Node *parse_one(const char *sql)
{
	List *statements = raw_parser(sql, RAW_PARSE_DEFAULT);
	if (list_length(statements) != 1)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("expected exactly one statement")));
	return linitial_node(RawStmt, statements)->stmt;
}

void execute_tree(Node *statement, const char *sql)
{
	PlannedStmt *wrapper = makeNode(PlannedStmt);
	wrapper->commandType = CMD_UTILITY;
	wrapper->utilityStmt = statement;
	wrapper->stmt_location = -1;
	/* The user has the notices of the table itself; those of every shard would repeat them. */
	const int level = NewGUCNestLevel();
	if (client_min_messages < WARNING)
		set_config_option("client_min_messages", "warning", PGC_USERSET, PGC_S_SESSION,
						  GUC_ACTION_SAVE, true, 0, false);
	catalog::with_propagation_suspended([&] {
		ProcessUtility(wrapper, sql, false, PROCESS_UTILITY_QUERY, nullptr, nullptr, None_Receiver,
					   nullptr);
	});
	AtEOXact_GUC(true, level);
	CommandCounterIncrement();
}

} // namespace civitas::ddl
