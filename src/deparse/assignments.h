/*
 * assignments.h: what query_template.cpp needs of assignments.cpp.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "nodes/parsenodes.h"
CIVITAS_PG_END

namespace civitas::deparse {

/* Makes the assignments of a Query (not of those in it) what pg_get_querydef() prints as the
 * statement said it. Changes the query's lists. */
void make_assignments_printable(Query *query);

} // namespace civitas::deparse
