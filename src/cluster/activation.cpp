/*
 * activation.cpp: what a node is told when it joins, and what is asked of it before.
 *
 * The joining node gets one text, run inside the distributed transaction: forget what it knew, its
 * group, the node rows, roles and schemas, then for every table what it depends on, its shell,
 * partitions attached, foreign keys, metadata; then the replicas of reference tables, created in
 * foreign key order from the shells and filled by pulling the rows from a node that has them; last
 * the positions of sequences that it had before. Writes to reference tables wait meanwhile: their
 * shells are locked on every node. A failure anywhere aborts all of it.
 */
#include "civitas/catalog/metadata_sql.h"
#include "civitas/catalog/writes.h"
#include "civitas/cluster/cluster.h"
#include "civitas/deparse/role_definition.h"
#include "civitas/deparse/table_definition.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/remote/session.h"
#include "civitas/txn/transaction.h"
#include "node_changes.h"

CIVITAS_PG_BEGIN
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

void append_commands(pg::Str& sql, List *commands)
{
	ListCell *cell;
	foreach (cell, commands)
		sql.raw(static_cast<const char *>(lfirst(cell))).raw(";\n");
}

void append_regclass(pg::Str& sql, Oid relid)
{
	sql.literal(quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
										   get_rel_name(relid)))
		.raw("::pg_catalog.regclass");
}

/* Tables of the metadata in the order in which they were created, which suits partitions and
 * inheritance. */
List *lock_tables()
{
	List *tables = catalog::all_table_oids();
	ListCell *cell;
	/* DDL on them waits, traffic does not. */
	foreach (cell, tables)
		LockRelationOid(lfirst_oid(cell), ShareUpdateExclusiveLock);
	return tables;
}

/* Reference tables, each after those that it references. */
List *reference_tables(List *tables)
{
	List *waiting = NIL;
	ListCell *cell;
	foreach (cell, tables)
		if (catalog::get_table(lfirst_oid(cell)).kind == catalog::TableKind::Reference)
			waiting = lappend_oid(waiting, lfirst_oid(cell));
	List *ordered = NIL;
	while (waiting != NIL)
	{
		List *later = NIL;
		foreach (cell, waiting)
		{
			const Oid relid = lfirst_oid(cell);
			bool ready = true;
			List *referenced = pg::sql_texts(psprintf(
				"SELECT confrelid::text FROM pg_constraint WHERE contype = 'f' AND conrelid = %u "
				"AND confrelid <> %u",
				relid, relid));
			ListCell *other;
			foreach (other, referenced)
				ready =
					ready && !list_member_oid(waiting, atooid(static_cast<char *>(lfirst(other))));
			if (ready)
				ordered = lappend_oid(ordered, relid);
			else
				later = lappend_oid(later, relid);
		}
		/* A cycle: no order is right; the shards' own creation says so if it matters. */
		if (list_length(later) == list_length(waiting))
			return list_concat(ordered, later);
		waiting = later;
	}
	return ordered;
}

/* Stops writes to the tables on all nodes until the end of the transaction. */
void block_writes(List *tables, NodeId joining)
{
	if (tables == NIL)
		return;
	pg::Str sql;
	ListCell *cell;
	foreach (cell, tables)
	{
		const Oid relid = lfirst_oid(cell);
		LockRelationOid(relid, ExclusiveLock);
		sql.raw(sql.empty() ? "LOCK TABLE " : ", ");
		sql.qualified(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
	}
	sql.raw(" IN EXCLUSIVE MODE");
	for (const catalog::Node& node : catalog::other_metadata_nodes())
		if (node.node_id != joining)
			txn::run_on_node(node, sql.c_str());
}

/* A node to copy a reference table from: the coordinator if it has a replica. */
NodeId source_of(const catalog::Table& table, GroupId joining)
{
	for (const catalog::Placement& placement : table.placements_of(0))
		if (placement.group_id != joining)
			return catalog::get_primary(placement.group_id).node_id;
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("reference table \"%s\" has no replica to copy from",
						   get_rel_name(table.relid))));
}

