/*
 * nodes.h: who is in the cluster (pg_dist_node, pg_dist_local_group), as this backend sees it.
 *
 * A snapshot of the catalog, built on first use, thrown away when pg_dist_node changes. Pointers
 * returned here stay valid until the end of the transaction, also when the catalog changes
 * meanwhile (the superseded snapshot is freed at transaction end).
 */
#pragma once

#include "civitas/base/ids.h"
#include "civitas/pg/server.h"

#include <span>

namespace civitas::catalog {

enum class NodeRole : char
{
	Primary,
	Secondary,
	Unavailable
};

/* A row of pg_dist_node. */
struct Node
{
	NodeId node_id;
	GroupId group_id;
	int32 port;
	const char *name; /* host name or address, up to 255 bytes */
	const char *rack;
	const char *cluster;
	NodeRole role;
	bool has_metadata;
	bool metadata_synced;
	bool is_active;
	bool should_have_shards;
};
CIVITAS_SERVER_STATE(Node);

/* Whether the extension is installed in this database (and not just being created or dropped). */
bool extension_installed();

/* Raises 55000 unless the extension's SQL objects are those of this library (the message names both versions, the hint says
 * ALTER EXTENSION citus UPDATE), and between citus_prepare_pg_upgrade() and citus_finish_pg_upgrade(). One comparison
 * most of the time. */
void check_extension_version();
/* Whether the extension is installed and check_extension_version() would pass: for processes that come back later. */
bool extension_usable();

/* The group of the server we run on: pg_dist_local_group; 0 on a coordinator or a lone server. */
GroupId local_group_id();
bool is_coordinator();

/* Every row of pg_dist_node, by group then node id. */
std::span<const Node> all_nodes();
/* null where there is none. */
const Node *find_node(NodeId node_id);
const Node *find_node(const char *name, int32 port);
/* The active or inactive primary of a group in this cluster; null where there is none. */
const Node *find_primary(GroupId group_id);
/* Like find_primary(); 55000 naming the group where there is none. */
const Node& get_primary(GroupId group_id);

/* citus.cluster_name: the cluster whose secondaries this server reads from. */
const char *cluster_name();

/* Active primaries other than this server, by group: where metadata changes and DDL must go. */
std::span<const Node> other_metadata_nodes();
/* Active primaries with shouldhaveshards, by group: where new shards go. Falls back to the
 * coordinator (group 0) when it is the only node or no node is registered at all. */
std::span<const GroupId> shard_groups();
/* Every group with an active primary, by group id; {0} when no node is registered: where reference
 * tables go. */
std::span<const GroupId> all_groups();

/* authinfo for connecting to a node as `role`: the pg_dist_authinfo row for (node, role), else for
 * (0, role), else null. In CurrentMemoryContext. Never goes into a message. */
char *authinfo(NodeId node_id, const char *role);

/* Raises 0A000 "operation is not allowed on this node" with the hint to connect to the coordinator.
 */
void require_coordinator();

/*
 * The lock on pg_dist_node that orders metadata changes and changes of the nodes. Traffic needs none of it. Kept
 * to the end of the transaction; what it waited for is visible afterwards.
 */
enum class NodeLock
{
	Define,	 /* before tables are added to the metadata: the set of nodes stands still */
	Address, /* before rows of nodes change, and the set of nodes does not: one at a time */
	Change	 /* before nodes come or go: one at a time */
};
void lock_nodes(NodeLock lock);

void nodes_init();

} // namespace civitas::catalog
