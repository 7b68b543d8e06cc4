/*
 * utility.cpp: the utility hook.
 *
 * A statement about a table of the metadata is carried out by its row in statement_kinds.cpp:
 *
 *   check (0A000 before anything changed)
 *   -> this node's shell, with the caller's own parse tree     \  in the order that
 *   -> this node's shards, with a renamed copy of the tree     /  the row's reach says
 *   -> every other node: citus_internal.apply_ddl(text, what was chosen here), in the same
 *      distributed transaction
 *
 * Everything else passes: suspended (part of such a change), parts of a bigger statement, sessions
 * that another node opened. Some statements need a hand afterwards (new partitions, schemas).
 */
#include "civitas/ddl/utility.h"

#include "apply.h"
#include "civitas/catalog/propagation.h"
#include "civitas/catalog/writes.h"
#include "civitas/ddl/objects.h"
#include "civitas/deparse/table_definition.h"
#include "civitas/executor/copy.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/str.h"
#include "civitas/txn/transaction.h"
#include "distribute/distribute.h"
#include "from_worker.h"
#include "objects/drops.h"
#include "objects/new_objects.h"
#include "objects/objects.h"
#include "objects/own_parts.h"
#include "objects/replication_checks.h"
#include "objects/roles.h"
#include "settings.h"
#include "shards/shard_names.h"
#include "shards/shard_reach.h"
#include "statement_kinds.h"
#include "tables/alter_table.h"
#include "tables/key_types.h"
#include "tables/local_tables.h"
#include "tables/maintenance.h"
#include "tables/sequence_columns.h"
#include "tables/table_checks.h"
#include "utility_call.h"

CIVITAS_PG_BEGIN
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "storage/lmgr.h"
#include "tcop/cmdtag.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

ProcessUtility_hook_type previous_hook = nullptr;

} // namespace

void run_plain(const UtilityCall& call)
{
	auto next = previous_hook != nullptr ? previous_hook : standard_ProcessUtility;
	next(call.statement, call.sql, call.read_only_tree, call.context, call.parameters,
		 call.environment, call.destination, call.completion);
}

char *statement_text(const UtilityCall& call)
{
	const int start = call.statement->stmt_location < 0 ? 0 : call.statement->stmt_location;
	const int length = call.statement->stmt_len > 0 ? call.statement->stmt_len
													: static_cast<int>(strlen(call.sql)) - start;
	return pnstrdup(call.sql + start, length);
}

/* --- the common flow -------------------------------------------------------------------------- */

namespace {

/* TRUNCATE may list plain tables too, which other nodes do not have. */
char *truncate_text(const TruncateStmt *statement, List *tables)
{
	pg::Str sql;
	sql.raw("TRUNCATE ");
	ListCell *cell;
	foreach (cell, tables)
	{
		sql.raw(foreach_current_index(cell) > 0 ? ", " : "");
		sql.qualified(get_namespace_name(get_rel_namespace(lfirst_oid(cell))),
					  get_rel_name(lfirst_oid(cell)));
	}
	return sql.raw(statement->behavior == DROP_CASCADE ? " CASCADE" : " RESTRICT").c_str();
}

} // namespace

char *apply_call(const char *text, List *chosen)
{
	pg::Str sql;
	sql.raw("SELECT citus_internal.apply_ddl(").literal(text);
	if (chosen != NIL)
	{
		sql.raw(", ARRAY[");
		ListCell *cell;
		foreach (cell, chosen)
			sql.raw(foreach_current_index(cell) > 0 ? ", " : "")
				.literal(static_cast<char *>(lfirst(cell)));
		sql.raw("]::pg_catalog.text[]");
	}
	return sql.raw(")").c_str();
}

namespace {} // namespace

void send_new_dependencies(List *tables)
{
	List *objects = needed_objects(tables, NIL);
	ListCell *cell;
	foreach (cell, objects)
	{
		const auto *address = static_cast<const ObjectAddress *>(lfirst(cell));
		if (catalog::object_is_distributed(address->classId, address->objectId))
			objects = foreach_delete_current(objects, cell);
		else
			catalog::insert_object(address->classId, address->objectId, 0);
	}
	const char *bring = bring_objects_sql(objects, false);
	if (bring != nullptr)
		txn::run_on_other_nodes(bring);
}

