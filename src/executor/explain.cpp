/*
 * explain.cpp: what EXPLAIN says about a remote scan.
 *
 * Always: the tier, how many tasks there are, how many shards were pruned. Then one task (all of
 * them with citus.explain_all_tasks): its node and the plan that the node makes for it, asked of
 * the node with the same options; VERBOSE adds the SQL, and why the query is not in a lower tier.
 * ANALYZE adds what was measured; a read is run once more there under EXPLAIN ANALYZE, a change is
 * only planned.
 *
 * Without ANALYZE nothing was executed: parameters are evaluated here if that has no effect
 * (no sequence moves, no subplan runs), else the tasks cannot be told and only the counts are
 * shown.
 */
#include "execution.h"

#include "civitas/pg/str.h"
#include "civitas/txn/transaction.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
CIVITAS_PG_END

#include "civitas/pg/compat.h"

#include <cstdlib>
#include <cstring>

namespace civitas::executor {

namespace {

const char *tier_name(plan::Tier tier)
{
	switch (tier)
	{
	case plan::Tier::FastPath:
		return "Fast Path";
	case plan::Tier::Router:
		return "Router";
	case plan::Tier::Pushdown:
		return "Pushdown";
	case plan::Tier::General:
		break;
	}
	return "General";
}

bool needs_execution(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, SubPlan) || IsA(node, AlternativeSubPlan))
		return true;
	if (IsA(node, Param))
	{
		const Param *param = reinterpret_cast<const Param *>(node);
		if (param->paramkind == PARAM_EXEC)
			return true;
		const ParamListInfo values =
			static_cast<const ExprContext *>(context)->ecxt_param_list_info;
		return values == nullptr || param->paramid > values->numParams;
	}
	return pg::walk_children(node, needs_execution, context);
}

/* Whether the values can be had without running a part of the plan or changing anything. */
bool can_evaluate(ScanState *state)
{
	const CustomScan *scan = reinterpret_cast<const CustomScan *>(state->css.ss.ps.plan);
	Node *expressions =
		reinterpret_cast<Node *>(list_make2(plan::expressions_of(scan), scan->custom_exprs));
	return !needs_execution(expressions, state->css.ss.ps.ps_ExprContext) &&
		   !contain_volatile_functions(expressions);
}

/* --- asking for the task's plan --------------------------------------------------------------- */

const char *format_name(ExplainFormat format)
{
	switch (format)
	{
	case EXPLAIN_FORMAT_XML:
		return "XML";
	case EXPLAIN_FORMAT_JSON:
		return "JSON";
	case EXPLAIN_FORMAT_YAML:
		return "YAML";
	case EXPLAIN_FORMAT_TEXT:
		break;
	}
	return "TEXT";
}

char *explain_sql(const ExplainState *es, const char *sql, bool analyze)
{
	pg::Str text;
	text.raw("EXPLAIN (ANALYZE ").boolean(analyze);
	text.raw(", VERBOSE ").boolean(es->verbose);
	text.raw(", COSTS ").boolean(es->costs);
	text.raw(", SETTINGS ").boolean(es->settings);
	if (analyze)
	{
		text.raw(", BUFFERS ").boolean(es->buffers);
		text.raw(", WAL ").boolean(es->wal);
		text.raw(", TIMING ").boolean(es->timing);
	}
	text.raw(", SUMMARY ").boolean(es->summary);
	text.raw(", FORMAT ").raw(format_name(es->format));
	text.raw(") ").raw(sql);
	return text.c_str();
}

/* Appends the first column of every row as a line. */
void append_rows(pg::Str& text, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++)
	{
		if (!text.empty())
			text.ch('\n');
		text.raw(PQgetvalue(result, row, 0));
	}
}

/* As the statement has run, or would run if it came by itself. */
txn::Purpose purpose_of(const ScanState *state, bool executed)
{
	if (!state->query->read_only)
		return txn::Purpose::Write;
	return txn::purpose_of_reading(executed ? txn::statement_is_whole_transaction()
											: !IsTransactionBlock());
}

