/*
 * shard_copy.cpp: buffers of rows, one a shard, and when they leave.
 *
 * Rows are appended to their shard's buffer. A buffer leaves as a batch when it holds FLUSH_BYTES,
 * or when all buffers together pass BUFFER_BYTES: then all that hold at least the average leave, so
 * the scan for the largest is paid once for a good part of the memory, however many shards there
 * are. Batches for other nodes are queued on the stream of their session; when more than
 * QUEUE_BYTES wait there, the reader waits too. Batches for shards on this node are written at
 * once. Between batches the streams are pumped every PUMP_BYTES of input, so nodes write while the
 * reading goes on. Where two of these might wait for each other's keys, a batch is on its first
 * placement before it goes to the others, and rows that fit into ORDERED_BYTES are kept back until
 * the end and come to the nodes one after the other (shard_locks.cpp).
 *
 * A foreign key of the table to itself is checked at the end of each COPY, and a row may refer to
 * one that comes later. So the rows of a shard of such a table are kept together until the end, and
 * go to a temporary file where they would leave memory as batches otherwise.
 *
 * Memory: at most BUFFER_BYTES + QUEUE_BYTES, plus one row.
 */
#include "civitas/catalog/nodes.h"
#include "civitas/pg/str.h"
#include "execution.h"
#include "shard_copy_internal.h"

CIVITAS_PG_BEGIN
#include "access/table.h"
#include "commands/defrem.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
CIVITAS_PG_END

#include <cstring>

