/*
 * change_stream.h: row changes of another node, as its logical decoding tells them.
 *
 * The messages of pgoutput, protocol version 1, in text form, streamed from a replication slot.
 */
#pragma once

#include "civitas/base/change_message.h"
#include "civitas/pg/server.h"
#include "civitas/pg/vec.h"
#include "civitas/remote/session.h"

CIVITAS_PG_BEGIN
#include "access/xlogdefs.h"
CIVITAS_PG_END

#include <span>

namespace civitas::cluster {

/* A column's value in a change. */
struct ChangeValue
{
	using Kind = MessageValue::Kind;
	Kind kind;
	char *text;
};

/* A published table, as the stream describes it before its first change. */
struct ChangedTable
{
	uint32 id;			/* in the stream */
	const char *name;	/* qualified and quoted */
	bool full_identity; /* REPLICA IDENTITY FULL */
	pg::Vec<const char *> columns;
	pg::Vec<bool> is_key; /* part of the replica identity */
};

struct Change
{
	enum class Kind : char
	{
		Table, /* `table` is described; forget what was known of it */
		Insert,
		Update,
		Delete,
		Truncate,
		Mark, /* what mark_sql() wrote: all that was committed before has been told */
		Other /* begin, commit and the like */
	};
	Kind kind;
	ChangedTable *table;				  /* Table */
	uint32 table_id;					  /* Insert, Update, Delete */
	std::span<const ChangeValue> old_row; /* the replica identity's columns, or all; may be empty */
	std::span<const ChangeValue> new_row;
	const char *mark;	   /* Mark */
	ChangeMessage message; /* what it was read from; its bytes may be gone */
};

/* SQL that writes a mark into the log of the node that runs it. */
char *mark_sql(const char *mark);

/* An open stream. Its session is in use until it is closed. */
struct ChangeStream
{
	remote::Session *session;
	XLogRecPtr position; /* of what was received */
	TimestampTz confirmed_at;
};

/* Begins to stream the slot's changes of the publication. Raises remote errors. */
ChangeStream open_changes(const remote::Endpoint& endpoint, const char *slot,
						  const char *publication);
/* Waits for the next change; what it points to lives in CurrentMemoryContext, tables in
 * table_context. Raises when the stream ends, 08P01 for what is no message. */
Change next_change(ChangeStream *stream, MemoryContext table_context);
/* Tells the source how far we are, for those who watch. A slot is never read twice: who fails
 * starts over with a new one. */
void confirm_changes(ChangeStream *stream);

} // namespace civitas::cluster
