/*
 * tasks.cpp: from a RemoteQuery and this execution's values to tasks.
 *
 * Parameters are evaluated once. Prune keys are hashed to shard indexes; an INSERT's rows are
 * evaluated once each and grouped by shard. Each shard index left becomes one task for each
 * placement that must run it: reads need one of them, writes all. Nothing here depends on the
 * number of shards that are not touched, except where all are.
 */
#include "execution.h"

#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
CIVITAS_PG_END

#include <cstdlib>
#include <cstring>

namespace civitas::executor {

namespace {

/* The parameter's value, where the client gave it as such. */
const ParamExternData *external_value(const Expr *expr, const EState *estate)
{
	const ParamListInfo list = estate->es_param_list_info;
	if (!IsA(expr, Param) || reinterpret_cast<const Param *>(expr)->paramkind != PARAM_EXTERN ||
		list == nullptr || list->paramFetch != nullptr)
		return nullptr;
	const Param *param = reinterpret_cast<const Param *>(expr);
	if (param->paramid < 1 || param->paramid > list->numParams ||
		list->params[param->paramid - 1].ptype != param->paramtype)
		return nullptr;
	return &list->params[param->paramid - 1];
}

} // namespace

Datum evaluate(const Evaluator& evaluator, ExprContext *econtext, bool *isnull)
{
	if (evaluator.compiled)
		return ExecEvalExprSwitchContext(evaluator.compiled, econtext, isnull);
	if (IsA(evaluator.expr, Const))
	{
		const Const *constant = reinterpret_cast<const Const *>(evaluator.expr);
		*isnull = constant->constisnull;
		return constant->constvalue;
	}
	const ParamExternData *value = external_value(evaluator.expr, econtext->ecxt_estate);
	*isnull = value->isnull;
	return value->value;
}

namespace {

Datum copy_value(Datum value, bool isnull, Oid type)
{
	if (isnull)
		return value;
	if (type == INT4OID || type == INT8OID)
		return value;
	int16 length;
	bool by_value;
	get_typlenbyval(type, &length, &by_value);
	if (by_value)
		return value;
	/* Expanded and compressed forms become plain ones. */
	return length == -1 ? PointerGetDatum(PG_DETOAST_DATUM_COPY(value))
						: datumCopy(value, by_value, length);
}

int compare_ints(const void *left, const void *right)
{
	const int a = *static_cast<const int *>(left);
	const int b = *static_cast<const int *>(right);
	return a < b ? -1 : a > b;
}

/* Ascending, without duplicates. */
void sort_unique(pg::Vec<int>& values)
{
	if (values.size() < 2)
		return;
	qsort(values.data(), values.size(), sizeof(int), compare_ints);
	int kept = 1;
	for (int index = 1; index < values.size(); index++)
		if (values[index] != values[kept - 1])
			values[kept++] = values[index];
	while (values.size() > kept)
		values.pop();
}

void add_all(pg::Vec<int>& indexes, const catalog::Table& table)
{
	indexes.reserve(table.shard_count);
	for (int index = 0; index < table.shard_count; index++)
		indexes.push(index);
}

void add_key(pg::Vec<int>& indexes, const catalog::Table& table, Datum value)
{
	indexes.push(catalog::shard_index_of_hash(table, catalog::hash_value(table, value)));
}

void add_array_keys(pg::Vec<int>& indexes, const catalog::Table& table, Datum value)
{
	ArrayType *array = DatumGetArrayTypeP(value);
	int16 length;
	bool by_value;
	char align;
	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
	Datum *elements;
	bool *nulls;
	int count;
	deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align, &elements, &nulls,
					  &count);
	for (int index = 0; index < count; index++)
		if (!nulls[index])
			add_key(indexes, table, elements[index]);
}

bool is_hash(const catalog::Table& table)
{
	return table.kind == catalog::TableKind::Hash;
}

/* --- placements ------------------------------------------------------------------------------ */

/* Where a read may run, best first: here, then as citus.task_assignment_policy says. */
void order_replicas(Execution *execution, Task& task,
					std::span<const catalog::Placement> placements)
{
	static uint32 turn = 0;
	const int count = static_cast<int>(placements.size());
	const GroupId local = catalog::local_group_id();
	int first = 0;
	if (task_assignment_policy == ASSIGN_ROUND_ROBIN)
		first = static_cast<int>(turn++ % static_cast<uint32>(count));
	else if (task_assignment_policy == ASSIGN_GREEDY)
		first = task.shard_index % count;
	task.groups = static_cast<GroupId *>(palloc(sizeof(GroupId) * count));
	for (int index = 0; index < count; index++)
		task.groups[index] = placements[(first + index) % count].group_id;
	task.group_count = count;
	for (int index = 0; index < count; index++)
	{
		if (task.groups[index] != local || (!enable_local_execution && count > 1))
			continue;
		task.groups[index] = task.groups[0];
		task.groups[0] = local;
	}
	task.local = task.groups[0] == local;
	if (task.local)
		return;
	/* We never connect to ourselves, so a replica here is no fallback for a remote one. */
	int kept = 0;
	for (int index = 0; index < count; index++)
		if (task.groups[index] != local)
			task.groups[kept++] = task.groups[index];
	task.group_count = kept;
}

void push_task(Execution *execution, const Task& model, GroupId group, bool primary)
{
	Task task = model;
	task.groups = static_cast<GroupId *>(palloc(sizeof(GroupId)));
	task.groups[0] = group;
	task.group_count = 1;
	task.primary = primary;
	task.local = group == catalog::local_group_id();
	execution->tasks.push(task);
}

[[noreturn]] void raise_no_placement(const catalog::Table& table, int shard_index)
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("shard " INT64_FORMAT " of table \"%s\" has no placement",
						   table.shards[shard_index].shard_id, get_rel_name(table.relid))));
}

