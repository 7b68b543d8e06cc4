/*
 * steps.cpp: a step of a statement as a list of nodes, and back.
 */
#include "civitas/plan/steps.h"

CIVITAS_PG_BEGIN
#include "nodes/value.h"
CIVITAS_PG_END

namespace civitas::plan {

List *make_step(const Step& step)
{
	const auto name = [](const char *text) { return makeString(pstrdup(text ? text : "")); };
	List *columns = list_make4(step.names, step.types, step.typmods, step.collations);
	return list_make5(step.statement, name(step.store), name(step.label), columns,
					  makeBoolean(step.counts));
}

Step step_of(List *list)
{
	Step step;
	step.statement = castNode(PlannedStmt, linitial(list));
	step.store = strVal(lsecond(list));
	step.label = strVal(lthird(list));
	if (*step.store == '\0')
		step.store = nullptr;
	List *columns = static_cast<List *>(lfourth(list));
	step.counts = boolVal(list_nth(list, 4));
	step.names = static_cast<List *>(linitial(columns));
	step.types = static_cast<List *>(lsecond(columns));
	step.typmods = static_cast<List *>(lthird(columns));
	step.collations = static_cast<List *>(lfourth(columns));
	return step;
}

} // namespace civitas::plan
