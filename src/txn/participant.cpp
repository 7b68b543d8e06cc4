/*
 * participant.cpp: see participant.h.
 */
#include "civitas/pg/server.h"

#include "participant.h"

#include "civitas/catalog/nodes.h"

namespace civitas::txn {

TransactionState current;

Participant *existing_participant(remote::Session *session)
{
	return static_cast<Participant *>(remote::transaction_state(session));
}

Participant *participant_of(remote::Session *session)
{
	Participant *participant = existing_participant(session);
	if (participant == nullptr)
	{
		participant = static_cast<Participant *>(
			MemoryContextAllocZero(remote::session_context(session), sizeof(Participant)));
		participant->session = session;
		remote::set_transaction_state(session, participant);
	}
	if (!participant->begun)
	{
		const catalog::Node *node = catalog::find_node(remote::node_id(session));
		if (node != nullptr)
			participant->group = node->group_id;
	}
	return participant;
}

void end_participant(Participant *participant)
{
	participant->begun = false;
	participant->wrote = false;
	participant->broken = false;
	participant->settings_in_doubt = false;
	participant->step = Step::Open;
	participant->savepoint_count = 0;
	participant->released = 0;
	participant->settings_told = 0;
	participant->role = nullptr;
	participant->gid[0] = '\0';
}

} // namespace civitas::txn
