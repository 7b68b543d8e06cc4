/*
 * replication.h: the part of a transfer that logical replication does: what is written to the
 * source while its rows are copied, and until writes are blocked, follows by itself.
 *
 * The transfers are divided into streams: those with one source node, one target node and one owner
 * share a publication, a slot and a subscription. A subscription applies changes to relations of
 * the same name, so source and target of a stream must be different nodes and the shard the same.
 * Where shards are split neither is so: then there is no subscription, and the target takes the
 * changes from the slot by itself, when it is told to (apply_changes.cpp).
 */
#pragma once

#include "transfer.h"

namespace civitas::cluster {

struct Replication; /* palloc'ed in the context current at plan_replication() */

/* Divides the transfers into streams and records what those will need. The transfers must live as
 * long as the result. */
Replication *plan_replication(int64 operation, Transfers transfers);
/* Publications and slots. A snapshot of each source, kept until end_snapshots(). 55000 where a
 * source's wal_level is not logical. */
void start_publishing(Replication *replication);
/* For copy_rows(): one for each transfer. */
std::span<const char *const> snapshots(const Replication *replication);
void end_snapshots(Replication *replication);
/* Starts the subscriptions; the targets must have their rows and indexes. */
void subscribe(Replication *replication);
/* Returns when the targets are nearly as new as the sources. */
void catch_up(Replication *replication);
/* While writes are blocked: returns when everything that was written has arrived. */
void finish_replication(Replication *replication);
/* Gives its sessions back; never raises. Publications, slots and subscriptions are left to
 * clean_up(). */
void close_replication(Replication *replication);

} // namespace civitas::cluster
