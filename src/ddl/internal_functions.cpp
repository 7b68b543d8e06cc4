/*
 * internal_functions.cpp: what nodes call on each other for DDL.
 *
 * Callers are other nodes, by the statement that they send (catalog/node_session.h), or superusers.
 * The functions act as the current user and check ownership as PostgreSQL would, so they give
 * nobody a right that plain statements on this node would not.
 */
#include "apply.h"
#include "civitas/catalog/metadata_sql.h"
#include "civitas/catalog/node_session.h"
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/propagation.h"
#include "civitas/catalog/writes.h"
#include "civitas/ddl/shard_ddl.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/txn/transaction.h"
#include "distribute/gather_rows.h"
#include "shards/local_shards.h"
#include "shards/shard_names.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

/* A superuser owns whatever number is given. */
void require_owner(Oid relid)
{
	if (get_rel_relkind(relid) == '\0')
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	if (!pg::owns(RelationRelationId, relid))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
}

void require_owned_table(Oid relid)
{
	require_owner(relid);
	if (catalog::find_table(relid) == nullptr)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("table \"%s\" is not in the metadata", get_rel_name(relid))));
}

Form_pg_sequence sequence_form(HeapTuple tuple)
{
	return reinterpret_cast<Form_pg_sequence>(GETSTRUCT(tuple));
}

/* Room for one node: 2^48 values each. */
constexpr int SEQUENCE_GROUP_SHIFT = 48;

} // namespace

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_internal_create_shards);
PGDLLEXPORT Datum citus_internal_create_shards(PG_FUNCTION_ARGS)
{
	const Oid relid = PG_GETARG_OID(0);
	catalog::require_node_call(fcinfo);
	require_owned_table(relid);
	create_own_shards(relid);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(citus_internal_create_part_of_shards);
PGDLLEXPORT Datum citus_internal_create_part_of_shards(PG_FUNCTION_ARGS)
{
	const Oid relid = PG_GETARG_OID(0);
	catalog::require_node_call(fcinfo);
	require_owned_table(relid);
	create_part_of_own_shards(relid, static_cast<ShardPart>(PG_GETARG_INT32(1)));
	PG_RETURN_VOID();
}

/* gather_rows(table, nodes, old shards): fills the table's new shards of this node from the old
 * ones, each on the node at its place. */
PG_FUNCTION_INFO_V1(citus_internal_gather_rows);
PGDLLEXPORT Datum citus_internal_gather_rows(PG_FUNCTION_ARGS)
{
	const Oid relid = PG_GETARG_OID(0);
	catalog::require_node_call(fcinfo);
	require_owned_table(relid);
	Datum *nodes;
	Datum *names;
	int node_count;
	int count;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), INT4OID, 4, true, TYPALIGN_INT, &nodes, nullptr,
					  &node_count);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT, &names, nullptr,
					  &count);
	if (node_count != count)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("there must be a node for each shard")));
	pg::Vec<NodeId> ids;
	pg::Vec<const char *> shards;
	for (int i = 0; i < count; i++)
	{
		ids.push(DatumGetInt32(nodes[i]));
		shards.push(TextDatumGetCString(names[i]));
	}
	gather_rows(relid, ids.span(), shards.span());
	PG_RETURN_VOID();
}

/* Shards, metadata and shell of a table, on a node that is not the coordinator. */
PG_FUNCTION_INFO_V1(citus_internal_drop_table);
PGDLLEXPORT Datum citus_internal_drop_table(PG_FUNCTION_ARGS)
{
	const Oid relid = PG_GETARG_OID(0);
	catalog::require_node_call(fcinfo);
	require_owner(relid);
	drop_table_here(relid);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(citus_internal_apply_ddl);
PGDLLEXPORT Datum citus_internal_apply_ddl(PG_FUNCTION_ARGS)
{
	catalog::require_node_call(fcinfo);
	List *chosen = NIL;
	if (!PG_ARGISNULL(1))
	{
		Datum *elements;
		int count;
		deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &elements,
						  nullptr, &count);
		for (int i = 0; i < count; i++)
			chosen = lappend(chosen, TextDatumGetCString(elements[i]));
	}
	/* The user has the notices and warnings of the coordinator. */
	const int level = NewGUCNestLevel();
	set_config_option("client_min_messages", "error", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
					  true, 0, false);
	apply_statement(text_to_cstring(PG_GETARG_TEXT_PP(0)), chosen);
	AtEOXact_GUC(true, level);
	PG_RETURN_VOID();
}

