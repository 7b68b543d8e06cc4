/*
 * node_writes.cpp: rows of pg_dist_node, pg_dist_local_group and pg_dist_colocation.
 *
 * The same rules as writes.cpp; kept apart because these change with the cluster, not with tables.
 */
#include "civitas/catalog/relations.h"
#include "civitas/catalog/writes.h"

CIVITAS_PG_BEGIN
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::catalog {

namespace {

ScanKeyData equals_int4(int column, int32 value)
{
	ScanKeyData key;
	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(value));
	return key;
}

/* Oid of the noderole label, looked up by the type of pg_dist_node's column. */
Oid label_of_role(NodeRole role, TupleDesc descriptor)
{
	const char *label = role == NodeRole::Primary	  ? "primary"
						: role == NodeRole::Secondary ? "secondary"
													  : "unavailable";
	const Oid type = TupleDescAttr(descriptor, NODE_ROLE - 1)->atttypid;
	HeapTuple tuple =
		SearchSysCache2(ENUMTYPOIDNAME, ObjectIdGetDatum(type), CStringGetDatum(label));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "noderole has no label %s", label);
	const Oid oid =
		GetSysCacheOid2(ENUMTYPOIDNAME, 1, ObjectIdGetDatum(type), CStringGetDatum(label));
	ReleaseSysCache(tuple);
	return oid;
}

HeapTuple form_node(const Node& node, TupleDesc descriptor)
{
	Datum values[NODE_COLUMNS] = {};
	bool nulls[NODE_COLUMNS] = {};
	NameData cluster;
	namestrcpy(&cluster, node.cluster != nullptr ? node.cluster : "default");
	const Node *primary = node.role == NodeRole::Secondary ? find_primary(node.group_id) : nullptr;
	values[NODE_ID - 1] = Int32GetDatum(node.node_id);
	values[NODE_GROUP - 1] = Int32GetDatum(node.group_id);
	values[NODE_NAME - 1] = CStringGetTextDatum(node.name);
	values[NODE_PORT - 1] = Int32GetDatum(node.port);
	values[NODE_RACK - 1] = CStringGetTextDatum(node.rack != nullptr ? node.rack : "default");
	values[NODE_HAS_METADATA - 1] = BoolGetDatum(node.has_metadata);
	values[NODE_IS_ACTIVE - 1] = BoolGetDatum(node.is_active);
	values[NODE_ROLE - 1] = ObjectIdGetDatum(label_of_role(node.role, descriptor));
	values[NODE_CLUSTER - 1] = NameGetDatum(&cluster);
	values[NODE_METADATA_SYNCED - 1] = BoolGetDatum(node.metadata_synced);
	values[NODE_SHOULD_HAVE_SHARDS - 1] = BoolGetDatum(node.should_have_shards);
	values[NODE_PRIMARY_NODE - 1] = Int32GetDatum(primary != nullptr ? primary->node_id : 0);
	return heap_form_tuple(descriptor, values, nulls);
}

/* Calls body(relation, tuple) for the first row that the keys find; false where there is none. */
template <typename Body>
bool with_row(Catalog catalog, Catalog index, LOCKMODE lock, ScanKeyData *keys, int count,
			  Body&& body)
{
	Relation relation = table_open(relation_oid(catalog), lock);
	SysScanDesc scan =
		systable_beginscan(relation, relation_oid(index), true, nullptr, count, keys);
	HeapTuple tuple = systable_getnext(scan);
	const bool found = HeapTupleIsValid(tuple);
	if (found)
		body(relation, tuple);
	systable_endscan(scan);
	table_close(relation, lock == AccessShareLock ? lock : NoLock);
	return found;
}

Colocation colocation_of_tuple(HeapTuple tuple, TupleDesc descriptor)
{
	Datum values[COLOCATION_COLUMNS];
	bool nulls[COLOCATION_COLUMNS];
	heap_deform_tuple(tuple, descriptor, values, nulls);
	Colocation colocation;
	colocation.id = DatumGetInt32(values[COLOCATION_ID - 1]);
	colocation.shard_count = DatumGetInt32(values[COLOCATION_SHARD_COUNT - 1]);
	colocation.replication_factor = DatumGetInt32(values[COLOCATION_REPLICATION - 1]);
	colocation.distribution_type = DatumGetObjectId(values[COLOCATION_TYPE - 1]);
	colocation.distribution_collation = DatumGetObjectId(values[COLOCATION_COLLATION - 1]);
	return colocation;
}

