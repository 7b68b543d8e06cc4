/*
 * writes.cpp: rows of the metadata catalogs in and out.
 *
 * Every write goes through the catalog's indexes, increments the command counter, and sends the
 * invalidation that makes caches look again: of the table for its shards and placements, of
 * pg_dist_node for nodes. Locks on the catalogs are kept to the end of the transaction, as
 * PostgreSQL does for its own.
 */
#include "civitas/catalog/writes.h"
#include "civitas/catalog/relations.h"
#include "civitas/pg/vec.h"
#include "distribution_key.h"
#include "shard_owner.h"

CIVITAS_PG_BEGIN
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/sequence.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::catalog {

namespace {

int next_shard_id_setting = 0;
int next_placement_id_setting = 0;

ScanKeyData equals_int4(int column, int32 value)
{
	ScanKeyData key;
	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(value));
	return key;
}

ScanKeyData equals_int8(int column, int64 value)
{
	ScanKeyData key;
	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(value));
	return key;
}

ScanKeyData equals_oid(int column, Oid value)
{
	ScanKeyData key;
	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
	return key;
}

void insert_row(Catalog catalog, Datum *values, bool *nulls)
{
	Relation relation = table_open(relation_oid(catalog), RowExclusiveLock);
	HeapTuple tuple = heap_form_tuple(RelationGetDescr(relation), values, nulls);
	CatalogTupleInsert(relation, tuple);
	heap_freetuple(tuple);
	table_close(relation, NoLock);
}

/* Deletes the rows that match; visit sees each one before. Returns how many there were. */
int delete_rows(Catalog catalog, Catalog index, ScanKeyData *keys, int key_count,
				void (*visit)(HeapTuple, TupleDesc, void *) = nullptr, void *argument = nullptr)
{
	int count = 0;
	Relation relation = table_open(relation_oid(catalog), RowExclusiveLock);
	SysScanDesc scan =
		systable_beginscan(relation, relation_oid(index), true, nullptr, key_count, keys);
	for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple);
		 tuple = systable_getnext(scan))
	{
		if (visit != nullptr)
			visit(tuple, RelationGetDescr(relation), argument);
		CatalogTupleDelete(relation, &tuple->t_self);
		count++;
	}
	systable_endscan(scan);
	table_close(relation, NoLock);
	return count;
}

int64 next_of(Catalog sequence)
{
	return nextval_internal(relation_oid(sequence), false);
}

} // namespace

bool shard_ids_are_chosen()
{
	return next_shard_id_setting > 0;
}

ShardId next_shard_id()
{
	if (next_shard_id_setting > 0)
		return next_shard_id_setting++;
	return next_of(Catalog::ShardIdSequence);
}

int64 next_placement_id()
{
	if (next_placement_id_setting > 0)
		return next_placement_id_setting++;
	return next_of(Catalog::PlacementIdSequence);
}

ColocationId next_colocation_id()
{
	return static_cast<ColocationId>(next_of(Catalog::ColocationIdSequence));
}

NodeId next_node_id()
{
	return static_cast<NodeId>(next_of(Catalog::NodeIdSequence));
}

GroupId next_group_id()
{
	return static_cast<GroupId>(next_of(Catalog::GroupIdSequence));
}

void invalidate_table(Oid relid)
{
	if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		CacheInvalidateRelcacheByRelid(relid);
}

void invalidate_nodes()
{
	CacheInvalidateRelcacheByRelid(relation_oid(Catalog::Node));
}

/* --- pg_dist_partition ----------------------------------------------------------------------- */

namespace {

ObjectAddress extension_address()
{
	return {ExtensionRelationId, get_extension_oid("citus", false), 0};
}

} // namespace

