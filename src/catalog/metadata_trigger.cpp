/*
 * metadata_trigger.cpp: the trigger that tells caches about metadata edited with plain SQL.
 *
 * The library's own writes (writes.cpp) fire no triggers and send their invalidations themselves.
 */
#include "civitas/catalog/relations.h"
#include "civitas/catalog/writes.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "commands/trigger.h"
#include "utils/inval.h"
#include "utils/rel.h"
CIVITAS_PG_END

namespace catalog = civitas::catalog;

CIVITAS_PG_BEGIN

/* Row trigger of the catalogs: somebody edits the metadata with plain SQL. */
PG_FUNCTION_INFO_V1(citus_internal_metadata_changed);
PGDLLEXPORT Datum citus_internal_metadata_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("must be called as trigger")));
	const auto *trigger = reinterpret_cast<TriggerData *>(fcinfo->context);
	Relation relation = trigger->tg_relation;
	HeapTuple tuples[] = {trigger->tg_trigtuple, trigger->tg_newtuple};
	const char *name = RelationGetRelationName(relation);
	for (HeapTuple tuple : tuples)
	{
		if (!HeapTupleIsValid(tuple))
			continue;
		bool is_null;
		if (strcmp(name, "pg_dist_partition") == 0 || strcmp(name, "pg_dist_shard") == 0)
			catalog::invalidate_table(
				DatumGetObjectId(heap_getattr(tuple, 1, RelationGetDescr(relation), &is_null)));
		else if (strcmp(name, "pg_dist_placement") == 0)
		{
			catalog::ShardOwner owner;
			const civitas::ShardId shard_id = DatumGetInt64(heap_getattr(
				tuple, catalog::PLACEMENT_SHARD, RelationGetDescr(relation), &is_null));
			if (catalog::extension_installed() && catalog::find_shard(shard_id, &owner))
				catalog::invalidate_table(owner.relid);
		}
		else if (catalog::extension_installed())
			CacheInvalidateRelcache(relation);
	}
	return PointerGetDatum(nullptr);
}

CIVITAS_PG_END
