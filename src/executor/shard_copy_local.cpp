/*
 * shard_copy_local.cpp: a batch for a shard on this very node.
 *
 * PostgreSQL's own COPY FROM writes it, in this transaction, reading the batch through a callback.
 * The statement's progress report is put back afterwards, because the inner COPY starts one of its
 * own.
 */
#include "civitas/catalog/logical_names.h"
#include "civitas/txn/transaction.h"
#include "execution.h"
#include "shard_copy_internal.h"

CIVITAS_PG_BEGIN
#include "access/table.h"
#include "commands/copy.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "utils/backend_status.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
CIVITAS_PG_END

#include <cstring>

namespace civitas::executor {

namespace {

/* What the callback reads: COPY gives it no argument of its own. Set for the time of one call;
 * calls may nest, where a constraint's function writes to another table. */
const Batch *current_batch = nullptr;
size_t current_offset = 0;

int read_current_batch(void *buffer, int, int maximum)
{
	auto *target = static_cast<char *>(buffer);
	int count = 0;
	while (count < maximum)
	{
		const char *bytes;
		const size_t got = batch_bytes(current_batch, current_offset + count, maximum - count,
									   target + count, &bytes);
		if (got == 0)
			break;
		if (bytes != target + count)
			memcpy(target + count, bytes, got);
		count += static_cast<int>(got);
	}
	current_offset += count;
	return count;
}

} // namespace

struct Progress
{
	ProgressCommandType command;
	Oid target;
	int64 parameters[PGSTAT_NUM_PROGRESS_PARAM];
};

namespace {

void save_progress(Progress *progress)
{
	progress->command = PROGRESS_COMMAND_INVALID;
	if (MyBEEntry == nullptr)
		return;
	progress->command = MyBEEntry->st_progress_command;
	progress->target = MyBEEntry->st_progress_command_target;
	for (int i = 0; i < PGSTAT_NUM_PROGRESS_PARAM; i++)
		progress->parameters[i] = MyBEEntry->st_progress_param[i];
}

void restore_progress(const Progress *progress)
{
	if (progress->command == PROGRESS_COMMAND_INVALID)
		return;
	int indexes[PGSTAT_NUM_PROGRESS_PARAM];
	for (int i = 0; i < PGSTAT_NUM_PROGRESS_PARAM; i++)
		indexes[i] = i;
	pgstat_progress_start_command(progress->command, progress->target);
	pgstat_progress_update_multi_param(PGSTAT_NUM_PROGRESS_PARAM, indexes, progress->parameters);
}

void copy_into(ShardCopy *copy, Relation shard)
{
	ParseState *state = make_parsestate(nullptr);
	addRangeTableEntryForRelation(state, shard, RowExclusiveLock, nullptr, false, false);
	CopyFromState from = BeginCopyFrom(state, shard, nullptr, nullptr, false, read_current_batch,
									   copy->columns, copy->options);
	CopyFrom(from);
	EndCopyFrom(from);
	free_parsestate(state);
}

} // namespace

void write_local_batch(ShardCopy *copy, Batch *batch)
{
	const catalog::Table& table = *copy->table;
	const Oid schema = get_rel_namespace(table.relid);
	const char *table_name = get_rel_name(table.relid);
	char *name =
		catalog::shard_relation_name(table_name, table.shards[batch->shard_index].shard_id);
	const Oid shard_oid = get_relname_relid(name, schema);
	if (!OidIsValid(shard_oid))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("shard \"%s\" does not exist on this node", name)));
	txn::note_local_write();
	if (table.kind == catalog::TableKind::Reference)
		lock_for_copied_rows(table);

	Progress progress;
	save_progress(&progress);
	ErrorContextCallback *outer_context = error_context_stack;
	error_context_stack = copy->error_context;
	MemoryContext caller_context = CurrentMemoryContext;
	const Batch *outer_batch = current_batch;
	const size_t outer_offset = current_offset;
	current_batch = batch;
	current_offset = 0;
	Relation shard = table_open(shard_oid, RowExclusiveLock);
	PG_TRY();
	{
		copy_into(copy, shard);
	}
	PG_CATCH();
	{
		current_batch = outer_batch;
		current_offset = outer_offset;
		MemoryContextSwitchTo(caller_context);
		ErrorData *error = CopyErrorData();
		FlushErrorState();
		catalog::use_logical_names(error);
		if (error->context != nullptr)
			error->context = original_context(copy, batch, table_name, error->context);
		ReThrowError(error);
	}
	PG_END_TRY();
	table_close(shard, NoLock);
	current_batch = outer_batch;
	current_offset = outer_offset;
	error_context_stack = outer_context;
	restore_progress(&progress);
	pfree(name);
}

} // namespace civitas::executor
