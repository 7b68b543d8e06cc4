/*
 * collations.h: COLLATE where planned expressions need it to be read as they are meant.
 */
#pragma once

#include "civitas/pg/compat.h"

namespace civitas::deparse {

/*
 * A copy of the query in which every expression has, once it is printed and parsed again, the
 * collations that it has now: for queries made of expressions that went through PostgreSQL's
 * planner. Current memory context.
 */
Query *keep_collations(Query *query);

/* The expression COLLATE collation. */
Expr *collate(Expr *expr, Oid collation);

} // namespace civitas::deparse