char *remote_plan(const Statement& statement, const catalog::Node& node, const char *sql)
{
	remote::Session *session = txn::session_for(node);
	if (remote::claimed(session))
		yield_session(session);
	const bool in_transaction = !txn::statement_is_whole_transaction();
	remote::begin_pipeline(session);
	txn::queue_preamble(session, in_transaction);
	remote::queue_query(session, sql, encode(statement.values), false);
	remote::flush_pipeline(session);
	pg::Str text;
	for (;;)
	{
		PGresult *result = remote::next_result(session);
		if (result == nullptr)
			continue;
		const ExecStatusType status = PQresultStatus(result);
		if (status == PGRES_FATAL_ERROR)
			remote::raise_remote_error(session, result);
		result = remote::own(result);
		if (status == PGRES_TUPLES_OK)
			append_rows(text, result);
		remote::release(result);
		if (status == PGRES_PIPELINE_SYNC)
			return text.c_str();
	}
}

char *local_plan(const Statement& statement, ExplainState *es, bool analyze)
{
	const char *sql;
	PlannedStmt *plan = plan_local_statement(statement, &sql);
	ExplainState *own = NewExplainState();
	own->analyze = analyze;
	own->verbose = es->verbose;
	own->costs = es->costs;
	own->buffers = analyze && es->buffers;
	own->wal = analyze && es->wal;
	own->timing = analyze && es->timing;
	own->summary = es->summary;
	own->settings = es->settings;
	own->format = es->format;
	ExplainBeginOutput(own);
	instr_time none;
	INSTR_TIME_SET_ZERO(none);
	pg::explain_one_plan(plan, own, sql, local_parameters(statement.values), &none);
	ExplainEndOutput(own);
	/* PostgreSQL ends text with a line break. */
	if (own->str->len > 0 && own->str->data[own->str->len - 1] == '\n')
		own->str->data[--own->str->len] = '\0';
	return own->str->data;
}

/* --- printing -------------------------------------------------------------------------------- */

/* The lines of `text`, each behind the indentation. */
void append_indented(StringInfo out, const char *text, int spaces, bool indent_first)
{
	bool indent = indent_first;
	while (*text)
	{
		const char *end = strchrnul(text, '\n');
		if (indent)
			appendStringInfoSpaces(out, spaces);
		indent = true;
		appendBinaryStringInfo(out, text, static_cast<int>(end - text));
		if (*end == '\0')
			break;
		appendStringInfoChar(out, '\n');
		text = end + 1;
	}
}

void print_plan(ExplainState *es, const char *text)
{
	switch (es->format)
	{
	case EXPLAIN_FORMAT_TEXT:
		appendStringInfoSpaces(es->str, es->indent * 2);
		appendStringInfoString(es->str, "->  ");
		append_indented(es->str, text, es->indent * 2 + 4, false);
		appendStringInfoChar(es->str, '\n');
		break;
	case EXPLAIN_FORMAT_JSON:
		/* As ExplainProperty does it, but the value is JSON already. */
		if (linitial_int(es->grouping_stack) != 0)
			appendStringInfoChar(es->str, ',');
		else
			linitial_int(es->grouping_stack) = 1;
		appendStringInfoChar(es->str, '\n');
		appendStringInfoSpaces(es->str, es->indent * 2);
		appendStringInfoString(es->str, "\"Remote Plan\": ");
		append_indented(es->str, text, es->indent * 2, false);
		break;
	case EXPLAIN_FORMAT_XML:
		ExplainOpenGroup("Remote-Plan", "Remote-Plan", false, es);
		append_indented(es->str, text, es->indent * 2, true);
		appendStringInfoChar(es->str, '\n');
		ExplainCloseGroup("Remote-Plan", "Remote-Plan", false, es);
		break;
	case EXPLAIN_FORMAT_YAML:
		ExplainPropertyText("Remote Plan", text, es);
		break;
	}
}