bool has_placement(const catalog::Table& table, GroupId group)
{
	for (const catalog::Placement& placement : table.placements_of(0))
		if (placement.group_id == group)
			return true;
	return false;
}

char *coordinator_id()
{
	return pg::sql_text("SELECT metadata ->> 'server_id' FROM pg_dist_node_metadata");
}

/* Roles may create schemas there if they may here. */
constexpr const char *DATABASE_GRANTS = R"(
	SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname) FROM pg_database
	WHERE datname = current_database() AND datacl IS NOT NULL
	UNION ALL SELECT format('GRANT %s ON DATABASE %I TO %s%s', a.privilege_type, d.datname,
		CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
		CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
	FROM pg_database d, aclexplode(d.datacl) a WHERE d.datname = current_database() AND a.grantee <> d.datdba)";

/* citus.enable_create_role_propagation */
bool creates_roles()
{
	return strcmp(GetConfigOption("citus.enable_create_role_propagation", false, false), "on") == 0;
}

char *joining_sql(const catalog::Node& node, List *tables, List *references)
{
	pg::Str sql;
	sql.raw("SELECT citus_internal.join_cluster(").num(node.group_id).raw(", ");
	sql.literal_or_null(coordinator_id()).raw(");\n").raw(node_rows_sql()).raw(";\n");
	if (superuser() && creates_roles())
		append_commands(sql, deparse::missing_role_commands());
	ListCell *cell;
	append_commands(sql, pg::sql_texts(DATABASE_GRANTS));
	List *schemas = pg::sql_texts(
		"SELECT n.oid::text FROM pg_namespace n WHERE nspname = 'public' OR n.oid IN (SELECT objid "
		"FROM pg_dist_object WHERE classid = 'pg_namespace'::regclass) ORDER BY n.oid");
	foreach (cell, schemas)
		append_commands(sql, deparse::schema_commands(atooid(static_cast<char *>(lfirst(cell)))));
	foreach (cell, tables)
	{
		List *objects = NIL;
		append_commands(sql, deparse::dependency_commands(lfirst_oid(cell), &objects));
		append_commands(sql, deparse::shell_commands(lfirst_oid(cell)));
	}
	foreach (cell, tables)
	{
		const char *attach = deparse::attach_partition_command(lfirst_oid(cell));
		if (attach != nullptr)
			sql.raw(attach).raw(";\n");
	}
	foreach (cell, tables)
		append_commands(sql, deparse::foreign_key_commands(lfirst_oid(cell)));
	foreach (cell, tables)
		sql.raw(catalog::table_metadata_sql(lfirst_oid(cell))).raw(";\n");
	foreach (cell, references)
	{
		sql.raw("SELECT citus_internal.create_shards(");
		append_regclass(sql, lfirst_oid(cell));
		sql.raw(");\n");
	}
	foreach (cell, references)
	{
		sql.raw("SELECT citus_internal.pull_reference_table(");
		append_regclass(sql, lfirst_oid(cell));
		sql.raw(", ")
			.num(source_of(catalog::get_table(lfirst_oid(cell)), node.group_id))
			.raw(");\n");
	}
	return sql.raw("SELECT citus_internal.restore_sequences()").c_str();
}

/* The one value of a query on a session that is not part of any transaction. */
char *ask(remote::Session *session, const char *sql)
{
	PGresult *result = remote::query(session, sql);
	char *value = PQntuples(result) == 0 || PQgetisnull(result, 0, 0)
					  ? nullptr
					  : pstrdup(PQgetvalue(result, 0, 0));
	remote::release(result);
	return value;
}

