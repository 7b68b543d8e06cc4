/*
 * node_tasks.cpp: commands on nodes outside of the transaction, failures as values.
 *
 * Loop: take a window of tasks, each on a lane of its own; start all connects, finish them, send
 * every command, collect the results in order. Nodes work at the same time although one process
 * waits for them one after the other. A lane's session goes from one task to the next, reset in
 * between, and is closed at the end, whatever happened: it never joins those of the transaction.
 */
#include "background_jobs.h"
#include "civitas/cluster/cluster.h"
#include "civitas/pg/str.h"
#include "civitas/pg/subtransaction.h"
#include "civitas/pg/vec.h"
#include "civitas/remote/session.h"
#include "civitas/txn/transaction.h"
#include "cleanup.h"
#include "disk_space.h"
#include "node_changes.h"
#include "progress.h"

CIVITAS_PG_BEGIN
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "postmaster/postmaster.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/tuplestore.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

/* Sessions that are open at the same time for one call. */
constexpr int WINDOW = 16;

char *local_hostname = nullptr;

/* An error that means "this node failed" and not "stop what you are doing". */
bool is_node_error(const ErrorData *error)
{
	return error->sqlerrcode != ERRCODE_QUERY_CANCELED &&
		   error->sqlerrcode != ERRCODE_ADMIN_SHUTDOWN &&
		   error->sqlerrcode != ERRCODE_T_R_DEADLOCK_DETECTED &&
		   error->sqlerrcode != ERRCODE_OUT_OF_MEMORY;
}

/* Turns an error into the task's result, or raises it again. */
void absorb_error(NodeTask& task, ErrorData *error)
{
	if (!is_node_error(error))
		ReThrowError(error);
	task.success = false;
	task.error = error;
	strlcpy(task.sqlstate, unpack_sql_state(error->sqlerrcode), sizeof(task.sqlstate));
	task.result = error->detail != nullptr ? psprintf("%s: %s", error->message, error->detail)
										   : error->message;
}

void keep_result(NodeTask& task, const remote::Session *session, const PGresult *result)
{
	switch (PQresultStatus(result))
	{
	case PGRES_COMMAND_OK:
		task.success = true;
		task.result = pstrdup(PQcmdStatus(const_cast<PGresult *>(result)));
		break;
	case PGRES_TUPLES_OK:
		task.success = PQntuples(result) <= 1 && PQnfields(result) <= 1;
		if (PQnfields(result) > 1)
			task.result = "expected a single column in query target";
		else if (PQntuples(result) > 1)
			task.result = "expected a single row in query result";
		else
			task.result = PQntuples(result) == 0 || PQnfields(result) == 0
							  ? ""
							  : pstrdup(PQgetvalue(result, 0, 0));
		break;
	case PGRES_EMPTY_QUERY:
		task.success = true;
		task.result = "";
		break;
	case PGRES_COPY_IN:
	case PGRES_COPY_OUT:
	case PGRES_COPY_BOTH:
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("COPY to or from the client cannot be run here")));
		break;
	default:
		task.success = false;
		task.result = pstrdup(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) != nullptr
								  ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)
								  : "the node gave no message");
		if (PQresultErrorField(result, PG_DIAG_SQLSTATE) != nullptr)
			strlcpy(task.sqlstate, PQresultErrorField(result, PG_DIAG_SQLSTATE),
					sizeof(task.sqlstate));
		if (!task.users)
			task.error = remote::error_data(session, result);
	}
}

/* The result of the last statement, or of the first that failed. */
void collect(NodeTask& task, remote::Session *session)
{
	bool failed = false;
	while (PGresult *result = remote::next_result(session))
	{
		remote::own(result);
		if (!failed)
			keep_result(task, session, result);
		failed = failed || PQresultStatus(result) == PGRES_FATAL_ERROR;
		remote::release(result);
	}
}

enum class Step
{
	Start,
	Finish,
	Send,
	Collect
};

/* A session that one task after another uses. */
struct Lane
{
	remote::Session *session;
	bool connected;
	bool taken; /* by a task of the current window */
};

/* Starts to undo all state of the last task; the session is then as good as a new one. */
void start_reset(remote::Session *session)
{
	if (PQtransactionStatus(remote::connection(session)) != PQTRANS_IDLE)
		remote::execute(session, "ROLLBACK");
	remote::send_simple(session, "DISCARD ALL");
}

