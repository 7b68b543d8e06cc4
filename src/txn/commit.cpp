/*
 * commit.cpp: the end of a transaction, here and on the other nodes.
 *
 * Before the local commit (errors are welcome, they abort everything):
 *   nobody wrote                  COMMIT everywhere
 *   one session wrote, and        its COMMIT is the commit
 *   nothing here can fail
 *   else                          PREPARE TRANSACTION on all that wrote, in parallel;
 *                                 COMMIT on those that read;
 *                                 a record for each prepared part goes into pg_dist_transaction
 *
 * The local commit makes the records durable: from there on the transaction is committed. What can
 * still fail here until then: local_end.cpp.
 *
 * After it (nothing may raise):
 *   COMMIT PREPARED in parallel. What is not reached is left to recovery.
 *
 * Abort (nothing may raise):
 *   ROLLBACK, or ROLLBACK PREPARED where a part was prepared; sessions that do not come back in
 *   time are closed, and recovery rolls back parts that no record speaks for.
 */
#include "civitas/pg/server.h"

#include "transaction_state.h"

#include "civitas/pg/clock.h"
#include "civitas/pg/debug_point.h"

CIVITAS_PG_BEGIN
#include "access/parallel.h"
#include "access/transam.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
CIVITAS_PG_END

#include <climits>

namespace civitas::txn {

void (*transaction_end_hook)(bool committed) = nullptr;
void (*before_commit_hook)(bool prepare) = nullptr;
void (*before_end_hook)() = nullptr;

namespace {

int max_cached_sessions;
int max_cached_lifetime;

/* Times that other nodes have to answer where the user cannot cancel the wait, ms. */
constexpr int COMMIT_TIMEOUT = 30000;
constexpr int ABORT_TIMEOUT = 5000;
constexpr int EXIT_TIMEOUT = 1000;
/* ... and when this process was told to stop: a node that lives ends a transaction in far less. */
constexpr int COMMIT_PATIENCE = 5000;
constexpr int ABORT_PATIENCE = 1000;
/* Of several nodes that do not answer, each costs at least this. */
constexpr int LEAST_TIMEOUT = 100;

/* The nodes share one period: it begins with the first that is waited for. */
class Deadline
{
public:
	explicit Deadline(int timeout_ms)
		: end_(TimestampTzPlusMilliseconds(pg::monotonic_now(), timeout_ms))
	{}
	int left() const
	{
		const long ms = TimestampDifferenceMilliseconds(pg::monotonic_now(), end_);
		return ms < LEAST_TIMEOUT ? LEAST_TIMEOUT : static_cast<int>(ms);
	}

private:
	TimestampTz end_;
};
CIVITAS_SERVER_STATE(Deadline);

[[noreturn]] void raise_broken(const Participant *participant)
{
	ereport(ERROR, (errcode(ERRCODE_CONNECTION_FAILURE),
					errmsg("could not commit: the transaction on node %s:%d is lost",
						   remote::host(participant->session), remote::port(participant->session)),
					errdetail("The whole transaction was rolled back.")));
}

/* --- before the local commit --- */

/* Every session idle, and able to commit where that matters. */
void settle_sessions()
{
	int writers = 0;
	for_each_participant([&](Participant *participant) {
		remote::Session *session = participant->session;
		if (!participant->begun)
		{
			if (remote::busy(session) && !participant->beside)
				remote::drain_quietly(session, true, ABORT_TIMEOUT);
			return;
		}
		if (participant->wrote)
			writers++;
		if (!remote::failed(session) && remote::busy(session))
		{
			/* Rows that nobody asked for any more, or the end of a statement whose outcome counts.
			 */
			if (participant->wrote)
				remote::drain(session);
			else if (!remote::drain_quietly(session, true, ABORT_TIMEOUT))
				participant->broken = true;
		}
		const bool lost = remote::failed(session) || participant->broken ||
						  PQtransactionStatus(remote::connection(session)) != PQTRANS_INTRANS;
		if (lost && (participant->wrote || XactIsoLevel == XACT_SERIALIZABLE))
			raise_broken(participant);
		if (lost)
			participant->broken = true;
	});
	if (writers < current.writers)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not commit: the session of a node that has changes is closed"),
				 errdetail("The whole transaction was rolled back.")));
}

enum class Who
{
	Readers,
	Writer
};

bool is_one_of(const Participant *participant, Who who)
{
	return participant->begun && !participant->broken && participant->wrote == (who == Who::Writer);
}