/* Deparsed text begins with a blank. */
const char *without_indent(const char *sql)
{
	return sql + strspn(sql, " \n");
}

char *node_name(GroupId group, txn::Purpose purpose)
{
	if (group == catalog::local_group_id())
		return pstrdup("this node");
	if (purpose == txn::Purpose::Read)
	{
		const catalog::Node& chosen = txn::node_for(group, purpose);
		return psprintf("%s:%d", chosen.name, chosen.port);
	}
	const catalog::Node *node = catalog::find_primary(group);
	return node ? psprintf("%s:%d", node->name, node->port) : psprintf("group %d", group);
}

void explain_task(ScanState *state, Task& task, bool executed, ExplainState *es)
{
	const bool analyze_there =
		es->analyze && executed && state->query->read_only && state->query->command == CMD_SELECT;
	const GroupId group = executed ? task.ran_on : task.groups[0];
	ExplainOpenGroup("Task", nullptr, true, es);
	if (es->format == EXPLAIN_FORMAT_TEXT)
	{
		appendStringInfoSpaces(es->str, es->indent * 2);
		appendStringInfoString(es->str, "->  Task\n");
		es->indent += 3;
	}
	ExplainPropertyText("Node", node_name(group, purpose_of(state, executed)), es);
	if (es->verbose)
		for (int index = 0; index < task.statement_count; index++)
			ExplainPropertyText("Remote SQL", without_indent(task.statements[index].sql), es);
	if (es->analyze && executed)
	{
		if (state->query->returns_rows)
			ExplainPropertyUInteger("Rows Received", nullptr, task.rows, es);
		if (state->query->command != CMD_SELECT)
			ExplainPropertyUInteger("Rows Changed", nullptr, task.affected, es);
		ExplainPropertyUInteger("Bytes Received", nullptr, task.bytes, es);
		if (es->timing)
			ExplainPropertyFloat("Task Time", "ms", task.ms, 3, es);
	}
	const Statement& statement = task.statements[0];
	const Identity before = become(state->query);
	const char *plan =
		group == catalog::local_group_id()
			? local_plan(statement, es, analyze_there)
			: remote_plan(statement, txn::node_for(group, purpose_of(state, executed)),
						  explain_sql(es, statement.sql, analyze_there));
	back(before);
	print_plan(es, plan);
	if (es->format == EXPLAIN_FORMAT_TEXT)
		es->indent -= 3;
	ExplainCloseGroup("Task", nullptr, true, es);
}

int slowest_first(const void *left, const void *right)
{
	const Task *a = *static_cast<Task *const *>(left);
	const Task *b = *static_cast<Task *const *>(right);
	return a->ms > b->ms ? -1 : a->ms < b->ms;
}

void explain_tasks(ScanState *state, Execution *execution, bool executed, ExplainState *es)
{
	pg::Vec<Task>& tasks = execution->tasks;
	const int count = tasks.size();
	if (count == 0)
		return;
	Task **order = static_cast<Task **>(palloc(sizeof(Task *) * count));
	for (int index = 0; index < count; index++)
		order[index] = &tasks[index];
	if (executed && es->analyze && explain_analyze_sort_method == SORT_EXECUTION_TIME)
		qsort(order, count, sizeof(Task *), slowest_first);
	const int shown = explain_all_tasks ? count : 1;
	if (shown < count)
		ExplainPropertyText("Tasks Shown", psprintf("One of %d", count), es);
	ExplainOpenGroup("Task List", "Task List", false, es);
	for (int index = 0; index < shown; index++)
	{
		CHECK_FOR_INTERRUPTS();
		explain_task(state, *order[index], executed, es);
	}
	ExplainCloseGroup("Task List", "Task List", false, es);
}