void check_answers(const catalog::Node& node, remote::Session *session)
{
	const char *version =
		ask(session, "SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'citus'");
	if (version == nullptr)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("node %s:%d does not have the citus extension", node.name, node.port),
				 errhint("Run CREATE EXTENSION citus in the same database there.")));
	const char *own_version =
		pg::sql_text("SELECT extversion FROM pg_extension WHERE extname = 'citus'");
	if (own_version == nullptr || strcmp(version, own_version) != 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("node %s:%d has version %s of the citus extension, this node has %s", node.name,
					node.port, version, own_version != nullptr ? own_version : "none"),
			 errhint("Install the same version on all nodes and run ALTER EXTENSION citus "
					 "UPDATE.")));
	const char *identity = ask(session, "SELECT citus_internal.server_identity()");
	if (identity != nullptr &&
		strcmp(identity, pg::sql_text("SELECT citus_internal.server_identity()")) == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("node %s:%d is this very server", node.name, node.port),
						errhint("Register the coordinator with citus_set_coordinator_host().")));
	pg::Str other;
	other.raw("SELECT 1 FROM pg_catalog.pg_dist_node_metadata WHERE metadata ->> 'coordinator_id' "
			  "IS DISTINCT FROM ");
	other.literal_or_null(coordinator_id());
	other.raw(" AND (EXISTS (SELECT FROM pg_catalog.pg_dist_node) OR EXISTS (SELECT FROM "
			  "pg_catalog.pg_dist_partition))");
	if (ask(session, other.c_str()) != nullptr)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("node %s:%d already belongs to a cluster", node.name, node.port),
				 errhint("Remove it there first, or drop and create the citus extension on it.")));
	if (ask(session, "SELECT 1 WHERE pg_catalog.pg_is_in_recovery()") != nullptr)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("node %s:%d is a standby", node.name, node.port),
						errhint("Add it with citus_add_secondary_node().")));
}

} // namespace

char *node_rows_sql()
{
	return pg::sql_text("SELECT format('DELETE FROM pg_catalog.pg_dist_node; INSERT INTO "
						"pg_catalog.pg_dist_node SELECT (r).* FROM (VALUES %s) v(r)', "
						"string_agg(format('(%L::pg_catalog.pg_dist_node)', n::text), ', ')) "
						"FROM pg_dist_node n HAVING count(*) > 0 "
						"UNION ALL SELECT 'DELETE FROM pg_catalog.pg_dist_node' WHERE NOT EXISTS "
						"(SELECT FROM pg_dist_node)");
}

void send_node_rows(NodeId except)
{
	const char *sql = node_rows_sql();
	for (const catalog::Node& node : catalog::other_metadata_nodes())
		if (node.node_id != except)
			txn::run_on_node(node, sql);
}

void check_joining_node(const catalog::Node& node)
{
	remote::Session *volatile session = nullptr;
	session = remote::connect(txn::endpoint_of(node));
	PG_TRY();
	{
		check_answers(node, session);
	}
	PG_FINALLY();
	{
		remote::close(session);
	}
	PG_END_TRY();
}

void activate(const catalog::Node& node)
{
	List *tables = lock_tables();
	List *references = reference_tables(tables);
	block_writes(references, node.node_id);
	pg::Str changed;
	changed.raw(node_rows_sql());
	ListCell *cell;
	foreach (cell, references)
	{
		const catalog::Table& table = catalog::get_table(lfirst_oid(cell));
		if (!has_placement(table, node.group_id))
			catalog::insert_placement(catalog::next_placement_id(), table.shards[0].shard_id,
									  node.group_id);
		changed.raw(";\n").raw(catalog::table_metadata_sql(lfirst_oid(cell)));
	}
	for (const catalog::Node& other : catalog::other_metadata_nodes())
		if (other.node_id != node.node_id)
			txn::run_on_node(other, changed.c_str());
	if (node.group_id != catalog::local_group_id())
		txn::run_on_node(node, joining_sql(node, tables, references));
}

} // namespace civitas::cluster
