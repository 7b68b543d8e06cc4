/*
 * nodes.cpp: the per-backend snapshot of pg_dist_node and pg_dist_local_group.
 *
 * Model: one immutable Snapshot in its own memory context, with everything the accessors
 * return precomputed, for clusters have few nodes and every statement asks. The relcache callback
 * marks it stale; the next accessor builds another and retires the old one (retired.h), so pointers
 * live to the end of the transaction.
 */
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/node_session.h"
#include "civitas/catalog/relations.h"
#include "civitas/catalog/retired.h"
#include "civitas/pg/vec.h"

CIVITAS_PG_BEGIN
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_enum.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::catalog {

namespace {

struct Snapshot
{
	MemoryContext context;
	GroupId local_group;
	std::span<const Node> nodes;
	std::span<const Node> others;
	std::span<const GroupId> shard_groups;
	std::span<const GroupId> all_groups;
};
CIVITAS_SERVER_STATE(Snapshot);

constexpr GroupId lone_group[] = {COORDINATOR_GROUP};
/* What a database without the extension sees. */
constexpr Snapshot no_nodes = {nullptr, COORDINATOR_GROUP, {}, {}, lone_group, lone_group};

Snapshot *snapshot = nullptr;
bool snapshot_valid = false;
bool changed_while_building = false;
Oid node_relid = InvalidOid;
Oid local_group_relid = InvalidOid;
Oid authinfo_relid = InvalidOid;
/* pg_dist_authinfo has no rows, as in most clusters: nothing to look up for each session. */
bool authinfo_empty = false;
bool authinfo_changed = false;
char *cluster_name_setting = nullptr;
char *api_version = nullptr;

void forget_nodes(Datum, Oid relid)
{
	if (!OidIsValid(relid) || relid == node_relid || relid == local_group_relid)
	{
		snapshot_valid = false;
		changed_while_building = true;
	}
	if (!OidIsValid(relid) || relid == authinfo_relid)
	{
		authinfo_empty = false;
		authinfo_changed = true;
	}
}

NodeRole role_of_label(Oid label)
{
	HeapTuple tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(label));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for enum label %u", label);
	const char *name = NameStr(reinterpret_cast<Form_pg_enum>(GETSTRUCT(tuple))->enumlabel);
	NodeRole role = NodeRole::Unavailable;
	if (strcmp(name, "primary") == 0)
		role = NodeRole::Primary;
	else if (strcmp(name, "secondary") == 0)
		role = NodeRole::Secondary;
	ReleaseSysCache(tuple);
	return role;
}

/* Strings are copied into CurrentMemoryContext. */
Node node_of_tuple(HeapTuple tuple, TupleDesc descriptor)
{
	Datum values[NODE_COLUMNS];
	bool nulls[NODE_COLUMNS];
	heap_deform_tuple(tuple, descriptor, values, nulls);
	Node node;
	node.node_id = DatumGetInt32(values[NODE_ID - 1]);
	node.group_id = DatumGetInt32(values[NODE_GROUP - 1]);
	node.port = DatumGetInt32(values[NODE_PORT - 1]);
	node.name = TextDatumGetCString(values[NODE_NAME - 1]);
	node.rack = TextDatumGetCString(values[NODE_RACK - 1]);
	node.cluster = pstrdup(NameStr(*DatumGetName(values[NODE_CLUSTER - 1])));
	node.role = role_of_label(DatumGetObjectId(values[NODE_ROLE - 1]));
	node.has_metadata = DatumGetBool(values[NODE_HAS_METADATA - 1]);
	node.metadata_synced =
		!nulls[NODE_METADATA_SYNCED - 1] && DatumGetBool(values[NODE_METADATA_SYNCED - 1]);
	node.is_active = DatumGetBool(values[NODE_IS_ACTIVE - 1]);
	node.should_have_shards = DatumGetBool(values[NODE_SHOULD_HAVE_SHARDS - 1]);
	return node;
}

int compare_nodes(const void *left, const void *right)
{
	const Node& a = *static_cast<const Node *>(left);
	const Node& b = *static_cast<const Node *>(right);
	if (a.group_id != b.group_id)
		return a.group_id < b.group_id ? -1 : 1;
	return a.node_id < b.node_id ? -1 : a.node_id > b.node_id;
}

void read_nodes(pg::Vec<Node>& nodes)
{
	Relation relation = table_open(readable_relation_oid(Catalog::Node), AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
	for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple);
		 tuple = systable_getnext(scan))
		nodes.push(node_of_tuple(tuple, RelationGetDescr(relation)));
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	if (nodes.size() > 1)
		qsort(nodes.data(), nodes.size(), sizeof(Node), compare_nodes);
}

GroupId read_local_group()
{
	GroupId group = COORDINATOR_GROUP;
	Relation relation = table_open(readable_relation_oid(Catalog::LocalGroup), AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
	HeapTuple tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool is_null;
		group = DatumGetInt32(heap_getattr(tuple, 1, RelationGetDescr(relation), &is_null));
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return group;
}

Snapshot *build_snapshot()
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "citus nodes", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	pg::Vec<Node> nodes;
	pg::Vec<Node> others;
	pg::Vec<GroupId> with_shards;
	pg::Vec<GroupId> all;
	do
	{
		changed_while_building = false;
		node_relid = readable_relation_oid(Catalog::Node);
		local_group_relid = readable_relation_oid(Catalog::LocalGroup);
		nodes.clear();
		read_nodes(nodes);
		auto *fresh = static_cast<Snapshot *>(palloc0(sizeof(Snapshot)));
		fresh->context = context;
		fresh->local_group = read_local_group();
		if (changed_while_building)
			continue;

		for (const Node& node : nodes)
		{
			if (node.role != NodeRole::Primary || !node.is_active)
				continue;
			all.push(node.group_id);
			if (node.should_have_shards)
				with_shards.push(node.group_id);
			if (node.group_id != fresh->local_group)
				others.push(node);
		}
		fresh->nodes = nodes.span();
		fresh->others = others.span();
		fresh->shard_groups =
			with_shards.empty() ? std::span<const GroupId>(lone_group) : with_shards.span();
		fresh->all_groups = all.empty() ? std::span<const GroupId>(lone_group) : all.span();
		MemoryContextSwitchTo(caller);
		MemoryContextSetParent(context, CacheMemoryContext);
		return fresh;
	} while (true);
}

