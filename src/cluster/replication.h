/*
 * replication.h: the part of a transfer that logical decoding does: what is written to the source
 * while its rows are copied, and until writes are blocked, follows.
 *
 * The transfers are divided into streams: those with one source node, one target node and one owner
 * share a publication, a slot and a session of the target, which takes the changes from the slot
 * and applies them (apply_changes.cpp).
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
/* The targets begin to apply changes; they must have their rows and indexes. */
void start_applying(Replication *replication);
/* Returns when the targets are nearly as new as the sources. */
void catch_up(Replication *replication);
/* While writes are blocked: returns when everything that was written has arrived and is committed.
 * counts: one for each transfer; those of changes are set. */
void finish_replication(Replication *replication, RowCount *counts);
/* Closes its sessions; never raises. Publications and slots are left to clean_up(). */
void close_replication(Replication *replication);

} // namespace civitas::cluster
