/*
 * copy_from.cpp: rows of COPY FROM to their shards.
 *
 * PostgreSQL's own reader (commands/copyfrom) reads the client's stream, converts its encoding and
 * finds the lines and fields. Then one of two ways:
 *
 *   raw lines    only the distribution column's field is parsed; the line itself goes to the
 *                shard's COPY, which has the same options. The shard finds malformed values; its
 *                errors name the client's line.
 *   parsed rows  where the row is more than its line: binary input, WHERE, a column left out that
 *                has a default (evaluated here, once), DEFAULT as a word, NULL in an array as a
 *                word (array_nulls), and where bad lines are passed over (ON_ERROR). NextCopyFrom() gives Datums,
 *                shard_copy_slot() encodes them.
 *
 * Either way nothing is kept unless all rows are: the shards are written inside the distributed
 * transaction.
 */
#include "civitas/executor/shard_copy.h"
#include "copy_internal.h"
#include "shard_copy_internal.h"

#include "civitas/pg/copy.h"

CIVITAS_PG_BEGIN
#include "commands/copy.h"
#include "commands/copyfrom_internal.h"
#include "commands/progress.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "rewrite/rewriteHandler.h"
#include "utils/array.h"
#include "utils/backend_progress.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
CIVITAS_PG_END

#include <cstring>

namespace civitas::executor {

/* What both ways need to know of the statement. */
struct CopySource
{
	const catalog::Table *table;
	Relation relation;
	CopyFromState from;
	List *attributes;		/* of the stream, int list */
	int distribution_field; /* position of the distribution column in the stream; -1 where rows are
							   not routed by it */
};

namespace {

List *column_names(Relation relation, List *attributes)
{
	List *names = NIL;
	ListCell *cell;
	foreach (cell, attributes)
	{
		const Form_pg_attribute attribute =
			TupleDescAttr(RelationGetDescr(relation), lfirst_int(cell) - 1);
		names = lappend(names, makeString(pstrdup(NameStr(attribute->attname))));
	}
	return names;
}

/* Columns that are not in the stream but get a value here: those with a default. */
List *defaulted_attributes(Relation relation, List *attributes)
{
	List *defaulted = NIL;
	const TupleDesc row_type = RelationGetDescr(relation);
	for (int i = 0; i < row_type->natts; i++)
	{
		const Form_pg_attribute attribute = TupleDescAttr(row_type, i);
		if (attribute->attisdropped || attribute->attgenerated ||
			list_member_int(attributes, attribute->attnum))
			continue;
		if (build_column_default(relation, attribute->attnum))
			defaulted = lappend_int(defaulted, attribute->attnum);
	}
	return defaulted;
}

/* --- raw lines -------------------------------------------------------------------------------- */

/* The value of a field, parsed for its column. */
Datum parse_field(const CopySource *source, int attribute_number, char *text)
{
	CopyFromState from = source->from;
	const int index = attribute_number - 1;
	const Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(source->relation), index);
	from->cur_attname = NameStr(attribute->attname);
	from->cur_attval = text;
	const Datum value = InputFunctionCall(&from->in_functions[index], text,
										  from->typioparams[index], attribute->atttypmod);
	from->cur_attname = nullptr;
	from->cur_attval = nullptr;
	return value;
}

void check_field_count(const CopySource *source, char **fields, int count)
{
	const int columns = list_length(source->attributes);
	if (count > columns)
		ereport(ERROR, (errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
						errmsg("extra data after last expected column")));
	if (count < columns)
	{
		/* A malformed value further left is the better error, and PostgreSQL's own. */
		for (int i = 0; i < count; i++)
			parse_field(source, list_nth_int(source->attributes, i), fields[i]);
		const int missing = list_nth_int(source->attributes, count);
		ereport(
			ERROR,
			(errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
			 errmsg("missing data for column \"%s\"",
					NameStr(
						TupleDescAttr(RelationGetDescr(source->relation), missing - 1)->attname))));
	}
}

/* The shard of a line, by the field of the distribution column, with what FORCE_NULL and
 * FORCE_NOT_NULL make of it. */
int shard_of_fields(const CopySource *source, char **fields)
{
	if (source->distribution_field < 0)
		return 0;
	CopyFromState from = source->from;
	const int index = source->table->distribution_attno - 1;
	char *text = fields[source->distribution_field];
	if (from->opts.csv_mode)
	{
		if (text == nullptr && from->opts.force_notnull_flags[index])
			text = from->opts.null_print;
		else if (text && from->opts.force_null_flags[index] &&
				 strcmp(text, from->opts.null_print) == 0)
			text = nullptr;
	}
	const Datum value = text == nullptr ? Datum{0} : parse_field(source, index + 1, text);
	return catalog::shard_index_of_value(*source->table, value, text == nullptr);
}

/*
 * The reader ignores a single backslash at the end of the input. Before the line's end that the
 * shard gets it would take that into the value.
 */
bool ends_in_escape(const CopyFromState from)
{
	if (from->opts.csv_mode)
		return false;
	int backslashes = 0;
	for (int at = from->line_buf.len - 1; at >= 0 && from->line_buf.data[at] == '\\'; at--)
		backslashes++;
	return backslashes % 2 == 1;
}

uint64 forward_lines(const CopySource *source, ShardCopy *copy)
{
	CopyFromState from = source->from;
	MemoryContext line_context =
		AllocSetContextCreate(CurrentMemoryContext, "copy line", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller_context = CurrentMemoryContext;
	uint64 processed = 0;
	for (;;)
	{
		char **fields;
		int field_count;
		CHECK_FOR_INTERRUPTS();
		if (!NextCopyFromRawFields(from, &fields, &field_count))
			break;
		check_field_count(source, fields, field_count);
		MemoryContextSwitchTo(line_context);
		const int shard_index = shard_of_fields(source, fields);
		MemoryContextSwitchTo(caller_context);
		MemoryContextReset(line_context);

		/* The reader cut the line's end off; the shard gets one kind, whatever the client's was. */
		StringInfo line = &from->line_buf;
		if (ends_in_escape(from))
			line->data[--line->len] = '\0';
		appendStringInfoCharMacro(line, '\n');
		shard_copy_row(copy, shard_index, line->data, line->len,
					   static_cast<int64>(from->cur_lineno));
		line->data[--line->len] = '\0';
		pgstat_progress_update_param(PROGRESS_COPY_TUPLES_PROCESSED,
									 static_cast<int64>(++processed));
	}
	return processed;
}

/* --- parsed rows ------------------------------------------------------------------------------ */

uint64 parse_rows(const CopySource *source, ShardCopy *copy, Node *where)
{
	EState *estate = CreateExecutorState();
	ExprContext *econtext = GetPerTupleExprContext(estate);
	TupleTableSlot *slot =
		MakeSingleTupleTableSlot(RelationGetDescr(source->relation), &TTSOpsVirtual);
	ExprState *condition =
		where ? ExecPrepareQual(reinterpret_cast<List *>(where), estate) : nullptr;
	MemoryContext caller_context = CurrentMemoryContext;
	uint64 processed = 0;
	int64 excluded = 0;
	slot->tts_tableOid = RelationGetRelid(source->relation);
	econtext->ecxt_scantuple = slot;
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		ResetPerTupleExprContext(estate);
		ExecClearTuple(slot);
		MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));
		const bool more = NextCopyFrom(source->from, econtext, slot->tts_values, slot->tts_isnull);
		MemoryContextSwitchTo(caller_context);
		if (!more)
			break;
		if (pg::row_was_bad(source->from))
			continue;
		ExecStoreVirtualTuple(slot);
		if (!ExecQual(condition, econtext))
		{
			pgstat_progress_update_param(PROGRESS_COPY_TUPLES_EXCLUDED, ++excluded);
			continue;
		}
		shard_copy_slot_line(copy, slot, static_cast<int64>(source->from->cur_lineno));
		pgstat_progress_update_param(PROGRESS_COPY_TUPLES_PROCESSED,
									 static_cast<int64>(++processed));
	}
	ExecDropSingleTupleTableSlot(slot);
	FreeExecutorState(estate);
	return processed;
}