const Snapshot& current()
{
	if (snapshot_valid)
		return *snapshot;
	if (!extension_installed())
		return no_nodes;
	Snapshot *fresh = build_snapshot();
	if (snapshot != nullptr)
		retire(snapshot->context);
	snapshot = fresh;
	snapshot_valid = true;
	return *snapshot;
}

} // namespace

GroupId local_group_id()
{
	return current().local_group;
}

bool is_coordinator()
{
	return local_group_id() == COORDINATOR_GROUP;
}

std::span<const Node> all_nodes()
{
	return current().nodes;
}

const Node *find_node(NodeId node_id)
{
	for (const Node& node : current().nodes)
		if (node.node_id == node_id)
			return &node;
	return nullptr;
}

const Node *find_node(const char *name, int32 port)
{
	for (const Node& node : current().nodes)
		if (node.port == port && strcmp(node.name, name) == 0)
			return &node;
	return nullptr;
}

const Node *find_primary(GroupId group_id)
{
	for (const Node& node : current().nodes)
		if (node.group_id == group_id && node.role == NodeRole::Primary)
			return &node;
	return nullptr;
}

const Node& get_primary(GroupId group_id)
{
	const Node *node = find_primary(group_id);
	if (node == nullptr)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("node group %d does not have a primary node", group_id),
						group_id == COORDINATOR_GROUP
							? errhint("Register the coordinator with citus_set_coordinator_host().")
							: 0));
	return *node;
}

const char *cluster_name()
{
	return cluster_name_setting;
}

std::span<const Node> other_metadata_nodes()
{
	return current().others;
}

std::span<const GroupId> shard_groups()
{
	return current().shard_groups;
}

std::span<const GroupId> all_groups()
{
	return current().all_groups;
}

namespace {

/* The row for exactly this node id and role. */
char *read_authinfo(Relation relation, NodeId node_id, const char *role)
{
	NameData role_name;
	namestrcpy(&role_name, role);
	ScanKeyData keys[2];
	ScanKeyInit(&keys[0], AUTHINFO_ROLE, BTEqualStrategyNumber, F_NAMEEQ, NameGetDatum(&role_name));
	ScanKeyInit(&keys[1], AUTHINFO_NODE, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(node_id));
	SysScanDesc scan =
		systable_beginscan(relation, relation_oid(Catalog::AuthinfoPkey), true, nullptr, 2, keys);
	HeapTuple tuple = systable_getnext(scan);
	char *found = nullptr;
	if (HeapTupleIsValid(tuple))
	{
		bool is_null;
		found = TextDatumGetCString(
			heap_getattr(tuple, AUTHINFO_SECRET, RelationGetDescr(relation), &is_null));
	}
	systable_endscan(scan);
	return found;
}

bool is_empty(Relation relation)
{
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
	const bool empty = !HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	return empty;
}

} // namespace

char *authinfo(NodeId node_id, const char *role)
{
	if (authinfo_empty || !extension_installed())
		return nullptr;
	authinfo_changed = false;
	authinfo_relid = relation_oid(Catalog::Authinfo);
	Relation relation = table_open(authinfo_relid, AccessShareLock);
	char *found = nullptr;
	const bool empty = is_empty(relation);
	if (!empty)
	{
		found = read_authinfo(relation, node_id, role);
		if (found == nullptr && node_id != 0)
			found = read_authinfo(relation, 0, role);
	}
	table_close(relation, AccessShareLock);
	authinfo_empty = empty && !authinfo_changed;
	return found;
}

void lock_nodes(NodeLock lock)
{
	static constexpr LOCKMODE modes[] = {RowExclusiveLock, ShareUpdateExclusiveLock,
										 ShareRowExclusiveLock};
	LockRelationOid(relation_oid(Catalog::Node), modes[static_cast<int>(lock)]);
	/* It may have waited for citus_prepare_pg_upgrade(). */
	check_extension_version();
}

void require_coordinator()
{
	if (is_coordinator())
		return;
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("operation is not allowed on this node"),
					errhint("Connect to the coordinator and run it again.")));
}

void shard_id_settings_init();

void nodes_init()
{
	shard_id_settings_init();
	relations_init();
	node_session_init();
	DefineCustomStringVariable(
		"citus.cluster_name", "Which cluster of pg_dist_node this server reads from.",
		"Secondaries may be registered under a cluster name of their own, for read-only copies.",
		&cluster_name_setting, "default", PGC_SU_BACKEND, 0, nullptr, nullptr, nullptr);
	DefineCustomStringVariable("citus.version", "The version of the API that this library follows.",
							   "Read-only; clients ask it to learn what they may call.",
							   &api_version, "13.2.2", PGC_INTERNAL,
							   GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE, nullptr, nullptr, nullptr);
	CacheRegisterRelcacheCallback(forget_nodes, 0);
}

} // namespace civitas::catalog
