/*
 * cleanup.h: what moves and splits make for a while, and its end.
 *
 * Every object is recorded in the coordinator's pg_dist_cleanup, in a transaction of its own,
 * before it is made. While the operation's lock is held its records are left alone; afterwards
 * whoever cleans up drops what they name. So a crash at any moment leaves records, not litter.
 */
#pragma once

#include "civitas/base/ids.h"
#include "civitas/pg/server.h"

#include <span>

namespace civitas::cluster {

/* pg_dist_cleanup.object_type */
enum class ObjectType : int
{
	Placement = 1, /* a shard's table: qualified and quoted name */
	ReplicationSlot = 3,
	Publication = 4
};

/* pg_dist_cleanup.policy_type */
enum class CleanupPolicy : int
{
	Always = 0,	   /* when the operation has ended */
	OnFailure = 1, /* keep_objects() takes the record away */
	Deferred = 2   /* a placement that was replaced: when nobody uses it any more */
};

struct TemporaryObject
{
	ObjectType type;
	const char *name;
	GroupId group; /* where it is */
	CleanupPolicy policy;
};
CIVITAS_SERVER_STATE(TemporaryObject);

/* A new operation's id; its lock is held until the end of this transaction. */
int64 begin_operation();
/* Records objects that are about to be made, durably, whatever becomes of this transaction. */
void record_objects(int64 operation, std::span<const TemporaryObject> objects);
/* Records objects to be dropped if this transaction commits. */
void record_for_drop(int64 operation, std::span<const TemporaryObject> objects);
/* If this transaction commits, the operation's objects of policy OnFailure stay. */
void keep_objects(int64 operation);

struct CleanUp
{
	int level;			   /* how loudly to say what cannot be dropped now */
	int lock_timeout;	   /* ms; bounds the wait for readers of a placement */
	bool wait;			   /* for another session that cleans up; false: leave it to that one */
	bool only_replication; /* no tables: slots and publications */
};
CIVITAS_SERVER_STATE(CleanUp);

/* Drops what ended operations left. What cannot be dropped now (a node is down, a replaced
 * placement is still read) stays recorded. Returns how many objects are gone. */
int clean_up(const CleanUp& how);

void cleanup_init();

} // namespace civitas::cluster
