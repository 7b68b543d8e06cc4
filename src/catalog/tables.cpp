/*
 * tables.cpp: the per-backend cache of pg_dist_partition, pg_dist_shard and pg_dist_placement.
 *
 * Model: a hash table from relation oid to entry. An entry either points at a Table in a memory
 * context of its own or says "not in the metadata", so that plain tables cost one lookup. The
 * relcache callback marks entries stale (and removes those of plain tables, so that temporary
 * tables do not pile up); the next find_table() builds a new Table and retires the old one, or, in a
 * later transaction, frees those of tables that nobody has asked for again. A
 * second hash table from shard id to (table, index) is filled one table at a time and is only a
 * hint: answers are checked against the table's entry.
 *
 * Invariants: a Table never changes once it is published. A build that saw an invalidation of its
 * table while it was reading starts over, so an entry is never older than the last message about
 * it.
 */
#include "civitas/catalog/tables.h"
#include "civitas/catalog/hash_function.h"
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/relations.h"
#include "civitas/catalog/retired.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"
#include "civitas/shard/hash_range.h"
#include "distribution_key.h"
#include "shard_owner.h"

CIVITAS_PG_BEGIN
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::catalog {

void (*table_changed_hook)();

namespace {

struct TableEntry
{
	Oid relid; /* key */
	bool valid;
	bool listed;  /* among the stale ones, and not to be removed until it has been taken off */
	Table *table; /* null: a plain table */
	MemoryContext context;
	TableEntry *next_stale;
};

struct ShardEntry
{
	ShardId shard_id; /* key */
	Oid relid;
	int32 index;
};

/* A row of pg_dist_placement while a table is built. */
struct PlacementRow
{
	ShardId shard_id;
	Placement placement;
};

HTAB *table_cache = nullptr;
HTAB *shard_cache = nullptr;
Oid partition_relid = InvalidOid;
Oid building = InvalidOid;
bool building_changed = false;
/* Entries that are not valid, and some that are again; the last transaction that added to them. */
TableEntry *stale_entries = nullptr;
LocalTransactionId stale_in = InvalidLocalTransactionId;

void forget_entry(TableEntry *entry)
{
	if (entry->table == nullptr && !entry->listed)
	{
		Oid relid = entry->relid;
		hash_search(table_cache, &relid, HASH_REMOVE, nullptr);
	}
	else
	{
		if (entry->valid && entry->table != nullptr && table_changed_hook != nullptr)
			table_changed_hook();
		entry->valid = false;
		if (!entry->listed)
		{
			entry->listed = true;
			entry->next_stale = stale_entries;
			stale_entries = entry;
		}
		stale_in = pg::local_transaction_id();
	}
}

/* Shards of a Table that is to go are no longer hints. */
void forget_shards(const Table& table)
{
	for (int index = 0; index < table.shard_count; index++)
		hash_search(shard_cache, &table.shards[index].shard_id, HASH_REMOVE, nullptr);
}

/* Entries that went stale in an earlier transaction and that nobody has asked for since: of tables
 * that are dropped, most of them. */
void free_stale()
{
	if (stale_entries == nullptr || pg::local_transaction_id() == stale_in)
		return;
	while (stale_entries != nullptr)
	{
		TableEntry *entry = stale_entries;
		stale_entries = entry->next_stale;
		entry->listed = false;
		if (entry->valid)
			continue;
		if (entry->table != nullptr)
		{
			forget_shards(*entry->table);
			MemoryContextDelete(entry->context);
		}
		const Oid relid = entry->relid;
		hash_search(table_cache, &relid, HASH_REMOVE, nullptr);
	}
}

void forget_table(Datum, Oid relid)
{
	if (!OidIsValid(relid) || relid == building || relid == partition_relid)
		building_changed = true;
	if (table_cache == nullptr)
		return;
	if (OidIsValid(relid) && relid != partition_relid)
	{
		auto *entry =
			static_cast<TableEntry *>(hash_search(table_cache, &relid, HASH_FIND, nullptr));
		if (entry != nullptr)
			forget_entry(entry);
		return;
	}
	HASH_SEQ_STATUS all;
	hash_seq_init(&all, table_cache);
	while (auto *entry = static_cast<TableEntry *>(hash_seq_search(&all)))
		forget_entry(entry);
}

void create_caches()
{
	HASHCTL control = {};
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(TableEntry);
	control.hcxt = CacheMemoryContext;
	table_cache = hash_create("citus tables", 128, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	control.keysize = sizeof(ShardId);
	control.entrysize = sizeof(ShardEntry);
	shard_cache = hash_create("citus shards", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

TableKind kind_of(char partmethod, char repmodel, ColocationId colocation)
{
	switch (partmethod)
	{
	case 'h':
		return TableKind::Hash;
	case 'r':
		return TableKind::Range;
	case 'a':
		return TableKind::Append;
	case 'n':
		if (repmodel == 't')
			return TableKind::Reference;
		return colocation != INVALID_COLOCATION_ID ? TableKind::SingleShard : TableKind::Local;
	default:
		/* Nobody queries these. */
		return TableKind::Append;
	}
}

/* Reads the table's row of pg_dist_partition; false where there is none. */
bool read_partition(Oid relid, Table *table)
{
	Relation relation = table_open(readable_relation_oid(Catalog::Partition), AccessShareLock);
	ScanKeyData key;
	ScanKeyInit(&key, PARTITION_RELID, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	SysScanDesc scan = systable_beginscan(
		relation, readable_relation_oid(Catalog::PartitionRelidIndex), true, nullptr, 1, &key);
	HeapTuple tuple = systable_getnext(scan);
	const bool found = HeapTupleIsValid(tuple);
	if (found)
	{
		Datum values[PARTITION_COLUMNS];
		bool nulls[PARTITION_COLUMNS];
		heap_deform_tuple(tuple, RelationGetDescr(relation), values, nulls);
		table->relid = relid;
		table->partmethod = DatumGetChar(values[PARTITION_METHOD - 1]);
		table->repmodel = DatumGetChar(values[PARTITION_REPMODEL - 1]);
		table->colocation_id = DatumGetInt32(values[PARTITION_COLOCATION - 1]);
		table->autoconverted = !nulls[PARTITION_AUTOCONVERTED - 1] &&
							   DatumGetBool(values[PARTITION_AUTOCONVERTED - 1]);
		table->kind = kind_of(table->partmethod, table->repmodel, table->colocation_id);
		if (!nulls[PARTITION_KEY - 1])
			table->distribution_attno =
				find_column_of_distribution_key(TextDatumGetCString(values[PARTITION_KEY - 1]));
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return found;
}

/* A bound of a hash range; false where it is none. */
bool read_bound(Datum value, bool is_null, int32 *bound)
{
	if (is_null)
		return false;
	char *end = nullptr;
	const char *digits = TextDatumGetCString(value);
	const long number = strtol(digits, &end, 10);
	*bound = static_cast<int32>(number);
	return end != digits && *end == '\0' && *bound == number;
}

int compare_shards_by_range(const void *left, const void *right)
{
	const Shard& a = *static_cast<const Shard *>(left);
	const Shard& b = *static_cast<const Shard *>(right);
	if (a.min_hash != b.min_hash)
		return a.min_hash < b.min_hash ? -1 : 1;
	return a.shard_id < b.shard_id ? -1 : a.shard_id > b.shard_id;
}

int compare_placements(const void *left, const void *right)
{
	const PlacementRow& a = *static_cast<const PlacementRow *>(left);
	const PlacementRow& b = *static_cast<const PlacementRow *>(right);
	if (a.shard_id != b.shard_id)
		return a.shard_id < b.shard_id ? -1 : 1;
	return a.placement.group_id < b.placement.group_id
			   ? -1
			   : a.placement.group_id > b.placement.group_id;
}

/* All shards of the table in order, without placements. */
void read_shards(Table& table, pg::Vec<Shard>& shards)
{
	Relation relation = table_open(readable_relation_oid(Catalog::Shard), AccessShareLock);
	ScanKeyData key;
	ScanKeyInit(&key, SHARD_RELID, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(table.relid));
	SysScanDesc scan = systable_beginscan(relation, readable_relation_oid(Catalog::ShardRelidIndex),
										  true, nullptr, 1, &key);
	for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple);
		 tuple = systable_getnext(scan))
	{
		Datum values[SHARD_COLUMNS];
		bool nulls[SHARD_COLUMNS];
		heap_deform_tuple(tuple, RelationGetDescr(relation), values, nulls);
		Shard shard = {};
		shard.shard_id = DatumGetInt64(values[SHARD_ID - 1]);
		if (table.kind == TableKind::Hash &&
			!(read_bound(values[SHARD_MIN - 1], nulls[SHARD_MIN - 1], &shard.min_hash) &&
			  read_bound(values[SHARD_MAX - 1], nulls[SHARD_MAX - 1], &shard.max_hash)))
			table.damage = psprintf("Shard " INT64_FORMAT " has no hash range.", shard.shard_id);
		shards.push(shard);
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	if (shards.size() > 1)
		qsort(shards.data(), shards.size(), sizeof(Shard), compare_shards_by_range);
}

/* Placements of the shards with ids first..last (both inclusive). */
void read_placement_range(Relation relation, ShardId first, ShardId last,
						  pg::Vec<PlacementRow>& rows)
{
	ScanKeyData keys[2];
	ScanKeyInit(&keys[0], PLACEMENT_SHARD, BTGreaterEqualStrategyNumber, F_INT8GE,
				Int64GetDatum(first));
	ScanKeyInit(&keys[1], PLACEMENT_SHARD, BTLessEqualStrategyNumber, F_INT8LE,
				Int64GetDatum(last));
	SysScanDesc scan = systable_beginscan(
		relation, readable_relation_oid(Catalog::PlacementShardIndex), true, nullptr, 2, keys);
	for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple);
		 tuple = systable_getnext(scan))
	{
		Datum values[PLACEMENT_COLUMNS];
		bool nulls[PLACEMENT_COLUMNS];
		heap_deform_tuple(tuple, RelationGetDescr(relation), values, nulls);
		if (DatumGetInt32(values[PLACEMENT_STATE - 1]) != PLACEMENT_STATE_ACTIVE)
			continue;
		rows.push({DatumGetInt64(values[PLACEMENT_SHARD - 1]),
				   {DatumGetInt64(values[PLACEMENT_ID - 1]),
					DatumGetInt32(values[PLACEMENT_GROUP - 1])}});
	}
	systable_endscan(scan);
}

/* Placements of all shards: one range scan where the shard ids lie close together, as they do
 * after create_distributed_table; otherwise a scan for each shard. */
void read_placements(const pg::Vec<Shard>& shards, pg::Vec<PlacementRow>& rows)
{
	if (shards.empty())
		return;
	ShardId lowest = shards[0].shard_id;
	ShardId highest = lowest;
	for (const Shard& shard : shards)
	{
		lowest = shard.shard_id < lowest ? shard.shard_id : lowest;
		highest = shard.shard_id > highest ? shard.shard_id : highest;
	}
	Relation relation = table_open(readable_relation_oid(Catalog::Placement), AccessShareLock);
	if (highest - lowest < 2 * static_cast<int64>(shards.size()))
		read_placement_range(relation, lowest, highest, rows);
	else
		for (const Shard& shard : shards)
			read_placement_range(relation, shard.shard_id, shard.shard_id, rows);
	table_close(relation, AccessShareLock);
	if (rows.size() > 1)
		qsort(rows.data(), rows.size(), sizeof(PlacementRow), compare_placements);
}

/* Index of the first row of the shard in sorted rows, or rows.size(). */
int first_row_of(const pg::Vec<PlacementRow>& rows, ShardId shard_id)
{
	int low = 0;
	int high = rows.size();
	while (low < high)
	{
		const int middle = low + (high - low) / 2;
		if (rows[middle].shard_id < shard_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Column type, collation and hash function of the distribution column. What is wrong with it, or
 * null. */
const char *read_distribution_column(Table *table, MemoryContext context)
{
	HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(table->relid),
									  Int16GetDatum(table->distribution_attno));
	if (!HeapTupleIsValid(tuple))
		return "Its distribution column does not exist.";
	const auto *attribute = reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple));
	const bool dropped = attribute->attisdropped;
	const Oid type_id = attribute->atttypid;
	const Oid collation = attribute->attcollation;
	ReleaseSysCache(tuple);
	if (dropped)
		return "Its distribution column was dropped.";
	if (!SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(type_id)))
		return "The type of its distribution column does not exist.";
	table->distribution_type = type_id;
	table->distribution_collation = collation;
	if (table->kind != TableKind::Hash)
		return nullptr;
	const Oid function = find_hash_function(type_id);
	if (!OidIsValid(function))
		return "The type of its distribution column has no hash function.";
	table->hash_finfo = static_cast<FmgrInfo *>(palloc0(sizeof(FmgrInfo)));
	fmgr_info_cxt(function, table->hash_finfo, context);
	return nullptr;
}

/* What is wrong with the set of shards, or null. Of range and append tables any set will do. */
const char *wrong_with_shards(const Table& table)
{
	for (int i = 0; i < table.shard_count; i++)
		if (table.shards[i].placement_count == 0)
			return psprintf("Shard " INT64_FORMAT " has no placement.", table.shards[i].shard_id);
	if (table.kind == TableKind::Range || table.kind == TableKind::Append)
		return nullptr;
	if (table.shard_count == 0)
		return "It has no shards.";
	if (table.kind != TableKind::Hash)
		return table.shard_count > 1 ? "It has more than one shard." : nullptr;
	int64 next = PG_INT32_MIN;
	for (int i = 0; i < table.shard_count; i++)
	{
		if (table.shards[i].min_hash != next)
			return psprintf("The hash range of shard " INT64_FORMAT
							" does not follow that of its neighbour.",
							table.shards[i].shard_id);
		next = static_cast<int64>(table.shards[i].max_hash) + 1;
	}
	return next == static_cast<int64>(PG_INT32_MAX) + 1 ? nullptr
														: "The last shards of it are missing.";
}

bool has_uniform_ranges(const pg::Vec<Shard>& shards)
{
	for (int i = 0; i < shards.size(); i++)
	{
		const shard::HashRange range = shard::uniform_range(i, shards.size());
		if (shards[i].min_hash != range.min || shards[i].max_hash != range.max)
			return false;
	}
	return !shards.empty();
}

/* Everything the metadata says about the table, in `context`; null for a plain table. */
Table *build_table(Oid relid, MemoryContext context)
{
	Table partition = {};
	if (!read_partition(relid, &partition))
		return nullptr;

	/* Working memory is the caller's; what lasts goes to the context. */
	pg::Vec<Shard> shards;
	pg::Vec<PlacementRow> rows;
	read_shards(partition, shards);
	read_placements(shards, rows);

	MemoryContext caller = MemoryContextSwitchTo(context);
	auto *table = static_cast<Table *>(palloc(sizeof(Table)));
	*table = partition;
	const char *wrong_column = nullptr;
	if (table->distribution_attno != 0)
		wrong_column = read_distribution_column(table, context);
	else if (table->kind == TableKind::Hash)
		wrong_column = "It has no distribution column.";
	if (wrong_column != nullptr)
		table->distribution_attno = InvalidAttrNumber;
	table->shard_count = shards.size();
	auto *placements = static_cast<Placement *>(palloc(sizeof(Placement) * (rows.size() + 1)));
	auto *kept = static_cast<Shard *>(palloc(sizeof(Shard) * (shards.size() + 1)));
	int placement_count = 0;
	for (int i = 0; i < shards.size(); i++)
	{
		kept[i] = shards[i];
		kept[i].first_placement = placement_count;
		for (int row = first_row_of(rows, kept[i].shard_id);
			 row < rows.size() && rows[row].shard_id == kept[i].shard_id; row++)
			placements[placement_count++] = rows[row].placement;
		kept[i].placement_count = placement_count - kept[i].first_placement;
	}
	table->shards = kept;
	table->placements = placements;
	table->uniform = table->kind == TableKind::Hash && has_uniform_ranges(shards);
	if (table->damage == nullptr)
		table->damage = wrong_with_shards(*table);
	table->readable = table->damage == nullptr;
	if (table->readable)
		table->damage = wrong_column;
	else
		table->damage = pstrdup(table->damage);
	MemoryContextSwitchTo(caller);
	return table;
}

const Table *build_entry(Oid relid)
{
	if (!extension_installed())
		return nullptr;
	free_retired();
	free_stale();
	partition_relid = readable_relation_oid(Catalog::Partition);

	MemoryContext caller = CurrentMemoryContext;
	MemoryContext work =
		AllocSetContextCreate(caller, "citus table lookup", ALLOCSET_DEFAULT_SIZES);
	MemoryContext context = nullptr;
	Table *table;
	do
	{
		MemoryContextReset(work);
		MemoryContextSwitchTo(work);
		context = AllocSetContextCreate(work, "citus table", ALLOCSET_SMALL_SIZES);
		building = relid;
		building_changed = false;
		table = build_table(relid, context);
		building = InvalidOid;
	} while (building_changed);
	MemoryContextSwitchTo(caller);
	if (table == nullptr)
		check_not_copied(relid);

	if (table_cache == nullptr)
		create_caches();
	bool found;
	auto *entry = static_cast<TableEntry *>(hash_search(table_cache, &relid, HASH_ENTER, &found));
	if (!found)
		entry->listed = false;
	else if (entry->table != nullptr)
	{
		forget_shards(*entry->table);
		retire(entry->context);
	}
	if (table != nullptr)
		MemoryContextSetParent(context, CacheMemoryContext);
	entry->table = table;
	entry->context = table != nullptr ? context : nullptr;
	entry->valid = true;
	MemoryContextDelete(work);
	return table;
}

List *read_table_oids(Catalog index, ScanKey key)
{
	List *oids = NIL;
	Relation relation = table_open(readable_relation_oid(Catalog::Partition), AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, readable_relation_oid(index), true, nullptr,
										  key != nullptr ? 1 : 0, key);
	for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple);
		 tuple = systable_getnext(scan))
	{
		bool is_null;
		oids =
			lappend_oid(oids, DatumGetObjectId(heap_getattr(tuple, PARTITION_RELID,
															RelationGetDescr(relation), &is_null)));
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	list_sort(oids, list_oid_cmp);
	return oids;
}

} // namespace

Oid read_shard_owner(ShardId shard_id)
{
	Oid owner = InvalidOid;
	Relation relation = table_open(readable_relation_oid(Catalog::Shard), AccessShareLock);
	ScanKeyData key;
	ScanKeyInit(&key, SHARD_ID, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(shard_id));
	SysScanDesc scan = systable_beginscan(relation, readable_relation_oid(Catalog::ShardIdIndex),
										  true, nullptr, 1, &key);
	HeapTuple tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool is_null;
		owner = DatumGetObjectId(
			heap_getattr(tuple, SHARD_RELID, RelationGetDescr(relation), &is_null));
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return owner;
}

const Table *find_table(Oid relid)
{
	/* Nothing in pg_catalog or information_schema is ever distributed. */
	if (relid < FirstNormalObjectId)
		return nullptr;
	if (table_cache != nullptr)
	{
		auto *entry =
			static_cast<TableEntry *>(hash_search(table_cache, &relid, HASH_FIND, nullptr));
		if (entry != nullptr && entry->valid)
			return entry->table;
	}
	return build_entry(relid);
}

const Table& get_table(Oid relid)
{
	const Table *table = find_table(relid);
	if (table == nullptr)
	{
		const char *name = get_rel_name(relid);
		if (name == nullptr)
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
							errmsg("relation with OID %u does not exist", relid)));
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("table %s is not distributed", name)));
	}
	return *table;
}

