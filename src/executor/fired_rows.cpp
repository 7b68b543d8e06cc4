/*
 * fired_rows.cpp: functions of triggers that fire after a row are called where the statement was
 * asked.
 *
 *     shard's node: shard_trigger() keeps table, trigger, event, old and new row
 *     asking node:  statement ends -> take_fired_rows() of all nodes that it wrote to, and of this
 *                   one -> transition tables -> the functions, row by row, node by node
 *
 * What such a function writes is written as if the client had done it: in the transaction's sessions,
 * which see what the transaction has done, and end with it. Functions that run before the row must be
 * where the row is.
 *
 * Rows wait in memory until the statement ends. A row that nobody fetched would be a trigger that did
 * not fire, so the transaction fails then.
 */
#include "fired_rows.h"

#include "civitas/catalog/node_session.h"
#include "civitas/catalog/tables.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"
#include "civitas/txn/transaction.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"
#include "utils/tuplestore.h"
#include "utils/varlena.h"
CIVITAS_PG_END

namespace civitas::executor {

namespace {

/* What travels of one firing: parts of the array that take_fired_rows() returns. */
enum Part
{
	SCHEMA,
	TABLE,
	TRIGGER,
	EVENT,
	OLD_ROW,
	NEW_ROW,
	PARTS
};

struct KeptRow
{
	SubTransactionId subtransaction;
	char *parts[PARTS]; /* null: no such row */
};

/* In TopTransactionContext of the transaction that it is said for. */
pg::Vec<KeptRow> *kept_rows;
LocalTransactionId kept_in = InvalidLocalTransactionId;

/* Null: none. */
pg::Vec<KeptRow> *kept()
{
	return kept_in == pg::local_transaction_id() ? kept_rows : nullptr;
}

void check_nothing_kept()
{
	if (kept() == nullptr)
		return;
	for (const KeptRow& row : *kept())
		if (SubTransactionIsActive(row.subtransaction))
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("trigger \"%s\" of distributed table \"%s\" was fired by a "
								   "statement on shards that no other node asked for",
								   row.parts[TRIGGER], row.parts[TABLE])));
}

/* Texts that mean the same on every node. */
int begin_exact_text()
{
	const int level = NewGUCNestLevel();
	set_config_option("datestyle", "ISO", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
					  false);
	set_config_option("intervalstyle", "postgres", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
					  true, 0, false);
	set_config_option("extra_float_digits", "3", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
					  0, false);
	return level;
}

char *row_text(Relation table, HeapTuple row)
{
	if (row == nullptr)
		return nullptr;
	const Datum value = heap_copy_tuple_as_datum(row, RelationGetDescr(table));
	return OidOutputFunctionCall(F_RECORD_OUT, value);
}

bool has_transition_tables(const Trigger& trigger)
{
	return trigger.tgoldtable != nullptr || trigger.tgnewtable != nullptr;
}

} // namespace

bool fires_where_asked(const Trigger& trigger)
{
	return has_transition_tables(trigger) ||
		   (TRIGGER_FOR_ROW(trigger.tgtype) && TRIGGER_FOR_AFTER(trigger.tgtype) &&
			!trigger.tgdeferrable);
}

void keep_fired_row(Relation table, const Trigger& trigger, TriggerEvent event, HeapTuple old_row,
					HeapTuple new_row)
{
	const int level = begin_exact_text();
	const char *old_text = row_text(table, old_row);
	const char *new_text = row_text(table, new_row);
	AtEOXact_GUC(true, level);
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	if (kept() == nullptr)
	{
		txn::before_end_hook = check_nothing_kept;
		kept_rows = static_cast<pg::Vec<KeptRow> *>(palloc(sizeof(pg::Vec<KeptRow>)));
		*kept_rows = pg::Vec<KeptRow>(TopTransactionContext);
		kept_in = pg::local_transaction_id();
	}
	kept_rows->push(
		{GetCurrentSubTransactionId(),
		 {get_namespace_name(RelationGetNamespace(table)), pstrdup(RelationGetRelationName(table)),
		  pstrdup(trigger.tgname), psprintf("%u", event & TRIGGER_EVENT_OPMASK),
		  old_text != nullptr ? pstrdup(old_text) : nullptr,
		  new_text != nullptr ? pstrdup(new_text) : nullptr}});
	MemoryContextSwitchTo(old);
}

