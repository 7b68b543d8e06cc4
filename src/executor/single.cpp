/*
 * single.cpp: a statement that is one remote task.
 *
 * What single-shard statements are about: one session, one flush (settings, BEGIN, statement), one
 * reply. No flow, no wait set: the session itself waits. A task with several replicas to choose
 * from takes the longer way of many.cpp, which can go from one to the next.
 */
#include "execution.h"

#include "civitas/pg/debug_point.h"
#include "civitas/txn/transaction.h"

#include <cstring>

namespace civitas::executor {

namespace {

/* The session of the task's placement `group`. */
remote::Session *session_of(Execution *execution, Task& task, GroupId group)
{
	remote::Session *session = nullptr;
	if (execution->in_transaction)
		session = bound_session(execution, task, group);
	if (session == nullptr)
		session = txn::session_for(txn::node_for(group, execution->purpose));
	if (remote::claimed(session))
		yield_session(session);
	CIVITAS_DEBUG_POINT("session_found");
	return session;
}

void send(Execution *execution)
{
	Task& task = execution->tasks[0];
	remote::set_claimed(execution->session, true);
	hold_sessions(execution);
	execution->statement = 0;
	execution->single_row_set = false;
	task.bytes = remote::bytes_received(execution->session);
	send_task(execution, task, execution->session);
	remote::read_ahead(execution->session);
}

bool returns_many(const Execution *execution)
{
	return execution->query->returns_rows;
}

/* Whether a first result says that the server ends the session: it does so when it is told to
 * (57P01, 57P02, 57P05), before it looks at a statement that came meanwhile. */
bool is_farewell(const PGresult *result)
{
	if (result == nullptr || PQresultStatus(result) != PGRES_FATAL_ERROR)
		return false;
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	return sqlstate != nullptr && strncmp(sqlstate, "57P", 3) == 0;
}

/*
 * The first result. A kept session may have died between its look-up and the sending, which nobody
 * sees before the answer fails to come: then the statement is sent once more, on another session,
 * if it only reads and no transaction goes with the session.
 */
PGresult *first_result(Execution *execution)
{
	PGresult *result = nullptr;
	const bool answered = remote::wait_result(execution->session, &result);
	execution->kept = false;
	if (answered && !is_farewell(result))
		return result;
	if (execution->in_transaction || !execution->query->read_only)
	{
		if (answered)
			return result;
		remote::raise_connection_lost(execution->session);
	}
	PQclear(result);
	Task& task = execution->tasks[0];
	remote::Session *lost = execution->session;
	execution->session = nullptr;
	remote::close(lost);
	execution->session = session_of(execution, task, task.ran_on);
	execution->sessions_used++;
	send(execution);
	if (returns_many(execution))
	{
		remote::set_single_row(execution->session);
		execution->single_row_set = true;
	}
	return remote::next_result(execution->session);
}

/* Reads up to and including the sync, so that the session is idle; then it is anyone's. */
void finish_statement(Execution *execution)
{
	Task& task = execution->tasks[0];
	for (;;)
	{
		PGresult *result = remote::next_result(execution->session);
		if (result == nullptr)
			continue;
		const ExecStatusType status = PQresultStatus(result);
		if (status == PGRES_PIPELINE_SYNC)
		{
			PQclear(result);
			break;
		}
		execution->result = result;
		if (status == PGRES_FATAL_ERROR)
		{
			execution->result = nullptr;
			remote::raise_remote_error(execution->session, result);
		}
		PQclear(result);
		execution->result = nullptr;
	}
	instr_time now;
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, task.started);
	task.ms = INSTR_TIME_GET_MILLISEC(now);
	task.bytes = remote::bytes_received(execution->session) - task.bytes;
	execution->bytes = task.bytes;
	remote::set_claimed(execution->session, false);
	execution->session = nullptr;
}

} // namespace

void start_single(Execution *execution)
{
	Task& task = execution->tasks[0];
	task.ran_on = task.groups[0];
	execution->session = session_of(execution, task, task.ran_on);
	execution->sessions_used = 1;
	execution->kept = true;
	send(execution);
}

/*
 * Row by row: statement results come as single rows, then a final status, then a null; after the
 * last statement comes the sync.
 */
bool next_single(Execution *execution, Datum *values, bool *nulls)
{
	Task& task = execution->tasks[0];
	for (;;)
	{
		if (execution->result)
		{
			PQclear(execution->result);
			execution->result = nullptr;
		}
		if (!execution->single_row_set && returns_many(execution))
		{
			remote::set_single_row(execution->session);
			execution->single_row_set = true;
		}
		PGresult *result =
			execution->kept ? first_result(execution) : remote::next_result(execution->session);
		if (result == nullptr)
		{
			execution->statement++;
			execution->single_row_set = false;
			if (execution->statement < task.statement_count)
				continue;
			finish_statement(execution);
			return false;
		}
		switch (PQresultStatus(result))
		{
		case PGRES_SINGLE_TUPLE:
			execution->result = result;
			task.rows++;
			decode_row(execution->decoder, result, 0, values, nulls);
			return true;
		case PGRES_TUPLES_OK:
		case PGRES_COMMAND_OK:
			execution->result = result;
			note_result(execution, task, result);
			break;
		default:
			remote::raise_remote_error(execution->session, result);
		}
	}
}

/* LIMIT above us is satisfied: the session must end up idle. */
void stop_single(Execution *execution)
{
	remote::Session *session = execution->session;
	if (session == nullptr)
		return;
	execution->session = nullptr;
	if (execution->result)
	{
		PQclear(execution->result);
		execution->result = nullptr;
	}
	discard_rest(execution, session, false);
	remote::set_claimed(session, false);
}

} // namespace civitas::executor