namespace {

bool may_need_types(Node *tree)
{
	return IsA(tree, AlterTableStmt) || IsA(tree, IndexStmt) || IsA(tree, CreateStatsStmt) ||
		   IsA(tree, CreateTrigStmt) || IsA(tree, CreatePolicyStmt) || IsA(tree, AlterPolicyStmt) ||
		   IsA(tree, RuleStmt);
}

/* The mode in which the statement locks its tables' shells; null where it lets readers and writers
 * be. */
const char *shell_lock_mode(Node *tree)
{
	switch (nodeTag(tree))
	{
	case T_IndexStmt:
		return "SHARE";
	case T_CreateTrigStmt:
		return "SHARE ROW EXCLUSIVE";
	case T_CreatePolicyStmt:
	case T_AlterPolicyStmt:
	case T_AlterTableStmt:
	case T_DropStmt:
	case T_RenameStmt:
	case T_TruncateStmt:
	case T_ClusterStmt:
	case T_AlterObjectSchemaStmt:
		return "ACCESS EXCLUSIVE";
	default:
		return nullptr;
	}
}

List *qualified_names(List *tables)
{
	List *names = NIL;
	ListCell *cell;
	foreach (cell, tables)
		names = lappend(names, quote_qualified_identifier(
								   get_namespace_name(get_rel_namespace(lfirst_oid(cell))),
								   get_rel_name(lfirst_oid(cell))));
	return names;
}

/* Before a statement that starts with the shards. The owner may; who is not will be told by the
 * statement itself. */
void lock_own_shells(List *tables)
{
	ListCell *cell;
	foreach (cell, tables)
		if (pg::owns(RelationRelationId, lfirst_oid(cell)))
			LockRelationOid(lfirst_oid(cell), AccessExclusiveLock);
}

/* GRANT takes no lock, and a shard that is being copied would not get the change. */
void lock_against_moves(List *tables)
{
	ListCell *cell;
	foreach (cell, tables)
		if (pg::owns(RelationRelationId, lfirst_oid(cell)))
			LockRelationOid(lfirst_oid(cell), ShareUpdateExclusiveLock);
}

} // namespace

void lock_shells_elsewhere(List *names, const char *mode)
{
	if (names == NIL || mode == nullptr)
		return;
	pg::Str sql;
	sql.raw("LOCK TABLE ");
	ListCell *cell;
	foreach (cell, names)
		sql.raw(foreach_current_index(cell) > 0 ? ", " : "")
			.raw(static_cast<const char *>(lfirst(cell)));
	txn::run_on_other_nodes(sql.raw(" IN ").raw(mode).raw(" MODE").c_str());
}

