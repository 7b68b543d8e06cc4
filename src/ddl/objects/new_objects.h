/*
 * new_objects.h: objects become objects of every node.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "catalog/objectaddress.h"
CIVITAS_PG_END

#include <span>

namespace civitas::ddl {

/* What a statement has made, extensions for their members; where citus.enable_metadata_sync is on,
 * on the coordinator. */
void keep_new_objects(std::span<const ObjectAddress> made);
/* The objects (ObjectAddresses), with what they need, on every node, as they are here. */
void keep_objects(List *objects);
/* What the objects need now and other nodes lack. */
void keep_what_they_need(List *objects);

} // namespace civitas::ddl
