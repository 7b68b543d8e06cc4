/*
 * foreign_keys.cpp: keys that nobody would check.
 *
 * A plain table may reference a table that was distributed afterwards, so that tables with foreign
 * keys among them can be distributed one after the other. Meanwhile the shards do not know of the
 * plain table: a row that it references could go away. Such changes are refused.
 */
#include "internal.h"

CIVITAS_PG_BEGIN
#include "access/table.h"
#include "catalog/pg_index.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

bool sets_column_of(List *assignments, Oid index)
{
	HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	if (!HeapTupleIsValid(tuple))
		return true;
	const auto *form = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
	bool sets = false;
	ListCell *cell;
	foreach (cell, assignments)
	{
		const auto *entry = lfirst_node(TargetEntry, cell);
		for (int i = 0; i < form->indnkeyatts && !entry->resjunk; i++)
			sets = sets || form->indkey.values[i] == entry->resno;
	}
	ReleaseSysCache(tuple);
	return sets;
}

} // namespace

void refuse_unchecked_keys(Oid relid, List *assignments)
{
	Relation relation = table_open(relid, NoLock);
	const TriggerDesc *triggers = relation->trigdesc;
	for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++)
	{
		const Trigger& trigger = triggers->triggers[i];
		const int16 event = assignments == NIL ? TRIGGER_TYPE_DELETE : TRIGGER_TYPE_UPDATE;
		if (!trigger.tgisinternal || (trigger.tgtype & event) == 0 ||
			RI_FKey_trigger_type(trigger.tgfoid) != RI_TRIGGER_PK ||
			catalog::find_table(trigger.tgconstrrelid) != nullptr ||
			(assignments != NIL && !sets_column_of(assignments, trigger.tgconstrindid)))
			continue;
		const char *referencing = get_rel_name(trigger.tgconstrrelid);
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot delete or change keys of distributed table \"%s\" while "
							   "plain table \"%s\" references it",
							   RelationGetRelationName(relation), referencing),
						errdetail("Nothing would check the foreign key on the shards."),
						errhint("Distribute table \"%s\" as well, or drop the foreign key.",
								referencing)));
	}
	table_close(relation, NoLock);
}

} // namespace civitas::planner