void insert_partition(Oid relid, char partmethod, const char *column, ColocationId colocation_id,
					  char repmodel, bool autoconverted)
{
	lock_nodes(NodeLock::Define);
	Datum values[PARTITION_COLUMNS] = {};
	bool nulls[PARTITION_COLUMNS] = {};
	values[PARTITION_RELID - 1] = ObjectIdGetDatum(relid);
	values[PARTITION_METHOD - 1] = CharGetDatum(partmethod);
	values[PARTITION_COLOCATION - 1] = Int32GetDatum(colocation_id);
	values[PARTITION_REPMODEL - 1] = CharGetDatum(repmodel);
	values[PARTITION_AUTOCONVERTED - 1] = BoolGetDatum(autoconverted);
	if (column == nullptr)
		nulls[PARTITION_KEY - 1] = true;
	else
	{
		const AttrNumber attno = get_attnum(relid, column);
		if (attno <= 0)
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
							errmsg("column \"%s\" of relation \"%s\" does not exist", column,
								   get_rel_name(relid))));
		values[PARTITION_KEY - 1] = CStringGetTextDatum(distribution_key(relid, attno));
	}
	insert_row(Catalog::Partition, values, nulls);
	/* So that DROP EXTENSION does not silently cut tables off from their shards. */
	const ObjectAddress table = {RelationRelationId, relid, 0};
	const ObjectAddress extension = extension_address();
	recordDependencyOn(&table, &extension, DEPENDENCY_NORMAL);
	invalidate_table(relid);
	CommandCounterIncrement();
}

void delete_partition(Oid relid)
{
	ScanKeyData key = equals_oid(PARTITION_RELID, relid);
	if (delete_rows(Catalog::Partition, Catalog::PartitionRelidIndex, &key, 1) > 0)
		deleteDependencyRecordsForSpecific(RelationRelationId, relid, DEPENDENCY_NORMAL,
										   ExtensionRelationId, extension_address().objectId);
	invalidate_table(relid);
	CommandCounterIncrement();
}

namespace {

/* One column of the table's row. */
void update_partition(Oid relid, int column, Datum value)
{
	Relation relation = table_open(relation_oid(Catalog::Partition), RowExclusiveLock);
	ScanKeyData key = equals_oid(PARTITION_RELID, relid);
	SysScanDesc scan = systable_beginscan(relation, relation_oid(Catalog::PartitionRelidIndex),
										  true, nullptr, 1, &key);
	HeapTuple tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Datum values[PARTITION_COLUMNS] = {};
		bool nulls[PARTITION_COLUMNS] = {};
		bool replace[PARTITION_COLUMNS] = {};
		values[column - 1] = value;
		replace[column - 1] = true;
		HeapTuple changed =
			heap_modify_tuple(tuple, RelationGetDescr(relation), values, nulls, replace);
		CatalogTupleUpdate(relation, &tuple->t_self, changed);
	}
	systable_endscan(scan);
	table_close(relation, NoLock);
	invalidate_table(relid);
	CommandCounterIncrement();
}

} // namespace

void set_colocation(Oid relid, ColocationId colocation_id)
{
	update_partition(relid, PARTITION_COLOCATION, Int32GetDatum(colocation_id));
}

void set_autoconverted(Oid relid, bool autoconverted)
{
	update_partition(relid, PARTITION_AUTOCONVERTED, BoolGetDatum(autoconverted));
}

/* --- pg_dist_shard, pg_dist_placement --------------------------------------------------------- */

void insert_shard(Oid relid, ShardId shard_id, const int32 *min_hash, const int32 *max_hash)
{
	Datum values[SHARD_COLUMNS] = {};
	bool nulls[SHARD_COLUMNS] = {};
	values[SHARD_RELID - 1] = ObjectIdGetDatum(relid);
	values[SHARD_ID - 1] = Int64GetDatum(shard_id);
	values[SHARD_STORAGE - 1] = CharGetDatum('t');
	nulls[SHARD_MIN - 1] = min_hash == nullptr;
	nulls[SHARD_MAX - 1] = max_hash == nullptr;
	if (min_hash != nullptr)
		values[SHARD_MIN - 1] = CStringGetTextDatum(psprintf("%d", *min_hash));
	if (max_hash != nullptr)
		values[SHARD_MAX - 1] = CStringGetTextDatum(psprintf("%d", *max_hash));
	insert_row(Catalog::Shard, values, nulls);
	invalidate_table(relid);
	CommandCounterIncrement();
}

