/*
 * shard_copy_internal.h: what the shard_copy*.cpp files share.
 *
 *     rows -> ShardBuffer (one a shard) -> Batch -> queue of a Stream (one a session) -> COPY there
 *                                             \---> local COPY, at once
 *
 * A Batch is a run of rows of one shard with the original line number of each; it is owned by the
 * streams it is queued on.
 */
#pragma once

#include "civitas/executor/shard_copy.h"
#include "civitas/pg/vec.h"
#include "civitas/remote/session.h"

CIVITAS_PG_BEGIN
#include "executor/tuptable.h"
#include "storage/buffile.h"
#include "utils/elog.h"
CIVITAS_PG_END

namespace civitas::executor {

/* Rows of one shard, encoded, complete with header and trailer once it is queued. */
struct Batch
{
	int shard_index;
	int references; /* queues that hold it */
	/* Rows that were put on disk, before those in `data`; only where a shard's rows must stay
	 * together. */
	BufFile *spill;
	size_t spilled;
	char *data; /* may be longer than 1 GB in capacity terms: allocated huge */
	size_t length;
	size_t capacity;
	/* Line i (0-based) that the shard's COPY counts came from line first_line + lines[i] of the
	 * client. */
	int64 first_line;
	uint32 *lines;
	int line_count;
	int line_capacity;
	int64 rows;
	Batch *next; /* free list */
};
CIVITAS_SERVER_STATE(Batch);

struct QueueEntry
{
	Batch *batch;
	QueueEntry *next;
};

enum class StreamState
{
	Idle,	  /* nothing sent, or everything answered */
	Starting, /* COPY sent, waiting for the node to ask for data */
	Sending,  /* data leaves as the socket takes it */
	Ending	  /* end of data sent, waiting for the result */
};

/* One session's work: batches in order, the first one in flight unless Idle. */
struct Stream
{
	remote::Session *session;
	GroupId group;
	StreamState state;
	QueueEntry *head;
	QueueEntry *tail;
	size_t sent;	 /* bytes of the head batch given to libpq */
	bool want_write; /* blocked on socket space */
	bool completed;	 /* Ending: the result was read, the closing null was not */
};
CIVITAS_SERVER_STATE(Stream);

/* How shard_copy_slot() makes a row of a slot. */
struct RowEncoder
{
	TupleDesc row_type;
	int column_count;
	AttrNumber *attributes;			   /* of the slot, in column order */
	FmgrInfo *functions;			   /* send (binary) or output (text) functions */
	AttrNumber distribution_attribute; /* of the slot; 0 where rows are not routed by value */
	MemoryContext row_context;
	char *distribution_column;
};

struct ShardCopy
{
	const catalog::Table *table;
	MemoryContext context;
	ErrorContextCallback *error_context; /* error_context_stack at begin: the caller's own lines do
											not belong into ours */
	List *columns;
	List *options;			   /* of the shards' COPY, encoding included */
	char *columns_and_options; /* the same as text: "(a, b) FROM STDIN WITH (..)" */
	bool binary;
	bool counts_embedded_newlines; /* csv */
	bool one_batch_a_shard;		   /* the rows of a shard are one COPY: see shard_copy.cpp */
	bool here_only;				   /* other placements are left alone */
	bool node_by_node; /* few rows come to one node after the other: see shard_locks.cpp */
	bool locked;	   /* what must be locked before the first batch */
	bool too_large;	   /* rows left before the end: they come as they are ready */
	Batch **buffers;   /* per shard; null = empty */
	Batch *free_batches;
	size_t buffered; /* bytes in buffers */
	size_t queued;	 /* bytes in batches of streams */
	size_t since_pump;
	pg::Vec<Stream *> *streams;
	Stream **shard_streams; /* of shards with one remote placement, once known */
	int64 rows;
	RowEncoder *encoder; /* begin_rows only */
	ShardCopy *older;	 /* list of running ones */
};
CIVITAS_SERVER_STATE(ShardCopy);

/* shard_copy.cpp */
/* The copies that run now, innermost first. */
extern ShardCopy *active_copies;
void release_batch(ShardCopy *copy, Batch *batch);
/* Bytes of the batch from `offset` on, at most `length`, without copying where they are in memory.
 * The number that *bytes points to, 0 at the end. `scratch` holds `length` bytes. */
size_t batch_bytes(const Batch *batch, size_t offset, size_t length, char *scratch,
				   const char **bytes);

/* shard_copy_rows.cpp */
/* shard_copy_slot() with the line of the client's stream that the row came from. */
void shard_copy_slot_line(ShardCopy *copy, TupleTableSlot *slot, int64 line_number);

/* shard_copy_stream.cpp */
Stream *stream_for(ShardCopy *copy, int shard_index, const catalog::Placement& placement);
void stream_enqueue(ShardCopy *copy, Stream *stream, Batch *batch);
/* Whatever can be sent and received without waiting, on all streams. */
void pump_streams(ShardCopy *copy);
/* Pumps and waits until no stream has the batch any more. */
void wait_for_batch(ShardCopy *copy, const Batch *batch);
/* Pumps and waits until at most `bytes` are queued (0: everything is written and confirmed). */
void wait_for_streams(ShardCopy *copy, size_t bytes);

/* shard_copy_local.cpp */
void write_local_batch(ShardCopy *copy, Batch *batch);

/* shard_copy_errors.cpp */
/* What a node said of a batch, as an error about the client's line. */
[[noreturn]] void raise_batch_error(ShardCopy *copy, Stream *stream, Batch *batch,
									PGresult *result);
/* The context of a failed shard COPY with the table's name and the client's line number. In
 * CurrentMemoryContext. */
char *original_context(ShardCopy *copy, const Batch *batch, const char *table_name,
					   const char *context);

} // namespace civitas::executor
