/*
 * shard_copy.h: many rows into the shards of a table.
 *
 * Rows arrive one by one as encoded COPY lines (or binary tuples) with the index of their shard.
 * Each shard has a buffer; when one is full (or all of them together exceed the memory bound) its
 * rows leave as one COPY into the shard on the session of its node, while other nodes work on
 * theirs: one session a node, so that the transaction sees its own writes. Shards on this node are
 * written by a local COPY. Used by COPY FROM, by create_distributed_table for existing rows, and by
 * INSERT .. SELECT.
 */
#pragma once

#include "civitas/catalog/tables.h"
#include "civitas/remote/session.h"

CIVITAS_PG_BEGIN
#include "access/tupdesc.h"
#include "executor/tuptable.h"
CIVITAS_PG_END

namespace civitas::executor {

struct ShardCopy; /* opaque; palloc'ed in the memory context current at begin */

/* How lines are encoded: the options of the COPY statement that the shards will run. */
struct ShardCopyFormat
{
	bool binary = false;
	/* The shards are this transaction's own, without foreign keys yet, and all rows are for this
	 * node, which is not to write other placements: nothing is locked. */
	bool new_shards_here = false;
	List *options = NIL; /* DefElems as in CopyStmt, without those that only concern the client's
							stream (header) */
};

/* columns: names (String nodes) in the order of the fields of each row. Checks INSERT rights on the
 * table. */
ShardCopy *shard_copy_begin(const catalog::Table& table, List *columns,
							const ShardCopyFormat& format);
/* One encoded row: text/csv with its line end, or a binary tuple without header. line_number (from
 * 1; 0 = none) names the row in an error's context: a failure on a node is reported with this
 * line's number. */
void shard_copy_row(ShardCopy *copy, int shard_index, const char *data, int length,
					int64 line_number);
/* For tables whose one shard has several placements (reference tables) each placement gets the
 * rows. Sends the rest, waits for all; raises the first error. Rows written in all. */
uint64 shard_copy_finish(ShardCopy *copy);

/* For callers with Datums: columns name what the (not dropped) fields of the row are, in order.
 * Encodes a slot as a binary tuple (text for types without binary I/O) and routes it by the
 * distribution column. Use with begin_rows; freeze is COPY's. */
ShardCopy *shard_copy_begin_rows(const catalog::Table& table, List *columns, TupleDesc row_type,
								 bool freeze = false);
void shard_copy_slot(ShardCopy *copy, TupleTableSlot *slot);

/* The session is wanted for a statement while copies are running (a default's function may query):
 * waits until no batch is in flight on it. The copy goes on when it next has the session to itself.
 */
void shard_copy_yield(remote::Session *session);

} // namespace civitas::executor
