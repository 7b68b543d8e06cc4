/*
 * asking_node.cpp: functions that run on the node that was asked, wherever the rows are.
 *
 * A statement on one shard goes to the shard's node as a whole, with the functions in it. That is
 * right where a function's result follows from its arguments and the settings that nodes share.
 * Others have an effect on the session or the server, or tell of them: the client means those that
 * it is connected to. FAMILIES says which and why; the first row that fits decides.
 *
 *   IMMUTABLE             goes with the statement
 *   STABLE or VOLATILE,   as FAMILIES says; else VOLATILE stays, for nobody has said that it may go,
 *   PostgreSQL's own      and STABLE stays where it takes or returns oids or names of objects
 *   of an extension       STABLE goes, VOLATILE stays: dblink() has connections, others seeds
 *   of users              stays: what it calls cannot be seen, and what it reads must be what this
 *                         transaction wrote
 *
 * Parameters that cannot be sent keep a statement here, too.
 *
 * A STABLE one whose arguments have no columns is computed here in any case, as a parameter.
 */
#include "internal.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

#include "civitas/pg/transport.h"

#include <cstring>

namespace civitas::planner {

namespace {

/* What becomes of a function whose name begins (*) with, or is, a family's. */
struct Family
{
	const char *name;
	const char *reason; /* null: goes with the statement */
	bool effect;		/* must not run elsewhere, whatever the statement's form */
};

constexpr const char *SEQUENCES = "it uses sequence functions";
constexpr const char *LOCKS = "it uses advisory locks, which this session holds";
constexpr const char *NOTIFIES = "it uses notifications, which this session sends and gets";
constexpr const char *SETTINGS = "it uses settings of this session";
constexpr const char *SEED = "it uses random numbers, which follow this session's seed";
constexpr const char *TRANSACTIONS = "it uses transaction ids and snapshots of this node";
constexpr const char *SESSIONS = "it uses processes and sessions of this node";
constexpr const char *LARGE_OBJECTS = "it uses large objects, which are on this node";
constexpr const char *WAITS = "it waits, which this session does";
constexpr const char *SERVER = "it uses this server's write-ahead log and replication";
constexpr const char *FILES = "it uses files of this server";
constexpr const char *QUERIES = "it uses functions that run queries of their own";
constexpr const char *CATALOGS = "it uses this node's catalogs";
constexpr const char *ROWS = "it has parameters that are rows of no named type";
constexpr const char *VOLATILES = "it uses volatile functions that may depend on the session";
constexpr const char *USERS = "it uses functions of users that are not immutable";

constexpr Family FAMILIES[] = {
	/* Clocks, made-up values and how a value is stored: one node's is as good as another's. */
	{"clock_timestamp", nullptr, false},
	{"timeofday", nullptr, false},
	{"gen_random_uuid", nullptr, false},
	{"uuidv*", nullptr, false},
	{"pg_column_size", nullptr, false},
	{"pg_column_compression", nullptr, false},
	{"pg_column_toast_chunk_id", nullptr, false},

	{"nextval", SEQUENCES, true},
	{"currval", SEQUENCES, true},
	{"lastval", SEQUENCES, true},
	{"setval", SEQUENCES, true},
	{"pg_sequence_*", SEQUENCES, true},

	{"pg_advisory_*", LOCKS, true},
	{"pg_try_advisory_*", LOCKS, true},

	{"pg_notify", NOTIFIES, true},
	{"pg_notification_*", NOTIFIES, true},
	{"pg_listening_*", NOTIFIES, true},

	{"set_config", SETTINGS, true},
	{"current_setting", SETTINGS, true},
	{"pg_show_*", SETTINGS, true},
	{"pg_settings_*", SETTINGS, true},
	{"pg_reload_conf", SETTINGS, true},
	{"pg_conf_*", SETTINGS, true},

	{"setseed", SEED, true},
	{"random*", SEED, false},

	{"txid_*", TRANSACTIONS, true},
	{"pg_current_xact_*", TRANSACTIONS, true},
	{"pg_current_snapshot", TRANSACTIONS, true},
	{"pg_export_snapshot", TRANSACTIONS, true},
	{"pg_xact_*", TRANSACTIONS, true},
	{"pg_last_committed_xact", TRANSACTIONS, true},
	{"pg_get_multixact_*", TRANSACTIONS, true},
	{"pg_prepared_xact", TRANSACTIONS, true},

	{"pg_backend_pid", SESSIONS, true},
	{"pg_cancel_backend", SESSIONS, true},
	{"pg_terminate_backend", SESSIONS, true},
	{"pg_log_backend_*", SESSIONS, true},
	{"pg_get_backend_*", SESSIONS, true},
	{"pg_get_shmem_*", SESSIONS, true},
	{"pg_blocking_pids", SESSIONS, true},
	{"pg_safe_snapshot_*", SESSIONS, true},
	{"pg_isolation_*", SESSIONS, true},
	{"pg_lock_status", SESSIONS, true},
	{"pg_stat_file", FILES, true},
	{"pg_stat_*", SESSIONS, true},
	{"pg_prepared_statement", SESSIONS, true},
	{"pg_cursor", SESSIONS, true},
	{"pg_my_temp_schema", SESSIONS, true},
	{"pg_trigger_depth", SESSIONS, true},
	{"pg_postmaster_*", SESSIONS, true},
	{"pg_jit_available", SESSIONS, true},
	{"inet_client_*", SESSIONS, true},
	{"inet_server_*", SESSIONS, true},
	{"current_query", SESSIONS, true},

	{"lo_*", LARGE_OBJECTS, true},
	{"loread", LARGE_OBJECTS, true},
	{"lowrite", LARGE_OBJECTS, true},

	{"pg_sleep*", WAITS, true},

	{"pg_logical_*", SERVER, true},
	{"pg_replication_*", SERVER, true},
	{"pg_create_*", SERVER, true},
	{"pg_copy_*", SERVER, true},
	{"pg_drop_replication_*", SERVER, true},
	{"pg_sync_replication_*", SERVER, true},
	{"pg_current_wal_*", SERVER, true},
	{"pg_last_*", SERVER, true},
	{"pg_switch_wal", SERVER, true},
	{"pg_wal_*", SERVER, true},
	{"pg_walfile_*", SERVER, true},
	{"pg_get_wal_*", SERVER, true},
	{"pg_is_*", SERVER, true},
	{"pg_promote", SERVER, true},
	{"pg_backup_*", SERVER, true},
	{"pg_control_*", SERVER, true},

	{"pg_read_*", FILES, true},
	{"pg_ls_*", FILES, true},
	{"pg_current_logfile", FILES, true},
	{"pg_rotate_*", FILES, true},
	{"pg_hba_*", FILES, true},
	{"pg_ident_*", FILES, true},

	{"query_to_*", QUERIES, true},
	{"cursor_to_*", QUERIES, true},
	{"table_to_*", QUERIES, true},
	{"schema_to_*", QUERIES, true},
	{"database_to_*", QUERIES, true},
	{"ts_rewrite", QUERIES, true},
	{"ts_stat", QUERIES, true},

	{"pg_*", CATALOGS, false},
	{"has_*", CATALOGS, false},
	{"to_reg*", CATALOGS, false},
	{"obj_*", CATALOGS, false},
	{"shobj_*", CATALOGS, false},
	{"col_desc*", CATALOGS, false},
	{"row_security_active", CATALOGS, false},
	{"current*", SESSIONS, false},
};

/* For what FAMILIES does not list. */
constexpr Family GOES = {"", nullptr, false};
constexpr Family OF_SEQUENCES = {"", SEQUENCES, true};
constexpr Family OF_ROWS = {"", ROWS, true};
constexpr Family OF_CATALOGS = {"", CATALOGS, false};
constexpr Family VOLATILE_STAYS = {"", VOLATILES, false};
constexpr Family OF_USERS = {"", USERS, false};

bool is_of(const Family& family, const char *name)
{
	const size_t length = strlen(family.name);
	return family.name[length - 1] == '*' ? strncmp(name, family.name, length - 1) == 0
										  : strcmp(name, family.name) == 0;
}

bool names_objects(Oid type)
{
	switch (type)
	{
	case OIDOID:
	case NAMEOID:
	case XIDOID:
	case XID8OID:
		return true;
	default:
		return pg::names_catalog_object(type);
	}
}

/* What a type's input function is told besides the text are oids of types. */
bool takes_or_returns_names(const FormData_pg_proc *form)
{
	if (names_objects(form->prorettype))
		return true;
	if (form->pronargs > 0 && form->proargtypes.values[0] == CSTRINGOID)
		return false;
	for (int i = 0; i < form->pronargs; i++)
		if (names_objects(form->proargtypes.values[i]))
			return true;
	return false;
}

const Family *find_family(const FormData_pg_proc *form)
{
	if (form->provolatile == PROVOLATILE_IMMUTABLE)
		return &GOES;
	if (form->oid >= FirstNormalObjectId)
	{
		/* What the planner itself has put into the statement. */
		if (form->pronamespace == get_namespace_oid("citus_internal", true))
			return &GOES;
		if (!OidIsValid(getExtensionOfObject(ProcedureRelationId, form->oid)))
			return &OF_USERS;
		return form->provolatile == PROVOLATILE_VOLATILE ? &OF_USERS : &GOES;
	}
	for (const Family& family : FAMILIES)
		if (is_of(family, NameStr(form->proname)))
			return &family;
	if (form->provolatile == PROVOLATILE_VOLATILE)
		return &VOLATILE_STAYS;
	return takes_or_returns_names(form) ? &OF_CATALOGS : &GOES;
}

/* PostgreSQL's own are looked up once in a backend: they do not change. */
const Family *known[FirstNormalObjectId];

const Family *family_of(Oid function)
{
	if (function < FirstNormalObjectId && known[function] != nullptr)
		return known[function];
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return &OF_USERS;
	const Family *family = find_family(reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple)));
	ReleaseSysCache(tuple);
	if (function < FirstNormalObjectId)
		known[function] = family;
	return family;
}

