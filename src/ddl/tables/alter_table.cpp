/*
 * alter_table.cpp: ALTER TABLE, action by action.
 *
 * An action is possible when running its text on every shard gives what one table would give. So
 * the distribution column keeps its type, and a new column's default cannot be volatile where rows
 * have replicas, since each would get a value of its own. now() and its like are computed once: see
 * new_defaults.cpp.
 */
#include "alter_table.h"

#include "../shards/shard_names.h"
#include "civitas/catalog/tables.h"
#include "civitas/pg/compat.h"
#include "sequence_columns.h"
#include "table_checks.h"

CIVITAS_PG_BEGIN
#include "catalog/namespace.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_type.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

constexpr AlterTableType POSSIBLE[] = {
	AT_AddColumn,		  AT_DropColumn,		 AT_AlterColumnType,	AT_ColumnDefault,
	AT_SetNotNull,		  AT_DropNotNull,		 AT_DropExpression,		AT_SetStatistics,
	AT_SetStorage,		  AT_SetCompression,	 AT_SetOptions,			AT_ResetOptions,
	AT_AddConstraint,	  AT_DropConstraint,	 AT_ValidateConstraint, AT_AlterConstraint,
	AT_ChangeOwner,		  AT_SetRelOptions,		 AT_ResetRelOptions,	AT_ReplicaIdentity,
	AT_AttachPartition,	  AT_DetachPartition,	 AT_SetAccessMethod,	AT_EnableTrig,
	AT_EnableAlwaysTrig,  AT_EnableReplicaTrig,	 AT_DisableTrig,		AT_EnableTrigAll,
	AT_DisableTrigAll,	  AT_EnableTrigUser,	 AT_DisableTrigUser,	AT_ClusterOn,
	AT_DropCluster,		  AT_SetLogged,			 AT_SetUnLogged,		AT_SetTableSpace,
	AT_EnableRowSecurity, AT_DisableRowSecurity, AT_ForceRowSecurity,	AT_NoForceRowSecurity,
	AT_EnableRule,		  AT_EnableAlwaysRule,	 AT_EnableReplicaRule,	AT_DisableRule,
	AT_AddIdentity,		  AT_SetIdentity,		 AT_DropIdentity};

} // namespace

[[noreturn]] static void refuse(Oid relid, const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s is not supported on distributed table \"%s\"", what, get_rel_name(relid)),
			 hint != nullptr ? errhint("%s", hint) : 0));
}

namespace {

bool has_replicas(const catalog::Table& table)
{
	for (int index = 0; index < table.shard_count; index++)
		if (table.shards[index].placement_count > 1)
			return true;
	return false;
}

/* The raw default of a new column. Column references cannot be in it. */
void check_default(const catalog::Table& table, Node *raw)
{
	/* Values of a sequence are given to the rows one by one, by an UPDATE. */
	if (calls_nextval(raw))
		return;
	ParseState *state = make_parsestate(nullptr);
	Node *expression =
		transformExpr(state, static_cast<Node *>(copyObjectImpl(raw)), EXPR_KIND_COLUMN_DEFAULT);
	if (contain_volatile_functions(expression) &&
		(table.kind == catalog::TableKind::Reference || has_replicas(table)))
		refuse(table.relid, "adding a column with a volatile default",
			   "Add the column without a default, UPDATE the rows, then set the default.");
	free_parsestate(state);
}

void check_add_column(const catalog::Table& table, const ColumnDef *column)
{
	const Oid relid = table.relid;
	bool sequence = is_serial_column(column);
	bool primary = false;
	ListCell *cell;
	foreach (cell, column->constraints)
	{
		const auto *constraint = lfirst_node(Constraint, cell);
		sequence = sequence || constraint->contype == CONSTR_IDENTITY ||
				   (constraint->contype == CONSTR_DEFAULT && calls_nextval(constraint->raw_expr));
		primary = primary || constraint->contype == CONSTR_PRIMARY;
		if (constraint->contype == CONSTR_DEFAULT)
			check_default(table, constraint->raw_expr);
	}
	/* The rows get their values after the column has been added. */
	if (sequence && primary)
		refuse(relid, "adding a column from a sequence as PRIMARY KEY",
			   "Add the column first, then the key.");
}

/* Also of an index, which brings nothing to check. */
void check_attach(const catalog::Table& table, const PartitionCmd *cmd)
{
	const Oid partition = RangeVarGetRelid(cmd->name, NoLock, true);
	if (OidIsValid(partition) && get_rel_relkind(table.relid) == RELKIND_PARTITIONED_TABLE)
		check_partition(partition, table);
}

void check_action(const catalog::Table& table, const AlterTableCmd *cmd)
{
	bool possible = false;
	for (const AlterTableType type : POSSIBLE)
		possible = possible || type == cmd->subtype;
	possible = possible || pg::sets_expression(cmd->subtype);
	if (!possible)
		refuse(table.relid, "this ALTER TABLE action", "Use undistribute_table() first.");

	const char *distribution_column = catalog::distribution_column_name(table);
	const bool on_distribution_column = distribution_column != nullptr && cmd->name != nullptr &&
										strcmp(cmd->name, distribution_column) == 0;
	switch (cmd->subtype)
	{
	case AT_AddColumn:
		check_add_column(table, castNode(ColumnDef, cmd->def));
		break;
	case AT_DropColumn:
		if (on_distribution_column)
			refuse(table.relid, "dropping the distribution column",
				   "Distribute the table by another column first, with alter_distributed_table(), "
				   "or use undistribute_table().");
		break;
	case AT_AlterColumnType:
		if (on_distribution_column)
			refuse(table.relid, "changing the type of the distribution column",
				   "Use undistribute_table() first.");
		break;
	case AT_AttachPartition:
		check_attach(table, castNode(PartitionCmd, cmd->def));
		break;
	case AT_DetachPartition:
		if (castNode(PartitionCmd, cmd->def)->concurrent)
			refuse(table.relid, "DETACH PARTITION CONCURRENTLY", "Leave CONCURRENTLY out.");
		break;
	default:
		break;
	}
}

} // namespace

void check_alter_table(Node *statement, List *tables)
{
	auto *alter = castNode(AlterTableStmt, statement);
	const catalog::Table& table = catalog::get_table(linitial_oid(tables));
	ListCell *cell;
	foreach (cell, alter->cmds)
		check_action(table, lfirst_node(AlterTableCmd, cell));
}

void check_altered(Oid relid)
{
	const catalog::Table& table = catalog::get_table(relid);
	check_expressions(relid);
	check_triggers(relid, table.kind == catalog::TableKind::Reference || has_replicas(table));
	if (table.kind == catalog::TableKind::Hash)
		check_unique_indexes(relid, table.distribution_attno);
	check_foreign_keys(relid, table.kind, table.colocation_id, table.distribution_attno);
}

Oid partition_to_attach(Node *statement)
{
	if (!IsA(statement, AlterTableStmt) ||
		castNode(AlterTableStmt, statement)->objtype != OBJECT_TABLE)
		return InvalidOid;
	ListCell *cell;
	foreach (cell, castNode(AlterTableStmt, statement)->cmds)
	{
		const auto *cmd = lfirst_node(AlterTableCmd, cell);
		if (cmd->subtype != AT_AttachPartition)
			continue;
		const Oid partition =
			RangeVarGetRelid(castNode(PartitionCmd, cmd->def)->name, NoLock, true);
		if (OidIsValid(partition) && catalog::find_table(partition) == nullptr)
			return partition;
	}
	return InvalidOid;
}

} // namespace civitas::ddl
