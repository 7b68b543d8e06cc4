/*
 * from_worker.cpp: DDL that was typed on a node that is not the coordinator.
 *
 * The coordinator is the one that decides about tables and objects of the cluster. So the worker
 * sends it the statement, as part of the worker's transaction; it runs the statement on itself as
 * if it had been typed there and answers with the commands that it would have sent to the other
 * nodes (txn/recorded_commands.cpp). The worker sends these to the others and carries out its own
 * ones here: the same as on every other node, in the client's own session and under its role.
 *
 * Plain tables of the worker, temporary objects, and views of these are this node's own business.
 */
#include "from_worker.h"

#include "civitas/catalog/node_session.h"
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/propagation.h"
#include "civitas/catalog/tables.h"
#include "civitas/catalog/writes.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/str.h"
#include "civitas/txn/transaction.h"
#include "objects/objects.h"
#include "objects/roles.h"
#include "settings.h"
#include "shards/shard_names.h"
#include "statement_kinds.h"

CIVITAS_PG_BEGIN
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parser.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

/* --- whose business is it? ------------------------------------------------------------------ */

/* A relation of this node alone. */
bool is_own_relation(Oid relid)
{
	return relid >= FirstNormalObjectId && catalog::find_table(relid) == nullptr &&
		   !catalog::object_is_distributed(RelationRelationId, relid);
}

bool names_own_relation(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, RangeVar))
		return is_own_relation(RangeVarGetRelid(castNode(RangeVar, node), NoLock, true));
	return pg::walk_raw_children(node, names_own_relation, context);
}

/* The same of a query that has been analyzed. */
bool reads_own_relation(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, RangeTblEntry))
		return castNode(RangeTblEntry, node)->rtekind == RTE_RELATION &&
			   is_own_relation(castNode(RangeTblEntry, node)->relid);
	if (IsA(node, Query))
		return pg::walk_query(castNode(Query, node), reads_own_relation, context,
							  QTW_EXAMINE_RTES_BEFORE);
	return pg::walk_children(node, reads_own_relation, context);
}

bool is_temporary(const RangeVar *relation)
{
	return relation->relpersistence == RELPERSISTENCE_TEMP ||
		   (relation->schemaname != nullptr && strcmp(relation->schemaname, "pg_temp") == 0);
}

bool is_temporary(List *name)
{
	return list_length(name) > 1 && strcmp(strVal(linitial(name)), "pg_temp") == 0;
}

bool makes_view(const ViewStmt *statement)
{
	return !is_temporary(statement->view) && !names_own_relation(statement->query, nullptr);
}

bool makes_relation(const CreateTableAsStmt *statement)
{
	return statement->objtype == OBJECT_MATVIEW && !reads_own_relation(statement->query, nullptr);
}

/* A partition of a table of the metadata. */
bool makes_partition(const CreateStmt *statement)
{
	return statement->partbound != nullptr &&
		   OidIsValid(metadata_table_of(linitial_node(RangeVar, statement->inhRelations)));
}

bool makes_object(Node *statement)
{
	switch (nodeTag(statement))
	{
	case T_CreateFunctionStmt:
		return !is_temporary(castNode(CreateFunctionStmt, statement)->funcname);
	case T_CreateEnumStmt:
		return !is_temporary(castNode(CreateEnumStmt, statement)->typeName);
	case T_CreateRangeStmt:
		return !is_temporary(castNode(CreateRangeStmt, statement)->typeName);
	case T_CompositeTypeStmt:
		return !is_temporary(castNode(CompositeTypeStmt, statement)->typevar);
	case T_CreateDomainStmt:
		return !is_temporary(castNode(CreateDomainStmt, statement)->domainname);
	case T_DefineStmt:
		return !is_temporary(castNode(DefineStmt, statement)->defnames);
	case T_ViewStmt:
		return makes_view(castNode(ViewStmt, statement));
	case T_CreateTableAsStmt:
		return makes_relation(castNode(CreateTableAsStmt, statement));
	case T_CreateStmt:
		return makes_partition(castNode(CreateStmt, statement));
	case T_CreateExtensionStmt:
		return strcmp(castNode(CreateExtensionStmt, statement)->extname, "citus") != 0;
	case T_CreateSchemaStmt:
	case T_CreateCastStmt:
	case T_CreateConversionStmt:
	case T_CreateOpClassStmt:
	case T_CreateOpFamilyStmt:
	case T_CreatePLangStmt:
	case T_CreateTransformStmt:
	case T_CreateAmStmt:
	case T_CreateFdwStmt:
	case T_CreateForeignServerStmt:
	case T_CreateUserMappingStmt:
	case T_DropUserMappingStmt:
	case T_CreateForeignTableStmt:
	case T_ImportForeignSchemaStmt:
	case T_CreateEventTrigStmt:
	case T_DropOwnedStmt:
		return true;
	default:
		return false;
	}
}

bool drops_tables_of_metadata(Node *statement)
{
	if (!IsA(statement, DropStmt))
		return false;
	const auto *drop = castNode(DropStmt, statement);
	if (drop->removeType != OBJECT_TABLE && drop->removeType != OBJECT_FOREIGN_TABLE)
		return false;
	ListCell *cell;
	foreach (cell, drop->objects)
		if (OidIsValid(metadata_table_of(makeRangeVarFromNameList(lfirst_node(List, cell)))))
			return true;
	return false;
}

