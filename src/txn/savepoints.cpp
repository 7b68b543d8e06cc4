/*
 * savepoints.cpp: subtransactions on other nodes.
 *
 * Each open subtransaction of this backend is a savepoint citus_s<id> on the sessions that ran
 * something inside it; established with the first such statement (participants.cpp). Releasing one
 * is remembered and sent with the next statement. Rolling one back reaches the sessions at once,
 * because their locks and errors must go: cancel what runs, ROLLBACK TO, RELEASE; a session that
 * cannot follow is broken and the transaction can only be rolled back.
 *
 * The callback of a rolled back subtransaction may not raise.
 */
#include "civitas/pg/server.h"

#include "transaction_state.h"

#include "civitas/pg/vec.h"

namespace civitas::txn {

namespace {

/* In TopMemoryContext; entries of the open subtransactions. */
pg::Vec<SubTransactionId> *open_stack;

/* Time that a session has to come back to a savepoint, ms. */
constexpr int ROLLBACK_TIMEOUT = 5000;

/* How many entries of the participant's stack lie below the subtransaction. */
int savepoints_below(const Participant *participant, SubTransactionId id)
{
	int count = 0;
	while (count < participant->savepoint_count && participant->savepoints[count] < id)
		count++;
	return count;
}

bool has_savepoint(const Participant *participant, SubTransactionId id)
{
	const int below = savepoints_below(participant, id);
	return below < participant->savepoint_count && participant->savepoints[below] == id;
}

void push_subtransaction(SubTransactionId id)
{
	if (open_stack == nullptr)
	{
		void *memory = MemoryContextAlloc(TopMemoryContext, sizeof(pg::Vec<SubTransactionId>));
		*static_cast<pg::Vec<SubTransactionId> *>(memory) =
			pg::Vec<SubTransactionId>(TopMemoryContext);
		open_stack = static_cast<pg::Vec<SubTransactionId> *>(memory);
	}
	open_stack->push(id);
}

void pop_subtransaction(SubTransactionId id)
{
	while (open_stack != nullptr && !open_stack->empty() && open_stack->back() >= id)
		open_stack->pop();
}

void release_savepoint(Participant *participant, SubTransactionId id)
{
	if (participant->begun && has_savepoint(participant, id))
	{
		const int below = savepoints_below(participant, id);
		if (below < participant->released)
			participant->released = below;
	}
}

/* First half of rolling back: the session is made idle and gets the command. */
void send_rollback_to(Participant *participant, SubTransactionId id)
{
	remote::Session *session = participant->session;
	if (!participant->begun || participant->broken)
		return;
	if (!has_savepoint(participant, id))
	{
		/* Nothing was done there inside it; but a statement that failed before its SAVEPOINT took
		 * the transaction along. */
		if (remote::failed(session))
			participant->broken = true;
		return;
	}
	char sql[128];
	snprintf(sql, sizeof(sql), "ROLLBACK TO SAVEPOINT citus_s%u; RELEASE SAVEPOINT citus_s%u", id,
			 id);
	if (!remote::drain_quietly(session, true, ROLLBACK_TIMEOUT) ||
		!remote::send_quietly(session, sql))
		participant->broken = true;
}

void finish_rollback_to(Participant *participant, SubTransactionId id)
{
	if (!participant->begun || participant->broken || !has_savepoint(participant, id))
		return;
	PGresult *error = nullptr;
	char tag[64];
	if (!remote::finish_quietly(participant->session, ROLLBACK_TIMEOUT, ROLLBACK_TIMEOUT, &error,
								tag) ||
		error != nullptr ||
		PQtransactionStatus(remote::connection(participant->session)) != PQTRANS_INTRANS)
		participant->broken = true;
	PQclear(error);

	participant->savepoint_count = savepoints_below(participant, id);
	if (participant->released > participant->savepoint_count)
		participant->released = participant->savepoint_count;
	forget_settings(participant->session);
	participant->settings_told = 0;
	participant->role = nullptr;
}

} // namespace

std::span<const SubTransactionId> open_subtransactions()
{
	if (open_stack == nullptr)
		return {};
	return open_stack->span();
}

void forget_subtransactions()
{
	if (open_stack != nullptr)
		open_stack->clear();
}

void subtransaction_callback(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
							 void *argument)
{
	switch (event)
	{
	case SUBXACT_EVENT_START_SUB:
		push_subtransaction(id);
		break;
	case SUBXACT_EVENT_PRE_COMMIT_SUB:
		break;
	case SUBXACT_EVENT_COMMIT_SUB:
		pop_subtransaction(id);
		keep_local_settings(id, parent);
		if (current.used)
			for_each_participant(
				[&](Participant *participant) { release_savepoint(participant, id); });
		break;
	case SUBXACT_EVENT_ABORT_SUB:
		pop_subtransaction(id);
		drop_local_settings(id);
		if (!current.used)
			break;
		/* All are told to stop before any is waited for. */
		for_each_participant([&](Participant *participant) {
			if (participant->begun && has_savepoint(participant, id))
				remote::send_cancel(participant->session);
		});
		for_each_participant([&](Participant *participant) { send_rollback_to(participant, id); });
		for_each_participant(
			[&](Participant *participant) { finish_rollback_to(participant, id); });
		break;
	}
}

} // namespace civitas::txn
