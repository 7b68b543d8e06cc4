#include "remote_rel.h"
namespace civitas::planner {
Node *remote_partial_aggregates(Node *node)
{
	return node;
}
void upper_paths(PlannerInfo *, UpperRelationKind, RelOptInfo *, RelOptInfo *, void *) {}
} // namespace civitas::planner
