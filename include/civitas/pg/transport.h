/*
 * transport.h: which types' values mean the same on another node.
 */
#pragma once

#include "civitas/pg/server.h"

namespace civitas::pg {

/* Whether values of the type are oids of catalog objects that are printed by name (regclass and its
 * like): the oids differ from node to node, the names do not. */
bool names_catalog_object(Oid type);

/* Whether the type's binary form is the same on every node: built-in base and range types, arrays
 * of them, and enums (sent by label); domains as their base type. Others travel as text: binary
 * arrays and composites of user-defined types hold oids. */
bool binary_travels(Oid type);

} // namespace civitas::pg