/* --- what the asking node looks for ----------------------------------------------------------- */

namespace {

bool takes_rows_along(Oid function)
{
	switch (function)
	{
	case F_RI_FKEY_CASCADE_DEL:
	case F_RI_FKEY_CASCADE_UPD:
	case F_RI_FKEY_SETNULL_DEL:
	case F_RI_FKEY_SETNULL_UPD:
	case F_RI_FKEY_SETDEFAULT_DEL:
	case F_RI_FKEY_SETDEFAULT_UPD:
		return true;
	default:
		return false;
	}
}

bool may_keep(Relation table, List **seen)
{
	const TriggerDesc *triggers = table->trigdesc;
	for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++)
	{
		const Trigger& trigger = triggers->triggers[i];
		/* One that fires before the row may write other tables of its node. */
		if (!trigger.tgisinternal &&
			(TRIGGER_FOR_ROW(trigger.tgtype) || has_transition_tables(trigger)))
			return true;
		if (!trigger.tgisinternal || !takes_rows_along(trigger.tgfoid) ||
			list_member_oid(*seen, trigger.tgconstrrelid))
			continue;
		*seen = lappend_oid(*seen, trigger.tgconstrrelid);
		Relation referencing = RelationIdGetRelation(trigger.tgconstrrelid);
		const bool found = referencing != nullptr && may_keep(referencing, seen);
		if (referencing != nullptr)
			RelationClose(referencing);
		if (found)
			return true;
	}
	return false;
}

} // namespace

bool may_keep_fired_rows(Relation table)
{
	List *seen = NIL;
	return table->trigdesc != nullptr && may_keep(table, &seen);
}

TriggerDesc *without_transition_tables(TriggerDesc *triggers)
{
	if (triggers == nullptr)
		return nullptr;
	int count = 0;
	for (int i = 0; i < triggers->numtriggers; i++)
		if (!has_transition_tables(triggers->triggers[i]))
			triggers->triggers[count++] = triggers->triggers[i];
	if (count == triggers->numtriggers)
		return triggers;
	triggers->numtriggers = count;
	triggers->trig_insert_after_statement = false;
	triggers->trig_update_after_statement = false;
	triggers->trig_delete_after_statement = false;
	for (int i = 0; i < count; i++)
	{
		const int16 type = triggers->triggers[i].tgtype;
		if (TRIGGER_FOR_ROW(type) || !TRIGGER_FOR_AFTER(type))
			continue;
		triggers->trig_insert_after_statement |= TRIGGER_FOR_INSERT(type);
		triggers->trig_update_after_statement |= TRIGGER_FOR_UPDATE(type);
		triggers->trig_delete_after_statement |= TRIGGER_FOR_DELETE(type);
	}
	return triggers;
}

/* --- fetching --------------------------------------------------------------------------------- */