remote::Endpoint endpoint_of(const NodeTask& task)
{
	remote::Endpoint endpoint =
		txn::endpoint_of(task.node, task.unknown || task.ignores_pauses ? txn::Pauses::Ignored
																		: txn::Pauses::Heeded);
	endpoint.user_text = task.users;
	if (task.unknown)
		endpoint.secret = nullptr;
	return endpoint;
}

void do_step(NodeTask& task, Lane *lane, Step step)
{
	switch (step)
	{
	case Step::Start:
		if (lane->session != nullptr)
		{
			start_reset(lane->session);
			break;
		}
		lane->connected = false;
		lane->session = remote::start_connect(endpoint_of(task));
		remote::set_claimed(lane->session, true);
		break;
	case Step::Finish:
		if (!lane->connected)
		{
			/* A failed connect closes the session itself. */
			remote::Session *connecting = lane->session;
			lane->session = nullptr;
			remote::finish_connect(connecting);
			lane->session = connecting;
			lane->connected = true;
		}
		else
			remote::drain(lane->session);
		task.connected = true;
		break;
	case Step::Send:
		remote::send_simple(lane->session, task.sql);
		break;
	case Step::Collect:
		collect(task, lane->session);
		break;
	}
}

/* One step of one task; a failure of the node ends the task, and leaves nothing behind here. */
void run_step(NodeTask& task, Lane *lane, Step step)
{
	if (step != Step::Start && lane->session == nullptr)
		return;
	ErrorData *error = pg::error_of_subtransaction([&] { do_step(task, lane, step); });
	if (error == nullptr)
		return;
	absorb_error(task, error);
	if (lane->session != nullptr)
		remote::close(lane->session);
	lane->session = nullptr;
}

bool leads_to(const remote::Session *session, const catalog::Node& node)
{
	return remote::port(session) == node.port && strcmp(remote::host(session), node.name) == 0;
}

/* A lane that leads to the node or nowhere yet; else one that must be torn down for it. There are
 * as many lanes as tasks in a window, so there always is one. */
Lane *take_lane(Lane *lanes, const catalog::Node& node)
{
	Lane *best = nullptr;
	for (Lane *lane = lanes; lane < lanes + WINDOW; lane++)
	{
		if (lane->taken)
			continue;
		if (lane->session != nullptr && leads_to(lane->session, node))
		{
			best = lane;
			break;
		}
		if (best == nullptr || (best->session != nullptr && lane->session == nullptr))
			best = lane;
	}
	if (best->session != nullptr && !leads_to(best->session, node))
	{
		remote::close(best->session);
		best->session = nullptr;
	}
	best->taken = true;
	return best;
}

void run_window(std::span<NodeTask> tasks, Lane *lanes)
{
	Lane *taken[WINDOW];
	for (int i = 0; i < WINDOW; i++)
		lanes[i].taken = false;
	for (size_t i = 0; i < tasks.size(); i++)
		taken[i] = take_lane(lanes, tasks[i].node);
	for (const Step step : {Step::Start, Step::Finish, Step::Send, Step::Collect})
		for (size_t i = 0; i < tasks.size(); i++)
			run_step(tasks[i], taken[i], step);
}

void run_windows(std::span<NodeTask> tasks, size_t window, Lane *lanes)
{
	for (size_t first = 0; first < tasks.size(); first += window)
		run_window(
			tasks.subspan(first, tasks.size() - first < window ? tasks.size() - first : window),
			lanes);
}

void close_lanes(Lane *lanes)
{
	for (Lane *lane = lanes; lane < lanes + WINDOW; lane++)
	{
		if (lane->session == nullptr)
			continue;
		if (remote::busy(lane->session))
			remote::send_cancel(lane->session);
		remote::close(lane->session);
	}
}

} // namespace

void run_tasks(std::span<NodeTask> tasks, bool parallel)
{
	for (NodeTask& task : tasks)
	{
		task.success = task.connected = false;
		task.result = nullptr;
		task.error = nullptr;
		task.sqlstate[0] = '\0';
	}
	auto *lanes = static_cast<Lane *>(palloc0(sizeof(Lane) * WINDOW));
	PG_TRY();
	{
		run_windows(tasks, parallel ? WINDOW : 1, lanes);
	}
	PG_FINALLY();
	{
		close_lanes(lanes);
	}
	PG_END_TRY();
}