int compare_nodes(const void *left, const void *right)
{
	const Task *a = static_cast<const Task *>(left);
	const Task *b = static_cast<const Task *>(right);
	if (a->groups[0] != b->groups[0])
		return a->groups[0] < b->groups[0] ? -1 : 1;
	return a->shard_index - b->shard_index;
}

/* Primary placements first, all of them, then the others: see Execution::current_phase_end. */
void place_tasks(Execution *execution, pg::Vec<Task>& models)
{
	const catalog::Table *anchor = execution->anchor;
	if (anchor == nullptr)
	{
		for (const Task& model : models)
			push_task(execution, model, catalog::local_group_id(), true);
		execution->current_phase_end = execution->tasks.size();
		return;
	}
	bool replicas = false;
	for (const Task& model : models)
	{
		const std::span<const catalog::Placement> placements =
			anchor->placements_of(model.shard_index);
		if (placements.empty())
			raise_no_placement(*anchor, model.shard_index);
		/* Row locks are taken on the placement that a write begins with. */
		if (placements.size() == 1 || !execution->query->read_only)
		{
			push_task(execution, model, placements[0].group_id, true);
			replicas = replicas || (execution->write && placements.size() > 1);
			continue;
		}
		Task task = model;
		task.primary = true;
		order_replicas(execution, task, placements);
		execution->tasks.push(task);
	}
	const int primaries = execution->tasks.size();
	execution->current_phase_end = primaries;
	for (const Task& model : models)
	{
		const std::span<const catalog::Placement> placements =
			anchor->placements_of(model.shard_index);
		for (size_t index = 1; replicas && index < placements.size(); index++)
			push_task(execution, model, placements[index].group_id, false);
	}
	execution->node_by_node = goes_node_by_node(execution);
	if (!execution->node_by_node)
		return;
	Task *tasks = execution->tasks.data();
	qsort(tasks, primaries, sizeof(Task), compare_nodes);
	qsort(tasks + primaries, execution->tasks.size() - primaries, sizeof(Task), compare_nodes);
}

/* --- INSERT .. VALUES ------------------------------------------------------------------------- */

/* A row of the INSERT, evaluated. */
struct Row
{
	int shard_index;
	Datum *datums;
	bool *nulls;
};

/* Evaluates one row's expressions; the values live in the execution's context. */
Row evaluate_row(ScanState *state, Execution *execution, List *expressions)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	const int count = list_length(expressions);
	Row row;
	row.datums = static_cast<Datum *>(palloc(sizeof(Datum) * count));
	row.nulls = static_cast<bool *>(palloc(sizeof(bool) * count));
	ListCell *cell;
	foreach (cell, expressions)
	{
		const int column = foreach_current_index(cell);
		Expr *expression = static_cast<Expr *>(lfirst(cell));
		if (IsA(expression, Const))
		{
			const Const *constant = reinterpret_cast<const Const *>(expression);
			row.datums[column] = constant->constvalue;
			row.nulls[column] = constant->constisnull;
			continue;
		}
		/* A subplan is entered in the parent's list, which lives as long as the plan. */
		MemoryContext old = CurrentMemoryContext;
		if (contain_subplans(reinterpret_cast<Node *>(expression)))
			MemoryContextSwitchTo(state->css.ss.ps.state->es_query_cxt);
		const Evaluator evaluator = make_evaluator(expression, &state->css.ss.ps);
		MemoryContextSwitchTo(old);
		const Datum value = evaluate(evaluator, econtext, &row.nulls[column]);
		row.datums[column] = copy_value(value, row.nulls[column],
										exprType(reinterpret_cast<const Node *>(expression)));
	}
	ResetExprContext(econtext);

	const plan::RemoteQuery *query = execution->query;
	row.shard_index = 0;
	if (execution->anchor && is_hash(*execution->anchor) && query->distribution_position >= 0)
		row.shard_index = catalog::shard_index_of_value(*execution->anchor,
														row.datums[query->distribution_position],
														row.nulls[query->distribution_position]);
	return row;
}

