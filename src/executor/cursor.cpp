/*
 * cursor.cpp: what a cursor shows is what there was when it was opened, whatever is changed before
 * its rows are fetched.
 *
 * The tasks of a cursor that is declared do not all run at once, and it may be read much later: its
 * rows are fetched when it is opened. A single task streams, and so does a portal of the protocol
 * (the driver's fetch size): there each session takes its snapshot while the cursor is opened,
 * which is waited for, and every task of the session runs under it. One session a node, so that
 * there is one snapshot a node. In the isolation levels with one snapshot a transaction its first
 * statement takes it, so there the session's part has only to begin.
 */
#include "execution.h"

#include "civitas/pg/compat.h"
#include "civitas/txn/transaction.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "nodes/parsenodes.h"
#include "tcop/pquery.h"
#include "utils/portal.h"
CIVITAS_PG_END

namespace civitas::executor {

namespace {

/* A session that reads for the cursor. */
struct Reader
{
	GroupId group;
	remote::Session *session;
};
CIVITAS_SERVER_STATE(Reader);

/* The session that reads the task's shard group, from now on. */
remote::Session *bind_session(const Execution *execution, const Task& task,
							  const pg::Vec<Reader>& readers)
{
	const GroupId group = task.groups[0];
	const AffinityKey key = affinity_key(execution, task);
	remote::Session *session = bound_session(execution, task, group);
	if (session != nullptr)
		return session;
	for (const Reader& reader : readers)
		if (reader.group == group)
			session = reader.session;
	if (session == nullptr)
		session = txn::session_for(txn::node_for(group, execution->purpose));
	txn::set_affinity(group, key.colocation, key.key, session);
	return session;
}

/* All nodes at once. */
void take_snapshots(Execution *execution)
{
	pg::Vec<Reader> readers;
	for (const Task& task : execution->tasks)
	{
		if (task.local)
			continue;
		remote::Session *session = bind_session(execution, task, readers);
		bool known = false;
		for (const Reader& reader : readers)
			known = known || reader.session == session;
		if (!known)
			readers.push({task.groups[0], session});
	}
	for (const Reader& reader : readers)
		if (remote::claimed(reader.session))
			yield_session(reader.session);
	for (const Reader& reader : readers)
	{
		remote::begin_pipeline(reader.session);
		txn::queue_preamble(reader.session, true);
		if (XactIsoLevel == XACT_READ_COMMITTED)
			txn::queue_statement_snapshot(reader.session, execution->snapshot_number);
		remote::flush_pipeline(reader.session);
	}
	for (const Reader& reader : readers)
		await_sync(reader.session);
}

} // namespace

/* EXECUTE has a portal with a name, too, but reads it to its end: that one is not shown. */
bool opens_cursor(const ScanState *state)
{
	return (state->eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0 && state->query->read_only &&
		   state->query->command == CMD_SELECT && state->plan_parameters == nullptr &&
		   ActivePortal != nullptr && ActivePortal->name[0] != '\0' && ActivePortal->visible &&
		   list_length(ActivePortal->stmts) == 1 &&
		   linitial(ActivePortal->stmts) == state->css.ss.ps.state->es_plannedstmt;
}

/* A portal of the protocol has no option but this one. */
void open_cursor(Execution *execution, int64 number)
{
	const bool declared = ActivePortal->cursorOptions != CURSOR_OPT_NO_SCROLL;
	if (execution->tasks.size() > 1 && declared)
	{
		materialize(execution);
		return;
	}
	execution->cursor = true;
	execution->snapshot_number = number;
	const Identity before = become(execution->query);
	take_snapshots(execution);
	back(before);
	start_early(execution);
}

} // namespace civitas::executor