namespace {

/*
 * LOCK TABLE, from any node. Who wants the table for himself takes the lock on every node, so a
 * mode that others may hold as well is taken here only. The coordinator comes first, for all alike.
 */
void lock_tables(const UtilityCall& call, List *tables)
{
	static constexpr const char *MODES[] = {
		"",		 "ACCESS SHARE",		"ROW SHARE", "ROW EXCLUSIVE",	"SHARE UPDATE EXCLUSIVE",
		"SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"};
	const auto *statement = castNode(LockStmt, call.statement->utilityStmt);
	if (statement->mode <= RowExclusiveLock)
	{
		run_plain(call);
		return;
	}
	pg::Str sql;
	sql.raw("LOCK TABLE ");
	ListCell *cell;
	foreach (cell, qualified_names(tables))
		sql.raw(foreach_current_index(cell) > 0 ? ", " : "")
			.raw(static_cast<const char *>(lfirst(cell)));
	sql.raw(" IN ")
		.raw(MODES[statement->mode])
		.raw(" MODE")
		.raw(statement->nowait ? " NOWAIT" : "");
	for (const catalog::Node& node : catalog::other_metadata_nodes())
		if (node.group_id == COORDINATOR_GROUP)
			txn::run_on_node(node, sql.c_str());
	run_plain(call);
	txn::run_on_other_nodes(sql.c_str());
}

void run_on_metadata_tables(const UtilityCall& call, const StatementKind& kind, List *tables)
{
	txn::require_one_session_per_node();
	/* The names by which other nodes know the tables still. */
	List *known_names = qualified_names(tables);
	auto *tree = static_cast<Node *>(copyObjectImpl(call.statement->utilityStmt));
	const char *text = statement_text(call);
	const bool one_table = kind.reach == Reach::ShellThenShards;
	const Oid partition = partition_to_attach(tree);
	if (OidIsValid(partition))
		distribute_partition(partition, linitial_oid(tables));
	if (IsA(tree, TruncateStmt))
		text = truncate_text(castNode(TruncateStmt, tree), tables);

	List *added = one_table ? new_sequence_columns(tree, linitial_oid(tables)) : NIL;
	List *sequences =
		one_table ? strip_sequences(tree, linitial_oid(tables), Stripped::Shards) : NIL;
	List *existing = one_table ? existing_object_ids(linitial_oid(tables)) : NIL;
	List *chosen = one_table ? default_values(tree, linitial_oid(tables)) : NIL;
	if (kind.reach == Reach::ShardsThenShell)
	{
		lock_own_shells(tables);
		lock_shells_elsewhere(known_names, shell_lock_mode(tree));
		apply_to_shards(kind, tree, text, tables);
	}
	if (IsA(tree, GrantStmt))
		lock_against_moves(tables);
	catalog::with_propagation_suspended([&] { run_plain(call); });
	CommandCounterIncrement();
	if (kind.reach != Reach::ShardsThenShell)
		lock_shells_elsewhere(known_names, shell_lock_mode(tree));
	if (one_table)
	{
		ListCell *cell;
		foreach (cell, tables)
			check_altered(lfirst_oid(cell));
		List *names = chosen_names(tree, linitial_oid(tables), existing);
		fill_names(tree, names);
		fill_defaults(tree, chosen);
		chosen = list_concat(names, chosen);
	}
	if (kind.reach != Reach::ShardsThenShell)
		apply_to_shards(kind, tree, text, tables);
	if (may_need_types(tree))
		send_new_dependencies(tables);
	txn::run_on_other_nodes(apply_call(text, chosen));
	if (sequences != NIL)
		finish_sequence_columns(linitial_oid(tables), sequences, added);
}

/* --- statements that are about tables of the metadata by their effect
 * ------------------------------- */

/* Foreign keys of the table point at reference or local tables of the metadata, and at no
 * distributed one (the table is about to be distributed then). */
bool references_metadata(Oid relid)
{
	bool found = false;
	List *referenced = referenced_tables(relid);
	ListCell *cell;
	foreach (cell, referenced)
	{
		const catalog::Table *table = catalog::find_table(lfirst_oid(cell));
		if (table != nullptr && table->is_distributed())
			return false;
		found = found || table != nullptr;
	}
	return found;
}

/* CREATE TABLE IF NOT EXISTS of a table that is there changes nothing. */
bool exists_already(const CreateStmt *statement)
{
	return statement->if_not_exists &&
		   OidIsValid(get_relname_relid(statement->relation->relname,
										RangeVarGetCreationNamespace(statement->relation)));
}

void after_create_table(const CreateStmt *statement)
{
	const Oid relid = RangeVarGetRelid(statement->relation, NoLock, true);
	if (!OidIsValid(relid) || catalog::find_table(relid) != nullptr || !catalog::is_coordinator() ||
		get_rel_persistence(relid) == RELPERSISTENCE_TEMP || statement->partbound != nullptr)
		return;
	const bool managed = use_citus_managed_tables && !catalog::other_metadata_nodes().empty();
	const bool references = enable_local_reference_table_foreign_keys && references_metadata(relid);
	if (!managed && !references)
		return;
	add_local_tables(relid, true, !managed);
}

void before_drop_schema(const DropStmt *statement)
{
	ListCell *cell;
	foreach (cell, statement->objects)
	{
		const Oid schema = get_namespace_oid(strVal(lfirst(cell)), true);
		if (OidIsValid(schema) && catalog::is_coordinator() &&
			pg::owns(NamespaceRelationId, schema))
			drop_shards_in_schema(schema);
	}
}

/* CREATE OR REPLACE VIEW of one that is there makes nothing new. */
void after_view(const ViewStmt *statement)
{
	if (!statement->replace)
		return;
	CommandCounterIncrement();
	const ObjectAddress view = {RelationRelationId, RangeVarGetRelid(statement->view, NoLock, true),
								0};
	if (OidIsValid(view.objectId))
		keep_new_objects({&view, 1});
}

/* ALTER TABLE of a plain table that adds a foreign key to a table of the metadata. */
void before_alter_plain_table(const AlterTableStmt *statement)
{
	ListCell *cell;
	foreach (cell, statement->cmds)
	{
		const auto *cmd = lfirst_node(AlterTableCmd, cell);
		if (cmd->subtype == AT_AttachPartition)
		{
			const Oid partition = metadata_table_of(castNode(PartitionCmd, cmd->def)->name);
			if (OidIsValid(partition))
				refuse_plain_parent(partition);
		}
		if (cmd->subtype != AT_AddConstraint ||
			castNode(Constraint, cmd->def)->contype != CONSTR_FOREIGN)
			continue;
		const Oid referenced = metadata_table_of(castNode(Constraint, cmd->def)->pktable);
		if (!OidIsValid(referenced))
			continue;
		catalog::require_coordinator();
		const Oid relid = RangeVarGetRelid(statement->relation, NoLock, true);
		if (!OidIsValid(relid))
			continue;
		if (catalog::get_table(referenced).is_distributed() ||
			!enable_local_reference_table_foreign_keys)
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("plain table \"%s\" cannot reference distributed table \"%s\"",
								   get_rel_name(relid), get_rel_name(referenced)),
							errhint("Distribute the referencing table first.")));
		add_local_tables(relid, true, true);
		return;
	}
}

