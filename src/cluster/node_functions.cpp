/*
 * node_functions.cpp: citus_add_node() and its kin.
 *
 * Each function: check the caller, lock, check the nodes, write pg_dist_node here, tell the other
 * active nodes inside the same distributed transaction. Nodes that are to leave need not be up;
 * nodes that are to join must be.
 */
#include "civitas/catalog/relations.h"
#include "civitas/catalog/writes.h"
#include "civitas/cluster/cluster.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/txn/transaction.h"
#include "node_changes.h"
#include "transfer.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_enum.h"
#include "postmaster/postmaster.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
CIVITAS_PG_END

namespace civitas::cluster {

using catalog::Node;
using catalog::NodeRole;

namespace {

constexpr int MAX_HOST_LENGTH = 255;

char *text_argument(FunctionCallInfo fcinfo, int index)
{
	return text_to_cstring(PG_GETARG_TEXT_PP(index));
}

NodeRole role_argument(FunctionCallInfo fcinfo, int index)
{
	HeapTuple tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(PG_GETARG_OID(index)));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for enum label %u", PG_GETARG_OID(index));
	const char *label = NameStr(reinterpret_cast<Form_pg_enum>(GETSTRUCT(tuple))->enumlabel);
	const NodeRole role = strcmp(label, "primary") == 0		? NodeRole::Primary
						  : strcmp(label, "secondary") == 0 ? NodeRole::Secondary
															: NodeRole::Unavailable;
	ReleaseSysCache(tuple);
	return role;
}

void check_address(const char *name, int32 port)
{
	if (name[0] == '\0' || strlen(name) > MAX_HOST_LENGTH)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("node name must have 1 to %d bytes", MAX_HOST_LENGTH)));
	if (port < 1 || port > 65535)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("node port %d is outside the valid range (1 .. 65535)", port)));
}

/* A copy of the node at an address; 42704 where there is none. */
Node get_node(const char *name, int32 port)
{
	const Node *node = catalog::find_node(name, port);
	if (node == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("node at \"%s:%d\" does not exist", name, port)));
	return *node;
}

/* The coordinator is a node too: the first other node brings it in. */
void register_coordinator()
{
	if (catalog::find_primary(COORDINATOR_GROUP) != nullptr)
		return;
	Node node = local_node();
	node.node_id = catalog::next_node_id();
	node.group_id = COORDINATOR_GROUP;
	node.role = NodeRole::Primary;
	node.has_metadata = node.metadata_synced = node.is_active = true;
	node.should_have_shards = false;
	catalog::insert_node(node);
}

/* Checks the wanted group; -1 stays -1: a new one. */
GroupId check_group(GroupId wanted, const Node& node)
{
	if (wanted < -1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("group id %d is invalid", wanted)));
	const Node *primary = wanted >= 0 ? catalog::find_primary(wanted) : nullptr;
	if (node.role != NodeRole::Primary)
	{
		if (primary == nullptr)
			ereport(
				ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a node that is no primary must be added to the group of one"),
				 errhint("Give the groupid of its primary, or use citus_add_secondary_node().")));
		return wanted;
	}
	if (strcmp(node.cluster, "default") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("primaries must be added to the default cluster")));
	if (primary != nullptr)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("group %d already has a primary node", wanted),
						errdetail("It is %s:%d.", primary->name, primary->port)));
	return wanted;
}

/* The node is in no group of this cluster yet. */
NodeId add_node(Node node, GroupId group, bool active)
{
	begin_node_change();
	check_address(node.name, node.port);
	const Node *existing = catalog::find_node(node.name, node.port);
	if (existing != nullptr)
	{
		if (!active || (existing->is_active && existing->metadata_synced))
			return existing->node_id;
		Node woken = *existing;
		if (woken.is_active)
		{
			/* Its address changed while it did not answer; it missed that and nothing else. */
			tell_nodes_at_commit();
			return woken.node_id;
		}
		if (woken.role == NodeRole::Primary)
			check_joining_node(woken);
		woken.is_active = woken.has_metadata = woken.metadata_synced = true;
		catalog::update_node(woken);
		activate(woken);
		tell_nodes_at_commit();
		return woken.node_id;
	}
	if (group != COORDINATOR_GROUP)
	{
		register_coordinator();
		/* The address may be the coordinator's own. */
		existing = catalog::find_node(node.name, node.port);
		if (existing != nullptr)
			return existing->node_id;
	}
	node.group_id = check_group(group, node);
	const bool joins =
		active && node.role == NodeRole::Primary && node.group_id != COORDINATOR_GROUP;
	if (joins)
		check_joining_node(node);
	while (node.group_id < 0)
	{
		const GroupId next = catalog::next_group_id();
		node.group_id = catalog::find_primary(next) == nullptr ? next : -1;
	}
	node.node_id = catalog::next_node_id();
	node.rack = "default";
	node.is_active = active;
	node.has_metadata = node.metadata_synced = active;
	node.should_have_shards = node.group_id != COORDINATOR_GROUP;
	catalog::insert_node(node);
	if (joins)
		activate(node);
	tell_nodes_at_commit();
	return node.node_id;
}