namespace {

/* One firing, as it arrived. */
struct Firing
{
	const char *parts[PARTS];
	bool done;
};

void add_firings(pg::Vec<Firing> *firings, ArrayType *array)
{
	Datum *values;
	bool *nulls;
	int count;
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	for (int i = 0; i + PARTS <= count; i += PARTS)
	{
		Firing firing = {};
		for (int part = 0; part < PARTS; part++)
			firing.parts[part] = nulls[i + part] ? nullptr : TextDatumGetCString(values[i + part]);
		firings->push(firing);
	}
}

ArrayType *take_kept_rows()
{
	pg::Vec<Datum> values;
	pg::Vec<bool> nulls;
	const int rows = kept() != nullptr ? kept()->size() : 0;
	for (int i = 0; i < rows; i++)
	{
		/* What a subtransaction did that was rolled back is undone. */
		if (!SubTransactionIsActive((*kept_rows)[i].subtransaction))
			continue;
		for (const char *part : (*kept_rows)[i].parts)
		{
			nulls.push(part == nullptr);
			values.push(part == nullptr ? Datum(0) : CStringGetTextDatum(part));
		}
	}
	kept_in = InvalidLocalTransactionId;
	int dimension = values.size();
	int lower = 1;
	if (dimension == 0)
		return construct_empty_array(TEXTOID);
	return construct_md_array(values.data(), nulls.data(), 1, &dimension, &lower, TEXTOID, -1,
							  false, TYPALIGN_INT);
}

void fetch(remote::Session *session, void *argument)
{
	PGresult *result = remote::query(session, "SELECT citus_internal.take_fired_rows()");
	const Datum array = OidFunctionCall3(F_ARRAY_IN, CStringGetDatum(PQgetvalue(result, 0, 0)),
										 ObjectIdGetDatum(TEXTOID), Int32GetDatum(-1));
	remote::release(result);
	add_firings(static_cast<pg::Vec<Firing> *>(argument), DatumGetArrayTypeP(array));
}

/* --- firing ----------------------------------------------------------------------------------- */

/* A row as the functions get it. */
HeapTuple read_row(Relation table, const char *text)
{
	if (text == nullptr)
		return nullptr;
	const Datum value =
		OidInputFunctionCall(F_RECORD_IN, const_cast<char *>(text), table->rd_rel->reltype, -1);
	HeapTupleHeader header = DatumGetHeapTupleHeader(value);
	auto *row = static_cast<HeapTuple>(palloc0(HEAPTUPLESIZE));
	row->t_len = HeapTupleHeaderGetDatumLength(header);
	row->t_data = header;
	row->t_tableOid = RelationGetRelid(table);
	return row;
}

TupleTableSlot *slot_of(Relation table, HeapTuple row)
{
	if (row == nullptr)
		return nullptr;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(table), &TTSOpsHeapTuple);
	return ExecStoreHeapTuple(row, slot, false);
}

const Trigger *find_trigger(const TriggerDesc *triggers, const char *name)
{
	for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++)
		if (strcmp(triggers->triggers[i].tgname, name) == 0)
			return &triggers->triggers[i];
	return nullptr;
}

bool is_of(const Firing& firing, Relation table, const char *trigger, TriggerEvent event)
{
	return strcmp(firing.parts[TRIGGER], trigger) == 0 &&
		   strcmp(firing.parts[TABLE], RelationGetRelationName(table)) == 0 &&
		   strcmp(firing.parts[SCHEMA], get_namespace_name(RelationGetNamespace(table))) == 0 &&
		   strtoul(firing.parts[EVENT], nullptr, 10) == event;
}

Tuplestorestate *transition_table(Relation table, std::span<const Firing> firings,
								  const char *trigger, TriggerEvent event, Part part)
{
	Tuplestorestate *store = tuplestore_begin_heap(true, false, work_mem);
	for (const Firing& firing : firings)
		if (is_of(firing, table, trigger, event) && firing.parts[part] != nullptr)
		{
			HeapTuple row = read_row(table, firing.parts[part]);
			tuplestore_puttuple(store, row);
		}
	return store;
}

void call(TriggerData *data, FmgrInfo *function, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	LOCAL_FCINFO(info, 0);
	InitFunctionCallInfoData(*info, function, 0, InvalidOid, reinterpret_cast<Node *>(data),
							 nullptr);
	FunctionCallInvoke(info);
	if (info->isnull)
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("trigger function %u returned null value", function->fn_oid)));
	MemoryContextSwitchTo(old);
}

