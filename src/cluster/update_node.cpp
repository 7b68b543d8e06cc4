/*
 * update_node.cpp: a node gets another address; traffic to its group waits meanwhile.
 *
 * A high-availability agent calls citus_update_node(id, 'HOST-demoted', ..) in a transaction that it holds open across a switchover: who
 * wants to go to the group waits from then on, on every node, and nobody fails. When it commits, under the address that it gave last,
 * they go on; when it rolls back, with the old one. None of this needs the node itself, nor any other: see node_links.cpp.
 */
#include "civitas/catalog/writes.h"
#include "civitas/cluster/cluster.h"
#include "civitas/pg/str.h"
#include "civitas/txn/transaction.h"
#include "node_changes.h"

CIVITAS_PG_BEGIN
#include "utils/builtins.h"
#include "utils/guc.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

constexpr char DEMOTED[] = "-demoted";
/* What a place that is left has to answer, where transactions are to end there in their own time, ms. */
constexpr char PLACE_TIMEOUT[] = "500";

void check_cooldown(int32 cooldown)
{
	if (cooldown < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("lock_cooldown must not be negative")));
}

catalog::Node find(NodeId id)
{
	const catalog::Node *node = catalog::find_node(id);
	if (node == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("node %d not found", id)));
	return *node;
}

/* The host of a name that says that it is demoted; the name itself where it does not. */
const char *host_of(const char *name)
{
	const size_t length = strlen(name);
	const size_t suffix = sizeof(DEMOTED) - 1;
	if (length > suffix && strcmp(name + length - suffix, DEMOTED) == 0)
		return pnstrdup(name, length - suffix);
	return name;
}

bool is_demoted(const char *name)
{
	return host_of(name) != name;
}

bool answers_soon(const catalog::Node& node)
{
	const int level = NewGUCNestLevel();
	set_config_option("citus.node_connection_timeout", PLACE_TIMEOUT, PGC_USERSET, PGC_S_SESSION,
					  GUC_ACTION_SAVE, true, 0, false);
	const bool answers = is_reachable(node);
	AtEOXact_GUC(true, level);
	return answers;
}

/* Traffic waits. What runs at a place that is gone cannot come to a good end: nobody waits for it. */
void pause_for_change(const catalog::Node& node, const char *new_name, bool force, int32 cooldown)
{
	if (node.role != catalog::NodeRole::Primary || !node.is_active)
		return;
	const bool gone = !is_demoted(new_name) && (is_demoted(node.name) || !answers_soon(node));
	pause_everywhere(node, force || gone, gone ? 0 : cooldown);
}

} // namespace

bool move_to_address(catalog::Node node, const char *name, int32 port)
{
	if (name[0] == '\0' || port < 1 || port > 65535)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s:%d\" is not an address", name, port)));
	const catalog::Node *holder = catalog::find_node(name, port);
	const char *old_name = host_of(node.name);
	const int32 old_port = node.port;
	if (holder != nullptr)
	{
		if (holder->node_id == node.node_id)
			return false;
		if (holder->group_id != node.group_id)
			ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
							errmsg("another node is registered at \"%s:%d\"", name, port)));
		/* Out of the way first: two nodes are never at the same address. */
		catalog::Node other = *holder;
		other.name = psprintf("%s-leaving", name);
		catalog::update_node(other);
		node.name = name;
		node.port = port;
		catalog::update_node(node);
		other.name = old_name;
		other.port = old_port;
		catalog::update_node(other);
		return true;
	}
	node.name = name;
	node.port = port;
	catalog::update_node(node);
	return true;
}

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_update_node);
PGDLLEXPORT Datum citus_update_node(PG_FUNCTION_ARGS)
{
	begin_node_change(catalog::NodeLock::Address);
	const catalog::Node node = find(PG_GETARG_INT32(0));
	const char *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	const int32 port = PG_GETARG_INT32(2);
	check_cooldown(PG_GETARG_INT32(4));
	const catalog::Node *holder = catalog::find_node(name, port);
	if (holder == nullptr || holder->node_id != node.node_id)
		pause_for_change(node, name, PG_GETARG_BOOL(3), PG_GETARG_INT32(4));
	/* The two change places. */
	if (holder != nullptr && holder->node_id != node.node_id && holder->group_id == node.group_id)
		pause_for_change(*holder, node.name, PG_GETARG_BOOL(3), PG_GETARG_INT32(4));
	if (move_to_address(node, name, port))
		tell_nodes_at_commit();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(citus_pause_node_within_txn);
PGDLLEXPORT Datum citus_pause_node_within_txn(PG_FUNCTION_ARGS)
{
	begin_node_change(catalog::NodeLock::Address);
	const catalog::Node node = find(PG_GETARG_INT32(0));
	check_cooldown(PG_GETARG_INT32(2));
	pause_everywhere(node, PG_GETARG_BOOL(1), PG_GETARG_INT32(2));
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::cluster
