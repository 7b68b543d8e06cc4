#include "remote_rel.h"
namespace civitas::planner {
void join_paths(PlannerInfo *, RelOptInfo *, RelOptInfo *, RelOptInfo *, JoinType,
				JoinPathExtraData *)
{}
} // namespace civitas::planner
