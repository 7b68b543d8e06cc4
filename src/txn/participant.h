/*
 * participant.h: a session's part in the transaction of this backend, as what it knows of it.
 *
 * State alone: who chooses sessions and what is sent on them is in participants.cpp and commit.cpp.
 */
#pragma once

#include "civitas/commit/gid.h"
#include "civitas/remote/session.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
CIVITAS_PG_END

#include <type_traits>

namespace civitas::txn {

/* Where a session stands on its way to the end of the transaction. */
enum class Step : uint8
{
	Open,		 /* nothing of the end was sent */
	CommitSent,	 /* COMMIT was sent, no answer yet */
	PrepareSent, /* PREPARE TRANSACTION was sent, no answer yet */
	Prepared,	 /* ... and succeeded */
	Ended		 /* not in a transaction any more */
};

/* A session's part in transactions; lives as long as the session. */
struct Participant
{
	remote::Session *session;
	GroupId group;
	bool begun;	 /* in a transaction block there */
	bool wrote;	 /* needs two-phase commit if it is not alone */
	bool broken; /* its transaction cannot be committed any more */
	bool beside; /* somebody's own session, see set_beside() */
	Step step;

	bool settings_known; /* what it was told is in force there */
	/* ... but they were sent in this transaction: undone by a rollback, or by a cancel that came
	 * before what followed them in the same part of the pipeline had ended. */
	bool settings_in_doubt;
	/* What it was told, by value, in the order of settings.cpp; null: nothing. In the session's
	 * context. */
	char **told;
	int told_count;
	uint64 settings_generation; /* of settings.cpp when it was told */

	/* Savepoints established there, outermost first; from `released` on they were released here,
	 * not there yet. */
	SubTransactionId *savepoints;
	int savepoint_count;
	int savepoint_capacity;
	int released;

	/* In whose name the node runs statements of this transaction; null: not known. One of
	 * current_role_name(). */
	const char *role;

	int settings_told; /* how many of the SET LOCALs it was told (local_settings.cpp) */

	char gid[commit::GID_SIZE];
	char commit_command[commit::GID_SIZE + 32];
	char rollback_command[commit::GID_SIZE + 32];
};
CIVITAS_SERVER_STATE(Participant);

/* The distributed transaction of this backend. */
struct TransactionState
{
	bool used;		  /* some session took part */
	bool local_write; /* local shards were written */
	int writers;	  /* participants that wrote */
	uint64 number;	  /* of two-phase commit; 0 before it */
};
extern TransactionState current;

/* Ends the parts of this transaction that only read; false, and nothing has ended, where one wrote. */
bool end_readers();

/* The session's part; made where it has none yet. */
Participant *participant_of(remote::Session *session);
/* ... or null. */
Participant *existing_participant(remote::Session *session);
/* It is in no transaction any more. */
void end_participant(Participant *participant);

template <typename Visit> void for_each_participant(Visit&& visit)
{
	remote::for_each_session(
		[](remote::Session *session, void *argument) {
			Participant *participant = existing_participant(session);
			if (participant != nullptr)
				(*static_cast<std::remove_reference_t<Visit> *>(argument))(participant);
		},
		&visit);
}

} // namespace civitas::txn