int compare_rows(const void *left, const void *right)
{
	const Row *a = *static_cast<const Row *const *>(left);
	const Row *b = *static_cast<const Row *const *>(right);
	if (a->shard_index != b->shard_index)
		return a->shard_index < b->shard_index ? -1 : 1;
	/* Same shard: as given. */
	return a < b ? -1 : a > b;
}

/* The statement's parameters, and behind them the columns of rows first..last-1. */
Values *rows_values(const Execution *execution, Row **rows, int first, int last)
{
	const plan::RemoteQuery *query = execution->query;
	const int base = execution->parameters->count;
	const int columns = list_length(query->insert_columns);
	if ((last - first) * columns == 0)
		return execution->parameters;
	Values *values = make_values(base + (last - first) * columns);
	memcpy(values->types, execution->parameters->types, sizeof(Oid) * base);
	memcpy(values->datums, execution->parameters->datums, sizeof(Datum) * base);
	memcpy(values->nulls, execution->parameters->nulls, sizeof(bool) * base);
	int number = base;
	for (int index = first; index < last; index++)
	{
		for (int column = 0; column < columns; column++)
		{
			values->types[number] = list_nth_oid(query->insert_types, column);
			values->datums[number] = rows[index]->datums[column];
			values->nulls[number] = rows[index]->nulls[column];
			number++;
		}
	}
	return values;
}

/* "($3, ($4)::s.t), (...)": the VALUES of so many rows, behind `base` parameters. */
char *rows_text(const plan::RemoteQuery *query, int base, int row_count)
{
	const int columns = list_length(query->insert_columns);
	const char **casts = static_cast<const char **>(palloc0(sizeof(char *) * (columns + 1)));
	for (int column = 0; column < columns; column++)
	{
		const Oid type = list_nth_oid(query->insert_types, column);
		if (type >= FirstNormalObjectId)
			casts[column] = format_type_be_qualified(type);
	}
	pg::Str text;
	int number = base;
	for (int row = 0; row < row_count; row++)
	{
		text.raw(row > 0 ? ", (" : "(");
		for (int column = 0; column < columns; column++)
		{
			number++;
			if (column > 0)
				text.raw(", ");
			if (casts[column])
				text.raw("($").num(number).raw(")::").raw(casts[column]);
			else
				text.ch('$').num(number);
		}
		text.ch(')');
	}
	return text.c_str();
}

/* A task's text; kept between executions where it is the statement's `only` one. */
const char *text_of_task(const Execution *execution, int shard_index, int row_count, bool only)
{
	const plan::RemoteQuery *query = execution->query;
	only = only && execution->generation == catalog::names_generation();
	const char *sql = only ? plan::kept_sql(query, shard_index) : nullptr;
	if (sql != nullptr)
		return sql;
	const char *values =
		row_count > 0 ? rows_text(query, execution->parameters->count, row_count) : nullptr;
	sql = plan::task_sql(query, execution->tables, shard_index, values);
	if (only)
		plan::keep_sql(query, shard_index, sql, execution->generation);
	return sql;
}