const Table **get_tables_at_once(Oid first, const List *others)
{
	auto **tables =
		static_cast<const Table **>(palloc(sizeof(const Table *) * (list_length(others) + 1)));
	uint64 generation;
	do
	{
		/* Locks that are held already let messages lie. */
		AcceptInvalidationMessages();
		generation = names_generation();
		tables[0] = OidIsValid(first) ? &get_table(first) : nullptr;
		ListCell *cell;
		foreach (cell, others)
		{
			const Oid relid = lfirst_oid(cell);
			const Table *table = nullptr;
			if (OidIsValid(relid))
				table = relid == first ? tables[0] : &get_table(relid);
			tables[foreach_current_index(cell) + 1] = table;
		}
	} while (generation != names_generation());
	return tables;
}

int32 hash_value(const Table& table, Datum value)
{
	if (table.hash_finfo == nullptr)
		refuse_damaged(table);
	return DatumGetInt32(FunctionCall1Coll(table.hash_finfo, table.distribution_collation, value));
}

int shard_index_of_value(const Table& table, Datum value, bool is_null)
{
	return shard_index_of_hash(table, is_null ? NULL_HASH : hash_value(table, value));
}

int shard_index_of_hash(const Table& table, int32 hash)
{
	if (table.uniform)
		return shard::uniform_index(hash, table.shard_count);
	int low = 0;
	int high = table.shard_count;
	while (low < high)
	{
		const int middle = low + (high - low) / 2;
		if (table.shards[middle].max_hash < hash)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == table.shard_count || table.shards[low].min_hash > hash)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED), errmsg("no shard of table %s holds hash value %d",
														 get_rel_name(table.relid), hash)));
	return low;
}