namespace civitas::executor {

namespace {

constexpr size_t FLUSH_BYTES = 1024 * 1024;
constexpr size_t BUFFER_BYTES = 32 * 1024 * 1024;
constexpr size_t QUEUE_BYTES = 32 * 1024 * 1024;
constexpr size_t PUMP_BYTES = 64 * 1024;
constexpr size_t ORDERED_BYTES = 1024 * 1024;
constexpr size_t FIRST_CAPACITY = 1024;

/* Signature, flags and extension length of a binary COPY; its trailer. */
constexpr char BINARY_HEADER[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
constexpr int BINARY_HEADER_LENGTH = 19;
constexpr char BINARY_TRAILER[] = "\377\377";
constexpr int BINARY_TRAILER_LENGTH = 2;

void append_option_value(pg::Str *sql, Node *value)
{
	if (value == nullptr)
		return;
	sql->ch(' ');
	if (IsA(value, A_Star))
		sql->ch('*');
	else if (IsA(value, List))
	{
		sql->ch('(');
		ListCell *cell;
		foreach (cell, reinterpret_cast<List *>(value))
		{
			if (foreach_current_index(cell) > 0)
				sql->raw(", ");
			sql->ident(strVal(lfirst(cell)));
		}
		sql->ch(')');
	}
	else
	{
		DefElem option;
		memset(&option, 0, sizeof(option));
		option.type = T_DefElem;
		option.arg = value;
		sql->literal(defGetString(&option));
	}
}

char *columns_and_options_text(List *columns, List *options)
{
	pg::Str sql;
	ListCell *cell;
	if (columns != NIL)
	{
		sql.raw(" (");
		foreach (cell, columns)
		{
			if (foreach_current_index(cell) > 0)
				sql.raw(", ");
			sql.ident(strVal(lfirst(cell)));
		}
		sql.ch(')');
	}
	sql.raw(" FROM STDIN WITH (");
	foreach (cell, options)
	{
		const DefElem *option = lfirst_node(DefElem, cell);
		if (foreach_current_index(cell) > 0)
			sql.raw(", ");
		sql.ident(option->defname);
		append_option_value(&sql, option->arg);
	}
	sql.ch(')');
	return sql.c_str();
}

/* Callers have checked the columns that the statement names; those that get a default here need no
 * right of their own. */
void check_insert_rights(Oid relid)
{
	if (pg_class_aclcheck(relid, GetUserId(), ACL_INSERT) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(relid, GetUserId(), ACL_INSERT, ACLMASK_ANY) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(relid)),
					   get_rel_name(relid));
}

bool refers_to_itself(Oid relid)
{
	Relation relation = table_open(relid, AccessShareLock);
	bool found = false;
	ListCell *cell;
	foreach (cell, RelationGetFKeyList(relation))
		found = found || lfirst_node(ForeignKeyCacheInfo, cell)->confrelid == relid;
	table_close(relation, NoLock);
	return found;
}

} // namespace

ShardCopy *active_copies = nullptr;

namespace {

/* The copy's context goes away: at its end, or with the transaction that failed. Then sessions are
 * in the middle of a batch; the transaction callback puts them right, but the claim was ours. */
void forget_copy(void *argument)
{
	auto *copy = static_cast<ShardCopy *>(argument);
	for (Stream *stream : *copy->streams)
		if (stream->state != StreamState::Idle)
			unclaim(stream->session);
	ShardCopy **link = &active_copies;
	while (*link && *link != copy)
		link = &(*link)->older;
	if (*link)
		*link = copy->older;
}

} // namespace

ShardCopy *shard_copy_begin(const catalog::Table& table, List *columns,
							const ShardCopyFormat& format)
{
	check_insert_rights(table.relid);
	catalog::require_sound(table);
	if (table.kind == catalog::TableKind::Range || table.kind == catalog::TableKind::Append)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("loading rows into table \"%s\" is not supported",
							   get_rel_name(table.relid)),
						errdetail("It is distributed by range or append.")));
	if (table.shard_count == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("table \"%s\" has no shards", get_rel_name(table.relid))));

	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "shard copy", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller_context = MemoryContextSwitchTo(context);
	auto *copy = static_cast<ShardCopy *>(palloc0(sizeof(ShardCopy)));
	copy->table = &table;
	copy->context = context;
	copy->error_context = error_context_stack;
	copy->columns = static_cast<List *>(copyObjectImpl(columns));
	copy->binary = format.binary;
	copy->here_only = copy->locked = format.new_shards_here;
	copy->one_batch_a_shard = !format.new_shards_here && refers_to_itself(table.relid);
	copy->node_by_node = !format.new_shards_here && copies_node_by_node(table);

	List *options = NIL;
	ListCell *cell;
	foreach (cell, format.options)
	{
		auto *option = lfirst_node(DefElem, cell);
		if (strcmp(option->defname, "format") == 0)
			copy->counts_embedded_newlines = strcmp(defGetString(option), "csv") == 0;
		if (strcmp(option->defname, "encoding") != 0 && strcmp(option->defname, "header") != 0 &&
			!(format.binary && strcmp(option->defname, "format") == 0))
			options = lappend(options, copyObjectImpl(option));
	}
	if (format.binary)
		options = lappend(
			options, makeDefElem(pstrdup("format"), (Node *) makeString(pstrdup("binary")), -1));
	/* Rows are in this database's encoding whatever the client's was. */
	char *encoding = pstrdup(GetDatabaseEncodingName());
	options = lappend(options, makeDefElem(pstrdup("encoding"), (Node *) makeString(encoding), -1));
	copy->options = options;
	copy->columns_and_options = columns_and_options_text(columns, options);

	const size_t shards = table.shard_count;
	copy->buffers = static_cast<Batch **>(
		MemoryContextAllocExtended(copy->context, sizeof(Batch *) * shards, MCXT_ALLOC_ZERO));
	copy->shard_streams = static_cast<Stream **>(
		MemoryContextAllocExtended(copy->context, sizeof(Stream *) * shards, MCXT_ALLOC_ZERO));
	copy->streams = static_cast<pg::Vec<Stream *> *>(palloc(sizeof(pg::Vec<Stream *>)));
	*copy->streams = pg::Vec<Stream *>(copy->context);
	auto *callback = static_cast<MemoryContextCallback *>(palloc0(sizeof(MemoryContextCallback)));
	callback->func = forget_copy;
	callback->arg = copy;
	MemoryContextRegisterResetCallback(context, callback);
	copy->older = active_copies;
	active_copies = copy;
	MemoryContextSwitchTo(caller_context);
	return copy;
}

