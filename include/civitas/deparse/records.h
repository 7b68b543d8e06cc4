/*
 * records.h: rows of no named type in SQL.
 */
#pragma once

#include "civitas/pg/compat.h"

namespace civitas::deparse {

/* Whether the expression is a row (or array of rows) of no named type whose columns have names that
 * ROW(..) does not give: as text it would be another value, for row_to_json() and its like. */
bool has_column_names(Node *node);

/*
 * The query with constants that are rows of no named type, or arrays of them, as ROW(..) and
 * ARRAY[..]: such a type has no input function. The query itself where there are none, else a copy.
 */
Query *spell_records(Query *query);

} // namespace civitas::deparse