void drop_slot(TupleTableSlot *slot)
{
	if (slot != nullptr)
		ExecDropSingleTupleTableSlot(slot);
}

/* A trigger whose function is being called, for one row after the other. */
struct Called
{
	Relation table;
	const Trigger *trigger;
	FmgrInfo function;
	MemoryContext context;
};

Called open_trigger(const Firing& firing)
{
	const Oid relid =
		get_relname_relid(firing.parts[TABLE], get_namespace_oid(firing.parts[SCHEMA], false));
	Called called = {};
	called.table = table_open(relid, AccessShareLock);
	called.trigger = find_trigger(CopyTriggerDesc(called.table->trigdesc), firing.parts[TRIGGER]);
	if (called.trigger == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("trigger \"%s\" for table \"%s\" does not exist",
							   firing.parts[TRIGGER], firing.parts[TABLE])));
	return called;
}

void make_ready(Called *called)
{
	fmgr_info(called->trigger->tgfoid, &called->function);
	called->context =
		AllocSetContextCreate(CurrentMemoryContext, "trigger call", ALLOCSET_DEFAULT_SIZES);
}

void close_trigger(Called *called)
{
	MemoryContextDelete(called->context);
	table_close(called->table, NoLock);
}

TriggerData data_of(const Called& called, TriggerEvent event)
{
	TriggerData data = {};
	data.type = T_TriggerData;
	data.tg_event = event | TRIGGER_EVENT_AFTER;
	data.tg_relation = called.table;
	data.tg_trigger = const_cast<Trigger *>(called.trigger);
	return data;
}

void call_for_row(Called *called, TriggerData *data, const Firing& firing)
{
	MemoryContext old = MemoryContextSwitchTo(called->context);
	const int level = begin_exact_text();
	HeapTuple old_row = read_row(called->table, firing.parts[OLD_ROW]);
	HeapTuple new_row = read_row(called->table, firing.parts[NEW_ROW]);
	AtEOXact_GUC(true, level);
	data->tg_event |= TRIGGER_EVENT_ROW;
	data->tg_trigtuple = old_row != nullptr ? old_row : new_row;
	data->tg_newtuple = old_row != nullptr ? new_row : nullptr;
	data->tg_trigslot = slot_of(called->table, data->tg_trigtuple);
	data->tg_newslot = slot_of(called->table, data->tg_newtuple);
	MemoryContextSwitchTo(old);
	call(data, &called->function, called->context);
	drop_slot(data->tg_trigslot);
	drop_slot(data->tg_newslot);
	MemoryContextReset(called->context);
}

/* A trigger with transition tables: they hold all rows, whatever the order of firing. */
void fire_with_tables(Called *called, TriggerEvent event, std::span<Firing> firings)
{
	const Trigger& trigger = *called->trigger;
	TriggerData data = data_of(*called, event);
	const int level = begin_exact_text();
	if (trigger.tgoldtable != nullptr)
		data.tg_oldtable = transition_table(called->table, firings, trigger.tgname, event, OLD_ROW);
	if (trigger.tgnewtable != nullptr)
		data.tg_newtable = transition_table(called->table, firings, trigger.tgname, event, NEW_ROW);
	AtEOXact_GUC(true, level);
	if (!TRIGGER_FOR_ROW(trigger.tgtype))
		call(&data, &called->function, called->context);
	for (Firing& firing : firings)
	{
		if (!is_of(firing, called->table, trigger.tgname, event))
			continue;
		firing.done = true;
		if (TRIGGER_FOR_ROW(trigger.tgtype))
			call_for_row(called, &data, firing);
	}
	if (data.tg_oldtable != nullptr)
		tuplestore_end(data.tg_oldtable);
	if (data.tg_newtable != nullptr)
		tuplestore_end(data.tg_newtable);
}