void make_insert_models(ScanState *state, Execution *execution, pg::Vec<Task>& models)
{
	const plan::RemoteQuery *query = execution->query;
	const int count = list_length(state->rows);
	const int columns = list_length(query->insert_columns);
	Row *rows = static_cast<Row *>(palloc(sizeof(Row) * count));
	Row **order = static_cast<Row **>(palloc(sizeof(Row *) * count));
	ListCell *cell;
	foreach (cell, state->rows)
	{
		const int index = foreach_current_index(cell);
		CHECK_FOR_INTERRUPTS();
		rows[index] = evaluate_row(state, execution, static_cast<List *>(lfirst(cell)));
		order[index] = &rows[index];
	}
	if (count > 1)
		qsort(order, count, sizeof(Row *), compare_rows);

	const int most =
		(MAX_STATEMENT_PARAMETERS - execution->parameters->count) / (columns > 0 ? columns : 1);
	for (int first = 0; first < count;)
	{
		int last = first + 1;
		while (last < count && order[last]->shard_index == order[first]->shard_index)
			last++;
		Task task = {};
		task.shard_index = order[first]->shard_index;
		task.statement_count = (last - first + most - 1) / most;
		task.statements =
			static_cast<Statement *>(palloc(sizeof(Statement) * task.statement_count));
		for (int index = 0; index < task.statement_count; index++)
		{
			const int from = first + index * most;
			const int to = from + most < last ? from + most : last;
			task.statements[index] = {
				text_of_task(execution, task.shard_index, to - from, count == 1),
				rows_values(execution, order, from, to)};
		}
		models.push(task);
		first = last;
	}
}

void push_model(Execution *execution, pg::Vec<Task>& models, int shard_index, bool only)
{
	Task task = {};
	task.shard_index = shard_index;
	task.statement_count = 1;
	task.statements = static_cast<Statement *>(palloc(sizeof(Statement)));
	task.statements[0] = {text_of_task(execution, shard_index, 0, only), execution->parameters};
	models.push(task);
}

} // namespace

Evaluator make_evaluator(Expr *expr, PlanState *parent)
{
	if (IsA(expr, Const) || external_value(expr, parent->state) != nullptr)
		return {expr, nullptr};
	return {expr, ExecInitExpr(expr, parent)};
}

List *make_evaluators(List *exprs, PlanState *parent)
{
	List *result = NIL;
	ListCell *cell;
	foreach (cell, exprs)
	{
		Evaluator *evaluator = static_cast<Evaluator *>(palloc(sizeof(Evaluator)));
		*evaluator = make_evaluator(static_cast<Expr *>(lfirst(cell)), parent);
		result = lappend(result, evaluator);
	}
	return result;
}

void evaluate_parameters(ScanState *state, Execution *execution)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	Values *values = make_values(list_length(state->parameters));
	ListCell *cell;
	foreach (cell, state->parameters)
	{
		const int index = foreach_current_index(cell);
		const Evaluator *evaluator = static_cast<const Evaluator *>(lfirst(cell));
		const Oid type = list_nth_oid(execution->query->parameter_types, index);
		const Datum value = evaluate(*evaluator, econtext, &values->nulls[index]);
		values->types[index] = type;
		values->datums[index] = copy_value(value, values->nulls[index], type);
	}
	execution->parameters = values;
}

pg::Vec<int> prune(ScanState *state, const catalog::Table& table)
{
	const plan::RemoteQuery *query = state->query;
	pg::Vec<int> indexes;
	if (query->pruning == plan::Pruning::All || !is_hash(table))
	{
		if (query->pruning != plan::Pruning::Nothing)
			add_all(indexes, table);
	}
	else if (query->pruning == plan::Pruning::Keys)
	{
		ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
		ListCell *cell;
		foreach (cell, state->prune_keys)
		{
			const auto kind = static_cast<plan::KeyKind>(
				list_nth_int(query->key_kinds, foreach_current_index(cell)));
			bool isnull;
			const Datum value =
				evaluate(*static_cast<const Evaluator *>(lfirst(cell)), econtext, &isnull);
			if (kind == plan::KeyKind::IsNull)
				indexes.push(catalog::shard_index_of_value(table, 0, true));
			else if (isnull)
				continue;
			else if (kind == plan::KeyKind::AnyOf)
				add_array_keys(indexes, table, value);
			else
				add_key(indexes, table, value);
		}
		sort_unique(indexes);
	}
	if (indexes.empty() && query->run_when_empty && table.shard_count > 0)
		indexes.push(0);
	state->shards_pruned = table.shard_count - indexes.size();
	return indexes;
}

void make_tasks(ScanState *state, Execution *execution)
{
	const plan::RemoteQuery *query = execution->query;
	pg::Vec<Task> models;
	evaluate_parameters(state, execution);
	if (state->rows != NIL)
		make_insert_models(state, execution, models);
	else if (query->target != plan::Target::ShardGroups)
	{
		if (query->pruning != plan::Pruning::Nothing || query->run_when_empty)
			push_model(execution, models, 0, true);
	}
	else
	{
		pg::Vec<int> indexes = prune(state, *execution->anchor);
		for (const int index : indexes)
			push_model(execution, models, index, indexes.size() == 1);
	}
	ResetExprContext(state->css.ss.ps.ps_ExprContext);
	place_tasks(execution, models);
}

} // namespace civitas::executor