/* --- the hook
 * -------------------------------------------------------------------------------------- */

/* Statements that the hook has any business with: others must not cost a catalog lookup, and some
 * run where none is possible (ROLLBACK). */
bool is_of_interest(Node *statement)
{
	switch (nodeTag(statement))
	{
	case T_CopyStmt:
		return true;
	/* Often, and never. */
	case T_TransactionStmt:
	case T_ExecuteStmt:
	case T_FetchStmt:
	case T_PrepareStmt:
	case T_ExplainStmt:
		return false;
	default:
		if (GetCommandLogLevel(statement) == LOGSTMT_DDL)
			return true;
		return statement_kind(statement) != nullptr || may_change_objects(statement) ||
			   is_role_statement(statement) || is_replication_statement(statement);
	}
}

void run_and_follow(const UtilityCall& call)
{
	run_following([](void *argument) { run_plain(*static_cast<const UtilityCall *>(argument)); },
				  const_cast<UtilityCall *>(&call));
}

void run_plain_statement(const UtilityCall& call)
{
	/* The tree may be changed by running it. */
	auto *tree = static_cast<Node *>(copyObjectImpl(call.statement->utilityStmt));
	List *revoked;
	ListCell *cell;
	switch (nodeTag(tree))
	{
	case T_DropStmt:
	case T_DropOwnedStmt:
		if (IsA(tree, DropStmt) && castNode(DropStmt, tree)->removeType == OBJECT_SCHEMA)
			before_drop_schema(castNode(DropStmt, tree));
		if (IsA(tree, DropOwnedStmt))
			drop_replaced_placements();
		revoked = IsA(tree, DropOwnedStmt) && catalog::is_coordinator()
					  ? revocations(castNode(DropOwnedStmt, tree))
					  : NIL;
		run_and_follow(call);
		foreach (cell, revoked)
			txn::run_on_other_nodes(apply_call(static_cast<char *>(lfirst(cell)), NIL));
		break;
	case T_CreateStmt: {
		auto *create = castNode(CreateStmt, tree);
		if (create->partbound != nullptr &&
			OidIsValid(metadata_table_of(linitial_node(RangeVar, create->inhRelations))))
			catalog::require_coordinator();
		const bool is_new = !exists_already(create);
		run_and_follow(call);
		CommandCounterIncrement();
		if (is_new)
			after_create_table(create);
		break;
	}
	default:
		run_and_follow(call);
		if (IsA(tree, ViewStmt))
			after_view(castNode(ViewStmt, tree));
		if (is_replication_statement(tree))
			check_after_replication_statement(tree);
	}
}