/* --- batches ---------------------------------------------------------------------------------- */

namespace {

void append_bytes(ShardCopy *copy, Batch *batch, const char *data, size_t length)
{
	const size_t needed = batch->length + length;
	if (needed > batch->capacity)
	{
		size_t capacity = batch->capacity ? batch->capacity * 2 : FIRST_CAPACITY;
		while (capacity < needed)
			capacity *= 2;
		if (batch->data == nullptr)
			batch->data = static_cast<char *>(MemoryContextAllocHuge(copy->context, capacity));
		else
			batch->data = static_cast<char *>(repalloc_huge(batch->data, capacity));
		batch->capacity = capacity;
	}
	memcpy(batch->data + batch->length, data, length);
	batch->length = needed;
}

void append_line(ShardCopy *copy, Batch *batch, int64 line)
{
	if (batch->line_count == batch->line_capacity)
	{
		const int capacity = batch->line_capacity ? batch->line_capacity * 2 : 16;
		if (batch->lines == nullptr)
			batch->lines = static_cast<uint32 *>(
				MemoryContextAllocHuge(copy->context, sizeof(uint32) * capacity));
		else
			batch->lines =
				static_cast<uint32 *>(repalloc_huge(batch->lines, sizeof(uint32) * capacity));
		batch->line_capacity = capacity;
	}
	batch->lines[batch->line_count++] = static_cast<uint32>(line - batch->first_line);
}

/*
 * One entry for each line that the shard's COPY will count in this row. In CSV it counts the line
 * ends inside quotes too: newlines, or, while it has not seen the first row's own end and so does
 * not know which kind the data uses, carriage returns.
 */
void append_lines_of_row(ShardCopy *copy, Batch *batch, const char *data, int length,
						 int64 line_number)
{
	int extra = 0;
	if (copy->counts_embedded_newlines)
	{
		const char counted = batch->rows == 0 ? '\r' : '\n';
		const char *end = data + length - 1; /* the row's own end is no embedded one */
		const char *at = data;
		while (at < end && (at = static_cast<const char *>(memchr(at, counted, end - at))))
		{
			extra++;
			at++;
		}
	}
	for (int i = extra; i >= 0; i--)
		append_line(copy, batch,
					line_number - i > batch->first_line ? line_number - i : batch->first_line);
}

Batch *new_batch(ShardCopy *copy, int shard_index)
{
	Batch *batch = copy->free_batches;
	if (batch)
		copy->free_batches = batch->next;
	else
		batch = static_cast<Batch *>(MemoryContextAllocZero(copy->context, sizeof(Batch)));
	batch->shard_index = shard_index;
	batch->references = 0;
	batch->spill = nullptr;
	batch->spilled = 0;
	batch->length = 0;
	batch->line_count = 0;
	batch->rows = 0;
	batch->next = nullptr;
	if (copy->binary)
		append_bytes(copy, batch, BINARY_HEADER, BINARY_HEADER_LENGTH);
	return batch;
}

} // namespace

/* Back to the free list; only memory of the usual size is worth keeping. */
void release_batch(ShardCopy *copy, Batch *batch)
{
	if (batch->spill)
		BufFileClose(batch->spill);
	batch->spill = nullptr;
	if (batch->capacity > 2 * FLUSH_BYTES || batch->capacity < FLUSH_BYTES / 4)
	{
		if (batch->data)
			pfree(batch->data);
		if (batch->lines)
			pfree(batch->lines);
		pfree(batch);
		return;
	}
	batch->next = copy->free_batches;
	copy->free_batches = batch;
}