/* COMMIT or PREPARE TRANSACTION. */
void send_ending(Participant *participant, const char *command)
{
	const char *role = ending_role_statement(participant);
	remote::send_simple(participant->session,
						role != nullptr ? psprintf("%s; %s", role, command) : command);
}

void send_commits(Who who)
{
	for_each_participant([&](Participant *participant) {
		if (!is_one_of(participant, who))
			return;
		Assert(participant->step == Step::Open);
		participant->step = Step::CommitSent;
		send_ending(participant, "COMMIT");
	});
}

/*
 * Reads the answers to COMMIT. What a reader says counts only where its reads can be refused
 * (serializable). The writer's word is final: without it nobody knows whether the transaction is
 * committed, and that is what the error says.
 */
void finish_commits(Who who)
{
	for_each_participant([&](Participant *participant) {
		remote::Session *session = participant->session;
		if (participant->step != Step::CommitSent || !is_one_of(participant, who))
			return;
		PGresult *error = nullptr;
		char tag[64];
		const bool answered =
			remote::finish_quietly(session, INT_MAX, COMMIT_PATIENCE, &error, tag);
		participant->step = Step::Ended;
		if (who == Who::Readers && XactIsoLevel != XACT_SERIALIZABLE)
		{
			PQclear(error);
			return;
		}
		if (!answered)
		{
			PQclear(error);
			ereport(ERROR, (errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
							errmsg("node %s:%d did not answer to COMMIT", remote::host(session),
								   remote::port(session)),
							errdetail("Whether the transaction is committed there is not known.")));
		}
		if (error != nullptr)
			remote::raise_remote_error(session, error);
		if (strcmp(tag, "COMMIT") != 0)
			raise_broken(participant);
	});
}

void prepare_writers()
{
	/* The record must be on disk before a node is told to commit, whatever synchronous_commit says.
	 */
	ForceSyncCommit();
	/* Of an id that came from another node the number is not ours. */
	const DistributedId& id = ensure_distributed_id();
	current.number = id.is_initiator ? id.number : next_transaction_number();
	enter_transaction_number(current.number);
	const GroupId group = catalog::local_group_id();
	uint32 ordinal = 0;
	for_each_participant([&](Participant *participant) {
		if (!participant->begun || !participant->wrote)
			return;
		commit::format_gid({group, MyDatabaseId, MyProcPid, current.number, ordinal++},
						   participant->gid);
		/* Kept ready: after the local commit there may be no memory for them. */
		snprintf(participant->commit_command, sizeof(participant->commit_command),
				 "COMMIT PREPARED '%s'", participant->gid);
		snprintf(participant->rollback_command, sizeof(participant->rollback_command),
				 "ROLLBACK PREPARED '%s'", participant->gid);
		char sql[commit::GID_SIZE + 32];
		snprintf(sql, sizeof(sql), "PREPARE TRANSACTION '%s'", participant->gid);
		Assert(participant->step == Step::Open);
		participant->step = Step::PrepareSent;
		send_ending(participant, sql);
		if (ordinal == 1)
			CIVITAS_DEBUG_POINT("between_prepares");
	});
	CIVITAS_DEBUG_POINT("prepare_sent");
	send_commits(Who::Readers);
	for_each_participant([&](Participant *participant) {
		if (participant->step != Step::PrepareSent)
			return;
		remote::read_ahead(participant->session);
		remote::drain(participant->session);
		participant->step = Step::Prepared;
	});
	CIVITAS_DEBUG_POINT("before_record");
	insert_commit_records(static_cast<int>(ordinal));
	finish_commits(Who::Readers);
	CIVITAS_DEBUG_POINT("prepared");
}

void commit_before_local()
{
	if (!current.used)
		return;
	check_group_left();
	settle_sessions();
	CIVITAS_DEBUG_POINT("before_commit");
	if (current.writers == 0 || (current.writers == 1 && !local_end_can_fail()))
	{
		/* A refused read must keep the writer from committing. */
		send_commits(Who::Readers);
		if (XactIsoLevel == XACT_SERIALIZABLE)
			finish_commits(Who::Readers);
		if (current.writers == 1)
			pass_local_checks();
		send_commits(Who::Writer);
		finish_commits(Who::Writer);
		finish_commits(Who::Readers);
	}
	else
		prepare_writers();
}

/* --- after the local commit --- */

