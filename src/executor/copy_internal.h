/*
 * copy_internal.h: between copy.cpp (the statement) and copy_from.cpp (its rows).
 */
#pragma once

#include "civitas/catalog/tables.h"
#include "civitas/executor/copy.h"

CIVITAS_PG_BEGIN
#include "utils/relcache.h"
CIVITAS_PG_END

namespace civitas::executor {

/* Reads the statement's source into the shards of the table; rows loaded. attributes: the columns
 * of the stream (int list); where: an implicitly ANDed, analysed clause or null. Rights have been
 * checked. */
uint64 copy_rows_from(ParseState *state, CopyStmt *statement, Relation relation,
					  const catalog::Table& table, List *attributes, Node *where);

} // namespace civitas::executor
