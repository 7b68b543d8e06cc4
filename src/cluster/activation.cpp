/*
 * activation.cpp: what a node is told when it joins, and what is asked of it before.
 *
 * The joining node gets one text, run inside the distributed transaction: forget what it knew, its
 * group, the node rows, roles, settings, what tables depend on, then for every table its shell,
 * partitions attached, foreign keys, metadata; last the positions of sequences that it had before.
 * It may have been a member before, or prepared by hand: roles and objects that it has already are
 * made what they are here (ddl/objects/bring_objects.cpp). Replicas of reference tables come with the first
 * shard (reference_copies.cpp). A failure anywhere aborts all of it.
 */
#include "civitas/catalog/cluster_secret.h"
#include "civitas/catalog/metadata_sql.h"
#include "civitas/catalog/writes.h"
#include "civitas/cluster/cluster.h"
#include "civitas/ddl/objects.h"
#include "civitas/ddl/utility.h"
#include "civitas/deparse/role_definition.h"
#include "civitas/deparse/table_definition.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/remote/session.h"
#include "civitas/txn/transaction.h"
#include "node_changes.h"
#include "secret.h"

CIVITAS_PG_BEGIN
#include "catalog/objectaddress.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
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

/* Tables of the metadata in the order in which they were created, which suits partitions and
 * inheritance. Not those whose metadata is damaged. */
List *lock_tables()
{
	List *tables = catalog::sound_table_oids();
	ListCell *cell;
	/* DDL on them waits, traffic does not. */
	foreach (cell, tables)
		LockRelationOid(lfirst_oid(cell), ShareUpdateExclusiveLock);
	return tables;
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

/* What roles give with new objects, and what they may set: with the schemas that are named. */
constexpr const char *DEFAULT_RIGHTS = R"(
	WITH default_rights AS (
		SELECT d.defaclnamespace, d.defaclrole, d.defaclobjtype, d.defaclacl, concat_ws(' ', 'ALTER DEFAULT PRIVILEGES FOR ROLE',
			quote_ident(pg_get_userbyid(d.defaclrole)), (SELECT 'IN SCHEMA ' || quote_ident(nspname) FROM pg_namespace n WHERE n.oid = d.defaclnamespace)) AS head,
			CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END AS objects
		FROM pg_default_acl d)
	SELECT format('%s REVOKE ALL ON %s FROM %s', head, objects, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
	FROM default_rights, aclexplode(acldefault(CASE defaclobjtype WHEN 'S' THEN 's' ELSE defaclobjtype END, defaclrole)) a WHERE defaclnamespace = 0
	UNION ALL SELECT format('%s GRANT %s ON %s TO %s%s', head, a.privilege_type, objects,
		CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
	FROM default_rights, aclexplode(defaclacl) a
	UNION ALL SELECT format('GRANT %s ON PARAMETER %s TO %s%s', a.privilege_type, p.parname,
		CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
	FROM pg_parameter_acl p, aclexplode(p.paracl) a WHERE a.grantee <> a.grantor
	UNION ALL SELECT format('COMMENT ON ROLE %I IS %L', r.rolname, shobj_description(r.oid, 'pg_authid')) FROM pg_roles r
	WHERE r.oid >= 16384 AND shobj_description(r.oid, 'pg_authid') IS NOT NULL)";

/* All that is kept on every node, and the schema that every database has. */
List *kept_objects()
{
	List *lines =
		pg::sql_texts("SELECT classid || ' ' || objid FROM pg_dist_object UNION SELECT "
					  "'pg_namespace'::regclass::oid || ' ' || oid FROM pg_namespace WHERE "
					  "nspname = 'public' ORDER BY 1");
	List *objects = NIL;
	ListCell *cell;
	foreach (cell, lines)
	{
		char *rest;
		auto *address = static_cast<ObjectAddress *>(palloc0(sizeof(ObjectAddress)));
		address->classId = strtoul(static_cast<char *>(lfirst(cell)), &rest, 10);
		address->objectId = strtoul(rest, nullptr, 10);
		objects = lappend(objects, address);
	}
	return objects;
}

/* A node that was a member tells bring_objects() what it had in common with the others: what it is not told of any more
 * was dropped meanwhile. One that was not has objects of its own in that catalog. Operators are named in full, for the
 * search_path is the caller's. */
constexpr const char *KNOWN_OBJECTS = R"(
	UPDATE pg_catalog.pg_dist_node_metadata SET metadata = pg_catalog.jsonb_set(metadata, '{objects}', coalesce(
		(SELECT pg_catalog.jsonb_agg(pg_catalog.concat_ws(' ', o.classid, o.objid)) FROM pg_catalog.pg_dist_object o
		WHERE EXISTS (SELECT FROM pg_catalog.pg_dist_local_group WHERE groupid OPERATOR(pg_catalog.<>) 0)
			AND pg_catalog.jsonb_extract_path_text(metadata, 'coordinator_id') OPERATOR(pg_catalog.=) %s), '[]'));
)";

char *joining_sql(const catalog::Node& node, List *tables)
{
	pg::Str sql;
	const char *id = coordinator_id();
	sql.raw(psprintf(KNOWN_OBJECTS, id != nullptr ? quote_literal_cstr(id) : "NULL"));
	sql.raw("SELECT citus_internal.join_cluster(").num(node.group_id).raw(", ");
	sql.literal_or_null(id).raw(", ");
	sql.literal(wrapped_secret(*catalog::cluster_secret())).raw(");\n");
	sql.raw(node_rows_sql()).raw(";\n");
	if (superuser() && ddl::creates_roles_everywhere())
		append_commands(sql, deparse::role_commands());
	if (superuser())
		append_commands(sql, deparse::database_settings());
	ListCell *cell;
	append_commands(sql, pg::sql_texts(DATABASE_GRANTS));
	List *needed = ddl::needed_objects(tables, kept_objects());
	List *over_tables = ddl::take_objects_over_tables(tables, &needed);
	const char *objects = ddl::bring_objects_sql(needed, true);
	if (objects != nullptr)
		sql.raw(objects).raw(";\n");
	if (superuser() && ddl::creates_roles_everywhere())
		append_commands(sql, pg::sql_texts(DEFAULT_RIGHTS));
	foreach (cell, tables)
		append_commands(sql, deparse::shell_commands(lfirst_oid(cell)));
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
	objects = ddl::bring_objects_sql(over_tables, true);
	if (objects != nullptr)
		sql.raw(objects).raw(";\n");
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
	const char *group = ask(session, "SELECT groupid FROM pg_catalog.pg_dist_local_group");
	const catalog::Node *same =
		group != nullptr ? catalog::find_primary(static_cast<GroupId>(strtol(group, nullptr, 10)))
						 : nullptr;
	if (same != nullptr && same->is_active && same->group_id != COORDINATOR_GROUP &&
		same->group_id != node.group_id)
		ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
						errmsg("node %s:%d is in the cluster already", node.name, node.port),
						errdetail("It is node %s:%d.", same->name, same->port),
						errhint("Change a node's address with citus_update_node().")));
	if (ask(session, "SELECT 1 WHERE pg_catalog.pg_is_in_recovery()") != nullptr)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("node %s:%d is a standby", node.name, node.port),
						errhint("Add it with citus_add_secondary_node().")));
}

