/*
 * objects.h: objects that are the same on every node: what tables and other objects need, as SQL.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "nodes/pg_list.h"
CIVITAS_PG_END

namespace civitas::ddl {

/* What the tables, and objects (ObjectAddress), need to exist first (schemas, types, functions in
 * defaults and checks, operator classes, collations, extensions), in dependency order, the objects
 * among them: ObjectAddresses. held, if given: whether an object rests on something that only this
 * node has. */
List *needed_objects(List *tables, List *objects, bool *held = nullptr);
/*
 * "SELECT bring_objects(..)": makes them on another node what they are here. What is missing is
 * made; what is there is changed or replaced where it is another one, 55000 where that is not
 * possible. complete: owners, comments and rights as well. Null where there is none that can be
 * given.
 */
char *bring_objects_sql(List *objects, bool complete);

/* Takes from the objects, which are in dependency order, those that can be made only when the tables
 * are there: views and the like. Returns them, in the same order. */
List *take_objects_over_tables(List *tables, List **objects);

/* All objects of this database that can be the same on every node and are not kept yet are made so:
 * for a cluster that is about to get a node. */
void keep_all_objects();
/* The tables' views, functions of their row types and so on, which were held back until now. */
void keep_dependents(List *tables);
/* The other way: the tables are about to be of this node alone. */
void forget_dependents(List *tables);

} // namespace civitas::ddl