/* Calls visit(relation, tuple) with the row of isolated_colocation; the table is tiny. */
template <typename Visit> bool with_isolated_row(ColocationId id, LOCKMODE lock, Visit&& visit)
{
	Relation relation = table_open(relation_oid(Catalog::IsolatedColocation), lock);
	ScanKeyData key = equals_int4(1, id);
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 1, &key);
	HeapTuple tuple = systable_getnext(scan);
	const bool found = HeapTupleIsValid(tuple);
	if (found)
		visit(relation, tuple);
	systable_endscan(scan);
	table_close(relation, lock == AccessShareLock ? lock : NoLock);
	return found;
}

bool is_isolated(ColocationId id)
{
	return with_isolated_row(id, AccessShareLock, [](Relation, HeapTuple) {});
}

} // namespace

/* --- pg_dist_node ----------------------------------------------------------------------------- */

void insert_node(const Node& node)
{
	Relation relation = table_open(relation_oid(Catalog::Node), RowExclusiveLock);
	CatalogTupleInsert(relation, form_node(node, RelationGetDescr(relation)));
	table_close(relation, NoLock);
	invalidate_nodes();
	CommandCounterIncrement();
}

void update_node(const Node& node)
{
	ScanKeyData key = equals_int4(NODE_ID, node.node_id);
	with_row(Catalog::Node, Catalog::NodePkey, RowExclusiveLock, &key, 1,
			 [&](Relation relation, HeapTuple tuple) {
				 CatalogTupleUpdate(relation, &tuple->t_self,
									form_node(node, RelationGetDescr(relation)));
			 });
	invalidate_nodes();
	CommandCounterIncrement();
}

void delete_node(NodeId node_id)
{
	ScanKeyData key = equals_int4(NODE_ID, node_id);
	with_row(
		Catalog::Node, Catalog::NodePkey, RowExclusiveLock, &key, 1,
		[](Relation relation, HeapTuple tuple) { CatalogTupleDelete(relation, &tuple->t_self); });
	invalidate_nodes();
	CommandCounterIncrement();
}

void set_local_group(GroupId group_id)
{
	Relation relation = table_open(relation_oid(Catalog::LocalGroup), RowExclusiveLock);
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
	HeapTuple tuple = systable_getnext(scan);
	Datum value = Int32GetDatum(group_id);
	bool is_null = false;
	HeapTuple fresh = heap_form_tuple(RelationGetDescr(relation), &value, &is_null);
	if (HeapTupleIsValid(tuple))
		CatalogTupleUpdate(relation, &tuple->t_self, fresh);
	else
		CatalogTupleInsert(relation, fresh);
	systable_endscan(scan);
	table_close(relation, NoLock);
	CacheInvalidateRelcacheByRelid(relation_oid(Catalog::LocalGroup));
	CommandCounterIncrement();
}

/* --- pg_dist_colocation ----------------------------------------------------------------------- */

void insert_colocation(const Colocation& colocation)
{
	Datum values[COLOCATION_COLUMNS] = {};
	bool nulls[COLOCATION_COLUMNS] = {};
	values[COLOCATION_ID - 1] = Int32GetDatum(colocation.id);
	values[COLOCATION_SHARD_COUNT - 1] = Int32GetDatum(colocation.shard_count);
	values[COLOCATION_REPLICATION - 1] = Int32GetDatum(colocation.replication_factor);
	values[COLOCATION_TYPE - 1] = ObjectIdGetDatum(colocation.distribution_type);
	values[COLOCATION_COLLATION - 1] = ObjectIdGetDatum(colocation.distribution_collation);
	Relation relation = table_open(relation_oid(Catalog::Colocation), RowExclusiveLock);
	CatalogTupleInsert(relation, heap_form_tuple(RelationGetDescr(relation), values, nulls));
	table_close(relation, NoLock);

	if (colocation.isolated)
	{
		relation = table_open(relation_oid(Catalog::IsolatedColocation), RowExclusiveLock);
		CatalogTupleInsert(relation, heap_form_tuple(RelationGetDescr(relation), values, nulls));
		table_close(relation, NoLock);
	}
	CommandCounterIncrement();
}