void delete_shards(Oid relid)
{
	pg::Vec<ShardId> ids;
	ScanKeyData key = equals_oid(SHARD_RELID, relid);
	delete_rows(
		Catalog::Shard, Catalog::ShardRelidIndex, &key, 1,
		[](HeapTuple tuple, TupleDesc descriptor, void *argument) {
			bool is_null;
			static_cast<pg::Vec<ShardId> *>(argument)->push(
				DatumGetInt64(heap_getattr(tuple, SHARD_ID, descriptor, &is_null)));
		},
		&ids);
	for (const ShardId id : ids)
	{
		ScanKeyData placement_key = equals_int8(PLACEMENT_SHARD, id);
		delete_rows(Catalog::Placement, Catalog::PlacementShardIndex, &placement_key, 1);
	}
	invalidate_table(relid);
	CommandCounterIncrement();
}

void delete_shard(ShardId shard_id)
{
	invalidate_table(read_shard_owner(shard_id));
	ScanKeyData placement_key = equals_int8(PLACEMENT_SHARD, shard_id);
	delete_rows(Catalog::Placement, Catalog::PlacementShardIndex, &placement_key, 1);
	ScanKeyData key = equals_int8(SHARD_ID, shard_id);
	delete_rows(Catalog::Shard, Catalog::ShardIdIndex, &key, 1);
	CommandCounterIncrement();
}

void insert_placement(int64 placement_id, ShardId shard_id, GroupId group_id)
{
	Datum values[PLACEMENT_COLUMNS] = {};
	bool nulls[PLACEMENT_COLUMNS] = {};
	values[PLACEMENT_ID - 1] = Int64GetDatum(placement_id);
	values[PLACEMENT_SHARD - 1] = Int64GetDatum(shard_id);
	values[PLACEMENT_STATE - 1] = Int32GetDatum(PLACEMENT_STATE_ACTIVE);
	values[PLACEMENT_LENGTH - 1] = Int64GetDatum(0);
	values[PLACEMENT_GROUP - 1] = Int32GetDatum(group_id);
	insert_row(Catalog::Placement, values, nulls);
	invalidate_table(read_shard_owner(shard_id));
	CommandCounterIncrement();
}

namespace {

void invalidate_owner_of_placement(HeapTuple tuple, TupleDesc descriptor, void *)
{
	bool is_null;
	invalidate_table(read_shard_owner(
		DatumGetInt64(heap_getattr(tuple, PLACEMENT_SHARD, descriptor, &is_null))));
}

} // namespace

void delete_placement(int64 placement_id)
{
	ScanKeyData key = equals_int8(PLACEMENT_ID, placement_id);
	delete_rows(Catalog::Placement, Catalog::PlacementIdIndex, &key, 1,
				invalidate_owner_of_placement);
	CommandCounterIncrement();
}

ShardId shard_of_placement(int64 placement_id)
{
	Relation relation = table_open(relation_oid(Catalog::Placement), AccessShareLock);
	ScanKeyData key = equals_int8(PLACEMENT_ID, placement_id);
	SysScanDesc scan = systable_beginscan(relation, relation_oid(Catalog::PlacementIdIndex), true,
										  nullptr, 1, &key);
	HeapTuple tuple = systable_getnext(scan);
	bool is_null;
	const ShardId shard = HeapTupleIsValid(tuple)
							  ? DatumGetInt64(heap_getattr(tuple, PLACEMENT_SHARD,
														   RelationGetDescr(relation), &is_null))
							  : INVALID_SHARD_ID;
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return shard;
}

void delete_placements_of_group(GroupId group_id)
{
	ScanKeyData key = equals_int4(PLACEMENT_GROUP, group_id);
	delete_rows(Catalog::Placement, Catalog::PlacementGroupIndex, &key, 1,
				invalidate_owner_of_placement);
	CommandCounterIncrement();
}

/* --- pg_dist_object --------------------------------------------------------------------------- */

