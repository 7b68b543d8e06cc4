/*
 * steps.cpp: the CustomScan of a statement that is run as several.
 *
 * The first row that is asked for runs all steps, each in an executor of its own, under the
 * snapshot and with the parameters of the statement. What a step returns goes into a store, which
 * later steps find by its name in the query environment; what the statement itself returns is
 * handed out afterwards. After-row triggers of local tables wait for the end of the statement, as
 * they do in a plan of PostgreSQL's own.
 */
#include "civitas/plan/steps.h"
#include "civitas/executor/scan.h"
#include "civitas/pg/compat.h"
#include "execution.h"

CIVITAS_PG_BEGIN
#include "commands/explain.h"
#include "executor/executor.h"
#include "executor/tstoreReceiver.h"
#include "tcop/dest.h"
#include "utils/queryenvironment.h"
#include "utils/snapmgr.h"
CIVITAS_PG_END

namespace civitas::executor {

namespace {

/* How many statements of steps are running, one inside another. */
int running_steps = 0;

struct StepsState
{
	CustomScanState css;
	List *steps; /* of plan::make_step() */
	QueryEnvironment *environment;
	Tuplestorestate *rows; /* of the statement itself */
	TupleTableSlot *row;
	List *stores;	/* Tuplestorestate pointers */
	uint64 *counts; /* rows returned or changed by each step, for EXPLAIN */
	bool done;
};

StepsState *state_of(CustomScanState *node)
{
	return reinterpret_cast<StepsState *>(node);
}

TupleDesc row_type_of(const plan::Step& step)
{
	TupleDesc type = CreateTemplateTupleDesc(list_length(step.types));
	ListCell *cell;
	foreach (cell, step.types)
	{
		const int column = foreach_current_index(cell);
		const AttrNumber number = static_cast<AttrNumber>(column + 1);
		TupleDescInitEntry(type, number, strVal(list_nth(step.names, column)), lfirst_oid(cell),
						   list_nth_int(step.typmods, column), 0);
		TupleDescInitEntryCollation(type, number, list_nth_oid(step.collations, column));
	}
	return type;
}

/* The store that later steps find by its name; steps may share one. */
Tuplestorestate *add_store(StepsState *state, const plan::Step& step)
{
	if (EphemeralNamedRelation present = get_ENR(state->environment, step.store))
		return static_cast<Tuplestorestate *>(present->reldata);
	Tuplestorestate *store = tuplestore_begin_heap(true, false, work_mem);
	state->stores = lappend(state->stores, store);
	auto *relation =
		static_cast<EphemeralNamedRelation>(palloc0(sizeof(EphemeralNamedRelationData)));
	relation->md.name = pstrdup(step.store);
	relation->md.reliddesc = InvalidOid;
	relation->md.tupdesc = row_type_of(step);
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->reldata = store;
	register_ENR(state->environment, relation);
	return store;
}

/* Runs a step into a store (null: it returns nothing); rows changed or returned. */
uint64 run_step(StepsState *state, const plan::Step& step, Tuplestorestate *store)
{
	EState *estate = state->css.ss.ps.state;
	DestReceiver *receiver = CreateDestReceiver(DestNone);
	if (store)
	{
		receiver = CreateDestReceiver(DestTuplestore);
		SetTuplestoreDestReceiverParams(receiver, store, CurrentMemoryContext, false, nullptr,
										nullptr);
	}
	QueryDesc *description =
		CreateQueryDesc(step.statement, estate->es_sourceText, GetActiveSnapshot(), InvalidSnapshot,
						receiver, estate->es_param_list_info, state->environment, 0);
	ExecutorStart(description, EXEC_FLAG_SKIP_TRIGGERS);
	pg::run_executor(description);
	ExecutorFinish(description);
	const uint64 count = description->estate->es_processed;
	ExecutorEnd(description);
	FreeQueryDesc(description);
	receiver->rDestroy(receiver);
	return count;
}

void run_steps(StepsState *state)
{
	ListCell *cell;
	foreach (cell, state->steps)
	{
		const plan::Step step = plan::step_of(static_cast<List *>(lfirst(cell)));
		Tuplestorestate *store = nullptr;
		if (step.store)
			store = add_store(state, step);
		else if (step.types != NIL)
		{
			store = tuplestore_begin_heap(false, false, work_mem);
			state->rows = store;
			state->row = MakeSingleTupleTableSlot(row_type_of(step), &TTSOpsMinimalTuple);
		}
		const uint64 count = run_step(state, step, store);
		state->counts[foreach_current_index(cell)] = count;
		EState *estate = state->css.ss.ps.state;
		if (step.counts && estate->es_plannedstmt->commandType != CMD_SELECT &&
			estate->es_plannedstmt->planTree == state->css.ss.ps.plan)
			estate->es_processed += count;
	}
}

/* Names of transition tables and the like stay visible: ours are added to them. */
void open_environment(StepsState *state)
{
	EState *estate = state->css.ss.ps.state;
	state->environment = estate->es_queryEnv ? estate->es_queryEnv : create_queryEnv();
}

void close_environment(StepsState *state)
{
	ListCell *cell;
	foreach (cell, state->steps)
	{
		const plan::Step step = plan::step_of(static_cast<List *>(lfirst(cell)));
		if (step.store && get_ENR(state->environment, step.store))
			unregister_ENR(state->environment, step.store);
	}
}

void run_all(StepsState *state)
{
	MemoryContext old = MemoryContextSwitchTo(state->css.ss.ps.state->es_query_cxt);
	open_environment(state);
	state->counts =
		static_cast<uint64 *>(palloc0(sizeof(uint64) * (list_length(state->steps) + 1)));
	const int depth = running_steps;
	running_steps = depth + 1;
	PG_TRY();
	{
		run_steps(state);
	}
	PG_FINALLY();
	{
		running_steps = depth;
		close_environment(state);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	state->done = true;
}

TupleTableSlot *next_slot(::ScanState *node)
{
	auto *state = reinterpret_cast<StepsState *>(node);
	if (!state->done)
		run_all(state);
	TupleTableSlot *slot = node->ss_ScanTupleSlot;
	ExecClearTuple(slot);
	if (state->rows && tuplestore_gettupleslot(state->rows, true, false, state->row))
		ExecCopySlot(slot, state->row);
	return slot;
}

bool recheck(::ScanState *, TupleTableSlot *)
{
	return true;
}

TupleTableSlot *exec_steps(CustomScanState *node)
{
	return ExecScan(&node->ss, next_slot, recheck);
}

void begin_steps(CustomScanState *node, EState *, int)
{
	state_of(node)->steps = castNode(CustomScan, node->ss.ps.plan)->custom_private;
}

void end_steps(CustomScanState *node)
{
	StepsState *state = state_of(node);
	if (state->row)
		ExecDropSingleTupleTableSlot(state->row);
	if (state->rows)
		tuplestore_end(state->rows);
	ListCell *cell;
	foreach (cell, state->stores)
		tuplestore_end(static_cast<Tuplestorestate *>(lfirst(cell)));
}

void rescan_steps(CustomScanState *)
{
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR), errmsg("a change cannot be run a second time")));
}