struct Search
{
	bool only_effects;
	bool random;
	const Family *found;
};

bool note_function(Oid function, void *context)
{
	Search *search = static_cast<Search *>(context);
	const Family *family = family_of(function);
	if (family->reason == nullptr || (search->only_effects && !family->effect) ||
		(!search->random && family->reason == SEED && !family->effect))
		return false;
	search->found = family;
	return true;
}

bool find_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	Search *search = static_cast<Search *>(context);
	if (IsA(node, Query))
		return pg::walk_query(castNode(Query, node), find_walker, context);
	if (IsA(node, NextValueExpr))
	{
		search->found = &OF_SEQUENCES;
		return true;
	}
	if (IsA(node, Param) && is_nameless_row(castNode(Param, node)->paramtype))
	{
		search->found = &OF_ROWS;
		return true;
	}
	/* A function in FROM is never a parameter. */
	if (IsA(node, RangeTblFunction))
	{
		Node *call = castNode(RangeTblFunction, node)->funcexpr;
		if (call != nullptr && check_functions_in_node(call, note_function, context))
			return true;
		return pg::walk_children(call, find_walker, context);
	}
	if (check_functions_in_node(node, note_function, context) && !becomes_parameter(node))
		return true;
	return pg::walk_children(node, find_walker, context);
}

} // namespace

const char *why_here(Node *node)
{
	Search search = {false, true, nullptr};
	return find_walker(node, &search) ? search.found->reason : nullptr;
}

const char *why_here_unless_random(Node *node)
{
	Search search = {false, false, nullptr};
	return find_walker(node, &search) ? search.found->reason : nullptr;
}

const char *why_only_here(Node *node)
{
	Search search = {true, true, nullptr};
	return find_walker(node, &search) ? search.found->reason : nullptr;
}

bool runs_here(Oid function)
{
	return family_of(function)->reason != nullptr;
}

} // namespace civitas::planner
