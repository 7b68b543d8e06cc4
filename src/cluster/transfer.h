/*
 * transfer.h: the steps that moving, copying and splitting shards are made of.
 *
 * A transfer is a list of shards that are to be filled from others: for a move one for each table
 * of the colocation group; a split has several targets with a filter for each source. The steps, in
 * order:
 *
 *   begin_operation()                        cleanup.h
 *   create_targets()                         recorded, then made: tables without indexes
 *   plan_replication(), start_publishing()   logical only (replication.h): a snapshot of each source
 *   block_writes()                           on all nodes; here where there is no logical part
 *   copy_rows()                              every target pulls its rows from its source
 *   build_indexes()                          indexes, constraints, partitions, statistics
 *   start_applying(), catch_up()             logical only
 *   block_writes()                           here where there is a logical part
 *   finish_replication()                     logical only: everything that was written has arrived
 *   add_foreign_keys(), ignore_foreign_keys(), the caller's metadata: SwitchCommands
 *
 * All up to finish_replication() but block_writes() runs in sessions of its own, as the extension's
 * owner, outside of this transaction: what they make is of no consequence until the metadata says
 * so.
 */
#pragma once

#include "civitas/catalog/nodes.h"
#include "civitas/catalog/tables.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"
#include "civitas/remote/session.h"
#include "civitas/shard/hash_range.h"

#include <span>

namespace civitas::cluster {

/* Which rows of a source a target takes: those whose hash of the column is in the range. */
struct HashCut
{
	const char *column;		/* null: all rows */
	const char *function;	/* what they are hashed with (catalog/hash_function.h) */
	shard::HashRange range; /* both ends inclusive */
	shard::HashRange whole; /* that of the source: each of its rows belongs to one of the targets */
};
CIVITAS_SERVER_STATE(HashCut);

/* A shard that is filled from another one (or from the same shard's placement on another node). */
struct ShardTransfer
{
	Oid relid;
	ShardId source_shard; /* INVALID_SHARD_ID: the table itself, which is local yet */
	ShardId target_shard;
	catalog::Node source;
	catalog::Node target;
	/* Which rows; without a column: all. */
	HashCut cut;
	/* How much of the source that is, by estimate. */
	double share;
};
CIVITAS_SERVER_STATE(ShardTransfer);

using Transfers = std::span<const ShardTransfer>;

/* What went by on the way of one transfer; see row_counts.cpp. */
struct RowCount
{
	/* Copied: rows of the source that were looked at, that it sent, that the target took. */
	int64 looked_at;
	int64 sent;
	int64 taken;
	/* Changes of the source's table afterwards, of any of its rows, ... */
	int64 told_inserts;
	int64 told_deletes;
	int64 told_updates;
	/* ... and rows that came to and left the target. An update that takes a row from one target to
	 * another is one of each. */
	int64 inserts;
	int64 deletes;
	int64 updates;
};
CIVITAS_SERVER_STATE(RowCount);
constexpr int COPY_COUNTS = 3;
constexpr int CHANGE_COUNTS = 6;
/* Reads numbers of "{1,2,..}" into the members from `first` on; returns where the next one is. */
const char *read_counts(const char *array, int64 *first, int count);
/* XX001 unless the targets have all that was sent, and all rows of the sources were: rows got lost,
 * or came from nowhere. */
void check_row_counts(Transfers transfers, std::span<const RowCount> counts);

/* Qualified and quoted. */
char *source_name(const ShardTransfer& transfer);

/* Runs body(argument) as the extension's owner, who may do everything on every node. */
void run_as_owner(void (*body)(void *), void *argument);
template <typename Body> void as_extension_owner(Body&& body)
{
	run_as_owner([](void *argument) { (*static_cast<Body *>(argument))(); }, &body);
}

/* One command for one node, in a session of its own as the extension's owner, committed at once. */
struct OwnerCommand
{
	catalog::Node node;
	const char *sql;
	const char *result; /* set: the one value of the last statement */
};
CIVITAS_SERVER_STATE(OwnerCommand);
/* Runs them, several at a time; raises the first failure, naming the node. */
void run_as_owner_on_nodes(std::span<OwnerCommand> commands);
/* One of them: its one value, in CurrentMemoryContext. */
const char *run_as_owner_on_node(const catalog::Node& node, const char *sql);

/* Records the tables of the targets as about to be made. */
void record_targets(int64 operation, Transfers transfers);
/* The same, and makes them, without indexes. */
void create_targets(int64 operation, Transfers transfers);
/* Copies the rows, as they are now or, with `snapshots` (one for each transfer, of the source), as
 * they were then; and counts them. */
pg::Vec<RowCount> copy_rows(Transfers transfers, std::span<const char *const> snapshots = {});
/* Indexes with their constraints, attached partitions; and analyze(). */
void build_indexes(Transfers transfers);
/* Statistics of the targets. */
void analyze(Transfers transfers);
/* What the nodes do in this transaction while writes are blocked: collected, so that each is asked
 * once. */
class SwitchCommands
{
public:
	/* Commands of one node run in the order in which they were added. */
	void add(const catalog::Node& node, const char *sql);
	void add_on_other_nodes(const char *sql);
	/* This node first, then all others at the same time. */
	void run_on_nodes();

private:
	struct Command
	{
		catalog::Node node;
		const char *sql;
	};
	pg::Vec<Command> commands_;
};

/* Foreign keys of the targets. */
void add_foreign_keys(SwitchCommands *commands, Transfers transfers);
/* The sources are about to be given up, but stand a while longer: what happens to reference tables
 * that they reference must neither change them nor fail because of them. */
void ignore_foreign_keys(SwitchCommands *commands, Transfers transfers);

/* Takes locks that others may hold for long: take(argument) is tried again and again, each time for
 * a moment only; between two tries meanwhile(meanwhile_argument) is called, unless null. */
void lock_patiently(void (*take)(void *), void *argument, void (*meanwhile)(void *),
					void *meanwhile_argument);

/*
 * Stops writes to the tables (oids), and to reference tables that they reference, on all nodes
 * until the end of this transaction, and waits for those that have begun; patiently, as above. Also
 * locks the source placements, so that what a crash left prepared is waited for.
 */
void block_writes(List *tables, Transfers transfers, void (*meanwhile)(void *), void *argument);

/* The settings of moves and of splits. */
void move_init();
void split_init();
void reference_copies_init();

/* "SELECT create_shard_parts(..)" of one shard group. part: "table", "indexes", "attach". */
char *create_parts_sql(Transfers transfers, const char *part);
/* name[], for use in SQL: the tables' names in the order of the transfers. */
char *regclass_array(Transfers transfers);
/* Target shard ids likewise. */
char *shard_id_array(Transfers transfers);

} // namespace civitas::cluster