void delete_colocation(ColocationId id)
{
	ScanKeyData key = equals_int4(COLOCATION_ID, id);
	with_row(
		Catalog::Colocation, Catalog::ColocationPkey, RowExclusiveLock, &key, 1,
		[](Relation relation, HeapTuple tuple) { CatalogTupleDelete(relation, &tuple->t_self); });
	with_isolated_row(id, RowExclusiveLock, [](Relation relation, HeapTuple tuple) {
		CatalogTupleDelete(relation, &tuple->t_self);
	});
	CommandCounterIncrement();
}

void set_shard_count(ColocationId id, int32 shard_count)
{
	ScanKeyData key = equals_int4(COLOCATION_ID, id);
	with_row(Catalog::Colocation, Catalog::ColocationPkey, RowExclusiveLock, &key, 1,
			 [&](Relation relation, HeapTuple tuple) {
				 Datum values[COLOCATION_COLUMNS] = {};
				 bool nulls[COLOCATION_COLUMNS] = {};
				 bool replace[COLOCATION_COLUMNS] = {};
				 values[COLOCATION_SHARD_COUNT - 1] = Int32GetDatum(shard_count);
				 replace[COLOCATION_SHARD_COUNT - 1] = true;
				 CatalogTupleUpdate(
					 relation, &tuple->t_self,
					 heap_modify_tuple(tuple, RelationGetDescr(relation), values, nulls, replace));
			 });
	CommandCounterIncrement();
}

bool find_colocation(ColocationId id, Colocation *out)
{
	ScanKeyData key = equals_int4(COLOCATION_ID, id);
	const bool found = with_row(Catalog::Colocation, Catalog::ColocationPkey, AccessShareLock, &key,
								1, [&](Relation relation, HeapTuple tuple) {
									*out = colocation_of_tuple(tuple, RelationGetDescr(relation));
								});
	if (found)
		out->isolated = is_isolated(id);
	return found;
}

bool find_default_colocation(int32 shard_count, int32 replication_factor, Oid type, Oid collation,
							 Colocation *out)
{
	bool found = false;
	ScanKeyData keys[4] = {equals_int4(COLOCATION_SHARD_COUNT, shard_count),
						   equals_int4(COLOCATION_REPLICATION, replication_factor)};
	ScanKeyInit(&keys[2], COLOCATION_TYPE, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(type));
	ScanKeyInit(&keys[3], COLOCATION_COLLATION, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(collation));
	Relation relation = table_open(relation_oid(Catalog::Colocation), AccessShareLock);
	SysScanDesc scan = systable_beginscan(
		relation, relation_oid(Catalog::ColocationConfigurationIndex), true, nullptr, 4, keys);
	for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple);
		 tuple = systable_getnext(scan))
	{
		const Colocation candidate = colocation_of_tuple(tuple, RelationGetDescr(relation));
		if ((found && out->id < candidate.id) || is_isolated(candidate.id))
			continue;
		*out = candidate;
		found = true;
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return found;
}

LOCKTAG colocation_lock_tag(ColocationId id)
{
	LOCKTAG tag;
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, relation_oid(Catalog::Colocation), static_cast<Oid>(id),
					   0);
	return tag;
}

void lock_colocation(ColocationId id, ColocationLock lock)
{
	const LOCKTAG tag = colocation_lock_tag(id);
	const bool join = lock == ColocationLock::Join;
	if (LockAcquire(&tag, join ? ShareLock : ExclusiveLock, false, join) == LOCKACQUIRE_NOT_AVAIL)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("colocation group %d is in use: one of its shards is being moved or split", id),
			 errhint("Try again when it is done, or give colocate_with => 'none'.")));
	AcceptInvalidationMessages();
}

bool delete_colocation_if_empty(ColocationId id)
{
	if (id == INVALID_COLOCATION_ID || colocation_is_used(id))
		return false;
	delete_colocation(id);
	return true;
}

} // namespace civitas::catalog