bool find_shard(ShardId shard_id, ShardOwner *owner)
{
	if (shard_cache != nullptr)
	{
		auto *entry =
			static_cast<ShardEntry *>(hash_search(shard_cache, &shard_id, HASH_FIND, nullptr));
		if (entry != nullptr)
		{
			const Table *table = find_table(entry->relid);
			if (table != nullptr && entry->index < table->shard_count &&
				table->shards[entry->index].shard_id == shard_id)
			{
				*owner = {entry->relid, entry->index};
				return true;
			}
			hash_search(shard_cache, &shard_id, HASH_REMOVE, nullptr);
		}
	}
	if (!extension_installed())
		return false;
	const Oid relid = read_shard_owner(shard_id);
	const Table *table = OidIsValid(relid) ? find_table(relid) : nullptr;
	if (table == nullptr)
		return false;
	bool found = false;
	for (int index = 0; index < table->shard_count; index++)
	{
		const ShardId id = table->shards[index].shard_id;
		auto *entry = static_cast<ShardEntry *>(hash_search(shard_cache, &id, HASH_ENTER, nullptr));
		entry->relid = relid;
		entry->index = index;
		if (id == shard_id)
		{
			*owner = {relid, index};
			found = true;
		}
	}
	return found;
}

List *all_table_oids()
{
	return extension_installed() ? read_table_oids(Catalog::PartitionRelidIndex, nullptr) : NIL;
}

