/*
 * update_node.cpp: a node gets another address; traffic waits meanwhile.
 *
 * On every other node, pg_dist_node is locked against statements that want to use nodes
 * (NodeLock::Use) until the transaction ends, so a caller that holds the transaction open across a
 * switchover (a high-availability agent) makes clients wait instead of fail. The node itself may be
 * down, or the new address may not answer yet: then its own copy of pg_dist_node is left as it is
 * and marked as not synced.
 */
#include "civitas/catalog/writes.h"
#include "civitas/cluster/cluster.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/txn/transaction.h"
#include "node_changes.h"

CIVITAS_PG_BEGIN
#include "utils/builtins.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

void run_on_others(NodeId except, const char *sql)
{
	for (const catalog::Node& node : catalog::other_metadata_nodes())
		if (node.node_id != except)
			txn::run_on_node(node, sql);
}

void pause(NodeId except, bool force, int32 cooldown)
{
	if (cooldown < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("lock_cooldown must not be negative")));
	const char *sql =
		psprintf("SELECT citus_internal.pause_traffic(%s, %d)", force ? "true" : "false", cooldown);
	pg::sql_run(sql);
	run_on_others(except, sql);
}

catalog::Node find(NodeId id)
{
	const catalog::Node *node = catalog::find_node(id);
	if (node == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("node %d not found", id)));
	return *node;
}

} // namespace

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_update_node);
PGDLLEXPORT Datum citus_update_node(PG_FUNCTION_ARGS)
{
	begin_node_change();
	catalog::Node node = find(PG_GETARG_INT32(0));
	node.name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	node.port = PG_GETARG_INT32(2);
	if (node.name[0] == '\0' || node.port < 1 || node.port > 65535)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s:%d\" is not an address", node.name, node.port)));
	const catalog::Node *holder = catalog::find_node(node.name, node.port);
	if (holder != nullptr)
	{
		if (holder->node_id == node.node_id)
			PG_RETURN_VOID();
		ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
						errmsg("another node is registered at \"%s:%d\"", node.name, node.port)));
	}
	const bool is_member = node.role == catalog::NodeRole::Primary && node.is_active &&
						   node.group_id != catalog::local_group_id();
	if (node.role == catalog::NodeRole::Primary)
		pause(node.node_id, PG_GETARG_BOOL(3), PG_GETARG_INT32(4));
	node.metadata_synced = !is_member;
	catalog::update_node(node);
	const bool reached = is_member && is_reachable(node);
	if (reached)
	{
		node.metadata_synced = true;
		catalog::update_node(node);
	}
	send_node_rows(node.node_id);
	if (reached)
		txn::run_on_node(node, node_rows_sql());
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(citus_pause_node_within_txn);
PGDLLEXPORT Datum citus_pause_node_within_txn(PG_FUNCTION_ARGS)
{
	begin_node_change();
	const catalog::Node node = find(PG_GETARG_INT32(0));
	pause(node.node_id, PG_GETARG_BOOL(1), PG_GETARG_INT32(2));
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::cluster