ShardCopy *begin_parsed_rows(const CopySource *source, List *defaulted)
{
	List *filled = list_concat_copy(source->attributes, defaulted);
	return shard_copy_begin_rows(*source->table, column_names(source->relation, filled),
								 RelationGetDescr(source->relation), source->from->opts.freeze);
}

ShardCopy *begin_lines(const CopySource *source, const CopyStmt *statement)
{
	ShardCopyFormat format;
	format.options = statement->options;
	return shard_copy_begin(*source->table, column_names(source->relation, source->attributes),
							format);
}

} // namespace

uint64 copy_rows_from(ParseState *state, CopyStmt *statement, Relation relation,
					  const catalog::Table& table, List *attributes, Node *where)
{
	CopySource source = {};
	source.table = &table;
	source.relation = relation;
	source.attributes = attributes;
	source.distribution_field = -1;
	catalog::require_sound(table);
	if (table.kind == catalog::TableKind::Hash)
	{
		ListCell *cell;
		foreach (cell, attributes)
			if (lfirst_int(cell) == table.distribution_attno)
				source.distribution_field = foreach_current_index(cell);
	}
	List *defaulted = defaulted_attributes(relation, attributes);
	source.from = BeginCopyFrom(state, relation, where, statement->filename, statement->is_program,
								nullptr, statement->attlist, statement->options);

	const bool lost_distribution_column =
		table.kind == catalog::TableKind::Hash && source.distribution_field < 0;
	const bool parsed = source.from->opts.binary || where || defaulted != NIL ||
						attributes == NIL || lost_distribution_column || !Array_nulls ||
						pg::lines_need_parsing(source.from);
	/* Begun before the reader's error context is pushed: errors of shards carry their own line. */
	ShardCopy *copy =
		parsed ? begin_parsed_rows(&source, defaulted) : begin_lines(&source, statement);

	ErrorContextCallback context;
	context.callback = CopyFromErrorCallback;
	context.arg = source.from;
	context.previous = error_context_stack;
	error_context_stack = &context;
	const uint64 processed =
		parsed ? parse_rows(&source, copy, where) : forward_lines(&source, copy);
	error_context_stack = context.previous;

	shard_copy_finish(copy);
	pg::tell_of_bad_rows(source.from);
	EndCopyFrom(source.from);
	return processed;
}

} // namespace civitas::executor
