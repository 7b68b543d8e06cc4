/*
 * recorded_commands.cpp: a statement that is decided here and carried out by another node.
 *
 * DDL that was typed on a worker is run by the coordinator, on itself, inside the worker's
 * transaction. The coordinator's session is a participant there and cannot have participants of its
 * own; so what it would tell other nodes goes back to the worker as a list, which the worker, as
 * the one that commits, sends to them and does itself.
 */
#include "recorded_commands.h"
#include "civitas/txn/transaction.h"

CIVITAS_PG_BEGIN
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
CIVITAS_PG_END

namespace civitas::txn {

namespace {

pg::Vec<RecordedCommand> *recorded;
/* Outlives what the statement runs in. */
MemoryContext recorded_context;

} // namespace

bool is_recording()
{
	return recorded != nullptr;
}

bool record(std::span<const NodeCommand> commands)
{
	if (recorded == nullptr)
		return false;
	for (const NodeCommand& command : commands)
		recorded->push(
			{command.node->group_id, MemoryContextStrdup(recorded_context, command.sql)});
	return true;
}

void refuse_while_recording()
{
	if (recorded != nullptr)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("this statement cannot be carried out through the coordinator"),
						errdetail("It reads or moves rows on other nodes."),
						errhint("Connect to the coordinator and run it there.")));
}

pg::Vec<RecordedCommand> record_commands(void (*body)(void *), void *argument)
{
	pg::Vec<RecordedCommand> commands;
	pg::Vec<RecordedCommand> *outer = recorded;
	MemoryContext outer_context = recorded_context;
	recorded = &commands;
	recorded_context = CurrentMemoryContext;
	PG_TRY();
	{
		body(argument);
	}
	PG_FINALLY();
	{
		recorded = outer;
		recorded_context = outer_context;
	}
	PG_END_TRY();
	return commands;
}

List *texts_from_node(const catalog::Node& node, const char *sql)
{
	remote::Session *session = session_for(node);
	begin_remote(session);
	note_write(session);
	PGresult *result = remote::query(session, sql);
	List *texts = NIL;
	if (PQntuples(result) == 1 && !PQgetisnull(result, 0, 0))
	{
		FmgrInfo input;
		fmgr_info(F_ARRAY_IN, &input);
		const Datum array = InputFunctionCall(&input, PQgetvalue(result, 0, 0), TEXTOID, -1);
		Datum *values;
		int count;
		deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &values,
						  nullptr, &count);
		for (int i = 0; i < count; i++)
			texts = lappend(texts, TextDatumGetCString(values[i]));
	}
	remote::release(result);
	pin_node(node.group_id, session);
	return texts;
}

} // namespace civitas::txn