void warn_left_to_recovery(const Participant *participant, const PGresult *error)
{
	const char *reason =
		error != nullptr ? PQresultErrorField(error, PG_DIAG_MESSAGE_PRIMARY) : nullptr;
	ereport(WARNING,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("could not finish the committed transaction on node %s:%d yet",
					remote::host(participant->session), remote::port(participant->session)),
			 reason != nullptr ? errdetail_internal("%s", reason) : 0,
			 errhint("It is committed; the node's part follows when the node can be reached again, "
					 "or by SELECT recover_prepared_transactions().")));
}

void commit_prepared()
{
	CIVITAS_DEBUG_POINT("committed");
	bool first = true;
	for_each_participant([&](Participant *participant) {
		/* Nobody's word is awaited any more: all have said that they can commit. */
		Assert(participant->step != Step::PrepareSent);
		if (participant->step != Step::Prepared)
			return;
		if (!remote::send_quietly(participant->session, participant->commit_command))
		{
			warn_left_to_recovery(participant, nullptr);
			participant->step = Step::Ended;
		}
		if (first)
			CIVITAS_DEBUG_POINT("commit_prepared_sent");
		first = false;
	});
	const Deadline deadline(COMMIT_TIMEOUT);
	for_each_participant([&](Participant *participant) {
		if (participant->step != Step::Prepared)
			return;
		PGresult *error = nullptr;
		char tag[64];
		if (!remote::finish_quietly(participant->session, deadline.left(), COMMIT_PATIENCE, &error,
									tag) ||
			error != nullptr)
			warn_left_to_recovery(participant, error);
		PQclear(error);
		participant->step = Step::Ended;
	});
}

/* --- abort --- */

/* First pass: stop what runs, learn what became of a PREPARE or COMMIT, send the ROLLBACK. */
void send_rollback(Participant *participant, const Deadline& deadline)
{
	remote::Session *session = participant->session;
	PGresult *error = nullptr;
	char tag[64];
	if (participant->step == Step::CommitSent || participant->step == Step::PrepareSent)
	{
		if (!remote::finish_quietly(session, deadline.left(), ABORT_PATIENCE, &error, tag) ||
			error != nullptr)
			participant->step = Step::Ended;
		else if (participant->step == Step::PrepareSent && strcmp(tag, "PREPARE TRANSACTION") == 0)
			participant->step = Step::Prepared;
		else
			participant->step = Step::Ended;
		PQclear(error);
	}
	else
		remote::drain_quietly(session, true, deadline.left());

	if (participant->step == Step::Prepared)
		remote::send_quietly(session, participant->rollback_command);
	else if (participant->step == Step::Open && !remote::failed(session) &&
			 PQtransactionStatus(remote::connection(session)) != PQTRANS_IDLE)
		remote::send_quietly(session, "ROLLBACK");
}

void abort_everywhere()
{
	/* All are told to stop before any is waited for. */
	remote::for_each_session(
		[](remote::Session *session, void *argument) {
			const Participant *participant = existing_participant(session);
			if (participant == nullptr || (participant->step == Step::Open && !participant->beside))
				remote::send_cancel(session);
		},
		nullptr);
	Deadline deadline(proc_exit_inprogress ? EXIT_TIMEOUT : ABORT_TIMEOUT);
	remote::for_each_session(
		[](remote::Session *session, void *argument) {
			const Deadline& limit = *static_cast<Deadline *>(argument);
			Participant *participant = existing_participant(session);
			if (participant != nullptr && participant->begun)
				send_rollback(participant, limit);
			else if (participant == nullptr || !participant->beside)
				remote::drain_quietly(session, false, limit.left());
		},
		&deadline);
	for_each_participant([&](Participant *participant) {
		if (participant->begun && remote::busy(participant->session))
		{
			PGresult *error = nullptr;
			char tag[64];
			remote::finish_quietly(participant->session, deadline.left(), ABORT_PATIENCE, &error,
								   tag);
			PQclear(error);
		}
		/* What was set may have been cancelled, or is rolled back. */
		forget_settings(participant->session);
	});
}

/* --- afterwards --- */

/* How many sessions a transaction leaves to the next one, by address. Nothing may fail any more
 * here, so there is room for so many addresses; those beyond share a count. */
struct Kept
{
	static constexpr int MOST = 128;
	TimestampTz now;
	int addresses;
	remote::Session *first[MOST]; /* stands for its address: it is kept */
	int count[MOST];
};