namespace {

/* Moves the batch's bytes from memory to its file. */
void spill_batch(ShardCopy *copy, Batch *batch)
{
	MemoryContext caller_context = MemoryContextSwitchTo(copy->context);
	copy->too_large = true;
	if (batch->spill == nullptr)
		batch->spill = BufFileCreateTemp(false);
	MemoryContextSwitchTo(caller_context);
	BufFileWrite(batch->spill, batch->data, batch->length);
	copy->buffered -= batch->length;
	batch->spilled += batch->length;
	batch->length = 0;
}

} // namespace

size_t batch_bytes(const Batch *batch, size_t offset, size_t length, char *scratch,
				   const char **bytes)
{
	if (offset < batch->spilled)
	{
		if (length > batch->spilled - offset)
			length = batch->spilled - offset;
		if (BufFileSeek(batch->spill, 0, static_cast<off_t>(offset), SEEK_SET) != 0 ||
			BufFileRead(batch->spill, scratch, length) != length)
			ereport(ERROR, (errcode_for_file_access(),
							errmsg("could not read rows of a COPY from a temporary file: %m")));
		*bytes = scratch;
		return length;
	}
	offset -= batch->spilled;
	*bytes = batch->data + offset;
	return length < batch->length - offset ? length : batch->length - offset;
}

namespace {

void send_batch(ShardCopy *copy, Batch *batch, std::span<const catalog::Placement> placements)
{
	const GroupId local_group = catalog::local_group_id();
	bool local = false;
	for (const catalog::Placement& placement : placements)
	{
		if (placement.group_id == local_group)
			local = true;
		else if (!copy->here_only)
			stream_enqueue(copy, stream_for(copy, batch->shard_index, placement), batch);
	}
	pump_streams(copy);
	if (local)
		write_local_batch(copy, batch);
}

/* The shard's buffer as a batch, which is the caller's until done_with(); null where there is none.
 */
Batch *take_buffer(ShardCopy *copy, int shard_index)
{
	Batch *batch = copy->buffers[shard_index];
	if (batch == nullptr)
		return nullptr;
	if (!copy->locked)
		lock_before_copy(*copy->table);
	copy->locked = true;
	copy->buffers[shard_index] = nullptr;
	copy->buffered -= batch->length;
	if (copy->binary)
		append_bytes(copy, batch, BINARY_TRAILER, BINARY_TRAILER_LENGTH);
	batch->references = 1;
	copy->queued += batch->length;
	return batch;
}

void done_with(ShardCopy *copy, Batch *batch)
{
	if (--batch->references > 0)
		return;
	copy->queued -= batch->length;
	release_batch(copy, batch);
}

/* Hands a shard's buffer to its placements. */
void flush_buffer(ShardCopy *copy, int shard_index)
{
	copy->too_large = true;
	Batch *batch = take_buffer(copy, shard_index);
	if (batch == nullptr)
		return;
	std::span<const catalog::Placement> placements = copy->table->placements_of(shard_index);
	if (placements.size() > 1 &&
		(copy->node_by_node || copy->table->kind == catalog::TableKind::Reference))
	{
		/* Writers of the same rows meet at the first placement (shard_locks.cpp). */
		send_batch(copy, batch, placements.first(1));
		wait_for_batch(copy, batch);
		placements = placements.subspan(1);
	}
	send_batch(copy, batch, placements);
	done_with(copy, batch);
	if (copy->queued > QUEUE_BYTES)
		wait_for_streams(copy, QUEUE_BYTES / 2);
}

} // namespace

/* A batch on its way to one placement. */
struct Delivery
{
	Batch *batch;
	const catalog::Placement *placement;
	bool replica; /* not the first placement */
};
CIVITAS_SERVER_STATE(Delivery);