Datum add_node_from_arguments(FunctionCallInfo fcinfo, bool active)
{
	catalog::check_extension_version();
	Node node = {};
	node.name = text_argument(fcinfo, 0);
	node.port = PG_GETARG_INT32(1);
	node.role = role_argument(fcinfo, 3);
	node.cluster = NameStr(*PG_GETARG_NAME(4));
	PG_RETURN_INT32(add_node(node, PG_GETARG_INT32(2), active));
}

} // namespace

void begin_node_change(catalog::NodeLock lock)
{
	catalog::check_extension_version();
	if (!superuser())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("only superusers may change the nodes of the cluster")));
	catalog::require_coordinator();
	PreventCommandIfReadOnly("changing the nodes of the cluster");
	catalog::lock_nodes(lock);
}

void check_removable(const Node& node)
{
	List *tables = catalog::all_table_oids();
	ListCell *cell;
	foreach (cell, tables)
	{
		const catalog::Table& table = catalog::get_table(lfirst_oid(cell));
		for (int index = 0; index < table.shard_count; index++)
		{
			const auto placements = table.placements_of(index);
			if (placements.size() == 1 && placements[0].group_id == node.group_id)
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_IN_USE),
						 errmsg("cannot remove or disable node %s:%d: it has the only placement of "
								"shard " INT64_FORMAT,
								node.name, node.port, table.shards[index].shard_id),
						 errdetail("The shard belongs to table \"%s\".", get_rel_name(table.relid)),
						 errhint("Undistribute or drop the table, or move its shards to another "
								 "node first.")));
		}
	}
}

void drop_replicas(const Node& node)
{
	List *tables = catalog::all_table_oids();
	List *changed = NIL;
	ListCell *cell;
	foreach (cell, tables)
	{
		const catalog::Table& table = catalog::get_table(lfirst_oid(cell));
		for (int index = 0; index < table.shard_count; index++)
			for (const catalog::Placement& placement : table.placements_of(index))
				if (placement.group_id == node.group_id)
					changed = list_append_unique_oid(changed, table.relid);
	}
	if (changed == NIL)
		return;
	catalog::delete_placements_of_group(node.group_id);
	const char *sql =
		psprintf("DELETE FROM pg_catalog.pg_dist_placement WHERE groupid = %d", node.group_id);
	for (const Node& other : catalog::other_metadata_nodes())
		if (other.node_id != node.node_id && has_link(other))
			txn::run_on_node(other, sql);
}

namespace {

/* What moves have left on a node that leaves would stay there, in the way if it comes back. */
void clean_up_node(const Node& node)
{
	if (pg::sql_text(psprintf("SELECT 1 FROM pg_dist_cleanup WHERE node_group_id = %d LIMIT 1",
							  node.group_id)) != nullptr &&
		is_reachable(node))
		run_as_owner_on_node(local_node(), "SELECT citus_internal.clean_up(5000, false)");
}

} // namespace

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_add_node);
PGDLLEXPORT Datum citus_add_node(PG_FUNCTION_ARGS)
{
	return add_node_from_arguments(fcinfo, true);
}

PG_FUNCTION_INFO_V1(citus_add_inactive_node);
PGDLLEXPORT Datum citus_add_inactive_node(PG_FUNCTION_ARGS)
{
	return add_node_from_arguments(fcinfo, false);
}

PG_FUNCTION_INFO_V1(citus_add_secondary_node);
PGDLLEXPORT Datum citus_add_secondary_node(PG_FUNCTION_ARGS)
{
	begin_node_change();
	Node node = {};
	node.name = text_argument(fcinfo, 0);
	node.port = PG_GETARG_INT32(1);
	node.role = NodeRole::Secondary;
	node.cluster = NameStr(*PG_GETARG_NAME(4));
	const Node primary = get_node(text_argument(fcinfo, 2), PG_GETARG_INT32(3));
	PG_RETURN_INT32(add_node(node, primary.group_id, true));
}