void explain_step(StepsState *state, const plan::Step& step, uint64 count, ExplainState *es)
{
	EState *estate = state->css.ss.ps.state;
	ExplainOpenGroup("Step", nullptr, true, es);
	ExplainPropertyText("Step", step.label, es);
	if (es->format == EXPLAIN_FORMAT_TEXT)
		es->indent++;
	if (es->analyze && state->done)
		ExplainPropertyUInteger("Rows", nullptr, count, es);
	QueryDesc *description =
		CreateQueryDesc(step.statement, estate->es_sourceText, GetActiveSnapshot(), InvalidSnapshot,
						None_Receiver, estate->es_param_list_info, state->environment, 0);
	ExecutorStart(description, EXEC_FLAG_EXPLAIN_ONLY);
	const bool analyze = es->analyze;
	es->analyze = false;
	ExplainPrintPlan(es, description);
	es->analyze = analyze;
	ExecutorEnd(description);
	FreeQueryDesc(description);
	if (es->format == EXPLAIN_FORMAT_TEXT)
		es->indent--;
	ExplainCloseGroup("Step", nullptr, true, es);
}

void explain_steps(CustomScanState *node, List *, ExplainState *es)
{
	StepsState *state = state_of(node);
	/* Everything that ExplainPrintPlan() changes. */
	const ExplainState saved = *es;
	open_environment(state);
	ExplainOpenGroup("Steps", "Steps", false, es);
	ListCell *cell;
	foreach (cell, state->steps)
	{
		const plan::Step step = plan::step_of(static_cast<List *>(lfirst(cell)));
		explain_step(state, step, state->done ? state->counts[foreach_current_index(cell)] : 0, es);
		if (step.store && get_ENR(state->environment, step.store) == nullptr)
			add_store(state, step);
	}
	ExplainCloseGroup("Steps", "Steps", false, es);
	close_environment(state);
	es->pstmt = saved.pstmt;
	es->rtable = saved.rtable;
	es->rtable_names = saved.rtable_names;
	es->deparse_cxt = saved.deparse_cxt;
	es->printed_subplans = saved.printed_subplans;
}

const CustomExecMethods steps_exec_methods = {
	.CustomName = "Citus Steps",
	.BeginCustomScan = begin_steps,
	.ExecCustomScan = exec_steps,
	.EndCustomScan = end_steps,
	.ReScanCustomScan = rescan_steps,
	.ExplainCustomScan = explain_steps,
};

Node *create_steps_state(CustomScan *)
{
	auto *state = static_cast<StepsState *>(palloc0(sizeof(StepsState)));
	NodeSetTag(state, T_CustomScanState);
	state->css.methods = &steps_exec_methods;
	return reinterpret_cast<Node *>(state);
}

} // namespace

bool in_step()
{
	return running_steps > 0;
}

const CustomScanMethods steps_methods = {
	.CustomName = "Citus Steps",
	.CreateCustomScanState = create_steps_state,
};

} // namespace civitas::executor