/* The count of the session's address; new ones begin with it. */
int& kept_like(Kept *kept, remote::Session *session)
{
	int index = 0;
	while (index < kept->addresses &&
		   (remote::port(kept->first[index]) != remote::port(session) ||
			strcmp(remote::host(kept->first[index]), remote::host(session)) != 0))
		index++;
	if (index == kept->addresses)
	{
		if (index == Kept::MOST)
			return kept->count[Kept::MOST - 1];
		kept->first[index] = session;
		kept->count[index] = 0;
		kept->addresses++;
	}
	return kept->count[index];
}

void keep_or_close(remote::Session *session, Kept *kept)
{
	remote::set_claimed(session, false);
	const bool usable = !remote::failed(session) && !remote::busy(session) &&
						remote::connected_at(session) != 0 &&
						PQtransactionStatus(remote::connection(session)) == PQTRANS_IDLE;
	const bool too_old =
		max_cached_lifetime >= 0 &&
		TimestampDifferenceExceeds(remote::connected_at(session), kept->now, max_cached_lifetime);
	if (!usable || too_old || max_cached_sessions <= 0 || remote::wanted_by_others(session))
	{
		remote::close(session);
		return;
	}
	int& count = kept_like(kept, session);
	if (count >= max_cached_sessions)
		remote::close(session);
	else
		count++;
}

/* Closes what is broken, too many or too old; the rest waits for the next transaction. */
void trim_cache()
{
	Kept kept;
	kept.now = GetCurrentTransactionStopTimestamp();
	kept.addresses = 0;
	remote::for_each_session(
		[](remote::Session *session, void *argument) {
			const Participant *participant = existing_participant(session);
			if (participant == nullptr || !participant->beside)
				keep_or_close(session, static_cast<Kept *>(argument));
		},
		&kept);
}

void end_transaction()
{
	for_each_participant([](Participant *participant) { end_participant(participant); });
	trim_cache();
	reset_affinity();
	if (current.number != 0)
		clear_transaction_number();
	clear_distributed_id();
	leave_groups();
	current = {};
}

} // namespace

void transaction_callback(XactEvent event, void *argument)
{
	switch (event)
	{
	case XACT_EVENT_PRE_COMMIT:
		if (before_end_hook != nullptr)
			before_end_hook();
		stop_acting();
		if (before_commit_hook != nullptr)
			before_commit_hook(false);
		release_held_snapshot();
		commit_before_local();
		break;
	case XACT_EVENT_COMMIT:
		if (current.number != 0)
			commit_prepared();
		end_transaction();
		break;
	case XACT_EVENT_ABORT:
		stop_acting();
		forget_held_snapshot();
		abort_everywhere();
		end_transaction();
		break;
	case XACT_EVENT_PRE_PREPARE:
		if (before_end_hook != nullptr)
			before_end_hook();
		stop_acting();
		if (before_commit_hook != nullptr)
			before_commit_hook(true);
		release_held_snapshot();
		/* Of a node that was asked by another: its triggers and policies may have read others. */
		if (current.used && !(is_internal_session() && end_readers()))
			ereport(
				ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg(
					 "PREPARE TRANSACTION is not supported in a transaction that used other nodes"),
				 errhint("End it with COMMIT, which is atomic across nodes.")));
		break;
	case XACT_EVENT_PREPARE:
		end_transaction();
		break;
	case XACT_EVENT_PARALLEL_COMMIT:
	case XACT_EVENT_PARALLEL_ABORT:
	case XACT_EVENT_PARALLEL_PRE_COMMIT:
		break;
	}
	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE)
	{
		forget_subtransactions();
		forget_local_settings();
		forget_running_statement();
		if (transaction_end_hook != nullptr)
			transaction_end_hook(event == XACT_EVENT_COMMIT);
	}
}

void commit_init()
{
	DefineCustomIntVariable(
		"citus.max_cached_conns_per_worker",
		"Sessions to each node that are kept between transactions.",
		"Raise it when most transactions read many shards in parallel; each kept "
		"session is a backend on the node.",
		&max_cached_sessions, 1, 0, INT_MAX, PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomIntVariable(
		"citus.max_cached_connection_lifetime",
		"Age at which a kept session is replaced; -1 keeps it as long as it works.", nullptr,
		&max_cached_lifetime, 600000, -1, INT_MAX, PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr,
		nullptr);
	RegisterXactCallback(transaction_callback, nullptr);
	RegisterSubXactCallback(subtransaction_callback, nullptr);
}

} // namespace civitas::txn