/* rows_move(moving): rows that come into shards from here on are, or are no longer, old ones. */
PG_FUNCTION_INFO_V1(citus_internal_rows_move);
PGDLLEXPORT Datum citus_internal_rows_move(PG_FUNCTION_ARGS)
{
	catalog::require_node_call(fcinfo);
	catalog::set_moving_rows(PG_GETARG_BOOL(0));
	PG_RETURN_VOID();
}

/* Gives a bigint sequence of this node the range of values that only this node hands out. */
PG_FUNCTION_INFO_V1(citus_internal_adjust_local_sequence);
PGDLLEXPORT Datum citus_internal_adjust_local_sequence(PG_FUNCTION_ARGS)
{
	const Oid sequence = PG_GETARG_OID(0);
	catalog::require_node_call(fcinfo);
	const int64 group = catalog::local_group_id();
	if (group == COORDINATOR_GROUP)
		PG_RETURN_VOID();
	HeapTuple tuple = SearchSysCache1(SEQRELID, ObjectIdGetDatum(sequence));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("relation with OID %u is not a sequence", sequence)));
	const int64 first = (group << SEQUENCE_GROUP_SHIFT) + 1;
	const int64 last = (group + 1) << SEQUENCE_GROUP_SHIFT;
	const bool adjusted =
		sequence_form(tuple)->seqmin == first && sequence_form(tuple)->seqmax == last;
	const bool descending = sequence_form(tuple)->seqincrement < 0;
	ReleaseSysCache(tuple);
	if (adjusted)
		PG_RETURN_VOID();
	const int64 start = descending ? last : first;
	pg::Str sql;
	sql.raw("ALTER SEQUENCE ");
	sql.qualified(get_namespace_name(get_rel_namespace(sequence)), get_rel_name(sequence));
	sql.raw(" MINVALUE ")
		.num(first)
		.raw(" MAXVALUE ")
		.num(last)
		.raw(" START WITH ")
		.num(start)
		.raw(" RESTART WITH ")
		.num(start);
	catalog::with_propagation_suspended([&] { pg::sql_run(sql.c_str()); });
	PG_RETURN_VOID();
}

/* nextval() of a sequence too narrow to be cut into ranges: the coordinator's is the only one. */
PG_FUNCTION_INFO_V1(citus_internal_coordinator_nextval);
PGDLLEXPORT Datum citus_internal_coordinator_nextval(PG_FUNCTION_ARGS)
{
	const Oid sequence = PG_GETARG_OID(0);
	if (get_rel_relkind(sequence) != RELKIND_SEQUENCE)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("relation with OID %u is not a sequence", sequence)));
	if (catalog::is_coordinator())
		PG_RETURN_INT64(nextval_internal(sequence, true));
	pg::Str sql;
	sql.raw("SELECT pg_catalog.nextval(");
	sql.literal(quote_qualified_identifier(get_namespace_name(get_rel_namespace(sequence)),
										   get_rel_name(sequence)));
	sql.raw("::pg_catalog.regclass)");
	remote::Session *session = txn::session_for(catalog::get_primary(COORDINATOR_GROUP));
	PGresult *result = remote::query(session, sql.c_str());
	const int64 value = strtoll(PQgetvalue(result, 0, 0), nullptr, 10);
	remote::release(result);
	PG_RETURN_INT64(value);
}

CIVITAS_PG_END

} // namespace civitas::ddl