/* Its text would travel with the secret in it. */
bool has_password(Node *statement)
{
	List *options = NIL;
	if (IsA(statement, CreateRoleStmt))
		options = castNode(CreateRoleStmt, statement)->options;
	else if (IsA(statement, AlterRoleStmt))
		options = castNode(AlterRoleStmt, statement)->options;
	ListCell *cell;
	foreach (cell, options)
		if (strcmp(lfirst_node(DefElem, cell)->defname, "password") == 0)
			return true;
	return false;
}

} // namespace

bool is_for_coordinator(Node *statement)
{
	if (is_role_statement(statement))
		return enable_create_role_propagation;
	const StatementKind *kind = statement_kind(statement);
	if (kind != nullptr && metadata_tables(*kind, statement) != NIL)
		return kind->reach != Reach::OwnTransactions && !IsA(statement, LockStmt);
	List *changed;
	return makes_object(statement) || drops_tables_of_metadata(statement) ||
		   changes_cluster_object(statement, &changed);
}

/* --- on the worker ---------------------------------------------------------------------------- */

namespace {

/* calls: it calls a function for nodes, which that one may be and no other, also where it fails
 * before. */
void execute(const char *statement, bool calls)
{
	catalog::expect_node_call(calls);
	PG_TRY();
	{
		SPI_execute(statement, false, 0);
	}
	PG_FINALLY();
	{
		catalog::expect_node_call(false);
	}
	PG_END_TRY();
}

/* What the coordinator sends to a node, in the session of the client. */
void run_command_here(const char *command)
{
	List *statements = raw_parser(command, RAW_PARSE_DEFAULT);
	ListCell *cell;
	SPI_connect();
	foreach (cell, statements)
	{
		const auto *raw = lfirst_node(RawStmt, cell);
		const char *text = raw->stmt_len > 0 ? pnstrdup(command + raw->stmt_location, raw->stmt_len)
											 : pstrdup(command + raw->stmt_location);
		execute(text, IsA(raw->stmt, SelectStmt));
	}
	SPI_finish();
}

} // namespace

void run_through_coordinator(const UtilityCall& call)
{
	Node *statement = call.statement->utilityStmt;
	if (!enable_ddl_from_workers || has_password(statement))
		catalog::require_coordinator();
	txn::require_one_session_per_node();
	pg::Str sql;
	sql.raw("SELECT citus_internal.run_ddl(").literal(statement_text(call)).ch(')');
	List *commands = txn::texts_from_node(catalog::get_primary(COORDINATOR_GROUP), sql.c_str());
	for (int i = 0; i + 1 < list_length(commands); i += 2)
	{
		const GroupId group = atoi(static_cast<const char *>(list_nth(commands, i)));
		const char *command = static_cast<const char *>(list_nth(commands, i + 1));
		if (group == catalog::local_group_id())
			catalog::with_propagation_suspended([&] { run_command_here(command); });
		else
			txn::run_on_node(catalog::get_primary(group), command);
	}
	CommandCounterIncrement();
}

/* --- on the coordinator ------------------------------------------------------------------------- */

namespace {

/* A node that is disabled, and may not know it: nothing of the statement would reach it. */
void require_active_caller()
{
	const int32 caller = txn::initiating_node();
	if (caller == 0)
		return;
	const catalog::Node *node = catalog::find_node(caller);
	if (node != nullptr && node->is_active)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 node != nullptr ? errmsg("node %s:%d is not active", node->name, node->port)
							 : errmsg("the node is not in the cluster any more"),
			 errdetail("The statement was typed there, and would be carried out on all other nodes "
					   "but not on that one."),
			 errhint("Run it on the coordinator, or make the node active first. With "
					 "citus.enable_ddl_propagation = off it is about that node alone.")));
}

void run_as_client(void *argument)
{
	/* Also analyzes what a statement may hold, like the query of a materialized view. */
	SPI_connect();
	SPI_execute(static_cast<const char *>(argument), false, 0);
	SPI_finish();
}

} // namespace

CIVITAS_PG_BEGIN

/* run_ddl(statement): groups and commands for them, in turn. Does as the caller what the caller may
 * do. */
PG_FUNCTION_INFO_V1(citus_internal_run_ddl);
PGDLLEXPORT Datum citus_internal_run_ddl(PG_FUNCTION_ARGS)
{
	catalog::require_node_call(fcinfo);
	catalog::require_coordinator();
	require_active_caller();
	const pg::Vec<txn::RecordedCommand> commands =
		txn::record_commands(run_as_client, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	pg::Vec<Datum> elements;
	for (const txn::RecordedCommand& command : commands)
	{
		elements.push(CStringGetTextDatum(psprintf("%d", command.group)));
		elements.push(CStringGetTextDatum(command.sql));
	}
	PG_RETURN_ARRAYTYPE_P(
		construct_array(elements.data(), elements.size(), TEXTOID, -1, false, TYPALIGN_INT));
}

CIVITAS_PG_END

} // namespace civitas::ddl
