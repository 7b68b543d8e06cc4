/*
 * local_tables.h: plain tables of the coordinator that the metadata knows.
 */
#pragma once

#include "civitas/pg/server.h"

namespace civitas::ddl {

/* Adds a plain table to the metadata; with_foreign_keys: also the plain tables that foreign keys
 * connect it with, otherwise 0A000 where there are any. */
void add_local_tables(Oid relid, bool with_foreign_keys, bool autoconverted);

/* Adds the plain tables that reference a new reference table, so that their foreign keys see its
 * rows. */
void add_tables_referencing(Oid relid);

/* Plain tables with a foreign key to this one (oid list). */
List *plain_tables_referencing(Oid relid);

/* Local tables that are known for foreign keys which are no more, of the current user, become plain. */
void remove_unneeded_local_tables();

} // namespace civitas::ddl
