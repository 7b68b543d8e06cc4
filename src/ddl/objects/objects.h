/*
 * objects.h: statements about what tables rest on: schemas, types, functions, sequences.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "nodes/parsenodes.h"
CIVITAS_PG_END

namespace civitas::ddl {

/* Whether statements of this kind can be about such objects: cheap, needs no transaction. */
bool may_change_objects(Node *statement);

/*
 * Whether the statement changes an object that the cluster keeps on every node, so that its text
 * must run on the other nodes too. Asked before the statement runs. 0A000 for changes that would
 * make the nodes' objects differ in a way that matters (the range of a sequence). changed: the kept
 * objects that it is about, ObjectAddresses.
 */
bool changes_cluster_object(Node *statement, List **changed);

/* A sequence is kept where a column of a table of the metadata owns it or takes its default from
 * it. */
bool sequence_is_kept(Oid sequence);

/* The REVOKEs that DROP OWNED stands for, of tables and objects that are on every node: texts for
 * the other nodes. Asked before the statement runs. */
List *revocations(const DropOwnedStmt *statement);

/* What the statement's text means on a node that is not the coordinator, changed in place: names
 * of objects that only the coordinator has are left out. False: nothing is left to do. */
bool localize_object_statement(Node *statement);

} // namespace civitas::ddl