/* Without a superuser's rights there the answer is an error of the node. */
void hand_over_secret(const catalog::Node& node, remote::Session *session)
{
	const char *own = ask(session, "SELECT pg_catalog.encode(secret, 'hex') FROM "
								   "citus_internal.cluster_secret WHERE current");
	if (own == nullptr)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("node %s:%d has no secret to be known by", node.name, node.port),
						errhint("Drop and create the citus extension on it.")));
	Secret key;
	hex_decode(own, SECRET_SIZE * 2, reinterpret_cast<char *>(key.bytes));
	pg::Str sql;
	sql.raw("SELECT citus_internal.accept_secret(").literal(wrapped_secret(key)).ch(')');
	ask(session, sql.c_str());
}

} // namespace

void check_joining_node(const catalog::Node& node)
{
	remote::Session *volatile session = nullptr;
	remote::Endpoint endpoint = txn::endpoint_of(node);
	/* It is no node of the cluster yet, or was not one for a while. */
	endpoint.secret = nullptr;
	session = remote::connect(endpoint);
	PG_TRY();
	{
		check_answers(node, session);
		hand_over_secret(node, session);
	}
	PG_FINALLY();
	{
		remote::close(session);
	}
	PG_END_TRY();
}

namespace {

/* Objects that were made when there was nobody to give them to. */
bool is_first_to_join(const catalog::Node& node)
{
	for (const catalog::Node& other : catalog::other_metadata_nodes())
		if (other.node_id != node.node_id)
			return false;
	return true;
}

} // namespace

void activate(const catalog::Node& node)
{
	List *tables = lock_tables();
	if (is_first_to_join(node))
		ddl::keep_all_objects();
	if (node.group_id != catalog::local_group_id())
		txn::run_on_node(node, joining_sql(node, tables));
}

} // namespace civitas::cluster