/* A statement about no table of the metadata: what it changes may be on every node all the same. */
void run_object_statement(const UtilityCall& call)
{
	List *changed;
	if (!changes_cluster_object(call.statement->utilityStmt, &changed))
	{
		run_plain_statement(call);
		return;
	}
	catalog::require_coordinator();
	txn::require_one_session_per_node();
	const char *text = statement_text(call);
	auto *tree = static_cast<Node *>(copyObjectImpl(call.statement->utilityStmt));
	const OwnParts own = note_own_parts(tree, changed);
	run_plain_statement(call);
	CommandCounterIncrement();
	if (concerns_own_parts(tree, changed, own))
		return;
	keep_what_they_need(changed);
	txn::run_on_other_nodes(apply_call(text, NIL));
}

void run_ddl(const UtilityCall& call)
{
	Node *statement = call.statement->utilityStmt;
	if (is_role_statement(statement))
	{
		run_role_statement(call);
		return;
	}
	const StatementKind *kind = statement_kind(statement);
	List *tables = kind == nullptr ? NIL : metadata_tables(*kind, statement);
	if (tables == NIL && IsA(statement, AlterTableStmt))
	{
		check_alter_composite_type(castNode(AlterTableStmt, statement));
		before_alter_plain_table(castNode(AlterTableStmt, statement));
		tables = metadata_tables(*kind, statement);
	}
	if (tables == NIL && is_for_whole_database(statement))
	{
		run_on_whole_databases(call);
		return;
	}
	if (tables == NIL)
	{
		run_object_statement(call);
		return;
	}
	catalog::check_extension_version();
	if (IsA(statement, LockStmt))
	{
		lock_tables(call, tables);
		return;
	}
	catalog::require_coordinator();
	if (kind->reach == Reach::Refused)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("%s is not supported on distributed table \"%s\"", kind->name,
							   get_rel_name(linitial_oid(tables))),
						errhint("Use undistribute_table() first.")));
	ListCell *cell;
	foreach (cell, tables)
		catalog::require_sound(catalog::get_table(lfirst_oid(cell)));
	if (kind->check != nullptr)
		kind->check(statement, tables);
	if (kind->reach == Reach::OwnTransactions)
		run_maintenance(call, tables);
	else
		run_on_metadata_tables(call, *kind, tables);
}

/* After which tables may be known for a foreign key that is no more. */
bool may_end_foreign_keys(Node *statement)
{
	ListCell *cell;
	switch (nodeTag(statement))
	{
	case T_DropStmt: {
		const ObjectType type = castNode(DropStmt, statement)->removeType;
		return type == OBJECT_TABLE || type == OBJECT_SCHEMA;
	}
	case T_AlterTableStmt:
		foreach (cell, castNode(AlterTableStmt, statement)->cmds)
			if (lfirst_node(AlterTableCmd, cell)->subtype == AT_DropConstraint ||
				lfirst_node(AlterTableCmd, cell)->subtype == AT_DropColumn)
				return true;
		return false;
	default:
		return false;
	}
}

/* What a newer node grants may have rights among it that this server does not know, and checks nowhere: they are taken out,
 * of a copy. False where nothing is left to grant. */
