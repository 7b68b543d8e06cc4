/*
 * shard_trigger.cpp: row-level triggers, where the rows are.
 *
 * The trigger of a table stands on its shards under the same name and with the same condition, but
 * calls shard_trigger(). That looks up the trigger of the table beside the shard and calls its
 * function as if the row were the table's: TG_RELID, TG_TABLE_NAME, TG_TABLE_SCHEMA and the row type
 * are the table's, and so are the arguments. Where columns are not in the same places, because the
 * table has dropped some, rows are converted on the way in and out.
 *
 * Only what runs before the row is called here. What runs after it is called where the statement was
 * asked (fired_rows.cpp), unless it waits for the end of the transaction. A row with several placements
 * is one row: it fires at the first of them.
 * Rows that are copied from shard to shard, or into new shards, are no new rows, and fire nothing.
 *
 * The table beside the shard is not locked: who changes its triggers changes those of the shards in
 * the same transaction, and needs a lock on the shard that whoever fires its trigger holds.
 */
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/propagation.h"
#include "civitas/catalog/tables.h"
#include "civitas/pg/server.h"
#include "fired_rows.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/tupconvert.h"
#include "catalog/partition.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/reltrigger.h"
CIVITAS_PG_END

namespace civitas::executor {

namespace {

/* What a trigger of a shard stands for, as long as the statement that fires it. */
struct Behind
{
	Oid shard;
	Oid table;
	bool first_placement;
	AttrNumber key;			/* of the table; 0: none */
	const Trigger *trigger; /* null: the table has no such trigger any more */
	FmgrInfo function;
	TupleConversionMap *to_table; /* null: the columns are in the same places */
	TupleConversionMap *to_shard;
};
CIVITAS_SERVER_STATE(Behind);

bool is_first_placement(const catalog::Table& table, int index)
{
	const auto placements = table.placements_of(index);
	return placements.size() <= 1 || placements[0].group_id == catalog::local_group_id();
}

const Trigger *trigger_named(const TriggerDesc *triggers, const char *name)
{
	for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++)
		if (strcmp(triggers->triggers[i].tgname, name) == 0)
			return &triggers->triggers[i];
	return nullptr;
}

/* A trigger for statements stands on the table that they name alone, which may be a parent of the one
 * beside the shard. */
Oid table_with_trigger(Oid relid, const char *name)
{
	for (Oid table = relid;;)
	{
		Relation shell = RelationIdGetRelation(table);
		if (shell == nullptr)
			return relid;
		const bool found = trigger_named(shell->trigdesc, name) != nullptr;
		const bool partition = shell->rd_rel->relispartition;
		RelationClose(shell);
		if (found)
			return table;
		if (!partition)
			return relid;
		table = get_partition_parent(table, true);
	}
}

[[noreturn]] void refuse_shard(Relation shard)
{
	ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
					errmsg("\"%s\" is not a shard", RelationGetRelationName(shard)),
					errdetail("shard_trigger() fires the triggers of distributed tables.")));
}

Behind *look_behind(FmgrInfo *info, const TriggerData *data)
{
	auto *behind = static_cast<Behind *>(info->fn_extra);
	Relation shard = data->tg_relation;
	if (behind != nullptr && behind->shard == RelationGetRelid(shard))
		return behind;
	catalog::ShardOwner owner;
	if (!catalog::is_known_shard(RelationGetRelid(shard), &owner))
		refuse_shard(shard);
	const catalog::Table& table = catalog::get_table(owner.relid);
	const Oid relid = table_with_trigger(owner.relid, data->tg_trigger->tgname);
	MemoryContext old = MemoryContextSwitchTo(info->fn_mcxt);
	behind = static_cast<Behind *>(palloc0(sizeof(Behind)));
	behind->shard = RelationGetRelid(shard);
	behind->table = relid;
	behind->first_placement = is_first_placement(table, owner.shard_index);
	behind->key = table.distribution_attno;
	Relation shell = RelationIdGetRelation(relid);
	if (shell == nullptr)
		refuse_shard(shard);
	behind->trigger = trigger_named(CopyTriggerDesc(shell->trigdesc), data->tg_trigger->tgname);
	if (behind->trigger != nullptr)
		fmgr_info_cxt(behind->trigger->tgfoid, &behind->function, info->fn_mcxt);
	TupleDesc shard_row = CreateTupleDescCopy(RelationGetDescr(shard));
	TupleDesc table_row = CreateTupleDescCopy(RelationGetDescr(shell));
	behind->to_table = convert_tuples_by_name(shard_row, table_row);
	behind->to_shard = convert_tuples_by_name(table_row, shard_row);
	RelationClose(shell);
	MemoryContextSwitchTo(old);
	info->fn_extra = behind;
	return behind;
}

/* A row on its way to the function. */
struct Row
{
	HeapTuple own;	 /* the shard's */
	HeapTuple given; /* the table's */
	HeapTupleData head;
};

void give(Row *row, HeapTuple tuple, const Behind *behind)
{
	*row = {tuple, nullptr, {}};
	if (tuple == nullptr)
		return;
	if (behind->to_table != nullptr)
		row->given = execute_attr_map_tuple(tuple, behind->to_table);
	else
	{
		row->head = *tuple;
		row->given = &row->head;
	}
	row->given->t_tableOid = behind->table;
}