/* In the order in which the rows arrived. */
void fire_all(std::span<Firing> firings)
{
	Called called = {};
	const Firing *last = nullptr;
	for (Firing& firing : firings)
	{
		if (firing.done)
			continue;
		if (last == nullptr || strcmp(last->parts[TRIGGER], firing.parts[TRIGGER]) != 0 ||
			strcmp(last->parts[TABLE], firing.parts[TABLE]) != 0 ||
			strcmp(last->parts[SCHEMA], firing.parts[SCHEMA]) != 0)
		{
			if (last != nullptr)
				close_trigger(&called);
			called = open_trigger(firing);
			make_ready(&called);
		}
		last = &firing;
		const TriggerEvent event = strtoul(firing.parts[EVENT], nullptr, 10);
		if (has_transition_tables(*called.trigger))
			fire_with_tables(&called, event, firings);
		else
		{
			TriggerData data = data_of(called, event);
			call_for_row(&called, &data, firing);
		}
	}
	if (last != nullptr)
		close_trigger(&called);
}

bool is_for(const Trigger& trigger, AclMode change)
{
	return (change == ACL_INSERT && TRIGGER_FOR_INSERT(trigger.tgtype)) ||
		   (change == ACL_UPDATE && TRIGGER_FOR_UPDATE(trigger.tgtype)) ||
		   (change == ACL_DELETE && TRIGGER_FOR_DELETE(trigger.tgtype));
}

bool is_enabled(const Trigger& trigger)
{
	const char off = SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA
						 ? TRIGGER_FIRES_ON_ORIGIN
						 : TRIGGER_FIRES_ON_REPLICA;
	return trigger.tgenabled != TRIGGER_DISABLED && trigger.tgenabled != off;
}

/* Triggers for the statement fire with empty transition tables, too. */
void fire_for_no_rows(const ResultRelInfo *target, AclMode changes, std::span<Firing> firings)
{
	static constexpr struct
	{
		AclMode change;
		TriggerEvent event;
	} EVENTS[] = {{ACL_INSERT, TRIGGER_EVENT_INSERT},
				  {ACL_UPDATE, TRIGGER_EVENT_UPDATE},
				  {ACL_DELETE, TRIGGER_EVENT_DELETE}};
	TriggerDesc *triggers = CopyTriggerDesc(target->ri_RelationDesc->trigdesc);
	for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++)
		for (const auto& kind : EVENTS)
		{
			const Trigger& trigger = triggers->triggers[i];
			bool fired = !has_transition_tables(trigger) || TRIGGER_FOR_ROW(trigger.tgtype) ||
						 (changes & kind.change) == 0 || !is_for(trigger, kind.change) ||
						 !is_enabled(trigger);
			for (const Firing& firing : firings)
				fired = fired || is_of(firing, target->ri_RelationDesc, trigger.tgname, kind.event);
			if (fired)
				continue;
			Called called = {target->ri_RelationDesc, &trigger, {}, nullptr};
			make_ready(&called);
			fire_with_tables(&called, kind.event, {});
			MemoryContextDelete(called.context);
		}
}

} // namespace

void fire_for_kept_rows(const ResultRelInfo *target, AclMode changes)
{
	pg::Vec<Firing> firings;
	add_firings(&firings, take_kept_rows());
	txn::each_writer(fetch, &firings);
	/* What the functions change here, they see. */
	CommandCounterIncrement();
	const std::span<Firing> all = {firings.data(), static_cast<size_t>(firings.size())};
	fire_all(all);
	if (target != nullptr)
		fire_for_no_rows(target, changes, all);
}

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_internal_take_fired_rows);
PGDLLEXPORT Datum citus_internal_take_fired_rows(PG_FUNCTION_ARGS)
{
	catalog::require_node_call(fcinfo);
	PG_RETURN_ARRAYTYPE_P(take_kept_rows());
}

CIVITAS_PG_END

} // namespace civitas::executor