PG_FUNCTION_INFO_V1(citus_activate_node);
PGDLLEXPORT Datum citus_activate_node(PG_FUNCTION_ARGS)
{
	begin_node_change();
	const Node node = get_node(text_argument(fcinfo, 0), PG_GETARG_INT32(1));
	PG_RETURN_INT32(add_node(node, node.group_id, true));
}

PG_FUNCTION_INFO_V1(citus_set_coordinator_host);
PGDLLEXPORT Datum citus_set_coordinator_host(PG_FUNCTION_ARGS)
{
	begin_node_change();
	const NodeRole role = role_argument(fcinfo, 2);
	char *name = text_argument(fcinfo, 0);
	const int32 port = PG_GETARG_INT32(1);
	check_address(name, port);
	const Node *primary = catalog::find_primary(COORDINATOR_GROUP);
	if (role == NodeRole::Primary && primary != nullptr)
	{
		move_to_address(*primary, name, port);
		tell_nodes_at_commit();
		PG_RETURN_VOID();
	}
	Node node = {};
	node.name = name;
	node.port = port;
	node.role = role;
	node.cluster = NameStr(*PG_GETARG_NAME(3));
	add_node(node, COORDINATOR_GROUP, true);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(citus_disable_node);
PGDLLEXPORT Datum citus_disable_node(PG_FUNCTION_ARGS)
{
	begin_node_change();
	Node node = get_node(text_argument(fcinfo, 0), PG_GETARG_INT32(1));
	if (node.group_id == catalog::local_group_id() && node.role == NodeRole::Primary)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the coordinator cannot be disabled")));
	if (node.role == NodeRole::Primary)
	{
		check_removable(node);
		drop_replicas(node);
	}
	node.is_active = node.has_metadata = node.metadata_synced = false;
	catalog::update_node(node);
	tell_nodes_at_commit();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(citus_remove_node);
PGDLLEXPORT Datum citus_remove_node(PG_FUNCTION_ARGS)
{
	begin_node_change();
	const Node node = get_node(text_argument(fcinfo, 0), PG_GETARG_INT32(1));
	const bool is_member =
		node.role == NodeRole::Primary && node.group_id != catalog::local_group_id();
	if (node.role == NodeRole::Primary)
	{
		check_removable(node);
		clean_up_node(node);
		if (node.group_id == catalog::local_group_id() && !catalog::other_metadata_nodes().empty())
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("the coordinator cannot be removed while other nodes are registered")));
		drop_replicas(node);
		if (is_member && node.is_active)
		{
			if (is_reachable(node))
				txn::run_on_node(node, "SELECT citus_internal.leave_cluster(); "
									   "SELECT citus_internal.forget_secret()");
			else
				ereport(NOTICE, (errmsg("node %s:%d could not be reached and keeps its metadata",
										node.name, node.port),
								 errhint("Before it is used on its own, drop and create the citus "
										 "extension there.")));
		}
	}
	catalog::delete_node(node.node_id);
	tell_nodes_at_commit();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(citus_set_node_property);
PGDLLEXPORT Datum citus_set_node_property(PG_FUNCTION_ARGS)
{
	begin_node_change();
	Node node = get_node(text_argument(fcinfo, 0), PG_GETARG_INT32(1));
	const char *property = text_argument(fcinfo, 2);
	if (strcmp(property, "shouldhaveshards") != 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("node property \"%s\" cannot be set", property),
						errhint("The only property is shouldhaveshards.")));
	node.should_have_shards = PG_GETARG_BOOL(3);
	catalog::update_node(node);
	tell_nodes_at_commit();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(citus_is_primary_node);
PGDLLEXPORT Datum citus_is_primary_node(PG_FUNCTION_ARGS)
{
	if (!catalog::extension_installed() ||
		catalog::find_primary(catalog::local_group_id()) == nullptr)
		PG_RETURN_NULL();
	PG_RETURN_BOOL(!RecoveryInProgress());
}

PG_FUNCTION_INFO_V1(citus_internal_server_identity);
PGDLLEXPORT Datum citus_internal_server_identity(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(
		psprintf(UINT64_FORMAT "/" INT64_FORMAT "/%d/%d/%u", GetSystemIdentifier(),
				 static_cast<int64>(PgStartTime), PostmasterPid, PostPortNumber, MyDatabaseId)));
}

CIVITAS_PG_END

} // namespace civitas::cluster
