/*
 * copy.h: COPY of a table of the metadata. Called by ddl's utility hook.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "nodes/parsenodes.h"
#include "parser/parse_node.h"
CIVITAS_PG_END

namespace civitas::executor {

/* Whether the statement copies a table of the metadata and is ours to run. Opens nothing. */
bool is_distributed_copy(const CopyStmt *statement);
/* Runs it; rows processed. COPY TO is turned into COPY (SELECT ..) TO and returned to PostgreSQL.
 */
uint64 run_distributed_copy(ParseState *state, CopyStmt *statement, int location, int length);

} // namespace civitas::executor
