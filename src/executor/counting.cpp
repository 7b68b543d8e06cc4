/*
 * counting.cpp: what the statistics are told about executions.
 *
 * Each run of a remote query counts as one of single or multiple shards. A statement counts once,
 * with the value of the distribution column that sent it to its shard, where there is one: that
 * value is only looked for while somebody wants it.
 */
#include "execution.h"

#include "civitas/executor/scan.h"

CIVITAS_PG_BEGIN
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::executor {

void (*execution_hook)(bool multi_shard);
void (*statement_hook)(uint64 query_id, bool insert_select, const char *partition_key);
bool (*statements_wanted_hook)();

namespace {

/* The statement that was counted last: it may have several scans. */
const EState *counted;

void forget_counted(void *estate)
{
	if (counted == estate)
		counted = nullptr;
}

bool first_of_statement(const EState *estate)
{
	if (counted == estate)
		return false;
	MemoryContextCallback *callback = static_cast<MemoryContextCallback *>(
		MemoryContextAlloc(estate->es_query_cxt, sizeof(MemoryContextCallback)));
	callback->func = forget_counted;
	callback->arg = const_cast<EState *>(estate);
	MemoryContextRegisterResetCallback(estate->es_query_cxt, callback);
	counted = estate;
	return true;
}

char *key_text(ScanState *state, const Evaluator& key)
{
	bool isnull;
	const Datum value = evaluate(key, state->css.ss.ps.ps_ExprContext, &isnull);
	if (isnull)
		return nullptr;
	Oid function;
	bool varlena;
	getTypeOutputInfo(exprType(reinterpret_cast<Node *>(key.expr)), &function, &varlena);
	return OidOutputFunctionCall(function, value);
}

/* The one value of the distribution column that the statement is about; null where there is none.
 */
char *partition_key(ScanState *state, const Execution *execution)
{
	const plan::RemoteQuery *query = state->query;
	if (execution->anchor == nullptr || execution->anchor->kind != catalog::TableKind::Hash)
		return nullptr;
	if (query->pruning == plan::Pruning::Keys && list_length(state->prune_keys) == 1 &&
		linitial_int(query->key_kinds) == static_cast<int>(plan::KeyKind::Equals))
		return key_text(state, *static_cast<const Evaluator *>(linitial(state->prune_keys)));
	if (list_length(state->rows) != 1 || query->distribution_position < 0)
		return nullptr;
	Node *value = static_cast<Node *>(
		list_nth(static_cast<List *>(linitial(state->rows)), query->distribution_position));
	if (!IsA(value, Const) && !IsA(value, Param))
		return nullptr;
	return key_text(state, make_evaluator(reinterpret_cast<Expr *>(value), &state->css.ss.ps));
}

} // namespace

void count_run(ScanState *state, const Execution *execution)
{
	const bool multi_shard =
		execution->query->target == plan::Target::ShardGroups && execution->current_phase_end > 1;
	if (execution_hook != nullptr)
		execution_hook(multi_shard);
	const EState *estate = state->css.ss.ps.state;
	if (statement_hook == nullptr || statements_wanted_hook == nullptr ||
		!statements_wanted_hook() || !first_of_statement(estate))
		return;
	const char *key = execution->current_phase_end == 1 ? partition_key(state, execution) : nullptr;
	statement_hook(estate->es_plannedstmt->queryId, false, key);
}

void count_insert_select(const EState *estate)
{
	if (execution_hook != nullptr)
		execution_hook(true);
	if (statement_hook != nullptr && statements_wanted_hook != nullptr &&
		statements_wanted_hook() && first_of_statement(estate))
		statement_hook(estate->es_plannedstmt->queryId, true, nullptr);
}

} // namespace civitas::executor
