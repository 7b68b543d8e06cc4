/*
 * planning_run.cpp: what we know of the relations of a running planner.
 *
 * PostgreSQL's planner gives its relations no room for us: RelOptInfo.fdw_private is the foreign
 * data wrapper's, and other extensions hang their data on it for plain relations too. So each run
 * of the planner over a statement that general.cpp prepared has a table of its own, keyed by
 * RelOptInfo. It lives as long as the run.
 *
 * Runs nest: the planner evaluates functions, and these plan statements. A run hides the one around
 * it; a statement that is none of ours gets a run without a table, in which the hooks do nothing.
 * An error ends the runs it leaves, so that nothing points to relations that are gone.
 *
 * Some relations go away while the planner still runs, with the memory context that they are in
 * (the genetic search makes and drops thousands), and others may come to their addresses. Where
 * a relation is not in the run's own context, that context's end takes the entry away.
 */
#include "remote_rel.h"

CIVITAS_PG_BEGIN
#include "optimizer/planner.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

constexpr long EXPECTED_RELATIONS = 32;

struct Entry
{
	const RelOptInfo *rel; /* must be first */
	RemoteRel *remote;
};
CIVITAS_SERVER_STATE(Entry);

struct Run
{
	Run *outer;
	uint64 number; /* of this backend's runs */
	bool ours;
	const List *row_locks;
	MemoryContext context; /* the planner's, in which relations usually are */
	HTAB *entries;		   /* null until there is one */
	bool hidden_tables;
};
CIVITAS_SERVER_STATE(Run);

Run *current = nullptr;
uint64 runs_begun = 0;

/* An entry of a relation whose memory may go away before the run ends. */
struct Guest
{
	MemoryContextCallback callback;
	uint64 run;
	const RelOptInfo *rel;
};
CIVITAS_SERVER_STATE(Guest);

void forget_guest(void *argument)
{
	const Guest *guest = static_cast<const Guest *>(argument);
	for (Run *run = current; run != nullptr; run = run->outer)
		if (run->number == guest->run)
			hash_search(run->entries, &guest->rel, HASH_REMOVE, nullptr);
}

void watch(const RelOptInfo *rel, MemoryContext context)
{
	Guest *guest = static_cast<Guest *>(MemoryContextAlloc(context, sizeof(Guest)));
	guest->callback.func = forget_guest;
	guest->callback.arg = guest;
	guest->run = current->number;
	guest->rel = rel;
	MemoryContextRegisterResetCallback(context, &guest->callback);
}

PlannedStmt *run_planner(bool ours, const List *row_locks, Query *query, const char *text,
						 int options, ParamListInfo params, bool *hidden_tables)
{
	Run run = {current, ++runs_begun, ours, row_locks, CurrentMemoryContext, nullptr, false};
	PlannedStmt *statement = nullptr;
	current = &run;
	PG_TRY();
	{
		statement = plan_below(query, text, options, params);
	}
	PG_FINALLY();
	{
		current = run.outer;
	}
	PG_END_TRY();
	*hidden_tables = run.hidden_tables;
	return statement;
}

} // namespace

bool general_planning()
{
	return current != nullptr && current->ours;
}

RemoteRel *remote_rel_of(const RelOptInfo *rel)
{
	Assert(general_planning());
	if (current->entries == nullptr)
		return nullptr;
	const Entry *entry =
		static_cast<const Entry *>(hash_search(current->entries, &rel, HASH_FIND, nullptr));
	return entry ? entry->remote : nullptr;
}

void set_remote_rel(const RelOptInfo *rel, RemoteRel *remote)
{
	Assert(general_planning());
	if (current->entries == nullptr)
	{
		HASHCTL control = {};
		control.keysize = sizeof(const RelOptInfo *);
		control.entrysize = sizeof(Entry);
		control.hcxt = current->context;
		current->entries = hash_create("citus relations of a planner run", EXPECTED_RELATIONS,
									   &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	bool found;
	Entry *entry = static_cast<Entry *>(hash_search(current->entries, &rel, HASH_ENTER, &found));
	entry->remote = remote;
	MemoryContext context = GetMemoryChunkContext(const_cast<RelOptInfo *>(rel));
	if (!found && context != current->context)
		watch(rel, context);
}

RowMarkClause *row_lock(const PlannerInfo *root, Index index)
{
	Assert(general_planning());
	return row_lock_of(current->row_locks, root, index);
}

void note_hidden_tables()
{
	Assert(general_planning());
	current->hidden_tables = true;
}

PlannedStmt *plan_prepared(Query *query, const List *row_locks, const char *text, int options,
						   ParamListInfo params, bool *hidden_tables)
{
	return run_planner(true, row_locks, query, text, options, params, hidden_tables);
}

PlannedStmt *plan_locally(Query *query, const char *text, int options, ParamListInfo params)
{
	/* Nothing to hide, as nearly always. */
	if (current == nullptr)
		return plan_below(query, text, options, params);
	bool hidden_tables;
	return run_planner(false, NIL, query, text, options, params, &hidden_tables);
}

} // namespace civitas::planner