bool keep_known_privileges(UtilityCall *call)
{
	auto *grant = castNode(GrantStmt, call->statement->utilityStmt);
	List *known = NIL;
	ListCell *cell;
	foreach (cell, grant->privileges)
	{
		const char *name = lfirst_node(AccessPriv, cell)->priv_name;
		if (name == nullptr || pg::is_privilege(name))
			known = lappend(known, lfirst(cell));
	}
	if (list_length(known) == list_length(grant->privileges))
		return true;
	auto *statement = static_cast<PlannedStmt *>(copyObjectImpl(call->statement));
	castNode(GrantStmt, statement->utilityStmt)->privileges = known;
	call->statement = statement;
	return known != NIL;
}

/*
 * Event triggers run where the statement was typed: not for what nodes do for each other, nor for
 * shards. Those that only this node has are meant for whatever happens on it.
 */
bool has_own_event_triggers()
{
	if (!catalog::extension_installed())
		return true;
	bool own = false;
	Relation relation = table_open(EventTriggerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
	for (HeapTuple tuple; !own && HeapTupleIsValid(tuple = systable_getnext(scan));)
		own = !catalog::object_is_distributed(
			EventTriggerRelationId, reinterpret_cast<Form_pg_event_trigger>(GETSTRUCT(tuple))->oid);
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return own;
}

void utility_hook(PlannedStmt *statement, const char *sql, bool read_only_tree,
				  ProcessUtilityContext context, ParamListInfo parameters,
				  QueryEnvironment *environment, DestReceiver *destination,
				  QueryCompletion *completion)
{
	UtilityCall call = {statement,	sql,		 read_only_tree, context,
						parameters, environment, destination,	 completion};
	if (IsA(statement->utilityStmt, GrantStmt) && txn::is_internal_session() &&
		!keep_known_privileges(&call))
		return;
	statement = call.statement;
	Node *utility = statement->utilityStmt;
	if ((context == PROCESS_UTILITY_QUERY ||
		 (context == PROCESS_UTILITY_TOPLEVEL && IsTransactionBlock())) &&
		(catalog::propagation_suspended || txn::is_internal_session()) &&
		GetCommandLogLevel(utility) == LOGSTMT_DDL && IsTransactionState() &&
		!has_own_event_triggers())
		context = call.context = PROCESS_UTILITY_SUBCOMMAND;
	if (IsA(utility, VariableSetStmt))
	{
		run_plain(call);
		txn::note_set(castNode(VariableSetStmt, utility));
		return;
	}
	if (IsA(utility, ConstraintsSetStmt))
	{
		run_plain(call);
		if (IsTransactionState() && catalog::extension_installed())
			set_constraints_of_shards(castNode(ConstraintsSetStmt, utility));
		txn::note_constraints(castNode(ConstraintsSetStmt, utility));
		return;
	}
	if (catalog::propagation_suspended || context == PROCESS_UTILITY_SUBCOMMAND ||
		creating_extension || !enable_ddl_propagation || !is_of_interest(utility) ||
		!IsTransactionState() || !catalog::extension_installed())
	{
		run_plain(call);
		return;
	}
	if (IsA(utility, CopyStmt))
	{
		auto *copy = castNode(CopyStmt, utility);
		if (!executor::is_distributed_copy(copy))
		{
			run_plain(call);
			return;
		}
		if (read_only_tree)
			copy = static_cast<CopyStmt *>(copyObjectImpl(copy));
		ParseState *state = make_parsestate(nullptr);
		state->p_sourcetext = sql;
		state->p_queryEnv = environment;
		const uint64 rows = executor::run_distributed_copy(state, copy, statement->stmt_location,
														   statement->stmt_len);
		free_parsestate(state);
		if (completion != nullptr)
			SetQueryCompletion(completion, CMDTAG_COPY, rows);
		return;
	}
	if (txn::is_internal_session())
	{
		run_plain(call);
		return;
	}
	if (!catalog::is_coordinator() && is_for_coordinator(utility))
	{
		run_through_coordinator(call);
		return;
	}
	const bool ends = may_end_foreign_keys(utility);
	run_ddl(call);
	if (ends && catalog::extension_installed())
		remove_unneeded_local_tables();
}

} // namespace

void utility_init()
{
	define_settings();
	drops_init();
	previous_hook = ProcessUtility_hook;
	ProcessUtility_hook = utility_hook;
}

} // namespace civitas::ddl