namespace {

bool same_turn(const Delivery& a, const Delivery& b)
{
	return a.replica == b.replica && a.placement->group_id == b.placement->group_id;
}

int compare_deliveries(const void *left, const void *right)
{
	const auto *a = static_cast<const Delivery *>(left);
	const auto *b = static_cast<const Delivery *>(right);
	if (a->replica != b->replica)
		return a->replica ? 1 : -1;
	if (a->placement->group_id != b->placement->group_id)
		return a->placement->group_id < b->placement->group_id ? -1 : 1;
	return a->batch->shard_index - b->batch->shard_index;
}

/* All buffers, to one node after the other, first placements first: the order of an INSERT. */
void flush_node_by_node(ShardCopy *copy)
{
	pg::Vec<Batch *> batches;
	pg::Vec<Delivery> deliveries;
	for (int i = 0; i < copy->table->shard_count; i++)
	{
		Batch *batch = take_buffer(copy, i);
		if (batch == nullptr)
			continue;
		batches.push(batch);
		const std::span<const catalog::Placement> placements = copy->table->placements_of(i);
		for (const catalog::Placement& placement : placements)
			deliveries.push({batch, &placement, &placement != placements.data()});
	}
	qsort(deliveries.data(), deliveries.size(), sizeof(Delivery), compare_deliveries);
	for (int i = 0; i < deliveries.size(); i++)
	{
		if (i > 0 && !same_turn(deliveries[i - 1], deliveries[i]))
			wait_for_streams(copy, 0);
		send_batch(copy, deliveries[i].batch, {deliveries[i].placement, 1});
	}
	for (Batch *batch : batches)
		done_with(copy, batch);
}

/* Makes room: every buffer that holds at least the average of the non-empty ones leaves. */
void empty_larger_buffers(ShardCopy *copy)
{
	int used = 0;
	for (int i = 0; i < copy->table->shard_count; i++)
		used += copy->buffers[i] != nullptr;
	const size_t average = used ? copy->buffered / used : 0;
	for (int i = 0; i < copy->table->shard_count; i++)
	{
		Batch *batch = copy->buffers[i];
		if (batch == nullptr || batch->length < average)
			continue;
		if (copy->one_batch_a_shard)
			spill_batch(copy, batch);
		else
			flush_buffer(copy, i);
	}
}

} // namespace

void shard_copy_row(ShardCopy *copy, int shard_index, const char *data, int length,
					int64 line_number)
{
	Batch *batch = copy->buffers[shard_index];
	if (batch && !copy->one_batch_a_shard &&
		(batch->length + length > 2 * FLUSH_BYTES ||
		 line_number - batch->first_line > PG_UINT32_MAX))
	{
		flush_buffer(copy, shard_index);
		batch = nullptr;
	}
	if (batch == nullptr)
	{
		batch = copy->buffers[shard_index] = new_batch(copy, shard_index);
		batch->first_line = line_number;
		copy->buffered += batch->length;
	}
	append_bytes(copy, batch, data, length);
	append_lines_of_row(copy, batch, data, length, line_number);
	batch->rows++;
	copy->rows++;
	copy->buffered += length;

	if (batch->length >= FLUSH_BYTES && !copy->one_batch_a_shard)
		flush_buffer(copy, shard_index);
	else if (copy->buffered > BUFFER_BYTES)
		empty_larger_buffers(copy);
	else if ((copy->since_pump += length) > PUMP_BYTES)
	{
		copy->since_pump = 0;
		pump_streams(copy);
	}
}

uint64 shard_copy_finish(ShardCopy *copy)
{
	if (copy->node_by_node && !copy->too_large && copy->buffered <= ORDERED_BYTES)
		flush_node_by_node(copy);
	for (int i = 0; i < copy->table->shard_count; i++)
		flush_buffer(copy, i);
	wait_for_streams(copy, 0);
	const uint64 rows = copy->rows;
	MemoryContextDelete(copy->context);
	return rows;
}

} // namespace civitas::executor
