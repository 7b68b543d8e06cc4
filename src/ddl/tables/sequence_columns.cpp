/*
 * sequence_columns.cpp: ALTER TABLE of columns that take their values from a sequence.
 *
 * Rows reach shards complete, so a shard's column has no such default, and no identity. Shells have
 * them, but each node's its own: a range of a bigint sequence, or the coordinator's (see
 * deparse/table_definition.cpp). So the statement is carried out as it is on the coordinator's shell
 * alone. Everywhere else it runs without what is about sequences; the other shells are then told what
 * the coordinator's catalogs say of the columns, and rows that are there already get their values by an
 * UPDATE, one each.
 */
#include "sequence_columns.h"

#include "../apply.h"
#include "../distribute/distribute.h"
#include "../shards/shard_names.h"
#include "../statement_kinds.h"
#include "../utility_call.h"
#include "civitas/catalog/propagation.h"
#include "civitas/deparse/table_definition.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/txn/transaction.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "nodes/makefuncs.h"
#include "parser/parser.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

bool calls_nextval_walker(Node *node, void *)
{
	if (node == nullptr)
		return false;
	if (IsA(node, FuncCall) &&
		strcmp(strVal(llast(castNode(FuncCall, node)->funcname)), "nextval") == 0)
		return true;
	return pg::walk_raw_children(node, calls_nextval_walker, nullptr);
}

/* The type behind serial and its kin; null: another type. */
const char *type_of_serial(const TypeName *type)
{
	static constexpr struct
	{
		const char *serial;
		const char *type;
	} TYPES[] = {{"smallserial", "int2"}, {"serial2", "int2"},	 {"serial", "int4"},
				 {"serial4", "int4"},	  {"bigserial", "int8"}, {"serial8", "int8"}};
	if (type == nullptr || list_length(type->names) != 1 || type->typeOid != InvalidOid)
		return nullptr;
	for (const auto& known : TYPES)
		if (strcmp(strVal(linitial(type->names)), known.serial) == 0)
			return known.type;
	return nullptr;
}

bool is_of_sequence(const Constraint *constraint)
{
	return constraint->contype == CONSTR_IDENTITY ||
		   (constraint->contype == CONSTR_DEFAULT && calls_nextval(constraint->raw_expr));
}

/* Leaves a column without values; they come later, and NOT NULL with them. */
bool strip_column(ColumnDef *column)
{
	const char *type = type_of_serial(column->typeName);
	bool found = type != nullptr;
	ListCell *cell;
	foreach (cell, column->constraints)
		found = found || is_of_sequence(lfirst_node(Constraint, cell));
	if (!found)
		return false;
	if (type != nullptr)
		column->typeName = SystemTypeName(pstrdup(type));
	foreach (cell, column->constraints)
	{
		const auto *constraint = lfirst_node(Constraint, cell);
		if (is_of_sequence(constraint) || constraint->contype == CONSTR_NOTNULL)
			column->constraints = foreach_delete_current(column->constraints, cell);
	}
	return true;
}

bool is_identity_here(Oid relid, const char *column)
{
	return pg::sql_text(psprintf("SELECT 1 FROM pg_attribute WHERE attrelid = %u AND attname = %s "
								 "AND attidentity <> ''",
								 relid, quote_literal_cstr(column))) != nullptr;
}

/* The bounds and the place of a sequence are each node's own. */
void keep_common_options(AlterTableCmd *cmd)
{
	static constexpr const char *COMMON[] = {"generated", "increment", "cache", "cycle"};
	auto *options = castNode(List, cmd->def);
	ListCell *cell;
	foreach (cell, options)
	{
		bool common = false;
		for (const char *name : COMMON)
			common = common || strcmp(lfirst_node(DefElem, cell)->defname, name) == 0;
		if (!common)
			options = foreach_delete_current(options, cell);
	}
	cmd->def = reinterpret_cast<Node *>(options);
}

} // namespace

bool calls_nextval(Node *node)
{
	return calls_nextval_walker(node, nullptr);
}

bool is_serial_column(const ColumnDef *column)
{
	return type_of_serial(column->typeName) != nullptr;
}

