/*
 * shard_copy_stream.cpp: one session's queue of COPY batches, driven without blocking.
 *
 *     Idle --COPY sent--> Starting --node asks for data--> Sending --all given--> Ending
 *       ^                                                                           |
 *       \-------------------------------- result read ------------------------------/
 *
 * advance() takes a stream as far as its socket allows. The only waits are in wait_for_streams(),
 * on all busy sockets and the latch. libpq would buffer a whole batch rather than say that the
 * socket is full, so data is given to it in pieces and the next piece only when the last has left.
 *
 * The session takes part in the distributed transaction as a writer from its first batch on, and
 * the shard group sticks to it.
 */
#include "civitas/catalog/nodes.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/str.h"
#include "civitas/txn/transaction.h"
#include "execution.h"
#include "shard_copy_internal.h"

CIVITAS_PG_BEGIN
#include "storage/latch.h"
#include "utils/wait_event.h"
CIVITAS_PG_END

namespace civitas::executor {

namespace {

constexpr size_t PIECE_BYTES = 64 * 1024;

Stream *stream_of_session(ShardCopy *copy, GroupId group, remote::Session *session)
{
	for (Stream *stream : *copy->streams)
		if (stream->session == session)
			return stream;

	txn::begin_remote(session);
	txn::note_write(session);
	PQsetnonblocking(remote::connection(session), 1);
	auto *stream = static_cast<Stream *>(MemoryContextAllocZero(copy->context, sizeof(Stream)));
	stream->session = session;
	stream->group = group;
	stream->state = StreamState::Idle;
	copy->streams->push(stream);
	return stream;
}

} // namespace

Stream *stream_for(ShardCopy *copy, int shard_index, const catalog::Placement& placement)
{
	if (copy->shard_streams[shard_index] &&
		copy->shard_streams[shard_index]->group == placement.group_id)
		return copy->shard_streams[shard_index];

	const catalog::Table& table = *copy->table;
	const bool grouped =
		table.colocation_id != INVALID_COLOCATION_ID && table.kind != catalog::TableKind::Reference;
	const ColocationId colocation = grouped ? table.colocation_id : INVALID_COLOCATION_ID;
	const int64 key = grouped ? shard_index : table.shards[shard_index].shard_id;

	/* A shard group that this transaction touched stays with its session; the rest of the node uses
	 * one that we have. */
	remote::Session *session = txn::affinity(placement.group_id, colocation, key);
	Stream *stream = nullptr;
	if (session == nullptr)
	{
		for (Stream *other : *copy->streams)
			if (other->group == placement.group_id)
				stream = other;
		session =
			stream ? stream->session : txn::session_for(catalog::get_primary(placement.group_id));
	}
	if (stream == nullptr)
		stream = stream_of_session(copy, placement.group_id, session);
	if (table.kind == catalog::TableKind::Reference)
		txn::pin_node(placement.group_id, session);
	else
		txn::set_affinity(placement.group_id, colocation, key, session);
	copy->shard_streams[shard_index] = stream;
	return stream;
}

void stream_enqueue(ShardCopy *copy, Stream *stream, Batch *batch)
{
	auto *entry = static_cast<QueueEntry *>(MemoryContextAlloc(copy->context, sizeof(QueueEntry)));
	entry->batch = batch;
	entry->next = nullptr;
	if (stream->tail)
		stream->tail->next = entry;
	else
		stream->head = entry;
	stream->tail = entry;
	batch->references++;
}

namespace {

void drop_head(ShardCopy *copy, Stream *stream)
{
	QueueEntry *entry = stream->head;
	stream->head = entry->next;
	if (stream->head == nullptr)
		stream->tail = nullptr;
	if (--entry->batch->references == 0)
	{
		copy->queued -= entry->batch->length;
		release_batch(copy, entry->batch);
	}
	pfree(entry);
}

void start_batch(ShardCopy *copy, Stream *stream)
{
	/* A query (in a function that the rows come from) may be reading from the session. */
	if (remote::busy(stream->session) || remote::claimed(stream->session))
		yield_session(stream->session);
	Assert(stream->state == StreamState::Idle && !remote::busy(stream->session));
	const catalog::Table& table = *copy->table;
	MemoryContext caller_context = MemoryContextSwitchTo(copy->context);
	pg::Str sql;
	if (table.kind == catalog::TableKind::Reference)
		sql.raw(copied_rows_lock(table)).raw("; ");
	sql.raw("COPY ")
		.raw(catalog::qualified_shard_name(table.relid,
										   table.shards[stream->head->batch->shard_index].shard_id))
		.raw(copy->columns_and_options);
	MemoryContextSwitchTo(caller_context);
	remote::send_simple(stream->session, sql.c_str());
	remote::set_claimed(stream->session, true);
	pfree(sql.c_str());
	stream->sent = 0;
	stream->completed = false;
	stream->state = StreamState::Starting;
}

/* Gives data to the socket; true when all of the batch and its end were given. */
bool send_data(Stream *stream)
{
	PGconn *connection = remote::connection(stream->session);
	const Batch *batch = stream->head->batch;
	char scratch[PIECE_BYTES];
	for (;;)
	{
		const int flushed = PQflush(connection);
		if (flushed < 0)
			remote::raise_connection_lost(stream->session);
		stream->want_write = flushed > 0;
		if (stream->want_write)
			return false;
		const char *bytes;
		const size_t piece = batch_bytes(batch, stream->sent, PIECE_BYTES, scratch, &bytes);
		if (piece == 0)
			break;
		const int given = PQputCopyData(connection, bytes, static_cast<int>(piece));
		if (given < 0)
			remote::raise_connection_lost(stream->session);
		if (given == 0)
		{
			stream->want_write = true;
			return false;
		}
		stream->sent += piece;
	}
	const int ended = PQputCopyEnd(connection, nullptr);
	if (ended < 0)
		remote::raise_connection_lost(stream->session);
	stream->want_write = ended == 0;
	return ended > 0;
}

/* Reads the answer to the COPY command: true once the node is ready for data. */
bool read_start(ShardCopy *copy, Stream *stream)
{
	PGresult *result;
	if (!remote::consume_input(stream->session))
		remote::raise_connection_lost(stream->session);
	while (remote::try_next_result(stream->session, &result))
	{
		const ExecStatusType status = PQresultStatus(result);
		/* Rows come of the lock before the COPY. */
		if (status != PGRES_COPY_IN && status != PGRES_TUPLES_OK)
			raise_batch_error(copy, stream, stream->head->batch, result);
		PQclear(result);
		if (status == PGRES_COPY_IN)
			return true;
	}
	return false;
}

/* Reads the result of the batch: true once it is complete. */
bool read_end(ShardCopy *copy, Stream *stream)
{
	const int flushed = PQflush(remote::connection(stream->session));
	stream->want_write = flushed > 0;
	if (!remote::consume_input(stream->session))
		remote::raise_connection_lost(stream->session);
	PGresult *result;
	while (remote::try_next_result(stream->session, &result))
	{
		if (result == nullptr)
			return true;
		if (PQresultStatus(result) != PGRES_COMMAND_OK)
			raise_batch_error(copy, stream, stream->head->batch, result);
		stream->completed = true;
		PQclear(result);
	}
	return false;
}

/* `once`: no further than the end of the batch in flight. */
void advance(ShardCopy *copy, Stream *stream, bool once)
{
	for (;;)
	{
		switch (stream->state)
		{
		case StreamState::Idle:
			if (stream->head == nullptr || once)
				return;
			start_batch(copy, stream);
			break;
		case StreamState::Starting:
			if (!read_start(copy, stream))
				return;
			stream->state = StreamState::Sending;
			break;
		case StreamState::Sending:
			if (!send_data(stream))
				return;
			stream->state = StreamState::Ending;
			break;
		case StreamState::Ending:
			if (!read_end(copy, stream))
				return;
			Assert(!remote::busy(stream->session));
			stream->state = StreamState::Idle;
			remote::set_claimed(stream->session, false);
			drop_head(copy, stream);
			if (once)
				return;
			break;
		}
	}
}

} // namespace

void pump_streams(ShardCopy *copy)
{
	for (Stream *stream : *copy->streams)
		advance(copy, stream, false);
}

namespace {

/* Waits until a busy socket is ready or something wants our attention. */
void wait_for_sockets(ShardCopy *copy)
{
	WaitEventSet *set = pg::create_wait_set(static_cast<int>(copy->streams->size()) + 2);
	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, nullptr);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, nullptr, nullptr);
	for (Stream *stream : *copy->streams)
	{
		if (stream->state == StreamState::Idle)
			continue;
		const uint32 events = WL_SOCKET_READABLE | (stream->want_write ? WL_SOCKET_WRITEABLE : 0);
		AddWaitEventToSet(set, events, PQsocket(remote::connection(stream->session)), nullptr,
						  nullptr);
	}
	WaitEvent event;
	WaitEventSetWait(set, -1, &event, 1, PG_WAIT_EXTENSION);
	/* Freed before anything may raise: its descriptor belongs to no resource owner. */
	FreeWaitEventSet(set);
	ResetLatch(MyLatch);
	remote::check_interrupts();
}

} // namespace

void shard_copy_yield(remote::Session *session)
{
	for (ShardCopy *copy = active_copies; copy; copy = copy->older)
		for (Stream *stream : *copy->streams)
			while (stream->session == session && stream->state != StreamState::Idle)
			{
				advance(copy, stream, true);
				if (stream->state != StreamState::Idle)
					wait_for_sockets(copy);
			}
}

namespace {

bool any_busy(ShardCopy *copy)
{
	for (Stream *stream : *copy->streams)
		if (stream->state != StreamState::Idle)
			return true;
	return false;
}

} // namespace

void wait_for_batch(ShardCopy *copy, const Batch *batch)
{
	for (;;)
	{
		pump_streams(copy);
		if (batch->references == 1)
			break;
		wait_for_sockets(copy);
	}
}

void wait_for_streams(ShardCopy *copy, size_t bytes)
{
	for (;;)
	{
		pump_streams(copy);
		if (bytes == 0 ? !any_busy(copy) : copy->queued <= bytes)
			break;
		wait_for_sockets(copy);
	}
}

} // namespace civitas::executor