namespace {

List *members_of(ColocationId colocation_id)
{
	if (!extension_installed() || colocation_id == INVALID_COLOCATION_ID)
		return NIL;
	ScanKeyData key;
	ScanKeyInit(&key, PARTITION_COLOCATION, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(colocation_id));
	return read_table_oids(Catalog::PartitionColocationIndex, &key);
}

List *without_damaged(List *oids)
{
	ListCell *cell;
	foreach (cell, oids)
	{
		const Table *table = find_table(lfirst_oid(cell));
		if (table == nullptr || table->damage != nullptr)
			oids = foreach_delete_current(oids, cell);
	}
	return oids;
}

} // namespace

List *sound_table_oids()
{
	return without_damaged(all_table_oids());
}

List *colocated_table_oids(ColocationId colocation_id)
{
	return without_damaged(members_of(colocation_id));
}

bool colocation_is_used(ColocationId colocation_id)
{
	return members_of(colocation_id) != NIL;
}

void refuse_damaged(const Table& table)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("the metadata of table \"%s\" is damaged", get_rel_name(table.relid)),
					errdetail_internal("%s", table.damage),
					errhint("Restore its rows in pg_dist_partition, pg_dist_shard and "
							"pg_dist_placement, or drop the table.")));
}

const Table *any_reference_table()
{
	if (!extension_installed())
		return nullptr;
	const Table *found = nullptr;
	Relation relation = table_open(readable_relation_oid(Catalog::Partition), AccessShareLock);
	ScanKeyData key;
	ScanKeyInit(&key, PARTITION_REPMODEL, BTEqualStrategyNumber, F_CHAREQ, CharGetDatum('t'));
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 1, &key);
	HeapTuple tuple;
	while (found == nullptr && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool isnull;
		found = find_table(DatumGetObjectId(
			heap_getattr(tuple, PARTITION_RELID, RelationGetDescr(relation), &isnull)));
		if (found != nullptr && found->damage != nullptr)
			found = nullptr;
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return found;
}

bool has_reference_tables(GroupId group_id)
{
	const Table *table = any_reference_table();
	if (table == nullptr)
		return true;
	for (const Placement& placement : table->placements_of(0))
		if (placement.group_id == group_id)
			return true;
	return false;
}

char *distribution_column_name(const Table& table)
{
	return table.distribution_attno != 0 ? get_attname(table.relid, table.distribution_attno, false)
										 : nullptr;
}

void shard_names_init();

void tables_init()
{
	CacheRegisterRelcacheCallback(forget_table, 0);
	shard_names_init();
}

} // namespace civitas::catalog