bool object_is_distributed(Oid class_id, Oid object_id)
{
	if (!extension_installed())
		return false;
	Relation relation = table_open(readable_relation_oid(Catalog::Object), AccessShareLock);
	ScanKeyData keys[2] = {equals_oid(OBJECT_CLASS, class_id), equals_oid(OBJECT_ID, object_id)};
	SysScanDesc scan = systable_beginscan(relation, readable_relation_oid(Catalog::ObjectPkey),
										  true, nullptr, 2, keys);
	const bool found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return found;
}

bool is_part_of_type(Oid function, Oid type)
{
	ScanKeyData keys[2];
	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(ProcedureRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(function));
	Relation relation = table_open(DependRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, DependDependerIndexId, true, nullptr, 2, keys);
	bool found = false;
	for (HeapTuple tuple; !found && HeapTupleIsValid(tuple = systable_getnext(scan));)
	{
		const auto *row = reinterpret_cast<Form_pg_depend>(GETSTRUCT(tuple));
		found = row->refclassid == TypeRelationId && row->refobjid == type &&
				row->deptype == DEPENDENCY_INTERNAL;
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return found;
}

void insert_object(Oid class_id, Oid object_id, int32 sub_id)
{
	if (object_is_distributed(class_id, object_id))
		return;
	Datum values[OBJECT_COLUMNS] = {};
	bool nulls[OBJECT_COLUMNS];
	for (bool& is_null : nulls)
		is_null = true;
	values[OBJECT_CLASS - 1] = ObjectIdGetDatum(class_id);
	values[OBJECT_ID - 1] = ObjectIdGetDatum(object_id);
	values[OBJECT_SUBID - 1] = Int32GetDatum(sub_id);
	nulls[OBJECT_CLASS - 1] = nulls[OBJECT_ID - 1] = nulls[OBJECT_SUBID - 1] = false;
	insert_row(Catalog::Object, values, nulls);
	CommandCounterIncrement();
}

void delete_object(Oid class_id, Oid object_id, int32 sub_id)
{
	ScanKeyData keys[3] = {equals_oid(OBJECT_CLASS, class_id), equals_oid(OBJECT_ID, object_id),
						   equals_int4(OBJECT_SUBID, sub_id)};
	delete_rows(Catalog::Object, Catalog::ObjectPkey, keys, 3);
	CommandCounterIncrement();
}

void set_function_placement(Oid function, int argument, ColocationId colocation)
{
	delete_object(ProcedureRelationId, function, 0);
	Datum values[OBJECT_COLUMNS] = {};
	bool nulls[OBJECT_COLUMNS];
	for (bool& is_null : nulls)
		is_null = true;
	values[OBJECT_CLASS - 1] = ObjectIdGetDatum(ProcedureRelationId);
	values[OBJECT_ID - 1] = ObjectIdGetDatum(function);
	values[OBJECT_SUBID - 1] = Int32GetDatum(0);
	nulls[OBJECT_CLASS - 1] = nulls[OBJECT_ID - 1] = nulls[OBJECT_SUBID - 1] = false;
	values[OBJECT_ARGUMENT - 1] = Int32GetDatum(argument);
	nulls[OBJECT_ARGUMENT - 1] = argument < 0;
	values[OBJECT_COLOCATION - 1] = Int32GetDatum(colocation);
	nulls[OBJECT_COLOCATION - 1] = colocation == INVALID_COLOCATION_ID;
	insert_row(Catalog::Object, values, nulls);
	CommandCounterIncrement();
}

void shard_id_settings_init();

void shard_id_settings_init()
{
	DefineCustomIntVariable("citus.next_shard_id", "The id that the next new shard gets.",
							"For tests that print shard ids: it counts up from here instead of the "
							"sequence. 0 turns it off.",
							&next_shard_id_setting, 0, 0, INT_MAX, PGC_USERSET, GUC_NO_SHOW_ALL,
							nullptr, nullptr, nullptr);
	DefineCustomIntVariable("citus.next_placement_id", "The id that the next new placement gets.",
							"For tests that print placement ids, like citus.next_shard_id.",
							&next_placement_id_setting, 0, 0, INT_MAX, PGC_USERSET, GUC_NO_SHOW_ALL,
							nullptr, nullptr, nullptr);
}

} // namespace civitas::catalog