void raise_task_error(const NodeTask& task)
{
	const ErrorData *error = task.error;
	if (error == nullptr)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION), errmsg_internal("%s", task.result),
				 errcontext("while executing a command on %s:%d", task.node.name, task.node.port)));
	ereport(ERROR,
			(errcode(error->sqlerrcode), errmsg_internal("%s", error->message),
			 error->detail != nullptr ? errdetail_internal("%s", error->detail) : 0,
			 error->hint != nullptr ? errhint("%s", error->hint) : 0,
			 error->context != nullptr ? errcontext("%s", error->context) : 0,
			 errcontext("while executing a command on %s:%d", task.node.name, task.node.port)));
	pg_unreachable();
}

catalog::Node local_node()
{
	const catalog::Node *registered = catalog::find_primary(catalog::local_group_id());
	if (registered != nullptr)
		return *registered;
	catalog::Node node = {};
	node.name = local_hostname;
	node.port = PostPortNumber;
	node.group_id = catalog::local_group_id();
	node.rack = node.cluster = "default";
	node.is_active = true;
	return node;
}

bool is_reachable(const catalog::Node& node)
{
	NodeTask task = {};
	task.node = node;
	task.unknown = true;
	task.sql = "SELECT 1";
	run_tasks({&task, 1}, true);
	return task.success;
}

void cluster_init()
{
	DefineCustomStringVariable(
		"citus.local_hostname", "The host name by which this server reaches itself.",
		"Change it when localhost does not lead to this server or its "
		"certificate names another host.",
		&local_hostname, "localhost", PGC_SUSET, 0, nullptr, nullptr, nullptr);
	disk_space_init();
	progress_init();
	move_init();
	split_init();
	reference_copies_init();
	cleanup_init();
	background_jobs_init();
	node_links_init();
}

CIVITAS_PG_BEGIN

/* run_commands(node_ids int[], commands text[], parallel, may_wait): a row for each, in order. Node
 * 0 is this server. Where the commands may wait for locks, for those of this transaction too, it
 * enters the list of those that can be chosen to end a deadlock. */
PG_FUNCTION_INFO_V1(citus_internal_run_commands);
PGDLLEXPORT Datum citus_internal_run_commands(PG_FUNCTION_ARGS)
{
	catalog::check_extension_version();
	InitMaterializedSRF(fcinfo, 0);
	auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);

	Datum *ids;
	Datum *commands;
	bool *null_commands;
	int count;
	int command_count;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), INT4OID, 4, true, TYPALIGN_INT, &ids, nullptr,
					  &count);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &commands,
					  &null_commands, &command_count);
	if (count != command_count)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("there must be one command for each node")));
	pg::Vec<NodeTask> tasks;
	for (int i = 0; i < count; i++)
	{
		if (null_commands[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("command must not be NULL")));
		NodeTask task = {};
		const NodeId id = DatumGetInt32(ids[i]);
		const catalog::Node *node = id == 0 ? nullptr : catalog::find_node(id);
		if (id != 0 && node == nullptr)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("node %d does not exist", id)));
		task.node = node != nullptr ? *node : local_node();
		task.sql = TextDatumGetCString(commands[i]);
		task.users = true;
		tasks.push(task);
	}
	if (PG_GETARG_BOOL(3))
		txn::begin_distributed_transaction();
	run_tasks({tasks.data(), static_cast<size_t>(count)}, PG_GETARG_BOOL(2));

	for (int i = 0; i < count; i++)
	{
		Datum values[] = {Int32GetDatum(i + 1), BoolGetDatum(tasks[i].success),
						  BoolGetDatum(tasks[i].connected),
						  tasks[i].result != nullptr ? CStringGetTextDatum(tasks[i].result) : 0,
						  CStringGetTextDatum(tasks[i].sqlstate)};
		bool nulls[] = {false, false, false, tasks[i].result == nullptr,
						tasks[i].sqlstate[0] == '\0'};
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	PG_RETURN_NULL();
}

/* As the current user, to any host and port. */
PG_FUNCTION_INFO_V1(citus_check_connection_to_node);
PGDLLEXPORT Datum citus_check_connection_to_node(PG_FUNCTION_ARGS)
{
	catalog::check_extension_version();
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const int32 port = PG_GETARG_INT32(1);
	const catalog::Node *known = catalog::find_node(name, port);
	catalog::Node node = {};
	if (known != nullptr)
		node = *known;
	node.name = name;
	node.port = port;
	PG_RETURN_BOOL(is_reachable(node));
}

CIVITAS_PG_END

} // namespace civitas::cluster