HeapTuple take_back(HeapTuple result, const Row& old_row, const Row& new_row, const Behind *behind)
{
	if (result == nullptr)
		return nullptr;
	if (new_row.own != nullptr && result == new_row.given)
		return new_row.own;
	if (result == old_row.given)
		return old_row.own;
	return behind->to_shard != nullptr ? execute_attr_map_tuple(result, behind->to_shard) : result;
}

/* The columns that an UPDATE sets, by the table's numbers. */
Bitmapset *columns_of_table(const Bitmapset *columns, const Behind *behind)
{
	if (behind->to_table == nullptr || columns == nullptr)
		return const_cast<Bitmapset *>(columns);
	Bitmapset *result = nullptr;
	const AttrMap *map = behind->to_table->attrMap;
	for (int attno = 1; attno <= map->maplen; attno++)
		if (map->attnums[attno - 1] != 0 &&
			bms_is_member(map->attnums[attno - 1] - FirstLowInvalidHeapAttributeNumber, columns))
			result = bms_add_member(result, attno - FirstLowInvalidHeapAttributeNumber);
	return result;
}

/* The shard was chosen by the value that the row had. */
void check_key(const Behind *behind, Relation shell, HeapTuple before, HeapTuple after)
{
	if (behind->key == 0 || before == nullptr || after == nullptr || before == after)
		return;
	bool was_null;
	bool is_null;
	const Datum was = heap_getattr(before, behind->key, RelationGetDescr(shell), &was_null);
	const Datum is = heap_getattr(after, behind->key, RelationGetDescr(shell), &is_null);
	const auto *column = TupleDescAttr(RelationGetDescr(shell), behind->key - 1);
	if (was_null == is_null &&
		(is_null || datum_image_eq(was, is, column->attbyval, column->attlen)))
		return;
	ereport(
		ERROR,
		(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		 errmsg("trigger \"%s\" of distributed table \"%s\" changes the distribution column "
				"\"%s\"",
				behind->trigger->tgname, RelationGetRelationName(shell), NameStr(column->attname)),
		 errdetail("The row is in the shard that the value of the column decided."),
		 errhint("Set the column in the statement.")));
}

/* As if the trigger were not there. */
Datum unchanged(const TriggerData *data)
{
	if (!TRIGGER_FIRED_BEFORE(data->tg_event))
		return PointerGetDatum(nullptr);
	return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple
																   : data->tg_trigtuple);
}

} // namespace

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_internal_shard_trigger);
PGDLLEXPORT Datum citus_internal_shard_trigger(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("shard_trigger() is not called by a trigger")));
	const auto *data = reinterpret_cast<const TriggerData *>(fcinfo->context);
	if (catalog::moving_rows() || !TRIGGER_FIRED_FOR_ROW(data->tg_event))
		return unchanged(data);
	Behind *behind = look_behind(fcinfo->flinfo, data);
	if (behind->trigger == nullptr ||
		(TRIGGER_FIRED_AFTER(data->tg_event) && !behind->first_placement))
		return unchanged(data);

	Relation shell = RelationIdGetRelation(behind->table);
	if (shell == nullptr)
		refuse_shard(data->tg_relation);
	Row old_row;
	Row new_row;
	give(&old_row, data->tg_trigtuple, behind);
	give(&new_row, data->tg_newtuple, behind);
	if (fires_where_asked(*behind->trigger))
	{
		const bool insert = TRIGGER_FIRED_BY_INSERT(data->tg_event);
		keep_fired_row(shell, *behind->trigger, data->tg_event, insert ? nullptr : old_row.given,
					   insert ? old_row.given : new_row.given);
		RelationClose(shell);
		return PointerGetDatum(nullptr);
	}
	TriggerData own = *data;
	own.tg_relation = shell;
	own.tg_trigger = const_cast<Trigger *>(behind->trigger);
	own.tg_trigtuple = old_row.given;
	own.tg_newtuple = new_row.given;
	own.tg_updatedcols = columns_of_table(data->tg_updatedcols, behind);
	LOCAL_FCINFO(inner, 0);
	InitFunctionCallInfoData(*inner, &behind->function, 0, InvalidOid,
							 reinterpret_cast<Node *>(&own), nullptr);
	const Datum result = FunctionCallInvoke(inner);
	fcinfo->isnull = inner->isnull;
	HeapTuple tuple = nullptr;
	if (TRIGGER_FIRED_BEFORE(data->tg_event) && !inner->isnull)
	{
		auto *returned = reinterpret_cast<HeapTuple>(DatumGetPointer(result));
		if (!TRIGGER_FIRED_BY_DELETE(data->tg_event))
			check_key(behind, shell, new_row.own != nullptr ? new_row.given : old_row.given,
					  returned);
		tuple = take_back(returned, old_row, new_row, behind);
	}
	RelationClose(shell);
	return PointerGetDatum(tuple);
}

CIVITAS_PG_END

} // namespace civitas::executor