List *strip_sequences(Node *tree, Oid relid, Stripped what)
{
	List *columns = NIL;
	if (!IsA(tree, AlterTableStmt))
		return NIL;
	auto *statement = castNode(AlterTableStmt, tree);
	ListCell *cell;
	foreach (cell, statement->cmds)
	{
		auto *cmd = lfirst_node(AlterTableCmd, cell);
		switch (cmd->subtype)
		{
		case AT_AddColumn:
			if (strip_column(castNode(ColumnDef, cmd->def)))
				columns = lappend(columns, castNode(ColumnDef, cmd->def)->colname);
			break;
		case AT_ColumnDefault:
			if (!calls_nextval(cmd->def))
				break;
			columns = lappend(columns, cmd->name);
			cmd->def = nullptr;
			break;
		case AT_AddIdentity:
			columns = lappend(columns, cmd->name);
			statement->cmds = foreach_delete_current(statement->cmds, cell);
			break;
		case AT_SetIdentity:
			if (what == Stripped::Shell && is_identity_here(relid, cmd->name))
				keep_common_options(cmd);
			else
				statement->cmds = foreach_delete_current(statement->cmds, cell);
			break;
		case AT_DropIdentity:
			if (what == Stripped::Shards)
				statement->cmds = foreach_delete_current(statement->cmds, cell);
			else if (!is_identity_here(relid, cmd->name))
				cmd->subtype = AT_ColumnDefault;
			break;
		default:
			break;
		}
	}
	return columns;
}

List *new_sequence_columns(Node *tree, Oid relid)
{
	auto *copy = static_cast<Node *>(copyObjectImpl(tree));
	List *columns = NIL;
	if (!IsA(copy, AlterTableStmt))
		return NIL;
	ListCell *cell;
	foreach (cell, castNode(AlterTableStmt, copy)->cmds)
	{
		auto *cmd = lfirst_node(AlterTableCmd, cell);
		if (cmd->subtype != AT_AddColumn)
			continue;
		auto *column = castNode(ColumnDef, cmd->def);
		if (get_attnum(relid, column->colname) == InvalidAttrNumber && strip_column(column))
			columns = lappend(columns, pstrdup(column->colname));
	}
	return columns;
}

namespace {

/* In the shards, each row another value. */
void fill_column(Oid relid, const char *column)
{
	pg::Str sql;
	sql.raw("UPDATE ").raw(qualified_table_name(relid)).raw(" SET ").ident(column);
	sql.raw(" = DEFAULT");
	const int level = NewGUCNestLevel();
	/* Rather an error than rows without a value. */
	set_config_option("row_security", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
					  false);
	say_rows_move(true);
	pg::sql_run(sql.c_str());
	say_rows_move(false);
	AtEOXact_GUC(true, level);
}

bool is_not_null(Oid relid, const char *column)
{
	return pg::sql_text(psprintf("SELECT 1 FROM pg_attribute WHERE attrelid = %u AND attname = %s "
								 "AND attnotnull",
								 relid, quote_literal_cstr(column))) != nullptr;
}

} // namespace

void finish_sequence_columns(Oid relid, List *changed, List *added)
{
	if (changed == NIL)
		return;
	pg::Str sql;
	ListCell *cell;
	foreach (cell, deparse::sequence_column_commands(relid, changed))
		sql.raw(static_cast<const char *>(lfirst(cell))).raw(";\n");
	if (sql.length() > 0)
		txn::run_on_other_nodes(sql.c_str());
	foreach (cell, added)
	{
		const auto *column = static_cast<const char *>(lfirst(cell));
		fill_column(relid, column);
		if (!is_not_null(relid, column))
			continue;
		pg::Str not_null;
		not_null.raw("ALTER TABLE ").raw(qualified_table_name(relid));
		not_null.raw(" ALTER COLUMN ").ident(column).raw(" SET NOT NULL");
		apply_to_local_shards(not_null.c_str());
		txn::run_on_other_nodes(apply_call(not_null.c_str(), NIL));
	}
}

} // namespace civitas::ddl
