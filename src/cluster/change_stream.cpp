/*
 * change_stream.cpp: a stream of pgoutput's messages, which base/change_message.h reads.
 *
 * The source decodes as its log grows; the socket holds back a source that is faster than we are.
 * Marks, written by SQL into the source's log, come back in the stream after everything that was
 * committed before them: whoever needs to know that nothing is missing writes one and reads up to
 * it.
 */
#include "change_stream.h"

#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "libpq/pqformat.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

/* Prefix of our messages in the log. */
constexpr const char *MARK_PREFIX = "citus";

[[noreturn]] void raise_unreadable(const char *reason)
{
	ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
					errmsg("could not read a message of a stream of changes"),
					errdetail_internal("The reader says: %s.", reason)));
}

char *copy_text(std::string_view text)
{
	return pnstrdup(text.data(), text.size());
}

/* Names come in the encoding of the database, as everything between nodes does. */
ChangedTable *table_of(const ChangeMessage& message, MemoryContext context)
{
	const MemoryContext previous = MemoryContextSwitchTo(context);
	auto *table = static_cast<ChangedTable *>(palloc0(sizeof(ChangedTable)));
	*table = ChangedTable();
	table->id = message.table_id;
	table->name = quote_qualified_identifier(
		message.schema.empty() ? "pg_catalog" : copy_text(message.schema), copy_text(message.name));
	table->full_identity = message.full_identity;
	MessageColumns columns = message.columns;
	for (int i = 0; i < columns.count; i++)
	{
		const MessageColumn column = columns.next();
		table->is_key.push(column.is_key);
		table->columns.push(copy_text(column.name));
	}
	MemoryContextSwitchTo(previous);
	return table;
}

std::span<const ChangeValue> row_of(MessageRow row)
{
	if (row.count < 0)
		return {};
	auto *values = static_cast<ChangeValue *>(palloc0(sizeof(ChangeValue) * (row.count + 1)));
	for (int i = 0; i < row.count; i++)
	{
		const MessageValue value = row.next();
		values[i].kind = value.kind;
		if (value.kind == MessageValue::Kind::Text)
			values[i].text = copy_text(value.text);
	}
	return {values, static_cast<size_t>(row.count)};
}

Change read_change(std::span<const char> bytes, MemoryContext table_context)
{
	ChangeMessage message;
	const char *wrong = read_change_message(bytes, &message);
	if (wrong != nullptr)
		raise_unreadable(wrong);
	Change change = {Change::Kind::Other, nullptr, message.table_id, {}, {}, nullptr, message};
	switch (message.kind)
	{
	case ChangeMessage::Kind::Table:
		change.kind = Change::Kind::Table;
		change.table = table_of(message, table_context);
		break;
	case ChangeMessage::Kind::Insert:
		change.kind = Change::Kind::Insert;
		break;
	case ChangeMessage::Kind::Update:
		change.kind = Change::Kind::Update;
		break;
	case ChangeMessage::Kind::Delete:
		change.kind = Change::Kind::Delete;
		break;
	case ChangeMessage::Kind::Truncate:
		change.kind = Change::Kind::Truncate;
		break;
	case ChangeMessage::Kind::Message:
		/* Others may write theirs. */
		if (message.prefix == MARK_PREFIX)
		{
			change.kind = Change::Kind::Mark;
			change.mark = copy_text(message.content);
		}
		break;
	case ChangeMessage::Kind::Other:
		break;
	}
	change.old_row = row_of(message.old_row);
	change.new_row = row_of(message.new_row);
	return change;
}

/* Waits for more of the stream, or for room to send. */
void wait_for_stream(remote::Session *session)
{
	PGconn *connection = remote::connection(session);
	const int events =
		PQflush(connection) > 0 ? WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE : WL_SOCKET_READABLE;
	WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | events, PQsocket(connection),
					  -1, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (!remote::consume_input(session))
		remote::raise_connection_lost(session);
}

/* The next message of the replication protocol, in CurrentMemoryContext. */
StringInfoData next_message(remote::Session *session)
{
	PGconn *connection = remote::connection(session);
	for (;;)
	{
		char *buffer = nullptr;
		const int length = PQgetCopyData(connection, &buffer, 1);
		if (length > 0)
		{
			StringInfoData message;
			initStringInfo(&message);
			appendBinaryStringInfo(&message, buffer, length);
			PQfreemem(buffer);
			return message;
		}
		if (length < 0)
		{
			/* The source gave up, and says why. */
			remote::drain(session);
			ereport(ERROR, (errcode(ERRCODE_CONNECTION_FAILURE),
							errmsg("node %s:%d has ended its stream of changes",
								   remote::host(session), remote::port(session))));
		}
		wait_for_stream(session);
	}
}

} // namespace

char *mark_sql(const char *mark)
{
	pg::Str sql;
	sql.raw("SELECT pg_catalog.pg_logical_emit_message(true, ").literal(MARK_PREFIX);
	return sql.raw(", ").literal(mark).ch(')').c_str();
}

ChangeStream open_changes(const remote::Endpoint& endpoint, const char *slot,
						  const char *publication)
{
	remote::Endpoint source = endpoint;
	source.replication = true;
	remote::Session *session = remote::connect(source);
	remote::set_claimed(session, true);
	/* Values are written as text under these, and read again by another server. A reader that is
	 * busy applying, or waits to be told how far to go, is not lost. */
	remote::execute(session, "SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; "
							 "SET extra_float_digits = 3; SET wal_sender_timeout = 0");
	pg::Str sql;
	sql.raw("START_REPLICATION SLOT ").ident(slot).raw(" LOGICAL 0/0 (proto_version '1', ");
	sql.raw("messages 'true', publication_names ").literal(quote_identifier(publication)).ch(')');
	remote::send_simple(session, sql.c_str());
	PGresult *result = remote::next_result(session);
	if (PQresultStatus(result) != PGRES_COPY_BOTH)
		remote::raise_remote_error(session, result);
	PQclear(result);
	return {session, InvalidXLogRecPtr, GetCurrentTimestamp()};
}

void confirm_changes(ChangeStream *stream)
{
	StringInfoData reply;
	initStringInfo(&reply);
	stream->confirmed_at = GetCurrentTimestamp();
	pq_sendbyte(&reply, 'r');
	for (int i = 0; i < 3; i++) /* written, flushed, applied */
		pq_sendint64(&reply, stream->position);
	pq_sendint64(&reply, stream->confirmed_at);
	pq_sendbyte(&reply, 0);
	PGconn *connection = remote::connection(stream->session);
	if (PQputCopyData(connection, reply.data, reply.len) != 1 || PQflush(connection) < 0)
		remote::raise_connection_lost(stream->session);
	pfree(reply.data);
}

Change next_change(ChangeStream *stream, MemoryContext table_context)
{
	constexpr int CONFIRM_INTERVAL = 1000;
	if (TimestampDifferenceExceeds(stream->confirmed_at, GetCurrentTimestamp(), CONFIRM_INTERVAL))
		confirm_changes(stream);
	for (;;)
	{
		StringInfoData message = next_message(stream->session);
		StreamFrame frame;
		const char *wrong =
			read_stream_frame({message.data, static_cast<size_t>(message.len)}, &frame);
		if (wrong != nullptr)
			raise_unreadable(wrong);
		stream->position = frame.position > stream->position ? frame.position : stream->position;
		if (frame.kind == StreamFrame::Kind::Data)
			return read_change(frame.data, table_context);
		if (frame.wants_reply)
			confirm_changes(stream);
		pfree(message.data);
	}
}

} // namespace civitas::cluster
