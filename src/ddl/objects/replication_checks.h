/*
 * replication_checks.h: publications and subscriptions of the user's beside tables of the metadata.
 *
 * All raise 0A000.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "nodes/parsenodes.h"
CIVITAS_PG_END

namespace civitas::ddl {

/* Of a table that is to become one of the metadata: no publication holds it, no subscription writes to it. */
void check_not_replicated(Oid relid);

/* ALTER TABLE .. SET SCHEMA of tables of the metadata: the new schema is not published. */
void check_not_published_schema(Node *statement, List *tables);

/* CREATE and ALTER of publications and subscriptions. They are looked at when they have run: what they hold
 * is known then, and the error takes them back, the slot of a new subscription included. */
bool is_replication_statement(Node *statement);
void check_after_replication_statement(Node *statement);

} // namespace civitas::ddl
