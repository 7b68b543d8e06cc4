/*
 * neighbour.cpp: another extension in the planner, for tests.
 *
 *   LOAD 'neighbour';
 *
 * Hangs data of its own on RelOptInfo.fdw_private of every relation that is no foreign table's, as
 * extensions do, and looks after it: a relation whose data somebody else changed is an error. With
 * neighbour.scan_all it also offers a sequential scan of each table at no cost, whatever the other
 * hooks have decided before; with neighbour.skip_hooks it plans without asking the planner hooks
 * that were there before.
 */
#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "fmgr.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planner.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);
CIVITAS_PG_END

namespace {

constexpr uint64 MARK = 0x6e65696768626f72;

struct Data
{
	uint64 mark;
	const RelOptInfo *rel;
};

bool scan_all = false;
bool skip_hooks = false;

planner_hook_type next_planner = nullptr;
set_rel_pathlist_hook_type next_rel_paths = nullptr;
set_join_pathlist_hook_type next_join_paths = nullptr;
create_upper_paths_hook_type next_upper_paths = nullptr;

void look_after(RelOptInfo *rel)
{
	if (rel == nullptr || rel->fdwroutine != nullptr)
		return;
	if (rel->fdw_private == nullptr)
	{
		Data *data = static_cast<Data *>(palloc(sizeof(Data)));
		*data = {MARK, rel};
		rel->fdw_private = data;
		return;
	}
	const Data *data = static_cast<const Data *>(rel->fdw_private);
	if (data->mark != MARK || data->rel != rel)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("the neighbour's data was taken for somebody else's")));
}

PlannedStmt *plan(Query *query, const char *text, int options, ParamListInfo params)
{
	return next_planner && !skip_hooks ? next_planner(query, text, options, params)
									   : standard_planner(query, text, options, params);
}

void rel_paths(PlannerInfo *root, RelOptInfo *rel, Index index, RangeTblEntry *rte)
{
	look_after(rel);
	if (next_rel_paths)
		next_rel_paths(root, rel, index, rte);
	look_after(rel);
	if (scan_all && rte->rtekind == RTE_RELATION && rel->fdwroutine == nullptr)
	{
		Path *path = create_seqscan_path(root, rel, nullptr, 0);
		path->startup_cost = path->total_cost = 0;
		add_path(rel, path);
	}
}

void join_paths(PlannerInfo *root, RelOptInfo *join, RelOptInfo *outer, RelOptInfo *inner,
				JoinType type, JoinPathExtraData *extra)
{
	look_after(join);
	if (next_join_paths)
		next_join_paths(root, join, outer, inner, type, extra);
	look_after(join);
	look_after(outer);
	look_after(inner);
}

void upper_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input, RelOptInfo *output,
				 void *extra)
{
	look_after(output);
	if (next_upper_paths)
		next_upper_paths(root, stage, input, output, extra);
	look_after(output);
	look_after(input);
}

} // namespace

void _PG_init(void)
{
	DefineCustomBoolVariable("neighbour.scan_all", "Offers sequential scans of all tables.",
							 nullptr, &scan_all, false, PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomBoolVariable("neighbour.skip_hooks", "Plans without the other planner hooks.",
							 nullptr, &skip_hooks, false, PGC_USERSET, 0, nullptr, nullptr,
							 nullptr);
	next_planner = planner_hook;
	planner_hook = plan;
	next_rel_paths = set_rel_pathlist_hook;
	set_rel_pathlist_hook = rel_paths;
	next_join_paths = set_join_pathlist_hook;
	set_join_pathlist_hook = join_paths;
	next_upper_paths = create_upper_paths_hook;
	create_upper_paths_hook = upper_paths;
}
