/*
 * steps.h: a statement that is run as several, one after the other.
 *
 * The steps are the custom_private of a CustomScan (executor/scan.h, steps_methods), in the order
 * in which they run. Each is a PlannedStmt of its own. The rows that one returns are kept in a
 * store, which later ones read under its name as a named tuplestore; the step without a name is the
 * statement itself.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "nodes/plannodes.h"
CIVITAS_PG_END

namespace civitas::plan {

struct Step
{
	PlannedStmt *statement;
	const char *store; /* null: the statement itself */
	const char *label; /* for EXPLAIN */
	bool counts;	   /* the command tag counts its rows */
	/* Columns of the store. */
	List *names;	  /* String */
	List *types;	  /* oid list */
	List *typmods;	  /* int list */
	List *collations; /* oid list */
};
CIVITAS_SERVER_STATE(Step);

/* As a list that can be copied and printed, and back. */
List *make_step(const Step& step);
Step step_of(List *list);

} // namespace civitas::plan
