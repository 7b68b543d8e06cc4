/*
 * change_stream.h: row changes of another node, as its logical decoding tells them.
 *
 * The messages of pgoutput, protocol version 1, in text form, taken from a replication slot by SQL.
 */
#pragma once

#include "civitas/pg/server.h"
#include "civitas/pg/vec.h"
#include "civitas/remote/session.h"

#include <span>

namespace civitas::cluster {

/* A column's value in a change. */
struct ChangeValue
{
	enum class Kind : char
	{
		Null,
		Unchanged, /* a long value that the update left alone, and that was not sent */
		Text
	};
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
		Other /* begin, commit and the like */
	};
	Kind kind;
	ChangedTable *table;				  /* Table */
	uint32 table_id;					  /* Insert, Update, Delete */
	std::span<const ChangeValue> old_row; /* the replica identity's columns, or all; may be empty */
	std::span<const ChangeValue> new_row;
};

/* Reads one message; what it points to lives in CurrentMemoryContext, tables in table_context.
 * 08P01 for what is no message. */
Change read_change(const char *data, int length, MemoryContext table_context);

/* Opens the slot's changes up to an LSN on an idle session, in a transaction there, and takes them
 * from the slot. */
void open_changes(remote::Session *session, const char *slot, const char *publication,
				  const char *upto);
/* The next messages, in binary form, at most a few hundred; no rows at the end. Owned by
 * CurrentMemoryContext. */
PGresult *fetch_changes(remote::Session *session);

} // namespace civitas::cluster