/* "Merge Key": what the tasks' sorted rows are merged by. */
void explain_merge(ScanState *state, List *ancestors, ExplainState *es)
{
	const plan::RemoteQuery *query = state->query;
	List *context = set_deparse_context_plan(es->deparse_cxt, state->css.ss.ps.plan, ancestors);
	const CustomScan *scan = reinterpret_cast<const CustomScan *>(state->css.ss.ps.plan);
	List *keys = NIL;
	ListCell *cell;
	foreach (cell, query->merge_columns)
	{
		const int key = foreach_current_index(cell);
		const TargetEntry *column =
			list_nth_node(TargetEntry, scan->custom_scan_tlist, lfirst_int(cell) - 1);
		Node *expr = reinterpret_cast<Node *>(column->expr);
		Var *var = makeVar(INDEX_VAR, column->resno, exprType(expr), exprTypmod(expr),
						   exprCollation(expr), 0);
		pg::Str text;
		text.raw(deparse_expression(reinterpret_cast<Node *>(var), context,
									list_length(es->rtable) > 1 || es->verbose, true));
		bool reverse = false;
		get_equality_op_for_ordering_op(list_nth_oid(query->merge_operators, key), &reverse);
		const bool nulls_first = list_nth_int(query->merge_nulls_first, key) != 0;
		if (reverse)
			text.raw(" DESC");
		if (nulls_first != reverse)
			text.raw(nulls_first ? " NULLS FIRST" : " NULLS LAST");
		keys = lappend(keys, text.c_str());
	}
	ExplainPropertyList("Merge Key", keys, es);
}

/* What is known without the values: how many tasks there could be. */
void explain_unknown_tasks(ScanState *state, ExplainState *es)
{
	const plan::RemoteQuery *query = state->query;
	ExplainPropertyText("Tasks", "known at execution", es);
	if (!es->verbose || query->pieces == NIL)
		return;
	const catalog::Table **tables = catalog::get_tables_at_once(InvalidOid, query->holes);
	if (state->rows == NIL)
		ExplainPropertyText("Remote SQL",
							without_indent(plan::task_sql(query, tables + 1, 0, nullptr)), es);
	else
		ExplainPropertyInteger("Rows", nullptr, list_length(state->rows), es);
}

} // namespace

void explain_scan(CustomScanState *node, List *ancestors, ExplainState *es)
{
	ScanState *state = reinterpret_cast<ScanState *>(node);
	const plan::RemoteQuery *query = state->query;
	ExplainPropertyText("Tier", tier_name(query->tier), es);
	if (es->verbose && query->reason)
		ExplainPropertyText("Reason", query->reason, es);

	if (query->merge_columns != NIL)
		explain_merge(state, ancestors, es);

	const bool executed = es->analyze && state->execution != nullptr;
	bool made_here = false;
	if (!executed)
	{
		if (es->analyze)
		{
			ExplainPropertyText("Tasks", "never executed", es);
			return;
		}
		if (!can_evaluate(state))
		{
			explain_unknown_tasks(state, es);
			return;
		}
		PushCopiedSnapshot(GetActiveSnapshot());
		begin_execution(state);
		PopActiveSnapshot();
		made_here = true;
	}
	else
		stop_execution(state->execution);

	Execution *execution = state->execution;
	ExplainPropertyInteger("Tasks", nullptr, execution->tasks.size(), es);
	if (query->target == plan::Target::ShardGroups && state->rows == NIL)
		ExplainPropertyInteger("Shards Pruned", nullptr, state->shards_pruned, es);
	if (executed)
	{
		ExplainPropertyInteger("Sessions Used", nullptr, execution->sessions_used, es);
		ExplainPropertyUInteger("Bytes Received", nullptr, execution->bytes, es);
	}
	explain_tasks(state, execution, executed, es);
	if (made_here)
	{
		end_execution(execution);
		state->execution = nullptr;
	}
}

} // namespace civitas::executor
